"""Questions that are answered page by page: their bounds, and the token that names where the next page starts."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from polyvault.errors import InvalidInputError

MAX_PAGE = 100
MAX_RANGE = timedelta(days=92)
_CHECK_LENGTH = 16
_MAX_TOKEN = 4096


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The half-open interval [start, end) in aware time, at most 92 days long."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for path, instant in (("start", self.start), ("end", self.end)):
            if instant.tzinfo is None:
                raise InvalidInputError(path, "has no time zone")
        if not self.start < self.end:
            raise InvalidInputError("end", "is not after start")
        if self.end - self.start > MAX_RANGE:
            raise InvalidInputError("start", f"is more than {MAX_RANGE.days} days before end: ask in parts")

    def days_newest_first(self) -> Iterator[date]:
        """Each UTC day that the interval touches."""
        first = self.start.astimezone(UTC).date()
        day = (self.end.astimezone(UTC) - timedelta(microseconds=1)).date()
        while day >= first:
            yield day
            day -= timedelta(days=1)


@dataclass(frozen=True, slots=True)
class AuditQuestion:
    """Events of one secret or of one principal, exactly one of the two, in [start, end): by default, the last week.

    The page after the first needs the start and end that the first one's answer states.
    """

    secret: str | None = None
    user: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    limit: int = 50
    token: str | None = None

    def __post_init__(self) -> None:
        if not self.secret and not self.user:
            raise InvalidInputError("secret", "is missing, and so is user: give one")
        if self.secret and self.user:
            raise InvalidInputError("user", "cannot be given together with secret")
        if self.token is not None and (self.start is None or self.end is None):
            raise InvalidInputError("token", "needs the start and end of the answer that it came from")


def check_limit(limit: int) -> int:
    """The page size, or InvalidInputError."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidInputError("limit", f"is not between 1 and {MAX_PAGE}")
    return limit


def page_token(question: str, position: str) -> str:
    """An opaque token for the page after ``position`` in the answer to that question.

    It holds a position inside the caller's own question and nothing else, so it needs no key: a token made by hand
    opens nothing that the question does not. Its check value refuses damage and the token of another question.
    """
    body = position.encode()
    return base64.urlsafe_b64encode(_check(question, body) + body).decode().rstrip("=")


def position_of(question: str, token: str) -> str:
    """The position in a token of the same question; InvalidInputError for any other."""
    refused = InvalidInputError("token", "is not the token of a page of this query")
    if len(token) > _MAX_TOKEN:
        raise refused
    try:
        raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raw = b""
    check, body = raw[:_CHECK_LENGTH], raw[_CHECK_LENGTH:]
    if not hmac.compare_digest(check, _check(question, body)):
        raise refused
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise refused from None


def _check(question: str, body: bytes) -> bytes:
    return hashlib.sha256(json.dumps(question).encode() + b"\n" + body).digest()[:_CHECK_LENGTH]
