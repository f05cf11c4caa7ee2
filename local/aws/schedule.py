"""When Secrets Manager rotates: rate(), cron() and AutomaticallyAfterDays, all UTC, with their windows.

Pure: no clock, no emulator. The grammar is Secrets Manager's, narrower than EventBridge's: windows open on the hour,
the year is `*`, nothing rotates more often than every four hours.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from typing import Any, Protocol

HOUR = timedelta(hours=1)
SHORTEST_PERIOD = timedelta(hours=4)
LONGEST_DAYS = 999
_HORIZON_DAYS = 366  # schedules more than a year apart are not supported
_UNITS = {"minute": timedelta(minutes=1), "hour": HOUR, "day": timedelta(days=1)}
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)}


class ScheduleError(ValueError):
    """The rules are not a schedule; the message says which rule."""


@dataclass(frozen=True, slots=True)
class Window:
    """A rotation may run from ``start`` until ``end``."""

    start: datetime
    end: datetime


class Schedule(Protocol):
    """Rotation rules that were understood."""

    follows_writes: bool
    """Whether writing the value by hand counts as a rotation: then the next one is counted from there."""

    def next_window(self, after: datetime) -> Window:
        """The first window for a secret whose last rotation, or attempt at one, was at ``after``."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Every so many hours or days since the last rotation."""

    period: timedelta
    duration: timedelta | None
    follows_writes = True

    def next_window(self, after: datetime) -> Window:
        if self.period < HOUR:  # the test switch
            return Window(after + self.period, after + 2 * self.period)
        if self.period.days and not self.period.seconds:
            start = _midnight(after.date() + self.period)
            return Window(start, start + (self.duration or timedelta(days=1)))
        start = (after + self.period).replace(minute=0, second=0, microsecond=0)
        return Window(start, start + (self.duration or HOUR))


