"""Who works on an encrypted queue, topic, bucket or table must be allowed to use its key.

AWS checks the caller's kms: permission, with `kms:ViaService` and the service's encryption context, on every call
that opens or seals data under a customer key. MiniStack does not. Keys that AWS manages are open to the account.
What DynamoDB asks of a caller is unverified; Decrypt is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import dynamodb, kms, s3, sns, sqs

_SEAL, _OPEN = "kms:GenerateDataKey", "kms:Decrypt"


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What a call does with a key: the kms: actions, and the condition keys of those calls."""

    key_arn: str
    actions: tuple[str, ...]
    context: dict[str, Any]


# IAM action: what it does with the key of the resource it names.
_ACTIONS: dict[str, tuple[str, ...]] = {
    "sqs:SendMessage": (_SEAL, _OPEN),
    "sqs:ReceiveMessage": (_OPEN,),
    "sns:Publish": (_SEAL, _OPEN),
    "s3:PutObject": (_SEAL,),
    "s3:GetObject": (_OPEN,),
    **dict.fromkeys(
        (
            "dynamodb:GetItem",
            "dynamodb:BatchGetItem",
            "dynamodb:Query",
            "dynamodb:Scan",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            "dynamodb:DeleteItem",
            "dynamodb:BatchWriteItem",
            "dynamodb:ConditionCheckItem",
        ),
        (_OPEN,),
    ),
}


def of(action: str, resource_arn: str, region: str) -> KeyUse | None:
    """The use of a customer key that comes with this action on this resource; None when there is none."""
    actions = _ACTIONS.get(action)
    if actions is None or not resource_arn.startswith("arn:"):
        return None
    service = action.partition(":")[0]
    key_id, names = _LOOKUPS[service](resource_arn)
    key = kms._resolve_key(key_id) if key_id and not _aws_manages(key_id) else None
    if key is None:
        return None
    context: dict[str, Any] = {
        "kms:ViaService": f"{service}.{region}.amazonaws.com",
        "kms:CallerAccount": get_account_id(),
        "kms:EncryptionContextKeys": list(names),
    }
    return KeyUse(key["Arn"], actions, context | {f"kms:EncryptionContext:{name}": names[name] for name in names})


def _aws_manages(key_id: str) -> bool:
    return key_id.rpartition(":")[2].startswith("alias/aws/")


Found = tuple[str | None, dict[str, str]]


def _of_queue(arn: str) -> Found:
    queue = sqs._queue_by_arn(arn)
    return (queue["attributes"].get("KmsMasterKeyId") if queue else None), {"aws:sqs:arn": arn}


def _of_topic(arn: str) -> Found:
    topic = sns._topic_by_arn_any_scope(arn)
    return (topic.get("attributes", {}).get("KmsMasterKeyId") if topic else None), {"aws:sns:topicArn": arn}


def _of_bucket(arn: str) -> Found:
    bucket = arn.split(":::", 1)[-1].partition("/")[0]
    headers = s3._bucket_default_sse_headers(bucket)
    return headers.get("x-amz-server-side-encryption-aws-kms-key-id"), {"aws:s3:arn": arn}


def _of_table(arn: str) -> Found:
    name = arn.partition(":table/")[2].partition("/")[0]
    described = (dynamodb._tables.get(name) or {}).get("SSEDescription") or {}
    return described.get("KMSMasterKeyArn"), {"aws:dynamodb:tableName": name}


_LOOKUPS: dict[str, Callable[[str], Found]] = {
    "sqs": _of_queue,
    "sns": _of_topic,
    "s3": _of_bucket,
    "dynamodb": _of_table,
}
