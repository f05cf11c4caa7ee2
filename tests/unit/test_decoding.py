"""The door for input is strict and never repeats what it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec
import pytest
from polyvault.contracts.decoding import MAX_DEPTH, decode, decode_settings, parse_json
from polyvault.errors import InvalidInputError

CANARY = "canary-7Qp2"


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    port: int


class Order(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    secret_name: str
    mode: Literal["a", "b"] = "a"
    inner: Inner | None = None


@pytest.mark.parametrize(
    ("data", "path", "reason"),
    [
        ({}, "$.secretName", "is missing"),
        ({"secretName": 5}, "$.secretName", "expected str, got int"),
        ({"secretName": "x", "inner": {"port": CANARY}}, "$.inner.port", "expected int, got str"),
        ({"secretName": "x", CANARY: 1}, "$", "has a field that is not known"),
        ({"secretName": "x", "mode": CANARY}, "$.mode", "is not an allowed value"),
        (CANARY, "$", "is not valid JSON"),
        ([CANARY], "$", "expected object, got array"),
        (None, "$", "expected object, got null"),
    ],
)
def test_refusal_names_the_field_and_never_the_value(data: object, path: str, reason: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        decode(Order, data)
    assert (caught.value.path, caught.value.reason) == (path, reason)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_decodes_text_bytes_and_parsed_documents_alike() -> None:
    expected = Order(secret_name="x", mode="b")
    assert decode(Order, '{"secretName":"x","mode":"b"}') == expected
    assert decode(Order, b'{"secretName":"x","mode":"b"}') == expected
    assert decode(Order, {"secretName": "x", "mode": "b"}) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1, "a": 2}', "has a key twice"),
        ('{"a": NaN}', "holds NaN or Infinity"),
        ('{"a": -Infinity}', "holds NaN or Infinity"),
        ("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), f"is nested deeper than {MAX_DEPTH}"),
        ("[" * 100_000 + "]" * 100_000, f"is nested deeper than {MAX_DEPTH}"),
        ('"' + "x" * 262_144 + '"', "is larger than 262144 bytes"),
        ("{", "is not valid JSON"),
        (b"\xff\xfe", "is not valid JSON"),
        ("9" * 5_000, "is not valid JSON"),
    ],
)
def test_json_bombs_and_ambiguous_json_are_refused(text: str | bytes, reason: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_json(text)
    assert caught.value.reason == reason


def test_json_of_the_allowed_depth_is_accepted() -> None:
    parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)


@dataclass(frozen=True, slots=True)
class ExampleSettings:
    url: str
    auth_method: str = "token"
    read_seconds: float = 3.0


def test_settings_are_dataclasses_with_camel_case_names_and_no_unknown_field() -> None:
    assert decode_settings(ExampleSettings, {"url": "https://v", "authMethod": "jwt"}) == ExampleSettings(
        "https://v", "jwt"
    )
    with pytest.raises(InvalidInputError, match=r"^\$\.settings: has a field that is not known$"):
        decode_settings(ExampleSettings, {"url": "https://v", CANARY: 1})
    with pytest.raises(InvalidInputError, match=r"^\$\.settings\.url: is missing$"):
        decode_settings(ExampleSettings, {})
