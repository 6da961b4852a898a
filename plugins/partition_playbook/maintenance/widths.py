"""Widths of partitions: an interval in a time zone, and the bounds that two widths share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from pendulum import DateTime

from partition_playbook.intervals import Bounds, Interval, between, elapsed, in_zone
from partition_playbook.spec import TableSpec

# The first shared bound is looked for among so many bounds of the wider interval, and in so many years.
MOST_BOUNDS, MOST_YEARS = 1_000, 30


@dataclass(frozen=True)
class Width:
    """An interval in a time zone; the bounds of hours are hours of UTC in any zone."""

    interval: Interval
    timezone: str

    @classmethod
    def of(cls, spec: TableSpec) -> Width:
        """Return the width of the spec's new partitions."""
        return cls(spec.interval, spec.timezone)

    def is_whole(self, lower: DateTime, upper: DateTime) -> bool:
        """Return True if the range is one whole interval."""
        lower, upper = in_zone(lower, self.timezone), in_zone(upper, self.timezone)
        try:
            return self.interval.floor(lower) == lower and self.interval.shift(lower, 1) == upper
        except (ValueError, OverflowError):  # the interval begins before year 1, or ends after 9999
            return False

    def begins_at(self, moment: DateTime) -> bool:
        """Return True if an interval begins at exactly this moment."""
        return elapsed(self.interval.floor(in_zone(moment, self.timezone))) == elapsed(moment)

    def next_bound(self, moment: DateTime) -> DateTime:
        """Return the first bound at or after a moment."""
        floor = self.interval.floor(in_zone(moment, self.timezone))
        return floor if elapsed(floor) == elapsed(moment) else self.interval.shift(floor, 1)

    def between(self, first: DateTime, last: DateTime, timezone: str) -> Iterator[Bounds]:
        """Yield adjoining bounds, in ``timezone``, from the interval around ``first`` to the one that begins last."""
        for each in between(self.interval, in_zone(first, self.timezone), in_zone(last, self.timezone)):
            if elapsed(each.lower) >= elapsed(last):
                return
            if timezone == self.timezone:
                yield each
            else:
                yield Bounds(in_zone(each.lower, timezone), in_zone(each.upper, timezone), each.suffix)

    def __str__(self) -> str:
        return self.interval.noun if self.interval.is_ids else f"{self.interval.noun} in {self.timezone}"


@lru_cache(maxsize=100)
def first_shared_bound(earlier: Width, coming: Width, start: DateTime) -> DateTime | None:
    """Return the first bound of both widths at or after ``start``, in the zone of the coming one.

    None if there is none among MOST_BOUNDS of the wider interval, nor in MOST_YEARS.
    """
    narrow, wide = sorted((earlier, coming), key=lambda each: each.interval.days)
    try:
        bound, end = wide.next_bound(start), elapsed(start.add(years=MOST_YEARS))
        for _ in range(MOST_BOUNDS):
            if elapsed(bound) > end:
                return None
            if narrow.begins_at(bound):
                return in_zone(bound, coming.timezone)
            bound = wide.interval.shift(bound, 1)
    except (ValueError, OverflowError):  # the calendar ends with the year 9999
        return None
    return None
