"""Each row: a call that MiniStack accepts or answers otherwise, and the answer AWS documents. Over real boto3.

Codes marked unverified in local/aws are the ones AWS's reference does not give for that case.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

pytestmark = pytest.mark.cloud

KiB64 = 65_536


def client(endpoint: str, service: str = "secretsmanager", **options: Any) -> Any:
    """A boto3 client that sends what it is told: the service checks, not the SDK, and nothing is retried."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}, **options),
    )


@pytest.fixture(scope="session")
def secrets_manager(aws_endpoint: str) -> Any:
    return client(aws_endpoint)


@dataclass(frozen=True)
class Subject:
    """A secret with a previous, a current and a pending version, a description and a tag."""

    client: Any
    name: str
    previous: str
    current: str
    pending: str

    def state(self) -> dict[str, Any]:
        """Everything a caller can see of it, values included."""
        described = self.client.describe_secret(SecretId=self.name)
        listed = self.client.list_secret_version_ids(SecretId=self.name, IncludeDeprecated=True)["Versions"]
        values = {
            version["VersionId"]: self.client.get_secret_value(SecretId=self.name, VersionId=version["VersionId"])[
                "SecretString"
            ]
            for version in listed
        }
        policy = self.client.get_resource_policy(SecretId=self.name).get("ResourcePolicy")
        seen = ("Description", "Tags", "KmsKeyId", "VersionIdsToStages", "DeletedDate")
        return {"values": values, "policy": policy} | {key: described.get(key) for key in seen}


@pytest.fixture
def subject(secrets_manager: Any) -> Iterator[Subject]:
    name = f"strict/{uuid.uuid4()}"
    tokens = [str(uuid.uuid4()) for _ in range(3)]
    secrets_manager.create_secret(
        Name=name,
        SecretString="one",
        ClientRequestToken=tokens[0],
        Description="before",
        Tags=[{"Key": "team", "Value": "a"}],
    )
    secrets_manager.put_secret_value(SecretId=name, SecretString="two", ClientRequestToken=tokens[1])
    secrets_manager.put_secret_value(
        SecretId=name, SecretString="three", ClientRequestToken=tokens[2], VersionStages=["AWSPENDING"]
    )
    yield Subject(secrets_manager, name, *tokens)
    secrets_manager.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


@dataclass(frozen=True)
class Row:
    """A call on the subject and the error code it must get; afterwards nothing may have changed."""

    what: str
    code: str
    call: Callable[[Subject], Any]


def token() -> str:
    return str(uuid.uuid4())


def labels(count: int) -> list[str]:
    return [f"L{number}" for number in range(count)]


def tags(count: int) -> list[dict[str, str]]:
    return [{"Key": f"k{number}", "Value": "v"} for number in range(count)]


