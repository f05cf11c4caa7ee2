"""`python -m local up|down|env|status`: the local cloud from the command line."""

from __future__ import annotations

import argparse
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path

from local import cloud, shell
from local.processes import LocalCloudError

STATE = Path(__file__).resolve().parent.parent / ".local"


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0: done, or all is well. 1: one line on stderr says why not."""
    asked = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _leave)
    try:
        return int(asked.command(asked))
    except LocalCloudError as error:
        print(f"local: {error}", file=sys.stderr)
    except OSError as error:
        print(f"local: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("local: interrupted, nothing was left running", file=sys.stderr)
    return 1


def _leave(*_: object) -> None:
    """As Ctrl-C: what was started is stopped on the way out, and a second signal does not cut that short."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + signal.SIGTERM)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description="The local cloud: start, stop, look around.")
    parser.add_argument("--state", type=Path, default=STATE, help="folder of data, logs and state (default: .local)")
    commands = parser.add_subparsers(required=True, metavar="up|down|env|status")
    up = commands.add_parser("up", help="start everything, wait until it is healthy")
    for name in cloud.PEERS:
        up.add_argument(f"--{name}-port", type=int, metavar="PORT", help="default: the last one, else a free one")
    up.add_argument("--python", metavar="PROGRAM", help="the Python 3.13 that functions run on (default: search)")
    up.set_defaults(command=_up)
    down = commands.add_parser("down", help="stop what `up` started; the data stays")
    down.add_argument("--erase", action="store_true", help="remove the data, the logs and the certificates as well")
    down.set_defaults(command=_down)
    commands.add_parser("env", help='print the exports: eval "$(python -m local env)"').set_defaults(command=_env)
    commands.add_parser("status", help="say what runs and how it is").set_defaults(command=_status)
    return parser


def _up(asked: argparse.Namespace) -> int:
    running = cloud.find(asked.state)
    ports = {name: port for name in cloud.PEERS if (port := getattr(asked, f"{name}_port")) is not None}
    if left := cloud.left_over(asked.state):
        print(f"An earlier local cloud was cut short: stopping {', '.join(left)}, then starting again.")
    began = time.monotonic()
    started = cloud.start(asked.state, ports=ports, python=asked.python)
    if running and running.peers == started.peers:
        print("The local cloud is up already.")
    else:
        print(f"The local cloud is up after {time.monotonic() - began:.1f} s; logs: {started.logs}")
    _show(started)
    print('Talk to it: eval "$(make -s env)". Stop it: make down.')
    return 0


def _down(asked: argparse.Namespace) -> int:
    stopped = cloud.stop(asked.state)
    print(f"Stopped {', '.join(stopped)}." if stopped else "The local cloud is not up.")
    if asked.erase:
        shutil.rmtree(asked.state, ignore_errors=True)
        print(f"Removed {asked.state}.")
    return 0


def _env(asked: argparse.Namespace) -> int:
    running = _running(asked.state)
    print(f"unset {' '.join(shell.UNSET)}")
    for name, value in running.env().items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _status(asked: argparse.Namespace) -> int:
    running = _running(asked.state)
    failures = running.failures()
    _show(running, failures)
    return 1 if failures else 0


def _running(state: Path) -> cloud.Cloud:
    running = cloud.find(state)
    if running:
        return running
    if left := cloud.left_over(state):
        raise LocalCloudError(f"the local cloud is only half up ({', '.join(left)}): run `make down`, then `make up`")
    raise LocalCloudError("the local cloud is not up: run `make up`")


def _show(running: cloud.Cloud, failures: dict[str, str] | None = None) -> None:
    for name, peer in running.peers.items():
        health = (failures or {}).get(name, "healthy")
        print(f"  {peer.process.name:<11}127.0.0.1:{peer.port:<6} pid {peer.process.pid:<8} {health}")


if __name__ == "__main__":
    sys.exit(main())
