"""AWS clients for Polyvault's own resources: short time-outs, one attempt, and no answer taken that was cut.

botocore reads a body that was cut on the way as an empty answer and raises nothing. So each answer is checked here
against its Content-Length, its syntax and the members that its caller relies on. Retries are their callers' business:
the adapters apply one `domain.retry` policy, the SDK none.
"""

from __future__ import annotations

import json
import zlib
from typing import Any
from xml.etree import ElementTree

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.parsers import ResponseParserError

CONNECT_TIMEOUT_SECONDS = 1.0
READ_TIMEOUT_SECONDS = 3.0

# Members without which an answer of these operations means nothing. Operations whose honest answer may be empty
# (PutItem, GetItem of an absent key) are told from a cut one by length and syntax.
REQUIRED_MEMBERS: dict[tuple[str, str], tuple[str, ...]] = {
    ("dynamodb", "Query"): ("Items", "Count"),
    ("dynamodb", "Scan"): ("Items", "Count"),
    ("s3", "PutObject"): ("ETag",),
    ("sns", "Publish"): ("MessageId",),
    ("sqs", "SendMessage"): ("MessageId",),
    ("ssm", "GetParameter"): ("Parameter",),
}

_RETRYABLE_CODES = frozenset(
    {
        "InternalServerError",
        "InternalError",
        "InternalFailure",
        "LimitExceededException",
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
_FIRST_ERROR = 300
_FIRST_SERVER_ERROR = 500


class IncompleteAnswerError(BotoCoreError):
    """An answer with a success status that was cut or lacks its members: an error, never an empty success."""

    fmt = "{service}: {operation} answered incompletely: {what}"


def client(
    service: str,
    *,
    region_name: str | None = None,
    endpoint_url: str | None = None,
    connect_timeout: float = CONNECT_TIMEOUT_SECONDS,
    read_timeout: float = READ_TIMEOUT_SECONDS,
) -> Any:
    """A boto3 client that makes one attempt a call, within seconds, and raises IncompleteAnswerError on a cut answer.

    Region, endpoint and credentials come from the SDK's own chain unless given.
    """
    import boto3
    from botocore.config import Config

    made = boto3.client(
        service,  # type: ignore[call-overload]
        region_name=region_name,
        endpoint_url=endpoint_url,
        config=Config(connect_timeout=connect_timeout, read_timeout=read_timeout, retries={"total_max_attempts": 1}),
    )
    made.meta.events.register("after-call", check_answer)
    return made


def check_answer(*, http_response: Any, parsed: Any, model: Any, **_ignored: Any) -> None:
    """botocore's ``after-call`` hook: raise IncompleteAnswerError for a success that is not whole."""
    if http_response.status_code >= _FIRST_ERROR:
        return
    what = _cut(http_response, model) if not model.has_streaming_output else None
    missing = [
        member
        for member in REQUIRED_MEMBERS.get((model.service_model.service_name, model.name), ())
        if not isinstance(parsed, dict) or member not in parsed
    ]
    if what is None and missing:
        what = f"{', '.join(missing)} missing"
    if what is not None:
        raise IncompleteAnswerError(service=model.service_model.service_name, operation=model.name, what=what)


def is_transient(exc: Exception) -> bool:
    """True when the same call may succeed later: throttled, server error, network, time-out or a cut answer."""
    if isinstance(exc, ClientError):
        status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= _FIRST_SERVER_ERROR or error_code(exc) in _RETRYABLE_CODES
    return isinstance(exc, IncompleteAnswerError | HTTPClientError | ResponseParserError)


def error_code(exc: Exception) -> str:
    """AWS's word for the error, else the exception's class name."""
    if isinstance(exc, ClientError):
        return str(exc.response.get("Error", {}).get("Code", "Unknown"))
    return type(exc).__name__


def _cut(http_response: Any, model: Any) -> str | None:
    body: bytes = http_response.content
    headers = http_response.headers
    length = headers.get("Content-Length")
    if length is not None and length.isdigit() and int(length) != len(body):
        return f"{len(body)} of {length} bytes"
    checksum = headers.get("x-amz-crc32")
    if checksum is not None and checksum.isdigit() and int(checksum) != zlib.crc32(body):
        return "the checksum differs"
    protocol = model.service_model.resolved_protocol
    if protocol in ("json", "rest-json"):
        return _bad_json(body, model)
    return _bad_xml(body) if body else None


def _bad_json(body: bytes, model: Any) -> str | None:
    if not body:
        return None if model.output_shape is None or not model.output_shape.members else "an empty body"
    try:
        whole = isinstance(json.loads(body), dict)
    except ValueError:
        whole = False
    return None if whole else "the body is no JSON object"


def _bad_xml(body: bytes) -> str | None:
    try:
        ElementTree.fromstring(body)  # noqa: S314 - botocore has parsed the same bytes of the same peer already
    except ElementTree.ParseError:
        return "the body is no XML document"
    return None
