"""The container engine: the one that answers, else a dockerd of ours."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from local.processes import LocalCloudError, Process, recorded, run, spawn

STATE = Path(__file__).resolve().parents[2] / "build" / "sam-local"
SOCKET = "unix:///var/run/docker.sock"
_START_SECONDS = 40.0


class NoEngineError(LocalCloudError):
    """No container engine can run here; the message says why."""


def docker(*arguments: str) -> str:
    """Run the docker client; LocalCloudError with its last line when it fails."""
    program = shutil.which("docker")
    if program is None:
        raise NoEngineError("there is no docker client: install docker.io, or Docker")
    return run(f"docker {arguments[0]}", [program, *arguments], env=environment(), seconds=300)


def environment() -> dict[str, str]:
    """The caller's environment, with the address of the engine."""
    return {"DOCKER_HOST": SOCKET, **os.environ}  # noqa: TID251 - docker reads its own variables


def install() -> None:
    """Install Debian's engine where there is none and we may; else leave it to `ensure` to say what is missing."""
    if answers() or shutil.which("dockerd") or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    env = {**environment(), "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get update", ["apt-get", "update", "-qq"], env=env, seconds=300)
    run("apt-get install", ["apt-get", "install", "-y", "-qq", "docker.io", "iptables"], env=env, seconds=600)


def ensure() -> Process | None:
    """Make sure that an engine answers; the process when we had to start one, NoEngineError when none can."""
    if answers():
        return None
    address = environment()["DOCKER_HOST"]
    if any(_is_dockerd(folder) for folder in Path("/proc").glob("[0-9]*")):
        # A second engine shares the first one's bridge and rules: it may cut its network.
        raise NoEngineError(f"a dockerd runs and does not answer at {address}: set DOCKER_HOST to its address")
    program = shutil.which("dockerd")
    if program is None:
        raise NoEngineError(f"no container engine answers at {address} and dockerd is not installed")
    if os.geteuid() != 0:
        raise NoEngineError(f"no container engine answers at {address} and only root can start one: start Docker")
    return _start(program, address)


def answers() -> bool:
    """True when the engine does what it is told."""
    try:
        docker("info", "--format", "{{.ServerVersion}}")
    except LocalCloudError:
        return False
    return True


def stop() -> bool:
    """Stop the engine that was started here; False when there is none."""
    running = [process for process in recorded(STATE) if process.alive]
    for process in recorded(STATE):
        process.stop(seconds=30)
    return bool(running)


def _start(program: str, address: str) -> Process:
    # A data root of its own: what another engine keeps is left alone.
    folders = [
        "--data-root",
        str(STATE / "data"),
        "--exec-root",
        str(STATE / "run"),
        "--pidfile",
        str(STATE / "dockerd"),
    ]
    rules = [] if shutil.which("iptables") else ["--iptables=false"]
    command = [program, "--host", address, *folders, *rules]
    process = spawn("dockerd", command, log=STATE / "dockerd.log", env={"PATH": environment().get("PATH", os.defpath)})
    deadline = time.monotonic() + _START_SECONDS
    while not answers():
        if not process.alive or time.monotonic() > deadline:
            process.stop()
            raise NoEngineError(f"dockerd does not run here: {process.last_log_line()} (log: {process.log})")
        time.sleep(0.2)
    return process


def _is_dockerd(folder: Path) -> bool:
    try:
        return (folder / "comm").read_text().strip() == "dockerd"
    except OSError:
        return False  # it ended while we looked
