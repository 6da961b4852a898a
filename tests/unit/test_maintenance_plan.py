from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pendulum
import pytest
from pendulum import DateTime

from partition_playbook.catalog import Partition
from partition_playbook.checks import Outcome, Severity
from partition_playbook.intervals import Interval, between
from partition_playbook.maintenance.actions import Action, Analyze, Create, Detach, Drop, Finalize, describe
from partition_playbook.maintenance.plan import Found, Plan, plan
from partition_playbook.names import TableName
from partition_playbook.spec import Retention, TableSpec

MICROSECOND = timedelta(microseconds=1)
TWO_YEARS = Retention(keep="24 months")


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


def own(table: TableSpec, first: str, last: str) -> list[Partition]:
    zone = table.timezone
    return [
        ranged(f"p_{each.suffix}", f"'{each.lower}'", f"'{each.upper}'")
        for each in between(table.interval, at(first, zone), at(last, zone))
    ]


def found(partitions: Sequence[Partition], clock: DateTime, **values: object) -> Found:
    return Found(tuple(partitions), clock, **{"analyzed_at": clock, **values})  # type: ignore[arg-type]


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


@pytest.mark.parametrize("interval", list(Interval))
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Apia", "Asia/Kathmandu"])
def test_what_is_planned_is_in_order_afterwards(interval: Interval, zone: str) -> None:
    table = spec(interval=interval, timezone=zone)
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
    assert failed(planned) == ["own_partitions"]


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
    planned = made(table, there, at("2026-02-14"), retention=Retention(keep="1 month"))
    assert names(planned, Detach, Drop) == []
    assert "own_partitions" in failed(planned)


def test_a_partition_up_to_maxvalue_covers_everything_ahead() -> None:
    table = spec()
    there = [*own(table, "2026-01-01", "2026-01-01"), ranged("rest", "'2026-02-01 00:00:00+00'", "MAXVALUE")]
    planned = made(table, there, at("2026-02-14"))
    assert (names(planned, Create), failed(planned)) == ([], ["own_partitions"])


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
    assert (names(planned, Detach, Drop), failed(planned)) == ([], ["own_partitions"])


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
    planned = made(table, there, at("2026-02-14"), retention=Retention(keep="0 days"))
    assert names(planned, Drop) == ["p_y2026m01"]


def test_a_cutoff_in_the_future_is_refused() -> None:
    table = spec()
    there = own(table, "2024-01-01", "2026-05-01")
    clock = at("2026-02-14")
    month = Retention(keep="1 month")
    refused = made(table, there, clock.add(months=1) + MICROSECOND, clock=clock, retention=month)
    assert (names(refused, Detach, Drop), failed(refused)) == ([], ["cutoff_in_the_past"])


def test_for_a_moment_that_has_not_come_partitions_are_made_and_nothing_is_retired() -> None:
    table = spec()
    there = own(table, "2024-01-01", "2026-05-01")
    clock = at("2026-02-14")
    planned = made(table, there, at("2026-03-14"), clock=clock, retention=TWO_YEARS)
    assert names(planned, Create, Detach, Drop) == ["Readings_y2026m06"]
    assert "lies after the server's clock" in planned.deferral
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
    planned = made(table, [pending, *there], at("2026-02-14"), retention=Retention(keep="1 month"))
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
    left, unclear = TableName("public", "left"), TableName("public", "unclear")
    planned = made(table, there, at("2026-02-14"), retention=TWO_YEARS, detached=(left,), intended=(unclear,))
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
    assert (names(planned, Create), failed(planned)) == ([], ["plausible_plan"])


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
