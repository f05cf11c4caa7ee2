"""The locks: exact, hashed, complete, the same everywhere, and free of addresses."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.bundle.sam_template import PROJECT
from tools.check_tree import findings

LOCKS = sorted([*(PROJECT / "layers").glob("*/requirements.txt"), *(PROJECT / "requirements").glob("*.txt")])
ENTRY = re.compile(r"^(?P<name>[a-z0-9-]+)(?:\[[a-z,]+\])?==(?P<version>[^\s;]+)", re.IGNORECASE)


def entries(lock: Path) -> list[str]:
    """Each requirement with its hashes, on one line."""
    joined = lock.read_text().replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(PROJECT)))
def test_each_requirement_is_exact_and_hashed(lock: Path) -> None:
    assert entries(lock)
    for entry in entries(lock):
        assert ENTRY.match(entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
    assert findings(lock.name, lock.read_text()) == []


def test_a_distribution_has_one_version_everywhere() -> None:
    """Layers lie over one another, and tests must run what is shipped. The SAM CLI lives alone and is left out."""
    versions: dict[str, set[str]] = defaultdict(set)
    for lock in LOCKS:
        if lock.name != "sam.txt":
            for entry in entries(lock):
                found = ENTRY.match(entry)
                assert found
                versions[found["name"]].add(found["version"])
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("--index-" + "url x", "index option in a lock"),
        ("see http" + "s://mirror.example/simple/", "address of a package index"),
        ("log in /ro" + "ot/x.log", "path of one machine"),
    ],
)
def test_what_no_commit_may_hold_is_found(text: str, rule: str) -> None:
    assert findings("file", f"first line\n{text}") == [f"file:2: {rule}"]
