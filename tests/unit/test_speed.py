"""A read that comes from memory is judged by its pages, and a few of them are no verdict."""

from __future__ import annotations

from typing import Any

import pytest

from partition_playbook.benchmark.comparison import Finding
from partition_playbook.sections.pruning.speed import Gain


def measured(total_ms: float, execution_ms: float, *pages: int) -> dict[str, Any]:
    detail = {"planning_ms": total_ms - execution_ms, "execution_ms": execution_ms, "buffers": sorted(pages)[0]}
    return {"value": total_ms, "detail": detail | {"runs": [total_ms] * 9, "pages": list(pages)}}


@pytest.mark.parametrize(
    ("before", "after", "least", "finding"),
    [
        (103, 13, 0.5, Finding.REACHED),
        (93, 98, 0.5, Finding.MISSED),  # rows that were stored in the order of time already
        (93, 98, 0.0, Finding.REACHED),
        (93, 104, 0.0, Finding.MISSED),
        (103, 52, 0.5, Finding.CANNOT_TELL),  # 49.5 %
        (10_000, 5_100, 0.5, Finding.CANNOT_TELL),  # 49 %
        (10_000, 6_100, 0.5, Finding.MISSED),
        (3, 12, 0.5, Finding.CANNOT_TELL),  # a tiny table: each partition costs some pages
        (4, 50, 0.5, Finding.CANNOT_TELL),
        (4, 51, 0.5, Finding.MISSED),
        (0, 0, 0.5, Finding.REACHED),
    ],
)
def test_pages_that_do_not_vary_decide_beyond_a_few(before: int, after: int, least: float, finding: Finding) -> None:
    then, now = measured(0.2, 0.1, *[before] * 9), measured(0.4, 0.1, *[after] * 9)
    assert Gain(then, now).found(least) is finding


def test_pages_that_vary_are_compared_as_times_are() -> None:
    then, now = measured(0.2, 0.1, *[1000] * 9), measured(0.2, 0.1, *range(300, 1200, 100))
    assert Gain(then, now).found(0.5) is Finding.CANNOT_TELL


def test_a_baseline_of_an_earlier_version_has_one_number_of_pages() -> None:
    then, now = measured(0.2, 0.1, 1000), measured(0.2, 0.1, *[100] * 9)
    del then["detail"]["pages"]
    assert Gain(then, now).found(0.5) is Finding.REACHED


@pytest.mark.parametrize(("execution", "by_time"), [(4.9, False), (5.0, True)])
def test_planning_does_not_make_a_read_material(execution: float, by_time: bool) -> None:
    assert Gain(measured(90.0, 0.1, 9), measured(90.0, execution, 9)).by_time is by_time
