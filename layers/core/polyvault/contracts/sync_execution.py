"""The record of one sync execution, as the API answers it and the table keeps it: names, versions, counts."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import msgspec

from polyvault.contracts.decoding import decode, parse_json
from polyvault.domain.sync import Action, ItemStatus, RunStatus, SyncConflict, SyncExecution, SyncItem

MAX_ITEMS = 250  # a row of the table holds 400 KB, and names have up to 512 characters
_MAX_STORED_BYTES = 400 * 1024


class _Item(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    name: str
    action: Action
    status: ItemStatus
    reason: str | None = None
    error_code: str | None = None
    source_version: str | None = None
    target_version: str | None = None
    written_version: str | None = None


class _Conflict(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    source_version: str
    target_version: str
    resolution: str


class SyncExecutionDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``duration`` is milliseconds. ``items`` and ``conflicts`` hold the first 250, what failed before what is well."""

    id: str
    config_id: str
    status: RunStatus
    requested_by: str
    started_at: datetime
    finished_at: datetime | None
    duration: int | None
    secrets_synced: int
    secrets_failed: int
    counts: dict[ItemStatus, int]
    items: tuple[_Item, ...]
    conflicts: tuple[_Conflict, ...]
    error_code: str | None


def encode_sync_execution(execution: SyncExecution) -> dict[str, Any]:
    """The document of an execution, ready for JSON."""
    last = (ItemStatus.VERIFIED, ItemStatus.IN_SYNC)
    shown = sorted(execution.items, key=lambda item: last.index(item.status) if item.status in last else -1)[:MAX_ITEMS]
    document = SyncExecutionDocument(
        id=execution.id,
        config_id=execution.config_id,
        status=execution.status,
        requested_by=execution.requested_by,
        started_at=execution.started_at,
        finished_at=execution.finished_at,
        duration=execution.duration_ms,
        secrets_synced=execution.secrets_synced,
        secrets_failed=execution.secrets_failed,
        counts=dict(execution.counts),
        items=tuple(msgspec.convert(item, _Item, from_attributes=True) for item in shown),
        conflicts=tuple(
            msgspec.convert(found, _Conflict, from_attributes=True) for found in execution.conflicts[:MAX_ITEMS]
        ),
        error_code=execution.error_code,
    )
    encoded: dict[str, Any] = msgspec.to_builtins(document)
    return encoded


def decode_sync_execution(text: str) -> SyncExecution:
    """The execution that a stored document describes."""
    document = decode(SyncExecutionDocument, parse_json(text, max_bytes=_MAX_STORED_BYTES))
    items = tuple(SyncItem(**msgspec.structs.asdict(item)) for item in document.items)
    counts = Counter(document.counts)
    return SyncExecution(
        document.id,
        document.config_id,
        document.status,
        document.requested_by,
        document.started_at,
        document.finished_at,
        items,
        tuple(SyncConflict(**msgspec.structs.asdict(conflict)) for conflict in document.conflicts),
        document.error_code,
        counts - Counter(item.status for item in items),
    )
