"""Cron schedules of five fields, in UTC: minute, hour, day of month, month, day of week (0 or 7 is Sunday)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from polyvault.errors import InvalidInputError

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
_PART = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?", re.ASCII)
_LONGEST = 256


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """When something fires. As cron does: with both day fields restricted, either of them is enough."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    @classmethod
    def parse(cls, text: str, *, path: str = "schedule") -> CronSchedule:
        """The schedule, or InvalidInputError naming the field of it that is wrong."""
        fields = text.split() if len(text) <= _LONGEST else []
        if len(fields) != len(_FIELDS):
            raise InvalidInputError(path, "must be a cron expression of five fields")
        minutes, hours, days, months, weekdays = (
            _numbers(field, low, high, path=path, what=what)
            for field, (what, low, high) in zip(fields, _FIELDS, strict=True)
        )
        sundays = frozenset(day % 7 for day in weekdays)
        return cls(minutes, hours, days, months, sundays, fields[2].startswith("*"), fields[4].startswith("*"))

    def latest(self, *, after: datetime, until: datetime) -> datetime | None:
        """The last moment in (after, until] at which it fires, None when there is none. Both are aware UTC.

        Looks back day by day, so at most as many steps as the interval has days.
        """
        day = until.replace(hour=0, minute=0, second=0, microsecond=0)
        while day + timedelta(days=1) > after:
            if self._fires_on(day):
                for moment in self._moments(day):
                    if after < moment <= until:
                        return moment
            day -= timedelta(days=1)
        return None

    def _fires_on(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return by_day and by_weekday
        return by_day or by_weekday

    def _moments(self, day: datetime) -> list[datetime]:
        return [
            day.replace(hour=hour, minute=minute)
            for hour in sorted(self.hours, reverse=True)
            for minute in sorted(self.minutes, reverse=True)
        ]


def _numbers(field: str, low: int, high: int, *, path: str, what: str) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        first = int(match[1]) if match and match[1] else low
        last = int(match[2]) if match and match[2] else first if match and match[1] and not match[3] else high
        step = int(match[3]) if match and match[3] else 1
        if match is None or not low <= first <= last <= high or step < 1:
            raise InvalidInputError(path, f"has a {what} that is not within {low} to {high}")
        found.update(range(first, last + 1, step))
    return frozenset(found)
