"""Condition keys of IAM that MiniStack does not know, from the request's body and from the resource it names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ministack.services import dynamodb
from ministack.services import secretsmanager as sm

# Members of a Secrets Manager request whose key has the member's own name.
_SECRET_REQUEST_KEYS = (
    "Name",
    "Description",
    "KmsKeyId",
    "SecretId",
    "VersionId",
    "VersionStage",
    "RotationLambdaARN",
    "RecoveryWindowInDays",
    "ForceDeleteWithoutRecovery",
    "BlockPublicPolicy",
)
# A key value that no policy can hold: an operation whose partition keys are unknown must not pass as "no keys".
_UNKNOWN_LEADING_KEY = "\0"


def of_request(service: str, body: bytes) -> dict[str, Any]:
    """The keys that a request carries in its body; none when the body is not a JSON object."""
    try:
        data = json.loads(body or b"{}")
    except ValueError:
        return {}
    if not isinstance(data, dict):
        return {}
    if service == "secretsmanager":
        return _of_secret_request(data)
    if service == "kms":
        return _of_kms_request(data)
    if service == "dynamodb":
        keys = leading_keys(data)
        return {"dynamodb:LeadingKeys": keys} if keys else {}
    return {}


def of_resource(service: str, resource_arn: str) -> dict[str, Any]:
    """The keys that describe the resource: its tags and, for a secret, its rotation function."""
    if service != "secretsmanager":
        return {}
    _, secret = sm._resolve(resource_arn) if resource_arn.startswith("arn:") else (None, None)
    if not secret:
        return {}
    keys: dict[str, Any] = {f"{service}:ResourceTag/{tag['Key']}": tag["Value"] for tag in secret.get("Tags") or []}
    keys["secretsmanager:SecretPrimaryRegion"] = secret.get("_PrimaryRegion") or secret["ARN"].split(":")[3]
    if secret.get("RotationLambdaARN"):
        keys["secretsmanager:resource/AllowRotationLambdaArn"] = secret["RotationLambdaARN"]
    return keys


def of_kms_use(secret_arn: str, version_id: str | None, region: str, account: str) -> dict[str, Any]:
    """The keys of a KMS call that Secrets Manager makes on behalf of its caller."""
    keys: dict[str, Any] = {
        "kms:ViaService": f"secretsmanager.{region}.amazonaws.com",
        "kms:CallerAccount": account,
        "kms:EncryptionContextKeys": ["SecretARN", "SecretVersionId"],
        "kms:EncryptionContext:SecretARN": secret_arn,
    }
    if version_id:
        keys["kms:EncryptionContext:SecretVersionId"] = version_id
    return keys


def _of_secret_request(data: Mapping[str, Any]) -> dict[str, Any]:
    keys = {
        f"secretsmanager:{name}": str(data[name]).lower() if isinstance(data[name], bool) else data[name]
        for name in _SECRET_REQUEST_KEYS
        if data.get(name) is not None
    }
    if "SecretId" in data:
        _, secret = sm._resolve(data["SecretId"])
        keys["secretsmanager:SecretId"] = secret["ARN"] if secret else data["SecretId"]
    return keys


def _of_kms_request(data: Mapping[str, Any]) -> dict[str, Any]:
    context = data.get("EncryptionContext")
    if not isinstance(context, dict) or not context:
        return {}
    return {
        "kms:EncryptionContextKeys": list(context),
        **{f"kms:EncryptionContext:{name}": value for name, value in context.items()},
    }


def leading_keys(data: Mapping[str, Any]) -> list[str]:
    """The partition key values a DynamoDB request names; one impossible value when they cannot be told."""
    if "RequestItems" in data and isinstance(data["RequestItems"], dict):
        return [key for table, work in data["RequestItems"].items() for key in _of_batch(table, work)]
    if "TransactItems" in data and isinstance(data["TransactItems"], list):
        items = [detail for item in data["TransactItems"] if isinstance(item, dict) for detail in item.values()]
        return [_of_item(detail.get("TableName", ""), detail) for detail in items if isinstance(detail, dict)]
    if not isinstance(data.get("TableName"), str):
        return []
    if "Key" in data or "Item" in data:
        return [_of_item(data["TableName"], data)]
    if "KeyConditionExpression" in data:
        return [_of_query(data)]
    return [_UNKNOWN_LEADING_KEY]


def _of_batch(table: str, work: Any) -> list[str]:
    """BatchGetItem gives a mapping with Keys, BatchWriteItem a list of puts and deletes."""
    if isinstance(work, dict):
        return [_of_item(table, {"Key": key}) for key in work.get("Keys") or []]
    requests = [detail for entry in work or [] if isinstance(entry, dict) for detail in entry.values()]
    return [_of_item(table, detail) for detail in requests if isinstance(detail, dict)]


def _of_item(table: str, data: Mapping[str, Any]) -> str:
    item = data.get("Key") or data.get("Item") or {}
    return _scalar(item.get(_partition_key(table, None)))


def _of_query(data: Mapping[str, Any]) -> str:
    """The value that the expression sets equal to the partition key: `#pk = :pk`, alone or first of an AND."""
    partition_key = _partition_key(data["TableName"], data.get("IndexName"))
    names = data.get("ExpressionAttributeNames") or {}
    for term in data["KeyConditionExpression"].replace(" and ", " AND ").split(" AND "):
        name, equals, value = (part.strip(" ()") for part in term.partition("="))
        if equals and names.get(name, name) == partition_key:
            return _scalar((data.get("ExpressionAttributeValues") or {}).get(value))
    return _UNKNOWN_LEADING_KEY


def _partition_key(table: str, index: str | None) -> str | None:
    record = dynamodb._tables.get(table.rsplit("/", 1)[-1])
    if not record:
        return None
    schema = record.get("KeySchema") or []
    if index:
        indexes = [*(record.get("GlobalSecondaryIndexes") or []), *(record.get("LocalSecondaryIndexes") or [])]
        schema = next((known["KeySchema"] for known in indexes if known.get("IndexName") == index), [])
    return next((key["AttributeName"] for key in schema if key.get("KeyType") == "HASH"), None)


def _scalar(value: Any) -> str:
    """The text of an attribute value such as {"S": "a"}."""
    if not isinstance(value, dict) or len(value) != 1:
        return _UNKNOWN_LEADING_KEY
    return str(next(iter(value.values())))
