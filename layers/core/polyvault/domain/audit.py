# ruff: noqa: S105 - names of events begin with "secret"
"""Audit events: what happened to which secret, by whom. Never a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from polyvault.errors import InvalidInputError

MAX_EVENT_ID = 1024


class EventType(StrEnum):
    """What was done. The words are the guide's; OCSF's activity is derived from them."""

    SECRET_READ = "secret.read"
    SECRET_CREATED = "secret.created"
    SECRET_UPDATED = "secret.updated"
    SECRET_DELETED = "secret.deleted"
    SECRET_RESTORED = "secret.restored"
    SECRET_LISTED = "secret.listed"
    METADATA_READ = "secret.metadata-read"
    METADATA_UPDATED = "secret.metadata-updated"
    POLICY_CHANGED = "secret.policy-changed"
    ROTATION_REQUESTED = "rotation.requested"
    ROTATION_STEP = "rotation.step"
    ROTATION_SUCCEEDED = "rotation.succeeded"
    ROTATION_FAILED = "rotation.failed"
    SYNC_CONFIGURED = "sync.configured"
    SYNC_REQUESTED = "sync.requested"
    SYNC_STARTED = "sync.started"
    SYNC_ITEM = "sync.item"
    SYNC_FINISHED = "sync.finished"
    REPORT_WRITTEN = "report.written"
    AUDIT_QUERIED = "audit.queried"
    OTHER = "other"


class Outcome(StrEnum):
    """How it ended. Denied is kept apart from error: only the first is an attack's shape."""

    SUCCESS = "success"
    DENIED = "denied"
    ERROR = "error"


class ActorType(StrEnum):
    """Who acted."""

    USER = "user"
    ROLE = "role"
    SERVICE = "service"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Actor:
    """The principal: ``id`` is an ARN or the vault's own id; ``name`` is what people call it."""

    id: str
    type: ActorType = ActorType.UNKNOWN
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, through the API: as the API's own authoriser says, never as a header claims."""

    actor: Actor
    ip_address: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One event. ``event_id`` is the dedupe key: the source's own id, or one derived from what makes it unique.

    ``source`` is ``polyvault`` for our own operations, else the provider. ``detail`` holds short words and numbers
    about the event (step, version id, error code), never a value, a length of a value, or a token.
    """

    event_id: str
    occurred_at: datetime
    event_type: EventType
    outcome: Outcome
    actor: Actor
    source: str
    store: str | None = None
    secret: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    error_code: str | None = None
    detail: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.occurred_at.tzinfo is None:
            raise InvalidInputError("occurredAt", "has no time zone")
        if not 0 < len(self.event_id) <= MAX_EVENT_ID:
            raise InvalidInputError("eventId", f"is empty or longer than {MAX_EVENT_ID} characters")


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Events, newest first, and the token of the next page (None at the end)."""

    events: tuple[AuditEvent, ...]
    next_token: str | None = None


_SECRET_ARN = re.compile(r"arn:[^:]+:secretsmanager:[^:]*:[^:]*:secret:(?P<name>.+?)(?:-[A-Za-z0-9]{6})?", re.DOTALL)
_ASSUMED_ROLE_ARN = re.compile(r"arn:(?P<partition>[^:]+):sts::(?P<account>\d+):assumed-role/(?P<role>[^/]+)/.+")


def secret_name(secret_id: str) -> str:
    """The name under which a secret's events are found: of an AWS ARN, whole or partial, the name; else itself.

    A partial ARN whose name itself ends in a hyphen and six letters or digits loses them: AWS cannot tell it either,
    and advises against such names.
    """
    found = _SECRET_ARN.fullmatch(secret_id)
    return found["name"] if found else secret_id


def principal_id(arn: str) -> str:
    """The id under which a principal's events are found: of an assumed role's session the role, else the ARN itself.

    A session's ARN does not show the role's path; a role with a path is found by its own ARN only.
    """
    found = _ASSUMED_ROLE_ARN.fullmatch(arn)
    return f"arn:{found['partition']}:iam::{found['account']}:role/{found['role']}" if found else arn


def printable(text: str, *, limit: int = 512) -> str:
    """The text as one line that no terminal, log or page obeys: what cannot print is escaped; cut at ``limit``."""
    cut = text[: limit + 1]
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
