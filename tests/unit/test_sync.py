"""The sync use case on two stores in memory, with faults put where they hurt."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polyvault.domain.audit import Actor
from polyvault.domain.capability import Capability, StoreLimits
from polyvault.domain.retry import RetryPolicy
from polyvault.domain.secret import RawVersion, SecretInfo, SecretMetadata, SecretValue, VersionRef
from polyvault.domain.sync import ItemStatus, RunStatus, SyncConfiguration, SyncExecution
from polyvault.domain.work import SyncOrder
from polyvault.errors import AuditWriteError, ErrorCode, InvalidInputError, SyncInterruptedError
from polyvault.providers.memory import MemoryFault, Provider, Settings
from polyvault.services.sync import Sync
from polyvault.store import SecretStore

from tests.fakes import FakeClock, MemorySyncState, RecordingAlerts, RecordingAuditLog

CANARY = "canary-K3pw"
ONE_TRY = RetryPolicy(attempts=1)


class Scripted(Provider):
    """A vault in memory that counts its writes; ``before`` sees each call by name and may raise or interfere."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(Settings(), credential=None, clock=clock)
        self.writes = 0
        self.before: Callable[[str, str], None] = lambda operation, name: None

    def get(self, name: str, version: VersionRef) -> RawVersion:
        self.before("get", name)
        return super().get(name, version)

    def put(self, name: str, value: SecretValue, *, expect: str | None, version_id: str | None) -> RawVersion:
        self.before("put", name)
        written = super().put(name, value, expect=expect, version_id=version_id)
        self.writes += 1
        self.before("after-put", name)
        return written

    def create(self, name: str, value: SecretValue, *, like: str | None, version_id: str | None) -> RawVersion:
        self.before("create", name)
        written = super().create(name, value, like=like, version_id=version_id)
        self.writes += 1
        self.before("after-create", name)
        return written

    def seed(self, name: str, text: str) -> str:
        """What somebody else does; answers the version id."""
        found = any(info.name == name for info in super().list(""))
        write = super().put if found else super().create
        options: dict[str, Any] = {"expect": None} if found else {"like": None}
        return write(name, SecretValue(text), version_id=None, **options).version_id

    def text(self, name: str) -> str:
        return super().get(name, VersionRef()).value.reveal()


class World:
    """Source, target and all that the use case holds."""

    def __init__(self, **configuration: Any) -> None:
        self.clock = FakeClock()
        self.audit = RecordingAuditLog()
        self.alerts = RecordingAlerts()
        self.state = MemorySyncState()
        self.source, self.target = Scripted(self.clock), Scripted(self.clock)
        self.remaining = 300.0
        self.runs = 0
        self.configure(**configuration)
        stores = {"aws": self.store("aws", self.source), "vault": self.store("vault", self.target)}
        environments = {"aws": "prod", "vault": "staging"}
        self.sync = Sync(stores, environments, self.state, self.audit, self.alerts, self.clock)

    def store(self, name: str, driver: Provider) -> SecretStore:
        return SecretStore(
            driver, name=name, clock=self.clock, audit=self.audit, actor=Actor("sync"), retry=ONE_TRY, draw=lambda: 0.0
        )

    def configure(self, **changes: Any) -> None:
        defaults: dict[str, Any] = {
            "id": "c",
            "name": "C",
            "enabled": True,
            "source_environment": "prod",
            "target_environment": "staging",
            "source_vault": "aws",
            "target_vault": "vault",
            "secret_filters": ("prod/*",),
            "conflict_resolution": "source-wins",
        }
        self.state.put_configuration(SyncConfiguration(**{**defaults, **changes}))

    def run(self, execution_id: str | None = None) -> SyncExecution:
        self.runs += 1
        order = SyncOrder(execution_id or f"e{self.runs}", "c", "arn:aws:iam::123456789012:user/ada")
        return self.sync.run(order, remaining_seconds=lambda: self.remaining)

    def statuses(self, execution: SyncExecution) -> dict[str, str]:
        return {item.name: item.status.value for item in execution.items}


