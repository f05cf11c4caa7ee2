"""The API function: each event of events/api through the handler, over stores in memory."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from polyvault import bootstrap, errors
from polyvault.domain.audit import EventType, Outcome
from polyvault.domain.secret import SecretValue
from polyvault.domain.sync import RunStatus
from polyvault.domain.work import RotationOrder, SyncOrder
from polyvault.errors import ErrorCode
from polyvault.providers.memory import MemoryFault, Provider, Settings
from polyvault.services.api import ApiServices
from polyvault.services.audit_query import AskAudit
from polyvault.services.manage_syncs import ManageSyncs
from polyvault.services.order_rotation import OrderRotation
from polyvault.services.overview import Overview
from polyvault.store import SecretStore, StoreDirectory

from tests.audit_table import event as audit_event
from tests.fakes import START, FakeClock, MemorySyncState, RecordingAuditLog, RecordingQueue

EVENTS = Path(__file__).resolve().parent.parent.parent / "events" / "api"
CANARY = "c4n4ry"
DATABASE = "prod/orders/database"
DORA = "arn:aws:iam::111122223333:role/platform"


class House:
    """The API over two stores in memory, with everything that it touches at hand."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.audit = RecordingAuditLog()
        self.rotations, self.syncs = RecordingQueue(), RecordingQueue()
        self.state = MemorySyncState()
        self.drivers = {name: Provider(Settings(), credential=None, clock=self.clock) for name in ("aws", "vault")}
        self.unopenable: set[str] = set()
        stores = StoreDirectory(tuple(self.drivers), self.open)
        overview = Overview(stores, dict.fromkeys(self.drivers, "memory"))
        self.services = ApiServices(
            overview,
            AskAudit(self.audit, self.clock),
            OrderRotation(overview, self.rotations, self.audit, self.clock),
            ManageSyncs({"aws": "prod", "vault": "staging"}, self.state, self.syncs, self.audit, self.clock),
        )
        for name in (DATABASE, "prod/orders/mail", "prod/users/database"):
            self.drivers["aws"].create(name, SecretValue(f"{CANARY}-value"), like=None, version_id=None)
        self.drivers["aws"].enable_rotation(DATABASE, "arn:aws:lambda:us-east-1:111122223333:function:rotation")

    def open(self, name: str) -> SecretStore:
        if name in self.unopenable:
            raise errors.MissingLayerError("needs layers/hashicorp in this function")
        return SecretStore(
            self.drivers[name], name=name, clock=self.clock, audit=self.audit, actor=audit_event("a", START).actor
        )

    def of_type(self, event_type: EventType) -> list[Any]:
        return [event for event in self.audit.events if event.event_type is event_type]

    def send(self, event: Any) -> tuple[int, Any]:
        """Status and body; what every answer must be is checked here."""
        app = importlib.import_module("functions.api.app")
        context = SimpleNamespace(
            function_name="api",
            memory_limit_in_mb=1024,
            invoked_function_arn="arn:aws:lambda:us-east-1:111122223333:function:api",
            aws_request_id="request-1",
        )
        answer = app.lambda_handler(event, context, services=lambda: self.services)
        assert CANARY not in json.dumps(answer)
        headers = {name.lower(): value for name, value in answer["multiValueHeaders"].items()}
        assert headers["cache-control"] == ["no-store"]
        assert headers["content-type"] == ["application/json"]
        assert not [name for name in headers if name.startswith("access-control")]
        body = json.loads(answer["body"])
        if answer["statusCode"] >= 400 and "stores" not in body:
            assert body.keys() == {"error", "path", "reason"}
        return answer["statusCode"], body


@pytest.fixture
def house() -> House:
    return House()


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return found


def changed(name: str, **members: Any) -> dict[str, Any]:
    """The event of that file with some members replaced; ``query=`` sets both forms of the query."""
    event = load(name)
    if "query" in members:
        given = members.pop("query")
        event["queryStringParameters"] = given
        event["multiValueQueryStringParameters"] = {key: [value] for key, value in given.items()}
    return {**event, **members}


def test_health_shows_each_store(house: House) -> None:
    status, body = house.send(load("health"))
    assert status == 200
    assert [(store["store"], store["healthy"], store["error"]) for store in body["stores"]] == [
        ("aws", True, None),
        ("vault", True, None),
    ]


