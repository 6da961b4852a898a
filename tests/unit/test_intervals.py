from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise

import pendulum
import pytest

from partition_playbook.intervals import INTERVALS, Interval, between, bounds_at, in_zone

MULTIPLES = [Interval.parse(each) for each in ("6 hours", "5 hours", "10 days", "2 weeks", "3 months", "5 months")]


@pytest.mark.parametrize(
    ("interval", "moment", "lower", "upper", "suffix"),
    [
        (Interval.MONTH, "2026-02-28T23:59:59.999999", "2026-02-01", "2026-03-01", "y2026m02"),
        (Interval.MONTH, "2025-12-31T12:00:00", "2025-12-01", "2026-01-01", "y2025m12"),
        (Interval.DAY, "2024-02-29T00:00:00", "2024-02-29", "2024-03-01", "y2024m02d29"),
        (Interval.WEEK, "2026-01-01T00:00:00", "2025-12-29", "2026-01-05", "y2026w01"),
        (Interval.WEEK, "2027-01-03T23:00:00", "2026-12-28", "2027-01-04", "y2026w53"),
        (Interval.QUARTER, "2026-11-23T00:00:00", "2026-10-01", "2027-01-01", "y2026q4"),
        (Interval.YEAR, "2026-11-23T00:00:00", "2026-01-01", "2027-01-01", "y2026"),
        (Interval.HOUR, "2026-02-28T23:59:59.999999", "2026-02-28T23:00", "2026-03-01", "y2026m02d28h23"),
        (Interval.parse("6 hours"), "2026-02-28T05:00", "2026-02-28T00:00", "2026-02-28T06:00", "y2026m02d28h00"),
        (Interval.parse("7 hours"), "2000-01-02T23:59:59", "2000-01-02T17:00", "2000-01-03T00:00", "y2000m01d02h17"),
        (Interval.parse("10 days"), "2000-01-13", "2000-01-13", "2000-01-23", "y2000m01d13"),
        (Interval.parse("2 weeks"), "2026-12-01", "2026-11-30", "2026-12-14", "y2026w49"),
        (Interval.parse("3 months"), "2026-11-23", "2026-10-01", "2027-01-01", "y2026m10"),
        (Interval.parse("5 months"), "1999-12-31", "1999-08-01", "2000-01-01", "y1999m08"),
        (Interval.parse("2 quarters"), "2026-11-23", "2026-07-01", "2027-01-01", "y2026q3"),
    ],
)
def test_bounds_hold_their_moment(interval: Interval, moment: str, lower: str, upper: str, suffix: str) -> None:
    found = bounds_at(interval, pendulum.parse(moment))
    assert (found.lower, found.upper, found.suffix) == (pendulum.parse(lower), pendulum.parse(upper), suffix)


def test_a_bound_belongs_to_the_later_interval() -> None:
    edge = pendulum.datetime(2026, 2, 1)
    assert bounds_at(Interval.MONTH, edge).lower == edge
    assert bounds_at(Interval.MONTH, edge.subtract(microseconds=1)).upper == edge


@pytest.mark.parametrize("interval", [*INTERVALS, *MULTIPLES], ids=str)
def test_there_is_no_gap_and_no_overlap(interval: Interval) -> None:
    found = list(between(interval, pendulum.datetime(2023, 11, 15), pendulum.datetime(2026, 3, 1)))
    assert found[0].lower <= pendulum.datetime(2023, 11, 15) < found[0].upper
    assert found[-1].lower <= pendulum.datetime(2026, 3, 1) < found[-1].upper
    assert all(left.upper == right.lower for left, right in pairwise(found))
    suffixes = [each.suffix for each in found]
    assert sorted(set(suffixes)) == suffixes


@pytest.mark.parametrize(("text", "read"), [("1 month", "month"), ("6 hour", "6 hours"), ("12 months", "12 months")])
def test_an_interval_is_read_and_written(text: str, read: str) -> None:
    assert str(Interval.parse(text)) == read
    assert Interval.parse(read) == Interval.parse(text)


@pytest.mark.parametrize("text", ["0 days", "-1 day", "2 years", "366 days", "13 months", "8768 hours", "1.5 days"])
def test_no_interval_is_wider_than_a_year_or_without_width(text: str) -> None:
    with pytest.raises(ValueError, match="write "):
        Interval.parse(text)


def test_days_keep_to_the_wall_clock_when_the_clocks_change() -> None:
    zone = "Europe/Berlin"
    found = list(
        between(Interval.DAY, pendulum.datetime(2026, 3, 28, tz=zone), pendulum.datetime(2026, 3, 30, tz=zone))
    )
    hours = [(each.upper - each.lower).total_hours() for each in found]
    assert hours == [24, 23, 24]


def test_months_of_a_zone_begin_at_its_own_midnight() -> None:
    moment = in_zone(datetime(2026, 1, 31, 23, 30, tzinfo=UTC), "Europe/Berlin")
    assert bounds_at(Interval.MONTH, moment).suffix == "y2026m02"


def test_equal_moments_of_two_zones_have_bounds_of_their_own() -> None:
    moment = pendulum.datetime(2026, 1, 31, 23, 30)
    assert bounds_at(Interval.MONTH, moment).suffix == "y2026m01"
    assert bounds_at(Interval.MONTH, moment.in_timezone("Europe/Berlin")).suffix == "y2026m02"


def test_values_without_a_zone_are_wall_clock_of_the_spec() -> None:
    assert in_zone(datetime(2026, 7, 1), "America/New_York").isoformat() == "2026-07-01T00:00:00-04:00"
    assert in_zone(date(2026, 7, 1), "Asia/Kolkata").isoformat() == "2026-07-01T00:00:00+05:30"


def test_literals_are_written_as_the_column_does() -> None:
    bounds = bounds_at(Interval.MONTH, pendulum.datetime(2026, 7, 4, tz="America/New_York"))
    assert bounds.literals("date") == (date(2026, 7, 1), date(2026, 8, 1))
    assert bounds.literals("timestamp without time zone") == (datetime(2026, 7, 1), datetime(2026, 8, 1))
    assert bounds.literals("timestamp with time zone")[0].isoformat() == "2026-07-01T00:00:00-04:00"  # type: ignore[union-attr]


def test_overlap_is_half_open() -> None:
    bounds = bounds_at(Interval.MONTH, pendulum.datetime(2026, 7, 4))
    assert bounds.overlaps(None, None)
    assert not bounds.overlaps(bounds.upper, None)
    assert not bounds.overlaps(None, bounds.lower)
    assert bounds.overlaps(bounds.lower, bounds.lower.add(microseconds=1))
