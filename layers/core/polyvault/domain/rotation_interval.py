"""How long a rotation schedule lets a secret live at most: the longest time between two of its rotations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import pairwise

_RATE = re.compile(r"rate\((\d{1,4}) (hours?|days?)\)")
_CRON = re.compile(r"cron\((\S{1,64}) (\S{1,64}) (\S{1,64}) (\S{1,64}) (\S{1,64}) (\S{1,64})\)")
_PART = re.compile(r"(?P<first>[A-Z0-9]+|\*)(?:-(?P<last>[A-Z0-9]+))?(?:/(?P<step>\d{1,4}))?")
_NTH = re.compile(r"(?P<day>[A-Z0-9]+)#(?P<nth>[1-5])")
_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_ANY = frozenset({"*", "?"})
_START = date(2023, 1, 1)
_YEARS = 9  # holds two leap years and each weekday on each date of the year


def longest_interval(schedule: str) -> timedelta | None:
    """The longest time between two rotations, to the day for cron; None when the expression is not understood.

    A cron that never comes, or ends, has no interval either: it is not a schedule.
    """
    if rate := _RATE.fullmatch(schedule):
        amount = int(rate[1])
        unit = timedelta(hours=amount) if rate[2].startswith("hour") else timedelta(days=amount)
        return unit if amount else None
    cron = _CRON.fullmatch(schedule)
    if cron is None or cron[6] != "*":
        return None
    try:
        days = list(_days(month=cron[4], day_of_month=cron[3], day_of_week=cron[5]))
    except ValueError:
        return None
    gaps = [later - earlier for earlier, later in pairwise(days)]
    return max(gaps, default=None)


def _days(*, month: str, day_of_month: str, day_of_week: str) -> Iterator[date]:
    months = _numbers(month, 1, 12, _MONTHS)
    day = _START
    while day.year < _START.year + _YEARS:
        if day.month in months and _is_day(day, day_of_month) and _is_weekday(day, day_of_week):
            yield day
        day += timedelta(days=1)


def _is_day(day: date, field: str) -> bool:
    if field in _ANY:
        return True
    if field == "L":
        return (day + timedelta(days=1)).day == 1
    return day.day in _numbers(field, 1, 31, {})


def _is_weekday(day: date, field: str) -> bool:
    if field in _ANY:
        return True
    weekday = day.isoweekday() % 7 + 1
    if nth := _NTH.fullmatch(field):
        return weekday == _number(nth["day"], _DAYS) and (day.day - 1) // 7 + 1 == int(nth["nth"])
    if field != "L" and field.endswith("L"):
        return weekday == _number(field[:-1], _DAYS) and (day + timedelta(days=7)).month != day.month
    return weekday in _numbers("7" if field == "L" else field, 1, 7, _DAYS)


def _numbers(field: str, low: int, high: int, names: Mapping[str, int]) -> frozenset[int]:
    """The numbers that a field of lists, ranges and steps names; ValueError for anything else."""
    if field in _ANY:
        return frozenset(range(low, high + 1))
    return frozenset(number for part in field.split(",") for number in _range(part, low, high, names))


def _range(part: str, low: int, high: int, names: Mapping[str, int]) -> range:
    found = _PART.fullmatch(part)
    if found is None:
        raise ValueError(part)
    first = low if found["first"] == "*" else _number(found["first"], names)
    open_ended = found["step"] is not None or found["first"] == "*"
    last = _number(found["last"], names) if found["last"] else high if open_ended else first
    step = int(found["step"] or 1)
    if not (low <= first <= last <= high and step):
        raise ValueError(part)
    return range(first, last + 1, step)


def _number(text: str, names: Mapping[str, int]) -> int:
    return names[text] if text in names else int(text)
