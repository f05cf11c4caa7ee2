"""What a sync configuration accepts, and the schedule and the globs in it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polyvault.domain.schedule import CronSchedule
from polyvault.domain.sync import SyncConfiguration
from polyvault.errors import InvalidInputError

GOOD: dict[str, Any] = {
    "id": "orders",
    "name": "Orders",
    "enabled": True,
    "source_environment": "prod",
    "target_environment": "staging",
    "source_vault": "aws",
    "target_vault": "vault",
    "secret_filters": ("prod/*",),
}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"id": ""}, "id"),
        ({"id": "a/b"}, "id"),
        ({"name": ""}, "name"),
        ({"target_vault": "aws"}, "targetVault"),
        ({"sync_type": "auto"}, "syncType"),
        ({"sync_type": "sometimes"}, "syncType"),
        ({"sync_type": "scheduled"}, "schedule"),
        ({"schedule": "every day"}, "schedule"),
        ({"conflict_resolution": "newest-wins"}, "conflictResolution"),
        ({"conflict_resolution": "target-wins"}, "conflictResolution"),
        ({"rollback_on_failure": True}, "rollbackOnFailure"),
        ({"secret_filters": ()}, "secretFilters"),
        ({"secret_filters": ("a",) * 51}, "secretFilters"),
        ({"secret_filters": ("ok", "")}, "secretFilters[1]"),
        ({"secret_filters": ("*" * 9,)}, "secretFilters[0]"),
        ({"secret_filters": ("x" * 257,)}, "secretFilters[0]"),
    ],
)
def test_what_is_not_done_is_refused_by_the_name_of_its_field(change: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        SyncConfiguration(**{**GOOD, **change})
    assert caught.value.path == path


def test_stores_must_exist_and_belong_to_their_environment() -> None:
    configuration = SyncConfiguration(**GOOD)
    configuration.check_environments({"aws": "prod", "vault": "staging"})
    for environments, path in (
        ({"vault": "staging"}, "sourceVault"),
        ({"aws": "prod"}, "targetVault"),
        ({"aws": "dev", "vault": "staging"}, "sourceEnvironment"),
        ({"aws": "prod", "vault": "prod"}, "targetEnvironment"),
    ):
        with pytest.raises(InvalidInputError) as caught:
            configuration.check_environments(environments)
        assert caught.value.path == path


NAMES = st.text("ab/*?", max_size=12)


@given(st.lists(st.text("ab/*?", min_size=1, max_size=8), min_size=1, max_size=3), NAMES)
def test_every_name_that_matches_starts_with_the_common_prefix(globs: list[str], name: str) -> None:
    configuration = SyncConfiguration(**{**GOOD, "secret_filters": tuple(globs)})
    if configuration.matches(name):
        assert name.startswith(configuration.common_prefix)
    assert configuration.matches(name) == any(fnmatchcase(name, glob) for glob in globs)


def test_hostile_globs_match_in_linear_time() -> None:
    configuration = SyncConfiguration(**{**GOOD, "secret_filters": ("*a" * 8 + "b",)})
    started = time.perf_counter()
    assert not configuration.matches("a" * 512)
    assert time.perf_counter() - started < 0.05


@pytest.mark.parametrize(
    "text",
    [
        *("", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *"),
        *("5-1 * * * *", "a * * * *", "1, * * * *", "-1 * * * *", "* " * 200, "\u0663 * * * *"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        CronSchedule.parse(text)
    assert caught.value.path == "schedule"


@pytest.mark.parametrize(
    ("text", "until", "expected"),
    [
        ("0 2 * * *", "2026-01-05T01:59", "2026-01-04T02:00"),
        ("0 2 * * *", "2026-01-05T02:00", "2026-01-05T02:00"),
        ("*/15 * * * *", "2026-01-05T10:29", "2026-01-05T10:15"),
        ("30 8 * * 1-5", "2026-01-04T12:00", "2026-01-02T08:30"),
        ("0 0 29 2 *", "2026-01-04T12:00", "2024-02-29T00:00"),
        ("0 0 13 * 5", "2026-01-05T00:00", "2026-01-02T00:00"),
        ("0 0 * * 7", "2026-01-05T00:00", "2026-01-04T00:00"),
        ("0 0 31 2 *", "2026-01-05T00:00", None),
        ("5/20 * * * *", "2026-01-05T10:44", "2026-01-05T10:25"),
    ],
)
def test_the_latest_moment_is_the_one_that_cron_means(text: str, until: str, expected: str | None) -> None:
    now = datetime.fromisoformat(until).replace(tzinfo=UTC)
    found = CronSchedule.parse(text).latest(after=now - timedelta(days=1000), until=now)
    assert found == (datetime.fromisoformat(expected).replace(tzinfo=UTC) if expected else None)


@given(
    st.integers(0, 59), st.integers(0, 23), st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.integers(1, 90)
)
def test_a_daily_schedule_fires_once_in_each_day(minute: int, hour: int, naive: datetime, days: int) -> None:
    until = naive.replace(tzinfo=UTC)
    schedule = CronSchedule.parse(f"{minute} {hour} * * *")
    found = schedule.latest(after=until - timedelta(days=days), until=until)
    assert found is not None
    assert timedelta(0) <= until - found < timedelta(days=1)
    assert (found.minute, found.hour) == (minute, hour)
    assert schedule.latest(after=found, until=until) is None
