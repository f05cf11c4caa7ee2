"""Whose role may not use the key may not use what the key protects, also where AWS calls the key for them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import ACCOUNT, REGION, eventually
from tests.local.policies import allow, denied, document

pytestmark = pytest.mark.cloud

Aws = Callable[..., Any]


@pytest.fixture
def key(aws: Aws) -> str:
    """The ARN of a customer key with the default policy: the account's own policies decide."""
    return str(aws("kms").create_key()["KeyMetadata"]["Arn"])


def test_a_customer_key_opens_only_for_roles_that_may_use_it(aws: Aws, as_role: Any, secret: Any, key: str) -> None:
    arn = secret(KmsKeyId=key)
    without = as_role(allow("secretsmanager:*"))("secretsmanager")
    for call in (
        lambda: without.get_secret_value(SecretId=arn),
        lambda: without.put_secret_value(SecretId=arn, SecretString="two"),
        lambda: without.update_secret(SecretId=arn, SecretString="two"),
        lambda: without.create_secret(Name=f"iam/{uuid.uuid4()}", SecretString="x", KmsKeyId=key),
    ):
        assert denied(call) == "Access to KMS is not allowed"
    assert without.describe_secret(SecretId=arn)["KmsKeyId"] == key
    assert aws("secretsmanager").get_secret_value(SecretId=arn)["SecretString"] == "one"
    via = {"StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}}
    reader = as_role(allow("secretsmanager:*"), allow("kms:Decrypt", on=key, when=via))("secretsmanager")
    assert reader.get_secret_value(SecretId=arn)["SecretString"] == "one"
    assert denied(lambda: reader.put_secret_value(SecretId=arn, SecretString="two")) == "Access to KMS is not allowed"
    writer = as_role(allow("secretsmanager:*"), allow("kms:GenerateDataKey", on=key, when=via))("secretsmanager")
    assert writer.put_secret_value(SecretId=arn, SecretString="two")["VersionStages"] == ["AWSCURRENT"]


def test_a_key_grant_for_one_secret_opens_no_other(as_role: Any, secret: Any, key: str) -> None:
    mine, other = secret(KmsKeyId=key), secret(KmsKeyId=key)
    bound = {"StringEquals": {"kms:EncryptionContext:SecretARN": mine}}
    service = as_role(allow("secretsmanager:GetSecretValue"), allow("kms:Decrypt", on=key, when=bound))(
        "secretsmanager"
    )
    assert service.get_secret_value(SecretId=mine)["SecretString"] == "one"
    assert denied(lambda: service.get_secret_value(SecretId=other)) == "Access to KMS is not allowed"


def test_a_key_grant_by_name_covers_a_secret_that_is_made(as_role: Any, key: str) -> None:
    name = f"made-{uuid.uuid4()}"
    arn = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-*"
    bound = {"StringLike": {"kms:EncryptionContext:SecretARN": arn}}
    use = allow("kms:GenerateDataKey", "kms:Decrypt", on=key, when=bound)
    service = as_role(allow("secretsmanager:CreateSecret"), use)("secretsmanager")
    assert service.create_secret(Name=name, SecretString="x", KmsKeyId=key)["VersionId"]
    assert denied(lambda: service.create_secret(Name=f"other-{name}", SecretString="x", KmsKeyId=key))


def test_a_grant_through_secrets_manager_does_not_open_the_key_itself(aws: Aws, as_role: Any, key: str) -> None:
    sealed = aws("kms").encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    via = {"StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}}
    denied(lambda: as_role(allow("kms:Decrypt", on=key, when=via))("kms").decrypt(CiphertextBlob=sealed))


def test_a_disabled_key_opens_for_nobody(aws: Aws, secret: Any, key: str) -> None:
    arn = secret(KmsKeyId=key)
    aws("kms").disable_key(KeyId=key)
    for call, code in (
        (lambda: aws("secretsmanager").get_secret_value(SecretId=arn), "DecryptionFailure"),
        (lambda: aws("secretsmanager").put_secret_value(SecretId=arn, SecretString="two"), "EncryptionFailure"),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == code
    aws("kms").enable_key(KeyId=key)
    assert aws("secretsmanager").get_secret_value(SecretId=arn)["SecretString"] == "one"


@pytest.fixture
def queue(aws: Aws, key: str) -> tuple[str, str]:
    """URL and ARN of a queue under a customer key."""
    name = f"iam-{uuid.uuid4().hex[:8]}"
    url = aws("sqs").create_queue(QueueName=name, Attributes={"KmsMasterKeyId": key})["QueueUrl"]
    return url, f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def test_an_encrypted_queue_needs_the_key_too(as_role: Any, queue: tuple[str, str], key: str) -> None:
    url, arn = queue
    via = {"StringEquals": {"kms:ViaService": f"sqs.{REGION}.amazonaws.com"}}
    sender = as_role(allow("sqs:SendMessage", on=arn), allow("kms:GenerateDataKey", "kms:Decrypt", on=key, when=via))
    receiver = as_role(allow("sqs:ReceiveMessage", on=arn), allow("kms:Decrypt", on=key, when=via))
    without = as_role(allow("sqs:*", on=arn))("sqs")
    entries = [{"Id": "1", "MessageBody": "x"}]
    assert sender("sqs").send_message_batch(QueueUrl=url, Entries=entries)["Successful"]
    message = denied(lambda: without.send_message(QueueUrl=url, MessageBody="x"), status=403)
    assert f"kms:GenerateDataKey on resource: {key}" in message
    assert "kms:Decrypt" in denied(lambda: without.receive_message(QueueUrl=url), status=403)
    assert receiver("sqs").receive_message(QueueUrl=url)["Messages"][0]["Body"] == "x"


def test_an_encrypted_bucket_and_table_need_the_key_too(aws: Aws, as_role: Any, key: str) -> None:
    name = f"iam-{uuid.uuid4().hex[:8]}"
    aws("s3").create_bucket(Bucket=name)
    default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    aws("s3").put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [default]})
    aws("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
        BillingMode="PAY_PER_REQUEST",
    )
    data = allow("s3:*", "dynamodb:*")
    without = as_role(data)
    denied(lambda: without("s3").put_object(Bucket=name, Key="k", Body=b"x"), status=403)
    denied(lambda: without("dynamodb").put_item(TableName=name, Item={"pk": {"S": "a"}}))
    using = as_role(data, allow("kms:GenerateDataKey", "kms:Decrypt", on=key))
    using("s3").put_object(Bucket=name, Key="k", Body=b"x")
    using("dynamodb").put_item(TableName=name, Item={"pk": {"S": "a"}})
    denied(lambda: without("s3").get_object(Bucket=name, Key="k"), status=403)
    denied(lambda: without("dynamodb").scan(TableName=name))


def test_a_rule_delivers_to_an_encrypted_queue_only_when_the_key_lets_it(
    aws: Aws, queue: tuple[str, str], key: str
) -> None:
    url, arn = queue
    name = f"rule-{uuid.uuid4().hex[:8]}"
    aws("events").put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    service = {"Service": "events.amazonaws.com"}
    send = {"Effect": "Allow", "Principal": service, "Action": "sqs:SendMessage", "Resource": arn}
    no_http = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": arn}
    no_http["Condition"] = {"Bool": {"aws:SecureTransport": "false"}}
    aws("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(send, no_http)})
    aws("events").put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])

    def published(detail: str) -> list[str]:
        aws("events").put_events(Entries=[{"Source": name, "DetailType": detail, "Detail": "{}"}])
        messages = aws("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", [])
        return [json.loads(message["Body"])["detail-type"] for message in messages]

    assert published("before") == []
    account = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*"}
    rules = {
        "Effect": "Allow",
        "Principal": service,
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    }
    policy = document(account | {"Resource": "*"}, rules | {"Resource": "*"})
    aws("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=policy)
    assert published("after") == ["after"]


def test_a_mapping_needs_a_role_that_may_read_the_queue(
    aws: Aws, role_of: Any, deploy: Any, queue: tuple[str, str], key: str
) -> None:
    _, arn = queue
    reads = allow("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", on=arn)
    source = "def handler(event, context):\n    return None\n"
    for role in (role_of(), role_of(reads)):
        with pytest.raises(ClientError) as caught:
            aws("lambda").create_event_source_mapping(
                FunctionName=deploy(source, Role=role), EventSourceArn=arn, Enabled=False
            )
        assert caught.value.response["Error"]["Code"] == "InvalidParameterValueException"
        assert "ReceiveMessage" in caught.value.response["Error"]["Message"]
    function = deploy(source, Role=role_of(reads, allow("kms:Decrypt", on=key)))
    made = aws("lambda").create_event_source_mapping(FunctionName=function, EventSourceArn=arn, Enabled=False)
    assert made["EventSourceArn"] == arn
    aws("lambda").delete_event_source_mapping(UUID=made["UUID"])


def test_an_encrypted_topic_needs_the_key_too(aws: Aws, as_role: Any, key: str) -> None:
    name = f"iam-{uuid.uuid4().hex[:8]}"
    topic = aws("sns").create_topic(Name=name, Attributes={"KmsMasterKeyId": key})["TopicArn"]
    publish = allow("sns:Publish", on=topic)
    without, using = as_role(publish), as_role(publish, allow("kms:GenerateDataKey", "kms:Decrypt", on=key))
    entries = [{"Id": "1", "Message": "x"}]
    assert using("sns").publish(TopicArn=topic, Message="x")["MessageId"]
    assert using("sns").publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)["Successful"]
    with pytest.raises(ClientError) as caught:
        without("sns").publish(TopicArn=topic, Message="x")
    assert caught.value.response["Error"]["Code"] == "AuthorizationError"
    assert "kms:GenerateDataKey" in caught.value.response["Error"]["Message"]


def test_a_failed_event_is_handed_on_only_by_a_role_that_may_write(
    aws: Aws, role_of: Any, deploy: Any, queue: tuple[str, str], key: str
) -> None:
    url, arn = queue
    source = "def handler(event, context):\n    raise ValueError\n"
    send = allow("sqs:SendMessage", on=arn)
    roles = {
        "nothing": role_of(),
        "no key": role_of(send),
        "all": role_of(send, allow("kms:GenerateDataKey", "kms:Decrypt", on=key)),
    }
    for name, role in roles.items():
        function = deploy(source, Role=role)
        aws("lambda").put_function_event_invoke_config(
            FunctionName=function,
            MaximumRetryAttempts=0,
            DestinationConfig={"OnFailure": {"Destination": arn}},
        )
        aws("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps({"from": name}))

    def received() -> list[str]:
        messages = aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [json.loads(message["Body"])["requestPayload"]["from"] for message in messages.get("Messages", [])]

    assert eventually(received) == ["all"]
    time.sleep(0.5)  # the other two were asked first: their events would be there by now
    assert received() == ["all"]
