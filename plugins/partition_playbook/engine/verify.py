"""Verify: compare all rows without a waiting change on both sides, in one snapshot."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from pendulum import DateTime
from psycopg import sql

from partition_playbook import catalog, figures
from partition_playbook.catalog import Column, Table
from partition_playbook.checks import Check, check
from partition_playbook.database import Limits, Session
from partition_playbook.engine import capture, doubled
from partition_playbook.engine.sides import Direction, Sides, sides
from partition_playbook.errors import Diverged
from partition_playbook.run import Run
from partition_playbook.sql import columns

OUTSIDE = "outside every bound"
COMPARED_BEFORE_CUTOVER, COMPARED_AFTER_CUTOVER = "compared_before_cutover", "compared_after_cutover"
COMPARED = {Direction.FORWARD: COMPARED_BEFORE_CUTOVER, Direction.BACK: COMPARED_AFTER_CUTOVER}


@dataclass(frozen=True)
class Content:
    """The number of rows and the checksum of a table between two bounds."""

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
        """Tell whether both sides have the same rows."""
        return self.live == self.standby


EMPTY = Content(0, 0)


def compare(run: Run) -> tuple[list[Compared], int]:
    """Compare both sides by partition in one snapshot; return the partitions and the number of waiting changes.

    The result is exact while the application writes: exactly the rows with a waiting change in the same snapshot are
    left out. Each side is read by a session of its own, at the same time. Raises SourceChanged if the columns differ.
    """
    started = time.monotonic()
    with run.database.snapshot(Limits(idle_in_transaction=0)) as session:
        now = sides(session, run)
        now.require_same_columns()
        names, edges = partition_edges(session, run, now.partitioned)
        waiting = capture.count(session, run)
        capture_fingerprint = capture.capture_fingerprint(session, run, now)

        shared = session.value("session/export_snapshot")
        tables: list[sql.Composable] = [now.live.table_name.identifier, now.require_standby().table_name.identifier]
        # After the cutover the wider keys may have allowed rows that are beside the retired table.
        if now.live.is_partitioned and doubled.exists(session, run.table):
            tables.append(doubled.open_rows(run.table))
        with ThreadPoolExecutor(2) as pool:
            live, standby, *beside = pool.map(partial(_contents, run, shared, now, edges), tables)
        standby = _together(standby, *beside)

    compared = [
        Compared(name, live.get(bucket, EMPTY), standby.get(bucket, EMPTY))
        for bucket, name in enumerate(names, start=1)
    ]
    outside = [bucket for bucket in live.keys() | standby.keys() if not 1 <= bucket <= len(names)]
    compared += [Compared(OUTSIDE, live.get(each, EMPTY), standby.get(each, EMPTY)) for each in sorted(outside)]

    equal = all(each.equal for each in compared)
    seconds = time.monotonic() - started
    _record_comparison(run, now.direction, capture_fingerprint if equal else "", waiting, seconds)
    return compared, waiting


def _record_comparison(run: Run, direction: Direction, state: str, waiting: int, seconds: float) -> None:
    """Record the capture fingerprint of an equal comparison; an unequal one takes back the last."""
    if state or compared_fingerprint(run, direction):
        run.ledger.record_measurement(
            "migration", COMPARED[direction], waiting, "changes", state=state, seconds=seconds
        )


def compared_fingerprint(run: Run, direction: Direction) -> str:
    """Return the capture fingerprint of the last comparison before a swap in this direction.

    Empty without a comparison, and if the two sides differed.
    """
    recorded = run.ledger.measurements("migration").get(COMPARED[direction])
    return str(recorded["detail"]["state"]) if recorded else ""


def unbroken_capture(run: Run) -> str:
    """Return the capture fingerprint of the last equal comparison of these sides; empty if it has changed."""
    with run.database.session() as session:
        now = sides(session, run)
        found = capture.capture_fingerprint(session, run, now)
    return found if compared_fingerprint(run, now.direction) == found else ""


def partition_edges(session: Session, run: Run, partitioned: Table) -> tuple[list[str], sql.Composed]:
    """Return the partitions' names in the order of their bounds, and all edges as an SQL array; gaps are named too."""
    ranged = []
    written: dict[DateTime, str] = {}
    for each in catalog.partitions(session, partitioned.table_name):
        ends = None if each.is_default else each.ends(run.spec.timezone)
        if ends and ends[0] and ends[1] and each.edges:
            ranged.append((ends[0], ends[1], each.table.name))
            written |= {ends[0]: each.edges[0], ends[1]: each.edges[1]}
    ranged.sort()

    kind = partitioned.column(run.spec.partition_by).type
    edges = sorted({edge for lower, upper, _ in ranged for edge in (lower, upper)})
    names_by_lower = {lower: name for lower, _, name in ranged}
    names = [names_by_lower.get(edge, f"gap from {edge}") for edge in edges[:-1]]
    # As the catalog has them: a wall clock that the zone skips is a bound of a column without a zone.
    literals = sql.SQL(", ").join(sql.SQL(written[edge]) for edge in edges)
    return names, sql.SQL("ARRAY[{}]::{}[]").format(literals, sql.SQL(kind))


