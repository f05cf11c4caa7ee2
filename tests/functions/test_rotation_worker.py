"""The rotation worker: each event of events/rotation_worker through the handler."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from polyvault.domain.audit import Actor, EventType
from polyvault.domain.secret import SecretValue
from polyvault.errors import InvalidInputError
from polyvault.providers.memory import Provider, Settings
from polyvault.services.request_rotation import RequestRotation
from polyvault.store import SecretStore, StoreDirectory

from tests.fakes import FakeClock, RecordingAuditLog

EVENTS = Path(__file__).resolve().parent.parent.parent / "events" / "rotation_worker"
SECRET = "prod/orders/database"
TOKEN = "6f0f4f9e-9f0b-4b0e-8a35-1f1b2b8a7c11"
CONTEXT = SimpleNamespace(
    function_name="rotation-worker",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:us-east-1:111122223333:function:rotation-worker",
    aws_request_id="request-1",
)


@pytest.fixture
def audit() -> RecordingAuditLog:
    return RecordingAuditLog()


@pytest.fixture
def store(audit: RecordingAuditLog) -> SecretStore:
    clock = FakeClock()
    driver = Provider(Settings(), credential=None, clock=clock)
    driver.create(SECRET, SecretValue("old"), like=None, version_id=None)
    driver.enable_rotation(SECRET, "arn:aws:lambda:us-east-1:111122223333:function:rotation")
    return SecretStore(driver, name="aws", clock=clock, audit=audit, actor=Actor("worker"))


def handle(name: str, store: SecretStore) -> list[int]:
    """Run the handler on a file; answers the places, from 1, of the messages that stay in the queue."""
    event = json.loads((EVENTS / f"{name}.json").read_text())
    app = importlib.import_module("functions.rotation_worker.app")
    request = RequestRotation(StoreDirectory(["aws"], lambda name: store))
    answer: dict[str, Any] = app.lambda_handler(event, CONTEXT, request=request)
    ids = [message["messageId"] for message in event["Records"]]
    return [ids.index(item["itemIdentifier"]) + 1 for item in answer["batchItemFailures"]]


def test_an_order_is_requested_in_the_name_of_who_asked(store: SecretStore, audit: RecordingAuditLog) -> None:
    assert handle("order", store) == []
    assert store.rotation_state(SECRET).holder_of("AWSPENDING") == TOKEN
    (requested,) = [event for event in audit.events if event.event_type is EventType.ROTATION_REQUESTED]
    assert (requested.actor.id, requested.secret) == ("arn:aws:iam::111122223333:user/ada", SECRET)


def test_an_order_while_a_rotation_is_in_progress_stays_alone(store: SecretStore) -> None:
    assert handle("same-order-twice", store) == [2]


def test_an_order_that_was_carried_out_leaves_the_queue(store: SecretStore) -> None:
    handle("order", store)
    store.stage(SECRET, SecretValue("new"), client_request_token=TOKEN, rotation_token=None)
    current = store.rotation_state(SECRET).holder_of("AWSCURRENT")
    store.publish(SECRET, client_request_token=TOKEN, expect_current=current)
    assert handle("same-order-twice", store) == []


def test_poison_stays_alone(store: SecretStore) -> None:
    assert handle("poison-among-good", store) == [1, 2, 4, 5, 6]
    assert store.rotation_state(SECRET).holder_of("AWSPENDING") == TOKEN


def test_an_event_that_is_no_batch_is_an_error(store: SecretStore) -> None:
    with pytest.raises(InvalidInputError):
        handle("not-a-batch", store)


def test_every_event_file_is_replayed_here() -> None:
    source = Path(__file__).read_text()
    assert all(f'"{path.stem}"' in source for path in EVENTS.glob("*.json"))
