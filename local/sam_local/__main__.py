"""`python -m local.sam_local [stop]`: make `sam local` work where no container registry is reachable."""

from __future__ import annotations

import argparse
import os
import sys
import time

from local import interpreter
from local.processes import LocalCloudError
from local.sam_local import engine, image


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0, or 1 with one line on stderr that says why `sam local` cannot run here."""
    parser = argparse.ArgumentParser(prog="python -m local.sam_local", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["start", "stop"], default="start")
    asked = parser.parse_args(arguments)
    try:
        return _stop() if asked.command == "stop" else _start()
    except LocalCloudError as error:
        print(f"local.sam_local: {error}", file=sys.stderr)
        return 1


def _start() -> int:
    if engine.ensure():
        print(f"No container engine answered: started one (log: {engine.STATE / 'dockerd.log'}).")
    began = time.monotonic()
    made = image.build(interpreter.find(os.environ))  # noqa: TID251 - where to look for the interpreter
    print(f"{image.name()}: {f'made in {time.monotonic() - began:.1f} s' if made else 'there already'}")
    print("Next: make build; sam local invoke --skip-pull-image AuditFunction --event events/audit/read.json")
    return 0


def _stop() -> int:
    print("Stopped the engine." if engine.stop() else "No engine was started here.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
