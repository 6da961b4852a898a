"""What a table holds, by partition-to-be: rows, range, different values and a checksum of all columns."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Table
from partition_playbook.database import Row, Session
from partition_playbook.intervals import Bounds
from partition_playbook.ledger import Statistics
from partition_playbook.migration.run import Run
from partition_playbook.migration.shadow import planned_bounds
from partition_playbook.migration.verify import OUTSIDE, hashed_row


def statistics(
    session: Session, run: Run, distinct: Sequence[str] = (), bounds: Sequence[Bounds] = ()
) -> list[Statistics]:
    """Count and checksum the run's table as the session sees it, with the different values of the columns asked for.

    The bounds are those that the rows need now where none are given.
    """
    table = catalog.require(session, run.table)
    bounds = bounds or planned_bounds(session, run.spec)
    parts = {
        "table": run.table.identifier,
        "partition_by": sql.Identifier(run.spec.partition_by),
        "bounds": edges(bounds, table.column(run.spec.partition_by).type),
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


def edges(bounds: Sequence[Bounds], kind: str) -> sql.Composed:
    """Return the edges of adjoining bounds as an SQL array of the partition column's type."""
    ends = [each.literals(kind)[0] for each in bounds] + [bounds[-1].literals(kind)[1]]
    return sql.SQL("ARRAY[{}]::{}[]").format(sql.SQL(", ").join(map(sql.Literal, ends)), sql.SQL(kind))


def counted_columns(run: Run, table: Table) -> tuple[str, ...]:
    """Return the columns whose different values are counted: those of the spec, else those of the foreign keys."""
    keys = dict.fromkeys(name for key in table.foreign_keys for name in key.columns)
    return run.spec.distinct or tuple(keys)


def _place(run: Run, bounds: Sequence[Bounds], bucket: int | None) -> str:
    if bucket and bucket <= len(bounds):
        return run.table.partition(bounds[bucket - 1].suffix).name
    return OUTSIDE


def _distinct(session: Session, run: Run, bounds: Sequence[Bounds], name: str, parts: Row) -> dict[str, int]:
    rows = session.rows("snapshot/count_distinct", column=sql.Identifier(name), **parts)
    return {_place(run, bounds, row["bucket"]): row["values"] for row in rows}


def _statistics(name: str, row: Row | None, distinct: dict[str, int]) -> Statistics:
    if row is None:
        return Statistics(name, 0, None, None, distinct, 0)
    return Statistics(name, row["rows"], row["oldest"], row["newest"], distinct, int(row["checksum"]))
