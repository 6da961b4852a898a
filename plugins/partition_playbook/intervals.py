"""Partition bounds as values, in the zone that the spec pins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import pendulum
from pendulum import DateTime


class Interval(StrEnum):
    """The width of a partition."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"

    def floor(self, moment: DateTime) -> DateTime:
        """Return the start of the interval that holds ``moment``, in the moment's own zone."""
        if self is Interval.QUARTER:
            return moment.start_of("month").set(month=3 * ((moment.month - 1) // 3) + 1)
        return moment.start_of(self.value)

    def shift(self, start: DateTime, count: int) -> DateTime:
        """Return the start that lies ``count`` intervals after ``start``."""
        if self is Interval.QUARTER:
            return start.add(months=3 * count)
        return start.add(**{f"{self.value}s": count})

    def suffix(self, start: DateTime) -> str:
        """Return the name of the interval as partitions carry it, ``y2026m02`` for a month."""
        match self:
            case Interval.DAY:
                return start.format("[y]YYYY[m]MM[d]DD")
            case Interval.WEEK:
                return f"y{start.isocalendar()[0]:04d}w{start.isocalendar()[1]:02d}"
            case Interval.MONTH:
                return start.format("[y]YYYY[m]MM")
            case Interval.QUARTER:
                return f"y{start.year:04d}q{start.quarter}"
            case Interval.YEAR:
                return start.format("[y]YYYY")

    @property
    def days(self) -> float:
        """Return the mean width in days, for estimates."""
        return {"day": 1.0, "week": 7.0, "month": 30.44, "quarter": 91.31, "year": 365.24}[self.value]


@dataclass(frozen=True, order=True)
class Bounds:
    """The half-open range ``[lower, upper)`` of one partition."""

    lower: DateTime
    upper: DateTime
    suffix: str

    def literals(self, column_type: str) -> tuple[datetime | date, datetime | date]:
        """Return both ends as the partition column's type writes them.

        A ``timestamp`` or ``date`` column has no zone: its bounds are the wall clock of the spec's zone.
        """
        if column_type == "date":
            return self.lower.date(), self.upper.date()
        if column_type.endswith("without time zone"):
            return self.lower.naive(), self.upper.naive()
        return self.lower, self.upper

    def overlaps(self, start: DateTime | None, end: DateTime | None) -> bool:
        """Tell whether any moment of ``[start, end)`` lies in the range; None is open."""
        return (start is None or start < self.upper) and (end is None or end > self.lower)

    def __str__(self) -> str:
        return f"[{self.lower.isoformat()}, {self.upper.isoformat()})"


def in_zone(value: datetime | date, timezone: str) -> DateTime:
    """Return a column's value as a moment in ``timezone``; a value without a zone is taken to be in it."""
    zone = pendulum.timezone(timezone)
    if not isinstance(value, datetime):
        return pendulum.datetime(value.year, value.month, value.day, tz=zone)
    if value.tzinfo is None:
        return pendulum.instance(value, tz=zone)
    return pendulum.instance(value).in_timezone(zone)


def between(interval: Interval, first: DateTime, last: DateTime) -> Iterator[Bounds]:
    """Yield the bounds without a gap from the interval that holds ``first`` to the one that holds ``last``."""
    start = interval.floor(first)
    while start <= last:
        yield bounds_at(interval, start)
        start = interval.shift(start, 1)


def bounds_at(interval: Interval, moment: DateTime) -> Bounds:
    """Return the bounds of the interval that holds ``moment``."""
    start = interval.floor(moment)
    return Bounds(start, interval.shift(start, 1), interval.suffix(start))
