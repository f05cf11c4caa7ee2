"""SecretStore: the portable type that every caller holds.

Drivers are raw. Here, and nowhere else: names, sizes and capabilities are checked before the call (checks.py), raw
errors become typed ones, transient ones are retried inside one budget, and each operation on a secret is recorded
before it answers (seam.py).
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping

from polyvault.domain.audit import Actor, EventType
from polyvault.domain.capability import Capability
from polyvault.domain.secret import (
    CURRENT,
    Health,
    RawVersion,
    ReadResult,
    SecretInfo,
    SecretMetadata,
    SecretValue,
    VersionInfo,
    VersionRef,
)
from polyvault.errors import ErrorCode, InvalidInputError, MissingCapabilityError, SecretNotFoundError
from polyvault.ports import TagListingDriver
from polyvault.store.checks import version_of
from polyvault.store.staging import StagingOperations


class SecretStore(StagingOperations):
    """One configured vault. Safe to share between calls of one execution environment.

    Errors are StoreError, MissingCapabilityError, InvalidInputError (before any call) or AuditWriteError: an
    operation whose audit event is not durable does not answer, though a write may have reached the vault, and
    repeating it is safe.
    """

    def for_actor(self, actor: Actor, *, ip_address: str | None = None, user_agent: str | None = None) -> SecretStore:
        """The same store, whose audit events name this actor. Shares connection and retry tokens."""
        other = copy.copy(self)
        other._seam = self._seam.for_actor(actor, ip_address=ip_address, user_agent=user_agent)
        return other

    # Values

    def get_secret(self, name: str, version: VersionRef = CURRENT) -> ReadResult:
        """The value and where it came from."""
        self._check_name(name)
        self._need(Capability.READ)
        if version.version_id is not None:
            self._need(Capability.VERSIONS)
        if version.label is not None:
            self._need(Capability.STAGING_LABELS)
        started = self._seam.clock.monotonic()
        raw = self._seam.run(
            EventType.SECRET_READ, "get", name, lambda: self._seam.driver.get(name, version), version_of
        )
        return self._read_result(name, raw, started)

    def find_secret(self, name: str) -> ReadResult | None:
        """The current value, or None when there is no such secret: an answer, and no failed access in the record."""
        self._check_name(name)
        self._need(Capability.READ)
        started = self._seam.clock.monotonic()

        def read() -> RawVersion | None:
            try:
                return self._seam.driver.get(name, CURRENT)
            except Exception as exc:
                if self._seam.driver.classify(exc) is ErrorCode.NOT_FOUND:
                    return None
                raise

        raw = self._seam.run(
            EventType.SECRET_READ, "find", name, read, lambda found: version_of(found) if found else {"found": "no"}
        )
        return self._read_result(name, raw, started) if raw else None

    def get_secret_version(self, name: str, version_id: str) -> ReadResult:
        """The value of that version."""
        return self.get_secret(name, VersionRef(version_id=version_id))

    def set_secret(
        self,
        name: str,
        value: SecretValue,
        *,
        expect: str | None = None,
        version_id: str | None = None,
        like: str | None = None,
    ) -> RawVersion:
        """Create the secret, or make ``value`` its current version.

        ``expect`` (needs CHECK_AND_SET) is the current version id, else VersionConflictError. ``version_id`` (needs
        IDEMPOTENT_WRITE) makes a repeat a no-op. ``like`` names a secret whose protection a new one gets. After an
        answer that was lost, the write is repeated only with its version id, or after a look at what is there.
        """
        self._check_value(name, value)
        self._need(Capability.WRITE)
        if expect is not None:
            self._need(Capability.CHECK_AND_SET)
        if version_id is not None:
            self._need(Capability.IDEMPOTENT_WRITE)
        elif Capability.IDEMPOTENT_WRITE in self.capabilities:
            version_id = str(uuid.uuid4())

        def applied() -> RawVersion | None:
            there = self._seam.driver.get(name, CURRENT)
            return there if there.value == value else None

        def put() -> RawVersion:
            return self._seam.driver.put(name, value, expect=expect, version_id=version_id)

        def create() -> RawVersion:
            return self._seam.driver.create(name, value, like=like, version_id=version_id)

        settled = None if version_id is not None else applied  # a repeat under its version id is a no-op by itself
        try:
            return self._seam.run(
                EventType.SECRET_UPDATED, "put", name, put, version_of, settled, hide=(SecretNotFoundError,)
            )
        except SecretNotFoundError:
            if expect is not None:
                raise
        return self._seam.run(EventType.SECRET_CREATED, "create", name, create, version_of, settled)

    def delete_secret(self, name: str, *, recovery_days: int | None = None) -> None:
        """Delete, recoverably where the vault can. ``recovery_days`` only where limits.recovery_days allows it."""
        self._check_name(name)
        self._need(Capability.WRITE)
        if recovery_days is not None and recovery_days not in (self.limits.recovery_days or ()):
            raise InvalidInputError("recoveryDays", f"is not possible in {self.provider}")
        self._seam.run(
            EventType.SECRET_DELETED,
            "delete",
            name,
            lambda: self._seam.driver.delete(name, recovery_days=recovery_days),
        )

    def _read_result(self, name: str, raw: RawVersion, started: float) -> ReadResult:
        age = None if raw.created_at is None else (self._seam.clock.now() - raw.created_at).total_seconds()
        latency = (self._seam.clock.monotonic() - started) * 1000
        return ReadResult(name, raw.value, raw.version_id, self._seam.name, raw.created_at, age, latency)

    # Lists and metadata

    def list_secrets(self, prefix: str = "") -> tuple[SecretInfo, ...]:
        """All secrets whose name starts with the prefix: whole, or an error."""
        self._need(Capability.LIST)
        return self._seam.run(EventType.SECRET_LISTED, "list", None, lambda: tuple(self._seam.driver.list(prefix)))

    def list_tagged(self, tag_key: str) -> tuple[SecretInfo, ...]:
        """All secrets that carry the tag, selected by the vault itself; MissingCapabilityError where it cannot."""
        self._need(Capability.LIST | Capability.METADATA)
        driver = self._seam.driver
        if not isinstance(driver, TagListingDriver):
            raise MissingCapabilityError(f"{self._seam.name}: {self.provider} cannot list by tag")
        return self._seam.run(EventType.SECRET_LISTED, "list", None, lambda: tuple(driver.list_tagged(tag_key)))

    def list_secret_versions(self, name: str) -> tuple[VersionInfo, ...]:
        """All versions that the vault shows: whole, or an error."""
        self._check_name(name)
        self._need(Capability.VERSIONS)
        return self._seam.run(
            EventType.METADATA_READ, "versions", name, lambda: tuple(self._seam.driver.versions(name))
        )

    def get_secret_metadata(self, name: str) -> SecretMetadata:
        """Description, tags and times."""
        self._check_name(name)
        driver = self._metadata_driver()
        return self._seam.run(EventType.METADATA_READ, "metadata", name, lambda: driver.metadata(name))

    def update_secret_metadata(
        self, name: str, *, description: str | None = None, tags: Mapping[str, str] | None = None
    ) -> None:
        """Set the description and add or replace these tags; what is not named stays as it is."""
        self._check_name(name)
        driver = self._metadata_driver()
        if tags and len(tags) > self.limits.max_tags:
            raise InvalidInputError("tags", f"are more than the {self.limits.max_tags} that {self.provider} takes")
        self._seam.run(
            EventType.METADATA_UPDATED,
            "update-metadata",
            name,
            lambda: driver.update_metadata(name, description=description, tags=tags),
        )

    def health_check(self) -> Health:
        """One cheap authenticated call, one attempt. Never raises; not an operation on a secret, so not audited."""
        return self._seam.health()

    def disconnect(self) -> None:
        """Close connections."""
        self._seam.driver.close()
