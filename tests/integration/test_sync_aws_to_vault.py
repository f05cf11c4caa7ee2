"""Sync and scheduler as `bootstrap` wires them: emulated Secrets Manager, DynamoDB, SSM and SQS, and a real OpenBao."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from polyvault import bootstrap
from polyvault.contracts.sync_configuration import decode_sync_configuration
from polyvault.domain.audit import AuditEvent
from polyvault.domain.sync import RunStatus, SyncExecution
from polyvault.domain.work import SyncOrder
from polyvault.errors import IncompleteResponseError

from local import aws_process, interpreter
from local.openbao import OpenBao
from tests.audit_table import create_audit_table
from tests.conformance.faulty_proxy import Answer, Proxy, cut, proxy_for
from tests.conformance.vaults import AWS_ENVIRONMENT
from tests.fakes import FakeClock

CANARY = "canary-M7yt"
ADA = "arn:aws:iam::000000000000:user/ada"
CONFIGURATION: dict[str, Any] = {
    "id": "prod-to-vault",
    "name": "Orders",
    "enabled": True,
    "sourceEnvironment": "prod",
    "targetEnvironment": "staging",
    "sourceVault": "aws",
    "targetVault": "vault",
    "syncType": "scheduled",
    "schedule": "0 2 * * *",
    "conflictResolution": "source-wins",
    "notifyOnCompletion": True,
}


def forget() -> None:
    """As a new execution environment: nothing is wired yet."""
    for wired in vars(bootstrap).values():
        if hasattr(wired, "cache_clear"):
            wired.cache_clear()


class House:
    """The household that the stack would make, and both vaults by their own clients."""

    def __init__(
        self, server: aws_process.Aws, vault: OpenBao, proxy: Proxy, set_variable: Callable[..., None]
    ) -> None:
        self.vault = vault
        self.proxy = proxy
        self.folder = f"prod/{uuid.uuid4().hex[:8]}"
        for name, value in {**AWS_ENVIRONMENT, "AWS_ENDPOINT_URL": server.endpoint_url}.items():
            set_variable(name, value)
        unique = self.folder[5:]
        self.secrets_manager: Any = boto3.Session().client("secretsmanager")
        self.sqs: Any = boto3.Session().client("sqs")
        self.dynamodb: Any = boto3.Session().client("dynamodb")
        create_audit_table(self.dynamodb, f"audit-{unique}")
        self.dynamodb.create_table(
            TableName=f"state-{unique}",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        )
        credential = self.secrets_manager.create_secret(
            Name=f"polyvault/stores/{unique}", SecretString=vault.secret_id
        )["ARN"]
        boto3.Session().client("ssm").put_parameter(
            Name=f"/polyvault/{unique}", Type="String", Tier="Advanced", Value=json.dumps(self.stores(credential))
        )
        topic = boto3.Session().client("sns").create_topic(Name=f"alerts-{unique}")["TopicArn"]
        self.rotation_queue = self.sqs.create_queue(QueueName=f"rotation-{unique}")["QueueUrl"]
        self.sync_queue = self.sqs.create_queue(QueueName=f"sync-{unique}")["QueueUrl"]
        for name, value in {
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_LAMBDA_FUNCTION_NAME": "polyvault-sync",
            "POLYVAULT_ENVIRONMENT": "dev",
            "POLYVAULT_AUDIT_TABLE": f"audit-{unique}",
            "POLYVAULT_STATE_TABLE": f"state-{unique}",
            "POLYVAULT_STORES_PARAMETER": f"/polyvault/{unique}",
            "POLYVAULT_ALERTS_TOPIC_ARN": topic,
            "POLYVAULT_ROTATION_QUEUE_URL": self.rotation_queue,
            "POLYVAULT_SYNC_QUEUE_URL": self.sync_queue,
        }.items():
            set_variable(name, value)
        self.tables = (f"audit-{unique}", f"state-{unique}")
        document = {**CONFIGURATION, "secretFilters": [f"{self.folder}/*"]}
        bootstrap.sync_state(self.tables[1]).put_configuration(decode_sync_configuration(document))

    def stores(self, credential: str) -> dict[str, Any]:
        settings = {
            "url": self.vault.url,
            "mount": "secret",
            "authMethod": "approle",
            "roleId": self.vault.role_id,
            "caCertificate": self.vault.ca_certificate,
        }
        vault = {"name": "vault", "provider": "hashicorp-vault", "environment": "staging", "priority": 2}
        aws = {"name": "aws", "provider": "aws-secrets-manager", "environment": "prod", "priority": 1, "settings": {}}
        return {"stores": [aws, {**vault, "credentialSecretArn": credential, "settings": settings}]}

    def create(self, name: str, text: str) -> None:
        self.secrets_manager.create_secret(Name=f"{self.folder}/{name}", SecretString=text)

    def run(self) -> SyncExecution:
        order = SyncOrder(str(uuid.uuid4()), "prod-to-vault", ADA)
        return bootstrap.sync().run(order, remaining_seconds=lambda: 300.0)

    def in_vault(self, name: str) -> tuple[str, int]:
        """The value and the number of its version, by the vault's own API."""
        path = f"secret/data/{self.folder}/{name}"
        data = self.vault.request("GET", path, token=self.vault.token())["data"]
        return data["data"]["value"], data["metadata"]["version"]

    def events(self, *, secret: str | None = None, user: str | None = None) -> list[AuditEvent]:
        start, end = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(minutes=1)
        log = bootstrap.audit_log()
        if secret is not None:
            return list(log.for_secret(f"{self.folder}/{secret}", start, end, limit=100, token=None).events)
        return list(log.for_user(str(user), start, end, limit=100, token=None).events)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[aws_process.Aws]:
    """Emulated AWS of this module's own."""
    running = aws_process.start(tmp_path_factory.mktemp("aws"), interpreter.find(os.environ))  # noqa: TID251
    yield running
    running.stop()


