"""Measure what partitions gain besides faster reads: retention, vacuum, and the index bytes that stay hot."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pendulum

from partition_playbook import catalog
from partition_playbook.catalog import Partition
from partition_playbook.database import Row, Session
from partition_playbook.migration.run import Run, Sides, sides
from partition_playbook.names import LEDGER_SCHEMA, TableName, clip
from partition_playbook.spec import Mode
from partition_playbook.sql import columns

STAGE = "gains"
# Enough rows to tell a DELETE from a DROP, and few enough to copy in seconds.
SAMPLE = 200_000


def gains(run: Run) -> None:
    """Record the sizes, and in a rehearsal what retention costs; the copies that it takes are dropped again."""
    with run.database.session() as session:
        now = sides(session, run)
        partitions = catalog.partitions(session, now.partitioned.table_name)
        _measure_sizes(run, session, now, partitions)
    filled = [each for each in partitions if each.estimated_rows > 0 and not each.is_default]
    if filled and Mode(run.ledger.run()["mode"]) is Mode.REHEARSE:
        _measure_retention(run, now, filled[0].table)


def _measure_sizes(run: Run, session: Session, now: Sides, partitions: Sequence[Partition]) -> None:
    whole = _sizes(session, now.monolith.table_name)
    parts = {each.table.name: _sizes(session, each.table) for each in partitions}
    current = next((each.table.name for each in partitions if _is_current(run, each)), None)
    if current:
        note = f"of {current}, where new rows go; {whole['indexes']:,} bytes of indexes on the original"
        run.ledger.measure(STAGE, "hot_index_bytes", parts[current]["indexes"], "bytes", note=note)
    largest = max(parts, key=lambda name: parts[name]["heap"])
    note = f"of {largest}, the largest; {whole['heap']:,} bytes of the original"
    run.ledger.measure(STAGE, "vacuum_unit_bytes", parts[largest]["heap"], "bytes", note=note)


def _sizes(session: Session, table: TableName) -> Row:
    return session.row("pruning/find_sizes", {"schema": table.schema, "name": table.name})


def _is_current(run: Run, partition: Partition) -> bool:
    now = pendulum.now(run.spec.timezone)
    lower, upper = partition.ends(run.spec.timezone) or (None, None)
    return lower is not None and upper is not None and lower <= now < upper


def _measure_retention(run: Run, now: Sides, partition: TableName) -> None:
    """Measure a DELETE and a DROP of the same rows, on copies: a DELETE of the user's would leave dead rows behind."""
    copy = TableName(LEDGER_SCHEMA, clip(f"{run.table.schema}_{run.table.name}", "_gains"))
    names = columns(now.partitioned.writable)
    try:
        with run.database.session() as session:
            rows = _make_copy(session, copy, partition, names)
            _measure_delete(run, session, copy, rows)
            _make_copy(session, copy, partition, names)
            _measure_drop(run, session, copy, rows)
    finally:
        with run.database.session() as session:
            session.run("pruning/drop_copy", copy=copy.identifier)


def _make_copy(session: Session, copy: TableName, partition: TableName, names: object) -> int:
    session.run("pruning/drop_copy", copy=copy.identifier)
    session.run("pruning/create_copy", copy=copy.identifier, partition=partition.identifier)
    parts = {"copy": copy.identifier, "partition": partition.identifier, "columns": names}
    return session.run("pruning/fill_copy", {"rows": SAMPLE}, **parts)


def _measure_delete(run: Run, session: Session, copy: TableName, rows: int) -> None:
    started = time.perf_counter()
    (plan,) = session.value("pruning/explain_delete", copy=copy.identifier)
    taken = 1000 * (time.perf_counter() - started)
    note = f"{rows:,} rows of one partition; at least, for on the original they lie among the rows that stay"
    run.ledger.measure(STAGE, "retention_delete_ms", taken, "ms", note=note)
    run.ledger.measure(STAGE, "retention_delete_wal", plan["Plan"].get("WAL Bytes", 0), "bytes", note=note)
    vacuum = _timed(lambda: session.run("pruning/vacuum_copy", copy=copy.identifier))
    run.ledger.measure(STAGE, "retention_vacuum_ms", vacuum, "ms", note="the vacuum that such a DELETE needs after it")


def _measure_drop(run: Run, session: Session, copy: TableName, rows: int) -> None:
    before = session.value("pruning/find_wal_position")
    taken = _timed(lambda: session.run("pruning/drop_copy", copy=copy.identifier))
    written = session.value("pruning/find_wal_position") - before
    run.ledger.measure(STAGE, "retention_drop_ms", taken, "ms", note=f"the same {rows:,} rows as a partition")
    run.ledger.measure(STAGE, "retention_drop_wal", written, "bytes", note="at most: other sessions' WAL is in it")


def _timed(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - started)
