"""`make faults`: run the tests that inject a fault, print them by class, write build/faults/summary.json.

A class is a table row: which tests inject that fault. A skipped case is shown as skipped and counts for nothing, and a
class without cases is a failure, so that neither a skip nor a renamed test leaves the table unseen.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).resolve().parent.parent
SUMMARY = PROJECT / "build/faults/summary.json"

# Class of fault -> pattern of the node ids ("path::test[case]") of the tests that inject it.
CLASSES = {
    "answers that were cut or are not the vault's": r"conformance/test_spoiled_answers\.py|unit/test_aws_client\.py",
    "vault throttled, broken or gone": r"unit/test_store\.py.*(retr|throttl|unavailable|budget|deadline)",
    "input that breaks its contract": (
        r"functions/.*(refused|_bad_|malformed|no_event|no_order|poison)"
        r"|unit/test_(decoding|http)\.py.*(refus|bomb)|unit/test_household\.py.*refused"
    ),
    "secret that may not be rotated so": (
        r"unit/test_rotate\.py.*(not_ours|points_elsewhere|no_credential|without_a_rotation_function)"
    ),
    "step twice, late, early or under another token": (
        r"unit/test_rotate\.py.*(several_times|duplicate|before_its_turn|unknown_token|superseded|overrule|race)"
    ),
    "step that died or could not be recorded": r"unit/test_rotate\.py.*(died|audited|never_comes|too_little)",
    "copy that failed on the way": (
        r"unit/test_sync\.py.*(lost|denied|stale|not_visible|whatever_fails|audit_log_is_down|cannot_be_read)"
    ),
}


@dataclass
class Row:
    """How the cases of one class ended."""

    name: str
    cases: int = 0
    passed: int = 0
    figures: dict[str, float] = field(default_factory=lambda: {"seconds": 0.0, "skipped": 0})


class Recorder:
    """A pytest plugin: keeps the tests of CLASSES and counts them."""

    def __init__(self) -> None:
        self.rows = {name: Row(name) for name in CLASSES}
        self._class_of: dict[str, str] = {}

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect what injects no fault."""
        for item in items:
            found = next((name for name, pattern in CLASSES.items() if re.search(pattern, item.nodeid)), None)
            if found:
                self._class_of[item.nodeid] = found
                self.rows[found].cases += 1
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in self._class_of])
        items[:] = [item for item in items if item.nodeid in self._class_of]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A case passes when its call does; one that was skipped is no case."""
        row = self.rows[self._class_of[report.nodeid]]
        row.figures["seconds"] = round(row.figures["seconds"] + report.duration, 2)
        if report.skipped:
            row.cases -= 1
            row.figures["skipped"] += 1
        elif report.when == "call" and report.passed:
            row.passed += 1


def report(rows: Sequence[Row], summary: Path = SUMMARY) -> bool:
    """Print the table and write the summary; True when every class has cases and all have passed."""
    table = Table("fault", "cases", "passed", "skipped", "seconds")
    for row in rows:
        skipped, seconds = row.figures["skipped"], row.figures["seconds"]
        table.add_row(row.name, str(row.cases), str(row.passed), str(skipped), f"{seconds:.1f}")
    Console().print(table)
    summary.parent.mkdir(parents=True, exist_ok=True)
    summary.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return all(row.cases and row.cases == row.passed for row in rows)


def main() -> int:
    """0 when all faults end as the tests say they must."""
    recorder = Recorder()
    folders = [str(PROJECT / "tests" / kind) for kind in ("unit", "functions", "conformance")]
    status = pytest.main(["-q", "--no-header", "-p", "no:randomly", *folders], plugins=[recorder])
    return 0 if report(list(recorder.rows.values())) and status == pytest.ExitCode.OK else 1


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    sys.exit(main())
