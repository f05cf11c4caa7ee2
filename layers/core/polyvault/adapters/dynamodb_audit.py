"""The audit log in DynamoDB: one row an event, put once, never updated nor deleted by us.

Table     pk ``source#event_id``, sk ``event``: the id alone makes an event one row, whenever it is told again.
by_secret pk ``secret#yyyymmdd``, sk ``time#event_id#source``; by_user the same with the principal. A query reads one
          partition for each day of its interval, newest day first, and stops when its page is full.
by_failure only denied and failed events: pk ``outcome#yyyymmddhh#shard`` (4 shards by hash of the id), sk the same.

Times in keys have a fixed width, so text order is time order. ``expires_at`` is the event's time plus the retention.
Rows that are expired and still there (TTL is best effort) are left out of answers.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from polyvault.adapters.aws_calls import AwsCalls
from polyvault.adapters.aws_client import FAILURES, error_code
from polyvault.domain.audit import (
    Actor,
    ActorType,
    AuditEvent,
    AuditPage,
    EventType,
    Outcome,
    principal_id,
    secret_name,
)
from polyvault.domain.query import TimeRange, check_limit, page_token, position_of
from polyvault.domain.retry import RetryPolicy
from polyvault.errors import AuditReadError, AuditWriteError, InvalidInputError
from polyvault.ports import Clock

FAILURE_SHARDS = 4
PARALLEL_PUTS = 8
RETRY = RetryPolicy(attempts=3, base_seconds=0.05, cap_seconds=1.0, budget_seconds=4.0)

_POSITION = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z#.{1,300}", re.DOTALL)
_TIME_WIDTH = len("2026-01-05T12:00:00.000000Z")
_MAX_VALUE_BYTES = 1024
_MAX_ID_BYTES = 128

type Item = dict[str, dict[str, Any]]


class DynamoDbAuditLog:
    """AuditLog over one table. Needs dynamodb:PutItem on the table and dynamodb:Query on its indexes, nothing else.

    ``client`` comes from `aws_client.client`: one attempt a call; the retries are made here.
    """

    def __init__(
        self,
        client: Any,
        *,
        table: str,
        clock: Clock,
        retention_days: int,
        retry: RetryPolicy = RETRY,
        draw: Callable[[], float] | None = None,
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._retention = timedelta(days=retention_days)
        self._calls = AwsCalls(clock, retry=retry, draw=draw)

    def append(self, events: Sequence[AuditEvent]) -> None:
        """Make each event durable, once; several are put side by side. AuditWriteError names those that are not."""

        def attempt(event: AuditEvent) -> Exception | None:
            try:
                self._put(event)
            except FAILURES as exc:
                return exc
            return None

        results = list(map(attempt, events)) if len(events) <= 1 else _side_by_side(attempt, events)
        failures = {event.event_id: exc for event, exc in zip(events, results, strict=True) if exc is not None}
        if failures:
            first = next(iter(failures.values()))
            raise AuditWriteError(
                f"{len(failures)} of {len(events)} events are not durable ({error_code(first)})",
                failed=frozenset(failures),
            ) from first

    def for_secret(self, secret: str, start: datetime, end: datetime, *, limit: int, token: str | None) -> AuditPage:
        """Events of the secret, by name or ARN; newest first."""
        return self._page("secret", secret_name(secret), TimeRange(start, end), check_limit(limit), token)

    def for_user(self, user: str, start: datetime, end: datetime, *, limit: int, token: str | None) -> AuditPage:
        """Events of the principal, a role's sessions under the role; newest first."""
        return self._page("user", principal_id(user), TimeRange(start, end), check_limit(limit), token)

    def _put(self, event: AuditEvent) -> None:
        item = encode(event, expires_at=event.occurred_at + self._retention)
        try:
            self._calls(
                self._client.put_item, TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(pk)"
            )
        except FAILURES as exc:
            if error_code(exc) != "ConditionalCheckFailedException":
                raise  # a row that is there already is what was asked for

    def _page(self, index: str, value: str, interval: TimeRange, limit: int, token: str | None) -> AuditPage:
        start, end = _time(interval.start), _time(interval.end)
        question = f"{index}|{start}|{end}|{value}"
        before = None if token is None else position_of(question, token)
        if before is not None and not (_POSITION.fullmatch(before) and start <= before[:_TIME_WIDTH] < end):
            raise InvalidInputError("token", "is not the token of a page of this query")
        rows: list[Item] = []
        for day in interval.days_newest_first():
            if before is not None and day.isoformat() > before:
                continue
            partition = _partition(value, day)
            wanted = limit + 1 - len(rows)
            rows += itertools.islice(self._rows(index, partition, start, before or end, wanted), wanted)
            if len(rows) > limit:
                break
        page = rows[:limit]
        more = page_token(question, page[-1][f"gsi_{index}_sk"]["S"]) if len(rows) > limit else None
        try:
            return AuditPage(tuple(map(_decode, page)), more)
        except (KeyError, ValueError) as exc:
            raise AuditReadError("a row of the audit table is not one of ours") from exc

    def _rows(self, index: str, partition: str, low: str, high: str, wanted: int) -> Iterator[Item]:
        """Rows between the two sort keys, both outside, newest first, without the expired ones."""
        now = int(self._clock.now().timestamp())
        arguments: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": f"by_{index}",
            "KeyConditionExpression": f"gsi_{index}_pk = :partition AND gsi_{index}_sk BETWEEN :low AND :high",
            "ExpressionAttributeValues": {":partition": {"S": partition}, ":low": {"S": low}, ":high": {"S": high}},
            "ScanIndexForward": False,
            "Limit": wanted + 1,  # the row at ``high`` is read and dropped
        }
        while True:
            try:
                answer = self._calls(self._client.query, **arguments)
            except FAILURES as exc:
                raise AuditReadError(f"the audit table did not answer ({error_code(exc)})") from exc
            for item in answer["Items"]:
                if int(item["expires_at"]["N"]) > now and item[f"gsi_{index}_sk"]["S"] != high:
                    yield item
            if "LastEvaluatedKey" not in answer:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def encode(event: AuditEvent, *, expires_at: datetime) -> Item:
    """The event as a row, in DynamoDB's own notation."""
    time, instant = _time(event.occurred_at), event.occurred_at.astimezone(UTC)
    key_id = _key_part(event.event_id, _MAX_ID_BYTES)
    sort = f"{time}#{key_id}#{event.source}"
    texts: dict[str, str | None] = {
        "pk": f"{event.source}#{key_id}",
        "sk": "event",
        "event_id": event.event_id,
        "occurred_at": time,
        "event_type": event.event_type.value,
        "outcome": event.outcome.value,
        "actor_id": event.actor.id,
        "actor_type": event.actor.type.value,
        "actor_name": event.actor.name,
        "source": event.source,
        "store": event.store,
        "secret": event.secret,
        "ip_address": event.ip_address,
        "user_agent": event.user_agent,
        "error_code": event.error_code,
        "gsi_user_pk": _partition(principal_id(event.actor.id), instant.date()),
        "gsi_user_sk": sort,
    }
    if event.secret:
        texts["gsi_secret_pk"] = _partition(secret_name(event.secret), instant.date())
        texts["gsi_secret_sk"] = sort
    if event.outcome is not Outcome.SUCCESS:
        shard = hashlib.sha256(event.event_id.encode(errors="backslashreplace")).digest()[0] % FAILURE_SHARDS
        texts["gsi_failure_pk"] = f"{event.outcome.value}#{instant:%Y%m%d%H}#{shard}"
        texts["gsi_failure_sk"] = sort
    row: Item = {key: {"S": text} for key, text in texts.items() if text is not None}
    row["detail"] = {"M": {key: {"S": text} for key, text in event.detail.items()}}
    row["expires_at"] = {"N": str(int(expires_at.timestamp()))}
    return row


