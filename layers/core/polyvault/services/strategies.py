"""How a rotation keeps somebody logged in: what setSecret does, and when its work is whole."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from polyvault.domain.deadline import Deadline
from polyvault.domain.rotation import Credential, Strategy
from polyvault.errors import (
    InvalidInputError,
    PostConditionError,
    TargetDriftError,
    TargetRejectedCredentialError,
)
from polyvault.ports import AlternatingTarget, Clock, InPlaceTarget, Target

_SET_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Held:
    """A credential and the version of the secret that holds it."""

    credential: Credential
    version_id: str


@dataclass(frozen=True, slots=True)
class Change:
    """One rotation's credentials. The previous one and the administrator's are read when they are needed."""

    current: Held
    pending: Held
    previous_id: str | None
    previous: Callable[[], Held]
    admin: Callable[[], Credential]
    deadline: Deadline


class RotationStrategy(Protocol):
    """`apply` twice is once; `verify` raises unless login, identity and rights are all what they must be (I8)."""

    def next_username(self, current: Credential) -> str: ...
    def apply(self, change: Change) -> str:
        """Change the target; answers how it came about, in a word for the audit event."""

    def verify(self, change: Change) -> None: ...


class SingleUser:
    """One user, whose password changes in place: its sessions go on, and logins with the old password end at once."""

    def __init__(self, target: InPlaceTarget, clock: Clock) -> None:
        self._target = target
        self._clock = clock

    def next_username(self, current: Credential) -> str:
        return current.username

    def apply(self, change: Change) -> str:
        pending = change.pending
        known = [pending.version_id, *([change.previous_id] if change.previous_id else [])]
        installed = self._target.installed_version(pending.credential, known, deadline=change.deadline.at)
        if installed == pending.version_id:
            self.verify(change)
            return "already"
        drifted = installed is not None  # to the previous password: a backup was restored
        session_as = change.previous() if drifted else change.current
        change.deadline.require(_SET_SECONDS, "set the password", now=self._clock.monotonic())
        try:
            self._set(session_as, change)
        except TargetRejectedCredentialError:
            return self._already_or_drift(change)
        return "applied-after-drift" if drifted else "applied"

    def _set(self, session_as: Held, change: Change) -> None:
        self._target.set_password(
            session_as.credential,
            change.pending.credential,
            version_id=change.pending.version_id,
            deadline=change.deadline.at,
        )

    def _already_or_drift(self, change: Change) -> str:
        """The current password was refused. One more login tells a pooler, which hides the salt, from drift."""
        try:
            self.verify(change)
        except TargetRejectedCredentialError:
            raise TargetDriftError("the target holds none of the secret's passwords: reconcile it by hand") from None
        return "already"

    def verify(self, change: Change) -> None:
        pending = change.pending.credential
        access = self._target.login(pending, deadline=change.deadline.at)
        if access.identity != pending.username:
            raise PostConditionError("the pending credential logs in as somebody else")


class AlternatingUsers:
    """Two users share one owner role and take turns: the current one is never touched."""

    def __init__(self, target: AlternatingTarget, clock: Clock) -> None:
        self._target = target
        self._clock = clock

    def next_username(self, current: Credential) -> str:
        if current.admin_secret_arn is None:
            raise InvalidInputError("masterarn", "is missing: alternating users need an administrator")
        return self._target.next_username(current.username)

    def apply(self, change: Change) -> str:
        if self._is_whole(change):
            return "already"
        current, pending = change.current.credential, change.pending
        try:
            # Who cannot log in as the current user does not own it, and gets no twin of it.
            self._target.login(current, deadline=change.deadline.at)
        except TargetRejectedCredentialError:
            raise TargetDriftError("the target refuses the current credential: reconcile it by hand") from None
        admin = change.admin()
        change.deadline.require(_SET_SECONDS, "set the password", now=self._clock.monotonic())
        try:
            self._target.ensure_twin(
                admin, current, pending.credential, version_id=pending.version_id, deadline=change.deadline.at
            )
        except TargetRejectedCredentialError:
            raise TargetRejectedCredentialError("the target refused the administrator's login") from None
        return "applied"

    def _is_whole(self, change: Change) -> bool:
        pending = change.pending
        installed = self._target.installed_version(
            pending.credential, [pending.version_id], deadline=change.deadline.at
        )
        if installed != pending.version_id:
            return False
        with suppress(PostConditionError, TargetRejectedCredentialError):
            self.verify(change)
            return True
        return False

    def verify(self, change: Change) -> None:
        pending = change.pending.credential
        access, reference = self._target.compare(
            pending, change.current.credential.username, deadline=change.deadline.at
        )
        if access.identity != pending.username:
            raise PostConditionError("the pending credential logs in as somebody else")
        if access.acts_as != reference.acts_as or access.acts_as == access.identity:
            raise PostConditionError("the two users do not act as one owner role")
        missing, beyond = reference.difference(access)
        if missing or beyond:
            raise PostConditionError(
                f"the pending user's rights differ: {len(missing)} missing, {len(beyond)} beyond the current user's"
            )


def strategy_for(credential: Credential, target: Target, clock: Clock) -> RotationStrategy:
    """The strategy that the secret asks for; if it does not say, alternating users where it names an administrator."""
    wanted = credential.strategy or (
        Strategy.ALTERNATING_USERS if credential.admin_secret_arn else Strategy.SINGLE_USER
    )
    if wanted is Strategy.ALTERNATING_USERS and isinstance(target, AlternatingTarget):
        return AlternatingUsers(target, clock)
    if wanted is Strategy.SINGLE_USER and isinstance(target, InPlaceTarget):
        return SingleUser(target, clock)
    raise InvalidInputError("strategy", f"is not possible with {target.engine}")