def test_one_store_that_is_down_or_cannot_be_opened_hides_no_other(house: House) -> None:
    house.drivers["aws"].fail_next(MemoryFault(ErrorCode.UNAVAILABLE))
    house.unopenable.add("vault")
    status, body = house.send(load("health"))
    assert status == 503
    assert [store["error"] for store in body["stores"]] == ["store-unavailable", "missing-layer"]
    assert house.send(load("health"))[0] == 200  # one is up again


def test_secrets_come_page_by_page(house: House) -> None:
    status, first = house.send(load("secrets"))
    assert status == 200
    assert [secret["name"] for secret in first["secrets"]] == [DATABASE, "prod/orders/mail"]
    _, last = house.send(changed("secrets", query={"limit": "2", "token": first["nextToken"]}))
    assert [secret["name"] for secret in last["secrets"]] == ["prod/users/database"]
    assert last["nextToken"] is None
    _, some = house.send(changed("secrets", query={"prefix": "prod/users/"}))
    assert len(some["secrets"]) == 1


def test_a_secret_is_shown_by_its_metadata(house: House) -> None:
    _, body = house.send(load("secrets"))
    shown = body["secrets"][0]
    assert (shown["rotationEnabled"], shown["currentVersionId"] is not None) == (True, True)


@pytest.mark.parametrize("name", ["versions", "versions-decoded-path"])
def test_versions_of_a_name_with_slashes_quoted_or_not(house: House, name: str) -> None:
    status, body = house.send(load(name))
    assert (status, body["secret"]) == (200, DATABASE)
    (version,) = body["versions"]
    assert (version["labels"], version["state"]) == (["AWSCURRENT"], "enabled")
    (event,) = house.of_type(EventType.METADATA_READ)
    assert (event.actor.id, event.actor.name, event.ip_address, event.secret) == (DORA, "dora", "192.0.2.77", DATABASE)


def test_versions_of_an_absent_secret_are_not_found(house: House) -> None:
    status, body = house.send(load("versions-absent"))
    assert (status, body["error"]) == (404, "secret-not-found")


def test_a_denied_secret_answers_in_the_same_shape(house: House) -> None:
    house.drivers["aws"].fail_next(MemoryFault(ErrorCode.ACCESS_DENIED))
    status, body = house.send(load("versions"))
    assert (status, body["error"], body["path"]) == (403, "access-denied", None)


@pytest.mark.parametrize("name", ["a%252Fb", "a%00b", "a%0Ab", "%E2%80%AE", "a b%", "..%2F..%2F"])
def test_a_name_quoted_twice_or_unprintable_is_refused_or_not_found(house: House, name: str) -> None:
    status, _ = house.send(changed("versions", path=f"/secrets/{name}/versions"))
    assert status in (400, 404)


def test_the_trail_of_a_secret(house: House) -> None:
    for number in range(12):
        house.audit.append([audit_event(f"e{number}", START.replace(minute=number), secret=DATABASE)])
    status, body = house.send(load("audit-by-secret"))
    assert status == 200
    assert [event["eventId"] for event in body["events"]] == [f"e{number}" for number in range(11, 1, -1)]
    assert (body["start"], body["end"]) == ("2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z")
    event = load("audit-by-secret")
    _, rest = house.send(
        changed("audit-by-secret", query={**event["queryStringParameters"], "token": body["nextToken"]})
    )
    assert [event["eventId"] for event in rest["events"]] == ["e1", "e0"]
    asked = house.of_type(EventType.AUDIT_QUERIED)
    assert [(a.actor.id, a.detail["aboutSecret"], a.outcome) for a in asked] == [(DORA, DATABASE, Outcome.SUCCESS)] * 2


