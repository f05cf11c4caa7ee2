"""The four steps' rules, on a vault and a target in memory."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from polyvault.domain.audit import EventType, Outcome
from polyvault.domain.rotation import Step
from polyvault.domain.secret import SecretValue, StagingLabel, VersionRef
from polyvault.errors import (
    AuditWriteError,
    DeadlineExceededError,
    ErrorCode,
    InvalidInputError,
    PolyvaultError,
    PostConditionError,
    RotationError,
    RotationNotEnabledError,
    SecretNotFoundError,
    SecretVersionNotFoundError,
    TargetDriftError,
    TargetMismatchError,
    TargetRejectedCredentialError,
    TargetUnavailableError,
    VersionConflictError,
    VersionNotStagedError,
)
from polyvault.providers.memory import MemoryFault
from polyvault.services.rotate import Rotate

from tests.rotation_house import ACTOR, ADMIN_SECRET, CANARY, DOCUMENT, FUNCTION_ARN, SECRET, TOKEN, RotationHouse

CREATE, SET, TEST, FINISH = Step
PENDING = VersionRef(TOKEN, StagingLabel.PENDING)
OTHER_TOKEN = "b" * 36


@pytest.fixture(params=[False, True], ids=["single-user", "alternating-users"])
def house(request: pytest.FixtureRequest) -> RotationHouse:
    house = RotationHouse(alternating=request.param)
    house.request()
    return house


@pytest.fixture
def single() -> RotationHouse:
    house = RotationHouse()
    house.request()
    return house


@pytest.fixture
def alternating() -> RotationHouse:
    house = RotationHouse(alternating=True)
    house.request()
    return house


def forge(house: RotationHouse, **changes: Any) -> None:
    """A pending value that somebody else put."""
    document = {**house.document(), "password": "canary-forged", **changes}
    house.store.stage(SECRET, SecretValue(json.dumps(document)), client_request_token=TOKEN, rotation_token=None)


# The whole


def test_four_steps_change_the_password_and_what_the_target_takes(house: RotationHouse) -> None:
    house.steps()
    new = house.document()
    assert house.holder(StagingLabel.CURRENT) == TOKEN
    assert house.holder(StagingLabel.PREVIOUS) == house.first
    assert house.holder(StagingLabel.PENDING) is None
    assert house.target.users[str(new["username"])][0] == SecretValue(str(new["password"]))
    assert {key for key in new if new[key] != DOCUMENT.get(key, ADMIN_SECRET)} <= {"username", "password"}
    assert house.target.refused == []


def test_alternating_users_take_turns_and_the_last_one_keeps_working(alternating: RotationHouse) -> None:
    users = []
    for number in range(4):
        token = f"{number}" * 36
        if number:
            alternating.request(token)
        else:
            token = TOKEN
        before = alternating.document()
        alternating.steps(token=token)
        users.append(alternating.document()["username"])
        assert alternating.target.users[str(before["username"])][0] == SecretValue(str(before["password"]))
    assert users == ["app_clone", "app", "app_clone", "app"]


@pytest.mark.parametrize("order", list(itertools.product(range(1, 4), repeat=4)))
def test_each_step_delivered_several_times_is_one_change(house: RotationHouse, order: tuple[int, ...]) -> None:
    for step, times in zip(Step, order, strict=True):
        house.steps(*[step] * times)
    assert len(house.target.changes) == 1
    assert house.holder(StagingLabel.CURRENT) == TOKEN
    assert len(list(house.vault.versions(SECRET))) == 2
    assert sorted(step for step, _ in house.told(EventType.ROTATION_STEP)) == sorted(Step)
    assert len(house.told(EventType.ROTATION_SUCCEEDED)) == 1


def test_a_late_duplicate_of_any_step_after_the_end_changes_nothing(house: RotationHouse) -> None:
    house.steps()
    before = house.state()
    house.steps()
    house.steps(FINISH, TEST, SET, CREATE)
    assert house.state() == before


@pytest.mark.parametrize("first", [SET, FINISH])
def test_a_step_before_its_turn_is_refused_and_changes_nothing(house: RotationHouse, first: Step) -> None:
    before = house.state()
    with pytest.raises(VersionNotStagedError):
        house.step(first)
    assert house.state() == before
    house.steps()
    assert house.holder(StagingLabel.CURRENT) == TOKEN


@pytest.mark.parametrize("early", [TEST, FINISH])
def test_a_value_that_is_not_on_the_target_is_neither_tested_good_nor_promoted(
    house: RotationHouse, early: Step
) -> None:
    house.step(CREATE)
    before = house.state()
    with pytest.raises(RotationError):
        house.step(early)
    assert house.state() == before
    house.steps()
    assert house.holder(StagingLabel.CURRENT) == TOKEN


# Entry


def test_an_unknown_token_is_refused(house: RotationHouse) -> None:
    before = house.state()
    for step in Step:
        with pytest.raises(VersionNotStagedError, match="no version"):
            house.step(step, OTHER_TOKEN)
    assert house.state() == before


def test_a_superseded_token_is_refused_and_does_not_steal_the_label(house: RotationHouse) -> None:
    house.step(CREATE)
    house.vault.move_label(SECRET, StagingLabel.PENDING, to=None, expect_at=TOKEN)
    house.vault.put_staged(
        SECRET, SecretValue("x"), version_id=OTHER_TOKEN, label=StagingLabel.PREVIOUS, rotation_token=None
    )
    before = house.state()
    for step in Step:
        with pytest.raises(VersionNotStagedError):
            house.step(step)
        with pytest.raises(VersionNotStagedError, match="superseded"):
            house.step(step, OTHER_TOKEN)
    assert house.state() == before


def test_a_secret_that_is_not_there_is_a_store_error() -> None:
    house = RotationHouse()
    house.vault._secrets.clear()
    with pytest.raises(SecretNotFoundError):
        house.step(CREATE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rotation_enabled": False}, "not enabled"),
        ({"deletion_scheduled": True}, "deletion"),
        ({"owning_service": "rds"}, "another service"),
        ({"rotation_function_arn": FUNCTION_ARN + "-of-somebody-else"}, "another function"),
        ({"rotation_function_arn": None}, "another function"),
    ],
)
def test_a_secret_that_is_not_ours_to_rotate_is_refused_before_anything_is_read(
    house: RotationHouse, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], words: str
) -> None:
    import dataclasses

    real = house.vault.rotation_state
    monkeypatch.setattr(house.vault, "rotation_state", lambda name: dataclasses.replace(real(name), **change))
    for step in Step:
        with pytest.raises(RotationNotEnabledError, match=words):
            house.step(step)
    reads = [event for event in house.audit.events if event.event_type is EventType.SECRET_READ]
    assert reads == []
    assert house.target.logins == []


def test_an_alias_of_this_function_is_this_function(house: RotationHouse) -> None:
    house.vault.enable_rotation(SECRET, FUNCTION_ARN + ":live")
    house.steps()
    assert house.holder(StagingLabel.CURRENT) == TOKEN


def test_a_token_that_is_current_with_a_pending_label_left_is_cleaned_up(house: RotationHouse) -> None:
    house.steps(CREATE, SET, TEST)
    house.vault.move_label(SECRET, StagingLabel.CURRENT, to=TOKEN, expect_at=house.first)
    assert house.holder(StagingLabel.PENDING) == TOKEN
    house.step(CREATE)
    assert house.holder(StagingLabel.PENDING) is None
    assert house.told(EventType.ROTATION_SUCCEEDED) == []
    house.steps()
    assert house.told(EventType.ROTATION_SUCCEEDED) == [(FINISH, None)]


# createSecret


def test_create_forwards_the_rotation_token_to_the_vault_and_nowhere_else(
    house: RotationHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = SecretValue("canary-rotation-token")
    seen: list[SecretValue | None] = []
    real = house.vault.put_staged

    def put(*args: Any, rotation_token: SecretValue | None, **options: Any) -> Any:
        seen.append(rotation_token)
        return real(*args, rotation_token=rotation_token, **options)

    monkeypatch.setattr(house.vault, "put_staged", put)
    house.step(CREATE, rotation_token=given)
    assert seen == [given]
    assert "canary-rotation-token" not in repr(house.audit.events)


def test_create_keeps_the_value_that_is_there(house: RotationHouse) -> None:
    house.step(CREATE)
    value = house.document(PENDING)
    house.step(CREATE)
    assert house.document(PENDING) == value


def test_create_that_loses_the_race_takes_the_winners_value(
    house: RotationHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = house.vault.put_staged

    def slower(name: str, value: SecretValue, **options: Any) -> Any:
        monkeypatch.setattr(house.vault, "put_staged", real)
        winner = RotationHouse(alternating="masterarn" in house.document(), choice=random.Random(1).choice)
        winner.vault, winner.store, winner.audit = house.vault, house.store, house.audit
        winner.step(CREATE)
        return real(name, value, **options)

    monkeypatch.setattr(house.vault, "put_staged", slower)
    house.step(CREATE)
    kept = house.document(PENDING)
    house.steps(SET, TEST, FINISH)
    assert house.document() == kept


def test_create_never_makes_the_current_or_the_previous_password_again() -> None:
    house = RotationHouse(choice=random.Random(3).choice)
    house.request()
    house.steps()
    first = house.document()["password"]
    house.choice = random.Random(3).choice
    house.request(OTHER_TOKEN)
    house.steps(token=OTHER_TOKEN)
    second = house.document()["password"]
    assert second != first
    house.choice = random.Random(3).choice
    house.request("c" * 36)
    house.steps(token="c" * 36)
    assert house.document()["password"] not in (first, second)


def test_a_previous_value_that_is_no_credential_keeps_nobody_from_rotating() -> None:
    house = RotationHouse("not JSON")
    house.put(SECRET, DOCUMENT)
    house.request()
    house.steps()
    assert house.holder(StagingLabel.CURRENT) == TOKEN


@pytest.mark.parametrize("document", ["", CANARY, "[]", '{"password": "' + CANARY + '"}', '{"engine": 7}'])
def test_a_current_value_that_is_no_credential_names_the_key_and_changes_nothing(document: str) -> None:
    house = RotationHouse(document or "{}")
    house.request()
    before = house.state()
    with pytest.raises(InvalidInputError) as raised:
        house.step(CREATE)
    assert raised.value.path in {"secret", "engine"}
    assert CANARY not in str(raised.value)
    assert house.state() == before


def test_an_unknown_engine_is_refused() -> None:
    house = RotationHouse({**DOCUMENT, "engine": "dbase"})
    house.request()
    with pytest.raises(InvalidInputError, match=r"^engine"):
        house.step(CREATE)


def test_alternating_users_without_an_administrator_are_refused_before_a_value_is_stored() -> None:
    house = RotationHouse({**DOCUMENT, "strategy": "alternating-users"})
    house.request()
    before = house.state()
    with pytest.raises(InvalidInputError, match=r"^masterarn"):
        house.step(CREATE)
    assert house.state() == before


def test_a_user_name_without_room_for_its_twin_is_refused_before_a_value_is_stored() -> None:
    house = RotationHouse({**DOCUMENT, "username": "u" * 30, "masterarn": ADMIN_SECRET})
    house.request()
    before = house.state()
    with pytest.raises(InvalidInputError, match=r"^username"):
        house.step(CREATE)
    assert house.state() == before


def test_the_strategy_that_the_secret_names_wins_over_the_administrator() -> None:
    house = RotationHouse({**DOCUMENT, "masterarn": ADMIN_SECRET, "strategy": "single-user"})
    house.request()
    house.steps()
    assert house.document()["username"] == "app"


def test_a_strategy_that_the_target_does_not_have_is_refused() -> None:
    house = RotationHouse({**DOCUMENT, "strategy": "dual-credential"})
    house.request()
    with pytest.raises(InvalidInputError, match=r"^strategy: is not possible with fake$"):
        house.step(CREATE)


def test_the_91st_version_of_a_day_is_still_made_and_the_next_is_not() -> None:
    house = RotationHouse()
    for number in range(89):
        house.put(SECRET, {**DOCUMENT, "note": number})
    house.request()
    house.step(CREATE)
    house.vault.move_label(SECRET, StagingLabel.PENDING, to=None, expect_at=TOKEN)
    house.request(OTHER_TOKEN)
    with pytest.raises(RotationError, match="91 versions"):
        house.step(CREATE, OTHER_TOKEN)
    house.clock.advance(86_401)
    house.step(CREATE, OTHER_TOKEN)


# setSecret


@pytest.mark.parametrize("key", ["engine", "host", "port", "dbname", "username", "ssl", "masterarn", "strategy"])
@pytest.mark.parametrize("step", Step)
def test_a_pending_value_that_points_elsewhere_is_refused_before_any_login(
    house: RotationHouse, key: str, step: Step
) -> None:
    other = {"port": 1, "ssl": False, "strategy": "single-user", "masterarn": "arn:other"}.get(key, "elsewhere")
    forge(house, **{"username": "app_clone" if "masterarn" in house.document() else "app", key: other})
    before = house.state()
    with pytest.raises(TargetMismatchError, match=key) as raised:
        house.step(step)
    assert "canary" not in str(raised.value)
    assert house.state() == before
    assert (house.target.logins, house.target.refused) == ([], [])


def test_set_waits_for_a_value_that_is_not_visible_yet(house: RotationHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    house.step(CREATE)
    hidden = iter([True, True, True, False])
    real = house.vault.get

    def get(name: str, version: VersionRef) -> Any:
        if version == PENDING and next(hidden, False):
            raise MemoryFault(ErrorCode.VERSION_NOT_FOUND)
        return real(name, version)

    monkeypatch.setattr(house.vault, "get", get)
    house.step(SET)
    assert house.clock.sleeps == [0.2, 0.4, 0.8]
    assert len(house.target.changes) == 1


def test_set_gives_up_on_a_value_that_never_comes(house: RotationHouse) -> None:
    with pytest.raises(VersionNotStagedError, match="no value"):
        house.step(SET)
    assert house.clock.sleeps == [0.2, 0.4, 0.8, 1.6, 3.0]


def test_waiting_ends_before_the_deadline(house: RotationHouse) -> None:
    with pytest.raises(VersionNotStagedError):
        house.step(SET, seconds=5)
    assert sum(house.clock.sleeps) < 4


@pytest.mark.parametrize("seconds", [0, 1, 4.9])
def test_the_target_is_not_changed_with_too_little_time_left(house: RotationHouse, seconds: float) -> None:
    house.step(CREATE)
    before = house.state()
    with pytest.raises(DeadlineExceededError) as raised:
        house.step(SET, seconds=seconds)
    assert raised.value.retryable
    assert house.state() == before
    house.steps()
    assert house.holder(StagingLabel.CURRENT) == TOKEN


def test_the_label_is_not_moved_with_too_little_time_left(house: RotationHouse) -> None:
    house.steps(CREATE, SET, TEST)
    before = house.state()
    with pytest.raises(DeadlineExceededError):
        house.step(FINISH, seconds=2)
    assert house.state() == before


def test_the_target_holding_the_pending_password_already_is_not_changed_again(single: RotationHouse) -> None:
    single.steps(CREATE, SET)
    single.target.logins.clear()
    single.step(SET)
    assert single.target.changes == ["app"]
    assert (single.target.logins, single.target.refused) == (["app"], [])


def test_a_target_restored_to_the_previous_password_is_caught_up_without_a_refused_login(single: RotationHouse) -> None:
    single.steps()
    single.request(OTHER_TOKEN)
    single.steps(token=OTHER_TOKEN)
    previous = single.document(VersionRef(label=StagingLabel.PREVIOUS))
    third = "c" * 36
    single.request(third)
    single.step(CREATE, third)
    single.target.users["app"] = (SecretValue(str(previous["password"])), TOKEN)
    single.steps(SET, TEST, FINISH, token=third)
    assert single.holder(StagingLabel.CURRENT) == third
    assert single.target.refused == []
    drifted = [event for event in single.audit.events if event.detail.get("result") == "applied-after-drift"]
    assert len(drifted) == 1


def test_a_target_that_holds_none_of_the_passwords_is_given_up_and_the_label_released(house: RotationHouse) -> None:
    house.step(CREATE)
    house.target.users["app"] = (SecretValue("changed by hand"), None)
    with pytest.raises(TargetDriftError) as raised:
        house.step(SET)
    assert not raised.value.retryable
    assert house.holder(StagingLabel.PENDING) is None
    assert house.holder(StagingLabel.CURRENT) == house.first
    assert house.target.changes == []
    refused = list(house.target.refused)
    with pytest.raises(VersionNotStagedError):
        house.step(SET)
    assert house.target.refused == refused, "no loop: the password is not tried again"


def test_behind_a_pooler_that_hides_the_version_a_repeated_set_is_seen_as_done(single: RotationHouse) -> None:
    single.target.shows_versions = False
    single.steps(CREATE, SET, SET, TEST, FINISH)
    assert single.target.changes == ["app"]
    assert len(single.target.refused) == 1
    assert single.holder(StagingLabel.CURRENT) == TOKEN


def test_an_unreachable_target_is_told_apart_and_nothing_is_given_up(house: RotationHouse) -> None:
    house.step(CREATE)
    before = house.state()
    house.target.failures = [TargetUnavailableError("no answer")]
    with pytest.raises(TargetUnavailableError) as raised:
        house.step(SET)
    assert raised.value.retryable
    assert house.state() == before
    house.steps()
    assert house.holder(StagingLabel.CURRENT) == TOKEN


def test_the_administrator_is_asked_only_after_the_current_user_proved_itself(alternating: RotationHouse) -> None:
    alternating.steps(CREATE, SET)
    assert alternating.target.logins == ["app", "root"]


def test_a_refused_administrator_is_named_and_the_rotation_stays_open(alternating: RotationHouse) -> None:
    alternating.step(CREATE)
    alternating.target.users["root"] = (SecretValue("another"), None)
    with pytest.raises(TargetRejectedCredentialError, match="administrator"):
        alternating.step(SET)
    assert alternating.holder(StagingLabel.PENDING) == TOKEN
    assert alternating.target.refused == ["root"]


def test_a_half_made_twin_is_finished_though_its_login_works(alternating: RotationHouse) -> None:
    alternating.steps(CREATE, SET)
    alternating.target.rights["app_clone"] = frozenset({"read"})
    with pytest.raises(PostConditionError, match="1 missing, 0 beyond"):
        alternating.step(TEST)
    alternating.steps()
    assert alternating.target.rights["app_clone"] == frozenset({"read", "write"})


def test_a_twin_that_was_locked_is_repaired_with_one_refused_login(alternating: RotationHouse) -> None:
    alternating.steps(CREATE, SET)
    password, version = alternating.target.users["app_clone"]
    alternating.target.users["app_clone"] = (SecretValue("locked"), version)
    alternating.steps()
    assert alternating.target.users["app_clone"] == (password, version)
    assert alternating.target.refused == ["app_clone"]


# testSecret


def test_a_configuration_test_without_a_value_only_logs_in(house: RotationHouse) -> None:
    before = house.state()
    house.step(TEST)
    assert house.state() == before
    assert house.target.logins == ["app"]
    assert [event.detail["result"] for event in house.audit.events if event.event_type is EventType.ROTATION_STEP] == [
        "configuration-verified"
    ]


def test_a_configuration_test_with_the_current_value_as_pending_only_logs_in(house: RotationHouse) -> None:
    house.store.stage(
        SECRET, house.vault.get(SECRET, VersionRef()).value, client_request_token=TOKEN, rotation_token=None
    )
    before = house.state()
    house.step(TEST)
    assert house.state() == before
    assert house.target.logins == ["app"]


def test_a_configuration_test_on_the_current_version_only_logs_in() -> None:
    house = RotationHouse()
    house.vault.move_label(SECRET, StagingLabel.PENDING, to=house.first, expect_at=None)
    before = house.state()
    house.step(TEST, house.first)
    assert house.state() == before
    assert house.target.logins == ["app"]


def test_a_configuration_test_says_that_the_current_credential_is_refused(house: RotationHouse) -> None:
    house.target.users["app"] = (SecretValue("another"), None)
    with pytest.raises(TargetRejectedCredentialError):
        house.step(TEST)


def test_a_configuration_test_that_logs_in_as_somebody_else_says_so(house: RotationHouse) -> None:
    house.target.identity = "somebody"
    with pytest.raises(PostConditionError, match="somebody else"):
        house.step(TEST)


@pytest.mark.parametrize("step", [TEST, FINISH])
def test_a_login_as_somebody_else_is_not_good_enough(house: RotationHouse, step: Step) -> None:
    house.steps(CREATE, SET)
    house.target.identity = "somebody"
    before = house.state()
    with pytest.raises(PostConditionError, match="somebody else"):
        house.step(step)
    assert house.state() == before


@pytest.mark.parametrize("step", [TEST, FINISH])
@pytest.mark.parametrize("rights", [{"read"}, {"read", "write", "delete"}, set()])
def test_a_right_more_or_less_is_not_good_enough(alternating: RotationHouse, step: Step, rights: set[str]) -> None:
    alternating.steps(CREATE, SET)
    alternating.target.rights["app_clone"] = frozenset(rights)
    before = alternating.state()
    with pytest.raises(PostConditionError, match="rights differ"):
        alternating.step(step)
    assert alternating.state() == before


def test_a_twin_that_acts_for_itself_is_not_good_enough(alternating: RotationHouse) -> None:
    alternating.steps(CREATE, SET)
    alternating.target.acts_as.clear()
    with pytest.raises(PostConditionError, match="owner role"):
        alternating.step(TEST)


# finishSecret


def test_finish_does_not_overrule_a_value_that_became_current_meanwhile(
    house: RotationHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.steps(CREATE, SET, TEST)
    verify = house.target.login

    def moved(*args: Any, **options: Any) -> Any:
        monkeypatch.undo()
        house.put(SECRET, {**house.document(), "note": "by hand"})
        return verify(*args, **options)

    monkeypatch.setattr(house.target, "login", moved)
    with pytest.raises(VersionConflictError):
        house.step(FINISH)
    assert house.document()["note"] == "by hand"


def test_finish_promotes_where_no_version_is_current() -> None:
    house = RotationHouse()
    house.request()
    house.steps(CREATE, SET, TEST)
    house.vault._secrets[SECRET].labels.pop("AWSCURRENT")
    house.step(FINISH)
    assert house.holder(StagingLabel.CURRENT) == TOKEN


def test_finish_without_a_current_version_still_wants_the_right_login() -> None:
    house = RotationHouse()
    house.request()
    house.steps(CREATE, SET, TEST)
    house.vault._secrets[SECRET].labels.pop("AWSCURRENT")
    house.target.identity = "somebody"
    with pytest.raises(PostConditionError, match="somebody else"):
        house.step(FINISH)
    assert house.holder(StagingLabel.CURRENT) is None


def test_without_a_current_value_a_rotation_says_so() -> None:
    house = RotationHouse()
    house.request()
    house.vault._secrets[SECRET].labels.pop("AWSCURRENT")
    with pytest.raises(SecretVersionNotFoundError):
        house.step(CREATE)


@pytest.mark.parametrize("moved", [StagingLabel.CURRENT, StagingLabel.PENDING])
def test_finish_that_died_between_its_two_moves_is_finished_by_the_next(
    house: RotationHouse, monkeypatch: pytest.MonkeyPatch, moved: StagingLabel
) -> None:
    house.steps(CREATE, SET, TEST)
    real = house.vault.move_label

    def dies(name: str, label: StagingLabel, **options: Any) -> None:
        real(name, label, **options)
        if label is moved:
            raise KeyboardInterrupt

    monkeypatch.setattr(house.vault, "move_label", dies)
    with pytest.raises(KeyboardInterrupt):
        house.step(FINISH)
    monkeypatch.undo()
    house.steps()
    assert (house.holder(StagingLabel.CURRENT), house.holder(StagingLabel.PENDING)) == (TOKEN, None)
    assert house.told(EventType.ROTATION_SUCCEEDED) == [(FINISH, None)]


# The trail


def test_each_step_leaves_one_event_with_the_names_and_nothing_else(house: RotationHouse) -> None:
    house.steps()
    steps = [event for event in house.audit.events if event.event_type is EventType.ROTATION_STEP]
    assert [(event.detail["step"], event.detail["versionId"]) for event in steps] == [(step, TOKEN) for step in Step]
    assert {(event.secret, event.store, event.actor, event.outcome) for event in steps} == {
        (SECRET, "aws", ACTOR, Outcome.SUCCESS)
    }
    assert [set(event.detail) for event in steps] == [{"step", "versionId", "result"}] * 4
    assert CANARY not in repr(house.audit.events)


def test_a_failure_is_recorded_with_its_code(house: RotationHouse) -> None:
    house.step(CREATE)
    house.target.failures = [TargetUnavailableError("no answer")]
    with pytest.raises(TargetUnavailableError) as raised:
        house.step(SET)
    assert house.told(EventType.ROTATION_FAILED) == [(SET, "target-unavailable")]
    assert (raised.value.secret, raised.value.client_request_token, raised.value.step) == (SECRET, TOKEN, SET)


def test_failures_of_two_invocations_are_two_events_and_of_one_are_one(single: RotationHouse) -> None:
    rotate = Rotate(
        single.store,
        targets=lambda _: single.target,
        audit=single.audit,
        clock=single.clock,
        actor=ACTOR,
        choice=single.choice,
    )
    from polyvault.domain.rotation import RotationRequest

    for attempt in ("request-1", "request-1", "request-2"):
        with pytest.raises(VersionNotStagedError):
            rotate.rotate(RotationRequest(SECRET, OTHER_TOKEN, SET), remaining_seconds=9, attempt=attempt)
    assert len(single.told(EventType.ROTATION_FAILED)) == 2


@pytest.mark.parametrize("step", Step)
def test_a_step_that_cannot_be_audited_fails_and_its_repetition_heals(house: RotationHouse, step: Step) -> None:
    done = list(Step)[: list(Step).index(step)]
    house.steps(*done)
    house.audit.failure = AuditWriteError("the table is gone")
    with pytest.raises(AuditWriteError):
        house.step(step)
    house.audit.failure = None
    house.steps()
    assert len(house.target.changes) == 1
    assert sorted(name for name, _ in house.told(EventType.ROTATION_STEP)) == sorted(Step)
    assert house.told(EventType.ROTATION_SUCCEEDED) == [(FINISH, None)]


def test_a_failure_that_cannot_be_audited_is_still_the_steps_own_error(
    house: RotationHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.step(CREATE)
    real = house.audit.append

    def only_reads(events: Any) -> None:
        if events[0].event_type is EventType.ROTATION_FAILED:
            raise AuditWriteError("the table is gone")
        real(events)

    monkeypatch.setattr(house.audit, "append", only_reads)
    house.target.failures = [TargetUnavailableError("no answer")]
    with pytest.raises(TargetUnavailableError) as raised:
        house.step(SET)
    assert raised.value.__notes__ == ["the audit log could not record this failure"]


def test_no_error_and_no_event_of_any_path_tells_a_value(house: RotationHouse) -> None:
    errors: list[PolyvaultError] = []
    for step in (FINISH, SET, CREATE, TEST, SET, FINISH, FINISH):
        try:
            house.step(step)
        except PolyvaultError as error:
            errors.append(error)
    password = str(house.document()["password"])
    told = repr(house.audit.events) + "".join(f"{error!r}{error.__context__!r}{error.__cause__!r}" for error in errors)
    assert errors
    assert CANARY not in told
    assert password not in told
    assert "canary-admin" not in told
