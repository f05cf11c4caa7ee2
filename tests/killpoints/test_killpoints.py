"""A rotation that dies around any call that changes something ends as if it had not died."""

from __future__ import annotations

import pytest

from local.postgresql import PostgreSQL
from tests.killpoints.gates import is_telling
from tests.killpoints.runner import SUITES, Suite, points, run_case
from tests.killpoints.world import Server, create_database


@pytest.fixture(scope="session")
def server(postgresql: PostgreSQL) -> Server:
    server = Server(postgresql.host, postgresql.port, postgresql.superuser, postgresql.password, postgresql.ca_path)
    create_database(server)
    return server


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_each_death_around_a_change_converges_within_two_retries(server: Server, suite: Suite) -> None:
    clean = run_case(server, suite, None)
    assert clean.violations == []
    assert (clean.retries, clean.failed_logins) == (0, 0)
    telling = [point for point in points(len(clean.calls)) if is_telling(clean.calls[point.gate - 1], point)]
    assert len(telling) >= 10

    outcomes = [run_case(server, suite, point) for point in telling]
    broken = {
        f"{outcome.point} ({clean.calls[outcome.point.gate - 1]})": outcome.violations or outcome.retries
        for outcome in outcomes
        if outcome.point
        if outcome.violations or outcome.retries > 2 or outcome.failed_logins > 1 or not outcome.fired
    }
    assert broken == {}
    dead = sum(outcome.current_dead for outcome in outcomes)
    if suite.alternating:
        assert dead == 0
    else:
        assert dead > 0, "in place, the current credential dies between set and finish: the harness must see it"
