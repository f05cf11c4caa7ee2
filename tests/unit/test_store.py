"""The seam: what every store does the same, whatever vault is behind it."""

from __future__ import annotations

import re
import traceback

import pytest
from polyvault.domain.audit import Actor, ActorType, EventType, Outcome
from polyvault.domain.capability import Capability, StoreLimits
from polyvault.domain.retry import RetryPolicy
from polyvault.domain.secret import RawVersion, SecretValue, StagingLabel, VersionRef
from polyvault.errors import (
    AccessDeniedError,
    AuditWriteError,
    ErrorCode,
    IncompleteResponseError,
    InvalidInputError,
    MissingCapabilityError,
    SecretAlreadyExistsError,
    SecretNotFoundError,
    SecretUnavailableError,
    StoreError,
    StoreUnavailableError,
    ThrottledError,
    TransientStoreError,
    UnclassifiedStoreError,
    VersionConflictError,
)
from polyvault.providers.memory import MemoryFault, Provider, Settings
from polyvault.store import SecretStore
from polyvault.store.seam import _CLASSES

from tests.fakes import FakeClock, RecordingAuditLog

CANARY = "canary-R4vX-value"
TOKEN = "6f0f4f9e-9f0b-4b0e-8a35-1f1b2b8a7c11"
ACTOR = Actor("arn:aws:iam::123456789012:role/x", ActorType.ROLE)


class House:
    """A store on the memory provider with its parts in reach."""

    def __init__(self, driver: Provider | None = None, retry: RetryPolicy | None = None) -> None:
        self.clock = FakeClock()
        self.audit = RecordingAuditLog()
        self.driver = driver or Provider(Settings(), credential=None, clock=self.clock)
        self.store = SecretStore(
            self.driver,
            name="main",
            clock=self.clock,
            audit=self.audit,
            actor=ACTOR,
            retry=retry or RetryPolicy(),
            draw=lambda: 0.5,
        )

    def events(self) -> list[tuple[str, str, str | None, str | None]]:
        return [
            (event.event_type.value, event.outcome.value, event.secret, event.error_code) for event in self.audit.events
        ]


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_code_becomes_a_typed_error_and_an_audit_event(code: ErrorCode) -> None:
    house = House(retry=RetryPolicy(attempts=1))
    house.driver.fail_next(MemoryFault(code))
    with pytest.raises(StoreError) as caught:
        house.store.get_secret("a")
    assert type(caught.value) is _CLASSES[code][0]
    assert caught.value.secret == "a"
    outcome = "denied" if code in (ErrorCode.ACCESS_DENIED, ErrorCode.AUTHENTICATION_FAILED) else "error"
    assert house.events() == [("secret.read", outcome, "a", caught.value.code)]


@pytest.mark.parametrize("code", [ErrorCode.INVALID_REQUEST, ErrorCode.INCOMPLETE_RESPONSE, ErrorCode.UNKNOWN])
def test_text_of_an_sdk_that_may_quote_a_value_is_not_in_reach_of_the_error(house: House, code: ErrorCode) -> None:
    fault = MemoryFault(code)
    fault.args = (f"Invalid value {CANARY}",)
    house.driver.fail_next(fault)
    with pytest.raises(StoreError) as caught:
        house.store.set_secret("a", SecretValue(CANARY))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert not any(CANARY in repr(event) for event in house.audit.events)


def test_a_cause_without_value_stays_in_the_chain(house: House) -> None:
    fault = MemoryFault(ErrorCode.ACCESS_DENIED)
    house.driver.fail_next(fault)
    with pytest.raises(AccessDeniedError) as caught:
        house.store.get_secret("a")
    assert caught.value.__cause__ is fault


@pytest.mark.parametrize("code", [code for code in ErrorCode if not issubclass(_CLASSES[code][0], TransientStoreError)])
def test_a_permanent_error_is_tried_once(house: House, code: ErrorCode) -> None:
    house.driver.fail_next(MemoryFault(code))
    with pytest.raises(StoreError):
        house.store.list_secrets()
    assert house.clock.sleeps == []


def test_a_transient_error_is_retried_with_jitter_and_recorded_once(house: House) -> None:
    house.store.set_secret("a", SecretValue("v"))
    house.driver.fail_next(MemoryFault(ErrorCode.THROTTLED), MemoryFault(ErrorCode.UNAVAILABLE))
    assert house.store.get_secret("a").value == SecretValue("v")
    assert house.clock.sleeps == [0.1, 0.2]  # half of base x 2 and of base x 4: draw is 0.5
    assert house.events()[1:] == [("secret.read", "success", "a", None)]


