"""What a sync would do: names, actions, reasons and observed versions. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from polyvault.domain.capability import Capability
from polyvault.domain.secret import ReadResult, SecretInfo
from polyvault.domain.sync import (
    ORIGIN_TAG,
    VERSION_TAG,
    Action,
    ConflictResolution,
    ItemStatus,
    SyncConfiguration,
    SyncConflict,
    SyncItem,
)
from polyvault.errors import SecretUnavailableError, StoreError
from polyvault.store import SecretStore


@dataclass(frozen=True, slots=True)
class Plan:
    """One item a name in scope, and the conflicts among them."""

    items: tuple[SyncItem, ...]
    conflicts: tuple[SyncConflict, ...]


class _Settled(Exception):
    """The item's fate is known: no further call for it."""

    def __init__(self, item: SyncItem) -> None:
        super().__init__(item.name)
        self.item = item


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans one configuration over its two stores."""

    configuration: SyncConfiguration
    source: SecretStore
    target: SecretStore

    def names(self) -> Iterator[SecretInfo]:
        """The source's secrets in scope, sorted by name. Raises StoreError when the list is not whole."""
        listed = self.source.list_secrets(self.configuration.common_prefix)
        in_scope = (info for info in listed if self.configuration.matches(info.name))
        return iter(sorted(in_scope, key=lambda info: info.name))

    def plan(self, info: SecretInfo) -> tuple[SyncItem, SyncConflict | None]:
        """The item of one name, and the conflict when the target holds what this sync did not write."""
        try:
            self._refuse_foreign(info)
            theirs = self._fetch(info.name)
            ours = self._find(info.name)
            if ours is None:
                return _planned(info.name, Action.CREATE, theirs, None), None
            if ours.value == theirs.value:
                return _settle(info.name, ItemStatus.IN_SYNC, source=theirs, target=ours), None
            return self._differing(info.name, theirs, ours)
        except _Settled as settled:
            return settled.item, None

    def _refuse_foreign(self, info: SecretInfo) -> None:
        """A copy of the target's own secret is not copied back, and a name that the target cannot hold is refused."""
        if self.target.limits.name_pattern.fullmatch(info.name) is None:
            self._refuse(info.name, f"is not a name in {self.target.provider}: {self.target.limits.name_rule}")
        try:
            origin = self._tags(info).get(ORIGIN_TAG, "")
        except StoreError as error:
            raise _Settled(_settle(info.name, ItemStatus.FETCH_FAILED, error_code=error.code)) from None
        if origin.startswith(f"{self.target.name}:"):
            self._refuse(info.name, "is itself a copy from the target")

    def _tags(self, info: SecretInfo) -> dict[str, str]:
        shown = info.current_version_id is not None  # a list that shows versions shows tags as well
        if shown or Capability.METADATA not in self.source.capabilities:
            return dict(info.metadata.tags)
        return dict(self.source.get_secret_metadata(info.name).tags)

    def _fetch(self, name: str) -> ReadResult:
        try:
            found = self.source.get_secret(name)
        except StoreError as error:
            raise _Settled(_settle(name, ItemStatus.FETCH_FAILED, error_code=error.code)) from None
        limits = self.target.limits
        if len(found.value) > limits.max_value_bytes:
            self._refuse(name, f"is larger than the {limits.max_value_bytes} bytes of {self.target.provider}")
        if not len(found.value) and not limits.allows_empty:
            self._refuse(name, f"is empty, which {self.target.provider} does not take")
        if not found.value.is_text and Capability.BINARY not in self.target.capabilities:
            self._refuse(name, f"is binary, which {self.target.provider} does not take")
        return found

    def _find(self, name: str) -> ReadResult | None:
        try:
            return self.target.find_secret(name)
        except SecretUnavailableError as error:
            self._refuse(name, "is deleted or disabled in the target, and a sync does not bring it back", error.code)
        except StoreError as error:
            raise _Settled(_settle(name, ItemStatus.FETCH_FAILED, error_code=error.code)) from None

    def _differing(self, name: str, theirs: ReadResult, ours: ReadResult) -> tuple[SyncItem, SyncConflict | None]:
        try:
            written_by_us = self._was_written_by_us(name, ours)
        except StoreError as error:
            raise _Settled(_settle(name, ItemStatus.FETCH_FAILED, error_code=error.code)) from None
        update = _planned(name, Action.UPDATE, theirs, ours)
        if written_by_us:
            return update, None
        resolution = self.configuration.conflict_resolution
        conflict = SyncConflict(name, theirs.version_id, ours.version_id, resolution)
        if resolution == ConflictResolution.SOURCE_WINS:
            return update, conflict
        held = _settle(name, ItemStatus.CONFLICT, "was changed in the target", source=theirs, target=ours)
        return held, conflict

    def _was_written_by_us(self, name: str, ours: ReadResult) -> bool:
        if Capability.METADATA not in self.target.capabilities:
            return False
        tags = self.target.get_secret_metadata(name).tags
        return tags.get(ORIGIN_TAG) == origin_of(self.source, name) and tags.get(VERSION_TAG) == ours.version_id

    def _refuse(self, name: str, reason: str, error_code: str = "invalid-input") -> NoReturn:
        raise _Settled(_settle(name, ItemStatus.REFUSED, reason, error_code=error_code)) from None


def origin_of(source: SecretStore, name: str) -> str:
    """The tag on a copy: where it came from."""
    return f"{source.name}:{name}"


def _planned(name: str, action: Action, source: ReadResult, target: ReadResult | None) -> SyncItem:
    return SyncItem(
        name,
        action,
        ItemStatus.PLANNED,
        source_version=source.version_id,
        target_version=target.version_id if target else None,
    )


def _settle(
    name: str,
    status: ItemStatus,
    reason: str | None = None,
    *,
    error_code: str | None = None,
    source: ReadResult | None = None,
    target: ReadResult | None = None,
) -> SyncItem:
    return SyncItem(
        name,
        Action.NONE,
        status,
        reason,
        error_code,
        source.version_id if source else None,
        target.version_id if target else None,
    )
