"""The one door for input: strict, bounded, and silent about the values it refuses.

Only this module calls msgspec on input. msgspec names the path and the expected type, but quotes the value of a wrong
enum and the name of an unknown field, so each message is rebuilt here from a list of safe forms.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, NoReturn

import msgspec

from polyvault.errors import InvalidInputError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32

_WHERE = re.compile(r"^(?P<what>.*) - at `(?P<path>[^`]*)`$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]*)`$")


def parse_json(text: str | bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """JSON text as Python values; refuses too large, too deep, duplicate keys, NaN and Infinity, naming no content."""
    if (len(text) if isinstance(text, bytes) else len(text.encode(errors="surrogatepass"))) > max_bytes:
        raise InvalidInputError("$", f"is larger than {max_bytes} bytes")
    document, refusal = _load(text, max_depth)
    if refusal is not None:  # raised here: inside `except` the input would stay reachable as the error's context
        raise InvalidInputError("$", refusal)
    _check_depth(document, max_depth)
    return document


def decode[T](contract: type[T], data: object) -> T:
    """``data`` (parsed, or JSON text) as ``contract``; raises InvalidInputError with path and reason, never the value.

    Nothing is converted: a number is no text. Contracts that are ours set ``forbid_unknown_fields`` themselves.
    """
    document = parse_json(data) if isinstance(data, str | bytes) else data
    try:
        return msgspec.convert(document, contract)
    except msgspec.ValidationError as exc:
        path, reason = _explain(str(exc))
    raise InvalidInputError(path, reason)


def decode_settings[T](settings: type[T], data: object, *, path: str = "$.settings") -> T:
    """``data`` as the plain frozen dataclass of a provider: camelCase names, unknown fields refused.

    The dataclass checks its own invariants and raises InvalidInputError with the field's camelCase name.
    """
    try:
        return settings(**msgspec.structs.asdict(decode(_struct_of(settings), data)))
    except InvalidInputError as error:
        inner, reason = error.path, error.reason
    raise InvalidInputError(path + (inner[1:] if inner.startswith("$") else f".{inner}"), reason)


def _load(text: str | bytes, max_depth: int) -> tuple[Any, str | None]:
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant), None
    except InvalidInputError as error:
        return None, error.reason
    except RecursionError:
        return None, f"is nested deeper than {max_depth}"
    except ValueError:
        return None, "is not valid JSON"


def _struct_of(settings: Any) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for field in dataclasses.fields(settings):
        if field.default is not dataclasses.MISSING:
            fields.append((field.name, field.type, field.default))
        elif field.default_factory is not dataclasses.MISSING:
            fields.append((field.name, field.type, msgspec.field(default_factory=field.default_factory)))
        else:
            fields.append((field.name, field.type))
    module = settings.__module__
    return msgspec.defstruct(
        settings.__name__, fields, rename="camel", forbid_unknown_fields=True, kw_only=True, frozen=True, module=module
    )


def _explain(message: str) -> tuple[str, str]:
    found = _WHERE.match(message)
    what, path = (found["what"], found["path"]) if found else (message, "$")
    if missing := _MISSING.match(what):
        return f"{path}.{missing['name']}", "is missing"
    if what.startswith("Object contains unknown field"):
        return path, "has a field that is not known"
    if what.startswith("Expected "):
        return path, what[0].lower() + what[1:].replace("`", "")
    return path, "is not an allowed value"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise InvalidInputError("$", "has a key twice")
    return document


def _no_constant(_name: str) -> NoReturn:
    raise InvalidInputError("$", "holds NaN or Infinity")


def _check_depth(document: Any, max_depth: int) -> None:
    level: list[Any] = [document]
    for _ in range(max_depth + 1):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise InvalidInputError("$", f"is nested deeper than {max_depth}")


def _children(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []
