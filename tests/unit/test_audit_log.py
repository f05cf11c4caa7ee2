"""The audit log in DynamoDB: each event once, nothing lost unseen, answers in order and page by page."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws
from polyvault.adapters import aws_client
from polyvault.adapters.dynamodb_audit import DynamoDbAuditLog
from polyvault.contracts.answers import IncompleteAnswer
from polyvault.domain.audit import Actor, AuditEvent, AuditPage, EventType, Outcome
from polyvault.errors import AuditReadError, AuditWriteError, InvalidInputError

from tests.audit_table import USER, create_audit_table, event
from tests.fakes import START, FakeClock

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def moto_client() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        aws_client.session.cache_clear()  # it keeps the credentials that it found first
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        yield aws_client.client("dynamodb", region_name="us-east-1")


@pytest.fixture
def client(moto_client: Any) -> Iterator[Any]:
    """A client of a DynamoDB whose table "audit" is empty."""
    create_audit_table(moto_client)
    yield moto_client
    moto_client.delete_table(TableName="audit")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def log(client: Any, clock: FakeClock) -> DynamoDbAuditLog:
    return DynamoDbAuditLog(client, table="audit", clock=clock, retention_days=400)


class BrokenClient:
    """Raises what it is given, in order, then lets calls through; counts calls."""

    def __init__(self, client: Any, failures: Sequence[Exception]) -> None:
        self._client = client
        self._failures = iter(failures)
        self.calls = 0

    def put_item(self, **arguments: Any) -> Any:
        return self._through(self._client.put_item, arguments)

    def query(self, **arguments: Any) -> Any:
        return self._through(self._client.query, arguments)

    def _through(self, operation: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        self.calls += 1
        failure = next(self._failures, None)
        if failure is not None:
            raise failure
        return operation(**arguments)


def refusal(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutItem")  # type: ignore[typeddict-item]


def all_pages(ask: Callable[..., AuditPage], limit: int) -> list[AuditEvent]:
    events: list[AuditEvent] = []
    token: str | None = None
    while True:
        page = ask(limit=limit, token=token)
        assert len(page.events) <= limit
        events += page.events
        if page.next_token is None:
            return events
        token = page.next_token


def rows(client: Any) -> list[dict[str, Any]]:
    return [item for page in client.get_paginator("scan").paginate(TableName="audit") for item in page["Items"]]


def test_an_event_comes_back_as_it_was(log: DynamoDbAuditLog) -> None:
    denied = event(
        "e1", START, outcome=Outcome.DENIED, ip_address="192.0.2.1", user_agent="curl", error_code="AccessDenied"
    )
    log.append([denied])
    assert log.for_secret("prod/orders", START, START + DAY, limit=10, token=None) == AuditPage((denied,))
    assert log.for_user(USER.id, START, START + DAY, limit=10, token=None) == AuditPage((denied,))


def test_an_event_without_secret_is_found_by_its_user_only(log: DynamoDbAuditLog, client: Any) -> None:
    log.append([event("e1", START, secret=None, store=None)])
    assert len(log.for_user(USER.id, START, START + DAY, limit=10, token=None).events) == 1
    (row,) = rows(client)
    assert not {"gsi_secret_pk", "gsi_secret_sk", "gsi_failure_pk"} & row.keys()


def test_an_event_appended_twice_is_one_row(log: DynamoDbAuditLog, client: Any) -> None:
    log.append([event("e1", START)])
    log.append([event("e1", START), event("e1", START)])
    assert len(rows(client)) == 1


def test_an_event_told_again_later_is_the_same_event(log: DynamoDbAuditLog, client: Any) -> None:
    log.append([event("e1", START)])
    log.append([event("e1", START + DAY)])
    assert len(rows(client)) == 1
    assert log.for_secret("prod/orders", START + DAY, START + 2 * DAY, limit=9, token=None).events == ()


def test_ids_of_two_sources_do_not_meet(log: DynamoDbAuditLog, client: Any) -> None:
    log.append([event("e1", START), event("e1", START, source="polyvault")])
    assert len(rows(client)) == 2


def test_long_ids_are_told_apart_and_kept_whole(log: DynamoDbAuditLog, client: Any) -> None:
    ids = [character * 900 for character in "ab"]
    log.append([event(event_id, START) for event_id in ids * 2])
    found = all_pages(lambda **page: log.for_secret("prod/orders", START, START + DAY, **page), 1)
    assert sorted(e.event_id for e in found) == ids


def test_a_row_is_never_replaced(log: DynamoDbAuditLog) -> None:
    log.append([event("e1", START)])
    log.append([event("e1", START, outcome=Outcome.ERROR)])
    (kept,) = log.for_secret("prod/orders", START, START + DAY, limit=10, token=None).events
    assert kept.outcome is Outcome.SUCCESS


def test_a_secret_is_found_by_name_and_by_arn_whichever_was_written(log: DynamoDbAuditLog) -> None:
    arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/orders-AbCdEf"
    log.append([event("e1", START), event("e2", START, secret=arn)])
    for asked in ("prod/orders", arn, arn.removesuffix("-AbCdEf")):
        assert len(log.for_secret(asked, START, START + DAY, limit=10, token=None).events) == 2


def test_sessions_of_a_role_are_found_under_the_role(log: DynamoDbAuditLog) -> None:
    session = "arn:aws:sts::111122223333:assumed-role/orders/i-1"
    log.append([event("e1", START, actor=Actor(session)), event("e2", START)])
    for asked in (USER.id, session, session.replace("i-1", "i-2")):
        assert len(log.for_user(asked, START, START + DAY, limit=10, token=None).events) == 2


def test_failures_alone_stand_in_the_index_of_failures(log: DynamoDbAuditLog, client: Any) -> None:
    for number, outcome in enumerate(Outcome):
        log.append([event(f"e{number}", START, outcome=outcome)])
    partitions = {row["gsi_failure_pk"]["S"].split("#")[0] for row in rows(client) if "gsi_failure_pk" in row}
    assert partitions == {"denied", "error"}


def test_pages_of_500_events_over_days_join_to_all_of_them_newest_first(log: DynamoDbAuditLog) -> None:
    written = [event(f"e{number:03}", START - number * timedelta(minutes=17)) for number in range(500)]
    log.append(written)
    start, end = START - 10 * DAY, START + DAY

    def ask(**page: Any) -> AuditPage:
        return log.for_secret("prod/orders", start, end, **page)

    for limit in (23, 100):
        assert all_pages(ask, limit) == written


def test_events_of_one_instant_are_neither_lost_nor_repeated_between_pages(log: DynamoDbAuditLog) -> None:
    log.append([event(f"e{number}", START, source=source) for number in range(5) for source in ("a", "b")])
    found = all_pages(lambda **page: log.for_secret("prod/orders", START, START + DAY, **page), 3)
    assert len({(e.event_id, e.source) for e in found}) == len(found) == 10


def test_the_interval_holds_its_start_and_not_its_end(log: DynamoDbAuditLog) -> None:
    log.append([event("first", START), event("last", START + DAY)])
    assert [e.event_id for e in log.for_secret("prod/orders", START, START + DAY, limit=9, token=None).events] == [
        "first"
    ]


def test_a_query_reads_only_the_days_it_needs(client: Any, clock: FakeClock) -> None:
    DynamoDbAuditLog(client, table="audit", clock=clock, retention_days=400).append(
        [event(f"e{day}", START - day * DAY) for day in range(5)]
    )
    counted = BrokenClient(client, [])
    log = DynamoDbAuditLog(counted, table="audit", clock=clock, retention_days=400)
    log.for_secret("prod/orders", START - 90 * DAY, START + timedelta(seconds=1), limit=2, token=None)
    assert counted.calls == 3  # two for the page, one that shows there is more
    log.for_secret("prod/orders", START - DAY, START, limit=100, token=None)
    assert counted.calls == 5


def test_expired_events_are_left_out_though_they_are_still_there(
    log: DynamoDbAuditLog, clock: FakeClock, client: Any
) -> None:
    log.append([event("old", START), event("new", START + 2 * DAY)])
    clock.advance(401 * 86400)
    found = log.for_secret("prod/orders", START, START + 3 * DAY, limit=1, token=None)
    assert [e.event_id for e in found.events] == ["new"]
    assert found.next_token is None
    assert len(rows(client)) == 2


@pytest.mark.parametrize("token", ["", "forged", "====", "ü", "A" * 5000, "AAAA" * 40])
def test_a_forged_token_is_refused(log: DynamoDbAuditLog, token: str) -> None:
    with pytest.raises(InvalidInputError, match="token"):
        log.for_secret("prod/orders", START, START + DAY, limit=1, token=token)


def test_a_token_serves_its_own_query_only_and_each_changed_character_is_seen(log: DynamoDbAuditLog) -> None:
    log.append([event("e1", START), event("e2", START)])
    token = log.for_secret("prod/orders", START, START + DAY, limit=1, token=None).next_token
    assert token is not None
    others: list[Callable[[], AuditPage]] = [
        lambda: log.for_secret("prod/other", START, START + DAY, limit=1, token=token),
        lambda: log.for_user("prod/orders", START, START + DAY, limit=1, token=token),
        lambda: log.for_secret("prod/orders", START - DAY, START + DAY, limit=1, token=token),
    ]
    for place in range(len(token) - 1):  # the last character may hold bits that are not used
        damaged = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        others.append(lambda t=damaged: log.for_secret("prod/orders", START, START + DAY, limit=1, token=t))  # type: ignore[misc]
    for other in others:
        with pytest.raises(InvalidInputError, match="token"):
            other()


@pytest.mark.parametrize(
    ("start", "end", "limit", "path"),
    [
        (START, START, 1, "end"),
        (START, START - DAY, 1, "end"),
        (START - 93 * DAY, START, 1, "start"),
        (START.replace(tzinfo=None), START, 1, "start"),
        (START, START.replace(tzinfo=None), 1, "end"),
        (START - DAY, START, 0, "limit"),
        (START - DAY, START, 101, "limit"),
    ],
)
def test_a_query_beyond_its_bounds_is_refused(
    log: DynamoDbAuditLog, start: datetime, end: datetime, limit: int, path: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        log.for_secret("prod/orders", start, end, limit=limit, token=None)
    assert refused.value.path == path


@pytest.mark.parametrize(
    "failure",
    [
        refusal("ProvisionedThroughputExceededException"),
        refusal("InternalServerError", 500),
        ReadTimeoutError(endpoint_url="https://dynamodb"),
        IncompleteAnswer("PutItem"),
    ],
)
def test_a_put_that_may_yet_succeed_is_tried_again(client: Any, clock: FakeClock, failure: Exception) -> None:
    broken = BrokenClient(client, [failure, failure])
    DynamoDbAuditLog(broken, table="audit", clock=clock, retention_days=1).append([event("e1", START)])
    assert broken.calls == 3
    assert len(rows(client)) == 1


def test_a_put_that_keeps_failing_fails_closed_within_its_budget(client: Any, clock: FakeClock) -> None:
    broken = BrokenClient(client, [refusal("ThrottlingException")] * 99)
    log = DynamoDbAuditLog(broken, table="audit", clock=clock, retention_days=1)
    with pytest.raises(AuditWriteError, match="ThrottlingException") as refused:
        log.append([event("e1", START)])
    assert refused.value.failed == {"e1"}
    assert broken.calls == 3
    assert sum(clock.sleeps) < 4


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "ValidationException"])
def test_a_put_that_cannot_succeed_is_not_repeated(client: Any, clock: FakeClock, code: str) -> None:
    broken = BrokenClient(client, [refusal(code)])
    with pytest.raises(AuditWriteError, match=code):
        DynamoDbAuditLog(broken, table="audit", clock=clock, retention_days=1).append([event("e1", START)])
    assert broken.calls == 1


def test_of_several_events_only_the_failed_ones_are_named(client: Any, log: DynamoDbAuditLog) -> None:
    too_large = event("large", START, detail={"text": "x" * 500_000})
    with pytest.raises(AuditWriteError, match="1 of 3") as refused:
        log.append([event("e1", START), too_large, event("e2", START)])
    assert refused.value.failed == {"large"}
    assert {row["event_id"]["S"] for row in rows(client)} == {"e1", "e2"}


def test_a_query_that_fails_is_never_an_empty_page(client: Any, clock: FakeClock) -> None:
    broken = BrokenClient(client, [refusal("AccessDeniedException")])
    log = DynamoDbAuditLog(broken, table="audit", clock=clock, retention_days=1)
    with pytest.raises(AuditReadError, match="AccessDenied"):
        log.for_secret("prod/orders", START, START + DAY, limit=1, token=None)


def test_a_row_that_is_not_ours_is_an_error(client: Any, log: DynamoDbAuditLog) -> None:
    log.append([event("e1", START)])
    (row,) = rows(client)
    client.put_item(TableName="audit", Item={**row, "outcome": {"S": "perhaps"}})
    with pytest.raises(AuditReadError):
        log.for_secret("prod/orders", START, START + DAY, limit=1, token=None)


def test_an_event_type_of_a_later_release_is_still_readable(client: Any, log: DynamoDbAuditLog) -> None:
    log.append([event("e1", START)])
    (row,) = rows(client)
    client.put_item(TableName="audit", Item={**row, "event_type": {"S": "secret.teleported"}})
    (found,) = log.for_secret("prod/orders", START, START + DAY, limit=1, token=None).events
    assert found.event_type is EventType.OTHER


@pytest.mark.parametrize("secret", ["x" * 5000, "ü" * 2000, "prod#orders#20260105", "a\ud800b", "\x00", "\u202e"])
def test_hostile_names_are_data(log: DynamoDbAuditLog, secret: str) -> None:
    shown = secret.encode(errors="backslashreplace").decode()
    log.append([event("e1", START, secret=shown), event("e2", START, secret="other")])
    assert [e.event_id for e in log.for_secret(shown, START, START + DAY, limit=9, token=None).events] == ["e1"]


events = st.lists(
    st.builds(
        event,
        st.sampled_from([f"e{number}" for number in range(6)]),
        st.integers(-60, 60).map(lambda hours: START + timedelta(hours=hours)),
        source=st.sampled_from(["polyvault", "aws-secrets-manager"]),
        outcome=st.sampled_from(Outcome),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=events, order=st.randoms(use_true_random=False), limit=st.integers(1, 5))
def test_any_batch_twice_in_any_order_is_each_event_once_and_sorted(
    client: Any, clock: FakeClock, batch: list[AuditEvent], order: Any, limit: int
) -> None:
    table = create_audit_table(client, f"audit-{next(_tables)}")
    log = DynamoDbAuditLog(client, table=table, clock=clock, retention_days=400)
    twice = batch * 2
    order.shuffle(twice)
    for first in range(0, len(twice), 5):
        log.append(twice[first : first + 5])
    found = all_pages(lambda **page: log.for_user(USER.id, START - 3 * DAY, START + 3 * DAY, **page), limit)
    identities = [(e.event_id, e.source) for e in found]
    assert len(set(identities)) == len(identities)
    assert set(identities) == {(e.event_id, e.source) for e in batch}
    assert [e.occurred_at for e in found] == sorted((e.occurred_at for e in found), reverse=True)


_tables = itertools.count()


class Killed(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("after", range(8))
def test_killed_between_two_puts_a_redelivery_completes_the_batch(client: Any, clock: FakeClock, after: int) -> None:
    batch = [event(f"e{number}", START) for number in range(8)]
    mortal = BrokenClient(client, [])
    log = DynamoDbAuditLog(mortal, table="audit", clock=clock, retention_days=400)
    for done, one in enumerate(batch):
        if done == after:
            mortal._failures = iter([Killed()])  # type: ignore[list-item]
            with pytest.raises(Killed):
                log.append([one])
            break
        log.append([one])
    log.append(batch)
    assert len(rows(client)) == 8


@pytest.mark.parametrize("zone", [UTC, None])
def test_times_are_kept_in_utc_whatever_zone_they_came_in(log: DynamoDbAuditLog, zone: Any) -> None:
    from datetime import timezone

    local = START.astimezone(zone or timezone(timedelta(hours=14)))
    log.append([event("e1", local)])
    (found,) = log.for_secret("prod/orders", START, START + timedelta(seconds=1), limit=1, token=None).events
    assert found.occurred_at == START
    assert found.occurred_at.utcoffset() == timedelta(0)
