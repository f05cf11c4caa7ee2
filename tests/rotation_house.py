"""A vault in memory, a target in memory and the rotation between them, for tests of rules."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from polyvault.domain.audit import Actor, ActorType, EventType
from polyvault.domain.password import PasswordProfile
from polyvault.domain.rotation import Access, Credential, RotationRequest, Step, Strategy
from polyvault.domain.secret import SecretValue, StagingLabel, VersionRef
from polyvault.errors import InvalidInputError, TargetRejectedCredentialError
from polyvault.providers import memory
from polyvault.services.rotate import Rotate
from polyvault.store import SecretStore

from tests.fakes import FakeClock, RecordingAuditLog

SECRET = "prod/orders/database"
ADMIN_SECRET = "prod/orders/admin"
TOKEN = "5ab4a2c6-0f5e-4b9a-9d0c-3a6f0e6d9c11"
CANARY = "canary-8cf1-the-first-password"
FUNCTION_ARN = "arn:aws:lambda:us-east-1:111122223333:function:polyvault-rotation"
ACTOR = Actor(FUNCTION_ARN, ActorType.ROLE)
DOCUMENT = {
    "engine": "fake",
    "host": "db.example.com",
    "port": 5432,
    "dbname": "orders",
    "username": "app",
    "password": CANARY,
    "note": "kept",
}


class FakeTarget:
    """A server that keeps passwords with the version they came from. ``failures`` are raised by the next calls."""

    engine: ClassVar[str] = "fake"
    strategies: ClassVar[frozenset[Strategy]] = frozenset({Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS})
    password_profile: ClassVar[PasswordProfile] = PasswordProfile()

    def __init__(self) -> None:
        self.users: dict[str, tuple[SecretValue, str | None]] = {"app": (SecretValue(CANARY), None)}
        self.rights: dict[str, frozenset[str]] = {"app": frozenset({"read", "write"})}
        self.acts_as: dict[str, str] = {}
        self.changes: list[str] = []
        self.refused: list[str] = []
        self.logins: list[str] = []
        self.failures: list[Exception] = []
        self.shows_versions = True
        self.identity: str | None = None

    def login(self, credential: Credential, *, deadline: float) -> Access:
        if self.failures:
            raise self.failures.pop(0)
        known = self.users.get(credential.username)
        if known is None or known[0] != credential.password:
            self.refused.append(credential.username)
            raise TargetRejectedCredentialError("the target refused the login")
        self.logins.append(credential.username)
        return self._access(self.identity or credential.username)

    def installed_version(self, credential: Credential, version_ids: Sequence[str], *, deadline: float) -> str | None:
        held = self.users.get(credential.username, (None, None))[1]
        return held if self.shows_versions and held in version_ids else None

    def set_password(self, session_as: Credential, new: Credential, *, version_id: str, deadline: float) -> None:
        self.login(session_as, deadline=deadline)
        self._change(new, version_id)

    def next_username(self, username: str) -> str:
        if len(username) > 20:
            raise InvalidInputError("username", "is too long")
        return username.removesuffix("_clone") if username.endswith("_clone") else f"{username}_clone"

    def ensure_twin(
        self, admin: Credential, current: Credential, new: Credential, *, version_id: str, deadline: float
    ) -> None:
        self.login(admin, deadline=deadline)
        for user in (current.username, new.username):
            self.acts_as[user] = "app_owner"
        self.rights[new.username] = self.rights[current.username]
        self._change(new, version_id)

    def compare(self, credential: Credential, username: str, *, deadline: float) -> tuple[Access, Access]:
        return self.login(credential, deadline=deadline), self._access(username)

    def _access(self, user: str) -> Access:
        return Access(user, self.acts_as.get(user, user), self.rights.get(user, frozenset()))

    def _change(self, new: Credential, version_id: str) -> None:
        if self.users.get(new.username) != (new.password, version_id):
            self.changes.append(new.username)
        self.users[new.username] = (new.password, version_id)


class RotationHouse:
    """One secret under rotation; `request` begins one as Secrets Manager does."""

    def __init__(
        self,
        document: Mapping[str, object] | str = DOCUMENT,
        *,
        alternating: bool = False,
        choice: Callable[[str], str] = secrets.choice,
    ) -> None:
        self.clock = FakeClock()
        self.vault = memory.Provider(memory.Settings(), credential=None, clock=self.clock)
        self.audit = RecordingAuditLog()
        self.target = FakeTarget()
        self.store = SecretStore(self.vault, name="aws", clock=self.clock, audit=self.audit, actor=ACTOR)
        self.choice = choice
        self.engines: list[str] = []
        if alternating and not isinstance(document, str):
            document = {**document, "masterarn": ADMIN_SECRET}
            self.put(ADMIN_SECRET, {"username": "root", "password": "canary-admin"})
            self.target.users["root"] = (SecretValue("canary-admin"), None)
        self.first = self.put(SECRET, document)
        self.vault.enable_rotation(SECRET, FUNCTION_ARN)

    def put(self, name: str, document: Mapping[str, object] | str) -> str:
        text = document if isinstance(document, str) else json.dumps(document)
        return self.store.set_secret(name, SecretValue(text)).version_id

    def request(self, token: str = TOKEN) -> str:
        return self.vault.request_rotation(SECRET, client_request_token=token)

    def step(
        self, step: Step, token: str = TOKEN, *, seconds: float = 60, rotation_token: SecretValue | None = None
    ) -> None:
        """One step in a process of its own."""

        def targets(engine: str) -> FakeTarget:
            if engine != "fake":
                raise InvalidInputError("engine", "is none that we know")
            return self.target

        Rotate(self.store, targets=targets, audit=self.audit, clock=self.clock, actor=ACTOR, choice=self.choice).rotate(
            RotationRequest(SECRET, token, step, rotation_token), remaining_seconds=seconds, function_arn=FUNCTION_ARN
        )

    def steps(self, *steps: Step, token: str = TOKEN) -> None:
        for step in steps or tuple(Step):
            self.step(step, token)

    def document(self, version: VersionRef = VersionRef()) -> dict[str, object]:  # noqa: B008 - frozen
        parsed: dict[str, object] = json.loads(self.vault.get(SECRET, version).value.reveal())
        return parsed

    def holder(self, label: StagingLabel) -> str | None:
        return self.vault.rotation_state(SECRET).holder_of(label)

    def state(self) -> tuple[object, ...]:
        """All that a rotation could change, to see that nothing did."""
        state = self.vault.rotation_state(SECRET)
        versions = [(version.version_id, sorted(version.labels)) for version in self.vault.versions(SECRET)]
        return dict(state.labels), versions, dict(self.target.users), list(self.target.changes)

    def told(self, event_type: EventType) -> list[tuple[str, str | None]]:
        """Step and error code of each event of that type."""
        return [
            (event.detail["step"], event.error_code) for event in self.audit.events if event.event_type is event_type
        ]