@pytest.fixture
def world() -> World:
    return World()


def test_a_filtered_set_is_copied_verified_and_counted(world: World) -> None:
    for name in ("prod/a", "prod/deep/b", "dev/c"):
        world.source.seed(name, f"value of {name}")
    execution = world.run()
    assert execution.status is RunStatus.SUCCEEDED
    assert (execution.secrets_synced, execution.secrets_failed) == (2, 0)
    assert world.target.text("prod/a") == "value of prod/a"
    assert world.target.text("prod/deep/b") == "value of prod/deep/b"
    assert world.statuses(execution) == {"prod/a": "VERIFIED", "prod/deep/b": "VERIFIED"}
    assert world.target.writes == 2


def test_a_second_run_writes_nothing(world: World) -> None:
    world.source.seed("prod/a", "v")
    world.run()
    execution = world.run()
    assert (execution.status, execution.secrets_synced, world.target.writes) == (RunStatus.SUCCEEDED, 0, 1)
    assert world.statuses(execution) == {"prod/a": "IN_SYNC"}


def test_the_same_order_twice_is_one_execution(world: World) -> None:
    world.source.seed("prod/a", "v")
    first = world.run("e")
    world.source.seed("prod/a", "w")
    assert world.run("e") == first
    assert world.target.writes == 1


def test_a_changed_source_updates_its_own_copy_without_a_conflict(world: World) -> None:
    world.source.seed("prod/a", "v")
    world.run()
    world.source.seed("prod/a", "w")
    execution = world.run()
    assert (execution.secrets_synced, execution.conflicts) == (1, ())
    assert world.target.text("prod/a") == "w"


def test_an_edit_in_the_target_is_a_conflict_that_the_source_wins(world: World) -> None:
    world.source.seed("prod/a", "v")
    world.run()
    edited = world.target.seed("prod/a", "edited by hand")
    execution = world.run()
    (conflict,) = execution.conflicts
    assert (conflict.name, conflict.target_version, conflict.resolution) == ("prod/a", edited, "source-wins")
    assert world.target.text("prod/a") == "v"
    assert world.target.get("prod/a", VersionRef(edited)).value == SecretValue("edited by hand")


def test_manual_holds_a_conflict_and_copies_the_rest() -> None:
    world = World(conflict_resolution="manual")
    world.source.seed("prod/a", "v")
    world.source.seed("prod/b", "v")
    foreign = world.target.seed("prod/a", "foreign")
    execution = world.run()
    assert world.statuses(execution) == {"prod/a": "CONFLICT", "prod/b": "VERIFIED"}
    assert execution.status is RunStatus.PARTIAL
    assert execution.conflicts[0].target_version == foreign
    assert world.target.text("prod/a") == "foreign"


def test_nothing_is_ever_deleted(world: World) -> None:
    world.target.seed("prod/only-here", "v")
    world.source.seed("prod/a", "v")
    world.run()
    world.source.delete("prod/a", recovery_days=None)
    assert world.run().status is RunStatus.SUCCEEDED
    assert world.target.text("prod/a") == "v"
    assert world.target.text("prod/only-here") == "v"


def test_an_incomplete_list_makes_the_run_incomplete_and_writes_nothing(world: World) -> None:
    world.source.seed("prod/a", "v")
    world.source.fail_next(MemoryFault(ErrorCode.INCOMPLETE_RESPONSE))
    execution = world.run()
    assert (execution.status, execution.error_code) == (RunStatus.INCOMPLETE, "incomplete-response")
    assert world.target.writes == 0
    assert world.alerts.sent[0][1]["status"] == "INCOMPLETE"


