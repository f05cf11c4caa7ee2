"""The table of faults counts what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bundle.sam_template import PROJECT
from tools.faults import CLASSES, Recorder, Row, report


def test_each_class_has_tests_that_inject_it() -> None:
    code = """
import sys, pytest
sys.path.insert(0, ".")
from tools.faults import Recorder
recorder = Recorder()
pytest.main(["-q", "--collect-only", "tests/unit", "tests/functions", "tests/conformance"], plugins=[recorder])
print("\\n", [row.name for row in recorder.rows.values() if not row.cases], sep="")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("cases", "passed", "whole"), [(2, 2, True), (2, 1, False), (0, 0, False)])
def test_a_class_is_good_only_when_it_has_cases_and_all_pass(
    cases: int, passed: int, whole: bool, tmp_path: Path
) -> None:
    summary = tmp_path / "summary.json"
    assert report([Row("one", cases, passed)], summary) is whole
    (written,) = json.loads(summary.read_text())
    assert written == {"name": "one", "cases": cases, "passed": passed, "figures": {"seconds": 0.0, "skipped": 0}}


def test_a_skipped_case_is_shown_and_counts_for_nothing() -> None:
    recorder = Recorder()
    name = next(iter(CLASSES))
    recorder.rows[name].cases = 1
    recorder._class_of["node"] = name
    for when, outcome in (("setup", "skipped"), ("teardown", "passed")):
        recorder.pytest_runtest_logreport(
            pytest.TestReport("node", ("f", 1, "t"), {}, outcome, None, when)  # type: ignore[arg-type]
        )
    assert recorder.rows[name] == Row(name, 0, 0, {"seconds": 0.0, "skipped": 1})
    assert not report([recorder.rows[name]], Path("/dev/null"))