def test_attempts_are_bounded(house: House) -> None:
    house.driver.fail_next(*[MemoryFault(ErrorCode.UNAVAILABLE)] * 9)
    with pytest.raises(StoreUnavailableError):
        house.store.get_secret("a")
    assert len(house.clock.sleeps) == 3


def test_the_vaults_own_wait_is_obeyed_and_given_up_when_it_does_not_fit() -> None:
    house = House()
    house.driver.fail_next(MemoryFault(ErrorCode.THROTTLED, retry_after=3.0))
    assert house.store.list_secrets() == ()
    assert house.clock.sleeps == [3.0]
    house.driver.fail_next(MemoryFault(ErrorCode.THROTTLED, retry_after=30.0))
    with pytest.raises(ThrottledError) as caught:
        house.store.list_secrets()
    assert caught.value.retry_after == 30.0
    assert house.clock.sleeps == [3.0]


def test_an_outage_meets_no_storm_of_retries() -> None:
    house = House()
    house.driver.fail_next(*[MemoryFault(ErrorCode.UNAVAILABLE)] * 400)
    for _ in range(100):
        with pytest.raises(StoreUnavailableError):
            house.store.list_secrets()
    assert len(house.clock.sleeps) == 10


def test_nothing_is_answered_when_the_audit_event_is_not_durable(house: House) -> None:
    house.store.set_secret("a", SecretValue(CANARY))
    house.audit.failure = AuditWriteError("the audit table is down")
    for operation in (
        lambda: house.store.get_secret("a"),
        lambda: house.store.set_secret("a", SecretValue("w")),
        lambda: house.store.list_secrets(),
        lambda: house.store.get_secret("missing"),
        lambda: house.store.delete_secret("a"),
    ):
        with pytest.raises(AuditWriteError):
            operation()


def test_names_sizes_and_kinds_are_refused_before_any_call(house: House) -> None:
    house.driver.fail_next(AssertionError("the vault was called"))
    for name in ("", "a b", "a\n", "x" * 513, "ä"):
        with pytest.raises(InvalidInputError, match=r"^name:"):
            house.store.get_secret(name)
    for value in (SecretValue(""), SecretValue("x" * 65_537)):
        with pytest.raises(InvalidInputError, match=r"^value:"):
            house.store.set_secret("a", value)
    with pytest.raises(InvalidInputError, match=r"^recoveryDays:"):
        house.store.delete_secret("a", recovery_days=6)
    with pytest.raises(InvalidInputError, match=r"^tags:"):
        house.store.update_secret_metadata("a", tags={str(i): "" for i in range(51)})
    assert house.audit.events == []


class Plain(Provider):
    """A vault that reads, writes and lists text, like KV v1."""

    capabilities = Capability.READ | Capability.WRITE | Capability.LIST
    limits = StoreLimits(re.compile(".+"), "anything", 10, allows_empty=True)


def test_a_missing_capability_is_said_before_the_call() -> None:
    clock = FakeClock()
    house = House(Plain(Settings(), credential=None, clock=clock))
    store = house.store
    for operation in (
        lambda: store.set_secret("a", SecretValue("v"), expect="1"),
        lambda: store.set_secret("a", SecretValue("v"), version_id=TOKEN),
        lambda: store.list_secret_versions("a"),
        lambda: store.get_secret_metadata("a"),
        lambda: store.update_secret_metadata("a", description="d"),
        lambda: store.list_tagged("t"),
        lambda: store.rotation_state("a"),
        lambda: store.pending("a", TOKEN),
        lambda: store.stage("a", SecretValue("v"), client_request_token=TOKEN, rotation_token=None),
        lambda: store.publish("a", client_request_token=TOKEN, expect_current=None),
        lambda: store.discard("a", client_request_token=TOKEN),
        lambda: store.request_rotation("a", client_request_token=TOKEN),
    ):
        with pytest.raises(MissingCapabilityError, match="main: memory does not offer"):
            operation()
    with pytest.raises(InvalidInputError, match="is binary"):
        store.set_secret("a", SecretValue(b"\xff"))
    assert house.audit.events == []
    assert store.set_secret("a", SecretValue("")).value == SecretValue("")


class LosesAnswers(Plain):
    """Applies the write, then says it could not be reached."""

    lost = 0

    def put(self, name: str, value: SecretValue, *, expect: str | None, version_id: str | None) -> RawVersion:
        written = super().put(name, value, expect=expect, version_id=version_id)
        if self.lost:
            self.lost -= 1
            raise MemoryFault(ErrorCode.UNAVAILABLE)
        return written


