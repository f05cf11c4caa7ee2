"""What is due, and that it is ordered once."""

from __future__ import annotations

from typing import Any

import pytest
from polyvault.domain.audit import Actor
from polyvault.domain.retry import RetryPolicy
from polyvault.domain.secret import SecretInfo, SecretValue
from polyvault.domain.sync import RunStatus, SyncConfiguration, SyncExecution
from polyvault.domain.work import RotationOrder, SyncOrder
from polyvault.errors import ErrorCode, HouseholdError, InvalidRequestError, UnknownStoreNameError
from polyvault.providers.memory import MemoryFault, Provider, Settings
from polyvault.services.request_rotation import RequestRotation
from polyvault.services.schedule import DueReport, DueWork
from polyvault.store import SecretStore, StoreDirectory

from tests.fakes import START, FakeClock, MemorySyncState, RecordingAlerts, RecordingAuditLog, RecordingQueue

DAY = 86_400
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:rotation"


class World:
    """One vault that rotates, and the scheduler over it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.audit = RecordingAuditLog()
        self.alerts = RecordingAlerts()
        self.state = MemorySyncState()
        self.rotations, self.syncs = RecordingQueue(), RecordingQueue()
        self.driver = Provider(Settings(), credential=None, clock=self.clock)
        self.store = SecretStore(
            self.driver,
            name="aws",
            clock=self.clock,
            audit=self.audit,
            actor=Actor("scheduler"),
            retry=RetryPolicy(attempts=1),
        )
        self.due = DueWork(
            {"aws": self.store},
            self.state,
            self.rotations,
            self.syncs,
            self.alerts,
            self.clock,
            principal="polyvault/scheduler",
        )

    def secret(self, name: str, *, days: str = "30", rotation: bool = True, policy: bool = True) -> str:
        version = self.driver.create(name, SecretValue("v"), like=None, version_id=None).version_id
        tags = {"polyvault:rotationInterval": days} | ({"polyvault:policy": "standard"} if policy else {})
        self.driver.update_metadata(name, description=None, tags=tags)
        if rotation:
            self.driver.enable_rotation(name, FUNCTION)
        return version

    def run(self) -> DueReport:
        return self.due()

    def ordered(self) -> list[str]:
        return [order.secret for order in self.rotations.messages if isinstance(order, RotationOrder)]


@pytest.fixture
def world() -> World:
    return World()


def test_a_secret_is_ordered_when_its_current_version_is_as_old_as_its_interval(world: World) -> None:
    world.secret("db", days="30")
    world.clock.advance(30 * DAY - 1)
    assert world.run().rotations == ()
    world.clock.advance(1)
    (order,) = world.run().rotations
    assert (order.store, order.secret, order.requested_by) == ("aws", "db", "polyvault/scheduler")
    assert world.rotations.messages == [order]


def test_a_change_that_is_no_new_version_does_not_make_it_younger(world: World) -> None:
    world.secret("db")
    world.clock.advance(40 * DAY)
    world.driver.update_metadata("db", description="touched today", tags=None)
    assert [order.secret for order in world.run().rotations] == ["db"]


def test_a_young_version_of_an_old_secret_is_not_due(world: World) -> None:
    world.secret("db")
    world.clock.advance(40 * DAY)
    world.store.set_secret("db", SecretValue("w"))
    assert world.run().rotations == ()


def test_the_same_version_is_always_the_same_order(world: World) -> None:
    world.secret("db")
    world.clock.advance(31 * DAY)
    first, second = world.run().rotations, world.run().rotations
    assert first == second
    world.store.set_secret("db", SecretValue("w"))
    world.clock.advance(31 * DAY)
    assert world.run().rotations[0].client_request_token != first[0].client_request_token


def test_secrets_without_the_policy_tag_are_left_alone(world: World) -> None:
    world.secret("db", policy=False)
    world.clock.advance(400 * DAY)
    assert world.run().rotations == ()


class NativelyScheduled(Provider):
    """Says that the vault keeps the time itself."""

    def list_tagged(self, tag_key: str) -> list[SecretInfo]:
        return [
            SecretInfo(info.name, info.metadata, info.current_version_id, "rate(30 days)")
            for info in super().list_tagged(tag_key)
        ]


def test_a_native_schedule_is_not_doubled(world: World) -> None:
    world.driver.__class__ = NativelyScheduled
    world.secret("db")
    world.clock.advance(400 * DAY)
    assert world.run() == DueReport((), (), {})


@pytest.mark.parametrize("days", ["", "0", "-1", "thirty", "1e3", "3651", "999999", "\u0663"])
def test_an_interval_that_is_no_number_of_days_is_told_and_not_guessed(world: World, days: str) -> None:
    world.secret("db", days=days)
    world.clock.advance(9999 * DAY)
    report = world.run()
    assert report.rotations == ()
    assert report.skipped == {"aws:db": "the tag polyvault:rotationInterval is not a number of days"}
    assert world.alerts.sent == [("Secrets that cannot be rotated", report.skipped)]


def test_the_same_trouble_is_told_once_a_day_and_reported_each_time(world: World) -> None:
    world.secret("db", rotation=False)
    for _ in range(25):
        assert world.run().skipped == {"aws:db": "no rotation function is attached"}
        world.clock.advance(3600)
    assert len(world.alerts.sent) == 2
    world.secret("other", days="soon")
    world.run()
    assert world.alerts.sent[2][1] == {"aws:other": "the tag polyvault:rotationInterval is not a number of days"}


def test_a_secret_without_rotation_function_is_told(world: World) -> None:
    world.secret("db", rotation=False)
    world.clock.advance(31 * DAY)
    assert world.run().skipped == {"aws:db": "no rotation function is attached"}


def test_one_store_that_fails_stops_no_sync(world: World) -> None:
    world.state.put_configuration(configuration())
    world.clock.advance(DAY)
    world.driver.fail_next(MemoryFault(ErrorCode.ACCESS_DENIED))
    report = world.run()
    assert report.skipped == {"aws": "access-denied"}
    assert len(report.syncs) == 1


def test_a_queue_that_fails_fails_the_run(world: World) -> None:
    world.secret("db")
    world.clock.advance(31 * DAY)
    world.rotations.failure = HouseholdError("down")
    with pytest.raises(HouseholdError):
        world.run()


def configuration(**changes: Any) -> SyncConfiguration:
    fields: dict[str, Any] = {
        "id": "nightly",
        "name": "Nightly",
        "enabled": True,
        "source_environment": "prod",
        "target_environment": "staging",
        "source_vault": "aws",
        "target_vault": "vault",
        "secret_filters": ("prod/*",),
        "sync_type": "scheduled",
        "schedule": "0 2 * * *",
    }
    return SyncConfiguration(**{**fields, **changes})


def test_a_scheduled_sync_is_ordered_once_for_each_moment(world: World) -> None:
    world.state.put_configuration(configuration())
    world.clock.advance(13.5 * 3600)  # 01:30 of the next day, 23:30 after the last moment
    (order,) = world.run().syncs
    assert order == SyncOrder("scheduled-20260105T0200Z", "nightly", "polyvault/scheduler")
    world.state.create_execution(
        SyncExecution(order.execution_id, "nightly", RunStatus.PLANNING, "x", world.clock.now())
    )
    assert world.run().syncs == ()
    world.clock.advance(3600)
    assert [order.execution_id for order in world.run().syncs] == ["scheduled-20260106T0200Z"]


@pytest.mark.parametrize(
    "changes",
    [
        {"enabled": False},
        {"sync_type": "manual"},
        {"registered_at": START},  # registered at 12:00, after today's moment
        {"schedule": "0 2 1 1 *"},  # due four days ago: too long to catch up
    ],
)
def test_a_sync_that_is_not_due_is_not_ordered(world: World, changes: dict[str, Any]) -> None:
    world.state.put_configuration(configuration(**changes))
    world.clock.advance(3600)
    assert world.run().syncs == ()


def test_an_order_is_carried_out_once_in_the_name_of_who_asked(world: World) -> None:
    world.secret("db")
    order = RotationOrder(
        "r", "aws", "db", "0d1e6f1c-7a43-4a6e-9a39-1f6f2b0a3c11", "arn:aws:iam::123456789012:user/ada"
    )
    request = RequestRotation(StoreDirectory(["aws"], lambda name: world.store))
    assert request(order) == order.client_request_token
    assert world.audit.events[-1].actor.id == order.requested_by
    with pytest.raises(InvalidRequestError):
        request(order)  # the first is still in progress: the queue tries again
    world.store.stage("db", SecretValue("w"), client_request_token=order.client_request_token, rotation_token=None)
    state = world.store.rotation_state("db")
    world.store.publish(
        "db", client_request_token=order.client_request_token, expect_current=state.holder_of("AWSCURRENT")
    )
    assert request(order) == order.client_request_token
    assert world.store.rotation_state("db").holder_of("AWSPENDING") is None


def test_an_order_for_an_unknown_store_is_refused(world: World) -> None:
    request = RequestRotation(StoreDirectory(["aws"], lambda name: world.store))
    with pytest.raises(UnknownStoreNameError, match="there are aws"):
        request(RotationOrder("r", "nowhere", "db", "x" * 32, "ada"))


def test_stores_open_when_they_are_used_and_once() -> None:
    opened: list[str] = []

    def opener(name: str) -> Any:
        opened.append(name)
        return object()

    directory = StoreDirectory(["a", "b"], opener)
    assert (list(directory), len(directory), "a" in directory, "c" in directory) == (["a", "b"], 2, True, False)
    assert opened == []
    assert directory["b"] is directory["b"]
    assert opened == ["b"]


def test_one_secret_that_cannot_be_inspected_stops_no_other(world: World) -> None:
    world.secret("a")
    world.secret("b")
    world.clock.advance(40 * DAY)
    for name in "ab":  # a change today: only the versions can tell
        world.driver.update_metadata(name, description="touched", tags=None)
    versions = world.driver.versions

    def deny(name: str) -> Any:
        if name == "a":
            raise MemoryFault(ErrorCode.ACCESS_DENIED)
        return versions(name)

    world.driver.versions = deny  # type: ignore[method-assign]
    report = world.run()
    assert [order.secret for order in report.rotations] == ["b"]
    assert report.skipped == {"aws:a": "access-denied"}
