"""Secrets, their values and their versions."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NoReturn

from polyvault.errors import InvalidInputError


class SecretValue:
    """A secret value that cannot print, pickle, serialise or hash itself.

    Canonical form: bytes plus ``is_text`` (valid UTF-8 that the writer meant as text). Equality is equality of bytes,
    in constant time. ``reveal`` and ``reveal_bytes`` are the only ways out, so that `grep reveal` finds each use.
    """

    __slots__ = ("_data", "is_text")

    def __init__(self, data: str | bytes) -> None:
        self.is_text = isinstance(data, str)
        self._data = data.encode() if isinstance(data, str) else bytes(data)

    def reveal(self) -> str:
        """The value as text; raises InvalidInputError when it is not UTF-8."""
        try:
            return self._data.decode()
        except UnicodeDecodeError:
            raise InvalidInputError("value", "is binary, text is needed") from None

    def reveal_bytes(self) -> bytes:
        """The value as bytes."""
        return self._data

    def __len__(self) -> int:
        """Size in bytes."""
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretValue):
            return NotImplemented
        return hmac.compare_digest(self._data, other._data)

    __hash__ = None  # type: ignore[assignment]  # a hash would be an oracle, and values are no keys

    def __repr__(self) -> str:
        return "SecretValue(***)"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, _protocol: Any) -> NoReturn:
        raise TypeError("a SecretValue cannot be pickled or copied")


class StagingLabel(StrEnum):
    """AWS staging labels that the protocol moves. Other labels are custom and left alone."""

    CURRENT = "AWSCURRENT"
    PENDING = "AWSPENDING"
    PREVIOUS = "AWSPREVIOUS"


@dataclass(frozen=True, slots=True)
class VersionRef:
    """Which version to read: the current one, one by id, one by label (AWS), or an id that must hold a label."""

    version_id: str | None = None
    label: StagingLabel | None = None


CURRENT = VersionRef()


@dataclass(frozen=True, slots=True)
class RawVersion:
    """One version as a driver read or wrote it. ``version_id`` is opaque text; times are aware UTC."""

    version_id: str
    value: SecretValue
    created_at: datetime | None = None
    labels: frozenset[str] = frozenset()


class VersionState(StrEnum):
    """What a reader gets for the version."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    DELETED = "deleted"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One version without its value."""

    version_id: str
    created_at: datetime | None = None
    labels: frozenset[str] = frozenset()
    state: VersionState = VersionState.ENABLED


@dataclass(frozen=True, slots=True)
class SecretMetadata:
    """The portable metadata of a secret (product row V2). None means: the vault does not say."""

    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    expires_at: datetime | None = None
    rotation_enabled: bool | None = None
    rotation_interval: timedelta | None = None
    mfa_required: bool | None = None


@dataclass(frozen=True, slots=True)
class SecretInfo:
    """One secret of a list, without value. ``current_version_id`` is None where the list does not show it.

    ``native_schedule`` is the vault's own rotation schedule in its words, None when there is none.
    """

    name: str
    metadata: SecretMetadata = SecretMetadata()
    current_version_id: str | None = None
    native_schedule: str | None = None


@dataclass(frozen=True, slots=True)
class RotationState:
    """What DescribeSecret says that a rotation must know (AWS; API_DescribeSecret).

    ``labels`` maps a version id to its staging labels; ids without labels are absent.
    """

    arn: str
    name: str
    rotation_enabled: bool
    rotation_function_arn: str | None
    owning_service: str | None
    deletion_scheduled: bool
    tags: Mapping[str, str]
    labels: Mapping[str, frozenset[str]]

    def holder_of(self, label: str) -> str | None:
        """The version id that holds the label, None when none does."""
        return next((version for version, labels in self.labels.items() if label in labels), None)


@dataclass(frozen=True, slots=True)
class Health:
    """Health of one store. ``latency_ms`` is one cheap authenticated call; ``error`` is an error code."""

    store: str
    provider: str
    healthy: bool
    latency_ms: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ReadResult:
    """A value with its provenance: which store and version served it, how old it is and how long it took."""

    name: str
    value: SecretValue
    version_id: str
    store: str
    created_at: datetime | None
    age_seconds: float | None
    latency_ms: float
    from_cache: bool = False


def mask(value: SecretValue) -> str:
    """Stars and, for text of at least 16 characters, its last four (product row X1)."""
    text = value.reveal() if value.is_text else ""
    return "****" + (text[-4:] if len(text) >= 16 else "")
