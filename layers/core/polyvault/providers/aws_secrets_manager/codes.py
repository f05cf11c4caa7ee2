"""What botocore's exceptions mean in our words."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import IncompleteRead
from typing import Any

from polyvault.contracts.answers import IncompleteAnswer
from polyvault.errors import ErrorCode

# Codes, never the HTTP status: Secrets Manager answers denied and throttled with 400 as well.
_CODES: Mapping[str, ErrorCode] = {
    "ResourceNotFoundException": ErrorCode.NOT_FOUND,
    "ResourceExistsException": ErrorCode.ALREADY_EXISTS,
    "InvalidRequestException": ErrorCode.INVALID_REQUEST,
    "InvalidParameterException": ErrorCode.INVALID_REQUEST,
    "InvalidNextTokenException": ErrorCode.INVALID_REQUEST,
    "LimitExceededException": ErrorCode.INVALID_REQUEST,
    "ValidationException": ErrorCode.INVALID_REQUEST,
    "PreconditionNotMetException": ErrorCode.INVALID_REQUEST,
    "AccessDeniedException": ErrorCode.ACCESS_DENIED,
    "AccessDenied": ErrorCode.ACCESS_DENIED,
    "DecryptionFailure": ErrorCode.ACCESS_DENIED,  # the KMS key refuses us: denied, not down
    "EncryptionFailure": ErrorCode.ACCESS_DENIED,
    "UnrecognizedClientException": ErrorCode.AUTHENTICATION_FAILED,
    "InvalidClientTokenId": ErrorCode.AUTHENTICATION_FAILED,
    "ExpiredTokenException": ErrorCode.AUTHENTICATION_FAILED,
    "ExpiredToken": ErrorCode.AUTHENTICATION_FAILED,
    "InvalidSignatureException": ErrorCode.AUTHENTICATION_FAILED,
    "SignatureDoesNotMatch": ErrorCode.AUTHENTICATION_FAILED,
    "IncompleteSignature": ErrorCode.AUTHENTICATION_FAILED,
    "MissingAuthenticationTokenException": ErrorCode.AUTHENTICATION_FAILED,
    "ThrottlingException": ErrorCode.THROTTLED,
    "Throttling": ErrorCode.THROTTLED,
    "TooManyRequestsException": ErrorCode.THROTTLED,
    "RequestLimitExceeded": ErrorCode.THROTTLED,
    "InternalServiceError": ErrorCode.UNAVAILABLE,
    "InternalFailure": ErrorCode.UNAVAILABLE,
    "ServiceUnavailable": ErrorCode.UNAVAILABLE,
    "ServiceUnavailableException": ErrorCode.UNAVAILABLE,
}
_FIRST_SERVER_ERROR = 500


class NoSuchVersion(Exception):
    """A version id of a length that Secrets Manager never gives: it would be refused as malformed, not as unknown."""


def classify(exc: Exception) -> ErrorCode:
    """By type and by error code."""
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    if isinstance(exc, exceptions.ClientError):
        return _by_code(exc)
    if isinstance(exc, NoSuchVersion):
        return ErrorCode.VERSION_NOT_FOUND
    if isinstance(exc, IncompleteAnswer | ResponseParserError | exceptions.ResponseStreamingError):
        return ErrorCode.INCOMPLETE_RESPONSE
    if isinstance(exc, exceptions.ConnectionClosedError) and _was_cut(exc):
        return ErrorCode.INCOMPLETE_RESPONSE
    if isinstance(exc, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return ErrorCode.AUTHENTICATION_FAILED
    if isinstance(exc, exceptions.CredentialRetrievalError):
        return ErrorCode.AUTHENTICATION_FAILED
    if isinstance(exc, exceptions.ParamValidationError):
        return ErrorCode.INVALID_REQUEST
    if isinstance(exc, exceptions.SSLError):
        return ErrorCode.UNKNOWN  # a wrong certificate is no outage: neither retried nor failed over
    unreachable = isinstance(exc, exceptions.HTTPClientError | exceptions.ConnectionError)
    return ErrorCode.UNAVAILABLE if unreachable else ErrorCode.UNKNOWN


def retry_after(exc: Exception) -> float | None:
    """The Retry-After header in seconds, where there is one."""
    answer = getattr(exc, "response", None)
    if not isinstance(answer, dict):
        return None
    wait = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", "")
    return float(wait) if wait.isdecimal() else None


def _was_cut(exc: Any) -> bool:
    """Older botocore finds a cut body itself, and gives it the name of a connection that closed without an answer."""
    inner = exc.kwargs.get("error")
    return any(isinstance(reason, IncompleteRead) for reason in getattr(inner, "args", ()))


def _by_code(exc: Any) -> ErrorCode:
    error = exc.response.get("Error", {})
    code, message = error.get("Code", ""), error.get("Message", "")
    if code == "InvalidRequestException" and "deletion" in message:
        return ErrorCode.UNAVAILABLE_STATE  # no code of its own; either way permanent, so the text decides no retry
    if exc.operation_name == "GetSecretValue":
        if code == "InvalidRequestException":
            return ErrorCode.VERSION_NOT_FOUND  # that version does not hold that label
        if code == "ResourceNotFoundException" and ("secret value" in message or "secret version" in message):
            return ErrorCode.VERSION_NOT_FOUND
    if exc.operation_name == "UpdateSecretVersionStage" and code == "InvalidParameterException":
        return ErrorCode.VERSION_CONFLICT  # the label is not where the caller thought
    if code in _CODES:
        return _CODES[code]
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return ErrorCode.UNAVAILABLE if status >= _FIRST_SERVER_ERROR else ErrorCode.UNKNOWN