@pytest.mark.parametrize("code", [ErrorCode.ACCESS_DENIED, ErrorCode.INCOMPLETE_RESPONSE, ErrorCode.UNAVAILABLE])
def test_a_source_value_that_cannot_be_read_fails_its_item_only(world: World, code: ErrorCode) -> None:
    world.source.seed("prod/a", "v")
    world.source.seed("prod/b", "v")

    def deny(operation: str, name: str) -> None:
        if name == "prod/a":
            raise MemoryFault(code)

    world.source.before = deny
    execution = world.run()
    assert world.statuses(execution) == {"prod/a": "FETCH_FAILED", "prod/b": "VERIFIED"}
    assert (execution.status, execution.secrets_failed) == (RunStatus.PARTIAL, 1)
    assert execution.items[0].error_code


def test_a_target_that_is_denied_for_all_fails_the_run(world: World) -> None:
    world.source.seed("prod/a", "v")

    def deny(operation: str, name: str) -> None:
        if operation == "create":
            raise MemoryFault(ErrorCode.ACCESS_DENIED)

    world.target.before = deny
    execution = world.run()
    assert world.statuses(execution) == {"prod/a": "WRITE_FAILED"}
    assert execution.status is RunStatus.FAILED


class Narrow(Scripted):
    """A vault that takes little: short text, names of lower case letters and slashes."""

    capabilities = Provider.capabilities & ~Capability.BINARY
    limits = StoreLimits(re.compile(r"[a-z/]+"), "a-z /", 10)


def test_what_the_target_cannot_hold_is_refused_before_the_first_write() -> None:
    world = World()
    world.target = Narrow(world.clock)
    world.sync = replace(world.sync, stores={**world.sync.stores, "vault": world.store("vault", world.target)})
    world.source.seed("prod/UPPER", "v")
    world.source.seed("prod/long", "x" * 11)
    world.source.create("prod/binary", SecretValue(b"\xff"), like=None, version_id=None)
    world.source.seed("prod/ok", "v")
    execution = world.run()
    assert world.statuses(execution) == {
        "prod/UPPER": "REFUSED",
        "prod/binary": "REFUSED",
        "prod/long": "REFUSED",
        "prod/ok": "VERIFIED",
    }
    assert all(item.reason for item in execution.items if item.status is ItemStatus.REFUSED)


def test_a_deleted_secret_of_the_target_is_not_brought_back(world: World) -> None:
    world.source.seed("prod/a", "v")
    world.target.seed("prod/a", "v")
    world.target.delete("prod/a", recovery_days=None)
    assert world.statuses(world.run()) == {"prod/a": "REFUSED"}
    assert world.target.writes == 0


def test_a_copy_is_not_copied_back_to_where_it_came_from(world: World) -> None:
    world.source.seed("prod/a", "v")
    world.run()
    world.configure(source_vault="vault", target_vault="aws", source_environment="staging", target_environment="prod")
    world.target.seed("prod/a", "edited in the copy")
    execution = world.run()
    assert world.statuses(execution) == {"prod/a": "REFUSED"}
    assert world.source.writes == 0


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_change_between_plan_and_apply_makes_the_plan_stale(world: World, side: str) -> None:
    world.source.seed("prod/a", "v")
    world.target.seed("prod/a", "old")
    reads = {"source": 0, "target": 0}

    def interfere(driver: Scripted, which: str) -> Callable[[str, str], None]:
        def before(operation: str, name: str) -> None:
            reads[which] += operation == "get"
            if which == side and operation == "get" and reads[which] == 2:
                driver.seed("prod/a", "moved")

        return before

    world.source.before = interfere(world.source, "source")
    world.target.before = interfere(world.target, "target")
    execution = world.run()
    assert world.statuses(execution) == {"prod/a": "STALE_PLAN"}
    assert world.target.writes == 0


