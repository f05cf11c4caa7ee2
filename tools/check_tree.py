"""Refuse what no commit may hold: the address of a package index, and a path that only one machine has."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
# Written in pieces, so that this file does not find itself.
RULES = {
    "address of a package index": re.compile(r"https?" + r"://[^\s\"']*/(?:simple|packages|pool|dists)\b"),
    "index option in a lock": re.compile(r"^--(?:extra-)?index-url|^--find-links", re.MULTILINE),
    "path of one machine": re.compile(r"(?<![\w.~$}])/(?:ho" + r"me|ro" + r"ot|wo" + r"rk|Us" + r"ers)/[\w.-]+"),
}


def findings(name: str, text: str) -> list[str]:
    """What is wrong with one file: ``name:line: rule``, without the text that was found."""
    return [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {rule}"
        for rule, pattern in RULES.items()
        for match in pattern.finditer(text)
    ]


def main() -> int:
    """Check what git tracks or would track; 1 when something was found."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - the git on PATH
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = []
    for name in filter(None, listed.split("\0")):
        path = PROJECT / name
        if path.is_file():
            found += findings(name, path.read_text(errors="replace"))
    print("\n".join(found) or "nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
