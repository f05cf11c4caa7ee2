"""What the README says to type works, and what it points at is there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local.demo import scenario
from local.demo.scenario import SECRET, Site


def _documents(project: Path) -> list[Path]:
    return [project / "README.md", project / "CONTRIBUTING.md", *sorted((project / "docs").rglob("*.md"))]


def _block_under(text: str, heading: str) -> list[str]:
    """The commands of the first shell block under a heading, without comments."""
    found = re.search(rf"^## {re.escape(heading)}$.*?^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    lines = (line.split("  #")[0].strip() for line in found[1].replace("\\\n", " ").splitlines())
    return [line for line in lines if line]


def test_each_make_command_that_is_named_exists(project: Path) -> None:
    makefile = (project / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for document in _documents(project):
        for code in re.findall(r"`([^`\n]+)`|^(?:    )?(make .*)$", document.read_text(), re.MULTILINE):
            command = (code[0] or code[1]).strip()
            if command.startswith("make "):
                words = [word for word in command.split("#")[0].split()[1:] if not word.startswith("-")]
                named = [word for word in words if re.fullmatch(r"[a-z-]+", word)]
                assert named, command
                assert set(named[:1]) <= targets, f"{document.name}: {command}"


def test_each_link_leads_to_a_file(project: Path) -> None:
    for document in _documents(project):
        for link in re.findall(r"\]\(([^)#\s]+)\)", document.read_text()):
            if "://" not in link:
                assert (document.parent / link).exists(), f"{document.name}: {link}"


@pytest.fixture
def shell(site: Site, project: Path, tmp_path: Path) -> Callable[[str], None]:
    """Runs a command in the project as a developer would after `make env`; fails with what it printed."""
    env = {**os.environ, **site.cloud.env()}  # noqa: TID251 - a developer's shell
    if shutil.which("aws", path=env["PATH"]) is None:
        stand_in = tmp_path / "bin" / "aws"
        stand_in.parent.mkdir()
        stand_in.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.aws_command "$@"\n')
        stand_in.chmod(0o755)
        env["PATH"] = f"{stand_in.parent}{os.pathsep}{env['PATH']}"

    def run(command: str) -> None:
        done = subprocess.run(
            ["/bin/sh", "-ec", command], cwd=project, env=env, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode:
            pytest.fail(f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    return run


def test_the_commands_by_hand_build_deploy_and_rotate(site: Site, project: Path, shell: Callable[[str], None]) -> None:
    commands = _block_under((project / "README.md").read_text(), "By hand, on the local cloud")
    assert commands[0] == 'eval "$(make -s env)"'
    before = _current_version(site)
    for command in commands[1:]:
        shell(command)
    secrets_manager = site.aws("secretsmanager")
    scenario.wait_until(
        "the rotation", lambda: scenario.is_settled(secrets_manager, SECRET) and _current_version(site) != before,
        seconds=60,
    )  # fmt: skip


def test_the_report_on_demand_is_written(project: Path, shell: Callable[[str], None]) -> None:
    found = re.search(r"^(printf .*?)\n```", (project / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert found
    shell(found[1])
    answer = json.loads((project / "build" / "report.json").read_text())
    assert answer["framework"] == "SOC2"
    assert answer["summary"]["totalSecrets"] > 0


def _current_version(site: Site) -> str:
    return str(site.aws("secretsmanager").get_secret_value(SecretId=SECRET)["VersionId"])
