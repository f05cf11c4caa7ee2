"""The sync function: each event of events/sync through the handler."""

from __future__ import annotations

import importlib
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from polyvault.domain.audit import Actor
from polyvault.domain.secret import SecretValue
from polyvault.domain.sync import SyncConfiguration
from polyvault.errors import InvalidInputError, SyncInterruptedError
from polyvault.providers.memory import Provider, Settings
from polyvault.services.sync import Sync
from polyvault.store import SecretStore

from tests.fakes import FakeClock, MemorySyncState, RecordingAlerts, RecordingAuditLog

EVENTS = Path(__file__).resolve().parent.parent.parent / "events" / "sync"
CANARY = "canary-B6xq"


class House:
    """Two vaults in memory with one configuration registered."""

    def __init__(self) -> None:
        clock, audit = FakeClock(), RecordingAuditLog()
        self.remaining_ms = 300_000
        self.source, self.target = (Provider(Settings(), credential=None, clock=clock) for _ in range(2))
        self.state = MemorySyncState()
        self.state.put_configuration(
            SyncConfiguration(
                id="prod-to-vault",
                name="Orders",
                enabled=True,
                source_environment="prod",
                target_environment="staging",
                source_vault="aws",
                target_vault="vault",
                secret_filters=("prod/*",),
                conflict_resolution="source-wins",
            )
        )
        self.source.create("prod/a", SecretValue(CANARY), like=None, version_id=None)
        stores = {
            name: SecretStore(driver, name=name, clock=clock, audit=audit, actor=Actor("sync"))
            for name, driver in (("aws", self.source), ("vault", self.target))
        }
        environments = {"aws": "prod", "vault": "staging"}
        self.sync = Sync(stores, environments, self.state, audit, RecordingAlerts(), clock)

    def handle(self, name: str) -> dict[str, Any]:
        context = SimpleNamespace(
            function_name="sync",
            memory_limit_in_mb=1024,
            invoked_function_arn="arn:aws:lambda:us-east-1:111122223333:function:sync",
            aws_request_id="request-1",
            get_remaining_time_in_millis=lambda: self.remaining_ms,
        )
        app = importlib.import_module("functions.sync.app")
        event = json.loads((EVENTS / f"{name}.json").read_text())
        answer: dict[str, Any] = app.lambda_handler(event, context, sync=self.sync)
        return answer


def test_a_queued_order_is_run_and_leaves_the_queue() -> None:
    house = House()
    assert house.handle("order") == {"batchItemFailures": []}
    (execution,) = house.state.executions("prod-to-vault")
    assert (execution.status.value, execution.secrets_synced) == ("SUCCEEDED", 1)


def test_a_direct_invocation_answers_the_record_without_a_value() -> None:
    answer = json.loads(json.dumps(House().handle("direct")))
    assert (answer["status"], answer["secretsSynced"], answer["secretsFailed"]) == ("SUCCEEDED", 1, 0)
    assert answer["items"][0]["name"] == "prod/a"
    assert CANARY not in json.dumps(answer)


def test_poison_stays_alone_and_the_good_order_is_run() -> None:
    house = House()
    answer = house.handle("poison")
    kept = [item["itemIdentifier"][-1] for item in answer["batchItemFailures"]]
    assert kept == ["1", "2", "3"]
    assert len(house.state.executions("prod-to-vault")) == 1


@pytest.mark.parametrize("name", ["direct-incomplete", "empty"])
def test_a_direct_invocation_that_is_no_order_names_its_field(name: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^\$\.executionId: is missing$"):
        House().handle(name)


def test_an_order_without_time_stays_in_the_queue_and_goes_on_later() -> None:
    house = House()
    house.remaining_ms = 5_000
    assert len(house.handle("order")["batchItemFailures"]) == 1
    with pytest.raises(SyncInterruptedError):
        house.handle("direct")
    house.remaining_ms = 300_000
    assert house.handle("order") == {"batchItemFailures": []}
    (execution,) = house.state.executions("prod-to-vault")
    assert execution.secrets_synced == 1


def test_the_log_holds_no_value() -> None:
    handler = importlib.import_module("functions.sync.app").logger.registered_handler
    written = io.StringIO()
    before = handler.setStream(written)
    try:
        House().handle("order")
        House().handle("poison")
    finally:
        handler.setStream(before)
    assert "the sync ended" in written.getvalue()
    assert "the order stays" in written.getvalue()
    assert CANARY not in written.getvalue()


def test_every_event_file_is_replayed_here() -> None:
    source = Path(__file__).read_text()
    assert all(f'"{path.stem}"' in source for path in EVENTS.glob("*.json"))
