"""The schedule of ``partition_maintenance``, and the partitions ahead that outlast a missed run of it."""

from __future__ import annotations

from math import ceil

from pendulum import DateTime

from partition_playbook import figures
from partition_playbook.intervals import Interval, Unit

# One schedule for all tables, in UTC. The DAG uses this value; a test compares the lengths below with it.
MAINTENANCE_CRON = "30 3 1 * *"
LONGEST_GAP_DAYS = 31
RUN_AFTER_NEXT_DAYS = 62

RUN_AFTER_NEXT_MONTHS = 2
# More partitions ahead cost planning time and locks before any row needs them.
MOST_PREMAKE = 400


def least_premake(interval: Interval) -> int:
    """Return the number of partitions ahead with which a run leaves some up to the run after next, in any time zone."""
    if interval.unit.months:
        return ceil(RUN_AFTER_NEXT_MONTHS / (interval.count * interval.unit.months))
    # The mean width of a day or less is exact, but for the hour of a clock change.
    return ceil(round(RUN_AFTER_NEXT_DAYS / interval.days, 6))


def default_premake(interval: Interval) -> int:
    """Return the default of ``premake``: the least, and one more where a partition is wide and few are ahead."""
    spare = interval.unit in (Unit.WEEK, Unit.MONTH, Unit.QUARTER)
    return min(least_premake(interval) + spare, MOST_PREMAKE)


def premake_remedy(interval: Interval) -> str:
    """Return the way to enough partitions ahead, as a sentence without its end."""
    least = least_premake(interval)
    if least > MOST_PREMAKE:
        return (
            f"Set a wider `interval`: at most {figures.count(MOST_PREMAKE, 'partition')} are kept ahead, and "
            f"`{interval}` needs {figures.number(least)}"
        )
    return (
        f"Set `premake: {least}` or more in the spec, or remove the key: the default for `interval: {interval}` is "
        f"{default_premake(interval)}"
    )


def next_runs(moment: DateTime) -> tuple[DateTime, DateTime]:
    """Return the next scheduled run after ``moment`` and the run after it, in UTC."""
    month = moment.in_timezone("UTC").start_of("month")
    runs = (month.add(months=count, hours=3, minutes=30) for count in range(4))
    following = [each for each in runs if each > moment]
    return following[0], following[1]
