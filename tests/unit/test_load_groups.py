"""Groups of partitions: few scans whatever the number of partitions, and each partition in exactly one group."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partition_playbook.database import Row
from partition_playbook.engine.load import QUICK_ROWS, together
from partition_playbook.engine.load_groups import MOST_PARTITIONS, SCANS, grouped, largest_share, merged
from partition_playbook.intervals import Interval, between
from partition_playbook.names import TableName

MOST_TASKS = 100


def planned(*expected: int) -> list[Row]:
    return [{"partition_name": f"p{at}", "expected_rows": rows} for at, rows in enumerate(expected)]


@given(st.lists(st.integers(0, 10_000), max_size=200), st.integers(1, 32))
def test_every_partition_is_in_one_group_and_in_the_order_of_its_bounds(expected: list[int], workers: int) -> None:
    loads = planned(*expected)
    groups = grouped(loads, workers)
    assert [name for group in groups for name in group] == [load["partition_name"] for load in loads]
    assert all(0 < len(group) <= MOST_PARTITIONS for group in groups)
    assert len(groups) <= max(SCANS, workers) + len(loads) // MOST_PARTITIONS + 1


@pytest.mark.parametrize(
    ("expected", "sizes"),
    [
        pytest.param([], [], id="nothing is planned"),
        pytest.param([0] * 20, [20], id="no rows"),
        pytest.param([2_000_000] * 12 + [0] * 4, [1] * 11 + [5], id="a year, and partitions ahead"),
        pytest.param([1_000] * 12 + [0] * 4, [2] * 5 + [6], id="a year of few rows"),
        pytest.param([0, 0, 5, 0, 5, 0], [4, 2], id="empty ones between"),
        pytest.param([1] * 8 + [1_000_000] * 3, [9, 1, 1], id="few rows long ago"),
        pytest.param([100_000] * 369, [24] * 15 + [9], id="a year of days"),
        pytest.param([100] * 369, [47] * 7 + [40], id="a year of days with few rows"),
        pytest.param([1] + [0] * 300 + [1], [64, 64, 64, 64, 46], id="one row of long ago"),
    ],
)
def test_a_group_ends_with_its_share_of_the_rows(expected: list[int], sizes: list[int]) -> None:
    assert [len(group) for group in grouped(planned(*expected))] == sizes


@pytest.mark.parametrize("partitions", [2_000, 5_000])
@pytest.mark.parametrize("rows", [0, 7])
def test_thousands_of_partitions_are_no_more_than_a_hundred_tasks(partitions: int, rows: int) -> None:
    assert len(grouped(planned(*[rows] * partitions), workers=2)) <= MOST_TASKS


def test_there_are_groups_for_more_workers() -> None:
    assert len(grouped(planned(*[100] * 369), workers=32)) == 31


def test_the_largest_share_is_that_of_a_group() -> None:
    assert largest_share(planned(*[100] * 1_600)) == pytest.approx(64 / 1_600)
    assert largest_share(planned(1, 1, 2)) == 0.5
    assert largest_share([]) == largest_share(planned(0, 0)) == 0


def test_adjoining_bounds_are_merged_and_a_gap_is_left_out() -> None:
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 8, 1, tzinfo=UTC)
    months = list(between(Interval.MONTH, start, end))
    one, *_ = months
    assert list(merged([])) == []
    assert list(merged([one])) == [(one, one)]
    assert list(merged(months)) == [(one, months[-1])]
    left = [*months[:2], *months[3:]]
    assert list(merged(left)) == [(one, months[1]), (months[3], months[-1])]


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [
        pytest.param([0] * 5, [5], id="empty ones"),
        pytest.param([QUICK_ROWS, 1, QUICK_ROWS - 1, 0], [1, 3], id="as many rows as are quick"),
        pytest.param([1, QUICK_ROWS + 1, 0], [1, 1, 1], id="a large one by itself"),
    ],
)
def test_the_indexes_of_small_partitions_are_created_together(rows: list[int], sizes: list[int]) -> None:
    partitions = {TableName("public", f"p{at}"): count for at, count in enumerate(rows)}
    groups = together(partitions)
    assert [len(group) for group in groups] == sizes
    assert [each for group in groups for each in group] == list(partitions)
