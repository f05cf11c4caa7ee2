"""Is this a target? The same assertions for each engine, and for the fake that other tests believe in."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace

import psycopg
import pytest
from polyvault.adapters.system_clock import SystemClock
from polyvault.domain.password import generate
from polyvault.domain.rotation import Credential, Strategy
from polyvault.domain.secret import SecretValue
from polyvault.errors import TargetRejectedCredentialError
from polyvault.ports import AlternatingTarget, InPlaceTarget
from polyvault.targets.postgresql import PostgresqlTarget
from psycopg import sql

from local.postgresql import PostgreSQL
from tests.rotation_house import CANARY, FakeTarget

V1, V2 = "1" * 36, "2" * 36
CLOCK = SystemClock()


@dataclass
class Bench:
    """A target with one user and its administrator."""

    target: FakeTarget | PostgresqlTarget
    user: Credential
    admin: Credential

    def new(self, username: str | None = None) -> Credential:
        """A credential as a rotation would make it."""
        password = generate(self.target.password_profile, secrets.choice)
        return replace(self.user, username=username or self.user.username, password=password)


def deadline() -> float:
    return CLOCK.monotonic() + 20


@pytest.fixture(params=["fake", "postgres"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "fake":
        target = FakeTarget()
        target.users["root"] = (SecretValue("root-password"), None)
        user = Credential("fake", "h", 1, "app", SecretValue(CANARY))
        yield Bench(target, user, replace(user, username="root", password=SecretValue("root-password")))
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    name = f"c{uuid.uuid4().hex[:8]}"
    login = {"host": server.host, "port": server.port, "user": server.superuser, "password": server.password}
    tls = {"sslmode": "verify-full", "sslrootcert": str(server.ca_path)}
    with psycopg.connect(dbname="postgres", autocommit=True, **login, **tls) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'first'").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE TABLE {} ()").format(sql.Identifier(name)))
        connection.execute(sql.SQL("GRANT SELECT ON {0} TO {0}").format(sql.Identifier(name)))
    user = Credential("postgres", server.host, server.port, name, SecretValue("first"))
    admin = replace(user, username=server.superuser, password=SecretValue(server.password))
    yield Bench(PostgresqlTarget(clock=CLOCK, ca_file=server.ca_path), user, admin)


def test_it_offers_what_its_strategies_need(bench: Bench) -> None:
    assert isinstance(bench.target, InPlaceTarget) == (Strategy.SINGLE_USER in bench.target.strategies)
    assert isinstance(bench.target, AlternatingTarget) == (Strategy.ALTERNATING_USERS in bench.target.strategies)


def test_a_login_tells_its_identity_and_a_wrong_password_is_a_refusal(bench: Bench) -> None:
    access = bench.target.login(bench.user, deadline=deadline())
    assert access.identity == access.acts_as == bench.user.username
    assert access.privileges
    for wrong in (bench.new(), replace(bench.user, username="nobody")):
        with pytest.raises(TargetRejectedCredentialError):
            bench.target.login(wrong, deadline=deadline())


def test_a_password_in_place_replaces_the_old_one_and_tells_its_version(bench: Bench) -> None:
    target, new = bench.target, bench.new()
    assert target.installed_version(new, [V1, V2], deadline=deadline()) is None
    target.set_password(bench.user, new, version_id=V1, deadline=deadline())
    assert target.installed_version(new, [V2, V1], deadline=deadline()) == V1
    assert target.installed_version(new, [V2], deadline=deadline()) is None
    assert target.login(new, deadline=deadline()).identity == new.username
    with pytest.raises(TargetRejectedCredentialError):
        target.login(bench.user, deadline=deadline())


def test_a_password_in_place_needs_the_user_itself(bench: Bench) -> None:
    with pytest.raises(TargetRejectedCredentialError):
        bench.target.set_password(bench.new(), bench.new(), version_id=V1, deadline=deadline())
    assert bench.target.login(bench.user, deadline=deadline()).identity == bench.user.username


def test_the_two_names_of_a_pair_lead_to_each_other(bench: Bench) -> None:
    other = bench.target.next_username(bench.user.username)
    assert other != bench.user.username
    assert bench.target.next_username(other) == bench.user.username


def test_a_twin_has_the_same_rights_and_the_current_user_still_logs_in(bench: Bench) -> None:
    target, before = bench.target, bench.target.login(bench.user, deadline=deadline())
    new = bench.new(target.next_username(bench.user.username))
    for _ in range(2):
        target.ensure_twin(bench.admin, bench.user, new, version_id=V1, deadline=deadline())
        pending, current = target.compare(new, bench.user.username, deadline=deadline())
        assert (pending.identity, current.identity) == (new.username, bench.user.username)
        assert pending.privileges == current.privileges == before.privileges
        assert pending.acts_as == current.acts_as not in (new.username, bench.user.username)
        assert target.login(bench.user, deadline=deadline()).privileges == before.privileges
        assert target.installed_version(new, [V1], deadline=deadline()) == V1


def test_a_refused_administrator_makes_nothing(bench: Bench) -> None:
    target = bench.target
    new = bench.new(target.next_username(bench.user.username))
    with pytest.raises(TargetRejectedCredentialError):
        target.ensure_twin(
            replace(bench.admin, password=SecretValue("wrong")), bench.user, new, version_id=V1, deadline=deadline()
        )
    with pytest.raises(TargetRejectedCredentialError):
        target.login(new, deadline=deadline())
    assert target.installed_version(new, [V1], deadline=deadline()) is None
