from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pendulum
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pendulum import DateTime

from partition_playbook.catalog import Partition
from partition_playbook.checks import Outcome, Severity
from partition_playbook.intervals import INTERVALS, between, bounds_at, in_zone
from partition_playbook.maintenance.actions import Action, Analyze, Archive, Create, Detach, Drop, Finalize, describe
from partition_playbook.maintenance.checks import due_span
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.maintenance.plan import Plan, plan
from partition_playbook.maintenance.ranges import ranges
from partition_playbook.maintenance.retention import Retirement, retire_only
from partition_playbook.maintenance.state import Detached, TableState
from partition_playbook.names import TableName
from partition_playbook.spec import Retention, TableSpec

MICROSECOND = timedelta(microseconds=1)


def keeping(keep: str, **values: object) -> Retention:
    """Return a retention that drops at once and as much as there is."""
    return Retention.model_validate({"keep": keep, "grace": "0 days", "max_share": 1, **values})


TWO_YEARS = keeping("24 months")


def spec(**values: object) -> TableSpec:
    return TableSpec.model_validate({"table": "Readings", "partition_by": "recorded_at", **values})


def at(text: str, zone: str = "UTC") -> DateTime:
    moment = pendulum.parse(text, tz=zone)
    assert isinstance(moment, DateTime)
    return moment


def partition(name: str, bound: str, *, kind: str = "r", pending: bool = False) -> Partition:
    return Partition(TableName("public", name), kind, bound, pending, 0)


def ranged(name: str, lower: str, upper: str, *, kind: str = "r", pending: bool = False) -> Partition:
    return partition(name, f"FOR VALUES FROM ({lower}) TO ({upper})", kind=kind, pending=pending)


DEFAULT = partition("Readings_default", "DEFAULT")


def standing(name: str, since: str = "2026-01-01", lower: str = "2020-01-01", **values: bool) -> Detached:
    """Return a table that retention detached, which held the month from ``lower`` on."""
    return Detached(TableName("public", name), at(since), (at(lower), at(lower).add(months=1)), **values)


def own(table: TableSpec, first: str, last: str) -> list[Partition]:
    zone = table.timezone
    return [
        ranged(f"p_{each.suffix}", f"'{each.lower}'", f"'{each.upper}'")
        for each in between(table.interval, at(first, zone), at(last, zone))
    ]


def found(partitions: Sequence[Partition], clock: DateTime, **values: object) -> TableState:
    return TableState(tuple(partitions), clock, **{"analyzed_at": clock, **values})  # type: ignore[arg-type]


def made(
    table: TableSpec,
    partitions: Sequence[Partition],
    now: DateTime,
    *,
    clock: DateTime | None = None,
    premake: int | None = None,
    retention: Retention | None = None,
    propose: bool = False,
    **values: object,
) -> Plan:
    state = found(partitions, clock or now, **values)
    return plan(table, state, now, premake=premake, retention=retention, propose=propose)


def names(made: Plan, *kinds: type[Action]) -> list[str]:
    return [each.partition.name for each in made.actions if isinstance(each, kinds)]


def failed(made: Plan) -> list[str]:
    return [each.name for each in made.findings if each.outcome is Outcome.FAILED]


def test_a_table_in_order_needs_nothing() -> None:
    table = spec()
    assert made(table, [*own(table, "2025-01-01", "2026-05-01"), DEFAULT], at("2026-02-14")).actions == ()


def test_an_empty_table_gets_the_current_interval_and_those_ahead() -> None:
    planned = made(spec(), [DEFAULT], at("2026-02-14"))
    months = ["Readings_y2026m02", "Readings_y2026m03", "Readings_y2026m04", "Readings_y2026m05"]
    assert names(planned, Create) == months
    assert planned.horizon == at("2026-06-01")


AHEAD = [
    ("month", "UTC", "2026-01-31T23:59:59.999999", ["y2026m01", "y2026m02"]),
    ("month", "UTC", "2026-02-01", ["y2026m02", "y2026m03"]),
    ("month", "UTC", "2025-12-31T12:00", ["y2025m12", "y2026m01"]),
    ("day", "UTC", "2028-02-28", ["y2028m02d28", "y2028m02d29"]),
    ("week", "UTC", "2026-12-31", ["y2026w53", "y2027w01"]),
    ("quarter", "UTC", "2026-11-30", ["y2026q4", "y2027q1"]),
    ("year", "UTC", "2026-06-01", ["y2026", "y2027"]),
    ("month", "Europe/Berlin", "2026-01-31T23:30", ["y2026m02", "y2026m03"]),
    ("month", "America/New_York", "2026-02-01T04:30", ["y2026m01", "y2026m02"]),
    ("day", "Europe/Berlin", "2026-03-28T23:30", ["y2026m03d29", "y2026m03d30"]),
]


