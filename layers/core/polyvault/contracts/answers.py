"""What a whole answer is. botocore reads a cut body as an empty success; this does not.

Observed with botocore 1.43 and 1.44: HTTP 200 with part of its body gives ``{}``, one attempt and no exception, and a
paginator over such a page gives nothing and no error.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

_FIRST_ERROR_STATUS = 300


class IncompleteAnswer(Exception):
    """An answer without its required fields, or shorter than it said; holds names of fields only."""


class HttpAnswer(Protocol):
    """The part of botocore's AWSResponse that is read here."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes


def answer_check(required: Mapping[str, tuple[str, ...]], *, json_body: bool = True) -> Callable[..., None]:
    """A handler for botocore's ``after-call`` that raises IncompleteAnswer.

    ``required`` names the fields of each operation; ``a|b`` means one of them. Operations without an entry still have
    their length, checksum and form checked. Errors (status 300 and more) are the caller's to classify.
    """

    def check(http_response: HttpAnswer, parsed: Mapping[str, Any], model: Any, **_: object) -> None:
        if http_response.status_code >= _FIRST_ERROR_STATUS:
            return
        operation = str(model.name)
        body = http_response.content
        _check_body(operation, body, http_response.headers)
        if json_body and body:
            _check_json(operation, body)
        for field in required.get(operation, ()):
            if not any(parsed.get(name) is not None for name in field.split("|")):
                raise IncompleteAnswer(f"{operation}: the answer has no {field.replace('|', ' or ')}")

    return check


def form_check(operation_model: Any, response_dict: Mapping[str, Any], **_: object) -> None:
    """A handler for botocore's ``before-parse`` of JSON services: what is no object would break its parser.

    The other checks come after the call, by `answer_check`.
    """
    if response_dict["status_code"] < _FIRST_ERROR_STATUS and isinstance(response_dict["body"], bytes):
        body = response_dict["body"]
        if body.lstrip()[:1] not in (b"{", b""):
            _check_body(str(operation_model.name), body, response_dict["headers"])
            raise IncompleteAnswer(f"{operation_model.name}: the answer is not a JSON object")


def _check_body(operation: str, body: bytes, headers: Mapping[str, str]) -> None:
    if headers.get("content-encoding") not in (None, "", "identity"):
        return
    length = headers.get("content-length")
    if length is not None and length.isdecimal() and int(length) != len(body):
        raise IncompleteAnswer(f"{operation}: the answer was cut")
    checksum = headers.get("x-amz-crc32")
    if checksum is not None and checksum.isdecimal() and int(checksum) != zlib.crc32(body):
        raise IncompleteAnswer(f"{operation}: the answer does not match its checksum")


def _check_json(operation: str, body: bytes) -> None:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise IncompleteAnswer(f"{operation}: the answer is not a JSON object")
