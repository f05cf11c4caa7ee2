"""Start, watch and stop the ordinary processes that the local cloud consists of."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
_POLL_SECONDS = 0.02

# Children of this very process: they stay zombies until somebody waits for them.
_children: dict[int, subprocess.Popen[bytes]] = {}


# A child notes itself before it becomes the program: we may be killed right after we made it.
_RECORD_AND_BECOME = """\
read -r boot < /proc/sys/kernel/random/boot_id
read -r stat < /proc/$$/stat
printf '%s\\n' "$0" "$boot" "$stat" > "$1"
shift
exec "$@"
"""


class LocalCloudError(Exception):
    """Something on this machine keeps the local cloud from running; the message is one line that says what to do."""


class PortTakenError(LocalCloudError):
    """A port that was asked for is in use."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that we started. ``identity`` tells it from a later one that got the same pid."""

    name: str
    pid: int
    identity: str
    log: str

    @property
    def _record(self) -> Path:
        return Path(self.log).with_suffix(".pid")

    @property
    def alive(self) -> bool:
        """True while the process that we started runs; False for a foreign one with its pid."""
        child = _children.get(self.pid)
        if child is not None and child.poll() is not None:
            del _children[self.pid]
        return identity_of(self.pid) == self.identity

    def stop(self, *, with_signal: signal.Signals = signal.SIGTERM, seconds: float = 10.0) -> None:
        """End the process and what it started. Twice is once; a foreign process is never touched."""
        if self.alive:
            family = _descendants(self.pid)
            _send(self.pid, with_signal)
            if not self._ended_within(seconds):
                _send(self.pid, signal.SIGKILL)
                self._ended_within(seconds)
            for pid, identity in family.items():
                if identity_of(pid) == identity:
                    _send(pid, signal.SIGKILL)
            child = _children.pop(self.pid, None)
            if child is not None:  # ended, by now: take its status, so that nothing of it is left
                child.wait(timeout=seconds)
        self._record.unlink(missing_ok=True)

    def _ended_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def last_log_line(self) -> str:
        """The last line that it wrote, for a one-line error."""
        lines = Path(self.log).read_text(errors="replace").strip().splitlines() if Path(self.log).exists() else []
        return lines[-1].strip() if lines else "it wrote nothing"


def spawn(name: str, command: list[str], *, log: Path, env: Mapping[str, str], cwd: Path | None = None) -> Process:
    """Start ``command`` in a session of its own, with exactly ``env``, its output appended to ``log`` (mode 0600).

    The pid is noted beside the log, so that `recorded` finds the process again.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    record = log.with_suffix(".pid")
    record.unlink(missing_ok=True)
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(  # noqa: S603 - our own commands, no shell
            ["/bin/sh", "-c", _RECORD_AND_BECOME, name, str(record), *command],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as exc:
        raise LocalCloudError(f"{name} cannot be started: {exc.strerror or exc}: {command[0]}") from exc
    finally:
        os.close(sink)
    _children[child.pid] = child
    process = Process(name, child.pid, identity_of(child.pid) or "ended", str(log))
    while process.alive and not (record.exists() and record.stat().st_size):
        time.sleep(_POLL_SECONDS / 10)
    return process


def recorded(directory: Path) -> list[Process]:
    """The processes whose logs are in ``directory`` and that nobody stopped: running, or ended by themselves."""
    found = []
    for record in sorted(directory.glob("*.pid")):
        with contextlib.suppress(ValueError, IndexError):  # cut short by a full disk: names no process
            name, boot, stat = record.read_text().splitlines()
            identity = _identity(boot, stat)
            found.append(Process(name, int(stat.split()[0]), identity, str(record.with_suffix(".log"))))
    return found


def run(name: str, command: list[str], *, env: Mapping[str, str], cwd: Path | None = None, seconds: float = 60) -> str:
    """Run a command to its end and answer its output; LocalCloudError with its last line when it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - our own commands, no shell
            command, env=dict(env), cwd=cwd, timeout=seconds, capture_output=True, text=True, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise LocalCloudError(f"{name} failed: {exc}") from exc
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        raise LocalCloudError(f"{name} failed: {lines[-1]}")
    return done.stdout


def wait_until_ready(process: Process, probe: Callable[[], None], *, seconds: float) -> None:
    """Call ``probe`` until it returns without OSError; LocalCloudError when the process ends or time is up."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return probe()
        except OSError as exc:
            if not process.alive:
                last = process.last_log_line()
                raise LocalCloudError(f"{process.name} ended while starting: {last} (log: {process.log})") from exc
            if time.monotonic() > deadline:
                late = f"{process.name} did not answer within {seconds:.0f} s: {exc} (log: {process.log})"
                raise LocalCloudError(late) from exc
            time.sleep(_POLL_SECONDS)


def port_for(name: str, requested: int | None) -> int:
    """``requested`` when it is free, PortTakenError when it is not; a port of the system's choice for None."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free for a server
        try:
            probe.bind((HOST, requested or 0))
        except OSError as exc:
            raise PortTakenError(f"port {requested} for {name} is taken: {exc.strerror or exc}") from exc
        return int(probe.getsockname()[1])


def write_private(path: Path, content: bytes, *, keep: bool = False) -> bytes:
    """Write a file for the owner alone (mode 0600) and answer what it holds; ``keep`` leaves an existing one alone."""
    if keep and path.exists():
        return path.read_bytes()
    path.unlink(missing_ok=True)  # an older file may have another owner or mode
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
        sink.write(content)
    return content


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``path`` among processes; waits for whoever holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def identity_of(pid: int) -> str | None:
    """What a pid's process is: boot and start time; None when there is no such process or only its remains."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return None if _fields(stat)[0] in "ZX" else _identity(boot, stat)


def _identity(boot: str, stat: str) -> str:
    return f"{boot}/{_fields(stat)[19]}"


def _fields(stat: str) -> list[str]:
    """The fields from the third on: the second, a program's name in brackets, may hold blanks and brackets."""
    return stat.rpartition(")")[2].split()


def _descendants(ancestor: int) -> dict[int, str]:
    """Children, theirs, and so on, with their identities: a function's process has a session of its own."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended while we looked
            parent = int(_fields(stat.read_text())[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found: dict[int, str] = {}
    pending = [ancestor]
    while pending:
        for pid in children.get(pending.pop(), ()):
            if identity := identity_of(pid):
                found[pid] = identity
                pending.append(pid)
    return found


def _send(pid: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself in between
        os.kill(pid, which)
