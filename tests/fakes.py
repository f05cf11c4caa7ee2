"""Fakes that record: one for each port, kept as strict as the port's contract says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from polyvault.domain.audit import AuditEvent, AuditPage
from polyvault.domain.sync import UNFINISHED, SyncConfiguration, SyncExecution

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


class FakeClock:
    """Stands still until somebody sleeps or advances it; wall clock and monotonic clock move together."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self._elapsed += seconds

    def advance(self, seconds: float) -> None:
        """Let time pass without a sleeper."""
        self._elapsed += seconds


class RecordingAuditLog:
    """Keeps each event once by its id; ``failure`` is raised by append until it is set back to None."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self._events: dict[str, AuditEvent] = {}

    @property
    def events(self) -> list[AuditEvent]:
        """All events in the order of their first append."""
        return list(self._events.values())

    def append(self, events: Sequence[AuditEvent]) -> None:
        if self.failure is not None:
            raise self.failure
        for event in events:
            self._events.setdefault(event.event_id, event)

    def for_secret(self, secret: str, start: datetime, end: datetime, *, limit: int, token: str | None) -> AuditPage:
        return self._page(lambda event: event.secret == secret, start, end, limit, token)

    def for_user(self, user: str, start: datetime, end: datetime, *, limit: int, token: str | None) -> AuditPage:
        return self._page(lambda event: event.actor.id == user, start, end, limit, token)

    def _page(
        self, wanted: Callable[[AuditEvent], bool], start: datetime, end: datetime, limit: int, token: str | None
    ) -> AuditPage:
        found = [event for event in self._events.values() if wanted(event) and start <= event.occurred_at < end]
        found.sort(key=lambda event: event.occurred_at, reverse=True)
        first = int(token or 0)
        more = first + limit < len(found)
        return AuditPage(tuple(found[first : first + limit]), str(first + limit) if more else None)


class RecordingAlerts:
    """Keeps what people would have been told."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Mapping[str, object]]] = []

    def send(self, subject: str, body: Mapping[str, object]) -> None:
        self.sent.append((subject, body))


class RecordingQueue:
    """Keeps messages; ``failure`` is raised by send until it is set back to None."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.messages: list[object] = []

    def send(self, message: object) -> None:
        if self.failure is not None:
            raise self.failure
        self.messages.append(message)


class RecordingArchive:
    """Keeps files by key; a second put of a key replaces it."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[bytes, str]] = {}

    def put(self, key: str, body: bytes, *, content_type: str) -> str:
        self.files[key] = (body, content_type)
        return f"memory://{key}"


class MemorySyncState:
    """Sync configurations and executions, with the port's conditions; ``saved`` keeps every state of every record."""

    def __init__(self) -> None:
        self.saved: list[SyncExecution] = []
        self._configurations: dict[str, SyncConfiguration] = {}
        self._executions: dict[tuple[str, str], SyncExecution] = {}

    def put_configuration(self, configuration: SyncConfiguration) -> None:
        self._configurations[configuration.id] = configuration

    def configuration(self, config_id: str) -> SyncConfiguration | None:
        return self._configurations.get(config_id)

    def configurations(self) -> tuple[SyncConfiguration, ...]:
        return tuple(self._configurations.values())

    def create_execution(self, execution: SyncExecution) -> bool:
        key = (execution.config_id, execution.id)
        if key in self._executions:
            return False
        self._keep(execution)
        return True

    def save_execution(self, execution: SyncExecution) -> None:
        stored = self._executions.get((execution.config_id, execution.id))
        if stored is None or stored.status in UNFINISHED:
            self._keep(execution)

    def execution(self, config_id: str, execution_id: str) -> SyncExecution | None:
        return self._executions.get((config_id, execution_id))

    def executions(self, config_id: str) -> tuple[SyncExecution, ...]:
        found = [execution for (config, _), execution in self._executions.items() if config == config_id]
        return tuple(sorted(found, key=lambda execution: execution.started_at, reverse=True))

    def _keep(self, execution: SyncExecution) -> None:
        self.saved.append(execution)
        self._executions[execution.config_id, execution.id] = execution
