"""A change of the interval: no gap and no overlap at the bound of both, and both kinds of partitions stay managed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pendulum
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pendulum import DateTime

from partition_playbook.catalog import Partition
from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.intervals import Bounds, Interval, between, elapsed, in_zone
from partition_playbook.maintenance.actions import Create, Detach, Drop, Merge
from partition_playbook.maintenance.health import runway_check
from partition_playbook.maintenance.interval_change import INTERVAL_CHANGE, MOST_BEFORE, find_change
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.maintenance.plan import Plan, plan
from partition_playbook.maintenance.ranges import ranges
from partition_playbook.maintenance.state import TableState
from partition_playbook.maintenance.widths import Width, first_shared_bound
from partition_playbook.names import TableName
from partition_playbook.spec import Retention, TableSpec

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Santiago", "Pacific/Apia", "Asia/Beirut"]
TEXTS = ["hour", "6 hours", "day", "2 days", "10 days", "week", "2 weeks", "month", "2 months", "quarter", "year"]
NOW = pendulum.datetime(2026, 3, 10, 13)


def spec_of(interval: str, zone: str = "UTC", **values: object) -> TableSpec:
    zone = "UTC" if "hour" in interval else zone
    given = {"table": "Readings", "partition_by": "at", "interval": interval, "timezone": zone}
    return TableSpec.model_validate(given | values)


def attached(spec: TableSpec, bounds: Bounds) -> Partition:
    lower, upper = bounds.lower.in_timezone("UTC"), bounds.upper.in_timezone("UTC")
    return Partition(spec.name.partition(bounds.suffix), "r", f"FOR VALUES FROM ('{lower}') TO ('{upper}')", False, 0)


def there(spec: TableSpec, first: DateTime, last: DateTime) -> list[Partition]:
    return [
        attached(spec, each)
        for each in between(spec.interval, *(in_zone(each, spec.timezone) for each in (first, last)))
    ]


def planned(spec: TableSpec, partitions: list[Partition], earlier: TableSpec, now: DateTime, **values: object) -> Plan:
    state = TableState(tuple(partitions), now, analyzed_at=now, newest=now, earlier=(Width.of(earlier),))
    return plan(spec, state, now, **values)  # type: ignore[arg-type]


def applied(spec: TableSpec, partitions: list[Partition], made: Plan) -> list[Partition]:
    return partitions + [attached(spec, each.bounds) for each in made.actions if isinstance(each, Create)]


def told(made: Plan) -> Check | None:
    return next((each for each in made.findings if each.name == INTERVAL_CHANGE), None)


def created(made: Plan) -> list[str]:
    return [each.partition.name.removeprefix("Readings_") for each in made.actions if isinstance(each, Create)]


CHANGES = [
    ("month", "day", "UTC", 62, "2026-05-01T00:00+00:00", ["y2026m05d01", "y2026m05d11"]),
    ("month", "day", "Europe/Berlin", 62, "2026-05-01T00:00+02:00", ["y2026m05d01", "y2026m05d11"]),
    ("day", "month", "UTC", 1, "2026-05-01T00:00+00:00", []),
    ("month", "week", "UTC", 30, "2026-06-01T00:00+00:00", ["y2026m05", "y2026w23", "y2026w40"]),
    ("week", "month", "Europe/Berlin", 3, "2026-06-01T00:00+02:00", ["y2026w19", "y2026w22", "y2026m06"]),
    ("day", "hour", "UTC", 3, "2026-05-01T00:00+00:00", []),
    (
        "hour",
        "day",
        "America/New_York",
        60,
        "2026-05-01T00:00-04:00",
        ["y2026m05d01h00", "y2026m05d01h03", "y2026m05d01"],
    ),
]


@pytest.mark.parametrize(("before", "after", "zone", "premake", "begins", "names"), CHANGES)
def test_new_partitions_begin_at_the_first_bound_of_both(
    before: str, after: str, zone: str, premake: int, begins: str, names: list[str]
) -> None:
    earlier, spec = spec_of(before, zone), spec_of(after, zone)
    last = in_zone(pendulum.datetime(2026, 4, 30, 23), earlier.timezone) if before != "month" else NOW.add(months=1)
    made = planned(spec, there(earlier, NOW.subtract(months=1), last), earlier, NOW, premake=premake)
    found = told(made)
    assert found is not None
    assert f"begin at {begins}" in found.actual
    assert [each for each in created(made) if each in names] == names
    assert [each.name for each in made.findings if each.outcome is Outcome.FAILED] == []
    assert created(made)[:1] == names[:1]


@pytest.mark.parametrize(("zone", "others"), [("Europe/Berlin", "`hour`"), ("Asia/Kolkata", "back to `day`")])
def test_without_a_bound_of_both_the_earlier_partitions_go_on_and_the_check_says_so(zone: str, others: str) -> None:
    earlier, spec = spec_of("day", zone), spec_of("6 hours")
    days = there(earlier, NOW.subtract(days=3), NOW)
    made = planned(spec, days, earlier, NOW)
    found = told(made)
    assert found is not None
    assert (found.outcome, found.severity) == (Outcome.FAILED, Severity.WARNING)
    assert others in found.remedy
    assert f"back to `day` with `timezone: {zone}`" in found.remedy
    assert created(made)[:3] == ["y2026m03d11", "y2026m03d12", "y2026m03d13"]
    assert all("d" in each and "h" not in each for each in created(made))
    there_after = TableState(tuple(applied(spec, days, made)), NOW)
    assert runway_check(spec, there_after, NOW).outcome is Outcome.PASSED


def test_partitions_of_an_unknown_width_are_not_managed() -> None:
    earlier, spec = spec_of("month"), spec_of("day")
    months = there(earlier, NOW.subtract(months=30), NOW)
    rules = Retention.model_validate({"keep": "12 months", "grace": "0 days", "max_share": 1})
    state = TableState(tuple(months), NOW, analyzed_at=NOW, newest=NOW)
    made = plan(spec, state, NOW, retention=rules)
    assert told(made) is None
    assert [each for each in made.actions if isinstance(each, Detach | Drop)] == []
    assert [each.name for each in made.findings if each.outcome is Outcome.FAILED] == ["unmanaged_partitions"]
    assert created(made)[0] == "y2026m04d01"


def test_retention_retires_partitions_of_both_intervals() -> None:
    earlier, spec = spec_of("month"), spec_of("day", premake=3)
    mixed = there(earlier, NOW.subtract(months=5), NOW.subtract(months=2)) + there(
        spec, NOW.subtract(months=1).start_of("month"), NOW.add(days=3)
    )
    rules = Retention.model_validate({"keep": "30 days", "grace": "0 days", "max_share": 1})
    made = planned(spec, mixed, earlier, NOW, retention=rules)
    gone = [each.partition.name for each in made.actions if isinstance(each, Drop)]
    assert gone[:4] == [each.table.name for each in mixed[:4]]
    assert (len(gone), gone[-1]) == (4 + 7, "Readings_y2026m02d07")
    assert (told(made), created(made)) == (None, [])
    assert [each.name for each in made.findings if each.outcome is Outcome.FAILED] == []


def test_a_gap_is_filled_with_partitions_of_its_own_time() -> None:
    earlier, spec = spec_of("month"), spec_of("day")
    mixed = there(earlier, NOW.subtract(months=5), NOW.subtract(months=1)) + there(spec, NOW.start_of("month"), NOW)
    for missing in (mixed[1], mixed[4], mixed[7]):
        made = planned(spec, [each for each in mixed if each is not missing], earlier, NOW, premake=0)
        assert created(made) == [missing.table.name.removeprefix("Readings_")]


def test_the_runway_ends_where_the_last_partition_ends_and_not_with_the_interval_around_it() -> None:
    earlier, spec = spec_of("day"), spec_of("month", maintain="monthly")
    days = there(earlier, NOW, pendulum.datetime(2026, 4, 2))
    found = runway_check(spec, TableState(tuple(days), NOW), NOW)
    assert "they end at 2026-04-03T00:00:00" in found.actual
    assert (found.outcome, found.severity) == (Outcome.FAILED, Severity.WARNING)


def test_a_name_of_63_bytes_is_one_for_each_width() -> None:
    long = TableName("public", "r" * 60)
    suffixes = [each.suffix(pendulum.datetime(2026, 2, 1)) for each in (Interval.MONTH, Interval.DAY, Interval.HOUR)]
    assert len({long.partition(each) for each in suffixes}) == 3


@settings(max_examples=40, deadline=None)
@example(before="month", after="day", zone="America/Santiago", month=9, day=3)
@example(before="day", after="month", zone="Pacific/Apia", month=1, day=31)
@example(before="6 hours", after="day", zone="Asia/Kolkata", month=3, day=27)
@given(
    before=st.sampled_from(TEXTS),
    after=st.sampled_from(TEXTS),
    zone=st.sampled_from(ZONES),
    month=st.integers(1, 12),
    day=st.integers(1, 28),
)
def test_no_moment_has_two_partitions_or_none(before: str, after: str, zone: str, month: int, day: int) -> None:
    """Maintain from the change of the spec until the new partitions have come, in any zone, for any two intervals."""
    earlier, spec = spec_of(before, zone), spec_of(after, zone)
    now = pendulum.datetime(2026, month, min(day, 28), 13)
    partitions = there(earlier, now, in_zone(now, earlier.timezone) + 2 * (earlier.interval.shift(now, 1) - now))
    change = find_change(spec, ranges(spec, partitions, [Width.of(earlier)]))
    if earlier.interval == spec.interval and earlier.timezone == spec.timezone:
        assert change is None
        return

    if change:
        assert change.begins == first_shared_bound(Width.of(earlier), Width.of(spec), change.ends)
    wide = max(earlier.interval, spec.interval, key=lambda each: each.days)
    for _ in range(3):
        made = planned(spec, partitions, earlier, now, premake=3)
        partitions = applied(spec, partitions, made)
        found = sorted(ranges(spec, partitions, [Width.of(earlier)]), key=lambda each: each.lower)  # type: ignore[arg-type,return-value]
        assert all(each.width for each in found)
        assert all(
            elapsed(left.upper) == elapsed(right.lower) for left, right in pairwise(found) if left.upper and right.lower
        )
        assert len({each.table for each in partitions}) == len(partitions)
        begun = [each.lower for each in found if each.width == Width.of(spec) and each.lower]
        if change and begun:
            assert change.begins is not None
            assert elapsed(min(begun)) == elapsed(change.begins)
        assert found[-1].upper
        is_far = len(created(made)) in (0, MOST_BEFORE)  # more than 400 are missing, or 300 up to the change
        assert elapsed(found[-1].upper) >= elapsed(made.horizon) or is_far
        now = now.add(days=int(wide.days) + 1)


def merged(made: Plan) -> list[str]:
    return [each.partition.name.removeprefix("Readings_") for each in made.actions if isinstance(each, Merge)]


def days_of_winter() -> list[Partition]:
    return there(spec_of("day"), pendulum.datetime(2025, 11, 20), pendulum.datetime(2026, 3, 31))


def asked(
    partitions: list[Partition], before: DateTime | None = NOW, interval: str = "month", **values: object
) -> Plan:
    state = TableState(tuple(partitions), NOW, analyzed_at=NOW, newest=NOW, earlier=(Width.of(spec_of("day")),))
    rules = values.pop("retention", None)
    state = replace(state, **values)  # type: ignore[arg-type]
    return plan(spec_of(interval), state, NOW, merge_before=before, retention=rules)  # type: ignore[arg-type]


def left_to_merge(made: Plan) -> str:
    return next((each.actual for each in made.findings if each.name == "merge"), "")


def test_only_whole_past_intervals_are_merged_and_only_when_asked() -> None:
    days = days_of_winter()
    assert merged(asked(days, before=None)) == []
    assert left_to_merge(asked(days, before=None)).startswith(
        "90 partitions could be merged into Readings_y2025m12, Readings_y2026m01, Readings_y2026m02; only the param"
    )
    made = asked(days)
    assert (merged(made), left_to_merge(made)) == (["y2025m12", "y2026m01", "y2026m02"], "")
    some = asked(days, before=pendulum.datetime(2026, 2, 10))
    assert merged(some) == ["y2025m12", "y2026m01"]
    assert left_to_merge(some).endswith(
        "into Readings_y2026m02; this run merges only what ended by 2026-02-10T00:00+00:00"
    )
    (first, *_) = [each for each in made.actions if isinstance(each, Merge)]
    assert (len(first.found), first.found[0].table.name, first.bounds.lower.day) == (31, "Readings_y2025m12d01", 1)
    assert "ACCESS EXCLUSIVE" in first.lock
    assert first.reason == "Readings_y2025m12d01 to Readings_y2025m12d31, 31 partitions, are one whole month"

    made = asked(days, before=pendulum.datetime(2026, 2, 1))
    assert merged(made) == ["y2025m12", "y2026m01"]
    assert left_to_merge(made).startswith("28 partitions could be merged into Readings_y2026m02")
    assert merged(asked(days, interval="week"))[:2] == ["y2025w48", "y2025w49"]
    assert "y2026w10" in merged(asked(days, interval="week"))
    assert "y2026w11" not in merged(asked(days, interval="week"))


def test_a_merge_leaves_what_it_could_break() -> None:
    days = days_of_winter()
    gap = [each for each in days if not each.table.name.endswith("y2026m01d17")]
    assert merged(asked(gap)) == ["y2025m12", "y2026m02"]
    pending = [replace(each, detach_pending=each.table.name.endswith("y2026m01d17")) for each in days]
    assert merged(asked(pending)) == ["y2025m12", "y2026m02"]
    foreign = [replace(each, kind="f" if each.table.name.endswith("y2026m01d17") else "r") for each in days]
    assert merged(asked(foreign)) == ["y2025m12", "y2026m02"]
    assert merged(asked(days, references={days[-50].table: ["k"]})) == ["y2025m12", "y2026m01"]
    rules = Retention.model_validate({"keep": "90 days", "grace": "0 days", "max_share": 1})
    assert merged(asked(days, retention=rules)) == ["y2026m01", "y2026m02"]
    made = asked(days, deferral="the migration m is not finalized (phase live)")
    assert merged(made) == []
    assert left_to_merge(made).endswith("deferred: the migration m is not finalized (phase live)")
    wide = there(spec_of("day"), pendulum.datetime(2025, 1, 1), NOW)
    assert merged(asked(wide, interval="quarter")) == ["y2025q1", "y2025q2", "y2025q3", "y2025q4"]
    assert merged(asked(wide, interval="year")) == [], "too many to drop under one lock"


def test_partitions_are_merged_by_hand_for_one_table_only() -> None:
    with pytest.raises(ValueError, match="merge is for one table only"):
        MaintenanceParams(merge="3 months")
    params = MaintenanceParams(table="readings", merge="3 months")
    assert params.merge_before(NOW) == NOW.subtract(months=3)
    assert MaintenanceParams().merge_before(NOW) is None
