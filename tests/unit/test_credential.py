"""A credential in a secret's JSON: read strictly, rendered with every other byte kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polyvault.domain.credential import parse_admin_credential, parse_credential, render_credential
from polyvault.domain.rotation import Strategy
from polyvault.domain.secret import SecretValue
from polyvault.errors import InvalidInputError

CANARY = "canary-4b1d-password"
BASE: dict[str, Any] = {
    "engine": "postgres",
    "host": "db.example.com",
    "port": 5433,
    "username": "app",
    "password": CANARY,
    "dbname": "orders",
}


def value(**changes: Any) -> SecretValue:
    return SecretValue(json.dumps({key: item for key, item in {**BASE, **changes}.items() if item is not ...}))


def everything_about(error: BaseException) -> str:
    """An error as a reporter that looks into everything would show it."""
    seen, todo = [], [error]
    while todo:
        found = todo.pop()
        notes = getattr(found, "__notes__", "")
        seen.append(f"{found!r} {found.args} {vars(found)} {getattr(found, 'doc', '')} {notes}")
        todo += [other for other in (found.__cause__, found.__context__) if other is not None]
    return "\n".join(seen)


def test_the_documented_keys_are_read() -> None:
    credential = parse_credential(
        value(masterarn="arn:admin", ssl=True, strategy="alternating-users", ownerRole="shop")
    )
    assert (credential.engine, credential.host, credential.port) == ("postgres", "db.example.com", 5433)
    assert (credential.username, credential.dbname, credential.tls) == ("app", "orders", True)
    assert (credential.admin_secret_arn, credential.owner_role) == ("arn:admin", "shop")
    assert credential.strategy is Strategy.ALTERNATING_USERS
    assert credential.password == SecretValue(CANARY)


def test_a_port_may_be_text_and_has_the_engines_default() -> None:
    assert parse_credential(value(port="6000")).port == 6000
    assert parse_credential(value(port=...)).port == 5432


@pytest.mark.parametrize(
    ("given_value", "tls"),
    [(..., True), (True, True), ("true", True), ("TRUE", True), (False, False), ("false", False), ("False", False)],
)
def test_only_an_explicit_false_turns_encryption_off(given_value: object, tls: bool) -> None:
    assert parse_credential(value(ssl=given_value)).tls is tls


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("engine", ...),
        ("host", ...),
        ("username", ...),
        ("password", ...),
        ("host", ""),
        ("host", 7),
        ("password", None),
        ("password", 12345678),
        ("username", "a\0b"),
        ("username", "\ud800"),
        ("port", "54x"),
        ("port", 0),
        ("port", 70000),
        ("port", True),
        ("port", 54.5),
        ("port", "९"),
        ("ssl", "no"),
        ("ssl", 0),
        ("ssl", None),
        ("dbname", 1),
        ("masterarn", ""),
        ("strategy", "both"),
        ("ownerRole", ["x"]),
    ],
)
def test_a_bad_key_is_named_and_no_value_is_told(key: str, bad: object) -> None:
    with pytest.raises(InvalidInputError) as raised:
        parse_credential(value(**{key: bad}))
    assert raised.value.path == key
    assert CANARY not in everything_about(raised.value)


def test_a_port_without_default_is_named() -> None:
    with pytest.raises(InvalidInputError, match=r"^port: is missing"):
        parse_credential(value(engine="other", port=...))


@pytest.mark.parametrize(
    "text",
    [
        "",
        CANARY,
        f'"{CANARY}"',
        f'["{CANARY}"]',
        f'{{"password": "{CANARY}"',
        f'{{"password": "{CANARY}",}}',
        f'{{"password": "{CANARY}"}} more',
        f'{{password: "{CANARY}"}}',
        f'{{"password" "{CANARY}"}}',
        f'{{1: "{CANARY}"}}',
        "[" * 100_000 + CANARY,
        f'{{"a": {"[" * 100_000}"{CANARY}"',
        f'{{"a": {"9" * 5000}, "password": "{CANARY}"}}',
    ],
)
def test_what_is_no_json_object_is_refused_without_a_trace_of_it(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^secret: is not a JSON object$") as raised:
        parse_credential(SecretValue(text))
    assert CANARY not in everything_about(raised.value)


def test_a_binary_value_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        parse_credential(SecretValue(b"\xff\xfe"))


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"^secret: names one key twice$"):
        parse_credential(SecretValue('{"password": "a", "password": "b"}'))


def test_rendering_keeps_every_other_byte() -> None:
    text = (
        '{ "x" : 1.50,\n\t"password":"old\\u0041", "é": "\\u00e9", "big": 12345678901234567890123, "username" : "app",'
        ' "engine": "postgres", "host": "h", "nested": {"password": "inner", "a": [1,  2]} }\n'
    )
    rendered = render_credential(
        parse_credential(SecretValue(text)), username="app_clone", password=SecretValue("new")
    ).reveal()
    assert rendered == text.replace('"old\\u0041"', '"new"').replace('"app",', '"app_clone",')


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=70)


@given(
    extras=st.dictionaries(st.text().filter(lambda key: key not in BASE), json_values, max_size=4),
    username=names,
    password=names,
    indent=st.sampled_from([None, 2, "\t"]),
    ascii_only=st.booleans(),
)
def test_rendering_round_trips_and_touches_two_values_only(
    extras: dict[str, Any], username: str, password: str, indent: int | str | None, ascii_only: bool
) -> None:
    reserved = {"ssl", "masterarn", "strategy", "ownerRole"}
    document = {**{key: item for key, item in extras.items() if key not in reserved}, **BASE}
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    original = parse_credential(SecretValue(text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")))
    rendered = render_credential(original, username=username, password=SecretValue(password))
    again = parse_credential(rendered)
    assert (again.username, again.password) == (username, SecretValue(password))
    before, after = json.loads(original.document.reveal()), json.loads(rendered.reveal())
    assert list(before) == list(after)
    assert {key for key in before if before[key] != after[key]} <= {"username", "password"}
    back = render_credential(again, username=BASE["username"], password=SecretValue(BASE["password"]))
    assert json.loads(back.reveal()) == before


def test_rendering_the_same_user_keeps_its_spelling() -> None:
    text = json.dumps(BASE).replace('"app"', '"\\u0061pp"')
    rendered = render_credential(parse_credential(SecretValue(text)), username="app", password=SecretValue("n"))
    assert '"\\u0061pp"' in rendered.reveal()


def test_an_administrator_of_user_and_password_alone_opens_the_same_server() -> None:
    of = parse_credential(value(ssl=False))
    admin = parse_admin_credential(SecretValue('{"username": "root", "password": "p"}'), of=of)
    assert (admin.username, admin.host, admin.port, admin.dbname, admin.tls) == (
        "root",
        of.host,
        of.port,
        of.dbname,
        False,
    )


@pytest.mark.parametrize("key", ["engine", "host", "port"])
def test_an_administrator_of_another_server_is_refused(key: str) -> None:
    other = {"engine": "mysql", "host": "evil.example.com", "port": 1}[key]
    document = json.dumps({"username": "root", "password": CANARY, key: other})
    with pytest.raises(InvalidInputError) as raised:
        parse_admin_credential(SecretValue(document), of=parse_credential(value()))
    assert raised.value.path == f"masterarn.{key}"
    assert CANARY not in everything_about(raised.value)


def test_a_missing_key_of_the_administrator_names_both() -> None:
    with pytest.raises(InvalidInputError, match=r"^masterarn\.password: is missing$"):
        parse_admin_credential(SecretValue('{"username": "root"}'), of=parse_credential(value()))


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("engine", "postgresql"),
        ("host", "evil"),
        ("port", 1),
        ("dbname", "x"),
        ("ssl", False),
        ("masterarn", "arn:x"),
        ("strategy", "single-user"),
        ("ownerRole", "x"),
    ],
)
def test_two_versions_differ_in_the_key_that_points_elsewhere(key: str, other: object) -> None:
    ours = parse_credential(value())
    assert ours.differences(parse_credential(value(**{key: other}))) == (key,)
    assert ours.differences(parse_credential(value(username="u", password="p", note=1))) == ()


def test_a_credential_cannot_print_its_password() -> None:
    assert CANARY not in repr(parse_credential(value()))
