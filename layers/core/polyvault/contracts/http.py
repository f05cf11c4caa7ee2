"""What callers of the REST API send: bodies, queries and names in paths; strict, bounded, and never quoted back."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError  # noqa: TID251 - this module is its place
from pydantic.alias_generators import to_camel  # noqa: TID251 - this module is its place

from polyvault.contracts.decoding import MAX_BYTES, parse_json
from polyvault.contracts.sync_configuration import decode_sync_configuration
from polyvault.domain.query import MAX_PAGE, AuditQuestion
from polyvault.domain.sync import SyncConfiguration
from polyvault.errors import InvalidInputError

_PRINTABLE = r"^[^\p{C}\p{Zl}\p{Zp}]+$"
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,128}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d))?", re.ASCII)
# pydantic's own sentences may name patterns or the caller's fields: these are ours, by the type of the error.
_REASONS = {
    "greater_than_equal": "is too small",
    "int_parsing": "is not a whole number",
    "int_parsing_size": "is not a whole number",
    "int_type": "is not a whole number",
    "less_than_equal": "is too large",
    "missing": "is missing",
    "model_attributes_type": "is not an object",
    "model_type": "is not an object",
    "string_pattern_mismatch": "has characters that are not allowed",
    "string_too_long": "is too long",
    "string_too_short": "is empty",
    "string_type": "is not text",
    "string_unicode": "is not text",
}

Name = Annotated[str, Field(min_length=1, max_length=2048, pattern=_PRINTABLE)]
Word = Annotated[str, Field(min_length=1, max_length=128, pattern=_PRINTABLE)]
PageToken = Annotated[str, Field(min_length=1, max_length=4096)]
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE)]


class Contract(BaseModel):
    """Fields in camelCase, unknown ones refused, input kept out of errors."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False
    )


class _Body(Contract):
    model_config = ConfigDict(strict=True)


class ProxyEvent(Contract):
    """The members without which an event is not API Gateway's; all others are let through."""

    model_config = ConfigDict(extra="ignore", strict=True)
    http_method: Annotated[str, Field(min_length=1)]
    path: Annotated[str, Field(min_length=1)]
    request_context: dict[str, Any]


class SecretsQuery(Contract):
    """GET /secrets"""

    store: Word | None = None
    prefix: Annotated[str, Field(max_length=512)] = ""
    limit: Limit = MAX_PAGE
    token: PageToken | None = None


class StoreQuery(Contract):
    """GET /secrets/{name}/versions"""

    store: Word | None = None


class NoQuery(Contract):
    """Routes that take no query."""


class AuditEventsQuery(Contract):
    """GET /audit/events"""

    secret: Name | None = None
    user: Name | None = None
    start: Word | None = None
    end: Word | None = None
    limit: Limit = 50
    token: PageToken | None = None

    def to_question(self) -> AuditQuestion:
        """The question; InvalidInputError names start or end when it is no instant."""
        return AuditQuestion(
            secret=self.secret,
            user=self.user,
            start=instant("start", self.start) if self.start else None,
            end=instant("end", self.end) if self.end else None,
            limit=self.limit,
            token=self.token,
        )


class RotationBody(_Body):
    """POST /rotations"""

    secret: Name
    store: Word | None = None


class SyncExecutionBody(_Body):
    """POST /sync/executions"""

    config_id: Word


def check_event(event: object) -> None:
    """Raise InvalidInputError for an event that is not a REST API's."""
    _validated(ProxyEvent, event)


def body[M: Contract](contract: type[M], text: str | None, *, is_base64: bool = False) -> M:
    """The request's JSON body; InvalidInputError when it is missing, too large, too deep or not of the contract."""
    return _validated(contract, _json(text, is_base64))


def sync_configuration(config_id: str, text: str | None, *, is_base64: bool = False) -> SyncConfiguration:
    """The body of PUT /sync/configurations/{id}; an id in it must be the one in the path."""
    document = _json(text, is_base64)
    if not isinstance(document, dict):
        raise InvalidInputError("$", "is not an object")
    if document.setdefault("id", config_id) != config_id:
        raise InvalidInputError("id", "is not the id in the path")
    return decode_sync_configuration(document)


def query[M: Contract](contract: type[M], parameters: Mapping[str, Sequence[str]] | None) -> M:
    """The query's parameters, each given once; unknown ones are refused."""
    given = parameters or {}
    once = {name: values[0] for name, values in given.items() if len(values) == 1}
    if len(once) != len(given):
        known = {field.alias for field in contract.model_fields.values()}
        repeated = next((name for name in given if name not in once and name in known), "query")
        raise InvalidInputError(repeated, "is given more than once")
    return _validated(contract, once)


def secret_in_path(path: str) -> str:
    """The name in /secrets/{name}/versions, its slashes quoted or not; InvalidInputError for one quoted twice."""
    name = unquote(
        path.removeprefix("/secrets/").removesuffix("/versions"), errors="strict" if path.isascii() else "replace"
    )
    if "%" in name or not name.isprintable():
        raise InvalidInputError("name", "has characters that are not allowed")
    return name


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """The header Idempotency-Key, whatever the case of its letters; None when there is none."""
    found = next((value for name, value in headers.items() if name.lower() == "idempotency-key"), None)
    if found is not None and not _IDEMPOTENCY_KEY.fullmatch(found):
        raise InvalidInputError("Idempotency-Key", "is not 1 to 128 printable ASCII characters without blanks")
    return found


def instant(path: str, text: str) -> datetime:
    """An instant with its offset from UTC, or a bare date, which is its midnight in UTC."""
    try:
        if _INSTANT.fullmatch(text):
            found = datetime.fromisoformat(text)
            return found.replace(tzinfo=UTC) if len(text) == len("2026-01-05") else found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidInputError(path, "is not a time with its offset, such as 2026-01-05T12:00:00Z, nor a date")


def _validated[M: Contract](contract: type[M], data: object) -> M:
    try:
        return contract.model_validate(data)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_context=False, include_url=False)[0]
    # Raised here: inside `except` the input would stay reachable as the error's context.
    where = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":  # the last part is a name that the caller chose
        raise InvalidInputError(".".join(where[:-1]) or "$", "has a field that is not known")
    raise InvalidInputError(".".join(where) or "$", _REASONS.get(first["type"], "is not allowed"))


def _json(text: str | None, is_base64: bool) -> Any:
    if not text:
        raise InvalidInputError("body", "is missing")
    raw: str | bytes | None = _base64(text) if is_base64 else text
    if raw is None:
        raise InvalidInputError("body", "is not base64")
    return parse_json(raw)


def _base64(text: str) -> bytes | None:
    if len(text) > MAX_BYTES * 4 // 3 + 4:
        raise InvalidInputError("body", f"is larger than {MAX_BYTES} bytes")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
