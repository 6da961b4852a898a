"""In every zone from 1970 to 2037, bounds adjoin and hold their rows, whatever the clocks do at midnight."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pendulum import DateTime

from partition_playbook.catalog import bound_ends
from partition_playbook.codecs import Codec
from partition_playbook.intervals import INTERVALS, Bounds, Interval, Unit, between, bounds_at, in_zone

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)
DAY, MICROSECOND = timedelta(days=1), timedelta(microseconds=1)
STEP = 14 * DAY  # no zone changes its clock and changes it back within so short a time
WITHOUT_ZONE = "timestamp without time zone"


def zones() -> list[str]:
    return sorted(available_timezones() - {"localtime"})


@cache
def changes() -> list[tuple[str, datetime]]:
    """Return every moment at which a clock of some zone passes midnight by a change; zones with the same ones once."""
    found = {}
    samples = [FIRST + count * STEP for count in range((LAST - FIRST) // STEP + 1)]
    for name in zones():
        zone = ZoneInfo(name)
        offsets = [each.astimezone(zone).utcoffset() for each in samples]
        found.setdefault(tuple(offsets), name)
    return [
        (name, moment)
        for offsets, name in found.items()
        for number, (left, right) in enumerate(pairwise(offsets))
        if left != right and passes_midnight(name, moment := change(name, samples[number], left))
    ]


def change(name: str, start: datetime, offset: timedelta | None) -> datetime:
    zone = ZoneInfo(name)
    seconds = range(int(STEP.total_seconds()))
    later = bisect_left(
        seconds, True, key=lambda each: (start + timedelta(seconds=each)).astimezone(zone).utcoffset() != offset
    )
    return start + timedelta(seconds=later)


def passes_midnight(name: str, moment: datetime) -> bool:
    """Tell whether 00:00 lies between both readings of the clock, or is one of them."""
    before, after = (wall(each, name) for each in (moment - MICROSECOND, moment))
    return (min(before, after) - MICROSECOND).date() != (max(before, after) + MICROSECOND).date()


def wall(moment: datetime, name: str) -> datetime:
    return moment.astimezone(ZoneInfo(name)).replace(tzinfo=None, fold=0)


def utc(moment: DateTime) -> datetime:
    return datetime.combine(moment, moment.timetz()).astimezone(UTC)


def one_of_a_kind() -> list[tuple[str, datetime]]:
    """Return one change of each kind in each zone: the clocks before and after it, without the day."""
    found = {}
    for name, moment in changes():
        before, after = (wall(each, name) for each in (moment - MICROSECOND, moment))
        found[name, before.time(), after.time(), after > before] = moment
    return [(name, moment) for (name, *_), moment in found.items()]


def beside(moment: datetime) -> Iterator[datetime]:
    """Yield moments from the day before to the day after, dense in the hours around."""
    for hours in (-25, -12, -3, -1.5, -1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1, 1.5, 3, 12, 25):
        yield moment + timedelta(hours=hours)
        yield moment + timedelta(hours=hours) - MICROSECOND


def adjoin(found: list[Bounds]) -> None:
    for left, right in pairwise(found):
        assert utc(left.upper) == utc(right.lower)
        assert left.upper.isoformat() == right.lower.isoformat()
        for kind in ("timestamp with time zone", WITHOUT_ZONE, "date"):
            assert left.literals(kind)[1] == right.literals(kind)[0]
            assert left.literals(kind)[0] < left.literals(kind)[1]  # type: ignore[operator]
    assert all(utc(each.lower) < utc(each.upper) for each in found)
    assert len({each.suffix for each in found}) == len(found)


def begins_its_day(bounds: Bounds, name: str) -> None:
    """Compare with the zone's own clock: it came to the first day here, and was never there before."""
    lower = utc(bounds.lower)
    first = bounds.literals("date")[0]
    assert wall(lower, name).date() >= first
    for before in (MICROSECOND, *(timedelta(hours=hours) for hours in (0.5, 1, 2, 3))):
        assert wall(lower - before, name).date() < first


CIVIL = [each for each in INTERVALS if each.unit is not Unit.HOUR]
MULTIPLES = [Interval.parse(each) for each in ("2 days", "10 days", "2 weeks", "3 months", "5 months")]


def come_back(interval: Interval, bounds: Bounds, name: str) -> None:
    assert bounds_at(interval, bounds.lower) == bounds
    assert bounds_at(interval, in_zone(utc(bounds.lower), name)) == bounds
    assert str(bounds_at(interval, bounds.lower)) == str(bounds)
    assert interval.shift(bounds.upper, -1).isoformat() == bounds.lower.isoformat()
    kinds = ["timestamp with time zone", WITHOUT_ZONE, *(["date"] if interval.unit is not Unit.HOUR else [])]
    for kind in kinds:
        lower, upper = bounds.literals(kind)
        assert [in_zone(each, name) for each in (lower, upper)] == [bounds.lower, bounds.upper]
        assert bound_ends(f"FOR VALUES FROM ('{lower}') TO ('{upper}')", Codec(name)) == (bounds.lower, bounds.upper)


