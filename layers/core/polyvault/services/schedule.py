"""What is due: rotations of tagged secrets and scheduled syncs, handed to their queues.

Runs at a rate and keeps no notes: an order's id is derived from what makes it due, so telling it twice is one order.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from polyvault.domain.schedule import CronSchedule
from polyvault.domain.secret import SecretInfo, StagingLabel
from polyvault.domain.sync import SyncConfiguration, SyncType
from polyvault.domain.work import RotationOrder, SyncOrder
from polyvault.errors import StoreError
from polyvault.ports import Alerts, Clock, SyncState, WorkQueue
from polyvault.store import SecretStore

_log = logging.getLogger(__name__)
POLICY_TAG, INTERVAL_TAG = "polyvault:policy", "polyvault:rotationInterval"
_NAMESPACE = uuid.UUID("0a9a2a4e-3a55-4c4e-8a39-7a1f4b1f6f0e")
_LONGEST_DAYS = 3650
# A sync that was due while nothing ran is caught up once, for as long back as this and not before it was registered.
_CATCH_UP = timedelta(days=1)
_TELL_AGAIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DueReport:
    """What was ordered, and why the stores and secrets that should rotate and cannot do not."""

    rotations: tuple[RotationOrder, ...]
    syncs: tuple[SyncOrder, ...]
    skipped: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DueWork:
    """Finds and orders. ``stores`` are those whose vault rotates by itself when asked.

    ``told`` folds alerts: one a day for the same trouble, as long as the execution environment lives.
    """

    stores: Mapping[str, SecretStore]
    state: SyncState
    rotation_queue: WorkQueue
    sync_queue: WorkQueue
    alerts: Alerts
    clock: Clock
    principal: str
    told: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def __call__(self) -> DueReport:
        """Order all that is due. One secret's or store's failure stops no other; AuditWriteError and queues' do."""
        skipped: dict[str, str] = {}
        rotations = tuple(order for store in self.stores.values() for order in self._rotations(store, skipped))
        syncs = tuple(order for configuration in self.state.configurations() for order in self._syncs(configuration))
        news = {subject: reason for subject, reason in skipped.items() if self._is_news(subject, reason)}
        if news:
            self.alerts.send("Secrets that cannot be rotated", news)
        return DueReport(rotations, syncs, skipped)

    def _is_news(self, subject: str, reason: str) -> bool:
        now, before = self.clock.now(), self.told.get((subject, reason))
        if before is not None and now - before < _TELL_AGAIN:
            return False
        self.told[subject, reason] = now
        return True

    def _rotations(self, store: SecretStore, skipped: dict[str, str]) -> Iterator[RotationOrder]:
        try:
            tagged = store.list_tagged(POLICY_TAG)
        except StoreError as error:
            skipped[store.name] = error.code
            return
        for info in tagged:
            if info.native_schedule is not None:
                continue  # Secrets Manager keeps that time itself
            interval = _interval(info)
            if interval is None:
                skipped[f"{store.name}:{info.name}"] = f"the tag {INTERVAL_TAG} is not a number of days"
            elif not info.metadata.rotation_enabled:
                skipped[f"{store.name}:{info.name}"] = "no rotation function is attached"
            elif self._is_due(store, info, interval, skipped):
                order = self._order(store, info)
                self.rotation_queue.send(order)
                yield order

    def _is_due(self, store: SecretStore, info: SecretInfo, interval: timedelta, skipped: dict[str, str]) -> bool:
        latest = self.clock.now() - interval
        created, changed = info.metadata.created_at, info.metadata.updated_at
        if created is not None and created > latest:
            return False  # no version is older than its secret
        if changed is not None and changed <= latest:
            return True  # no version is younger than the last change
        try:
            versions = store.list_secret_versions(info.name)
        except StoreError as error:
            skipped[f"{store.name}:{info.name}"] = error.code
            return False
        current = [version.created_at for version in versions if StagingLabel.CURRENT in version.labels]
        return any(moment is not None and moment <= latest for moment in current)

    def _order(self, store: SecretStore, info: SecretInfo) -> RotationOrder:
        """Its token follows from the version that is due: the same until that version is no longer current."""
        token = str(uuid.uuid5(_NAMESPACE, "\0".join((store.name, info.name, str(info.current_version_id)))))
        return RotationOrder(f"scheduled-{token}", store.name, info.name, token, self.principal)

    def _syncs(self, configuration: SyncConfiguration) -> Iterator[SyncOrder]:
        if not configuration.enabled or configuration.sync_type != SyncType.SCHEDULED or configuration.schedule is None:
            return
        now = self.clock.now()
        after = max(now - _CATCH_UP, configuration.registered_at or now - _CATCH_UP)
        moment = CronSchedule.parse(configuration.schedule).latest(after=after, until=now)
        if moment is None:
            return
        order = SyncOrder(_execution_id(moment), configuration.id, self.principal)
        if self.state.execution(order.config_id, order.execution_id) is None:
            self.sync_queue.send(order)
            yield order


def _execution_id(moment: datetime) -> str:
    return f"scheduled-{moment:%Y%m%dT%H%MZ}"


def _interval(info: SecretInfo) -> timedelta | None:
    text = info.metadata.tags.get(INTERVAL_TAG, "")
    days = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    return timedelta(days=days) if 1 <= days <= _LONGEST_DAYS else None
