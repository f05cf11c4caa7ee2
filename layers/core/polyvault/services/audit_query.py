"""Ask the audit log. Each question is itself an event of it, recorded before its answer is given."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from polyvault.domain.audit import AuditEvent, AuditPage, Caller, EventType, Outcome
from polyvault.domain.query import AuditQuestion
from polyvault.errors import AuditReadError
from polyvault.ports import AuditLog, Clock

DEFAULT_RANGE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class AuditAnswer:
    """A page of events and the interval that was asked in effect."""

    page: AuditPage
    start: datetime
    end: datetime


class AskAudit:
    """Fails closed: a question that cannot be recorded gets no answer."""

    def __init__(self, audit: AuditLog, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock

    def __call__(self, caller: Caller, question: AuditQuestion) -> AuditAnswer:
        """The page; AuditReadError when the log could not be read whole, AuditWriteError when it is not recorded."""
        end = question.end or self._clock.now()
        start = question.start or end - DEFAULT_RANGE
        try:
            page = self._ask(question, start, end)
        except AuditReadError as error:
            self._record(caller, question, Outcome.ERROR, error.code)
            raise
        self._record(caller, question, Outcome.SUCCESS, None)
        return AuditAnswer(page, start, end)

    def _ask(self, question: AuditQuestion, start: datetime, end: datetime) -> AuditPage:
        if question.secret:
            return self._audit.for_secret(question.secret, start, end, limit=question.limit, token=question.token)
        return self._audit.for_user(question.user or "", start, end, limit=question.limit, token=question.token)

    def _record(self, caller: Caller, question: AuditQuestion, outcome: Outcome, error_code: str | None) -> None:
        # What was asked about stands in the detail: as the event's own secret it would fill the answers to come.
        about = {"aboutSecret": question.secret} if question.secret else {"aboutUser": question.user or ""}
        event = AuditEvent(
            event_id=str(uuid.uuid4()),
            occurred_at=self._clock.now(),
            event_type=EventType.AUDIT_QUERIED,
            outcome=outcome,
            actor=caller.actor,
            source="polyvault",
            ip_address=caller.ip_address,
            user_agent=caller.user_agent,
            error_code=error_code,
            detail=about,
        )
        self._audit.append([event])
