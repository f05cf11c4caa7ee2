"""The audit log and its ingestion on the emulated AWS: a real table over HTTP, real rules, queues and records."""

from __future__ import annotations

import importlib
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from polyvault.adapters import aws_client
from polyvault.adapters.dynamodb_audit import DynamoDbAuditLog
from polyvault.adapters.system_clock import SystemClock
from polyvault.contracts import cloudtrail
from polyvault.domain.audit import AuditEvent, AuditPage, EventType, Outcome
from polyvault.errors import AuditReadError, AuditWriteError
from polyvault.services.record import Record

from local import cloud as local_cloud
from local.demo.scenario import wait_until
from tests.audit_table import USER, create_audit_table, event

pytestmark = pytest.mark.cloud

REGION = "us-east-1"
MINUTE = timedelta(minutes=1)
PATTERN = {
    "source": ["aws.secretsmanager"],
    "detail-type": ["AWS API Call via CloudTrail", "AWS Service Event via CloudTrail"],
}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The exports of an emulated AWS of this module's own."""
    running = local_cloud.start(tmp_path_factory.mktemp("audit-cloud"), peers=("aws",))
    yield running.env()
    running.stop()


def boto(env: dict[str, str], service: str) -> Any:
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=env["AWS_ENDPOINT_URL"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.fixture
def log(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> DynamoDbAuditLog:
    """An audit log on an empty table, through the client that functions use."""
    aws_client.session.cache_clear()  # it keeps the credentials that it found first
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", aws["AWS_ACCESS_KEY_ID"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", aws["AWS_SECRET_ACCESS_KEY"])
    client = aws_client.client("dynamodb", region_name=REGION, endpoint_url=aws["AWS_ENDPOINT_URL"])
    table = create_audit_table(client, f"audit-{uuid.uuid4().hex[:8]}")
    return DynamoDbAuditLog(client, table=table, clock=SystemClock(), retention_days=400)


def pages(log: DynamoDbAuditLog, secret: str, start: datetime, end: datetime, limit: int) -> list[AuditEvent]:
    found: list[AuditEvent] = []
    page = AuditPage((), None)
    while True:
        page = log.for_secret(secret, start, end, limit=limit, token=page.next_token)
        found += page.events
        if page.next_token is None:
            return found


def test_pages_of_600_events_join_to_all_of_them_newest_first_and_told_twice_they_are_one(
    log: DynamoDbAuditLog,
) -> None:
    now = datetime.now(UTC)
    written = [event(f"e{number:03}", now - number * 13 * MINUTE) for number in range(600)]
    log.append(written)
    log.append(written[::-1])
    assert pages(log, "prod/orders", now - timedelta(days=10), now + MINUTE, 100) == written
    assert pages(log, "prod/orders", now - timedelta(days=10), now + MINUTE, 47) == written


def test_an_event_comes_back_as_it_was(log: DynamoDbAuditLog) -> None:
    now = datetime.now(UTC)
    denied = event("e1", now, outcome=Outcome.DENIED, error_code="AccessDenied", user_agent=r"a\x00\u202eb")
    log.append([denied])
    assert log.for_user(USER.id, now, now + MINUTE, limit=1, token=None) == AuditPage((denied,))


def test_a_table_that_is_not_there_fails_closed(log: DynamoDbAuditLog, aws: dict[str, str]) -> None:
    boto(aws, "dynamodb").delete_table(TableName=log._table)
    now = datetime.now(UTC)
    with pytest.raises(AuditWriteError, match="ResourceNotFoundException"):
        log.append([event("e1", now)])
    with pytest.raises(AuditReadError, match="ResourceNotFoundException"):
        log.for_secret("prod/orders", now - MINUTE, now, limit=1, token=None)


@pytest.fixture
def queue(aws: dict[str, str]) -> Iterator[str]:
    """The URL of a queue behind the stack's own rule."""
    sqs, events = boto(aws, "sqs"), boto(aws, "events")
    name = f"trail-{uuid.uuid4().hex[:8]}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule = events.put_rule(
        Name=name, State="ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS", EventPattern=json.dumps(PATTERN)
    )["RuleArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    yield url
    events.remove_targets(Rule=name, Ids=["queue"])
    events.delete_rule(Name=name)
    sqs.delete_queue(QueueUrl=url)


def test_calls_to_secrets_manager_reach_the_audit_log_by_secret_and_by_user(
    aws: dict[str, str], log: DynamoDbAuditLog, queue: str
) -> None:
    secrets_manager, sqs = boto(aws, "secretsmanager"), boto(aws, "sqs")
    name, started = f"prod/{uuid.uuid4().hex}", datetime.now(UTC) - MINUTE
    arn = secrets_manager.create_secret(Name=name, SecretString="c4n4ry-value")["ARN"]
    secrets_manager.get_secret_value(SecretId=name)
    secrets_manager.get_secret_value(SecretId=arn)
    with pytest.raises(secrets_manager.exceptions.ResourceNotFoundException):
        secrets_manager.get_secret_value(SecretId=f"{name}/absent")
    secrets_manager.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    app = importlib.import_module("functions.audit.app")
    context = SimpleNamespace(
        function_name="audit", memory_limit_in_mb=512, invoked_function_arn="arn:aws:lambda:x", aws_request_id="r1"
    )

    def take() -> tuple[AuditEvent, ...] | None:
        """One delivery of the queue, as an event source mapping makes it; the trail once it is whole."""
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        batch = {"Records": [{"messageId": one["MessageId"], "body": one["Body"]} for one in received]}
        answer = app.lambda_handler(batch, context, record=Record(log, cloudtrail.parse))
        assert answer == {"batchItemFailures": []}
        for one in received:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
        found = log.for_secret(arn, started, datetime.now(UTC) + MINUTE, limit=100, token=None).events
        return found if len(found) >= 4 else None

    found = wait_until("the trail of the secret", take, seconds=30)
    assert sorted(one.event_type for one in found) == [
        EventType.SECRET_CREATED,
        EventType.SECRET_DELETED,
        EventType.SECRET_READ,
        EventType.SECRET_READ,
    ]
    assert {one.secret for one in found} == {name}
    assert "c4n4ry" not in repr(found)
    (absent,) = log.for_secret(f"{name}/absent", started, datetime.now(UTC) + MINUTE, limit=9, token=None).events
    assert (absent.outcome, absent.error_code) == (Outcome.ERROR, "ResourceNotFoundException")
    by_user = log.for_user(found[0].actor.id, started, datetime.now(UTC) + MINUTE, limit=100, token=None).events
    assert {one.event_id for one in found} <= {one.event_id for one in by_user}
