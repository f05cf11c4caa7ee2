"""AWS clients for Polyvault's own resources: short time-outs, one attempt, and no answer taken that was cut.

Retries are their callers' business: an adapter applies one `domain.retry` policy, the SDK none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ChecksumError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from polyvault.contracts.answers import IncompleteAnswer, answer_check, form_check

CONNECT_TIMEOUT_SECONDS = 1.0
READ_TIMEOUT_SECONDS = 3.0

FAILURES = (BotoCoreError, ClientError, ResponseParserError, IncompleteAnswer)
"""All that a call of such a client may raise."""

# Fields without which an answer means nothing. Operations whose honest answer may be empty (PutItem, GetItem of an
# absent key) are told from a cut one by length, checksum and form.
_REQUIRED: dict[str, tuple[str, ...]] = {
    "DescribeKey": ("KeyMetadata",),
    "DescribeSecret": ("ARN", "Name"),
    "GetKeyPolicy": ("Policy",),
    "GetKeyRotationStatus": ("KeyRotationEnabled",),
    "GetParameter": ("Parameter",),
    "GetResourcePolicy": ("ARN", "Name"),
    "ListSecretVersionIds": ("Versions",),
    "ListSecrets": ("SecretList",),
    "Publish": ("MessageId",),
    "PutObject": ("ETag",),
    "Query": ("Items", "Count"),
    "Scan": ("Items", "Count"),
    "SendMessage": ("MessageId",),
}
_JSON_PROTOCOLS = frozenset({"json", "rest-json"})
_FIRST_ERROR_STATUS = 300
_FIRST_SERVER_ERROR_STATUS = 500
_RETRYABLE_CODES = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TransactionInProgressException",
    }
)


@cache
def session() -> botocore.session.Session:
    """One for all clients, so that what they share is loaded once. boto3 adds a sixth to the start and nothing here.

    From here on botocore and urllib3 log warnings only, whatever the function's level: botocore's DEBUG prints requests
    and answers, values included.
    """
    for name in ("botocore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return botocore.session.get_session()


def client(
    service: str,
    *,
    region_name: str | None = None,
    endpoint_url: str | None = None,
    connect_timeout: float = CONNECT_TIMEOUT_SECONDS,
    read_timeout: float = READ_TIMEOUT_SECONDS,
) -> Any:
    """A botocore client that makes one attempt a call, within seconds, and raises IncompleteAnswer on a cut answer.

    Region, endpoint and credentials come from the SDK's own chain unless given.
    """
    made: Any = session().create_client(
        service,
        region_name=region_name,
        endpoint_url=endpoint_url,
        config=Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retries={"total_max_attempts": 1, "mode": "standard"},
        ),
    )
    speaks_json = made.meta.service_model.resolved_protocol in _JSON_PROTOCOLS
    if speaks_json:
        made.meta.events.register("before-parse", form_check)
        made.meta.events.register("before-parse", _refuse_empty)
    made.meta.events.register("after-call", _whole_answer(speaks_json))
    return made


def is_transient(exc: Exception) -> bool:
    """True when the same call may succeed later: throttled, server error, network, time-out or a cut answer."""
    if isinstance(exc, ClientError):
        status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= _FIRST_SERVER_ERROR_STATUS or error_code(exc) in _RETRYABLE_CODES
    return isinstance(
        exc, IncompleteAnswer | ChecksumError | HTTPClientError | BotoConnectionError | ResponseParserError
    )


def error_code(exc: Exception) -> str:
    """AWS's word for the error, else the exception's class name."""
    if isinstance(exc, ClientError):
        return str(exc.response.get("Error", {}).get("Code", "Unknown"))
    return type(exc).__name__


def _refuse_empty(operation_model: Any, response_dict: Any, **_: object) -> None:
    """For no bytes at all botocore answers as for ``{}``, which is the least that a JSON service sends."""
    succeeded = response_dict["status_code"] < _FIRST_ERROR_STATUS
    if succeeded and operation_model.output_shape is not None and response_dict["body"] == b"":
        raise IncompleteAnswer(f"{operation_model.name}: the answer is empty")


def _whole_answer(json_body: bool) -> Callable[..., None]:
    check = answer_check(_REQUIRED, json_body=json_body)

    def handler(http_response: Any, parsed: Any, model: Any, **_: object) -> None:
        if not model.has_streaming_output:  # such a body is the reader's, and botocore's stream checks its length
            check(http_response=http_response, parsed=parsed, model=model)

    return handler
