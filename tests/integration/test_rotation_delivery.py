"""Steps delivered twice, at once and out of order, on a real server."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from polyvault.domain.rotation import Step
from polyvault.domain.secret import StagingLabel
from polyvault.errors import PolyvaultError
from polyvault.targets.postgresql import scram

from local.postgresql import PostgreSQL
from tests.killpoints.world import OWNER, Server, World, create_database

STRATEGIES = ["single-user", "alternating-users"]
ORDERS = [order for order in itertools.permutations(Step) if order != tuple(Step)]


@pytest.fixture(scope="module")
def server(postgresql: PostgreSQL) -> Server:
    server = Server(postgresql.host, postgresql.port, postgresql.superuser, postgresql.password, postgresql.ca_path)
    create_database(server)
    return server


@pytest.fixture(params=STRATEGIES)
def world(server: Server, request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(server, strategy=request.param)
    yield world
    world.close()


def ended_well(world: World, token: str) -> None:
    """One version for the token, current, and exactly its password on the target."""
    current = world.current()
    assert world.labelled(StagingLabel.CURRENT) == token
    assert world.labelled(StagingLabel.PENDING) is None
    assert world.logs_in(current)
    assert world.verifiers()[current.username] == scram.verifier(current, token)


def test_each_step_twice_is_once(world: World) -> None:
    before = world.access(world.current())
    token = world.request()
    verifiers = []
    for step in Step:
        world.rotate(step, token)
        world.rotate(step, token)
        verifiers.append(world.verifiers())
    ended_well(world, token)
    assert verifiers[1] == verifiers[2] == verifiers[3] == world.verifiers()
    assert world.access(world.current()).difference(before) == (frozenset(), frozenset())


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: ",".join(step.removesuffix("Secret") for step in order))
def test_steps_out_of_order_never_break_the_current_credential_and_the_right_order_heals(
    world: World, order: tuple[Step, ...]
) -> None:
    original = world.current()
    token = world.request()
    for step in order:
        with suppress(PolyvaultError):
            world.rotate(step, token)
        alternating = world.strategy == "alternating-users"
        done = world.labelled(StagingLabel.CURRENT) == token
        if alternating or done or Step.SET not in order[: order.index(step) + 1]:
            assert world.logs_in(world.current())
        if alternating:
            assert world.logs_in(original)
    for step in Step:
        world.rotate(step, token)
    ended_well(world, token)


def test_a_rotation_run_by_several_at_once_is_one_rotation(world: World) -> None:
    before = world.access(world.current())
    token = world.request()
    barrier = threading.Barrier(4)

    def run() -> list[PolyvaultError]:
        failures = []
        for step in Step:
            barrier.wait()
            try:
                world.rotate(step, token)
            except PolyvaultError as error:
                failures.append(error)
        return failures

    with ThreadPoolExecutor(4) as pool:
        failures = [error for run_of in [pool.submit(run) for _ in range(4)] for error in run_of.result()]
    assert all(type(error).__module__ == "polyvault.errors" for error in failures)
    for step in Step:
        world.rotate(step, token)
    ended_well(world, token)
    versions = {info.version_id for info in world.vault.versions("orders")}
    assert len(versions) == 2
    assert world.access(world.current()).difference(before) == (frozenset(), frozenset())


def test_users_take_turns_over_many_rotations_and_nobody_owns_anything(server: Server) -> None:
    world = World(server, strategy="alternating-users")
    try:
        first = world.access(world.current())
        users = []
        for _ in range(5):
            before = world.current()
            token = world.request()
            for step in Step:
                world.rotate(step, token)
            ended_well(world, token)
            assert world.logs_in(before), "the previous user keeps working until its next turn"
            access = world.access(world.current())
            assert access.privileges == first.privileges
            assert access.acts_as == OWNER
            users.append(access.identity)
        assert users == ["orders_clone", "orders", "orders_clone", "orders", "orders_clone"]
    finally:
        world.close()
