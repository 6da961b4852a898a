"""The benchmark calls no figure a result that was measured on a busy machine or with few rows."""

from __future__ import annotations

import pytest

from partition_playbook.intervals import Interval
from staging.bench import data
from staging.bench.machine_load import Ticks, busy_cores, parse, refusals

IDLE = "cpu  100 10 50 800 20 5 5 0 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
LATER = "cpu  160 10 70 1100 40 5 5 10 55 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"


def test_the_load_is_the_mean_number_of_cores_at_work() -> None:
    first, last = parse(IDLE), parse(LATER)
    assert (first, last) == (Ticks(170, 990), Ticks(260, 1_400))
    assert busy_cores(first, last, 2) == pytest.approx(2 * 90 / 410)
    assert busy_cores(last, last, 2) == 2, "no tick passed: nothing is known, so the machine counts as busy"


@pytest.mark.parametrize(
    ("rows", "load", "reasons"),
    [
        (10_000_000, 0.0, []),
        (1_000_000, 0.5, []),
        (1_000_000, 0.51, ["0.51 cores were at work before it began, more than 0.5"]),
        (50_000, None, ["50,000 rows, fewer than 1,000,000", "the load of the machine was not sampled"]),
    ],
)
def test_a_busy_machine_or_few_rows_make_no_result(rows: int, load: float | None, reasons: list[str]) -> None:
    assert list(refusals(rows, load)) == reasons


@pytest.mark.parametrize(("interval", "days"), [("hour", 41), ("6 hours", 250), ("day", 365), ("month", 365)])
def test_a_narrow_interval_has_fewer_days_and_a_bearable_number_of_partitions(interval: str, days: int) -> None:
    width = Interval.parse(interval)
    assert data.days_of(width) == days
    assert days / width.days <= data.MOST_PARTITIONS
