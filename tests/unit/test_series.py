"""The series of the console are computed from the loads alone, and their parts add up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from partition_playbook.console import series

START = datetime(2026, 11, 1, tzinfo=UTC)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def load(begun: float | None, over: float | None, rows: int, *, so_far: int | None = None, expected: int = 0) -> Any:
    times = {"started_at": None if begun is None else at(begun), "ended_at": None if over is None else at(over)}
    known = {"rows": rows if over is not None else None, "rows_so_far": so_far}
    return times | known | {"expected_rows": expected or rows}


def total(rates: list[Any], width: float) -> float:
    return sum(each.rows_per_second for each in rates) * width


def test_two_loads_side_by_side_add_up() -> None:
    rates = series.throughput([load(0, 10, 1000), load(5, 10, 1000)], at(60))
    assert [round(each.rows_per_second) for each in rates[:10]] == [100] * 5 + [300] * 5
    assert rates[0].happened_at == at(0.5)


def test_a_load_under_way_counts_what_it_has_until_now() -> None:
    rates = series.throughput([load(0, None, 0, so_far=400, expected=1000)], at(4))
    assert [each.rows_per_second for each in rates[:4]] == [100] * 4


def test_there_is_no_rate_before_the_first_load() -> None:
    assert series.throughput([load(None, None, 0, expected=10)], at(60)) == []


# The last load begins where rounding has ended the last piece.
@example(found=[(17677.538284535334, 1.5, 14166), (38957.86150499735, 0.0, 6772)])
@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e5), st.integers(0, 10**7)), min_size=1, max_size=40))
def test_a_series_has_all_rows_and_a_bounded_length(found: list[tuple[float, float, int]]) -> None:
    loads = [load(begun, begun + took, rows) for begun, took, rows in found]
    rates = series.throughput(loads, at(1e6))
    assert 1 <= len(rates) <= series.MOST_RATES + 2
    width = 2 * (rates[0].happened_at - min(each["started_at"] for each in loads)).total_seconds()
    rows = sum(rows for *_, rows in found)
    assert total(rates, width) == pytest.approx(rows, rel=0.01, abs=5)


def test_the_end_of_the_loads_is_told_with_its_method() -> None:
    loads = [load(0, 10, 1000), load(10, None, 0, so_far=500, expected=1000), load(None, None, 0, expected=1500)]
    found = series.eta(loads, at(15))
    assert found
    assert (found.seconds, found.at, found.rows_left) == (20.0, at(35), 2000)
    assert found.method.startswith("2,000 rows left at 100 rows/s, the average since the first load began")


@pytest.mark.parametrize("loads", [[], [load(None, None, 0, expected=10)], [load(0, 10, 1000)]])
def test_there_is_no_end_to_tell_before_the_first_rows_and_after_the_last_load(loads: Any) -> None:
    assert series.eta(loads, at(15)) is None
