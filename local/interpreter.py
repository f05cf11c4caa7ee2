"""Find the interpreter that functions run on: a real Python 3.13, not a shim that only looks like one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from local.processes import LocalCloudError, run

VERSION = "3.13"
NAME = f"python{VERSION}"
_QUESTION = "import sys; print('%d.%d' % sys.version_info[:2]); print(sys.base_prefix)"


def find(env: Mapping[str, str], *, wanted: str | None = None, ours: str | None = sys.executable) -> Path:
    """``wanted`` when it is given, else the first Python 3.13 that runs: on PATH, of pyenv, of uv, else ours.

    The program is the one of the base installation, never of a virtual environment. LocalCloudError when there is none.
    """
    for candidate in [wanted] if wanted else _candidates(env, ours):
        if found := _base_program(candidate, env):
            return found
    if wanted:
        raise LocalCloudError(f"functions need {NAME}, and {wanted} is none that runs")
    raise LocalCloudError(
        f"functions need {NAME} and none was found on PATH, in pyenv's folder or with uv: install one"
    )


def _candidates(env: Mapping[str, str], ours: str | None) -> Iterator[str]:
    if on_path := shutil.which(NAME, path=env.get("PATH", os.defpath)):
        yield on_path
    home = env.get("HOME")
    pyenv = env.get("PYENV_ROOT") or (f"{home}/.pyenv" if home else None)
    if pyenv:
        yield from map(str, sorted(Path(pyenv, "versions").glob(f"{VERSION}.*/bin/{NAME}"), reverse=True))
    if by_uv := _found_by_uv(env):
        yield by_uv
    if ours:
        yield ours


def _found_by_uv(env: Mapping[str, str]) -> str | None:
    uv = shutil.which("uv", path=env.get("PATH", os.defpath))
    if uv is None:
        return None
    offline = {**env, "UV_PYTHON_DOWNLOADS": "never"}
    try:
        return run("uv", [uv, "python", "find", "--no-project", VERSION], env=offline).strip() or None
    except LocalCloudError:
        return None  # uv's way to say that it has none


def _base_program(candidate: str, env: Mapping[str, str]) -> Path | None:
    """A pyenv shim for a version that is not selected fails here; a virtual environment answers with its base."""
    try:
        answer = run(NAME, [candidate, "-I", "-c", _QUESTION], env=dict(env), seconds=10).split("\n")
    except LocalCloudError:
        return None
    program = Path(answer[1], "bin", NAME)
    return program if answer[0] == VERSION and program.exists() else None
