"""CloudTrail's records of Secrets Manager, as EventBridge delivers them.

Fields are taken by name and nothing else is kept: not values (CloudTrail leaves them out; if one ever came it would be
dropped), not error messages, descriptions, tags or policies. New fields are let through. All text is kept as one
printable line.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from polyvault.contracts.decoding import decode
from polyvault.domain.audit import Actor, ActorType, AuditEvent, EventType, Outcome, printable, secret_name
from polyvault.errors import InvalidInputError

SOURCE = "aws-secrets-manager"
DETAIL_TYPES = ("AWS API Call via CloudTrail", "AWS Service Event via CloudTrail")
EVENT_SOURCE = "secretsmanager.amazonaws.com"

_EVENT_TYPES = {
    "GetSecretValue": EventType.SECRET_READ,
    "CreateSecret": EventType.SECRET_CREATED,
    "PutSecretValue": EventType.SECRET_UPDATED,
    "UpdateSecret": EventType.SECRET_UPDATED,
    "UpdateSecretVersionStage": EventType.SECRET_UPDATED,
    "DeleteSecret": EventType.SECRET_DELETED,
    "RestoreSecret": EventType.SECRET_RESTORED,
    "ListSecrets": EventType.SECRET_LISTED,
    "DescribeSecret": EventType.METADATA_READ,
    "GetResourcePolicy": EventType.METADATA_READ,
    "ListSecretVersionIds": EventType.METADATA_READ,
    "CancelRotateSecret": EventType.METADATA_UPDATED,
    "TagResource": EventType.METADATA_UPDATED,
    "UntagResource": EventType.METADATA_UPDATED,
    "DeleteResourcePolicy": EventType.POLICY_CHANGED,
    "PutResourcePolicy": EventType.POLICY_CHANGED,
    "RotateSecret": EventType.ROTATION_REQUESTED,
    "RotationSucceeded": EventType.ROTATION_SUCCEEDED,
    "RotationFailed": EventType.ROTATION_FAILED,
    "RotationAbandoned": EventType.ROTATION_FAILED,
}
# Events of the service itself name their failure, and have no error code.
_FAILED_EVENTS = frozenset({"RotationFailed", "RotationAbandoned", "ReplicationFailed"})
_USER_TYPES = frozenset({"IAMUser", "Root", "FederatedUser", "SAMLUser", "WebIdentityUser", "IdentityCenterUser"})
_PLAIN_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_YEARS = range(2006, 2101)
_LONG = 2048  # an ARN's largest size

Text = Annotated[str, msgspec.Meta(max_length=65_536)]


class _Struct(msgspec.Struct, frozen=True, rename="camel"):
    """Fields by CloudTrail's names; unknown ones are let through."""


class _SessionIssuer(_Struct, frozen=True, rename="camel"):
    arn: Text | None = None


class _SessionContext(_Struct, frozen=True, rename="camel"):
    session_issuer: _SessionIssuer | None = None


class _Identity(_Struct, frozen=True, rename="camel"):
    type: Text | None = None
    arn: Text | None = None
    principal_id: Text | None = None
    account_id: Text | None = None
    user_name: Text | None = None
    invoked_by: Text | None = None
    session_context: _SessionContext | None = None

    def to_actor(self) -> Actor:
        """Who acted; an identity that names nobody is kept as unknown, not refused."""
        if self.type in ("AssumedRole", "Role"):
            issuer = self.session_context.session_issuer if self.session_context else None
            role = (issuer.arn if issuer else None) or self.arn or self.principal_id
            session = (self.arn or "").rpartition("/")[2] or (self.principal_id or "").rpartition(":")[2]
            return _actor(role, ActorType.ROLE, session)
        if self.type in _USER_TYPES:
            name = self.user_name or ("root" if self.type == "Root" else None)
            return _actor(self.arn or self.principal_id or self.user_name, ActorType.USER, name)
        if self.invoked_by:
            return _actor(self.invoked_by, ActorType.SERVICE, None)
        return _actor(self.arn or self.principal_id or self.account_id, ActorType.UNKNOWN, None)


class _Request(_Struct, frozen=True, rename="camel"):
    secret_id: Text | None = None
    name: Text | None = None
    version_id: Text | None = None
    version_stage: Text | None = None
    client_request_token: Text | None = None
    move_to_version_id: Text | None = None
    remove_from_version_id: Text | None = None


class _Response(_Struct, frozen=True, rename="camel"):
    arn: Text | None = None
    old_arn: Text | None = msgspec.field(name="aRN", default=None)  # as some operations spelled it until 2024
    version_id: Text | None = None


class _Additional(_Struct, frozen=True, rename="pascal"):
    secret_id: Text | None = None


