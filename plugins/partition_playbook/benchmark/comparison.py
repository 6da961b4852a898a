"""Compare the runs of a query before and after: reached, missed, or a difference within their spread.

Each side gets an interval for its median, from the order statistics of its runs: it assumes no distribution, and one
slow run does not move it. Two intervals that overlap give no verdict. Decision 29 in docs/decisions has the reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from math import comb

# Of the interval of a median. Nine runs give 96 %, from their second to their eighth; fewer than six give less.
CONFIDENCE = 0.95
# A smaller difference of two times is no regression, and no missed criterion.
NOTICED_MS = 1.0
# An execution below it comes from memory. Its pages predict its cost once the table no longer fits into memory.
MATERIAL_MS = 5.0
# A page that must be read from disk takes about 0.1 ms. So these many take NOTICED_MS, and MATERIAL_MS.
FEW_PAGES, MATERIAL_PAGES = 10, 50
# Rows that arrive between two measurements, and the fill of the pages, change a number of pages by less than this.
DEGRADED = 0.1


class Finding(StrEnum):
    """The result of a comparison with a criterion."""

    REACHED = "reached"
    MISSED = "missed"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Interval:
    """The range in which a median lies with at least CONFIDENCE; the range of all runs if they are fewer than six."""

    low: float
    high: float

    @classmethod
    def of(cls, runs: Sequence[float]) -> Interval:
        """Return the interval of some runs, in any order. ValueError for none."""
        ordered = sorted(runs)
        if not ordered:
            raise ValueError("an interval needs a run")
        aside = _left_aside(len(ordered))
        return cls(ordered[aside], ordered[-1 - aside])


def _left_aside(runs: int) -> int:
    """Return the number of runs to leave aside at each end.

    Each run is below the true median with probability one half, so their number there follows a binomial distribution.
    """
    rare: float = 2**runs * (1 - CONFIDENCE) / 2
    tails = accumulate(comb(runs, below) for below in range(runs))
    return max(0, sum(tail <= rare for tail in tails) - 1)


def compare(before: Interval, after: Interval, least: float, allowance: float) -> Finding:
    """Tell whether ``after`` is smaller by the share ``least``; a miss is one by more than ``allowance``.

    If ``least`` is 0, no gain is asked for: anything but a miss reaches it.
    """
    low, high = (1 - least) * before.low, (1 - least) * before.high
    if after.low > high + allowance:
        return Finding.MISSED
    return Finding.REACHED if after.high <= low or not least else Finding.CANNOT_TELL


def surely_slower(before: Interval, after: Interval) -> bool:
    """Tell whether ``after`` is surely greater by more than DEGRADED and NOTICED_MS."""
    return after.low > before.high * (1 + DEGRADED) and after.low - before.high > NOTICED_MS
