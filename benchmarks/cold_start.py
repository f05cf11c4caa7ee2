"""CPU of the rotation function's cold start to its first secret: our layers against those of SAM's default builder.

A fresh process a sample, with the layers alone on its path, runs the function's first step against a Secrets Manager
on loopback: everything that an execution environment pays before it holds a secret. Both cases run the same source
and the same versions. PYTHONDONTWRITEBYTECODE stands for Lambda's read-only file system: what ships without bytecode
is compiled again at each start.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from moto.secretsmanager.models import secretsmanager_backends
from moto.server import ThreadedMotoServer

from benchmarks.figures import Figure, interleaved

PROJECT = Path(__file__).resolve().parent.parent
BUNDLE = PROJECT / ".aws-sam/build"
DEFAULT_BUILD = PROJECT / "build/bench/default"
LAYERS = ("CoreLayer", "TargetsLayer")
REGION = "us-east-1"
ACCOUNT = "123456789012"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:polyvault-rotation"
TOKEN = "8f9b4cf4-5b0c-4b0e-9d6e-2f6f6d0c7a11"  # noqa: S105 - a version id
ROUNDS = 11

_TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  CoreLayer:
    Type: AWS::Serverless::LayerVersion
    Metadata: { BuildMethod: python3.13 }
    Properties: { ContentUri: ../../layers/core, CompatibleRuntimes: [python3.13] }
  TargetsLayer:
    Type: AWS::Serverless::LayerVersion
    Metadata: { BuildMethod: python3.13 }
    Properties: { ContentUri: ../../layers/targets, CompatibleRuntimes: [python3.13] }
"""

_START = """\
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
import app

class Context:
    function_name = "polyvault-rotation"
    memory_limit_in_mb = 512
    invoked_function_arn = sys.argv[3]
    aws_request_id = "00000000-0000-4000-8000-000000000000"
    def get_remaining_time_in_millis(self):
        return 60_000

app.lambda_handler(json.loads(sys.argv[2]), Context())
"""


def measure(rounds: int = ROUNDS) -> Figure:
    """Milliseconds of user and system time, medians of the rounds."""
    theirs = default_build()
    with secret_in_rotation() as (endpoint, event):
        return interleaved(
            "rotation: cold start to the first secret",
            lambda: cpu_milliseconds(BUNDLE, endpoint, event),
            lambda: cpu_milliseconds(theirs, endpoint, event),
            unit="ms CPU",
            rounds=rounds,
        )


def default_build() -> Path:
    """The same layers as SAM's default Python builder makes them; built once for each state of the sources."""
    digest = hashlib.sha256()
    for path in sorted([*PROJECT.glob("layers/*/requirements.txt"), *PROJECT.glob("layers/core/polyvault/**/*.py")]):
        digest.update(path.read_bytes())
    stamp = DEFAULT_BUILD / "sources.sha256"
    if not stamp.exists() or stamp.read_text() != digest.hexdigest():
        template = DEFAULT_BUILD.parent / "template.yaml"
        template.parent.mkdir(parents=True, exist_ok=True)
        template.write_text(_TEMPLATE)
        shutil.rmtree(DEFAULT_BUILD, ignore_errors=True)
        sam = PROJECT / "build/sam-venv/bin/sam"
        runtime = subprocess.run(  # noqa: S603 - our own script
            [PROJECT / "tools/find-python"], capture_output=True, text=True, check=True
        ).stdout
        subprocess.run(  # noqa: S603 - the project's own SAM CLI
            [sam, "build", "--template", template, "--build-dir", DEFAULT_BUILD],
            env={**_inherited(), "PATH": f"{Path(runtime.strip()).parent}:{_inherited()['PATH']}"},
            check=True,
            capture_output=True,
        )
        stamp.write_text(digest.hexdigest())
    return DEFAULT_BUILD


def _inherited() -> Mapping[str, str]:
    return os.environ  # noqa: TID251 - SAM's own environment: PATH and pip's settings


@contextmanager
def secret_in_rotation() -> Iterator[tuple[str, str]]:
    """A Secrets Manager on loopback with a secret whose rotation has begun; its address, and the event of the step."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
        secrets_manager = boto3.client("secretsmanager", endpoint_url=endpoint, **keys)  # type: ignore[call-overload]
        value = {"engine": "postgres", "host": "db.example.com", "port": 5432, "dbname": "orders", "username": "orders"}
        arn = secrets_manager.create_secret(Name="orders", SecretString=json.dumps({**value, "password": "old"}))["ARN"]
        secrets_manager.put_secret_value(
            SecretId=arn,
            ClientRequestToken=TOKEN,
            SecretString=json.dumps({**value, "password": "new"}),
            VersionStages=["AWSPENDING"],
        )
        secret: Any = secretsmanager_backends[ACCOUNT][REGION].secrets["orders"]
        # moto's RotateSecret would look for the function: the rotation is begun by hand.
        secret.rotation_requested = secret.rotation_enabled = True
        secret.rotation_lambda_arn = FUNCTION_ARN
        boto3.client("dynamodb", endpoint_url=endpoint, **keys).create_table(  # type: ignore[call-overload]
            TableName="audit",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        )
        yield endpoint, json.dumps({"Step": "createSecret", "SecretId": arn, "ClientRequestToken": TOKEN})
    finally:
        server.stop()


def cpu_milliseconds(build: Path, endpoint: str, event: str) -> float:
    """User and system time of one cold start; raises when the step fails."""
    paths = json.dumps([str(PROJECT / "functions/rotation"), *(str(build / layer / "python") for layer in LAYERS)])
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-S", "-c", _START, paths, event, FUNCTION_ARN],
            env={
                "PYTHONDONTWRITEBYTECODE": "1",
                "AWS_LAMBDA_FUNCTION_NAME": "polyvault-rotation",
                "AWS_REGION": REGION,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_EC2_METADATA_DISABLED": "true",
                "POLYVAULT_ENVIRONMENT": "dev",
                "POLYVAULT_AUDIT_TABLE": "audit",
                "POLYVAULT_STORES_PARAMETER": "/polyvault/stores",
            },
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"the step failed:\n{said.read()[-2000:].decode(errors='replace')}")
    return (usage.ru_utime + usage.ru_stime) * 1000
