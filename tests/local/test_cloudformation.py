"""Stacks deployed to the emulated AWS: what MiniStack drops or refuses is there, and behaves."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import ACCOUNT, REGION, eventually, signed_request

PERMITTED = {"FunctionName": {"Ref": "Rotator"}, "Action": "lambda:InvokeFunction"}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


class Stack:
    """A stack of one test; ``update`` replaces its template."""

    def __init__(self, aws: Callable[..., Any], resources: dict[str, Any], **more: Any) -> None:
        self.cloudformation, self.name = aws("cloudformation"), f"s-{uuid.uuid4().hex[:8]}"
        self.cloudformation.create_stack(StackName=self.name, **self._template(resources, more))
        self.end("CREATE_IN_PROGRESS")

    def _template(self, resources: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
        template = {"AWSTemplateFormatVersion": "2010-09-09", **more, "Resources": resources}
        return {"TemplateBody": json.dumps(template), "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]}

    def end(self, while_in: str) -> None:
        eventually(lambda: self.status() != while_in)

    def status(self) -> str:
        return str(self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"])

    def update(self, resources: dict[str, Any], **more: Any) -> None:
        self.cloudformation.update_stack(StackName=self.name, **self._template(resources, more))
        self.end("UPDATE_IN_PROGRESS")

    def id(self, logical_id: str) -> str:
        found = self.cloudformation.describe_stack_resource(StackName=self.name, LogicalResourceId=logical_id)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def outputs(self) -> dict[str, str]:
        stack = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def reasons(self) -> str:
        events = self.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        return "\n".join(event.get("ResourceStatusReason", "") for event in events)


@pytest.fixture
def stack(aws: Callable[..., Any]) -> Iterator[Callable[..., Stack]]:
    """``stack(resources, Outputs=...)``: a stack that is gone after the test."""
    made: list[Stack] = []

    def make(resources: dict[str, Any], **more: Any) -> Stack:
        made.append(Stack(aws, resources, **more))
        return made[-1]

    yield make
    for one in made:
        aws("cloudformation").delete_stack(StackName=one.name)


def rotated(schedule: dict[str, Any] | None) -> dict[str, Any]:
    """A secret with a rotation function that may be invoked, and a schedule."""
    resources: dict[str, Any] = {
        "Secret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {
                "GenerateSecretString": {
                    "SecretStringTemplate": '{"username": "app"}',
                    "GenerateStringKey": "password",
                    "PasswordLength": 40,
                    "ExcludePunctuation": True,
                    "ExcludeCharacters": "abc",
                }
            },
        },
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}},
        "Rotator": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Code": {"ZipFile": "def handler(event, context): pass"},
                "ReservedConcurrentExecutions": 3,
            },
        },
        "Permission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                **PERMITTED,
                "Principal": "secretsmanager.amazonaws.com",
                "SourceAccount": {"Ref": "AWS::AccountId"},
            },
        },
    }
    if schedule is not None:
        resources["Schedule"] = {
            "Type": "AWS::SecretsManager::RotationSchedule",
            "DependsOn": "Permission",
            "Properties": {
                "SecretId": {"Ref": "Secret"},
                "RotationLambdaARN": {"Fn::GetAtt": ["Rotator", "Arn"]},
                "RotateImmediatelyOnUpdate": False,
                **schedule,
            },
        }
    return resources


def test_the_ref_of_a_secret_is_its_arn_and_its_value_obeys_the_template(
    aws: Callable[..., Any], stack: Callable[..., Stack]
) -> None:
    made = stack(rotated(None), Outputs={"Arn": {"Value": {"Ref": "Secret"}}})
    arn = made.outputs()["Arn"]
    assert arn.startswith(f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:")
    assert made.id("Secret") == arn
    value = json.loads(aws("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])
    assert value["username"] == "app"
    assert len(value["password"]) == 40
    assert value["password"].isalnum()
    assert not set(value["password"]) & set("abc")


def test_a_rotation_schedule_is_made_changed_and_taken_off(
    aws: Callable[..., Any], stack: Callable[..., Stack]
) -> None:
    made = stack(rotated({"RotationRules": {"ScheduleExpression": "cron(0 3 1 * ? *)", "Duration": "2h"}}))
    assert made.status() == "CREATE_COMPLETE", made.reasons()
    arn = made.id("Secret")
    assert made.id("Schedule") == arn

    def described() -> Any:
        return aws("secretsmanager").describe_secret(SecretId=arn)

    assert described()["RotationRules"] == {"ScheduleExpression": "cron(0 3 1 * ? *)", "Duration": "2h"}
    assert (described()["NextRotationDate"].day, described()["RotationEnabled"]) == (1, True)
    eventually(lambda: list(described()["VersionIdsToStages"].values()) == [["AWSCURRENT"]])

    made.update(rotated({"RotationRules": {"AutomaticallyAfterDays": 7}}))
    assert made.status() == "UPDATE_COMPLETE", made.reasons()
    assert described()["RotationRules"] == {"AutomaticallyAfterDays": 7}

    made.update(rotated(None))
    assert made.status() == "UPDATE_COMPLETE", made.reasons()
    assert described()["RotationEnabled"] is False
    assert aws("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ({"HostedRotationLambda": {"RotationType": "PostgreSQLSingleUser"}}, "HostedRotationLambda"),
        ({"RotationLambdaARN": f"arn:aws:lambda:{REGION}:111111111111:function:theirs"}, "another account"),
        ({"RotationLambdaARN": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:none"}, "cannot invoke the specified"),
        ({"RotationRules": {"ScheduleExpression": "rate(1 hour)"}}, "4 hours"),
    ],
)
def test_a_schedule_that_cannot_work_fails_the_stack_with_the_reason(
    stack: Callable[..., Stack], schedule: dict[str, Any], reason: str
) -> None:
    made = stack(rotated(schedule))
    eventually(lambda: made.status() == "ROLLBACK_COMPLETE")
    assert reason in made.reasons()


def test_a_secret_of_that_name_is_not_taken_over(aws: Callable[..., Any], stack: Callable[..., Stack]) -> None:
    name = f"taken-{uuid.uuid4().hex[:6]}"
    aws("secretsmanager").create_secret(Name=name, SecretString="mine")
    secret = {"Type": "AWS::SecretsManager::Secret", "Properties": {"Name": name, "SecretString": "theirs"}}
    made = stack({"Secret": secret})
    eventually(lambda: made.status() == "ROLLBACK_COMPLETE")
    assert aws("secretsmanager").get_secret_value(SecretId=name)["SecretString"] == "mine"


def test_a_resource_policy_of_a_secret_comes_out_of_the_template(
    aws: Callable[..., Any], stack: Callable[..., Stack]
) -> None:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:DeleteSecret", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    resources = rotated(None) | {
        "Policy": {
            "Type": "AWS::SecretsManager::ResourcePolicy",
            "Properties": {"SecretId": {"Ref": "Secret"}, "ResourcePolicy": policy},
        }
    }
    made = stack(resources)
    assert made.status() == "CREATE_COMPLETE", made.reasons()
    answer = aws("secretsmanager").get_resource_policy(SecretId=made.id("Secret"))
    assert json.loads(answer["ResourcePolicy"]) == policy


def test_reserved_concurrency_is_set(aws: Callable[..., Any], stack: Callable[..., Stack]) -> None:
    made = stack(rotated(None))
    answer = aws("lambda").get_function_concurrency(FunctionName=made.id("Rotator"))
    assert answer["ReservedConcurrentExecutions"] == 3


def test_a_tables_expiry_recovery_and_key_come_out_of_the_template(
    aws: Callable[..., Any], stack: Callable[..., Stack]
) -> None:
    root = f"arn:aws:iam::{ACCOUNT}:root"
    allow = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"}
    resources = {
        "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {"Version": "2012-10-17", "Statement": [allow]}}},
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "Key"}},
            },
        },
    }
    made = stack(resources)
    table, dynamodb = made.id("Table"), aws("dynamodb")
    assert dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "ENABLED",
        "AttributeName": "expires_at",
    }
    backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    key_arn = aws("kms").describe_key(KeyId=made.id("Key"))["KeyMetadata"]["Arn"]
    assert dynamodb.describe_table(TableName=table)["Table"]["SSEDescription"] == {
        "Status": "ENABLED",
        "SSEType": "KMS",
        "KMSMasterKeyArn": key_arn,
    }


def test_a_locked_bucket_keeps_what_is_written_encrypts_it_and_expires_it(
    aws: Callable[..., Any], stack: Callable[..., Stack]
) -> None:
    rule = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}
    lock = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 3}}
    made = stack(
        {
            "Bucket": {
                "Type": "AWS::S3::Bucket",
                "Properties": {
                    "ObjectLockEnabled": True,
                    "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", "Rule": lock},
                    "BucketEncryption": {"ServerSideEncryptionConfiguration": [rule]},
                    "LifecycleConfiguration": {"Rules": [{"Id": "old", "Status": "Enabled", "ExpirationInDays": 30}]},
                    "PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "BlockPublicPolicy": True},
                },
            }
        }
    )
    bucket, s3 = made.id("Bucket"), aws("s3")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    encryption = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    lifecycle = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert [(rule["ID"], rule["Expiration"]) for rule in lifecycle] == [("old", {"Days": 30})]
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert (blocked["BlockPublicPolicy"], blocked["RestrictPublicBuckets"]) == (True, False)
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"v")["VersionId"]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key="k", VersionId=version)


ECHO = "import json\ndef handler(event, context): return {'statusCode': 200, 'body': json.dumps(event)}"


def api_function(events: dict[str, Any]) -> dict[str, Any]:
    return {
        "Type": "AWS::Serverless::Function",
        "Properties": {"Runtime": "python3.13", "Handler": "index.handler", "InlineCode": ECHO, "Events": events},
    }


def test_a_rest_api_hands_on_the_encoded_path_and_the_signed_caller(
    aws_endpoint: str, aws: Callable[..., Any], stack: Callable[..., Stack]
) -> None:
    group = f"/api/{uuid.uuid4().hex[:6]}"
    resources = {
        "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": group, "RetentionInDays": 1}},
        "Api": {
            "Type": "AWS::Serverless::Api",
            "Properties": {
                "StageName": "v1",
                "Auth": {"DefaultAuthorizer": "AWS_IAM"},
                "AccessLogSetting": {
                    "DestinationArn": {"Fn::GetAtt": ["Log", "Arn"]},
                    "Format": "$context.httpMethod $context.resourcePath $context.status $context.identity.userArn",
                },
            },
        },
        "Function": api_function(
            {
                "One": {
                    "Type": "Api",
                    "Properties": {"RestApiId": {"Ref": "Api"}, "Method": "GET", "Path": "/secrets/{name}/versions"},
                },
                "Rest": {
                    "Type": "Api",
                    "Properties": {"RestApiId": {"Ref": "Api"}, "Method": "ANY", "Path": "/any/{proxy+}"},
                },
            }
        ),
    }
    made = stack(resources, Transform="AWS::Serverless-2016-10-31")
    assert made.status() == "CREATE_COMPLETE", made.reasons()
    url = f"{aws_endpoint}/_aws/execute-api/{made.id('Api')}/v1"

    event = signed_request(
        "GET", f"{url}/secrets/prod%2Forders/versions?limit=2", headers={"X-Forwarded-For": "9.9.9.9"}
    )
    assert event["pathParameters"] == {"name": "prod%2Forders"}
    assert event["path"] == "/secrets/prod%2Forders/versions"
    assert event["queryStringParameters"] == {"limit": "2"}
    identity = event["requestContext"]["identity"]
    assert identity["userArn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert (identity["accountId"], identity["accessKey"], identity["sourceIp"]) == (ACCOUNT, "test", "127.0.0.1")
    assert signed_request("POST", f"{url}/any/a/b", body=b"{}")["pathParameters"] == {"proxy": "a/b"}
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{url}/secrets/x/versions")

    messages = [event["message"] for event in aws("logs").filter_log_events(logGroupName=group)["events"]]
    assert messages[0] == f"GET /secrets/{{name}}/versions 200 arn:aws:iam::{ACCOUNT}:root"
    assert [message.split()[2] for message in messages] == ["200", "200", "403"]


def test_an_http_api_is_made_of_its_inline_openapi_body(aws_endpoint: str, stack: Callable[..., Stack]) -> None:
    event = {"Type": "HttpApi", "Properties": {"Method": "GET", "Path": "/items/{id}"}}
    made = stack({"Function": api_function({"Get": event})}, Transform="AWS::Serverless-2016-10-31")
    assert made.status() == "CREATE_COMPLETE", made.reasons()
    url = f"{aws_endpoint}/_aws/execute-api/{made.id('ServerlessHttpApi')}/$default"
    with urllib.request.urlopen(f"{url}/items/7") as answer:
        received = json.loads(answer.read())
    assert (received["version"], received["pathParameters"]) == ("2.0", {"id": "7"})
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{url}/nothing")


def test_an_event_that_an_asynchronous_call_gives_up_reaches_its_destination(
    aws: Callable[..., Any], stack: Callable[..., Stack]
) -> None:
    resources = {
        "Lost": {"Type": "AWS::SQS::Queue"},
        "Function": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "InlineCode": "class LostError(Exception): pass\ndef handler(event, context): raise LostError('no')",
                "EventInvokeConfig": {
                    "MaximumRetryAttempts": 0,
                    "DestinationConfig": {"OnFailure": {"Type": "SQS", "Destination": {"Fn::GetAtt": ["Lost", "Arn"]}}},
                },
            },
        },
    }
    made = stack(resources, Transform="AWS::Serverless-2016-10-31")
    assert made.status() == "CREATE_COMPLETE", made.reasons()
    aws("lambda").invoke(FunctionName=made.id("Function"), InvocationType="Event", Payload=b'{"n": 1}')

    def received() -> Any:
        return aws("sqs").receive_message(QueueUrl=made.id("Lost")).get("Messages")

    record = json.loads(eventually(received)[0]["Body"])
    assert record["requestPayload"] == {"n": 1}
    assert record["responsePayload"]["errorType"] == "LostError"
