"""Typical values for the parameters of a statement, from the rows of the table itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pendulum
import psycopg
from pendulum import DateTime
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Partition
from partition_playbook.database import Row, Session
from partition_playbook.intervals import in_zone
from partition_playbook.names import TableName
from partition_playbook.workload.prepared import NULL

# The distances from the newest or the oldest row that are tried.
PERIODS = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}
# The oids of the types that are compared with a partition column. They are the same in every database.
_MOMENTS, _INTERVAL, _ARRAYS = frozenset({1082, 1114, 1184}), 1186, frozenset({1182, 1115, 1185})
_NUMBERS, _TEXTS = frozenset({20, 21, 23, 700, 701, 1700}), frozenset({19, 25, 1042, 1043})
_BOOLEAN, _UUID = 16, 2950


@dataclass(frozen=True)
class RowRange:
    """The oldest row and the newest one up to now, with the partitions that have rows."""

    oldest: DateTime
    newest: DateTime
    now: DateTime
    filled: frozenset[tuple[str, str]]


def read_row_range(session: Session, table: TableName, partition_by: str, timezone: str) -> RowRange | None:
    """Read the range of the rows in a partitioned table; None without a partition with rows."""
    rows = session.rows("maintenance/list_filled", {"schema": table.schema, "name": table.name})
    filled = frozenset((row["schema"], row["name"]) for row in rows)
    now = pendulum.now(timezone)

    held = sorted(_held(session, table, timezone, filled), key=lambda each: each[0])
    if not held:
        return None
    begun = [each for each in held if each[0] <= now] or held[:1]

    (lower, _, oldest), (_, upper, newest) = begun[0], begun[-1]
    found = _ends(session, oldest, newest, partition_by)
    first, last = (found[end] for end in ("oldest", "newest"))
    return RowRange(
        oldest=in_zone(first, timezone) if first is not None else lower,
        newest=in_zone(last, timezone) if last is not None else min(upper, now),
        now=now,
        filled=filled,
    )


def _held(
    session: Session, table: TableName, timezone: str, filled: frozenset[tuple[str, str]]
) -> Iterator[tuple[DateTime, DateTime, Partition]]:
    """Yield the partitions with rows and two ends, each with its ends."""
    for each in catalog.partitions(session, table):
        lower, upper = each.ends(timezone) or (None, None)
        if lower and upper and (each.table.schema, each.table.name) in filled:
            yield lower, upper, each


def _ends(session: Session, oldest: Partition, newest: Partition, partition_by: str) -> Row:
    """Read the rows at both ends; none if that takes too long without an index, so the bounds must do."""
    parts = {"oldest": oldest.table.identifier, "newest": newest.table.identifier}
    try:
        with session.connection.transaction():
            return session.row("workload/find_row_range", **parts, partition_by=sql.Identifier(partition_by))
    except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
        return {"oldest": None, "newest": None}


def time_parameters(types: Sequence[int]) -> list[int]:
    """Return the positions of the parameters that can be compared with a partition column."""
    return [at for at, oid in enumerate(types) if oid in _MOMENTS or oid in _ARRAYS or oid == _INTERVAL]


def as_argument(oid: int, moment: DateTime, now: DateTime) -> sql.Composable:
    """Return a moment in the type of a parameter; an interval is taken for the time before now.

    A moment without a type takes that of the parameter, whatever the search path.
    """
    if oid == _INTERVAL:
        return sql.Literal(timedelta(seconds=(now - moment).total_seconds()))
    text = moment.isoformat()
    return sql.Literal(f'{{"{text}"}}' if oid in _ARRAYS else text)


def any_argument(oid: int) -> sql.Composable:
    """Return some value of another type for a custom plan, in which NULL would end every comparison."""
    if oid in _NUMBERS:
        return sql.Literal("1")
    if oid in _TEXTS:
        return sql.Literal("")
    if oid == _BOOLEAN:
        return sql.Literal("true")
    return sql.Literal("00000000-0000-0000-0000-000000000000") if oid == _UUID else NULL
