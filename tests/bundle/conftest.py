"""The bundle as it is shipped: what `make build` left in .aws-sam/build, built first when a source changed."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bundle.sam_template import PROJECT, TEMPLATE, Template, read

BUILD_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Bundle:
    """Folders of the built functions and layers, by logical id."""

    root: Path
    functions: Mapping[str, tuple[str, ...]]

    def function(self, name: str) -> Path:
        return self.root / name

    def layer(self, name: str) -> Path:
        return self.root / name / "python"

    @property
    def layers(self) -> dict[str, Path]:
        return {folder.name: folder / "python" for folder in sorted(self.root.glob("*Layer"))}


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """Each function with the layers that it has when every store is enabled."""
    done = subprocess.run(
        ["make", "--no-print-directory", "build"],  # noqa: S607 - the make on PATH
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    template = Template(read(TEMPLATE.read_text()))
    return Bundle(PROJECT / ".aws-sam/build", {name: _layers(body) for name, body in template.functions().items()})


def _layers(function: Mapping[str, object]) -> tuple[str, ...]:
    layers = function["Layers"]
    assert isinstance(layers, list)
    return tuple(layer["Fn::If"][1]["Ref"] if "Fn::If" in layer else layer["Ref"] for layer in layers)
