"""When a rotation is due: Secrets Manager's grammar and windows, and the clock that follows them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from local.aws import schedule


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("rules", "after", "start", "end"),
    [
        ({"ScheduleExpression": "rate(10 days)"}, "2026-03-05T10:30", "2026-03-15T00:00", "2026-03-16T00:00"),
        ({"ScheduleExpression": "rate(1 day)"}, "2026-12-31T23:59", "2027-01-01T00:00", "2027-01-02T00:00"),
        (
            {"ScheduleExpression": "rate(10 days)", "Duration": "3h"},
            "2026-03-05T10:30",
            "2026-03-15T00:00",
            "2026-03-15T03:00",
        ),
        ({"AutomaticallyAfterDays": 30}, "2026-01-01T12:00", "2026-01-31T00:00", "2026-02-01T00:00"),
        ({"ScheduleExpression": "rate(4 hours)"}, "2026-03-05T10:45", "2026-03-05T14:00", "2026-03-05T15:00"),
        ({"ScheduleExpression": "cron(0 3 1 * ? *)"}, "2026-11-24T09:00", "2026-12-01T03:00", "2026-12-02T00:00"),
        (
            {"ScheduleExpression": "cron(0 3 1 * ? *)", "Duration": "2h"},
            "2026-12-01T03:00",
            "2027-01-01T03:00",
            "2027-01-01T05:00",
        ),
        ({"ScheduleExpression": "cron(0 4/12 * * ? *)"}, "2026-03-05T05:00", "2026-03-05T16:00", "2026-03-05T17:00"),
        ({"ScheduleExpression": "cron(0 4/12 * * ? *)"}, "2026-03-05T17:00", "2026-03-06T04:00", "2026-03-06T05:00"),
        ({"ScheduleExpression": "cron(0 16 L * ? *)"}, "2028-02-10T00:00", "2028-02-29T16:00", "2028-03-01T00:00"),
        ({"ScheduleExpression": "cron(0 0 ? * SUN#1 *)"}, "2026-11-01T00:00", "2026-12-06T00:00", "2026-12-07T00:00"),
        ({"ScheduleExpression": "cron(0 8 ? * 6L *)"}, "2026-11-01T00:00", "2026-11-27T08:00", "2026-11-28T00:00"),
        ({"ScheduleExpression": "cron(0 8 ? * MON-FRI *)"}, "2026-11-27T08:00", "2026-11-30T08:00", "2026-12-01T00:00"),
        ({"ScheduleExpression": "cron(0 8 1/14 * ? *)"}, "2026-11-16T00:00", "2026-11-29T08:00", "2026-11-30T00:00"),
        ({"ScheduleExpression": "cron(0 8 1 JAN,JUL ? *)"}, "2026-02-01T00:00", "2026-07-01T08:00", "2026-07-02T00:00"),
    ],
)
def test_the_next_window(rules: dict[str, Any], after: str, start: str, end: str) -> None:
    parsed = schedule.parse(rules)
    assert parsed is not None
    assert parsed.next_window(at(after)) == schedule.Window(at(start), at(end))


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"AutomaticallyAfterDays": 5, "ScheduleExpression": "rate(5 days)"}, "not both"),
        ({"AutomaticallyAfterDays": 0}, "1 and 1000"),
        ({"AutomaticallyAfterDays": 1001}, "1 and 1000"),
        ({"ScheduleExpression": "every day"}, r"cron\(\) or rate\(\)"),
        ({"ScheduleExpression": "rate(0 days)"}, "positive"),
        ({"ScheduleExpression": "rate(3 hours)"}, "4 hours"),
        ({"ScheduleExpression": "rate(1000 days)"}, "999 days"),
        ({"ScheduleExpression": "rate(1 minute)"}, "hours or days"),
        ({"ScheduleExpression": "rate(1 week)"}, "positive number"),
        ({"ScheduleExpression": "cron(0 8 * * *)"}, "six fields"),
        ({"ScheduleExpression": "cron(30 8 * * ? *)"}, "minutes"),
        ({"ScheduleExpression": "cron(0 8 * * ? 2027)"}, "year"),
        ({"ScheduleExpression": "cron(0 8 * * * *)"}, "Exactly one"),
        ({"ScheduleExpression": "cron(0 8 ? * ? *)"}, "Exactly one"),
        ({"ScheduleExpression": "cron(0 24 * * ? *)"}, "hours"),
        ({"ScheduleExpression": "cron(0 8 32 * ? *)"}, "day-of-month"),
        ({"ScheduleExpression": "cron(0 8 ? * 8 *)"}, "day-of-week"),
        ({"ScheduleExpression": "cron(0 8 30 FEB ? *)"}, "every year"),
        ({"ScheduleExpression": "cron(0 8 29 2 ? *)"}, "every year"),
        ({"ScheduleExpression": "cron(0 0/3 * * ? *)"}, "four hours"),
        ({"ScheduleExpression": "cron(0 1,23 * * ? *)"}, "four hours"),
        ({"ScheduleExpression": "cron(0 22 * * ? *)", "Duration": "3h"}, "next UTC day"),
        ({"ScheduleExpression": "cron(0 0/4 * * ? *)", "Duration": "5h"}, "next rotation window"),
        ({"ScheduleExpression": "rate(4 hours)", "Duration": "5h"}, "next rotation window"),
        ({"ScheduleExpression": "rate(5 days)", "Duration": "25h"}, "1h to 24h"),
        ({"ScheduleExpression": "rate(5 days)", "Duration": "90m"}, "1h to 24h"),
    ],
)
def test_rules_that_are_no_schedule_are_refused(rules: dict[str, Any], reason: str) -> None:
    with pytest.raises(schedule.ScheduleError, match=reason):
        schedule.parse(rules)


def test_minutes_are_for_tests_only() -> None:
    rate = schedule.parse({"ScheduleExpression": "rate(1 minute)"}, fast=True)
    assert rate is not None
    assert rate.next_window(at("2026-01-01T10:00:30")).start == at("2026-01-01T10:01:30")


def test_no_rules_are_no_schedule() -> None:
    assert schedule.parse({}) is None


# --- The clock --------------------------------------------------------------------------------------


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """The rotations that the clock starts, as secret name and token. None of them runs."""
    from local.aws import rotation_engine

    rotations: list[tuple[str, str]] = []

    def start(secret: dict[str, Any], token: str) -> None:
        assert secret["Versions"][token]["Stages"] == ["AWSPENDING"]
        rotations.append((secret["Name"], token))
        secret["_RotationBase"] = time.time()  # as the engine does when the attempts are over

    monkeypatch.setattr(rotation_engine, "start", start)
    yield rotations
    from ministack.services import secretsmanager as service

    service.reset()


def secret(name: str, **fields: Any) -> dict[str, Any]:
    from ministack.services import secretsmanager as service

    service._store_new_secret(name, secret_string="x", rotation_lambda_arn="arn:f")
    record: dict[str, Any] = service._secrets[name]
    record.update({"RotationEnabled": True, "RotationRules": {"AutomaticallyAfterDays": 1}, **fields})
    long_ago = int(time.time()) - 5 * 86400
    for version in record["Versions"].values():
        version["CreatedDate"] = long_ago
    record.setdefault("_RotationBase", long_ago)
    return record


def test_what_is_overdue_rotates_once_however_many_windows_were_missed(started: list[tuple[str, str]]) -> None:
    from local.aws import rotation_clock

    secret("late")
    rotation_clock.tick()
    rotation_clock.tick()
    assert [name for name, _ in started] == ["late"]


def test_what_is_not_due_or_off_or_deleted_or_just_written_is_left_alone(started: list[tuple[str, str]]) -> None:
    from local.aws import rotation_clock

    secret("fresh", _RotationBase=time.time())
    secret("off", RotationEnabled=False)
    secret("deleted", DeletedDate=time.time() + 86400)
    for version in secret("written by hand")["Versions"].values():
        version["CreatedDate"] = int(time.time())
    secret("without rules", RotationRules=None)
    rotation_clock.tick()
    assert started == []


def test_a_rotation_that_a_restart_interrupted_is_taken_up_with_its_token(started: list[tuple[str, str]]) -> None:
    from local.aws import rotation_clock
    from local.aws.secret_versions import add_pending

    record = secret("interrupted", _RotationBase=time.time())
    add_pending(record, "t" * 32)
    record["_RotationToken"] = "t" * 32
    rotation_clock.tick()
    assert started == [("interrupted", "t" * 32)]


def test_a_due_secret_with_a_leftover_pending_version_is_reattempted_with_it(started: list[tuple[str, str]]) -> None:
    from local.aws import rotation_clock
    from local.aws.secret_versions import add_pending

    record = secret("leftover")
    add_pending(record, "p" * 32)
    rotation_clock.tick()
    assert started == [("leftover", "p" * 32)]
