"""The inventory: what was read about each secret, or why it could not be read. Metadata only, never a value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from polyvault.domain.compliance import EvidenceGap, Gap


@dataclass(frozen=True, slots=True)
class Evidence[T]:
    """One thing that was read, named so that a reader of the report can ask for it again.

    ``facts`` is None exactly when ``gap`` says why; ``error`` is the vault's own word for it. ``sha256`` is over the
    canonical facts, empty when there are none.
    """

    id: str
    facts: T | None
    gap: Gap | None = None
    error: str = ""
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        digest = "" if self.facts is None else hashlib.sha256(canonical(self.facts)).hexdigest()
        object.__setattr__(self, "sha256", digest)

    def read(self) -> T:
        """The facts; raises EvidenceGap when there are none, so that no check can pass without them."""
        if self.facts is None:
            raise EvidenceGap(self.gap or Gap.DATA_MISSING, f"{self.id}: {self.error or 'was not read'}")
        return self.facts


@dataclass(frozen=True, slots=True)
class Replica:
    """A copy of the secret in another Region. ``status`` is InSync, InProgress or Failed."""

    region: str
    status: str
    kms_key_id: str | None


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the vault says of the secret itself. None: it does not say; for ``last_accessed_at``: never."""

    created_at: datetime | None
    last_rotated_at: datetime | None = None
    next_rotation_at: datetime | None = None
    last_accessed_at: datetime | None = None
    rotation_enabled: bool = False
    rotation_schedule: str | None = None
    kms_key_id: str | None = None
    owning_service: str | None = None
    replicas: tuple[Replica, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Version:
    """One version that holds a label, or that the vault keeps without one."""

    version_id: str
    created_at: datetime | None
    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Versions:
    """All versions of a secret that a reader can still ask for."""

    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True)
class AttachedPolicy:
    """The resource policy's text as the vault keeps it; None: none is attached."""

    document: str | None


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """The key that a secret names. ``rotation_enabled`` is None where the key's kind cannot rotate by itself."""

    customer_managed: bool
    state: str
    rotation_enabled: bool | None
    policy: str | None


@dataclass(frozen=True, slots=True)
class RotationHistory:
    """Rotation outcomes in the audit log since ``since``."""

    since: datetime
    last_success_at: datetime | None
    last_failure_at: datetime | None


@dataclass(frozen=True, slots=True)
class Subject:
    """A secret of the estate with its evidence. ``listed_tags`` are the list's, so that scope survives a denial.

    ``account`` and ``region`` are where the secret lives. ``deletion_scheduled`` and ``gone`` take it out of every
    check; ``replica`` out of the estate, as its primary is counted.
    """

    store: str
    name: str
    environment: str
    account: str
    region: str
    configuration: Evidence[Configuration]
    versions: Evidence[Versions]
    policy: Evidence[AttachedPolicy]
    key: Evidence[EncryptionKey]
    rotations: Evidence[RotationHistory]
    deletion_scheduled: bool = False
    gone: bool = False
    replica: bool = False

    @property
    def id(self) -> str:
        """Unique in the estate."""
        return f"{self.store}:{self.name}"


@dataclass(frozen=True, slots=True)
class StoreInventory:
    """One store as it was found. ``gap`` says why it could not be listed: then nothing is known of its secrets."""

    store: str
    provider: str
    environment: str
    subjects: tuple[Subject, ...] = ()
    gap: Gap | None = None
    error: str = ""


def canonical(facts: object) -> bytes:
    """The one byte form of facts: JSON, keys sorted, sets sorted, instants in UTC."""
    return json.dumps(plain(facts), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def plain(facts: Any) -> Any:
    """Facts as JSON values: dataclasses as objects with camelCase keys."""
    if is_dataclass(facts) and not isinstance(facts, type):
        return {_camel(f.name): plain(getattr(facts, f.name)) for f in fields(facts)}
    if isinstance(facts, datetime):
        return instant(facts)
    if isinstance(facts, timedelta):
        return facts.total_seconds()
    if isinstance(facts, Mapping):
        return {str(key): plain(value) for key, value in sorted(facts.items())}
    if isinstance(facts, frozenset | set):
        return sorted(plain(item) for item in facts)
    if isinstance(facts, tuple | list):
        return [plain(item) for item in facts]
    return facts.value if isinstance(facts, Enum) else facts


def instant(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second, or to the microsecond where it has any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)
