"""Numbered gates before and after each outward call of a rotation, at any of which the process can be made to die."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyvault.domain.audit import AuditEvent
from polyvault.domain.rotation import Credential
from polyvault.domain.secret import RawVersion, RotationState, SecretValue, StagingLabel, VersionInfo, VersionRef
from polyvault.errors import TargetRejectedCredentialError
from polyvault.ports import Clock
from polyvault.providers import memory
from polyvault.targets.postgresql import scram
from polyvault.targets.postgresql.session import Session, Statement, open_session

from tests.fakes import RecordingAuditLog


class Crash(BaseException):
    """The process died here. Nothing may catch it: a dead process runs no handler."""


@dataclass(frozen=True, slots=True)
class Point:
    """A moment to die: just before or just after the call of that number."""

    gate: int
    after: bool

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} call {self.gate}"


def is_telling(call: str, point: Point) -> bool:
    """Whether this death can leave what the next one does not: each side of a write, after each uncommitted statement.

    (Dying at a read, or before a statement, leaves what dying after the call before it leaves.)
    """
    if call.startswith(("vault put", "vault move")) or call == "target commit":
        return True
    return point.after and call.startswith("target ") and call not in {"target query", "target question"}


class Gates:
    """Counts the outward calls of one attempt, and dies at the point it is armed with."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.answered: list[float] = []
        self.failed_logins = 0
        self.fired = False
        self._armed: Point | None = None
        self._open: set[Session] = set()

    def start(self, point: Point | None = None) -> None:
        """Begin an attempt."""
        self.calls, self.answered = [], []
        self.failed_logins, self.fired, self._armed = 0, False, point

    def through[T](self, name: str, call: Callable[[], T]) -> T:
        """Make the call as the next gate; a call that fails has an "after" too."""
        self.calls.append(name)
        number = len(self.calls)
        self._die_at(Point(number, after=False))
        try:
            result = call()
        except Exception:
            self.answered.append(time.monotonic())
            self._die_at(Point(number, after=True))
            raise
        self.answered.append(time.monotonic())
        self._die_at(Point(number, after=True))
        return result

    def opened(self, session: Session) -> Session:
        """The process now holds this session, and loses it when it dies."""
        self._open.add(session)
        return session

    def closed(self, session: Session) -> None:
        """The process let go of it."""
        self._open.discard(session)
        session.close()

    def _die_at(self, point: Point) -> None:
        if self._armed != point:
            return
        self.fired = True
        for session in list(self._open):
            # The server sees what it sees of a killed process: a connection cut without a word.
            with socket.socket(fileno=os.dup(session.fileno())) as connection:
                connection.shutdown(socket.SHUT_RDWR)
            self.closed(session)
        raise Crash(str(point))


class GatedVault(memory.Provider):
    """The reference vault with staging labels; each API call is a gate. It outlives the processes that die."""

    def __init__(self, gates: Gates, clock: Clock) -> None:
        super().__init__(memory.Settings(), credential=None, clock=clock)
        self._gates = gates

    def get(self, name: str, version: VersionRef) -> RawVersion:
        return self._gates.through("vault get", lambda: memory.Provider.get(self, name, version))

    def versions(self, name: str) -> Iterable[VersionInfo]:
        return self._gates.through("vault versions", lambda: memory.Provider.versions(self, name))

    def rotation_state(self, name: str) -> RotationState:
        return self._gates.through("vault describe", lambda: memory.Provider.rotation_state(self, name))

    def put_staged(
        self,
        name: str,
        value: SecretValue,
        *,
        version_id: str,
        label: StagingLabel,
        rotation_token: SecretValue | None,
    ) -> RawVersion:
        return self._gates.through(
            "vault put",
            lambda: memory.Provider.put_staged(
                self, name, value, version_id=version_id, label=label, rotation_token=rotation_token
            ),
        )

    def move_label(self, name: str, label: StagingLabel, *, to: str | None, expect_at: str | None) -> None:
        self._gates.through(
            f"vault move {label}",
            lambda: memory.Provider.move_label(self, name, label, to=to, expect_at=expect_at),
        )


class GatedAuditLog(RecordingAuditLog):
    """The audit log; each append is a gate."""

    def __init__(self, gates: Gates) -> None:
        super().__init__()
        self._gates = gates

    def append(self, events: Sequence[AuditEvent]) -> None:
        self._gates.through("audit append", lambda: RecordingAuditLog.append(self, events))


class GatedSession(Session):
    """A database session; each statement and the commit is a gate."""

    def __init__(self, session: Session, gates: Gates) -> None:
        self._session = session
        self._gates = gates

    def rows(self, statement: Statement, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        return self._gates.through("target query", lambda: self._session.rows(statement, parameters))

    def run(self, statement: Statement, act: str) -> None:
        self._gates.through(f"target {act}", lambda: self._session.run(statement, act))

    def commit(self) -> None:
        self._gates.through("target commit", self._session.commit)

    def verifier(self, credential: Credential) -> str:
        return self._session.verifier(credential)

    def close(self) -> None:
        self._gates.closed(self._session)


def gated_sessions(gates: Gates) -> Callable[..., Session]:
    """What opens the target's sessions, with a gate at each login."""

    def opened(credential: Credential, *, ca_file: Path | None, clock: Clock, deadline: float) -> Session:
        def login() -> Session:
            try:
                return gates.opened(open_session(credential, ca_file=ca_file, clock=clock, deadline=deadline))
            except TargetRejectedCredentialError:
                gates.failed_logins += 1
                raise

        return GatedSession(gates.through(f"target login {credential.username}", login), gates)

    return opened


def gated_question(gates: Gates) -> Callable[..., bytes | None]:
    """The question which password the target holds, as a gate."""

    def asked(credential: Credential, *, ca_file: Path | None, timeout: float) -> bytes | None:
        return gates.through(
            "target question", lambda: scram.installed_salt(credential, ca_file=ca_file, timeout=timeout)
        )

    return asked
