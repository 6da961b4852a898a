"""The schedules of maintenance, and the partitions ahead that outlast a missed run of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import ceil

import pendulum
from croniter import croniter
from pendulum import DateTime

from partition_playbook.intervals import Interval, Unit

# The DAG looks each hour, in UTC, and acts on the tables that are due.
MAINTENANCE_CRON = "30 * * * *"
SCHEDULES = {"hourly": "30 * * * *", "daily": "30 3 * * *", "weekly": "30 3 * * 1", "monthly": "30 3 1 * *"}
# More partitions ahead cost planning time and locks before any row needs them.
MOST_PREMAKE = 400
# By default no more are kept ahead: as many days as from a monthly run to the run after next.
FEW_AHEAD = 62
# By default so many ranges of ids are kept ahead, and a look each hour keeps them so.
IDS_AHEAD = 4
NARROWEST_DAYS = {Unit.HOUR: 1 / 24, Unit.DAY: 1, Unit.WEEK: 7, Unit.MONTH: 28, Unit.QUARTER: 90, Unit.YEAR: 365}
# A run may be so much later than its schedule says: as much as another gap, within these limits.
LEAST_LATE, MOST_LATE = timedelta(hours=2), timedelta(days=4)
FIRST_LOOK, LOOKS = pendulum.datetime(2026, 1, 1), 500


@dataclass(frozen=True)
class Schedule:
    """A schedule of one table: a name of SCHEDULES, or a cron expression in UTC."""

    text: str

    @property
    def cron(self) -> str:
        """Return the cron expression."""
        return SCHEDULES.get(self.text, self.text)

    @property
    def is_valid(self) -> bool:
        """Return True for a name, or a cron expression of five fields."""
        return len(self.cron.split()) == 5 and bool(croniter.is_valid(self.cron))

    def next_runs(self, moment: datetime) -> tuple[DateTime, DateTime]:
        """Return the next scheduled run after ``moment`` and the run after it, in UTC."""
        first, second = _runs(self.cron, moment, 2)
        return first, second

    @property
    def reach(self) -> timedelta:
        """Return the longest time from a run to the run after next."""
        return _longest(self.cron, 2)

    @property
    def longest_gap(self) -> timedelta:
        """Return the longest time from a run to the next one."""
        return _longest(self.cron, 1)

    @property
    def silence(self) -> timedelta:
        """Return the time without a run after which nobody looks at the table any more."""
        return self.longest_gap + min(max(self.longest_gap, LEAST_LATE), MOST_LATE)

    def least_premake(self, interval: Interval) -> int:
        """Return the fewest partitions ahead with which a run leaves partitions up to the run after next.

        No calendar tells it for ranges of ids: their least is 1.
        """
        if interval.is_ids:
            return 1
        if self.cron == SCHEDULES["monthly"] and interval.unit.months:
            # From one first day of a month to the next but one.
            return ceil(2 / (interval.count * interval.unit.months))
        days = self.reach / timedelta(days=1)
        return max(1, ceil(round(days / (interval.count * NARROWEST_DAYS[interval.unit]), 6)))

    def __str__(self) -> str:
        return self.text


FROM_RAREST = tuple(Schedule(name) for name in ("monthly", "weekly", "daily", "hourly"))
MONTHLY = FROM_RAREST[0]


def rarest(interval: Interval, premake: int) -> Schedule:
    """Return the rarest named schedule for which the partitions ahead suffice; hourly for ranges of ids."""
    if interval.is_ids:
        return FROM_RAREST[-1]
    return next((each for each in FROM_RAREST if premake >= each.least_premake(interval)), FROM_RAREST[-1])


def default_premake(interval: Interval) -> int:
    """Return the default of ``premake``: few partitions that suffice for the rarest possible schedule.

    There is one more where a partition is wide and few are ahead.
    """
    if interval.is_ids:
        return IDS_AHEAD
    least = rarest(interval, FEW_AHEAD).least_premake(interval)
    return least + (interval.unit in (Unit.WEEK, Unit.MONTH, Unit.QUARTER))


def _runs(cron: str, after: datetime, count: int) -> list[DateTime]:
    # croniter rounds microseconds.
    start = after.astimezone(UTC).replace(microsecond=0)
    found = croniter(cron, start, ret_type=float)
    return [pendulum.from_timestamp(found.get_next()) for _ in range(count)]


@lru_cache(maxsize=100)
def _longest(cron: str, count: int) -> timedelta:
    """Return the longest time from a run to the ``count``-th after it."""
    runs = _runs(cron, FIRST_LOOK, LOOKS)
    return timedelta(seconds=max((after - run).total_seconds() for run, after in zip(runs, runs[count:], strict=False)))