class _ServiceDetails(_Struct, frozen=True, rename="camel"):
    secret_id: Text | None = None


class _Resource(msgspec.Struct, frozen=True):
    arn: Text | None = msgspec.field(name="ARN", default=None)
    type: Text | None = None


class _Record(_Struct, frozen=True, rename="camel"):
    event_id: Annotated[str, msgspec.Meta(min_length=1)] = msgspec.field(name="eventID")
    event_time: Text
    event_source: Text
    event_name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    aws_region: Text | None = None
    user_identity: _Identity | None = None
    source_ip_address: Text | None = msgspec.field(name="sourceIPAddress", default=None)
    user_agent: Text | None = None
    error_code: Text | None = None
    request_parameters: _Request | None = None
    response_elements: _Response | None = None
    additional_event_data: _Additional | None = None
    service_event_details: _ServiceDetails | None = None
    resources: tuple[_Resource, ...] | None = None
    request_id: Text | None = msgspec.field(name="requestID", default=None)
    recipient_account_id: Text | None = None


class _Envelope(msgspec.Struct, frozen=True):
    detail_type: Text = msgspec.field(name="detail-type")
    detail: _Record


def parse(body: str) -> AuditEvent:
    """The audit event in one EventBridge event; InvalidInputError when it is not one of Secrets Manager's."""
    envelope = decode(_Envelope, body)
    record = envelope.detail
    if envelope.detail_type not in DETAIL_TYPES:
        raise InvalidInputError("$.detail-type", "is not an event of CloudTrail")
    if record.event_source != EVENT_SOURCE:
        raise InvalidInputError("$.detail.eventSource", f"is not {EVENT_SOURCE}")
    secret_id = _secret_id(record)
    return AuditEvent(
        event_id=_event_id(record.event_id),
        occurred_at=_instant(record.event_time),
        event_type=_EVENT_TYPES.get(record.event_name, EventType.OTHER),
        outcome=_outcome(record),
        actor=(record.user_identity or _Identity()).to_actor(),
        source=SOURCE,
        secret=_line(secret_name(secret_id), _LONG) if secret_id else None,
        ip_address=_line(record.source_ip_address, 256),
        user_agent=_line(record.user_agent),
        error_code=_line(record.error_code, 128),
        detail=_detail(record, secret_id),
    )


def _secret_id(record: _Record) -> str | None:
    """The best name for the secret that the record holds: whole ARNs before what the caller typed."""
    response, request = record.response_elements, record.request_parameters
    of_resources = next((r.arn for r in record.resources or () if r.arn and ":secretsmanager:" in r.arn), None)
    told = (
        (response and (response.arn or response.old_arn)),
        of_resources,
        (record.additional_event_data and record.additional_event_data.secret_id),
        (record.service_event_details and record.service_event_details.secret_id),
        (request and (request.secret_id or request.name)),
    )
    return next((secret_id for secret_id in told if secret_id), None)


def _outcome(record: _Record) -> Outcome:
    if record.error_code:
        return Outcome.DENIED if record.error_code.startswith("AccessDenied") else Outcome.ERROR
    return Outcome.ERROR if record.event_name in _FAILED_EVENTS else Outcome.SUCCESS


def _detail(record: _Record, secret_id: str | None) -> dict[str, str]:
    request, response = record.request_parameters or _Request(), record.response_elements or _Response()
    found = {
        "eventName": record.event_name,
        "region": record.aws_region,
        "account": record.recipient_account_id,
        "requestId": record.request_id,
        "secretArn": secret_id if secret_id and secret_id.startswith("arn:") else None,
        "versionId": response.version_id or request.version_id or request.client_request_token,
        "versionStage": request.version_stage,
        "moveToVersionId": request.move_to_version_id,
        "removeFromVersionId": request.remove_from_version_id,
        "invokedBy": record.user_identity.invoked_by if record.user_identity else None,
    }
    return {key: printable(text, limit=_LONG) for key, text in found.items() if text}


def _event_id(native: str) -> str:
    """CloudTrail's own id; anything else in its place by its digest, which still tells events apart."""
    if _PLAIN_ID.fullmatch(native):
        return native
    return "sha256:" + hashlib.sha256(native.encode(errors="backslashreplace")).hexdigest()


def _instant(text: str) -> datetime:
    try:
        instant = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        instant = None
    if instant is None or instant.year not in _YEARS:
        raise InvalidInputError("$.detail.eventTime", "is not a UTC time such as 2026-01-05T12:00:00Z")
    return instant


def _actor(actor_id: str | None, actor_type: ActorType, name: str | None) -> Actor:
    return Actor(_line(actor_id, _LONG) or "unknown", actor_type, _line(name))


def _line(text: str | None, limit: int = 512) -> str | None:
    return printable(text, limit=limit) if text else None
