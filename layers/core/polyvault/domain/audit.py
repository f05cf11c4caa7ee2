"""Audit events: what happened to which secret, by whom. Never a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


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


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Events, newest first, and the token of the next page (None at the end)."""

    events: tuple[AuditEvent, ...]
    next_token: str | None = None
