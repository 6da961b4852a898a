"""A verdict about times needs a difference beyond the spread of the runs."""

from __future__ import annotations

import random
from math import comb

import pytest

from partition_playbook.benchmark.comparison import CONFIDENCE, Finding, Interval, compare


@pytest.mark.parametrize(("runs", "aside"), [(1, 0), (2, 0), (3, 0), (5, 0), (6, 0), (9, 1), (12, 2), (20, 5)])
def test_an_interval_leaves_as_many_runs_aside_as_its_confidence_allows(runs: int, aside: int) -> None:
    assert Interval.of([float(each) for each in range(runs)]) == Interval(aside, runs - 1 - aside)


@pytest.mark.parametrize("runs", range(6, 30))
def test_an_interval_misses_the_median_as_rarely_as_it_says(runs: int) -> None:
    aside = int(Interval.of([float(each) for each in range(runs)]).low)
    missed = [2 * sum(comb(runs, below) for below in range(left + 1)) / 2**runs for left in (aside, aside + 1)]
    assert missed[0] <= 1 - CONFIDENCE < missed[1]


def test_one_slow_run_does_not_move_the_interval() -> None:
    assert Interval.of([10, 11, 12, 13, 14, 15, 16, 17, 9_000]) == Interval(11, 17)


def test_no_run_has_no_interval() -> None:
    with pytest.raises(ValueError, match="needs a run"):
        Interval.of([])


@pytest.mark.parametrize(
    ("after", "least", "finding"),
    [
        ((4.0, 5.0), 0.5, Finding.REACHED),
        ((4.0, 5.1), 0.5, Finding.CANNOT_TELL),
        ((5.5, 6.5), 0.5, Finding.CANNOT_TELL),
        ((7.0, 7.9), 0.5, Finding.CANNOT_TELL),  # a miss by less than the allowance
        ((7.1, 7.9), 0.5, Finding.MISSED),
        ((10.0, 12.0), 0.0, Finding.REACHED),  # as fast as before is all that is asked for
        ((13.0, 14.0), 0.0, Finding.REACHED),
        ((13.1, 14.0), 0.0, Finding.MISSED),
    ],
)
def test_intervals_that_overlap_are_no_verdict(after: tuple[float, float], least: float, finding: Finding) -> None:
    assert compare(Interval(10, 12), Interval(*after), least, allowance=1.0) is finding


@pytest.mark.parametrize("ratio", [0.49, 0.5, 0.51])
def test_runs_of_one_speed_near_the_criterion_are_hardly_ever_a_miss(ratio: float) -> None:
    chance = random.Random(3)
    missed = 0
    for _ in range(1000):
        before, after = ([length * chance.lognormvariate(0, 0.2) for _ in range(9)] for length in (100.0, 100 * ratio))
        missed += compare(Interval.of(before), Interval.of(after), 0.5, allowance=0.0) is Finding.MISSED
    assert missed <= 20


def test_a_miss_beyond_the_spread_is_found() -> None:
    chance = random.Random(3)
    before, after = ([length * chance.lognormvariate(0, 0.1) for _ in range(9)] for length in (100.0, 90.0))
    assert compare(Interval.of(before), Interval.of(after), 0.5, allowance=1.0) is Finding.MISSED
