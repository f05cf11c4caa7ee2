"""Runs a rotation that dies at one point, retries it as Secrets Manager does, and checks the invariants I1 to I8."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from polyvault.domain.audit import EventType
from polyvault.domain.rotation import Access, Credential, Step
from polyvault.domain.secret import StagingLabel, VersionRef
from polyvault.errors import PolyvaultError
from polyvault.targets.postgresql import scram

from tests.killpoints.gates import Crash, Point
from tests.killpoints.world import OWNER, Server, World

MOST_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Suite:
    """A strategy in a state: after that many rotations, with or without rights that drifted."""

    name: str
    strategy: str
    rotations_before: int = 0
    drifted: bool = False

    @property
    def alternating(self) -> bool:
        return self.strategy == "alternating-users"


SUITES = (
    Suite("single-user, first", "single-user"),
    Suite("single-user, again", "single-user", rotations_before=1),
    Suite("alternating-users, adoption", "alternating-users"),
    Suite("alternating-users, again", "alternating-users", rotations_before=1),
    Suite("alternating-users, drifted rights", "alternating-users", rotations_before=2, drifted=True),
)


@dataclass(slots=True)
class Outcome:
    """What one case showed. ``violations`` names each invariant that did not hold."""

    point: Point | None
    calls: tuple[str, ...] = ()
    fired: bool = False
    retries: int = 0
    current_dead: bool = False
    window_seconds: float = 0.0
    failed_logins: int = 0
    lost: int = 0
    gained: int = 0
    violations: list[str] = field(default_factory=list)

    def expect(self, holds: bool, invariant: str) -> None:
        if not holds:
            self.violations.append(invariant)


def run_case(server: Server, suite: Suite, point: Point | None) -> Outcome:
    """One rotation from a known state; without a point it is the clean run that finds the gates."""
    outcome = Outcome(point)
    with _recorded_logs() as log:
        world = World(server, strategy=suite.strategy)
        try:
            for _ in range(suite.rotations_before):
                _attempt(world, world.request())
            if suite.drifted:
                world.drift_rights()
            _Case(world, suite, outcome).run()
            _check_silence(world, log, outcome)
        finally:
            world.close()
    return outcome


def points(calls: int) -> Iterator[Point]:
    """Just before and just after each call."""
    for gate in range(1, calls + 1):
        yield Point(gate, after=False)
        yield Point(gate, after=True)


def _attempt(world: World, token: str) -> None:
    for step in Step:
        world.rotate(step, token)


class _Case:
    def __init__(self, world: World, suite: Suite, outcome: Outcome) -> None:
        self.world = world
        self.suite = suite
        self.outcome = outcome
        self.original = world.current()
        self.access = world.access(self.original)
        self.verifiers = world.verifiers()
        self.token = world.request()

    def run(self) -> None:
        world, outcome = self.world, self.outcome
        for attempt in range(MOST_ATTEMPTS):
            world.gates.start(outcome.point if attempt == 0 else None)
            try:
                _attempt(world, self.token)
            except Crash:
                outcome.fired = True
                self._check_after_crash()
            except PolyvaultError as error:
                outcome.violations.append(f"attempt {attempt}: {type(error).__name__}: {error}")
            else:
                outcome.retries = attempt
                outcome.failed_logins = max(outcome.failed_logins, world.gates.failed_logins)
                break
            outcome.failed_logins = max(outcome.failed_logins, world.gates.failed_logins)
        else:
            outcome.violations.append("did not converge")
        if outcome.point is None:
            outcome.calls = tuple(world.gates.calls)
            outcome.window_seconds = self._window() if not outcome.violations else -1
        self._check_end()

    def _window(self) -> float:
        """Seconds from the target's change to the label's move, in which a single user's readers hold the old one."""
        gates = self.world.gates
        commit = gates.answered[gates.calls.index("target commit")]
        return gates.answered[gates.calls.index(f"vault move {StagingLabel.CURRENT}")] - commit

    def _pending(self) -> Credential | None:
        return self.world.read(VersionRef(self.token))

    def _check_after_crash(self) -> None:
        world, outcome = self.world, self.outcome
        began = time.monotonic()
        pending, current = self._pending(), world.current()
        outcome.current_dead = not world.logs_in(current)
        if self.suite.alternating:
            outcome.expect(not outcome.current_dead, "I1: AWSCURRENT could not log in")
            outcome.expect(world.logs_in(self.original), "I4: the original credential was removed")
        elif outcome.current_dead:
            outcome.expect(pending is not None and world.logs_in(pending), "I1: no version of the secret logs in")
            outcome.window_seconds = time.monotonic() - began
        self._check_target(pending)

    def _check_target(self, pending: Credential | None) -> None:
        """I2 and I3: each password on the target is the one from before or the durable pending one, byte for byte."""
        allowed = set(self.verifiers.values())
        if pending is not None:
            allowed.add(scram.verifier(pending, self.token))
        found = self.world.verifiers()
        if OWNER not in self.access.acts_as:  # adoption writes the current password again, under the new role
            found.pop(self.original.username, None) if self.suite.alternating else None
        self.outcome.expect(set(found.values()) <= allowed, "I2/I3: the target holds what the vault did not, or twice")

    def _check_end(self) -> None:
        world, outcome = self.world, self.outcome
        final = world.current()
        outcome.expect(world.labelled(StagingLabel.CURRENT) == self.token, "the token is not AWSCURRENT")
        outcome.expect(world.labelled(StagingLabel.PENDING) in (None, self.token), "I6: AWSPENDING is left behind")
        outcome.expect(world.logs_in(final), "I1: AWSCURRENT cannot log in at the end")
        outcome.expect(final.password != self.original.password, "the password did not change")
        self._check_target(final)
        if self.suite.alternating:
            outcome.expect(world.logs_in(self.original), "I4: the previous credential died with the rotation")
        self._check_rights(world.access(final), final)
        done = [event.detail["step"] for event in world.audit.events if self._is(event.event_type, event.detail)]
        outcome.expect(sorted(done) == sorted(Step), "the audit log does not hold each step once")
        ended = [event for event in world.audit.events if event.event_type is EventType.ROTATION_SUCCEEDED]
        outcome.expect(
            [event.detail["versionId"] for event in ended].count(self.token) == 1, "success is not audited once"
        )

    def _is(self, event_type: EventType, detail: object) -> bool:
        return event_type is EventType.ROTATION_STEP and self.token in str(detail)

    def _check_rights(self, access: Access, final: Credential) -> None:
        """I8: the login that the target gives is the one the secret names, with the rights there were before."""
        lost, gained = self.access.difference(access)
        self.outcome.lost, self.outcome.gained = len(lost), len(gained)
        self.outcome.expect(not lost and not gained, f"I8: rights lost {sorted(lost)}, gained {sorted(gained)}")
        self.outcome.expect(access.identity == final.username, "I8: another identity logs in")
        if self.suite.alternating:
            self.outcome.expect(access.acts_as == OWNER, "I8: the login does not act as the owner role")


@contextmanager
def _recorded_logs() -> Iterator[list[str]]:
    """All that the libraries and we would log, at the most talkative level."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("polyvault", "psycopg")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)


def _check_silence(world: World, log: list[str], outcome: Outcome) -> None:
    told = "\n".join([*log, *map(repr, world.audit.events), *outcome.violations])
    spoken = [value for value in (*world.secrets_seen, "canary-rotation-token") if value in told]
    outcome.expect(not spoken, "I5: a value was told")
