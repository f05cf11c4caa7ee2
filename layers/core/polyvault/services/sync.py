"""Copy a filtered set of secrets from one store to another: plan, apply what is planned, read back and compare.

Values are in memory only, compared in constant time, and nothing is ever deleted. A second run writes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from polyvault.domain.audit import Actor, AuditEvent, EventType, Outcome
from polyvault.domain.sync import (
    FAILED_ITEMS,
    UNFINISHED,
    Action,
    ItemStatus,
    RunStatus,
    SyncConfiguration,
    SyncConflict,
    SyncExecution,
    SyncItem,
    final_status,
)
from polyvault.domain.work import SyncOrder
from polyvault.errors import InvalidInputError, StoreError, SyncInterruptedError
from polyvault.ports import Alerts, AuditLog, Clock, SyncState
from polyvault.services.sync_apply import Copy
from polyvault.services.sync_plan import Plan, Planner
from polyvault.store import SecretStore

_log = logging.getLogger(__name__)
_ITEM_SECONDS = 20.0  # the longest that one item takes: its calls with their retries


@dataclass(frozen=True, slots=True)
class Sync:
    """Runs executions. ``environments`` is the environment of each store by name."""

    stores: Mapping[str, SecretStore]
    environments: Mapping[str, str]
    state: SyncState
    audit: AuditLog
    alerts: Alerts
    clock: Clock

    def run(self, order: SyncOrder, *, remaining_seconds: Callable[[], float]) -> SyncExecution:
        """Run the execution to its final state; the same order again answers the finished record and writes nothing.

        InvalidInputError: no such configuration. SyncInterruptedError: out of time; what was applied stays, and the
        same order goes on. A vault's error fails its item, or makes the run INCOMPLETE when it hides the source.
        """
        configuration = self.state.configuration(order.config_id)
        if configuration is None:
            raise InvalidInputError("configId", "names no configuration")
        execution = self._begin(order)
        if execution.status not in UNFINISHED:
            return execution
        if not configuration.enabled:
            return self._finish(configuration, execution, RunStatus.FAILED, error_code="disabled")
        try:
            configuration.check_environments(self.environments)
        except InvalidInputError as error:  # the stores document has changed since the registration
            return self._finish(configuration, execution, RunStatus.FAILED, error_code=error.code)
        return self._run(configuration, execution, remaining_seconds)

    def _begin(self, order: SyncOrder) -> SyncExecution:
        fresh = SyncExecution(
            order.execution_id, order.config_id, RunStatus.PLANNING, order.requested_by, self.clock.now()
        )
        if not self.state.create_execution(fresh):
            found = self.state.execution(order.config_id, order.execution_id)
            if found is not None and found.status is not RunStatus.QUEUED:
                return found
            self.state.save_execution(fresh)
        self._record(EventType.SYNC_STARTED, fresh, Outcome.SUCCESS, key="started")
        return fresh

    def _run(
        self, configuration: SyncConfiguration, execution: SyncExecution, remaining_seconds: Callable[[], float]
    ) -> SyncExecution:
        source, target = self.stores[configuration.source_vault], self.stores[configuration.target_vault]
        try:
            plan = self._plan(Planner(configuration, source, target), remaining_seconds)
        except StoreError as error:  # the view of the source is not whole: nothing may follow from it
            _log.warning("the sync has no whole view of its source", extra={"error_code": error.code})
            return self._finish(configuration, execution, RunStatus.INCOMPLETE, error_code=error.code)
        planned = replace(
            execution,
            status=RunStatus.APPLYING,
            items=tuple(_as_done_before(item, execution) for item in plan.items),
            conflicts=tuple(dict.fromkeys(execution.conflicts + plan.conflicts)),
        )
        self.state.save_execution(planned)
        done = self._apply(planned, Copy(configuration, source, target, self.clock), remaining_seconds)
        return self._finish(configuration, done, final_status(done.items))

    def _apply(self, execution: SyncExecution, copy: Copy, remaining_seconds: Callable[[], float]) -> SyncExecution:
        items = list(execution.items)
        try:
            for at, item in enumerate(items):
                if item.status is ItemStatus.PLANNED:
                    self._check_time(remaining_seconds)
                    items[at] = copy.apply(item)
                self._record_item(execution, items[at])
        except SyncInterruptedError:
            self.state.save_execution(replace(execution, items=tuple(items)))
            raise
        return replace(execution, items=tuple(items))

    def _plan(self, planner: Planner, remaining_seconds: Callable[[], float]) -> Plan:
        items: list[SyncItem] = []
        conflicts: list[SyncConflict] = []
        for info in planner.names():
            self._check_time(remaining_seconds)
            item, conflict = planner.plan(info)
            items.append(item)
            conflicts += [conflict] if conflict else []
        return Plan(tuple(items), tuple(conflicts))

    def _finish(
        self,
        configuration: SyncConfiguration,
        execution: SyncExecution,
        status: RunStatus,
        *,
        error_code: str | None = None,
    ) -> SyncExecution:
        done = replace(execution, status=status, finished_at=self.clock.now(), error_code=error_code)
        succeeded = status is RunStatus.SUCCEEDED
        self._record(EventType.SYNC_FINISHED, done, Outcome.SUCCESS if succeeded else Outcome.ERROR, key="finished")
        self.state.save_execution(done)
        if configuration.notify_on_completion if succeeded else configuration.notify_on_failure:
            self._notify(configuration, done)
        return done

    def _notify(self, configuration: SyncConfiguration, execution: SyncExecution) -> None:
        self.alerts.send(
            f"Sync {configuration.id}: {execution.status.value}",
            {
                "configId": configuration.id,
                "executionId": execution.id,
                "status": execution.status.value,
                "secretsSynced": execution.secrets_synced,
                "secretsFailed": execution.secrets_failed,
                "conflicts": len(execution.conflicts),
                "errorCode": execution.error_code,
            },
        )

    def _check_time(self, remaining_seconds: Callable[[], float]) -> None:
        if remaining_seconds() < _ITEM_SECONDS:
            raise SyncInterruptedError("too little time is left for the next secret")

    def _record_item(self, execution: SyncExecution, item: SyncItem) -> None:
        if item.action is Action.NONE and item.status is ItemStatus.IN_SYNC:
            return
        outcome = Outcome.ERROR if item.status in FAILED_ITEMS else Outcome.SUCCESS
        detail = {"action": item.action.value, "status": item.status.value}
        detail |= {"versionId": item.written_version} if item.written_version else {}
        self._record(
            EventType.SYNC_ITEM,
            execution,
            outcome,
            key=f"{item.name}#{item.status}",
            secret=item.name,
            error_code=item.error_code,
            detail=detail,
        )

    def _record(
        self,
        event_type: EventType,
        execution: SyncExecution,
        outcome: Outcome,
        *,
        key: str,
        secret: str | None = None,
        error_code: str | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> None:
        event = AuditEvent(
            event_id=f"{execution.config_id}#{execution.id}#{key}",
            occurred_at=self.clock.now(),
            event_type=event_type,
            outcome=outcome,
            actor=Actor(execution.requested_by),
            source="polyvault",
            secret=secret,
            error_code=error_code or execution.error_code,
            detail={"configId": execution.config_id, "executionId": execution.id, **(detail or {})},
        )
        self.audit.append([event])


def _as_done_before(item: SyncItem, earlier: SyncExecution) -> SyncItem:
    """What this execution wrote before it was interrupted is its own work, not "in sync already"."""
    for done in earlier.items:
        if done.name == item.name and done.status in (ItemStatus.VERIFIED, ItemStatus.APPLIED):
            return done if item.status is ItemStatus.IN_SYNC and done.written_version == item.target_version else item
    return item
