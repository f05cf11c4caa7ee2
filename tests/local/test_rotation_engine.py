"""RotateSecret against the emulated AWS, over boto3, with functions that do what the AWS templates do."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import ACCOUNT, client, eventually

# A rotation function without a database: it does the protocol and tells what it saw through its log.
# A tag `fail` on the secret names the step that raises; `finish=never` makes the last step do nothing.
ROTATE = """
import json
from aws_call import call as signed

def call(action, **body):
    return signed("secretsmanager", "secretsmanager." + action, body)

class TargetRefused(Exception):
    pass

def handler(event, context):
    step, secret, token = event["Step"], event["SecretId"], event["ClientRequestToken"]
    described = call("DescribeSecret", SecretId=secret)
    tags = {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}
    pending = call("GetSecretValue", SecretId=secret, VersionId=token, VersionStage="AWSPENDING")
    print(json.dumps({"step": step, "token": token, "has_value": "SecretString" in pending,
                      "refused": pending.get("__type"), "rotation_token": bool(event.get("RotationToken")),
                      "labels": described["VersionIdsToStages"].get(token)}))
    if tags.get("fail") == step:
        raise TargetRefused("no")
    if step == "createSecret" and "SecretString" not in pending:
        call("PutSecretValue", SecretId=secret, ClientRequestToken=token, SecretString="new-" + token,
             VersionStages=["AWSPENDING"])
    if step == "finishSecret" and tags.get("finish") != "never":
        current = [v for v, labels in described["VersionIdsToStages"].items() if "AWSCURRENT" in labels][0]
        call("UpdateSecretVersionStage", SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token,
             RemoveFromVersionId=current)