def test_the_trail_of_a_user_is_asked_by_the_principal(house: House) -> None:
    status, _ = house.send(load("audit-by-user"))
    assert status == 200


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({}, "secret"),
        ({"secret": "a", "user": "b"}, "user"),
        ({"secret": "a", "limit": "0"}, "limit"),
        ({"secret": "a", "limit": "101"}, "limit"),
        ({"secret": "a", "limit": "c4n4ry"}, "limit"),
        ({"secret": "a", "start": "yesterday"}, "start"),
        ({"secret": "a", "start": "2026-01-05T00:00:00"}, "start"),
        ({"secret": "a", "start": "2026-13-05"}, "start"),
        ({"secret": "a", "end": "0001-01-01T00:00:00+14:00"}, "end"),
        ({"secret": "a", "token": "forged"}, "token"),
        ({"secret": "\x00"}, "secret"),
        ({"secret": ""}, "secret"),
        ({"secret": "a", "c4n4ry": "b"}, "$"),
    ],
)
def test_a_bad_audit_query_names_its_field(house: House, query: dict[str, str], path: str) -> None:
    status, body = house.send(changed("audit-by-secret", query=query))
    assert (status, body["error"], body["path"]) == (400, "invalid-input", path)
    assert not house.of_type(EventType.AUDIT_QUERIED)


def test_exactly_one_of_secret_and_user(house: House) -> None:
    assert house.send(load("audit-by-both"))[0] == 400


def test_a_parameter_given_twice_is_refused(house: House) -> None:
    event = changed("audit-by-secret", multiValueQueryStringParameters={"secret": ["a", "b"]})
    status, body = house.send(event)
    assert (status, body["path"]) == (400, "secret")


def test_an_audit_query_that_cannot_be_recorded_is_not_answered(house: House) -> None:
    house.audit.append([audit_event("e1", START, secret=DATABASE)])
    house.audit.failure = errors.AuditWriteError("down")
    status, body = house.send(load("audit-by-secret"))
    assert (status, body["error"]) == (503, "audit-write")


def test_a_rotation_is_on_record_with_its_caller_before_it_is_queued(house: House) -> None:
    on_record: list[int] = []
    queued = house.rotations.send

    def send(message: object) -> None:
        on_record.append(len(house.of_type(EventType.ROTATION_REQUESTED)))
        queued(message)

    house.rotations.send = send  # type: ignore[method-assign]
    status, body = house.send(load("rotation"))
    assert (status, on_record) == (202, [1])
    (order,) = house.rotations.messages
    assert order == RotationOrder(body["requestId"], "aws", DATABASE, body["clientRequestToken"], DORA)
    (event,) = house.of_type(EventType.ROTATION_REQUESTED)
    assert (event.actor.id, event.ip_address, event.secret) == (DORA, "192.0.2.77", DATABASE)


def test_a_rotation_that_cannot_be_recorded_is_not_queued(house: House) -> None:
    house.audit.failure = errors.AuditWriteError("down")
    assert house.send(load("rotation"))[0] == 503
    assert house.rotations.messages == []


def test_a_rotation_that_cannot_be_queued_says_so_and_is_on_record(house: House) -> None:
    house.rotations.failure = errors.HouseholdError("the queue is down")
    status, body = house.send(load("rotation"))
    assert (status, body["error"]) == (503, "household")
    outcomes = [event.outcome for event in house.of_type(EventType.ROTATION_REQUESTED)]
    assert outcomes == [Outcome.SUCCESS, Outcome.ERROR]


def test_one_key_is_one_rotation_for_one_caller_and_one_secret(house: House) -> None:
    house.drivers["aws"].enable_rotation("prod/orders/mail", "arn:aws:lambda:us-east-1:111122223333:function:rotation")
    other_caller = load("rotation")
    other_caller["requestContext"]["identity"]["userArn"] = "arn:aws:iam::111122223333:user/eve"
    tokens = [
        house.send(event)[1]["clientRequestToken"]
        for event in (
            load("rotation"),
            load("rotation"),
            changed("rotation", body=json.dumps({"secret": "prod/orders/mail"})),
            other_caller,
            changed("rotation", headers={}),
            changed("rotation", headers={}),
        )
    ]
    assert tokens[0] == tokens[1]
    assert len(set(tokens)) == 5


@pytest.mark.parametrize("key", ["", "a b", "x" * 129, "ü"])
def test_a_bad_idempotency_key_is_refused(house: House, key: str) -> None:
    status, body = house.send(changed("rotation", headers={"Idempotency-Key": key}))
    assert (status, body["path"]) == (400, "Idempotency-Key")