@pytest.fixture
def house(server: aws_process.Aws, openbao: OpenBao, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    forget()
    with proxy_for(server.endpoint_url) as proxy:
        yield House(server, openbao, proxy, monkeypatch.setenv)
    for store in bootstrap.stores()._opened.values():
        store.disconnect()
    forget()


def test_a_filtered_set_arrives_in_the_other_vault_and_a_second_run_writes_nothing(house: House) -> None:
    values = {f"app{number}/db": json.dumps({"password": f"{CANARY}-{number} \u2028"}) for number in range(12)}
    for name, text in values.items():
        house.create(name, text)
    house.secrets_manager.create_secret(Name=f"dev/{house.folder}", SecretString="out of scope")
    first = house.run()
    assert (first.status, first.secrets_synced, first.secrets_failed) == (RunStatus.SUCCEEDED, 12, 0)
    assert {name: house.in_vault(name) for name in values} == {name: (text, 1) for name, text in values.items()}
    second = house.run()
    assert (second.status, second.secrets_synced) == (RunStatus.SUCCEEDED, 0)
    assert {house.in_vault(name)[1] for name in values} == {1}


def test_a_rotated_source_updates_its_copy_and_an_edited_copy_is_a_recorded_conflict(house: House) -> None:
    house.create("db", "one")
    house.run()
    house.secrets_manager.put_secret_value(SecretId=f"{house.folder}/db", SecretString="two")
    updated = house.run()
    assert (updated.secrets_synced, updated.conflicts) == (1, ())
    assert house.in_vault("db") == ("two", 2)
    path = f"secret/data/{house.folder}/db"
    house.vault.request("POST", path, {"data": {"value": "by hand"}}, token=house.vault.token())
    conflicted = house.run()
    (conflict,) = conflicted.conflicts
    assert (conflict.name, conflict.target_version, conflict.resolution) == (f"{house.folder}/db", "3", "source-wins")
    assert house.in_vault("db") == ("two", 4)


def test_the_trail_answers_by_secret_and_by_user_and_nothing_stored_holds_a_value(house: House) -> None:
    house.create("db", CANARY)
    execution = house.run()
    by_secret = {event.event_type.value for event in house.events(secret="db")}
    assert {"secret.read", "secret.created", "sync.item"} <= by_secret
    by_user = {event.event_type.value for event in house.events(user=ADA)}
    assert by_user == {"sync.started", "sync.item", "sync.finished"}
    kept = bootstrap.sync_state(house.tables[1]).execution("prod-to-vault", execution.id)
    assert kept == execution
    for table in house.tables:
        assert CANARY not in json.dumps(house.dynamodb.scan(TableName=table)["Items"])


def test_a_cut_list_of_the_source_makes_the_run_incomplete_and_writes_nothing(house: House) -> None:
    house.create("db", "v")
    spoil = cut(lambda length: length // 2)

    def only_lists(path: str, answer: Answer) -> Answer:
        target = house.proxy.seen[-1][1].get("X-Amz-Target", "")
        return spoil(path, answer) if target.endswith(".ListSecrets") else answer

    house.proxy.spoil = only_lists
    execution = house.run()
    assert (execution.status, execution.error_code) == (RunStatus.INCOMPLETE, IncompleteResponseError.code)
    with pytest.raises(OSError, match="404"):
        house.in_vault("db")


def test_the_scheduler_orders_what_is_due_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = [{"Key": "polyvault:policy", "Value": "standard"}, {"Key": "polyvault:rotationInterval", "Value": "30"}]
    house.secrets_manager.create_secret(Name=f"{house.folder}/tagged", SecretString="v", Tags=tags)
    house.create("untagged", "v")
    later = FakeClock(datetime.now(UTC) + timedelta(days=31))
    monkeypatch.setattr(bootstrap, "clock", lambda: later)
    report = bootstrap.due_work()()
    assert report.skipped == {f"aws:{house.folder}/tagged": "no rotation function is attached"}
    (order,) = report.syncs
    message = house.sqs.receive_message(QueueUrl=house.sync_queue)["Messages"][0]
    assert json.loads(message["Body"]) == {
        "executionId": order.execution_id,
        "configId": "prod-to-vault",
        "requestedBy": "polyvault/polyvault-sync",
    }
    bootstrap.sync().run(order, remaining_seconds=lambda: 300.0)
    assert bootstrap.due_work()().syncs == ()
