"""Finding the interpreter of the functions: the order, and what looks like one and is none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from local import interpreter
from local.processes import LocalCloudError

REAL = Path(sys.base_prefix, "bin", "python3.13")
SHIM = "#!/bin/sh\necho 'python3.13: command not found' >&2\nexit 127\n"


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def delegate(path: Path) -> Path:
    """A program that is the real interpreter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(REAL)
    return path


def test_the_one_on_path_comes_first_as_its_base_program(tmp_path: Path) -> None:
    delegate(tmp_path / "bin" / "python3.13")
    assert interpreter.find({"PATH": str(tmp_path / "bin")}, ours=None) == REAL


@pytest.mark.parametrize(
    "text",
    [SHIM, "#!/bin/sh\nprintf '3.12\\n%s\\n' \"${0%/bin/*}\"\n", "#!/bin/sh\nprintf '3.13\\n/nowhere\\n'\n"],
    ids=["shim", "another version", "no installation"],
)
def test_what_only_looks_like_one_on_path_is_passed_over_for_pyenvs(tmp_path: Path, text: str) -> None:
    program(tmp_path / "bin" / "python3.13", text)
    delegate(tmp_path / "pyenv" / "versions" / "3.13.9" / "bin" / "python3.13")
    env = {"PATH": str(tmp_path / "bin"), "PYENV_ROOT": str(tmp_path / "pyenv")}
    assert interpreter.find(env, ours=None) == REAL


def test_pyenv_is_looked_for_in_the_home_folder_too(tmp_path: Path) -> None:
    delegate(tmp_path / ".pyenv" / "versions" / "3.13.9" / "bin" / "python3.13")
    assert interpreter.find({"PATH": "/nonexistent", "HOME": str(tmp_path)}, ours=None) == REAL


def test_uv_is_asked_without_leave_to_download(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    program(tmp_path / "bin" / "uv", f'#!/bin/sh\necho "$UV_PYTHON_DOWNLOADS $*" > {asked}\necho {REAL}\n')
    assert interpreter.find({"PATH": str(tmp_path / "bin")}, ours=None) == REAL
    assert asked.read_text() == "never python find --no-project 3.13\n"


def test_the_one_that_runs_us_comes_last_and_not_as_a_virtual_environment(tmp_path: Path) -> None:
    assert interpreter.find({"PATH": str(tmp_path)}, ours=sys.executable) == REAL


def test_none_at_all_is_one_line(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "python3.13", SHIM)
    program(tmp_path / "bin" / "uv", "#!/bin/sh\nexit 2\n")
    env = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}/nonexistent", "HOME": str(tmp_path)}
    with pytest.raises(LocalCloudError, match=r"^functions need python3\.13 and none was found [^\n]+$"):
        interpreter.find(env, ours=None)


def test_one_that_is_asked_for_is_taken_or_refused(tmp_path: Path) -> None:
    assert interpreter.find({}, wanted=str(REAL)) == REAL
    with pytest.raises(LocalCloudError, match="is none that runs"):
        interpreter.find({}, wanted=str(program(tmp_path / "python3.13", SHIM)))