@pytest.mark.parametrize(
    ("name", "status", "path"),
    [
        ("rotation-unknown-store", 404, None),
        ("rotation-unknown-field", 400, "$"),
        ("body-not-json", 400, "$"),
        ("body-too-deep", 400, "$"),
        ("body-duplicate-key", 400, "$"),
        ("body-nan", 400, "$"),
        ("body-missing", 400, "body"),
    ],
)
def test_a_bad_rotation_request_is_refused_and_nothing_is_queued(
    house: House, name: str, status: int, path: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    found, body = house.send(load(name))
    assert (found, body["path"]) == (status, path)
    assert house.rotations.messages == []
    assert CANARY not in capsys.readouterr().out


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "null",
        '"c4n4ry"',
        '{"secret": 7}',
        '{"secret": null}',
        '{"secret": ""}',
        '{"secret": "a\\u0000"}',
        '{"secret": "\\ud800"}',
        '{"secret": "' + "x" * 3000 + '"}',
        '{"secret": "' + "x" * 300_000 + '"}',
        '{"secret": {"c4n4ry": 1}}',
        "[" * 100_000,
        '{"secret": ' + "9" * 100_000 + "}",
    ],
)
def test_other_bodies_are_refused(house: House, body: str) -> None:
    status, answer = house.send(changed("rotation", body=body))
    assert (status, answer["error"]) == (400, "invalid-input")
    assert house.rotations.messages == []


def test_a_base64_body_is_read(house: House) -> None:
    assert house.send(load("body-base64"))[0] == 202
    assert house.send(changed("body-base64", body="%%%"))[0] == 400
    assert house.send(changed("body-base64", body="QUFB" * 100_000))[0] == 400


@pytest.mark.parametrize(
    ("secret", "status"), [("no/such/secret", 404), ("prod/orders/mail", 409), ("not a name", 400), ("*", 400)]
)
def test_what_cannot_be_rotated_is_refused_at_once(house: House, secret: str, status: int) -> None:
    assert house.send(changed("rotation", body=json.dumps({"secret": secret})))[0] == status
    assert house.rotations.messages == []


def test_a_sync_is_configured_started_and_watched(house: House) -> None:
    status, kept = house.send(load("put-sync-configuration"))
    assert (status, kept["conflictResolution"]) == (200, "source-wins")
    assert house.send(load("get-sync-configuration"))[1] == kept
    status, started = house.send(load("start-sync"))
    assert (status, started["status"]) == (202, "QUEUED")
    assert house.syncs.messages == [SyncOrder(started["executionId"], "prod-to-vault", DORA)]
    path = f"/sync/executions/prod-to-vault/{started['executionId']}"
    status, found = house.send(changed("get-sync-execution", path=path))
    assert (status, found["status"], found["requestedBy"]) == (200, "QUEUED", DORA)
    assert [e.actor.id for e in house.of_type(EventType.SYNC_REQUESTED)] == [DORA]


def test_the_same_key_starts_one_execution(house: House) -> None:
    house.send(load("put-sync-configuration"))
    first, second = house.send(load("start-sync"))[1], house.send(load("start-sync"))[1]
    assert first["executionId"] == second["executionId"]
    execution = house.state.execution("prod-to-vault", first["executionId"])
    assert execution is not None
    assert execution.status is RunStatus.QUEUED


def test_an_unknown_execution_or_configuration_is_not_found(house: House) -> None:
    assert house.send(load("get-sync-configuration"))[0] == 404
    assert house.send(load("get-sync-execution"))[0] == 404
    assert house.send(load("start-sync"))[0] == 404
    assert house.syncs.messages == []


def test_a_configuration_under_another_id_than_its_path_is_refused(house: House) -> None:
    status, body = house.send(load("put-sync-configuration-other-id"))
    assert (status, body["path"]) == (400, "id")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sourceVault", "nowhere"),
        ("sourceEnvironment", "dev"),
        ("syncType", "c4n4ry"),
        ("secretFilters", "c4n4ry"),
        ("enabled", "true"),
        ("rollbackOnFailure", True),
    ],
)
def test_a_bad_configuration_names_its_field_and_is_not_kept(house: House, field: str, value: object) -> None:
    event = load("put-sync-configuration")
    event["body"] = json.dumps({**json.loads(event["body"]), field: value})
    status, body = house.send(event)
    assert (status, body["path"]) == (400, field)
    assert house.state.configurations() == ()


def test_a_route_that_is_not_there(house: House) -> None:
    status, body = house.send(load("unknown-route"))
    assert (status, body["error"]) == (404, "not-found")