@pytest.mark.parametrize(("interval", "zone", "now", "suffixes"), AHEAD)
def test_the_clock_in_the_zone_of_the_spec_decides(interval: str, zone: str, now: str, suffixes: list[str]) -> None:
    planned = made(spec(interval=interval, timezone=zone), [], at(now), premake=1)
    assert names(planned, Create) == [f"Readings_{each}" for each in suffixes]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_on_which_the_clocks_change_is_one_partition(day: str, hours: int) -> None:
    planned = made(spec(interval="day", timezone="Europe/Berlin"), [], at(day, "Europe/Berlin"), premake=0)
    (create,) = [each for each in planned.actions if isinstance(each, Create)]
    assert (create.bounds.upper - create.bounds.lower).total_hours() == hours


@pytest.mark.parametrize("interval", [*map(str, INTERVALS), "6 hours", "10 days", "2 weeks", "5 months"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Apia", "Asia/Kathmandu"])
def test_what_is_planned_is_in_order_afterwards(interval: str, zone: str) -> None:
    table = spec(interval=interval, timezone="UTC" if "hour" in interval else zone)
    now = at("2026-03-28T23:30")
    creates = [each for each in made(table, [], now, premake=40).actions if isinstance(each, Create)]
    there = [ranged(each.partition.name, f"'{each.bounds.lower}'", f"'{each.bounds.upper}'") for each in creates]
    again = made(table, there, now, premake=40)
    assert (again.actions, failed(again)) == ((), [])


@pytest.mark.parametrize("premake", [0, 1, 12])
def test_premake_counts_whole_intervals_after_the_current_one(premake: int) -> None:
    assert len(names(made(spec(), [], at("2026-02-14"), premake=premake), Create)) == premake + 1


def test_a_gap_is_filled_whether_past_current_or_coming() -> None:
    table = spec()
    there = own(table, "2025-10-01", "2026-05-01")
    for missing in (there[1], there[4], there[6]):
        planned = made(table, [each for each in there if each is not missing], at("2026-02-14"))
        assert names(planned, Create) == [missing.table.name.replace("p_", "Readings_")]
        assert names(planned, Analyze) == ["Readings"]


def test_a_gap_that_retention_would_drop_is_not_filled() -> None:
    table = spec()
    there = [*own(table, "2023-01-01", "2023-01-01"), *own(table, "2024-02-01", "2026-05-01")]
    planned = made(table, there, at("2026-02-14"), retention=TWO_YEARS)
    assert (names(planned, Create), names(planned, Drop)) == ([], ["p_y2023m01"])


def test_rows_do_not_move_the_horizon() -> None:
    table = spec()
    far = own(table, "2031-01-01", "2031-01-01")
    planned = made(table, [*own(table, "2026-02-01", "2026-05-01"), *far], at("2026-02-14"))
    assert planned.actions == ()


def test_a_partition_of_another_width_is_reported_and_never_touched() -> None:
    table = spec()
    wide = ranged("history", "'2020-01-01 00:00:00+00'", "'2024-01-01 00:00:00+00'")
    planned = made(table, [wide, *own(table, "2024-01-01", "2026-05-01")], at("2026-02-14"), retention=TWO_YEARS)
    assert "history" not in names(planned, Create, Detach, Drop, Finalize)
    assert failed(planned) == ["unmanaged_partitions"]


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ("MINVALUE", "'2020-01-01 00:00:00+00'"),
        ("MINVALUE", "MAXVALUE"),
        ("'-infinity'", "'2020-01-01 00:00:00+00'"),
        ("'2019-12-01 00:00:00+01'", "'2020-01-01 00:00:00+01'"),
        ("'2019-12-01 00:00:00+00', 1", "'2020-01-01 00:00:00+00', 1"),
        ("'5'", "'10'"),
    ],
)
def test_foreign_bounds_are_never_retired(lower: str, upper: str) -> None:
    table = spec()
    there = [ranged("odd", lower, upper), *own(table, "2026-01-01", "2026-05-01")]
    planned = made(table, there, at("2026-02-14"), retention=keeping("1 month"))
    assert names(planned, Detach, Drop) == []
    assert "unmanaged_partitions" in failed(planned)


def test_a_partition_up_to_maxvalue_covers_everything_ahead() -> None:
    table = spec()
    there = [*own(table, "2026-01-01", "2026-01-01"), ranged("rest", "'2026-02-01 00:00:00+00'", "MAXVALUE")]
    planned = made(table, there, at("2026-02-14"))
    assert (names(planned, Create), failed(planned)) == ([], ["unmanaged_partitions"])


