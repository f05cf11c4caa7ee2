"""Each payload that a function may receive lies in events/, looks as AWS sends it, and is read by a test of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
EVENTS = sorted((PROJECT / "events").rglob("*.json"))
FUNCTIONS = sorted(path.parent.name for path in (PROJECT / "functions").glob("*/app.py"))

# What AWS always sets, by what tells the kind of event.
SHAPES: dict[str, set[str]] = {
    "detail-type": {"version", "id", "source", "account", "time", "region", "resources", "detail"},
    "httpMethod": {"resource", "path", "headers", "queryStringParameters", "pathParameters", "requestContext", "body"},
    "Step": {"SecretId", "ClientRequestToken"},
}
SQS_RECORD = {
    "messageId",
    "receiptHandle",
    "body",
    "attributes",
    "md5OfBody",
    "eventSource",
    "eventSourceARN",
    "awsRegion",
}

_RECORD_READS = """
import sys
import pytest

read = set()
sys.addaudithook(lambda name, args: read.add(str(args[0])) if name == "open" else None)
status = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:randomly", *sys.argv[1:]])
print("\\n".join(["", "READ", *sorted(read)]))
sys.exit(status)
"""


@pytest.fixture(scope="module")
def read() -> set[Path]:
    """The files that the functions' tests open, as the interpreter sees them."""
    tests = sorted(str(path) for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__))
    done = subprocess.run(
        [sys.executable, "-c", _RECORD_READS, *tests],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return {Path(line) for line in done.stdout.partition("\nREAD\n")[2].splitlines()}


def test_each_event_is_read_by_a_test_of_its_function(read: set[Path]) -> None:
    assert EVENTS
    assert [str(path.relative_to(PROJECT)) for path in EVENTS if path not in read] == []


def test_each_function_has_events_and_each_event_a_function() -> None:
    assert {path.parent.name for path in EVENTS} == set(FUNCTIONS)


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_event_has_the_fields_that_aws_sets(path: Path) -> None:
    """Except where the file's name says that it lacks something."""
    event = json.loads(path.read_text())
    told = {"missing", "without", "empty", "incomplete", "not", "no"} & set(path.stem.split("-"))
    if not told:
        assert _lacking(event) == set()


def _lacking(event: Any) -> set[str]:
    if not isinstance(event, dict):
        return {"an object"}
    lacking = set().union(*(SHAPES[kind] - set(event) for kind in SHAPES if kind in event), set())
    for record in event.get("Records", ()):
        lacking |= SQS_RECORD - set(record)
    return lacking


def test_a_field_that_aws_sets_is_missed() -> None:
    assert _lacking({"detail-type": "Scheduled Event"}) == SHAPES["detail-type"]
    assert _lacking({"Records": [{"messageId": "1"}]}) == SQS_RECORD - {"messageId"}
    assert _lacking({"Step": "createSecret", "SecretId": "x"}) == {"ClientRequestToken"}