REFUSED = [
    Row(
        "put: pending token again, other value",
        "ResourceExistsException",
        lambda s: s.client.put_secret_value(
            SecretId=s.name, SecretString="x", ClientRequestToken=s.pending, VersionStages=["AWSPENDING"]
        ),
    ),
    Row(
        "put: current token again, other value",
        "ResourceExistsException",
        lambda s: s.client.put_secret_value(SecretId=s.name, SecretString="x", ClientRequestToken=s.current),
    ),
    Row(
        "put: same text as binary is another value",
        "ResourceExistsException",
        lambda s: s.client.put_secret_value(SecretId=s.name, SecretBinary=b"two", ClientRequestToken=s.current),
    ),
    Row(
        "create: the name is taken",
        "ResourceExistsException",
        lambda s: s.client.create_secret(Name=s.name, SecretString="one", ClientRequestToken=token()),
    ),
    Row(
        "create: same token, other value",
        "ResourceExistsException",
        lambda s: s.client.create_secret(Name=s.name, SecretString="x", ClientRequestToken=s.previous),
    ),
    Row(
        "update: a used token",
        "ResourceExistsException",
        lambda s: s.client.update_secret(
            SecretId=s.name, SecretString="two", ClientRequestToken=s.current, Description="after"
        ),
    ),
    Row(
        "put: token of 31 characters",
        "InvalidParameterException",
        lambda s: s.client.put_secret_value(SecretId=s.name, SecretString="x", ClientRequestToken="t" * 31),
    ),
    Row(
        "put: token of 65 characters",
        "InvalidParameterException",
        lambda s: s.client.put_secret_value(SecretId=s.name, SecretString="x", ClientRequestToken="t" * 65),
    ),
    Row(
        "put: 65,537 bytes",
        "ValidationException",
        lambda s: s.client.put_secret_value(SecretId=s.name, SecretString="x" * (KiB64 + 1)),
    ),
    Row(
        "put: 65,537 bytes in fewer characters",
        "ValidationException",
        lambda s: s.client.put_secret_value(SecretId=s.name, SecretString="é" * (KiB64 // 2) + "x"),
    ),
    Row(
        "put: 65,537 bytes of binary",
        "ValidationException",
        lambda s: s.client.put_secret_value(SecretId=s.name, SecretBinary=b"x" * (KiB64 + 1)),
    ),
    Row(
        "update: 65,537 bytes",
        "ValidationException",
        lambda s: s.client.update_secret(SecretId=s.name, SecretString="x" * (KiB64 + 1), Description="after"),
    ),
    Row(
        "put: an empty text",
        "ValidationException",
        lambda s: s.client.put_secret_value(SecretId=s.name, SecretString=""),
    ),
    Row("put: no value", "InvalidRequestException", lambda s: s.client.put_secret_value(SecretId=s.name)),
    Row(
        "put: text and binary",
        "InvalidParameterException",
        lambda s: s.client.put_secret_value(SecretId=s.name, SecretString="x", SecretBinary=b"x"),
    ),
    Row(
        "update: text and binary",
        "InvalidParameterException",
        lambda s: s.client.update_secret(SecretId=s.name, SecretString="x", SecretBinary=b"x", Description="after"),
    ),
    Row(
        "put: 21 labels",
        "ValidationException",
        lambda s: s.client.put_secret_value(SecretId=s.name, SecretString="x", VersionStages=labels(21)),
    ),
    Row(
        "put: 18 more labels beside three",
        "LimitExceededException",
        lambda s: s.client.put_secret_value(SecretId=s.name, SecretString="x", VersionStages=labels(18)),
    ),
    Row(
        "put: an empty list of labels",
        "ValidationException",
        lambda s: s.client.put_secret_value(SecretId=s.name, SecretString="x", VersionStages=[]),
    ),
    Row(
        "label of 257 characters",
        "ValidationException",
        lambda s: s.client.put_secret_value(SecretId=s.name, SecretString="x", VersionStages=["L" * 257]),
    ),
    Row(
        "get: version id with another version's label",
        "InvalidRequestException",
        lambda s: s.client.get_secret_value(SecretId=s.name, VersionId=s.pending, VersionStage="AWSCURRENT"),
    ),
    Row(
        "take AWSCURRENT off without a target",
        "InvalidParameterException",
        lambda s: s.client.update_secret_version_stage(
            SecretId=s.name, VersionStage="AWSCURRENT", RemoveFromVersionId=s.current
        ),
    ),
    Row(
        "move AWSCURRENT without RemoveFromVersionId",
        "InvalidParameterException",
        lambda s: s.client.update_secret_version_stage(
            SecretId=s.name, VersionStage="AWSCURRENT", MoveToVersionId=s.pending
        ),
    ),
    Row(
        "move AWSCURRENT with the wrong RemoveFromVersionId",
        "InvalidParameterException",
        lambda s: s.client.update_secret_version_stage(
            SecretId=s.name, VersionStage="AWSCURRENT", MoveToVersionId=s.pending, RemoveFromVersionId=s.previous
        ),
    ),
    Row(
        "move a label to a version that does not exist",
        "ResourceNotFoundException",
        lambda s: s.client.update_secret_version_stage(
            SecretId=s.name, VersionStage="AWSCURRENT", MoveToVersionId=token(), RemoveFromVersionId=s.current
        ),
    ),
    Row(
        "create: a blank in the name",
        "ValidationException",
        lambda s: s.client.create_secret(Name="a b", SecretString="x"),
    ),
    Row("create: * in the name", "ValidationException", lambda s: s.client.create_secret(Name="a*b", SecretString="x")),
    Row(
        "create: 513 characters",
        "ValidationException",
        lambda s: s.client.create_secret(Name="n" * 513, SecretString="x"),
    ),
    Row(
        "describe: a name no secret can have", "ValidationException", lambda s: s.client.describe_secret(SecretId="a b")
    ),
    Row(
        "tag: 50 beside one",
        "InvalidParameterException",
        lambda s: s.client.tag_resource(SecretId=s.name, Tags=tags(50)),
    ),
    Row(
        "tag: aws: prefix",
        "InvalidParameterException",
        lambda s: s.client.tag_resource(SecretId=s.name, Tags=[{"Key": "aws:owner", "Value": "x"}]),
    ),
    Row(
        "tag: the same key twice",
        "InvalidParameterException",
        lambda s: s.client.tag_resource(SecretId=s.name, Tags=[{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}]),
    ),
    Row(
        "tag: a key of 129 characters",
        "ValidationException",
        lambda s: s.client.tag_resource(SecretId=s.name, Tags=[{"Key": "k" * 129, "Value": "x"}]),
    ),
    Row(
        "create: 51 tags",
        "InvalidParameterException",
        lambda s: s.client.create_secret(Name=f"strict/{token()}", SecretString="x", Tags=tags(51)),
    ),
    Row(
        "batch: 21 ids",
        "ValidationException",
        lambda s: s.client.batch_get_secret_value(SecretIdList=[s.name] * 21),
    ),
    Row(
        "batch: MaxResults 21",
        "ValidationException",
        lambda s: s.client.batch_get_secret_value(Filters=[{"Key": "name", "Values": ["x"]}], MaxResults=21),
    ),
    Row(
        "batch: ids and filters",
        "InvalidParameterException",
        lambda s: s.client.batch_get_secret_value(SecretIdList=[s.name], Filters=[{"Key": "name", "Values": ["x"]}]),
    ),
    Row("list: MaxResults 101", "ValidationException", lambda s: s.client.list_secrets(MaxResults=101)),
    Row(
        "list versions: MaxResults 101",
        "ValidationException",
        lambda s: s.client.list_secret_version_ids(SecretId=s.name, MaxResults=101),
    ),
    Row(
        "policy: not JSON",
        "MalformedPolicyDocumentException",
        lambda s: s.client.put_resource_policy(SecretId=s.name, ResourcePolicy="not json"),
    ),
    Row(
        "policy: a statement without a principal",
        "MalformedPolicyDocumentException",
        lambda s: s.client.put_resource_policy(
            SecretId=s.name,
            ResourcePolicy=json.dumps({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}),
        ),
    ),
    Row(
        "policy: public, with BlockPublicPolicy",
        "PublicPolicyException",
        lambda s: s.client.put_resource_policy(
            SecretId=s.name,
            BlockPublicPolicy=True,
            ResourcePolicy=json.dumps(
                {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}
            ),
        ),
    ),
    Row(
        "delete: a recovery window of 6 days",
        "InvalidParameterException",
        lambda s: s.client.delete_secret(SecretId=s.name, RecoveryWindowInDays=6),
    ),
    Row(
        "delete: a recovery window and force",
        "InvalidParameterException",
        lambda s: s.client.delete_secret(SecretId=s.name, RecoveryWindowInDays=7, ForceDeleteWithoutRecovery=True),
    ),
    Row(
        "rotate: no function",
        "InvalidRequestException",
        lambda s: s.client.rotate_secret(SecretId=s.name, ClientRequestToken=token()),
    ),
]

# Calls that AWS refuses on a secret marked for deletion; its name cannot be used either.
DELETED = [
    Row("get", "InvalidRequestException", lambda s: s.client.get_secret_value(SecretId=s.name)),
    Row("put", "InvalidRequestException", lambda s: s.client.put_secret_value(SecretId=s.name, SecretString="x")),
    Row("update", "InvalidRequestException", lambda s: s.client.update_secret(SecretId=s.name, Description="after")),
    Row("tag", "InvalidRequestException", lambda s: s.client.tag_resource(SecretId=s.name, Tags=tags(1))),
    Row("untag", "InvalidRequestException", lambda s: s.client.untag_resource(SecretId=s.name, TagKeys=["team"])),
    Row(
        "move a label",
        "InvalidRequestException",
        lambda s: s.client.update_secret_version_stage(
            SecretId=s.name, VersionStage="AWSCURRENT", MoveToVersionId=s.pending, RemoveFromVersionId=s.current
        ),
    ),
    Row(
        "replicate",
        "InvalidRequestException",
        lambda s: s.client.replicate_secret_to_regions(SecretId=s.name, AddReplicaRegions=[{"Region": "eu-west-1"}]),
    ),
    Row(
        "put a policy",
        "InvalidRequestException",
        lambda s: s.client.put_resource_policy(
            SecretId=s.name,
            ResourcePolicy=json.dumps(
                {
                    "Statement": [
                        {
                            "Effect": "Deny",
                            "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
                            "Action": "secretsmanager:DeleteSecret",
                            "Resource": "*",
                        }
                    ]
                }
            ),
        ),
    ),
    Row("rotate", "InvalidRequestException", lambda s: s.client.rotate_secret(SecretId=s.name)),
    Row(
        "use its name again",
        "InvalidRequestException",
        lambda s: s.client.create_secret(Name=s.name, SecretString="x"),
    ),
    Row("delete again", "InvalidRequestException", lambda s: s.client.delete_secret(SecretId=s.name)),
]


def refused(row: Row, subject: Subject) -> ClientError:
    with pytest.raises(ClientError) as caught:
        row.call(subject)
    assert caught.value.response["Error"]["Code"] == row.code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return caught.value


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.what)
def test_is_refused_as_on_aws_and_nothing_changes(row: Row, subject: Subject) -> None:
    before = subject.state()
    refused(row, subject)
    assert subject.state() == before


@pytest.mark.parametrize("row", DELETED, ids=lambda row: row.what)
def test_a_deleted_secret_refuses_and_comes_back_unchanged(row: Row, subject: Subject) -> None:
    before = subject.state()
    subject.client.delete_secret(SecretId=subject.name, RecoveryWindowInDays=7)
    refused(row, subject)
    subject.client.restore_secret(SecretId=subject.name)
    assert subject.state() == before


def test_no_refusal_repeats_the_value(subject: Subject) -> None:
    canary = f"canary-{uuid.uuid4()}"
    too_long = Row(
        "",
        "ValidationException",
        lambda s: s.client.put_secret_value(SecretId=s.name, SecretString=canary * 2000),
    )
    other = Row(
        "",
        "ResourceExistsException",
        lambda s: s.client.put_secret_value(SecretId=s.name, SecretString=canary, ClientRequestToken=s.current),
    )
    for row in (too_long, other):
        assert canary not in str(refused(row, subject).response)
