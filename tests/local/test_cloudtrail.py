"""What a rule on the default event bus gets of Secrets Manager, through a real rule and a real queue."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import ACCOUNT, REGION, client, eventually
from tests.local.policies import document

pytestmark = pytest.mark.cloud

Aws = Callable[..., Any]
ALL = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
# The pattern of the stack's own rule.
PATTERN = {
    "source": ["aws.secretsmanager"],
    "detail-type": ["AWS API Call via CloudTrail", "AWS Service Event via CloudTrail"],
}

ROTATES = """
import boto3
def handler(event, context):
    client = boto3.client("secretsmanager")
    token, name = event["ClientRequestToken"], event["SecretId"]
    if event["Step"] == "createSecret":
        client.put_secret_value(SecretId=name, ClientRequestToken=token, SecretString="rotated",
                                VersionStages=["AWSPENDING"], RotationToken=event["RotationToken"])
    if event["Step"] == "finishSecret":
        stages = client.describe_secret(SecretId=name)["VersionIdsToStages"]
        current = next(version for version, held in stages.items() if "AWSCURRENT" in held)
        client.update_secret_version_stage(SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=token,
                                           RemoveFromVersionId=current)
"""
FAILS = """
def handler(event, context):
    raise ValueError("not today")
"""


class Listener:
    """A rule in some state and the queue it delivers to."""

    def __init__(self, aws: Aws, state: str, *, policy: bool = True, dead_letters: str | None = None) -> None:
        self.sqs, self.events = aws("sqs"), aws("events")
        self.name = f"trail-{uuid.uuid4().hex[:8]}"
        self.url = self.sqs.create_queue(QueueName=self.name)["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.name}"
        rule = self.events.put_rule(Name=self.name, State=state, EventPattern=json.dumps(PATTERN))["RuleArn"]
        if policy:
            statement = {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
            }
            tls_only: dict[str, Any] = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": arn}
            tls_only["Condition"] = {"Bool": {"aws:SecureTransport": "false"}}
            document = json.dumps({"Version": "2012-10-17", "Statement": [statement, tls_only]})
            self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": document})
        undelivered = {"DeadLetterConfig": {"Arn": dead_letters}} if dead_letters else {}
        self.events.put_targets(Rule=self.name, Targets=[{"Id": "queue", "Arn": arn, **undelivered}])
        self.seen: list[dict[str, Any]] = []

    def about(self, name: str) -> list[dict[str, Any]]:
        """The events received so far that name the secret, oldest first."""
        while messages := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.seen.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return [event for event in self.seen if name in json.dumps(event["detail"])]

    def named(self, event_name: str, name: str) -> list[dict[str, Any]]:
        """The records of this event about the secret, once there is one."""
        return eventually(lambda: [e["detail"] for e in self.about(name) if e["detail"]["eventName"] == event_name])

    def close(self) -> None:
        self.events.remove_targets(Rule=self.name, Ids=["queue"])
        self.events.delete_rule(Name=self.name)
        self.sqs.delete_queue(QueueUrl=self.url)


@pytest.fixture
def listen(aws: Aws) -> Iterator[Callable[..., Listener]]:
    opened: list[Listener] = []

    def make(state: str = ALL, **options: Any) -> Listener:
        opened.append(Listener(aws, state, **options))
        return opened[-1]

    yield make
    for listener in opened:
        listener.close()


@pytest.fixture
def secret(aws: Aws) -> Iterator[str]:
    """The name of a secret whose name is in each record about it, also in its ARN."""
    name = f"trail-{uuid.uuid4().hex}"
    aws("secretsmanager").create_secret(Name=name, SecretString="one")
    yield name
    aws("secretsmanager").delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def reader(aws: Aws, aws_endpoint: str) -> Any:
    """A client of a role that may do nothing."""
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    name = f"reader-{uuid.uuid4().hex[:8]}"
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]
    session = aws("sts").assume_role(RoleArn=made["Arn"], RoleSessionName="curious")["Credentials"]
    return client(
        aws_endpoint,
        "secretsmanager",
        session["AccessKeyId"],
        session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )


def test_a_read_arrives_with_the_documented_fields(aws: Aws, listen: Any, secret: str) -> None:
    listener = listen()
    answer = aws("secretsmanager").get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")
    [detail] = listener.named("GetSecretValue", secret)
    [event] = listener.about(secret)
    assert (event["source"], event["detail-type"]) == ("aws.secretsmanager", "AWS API Call via CloudTrail")
    assert (event["account"], event["region"], event["resources"]) == (ACCOUNT, REGION, [])
    assert detail["requestParameters"] == {"secretId": secret, "versionStage": "AWSCURRENT"}
    assert detail["responseElements"] is None
    assert detail["requestID"] == answer["ResponseMetadata"]["RequestId"]
    assert detail["userIdentity"]["type"] == "Root"
    assert detail["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert "Boto3" in detail["userAgent"]
    expected = {
        "eventSource": "secretsmanager.amazonaws.com",
        "awsRegion": REGION,
        "sourceIPAddress": "127.0.0.1",
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }
    assert expected.items() <= detail.items()
    assert abs(time.time() - time.mktime(time.strptime(detail["eventTime"], "%Y-%m-%dT%H:%M:%SZ")) + time.timezone) < 60
    assert uuid.UUID(detail["eventID"])
    assert not {"errorCode", "errorMessage"} & detail.keys()


def test_no_record_holds_a_value_or_a_text_of_the_caller(aws: Aws, listen: Any) -> None:
    listener, canary = listen(), f"canary{uuid.uuid4().hex}"
    name, service = f"trail-{uuid.uuid4().hex}", aws("secretsmanager")
    tags = [{"Key": canary, "Value": canary}]
    service.create_secret(Name=name, SecretString=canary, Description=canary, Tags=tags)
    service.put_secret_value(SecretId=name, SecretBinary=canary.encode(), RotationToken=canary)
    service.update_secret(SecretId=name, SecretString=canary, Description=canary)
    service.get_secret_value(SecretId=name)
    service.batch_get_secret_value(SecretIdList=[name])
    service.tag_resource(SecretId=name, Tags=tags)
    with pytest.raises(ClientError):
        service.create_secret(Name=name, SecretString=canary)
    service.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    listener.named("DeleteSecret", name)
    assert {event["detail"]["eventName"] for event in listener.about(name)} == {
        "CreateSecret",
        "PutSecretValue",
        "UpdateSecret",
        "GetSecretValue",
        "BatchGetSecretValue",
        "TagResource",
        "DeleteSecret",
    }
    assert canary not in json.dumps(listener.seen)


def test_a_write_names_what_it_made(aws: Aws, listen: Any, secret: str) -> None:
    listener = listen("ENABLED")
    put = aws("secretsmanager").put_secret_value(SecretId=secret, SecretString="two")
    [detail] = listener.named("PutSecretValue", secret)
    assert detail["readOnly"] is False
    assert detail["requestParameters"] == {"secretId": secret, "clientRequestToken": put["VersionId"]}
    assert detail["responseElements"] == {"arn": put["ARN"], "name": secret, "versionId": put["VersionId"]}


def test_a_denial_arrives_with_the_caller_and_its_role(listen: Any, reader: Any, secret: str) -> None:
    listener = listen()
    with pytest.raises(ClientError):
        reader.get_secret_value(SecretId=secret)
    [detail] = listener.named("GetSecretValue", secret)
    assert detail["errorCode"] == "AccessDenied"
    assert "secretsmanager:GetSecretValue" in detail["errorMessage"]
    assert detail["responseElements"] is None
    identity = detail["userIdentity"]
    issuer = identity["sessionContext"]["sessionIssuer"]
    assert identity["type"] == "AssumedRole"
    assert identity["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{issuer['userName']}/curious"
    assert issuer["arn"] == f"arn:aws:iam::{ACCOUNT}:role/{issuer['userName']}"
    assert identity["principalId"] == f"{issuer['principalId']}:curious"
    assert issuer["principalId"].startswith("AROA")


def test_a_failure_arrives_with_its_code(aws: Aws, listen: Any) -> None:
    listener, name = listen(), f"trail-{uuid.uuid4().hex}"
    with pytest.raises(ClientError):
        aws("secretsmanager").describe_secret(SecretId=name)
    [detail] = listener.named("DescribeSecret", name)
    assert detail["errorCode"] == "ResourceNotFoundException"


def test_a_request_with_unknown_credentials_leaves_no_record(
    aws_endpoint: str, aws: Aws, listen: Any, secret: str
) -> None:
    listener = listen()
    with pytest.raises(ClientError):
        client(aws_endpoint, "secretsmanager", "AKIAUNKNOWN000000000", "x").get_secret_value(SecretId=secret)
    aws("secretsmanager").describe_secret(SecretId=secret)
    listener.named("DescribeSecret", secret)
    assert [event["detail"]["eventName"] for event in listener.about(secret)] == ["DescribeSecret"]


def test_an_iam_user_is_named(aws: Aws, aws_endpoint: str, listen: Any, secret: str) -> None:
    listener, user = listen(), f"user-{uuid.uuid4().hex[:8]}"
    aws("iam").create_user(UserName=user)
    key = aws("iam").create_access_key(UserName=user)["AccessKey"]
    with pytest.raises(ClientError):
        client(aws_endpoint, "secretsmanager", key["AccessKeyId"], key["SecretAccessKey"]).describe_secret(
            SecretId=secret
        )
    [detail] = listener.named("DescribeSecret", secret)
    assert (detail["userIdentity"]["type"], detail["userIdentity"]["userName"]) == ("IAMUser", user)
    assert detail["userIdentity"]["accessKeyId"] == key["AccessKeyId"]


def test_only_rules_for_all_management_events_get_reads(aws: Aws, listen: Any, secret: str) -> None:
    everything, writes, nothing = listen(ALL), listen("ENABLED"), listen("DISABLED")
    service = aws("secretsmanager")
    service.get_secret_value(SecretId=secret)
    service.describe_secret(SecretId=secret)
    service.list_secret_version_ids(SecretId=secret)
    service.put_secret_value(SecretId=secret, SecretString="two")
    everything.named("PutSecretValue", secret)
    writes.named("PutSecretValue", secret)
    names = [[event["detail"]["eventName"] for event in rule.about(secret)] for rule in (everything, writes, nothing)]
    assert names == [
        ["GetSecretValue", "DescribeSecret", "ListSecretVersionIds", "PutSecretValue"],
        ["PutSecretValue"],
        [],
    ]


def test_a_batch_leaves_a_read_for_each_secret(aws: Aws, listen: Any, secret: str) -> None:
    listener = listen()
    answer = aws("secretsmanager").batch_get_secret_value(SecretIdList=[secret, f"missing-{secret}"])
    found = answer["SecretValues"][0]
    details = eventually(lambda: len(reads := [e["detail"] for e in listener.about(secret)]) == 3 and reads, seconds=5)
    assert [detail["eventName"] for detail in details] == ["BatchGetSecretValue", "GetSecretValue", "GetSecretValue"]
    assert details[1]["requestParameters"] == {"secretId": found["ARN"], "versionId": found["VersionId"]}
    assert details[2]["errorCode"] == "ResourceNotFoundException"


@pytest.fixture
def rotating(aws: Aws, deploy: Callable[..., str], boto3_layer: str, secret: str) -> Callable[..., str]:
    """``rotating(source)`` deploys the function, lets Secrets Manager call it and asks for a rotation."""

    def rotate(source: str, **options: Any) -> str:
        function = deploy(source, Layers=[boto3_layer])
        aws("lambda").add_permission(
            FunctionName=function,
            StatementId="rotation",
            Action="lambda:InvokeFunction",
            Principal="secretsmanager.amazonaws.com",
        )
        aws("secretsmanager").rotate_secret(SecretId=secret, RotationLambdaARN=function, **options)
        return function

    return rotate


def test_a_rotation_leaves_its_outcome_and_the_calls_of_its_function(
    aws: Aws, listen: Any, rotating: Any, secret: str
) -> None:
    listener = listen()
    function = rotating(ROTATES)
    [succeeded] = listener.named("RotationSucceeded", secret)
    [event] = [event for event in listener.about(secret) if event["detail"] == succeeded]
    arn = aws("secretsmanager").describe_secret(SecretId=secret)["ARN"]
    assert event["detail-type"] == "AWS Service Event via CloudTrail"
    assert succeeded["additionalEventData"] == {"SecretId": arn}
    assert succeeded["eventType"] == "AwsServiceEvent"
    assert succeeded["userIdentity"] == {"accountId": ACCOUNT, "invokedBy": "secretsmanager.amazonaws.com"}
    [put] = listener.named("PutSecretValue", secret)
    assert put["userIdentity"]["arn"].endswith(f":assumed-role/all/{function.rpartition(':')[2]}")
    assert put["requestParameters"].keys() == {"secretId", "versionStages", "clientRequestToken"}
    names = [event["detail"]["eventName"] for event in listener.about(secret)]
    order = [
        name for name in names if name in {"RotateSecret", "RotationStarted", "PutSecretValue", "RotationSucceeded"}
    ]
    assert order[-2:] == ["PutSecretValue", "RotationSucceeded"]
    assert set(order[:2]) == {"RotateSecret", "RotationStarted"}


def test_a_failed_rotation_says_so_without_the_functions_words(listen: Any, rotating: Any, secret: str) -> None:
    listener = listen("ENABLED")
    rotating(FAILS)
    failures = listener.named("RotationFailed", secret)
    assert failures[0]["additionalEventData"]["SecretId"].split(":")[6].startswith(secret)
    assert "ValueError" in failures[0]["errorMessage"]
    assert "not today" not in json.dumps(listener.about(secret))


def test_a_test_of_the_configuration_has_its_own_events(listen: Any, rotating: Any, secret: str) -> None:
    listener = listen("ENABLED")
    rotating(ROTATES, RotateImmediately=False, RotationRules={"AutomaticallyAfterDays": 30})
    listener.named("TestRotationSucceeded", secret)
    names = {event["detail"]["eventName"] for event in listener.about(secret)}
    assert "TestRotationStarted" in names
    assert not {"RotationStarted", "RotationSucceeded", "TestRotationFailed"} & names


def test_a_new_value_abandons_a_pending_one(aws: Aws, listen: Any, secret: str) -> None:
    listener, service = listen("ENABLED"), aws("secretsmanager")
    service.put_secret_value(SecretId=secret, SecretString="two", VersionStages=["AWSPENDING"])
    service.put_secret_value(SecretId=secret, SecretString="three")
    [abandoned] = listener.named("RotationAbandoned", secret)
    assert abandoned["eventType"] == "AwsServiceEvent"


def test_a_queue_that_does_not_let_the_rule_in_gets_nothing(aws: Aws, listen: Any, secret: str) -> None:
    closed, opened = listen(policy=False), listen()
    aws("secretsmanager").get_secret_value(SecretId=secret)
    opened.named("GetSecretValue", secret)
    assert closed.about(secret) == []


def test_what_a_closed_queue_refuses_goes_to_the_dead_letters(aws: Aws, listen: Any, secret: str) -> None:
    name = f"dead-{uuid.uuid4().hex[:8]}"
    url = aws("sqs").create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    send = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    aws("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(send)})
    closed = listen(policy=False, dead_letters=arn)
    aws("secretsmanager").get_secret_value(SecretId=secret)

    def refused() -> bool:
        messages = aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        details = [json.loads(message["Body"])["detail"] for message in messages]
        return any(
            detail["eventName"] == "GetSecretValue" and detail["requestParameters"] == {"secretId": secret}
            for detail in details
        )

    assert eventually(refused)
    assert closed.about(secret) == []
