"""The schedule of ``partition_maintenance``, and the partitions ahead that outlast a missed run of it."""

from __future__ import annotations

from pendulum import DateTime

from partition_playbook.intervals import Interval

# One schedule for all tables, in UTC. The DAG uses this value; a test compares the lengths below with it.
MAINTENANCE_CRON = "30 3 1 * *"
LONGEST_GAP_DAYS = 31
RUN_AFTER_NEXT_DAYS = 62

# With at least so many partitions ahead, a run leaves partitions up to the run after next, in any time zone.
LEAST_PREMAKE = {Interval.DAY: 62, Interval.WEEK: 9, Interval.MONTH: 2, Interval.QUARTER: 1, Interval.YEAR: 1}
DEFAULT_PREMAKE = {Interval.DAY: 62, Interval.WEEK: 10, Interval.MONTH: 3, Interval.QUARTER: 2, Interval.YEAR: 1}


def next_runs(moment: DateTime) -> tuple[DateTime, DateTime]:
    """Return the next scheduled run after ``moment`` and the run after it, in UTC."""
    month = moment.in_timezone("UTC").start_of("month")
    runs = (month.add(months=count, hours=3, minutes=30) for count in range(4))
    following = [each for each in runs if each > moment]
    return following[0], following[1]
