"""What each SDK's error means: by code and type; and how long a retry may take."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from botocore import exceptions as aws
from hvac import exceptions as vault
from hypothesis import given
from hypothesis import strategies as st
from polyvault.contracts.answers import IncompleteAnswer
from polyvault.domain.retry import RetryPolicy, RetryTokens
from polyvault.errors import ErrorCode
from polyvault.providers.aws_secrets_manager import codes
from polyvault.providers.aws_secrets_manager.shapes import metadata
from polyvault.providers.hashicorp_vault import connection
from polyvault.providers.hashicorp_vault.kv import limits


def refusal(code: str, operation: str = "GetSecretValue", *, status: int = 400, message: str = "") -> aws.ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
    }
    return aws.ClientError(response, operation)


DELETED = "You can't perform this operation on the secret because it was marked for deletion."
NO_VALUE = "Secrets Manager can't find the specified secret value for staging label: AWSPENDING"


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (refusal("ResourceNotFoundException", message="can't find the specified secret."), ErrorCode.NOT_FOUND),
        (refusal("ResourceNotFoundException", message=NO_VALUE), ErrorCode.VERSION_NOT_FOUND),
        (refusal("InvalidRequestException", message=DELETED), ErrorCode.UNAVAILABLE_STATE),
        (refusal("InvalidRequestException", "PutSecretValue", message=DELETED), ErrorCode.UNAVAILABLE_STATE),
        (refusal("InvalidRequestException", message="other"), ErrorCode.VERSION_NOT_FOUND),
        (refusal("InvalidRequestException", "RotateSecret"), ErrorCode.INVALID_REQUEST),
        (refusal("ResourceExistsException", "PutSecretValue"), ErrorCode.ALREADY_EXISTS),
        (refusal("InvalidParameterException", "UpdateSecretVersionStage"), ErrorCode.VERSION_CONFLICT),
        (refusal("InvalidParameterException", "PutSecretValue"), ErrorCode.INVALID_REQUEST),
        (refusal("AccessDeniedException"), ErrorCode.ACCESS_DENIED),
        (refusal("DecryptionFailure"), ErrorCode.ACCESS_DENIED),
        (refusal("ExpiredTokenException"), ErrorCode.AUTHENTICATION_FAILED),
        (refusal("UnrecognizedClientException"), ErrorCode.AUTHENTICATION_FAILED),
        (refusal("ThrottlingException"), ErrorCode.THROTTLED),
        (refusal("InternalServiceError", status=500), ErrorCode.UNAVAILABLE),
        (refusal("502", status=502), ErrorCode.UNAVAILABLE),
        (refusal("SomethingNew"), ErrorCode.UNKNOWN),
        (aws.NoCredentialsError(), ErrorCode.AUTHENTICATION_FAILED),
        (aws.CredentialRetrievalError(provider="x", error_msg="y"), ErrorCode.AUTHENTICATION_FAILED),
        (aws.ConnectTimeoutError(endpoint_url="https://x"), ErrorCode.UNAVAILABLE),
        (aws.ReadTimeoutError(endpoint_url="https://x"), ErrorCode.UNAVAILABLE),
        (aws.EndpointConnectionError(endpoint_url="https://x"), ErrorCode.UNAVAILABLE),
        (aws.ConnectionClosedError(endpoint_url="https://x"), ErrorCode.UNAVAILABLE),
        (aws.SSLError(endpoint_url="https://x", error="bad"), ErrorCode.UNKNOWN),
        (aws.ParamValidationError(report="x"), ErrorCode.INVALID_REQUEST),
        (IncompleteAnswer("x"), ErrorCode.INCOMPLETE_RESPONSE),
        (codes.NoSuchVersion("x"), ErrorCode.VERSION_NOT_FOUND),
        (KeyError("x"), ErrorCode.UNKNOWN),
    ],
    ids=str,
)
def test_botocores_errors_are_named_by_code_and_never_by_status_alone(exc: Exception, expected: ErrorCode) -> None:
    assert codes.classify(exc) is expected


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (vault.InvalidPath(errors=[], json={"errors": []}), ErrorCode.NOT_FOUND),
        (vault.InvalidPath("<html>", json=None), ErrorCode.INCOMPLETE_RESPONSE),
        (
            vault.InvalidPath(json={"data": {"data": None, "metadata": {"deletion_time": "2026"}}}),
            ErrorCode.UNAVAILABLE_STATE,
        ),
        (vault.InvalidRequest(errors=["check-and-set parameter did not match"]), ErrorCode.VERSION_CONFLICT),
        (vault.InvalidRequest(errors=["bad"]), ErrorCode.INVALID_REQUEST),
        (vault.InvalidRequest("bad"), ErrorCode.INVALID_REQUEST),
        (vault.Forbidden(), ErrorCode.ACCESS_DENIED),
        (vault.Unauthorized(), ErrorCode.AUTHENTICATION_FAILED),
        (connection.LoginRefused(), ErrorCode.AUTHENTICATION_FAILED),
        (connection.NameTaken(), ErrorCode.ALREADY_EXISTS),
        (connection.NoSuchVersion(), ErrorCode.VERSION_NOT_FOUND),
        (connection.ServerBusy(429, 2.0), ErrorCode.THROTTLED),
        (connection.ServerBusy(412, None), ErrorCode.UNAVAILABLE),
        (connection.ServerBusy(503, None), ErrorCode.UNAVAILABLE),
        (requests.exceptions.SSLError(), ErrorCode.UNKNOWN),
        (requests.exceptions.ConnectTimeout(), ErrorCode.UNAVAILABLE),
        (requests.exceptions.ReadTimeout(), ErrorCode.UNAVAILABLE),
        (requests.exceptions.ConnectionError(), ErrorCode.UNAVAILABLE),
        (requests.exceptions.ChunkedEncodingError(), ErrorCode.INCOMPLETE_RESPONSE),
        (vault.UnexpectedError(), ErrorCode.UNKNOWN),
        (KeyError("x"), ErrorCode.UNKNOWN),
    ],
    ids=repr,
)
def test_hvacs_errors_are_named_by_type(exc: Exception, expected: ErrorCode) -> None:
    assert connection.classify(exc) is expected


@pytest.mark.parametrize("exc", [KeyError("x"), aws.ConnectTimeoutError(endpoint_url="https://x")])
def test_a_wait_is_only_what_the_vault_said(exc: Exception) -> None:
    assert codes.retry_after(exc) is None
    assert connection.retry_after(exc) is None


@pytest.mark.parametrize(
    ("tags", "expires", "interval", "mfa"),
    [
        ({}, None, None, None),
        ({"polyvault:rotationInterval": "30", "polyvault:mfaRequired": "true"}, None, 30, True),
        ({"polyvault:rotationInterval": "soon", "polyvault:mfaRequired": "maybe"}, None, None, None),
        ({"polyvault:expiresAt": "2026-01-05T00:00:00Z", "polyvault:mfaRequired": "false"}, 2026, None, False),
        ({"polyvault:expiresAt": "2026-01-05T00:00:00"}, None, None, None),
        ({"polyvault:expiresAt": "tomorrow"}, None, None, None),
    ],
)
def test_our_tags_are_metadata_and_nonsense_in_them_is_nothing(
    tags: dict[str, str], expires: int | None, interval: int | None, mfa: bool | None
) -> None:
    found = metadata({"Name": "a", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]})
    assert (found.expires_at.year if found.expires_at else None) == expires
    assert (found.rotation_interval.days if found.rotation_interval else None) == interval
    assert found.mfa_required is mfa


@given(st.text(max_size=40))
def test_a_vault_name_has_no_segment_that_a_server_could_fold(name: str) -> None:
    accepted = limits(max_tags=0).name_pattern.fullmatch(name) is not None
    segments = name.split("/")
    if accepted:
        assert all(segment not in ("", ".", "..") for segment in segments)
        assert all(character.isprintable() or character > "\x9f" for character in name)
    elif name and all(segment.isalnum() for segment in segments):
        raise AssertionError("a plain name is refused")


@given(
    attempts=st.integers(1, 6),
    budget=st.floats(0, 20),
    draws=st.lists(st.floats(0, 1, exclude_max=True), min_size=10, max_size=10),
    wishes=st.lists(st.one_of(st.none(), st.floats(0, 10)), min_size=10, max_size=10),
)
def test_retries_stay_within_attempts_and_budget(
    attempts: int, budget: float, draws: list[float], wishes: list[float | None]
) -> None:
    policy, elapsed, made = RetryPolicy(attempts=attempts, budget_seconds=budget), 0.0, 1
    for draw, wish in zip(draws, wishes, strict=True):
        delay = policy.delay(made, draw=draw, retry_after=wish, elapsed=elapsed)
        if delay is None:
            break
        assert delay >= (wish or 0.0)
        elapsed, made = elapsed + delay, made + 1
    assert made <= attempts
    assert elapsed <= budget


def test_tokens_come_back_with_successes_up_to_the_capacity() -> None:
    tokens = RetryTokens(capacity=2.0, refill=0.5)
    assert [tokens.take() for _ in range(3)] == [True, True, False]
    tokens.succeeded()
    assert not tokens.take()
    tokens.succeeded()
    assert tokens.take()
    for _ in range(99):
        tokens.succeeded()
    assert [tokens.take() for _ in range(3)] == [True, True, False]