"""

STEPS = ["createSecret", "setSecret", "testSecret", "finishSecret"]
IN_PROGRESS = "A previous rotation isn't complete. That rotation will be reattempted."


@pytest.fixture
def sm(aws: Callable[..., Any]) -> Any:
    return aws("secretsmanager")


class Rotated:
    """A secret, its rotation function, and what the function saw."""

    def __init__(self, aws: Callable[..., Any], function_arn: str, tags: dict[str, str]) -> None:
        self.sm, self.logs, self.function_arn = aws("secretsmanager"), aws("logs"), function_arn
        self.name = f"db/{uuid.uuid4().hex[:8]}"
        made = self.sm.create_secret(
            Name=self.name, SecretString="old", Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
        )
        self.arn, self.first = made["ARN"], made["VersionId"]

    def rotate(self, **options: Any) -> Any:
        return self.sm.rotate_secret(
            **{"SecretId": self.name, "RotationLambdaARN": self.function_arn, **options},
        )

    def labels(self) -> dict[str, list[str]]:
        return {
            version: sorted(labels)
            for version, labels in self.sm.describe_secret(SecretId=self.name)["VersionIdsToStages"].items()
        }

    def value(self) -> str:
        return str(self.sm.get_secret_value(SecretId=self.name)["SecretString"])

    def seen(self) -> list[dict[str, Any]]:
        group = f"/aws/lambda/{self.function_arn.rsplit(':', 1)[-1]}"
        try:
            events = self.logs.filter_log_events(logGroupName=group)["events"]
        except self.logs.exceptions.ResourceNotFoundException:  # not invoked yet
            return []
        lines = sorted((event["timestamp"], event["message"]) for event in events)
        return [json.loads(line) for _, line in lines if line.startswith("{")]

    def steps(self) -> list[str]:
        return [str(call["step"]) for call in self.seen()]


@pytest.fixture
def rotated(aws: Callable[..., Any], deploy: Callable[..., str]) -> Callable[..., Rotated]:
    """``rotated(permitted=True, **tags)``: a secret with a function; without permission when told."""

    def make(*, permission: dict[str, str] | None = None, permitted: bool = True, **tags: str) -> Rotated:
        function_arn = deploy(ROTATE)
        if permitted:
            aws("lambda").add_permission(
                FunctionName=function_arn,
                StatementId="rotation",
                Action="lambda:InvokeFunction",
                Principal="secretsmanager.amazonaws.com",
                **(permission or {}),
            )
        return Rotated(aws, function_arn, tags)

    return make


def error(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def rotates(secret: Rotated) -> bool:
    try:
        secret.rotate()
    except ClientError:
        return False
    return True


def test_a_rotation_runs_the_four_steps_in_order_and_the_new_value_becomes_current(
    rotated: Callable[..., Rotated],
) -> None:
    secret = rotated()
    version = secret.rotate()["VersionId"]
    eventually(lambda: secret.value() == f"new-{version}")
    assert eventually(lambda: secret.steps() == STEPS and STEPS)
    assert secret.labels() == {version: ["AWSCURRENT", "AWSPENDING"], secret.first: ["AWSPREVIOUS"]}


def test_the_pending_version_has_no_value_until_the_function_puts_one(rotated: Callable[..., Rotated]) -> None:
    secret = rotated()
    version = secret.rotate()["VersionId"]
    calls = eventually(lambda: len(secret.seen()) == 4 and secret.seen())
    assert [call["has_value"] for call in calls] == [False, True, True, True]
    assert calls[0]["refused"] == "ResourceNotFoundException"
    assert {call["token"] for call in calls} == {version}
    assert calls[0]["labels"] == ["AWSPENDING"]
    assert all(call["rotation_token"] for call in calls)


def test_a_failing_step_is_retried_whole_with_the_same_token_and_leaves_the_value_in_use(
    rotated: Callable[..., Rotated],
) -> None:
    secret = rotated(fail="testSecret")
    version = secret.rotate()["VersionId"]
    three_attempts = ["createSecret", "setSecret", "testSecret"] * 3
    assert eventually(lambda: secret.steps() == three_attempts and three_attempts)
    assert {call["token"] for call in secret.seen()} == {version}
    assert secret.value() == "old"
    assert secret.labels() == {version: ["AWSPENDING"], secret.first: ["AWSCURRENT"]}


def test_a_rotation_that_failed_blocks_the_next_and_the_refused_call_has_it_reattempted(
    rotated: Callable[..., Rotated],
) -> None:
    secret = rotated(fail="setSecret")
    version = secret.rotate()["VersionId"]
    eventually(lambda: len(secret.seen()) == 6)
    secret.sm.untag_resource(SecretId=secret.name, TagKeys=["fail"])
    assert error(secret.rotate) == ("InvalidRequestException", IN_PROGRESS)

    def reattempted() -> bool:
        rotates(secret)  # refused as long as the old one is open, also while its last attempt is ending
        return bool({"AWSCURRENT", "AWSPREVIOUS"} & set(secret.labels().get(version, [])))

    eventually(reattempted)


def test_taking_the_pending_label_off_lets_a_new_rotation_start(rotated: Callable[..., Rotated]) -> None:
    secret = rotated(fail="setSecret")
    failed = secret.rotate()["VersionId"]
    eventually(lambda: len(secret.seen()) == 6)
    secret.sm.cancel_rotate_secret(SecretId=secret.name)
    secret.sm.update_secret_version_stage(SecretId=secret.name, VersionStage="AWSPENDING", RemoveFromVersionId=failed)
    secret.sm.untag_resource(SecretId=secret.name, TagKeys=["fail"])
    version = secret.rotate()["VersionId"]
    assert version != failed
    eventually(lambda: secret.value() == f"new-{version}")


def test_the_client_request_token_is_the_version_and_a_repeat_starts_nothing(rotated: Callable[..., Rotated]) -> None:
    secret = rotated()
    token = str(uuid.uuid4())
    assert secret.rotate(ClientRequestToken=token)["VersionId"] == token
    assert secret.rotate(ClientRequestToken=token)["VersionId"] == token
    eventually(lambda: secret.value() == f"new-{token}")
    assert secret.rotate(ClientRequestToken=token)["VersionId"] == token
    eventually(lambda: len(secret.seen()) >= 4)
    assert secret.steps() == STEPS


def test_a_finish_that_moves_no_label_is_a_failure(rotated: Callable[..., Rotated]) -> None:
    secret = rotated(finish="never")
    secret.rotate()
    eventually(lambda: secret.steps() == STEPS * 3)
    assert secret.value() == "old"
    assert "LastRotatedDate" not in secret.sm.describe_secret(SecretId=secret.name)


def test_not_immediately_runs_only_test_secret_on_a_pending_copy_that_is_removed(
    rotated: Callable[..., Rotated],
) -> None:
    secret = rotated()
    answer = secret.rotate(RotateImmediately=False, RotationRules={"AutomaticallyAfterDays": 30})
    assert "VersionId" not in answer
    calls = eventually(lambda: secret.seen())
    assert [(call["step"], call["has_value"], call["labels"]) for call in calls] == [
        ("testSecret", True, ["AWSPENDING"])
    ]
    eventually(lambda: secret.labels() == {secret.first: ["AWSCURRENT"]})
    assert secret.value() == "old"
    assert secret.sm.describe_secret(SecretId=secret.name)["RotationEnabled"] is True


def test_without_the_invoke_permission_rotation_is_refused_and_not_configured(rotated: Callable[..., Rotated]) -> None:
    secret = rotated(permitted=False)
    code, message = error(secret.rotate)
    assert code == "AccessDeniedException"
    assert "policy grants access to the principal secretsmanager.amazonaws.com" in message
    assert "RotationEnabled" not in secret.sm.describe_secret(SecretId=secret.name)
    assert secret.labels() == {secret.first: ["AWSCURRENT"]}


@pytest.mark.parametrize(
    "condition",
    [
        {"SourceAccount": "111111111111"},
        {"SourceArn": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:another-*"},
    ],
    ids=["another account", "another secret"],
)
def test_a_permission_for_somebody_else_is_none(rotated: Callable[..., Rotated], condition: dict[str, str]) -> None:
    secret = rotated(permission=condition)
    assert error(secret.rotate)[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    "condition",
    [{"SourceAccount": ACCOUNT}, {"SourceArn": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:db/*"}],
    ids=["this account", "this secret"],
)
def test_a_permission_bound_to_this_account_or_secret_suffices(
    rotated: Callable[..., Rotated], condition: dict[str, str]
) -> None:
    secret = rotated(permission=condition)
    version = secret.rotate()["VersionId"]
    eventually(lambda: secret.value() == f"new-{version}")


def test_a_function_that_does_not_exist_cannot_rotate(rotated: Callable[..., Rotated]) -> None:
    secret = rotated()
    missing = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:missing"
    assert error(lambda: secret.rotate(RotationLambdaARN=missing))[0] == "AccessDeniedException"


def test_a_secret_without_a_function_cannot_rotate(sm: Any) -> None:
    name = f"plain-{uuid.uuid4().hex[:6]}"
    sm.create_secret(Name=name, SecretString="x")
    code, message = error(lambda: sm.rotate_secret(SecretId=name))
    assert code == "InvalidRequestException"
    assert "No Lambda rotation function ARN" in message


def test_cancel_turns_rotation_off_and_leaves_the_labels(rotated: Callable[..., Rotated]) -> None:
    secret = rotated(fail="testSecret")
    version = secret.rotate(RotationRules={"ScheduleExpression": "rate(10 days)"})["VersionId"]
    eventually(lambda: len(secret.seen()) >= 3)
    answer = secret.sm.cancel_rotate_secret(SecretId=secret.name)
    assert answer["Name"] == secret.name
    seen = len(secret.seen())
    described = secret.sm.describe_secret(SecretId=secret.name)
    assert described["RotationEnabled"] is False
    assert described["RotationLambdaARN"] == secret.function_arn
    assert "NextRotationDate" not in described
    assert secret.labels()[version] == ["AWSPENDING"]
    assert len(secret.seen()) <= seen + 1


def test_a_value_written_during_the_rotation_abandons_it(rotated: Callable[..., Rotated]) -> None:
    secret = rotated(fail="testSecret")
    version = secret.rotate()["VersionId"]
    eventually(lambda: len(secret.seen()) >= 3)
    written = secret.sm.put_secret_value(SecretId=secret.name, SecretString="by hand")["VersionId"]
    eventually(lambda: version not in secret.labels())
    assert secret.value() == "by hand"
    assert secret.labels()[written] == ["AWSCURRENT"]
    secret.sm.untag_resource(SecretId=secret.name, TagKeys=["fail"])
    eventually(lambda: rotates(secret))


def test_the_dates_of_rotation_are_told(rotated: Callable[..., Rotated]) -> None:
    secret = rotated()
    secret.rotate(RotationRules={"ScheduleExpression": "rate(10 days)", "Duration": "2h"})
    described = eventually(
        lambda: (found := secret.sm.describe_secret(SecretId=secret.name)).get("LastRotatedDate") and found
    )
    days = (described["NextRotationDate"].date() - described["LastRotatedDate"].date()).days
    assert days == 10
    assert described["NextRotationDate"].astimezone(described["LastRotatedDate"].tzinfo).minute == 0
    listed = secret.sm.list_secrets(Filters=[{"Key": "name", "Values": [secret.name]}])["SecretList"][0]
    assert listed["NextRotationDate"] == described["NextRotationDate"]
    assert listed["RotationRules"] == {"ScheduleExpression": "rate(10 days)", "Duration": "2h"}


def test_rules_that_aws_refuses_are_refused(rotated: Callable[..., Rotated]) -> None:
    secret = rotated()
    for rules in ({"ScheduleExpression": "rate(3 hours)"}, {"ScheduleExpression": "cron(0 0/1 * * ? *)"}):
        assert error(lambda rules=rules: secret.rotate(RotationRules=rules))[0] == "InvalidParameterException"
    assert "RotationEnabled" not in secret.sm.describe_secret(SecretId=secret.name)


def test_a_deleted_secret_is_not_rotated(rotated: Callable[..., Rotated]) -> None:
    secret = rotated()
    secret.sm.delete_secret(SecretId=secret.name, RecoveryWindowInDays=7)
    assert error(secret.rotate)[0] == "InvalidRequestException"
    assert error(lambda: secret.sm.cancel_rotate_secret(SecretId=secret.name))[0] == "InvalidRequestException"


def test_the_caller_of_rotate_secret_needs_the_right_to_invoke_the_function(
    aws_endpoint: str, aws: Callable[..., Any], rotated: Callable[..., Rotated]
) -> None:
    secret = rotated()
    user = f"u-{uuid.uuid4().hex[:6]}"
    aws("iam").create_user(UserName=user)
    key = aws("iam").create_access_key(UserName=user)["AccessKey"]
    as_user = client(aws_endpoint, "secretsmanager", key["AccessKeyId"], key["SecretAccessKey"])

    def allow(*actions: str) -> None:
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        aws("iam").put_user_policy(UserName=user, PolicyName="p", PolicyDocument=policy)

    def rotate() -> Any:
        return as_user.rotate_secret(SecretId=secret.name, RotationLambdaARN=secret.function_arn)

    allow("secretsmanager:RotateSecret")
    code, message = error(rotate)
    assert code == "AccessDeniedException"
    assert "lambda:InvokeFunction" in message
    allow("secretsmanager:RotateSecret", "lambda:InvokeFunction")
    version = rotate()["VersionId"]
    eventually(lambda: secret.value() == f"new-{version}")