def holds(bounds: Bounds, moment: datetime) -> None:
    assert utc(bounds.lower) <= moment < utc(bounds.upper)


def holds_wall_clock(bounds: Bounds, moment: datetime) -> None:
    lower, upper = bounds.literals(WITHOUT_ZONE)
    assert lower <= moment < upper  # type: ignore[operator]
    assert (lower.time(), upper.time()) == (time(), time())  # type: ignore[union-attr]
    first, after = bounds.literals("date")
    assert first <= moment.date() < after
    assert (lower.date(), upper.date()) == (first, after)  # type: ignore[union-attr]


def test_the_changes_are_those_that_are_known() -> None:
    known = {(name, moment.date()) for name, moment in changes()}
    for name, day in (
        ("America/Santiago", date(2026, 9, 6)),
        ("Africa/Cairo", date(2027, 4, 29)),
        ("America/Havana", date(2026, 11, 1)),
        ("Asia/Beirut", date(2026, 3, 28)),
        ("Atlantic/Azores", date(2026, 10, 25)),
        ("America/Asuncion", date(2023, 10, 1)),
        ("Pacific/Apia", date(2011, 12, 30)),
    ):
        assert (name, day) in known
    assert len(changes()) > 2_000


@pytest.mark.parametrize("interval", [*CIVIL, Interval.parse("2 days"), Interval.parse("3 months")], ids=str)
def test_bounds_adjoin_where_a_clock_changes_at_midnight(interval: Interval) -> None:
    monthly = [(name, moment) for name, moment in changes() if (moment + DAY / 2).day == 1]
    for name, moment in changes() if interval is Interval.DAY else [*one_of_a_kind(), *monthly]:
        first, last = (in_zone(moment + days * DAY, name) for days in (-1, 1))
        found = list(between(interval, first, last))
        try:
            adjoin(found)
            for each in found:
                come_back(interval, each, name)
                begins_its_day(each, name)
            holds(found[0], moment - DAY)
            holds(found[-1], moment + DAY)
        except AssertionError as error:
            error.add_note(f"{name} {moment}: {'; '.join(map(str, found))}")
            raise


@pytest.mark.parametrize("interval", [Interval.DAY, Interval.MONTH])
def test_each_row_lies_in_its_bounds_where_a_clock_changes_at_midnight(interval: Interval) -> None:
    for name, moment in one_of_a_kind():
        midnights = {datetime.combine(wall(each, name), time()) for each in (moment - MICROSECOND, moment)}
        try:
            for row in beside(moment):
                holds(bounds_at(interval, in_zone(row, name)), row)
            for row in (each for midnight in midnights for each in beside(midnight)):
                holds_wall_clock(bounds_at(interval, in_zone(row, name)), row)
                assert in_zone(pendulum.instance(row).naive(), name) == in_zone(row, name)
        except AssertionError as error:
            error.add_note(f"{name} {moment}: {row}")
            raise


@given(
    st.sampled_from(zones()),
    st.sampled_from([*CIVIL, *MULTIPLES]),
    st.datetimes(datetime(1970, 1, 1), datetime(2037, 12, 31)),
    st.integers(0, 40),
)
def test_bounds_adjoin_at_any_moment_of_any_zone(name: str, interval: Interval, clock: datetime, more: int) -> None:
    holds_wall_clock(bounds_at(interval, in_zone(clock, name)), clock)
    moment = clock.replace(tzinfo=UTC)
    start = in_zone(moment, name)
    found = list(between(interval, start, interval.shift(interval.floor(start), more)))
    adjoin(found)
    holds(found[0], moment)
    for each in found[:2]:
        come_back(interval, each, name)
        begins_its_day(each, name)


HOURS = [Interval.parse(each) for each in ("hour", "5 hours", "6 hours")]


@given(st.sampled_from(zones()), st.sampled_from(HOURS), st.datetimes(datetime(1970, 1, 1), datetime(2037, 12, 31)))
def test_hours_are_those_of_utc_in_any_zone(name: str, interval: Interval, clock: datetime) -> None:
    moment = clock.replace(tzinfo=UTC)
    found = list(between(interval, in_zone(moment, name), in_zone(moment + DAY, name)))
    assert all(utc(left.upper) == utc(right.lower) for left, right in pairwise(found))
    holds(found[0], moment)
    holds(found[-1], moment + DAY)
    for each in found:
        assert utc(each.upper) - utc(each.lower) == timedelta(hours=interval.count)
        assert each.literals(WITHOUT_ZONE) == tuple(utc(end).replace(tzinfo=None) for end in (each.lower, each.upper))
        come_back(interval, each, "UTC")
    names = [each.suffix for each in found]
    assert sorted(set(names)) == names


