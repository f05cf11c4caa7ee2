"""Keep sync configurations, start their executions and show how they stand."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from polyvault.domain.audit import AuditEvent, Caller, EventType, Outcome
from polyvault.domain.sync import RunStatus, SyncConfiguration, SyncExecution
from polyvault.domain.work import SyncOrder
from polyvault.errors import InvalidInputError, NotFoundError
from polyvault.ports import AuditLog, Clock, SyncState, WorkQueue

_EXECUTIONS = uuid.UUID("0c9d1b52-5f0e-5a7d-9f43-7be0d2c4a6e1")


@dataclass(frozen=True, slots=True)
class ManageSyncs:
    """``environments`` is the environment of each store by name."""

    environments: Mapping[str, str]
    state: SyncState
    queue: WorkQueue
    audit: AuditLog
    clock: Clock

    def put(self, caller: Caller, configuration: SyncConfiguration) -> SyncConfiguration:
        """Keep it, in place of one of the same id; InvalidInputError names a store or environment that does not fit."""
        configuration.check_environments(self.environments)
        self._record(caller, EventType.SYNC_CONFIGURED, {"configId": configuration.id})
        self.state.put_configuration(configuration)
        return configuration

    def configuration(self, config_id: str) -> SyncConfiguration:
        """The configuration, or NotFoundError."""
        found = self.state.configuration(config_id)
        if found is None:
            raise NotFoundError("there is no sync configuration of that id")
        return found

    def start(self, caller: Caller, config_id: str, *, idempotency_key: str | None = None) -> SyncExecution:
        """Queue an execution. The same caller and key start the same execution, once."""
        configuration = self.configuration(config_id)
        if not configuration.enabled:
            raise InvalidInputError("configId", "names a configuration that is not enabled")
        key = "\0".join((caller.actor.id, config_id, idempotency_key or str(uuid.uuid4())))
        execution_id = str(uuid.uuid5(_EXECUTIONS, key))
        queued = SyncExecution(execution_id, config_id, RunStatus.QUEUED, caller.actor.id, self.clock.now())
        self._record(caller, EventType.SYNC_REQUESTED, {"configId": config_id, "executionId": execution_id})
        if not self.state.create_execution(queued):
            queued = self.execution(config_id, execution_id)
        if queued.status is RunStatus.QUEUED:  # sent again, too, when the first request died between the two writes
            self.queue.send(SyncOrder(execution_id, config_id, caller.actor.id))
        return queued

    def execution(self, config_id: str, execution_id: str) -> SyncExecution:
        """The execution as it stands, or NotFoundError."""
        found = self.state.execution(config_id, execution_id)
        if found is None:
            raise NotFoundError("there is no such execution of that configuration")
        return found

    def _record(self, caller: Caller, event_type: EventType, detail: Mapping[str, str]) -> None:
        event = AuditEvent(
            event_id=str(uuid.uuid4()),
            occurred_at=self.clock.now(),
            event_type=event_type,
            outcome=Outcome.SUCCESS,
            actor=caller.actor,
            source="polyvault",
            ip_address=caller.ip_address,
            user_agent=caller.user_agent,
            detail=detail,
        )
        self.audit.append([event])
