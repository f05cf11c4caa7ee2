"""CloudTrail records of Secrets Manager: who called what on which secret, and how it ended. Never a value.

Fields of a request are copied by an allow-list, so that a member added to the API tomorrow stays out.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ministack.core.iam_evaluator import ResolvedCredential
from ministack.services import iam as iam_service
from ministack.services import sts

Record = dict[str, Any]

EVENT_VERSION = "1.11"
SOURCE = "secretsmanager.amazonaws.com"

# Names, ids and choices. Texts of the caller (descriptions, tags, policies) are left out with the values.
_REQUEST_MEMBERS = (
    "Name",
    "SecretId",
    "VersionId",
    "VersionStage",
    "VersionStages",
    "ClientRequestToken",
    "MoveToVersionId",
    "RemoveFromVersionId",
    "KmsKeyId",
    "RotationLambdaARN",
    "RotationRules",
    "RotateImmediately",
    "RecoveryWindowInDays",
    "ForceDeleteWithoutRecovery",
    "SecretIdList",
    "MaxResults",
    "IncludeDeprecated",
    "IncludePlannedDeletion",
    "TagKeys",
)
_RESPONSE_MEMBERS = ("ARN", "Name", "VersionId", "DeletionDate")
_READS = ("Get", "List", "Describe", "BatchGet", "Validate")


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the service as it was served; ``answer`` is the body that the caller got."""

    action: str
    data: dict[str, Any]
    status: int
    answer: dict[str, Any]
    caller: ResolvedCredential
    request_id: str
    account: str
    region: str
    source_ip: str
    user_agent: str
    host: str


def of_call(call: Call) -> Iterator[Record]:
    """The record of a call; BatchGetSecretValue also makes one GetSecretValue for each secret."""
    yield _record(call, call.action, _chosen(call.data, _REQUEST_MEMBERS))
    if call.action == "BatchGetSecretValue" and call.status == 200:
        for value in call.answer.get("SecretValues", []):
            parameters = {"secretId": value["ARN"], "versionId": value["VersionId"]}
            yield _record(call, "GetSecretValue", parameters)
        for error in call.answer.get("Errors", []):
            failure = _failure(error.get("ErrorCode", ""), error.get("Message", ""))
            yield _record(call, "GetSecretValue", {"secretId": error["SecretId"]}) | failure


def of_service_event(name: str, secret_arn: str, error: str | None = None) -> Record:
    """The record of something that the service did by itself, such as RotationSucceeded: there is no caller."""
    _, _, _, region, account, *_ = secret_arn.split(":")
    record: Record = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": {"accountId": account, "invokedBy": SOURCE},
        **_when(name, region),
        "sourceIPAddress": SOURCE,
        "userAgent": SOURCE,
        "requestParameters": None,
        "responseElements": None,
        "additionalEventData": {"SecretId": secret_arn},
        "requestID": str(uuid.uuid4()),
        "readOnly": False,
        "eventType": "AwsServiceEvent",
        **_management(account),
    }
    if error:
        record["errorMessage"] = error  # unverified: AWS's reference shows no failed rotation
    return record


def is_read(event_name: str) -> bool:
    """Whether CloudTrail marks the event readOnly."""
    return event_name.startswith(_READS)


def _record(call: Call, event_name: str, parameters: dict[str, Any]) -> Record:
    reads, succeeded = is_read(event_name), call.status < 300
    record: Record = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": identity(call.caller),
        **_when(event_name, call.region),
        "sourceIPAddress": call.source_ip,
        "userAgent": call.user_agent,
        "requestParameters": parameters or None,
        "responseElements": None if reads or not succeeded else _chosen(call.answer, _RESPONSE_MEMBERS),
        "requestID": call.request_id,
        "readOnly": reads,
        "eventType": "AwsApiCall",
        **_management(call.account),
        # Loopback is not TLS: version and cipher suite, which AWS gives, would be invented here.
        "tlsDetails": {"clientProvidedHostHeader": call.host},
    }
    if not succeeded:
        message = call.answer.get("message") or call.answer.get("Message") or ""
        record |= _failure(str(call.answer.get("__type", "InternalFailure")), message)
    return record


def _when(event_name: str, region: str) -> Record:
    return {
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "eventSource": SOURCE,
        "eventName": event_name,
        "awsRegion": region,
        "eventID": str(uuid.uuid4()),
    }


def _management(account: str) -> Record:
    return {"managementEvent": True, "recipientAccountId": account, "eventCategory": "Management"}


def _failure(code: str, message: str) -> Record:
    # CloudTrail names a denial AccessDenied where the API says AccessDeniedException.
    name = "AccessDenied" if code == "AccessDeniedException" else code
    return {"errorCode": name, "errorMessage": message, "responseElements": None}


def _chosen(body: dict[str, Any], members: tuple[str, ...]) -> dict[str, Any]:
    """The members by CloudTrail's spelling: secretId, clientRequestToken, arn."""
    return {_spelled(name): body[name] for name in members if body.get(name) is not None}


def _spelled(member: str) -> str:
    return "arn" if member == "ARN" else member[0].lower() + member[1:]


def identity(caller: ResolvedCredential) -> Record:
    """The userIdentity element: Root, IAMUser, or AssumedRole with the role that issued the session."""
    found: Record = {
        "type": "IAMUser" if caller.principal_type == "User" else caller.principal_type,
        "principalId": caller.principal_id,
        "arn": caller.principal_arn,
        "accountId": caller.account_id,
        "accessKeyId": caller.access_key_id,
    }
    if caller.principal_type == "User":
        found["userName"] = caller.principal_name
    if caller.principal_type == "AssumedRole":
        found["sessionContext"] = _session(caller)
    return found


def _session(caller: ResolvedCredential) -> Record:
    role_name = caller.principal_arn.split("/")[1]
    role = iam_service._roles.get_scoped(caller.account_id, None, role_name) or {}
    issued = (sts._sessions.get(caller.access_key_id) or {}).get("IssuedAt") or time.time()
    return {
        "sessionIssuer": {
            "type": "Role",
            "principalId": caller.principal_id.partition(":")[0],
            "arn": role.get("Arn", f"arn:aws:iam::{caller.account_id}:role/{role_name}"),
            "accountId": caller.account_id,
            "userName": role_name,
        },
        "attributes": {
            "creationDate": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(issued)),
            "mfaAuthenticated": "false",
        },
    }
