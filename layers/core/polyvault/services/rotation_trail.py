"""What a rotation leaves in the audit log."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from polyvault.domain.audit import Actor, AuditEvent, EventType, Outcome
from polyvault.domain.rotation import RotationRequest
from polyvault.errors import AccessDeniedError, AuditWriteError, AuthenticationFailedError, PolyvaultError
from polyvault.ports import AuditLog, Clock

_DENIED = (AccessDeniedError, AuthenticationFailedError)


class RotationTrail:
    """Events of one step. Their ids derive from what makes them one: a step that is repeated leaves one event.

    A success that cannot be recorded raises AuditWriteError: the step is then repeated, finds itself done, and says so.
    """

    def __init__(
        self, audit: AuditLog, clock: Clock, actor: Actor, store: str, request: RotationRequest, attempt: str
    ) -> None:
        self._audit = audit
        self._clock = clock
        self._actor = actor
        self._store = store
        self._request = request
        self._attempt = attempt
        self.secret = request.secret_id  # its name, once the vault has told it

    def done(self, result: str) -> None:
        """The step is done; ``result`` says how, in a word."""
        self._append(EventType.ROTATION_STEP, Outcome.SUCCESS, {"result": result})

    def succeeded(self) -> None:
        """The rotation is finished."""
        self._append(EventType.ROTATION_SUCCEEDED, Outcome.SUCCESS, {})

    def failed(self, error: PolyvaultError) -> None:
        """The step failed. If this cannot be recorded either, the step's own error is what its caller hears."""
        outcome = Outcome.DENIED if isinstance(error, _DENIED) else Outcome.ERROR
        try:
            self._append(EventType.ROTATION_FAILED, outcome, {}, error_code=error.code, apart=self._attempt)
        except AuditWriteError:
            error.add_note("the audit log could not record this failure")

    def _append(
        self,
        event_type: EventType,
        outcome: Outcome,
        detail: Mapping[str, str],
        *,
        error_code: str | None = None,
        apart: str = "",
    ) -> None:
        step, version_id = self._request.step.value, self._request.client_request_token
        identity = "\0".join((self._store, self.secret, version_id, step, event_type, outcome, error_code or "", apart))
        event = AuditEvent(
            event_id=hashlib.sha256(identity.encode()).hexdigest()[:32],
            occurred_at=self._clock.now(),
            event_type=event_type,
            outcome=outcome,
            actor=self._actor,
            source="polyvault",
            store=self._store,
            secret=self.secret,
            error_code=error_code,
            detail={"step": step, "versionId": version_id, **detail},
        )
        self._audit.append([event])