@pytest.mark.parametrize("operation", ["after-create", "create"])
def test_a_write_whose_answer_is_lost_is_decided_by_what_is_there(world: World, operation: str) -> None:
    world.source.seed("prod/a", "v")
    lost = [MemoryFault(ErrorCode.UNAVAILABLE)]

    def lose(what: str, name: str) -> None:
        if what == operation and lost:
            raise lost.pop()

    world.target.before = lose
    execution = world.run()
    applied = operation == "after-create"
    assert world.statuses(execution) == {"prod/a": "VERIFIED" if applied else "WRITE_FAILED"}
    assert world.target.writes == (1 if applied else 0)
    assert world.run().status is RunStatus.SUCCEEDED
    assert world.target.writes == 1


def test_an_ambiguous_write_that_cannot_be_looked_at_is_unknown(world: World) -> None:
    world.source.seed("prod/a", "v")
    gone = []

    def lose(what: str, name: str) -> None:
        gone.extend([what] if what == "after-create" else [])
        if gone:
            raise MemoryFault(ErrorCode.UNAVAILABLE)

    world.target.before = lose
    assert world.statuses(world.run()) == {"prod/a": "UNKNOWN"}


def test_a_target_that_stores_something_else_is_caught(world: World) -> None:
    world.source.seed("prod/a", "v")

    class Corrupting(Scripted):
        def create(self, name: str, value: SecretValue, *, like: str | None, version_id: str | None) -> RawVersion:
            return super().create(name, SecretValue("V"), like=like, version_id=version_id)

    world.target = Corrupting(world.clock)
    world.sync = replace(world.sync, stores={**world.sync.stores, "vault": world.store("vault", world.target)})
    execution = world.run()
    assert world.statuses(execution) == {"prod/a": "VERIFY_FAILED"}
    assert (execution.status, execution.secrets_synced) == (RunStatus.FAILED, 0)


def test_without_validation_nothing_is_called_a_success() -> None:
    world = World(validate_after_sync=False)
    world.source.seed("prod/a", "v")
    execution = world.run()
    assert world.statuses(execution) == {"prod/a": "APPLIED"}
    assert (execution.status, execution.secrets_synced) == (RunStatus.PARTIAL, 0)


def test_an_interrupted_run_goes_on_and_counts_all_its_work(world: World) -> None:
    for name in "abc":
        world.source.seed(f"prod/{name}", "v")

    def tire(what: str, name: str) -> None:
        world.remaining -= 150 if what == "create" else 0

    world.target.before = tire
    with pytest.raises(SyncInterruptedError):
        world.run("e")
    assert world.target.writes == 2
    world.remaining = 10_000
    execution = world.run("e")
    assert (execution.status, execution.secrets_synced, world.target.writes) == (RunStatus.SUCCEEDED, 3, 3)


def test_a_disabled_or_misfit_configuration_fails_without_a_call() -> None:
    for changes in ({"enabled": False}, {"target_environment": "dev"}):
        world = World(**changes)
        world.source.fail_next(AssertionError("the vault was called"))
        execution = world.run()
        assert execution.status is RunStatus.FAILED
        assert execution.error_code in ("disabled", "invalid-input")


def test_an_unknown_configuration_is_bad_input(world: World) -> None:
    with pytest.raises(InvalidInputError, match=r"^configId:"):
        world.sync.run(SyncOrder("e", "nobody", "ada"), remaining_seconds=lambda: 300)


def test_nothing_is_written_when_the_audit_log_is_down(world: World) -> None:
    world.source.seed("prod/a", "v")
    world.audit.failure = AuditWriteError("down")
    with pytest.raises(AuditWriteError):
        world.run()
    assert world.target.writes == 0


def test_the_trail_names_who_asked_and_what_was_done(world: World) -> None:
    world.source.seed("prod/a", CANARY)
    execution = world.run()
    ours = [event for event in world.audit.events if event.event_type.value.startswith("sync.")]
    assert [event.event_type.value for event in ours] == ["sync.started", "sync.item", "sync.finished"]
    assert {event.actor.id for event in ours} == {"arn:aws:iam::123456789012:user/ada"}
    assert ours[1].detail["versionId"] == execution.items[0].written_version
    everything = repr((world.audit.events, world.alerts.sent, world.state.saved))
    assert CANARY not in everything


