"""One planned copy: look again, write once, read back by version, compare."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass, replace

from polyvault.domain.capability import Capability
from polyvault.domain.secret import RawVersion, ReadResult, SecretValue
from polyvault.domain.sync import ORIGIN_TAG, VERSION_TAG, ItemStatus, SyncConfiguration, SyncItem
from polyvault.errors import (
    InvalidInputError,
    SecretVersionNotFoundError,
    StoreError,
    StoreUnavailableError,
    VersionConflictError,
)
from polyvault.ports import Clock
from polyvault.services.sync_plan import origin_of
from polyvault.store import SecretStore

_log = logging.getLogger(__name__)
_NAMESPACE = uuid.UUID("5e0b0a52-6d0b-4f7e-9a53-2b8f3f1d7c10")
# A version just written may not be readable yet.
_REREAD_DELAYS = (0.2, 0.4, 0.8)


@dataclass(frozen=True, slots=True)
class Copy:
    """Applies planned items of one configuration."""

    configuration: SyncConfiguration
    source: SecretStore
    target: SecretStore
    clock: Clock

    def apply(self, item: SyncItem) -> SyncItem:
        """The item in its final state. A vault's error is its item's end, not the run's."""
        try:
            theirs = self.source.get_secret(item.name)
            ours = self.target.find_secret(item.name)
        except StoreError as error:
            return replace(item, status=ItemStatus.FETCH_FAILED, error_code=error.code)
        if theirs.version_id != item.source_version or _version(ours) != item.target_version:
            return replace(item, status=ItemStatus.STALE_PLAN, reason="changed between plan and apply")
        try:
            written = self._write(item, theirs.value)
        except VersionConflictError as error:
            return replace(item, status=ItemStatus.STALE_PLAN, error_code=error.code)
        except StoreUnavailableError as error:
            return self._resolve(item, theirs.value, error)
        except StoreError as error:
            return replace(item, status=ItemStatus.WRITE_FAILED, error_code=error.code)
        return self._verify(replace(item, written_version=written.version_id), theirs.value)

    def _write(self, item: SyncItem, value: SecretValue) -> RawVersion:
        """Bound to what the plan saw, by check-and-set or by an id that the same plan item always gets."""
        capabilities = self.target.capabilities
        expect = item.target_version if Capability.CHECK_AND_SET in capabilities else None
        version_id = None
        if Capability.IDEMPOTENT_WRITE in capabilities:
            seed = "\0".join((self.configuration.id, item.name, str(item.source_version), str(item.target_version)))
            version_id = str(uuid.uuid5(_NAMESPACE, seed))
        return self.target.set_secret(item.name, value, expect=expect, version_id=version_id)

    def _resolve(self, item: SyncItem, value: SecretValue, error: StoreError) -> SyncItem:
        """The answer to a write was lost: what is there decides, and nobody can say when it cannot be read."""
        try:
            found = self.target.find_secret(item.name)
        except StoreError:
            return replace(item, status=ItemStatus.UNKNOWN, error_code=error.code)
        if found is None or found.value != value:
            return replace(item, status=ItemStatus.WRITE_FAILED, error_code=error.code)
        return self._verify(replace(item, written_version=found.version_id), value)

    def _verify(self, item: SyncItem, value: SecretValue) -> SyncItem:
        if not self.configuration.validate_after_sync:
            self._mark(item)
            return replace(item, status=ItemStatus.APPLIED)
        try:
            read = self._read_back(item)
        except StoreError as error:
            return replace(item, status=ItemStatus.VERIFY_FAILED, error_code=error.code)
        if read.value != value:
            return replace(item, status=ItemStatus.VERIFY_FAILED, reason="the target answers another value")
        self._mark(item)
        return replace(item, status=ItemStatus.VERIFIED)

    def _read_back(self, item: SyncItem) -> ReadResult:
        if Capability.VERSIONS not in self.target.capabilities or item.written_version is None:
            return self.target.get_secret(item.name)
        for delay in _REREAD_DELAYS:
            try:
                return self.target.get_secret_version(item.name, item.written_version)
            except SecretVersionNotFoundError:
                self.clock.sleep(delay)
        return self.target.get_secret_version(item.name, item.written_version)

    def _mark(self, item: SyncItem) -> None:
        """Provenance, by which the next run tells its own copy from an edit. Without it an edit is assumed."""
        if Capability.METADATA not in self.target.capabilities:
            return
        tags = {ORIGIN_TAG: origin_of(self.source, item.name), VERSION_TAG: item.written_version or ""}
        try:
            self.target.update_secret_metadata(item.name, tags=tags)
        except (StoreError, InvalidInputError) as error:
            _log.warning("the copy has no mark of its origin", extra={"secret": item.name, "error_code": error.code})


def _version(found: ReadResult | None) -> str | None:
    return found.version_id if found else None
