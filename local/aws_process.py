"""Emulated AWS (`python -m local.aws`) as a process of the local cloud."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from local.processes import HOST, LocalCloudError, Process, locked, port_for, spawn, wait_until_ready

PROJECT = Path(__file__).resolve().parent.parent
RUNTIME_DIR = PROJECT / "build" / "lambda-runtime"
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Aws:
    """Running emulated AWS."""

    port: int
    process: Process

    @property
    def endpoint_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def probe(self) -> None:
        """OSError when it does not answer that it is well."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/_ministack/health")
            status = connection.getresponse().status
        except http.client.HTTPException as exc:
            raise OSError(f"no HTTP answer: {type(exc).__name__}") from exc
        finally:
            connection.close()
        if status != http.client.OK:
            raise OSError(f"the health check answered {status}")

    def stop(self) -> None:
        """Stop it and its functions; what it holds is written to disk first and is there after the next start."""
        self.process.stop(seconds=20)


def start(directory: Path, python: Path | None, port: int | None = None, *, log: Path | None = None) -> Aws:
    """Start emulated AWS with its state in ``directory``; functions run on the interpreter ``python``.

    Without one, each function runs on the interpreter of this very process, if it is the version it names.
    """
    if importlib.util.find_spec("ministack") is None:
        raise LocalCloudError("AWS: the package ministack is missing: run `make dev`")
    directory = directory.resolve()
    build_runtime()
    port = port_for("AWS", port)
    shutil.rmtree(directory / "tmp", ignore_errors=True)  # unpacked functions of an earlier run
    for folder in ("state", "s3", "tmp"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    # -P: the working directory is not searched for modules, the project by PYTHONPATH is
    command = [sys.executable, "-P", "-m", "local.aws"]
    log = log or directory / "aws.log"
    process = spawn("AWS", command, log=log, env=_environment(directory, python, port), cwd=directory)
    server = Aws(port, process)
    try:
        wait_until_ready(process, server.probe, seconds=_START_SECONDS)
    except BaseException:
        process.stop()
        raise
    return server


def _environment(directory: Path, python: Path | None, port: int) -> dict[str, str]:
    """All that the emulator may know: it hands its environment on to what it starts."""
    return {
        "PATH": os.defpath,
        "HOME": str(directory),
        "TMPDIR": str(directory / "tmp"),
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent.sock",
        "MINISTACK_PYTHONS": json.dumps({python.name: str(python)} if python else {}),
        "PERSIST_STATE": "1",
        "STATE_DIR": str(directory / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(directory / "s3"),
        "POLYVAULT_LOCAL_RUNTIME_DIR": str(RUNTIME_DIR),
    }


def build_runtime() -> None:
    """Install the Lambda runtime client into RUNTIME_DIR, unless it is there."""
    from local.aws import runtime_dir

    try:
        with locked(RUNTIME_DIR.with_suffix(".lock")):
            runtime_dir.build(RUNTIME_DIR)
    except (runtime_dir.RuntimeDirError, OSError) as exc:
        last = (str(exc).strip().splitlines() or ["no output"])[-1]
        raise LocalCloudError(f"AWS: the Lambda runtime client cannot be installed: {last}") from exc
