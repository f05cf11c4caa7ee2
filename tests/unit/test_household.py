"""Polyvault's own table, queues, topic and parameters: what the adapters write, and what a failure becomes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws
from polyvault.adapters.aws_calls import AwsCalls
from polyvault.adapters.aws_client import client
from polyvault.adapters.dynamodb_state import DynamoDbSyncState
from polyvault.adapters.secret_credential import SecretCredential
from polyvault.adapters.sns_alerts import SnsAlerts
from polyvault.adapters.sqs_queue import SqsQueue
from polyvault.adapters.ssm_parameter import read_parameter
from polyvault.contracts.sync_configuration import decode_sync_configuration
from polyvault.contracts.sync_execution import MAX_ITEMS, encode_sync_execution
from polyvault.contracts.work import decode_rotation_order, decode_sync_order
from polyvault.domain.retry import RetryPolicy
from polyvault.domain.secret import SecretValue
from polyvault.domain.sync import Action, ItemStatus, RunStatus, SyncConflict, SyncExecution, SyncItem
from polyvault.domain.work import RotationOrder, SyncOrder
from polyvault.errors import ConfigurationError, HouseholdError, InvalidInputError

from tests.fakes import FakeClock

CANARY = "canary-H2ve"
DOCUMENT: dict[str, Any] = {
    "id": "orders",
    "name": "Orders",
    "enabled": True,
    "sourceEnvironment": "prod",
    "targetEnvironment": "staging",
    "sourceVault": "aws",
    "targetVault": "vault",
    "syncType": "scheduled",
    "schedule": "0 2 * * *",
    "secretFilters": ["prod/*"],
    "conflictResolution": "source-wins",
    "validateAfterSync": True,
    "notifyOnCompletion": True,
    "notifyOnFailure": True,
    "rollbackOnFailure": False,
}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def calls(clock: FakeClock) -> AwsCalls:
    return AwsCalls(clock, retry=RetryPolicy(attempts=2), draw=lambda: 0.0)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


@pytest.fixture
def state(aws: None, calls: AwsCalls, clock: FakeClock) -> DynamoDbSyncState:
    boto3.client("dynamodb").create_table(
        TableName="state",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
    )
    return DynamoDbSyncState(client("dynamodb"), table="state", calls=calls, clock=clock)


def execution(clock: FakeClock, **changes: Any) -> SyncExecution:
    item = SyncItem("prod/a", Action.CREATE, ItemStatus.VERIFIED, source_version="1", written_version="2")
    refused = SyncItem("prod/b", Action.NONE, ItemStatus.REFUSED, "is not a name", "invalid-input")
    fields: dict[str, Any] = {
        "id": "e1",
        "config_id": "orders",
        "status": RunStatus.APPLYING,
        "requested_by": "ada",
        "started_at": clock.now(),
        "items": (refused, item),
        "conflicts": (SyncConflict("prod/a", "1", "0", "source-wins"),),
    }
    return SyncExecution(**{**fields, **changes})


def test_a_configuration_is_kept_as_it_was_registered_and_when(state: DynamoDbSyncState, clock: FakeClock) -> None:
    configuration = decode_sync_configuration(DOCUMENT)
    assert state.configuration("orders") is None
    state.put_configuration(configuration)
    kept = replace(configuration, registered_at=clock.now())
    assert state.configuration("orders") == kept
    assert state.configurations() == (kept,)


@pytest.mark.parametrize("field", ["registeredAt", "password"])
def test_a_configuration_with_an_unknown_field_is_refused(field: str) -> None:
    with pytest.raises(InvalidInputError, match="not known") as caught:
        decode_sync_configuration({**DOCUMENT, field: CANARY})
    assert CANARY not in str(caught.value)


def test_an_execution_is_created_once_and_a_finished_one_never_changes(
    state: DynamoDbSyncState, clock: FakeClock
) -> None:
    started = execution(clock)
    assert state.create_execution(started)
    assert not state.create_execution(replace(started, requested_by="mallory"))
    assert state.execution("orders", "e1") == started
    finished = replace(started, status=RunStatus.PARTIAL, finished_at=clock.now() + timedelta(seconds=2))
    state.save_execution(finished)
    state.save_execution(replace(started, status=RunStatus.APPLYING))
    assert state.execution("orders", "e1") == finished


def test_executions_are_found_by_configuration_newest_first(state: DynamoDbSyncState, clock: FakeClock) -> None:
    first = execution(clock)
    state.create_execution(first)
    clock.advance(60)
    second = execution(clock, id="e0")
    state.create_execution(second)
    state.create_execution(execution(clock, config_id="other"))
    assert state.executions("orders") == (second, first)


def test_an_execution_leaves_by_ttl(state: DynamoDbSyncState, clock: FakeClock) -> None:
    state.create_execution(execution(clock))
    (item,) = boto3.client("dynamodb").scan(TableName="state")["Items"]
    assert int(item["expires_at"]["N"]) == int((clock.now() + timedelta(days=90)).timestamp())


def test_counts_do_not_shrink_with_the_items_that_a_record_lists(state: DynamoDbSyncState, clock: FakeClock) -> None:
    items = tuple(SyncItem(f"n{i}", Action.CREATE, ItemStatus.VERIFIED) for i in range(MAX_ITEMS + 50))
    failed = SyncItem("x" * 512, Action.CREATE, ItemStatus.WRITE_FAILED)
    whole = execution(clock, items=(*items, failed))
    state.create_execution(whole)
    kept = state.execution("orders", "e1")
    assert kept is not None
    assert (len(kept.items), kept.secrets_synced, kept.secrets_failed) == (MAX_ITEMS, MAX_ITEMS + 50, 1)
    assert kept.items[0] == failed
    assert kept.counts == whole.counts


def test_the_record_speaks_the_words_of_its_users(clock: FakeClock) -> None:
    finished = execution(clock, status=RunStatus.PARTIAL, finished_at=clock.now() + timedelta(milliseconds=1500))
    document = json.loads(json.dumps(encode_sync_execution(finished)))
    assert {key: document[key] for key in ("status", "secretsSynced", "secretsFailed", "duration", "counts")} == {
        "status": "PARTIAL",
        "secretsSynced": 1,
        "secretsFailed": 1,
        "duration": 1500,
        "counts": {"REFUSED": 1, "VERIFIED": 1},
    }
    assert document["conflicts"] == [
        {"name": "prod/a", "sourceVersion": "1", "targetVersion": "0", "resolution": "source-wins"}
    ]


def test_a_missing_table_is_our_own_failure(aws: None, calls: AwsCalls, clock: FakeClock) -> None:
    state = DynamoDbSyncState(client("dynamodb"), table="nowhere", calls=calls, clock=clock)
    for call in (
        lambda: state.configuration("x"),
        lambda: state.configurations(),
        lambda: state.create_execution(execution(clock)),
    ):
        with pytest.raises(HouseholdError, match="ResourceNotFoundException"):
            call()


def test_an_order_arrives_as_it_was_sent(aws: None, calls: AwsCalls) -> None:
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    queue = SqsQueue(client("sqs"), url=url, calls=calls)
    rotation = RotationOrder("r", "aws", "prod/db", "6f0f4f9e-9f0b-4b0e-8a35-1f1b2b8a7c11", "ada")
    sync = SyncOrder("e1", "orders", "ada")
    queue.send(rotation)
    queue.send(sync)
    bodies = [message["Body"] for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]]
    assert decode_rotation_order(bodies[0]) == rotation
    assert decode_sync_order(bodies[1]) == sync
    assert json.loads(bodies[1]) == {"executionId": "e1", "configId": "orders", "requestedBy": "ada"}


def test_a_queue_that_is_not_there_is_our_own_failure(aws: None, calls: AwsCalls) -> None:
    url = "https://sqs.us-east-1.amazonaws.com/123456789012/nowhere"
    with pytest.raises(HouseholdError, match="did not take the order"):
        SqsQueue(client("sqs"), url=url, calls=calls).send(SyncOrder("e", "c", "ada"))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"clientRequestToken": "short"}, "$.clientRequestToken"),
        ({"clientRequestToken": "x" * 31 + "\n"}, "$.clientRequestToken"),
        ({"secret": None}, "$.secret"),
        ({"value": CANARY}, "$"),
    ],
)
def test_a_message_that_is_no_order_is_refused(change: dict[str, Any], path: str) -> None:
    good = {"requestId": "r", "store": "aws", "secret": "s", "clientRequestToken": "x" * 32, "requestedBy": "ada"}
    decode_rotation_order(good)
    with pytest.raises(InvalidInputError) as caught:
        decode_rotation_order({**good, **change})
    assert caught.value.path == path
    assert CANARY not in str(caught.value)


def test_an_execution_id_cannot_be_anything() -> None:
    with pytest.raises(InvalidInputError, match="executionId"):
        decode_sync_order({"executionId": "a#b", "configId": "c", "requestedBy": "ada"})


def test_an_alert_is_published_as_json(aws: None, calls: AwsCalls) -> None:
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    url = sqs.create_queue(QueueName="people")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    SnsAlerts(client("sns"), topic_arn=topic, calls=calls).send("Sync ä\n" + "x" * 200, {"status": "FAILED"})
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    notification = json.loads(message["Body"])
    assert notification["Subject"] == ("Sync ??" + "x" * 200)[:100]
    assert json.loads(notification["Message"]) == {"status": "FAILED"}
    with pytest.raises(HouseholdError, match="not published"):
        SnsAlerts(client("sns"), topic_arn=f"{topic}x", calls=calls).send("s", {})


def test_parameters_and_credentials_are_read_or_named(aws: None, calls: AwsCalls) -> None:
    boto3.client("ssm").put_parameter(Name="/polyvault/stores", Value="{}", Type="SecureString")
    assert read_parameter(client("ssm"), "/polyvault/stores", calls=calls) == "{}"
    with pytest.raises(ConfigurationError, match="/polyvault/missing cannot be read"):
        read_parameter(client("ssm"), "/polyvault/missing", calls=calls)
    secrets_manager = boto3.client("secretsmanager")
    arn = secrets_manager.create_secret(Name="vault", SecretString=CANARY)["ARN"]
    source = SecretCredential(client("secretsmanager"), arn=arn, calls=calls)
    assert source() == SecretValue(CANARY)
    secrets_manager.put_secret_value(SecretId=arn, SecretString="rotated")
    assert source() == SecretValue("rotated")
    secrets_manager.put_secret_value(SecretId=arn, SecretBinary=b"\xff")
    with pytest.raises(ConfigurationError, match="is not text"):
        source()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        SecretCredential(client("secretsmanager"), arn=f"{arn}x", calls=calls)()
