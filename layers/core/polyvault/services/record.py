"""Record what happened in a vault without us: one message an event, each durable or back in the queue."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from polyvault.domain.audit import AuditEvent
from polyvault.errors import AuditWriteError, InvalidInputError
from polyvault.ports import AuditLog

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recorded:
    """How a batch ended, by message id. Only ``stored`` messages may leave the queue.

    ``refused`` messages are no events and never will be: redelivery moves them aside. ``failed`` ones may succeed.
    """

    stored: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Messages that must stay in the queue."""
        return self.refused + self.failed


class Record:
    """``parse`` reads one message of a source and raises InvalidInputError for one that is none."""

    def __init__(self, audit: AuditLog, parse: Callable[[str], AuditEvent]) -> None:
        self._audit = audit
        self._parse = parse

    def __call__(self, messages: Mapping[str, str]) -> Recorded:
        """Append each message's event. One bad message, or one that cannot be stored, stops no other."""
        events: dict[str, AuditEvent] = {}
        refused: list[str] = []
        for message_id, body in messages.items():
            try:
                events[message_id] = self._parse(body)
            except InvalidInputError as error:
                log.warning("a message is refused", extra={"path": error.path, "reason": error.reason})
                refused.append(message_id)
        undone = self._append(tuple(events.values())) if events else frozenset()
        return Recorded(
            stored=tuple(message_id for message_id, event in events.items() if event.event_id not in undone),
            refused=tuple(refused),
            failed=tuple(message_id for message_id, event in events.items() if event.event_id in undone),
        )

    def _append(self, events: tuple[AuditEvent, ...]) -> frozenset[str]:
        """Ids of the events that are not known to be durable."""
        try:
            self._audit.append(events)
        except AuditWriteError as error:
            log.exception("events are not durable", extra={"events": len(error.failed or events)})
            return error.failed or frozenset(event.event_id for event in events)
        return frozenset()