@pytest.mark.parametrize(
    ("lower", "upper", "severity"),
    [("2026-03-10", "2026-03-20", Severity.ERROR), ("2025-12-10", "2025-12-20", Severity.WARNING)],
)
def test_an_overlap_is_reported_and_keeps_only_its_own_interval(lower: str, upper: str, severity: Severity) -> None:
    table = spec()
    odd = ranged("odd", f"'{lower} 00:00:00+00'", f"'{upper} 00:00:00+00'")
    planned = made(table, [*own(table, "2025-11-01", "2025-11-01"), odd], at("2026-02-14"))
    month = f"Readings_y{lower[:4]}m{lower[5:7]}"
    wanted = [f"Readings_y{each}" for each in ("2025m12", "2026m01", "2026m02", "2026m03", "2026m04", "2026m05")]
    assert names(planned, Create) == [each for each in wanted if each != month]
    (overlap,) = [each for each in planned.findings if each.name == "no_overlaps"]
    assert (overlap.outcome, overlap.severity) == (Outcome.FAILED, severity)
    assert "odd" in overlap.actual


@pytest.mark.parametrize("kind", ["p", "f"])
def test_a_partition_that_is_no_plain_table_is_reported_and_never_retired(kind: str) -> None:
    table = spec()
    odd = ranged("odd", "'2020-01-01 00:00:00+00'", "'2020-02-01 00:00:00+00'", kind=kind)
    planned = made(table, [odd, *own(table, "2026-01-01", "2026-05-01")], at("2026-02-14"), retention=TWO_YEARS)
    assert (names(planned, Detach, Drop), failed(planned)) == ([], ["unmanaged_partitions"])


def test_bounds_written_in_another_zone_are_the_same_moments() -> None:
    table = spec(timezone="Europe/Berlin")
    there = [
        ranged("a", "'2026-01-31 23:00:00+00'", "'2026-02-28 23:00:00+00'"),
        ranged("b", "'2026-02-28 18:00:00-05'", "'2026-03-31 18:00:00-04'"),
    ]
    planned = made(table, there, at("2026-02-14"), premake=1)
    assert (planned.actions, failed(planned)) == ((), [])


RETIRED = [
    ("2026-02-01T00:00:00", ["p_y2024m01"]),
    ("2026-01-31T23:59:59.999999", []),
    ("2026-02-01T00:00:00.000001", ["p_y2024m01"]),
    ("2026-03-31T00:00:00", ["p_y2024m01", "p_y2024m02"]),
]


@pytest.mark.parametrize(("now", "dropped"), RETIRED)
def test_retention_drops_a_partition_at_the_cutoff_and_not_a_microsecond_before(now: str, dropped: list[str]) -> None:
    table = spec()
    planned = made(table, own(table, "2024-01-01", "2026-06-01"), at(now), premake=1, retention=TWO_YEARS)
    assert (names(planned, Detach), names(planned, Drop)) == (dropped, dropped)


def test_hours_to_keep_are_elapsed_hours_and_days_are_those_of_the_calendar() -> None:
    now = at("2026-10-25T12:00", "Europe/Berlin")
    cutoffs = [Retention(keep=keep).cutoff(now).isoformat() for keep in ("24 hours", "1 day")]
    assert cutoffs == ["2026-10-24T13:00:00+02:00", "2026-10-24T12:00:00+02:00"]


def test_hourly_partitions_are_retired_by_the_hour() -> None:
    table = spec(interval="hour")
    there = own(table, "2026-02-14T07:00", "2026-02-14T11:00")
    planned = made(table, there, at("2026-02-14T11:59"), retention=keeping("3 hours"), premake=0)
    assert names(planned, Drop) == ["p_y2026m02d14h07"]


def test_the_cutoff_is_in_the_zone_of_the_spec() -> None:
    table = spec(timezone="Europe/Berlin")
    there = own(table, "2024-01-01", "2026-06-01")
    midnight = at("2026-02-01", "Europe/Berlin")
    before = made(table, there, midnight - MICROSECOND, premake=1, retention=TWO_YEARS)
    after = made(table, there, midnight, premake=1, retention=TWO_YEARS)
    assert (names(before, Drop), names(after, Drop)) == ([], ["p_y2024m01"])


def test_retention_believes_bounds_and_not_names() -> None:
    table = spec()
    old = ranged("Readings_y2026m02", "'2020-01-01 00:00:00+00'", "'2020-02-01 00:00:00+00'")
    new = ranged("Readings_y2020m01", "'2026-02-01 00:00:00+00'", "'2026-03-01 00:00:00+00'")
    planned = made(table, [new, old], at("2026-02-14"), premake=0, retention=TWO_YEARS)
    assert names(planned, Drop) == ["Readings_y2026m02"]


def test_the_last_partition_goes_only_where_another_one_comes() -> None:
    table = spec()
    old = own(table, "2020-01-01", "2020-03-01")
    planned = made(table, old, at("2026-02-14"), retention=TWO_YEARS)
    assert names(planned, Drop) == [each.table.name for each in old]
    rest = ranged("rest", "'2021-01-01 00:00:00+00'", "MAXVALUE")
    alone = made(table, [*old, rest], at("2026-02-14"), retention=TWO_YEARS)
    assert (names(alone, Create), names(alone, Drop)) == ([], [each.table.name for each in old[:-1]])


