"""The check of the tree sees what no commit may hold, and passes what only looks alike."""

from __future__ import annotations

import pytest

from tools.check_tree import findings

SCHEME = "https" + "://"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        pytest.param(f"see {SCHEME}index.example/simple/boto3/", "address of a package index", id="index page"),
        pytest.param(f"{SCHEME}files.example/packages/ab/cd.whl", "address of a package index", id="file of an index"),
        pytest.param("--index" + "-url x", "index option in a lock", id="index option"),
        pytest.param("cd /ho" + "me/somebody/polyvault", "path of one machine", id="somebody's folder"),
    ],
)
def test_it_is_found_with_its_line(text: str, rule: str) -> None:
    assert findings("file", f"first line\n{text}\n") == [f"file:2: {rule}"]


@pytest.mark.parametrize("text", [f"{SCHEME}vault.example.com:8200", "~/work", "$HOME/root", "a simple/packages list"])
def test_what_looks_alike_passes(text: str) -> None:
    assert findings("file", text) == []