def test_a_request_without_identity_is_denied_on_each_route(house: House) -> None:
    assert house.send(load("without-identity"))[0] == 403
    house.send(load("put-sync-configuration"))
    for path in EVENTS.glob("*.json"):
        event = load(path.stem)
        if event and event["httpMethod"] != "DELETE":
            event["requestContext"]["identity"]["userArn"] = None
            assert house.send(event)[0] in (400, 403), path.stem
    assert house.rotations.messages == []


def test_sam_local_alone_stands_in_for_the_identity_that_it_does_not_send(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SAM_LOCAL", "true")
    bootstrap.stand_in_caller.cache_clear()
    try:
        assert house.send(load("without-identity"))[0] == 200
        monkeypatch.setenv("AWS_SAM_LOCAL", "1")
        bootstrap.stand_in_caller.cache_clear()
        assert house.send(load("without-identity"))[0] == 403
    finally:
        bootstrap.stand_in_caller.cache_clear()


@pytest.mark.parametrize(
    ("arn", "actor"),
    [
        ("arn:aws:sts::111122223333:assumed-role/platform/dora", (DORA, "role", "dora")),
        ("arn:aws:iam::111122223333:user/team/eve", ("arn:aws:iam::111122223333:user/team/eve", "user", "eve")),
        ("arn:aws:iam::111122223333:root", ("arn:aws:iam::111122223333:root", "user", "root")),
    ],
)
def test_who_asks_is_the_principal_of_iam(house: House, arn: str, actor: tuple[str, str, str]) -> None:
    event = load("versions")
    event["requestContext"]["identity"]["userArn"] = arn
    house.send(event)
    (found,) = house.of_type(EventType.METADATA_READ)
    assert (found.actor.id, found.actor.type, found.actor.name) == actor


@pytest.mark.parametrize(
    "spelling", ["X-Forwarded-For", "x-forwarded-for", "Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP"]
)
def test_where_a_caller_is_comes_from_no_header(house: House, spelling: str) -> None:
    event = load("versions")
    event["headers"] = {spelling: "10.0.0.1"}
    event["multiValueHeaders"] = {spelling: ["10.0.0.1"]}
    house.send(event)
    assert [e.ip_address for e in house.of_type(EventType.METADATA_READ)] == ["192.0.2.77"]


def test_an_event_that_is_no_request_is_refused_by_name(house: House) -> None:
    with pytest.raises(errors.InvalidInputError, match="httpMethod"):
        house.send(load("empty"))


def test_an_error_of_our_own_tells_nothing_but_its_status(house: House) -> None:
    def broken(*_: object) -> None:
        raise KeyError(f"{CANARY}-value")

    house.drivers["aws"].list = broken  # type: ignore[assignment, method-assign]
    house.drivers["aws"].classify = broken  # type: ignore[assignment, method-assign]
    status, body = house.send(load("secrets"))
    assert (status, body["error"], body["path"]) == (500, "internal", None)


def test_over_quota_says_when_to_come_back(house: House) -> None:
    app = importlib.import_module("functions.api.app")
    error = errors.ThrottledError("x", store="aws", provider="memory", operation="list", retry_after=7.2)
    answer = app.refuse(error)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


def _all(family: type[Exception]) -> set[type[Exception]]:
    return {family}.union(*map(_all, family.__subclasses__()))


def test_each_error_has_its_status_and_none_of_the_callers_is_our_fault() -> None:
    app = importlib.import_module("functions.api.app")
    ours = {error for error in _all(errors.PolyvaultError) if error.__module__ == "polyvault.errors"}
    found = {
        error.__name__: next(app.STATUS[family][0] for family in error.__mro__ if family in app.STATUS)
        for error in ours
    }
    assert {name for name, status in found.items() if status == 500} == {
        "PolyvaultError",
        "ConfigurationError",
        "UnknownProviderError",
        "MissingLayerError",
        "ReportError",
        "SyncInterruptedError",
        "RotationError",
        *(error.__name__ for error in _all(errors.RotationError) if error is not errors.RotationNotEnabledError),
    }


def test_each_file_of_events_is_replayed_here() -> None:
    source = Path(__file__).read_text()
    assert [path.stem for path in EVENTS.iterdir() if f'"{path.stem}"' not in source] == []
