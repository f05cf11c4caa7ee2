"""The reference: secrets in this process, with the semantics of Secrets Manager. For tests and for reading."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar

from polyvault.domain.capability import Capability, StoreLimits
from polyvault.domain.secret import (
    RawVersion,
    RotationState,
    SecretInfo,
    SecretMetadata,
    SecretValue,
    StagingLabel,
    VersionInfo,
    VersionRef,
)
from polyvault.errors import ErrorCode
from polyvault.ports import Clock
from polyvault.providers import CredentialSource

LAYER = None
ROTATES = True
_CURRENT, _PENDING, _PREVIOUS = StagingLabel.CURRENT, StagingLabel.PENDING, StagingLabel.PREVIOUS
_DEFAULT_RECOVERY_DAYS = 30


@dataclass(frozen=True, slots=True)
class Settings:
    """Nothing to set."""


class MemoryFault(Exception):
    """What this provider's "SDK" raises; ``code`` is its error code."""

    def __init__(self, code: ErrorCode, retry_after: float | None = None) -> None:
        super().__init__(code.value)
        self.code = code
        self.retry_after = retry_after


@dataclass(slots=True)
class _Secret:
    name: str
    created_at: datetime
    changed_at: datetime
    versions: dict[str, RawVersion] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    description: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    delete_at: datetime | None = None
    rotation_function_arn: str | None = None

    def labels_of(self, version_id: str) -> frozenset[str]:
        return frozenset(label for label, holder in self.labels.items() if holder == version_id)