def test_the_current_partition_stays_when_nothing_is_to_be_kept() -> None:
    table = spec()
    there = own(table, "2026-01-01", "2026-05-01")
    planned = made(table, there, at("2026-02-14"), retention=keeping("0 days"))
    assert names(planned, Drop) == ["p_y2026m01"]


def test_a_cutoff_in_the_future_is_refused() -> None:
    table = spec()
    there = own(table, "2024-01-01", "2026-05-01")
    clock = at("2026-02-14")
    month = keeping("1 month")
    refused = made(table, there, clock.add(months=1) + MICROSECOND, clock=clock, retention=month)
    assert (names(refused, Detach, Drop), failed(refused)) == ([], ["cutoff_in_the_past"])


def test_for_a_moment_that_has_not_come_partitions_are_made_and_nothing_is_retired() -> None:
    table = spec()
    there = own(table, "2024-01-01", "2026-05-01")
    clock = at("2026-02-14")
    planned = made(table, there, at("2026-03-14"), clock=clock, retention=TWO_YEARS)
    assert names(planned, Create, Detach, Drop) == ["Readings_y2026m06"]
    assert "is after the server's clock" in planned.deferral
    shown = made(table, there, at("2026-03-14"), clock=clock, retention=TWO_YEARS, propose=True)
    assert [each.partition.name for each in shown.proposed if isinstance(each, Drop)] == ["p_y2024m01", "p_y2024m02"]
    assert names(made(table, there, clock, clock=clock, retention=TWO_YEARS), Drop) == ["p_y2024m01"]


def test_rows_are_due_up_to_the_servers_clock_also_where_the_plan_is_for_an_earlier_moment() -> None:
    planned = made(spec(), [], at("2025-06-14"), clock=at("2025-08-14"))
    creates = [each for each in planned.actions if isinstance(each, Create)]
    assert [each.coming for each in creates] == [False, False, False, True]


def test_retention_waits_for_a_migration_and_says_so() -> None:
    table = spec()
    there = own(table, "2020-01-01", "2026-05-01")
    planned = made(table, there, at("2026-02-14"), retention=TWO_YEARS, deferral="a migration stands")
    assert (names(planned, Detach, Drop), planned.deferral) == ([], "a migration stands")


def test_a_proposal_names_what_would_go_even_while_a_migration_stands() -> None:
    table = spec()
    there = own(table, "2024-01-01", "2026-05-01")
    planned = made(table, there, at("2026-02-14"), retention=TWO_YEARS, propose=True, deferral="a migration stands")
    assert planned.actions == ()
    assert [each.partition.name for each in planned.proposed if isinstance(each, Drop)] == ["p_y2024m01"]


@pytest.mark.parametrize("since", [None, "2020-01-01"])
def test_retention_tells_that_it_leaves_the_partition_for_older_rows(since: str | None) -> None:
    table = spec(since=since)
    older = ranged("Readings_before", "MINVALUE", "'2020-01-01 00:00:00+00'")
    done = made(table, [older, *own(table, "2020-01-05", "2026-09-01"), DEFAULT], at("2026-05-05"), retention=TWO_YEARS)
    assert "Readings_before" not in names(done, Detach, Drop)
    told = {each.name: each for each in done.findings}
    assert ("first_partition" in told) is bool(since)
    assert (told["unmanaged_partitions"].outcome is Outcome.PASSED) is bool(since)


def test_without_a_default_partition_the_detach_is_concurrent() -> None:
    table = spec()
    there = own(table, "2024-01-01", "2026-05-01")
    for partitions, concurrently in ((there, True), ([*there, DEFAULT], False)):
        planned = made(table, partitions, at("2026-02-14"), retention=TWO_YEARS)
        assert [each.concurrently for each in planned.actions if isinstance(each, Detach)] == [concurrently]


def test_an_interrupted_detach_is_finalized_first_and_its_range_not_created_again() -> None:
    table = spec()
    there = own(table, "2026-01-01", "2026-05-01")
    pending = ranged("p_pending", "'2025-12-01 00:00:00+00'", "'2026-01-01 00:00:00+00'", pending=True)
    planned = made(table, [pending, *there], at("2026-02-14"), retention=keeping("1 month"))
    assert isinstance(planned.actions[0], Finalize)
    assert names(planned, Finalize, Create, Detach, Drop) == ["p_pending"]


def test_an_interrupted_detach_that_retention_began_is_dropped_too() -> None:
    table = spec()
    pending = ranged("p_pending", "'2023-12-01 00:00:00+00'", "'2024-01-01 00:00:00+00'", pending=True)
    there = [pending, *own(table, "2026-01-01", "2026-05-01")]
    planned = made(table, there, at("2026-02-14"), retention=TWO_YEARS, intended=(pending.table,))
    assert names(planned, Finalize, Drop) == ["p_pending", "p_pending"]
    assert failed(planned) == []


