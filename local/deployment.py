"""Build the bundle and deploy a stack to the local cloud with the real `sam`, as a user would by hand."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
REGION = "us-east-1"


class DeploymentError(Exception):
    """A build or deployment failed; the message is the last lines of its log, ``log`` is the whole."""

    def __init__(self, what: str, log: Path) -> None:
        tail = "\n".join(log.read_text(errors="replace").strip().splitlines()[-12:])
        super().__init__(f"{what} failed, see {log}:\n{tail}")
        self.log = log


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack and its outputs."""

    name: str
    outputs: Mapping[str, str]


def _run(what: str, command: list[str], log: Path, env: Mapping[str, str], timeout: float) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        try:
            done = subprocess.run(  # noqa: S603 - our own commands, no shell
                command,
                cwd=PROJECT,
                env={**os.environ, **env},  # noqa: TID251 - a developer's shell after `make env`
                stdout=sink,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            sink.write(f"\nstopped after {timeout:.0f} s\n".encode())
            done = None
    if done is None or done.returncode:
        raise DeploymentError(what, log)


def build(env: Mapping[str, str], log: Path) -> None:
    """`make build`: does nothing when no source changed since the last build."""
    _run("make build", ["make", "--no-print-directory", "build"], log, env, timeout=900)


def deploy(
    name: str,
    template: Path,
    parameters: Mapping[str, str],
    env: Mapping[str, str],
    log: Path,
) -> Stack:
    """`sam deploy`: creates or updates the stack, and answers its outputs. An unchanged stack is left alone."""
    overrides = [f"{key}={value}" for key, value in parameters.items()]
    _run(
        f"sam deploy {name}",
        [
            *(sam_command(env)),
            "deploy",
            "--template-file",
            str(template),
            "--stack-name",
            name,
            "--region",
            REGION,
            "--resolve-s3",
            "--no-confirm-changeset",
            "--no-fail-on-empty-changeset",
            "--no-progressbar",
            "--capabilities",
            "CAPABILITY_IAM",
            "CAPABILITY_AUTO_EXPAND",
            *(["--parameter-overrides", *overrides] if overrides else []),
        ],
        log,
        env,
        timeout=300,
    )
    return describe(name, env)


def describe(name: str, env: Mapping[str, str]) -> Stack:
    """The stack's outputs as CloudFormation gives them."""
    import boto3

    cloudformation = boto3.client(
        "cloudformation",
        region_name=REGION,
        endpoint_url=env["AWS_ENDPOINT_URL"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    return Stack(name, {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])})


def sam_command(env: Mapping[str, str]) -> list[str]:
    """The project's pinned SAM CLI (it has an environment of its own), else the one on PATH."""
    own = PROJECT / "build" / "sam-venv" / "bin" / "sam"
    if own.exists():
        return [str(own)]
    from shutil import which

    found = which("sam", path=env.get("PATH"))
    if found is None:
        raise SystemExit("sam is not installed: run `make dev` first")
    return [found]
