"""Count and checksum the rows of a table for each planned partition."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Table
from partition_playbook.database import Row, Session
from partition_playbook.engine.layout import planned_bounds
from partition_playbook.engine.slices import OUTSIDE
from partition_playbook.engine.verify import hashed_row
from partition_playbook.intervals import Bounds
from partition_playbook.ledger import Statistics
from partition_playbook.run import Run


def statistics(
    session: Session, run: Run, distinct: Sequence[str] = (), bounds: Sequence[Bounds] = ()
) -> list[Statistics]:
    """Return rows, range, distinct values and a checksum of all columns, for each planned partition.

    Reads the run's table in the snapshot of the session; counts distinct values of the columns in ``distinct``. Without
    ``bounds`` the partitions are planned from the rows now. Rows outside every bound have an entry of their own.
    """
    table = catalog.require(session, run.table)
    bounds = bounds or planned_bounds(session, run.spec)

    parts = {
        "table": run.table.identifier,
        "partition_by": sql.Identifier(run.spec.partition_by),
        "ordered": run.spec.codec.ordered(sql.Identifier("t", run.spec.partition_by)),
        "bounds": edges(run, bounds, table.column(run.spec.partition_by).type),
    }
    rows = session.rows("snapshot/list_contents", row=hashed_row(table.columns), **parts)
    contents = {_place(run, bounds, row["bucket"]): row for row in rows}
    values = {name: _distinct(session, run, bounds, name, parts) for name in distinct}

    names = [run.table.partition(each.suffix).name for each in bounds]
    outside = [OUTSIDE] if OUTSIDE in contents else []
    return [
        _statistics(name, contents.get(name), {column: found.get(name, 0) for column, found in values.items()})
        for name in [*names, *outside]
    ]


def edges(run: Run, bounds: Sequence[Bounds], kind: str) -> sql.Composed:
    """Return the limits of adjoining bounds, without open ends, as an SQL array of the partition column's type."""
    ends = [run.spec.codec.ends(each, kind) for each in bounds]
    limits = [*(lower for (lower, _), each in zip(ends, bounds, strict=True) if not each.is_first)]
    limits += [] if bounds[-1].is_default else [ends[-1][1]]
    return sql.SQL("ARRAY[{}]::{}[]").format(sql.SQL(", ").join(limits), sql.SQL(kind))


def counted_columns(run: Run, table: Table) -> tuple[str, ...]:
    """Return the columns for the counts of distinct values: `distinct` of the spec, else the foreign key columns."""
    keys = dict.fromkeys(name for key in table.foreign_keys for name in key.columns)
    return run.spec.distinct or tuple(keys)


def _place(run: Run, bounds: Sequence[Bounds], bucket: int | None) -> str:
    # Bucket 0 is below the first limit: with an open end it belongs to the first partition.
    place = -1 if bucket is None else bucket - (not bounds[0].is_first)
    return run.table.partition(bounds[place].suffix).name if 0 <= place < len(bounds) else OUTSIDE


def _distinct(session: Session, run: Run, bounds: Sequence[Bounds], name: str, parts: Row) -> dict[str, int]:
    rows = session.rows("snapshot/count_distinct", column=sql.Identifier(name), **parts)
    return {_place(run, bounds, row["bucket"]): row["values"] for row in rows}


def _statistics(name: str, row: Row | None, distinct: dict[str, int]) -> Statistics:
    if row is None:
        return Statistics(name, 0, None, None, distinct, 0)
    return Statistics(name, row["rows"], row["oldest"], row["newest"], distinct, int(row["checksum"]))
