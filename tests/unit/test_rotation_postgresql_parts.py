"""What the PostgreSQL target decides without a server."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polyvault import targets
from polyvault.domain.rotation import Credential
from polyvault.domain.secret import SecretValue
from polyvault.errors import (
    InvalidInputError,
    MissingLayerError,
    PostConditionError,
    RotationError,
    TargetPermissionError,
    TargetRefusedValueError,
    TargetRejectedCredentialError,
    TargetTlsError,
    TargetUnavailableError,
)
from polyvault.targets.postgresql import PostgresqlTarget, scram
from polyvault.targets.postgresql.failures import login_failure, statement_failure
from polyvault.targets.postgresql.session import connect_budget
from polyvault.targets.postgresql.settings import list_items, setting_value
from psycopg import sql

from tests.fakes import FakeClock

SSL = "F\t8\tSSLRequest\t 1234 5679\n"
STARTUP = 'F\t38\tStartupMessage\t 3 0 "user" "app"\n'
ASKED = 'B\t42\tAuthenticationSASL\t "SCRAM-SHA-256" ""\n'


def answer(sqlstate: str, words: str = "no") -> str:
    return f'B\t90\tErrorResponse\t S "FATAL" V "FATAL" C "{sqlstate}" M "{words}" F "auth.c" L "1" \\x00\n'


@pytest.mark.parametrize(
    ("trace", "message", "tls", "expected"),
    [
        ("", "", True, TargetUnavailableError),
        (SSL, "", True, TargetUnavailableError),
        (SSL + "B\t1\tSSLResponse\t S\n", "certificate verify failed", True, TargetTlsError),
        (SSL + "B\t1\tSSLResponse\t N\n", "", True, TargetTlsError),
        (SSL + "B\t1\tSSLResponse\t S\n" + STARTUP, "", True, TargetUnavailableError),
        (STARTUP + answer("28000"), "", False, TargetTlsError),
        (STARTUP + answer("28000"), "", True, TargetRejectedCredentialError),
        (STARTUP + ASKED + answer("28P01"), "", True, TargetRejectedCredentialError),
        (STARTUP + ASKED + answer("28000"), "", False, TargetRejectedCredentialError),
        (STARTUP + ASKED + answer("3D000"), "", True, PostConditionError),
        (STARTUP + ASKED + answer("42501"), "", True, PostConditionError),
        (STARTUP + answer("57P03"), "", True, TargetUnavailableError),
        (STARTUP + ASKED + answer("53300"), "", True, TargetUnavailableError),
        (STARTUP + ASKED + answer("57P03", 'C "28P01"'), "", True, TargetUnavailableError),
        (STARTUP + ASKED, "", True, PostConditionError),
        (STARTUP, 'authentication method requirement "x" failed', True, PostConditionError),
        (STARTUP, "password authentication failed, 28P01", True, TargetUnavailableError),
    ],
)
def test_a_failed_login_is_classed_by_protocol_and_code(
    trace: str, message: str, tls: bool, expected: type[RotationError]
) -> None:
    assert type(login_failure(trace, message, tls=tls)) is expected


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        (None, TargetUnavailableError),
        ("55P03", TargetUnavailableError),
        ("57014", TargetUnavailableError),
        ("40001", TargetUnavailableError),
        ("40P01", TargetUnavailableError),
        ("25006", TargetUnavailableError),
        ("08006", TargetUnavailableError),
        ("53100", TargetUnavailableError),
        ("XX000", TargetUnavailableError),
        ("42501", TargetPermissionError),
        ("22023", TargetRefusedValueError),
        ("42704", PostConditionError),
        ("42710", PostConditionError),
    ],
)
def test_a_failed_statement_is_classed_by_code_and_quotes_nothing(
    sqlstate: str | None, expected: type[RotationError]
) -> None:
    error = psycopg.Error("syntax error at SCRAM-SHA-256$4096:canary")
    error.sqlstate = sqlstate
    failure = statement_failure(error, "do this")
    assert type(failure) is expected
    assert "canary" not in str(failure)
    assert "do this" in str(failure)


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ('"$user", public', ["$user", "public"]),
        ("a,b , c", ["a", "b", "c"]),
        ('"We,ird""Name", Shop', ['We,ird"Name', "shop"]),
        ('""', [""]),
        ("", []),
        ("x;alter/**/role/**/app/**/superuser", ["x;alter/**/role/**/app/**/superuser"]),
    ],
)
def test_a_list_setting_is_taken_apart_as_the_server_does(value: str, items: list[str]) -> None:
    assert list_items(value) == items


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=1))
def test_quoted_names_of_a_list_come_back_one_by_one(names: list[str]) -> None:
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
    assert list_items(quoted) == names


def test_only_lists_are_taken_apart() -> None:
    assert setting_value("application_name", "a, b") == sql.Literal("a, b")
    assert setting_value("Search_Path", "a, b") == sql.SQL(", ").join([sql.Literal("a"), sql.Literal("b")])
    assert setting_value("search_path", "") == sql.SQL(", ").join([sql.Literal("")])


def test_a_salt_belongs_to_one_version_of_one_user() -> None:
    salts = {scram.salt_for(version, user) for version in ("v1", "v2") for user in ("a", "b", "1a")}
    assert len(salts) == 6
    assert {len(salt) for salt in salts} == {16}
    assert scram.salt_for("v", "1a") != scram.salt_for("v1", "a")


def test_a_verifier_is_the_same_for_the_same_version_and_holds_no_password() -> None:
    credential = Credential("postgres", "h", 1, "app", SecretValue("canary-password"))
    assert scram.verifier(credential, "v") == scram.verifier(credential, "v") != scram.verifier(credential, "w")
    assert "canary" not in scram.verifier(credential, "v")


def test_a_verifier_is_the_one_of_rfc_7677(monkeypatch: pytest.MonkeyPatch) -> None:
    import base64

    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    monkeypatch.setattr(scram, "salt_for", lambda *_: salt)
    made = scram.verifier(Credential("postgres", "h", 1, "user", SecretValue("pencil")), "v")
    assert made == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


@pytest.mark.parametrize(("left", "budget"), [(30, 5), (9, 3), (3, 1), (0.3, 0.1), (-1, 0.1)])
def test_a_connect_takes_at_most_a_third_of_the_time(left: float, budget: float) -> None:
    assert connect_budget(left) == pytest.approx(budget)


class ReplicaSession:
    """A session on a server in recovery."""

    def rows(self, statement: Any, parameters: Any = None) -> list[tuple[Any, ...]]:
        return [("orders", 170_000, True)]

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("act", ["login", "compare", "set_password", "ensure_twin"])
def test_a_replica_is_not_the_target(act: str) -> None:
    session = ReplicaSession()
    target = PostgresqlTarget(
        clock=FakeClock(),
        open_session=lambda *_, **__: session,  # type: ignore[arg-type,return-value]
    )
    one = Credential("postgres", "h", 1, "app", SecretValue("password"))
    calls = {
        "login": lambda: target.login(one, deadline=9),
        "compare": lambda: target.compare(one, "app", deadline=9),
        "set_password": lambda: target.set_password(one, one, version_id="v", deadline=9),
        "ensure_twin": lambda: target.ensure_twin(one, one, one, version_id="v", deadline=9),
    }
    with pytest.raises(TargetUnavailableError, match="replica"):
        calls[act]()
    assert session.closed


def test_engines_that_speak_as_postgresql_does_have_its_target() -> None:
    load = targets.loader(clock=FakeClock(), ca_file=None)
    assert {type(load(engine)) for engine in ("postgres", "postgresql", "aurora-postgresql")} == {PostgresqlTarget}
    assert load("postgres") is load("postgres")


@pytest.mark.parametrize("engine", ["mysql", "", "postgresql.scram", "../postgresql"])
def test_an_engine_without_target_is_refused_and_not_imported(engine: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^engine: is none of postgres"):
        targets.loader(clock=FakeClock(), ca_file=None)(engine)


def test_a_function_without_the_drivers_names_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.split(".")[0] == "psycopg":
            raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")
        return real(name, *args, **options)

    for name in [name for name in sys.modules if name.startswith("polyvault.targets.postgresql")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingLayerError, match="needs layers/targets in this function"):
        targets.loader(clock=FakeClock(), ca_file=None)("postgres")
