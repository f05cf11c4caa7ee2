"""Take stock: each store's inventory, completed with what the audit log knows of each secret's rotations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from polyvault.domain.audit import EventType
from polyvault.domain.compliance import Gap
from polyvault.domain.inventory import Evidence, RotationHistory, StoreInventory, Subject
from polyvault.errors import AuditReadError
from polyvault.ports import AuditLog, Clock, Inventory

LOOK_BACK = timedelta(days=30)
_BEFORE_LAST_ROTATION = timedelta(hours=1)
_PAGE = 100


@dataclass(frozen=True, slots=True)
class WithoutCollector:
    """Inventory of a store whose secrets this installation cannot look at: said in the report, never left out."""

    store: str
    provider: str
    environment: str

    def collect(self) -> StoreInventory:
        """No subjects, and why."""
        why = f"no inventory is taken of {self.provider}"
        return StoreInventory(self.store, self.provider, self.environment, gap=Gap.DATA_MISSING, error=why)


class TakeStock:
    """Collects from each store; then asks the audit log about secrets that the vault itself rotates."""

    def __init__(self, inventories: Sequence[Inventory], *, audit: AuditLog, clock: Clock) -> None:
        self._inventories = inventories
        self._audit = audit
        self._clock = clock

    def __call__(self) -> tuple[StoreInventory, ...]:
        """All stores. A store that cannot be listed for a reason that may pass raises; the report is made later."""
        return tuple(self._completed(inventory.collect()) for inventory in self._inventories)

    def _completed(self, store: StoreInventory) -> StoreInventory:
        return replace(store, subjects=tuple(self._with_history(subject) for subject in store.subjects))

    def _with_history(self, subject: Subject) -> Subject:
        seen = subject.configuration.facts
        if seen is None or not seen.rotation_enabled or subject.deletion_scheduled or subject.replica:
            return subject
        now = self._clock.now()
        since = now - LOOK_BACK
        if seen.last_rotated_at:
            since = max(since, seen.last_rotated_at - _BEFORE_LAST_ROTATION)
        return replace(subject, rotations=self._history(subject, since, now))

    def _history(self, subject: Subject, since: datetime, now: datetime) -> Evidence[RotationHistory]:
        name = f"audit-log:rotations:{subject.name}"
        latest: dict[EventType, datetime] = {}
        token: str | None = None
        try:
            while True:
                page = self._audit.for_secret(subject.name, since, now, limit=_PAGE, token=token)
                for event in page.events:
                    if event.event_type in (EventType.ROTATION_SUCCEEDED, EventType.ROTATION_FAILED):
                        latest.setdefault(event.event_type, event.occurred_at)
                token = page.next_token
                if token is None:
                    break
        except AuditReadError as error:
            return Evidence(name, None, Gap.DATA_MISSING, error.code)
        succeeded, failed = latest.get(EventType.ROTATION_SUCCEEDED), latest.get(EventType.ROTATION_FAILED)
        return Evidence(name, RotationHistory(since, succeeded, failed))
