"""Partition bounds as values, in the time zone of the spec.

A bound is the first moment of a civil day. Clocks can skip midnight, or show it twice, so only ``resolve`` turns a
wall clock into a moment. Columns without a time zone have the wall clock 00:00 itself as their bound.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

import pendulum
from pendulum import DateTime

from partition_playbook.choices import Choice

# The ledger has these in place of the open ends of the partitions for outliers.
EARLIEST, LATEST = DateTime(1, 1, 2, tzinfo=UTC), DateTime(9999, 12, 30, tzinfo=UTC)
# The suffixes of these partitions; the first one sorts before those of the intervals.
BEFORE, DEFAULT = "before", "default"


class Interval(Choice):
    """The width of a partition."""

    DAY = "day", "One calendar day. Partitions are named like `events_y2026m02d28`."
    WEEK = "week", "One ISO week, from Monday. Partitions are named like `events_y2026w09`."
    MONTH = "month", "One calendar month. Partitions are named like `events_y2026m02`."
    QUARTER = "quarter", "Three calendar months, from January. Partitions are named like `events_y2026q1`."
    YEAR = "year", "One calendar year. Partitions are named like `events_y2026`."

    def floor(self, moment: DateTime) -> DateTime:
        """Return the start of the interval around ``moment``, in the moment's own zone."""
        day, zone = self._first_day(_day(moment)), moment.tzinfo
        # A clock that goes back over midnight shows the day before once more, while the new interval goes on.
        after = _first_moment(self._shift_day(day, 1), zone)
        return after if elapsed(after) <= elapsed(moment) else _first_moment(day, zone)

    def shift(self, start: DateTime, count: int) -> DateTime:
        """Return the start ``count`` intervals after ``start``; a negative count goes back."""
        day = self._shift_day(self._first_day(_day(start)), count)
        found = _first_moment(day, start.tzinfo)
        # A day that its zone skipped begins together with the next one.
        skipped = count < 0 and found == start
        return _first_moment(self._shift_day(day, -1), start.tzinfo) if skipped else found

    def _first_day(self, day: date) -> date:
        match self:
            case Interval.DAY:
                return day
            case Interval.WEEK:
                return day - timedelta(days=day.weekday())
            case Interval.MONTH:
                return day.replace(day=1)
            case Interval.QUARTER:
                return day.replace(month=3 * ((day.month - 1) // 3) + 1, day=1)
            case Interval.YEAR:
                return day.replace(month=1, day=1)

    def _shift_day(self, first: date, count: int) -> date:
        if self in (Interval.DAY, Interval.WEEK):
            return first + timedelta(days=count * (7 if self is Interval.WEEK else 1))
        months = {Interval.MONTH: 1, Interval.QUARTER: 3, Interval.YEAR: 12}[self]
        year, month = divmod(12 * first.year + first.month - 1 + count * months, 12)
        return date(year, month + 1, 1)

    def suffix(self, start: DateTime) -> str:
        """Return the suffix of the partition's name, ``y2026m02`` for a month."""
        match self:
            case Interval.DAY:
                return f"y{start.year}m{start.month:02d}d{start.day:02d}"
            case Interval.WEEK:
                return f"y{start.isocalendar()[0]:04d}w{start.isocalendar()[1]:02d}"
            case Interval.MONTH:
                return f"y{start.year}m{start.month:02d}"
            case Interval.QUARTER:
                return f"y{start.year:04d}q{start.quarter}"
            case Interval.YEAR:
                return f"y{start.year}"

    @property
    def days(self) -> float:
        """Return the mean width in days; only for estimates."""
        return {"day": 1.0, "week": 7.0, "month": 30.44, "quarter": 91.31, "year": 365.24}[self.value]


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
            return _midnight(self.lower).date(), _midnight(self.upper).date()
        if column_type.endswith("without time zone"):
            return _midnight(self.lower), _midnight(self.upper)
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
    start = interval.floor(first)
    while elapsed(start) <= elapsed(last):
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


def _midnight(bound: DateTime) -> datetime:
    """Return the wall clock 00:00 for which a bound stands, also where the zone's clocks never showed it."""
    day = _day(bound)
    while day > date.min and _first_moment(day - timedelta(days=1), bound.tzinfo) == bound:
        day -= timedelta(days=1)
    return datetime.combine(day, time())


def _day(moment: DateTime) -> date:
    return date(moment.year, moment.month, moment.day)


def elapsed(moment: datetime) -> timedelta:
    """Return the time since year 1; Python compares two moments of one zone by their wall clocks only."""
    wall = timedelta(moment.toordinal(), 3600 * moment.hour + 60 * moment.minute + moment.second, moment.microsecond)
    return wall - (moment.utcoffset() or timedelta())