def test_what_was_detached_in_an_earlier_run_is_dropped_and_what_is_unclear_is_reported() -> None:
    table = spec()
    there = own(table, "2026-01-01", "2026-05-01")
    unclear = TableName("public", "unclear")
    planned = made(
        table, there, at("2026-02-14"), retention=TWO_YEARS, detached=(standing("left"),), intended=(unclear,)
    )
    assert names(planned, Drop) == ["left"]
    assert failed(planned) == ["no_stranded_partition"]


@pytest.mark.parametrize(("days", "due"), [(6.9, False), (7.1, True), (None, True)])
def test_the_parent_is_analyzed_once_a_week(days: float | None, due: bool) -> None:
    table = spec()
    now = at("2026-02-14")
    analyzed = now - timedelta(days=days) if days else None
    planned = made(table, own(table, "2026-01-01", "2026-05-01"), now, analyzed_at=analyzed)
    assert [type(each) for each in planned.actions] == ([Analyze] if due else [])


def test_an_implausible_number_of_partitions_is_not_created() -> None:
    table = spec(interval="day")
    ancient = ranged("ancient", "'1970-01-01 00:00:00+00'", "'1970-01-02 00:00:00+00'")
    planned = made(table, [ancient], at("2026-02-14"))
    assert (names(planned, Create), failed(planned)) == ([], ["too_many_to_create"])


def test_a_partition_at_either_end_of_the_calendar_is_foreign_to_a_multiple() -> None:
    table = spec(interval="5 months")
    first = ranged("first", "'0001-01-01 00:00:00+00'", "'0001-02-01 00:00:00+00'")
    last = ranged("last", "'9999-11-01 00:00:00+00'", "'9999-12-01 00:00:00+00'")
    planned = made(table, [first, last], at("2026-02-14"), premake=1)
    assert failed(planned) == ["unmanaged_partitions"]
    assert len(names(planned, Create)) == 2


def test_a_reason_names_the_hours() -> None:
    planned = made(spec(interval="6 hours"), [], at("2026-02-14T13:00"), premake=1)
    reasons = {each.partition.name[-3:]: each.reason for each in planned.actions if isinstance(each, Create)}
    assert reasons == {
        "h12": "the 6-hour interval of 2026-02-14 13:00 has no partition",
        "h18": "premake 1: 6-hour intervals after 2026-02-14 13:00 are created ahead",
    }


def test_every_action_says_why_and_under_which_lock() -> None:
    table = spec()
    pending = ranged("p_pending", "'2023-12-01 00:00:00+00'", "'2024-01-01 00:00:00+00'", pending=True)
    there = [pending, *own(table, "2024-01-01", "2026-02-01")]
    planned = made(table, there, at("2026-02-14"), retention=TWO_YEARS)
    assert {type(each) for each in planned.actions} == {Create, Finalize, Detach, Drop, Analyze}
    for action in planned.actions:
        assert action.reason
        assert action.reason in describe(action)
        assert "EXCLUSIVE" in action.lock


NOW = at("2026-02-14")
ARCHIVE = keeping("24 months", action="archive", archive_to="memory://archive")


def retired(rules: Retention, partitions: Sequence[Partition], **values: object) -> Plan:
    return made(spec(), partitions, NOW, retention=rules, **values)  # type: ignore[arg-type]


def test_a_partition_is_dropped_only_after_it_stood_detached_through_its_grace_period() -> None:
    there = own(spec(), "2024-01-01", "2026-05-01")
    rules = keeping("24 months", grace="7 days")
    assert names(retired(rules, there), Detach, Drop) == ["p_y2024m01"]
    week = NOW.subtract(days=7)
    for since, dropped in ((week, ["old"]), (week + MICROSECOND, [])):
        planned = retired(rules, there[1:], detached=(standing("old", since.to_iso8601_string()),))
        assert names(planned, Drop) == dropped


def test_grace_goes_by_the_servers_clock_where_a_later_moment_is_asked_for() -> None:
    rules = keeping("24 months", grace="7 days")
    old = standing("old", NOW.subtract(days=1).to_iso8601_string())
    planned = made(spec(), own(spec(), "2026-01-01", "2026-08-01"), NOW.add(days=60), clock=NOW, retention=rules)
    assert failed(planned) == []
    asked = {"clock": NOW, "retention": rules, "detached": (old,)}
    assert names(made(spec(), own(spec(), "2026-01-01", "2026-08-01"), NOW.add(days=60), **asked), Drop) == []


