"""Copying a filtered set of secrets from one store to another: configuration, plan and record. Never a value."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase

from polyvault.domain.schedule import CronSchedule
from polyvault.errors import InvalidInputError

ORIGIN_TAG, VERSION_TAG = "polyvault:origin", "polyvault:syncedVersion"
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_WILDCARD = re.compile(r"[*?\[]")
_MAX_FILTERS, _MAX_FILTER, _MAX_STARS, _MAX_NAME = 50, 256, 8, 128


class SyncType(StrEnum):
    """What starts a run."""

    MANUAL = "manual"
    AUTO = "auto"
    SCHEDULED = "scheduled"


class ConflictResolution(StrEnum):
    """Who wins when the target holds something that this sync did not write."""

    SOURCE_WINS = "source-wins"
    TARGET_WINS = "target-wins"
    MANUAL = "manual"
    NEWEST_WINS = "newest-wins"


_RESOLUTIONS = (ConflictResolution.SOURCE_WINS, ConflictResolution.MANUAL)
_TYPES = (SyncType.MANUAL, SyncType.SCHEDULED)


@dataclass(frozen=True, slots=True)
class SyncConfiguration:
    """One sync. What is accepted here is done; what is not yet done is refused with the name of its field.

    ``source_vault`` and ``target_vault`` are names of the stores document, ``secret_filters`` are globs over whole
    names (``*`` crosses ``/``), ``schedule`` is a five-field cron in UTC. ``registered_at`` is the last change, and no
    part of the document that users write.
    """

    id: str
    name: str
    enabled: bool
    source_environment: str
    target_environment: str
    source_vault: str
    target_vault: str
    secret_filters: tuple[str, ...]
    sync_type: str = SyncType.MANUAL.value
    schedule: str | None = None
    conflict_resolution: str = ConflictResolution.MANUAL.value
    validate_after_sync: bool = True
    notify_on_completion: bool = False
    notify_on_failure: bool = True
    rollback_on_failure: bool = False
    registered_at: datetime | None = None

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise InvalidInputError("id", "must be 1 to 64 of A-Z a-z 0-9 _ . -")
        if not 1 <= len(self.name) <= _MAX_NAME:
            raise InvalidInputError("name", f"must be 1 to {_MAX_NAME} characters")
        if self.source_vault == self.target_vault:
            raise InvalidInputError("targetVault", "must differ from sourceVault")
        if self.sync_type not in _TYPES:
            raise InvalidInputError("syncType", f"must be one of {', '.join(_TYPES)}")
        if self.conflict_resolution not in _RESOLUTIONS:
            raise InvalidInputError("conflictResolution", f"must be one of {', '.join(_RESOLUTIONS)}")
        if self.rollback_on_failure:
            raise InvalidInputError("rollbackOnFailure", "must be false: a roll-back is not available")
        self._check_schedule()
        self._check_filters()

    def _check_schedule(self) -> None:
        if self.sync_type == SyncType.SCHEDULED and self.schedule is None:
            raise InvalidInputError("schedule", "is missing for syncType scheduled")
        if self.schedule is not None:
            CronSchedule.parse(self.schedule)

    def _check_filters(self) -> None:
        if not 1 <= len(self.secret_filters) <= _MAX_FILTERS:
            raise InvalidInputError("secretFilters", f"must be 1 to {_MAX_FILTERS} globs")
        for number, glob in enumerate(self.secret_filters):
            if not 1 <= len(glob) <= _MAX_FILTER or glob.count("*") > _MAX_STARS:
                raise InvalidInputError(
                    f"secretFilters[{number}]", f"must be 1 to {_MAX_FILTER} characters with at most {_MAX_STARS} stars"
                )

    def check_environments(self, environments: Mapping[str, str]) -> None:
        """Refuse stores that do not exist or belong to another environment; ``environments`` is by store name."""
        for vault, store, environment, path in (
            ("sourceVault", self.source_vault, self.source_environment, "sourceEnvironment"),
            ("targetVault", self.target_vault, self.target_environment, "targetEnvironment"),
        ):
            if store not in environments:
                raise InvalidInputError(vault, "names a store that does not exist")
            if environments[store] != environment:
                raise InvalidInputError(path, f"is not the environment of the store in {vault}")

    def matches(self, name: str) -> bool:
        """True when one of the filters is the whole name; case matters."""
        return any(fnmatchcase(name, glob) for glob in self.secret_filters)

    @property
    def common_prefix(self) -> str:
        """What each matching name starts with: a list need not look further."""
        heads = [_WILDCARD.split(glob, maxsplit=1)[0] for glob in self.secret_filters]
        first, last = min(heads), max(heads)
        length = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        return first[:length]


class Action(StrEnum):
    """What the plan says about one name."""

    CREATE = "create"
    UPDATE = "update"
    NONE = "none"


class ItemStatus(StrEnum):
    """Where one name stands."""

    IN_SYNC = "IN_SYNC"
    PLANNED = "PLANNED"
    APPLIED = "APPLIED"
    VERIFIED = "VERIFIED"
    STALE_PLAN = "STALE_PLAN"
    CONFLICT = "CONFLICT"
    REFUSED = "REFUSED"
    FETCH_FAILED = "FETCH_FAILED"
    WRITE_FAILED = "WRITE_FAILED"
    VERIFY_FAILED = "VERIFY_FAILED"
    UNKNOWN = "UNKNOWN"


FAILED_ITEMS = frozenset(
    {
        ItemStatus.STALE_PLAN,
        ItemStatus.REFUSED,
        ItemStatus.FETCH_FAILED,
        ItemStatus.WRITE_FAILED,
        ItemStatus.VERIFY_FAILED,
        ItemStatus.UNKNOWN,
    }
)


class RunStatus(StrEnum):
    """Where one execution stands."""

    QUEUED = "QUEUED"
    PLANNING = "PLANNING"
    APPLYING = "APPLYING"
    SUCCEEDED = "SUCCEEDED"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    INCOMPLETE = "INCOMPLETE"


UNFINISHED = frozenset({RunStatus.QUEUED, RunStatus.PLANNING, RunStatus.APPLYING})


@dataclass(frozen=True, slots=True)
class SyncItem:
    """One name. Versions are those that were seen when planning; ``written_version`` is ours."""

    name: str
    action: Action
    status: ItemStatus
    reason: str | None = None
    error_code: str | None = None
    source_version: str | None = None
    target_version: str | None = None
    written_version: str | None = None


@dataclass(frozen=True, slots=True)
class SyncConflict:
    """The target holds what this sync did not write: which versions met and what was done about it."""

    name: str
    source_version: str
    target_version: str
    resolution: str


@dataclass(frozen=True, slots=True)
class SyncExecution:
    """One run. ``secrets_synced`` counts names written and verified; ``secrets_failed`` those that should have been.

    A kept record lists only so many items; ``omitted`` counts the others by status, so that no count shrinks.
    """

    id: str
    config_id: str
    status: RunStatus
    requested_by: str
    started_at: datetime
    finished_at: datetime | None = None
    items: tuple[SyncItem, ...] = ()
    conflicts: tuple[SyncConflict, ...] = ()
    error_code: str | None = None
    omitted: Mapping[ItemStatus, int] = field(default_factory=dict)

    @property
    def counts(self) -> Counter[ItemStatus]:
        """How many items stand where."""
        return Counter(item.status for item in self.items) + Counter(self.omitted)

    @property
    def secrets_synced(self) -> int:
        return self.counts[ItemStatus.VERIFIED]

    @property
    def secrets_failed(self) -> int:
        counts = self.counts
        return sum(counts[status] for status in FAILED_ITEMS)

    @property
    def duration_ms(self) -> int | None:
        """Milliseconds from start to final state, None before."""
        return None if self.finished_at is None else round((self.finished_at - self.started_at).total_seconds() * 1000)


def final_status(items: tuple[SyncItem, ...]) -> RunStatus:
    """SUCCEEDED needs every item verified or in sync; FAILED is when nothing is, and something should have been."""
    good = sum(item.status in (ItemStatus.VERIFIED, ItemStatus.IN_SYNC) for item in items)
    if good == len(items):
        return RunStatus.SUCCEEDED
    failed = sum(item.status in FAILED_ITEMS for item in items)
    return RunStatus.FAILED if failed == len(items) else RunStatus.PARTIAL
