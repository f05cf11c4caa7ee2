"""The local cloud as a whole: emulated AWS, OpenBao, PostgreSQL and Valkey, started, found again and stopped together.

cloud = start(Path(".local"))
cloud.env()   # what SDKs and command-line tools need
cloud.stop()
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from local import aws_process, interpreter, openbao, postgresql, shell, valkey
from local.aws_process import Aws
from local.certificates import CertificateAuthority
from local.openbao import OpenBao
from local.postgresql import PostgreSQL
from local.processes import LocalCloudError, PortTakenError, Process, locked, port_for, recorded, write_private
from local.valkey import Valkey

type Peer = Aws | OpenBao | PostgreSQL | Valkey

_TYPES: Mapping[str, type[Peer]] = {"aws": Aws, "openbao": OpenBao, "postgres": PostgreSQL, "valkey": Valkey}
PEERS = tuple(_TYPES)
_STATE = "cloud.json"
_PORTS = "ports.json"
_SETTLE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Cloud:
    """Running peers. Asking for one that was not started raises LocalCloudError."""

    state_dir: Path
    peers: Mapping[str, Peer]

    @property
    def aws(self) -> Aws:
        return self._peer("aws", Aws)

    @property
    def openbao(self) -> OpenBao:
        return self._peer("openbao", OpenBao)

    @property
    def postgres(self) -> PostgreSQL:
        return self._peer("postgres", PostgreSQL)

    @property
    def valkey(self) -> Valkey:
        return self._peer("valkey", Valkey)

    @property
    def logs(self) -> Path:
        """The folder with one log a peer."""
        return self.state_dir / "logs"

    def env(self) -> dict[str, str]:
        """What AWS SDKs, the AWS and SAM CLIs, psql, hvac, bao and valkey-cli need. It holds passwords."""
        variables = {"PATH": shell.path(self.state_dir, _environment().get("PATH", os.defpath))}
        for peer in self.peers.values():
            variables |= shell.exports(peer)
        return variables

    def failures(self) -> dict[str, str]:
        """Each peer that is not healthy, with the reason; empty when all are."""
        found = {}
        for name, peer in self.peers.items():
            try:
                peer.probe()
            except OSError as exc:
                found[name] = f"{exc} (log: {peer.process.log})"
        return found

    def stop(self) -> None:
        """Stop all peers; what they hold stays on disk for the next start. Twice is once."""
        stop(self.state_dir)

    def _peer[P: (Aws, OpenBao, PostgreSQL, Valkey)](self, name: str, kind: type[P]) -> P:
        peer = self.peers.get(name)
        if not isinstance(peer, kind):
            raise LocalCloudError(f"{name} was not started in this local cloud")
        return peer


def start(
    state_dir: Path,
    peers: Collection[str] = PEERS,
    *,
    ports: Mapping[str, int] | None = None,
    python: str | None = None,
) -> Cloud:
    """Start the peers at the same time and wait until each is healthy; a cloud that runs already is answered as it is.

    All or nothing: LocalCloudError, one line, leaves no process behind. A peer without a wish in ``ports`` gets the
    port that it had the last time, when that is free. ``python``: the interpreter that functions run on.
    """
    if not Path("/proc/self/stat").exists():
        raise LocalCloudError("the local cloud needs Linux: it tells its processes from others by /proc")
    wanted = ports or {}
    state_dir = state_dir.resolve()
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(state_dir / "lock"):
        running = find(state_dir)
        if running:
            return _as_asked(running, peers, wanted)
        _stop_recorded(state_dir)
        program = interpreter.find(_environment(), wanted=python) if "aws" in peers else None
        shell.link_programs(state_dir, program)
        starters = _starters(state_dir, program, _choose_ports(state_dir, peers, wanted))
        try:
            cloud = Cloud(state_dir, _start_all(state_dir, {name: starters[name] for name in peers}))
            _remember(cloud)
        except BaseException:  # an interrupt as well: nothing may stay
            _stop_recorded(state_dir)
            raise
        return cloud


def find(state_dir: Path) -> Cloud | None:
    """The cloud that runs from ``state_dir``; None when none does, or when a part of it has ended."""
    state_dir = state_dir.resolve()
    state = state_dir / _STATE
    if not state.exists():
        return None
    kept = json.loads(state.read_text())
    peers = {name: _restored(name, fields) for name, fields in kept["peers"].items()}
    return Cloud(state_dir, peers) if all(peer.process.alive for peer in peers.values()) else None


def stop(state_dir: Path) -> list[str]:
    """Stop what was started from ``state_dir`` and answer the names; nothing there to stop is no error."""
    state_dir = state_dir.resolve()
    if not state_dir.exists():
        return []
    with locked(state_dir / "lock"):
        return _stop_recorded(state_dir)


def left_over(state_dir: Path) -> list[str]:
    """The names of processes that run although no whole cloud does: a start or a peer was cut short."""
    if find(state_dir):
        return []
    return [process.name for process in recorded(state_dir.resolve() / "logs") if process.alive]


def _as_asked(running: Cloud, peers: Collection[str], ports: Mapping[str, int]) -> Cloud:
    missing = sorted(set(peers) - set(running.peers))
    if missing:
        raise LocalCloudError(f"the local cloud runs without {', '.join(missing)}: stop it first")
    for name, port in ports.items():
        if name in running.peers and running.peers[name].port != port:
            raise LocalCloudError(f"the local cloud runs with {name} on port {running.peers[name].port}: stop it first")
    return running


def _choose_ports(state_dir: Path, peers: Collection[str], wanted: Mapping[str, int]) -> dict[str, int | None]:
    remembered = state_dir / _PORTS
    last: dict[str, int] = json.loads(remembered.read_text()) if remembered.exists() else {}
    chosen: dict[str, int | None] = {name: _free_or_none(name, last.get(name)) for name in peers}
    return chosen | {name: port_for(name, port) for name, port in wanted.items()}


def _free_or_none(name: str, port: int | None) -> int | None:
    try:
        return port and port_for(name, port)
    except PortTakenError:
        return None


def _starters(state_dir: Path, program: Path | None, ports: Mapping[str, int | None]) -> dict[str, Callable[[], Peer]]:
    ca = CertificateAuthority.open(state_dir / "ca")

    def places(name: str) -> dict[str, Any]:
        return {"directory": state_dir / name, "port": ports.get(name), "log": state_dir / "logs" / f"{name}.log"}

    return {
        "aws": lambda: aws_process.start(python=program, **places("aws")),
        "openbao": lambda: openbao.start(ca=ca, **places("openbao")),
        "postgres": lambda: postgresql.start(ca=ca, **places("postgres")),
        "valkey": lambda: valkey.start(**places("valkey")),
    }


def _start_all(state_dir: Path, starters: Mapping[str, Callable[[], Peer]]) -> dict[str, Peer]:
    futures: dict[str, Future[Peer]] = {}
    with ThreadPoolExecutor(max_workers=len(starters) or 1) as pool:
        try:
            futures |= {name: pool.submit(starter) for name, starter in starters.items()}
            done, _ = wait(futures.values(), return_when=FIRST_EXCEPTION)
            for failed in (future for future in done if future.exception()):
                failed.result()
            return {name: future.result() for name, future in futures.items()}
        except BaseException:  # the others wait for their servers to answer, or are about to start one
            while wait(futures.values(), timeout=_SETTLE_SECONDS).not_done:
                _stop_recorded(state_dir)
            raise


def _remember(cloud: Cloud) -> None:
    kept = {"state_dir": cloud.state_dir, "peers": {name: asdict(peer) for name, peer in cloud.peers.items()}}
    write_private(cloud.state_dir / _STATE, json.dumps(kept, default=str, indent=2).encode())
    ports = {name: peer.port for name, peer in cloud.peers.items()}
    (cloud.state_dir / _PORTS).write_text(json.dumps(ports))


def _restored(name: str, fields: dict[str, Any]) -> Peer:
    fields["process"] = Process(**fields["process"])
    if "ca_path" in fields:
        fields["ca_path"] = Path(fields["ca_path"])
    return _TYPES[name](**fields)


def _stop_recorded(state_dir: Path) -> list[str]:
    processes = recorded(state_dir / "logs")
    (state_dir / _STATE).unlink(missing_ok=True)
    if not processes:
        return []
    names = [process.name for process in processes if process.alive]
    with ThreadPoolExecutor(max_workers=len(processes)) as pool:
        for _ in pool.map(Process.stop, processes):
            pass
    return names


def _environment() -> Mapping[str, str]:
    return os.environ  # noqa: TID251 - the local cloud's one door to the developer's environment