def test_what_is_detached_to_be_kept_is_never_dropped() -> None:
    there = own(spec(), "2024-01-01", "2026-05-01")
    planned = retired(keeping("24 months", action="detach"), there, detached=(standing("old"),))
    assert [(each.partition.name, each.kept) for each in planned.actions if isinstance(each, Detach)] == [
        ("p_y2024m01", True)
    ]
    assert names(planned, Archive, Drop) == []
    assert names(retired(TWO_YEARS, there[1:], detached=(standing("old", kept=True),)), Archive, Drop) == []


def test_an_archive_comes_before_the_drop_and_is_looked_at_again_when_it_is_due() -> None:
    there = own(spec(), "2024-01-01", "2026-05-01")
    planned = retired(ARCHIVE, there)
    assert [type(each) for each in planned.actions] == [Detach, Archive, Drop, Analyze]
    assert all(each.archived for each in planned.actions if isinstance(each, Drop))
    waits = ARCHIVE.model_copy(update={"grace": "7 days"})
    assert [type(each) for each in retired(waits, there).actions] == [Detach, Archive, Analyze]
    recent, due = NOW.subtract(days=1).to_iso8601_string(), NOW.subtract(days=8).to_iso8601_string()
    kinds = {
        (since, archived): [
            type(each)
            for each in retired(waits, there[1:], detached=(standing("old", since, archived=archived),)).actions
            if each.partition.name == "old"
        ]
        for since in (recent, due)
        for archived in (False, True)
    }
    assert kinds == {
        (recent, False): [Archive],
        (recent, True): [],
        (due, False): [Archive, Drop],
        (due, True): [Archive, Drop],
    }


def test_a_detached_table_that_is_to_be_kept_again_is_not_dropped() -> None:
    there = own(spec(), "2026-01-01", "2026-05-01")
    young = standing("young", "2020-01-01", "2024-02-01")
    unknown = Detached(TableName("public", "unknown"), at("2020-01-01"), None)
    assert names(retired(TWO_YEARS, there, detached=(young, unknown)), Drop) == []
    assert names(retired(keeping("23 months"), there, detached=(young, unknown)), Drop) == ["young"]


def only(name: str, rules: Retention, partitions: Sequence[Partition], **values: object) -> Retirement:
    state = found(partitions, at("2026-02-14"), **values)
    return retire_only(TableName("public", name), state, ranges(spec(), partitions), rules, state.clock)


def test_one_partition_is_retired_by_its_name_at_once_and_no_other_that_is_due() -> None:
    """Neither grace nor share nor an unfinished migration counts for it; each of them for any other one."""
    own_one = ranged("proof", "'1999-01-01 00:00:00+00'", "'1999-02-01 00:00:00+00'")
    partitions = [own_one, *own(spec(), "2020-01-01", "2026-05-01"), DEFAULT]
    others = {"detached": (standing("left", "2020-01-01"),), "deferral": "a migration is not finalized"}
    rules = keeping("3 months", max_share=0, grace="90 days")
    planned = only("proof", rules, partitions, **others)
    assert [(type(each), each.partition.name) for each in planned.actions] == [(Detach, "proof"), (Drop, "proof")]
    archiving = keeping("3 months", action="archive", archive_to="s3://bucket")
    kinds = [type(each) for each in only("proof", archiving, partitions, **others).actions]
    assert kinds == [Detach, Archive, Drop]
    kept = only("proof", keeping("3 months", action="detach"), partitions, **others)
    assert [type(each) for each in kept.actions] == [Detach]


def test_a_hold_a_clock_and_the_lack_of_rows_stop_one_partition_too() -> None:
    partitions = [*own(spec(), "2020-01-01", "2026-05-01"), DEFAULT]
    name = partitions[0].table.name
    assert only(name, keeping("3 months"), partitions).actions
    assert not only(name, keeping("3 months", hold=[{"since": "1990-01-01", "reason": "x"}]), partitions).actions
    for stop, values in (
        ("clock_moved_back", {"last_event": at("2026-02-15")}),
        ("rows_after_the_cutoff", {"newest": at("2021-01-01")}),
    ):
        stopped = only(name, keeping("3 months"), partitions, **values)
        assert (stopped.actions, stopped.stops) == ((), (stop,))
    assert not only(partitions[0].table.name, keeping("3 months"), partitions[:1]).actions


def test_more_than_its_share_is_not_retired_until_a_person_approves_it() -> None:
    there = own(spec(), "2023-11-01", "2026-06-01")
    rules = keeping("24 months", max_share=0.09)
    planned = retired(rules, there, detached=(standing("old"),))
    assert (names(planned, Detach, Archive, Drop), failed(planned)) == ([], ["retired_share"])
    (share,) = [each for each in planned.findings if each.name == "retired_share"]
    assert share.blocks
    assert "3 partitions with 11 % of the kept time" in share.actual
    assert "`approve_share` 0.12 " in share.remedy
    assert planned.stops == ("retired_share",)
    approved = MaintenanceParams(table="t", approve_share=0.12).applied(rules)
    assert names(retired(approved, there), Drop) == ["p_y2023m11", "p_y2023m12", "p_y2024m01"]
    assert MaintenanceParams(table="t", approve_share=0.01).applied(rules) == rules


