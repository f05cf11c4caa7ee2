"""A role may do what its policy says and nothing else, with the answers AWS gives, over real boto3."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from tests.local.conftest import ACCOUNT, REGION, client, eventually
from tests.local.policies import Statement, allow, denied, document

pytestmark = pytest.mark.cloud

Aws = Callable[..., Any]
SECRETS = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"


def test_a_role_may_do_what_its_policy_says_and_nothing_else(as_role: Any, secret: Any) -> None:
    mine, other = secret(), secret()
    service = as_role(allow("secretsmanager:GetSecretValue", on=mine))("secretsmanager")
    assert service.get_secret_value(SecretId=mine)["SecretString"] == "one"
    for call in (
        lambda: service.get_secret_value(SecretId=other),
        lambda: service.describe_secret(SecretId=mine),
        lambda: service.put_secret_value(SecretId=mine, SecretString="two"),
        lambda: service.delete_secret(SecretId=mine),
        lambda: service.list_secrets(),
        lambda: service.create_secret(Name="new", SecretString="x"),
        lambda: service.get_random_password(),
    ):
        denied(call)


def test_a_denial_names_the_caller_the_action_and_the_resource(as_role: Any, secret: Any) -> None:
    arn = secret()
    message = denied(lambda: as_role()("secretsmanager").get_secret_value(SecretId=arn))
    assert message.startswith(f"User: arn:aws:sts::{ACCOUNT}:assumed-role/role-")
    assert message.endswith(
        f"is not authorized to perform: secretsmanager:GetSecretValue on resource: {arn} "
        "because no identity-based policy allows the secretsmanager:GetSecretValue action"
    )


def test_an_explicit_deny_wins(as_role: Any, secret: Any) -> None:
    arn = secret()
    deny = {"Effect": "Deny", "Action": "secretsmanager:GetSecretValue", "Resource": arn}
    service = as_role(allow("secretsmanager:*"), deny)("secretsmanager")
    assert service.describe_secret(SecretId=arn)["ARN"] == arn
    assert "explicit deny" in denied(lambda: service.get_secret_value(SecretId=arn))


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "NotAction": "secretsmanager:*", "Resource": "*"},
        {"Effect": "Allow", "Action": "secretsmanager:*", "NotResource": f"{SECRETS}*"},
        {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*", "Condition": {"NoSuchOperator": {"a": "b"}}},
        {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*", "Condition": {"StringEquals": {"no": "b"}}},
    ],
    ids=["NotAction", "NotResource", "unknown operator", "unknown key"],
)
def test_what_is_excluded_or_not_understood_does_not_allow(as_role: Any, secret: Any, statement: Statement) -> None:
    arn = secret()
    denied(lambda: as_role(statement)("secretsmanager").get_secret_value(SecretId=arn))


def test_the_deployers_key_keeps_every_right(aws: Aws, secret: Any) -> None:
    arn = secret()
    assert aws("secretsmanager").get_secret_value(SecretId=arn)["SecretString"] == "one"
    assert aws("kms").create_key()["KeyMetadata"]["Enabled"]


def test_unknown_credentials_are_refused(aws_endpoint: str, secret: Any) -> None:
    arn = secret()
    with pytest.raises(ClientError) as caught:
        client(aws_endpoint, "secretsmanager", "AKIAUNKNOWN000000000", "x").get_secret_value(SecretId=arn)
    assert caught.value.response["Error"]["Code"] == "UnrecognizedClientException"


def test_a_call_that_is_no_known_action_is_not_allowed(aws: Aws, aws_endpoint: str, role_of: Any) -> None:
    session = aws("sts").assume_role(RoleArn=role_of(allow("*")), RoleSessionName="test")["Credentials"]
    role = Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])

    def status(credentials: Credentials) -> int:
        request = AWSRequest("GET", f"{aws_endpoint}/2099-01-01/no-such-thing")
        SigV4Auth(credentials, "lambda", REGION).add_auth(request)
        return URLLib3Session().send(request.prepare()).status_code

    assert status(role) == 403
    assert status(Credentials("test", "test")) == 404


# --- Conditions -----------------------------------------------------------------------------------


def test_sams_rotation_policy_opens_only_secrets_that_this_function_rotates(
    aws: Aws, as_role: Any, secret: Any, deploy: Any
) -> None:
    function = deploy("def handler(event, context):\n    return None\n")
    aws("lambda").add_permission(
        FunctionName=function,
        StatementId="rotation",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
    )
    rotated, other = secret(), secret()
    aws("secretsmanager").rotate_secret(
        SecretId=rotated,
        RotationLambdaARN=function,
        RotateImmediately=False,
        RotationRules={"AutomaticallyAfterDays": 30},
    )
    # The statements of SAM's AWSSecretsManagerRotationPolicy.
    service = as_role(
        allow(
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
            "secretsmanager:UpdateSecretVersionStage",
            on=f"{SECRETS}*",
            when={"StringEquals": {"secretsmanager:resource/AllowRotationLambdaArn": function}},
        ),
        allow("secretsmanager:GetRandomPassword"),
    )("secretsmanager")
    assert service.describe_secret(SecretId=rotated)["RotationLambdaARN"] == function
    assert service.get_secret_value(SecretId=rotated)["SecretString"] == "one"
    service.put_secret_value(SecretId=rotated, SecretString="two", VersionStages=["AWSPENDING"])
    assert service.get_random_password()["RandomPassword"]
    denied(lambda: service.describe_secret(SecretId=other))
    denied(lambda: service.get_secret_value(SecretId=other))
    denied(lambda: service.delete_secret(SecretId=rotated))


@pytest.mark.parametrize("key", ["aws:ResourceTag/team", "secretsmanager:ResourceTag/team"])
def test_a_condition_reads_the_secrets_tags(as_role: Any, secret: Any, key: str) -> None:
    mine = secret(Tags=[{"Key": "team", "Value": "payments"}])
    theirs = secret(Tags=[{"Key": "team", "Value": "hr"}])
    service = as_role(allow("secretsmanager:GetSecretValue", when={"StringEquals": {key: "payments"}}))(
        "secretsmanager"
    )
    assert service.get_secret_value(SecretId=mine)["SecretString"] == "one"
    denied(lambda: service.get_secret_value(SecretId=theirs))


def test_a_condition_reads_the_version_stage_that_is_asked_for(aws: Aws, as_role: Any, secret: Any) -> None:
    arn = secret()
    aws("secretsmanager").put_secret_value(SecretId=arn, SecretString="two", VersionStages=["AWSPENDING"])
    current = {"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}}
    service = as_role(allow("secretsmanager:GetSecretValue", when=current))("secretsmanager")
    assert service.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")["SecretString"] == "one"
    denied(lambda: service.get_secret_value(SecretId=arn, VersionStage="AWSPENDING"))


def test_a_condition_reads_the_tags_a_request_sets(as_role: Any) -> None:
    tagged = {"StringEquals": {"aws:RequestTag/team": "payments"}}
    service = as_role(allow("secretsmanager:CreateSecret", when=tagged))("secretsmanager")
    name = f"iam/{uuid.uuid4()}"
    denied(lambda: service.create_secret(Name=name, SecretString="x"))
    service.create_secret(Name=name, SecretString="x", Tags=[{"Key": "team", "Value": "payments"}])


# --- Resource policies ----------------------------------------------------------------------------


def test_a_secrets_own_policy_can_deny_a_role(aws: Aws, as_role: Any, secret: Any) -> None:
    arn = secret()
    service = as_role(allow("secretsmanager:*"))("secretsmanager")
    assert service.get_secret_value(SecretId=arn)["SecretString"] == "one"
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }
    aws("secretsmanager").put_resource_policy(SecretId=arn, ResourcePolicy=document(deny))
    assert "resource-based policy" in denied(lambda: service.get_secret_value(SecretId=arn))


def test_a_bucket_that_refuses_plain_http_works_on_loopback(aws: Aws, as_role: Any) -> None:
    bucket = f"iam-{uuid.uuid4()}"
    aws("s3").create_bucket(Bucket=bucket)
    tls_only = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    aws("s3").put_bucket_policy(Bucket=bucket, Policy=document(tls_only))
    service = as_role(allow("s3:PutObject", on=f"arn:aws:s3:::{bucket}/*"))("s3")
    service.put_object(Bucket=bucket, Key="report", Body=b"x")
    denied(lambda: service.get_object(Bucket=bucket, Key="report"), status=403)


def test_a_rule_reaches_a_function_only_with_permission(aws: Aws, deploy: Any) -> None:
    source = "def handler(event, context):\n    print('reached')\n"
    opened, closed = deploy(source), deploy(source)
    name = f"rule-{uuid.uuid4().hex[:8]}"
    pattern = json.dumps({"source": [name]})
    rule = aws("events").put_rule(Name=name, EventPattern=pattern)["RuleArn"]
    for function in (opened, closed):
        aws("events").put_targets(Rule=name, Targets=[{"Id": function[-8:], "Arn": function}])
    aws("lambda").add_permission(
        FunctionName=opened,
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    aws("events").put_events(Entries=[{"Source": name, "DetailType": "t", "Detail": "{}"}])

    def reached(function: str) -> bool:
        groups = aws("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{function.rpartition(':')[2]}")
        return any(
            "reached" in event["message"]
            for group in groups["logGroups"]
            for event in aws("logs").filter_log_events(logGroupName=group["logGroupName"])["events"]
        )

    eventually(lambda: reached(opened))
    assert not reached(closed)


# --- Functions ------------------------------------------------------------------------------------

TRIES = """
import boto3
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session
def handler(event, context):
    secrets = boto3.client("secretsmanager")
    answers = {"caller": boto3.client("sts").get_caller_identity()["Arn"]}
    for action, name in event.items():
        try:
            getattr(secrets, action)(SecretId=name)
            answers[action] = "allowed"
        except ClientError as error:
            answers[action] = error.response["Error"]["Code"]
    return answers
