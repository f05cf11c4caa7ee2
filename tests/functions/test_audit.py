"""The audit function: each event of events/audit through the handler."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from polyvault.contracts import cloudtrail
from polyvault.domain.audit import ActorType, EventType, Outcome
from polyvault.errors import AuditWriteError, InvalidInputError
from polyvault.services.record import Record

from tests.fakes import RecordingAuditLog

EVENTS = Path(__file__).resolve().parent.parent.parent / "events" / "audit"
DATABASE = "prod/orders/database"


@pytest.fixture
def audit() -> RecordingAuditLog:
    return RecordingAuditLog()


def handle(name: str, audit: Any) -> list[int]:
    """Run the handler on a file; answers the places, from 1, of the messages that stay in the queue."""
    event = json.loads((EVENTS / f"{name}.json").read_text())
    app = importlib.import_module("functions.audit.app")
    context = SimpleNamespace(
        function_name="audit",
        memory_limit_in_mb=512,
        invoked_function_arn="arn:aws:lambda:us-east-1:111122223333:function:audit",
        aws_request_id="request-1",
    )
    answer = app.lambda_handler(event, context, record=Record(audit, cloudtrail.parse))
    ids = [message["messageId"] for message in event["Records"]]
    return [ids.index(item["itemIdentifier"]) + 1 for item in answer["batchItemFailures"]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("read", [(EventType.SECRET_READ, Outcome.SUCCESS, ActorType.ROLE, DATABASE)]),
        ("denied", [(EventType.SECRET_READ, Outcome.DENIED, ActorType.USER, DATABASE)]),
        ("written", [(EventType.SECRET_UPDATED, Outcome.SUCCESS, ActorType.USER, DATABASE)]),
        (
            "rotation-succeeded",
            [
                (EventType.OTHER, Outcome.SUCCESS, ActorType.SERVICE, DATABASE),
                (EventType.ROTATION_SUCCEEDED, Outcome.SUCCESS, ActorType.SERVICE, DATABASE),
            ],
        ),
        ("rotation-failed", [(EventType.ROTATION_FAILED, Outcome.ERROR, ActorType.SERVICE, DATABASE)]),
        ("same-event-twice", [(EventType.SECRET_READ, Outcome.SUCCESS, ActorType.ROLE, DATABASE)]),
    ],
)
def test_events_are_recorded_and_acknowledged(name: str, expected: list[Any], audit: RecordingAuditLog) -> None:
    assert handle(name, audit) == []
    assert [(e.event_type, e.outcome, e.actor.type, e.secret) for e in audit.events] == expected


def test_poison_stays_in_the_queue_alone(audit: RecordingAuditLog) -> None:
    assert handle("poison-among-good", audit) == [2, 3, 4, 6, 7, 8]
    assert [e.event_type for e in audit.events] == [EventType.SECRET_READ, EventType.ROTATION_SUCCEEDED]


def test_refused_and_stored_events_are_counted(audit: RecordingAuditLog, capsys: pytest.CaptureFixture[str]) -> None:
    handle("poison-among-good", audit)
    metrics = next(line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "_aws" in line)
    assert (metrics["EventsStored"], metrics["EventsRefused"], metrics["EventsFailed"]) == ([2.0], [6.0], [0.0])


def test_hostile_text_is_kept_as_data_and_the_value_beside_it_is_not(
    audit: RecordingAuditLog, capsys: pytest.CaptureFixture[str]
) -> None:
    assert handle("hostile", audit) == []
    (event,) = audit.events
    assert event.secret is not None
    assert event.secret.isprintable()
    assert "c4n4ry" not in repr(event) + capsys.readouterr().out


def test_nothing_is_acknowledged_while_the_audit_log_is_down(audit: RecordingAuditLog) -> None:
    audit.failure = AuditWriteError("down")
    assert handle("rotation-succeeded", audit) == [1, 2]
    audit.failure = None
    assert handle("rotation-succeeded", audit) == []


def test_only_the_events_that_are_not_durable_come_back(audit: RecordingAuditLog) -> None:
    event = json.loads((EVENTS / "rotation-succeeded.json").read_text())
    second = json.loads(event["Records"][1]["body"])["detail"]["eventID"]
    audit.failure = AuditWriteError("1 of 2 events are not durable", failed=frozenset({second}))
    assert handle("rotation-succeeded", audit) == [2]


def test_an_event_that_is_no_batch_fails_the_invocation(audit: RecordingAuditLog) -> None:
    with pytest.raises(InvalidInputError, match="Records"):
        handle("not-a-batch", audit)


def test_each_file_of_events_is_replayed_here() -> None:
    source = Path(__file__).read_text()
    assert [path.stem for path in EVENTS.iterdir() if f'"{path.stem}"' not in source] == []
