"""Verify: every row that does not wait in the change log is the same on both sides, seen in one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Column, Table
from partition_playbook.checks import Check, check
from partition_playbook.database import Limits, Session
from partition_playbook.migration import capture
from partition_playbook.migration.run import Run, Sides, sides
from partition_playbook.sql import columns

OUTSIDE = "outside every bound"
CUSTODY = "compared_after_cutover"


@dataclass(frozen=True)
class Content:
    """What a table holds between two bounds."""

    rows: int
    checksum: int


@dataclass(frozen=True)
class Compared:
    """The same partition on both sides."""

    partition: str
    live: Content
    standby: Content

    @property
    def equal(self) -> bool:
        """Tell whether both sides hold the same rows."""
        return self.live == self.standby


EMPTY = Content(0, 0)


def compare(run: Run) -> tuple[list[Compared], int]:
    """Compare both sides by partition in one snapshot; return the partitions and how many changes were left out.

    Exact while writers go on: a row is left out exactly where its key waits in the change log of the same snapshot.
    Both sides are read at the same time, each by a session of its own.
    """
    with run.database.snapshot(Limits(idle_in_transaction=0)) as session:
        now = sides(session, run)
        now.require_same_columns()
        names, edges = partition_edges(session, run, now.partitioned)
        waiting = capture.count(session, run)
        custody = capture.custody(session, run) if now.live.is_partitioned else ""
        shared = session.value("ledger/export_snapshot")
        with ThreadPoolExecutor(2) as pool:
            live, standby = pool.map(partial(_contents, run, shared, now, edges), (now.live, now.other))
    compared = [
        Compared(name, live.get(bucket, EMPTY), standby.get(bucket, EMPTY))
        for bucket, name in enumerate(names, start=1)
    ]
    outside = [bucket for bucket in live.keys() | standby.keys() if not 1 <= bucket <= len(names)]
    compared += [Compared(OUTSIDE, live.get(each, EMPTY), standby.get(each, EMPTY)) for each in sorted(outside)]
    if custody and all(each.equal for each in compared):
        run.ledger.measure("migration", CUSTODY, waiting, "changes", state=custody)
    return compared, waiting


def unbroken_custody(run: Run) -> str:
    """Return the custody under which every row was once equal; empty where a write can have escaped it since."""
    recorded = run.ledger.measurements("migration").get(CUSTODY)
    with run.database.session() as session:
        found = capture.custody(session, run)
    return found if recorded and recorded["detail"]["state"] == found else ""


def partition_edges(session: Session, run: Run, partitioned: Table) -> tuple[list[str], sql.Composed]:
    """Return the partitions in the order of their bounds, and all edges of the bounds as an SQL array."""
    ranged = []
    for each in catalog.partitions(session, partitioned.table_name):
        ends = None if each.is_default else each.ends(run.spec.timezone)
        if ends and ends[0] and ends[1]:
            ranged.append((ends[0], ends[1], each.table.name))
    ranged.sort()
    kind = partitioned.column(run.spec.partition_by).type
    edges = sorted({edge for lower, upper, _ in ranged for edge in (lower, upper)})
    names_by_lower = {lower: name for lower, _, name in ranged}
    names = [names_by_lower.get(edge, f"gap from {edge}") for edge in edges[:-1]]
    literals = sql.SQL(", ").join(
        sql.Literal(edge if kind.endswith("with time zone") else edge.naive()) for edge in edges
    )
    return names, sql.SQL("ARRAY[{}]::{}[]").format(literals, sql.SQL(kind))


def _contents(run: Run, shared: str, now: Sides, edges: sql.Composed, table: Table) -> dict[int, Content]:
    """Count and checksum a table between the edges, without the rows that wait in the change log."""
    with run.database.snapshot(shared=shared) as session:
        rows = session.rows(
            "migration/list_checksums",
            table=table.table_name.identifier,
            log=run.table.change_log.identifier,
            partition_by=sql.Identifier(run.spec.partition_by),
            bounds=edges,
            row=hashed_row([table.column(each.name) for each in now.live.columns]),
            key=columns(now.logged, "k"),
            match=now.match("k", "t"),
        )
    return {row["bucket"]: Content(row["rows"], int(row["checksum"])) for row in rows}


def hashed_row(columns: Sequence[Column]) -> sql.Composed:
    """Return the columns for a checksum; a type whose equal values may be written differently is hashed as text."""
    parts = [
        sql.SQL("t.{}" if column.exact_hash else "t.{}::text").format(sql.Identifier(column.name)) for column in columns
    ]
    return sql.SQL(", ").join(parts)


def content_check(compared: Sequence[Compared], waiting: int, *, name: str = "row_content") -> Check:
    """Return the check that both sides hold the same rows, with every partition as evidence."""
    unequal = [each for each in compared if not each.equal]
    rows = sum(each.live.rows for each in compared)
    actual = f"{rows} rows equal in {len(compared)} partitions, {waiting} changes on their way"
    if unequal:
        actual = "; ".join(
            f"{each.partition}: live {each.live.rows} rows checksum {each.live.checksum}, "
            f"standby {each.standby.rows} rows checksum {each.standby.checksum}"
            for each in unequal
        )
    evidence = {
        each.partition: {"rows": each.live.rows, "checksum": str(each.live.checksum), "equal": each.equal}
        for each in compared
    }
    return check(
        name,
        not unequal,
        expected="equal counts and checksums of all columns in every partition, for every row without a waiting change",
        actual=actual,
        remedy="Do not cut over. Keep both tables, compare the partitions named, then roll back",
        evidence=evidence,
    )
