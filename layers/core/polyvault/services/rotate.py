"""The four steps of Secrets Manager's rotation, written once for every engine and strategy.

Each step asks first whether it is done, so that the same step under the same token, however often and after whatever
crash, is one change. Nothing is set on the target that is not durable as the pending value before.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from polyvault.domain.audit import Actor
from polyvault.domain.credential import parse_admin_credential, parse_credential, render_credential
from polyvault.domain.deadline import Deadline
from polyvault.domain.password import generate
from polyvault.domain.rotation import RotationRequest, Step
from polyvault.domain.secret import RotationState, SecretValue, StagingLabel
from polyvault.errors import (
    InvalidInputError,
    PolyvaultError,
    PostConditionError,
    RotationError,
    RotationNotEnabledError,
    SecretAlreadyExistsError,
    SecretVersionNotFoundError,
    TargetDriftError,
    TargetMismatchError,
    VersionNotStagedError,
)
from polyvault.ports import AuditLog, Clock, Target
from polyvault.services.rotation_trail import RotationTrail
from polyvault.services.strategies import Change, Held, RotationStrategy, strategy_for
from polyvault.store import SecretStore

# Left after the last act for the audit event and the answer.
_MARGIN_SECONDS = 1.0
_PUBLISH_SECONDS = 2.0
# A value just written may not be readable yet: five looks, as Secrets Manager is eventually consistent.
_REREAD_DELAYS = (0.2, 0.4, 0.8, 1.6, 3.0)
# Secrets Manager keeps about 100 versions and prunes none that is younger than a day.
_MOST_VERSIONS_A_DAY = 90


@dataclass(frozen=True, slots=True)
class _Call:
    """One invocation, after its checks."""

    request: RotationRequest
    state: RotationState
    deadline: Deadline
    trail: RotationTrail

    @property
    def secret(self) -> str:
        return self.request.secret_id

    @property
    def token(self) -> str:
        return self.request.client_request_token


class Rotate:
    """Runs one step a call. ``targets`` answers an engine's target; ``choice`` picks a character (secrets.choice)."""

    def __init__(
        self,
        store: SecretStore,
        *,
        targets: Callable[[str], Target],
        audit: AuditLog,
        clock: Clock,
        actor: Actor,
        choice: Callable[[str], str],
    ) -> None:
        self._store = store
        self._targets = targets
        self._audit = audit
        self._clock = clock
        self._actor = actor
        self._choice = choice

    def rotate(
        self,
        request: RotationRequest,
        *,
        remaining_seconds: float,
        function_arn: str | None = None,
        attempt: str = "",
    ) -> None:
        """Do the step, or see that it is done; raise a PolyvaultError otherwise, after which the same call may be made.

        ``function_arn`` is the ARN of the function that runs: a secret that another function rotates is refused.
        ``attempt`` tells failures of one step apart in the audit log; the function's request id does.
        """
        deadline = Deadline(self._clock.monotonic() + remaining_seconds - _MARGIN_SECONDS)
        trail = RotationTrail(self._audit, self._clock, self._actor, self._store.name, request, attempt)
        try:
            state = self._store.rotation_state(request.secret_id)
            trail.secret = state.name
            _check_rotates_here(state, function_arn)
            self._run(_Call(request, state, deadline, trail))
        except PolyvaultError as error:
            if isinstance(error, RotationError):
                error.secret, error.client_request_token = trail.secret, request.client_request_token
                error.step = request.step
            trail.failed(error)
            raise

    def _run(self, call: _Call) -> None:
        labels = call.state.labels.get(call.token, frozenset())
        if not labels:
            raise VersionNotStagedError("the client request token is no version of this secret")
        if StagingLabel.CURRENT in labels:
            self._finish_what_is_current(call)
        elif StagingLabel.PENDING not in labels:
            raise VersionNotStagedError("the client request token was superseded: it does not hold AWSPENDING")
        else:
            steps = {Step.CREATE: self._create, Step.SET: self._set, Step.TEST: self._test, Step.FINISH: self._finish}
            steps[call.request.step](call)

    def _finish_what_is_current(self, call: _Call) -> None:
        """The token is current: what is left is to end its pending state and to have said so."""
        if call.request.step is Step.TEST:
            if StagingLabel.PENDING in call.state.labels[call.token]:
                self._test_current(call)  # a configuration test changes nothing
            return
        self._store.discard(call.secret, client_request_token=call.token)
        if call.request.step is Step.FINISH:
            call.trail.done("already")
            call.trail.succeeded()

    # createSecret

    def _create(self, call: _Call) -> None:
        current = self._current(call)
        pending = self._store.pending(call.secret, call.token)
        result = "already"
        if pending is None:
            pending, result = self._stage(call, current), "staged"
        self._change(call, current, pending)
        call.trail.done(result)

    def _stage(self, call: _Call, current: Held) -> SecretValue:
        self._check_version_quota(call)
        target = self._targets(current.credential.engine)
        unlike = [current.credential.password, *self._previous_password(call)]
        value = render_credential(
            current.credential,
            username=self._strategy(current).next_username(current.credential),
            password=generate(target.password_profile, self._choice, unlike=unlike),
        )
        try:
            self._store.stage(
                call.secret,
                value,
                client_request_token=call.token,
                rotation_token=call.request.rotation_token,
            )
        except SecretAlreadyExistsError:
            return self._pending(call)  # a second createSecret of this token was faster
        return value

    def _check_version_quota(self, call: _Call) -> None:
        since = self._clock.now() - timedelta(days=1)
        versions = self._store.list_secret_versions(call.secret)
        recent = sum(version.created_at is not None and version.created_at > since for version in versions)
        if recent > _MOST_VERSIONS_A_DAY:
            raise RotationError(f"the secret has {recent} versions of the last 24 hours, more than may be added to")

    # setSecret

    def _set(self, call: _Call) -> None:
        current = self._current(call)
        change = self._change(call, current, self._pending(call))
        try:
            call.trail.done(self._strategy(current).apply(change))
        except TargetDriftError:
            # Proven: the target does not hold the pending value, so that giving up its label loses nothing.
            self._store.discard(call.secret, client_request_token=call.token)
            raise

    # testSecret

    def _test(self, call: _Call) -> None:
        current = self._current(call)
        pending = self._pending_soon(call)
        if pending is None or pending == current.credential.document:
            # Rotation was configured with RotateImmediately=false: only this step runs, and nothing may change.
            self._test_current(call)
            return
        self._strategy(current).verify(self._change(call, current, pending))
        call.trail.done("verified")

    def _test_current(self, call: _Call) -> None:
        current = self._current(call).credential
        access = self._targets(current.engine).login(current, deadline=call.deadline.at)
        if access.identity != current.username:
            raise PostConditionError("the current credential logs in as somebody else")
        call.trail.done("configuration-verified")

    # finishSecret

    def _finish(self, call: _Call) -> None:
        pending = self._pending(call)
        expected = call.state.holder_of(StagingLabel.CURRENT)
        if expected is None:
            self._check_login(call, Held(parse_credential(pending), call.token))
        else:
            current = self._held(call, expected)
            # Again, although testSecret has: a finish that comes before set, or alone, must not promote a value.
            self._strategy(current).verify(self._change(call, current, pending))
        call.deadline.require(_PUBLISH_SECONDS, "move AWSCURRENT", now=self._clock.monotonic())
        self._store.publish(call.secret, client_request_token=call.token, expect_current=expected)
        call.trail.done("published")
        call.trail.succeeded()

    def _check_login(self, call: _Call, held: Held) -> None:
        access = self._targets(held.credential.engine).login(held.credential, deadline=call.deadline.at)
        if access.identity != held.credential.username:
            raise PostConditionError("the pending credential logs in as somebody else")

    # What the steps share

    def _strategy(self, current: Held) -> RotationStrategy:
        return strategy_for(current.credential, self._targets(current.credential.engine), self._clock)

    def _current(self, call: _Call) -> Held:
        read = self._store.get_secret(call.secret)
        return Held(parse_credential(read.value), read.version_id)

    def _held(self, call: _Call, version_id: str) -> Held:
        return Held(parse_credential(self._store.get_secret_version(call.secret, version_id).value), version_id)

    def _previous_password(self, call: _Call) -> list[SecretValue]:
        """At most one: a previous value that is no credential, or is gone, keeps nobody from going on."""
        previous = self._previous_id(call)
        if previous is not None:
            with suppress(InvalidInputError, SecretVersionNotFoundError):
                return [self._held(call, previous).credential.password]
        return []

    @staticmethod
    def _previous_id(call: _Call) -> str | None:
        return call.state.holder_of(StagingLabel.PREVIOUS)

    def _pending(self, call: _Call) -> SecretValue:
        pending = self._pending_soon(call)
        if pending is None:
            raise VersionNotStagedError("the pending version has no value: createSecret has not run")
        return pending

    def _pending_soon(self, call: _Call) -> SecretValue | None:
        """The pending value, after a few looks while there is time; None when it does not come."""
        pending = self._store.pending(call.secret, call.token)
        for delay in _REREAD_DELAYS:
            if pending is not None or call.deadline.at - self._clock.monotonic() < delay + _PUBLISH_SECONDS:
                break
            self._clock.sleep(delay)
            pending = self._store.pending(call.secret, call.token)
        return pending

    def _change(self, call: _Call, current: Held, pending: SecretValue) -> Change:
        """The pair, if they belong together: before any login with the pending one."""
        credential = parse_credential(pending)
        differing = current.credential.differences(credential)
        if credential.username != self._strategy(current).next_username(current.credential):
            differing = (*differing, "username")
        if differing:
            raise TargetMismatchError(f"the pending value differs from the current one in: {', '.join(differing)}")
        previous = self._previous_id(call)
        return Change(
            current=current,
            pending=Held(credential, call.token),
            previous_id=previous,
            previous=lambda: self._held(call, str(previous)),
            admin=lambda: parse_admin_credential(
                self._store.get_secret(str(current.credential.admin_secret_arn)).value, of=current.credential
            ),
            deadline=call.deadline,
        )


def _check_rotates_here(state: RotationState, function_arn: str | None) -> None:
    if state.deletion_scheduled:
        raise RotationNotEnabledError("the secret is scheduled for deletion")
    if state.owning_service:
        raise RotationNotEnabledError("another service owns the secret and rotates it")
    if not state.rotation_enabled:
        raise RotationNotEnabledError("rotation is not enabled for the secret")
    if function_arn and _unqualified(state.rotation_function_arn or "") != _unqualified(function_arn):
        raise RotationNotEnabledError("another function rotates the secret")


def _unqualified(arn: str) -> str:
    """A function's ARN without version or alias."""
    return ":".join(arn.split(":")[:7])