def test_one_partition_may_always_go() -> None:
    there = own(spec(), "2024-01-01", "2026-05-01")
    assert names(retired(keeping("24 months", max_share=0), there), Drop) == ["p_y2024m01"]


def test_the_share_to_approve_is_enough() -> None:
    for count in range(2, 12):
        there = own(spec(), "2022-01-01", "2026-05-01")[24 - count :]
        (share,) = [
            each for each in retired(keeping("24 months", max_share=0), there).findings if each.name == "retired_share"
        ]
        needed = float(share.remedy.split("`approve_share` ")[1].split()[0])
        assert failed(retired(keeping("24 months", max_share=needed), there)) == []


def test_a_proposal_shows_more_than_its_share_and_warns() -> None:
    there = own(spec(), "2023-01-01", "2026-05-01")
    planned = retired(keeping("24 months", max_share=0), there, propose=True)
    assert len(planned.proposed) == 2 * 13
    assert [each.name for each in planned.findings if each.outcome is Outcome.FAILED and not each.blocks] == [
        "retired_share"
    ]


HOLD = {"since": "2020-02-10", "until": "2020-03-01", "reason": "case 4711"}


def test_what_is_on_hold_stays_whether_attached_or_detached_and_the_reason_is_told() -> None:
    there = [*own(spec(), "2020-01-01", "2020-04-01"), *own(spec(), "2026-01-01", "2026-05-01")]
    rules = keeping("24 months", hold=[HOLD])
    old = (standing("held", lower="2020-02-01"), standing("free", lower="2019-02-01"))
    planned = retired(rules, there, detached=old)
    assert names(planned, Drop) == ["p_y2020m01", "p_y2020m04", "free"]
    (hold,) = [each for each in planned.findings if each.name == "hold"]
    assert hold.outcome is Outcome.SKIPPED
    for name in ("p_y2020m02", "p_y2020m03", "held"):
        assert f"public.{name} stays: case 4711" in hold.actual


