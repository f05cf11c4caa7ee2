"""Every error that Polyvault raises.

PolyvaultError
  ConfigurationError              the deployment is wrong; nobody's request is
    UnknownProviderError
    UnknownStoreNameError
    MissingLayerError             "azure-key-vault needs layers/azure in this function"
    MissingCapabilityError
  InvalidInputError               path and reason, never the value
  NotFoundError                   no record of ours has that id
  StoreError                      store, provider, operation, secret name
    SecretNotFoundError
    SecretVersionNotFoundError
    SecretUnavailableError        deleted, disabled or destroyed: a state, never "missing"
    SecretAlreadyExistsError
    InvalidRequestError
    AuthenticationFailedError     our credential to the store is bad
    AccessDeniedError             it is good and not allowed
    VersionConflictError          moved under us
    IncompleteResponseError       an answer without its fields, or a list cut short
    TransientStoreError           .retry_after
      ThrottledError
      StoreUnavailableError       triggers failover
    UnclassifiedStoreError        classify() has no answer
  RotationError                   secret, client_request_token, step
    RotationNotEnabledError
    VersionNotStagedError         token not AWSPENDING
    TargetMismatchError           host, port, user, engine or database differ between versions
    TargetRejectedCredentialError login refused: never retried
    TargetRefusedValueError       against its policy: never the same again
    TargetPermissionError         the session may not do what the rotation needs
    TargetUnavailableError        network, DNS, time-out
    TargetTlsError                encryption refused or certificate wrong: never downgraded
    TargetDriftError              the target holds none of the secret's passwords
    PostConditionError            the login works and is not the whole post-condition
    DeadlineExceededError         too little time left for the next irreversible act
  SyncConflictError
  SyncInterruptedError            out of time: the same execution goes on when it is called again
  ReportError
  AccessPolicyDeniedError         MfaRequiredError is its leaf
  AuditWriteError                 writes fail closed
  AuditReadError                  the audit log did not answer a query whole
  HouseholdError                  our own table, queue or topic did not do its part

Retry and failover decide by class, never by text. No message holds a secret value.
"""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """What a driver's ``classify`` answers for a raw SDK exception; `store.py` turns it into a class."""

    NOT_FOUND = "not-found"
    VERSION_NOT_FOUND = "version-not-found"
    UNAVAILABLE_STATE = "unavailable-state"
    ALREADY_EXISTS = "already-exists"
    INVALID_REQUEST = "invalid-request"
    AUTHENTICATION_FAILED = "authentication-failed"
    ACCESS_DENIED = "access-denied"
    VERSION_CONFLICT = "version-conflict"
    INCOMPLETE_RESPONSE = "incomplete-response"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"


class PolyvaultError(Exception):
    """Root of the tree. ``code`` is a stable word for logs, metrics and API bodies."""

    code = "polyvault-error"


class ConfigurationError(PolyvaultError):
    """The deployment is wrong: a setting, a layer or a capability is missing."""

    code = "configuration"


class UnknownProviderError(ConfigurationError):
    """The stores document names a provider that is not a module of `polyvault.providers`."""

    code = "unknown-provider"


class UnknownStoreNameError(ConfigurationError):
    """A caller names a store that the stores document does not hold."""

    code = "unknown-store"


class MissingLayerError(ConfigurationError):
    """The provider's SDK is not in this function's layers."""

    code = "missing-layer"


class MissingCapabilityError(ConfigurationError):
    """A use case needs what the store cannot do; said before the call, not after."""

    code = "missing-capability"


class InvalidInputError(PolyvaultError):
    """Input breaks its contract: ``path`` names the field, ``reason`` the rule; the value is not kept."""

    code = "invalid-input"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class NotFoundError(PolyvaultError):
    """No configuration, execution or order of ours has that id. A vault's secret has errors of its own."""

    code = "not-found"


class StoreError(PolyvaultError):
    """A call to a vault failed. The message is ours; the SDK's exception is the cause, scrubbed."""

    code = "store-error"

    def __init__(self, message: str, *, store: str, provider: str, operation: str, secret: str | None = None) -> None:
        where = f"{store}: {operation}" + (f" {secret}" if secret else "")
        super().__init__(f"{where}: {message}")
        self.store = store
        self.provider = provider
        self.operation = operation
        self.secret = secret


class SecretNotFoundError(StoreError):
    """No secret of that name."""

    code = "secret-not-found"


class SecretVersionNotFoundError(StoreError):
    """The secret exists; the version, or its value, does not."""

    code = "secret-version-not-found"


class SecretUnavailableError(StoreError):
    """Deleted, disabled or destroyed: a state of the secret, never read as "missing"."""

    code = "secret-unavailable"


