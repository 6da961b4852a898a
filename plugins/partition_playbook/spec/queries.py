"""The timed reads of a table spec, and the default ones."""

from __future__ import annotations

from pydantic import Field

from partition_playbook.intervals import Interval, Unit
from partition_playbook.spec.model import SpecModel


class Query(SpecModel):
    """A read of the application, timed before and after the migration, with its range of time.

    In `sql`, `since` and `until`, `{table}` and `{partition_by}` stand for the table and its partition column.
    `{interval_start}` and `{interval_end}` stand for the bounds of one whole past interval. In `sql`, `{since}` and
    `{until}` stand for the ends of the range. They are the keys `since` and `until` of this query. The keys of the
    same names beside `table` bound the partitions, and no brace stands for these. Write other braces twice.

    With an `encoding`, `since` and `until` are moments. All of these then stand for keys in `sql`.
    """

    name: str = Field(description="A unique name. The checks `pruned_<name>` and `speedup_<name>` carry it.")
    sql: str = Field(
        description="One SELECT. It runs read-only, up to 9 times after 2 warm-ups, with `EXPLAIN ANALYZE`; the median "
        "counts."
    )
    since: str | None = Field(
        default=None,
        description="SQL expression for the start of the range, inclusive, as in the WHERE clause of `sql`. Without "
        "one the range is open. Partitions outside the range must not be read.",
    )
    until: str | None = Field(
        default=None,
        description="SQL expression for the end of the range, exclusive. Without one the range is open, and partitions "
        "ahead are read too; they are empty.",
    )
    criterion: bool = Field(
        default=True,
        description="`true`: missing the param `min_speedup` beyond the spread of the runs is a no-go. `false`: the "
        "speedup is only reported. Either way the query must not become slower.",
    )


DEFAULT_QUERIES = (
    Query(
        name="last_7_days",
        sql="SELECT * FROM {table} WHERE {partition_by} >= {since} ORDER BY {partition_by} DESC LIMIT 100",
        since="now() - interval '7 days'",
    ),
    Query(
        name="last_30_days",
        sql="SELECT * FROM {table} WHERE {partition_by} >= {since} ORDER BY {partition_by} DESC LIMIT 1000",
        since="now() - interval '30 days'",
    ),
    Query(
        name="one_interval_count",
        sql="SELECT count(*) FROM {table} WHERE {partition_by} >= {interval_start} AND {partition_by} < {interval_end}",
        since="{interval_start}",
        until="{interval_end}",
        criterion=False,
    ),
)
# A week of hours may be most of the rows.
QUERIES_OF_HOURS = (
    Query(
        name="last_24_hours",
        sql="SELECT * FROM {table} WHERE {partition_by} >= {since} ORDER BY {partition_by} DESC LIMIT 100",
        since="now() - interval '24 hours'",
    ),
    Query(
        name="last_3_days",
        sql="SELECT * FROM {table} WHERE {partition_by} >= {since} ORDER BY {partition_by} DESC LIMIT 1000",
        since="now() - interval '3 days'",
    ),
    DEFAULT_QUERIES[-1],
)
NARROW_DAYS = Interval(Unit.HOUR, 6).days
# A read by id is fast before a migration too, so none of them is judged by its speed.
ID_QUERIES = (
    Query(
        name="one_range_rows",
        sql="SELECT * FROM {table} WHERE {partition_by} >= {since} AND {partition_by} < {until} "
        "ORDER BY {partition_by} LIMIT 1000",
        since="{interval_start}",
        until="{interval_end}",
        criterion=False,
    ),
    DEFAULT_QUERIES[-1],
)


def default_queries(interval: Interval) -> tuple[Query, ...]:
    """Return the queries of a spec without the key `queries`."""
    if interval.is_ids:
        return ID_QUERIES
    return QUERIES_OF_HOURS if interval.days < NARROW_DAYS else DEFAULT_QUERIES