def _decode(row: Item) -> AuditEvent:
    def text(key: str) -> str | None:
        return row[key]["S"] if key in row else None

    event_type = row["event_type"]["S"]
    return AuditEvent(
        event_id=row["event_id"]["S"],
        occurred_at=datetime.fromisoformat(row["occurred_at"]["S"]),
        event_type=EventType(event_type) if event_type in EventType else EventType.OTHER,
        outcome=Outcome(row["outcome"]["S"]),
        actor=Actor(row["actor_id"]["S"], ActorType(row["actor_type"]["S"]), text("actor_name")),
        source=row["source"]["S"],
        store=text("store"),
        secret=text("secret"),
        ip_address=text("ip_address"),
        user_agent=text("user_agent"),
        error_code=text("error_code"),
        detail={key: value["S"] for key, value in row["detail"]["M"].items()},
    )


def _time(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _partition(value: str, day: date) -> str:
    """The index partition of a value's day."""
    return f"{_key_part(value, _MAX_VALUE_BYTES)}#{day:%Y%m%d}"


def _key_part(text: str, longest: int) -> str:
    """The text, or its digest where a key has no room for it."""
    encoded = text.encode(errors="backslashreplace")
    return text if len(encoded) <= longest else "sha256:" + hashlib.sha256(encoded).hexdigest()


def _side_by_side[T, R](call: Callable[[T], R], items: Sequence[T]) -> list[R]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(PARALLEL_PUTS, len(items))) as pool:
        return list(pool.map(call, items))
