"""The rotation function: each event of events/rotation through the handler."""

from __future__ import annotations

import importlib
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from polyvault.contracts import decode
from polyvault.contracts.rotation_event import RotationEvent
from polyvault.domain.rotation import RotationRequest, Step
from polyvault.domain.secret import SecretValue, StagingLabel
from polyvault.errors import InvalidInputError, PolyvaultError, VersionNotStagedError
from polyvault.services.rotate import Rotate

from tests.rotation_house import ACTOR, FUNCTION_ARN, SECRET, TOKEN, RotationHouse

EVENTS = Path(__file__).resolve().parents[2] / "events" / "rotation"
BEFORE: dict[str, list[Step]] = {
    "create": [],
    "with-rotation-token": [],
    "set": [Step.CREATE],
    "test": [Step.CREATE, Step.SET],
    "finish": [Step.CREATE, Step.SET, Step.TEST],
}
REFUSED: dict[str, tuple[type[PolyvaultError], str]] = {
    "empty": (InvalidInputError, r"\$.*Step"),
    "unknown-step": (InvalidInputError, r"^\$\.Step"),
    "missing-token": (InvalidInputError, "ClientRequestToken"),
    "short-token": (InvalidInputError, "ClientRequestToken"),
    "foreign-token": (VersionNotStagedError, "no version"),
}


def load(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


class Recorded:
    """A rotation that remembers how it was called, for the secret's ARN of the events."""

    def __init__(self, house: RotationHouse) -> None:
        self.calls: list[tuple[RotationRequest, dict[str, Any]]] = []
        self._rotate = Rotate(
            house.store,
            targets=lambda _: house.target,
            audit=house.audit,
            clock=house.clock,
            actor=ACTOR,
            choice=house.choice,
        )

    def rotate(self, request: RotationRequest, **options: Any) -> None:
        self.calls.append((request, options))
        named = RotationRequest(SECRET, request.client_request_token, request.step, request.rotation_token)
        self._rotate.rotate(named, **options)


@pytest.fixture
def house() -> RotationHouse:
    house = RotationHouse()
    house.request()
    return house


def handle(event: object, rotate: Recorded) -> None:
    context = SimpleNamespace(
        function_name="rotation",
        memory_limit_in_mb=512,
        invoked_function_arn=FUNCTION_ARN,
        aws_request_id="request-1",
        get_remaining_time_in_millis=lambda: 29_500,
    )
    importlib.import_module("functions.rotation.app").lambda_handler(event, context, rotate=rotate)


def test_every_event_is_replayed() -> None:
    assert {path.stem for path in EVENTS.iterdir()} == BEFORE.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", BEFORE)
def test_a_step_is_done(name: str, house: RotationHouse) -> None:
    house.steps(*BEFORE[name]) if BEFORE[name] else None
    recorded = Recorded(house)
    event = load(name)
    handle(event, recorded)
    [(request, options)] = recorded.calls
    assert (request.secret_id, request.client_request_token, request.step) == (event["SecretId"], TOKEN, event["Step"])
    assert options == {"remaining_seconds": 29.5, "function_arn": FUNCTION_ARN, "attempt": "request-1"}
    assert {
        "create": house.vault.versions(SECRET).__len__() == 2,  # type: ignore[attr-defined]
        "set": house.target.changes == ["app"],
        "test": house.target.logins[-1:] == ["app"],
        "finish": house.holder(StagingLabel.CURRENT) == TOKEN,
    }[name.replace("with-rotation-token", "create")]


def test_the_rotation_token_arrives_as_a_secret_value(house: RotationHouse) -> None:
    recorded = Recorded(house)
    event = load("with-rotation-token")
    handle(event, recorded)
    assert recorded.calls[0][0].rotation_token == SecretValue(event["RotationToken"])


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_event_is_refused_and_changes_nothing(name: str, house: RotationHouse) -> None:
    house.step(Step.CREATE)
    before = house.state()
    error, words = REFUSED[name]
    recorded = Recorded(house)
    with pytest.raises(error, match=words):
        handle(load(name), recorded)
    assert house.state() == before
    if error is InvalidInputError:
        assert recorded.calls == [], "refused before any call"


@pytest.mark.parametrize(
    "change",
    [
        {"Step": 7},
        {"Step": None},
        {"SecretId": ""},
        {"SecretId": "x" * 2049},
        {"SecretId": 1},
        {"ClientRequestToken": "t" * 65},
        {"ClientRequestToken": "t" * 31 + "\n"},
        {"ClientRequestToken": ["t" * 36]},
        {"RotationToken": ""},
        {"RotationToken": 5},
        {"RotationToken": "r" * 4097},
    ],
    ids=str,
)
def test_a_malformed_field_is_named_and_its_value_is_not_told(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as raised:
        decode(RotationEvent, {**load("create"), **change}).to_request()
    [(field, value)] = change.items()
    assert field in raised.value.path
    assert not isinstance(value, str) or len(value) < 2 or value.strip() not in str(raised.value)


@pytest.mark.parametrize("event", [None, [], "createSecret", 7, "{" * 300_000])
def test_what_is_no_event_is_refused(event: object) -> None:
    with pytest.raises(InvalidInputError):
        decode(RotationEvent, event)


def test_a_field_that_aws_may_add_is_let_through() -> None:
    assert decode(RotationEvent, {**load("set"), "Comment": "new"}).to_request().step is Step.SET


def test_neither_log_nor_representation_tells_the_rotation_token(
    house: RotationHouse, caplog: pytest.LogCaptureFixture
) -> None:
    event = load("with-rotation-token")
    app = importlib.import_module("functions.rotation.app")
    caplog.handler.setFormatter(app.logger.handlers[0].formatter)
    with caplog.at_level(logging.DEBUG):
        handle(event, Recorded(house))
    told = caplog.text + repr(decode(RotationEvent, event))
    assert event["RotationToken"] not in told
    assert TOKEN in told, "the version's id is in the log, so the log was looked at"
