"""One emulated AWS for all tests of this folder, started as users start it, and clients for it."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from local.aws import runtime_dir
from local.aws.settings import PROJECT
from tests.local import boto3_layer as sdk
from tests.local.policies import Statement, document

REGION = "us-east-1"
ACCOUNT = "000000000000"
START_SECONDS = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launch(directory: Path, **variables: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start a launcher whose log is directory/aws.log; answer when it is healthy, fail with its log otherwise."""
    port = free_port()
    log = directory / "aws.log"
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "GATEWAY_PORT": str(port),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "POLYVAULT_LOCAL_RUNTIME_DIR": str(PROJECT / "build" / "lambda-runtime"),
        "POLYVAULT_LOCAL_ROTATION_RETRY_SECONDS": "0.2",
        "POLYVAULT_LOCAL_FAST_SCHEDULES": "1",
        **variables,
    }
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.aws"], cwd=PROJECT, env=environment, stdout=sink, stderr=sink
        )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if healthy(url):
            return process, url
        time.sleep(0.1)
    process.kill()
    pytest.fail(f"the launcher did not start:\n{log.read_text(errors='replace')[-3000:]}")


def healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_ministack/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


@pytest.fixture(scope="session")
def aws_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a launcher of this session, with fast retries and fast schedules."""
    runtime_dir.build(PROJECT / "build" / "lambda-runtime")
    process, url = launch(tmp_path_factory.mktemp("aws"))
    yield url
    stop(process)


def client(url: str, service: str, key: str = "test", secret: str = "test", **options: Any) -> Any:  # noqa: S107
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
        **options,
    )


@pytest.fixture(scope="session")
def aws(aws_endpoint: str) -> Callable[..., Any]:
    """``aws("secretsmanager")``: a boto3 client of the account's root that never retries."""
    clients: dict[str, Any] = {}

    def of(service: str) -> Any:
        if service not in clients:
            clients[service] = client(aws_endpoint, service)
        return clients[service]

    return of


def signed_request(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
    """The decoded answer of an API with IAM authorisation, called as the account's root."""
    request = AWSRequest(method=method, url=url, data=body, headers=headers or {})
    SigV4Auth(Credentials("test", "test"), "execute-api", REGION).add_auth(request)
    sent = urllib.request.Request(url, body, dict(request.headers.items()), method=method)
    with urllib.request.urlopen(sent) as answer:
        return json.loads(answer.read())


# Functions of these tests have no layer, so no boto3: this calls AWS JSON services with the role's credentials.
AWS_CALL = """
import datetime, hashlib, hmac, json, os, urllib.error, urllib.request

def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()

def call(service, target, body):
    env, payload = os.environ, json.dumps(body).encode()
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    host = env["AWS_ENDPOINT_URL"].split("//")[1]
    headers = {"content-type": "application/x-amz-json-1.1", "host": host, "x-amz-date": now,
               "x-amz-security-token": env["AWS_SESSION_TOKEN"], "x-amz-target": target}
    names = ";".join(headers)
    request = "\\n".join(["POST", "/", "", *(f"{k}:{v}" for k, v in headers.items()), "", names,
                         hashlib.sha256(payload).hexdigest()])
    scope = f"{now[:8]}/{env['AWS_REGION']}/{service}/aws4_request"
    to_sign = "\\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = ("AWS4" + env["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={env['AWS_ACCESS_KEY_ID']}/{scope}, "
                                f"SignedHeaders={names}, Signature={_hmac(key, to_sign).hex()}")
    try:
        with urllib.request.urlopen(urllib.request.Request(env["AWS_ENDPOINT_URL"], payload, headers)) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return json.loads(error.read())
"""


def archive(**files: str) -> bytes:
    """A zip of name=source: ``archive(app="...")`` holds app.py; ``__`` in a name stands for a folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, source in files.items():
            opened.writestr(f"{name.replace('__', '/')}.py", source)
    return buffer.getvalue()


def make_role(iam: Any) -> str:
    """The ARN of a new role that may do everything."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    made = iam.create_role(
        RoleName="all", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="all", PolicyName="all", PolicyDocument=json.dumps(everything))
    return str(made["Role"]["Arn"])


@pytest.fixture(scope="session")
def role(aws: Callable[..., Any]) -> str:
    """A role for functions whose permissions are not what is tested."""
    return make_role(aws("iam"))


@pytest.fixture
def deploy(aws: Callable[..., Any], role: str) -> Iterator[Callable[..., str]]:
    """``deploy(source, **options)`` makes a function whose ``app.handler`` is in source and answers its ARN."""
    names: list[str] = []

    def make(source: str, **options: Any) -> str:
        name = f"fn-{uuid.uuid4().hex[:8]}"
        made = aws("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=options.pop("Role", role),
            Handler="app.handler",
            Code={"ZipFile": archive(app=source, aws_call=AWS_CALL)},
            **{"Timeout": 10, **options},
        )
        names.append(name)
        return str(made["FunctionArn"])

    yield make
    for name in names:
        aws("lambda").delete_function(FunctionName=name)


@pytest.fixture(scope="session")
def boto3_layer(aws: Callable[..., Any]) -> str:
    """The ARN of a layer version with boto3."""
    made = aws("lambda").publish_layer_version(LayerName="sdk", Content={"ZipFile": sdk.archive()})
    return str(made["LayerVersionArn"])


@pytest.fixture
def role_of(aws: Callable[..., Any]) -> Callable[..., str]:
    """``role_of(*statements)`` makes a role with this inline policy, for functions and for the account's root."""

    def make(*statements: Statement) -> str:
        name = f"role-{uuid.uuid4().hex[:8]}"
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com", "AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "sts:AssumeRole",
        }
        made = aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
        if statements:
            aws("iam").put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*statements))
        return str(made["Role"]["Arn"])

    return make


@pytest.fixture
def as_role(aws: Callable[..., Any], aws_endpoint: str, role_of: Callable[..., str]) -> Callable[..., Any]:
    """``as_role(*statements)("secretsmanager")``: a client under a new role with this policy."""

    def make(*statements: Statement) -> Callable[[str], Any]:
        session = aws("sts").assume_role(RoleArn=role_of(*statements), RoleSessionName="test")["Credentials"]
        return lambda service: client(
            aws_endpoint,
            service,
            session["AccessKeyId"],
            session["SecretAccessKey"],
            aws_session_token=session["SessionToken"],
        )

    return make


@pytest.fixture
def secret(aws: Callable[..., Any]) -> Callable[..., str]:
    """``secret(**options)`` makes a secret with the value "one" and answers its ARN."""

    def make(**options: Any) -> str:
        made = aws("secretsmanager").create_secret(Name=f"iam/{uuid.uuid4()}", SecretString="one", **options)
        return str(made["ARN"])

    return make


def eventually(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The first true answer of condition; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.05)
    return pytest.fail(f"not within {seconds} s")