class Provider:
    """A driver whose vault is a dictionary. Faults are injected with ``fail_next``."""

    provider: ClassVar[str] = "memory"
    capabilities = (
        Capability.READ
        | Capability.WRITE
        | Capability.LIST
        | Capability.VERSIONS
        | Capability.METADATA
        | Capability.STAGING_LABELS
        | Capability.CHECK_AND_SET
        | Capability.IDEMPOTENT_WRITE
        | Capability.SOFT_DELETE
        | Capability.BINARY
        | Capability.NATIVE_ROTATION
    )
    limits = StoreLimits(
        name_pattern=re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}"),
        name_rule="1 to 512 of A-Z a-z 0-9 / _ + = . @ -",
        max_value_bytes=65_536,
        max_tags=50,
        recovery_days=range(7, 31),
    )

    def __init__(self, settings: Settings, *, credential: CredentialSource | None, clock: Clock) -> None:
        self._clock = clock
        self._secrets: dict[str, _Secret] = {}
        self._faults: list[Exception] = []

    def fail_next(self, *faults: Exception) -> None:
        """Each of the next calls raises the next of these before it does anything."""
        self._faults.extend(faults)

    def enable_rotation(self, name: str, function_arn: str) -> None:
        """What the owner of a secret does with RotateSecret's configuration."""
        self._secret(name).rotation_function_arn = function_arn

    def get(self, name: str, version: VersionRef) -> RawVersion:
        secret = self._secret(name)
        label = version.label or (None if version.version_id else _CURRENT)
        version_id = version.version_id or secret.labels.get(label or "")
        if version_id is None or version_id not in secret.versions:
            raise MemoryFault(ErrorCode.VERSION_NOT_FOUND)
        if label is not None and secret.labels.get(label) != version_id:
            raise MemoryFault(ErrorCode.VERSION_NOT_FOUND)
        return replace(secret.versions[version_id], labels=secret.labels_of(version_id))

    def create(self, name: str, value: SecretValue, *, like: str | None, version_id: str | None) -> RawVersion:
        self._enter()
        now = self._clock.now()
        found = self._secrets.get(name)
        if found is not None and not self._is_gone(found):
            if found.delete_at is None and version_id in found.versions and found.versions[version_id].value == value:
                return self.get(name, VersionRef(version_id))
            raise MemoryFault(ErrorCode.UNAVAILABLE_STATE if found.delete_at else ErrorCode.ALREADY_EXISTS)
        self._secrets[name] = _Secret(name, created_at=now, changed_at=now)
        return self._write(self._secrets[name], value, version_id, label=None)

    def put(self, name: str, value: SecretValue, *, expect: str | None, version_id: str | None) -> RawVersion:
        secret = self._secret(name)
        if expect is not None and secret.labels.get(_CURRENT) != expect:
            raise MemoryFault(ErrorCode.VERSION_CONFLICT)
        return self._write(secret, value, version_id, label=None)

    def versions(self, name: str) -> Iterable[VersionInfo]:
        secret = self._secret(name)
        return [
            VersionInfo(version_id, version.created_at, secret.labels_of(version_id))
            for version_id, version in secret.versions.items()
        ]

    def list(self, prefix: str) -> Iterable[SecretInfo]:
        self._enter()
        return [
            SecretInfo(secret.name, self._metadata(secret), secret.labels.get(_CURRENT))
            for secret in sorted(self._secrets.values(), key=lambda secret: secret.name)
            if secret.name.startswith(prefix) and secret.delete_at is None
        ]

    def list_tagged(self, tag_key: str) -> Iterable[SecretInfo]:
        return [info for info in self.list("") if tag_key in info.metadata.tags]

    def delete(self, name: str, *, recovery_days: int | None) -> None:
        days = _DEFAULT_RECOVERY_DAYS if recovery_days is None else recovery_days
        self._secret(name).delete_at = self._clock.now() + timedelta(days=days)

    def metadata(self, name: str) -> SecretMetadata:
        return self._metadata(self._secret(name))

    def update_metadata(self, name: str, *, description: str | None, tags: Mapping[str, str] | None) -> None:
        secret = self._secret(name)
        secret.description = secret.description if description is None else description
        secret.tags.update(tags or {})
        secret.changed_at = self._clock.now()

    def rotation_state(self, name: str) -> RotationState:
        secret = self._secret(name, even_deleted=True)
        return RotationState(
            arn=f"memory:{name}",
            name=name,
            rotation_enabled=secret.rotation_function_arn is not None,
            rotation_function_arn=secret.rotation_function_arn,
            owning_service=None,
            deletion_scheduled=secret.delete_at is not None,
            tags=dict(secret.tags),
            labels={holder: secret.labels_of(holder) for holder in secret.labels.values()},
        )

    def put_staged(
        self,
        name: str,
        value: SecretValue,
        *,
        version_id: str,
        label: StagingLabel,
        rotation_token: SecretValue | None,
    ) -> RawVersion:
        return self._write(self._secret(name), value, version_id, label=label)

    def move_label(self, name: str, label: StagingLabel, *, to: str | None, expect_at: str | None) -> None:
        secret = self._secret(name)
        holder = secret.labels.get(label)
        allowed = (None, to) if expect_at is None else (expect_at,)
        if holder not in allowed:
            raise MemoryFault(ErrorCode.VERSION_CONFLICT)
        if to is None:
            if label is _CURRENT:
                raise MemoryFault(ErrorCode.INVALID_REQUEST)
            secret.labels.pop(label, None)
            return
        if to not in secret.versions:
            raise MemoryFault(ErrorCode.VERSION_NOT_FOUND)
        self._move(secret, label, to)

    def request_rotation(self, name: str, *, client_request_token: str) -> str:
        secret = self._secret(name)
        pending = secret.labels.get(_PENDING)
        if secret.rotation_function_arn is None or pending not in (None, secret.labels.get(_CURRENT)):
            raise MemoryFault(ErrorCode.INVALID_REQUEST)
        secret.labels[_PENDING] = client_request_token  # the label comes first, its version has no value yet
        return client_request_token

    def ping(self) -> None:
        self._enter()

    def close(self) -> None:
        self._secrets.clear()

    def classify(self, exc: Exception) -> ErrorCode:
        return exc.code if isinstance(exc, MemoryFault) else ErrorCode.UNKNOWN

    def retry_after(self, exc: Exception) -> float | None:
        return exc.retry_after if isinstance(exc, MemoryFault) else None

    def _enter(self) -> None:
        if self._faults:
            raise self._faults.pop(0)

    def _is_gone(self, secret: _Secret) -> bool:
        return secret.delete_at is not None and secret.delete_at <= self._clock.now()

    def _secret(self, name: str, *, even_deleted: bool = False) -> _Secret:
        self._enter()
        secret = self._secrets.get(name)
        if secret is None or self._is_gone(secret):
            raise MemoryFault(ErrorCode.NOT_FOUND)
        if secret.delete_at is not None and not even_deleted:
            raise MemoryFault(ErrorCode.UNAVAILABLE_STATE)
        return secret

    def _write(
        self, secret: _Secret, value: SecretValue, version_id: str | None, *, label: StagingLabel | None
    ) -> RawVersion:
        version_id = version_id or str(uuid.uuid4())
        known = secret.versions.get(version_id)
        if known is not None and known.value != value:
            raise MemoryFault(ErrorCode.ALREADY_EXISTS)
        if known is None:
            secret.versions[version_id] = RawVersion(version_id, value, self._clock.now())
            secret.changed_at = self._clock.now()
            self._move(secret, label or _CURRENT, version_id)
        return replace(secret.versions[version_id], labels=secret.labels_of(version_id))

    @staticmethod
    def _move(secret: _Secret, label: StagingLabel, to: str) -> None:
        before = secret.labels.get(label)
        secret.labels[label] = to
        if label is _CURRENT and before not in (None, to):
            secret.labels[_PREVIOUS] = str(before)

    @staticmethod
    def _metadata(secret: _Secret) -> SecretMetadata:
        return SecretMetadata(
            description=secret.description,
            tags=dict(secret.tags),
            created_at=secret.created_at,
            updated_at=secret.changed_at,
            rotation_enabled=secret.rotation_function_arn is not None,
        )
