"""The partitions ahead outlast the schedule of maintenance, and retention keeps pace with it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pendulum
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pendulum import DateTime

from partition_playbook.catalog import Partition
from partition_playbook.checks import Outcome, Severity
from partition_playbook.errors import InvalidSpec
from partition_playbook.intervals import INTERVALS, Interval, between, in_zone
from partition_playbook.maintenance.actions import Detach
from partition_playbook.maintenance.health import RUNWAY_TOLERANCE, runway_check
from partition_playbook.maintenance.plan import Plan, plan
from partition_playbook.maintenance.state import TableState
from partition_playbook.names import TableName
from partition_playbook.runway import (
    MONTHLY,
    SCHEDULES,
    Schedule,
    default_premake,
    rarest,
)
from partition_playbook.spec import TableSpec, load_spec, require_runway, validated

DAG = Path(__file__).resolve().parents[2] / "dags" / "partition_maintenance.py"
ZONES = ["UTC", "America/Santiago", "America/Los_Angeles", "Pacific/Auckland", "Asia/Kathmandu", "Pacific/Pago_Pago"]


def scheduled(first: int = 2026, last: int = 2031) -> list[DateTime]:
    """Return the runs of the rarest default schedule, as its cron expression says."""
    croniter = pytest.importorskip("croniter").croniter
    begin, end = pendulum.datetime(first, 1, 1), pendulum.datetime(last, 1, 1)
    runs = croniter(MONTHLY.cron, begin, ret_type=float)
    found: list[DateTime] = []
    while not found or found[-1] < end:
        found.append(pendulum.from_timestamp(runs.get_next()))
    return found


RUNS = scheduled()


def test_the_lengths_agree_with_the_schedule_of_the_dag() -> None:
    assert 'CronTriggerTimetable(MAINTENANCE_CRON, timezone="UTC")' in DAG.read_text()
    gaps = [(after - run).total_days() for run, after in pairwise(RUNS)]
    assert max(gaps) == MONTHLY.longest_gap.days == 31
    assert max(map(sum, pairwise(gaps))) == MONTHLY.reach.days == 62
    for run, following, after_next in zip(RUNS, RUNS[1:], RUNS[2:], strict=False):
        assert MONTHLY.next_runs(run) == (following, after_next)
        assert MONTHLY.next_runs(following.subtract(microseconds=1)) == (following, after_next)


WIDTHS = [
    *(each for each in INTERVALS if each != Interval.HOUR),
    *map(Interval.parse, ("6 hours", "10 days", "2 weeks", "2 months", "2 quarters")),
]
# Of 62 days they need more partitions than are kept by default.
OFTENER = {Interval.parse("6 hours"): Schedule("weekly"), Interval.HOUR: Schedule("daily")}


def horizon(interval: Interval, zone: str, run: DateTime, premake: int) -> DateTime:
    """Return the end of the partitions that a run leaves."""
    return interval.shift(interval.floor(in_zone(run, zone)), premake + 1)


@pytest.mark.parametrize("interval", WIDTHS, ids=str)
def test_the_least_premake_reaches_the_run_after_next_and_one_less_does_not(interval: Interval) -> None:
    short = []
    for zone in ZONES:
        for run, after_next in zip(RUNS, RUNS[2:], strict=False):
            least = MONTHLY.least_premake(interval)
            assert horizon(interval, zone, run, least) >= after_next - RUNWAY_TOLERANCE
            short.append(horizon(interval, zone, run, least - 1) < after_next - RUNWAY_TOLERANCE)
    assert any(short)
    schedule = OFTENER.get(interval, MONTHLY)
    assert default_premake(interval) >= schedule.least_premake(interval)
    assert rarest(interval, default_premake(interval)) == schedule


@pytest.mark.parametrize("text", [*SCHEDULES, "0 4 15 * *", "15 2 * * 1-5", "0 0 1 */3 *"])
def test_the_least_premake_of_a_schedule_reaches_its_run_after_next(text: str) -> None:
    schedule, run = Schedule(text), pendulum.datetime(2027, 1, 29, 23, 30)
    for _ in range(40):
        run, _ = schedule.next_runs(run)
        _, after_next = schedule.next_runs(run)
        for interval in WIDTHS:
            end = horizon(interval, "America/Santiago", run, schedule.least_premake(interval))
            assert end >= after_next - RUNWAY_TOLERANCE


def test_a_table_has_the_rarest_schedule_for_which_its_partitions_ahead_suffice() -> None:
    found = {premake: rarest(Interval.DAY, premake).text for premake in (62, 61, 14, 13, 3, 2, 1)}
    assert list(found.values()) == ["monthly", "weekly", "weekly", "daily", "daily", "daily", "hourly"]
    assert {pings(interval=str(each)).schedule for each in INTERVALS if each != Interval.HOUR} == {MONTHLY}
    assert pings(interval="day", maintain="0 5 * * *").schedule.cron == "0 5 * * *"


@pytest.mark.parametrize("interval", WIDTHS, ids=str)
def test_the_defaults_work_and_too_small_a_value_is_refused_with_the_least_that_works(
    interval: Interval, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARTITION_PLAYBOOK_TABLES", str(tmp_path))
    head, least = f"table: pings\npartition_by: at\ninterval: {interval}\n", MONTHLY.least_premake(interval)
    file = tmp_path / "pings.yaml"
    file.write_text(head)
    assert load_spec("pings").premake == default_premake(interval)
    file.write_text(f"{head}premake: {least}\n")
    assert load_spec("pings").premake == least
    if least > 1:
        file.write_text(f"{head}premake: {least - 1}\n")
        rarer = load_spec("pings").schedule
        assert rarer != MONTHLY
        head += "maintain: monthly\n"
        file.write_text(f"{head}premake: {least - 1}\n")
        with pytest.raises(InvalidSpec, match=r"pings.yaml: key 'premake'.*after next") as refused:
            load_spec("pings")
        assert f"set `maintain: {rarer}`" in refused.value.remedy
        followed = refused.value.remedy.split("`")[1]
        file.write_text(f"{head}{followed}\n")
        assert load_spec("pings").premake == least


def test_an_interval_that_needs_too_many_partitions_ahead_for_its_schedule_is_refused_with_the_way_on() -> None:
    with pytest.raises(InvalidSpec, match="48 hours ahead can end before") as refused:
        require_runway(pings(interval="hour", maintain="monthly"), where="here")
    assert refused.value.remedy == "In the spec set `maintain: daily`"
    require_runway(pings(interval="hour", maintain="daily"), where="here")
    require_runway(pings(interval="hour"), where="here")


def test_a_spec_in_the_ledger_and_of_a_standing_table_stays_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARTITION_PLAYBOOK_TABLES", str(tmp_path))
    (tmp_path / "pings.yaml").write_text(
        "table: pings\npartition_by: at\ninterval: day\npremake: 3\nmaintain: monthly\n"
    )
    short = load_spec("pings", standing=True)
    assert validated(TableSpec, short.model_dump(mode="json"), where="ledger") == short
    with pytest.raises(InvalidSpec):
        require_runway(short, where="here")


# Maintenance.

TABLE = TableName("public", "pings")


def pings(**values: Any) -> TableSpec:
    return TableSpec.model_validate({"table": "pings", "partition_by": "at", **values})


def attached(spec: TableSpec, first: DateTime, last: DateTime) -> list[Partition]:
    return [
        Partition(TABLE.partition(each.suffix), "r", f"FOR VALUES FROM ('{each.lower}') TO ('{each.upper}')", False, 10)
        for each in between(spec.interval, in_zone(first, spec.timezone), in_zone(last, spec.timezone))
        if each.lower < in_zone(last, spec.timezone)
    ]


def outcome(interval: str, premake: int, now: DateTime) -> tuple[Outcome, Severity]:
    spec = pings(interval=interval, premake=premake, maintain="monthly")
    there = attached(spec, now, horizon(spec.interval, "UTC", now, premake))
    found = runway_check(spec, TableState(tuple(there), now), now)
    return found.outcome, found.severity


def test_health_is_red_if_partitions_end_before_the_next_run_and_yellow_before_the_one_after() -> None:
    run = pendulum.datetime(2026, 7, 1, 3, 30)
    assert outcome("day", 62, run)[0] is Outcome.PASSED
    assert outcome("day", 61, run) == (Outcome.FAILED, Severity.WARNING)
    assert outcome("day", 31, run) == (Outcome.FAILED, Severity.WARNING)
    assert outcome("day", 30, run) == (Outcome.FAILED, Severity.ERROR)
    assert outcome("day", 3, run) == (Outcome.FAILED, Severity.ERROR)
    assert outcome("week", 3, run) == (Outcome.FAILED, Severity.ERROR)
    assert outcome("month", 3, run)[0] is Outcome.PASSED

    daily = pings(interval="day", premake=2)
    there = attached(daily, run, horizon(daily.interval, "UTC", run, 2))
    assert runway_check(daily, TableState(tuple(there), run), run).outcome is Outcome.PASSED
    assert runway_check(daily, TableState(tuple(there[:-2]), run), run).severity is Severity.ERROR


def test_a_gap_ends_the_runway_and_a_partition_with_an_open_end_prolongs_it() -> None:
    now = pendulum.datetime(2026, 7, 10)
    spec = pings(interval="day")
    there = attached(spec, now, now.add(days=90))
    assert runway_check(spec, TableState(tuple(there), now), now).outcome is Outcome.PASSED
    holed = [each for each in there if not each.table.name.endswith("m07d20")]
    assert "2026-07-20" in runway_check(spec, TableState(tuple(holed), now), now).actual
    rest = Partition(TABLE.sibling("_rest"), "r", "FOR VALUES FROM ('2026-07-20 00:00:00+00') TO (MAXVALUE)", False, 0)
    open_end = [*there[:10], rest]
    assert runway_check(spec, TableState(tuple(open_end), now), now).outcome is Outcome.PASSED


def retention(keep: str, spec: TableSpec, there: list[Partition], now: DateTime, **state: Any) -> Plan:
    rules = pings(retention={"keep": keep, "grace": "0 days"}).retention
    return plan(spec, TableState(tuple(there), now, newest=now, **state), now, retention=rules)


def left_by(keep: str, spec: TableSpec, run: DateTime) -> list[Partition]:
    """Return the partitions of a table in order, as a run leaves it."""
    everything = attached(spec, run.subtract(years=5), horizon(spec.interval, spec.timezone, run, spec.premake))
    rules = pings(retention=keep).retention
    assert rules is not None
    cutoff = rules.cutoff(in_zone(run, spec.timezone))
    uppers = [each.upper for each in between(spec.interval, in_zone(run.subtract(years=5), spec.timezone), cutoff)]
    return everything[sum(upper <= cutoff for upper in uppers) :]


KEEPS = (
    st.tuples(st.integers(0, 400), st.just("days"))
    | st.tuples(st.integers(0, 30), st.sampled_from(["weeks", "months"]))
    | st.tuples(st.integers(0, 3), st.sampled_from(["quarters", "years"]))
)


@settings(max_examples=60, deadline=None)
@example(interval="day", zone="UTC", keep=(30, "days"), at=10)
@example(interval="week", zone="UTC", keep=(1, "months"), at=10)
@example(interval="month", zone="America/Los_Angeles", keep=(30, "days"), at=1)
@example(interval="day", zone="America/Los_Angeles", keep=(3, "months"), at=1)
@given(
    interval=st.sampled_from(["day", "week", "month", "quarter", "year"]),
    zone=st.sampled_from(ZONES),
    keep=KEEPS,
    at=st.integers(0, len(RUNS) - 2),
)
def test_a_run_on_schedule_of_a_table_in_order_never_stops_by_share(
    interval: str, zone: str, keep: tuple[int, str], at: int
) -> None:
    spec, period = pings(interval=interval, timezone=zone), "{} {}".format(*keep)
    planned = retention(period, spec, left_by(period, spec, RUNS[at]), RUNS[at + 1])
    assert planned.stops == ()


def test_every_day_that_fell_due_is_retired() -> None:
    """30 of 61 days are more than a quarter of them, each month."""
    spec = pings(interval="day")
    there = left_by("30 days", spec, pendulum.datetime(2026, 11, 1, 3, 30))
    planned = retention("30 days", spec, there, pendulum.datetime(2026, 12, 1, 3, 30))
    assert sum(isinstance(each, Detach) for each in planned.actions) == 30


@pytest.mark.parametrize(("interval", "keep"), [("day", "30 days"), ("week", "3 months"), ("month", "24 months")])
def test_a_clock_that_is_far_ahead_still_stops_it(interval: str, keep: str) -> None:
    spec, run = pings(interval=interval), pendulum.datetime(2026, 11, 1, 3, 30)
    there = left_by(keep, spec, run)
    assert retention(keep, spec, there, run.add(months=1)).stops == ()
    for ahead in (59, 400):
        late = in_zone(run.add(months=1, days=ahead), "UTC")
        stops = retention(keep, spec, there, late).stops
        assert stops == ("retired_share",) or (interval == "month" and ahead < 100)


@pytest.mark.parametrize(
    ("maintain", "keep", "allowed", "refused"),
    [
        ("hourly", "48 hours", {"hours": 2}, {"hours": 20}),
        ("daily", "48 hours", {"hours": 47}, {"hours": 50}),
        ("hourly", "1 month", {"days": 3}, {"days": 9}),
    ],
)
def test_a_table_of_hours_may_lose_what_fell_due_since_its_own_last_run(
    maintain: str, keep: str, allowed: dict[str, int], refused: dict[str, int]
) -> None:
    """A clock two weeks ahead would have emptied it under the rule for monthly runs."""
    run = pendulum.datetime(2026, 11, 1, 3, 30)
    spec = pings(interval="hour", maintain=maintain, premake=60)
    there = left_by(keep, spec, run)
    assert retention(keep, spec, there, run.add(**allowed)).stops == ()
    assert retention(keep, spec, there, run.add(**refused)).stops == ("retired_share",)