def test_people_are_told_as_the_configuration_says() -> None:
    for completion, failure, fails in ((True, False, False), (False, True, True)):
        world = World(notify_on_completion=completion, notify_on_failure=failure)
        world.source.seed("prod/a", "v")
        if fails:
            world.source.fail_next(MemoryFault(ErrorCode.ACCESS_DENIED))
        execution = world.run()
        assert [subject for subject, _ in world.alerts.sent] == [f"Sync c: {execution.status.value}"]
    quiet = World(notify_on_completion=False, notify_on_failure=False)
    quiet.run()
    assert quiet.alerts.sent == []


@settings(max_examples=60, deadline=None)
@given(
    source=st.dictionaries(st.sampled_from(["prod/a", "prod/b", "dev/a"]), st.sampled_from(["x", "y"])),
    target=st.dictionaries(st.sampled_from(["prod/a", "prod/b", "prod/c"]), st.sampled_from(["x", "y"])),
    faults=st.lists(st.sampled_from([None, ErrorCode.UNAVAILABLE, ErrorCode.ACCESS_DENIED]), max_size=12),
)
def test_whatever_fails_a_later_clean_run_ends_equal_and_the_next_writes_nothing(
    source: dict[str, str], target: dict[str, str], faults: list[ErrorCode | None]
) -> None:
    world = World()
    for name, text in source.items():
        world.source.seed(name, text)
    for name, text in target.items():
        world.target.seed(name, text)
    script = list(faults)

    def fault(what: str, name: str) -> None:
        code = script.pop(0) if script else None
        if code:
            raise MemoryFault(code)

    world.target.before = world.source.before = fault
    world.run()
    world.target.before = world.source.before = lambda what, name: None
    assert world.run().status is RunStatus.SUCCEEDED
    in_scope = {name: text for name, text in source.items() if name.startswith("prod/")}
    assert {name: world.target.text(name) for name in in_scope} == in_scope
    for name in target.keys() - in_scope.keys():
        assert world.target.text(name) == target[name]
    written = world.target.writes
    world.run()
    assert world.target.writes == written


class Plain(Scripted):
    """A vault like KV v1: neither versions, nor metadata, nor conditional writes; lists show names only."""

    capabilities = Capability.READ | Capability.WRITE | Capability.LIST

    def list(self, prefix: str) -> list[SecretInfo]:
        return [SecretInfo(info.name) for info in super().list(prefix)]


def swap(world: World, name: str, driver: Scripted) -> None:
    """Put another vault behind the store of that name."""
    setattr(world, {"aws": "source", "vault": "target"}[name], driver)
    world.sync = replace(world.sync, stores={**world.sync.stores, name: world.store(name, driver)})


def test_a_plain_target_is_verified_by_its_current_value_and_each_difference_is_a_conflict(world: World) -> None:
    swap(world, "vault", Plain(world.clock))
    world.source.seed("prod/a", "v")
    assert world.statuses(world.run()) == {"prod/a": "VERIFIED"}
    world.source.seed("prod/a", "w")
    execution = world.run()
    assert world.statuses(execution) == {"prod/a": "VERIFIED"}
    assert [conflict.name for conflict in execution.conflicts] == ["prod/a"]
    assert world.target.text("prod/a") == "w"


def test_a_plain_source_is_copied(world: World) -> None:
    swap(world, "aws", Plain(world.clock))
    world.source.seed("prod/a", "v")
    assert world.statuses(world.run()) == {"prod/a": "VERIFIED"}


class Terse(Scripted):
    """A vault whose list shows names only, and whose tags must be asked for; ``asked`` may refuse."""

    refuses = False

    def list(self, prefix: str) -> list[SecretInfo]:
        return [SecretInfo(info.name) for info in super().list(prefix)]

    def metadata(self, name: str) -> SecretMetadata:
        if self.refuses:
            raise MemoryFault(ErrorCode.ACCESS_DENIED)
        return super().metadata(name)