@dataclass(frozen=True, slots=True)
class Cron:
    """At hours of days, whenever the last rotation was."""

    hours: tuple[int, ...]
    days_of_month: str
    months: frozenset[int]
    days_of_week: str
    duration: timedelta | None
    follows_writes = False

    def next_window(self, after: datetime) -> Window:
        start = next(self.starts(after))
        end_of_day = _midnight(start.date() + timedelta(days=1))
        by_default = start + HOUR if len(self.hours) > 1 else end_of_day
        return Window(start, start + self.duration if self.duration else by_default)

    def starts(self, after: datetime) -> Iterator[datetime]:
        """Window starts later than ``after``, for a year."""
        for offset in range(_HORIZON_DAYS + 1):
            day = after.date() + timedelta(days=offset)
            if not self._covers(day):
                continue
            for hour in self.hours:
                start = _midnight(day) + hour * HOUR
                if start > after:
                    yield start

    def _covers(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        return _month_day_matches(self.days_of_month, day) and _weekday_matches(self.days_of_week, day)


def parse(rules: Mapping[str, Any], *, fast: bool = False) -> Schedule | None:
    """The schedule of a secret's RotationRules, None without rules, ScheduleError for what AWS refuses.

    ``fast`` lets rate() be given in minutes, for tests that cannot wait four hours.
    """
    expression, days = rules.get("ScheduleExpression"), rules.get("AutomaticallyAfterDays")
    if expression and days:
        raise ScheduleError("You can set AutomaticallyAfterDays or ScheduleExpression, but not both.")
    duration = _duration(rules.get("Duration"))
    if days is not None:
        if not isinstance(days, int) or not 1 <= days <= 1000:
            raise ScheduleError("AutomaticallyAfterDays must be between 1 and 1000.")
        return _checked_window(Rate(timedelta(days=days), duration), timedelta(days=1))
    if not expression:
        return None
    form = re.fullmatch(r"(rate|cron)\(([^()]*)\)", expression)
    if not form:
        raise ScheduleError("ScheduleExpression must be a cron() or rate() expression.")
    return _rate(form[2], duration, fast) if form[1] == "rate" else _cron(form[2], duration)


def _duration(text: str | None) -> timedelta | None:
    if text is None:
        return None
    form = re.fullmatch(r"(\d{1,2})h", text)
    if not form or not 1 <= int(form[1]) <= 24:
        raise ScheduleError("Duration must be 1h to 24h.")
    return int(form[1]) * HOUR


def _rate(text: str, duration: timedelta | None, fast: bool) -> Rate:
    form = re.fullmatch(r"(\d+) (minute|hour|day)s?", text)
    if not form or int(form[1]) < 1:
        raise ScheduleError("rate() takes a positive number and hour(s) or day(s).")
    period = int(form[1]) * _UNITS[form[2]]
    if form[2] == "minute":
        if not fast:
            raise ScheduleError("rate() takes hours or days.")
        return Rate(period, None)
    if period < SHORTEST_PERIOD or period.days > LONGEST_DAYS:
        raise ScheduleError("rate() must be from 4 hours to 999 days.")
    return _checked_window(Rate(period, duration), min(period, timedelta(days=1)))


def _checked_window(rate: Rate, longest: timedelta) -> Rate:
    if rate.duration and rate.duration > longest:
        raise ScheduleError("Duration must not extend into the next UTC day or the next rotation window.")
    return rate


def _cron(text: str, duration: timedelta | None) -> Cron:
    fields = text.split()
    if len(fields) != 6:
        raise ScheduleError("cron() takes six fields: minutes hours day-of-month month day-of-week year.")
    minutes, hours, month_days, months, weekdays, year = fields
    if minutes != "0":
        raise ScheduleError("The minutes of cron() must be 0: rotation windows open on the hour.")
    if year != "*":
        raise ScheduleError("The year of cron() must be *.")
    if (month_days == "?") == (weekdays == "?"):
        raise ScheduleError("Exactly one of day-of-month and day-of-week of cron() must be ?.")
    cron = Cron(
        hours=tuple(sorted(_numbers("hours", hours, 0, 23))),
        days_of_month=_month_days(month_days),
        months=frozenset(_numbers("month", months, 1, 12, _MONTHS)),
        days_of_week=_weekdays(weekdays),
        duration=duration,
    )
    return _checked_cron(cron)


def _checked_cron(cron: Cron) -> Cron:
    starts = list(islice(cron.starts(datetime(2026, 12, 31, tzinfo=UTC)), 200))  # 2027 has no 29 February
    if not starts:
        raise ScheduleError("cron() must name a day that every year has.")
    gap = min((later - earlier for earlier, later in pairwise(starts)), default=timedelta(days=366))
    if gap < SHORTEST_PERIOD:
        raise ScheduleError("A secret can be rotated every four hours at most.")
    if cron.duration and (cron.duration > gap or max(cron.hours) * HOUR + cron.duration > timedelta(days=1)):
        raise ScheduleError("Duration must not extend into the next UTC day or the next rotation window.")
    return cron


def _numbers(field: str, text: str, low: int, high: int, names: Mapping[str, int] | None = None) -> set[int]:
    """The values that a list of numbers, ranges and steps names."""
    found: set[int] = set()
    for item in text.split(","):
        form = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?", item)
        if not form or (form[1] == "*" and form[2]):
            raise ScheduleError(f"The {field} of cron() cannot be read.")
        first = low if form[1] == "*" else _number(field, form[1], names)
        only_one = form[1] != "*" and not form[2] and not form[3]
        last = first if only_one else _number(field, form[2], names) if form[2] else high
        step = int(form[3] or 1)
        if not (low <= first <= last <= high) or step < 1:
            raise ScheduleError(f"The {field} of cron() must be {low} to {high}.")
        found.update(range(first, last + 1, step))
    return found


def _number(field: str, text: str, names: Mapping[str, int] | None) -> int:
    if names and text.upper() in names:
        return names[text.upper()]
    if not text.isdigit():
        raise ScheduleError(f"The {field} of cron() cannot be read.")
    return int(text)


def _month_days(text: str) -> str:
    if text not in {"?", "L"}:
        _numbers("day-of-month", text, 1, 31)
    return text


def _weekdays(text: str) -> str:
    nth = re.fullmatch(r"(\w+)#([1-5])|(\w+)L|\?|L", text.upper())
    if not nth:
        _numbers("day-of-week", text, 1, 7, _WEEKDAYS)
    elif nth[1] or nth[3]:
        _numbers("day-of-week", nth[1] or nth[3], 1, 7, _WEEKDAYS)
    return text.upper()


def _month_day_matches(text: str, day: date) -> bool:
    if text == "?":
        return True
    if text == "L":
        return day.day == calendar.monthrange(day.year, day.month)[1]
    return day.day in _numbers("day-of-month", text, 1, 31)


def _weekday_matches(text: str, day: date) -> bool:
    if text == "?":
        return True
    weekday = day.isoweekday() % 7 + 1  # Sunday is 1
    if text == "L":
        return weekday == 7
    if nth := re.fullmatch(r"(\w+)#(\d)", text):
        return weekday == _number("day-of-week", nth[1], _WEEKDAYS) and (day.day - 1) // 7 + 1 == int(nth[2])
    if last := re.fullmatch(r"(\w+)L", text):
        is_last = day.day > calendar.monthrange(day.year, day.month)[1] - 7
        return weekday == _number("day-of-week", last[1], _WEEKDAYS) and is_last
    return weekday in _numbers("day-of-week", text, 1, 7, _WEEKDAYS)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