@pytest.mark.parametrize(
    ("hold", "held"),
    [
        ({"until": "2019-12-31"}, []),
        ({"until": "2020-01-01"}, ["p_y2020m01"]),
        ({"since": "2020-01-31", "until": "2020-01-31"}, ["p_y2020m01"]),
        ({"since": "2020-02-01", "until": "2020-02-01"}, ["p_y2020m02"]),
        ({"since": "2020-02-01"}, ["p_y2020m02"]),
        ({}, ["p_y2020m01", "p_y2020m02"]),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_a_hold_is_of_whole_days_in_the_zone_of_the_spec(zone: str, hold: dict[str, str], held: list[str]) -> None:
    table = spec(timezone=zone)
    there = [*own(table, "2020-01-01", "2020-02-01"), *own(table, "2026-01-01", "2026-05-01")]
    rules = keeping("24 months", hold=[hold | {"reason": "case"}])
    gone = names(made(table, there, NOW, retention=rules), Drop)
    assert gone == [each for each in ("p_y2020m01", "p_y2020m02") if each not in held]


def test_a_key_that_refers_to_a_partition_keeps_it() -> None:
    there = [*own(spec(), "2020-01-01", "2020-02-01"), *own(spec(), "2026-01-01", "2026-05-01")]
    referred = {there[0].table: ("k on notes",), there[-1].table: ("k on notes",)}
    planned = retired(TWO_YEARS, there, references=referred)
    assert (names(planned, Detach), failed(planned)) == (["p_y2020m02"], ["not_referenced"])
    (check,) = [each for each in planned.findings if each.name == "not_referenced"]
    assert check.actual == "public.p_y2020m01 is referenced by k on notes"


def test_a_cutoff_beyond_the_newest_row_stops_retention() -> None:
    there = own(spec(), "2024-01-01", "2026-05-01")
    cutoff = NOW.subtract(months=24)
    old = standing("old")
    stopped = retired(TWO_YEARS, there, newest=cutoff - MICROSECOND, detached=(old,))
    assert (names(stopped, Detach, Drop), failed(stopped)) == ([], ["rows_after_the_cutoff"])
    assert names(retired(TWO_YEARS, there, newest=cutoff), Drop) == ["p_y2024m01"]
    assert failed(retired(TWO_YEARS, there[2:], newest=cutoff - MICROSECOND)) == [], "nothing would go"


def test_a_clock_that_was_set_back_stops_retention() -> None:
    there = own(spec(), "2024-01-01", "2026-05-01")
    late = NOW.add(hours=1)
    stopped = retired(TWO_YEARS, there, last_event=late + MICROSECOND, detached=(standing("old"),))
    assert (names(stopped, Detach, Drop), failed(stopped)) == ([], ["clock_moved_back"])
    assert names(retired(TWO_YEARS, there, last_event=late), Drop) == ["p_y2024m01"]
    shown = retired(TWO_YEARS, there, last_event=late + MICROSECOND, propose=True)
    assert (shown.proposed, failed(shown)) == ((), ["clock_moved_back"])


def test_a_standing_migration_makes_no_error_of_what_would_be_stopped() -> None:
    there = own(spec(), "2020-01-01", "2026-05-01")
    rules = keeping("24 months", max_share=0.1)
    planned = retired(rules, there, deferral="a migration stands", newest=at("2021-01-01"))
    assert names(planned, Detach, Drop) == []
    assert [each.name for each in planned.findings if each.blocks] == []


days = st.integers(-1500, 400)


@settings(max_examples=200, deadline=None)
@given(
    interval=st.sampled_from(["day", "week", "month", "quarter"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    starts=st.lists(days, max_size=12),
    default=st.booleans(),
    keep=st.integers(0, 30),
    unit=st.sampled_from(["days", "weeks", "months"]),
    share=st.floats(0, 1),
    action=st.sampled_from(["drop", "detach", "archive"]),
    held=st.lists(st.tuples(days, st.integers(0, 90)), max_size=2),
    asked=st.integers(-100, 100),
    newest=st.none() | days,
    last_event=st.none() | st.integers(-50, 2),
    detached=st.lists(st.tuples(days, st.integers(0, 30), st.booleans()), max_size=3),
    grace=st.integers(0, 20),
    premake=st.integers(0, 2),
)
def test_whatever_there_is_retention_takes_only_what_may_go(
    interval: str,
    zone: str,
    starts: list[int],
    default: bool,
    keep: int,
    unit: str,
    share: float,
    action: str,
    held: list[tuple[int, int]],
    asked: int,
    newest: int | None,
    last_event: int | None,
    detached: list[tuple[int, int, bool]],
    grace: int,
    premake: int,
) -> None:
    table = spec(interval=interval, timezone=zone)
    clock = in_zone(NOW, zone)
    bounds = {each.lower: each for each in (bounds_at(table.interval, clock.add(days=day)) for day in starts)}
    there = [ranged(f"p_{each.suffix}", f"'{each.lower}'", f"'{each.upper}'") for each in bounds.values()]
    spans = {f"p_{each.suffix}": each for each in bounds.values()}
    apart = {
        f"d{number}": (bounds_at(table.interval, clock.add(days=day)), clock.subtract(days=since), kept)
        for number, (day, since, kept) in enumerate(detached)
    }
    holds = [(clock.add(days=day).date(), clock.add(days=day + length).date()) for day, length in held]
    rules = keeping(
        f"{keep} {unit}",
        grace=f"{grace} days",
        max_share=share,
        action=action,
        archive_to="memory://a" if action == "archive" else None,
        hold=[{"since": since, "until": until, "reason": "case"} for since, until in holds],
    )
    now = clock.add(days=asked)
    planned = made(
        table,
        [*there, *([DEFAULT] if default else [])],
        now,
        clock=clock,
        premake=premake,
        retention=rules,
        newest=None if newest is None else clock.add(days=newest),
        last_event=None if last_event is None else clock.add(days=last_event),
        detached=tuple(
            Detached(TableName("public", name), since, (each.lower, each.upper), kept)
            for name, (each, since, kept) in apart.items()
        ),
    )
    gone = [spans[name] for name in names(planned, Detach)]
    dropped, archived = names(planned, Drop), names(planned, Archive)
    cutoff = now.subtract(**{unit: keep})
    assert DEFAULT.table.name not in (*dropped, *names(planned, Detach))
    kept = sum((min(each.upper, now) - each.lower).total_seconds() for each in bounds.values() if each.lower < now)
    late = [each for each in gone if each.upper <= cutoff - due_span(rules, table.schedule)]
    assert len(gone) <= 1 or not late or sum((each.upper - each.lower).total_seconds() for each in gone) <= share * kept
    assert len(gone) < len(there) or not there or names(planned, Create), "the last"
    for each in (*gone, *(apart[name][0] for name in (*dropped, *archived) if name in apart)):
        assert each.upper <= cutoff, "younger than the cutoff"
        assert each.upper <= clock, "current"
        assert not any(since < each.upper.date() and until >= each.lower.date() for since, until in holds), "held"
    if gone:
        assert newest is None or cutoff <= clock.add(days=newest)
    if gone or dropped:
        assert last_event is None or clock.add(days=last_event) <= clock.add(hours=1)
    for name in dropped:
        assert action != "detach"
        assert action != "archive" or archived.index(name) >= 0
        since, kept = apart[name][1:] if name in apart else (min(now, clock), False)
        assert not kept
        assert since.add(days=grace) <= clock
