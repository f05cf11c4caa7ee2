"""Requests of the API become contracts, or errors that name a field and quote nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polyvault.contracts import http
from polyvault.errors import InvalidInputError

CANARY = "c4n4ry"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-05", datetime(2026, 1, 5, tzinfo=UTC)),
        ("2026-01-05T12:30Z", datetime(2026, 1, 5, 12, 30, tzinfo=UTC)),
        ("2026-01-05T12:30:15.123456+02:00", datetime(2026, 1, 5, 10, 30, 15, 123456, tzinfo=UTC)),
        ("2026-01-05T00:00:00-14:00", datetime(2026, 1, 5, 14, tzinfo=UTC)),
    ],
)
def test_an_instant_is_kept_in_utc(text: str, expected: datetime) -> None:
    found = http.instant("start", text)
    assert found == expected
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-05T12:00:00",
        "2026-1-5",
        "20260105",
        "2026-W01-1",
        "2026-02-30",
        "2026-01-05T25:00:00Z",
        "2026-01-05T12:00:00Z\n",
        "2026-01-05 12:00:00Z",
        "\u0662\u0660\u0662\u0666-01-05",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "2026-01-05T12:00:00+99:99",
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="start"):
        http.instant("start", text)


@given(st.datetimes(timezones=st.timezones()).filter(lambda found: 2 <= found.year <= 9998))
@settings(deadline=None)
def test_any_instant_as_iso_text_comes_back(found: datetime) -> None:
    offset = found.utcoffset()
    assert offset is not None
    minutes = timedelta(minutes=offset // timedelta(minutes=1))
    local = found.astimezone(timezone(minutes))
    assert http.instant("start", local.isoformat()) == local


@given(st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="%"), min_size=1, max_size=40))
def test_a_printable_name_in_a_path_comes_back(name: str) -> None:
    if name.isprintable():
        assert http.secret_in_path(f"/secrets/{quote(name, safe='')}/versions") == name


@given(st.text(max_size=40))
def test_any_path_is_a_printable_name_or_refused(text: str) -> None:
    try:
        found = http.secret_in_path(f"/secrets/{text}/versions")
    except InvalidInputError:
        return
    assert found.isprintable()
    assert "%" not in found


@pytest.mark.parametrize(
    ("body", "path", "reason"),
    [
        ({}, "secret", "is missing"),
        ({"secret": 7}, "secret", "is not text"),
        ({"secret": ""}, "secret", "is empty"),
        ({"secret": "x" * 2049}, "secret", "is too long"),
        ({"secret": f"{CANARY}\n"}, "secret", "has characters that are not allowed"),
        ({"secret": "a", "store": [CANARY]}, "store", "is not text"),
        ({"secret": "a", CANARY: 1}, "$", "has a field that is not known"),
        ([CANARY], "$", "is not an object"),
        (CANARY, "$", "is not an object"),
    ],
)
def test_a_refused_body_names_its_field_and_quotes_nothing(body: object, path: str, reason: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        http.body(http.RotationBody, json.dumps(body))
    assert (refused.value.path, refused.value.reason) == (path, reason)
    assert refused.value.__context__ is None  # pydantic's own error holds the input
    assert CANARY not in str(refused.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["secret", "store", "other"]), json_values) | json_values)
@settings(deadline=None)
def test_any_json_is_a_contract_or_a_refusal(document: object) -> None:
    try:
        found = http.body(http.RotationBody, json.dumps(document))
    except InvalidInputError as error:
        refused = error
    else:
        refused = None
        assert found.secret.isprintable()
    assert refused is None or refused.reason != "is not allowed"  # each refusal has a sentence of its own


@pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency-key", "IDEMPOTENCY-KEY"])
def test_the_idempotency_key_is_found_in_any_case(name: str) -> None:
    assert http.idempotency_key({name: "k-1"}) == "k-1"
    assert http.idempotency_key({"Other": "k-1"}) is None