def test_tags_that_a_list_does_not_show_are_asked_for(world: World) -> None:
    terse = Terse(world.clock)
    swap(world, "aws", terse)
    terse.seed("prod/a", "v")
    terse.update_metadata("prod/a", description=None, tags={"polyvault:origin": "vault:prod/a"})
    assert world.statuses(world.run()) == {"prod/a": "REFUSED"}
    terse.refuses = True
    assert world.statuses(world.run()) == {"prod/a": "FETCH_FAILED"}


def test_an_edit_that_cannot_be_told_from_a_copy_is_not_overwritten(world: World) -> None:
    terse = Terse(world.clock)
    swap(world, "vault", terse)
    terse.seed("prod/a", "foreign")
    terse.refuses = True
    world.source.seed("prod/a", "v")
    assert world.statuses(world.run()) == {"prod/a": "FETCH_FAILED"}
    assert terse.text("prod/a") == "foreign"


def test_an_empty_value_is_refused_where_the_target_takes_none(world: World) -> None:
    world.source.create("prod/a", SecretValue(""), like=None, version_id=None)
    execution = world.run()
    assert [item.reason for item in execution.items] == ["is empty, which memory does not take"]


def at_call(number: int, operation: str, code: ErrorCode) -> Callable[[str, str], None]:
    """Fail the n-th call of that kind."""
    seen = [0]

    def before(what: str, name: str) -> None:
        seen[0] += what == operation
        if what == operation and seen[0] == number:
            raise MemoryFault(code)

    return before


@pytest.mark.parametrize(
    ("side", "operation", "number", "status"),
    [
        ("target", "get", 1, "FETCH_FAILED"),  # planning
        ("source", "get", 2, "FETCH_FAILED"),  # looking again
        ("target", "get", 2, "FETCH_FAILED"),
        ("target", "create", 1, "WRITE_FAILED"),
        ("target", "get", 3, "VERIFY_FAILED"),  # reading back
    ],
)
def test_each_call_that_is_denied_ends_its_item_with_its_own_status(
    world: World, side: str, operation: str, number: int, status: str
) -> None:
    world.source.seed("prod/a", "v")
    driver = world.source if side == "source" else world.target
    driver.before = at_call(number, operation, ErrorCode.ACCESS_DENIED)
    execution = world.run()
    assert world.statuses(execution) == {"prod/a": status}
    assert execution.items[0].error_code == "access-denied"


def test_a_rival_write_at_the_last_moment_is_a_stale_plan(world: World) -> None:
    world.source.seed("prod/a", "v")
    world.target.seed("prod/a", "old")
    world.target.before = at_call(1, "put", ErrorCode.VERSION_CONFLICT)
    assert world.statuses(world.run()) == {"prod/a": "STALE_PLAN"}


@pytest.mark.parametrize(("late", "status"), [(2, "VERIFIED"), (4, "VERIFY_FAILED")])
def test_a_version_that_is_not_visible_yet_is_looked_for_within_bounds(world: World, late: int, status: str) -> None:
    world.source.seed("prod/a", "v")
    reads = [0]

    def hide(what: str, name: str) -> None:
        reads[0] += what == "get"
        if what == "get" and 2 < reads[0] <= 2 + late:
            raise MemoryFault(ErrorCode.VERSION_NOT_FOUND)

    world.target.before = hide
    assert world.statuses(world.run()) == {"prod/a": status}
    assert sum(world.clock.sleeps) <= 1.5


def test_a_queued_record_is_taken_up_by_its_order(world: World) -> None:
    world.source.seed("prod/a", "v")
    queued = SyncExecution("e", "c", RunStatus.QUEUED, "ada", world.clock.now())
    world.state.create_execution(queued)
    world.clock.advance(5)
    execution = world.run("e")
    assert (execution.status, execution.started_at) == (RunStatus.SUCCEEDED, world.clock.now())