def _together(*contents: dict[int, Content]) -> dict[int, Content]:
    """Add up the contents of several tables."""
    buckets = {bucket for each in contents for bucket in each}
    found = {bucket: [each[bucket] for each in contents if bucket in each] for bucket in buckets}
    return {
        bucket: Content(sum(each.rows for each in parts), sum(each.checksum for each in parts))
        for bucket, parts in found.items()
    }


def _contents(run: Run, shared: str, now: Sides, edges: sql.Composed, table: sql.Composable) -> dict[int, Content]:
    """Count and checksum a table by partition number, without the rows in the change log."""
    with run.database.snapshot(shared=shared) as session:
        rows = session.rows(
            "engine/list_checksums",
            table=table,
            log=run.table.change_log.identifier,
            partition_by=sql.Identifier(run.spec.partition_by),
            bounds=edges,
            row=hashed_row(now.live.columns),
            key=columns(now.change_log_columns, "k"),
            match=now.match("k", "t"),
        )
    return {row["bucket"]: Content(row["rows"], int(row["checksum"])) for row in rows}


def hashed_row(columns: Sequence[Column]) -> sql.Composed:
    """Return the columns for a checksum; types with several forms of one value, such as numeric, are hashed as text."""
    parts = [
        sql.SQL("t.{}" if column.exact_hash else "t.{}::text").format(sql.Identifier(column.name)) for column in columns
    ]
    return sql.SQL(", ").join(parts)


def _content_text(content: Content) -> str:
    return f"{figures.count(content.rows, 'row')} with checksum {content.checksum}"


def content_check(compared: Sequence[Compared], waiting: int, *, name: str = "row_content") -> Check:
    """Return the check of equal rows on both sides, with every partition as evidence."""
    unequal = [each for each in compared if not each.equal]
    rows = sum(each.live.rows for each in compared)
    actual = (
        f"{figures.count(rows, 'row')} equal in {figures.count(len(compared), 'partition')}, "
        f"{figures.count(waiting, 'change')} waiting"
    )
    if unequal:
        actual = "; ".join(
            f"{each.partition}: live {_content_text(each.live)}, standby {_content_text(each.standby)}"
            for each in unequal
        )
    evidence = {
        each.partition: {"rows": each.live.rows, "checksum": str(each.live.checksum), "equal": each.equal}
        for each in compared
    }
    return check(
        name,
        not unequal,
        expected="equal counts and checksums of all columns in every partition, over all rows without a waiting change",
        actual=actual,
        remedy="Keep both tables and compare the partitions named. Before the cutover trigger partition_rollback, then "
        "start a new run. After it make both tables equal first",
        evidence=evidence,
    )


def require_equal(run: Run, remedy: str) -> None:
    """Compare every row of both sides; Diverged if one differs."""
    found = content_check(*compare(run))
    if found.blocks:
        raise Diverged(found.actual, where=str(run.table), remedy=remedy)
