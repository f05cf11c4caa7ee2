"""Order a rotation: who asked is on record before anything is set going."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from polyvault.domain.audit import AuditEvent, Caller, EventType, Outcome
from polyvault.domain.work import RotationOrder
from polyvault.errors import PolyvaultError, RotationNotEnabledError
from polyvault.ports import AuditLog, Clock, WorkQueue
from polyvault.services.overview import Overview

_TOKENS = uuid.UUID("6f2e2c1e-7a0b-5d57-9a5e-1f6f4f0b8c11")
_REQUESTS = uuid.UUID("b1f0a7c4-3e8d-5c1f-8f42-0d9b6a2e7d55")


@dataclass(frozen=True, slots=True)
class OrderRotation:
    """Orders rotations for callers of the API."""

    overview: Overview
    queue: WorkQueue
    audit: AuditLog
    clock: Clock

    def __call__(
        self, caller: Caller, secret: str, *, store: str | None = None, idempotency_key: str | None = None
    ) -> RotationOrder:
        """The order, once it is queued. The same caller, key, store and secret give the same order: one rotation.

        SecretNotFoundError, RotationNotEnabledError or MissingCapabilityError before anything is ordered.
        """
        name = self.overview.store_name(store)
        state = self.overview.open(name, caller).rotation_state(secret)
        if state.deletion_scheduled:
            raise RotationNotEnabledError("the secret is scheduled for deletion", secret=state.name)
        if not state.rotation_enabled:
            raise RotationNotEnabledError("rotation is not enabled for the secret", secret=state.name)
        order = _order(caller, name, state.name, idempotency_key or str(uuid.uuid4()))
        self._record(caller, order, Outcome.SUCCESS, None)
        try:
            self.queue.send(order)
        except PolyvaultError as error:
            self._record(caller, order, Outcome.ERROR, error.code)
            raise
        return order

    def _record(self, caller: Caller, order: RotationOrder, outcome: Outcome, error_code: str | None) -> None:
        event = AuditEvent(
            event_id=str(uuid.uuid4()),
            occurred_at=self.clock.now(),
            event_type=EventType.ROTATION_REQUESTED,
            outcome=outcome,
            actor=caller.actor,
            source="polyvault",
            store=order.store,
            secret=order.secret,
            ip_address=caller.ip_address,
            user_agent=caller.user_agent,
            error_code=error_code,
            detail={"requestId": order.request_id, "versionId": order.client_request_token},
        )
        self.audit.append([event])


def _order(caller: Caller, store: str, secret: str, key: str) -> RotationOrder:
    token = uuid.uuid5(_TOKENS, "\0".join((caller.actor.id, store, secret, key)))
    return RotationOrder(
        request_id=str(uuid.uuid5(_REQUESTS, str(token))),
        store=store,
        secret=secret,
        client_request_token=str(token),
        requested_by=caller.actor.id,
    )
