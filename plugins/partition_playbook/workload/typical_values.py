"""Typical values for the parameters of a statement, from the rows of the table itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from pendulum import DateTime
from psycopg import sql

from partition_playbook import catalog, figures
from partition_playbook.catalog import Partition
from partition_playbook.codecs import Codec, Encoding, Numbers
from partition_playbook.database import Row, Session
from partition_playbook.names import TableName
from partition_playbook.workload.prepared import NULL

# The distances from the newest or the oldest row that are tried.
PERIODS = {"a day": timedelta(days=1), "a week": timedelta(days=7), "a month": timedelta(days=30)}
IDS = {figures.count(number, "id"): number * Numbers.IDS.tick for number in (10_000, 1_000_000, 100_000_000)}
# The oids of the types that are compared with a partition column. They are the same in every database.
_MOMENTS, _INTERVAL, _ARRAYS = frozenset({1082, 1114, 1184}), 1186, frozenset({1182, 1115, 1185})
_NUMBERS, _TEXTS = frozenset({20, 21, 23, 700, 701, 1700}), frozenset({19, 25, 1042, 1043})
_BOOLEAN, _UUID = 16, 2950
_LARGE, _LARGE_ARRAYS = frozenset({20, 1700}), frozenset({1016, 1231})
_KEYS = {
    Encoding.EPOCH_SECONDS: _LARGE | {23},
    Encoding.EPOCH_MILLISECONDS: _LARGE,
    Encoding.EPOCH_MICROSECONDS: _LARGE,
    Encoding.UUIDV7: frozenset({_UUID}),
    Encoding.ULID: frozenset({25, 1042, 1043}),
    Encoding.SNOWFLAKE: _LARGE,
    Numbers.IDS: _LARGE | {21, 23},
}
_KEY_ARRAYS = {
    Encoding.EPOCH_SECONDS: _LARGE_ARRAYS | {1007},
    Encoding.EPOCH_MILLISECONDS: _LARGE_ARRAYS,
    Encoding.EPOCH_MICROSECONDS: _LARGE_ARRAYS,
    Encoding.UUIDV7: frozenset({2951}),
    Encoding.ULID: frozenset({1009, 1014, 1015}),
    Encoding.SNOWFLAKE: _LARGE_ARRAYS,
    Numbers.IDS: _LARGE_ARRAYS | {1007},
}


@dataclass(frozen=True)
class RowRange:
    """The oldest row and the newest one up to now, with the partitions that have rows."""

    oldest: DateTime
    newest: DateTime
    now: DateTime
    filled: frozenset[tuple[str, str]]
    codec: Codec


def read_row_range(session: Session, table: TableName, partition_by: str, codec: Codec) -> RowRange | None:
    """Read the range of the rows in a partitioned table; None without a partition with rows."""
    partitions = catalog.partitions(session, table)
    names = {"schemas": [each.table.schema for each in partitions], "names": [each.table.name for each in partitions]}
    filled = frozenset((row["schema"], row["name"]) for row in session.rows("maintenance/list_filled", names))
    now = codec.now

    held = sorted(_held(partitions, codec, filled), key=lambda each: each[0])
    if not held:
        return None
    begun = [each for each in held if each[0] <= now] or held[:1]

    (lower, _, oldest), (_, upper, newest) = begun[0], begun[-1]
    found = _ends(session, oldest, newest, partition_by, codec)
    first, last = (found[end] for end in ("oldest", "newest"))
    return RowRange(
        oldest=codec.moment(first) if first is not None else lower,
        newest=codec.moment(last) if last is not None else min(upper, now),
        now=now,
        filled=filled,
        codec=codec,
    )


def _held(
    partitions: Iterable[Partition], codec: Codec, filled: frozenset[tuple[str, str]]
) -> Iterator[tuple[DateTime, DateTime, Partition]]:
    """Yield the partitions with rows and two ends, each with its ends."""
    for each in partitions:
        lower, upper = each.ends(codec) or (None, None)
        if lower and upper and (each.table.schema, each.table.name) in filled:
            yield lower, upper, each


def _ends(session: Session, oldest: Partition, newest: Partition, partition_by: str, codec: Codec) -> Row:
    """Read the rows at both ends; none if that takes too long without an index, so the bounds must do."""
    by = sql.Identifier(partition_by)
    up_to_now = codec.up_to(by, codec.now)
    parts = {"oldest": oldest.table.identifier, "newest": newest.table.identifier, "partition_by": by}
    try:
        with session.connection.transaction():
            return session.row("workload/find_row_range", **parts, finite=codec.finite(by), up_to_now=up_to_now)
    except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
        return {"oldest": None, "newest": None}


def time_parameters(types: Sequence[int], codec: Codec) -> list[int]:
    """Return the positions of the parameters that can be compared with a partition column.

    A number or a text is taken for a key: the trial shows whether it is compared with the partition column.
    """
    if codec.encoding is None:
        comparable = _MOMENTS | _ARRAYS | {_INTERVAL}
    else:
        comparable = _KEYS[codec.encoding] | _KEY_ARRAYS[codec.encoding]
    return [at for at, oid in enumerate(types) if oid in comparable]


def as_argument(oid: int, moment: DateTime, rows: RowRange) -> sql.Composable:
    """Return a moment in the type of a parameter; an interval is taken for the time before now.

    A moment without a type takes that of the parameter, whatever the search path.
    """
    if oid == _INTERVAL:
        return sql.Literal(timedelta(seconds=(rows.now - moment).total_seconds()))
    encoding = rows.codec.encoding
    text = moment.isoformat() if encoding is None else str(rows.codec.first_key(moment))
    is_array = oid in _ARRAYS or (encoding is not None and oid in _KEY_ARRAYS[encoding])
    return sql.Literal(f'{{"{text}"}}' if is_array else text)


def any_argument(oid: int) -> sql.Composable:
    """Return some value of another type for a custom plan, in which NULL would end every comparison."""
    if oid in _NUMBERS:
        return sql.Literal("1")
    if oid in _TEXTS:
        return sql.Literal("")
    if oid == _BOOLEAN:
        return sql.Literal("true")
    return sql.Literal("00000000-0000-0000-0000-000000000000") if oid == _UUID else NULL