def test_the_doubled_hour_has_two_partitions() -> None:
    zone = "Europe/Berlin"
    first, last = (datetime(2026, 10, 24, 22, 30, tzinfo=UTC) + timedelta(hours=count) for count in (0, 4))
    found = list(between(Interval.HOUR, in_zone(first, zone), in_zone(last, zone)))
    assert [in_zone(each.lower, zone).hour for each in found] == [0, 1, 2, 2, 3]
    assert [each.suffix[-3:] for each in found] == ["h22", "h23", "h00", "h01", "h02"]


def literals(name: str, moment: datetime | date, kind: str) -> tuple[str, str]:
    lower, upper = bounds_at(Interval.DAY, in_zone(moment, name)).literals(kind)
    return lower.isoformat(), upper.isoformat()


def test_a_day_without_a_midnight_begins_at_its_first_moment() -> None:
    moment = datetime(2026, 9, 6, 12, tzinfo=UTC)
    assert literals("America/Santiago", moment, "timestamp with time zone") == (
        "2026-09-06T01:00:00-03:00",
        "2026-09-07T00:00:00-03:00",
    )
    assert bounds_at(Interval.DAY, in_zone(moment, "America/Santiago")).suffix == "y2026m09d06"


@pytest.mark.parametrize("kind", [WITHOUT_ZONE, "timestamp(3) without time zone"])
def test_a_column_without_a_zone_has_the_midnight_that_never_was(kind: str) -> None:
    found = literals("America/Santiago", datetime(2026, 9, 6, 0, 30), kind)
    assert found == ("2026-09-06T00:00:00", "2026-09-07T00:00:00")
    assert literals("America/Santiago", date(2026, 9, 6), "date") == ("2026-09-06", "2026-09-07")


def test_a_day_with_two_midnights_begins_at_the_first() -> None:
    for moment in (datetime(2026, 11, 1, 4, 30, tzinfo=UTC), datetime(2026, 11, 1, 5, 30, tzinfo=UTC)):
        assert literals("America/Havana", moment, "timestamp with time zone") == (
            "2026-11-01T00:00:00-04:00",
            "2026-11-02T00:00:00-05:00",
        )


def test_a_wall_clock_that_was_passed_over_before_midnight_belongs_to_its_own_day() -> None:
    found = literals("America/Nuuk", datetime(2026, 3, 28, 23, 30), WITHOUT_ZONE)
    assert found == ("2026-03-28T00:00:00", "2026-03-29T00:00:00")


def test_a_day_that_never_was_belongs_to_the_next_one() -> None:
    for day in (30, 31):
        found = literals("Pacific/Apia", datetime(2011, 12, day, 12), WITHOUT_ZONE)
        assert found == ("2011-12-30T00:00:00", "2012-01-01T00:00:00")
    assert literals("Pacific/Apia", date(2011, 12, 29), "date") == ("2011-12-29", "2011-12-30")


BEFORE_THE_CALENDAR = ("-infinity", "0044-03-15 00:00:00 BC", "0001-01-01 00:00:00+00")
AFTER_THE_CALENDAR = ("infinity", "10000-01-01", "9999-12-31 23:00:00-10", "294276-12-31 23:59:59.999999+00")


@pytest.mark.parametrize("end", BEFORE_THE_CALENDAR)
def test_a_bound_before_the_calendar_is_an_open_end(end: str) -> None:
    found, codec = "2026-01-01 00:00:00", Codec("America/Santiago")
    lower, upper = bound_ends(f"FOR VALUES FROM ('{end}') TO ('{found}')", codec) or ("?", "?")
    assert (lower, upper) == (None, codec.bound(found))
    assert bound_ends(f"FOR VALUES FROM ('{found}') TO ('{end}')", codec) is None


@pytest.mark.parametrize("end", AFTER_THE_CALENDAR)
def test_a_bound_after_the_calendar_is_an_open_end(end: str) -> None:
    found, codec = "2026-01-01 00:00:00", Codec("Pacific/Auckland")
    lower, upper = bound_ends(f"FOR VALUES FROM ('{found}') TO ('{end}')", codec) or ("?", "?")
    assert (lower, upper) == (codec.bound(found), None)
    assert bound_ends(f"FOR VALUES FROM ('{end}') TO ('{found}')", codec) is None


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ("'-infinity'", "'infinity'"),
        ("'0044-03-15 00:00:00 BC'", "'10000-01-01'"),
        ("MINVALUE", "'20000-01-01 00:00:00+00'"),
        ("'0044-03-15 BC'", "MAXVALUE"),
    ],
)
def test_bounds_around_the_whole_calendar_are_open(lower: str, upper: str) -> None:
    codec, moment = Codec("UTC"), pendulum.datetime(2026, 1, 1)
    assert bound_ends(f"FOR VALUES FROM ({lower}) TO ('2026-01-01 00:00:00')", codec) == (None, moment)
    assert bound_ends(f"FOR VALUES FROM ('2026-01-01 00:00:00') TO ({upper})", codec) == (moment, None)
    for outer in (f"FROM ({upper}) TO (MAXVALUE)", f"FROM (MINVALUE) TO ({lower})"):
        if "VALUE" not in f"{lower}{upper}":
            assert bound_ends(f"FOR VALUES {outer}", codec) is None
