"""Partition bounds as values, in the time zone of the spec.

A bound is the first moment of a civil day. Clocks can skip midnight, or show it twice, so only ``resolve`` turns a
wall clock into a moment. Columns without a time zone have the wall clock 00:00 itself as their bound. The bounds of
hours are hours of UTC: no clock skips one of these, or shows it twice.

Ranges of ids are on the same line: an id is as many microseconds after ORIGIN. Its text is the id, never the moment.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, ClassVar

import pendulum
from pendulum import DateTime

from partition_playbook import figures
from partition_playbook.choices import Choice

# The ledger has these in place of the open ends of the partitions for outliers.
EARLIEST, LATEST = DateTime(1, 1, 2, tzinfo=UTC), DateTime(9999, 12, 30, tzinfo=UTC)
# The suffixes of these partitions; the first one sorts before those of the intervals.
BEFORE, DEFAULT = "before", "default"

# Intervals of several hours, days or weeks are counted from this Monday, of months and years from its January.
ORIGIN = datetime(2000, 1, 3, tzinfo=UTC)
_MOST_DAYS = 365.29  # 12 months of their mean width have 365.28
_UNITS = "(hour|day|week|month|quarter|year)"
INTERVAL_PATTERN = f"^({_UNITS}|([1-9][0-9]{{0,3}}) {_UNITS}s?|([1-9][0-9]{{2,14}})( ids)?)$"

# From this id on, and 400 of the widest ranges later, ids would be moments after the year 9999.
END_OF_IDS = 2 * 10**17
LEAST_IDS, MOST_IDS = 100, 10**14
# As many as the greatest bigint has: names with fewer digits would not sort as numbers do.
_DIGITS = 19
_MICROSECOND = timedelta(microseconds=1)


class IdMoment(DateTime):
    """An id as a moment, that many microseconds after ORIGIN; each text of it is the id."""

    @classmethod
    def of(cls, number: int) -> IdMoment:
        """Return the moment of an id; OverflowError beyond the year 9999."""
        return cls.of_moment(ORIGIN + number * _MICROSECOND)

    @classmethod
    def of_moment(cls, moment: datetime) -> IdMoment:
        """Return the id of a moment that the ledger has."""
        in_utc = moment.astimezone(UTC)
        return cls(*in_utc.timetuple()[:6], in_utc.microsecond, tzinfo=UTC)

    @property
    def number(self) -> int:
        """Return the id."""
        return (elapsed(self) - elapsed(ORIGIN)) // _MICROSECOND

    @property
    def plain(self) -> DateTime:
        """Return the moment as the ledger stores it."""
        return pendulum.instance(ORIGIN + self.number * _MICROSECOND)

    def isoformat(self, *_: Any, **__: Any) -> str:
        """Return the id as text."""
        return str(self.number)

    __str__ = __repr__ = to_date_string = to_iso8601_string = isoformat

    def format(self, *_: Any, **__: Any) -> str:
        """Return the id as text."""
        return str(self.number)

    def __format__(self, spec: str) -> str:
        """Return the id as text."""
        return str(self.number)


class Unit(Choice):
    """The unit of an interval: `month`, or a number of them, such as `6 hours`, `3 months` or `10000000` ids.

    Hours, days and weeks are counted from Monday, 2000-01-03, months, quarters and years from January 2000. Hours are
    those of UTC, so a clock change makes none longer or shorter.
    """

    HOUR = "hour", "One hour of UTC. Partitions are named like `events_y2026m02d28h09`."
    DAY = "day", "One calendar day. Partitions are named like `events_y2026m02d28`."
    WEEK = "week", "One ISO week, from Monday. Partitions are named like `events_y2026w09`."
    MONTH = "month", "One calendar month. Partitions are named like `events_y2026m02`."
    QUARTER = "quarter", "Three calendar months, from January. Partitions are named like `events_y2026q1`."
    YEAR = "year", "One calendar year. Partitions are named like `events_y2026`."
    ID = "id", "A number of ids, such as `10000000`. Partitions are named like `events_i0000000000010000000`."

    @property
    def days(self) -> float:
        """Return the mean width in days; only for estimates."""
        widths = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.44, "quarter": 91.31, "year": 365.24}
        return widths.get(self.value, _MICROSECOND / timedelta(days=1))

    @property
    def months(self) -> int:
        """Return the number of calendar months; 0 for a unit of days or hours."""
        return {Unit.MONTH: 1, Unit.QUARTER: 3, Unit.YEAR: 12}.get(self, 0)


@dataclass(frozen=True)
class Interval:
    """The width of a partition: ``count`` units."""

    HOUR: ClassVar[Interval]
    DAY: ClassVar[Interval]
    WEEK: ClassVar[Interval]
    MONTH: ClassVar[Interval]
    QUARTER: ClassVar[Interval]
    YEAR: ClassVar[Interval]

    unit: Unit
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Interval:
        """Read ``month``, ``6 hours`` or ``10000000 ids``; ValueError with the intervals to write instead."""
        if number := re.fullmatch("([0-9]+)( ids)?", text):
            return cls._of_ids(int(number[1]))
        if found := re.match(INTERVAL_PATTERN, text):
            interval = cls(Unit(found[2] or found[4]), int(found[3] or 1))
            if interval.days <= _MOST_DAYS:
                return interval
            raise ValueError("the widest interval is a year; write `year` or less")
        raise ValueError(_no_interval(text))

    @classmethod
    def _of_ids(cls, count: int) -> Interval:
        if count < LEAST_IDS:
            raise ValueError(f"a range has at least {LEAST_IDS} ids; for ranges of time write `month` or `6 hours`")
        if count > MOST_IDS:
            raise ValueError(f"the widest range has {MOST_IDS} ids; write fewer")
        return cls(Unit.ID, count)

    @property
    def is_ids(self) -> bool:
        """Return True for a range of ids, which has no time."""
        return self.unit is Unit.ID

    def floor(self, moment: DateTime) -> DateTime:
        """Return the start of the interval around ``moment``: in UTC for hours, else in the moment's own zone."""
        if self.is_ids:
            return IdMoment.of(IdMoment.of_moment(moment).number // self.count * self.count)
        if self.unit is Unit.HOUR:
            passed = elapsed(moment) - elapsed(ORIGIN)
            return pendulum.instance(ORIGIN + passed // self._hours * self._hours)
        day, zone = self._first_day(_day(moment)), moment.tzinfo
        # A clock that goes back over midnight shows the day before once more, while the new interval goes on.
        after = _first_moment(self._shift_day(day, 1), zone)
        return after if elapsed(after) <= elapsed(moment) else _first_moment(day, zone)

    def shift(self, start: DateTime, count: int) -> DateTime:
        """Return the start ``count`` intervals after ``start``; a negative count goes back."""
        if self.is_ids:
            return IdMoment.of((IdMoment.of_moment(start).number // self.count + count) * self.count)
        if self.unit is Unit.HOUR:
            return pendulum.instance(self.floor(start) + count * self._hours)
        day = self._shift_day(self._first_day(_day(start)), count)
        found = _first_moment(day, start.tzinfo)
        # A day that its zone skipped begins together with the next one.
        skipped = count < 0 and found == start
        return _first_moment(self._shift_day(day, -1), start.tzinfo) if skipped else found

    @property
    def _hours(self) -> timedelta:
        return timedelta(hours=self.count)

    @property
    def _days(self) -> int:
        return self.count * (7 if self.unit is Unit.WEEK else 1)

    @property
    def _months(self) -> int:
        return self.count * self.unit.months

    def _first_day(self, day: date) -> date:
        if self._months:
            month = 12 * (day.year - ORIGIN.year) + day.month - 1
            return _first_of_month(month // self._months * self._months)
        return day - timedelta(days=(day - ORIGIN.date()).days % self._days)

    def _shift_day(self, first: date, count: int) -> date:
        if self._months:
            return _first_of_month(12 * (first.year - ORIGIN.year) + first.month - 1 + count * self._months)
        return first + timedelta(days=count * self._days)

    def suffix(self, start: DateTime) -> str:
        """Return the suffix of the partition's name, ``y2026m02`` for a month; its order as text is that of time."""
        match self.unit:
            case Unit.ID:
                return f"i{IdMoment.of_moment(start).number:0{_DIGITS}d}"
            case Unit.HOUR:
                return start.format("[y]YYYY[m]MM[d]DD[h]HH")
            case Unit.DAY:
                return start.format("[y]YYYY[m]MM[d]DD")
            case Unit.WEEK:
                return f"y{start.isocalendar()[0]:04d}w{start.isocalendar()[1]:02d}"
            case Unit.MONTH:
                return start.format("[y]YYYY[m]MM")
            case Unit.QUARTER:
                return f"y{start.year:04d}q{start.quarter}"
            case Unit.YEAR:
                return start.format("[y]YYYY")

    @property
    def days(self) -> float:
        """Return the mean width in days; only for estimates."""
        return self.count * self.unit.days

    @property
    def noun(self) -> str:
        """Return the word for one of it, ``month`` or ``6-hour interval``; an s at the end makes the plural."""
        if self.is_ids:
            return f"{figures.number(self.count)}-id range"
        return self.unit.value if self.count == 1 else f"{self.count}-{self.unit} interval"

    def told(self, moment: DateTime) -> str:
        """Return a moment as text, with its hour if the unit is one."""
        if self.is_ids:
            return f"id {IdMoment.of_moment(moment)}"
        return moment.format("YYYY-MM-DD HH:mm") if self.unit is Unit.HOUR else moment.to_date_string()

    def __str__(self) -> str:
        return self.unit.value if self.count == 1 else f"{self.count} {self.unit}s"


# One of each unit of time, the narrowest first.
INTERVALS = tuple(Interval(unit) for unit in Unit if unit is not Unit.ID)
Interval.HOUR, Interval.DAY, Interval.WEEK, Interval.MONTH, Interval.QUARTER, Interval.YEAR = INTERVALS


def _no_interval(text: str) -> str:
    """Return the reason to refuse a text, and the nearest interval."""
    number, _, word = text.rpartition(" ")
    if word.rstrip("s").lower() in ("second", "minute"):
        return "the narrowest interval is an hour; write `hour`"
    near = get_close_matches(word.lower(), [each.unit for each in INTERVALS], n=1)
    meant = [f"{number} {each}s" if number else each for each in near]
    hint = "".join(f", did you mean `{each}`?" for each in meant if re.match(INTERVAL_PATTERN, each))
    units = ", ".join(each.unit for each in INTERVALS)
    return f"write {units}, a number of them such as `6 hours`, or a number of ids{hint}"


@dataclass(frozen=True, order=True)
class Bounds:
    """The half-open range ``[lower, upper)`` of one partition."""

    lower: DateTime
    upper: DateTime
    suffix: str

    def literals(self, column_type: str) -> tuple[datetime | date, datetime | date]:
        """Return both ends in the type of the partition column.

        A ``timestamp`` or ``date`` column has no time zone: its bounds are the wall clock in the spec's zone.
        """
        if column_type == "date":
            return _wall_clock(self.lower).date(), _wall_clock(self.upper).date()
        if column_type.endswith("without time zone"):
            return _wall_clock(self.lower), _wall_clock(self.upper)
        return self.lower, self.upper

    @property
    def is_first(self) -> bool:
        """Return True for the partition of the rows older than `since`: its lower end is open."""
        return self.suffix == BEFORE

    @property
    def is_default(self) -> bool:
        """Return True for the default partition with the rows newer than `until`: its upper end is open."""
        return self.suffix == DEFAULT

    @property
    def is_interval(self) -> bool:
        """Return True for a partition with two ends, of one interval."""
        return not (self.is_first or self.is_default)

    def overlaps(self, start: DateTime | None, end: DateTime | None) -> bool:
        """Return True if ``[start, end)`` and the range share a moment; None is an open end."""
        return (start is None or start < self.upper) and (end is None or end > self.lower)

    def __str__(self) -> str:
        lower = "" if self.is_first else self.lower.isoformat()
        return f"[{lower}, {'' if self.is_default else self.upper.isoformat()})"


def in_zone(value: datetime | date, timezone: str) -> DateTime:
    """Return a column's value as a moment in ``timezone``; a value without a zone is read as its wall clock."""
    if isinstance(value, IdMoment):
        return value
    zone = pendulum.timezone(timezone)
    if isinstance(value, datetime) and value.tzinfo:
        return pendulum.instance(value).in_timezone(zone)
    wall = value if isinstance(value, datetime) else datetime.combine(value, time())
    moment = resolve(wall, zone)
    if moment.date() > wall.date() and elapsed(resolve(datetime.combine(wall, time()), zone)) < elapsed(moment):
        # The clock skipped the rest of the day: the value belongs to that day, not to the one after it.
        return pendulum.instance((moment.astimezone(UTC) - timedelta.resolution).astimezone(zone))
    return moment


def resolve(wall: datetime, zone: tzinfo) -> DateTime:
    """Return the first moment at which the clocks of ``zone`` show ``wall``; if they skip it, the end of the gap.

    The rules of the zone are the worker's; preflight compares them with the server's.
    """
    # Python's own class: pendulum's loses the fold.
    first, second = (datetime(*wall.timetuple()[:6], wall.microsecond, zone, fold=fold) for fold in (0, 1))
    before, after = first.utcoffset() or timedelta(), second.utcoffset() or timedelta()
    if before >= after:
        return pendulum.instance(first)
    # Both offsets name a moment: ``first`` lies after the end of the gap, or at it, and ``second`` before it.
    earliest = second.replace(microsecond=0).astimezone(UTC)
    seconds = bisect_left(
        range(int((after - before).total_seconds())),
        True,
        key=lambda count: (earliest + timedelta(seconds=count)).astimezone(zone).utcoffset() != before,
    )
    return pendulum.instance((earliest + timedelta(seconds=seconds)).astimezone(zone))


def between(interval: Interval, first: DateTime, last: DateTime) -> Iterator[Bounds]:
    """Yield adjoining bounds from the interval around ``first`` to the interval around ``last``."""
    start, end = interval.floor(first), elapsed(last)
    while elapsed(start) <= end:
        bounds = bounds_at(interval, start)
        yield bounds
        start = bounds.upper


def bounds_at(interval: Interval, moment: DateTime) -> Bounds:
    """Return the bounds of the interval around ``moment``."""
    return _bounds_at(interval, moment, moment.tzinfo, moment.fold)


# A run walks the same intervals several times. Moments of two zones may be equal, so the zone is a part of the key.
@lru_cache(maxsize=10_000)
def _bounds_at(interval: Interval, moment: DateTime, _zone: tzinfo | None, _fold: int) -> Bounds:
    start = interval.floor(moment)
    return Bounds(start, interval.shift(start, 1), interval.suffix(start))


# Adjoining intervals share their bounds.
@lru_cache(maxsize=10_000)
def _first_moment(day: date, zone: tzinfo | None) -> DateTime:
    return resolve(datetime.combine(day, time()), zone or UTC)


def _wall_clock(bound: DateTime) -> datetime:
    """Return the hour, or the wall clock 00:00, for which a bound stands, also where no clock of the zone showed it."""
    day = _day(bound)
    if elapsed(_first_moment(day, bound.tzinfo)) != elapsed(bound):
        return datetime(*bound.timetuple()[:6])
    while day > date.min and _first_moment(day - timedelta(days=1), bound.tzinfo) == bound:
        day -= timedelta(days=1)
    return datetime.combine(day, time())


def _first_of_month(number: int) -> date:
    """Return the first day of a month, counted from January of the origin."""
    year, month = divmod(number, 12)
    return date(ORIGIN.year + year, month + 1, 1)


def _day(moment: DateTime) -> date:
    return date(moment.year, moment.month, moment.day)


def elapsed(moment: datetime) -> timedelta:
    """Return the time since year 1; Python compares two moments of one zone by their wall clocks only."""
    wall = timedelta(moment.toordinal(), 3600 * moment.hour + 60 * moment.minute + moment.second, moment.microsecond)
    return wall - (moment.utcoffset() or timedelta())
