"""The scheduler: each event of events/scheduler through the handler."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from polyvault.domain.audit import Actor
from polyvault.domain.secret import SecretValue
from polyvault.errors import HouseholdError
from polyvault.providers.memory import Provider, Settings
from polyvault.services.schedule import DueWork
from polyvault.store import SecretStore

from tests.fakes import FakeClock, MemorySyncState, RecordingAlerts, RecordingAuditLog, RecordingQueue

EVENTS = Path(__file__).resolve().parent.parent.parent / "events" / "scheduler"
CONTEXT = SimpleNamespace(
    function_name="scheduler",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:us-east-1:111122223333:function:scheduler",
    aws_request_id="request-1",
)


@pytest.mark.parametrize("name", ["tick", "empty"])
def test_what_is_due_is_ordered_whatever_the_event_holds(name: str) -> None:
    clock, rotations, syncs = FakeClock(), RecordingQueue(), RecordingQueue()
    driver = Provider(Settings(), credential=None, clock=clock)
    driver.create("db", SecretValue("v"), like=None, version_id=None)
    tags = {"polyvault:policy": "standard", "polyvault:rotationInterval": "30"}
    driver.update_metadata("db", description=None, tags=tags)
    driver.enable_rotation("db", "arn:aws:lambda:us-east-1:111122223333:function:rotation")
    clock.advance(31 * 86_400)
    store = SecretStore(driver, name="aws", clock=clock, audit=RecordingAuditLog(), actor=Actor("scheduler"))
    due = DueWork({"aws": store}, MemorySyncState(), rotations, syncs, RecordingAlerts(), clock, principal="scheduler")
    app = importlib.import_module("functions.scheduler.app")
    event = json.loads((EVENTS / f"{name}.json").read_text())
    assert app.lambda_handler(event, CONTEXT, due=due) == {"rotations": 1, "syncs": 0, "skipped": 0}
    assert len(rotations.messages) == 1
    rotations.failure = HouseholdError("the queue is down")
    with pytest.raises(HouseholdError):
        app.lambda_handler(event, CONTEXT, due=due)


def test_every_event_file_is_replayed_here() -> None:
    source = Path(__file__).read_text()
    assert all(f'"{path.stem}"' in source for path in EVENTS.glob("*.json"))
