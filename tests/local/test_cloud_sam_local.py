"""What `sam local` needs: an engine, or one line that says why there is none, and an image that hides nothing."""

from __future__ import annotations

import os
import sys
import tarfile
from pathlib import Path

import pytest

from local.aws_process import build_runtime
from local.processes import recorded
from local.sam_local import engine, image

REAL = Path(sys.base_prefix, "bin", "python3.13")
NO_ENGINE = "#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of PATH, empty at first; no engine of this machine is seen."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setattr(engine, "STATE", tmp_path / "state")
    monkeypatch.setattr(engine, "_is_dockerd", lambda _: False)
    return folder


def add(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def test_without_a_client_the_line_says_so(programs: Path) -> None:
    with pytest.raises(engine.NoEngineError, match="there is no docker client"):
        engine.docker("info")
    with pytest.raises(engine.NoEngineError, match=r"no container engine answers at .* and dockerd is not installed"):
        engine.ensure()


def test_an_engine_that_answers_is_used_and_none_is_started(programs: Path) -> None:
    add(programs, "docker", "#!/bin/sh\necho 20.10\n")
    add(programs, "dockerd", "#!/bin/sh\nexit 1\n")
    assert engine.ensure() is None
    assert recorded(engine.STATE) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gets as far as starting an engine")
def test_an_engine_that_cannot_run_is_one_line_with_its_cause_and_leaves_nothing(programs: Path) -> None:
    add(programs, "docker", NO_ENGINE)
    add(programs, "dockerd", "#!/bin/sh\necho 'failed to mount overlay: operation not permitted' >&2\nexit 1\n")
    with pytest.raises(engine.NoEngineError, match=r"^dockerd does not run here: failed to mount overlay[^\n]+$"):
        engine.ensure()
    assert recorded(engine.STATE) == []


def test_a_running_engine_at_another_address_is_never_joined_by_a_second(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_is_dockerd", lambda folder: folder.name == str(os.getpid()))
    add(programs, "docker", NO_ENGINE)
    add(programs, "dockerd", "#!/bin/sh\nexit 1\n")
    with pytest.raises(engine.NoEngineError, match="set DOCKER_HOST to its address"):
        engine.ensure()


@pytest.mark.parametrize(
    ("label", "there"), [("", True), ("<no value>", True), ("the-stamp", True), ("an-older-stamp", False)]
)
def test_an_image_that_is_not_ours_is_left_alone_and_an_older_one_of_ours_is_made_anew(
    programs: Path, label: str, there: bool
) -> None:
    add(programs, "docker", f"#!/bin/sh\necho '{label}'\n")
    assert image._is_there("the-stamp") is there


def test_the_image_holds_the_interpreter_and_the_client_and_no_package_of_this_machine(tmp_path: Path) -> None:
    build_runtime()
    with tarfile.open(tmp_path / "image.tar", "w") as tree:
        image._fill(tree, REAL)
    with tarfile.open(tmp_path / "image.tar") as tree:
        names = set(tree.getnames())
        owners = {entry.uid for entry in tree.getmembers() if entry.name.startswith("var/")}
    assert {"var/lang/bin/python3.13", "var/runtime/bootstrap", "var/task", "opt", "tmp", "bin/sh"} <= names
    assert any(name.startswith("var/runtime/awslambdaric/") for name in names)
    assert any(Path(name).name == "libc.so.6" for name in names)
    assert not [name for name in names if "site-packages" in name or "dist-packages" in name or "boto" in name]
    assert owners == {0}