class SecretAlreadyExistsError(StoreError):
    """Create found the name taken."""

    code = "secret-already-exists"


class InvalidRequestError(StoreError):
    """The vault refused the request's form."""

    code = "invalid-request"


class AuthenticationFailedError(StoreError):
    """Our credential to the store is bad: tried once, never retried."""

    code = "authentication-failed"


class AccessDeniedError(StoreError):
    """Our credential is good and not allowed: never retried, never failed over."""

    code = "access-denied"


class VersionConflictError(StoreError):
    """A conditional write lost: the secret moved under us."""

    code = "version-conflict"


class IncompleteResponseError(StoreError):
    """The answer lacks its fields or was cut: an error, never an empty success."""

    code = "incomplete-response"


class TransientStoreError(StoreError):
    """May succeed later. ``retry_after`` is in seconds, None when the vault did not say."""

    code = "transient"

    def __init__(
        self,
        message: str,
        *,
        store: str,
        provider: str,
        operation: str,
        secret: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, store=store, provider=provider, operation=operation, secret=secret)
        self.retry_after = retry_after


class ThrottledError(TransientStoreError):
    """Over the vault's quota."""

    code = "throttled"


class StoreUnavailableError(TransientStoreError):
    """Network, time-out or 5xx: the only class that may trigger failover."""

    code = "store-unavailable"


class UnclassifiedStoreError(StoreError):
    """The driver's ``classify`` has no answer: neither retried nor failed over."""

    code = "unclassified"


class RotationError(PolyvaultError):
    """A rotation step failed. ``retryable`` says whether the same token may succeed later."""

    code = "rotation-error"
    retryable = False

    def __init__(self, message: str, *, secret: str = "", client_request_token: str = "", step: str = "") -> None:
        super().__init__(message)
        self.secret = secret
        self.client_request_token = client_request_token
        self.step = step


class RotationNotEnabledError(RotationError):
    """Rotation is off, deletion is scheduled, another service owns the secret, or another function rotates it."""

    code = "rotation-not-enabled"


class VersionNotStagedError(RotationError):
    """The client request token does not hold AWSPENDING: unknown or superseded."""

    code = "version-not-staged"


class TargetMismatchError(RotationError):
    """Current and pending credential name different hosts, ports, users, engines or databases."""

    code = "target-mismatch"


class TargetRejectedCredentialError(RotationError):
    """The target refused a login. Never retried: retries lock accounts."""

    code = "target-rejected-credential"


class TargetRefusedValueError(RotationError):
    """The target refuses the new value by its own policy: never the same value again."""

    code = "target-refused-value"


class TargetPermissionError(RotationError):
    """The login works and lacks a right that the rotation needs: a grant is missing, and retries do not help."""

    code = "target-permission"


class TargetUnavailableError(RotationError):
    """The target could not be reached in time: network, DNS, or a statement that waits on a lock."""

    code = "target-unavailable"
    retryable = True


class TargetTlsError(RotationError):
    """TLS failed: fail closed, never plaintext unless the secret says ``ssl: false``."""

    code = "target-tls"


class TargetDriftError(RotationError):
    """The target holds neither the current, the pending nor the previous password: a person must reconcile them."""

    code = "target-drift"


class PostConditionError(RotationError):
    """Login works, but identity or privileges are not what they must be (invariant I8)."""

    code = "post-condition"


class DeadlineExceededError(RotationError):
    """Too little time left to start the next irreversible act; the same token continues later."""

    code = "deadline-exceeded"
    retryable = True


class SyncConflictError(PolyvaultError):
    """Source and replica both changed and the configuration does not decide."""

    code = "sync-conflict"


class SyncInterruptedError(PolyvaultError):
    """Too little time left for the next item; nothing is half done and the same execution goes on later."""

    code = "sync-interrupted"


class ReportError(PolyvaultError):
    """A report breaks its own invariants and is not written."""

    code = "report-error"


class AccessPolicyDeniedError(PolyvaultError):
    """Polyvault's own policy refuses the caller."""

    code = "access-policy-denied"


class MfaRequiredError(AccessPolicyDeniedError):
    """The secret demands a verified multi-factor claim."""

    code = "mfa-required"


class AuditWriteError(PolyvaultError):
    """The audit event could not be made durable: the operation does not answer.

    ``failed`` names the events of the call that are not known to be durable; empty means any of them may be.
    """

    code = "audit-write"

    def __init__(self, message: str, *, failed: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.failed = failed


class AuditReadError(PolyvaultError):
    """The audit log could not be read whole: never answered as "no events"."""

    code = "audit-read"


class HouseholdError(PolyvaultError):
    """Polyvault's own table, queue or topic failed: what was asked is not done, and may be asked again."""

    code = "household"
