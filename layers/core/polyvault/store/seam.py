"""The one seam to a vault: errors are named, retries are made and audit events are written here and nowhere else."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Mapping
from random import SystemRandom

from polyvault.domain.audit import Actor, AuditEvent, EventType, Outcome
from polyvault.domain.retry import RetryPolicy, RetryTokens
from polyvault.domain.secret import Health
from polyvault.errors import (
    AccessDeniedError,
    AuthenticationFailedError,
    ErrorCode,
    IncompleteResponseError,
    InvalidRequestError,
    PolyvaultError,
    SecretAlreadyExistsError,
    SecretNotFoundError,
    SecretUnavailableError,
    SecretVersionNotFoundError,
    StoreError,
    StoreUnavailableError,
    ThrottledError,
    TransientStoreError,
    UnclassifiedStoreError,
    VersionConflictError,
)
from polyvault.ports import AuditLog, Clock, StoreDriver

_CLASSES: Mapping[ErrorCode, tuple[type[StoreError], str]] = {
    ErrorCode.NOT_FOUND: (SecretNotFoundError, "there is no such secret"),
    ErrorCode.VERSION_NOT_FOUND: (SecretVersionNotFoundError, "there is no such version, or it holds no value"),
    ErrorCode.UNAVAILABLE_STATE: (SecretUnavailableError, "the secret is deleted, disabled or destroyed"),
    ErrorCode.ALREADY_EXISTS: (SecretAlreadyExistsError, "the name or the version is taken"),
    ErrorCode.INVALID_REQUEST: (InvalidRequestError, "the vault refused the request"),
    ErrorCode.AUTHENTICATION_FAILED: (AuthenticationFailedError, "our credential was refused"),
    ErrorCode.ACCESS_DENIED: (AccessDeniedError, "we are not allowed to do this"),
    ErrorCode.VERSION_CONFLICT: (VersionConflictError, "the secret moved under us"),
    ErrorCode.INCOMPLETE_RESPONSE: (IncompleteResponseError, "the answer was cut or lacks its fields"),
    ErrorCode.THROTTLED: (ThrottledError, "over the vault's quota"),
    ErrorCode.UNAVAILABLE: (StoreUnavailableError, "the vault cannot be reached"),
    ErrorCode.UNKNOWN: (UnclassifiedStoreError, "an error that the provider cannot name"),
}
# An SDK may quote its input or the answer in these: their text stays out of the chain of causes.
_MAY_QUOTE_A_VALUE = frozenset({ErrorCode.INVALID_REQUEST, ErrorCode.INCOMPLETE_RESPONSE, ErrorCode.UNKNOWN})
_DENIED = (AccessDeniedError, AuthenticationFailedError)


class Seam:
    """Runs calls on one driver, in the name of one actor."""

    def __init__(
        self,
        driver: StoreDriver,
        *,
        name: str,
        clock: Clock,
        audit: AuditLog,
        actor: Actor,
        retry: RetryPolicy | None,
        draw: Callable[[], float] | None,
    ) -> None:
        self.driver = driver
        self.name = name
        self.clock = clock
        self._audit = audit
        self._actor = actor
        self._ip_address: str | None = None
        self._user_agent: str | None = None
        self._retry = retry or RetryPolicy()
        self._tokens = RetryTokens()
        self._draw = draw or SystemRandom().random

    def for_actor(self, actor: Actor, *, ip_address: str | None, user_agent: str | None) -> Seam:
        """The same seam in another's name; driver and retry tokens are shared."""
        other = copy.copy(self)
        other._actor, other._ip_address, other._user_agent = actor, ip_address, user_agent
        return other

    def run[T](
        self,
        event_type: EventType,
        operation: str,
        secret: str | None,
        call: Callable[[], T],
        detail: Callable[[T], Mapping[str, str]] | None = None,
        settled: Callable[[], T | None] | None = None,
        *,
        hide: tuple[type[StoreError], ...] = (),
    ) -> T:
        """Run the call, retry what is transient, and record how it ended before answering.

        ``settled`` looks, before a write is repeated whose answer was lost, whether it has been applied. ``hide`` names
        errors that answer a question of ours and are no event.
        """
        try:
            answer = self._attempt(operation, secret, call, settled)
        except hide:
            raise
        except StoreError as error:
            outcome = Outcome.DENIED if isinstance(error, _DENIED) else Outcome.ERROR
            self._record(event_type, operation, secret, outcome, error_code=error.code)
            raise
        self._record(event_type, operation, secret, Outcome.SUCCESS, detail=detail(answer) if detail else None)
        return answer

    def health(self) -> Health:
        """One cheap authenticated call, one attempt; never raises."""
        started = self.clock.monotonic()
        error: str | None = None
        try:
            self.driver.ping()
        except Exception as exc:  # noqa: BLE001 - the answer is the health
            error = _CLASSES[self.driver.classify(exc)][0].code
        latency = (self.clock.monotonic() - started) * 1000
        return Health(self.name, self.driver.provider, error is None, latency, error)

    def error(self, code: ErrorCode, operation: str, secret: str | None, exc: Exception | None = None) -> StoreError:
        """The typed error of that code. Its message is ours: of the raw one it takes the class name only."""
        error_class, phrase = _CLASSES[code]
        message = f"{phrase} ({type(exc).__name__})" if exc else phrase
        provider = self.driver.provider
        if issubclass(error_class, TransientStoreError):
            wait = self.driver.retry_after(exc) if exc else None
            return error_class(
                message, store=self.name, provider=provider, operation=operation, secret=secret, retry_after=wait
            )
        return error_class(message, store=self.name, provider=provider, operation=operation, secret=secret)

    def _attempt[T](
        self, operation: str, secret: str | None, call: Callable[[], T], settled: Callable[[], T | None] | None
    ) -> T:
        started = self.clock.monotonic()
        retry = 0
        while True:
            retry += 1
            try:
                answer = call()
            except PolyvaultError:
                raise
            except Exception as exc:  # noqa: BLE001 - the one seam: every raw error is named here
                code = self.driver.classify(exc)
                error = self.error(code, operation, secret, exc)
                cause = None if code in _MAY_QUOTE_A_VALUE else exc
            else:
                self._tokens.succeeded()
                return answer
            delay = self._delay(error, retry, self.clock.monotonic() - started)
            if delay is None:
                raise error from cause  # outside `except`: a raw error with a value is no context either
            self.clock.sleep(delay)
            found = self._look(settled) if settled and code is ErrorCode.UNAVAILABLE else None
            if found is not None:
                return found

    @staticmethod
    def _look[T](settled: Callable[[], T | None]) -> T | None:
        try:
            return settled()
        except Exception:  # noqa: BLE001 - the repeated write meets the same error, and names it
            return None

    def _delay(self, error: StoreError, retry: int, elapsed: float) -> float | None:
        if not isinstance(error, TransientStoreError):
            return None
        delay = self._retry.delay(retry, draw=self._draw(), retry_after=error.retry_after, elapsed=elapsed)
        return delay if delay is not None and self._tokens.take() else None

    def _record(
        self,
        event_type: EventType,
        operation: str,
        secret: str | None,
        outcome: Outcome,
        *,
        error_code: str | None = None,
        detail: Mapping[str, str] | None = None,
    ) -> None:
        event = AuditEvent(
            event_id=str(uuid.uuid4()),
            occurred_at=self.clock.now(),
            event_type=event_type,
            outcome=outcome,
            actor=self._actor,
            source="polyvault",
            store=self.name,
            secret=secret,
            ip_address=self._ip_address,
            user_agent=self._user_agent,
            error_code=error_code,
            detail={"operation": operation, **(detail or {})},
        )
        self._audit.append([event])
