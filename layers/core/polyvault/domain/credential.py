"""A database credential in a secret's JSON: read it, and write it with another password or user.

The form is AWS's for database secrets: engine, host, port, username, password, dbname, masterarn, ssl; ours are
`strategy` and `ownerRole`. Rendering replaces two values inside the text: every other byte, unknown keys included,
stays as it was. Errors name the key and never quote the document.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from polyvault.domain.rotation import Credential, Strategy
from polyvault.domain.secret import SecretValue
from polyvault.errors import InvalidInputError

DEFAULT_PORTS: Mapping[str, int] = {"postgres": 5432, "postgresql": 5432, "aurora-postgresql": 5432}

_BLANK = " \t\r\n"
_DECODER = json.JSONDecoder()
type _Span = tuple[int, int, Any]


def parse_credential(value: SecretValue) -> Credential:
    """The credential of a secret value; raises InvalidInputError naming the key that is missing or malformed."""
    fields = _Fields(_spans(value.reveal()))
    engine = fields.text("engine")
    return Credential(
        engine=engine,
        host=fields.text("host"),
        port=fields.port("port", DEFAULT_PORTS.get(engine)),
        username=fields.text("username"),
        password=SecretValue(fields.text("password")),
        dbname=fields.optional_text("dbname"),
        tls=fields.tls("ssl"),
        admin_secret_arn=fields.optional_text("masterarn"),
        strategy=fields.strategy("strategy"),
        owner_role=fields.optional_text("ownerRole"),
        document=value,
    )


def parse_admin_credential(value: SecretValue, *, of: Credential) -> Credential:
    """The administrator's credential for the target ``of``.

    A secret that RDS manages holds user and password only, so engine, host, port and TLS come from ``of``; where the
    document names them they must agree, else it opens another server and InvalidInputError says which key differs.
    """
    fields = _Fields(_spans(value.reveal()), path="masterarn")
    for key, ours in (("engine", of.engine), ("host", of.host)):
        if (theirs := fields.optional_text(key)) is not None and theirs != ours:
            raise InvalidInputError(f"masterarn.{key}", "differs from the secret that is rotated")
    if fields.port("port", of.port) != of.port:
        raise InvalidInputError("masterarn.port", "differs from the secret that is rotated")
    return Credential(
        engine=of.engine,
        host=of.host,
        port=of.port,
        username=fields.text("username"),
        password=SecretValue(fields.text("password")),
        dbname=of.dbname,
        tls=of.tls,
        document=value,
    )


def render_credential(credential: Credential, *, username: str, password: SecretValue) -> SecretValue:
    """The document of ``credential`` with another user and password; the rest is kept byte for byte."""
    text = credential.document.reveal()
    spans = _spans(text)
    replacements = {"username": username, "password": password.reveal()}
    for key in sorted(replacements, key=lambda name: spans[name][0], reverse=True):
        start, end, old = spans[key]
        if old != replacements[key]:
            text = text[:start] + json.dumps(replacements[key]) + text[end:]
    return SecretValue(text)


def _spans(text: str) -> dict[str, _Span]:
    """Where each value of the top-level object stands: start, end and the parsed value."""
    with suppress(ValueError, RecursionError):
        return _scan_object(text)
    # Outside of `except`: json's own error carries the whole document, and would stay reachable as our context.
    raise InvalidInputError("secret", "is not a JSON object")


def _scan_object(text: str) -> dict[str, _Span]:
    spans: dict[str, _Span] = {}
    position = _expect(text, 0, "{")
    if text[position : position + 1] == "}":
        return _end(text, position + 1, spans)
    while True:
        key, position = _DECODER.raw_decode(text, _quote(text, position))
        if key in spans:
            raise InvalidInputError("secret", "names one key twice")
        start = _expect(text, position, ":")
        value, end = _DECODER.raw_decode(text, start)
        spans[key] = (start, end, value)
        position = _skip_blank(text, end)
        if text[position : position + 1] == "}":
            return _end(text, position + 1, spans)
        position = _expect(text, position, ",")


def _skip_blank(text: str, position: int) -> int:
    while position < len(text) and text[position] in _BLANK:
        position += 1
    return position


def _expect(text: str, position: int, character: str) -> int:
    position = _skip_blank(text, position)
    if text[position : position + 1] != character:
        raise ValueError
    return _skip_blank(text, position + 1)


def _quote(text: str, position: int) -> int:
    """The position, where a key must begin."""
    if text[position : position + 1] != '"':
        raise ValueError
    return position


def _end(text: str, position: int, spans: dict[str, _Span]) -> dict[str, _Span]:
    if _skip_blank(text, position) != len(text):
        raise ValueError
    return spans


class _Fields:
    """The known keys, each with its rule."""

    def __init__(self, spans: Mapping[str, _Span], path: str = "") -> None:
        self._values = {key: value for key, (_, _, value) in spans.items()}
        self._prefix = f"{path}." if path else ""

    def _refuse(self, key: str, reason: str) -> InvalidInputError:
        return InvalidInputError(self._prefix + key, reason)

    def optional_text(self, key: str) -> str | None:
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            raise self._refuse(key, "must be a text that is not empty")
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise self._refuse(key, "holds a character that no target accepts")
        return value

    def text(self, key: str) -> str:
        value = self.optional_text(key)
        if value is None:
            raise self._refuse(key, "is missing")
        return value

    def port(self, key: str, default: int | None) -> int:
        value = self._values.get(key, default)
        if value is None:
            raise self._refuse(key, "is missing")
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 5:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
            raise self._refuse(key, "must be a port number")
        return value

    def tls(self, key: str) -> bool:
        """Only an explicit false turns TLS off; what we do not understand is an error, never a default."""
        value = self._values.get(key, True)
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.lower())
        if not isinstance(value, bool):
            raise self._refuse(key, "must be true or false")
        return value

    def strategy(self, key: str) -> Strategy | None:
        value = self.optional_text(key)
        if value is None:
            return None
        if value not in set(Strategy):
            raise self._refuse(key, f"must be one of {', '.join(Strategy)}")
        return Strategy(value)