"""


def test_a_function_runs_under_its_own_role(aws: Aws, role_of: Any, deploy: Any, secret: Any, boto3_layer: str) -> None:
    mine, other = secret(), secret()
    role = role_of(allow("secretsmanager:GetSecretValue", on=mine))
    function = deploy(TRIES, Role=role, Layers=[boto3_layer])
    request = json.dumps({"get_secret_value": mine, "describe_secret": mine, "delete_secret": other})
    answer = json.loads(aws("lambda").invoke(FunctionName=function, Payload=request)["Payload"].read())
    name = function.rpartition(":")[2]
    assert answer == {
        "caller": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.rpartition('/')[2]}/{name}",
        "get_secret_value": "allowed",
        "describe_secret": "AccessDeniedException",
        "delete_secret": "AccessDeniedException",
    }


def test_a_role_made_by_cloudformation_has_its_policies(aws: Aws, aws_endpoint: str, secret: Any) -> None:
    arn, stack = secret(), f"stack-{uuid.uuid4().hex[:8]}"
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:root"}},
        "Action": "sts:AssumeRole",
    }
    own = {"PolicyName": "own", "PolicyDocument": json.loads(document(allow("secretsmanager:GetSecretValue", on=arn)))}
    properties = {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
        "Policies": [own],
        "ManagedPolicyArns": ["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"],
    }
    template = {
        "Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}},
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}}},
    }
    aws("cloudformation").create_stack(
        StackName=stack, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"]
    )
    aws("cloudformation").get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    [output] = aws("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    session = aws("sts").assume_role(RoleArn=output["OutputValue"], RoleSessionName="test")["Credentials"]
    keys = (session["AccessKeyId"], session["SecretAccessKey"])
    service = client(aws_endpoint, "secretsmanager", *keys, aws_session_token=session["SessionToken"])
    logs = client(aws_endpoint, "logs", *keys, aws_session_token=session["SessionToken"])
    assert service.get_secret_value(SecretId=arn)["SecretString"] == "one"
    denied(lambda: service.describe_secret(SecretId=arn))
    logs.create_log_group(logGroupName=f"/test/{stack}")
    denied(lambda: logs.delete_log_group(logGroupName=f"/test/{stack}"))


# --- DynamoDB -------------------------------------------------------------------------------------


@pytest.fixture
def table(aws: Aws) -> str:
    """A table with partition key pk and an index on other; the ARN."""
    name = f"iam-{uuid.uuid4().hex[:8]}"
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
    index = [{"AttributeName": "other", "KeyType": "HASH"}]
    made = aws("dynamodb").create_table(
        TableName=name,
        KeySchema=keys,
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "other", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[{"IndexName": "by_other", "KeySchema": index, "Projection": {"ProjectionType": "ALL"}}],
        BillingMode="PAY_PER_REQUEST",
    )
    return str(made["TableDescription"]["TableArn"])


def test_a_table_grant_does_not_open_its_index(as_role: Any, table: str) -> None:
    name = table.rpartition("/")[2]
    query = {
        "TableName": name,
        "IndexName": "by_other",
        "KeyConditionExpression": "other = :o",
        "ExpressionAttributeValues": {":o": {"S": "x"}},
    }
    denied(lambda: as_role(allow("dynamodb:Query", on=table))("dynamodb").query(**query))
    assert as_role(allow("dynamodb:Query", on=f"{table}/index/by_other"))("dynamodb").query(**query)["Count"] == 0


def test_leading_keys_hold_a_role_to_its_partitions(as_role: Any, table: str) -> None:
    name = table.rpartition("/")[2]
    mine = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["mine"]}}
    service = as_role(allow("dynamodb:*", on=table, when=mine))("dynamodb")
    service.put_item(TableName=name, Item={"pk": {"S": "mine"}, "other": {"S": "x"}})
    assert service.get_item(TableName=name, Key={"pk": {"S": "mine"}})["Item"]["other"] == {"S": "x"}
    found = service.query(
        TableName=name,
        KeyConditionExpression="#k = :v",
        ExpressionAttributeNames={"#k": "pk"},
        ExpressionAttributeValues={":v": {"S": "mine"}},
    )
    assert found["Count"] == 1
    theirs = {"pk": {"S": "theirs"}}
    for call in (
        lambda: service.put_item(TableName=name, Item=theirs),
        lambda: service.delete_item(TableName=name, Key=theirs),
        lambda: service.scan(TableName=name),
        lambda: service.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": theirs}}]}),
        lambda: service.transact_write_items(TransactItems=[{"Put": {"TableName": name, "Item": theirs}}]),
        lambda: service.query(
            TableName=name, KeyConditionExpression="pk = :v", ExpressionAttributeValues={":v": {"S": "theirs"}}
        ),
    ):
        denied(call)