def test_a_write_whose_answer_was_lost_is_compared_before_it_is_repeated() -> None:
    clock = FakeClock()
    driver = LosesAnswers(Settings(), credential=None, clock=clock)
    house = House(driver)
    house.store.set_secret("a", SecretValue("v"))
    driver.lost = 1
    written = house.store.set_secret("a", SecretValue("w"))
    assert len(list(driver.versions("a"))) == 2
    assert driver.get("a", VersionRef()).version_id == written.version_id


def test_a_write_is_created_or_updated_and_recorded_as_what_it_was(house: House) -> None:
    first = house.store.set_secret("a", SecretValue("v"))
    second = house.store.set_secret("a", SecretValue("w"))
    assert house.events() == [
        ("secret.created", "success", "a", None),
        ("secret.updated", "success", "a", None),
    ]
    assert [event.detail["versionId"] for event in house.audit.events] == [first.version_id, second.version_id]


def test_check_and_set_refuses_a_moved_secret_and_never_creates(house: House) -> None:
    first = house.store.set_secret("a", SecretValue("v"))
    second = house.store.set_secret("a", SecretValue("w"), expect=first.version_id)
    with pytest.raises(VersionConflictError):
        house.store.set_secret("a", SecretValue("x"), expect=first.version_id)
    assert house.store.get_secret("a").version_id == second.version_id
    with pytest.raises(SecretNotFoundError):
        house.store.set_secret("b", SecretValue("x"), expect=first.version_id)
    with pytest.raises(SecretNotFoundError):
        house.store.get_secret("b")


def test_a_read_says_which_version_of_which_store_and_how_old(house: House) -> None:
    written = house.store.set_secret("a", SecretValue("v"))
    house.clock.advance(90)
    read = house.store.get_secret("a")
    assert (read.version_id, read.store, read.age_seconds) == (written.version_id, "main", 90.0)


def test_events_name_the_actor_and_where_the_caller_came_from(house: House) -> None:
    caller = Actor("arn:aws:iam::123456789012:user/ada", ActorType.USER, "ada")
    theirs = house.store.for_actor(caller, ip_address="192.0.2.7", user_agent="curl")
    theirs.set_secret("a", SecretValue("v"))
    house.store.get_secret("a")
    first, second = house.audit.events
    assert (first.actor, first.ip_address, first.user_agent) == (caller, "192.0.2.7", "curl")
    assert (second.actor, second.ip_address) == (ACTOR, None)


def test_health_never_raises_and_leaves_no_event(house: House) -> None:
    assert house.store.health_check().healthy
    house.driver.fail_next(MemoryFault(ErrorCode.ACCESS_DENIED), ValueError("surprise"))
    assert house.store.health_check().error == "access-denied"
    assert house.store.health_check().error == "unclassified"
    assert house.audit.events == []


def test_an_unclassified_error_is_not_retried(house: House) -> None:
    house.driver.fail_next(KeyError(CANARY))
    with pytest.raises(UnclassifiedStoreError) as caught:
        house.store.get_secret("a")
    assert str(caught.value) == "main: get a: an error that the provider cannot name (KeyError)"


def test_an_incomplete_list_is_an_error_and_not_empty(house: House) -> None:
    house.driver.fail_next(MemoryFault(ErrorCode.INCOMPLETE_RESPONSE))
    with pytest.raises(IncompleteResponseError):
        house.store.list_secrets()


def test_four_steps_on_labels_are_idempotent(house: House) -> None:
    store = house.store
    first = store.set_secret("db", SecretValue("old")).version_id
    house.driver.enable_rotation("db", "arn:aws:lambda:x")
    assert store.request_rotation("db", client_request_token=TOKEN) == TOKEN
    assert store.pending("db", TOKEN) is None
    for _ in range(2):
        store.stage("db", SecretValue("new"), client_request_token=TOKEN, rotation_token=None)
    assert store.pending("db", TOKEN) == SecretValue("new")
    assert store.get_secret("db").value == SecretValue("old")
    with pytest.raises(SecretAlreadyExistsError):
        store.stage("db", SecretValue("other"), client_request_token=TOKEN, rotation_token=None)
    for _ in range(2):
        store.publish("db", client_request_token=TOKEN, expect_current=first)
    assert store.get_secret("db").value == SecretValue("new")
    assert dict(store.rotation_state("db").labels) == {TOKEN: {"AWSCURRENT"}, first: {"AWSPREVIOUS"}}
    assert store.request_rotation("db", client_request_token=TOKEN) == TOKEN
    assert store.rotation_state("db").holder_of("AWSPENDING") is None


def test_publish_refuses_when_the_current_version_moved(house: House) -> None:
    store = house.store
    first = store.set_secret("db", SecretValue("old")).version_id
    store.stage("db", SecretValue("new"), client_request_token=TOKEN, rotation_token=None)
    moved = store.set_secret("db", SecretValue("by hand")).version_id
    with pytest.raises(VersionConflictError):
        store.publish("db", client_request_token=TOKEN, expect_current=first)
    assert store.get_secret("db").version_id == moved


def test_discard_releases_only_its_own_pending_version(house: House) -> None:
    store = house.store
    store.set_secret("db", SecretValue("old"))
    store.stage("db", SecretValue("new"), client_request_token=TOKEN, rotation_token=None)
    store.discard("db", client_request_token="another-token-another-token-another")
    assert store.pending("db", TOKEN) == SecretValue("new")
    for _ in range(2):
        store.discard("db", client_request_token=TOKEN)
    assert store.pending("db", TOKEN) is None


def test_a_deleted_secret_is_a_state_and_not_missing(house: House) -> None:
    store = house.store
    store.set_secret("a", SecretValue("v"))
    store.delete_secret("a", recovery_days=7)
    with pytest.raises(SecretUnavailableError):
        store.get_secret("a")
    with pytest.raises(SecretUnavailableError):
        store.set_secret("a", SecretValue("w"))
    assert store.list_secrets() == ()
    assert store.rotation_state("a").deletion_scheduled
    house.clock.advance(7 * 86_400)
    with pytest.raises(SecretNotFoundError):
        store.get_secret("a")


def test_events_carry_the_type_of_each_operation(house: House) -> None:
    store = house.store
    store.set_secret("a", SecretValue("v"))
    store.list_secret_versions("a")
    store.update_secret_metadata("a", tags={"team": "x"})
    store.get_secret_metadata("a")
    store.list_tagged("team")
    store.delete_secret("a")
    assert [event.event_type for event in house.audit.events] == [
        EventType.SECRET_CREATED,
        EventType.METADATA_READ,
        EventType.METADATA_UPDATED,
        EventType.METADATA_READ,
        EventType.SECRET_LISTED,
        EventType.SECRET_DELETED,
    ]
    assert {event.outcome for event in house.audit.events} == {Outcome.SUCCESS}


def test_a_labelled_version_is_read_by_its_label(house: House) -> None:
    first = house.store.set_secret("a", SecretValue("v")).version_id
    house.store.set_secret("a", SecretValue("w"))
    assert house.store.get_secret("a", VersionRef(label=StagingLabel.PREVIOUS)).version_id == first


def test_a_vault_that_cannot_select_by_tag_says_so(house: House) -> None:
    class NoTagSearch:
        """All of the memory vault but its search by tag."""

        capabilities = Provider.capabilities
        limits = Provider.limits
        provider = "memory"

    store = SecretStore(
        NoTagSearch(),  # type: ignore[arg-type]
        name="main",
        clock=house.clock,
        audit=house.audit,
        actor=ACTOR,
    )
    with pytest.raises(MissingCapabilityError, match="cannot list by tag"):
        store.list_tagged("team")


def test_pending_and_find_answer_none_only_for_what_is_not_there(house: House) -> None:
    assert house.store.find_secret("missing") is None
    assert house.events() == [("secret.read", "success", "missing", None)]
    house.driver.fail_next(MemoryFault(ErrorCode.ACCESS_DENIED), MemoryFault(ErrorCode.ACCESS_DENIED))
    with pytest.raises(AccessDeniedError):
        house.store.find_secret("missing")
    with pytest.raises(AccessDeniedError):
        house.store.pending("missing", TOKEN)
    with pytest.raises(SecretNotFoundError):
        house.store.pending("missing", TOKEN)


def test_a_lost_answer_is_looked_for_even_when_the_look_fails() -> None:
    clock = FakeClock()
    driver = LosesAnswers(Settings(), credential=None, clock=clock)
    house = House(driver)
    house.store.set_secret("a", SecretValue("v"))
    reads: list[int] = []

    def get(name: str, version: VersionRef) -> RawVersion:
        reads.append(1)
        if len(reads) == 1:
            raise MemoryFault(ErrorCode.UNAVAILABLE)
        return Provider.get(driver, name, version)

    driver.get = get  # type: ignore[method-assign]
    driver.lost = 1
    assert house.store.set_secret("a", SecretValue("w")).value == SecretValue("w")
    assert len(list(driver.versions("a"))) == 3  # written twice: nobody could say that it was there


def test_disconnect_closes_the_driver(house: House) -> None:
    house.store.set_secret("a", SecretValue("v"))
    house.store.disconnect()
    assert house.store.list_secrets() == ()
