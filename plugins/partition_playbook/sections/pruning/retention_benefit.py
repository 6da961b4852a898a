"""Measure the gains of partitions other than faster reads: retention, vacuum, and smaller hot indexes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from pendulum import DateTime

from partition_playbook import catalog, figures
from partition_playbook.catalog import Partition
from partition_playbook.database import Row, Session
from partition_playbook.engine import layout
from partition_playbook.engine.sides import Sides, sides
from partition_playbook.names import LEDGER_SCHEMA, TableName, clip
from partition_playbook.run import Run
from partition_playbook.spec import Mode
from partition_playbook.sql import columns

STAGE = "gains"
# Enough rows to measure the difference of DELETE and DROP, and few enough to copy in seconds.
SAMPLE = 200_000


def measure_benefit(run: Run) -> None:
    """Record sizes, and in a rehearsal the cost of retention by DELETE and by DROP on a copy that is dropped again."""
    with run.database.session() as session:
        now = sides(session, run)
        partitions = catalog.partitions(session, now.partitioned.table_name)
        _measure_sizes(run, session, now, partitions)

    filled = [each for each in partitions if each.estimated_rows > 0 and not each.is_default]
    if filled and Mode(run.ledger.run()["mode"]) is Mode.REHEARSE:
        _measure_retention(run, now, filled[0].table)


def _measure_sizes(run: Run, session: Session, now: Sides, partitions: Sequence[Partition]) -> None:
    original = _sizes(session, now.monolith.table_name)
    parts = {each.table.name: _sizes(session, each.table) for each in partitions}
    present = layout.find_present(session, run.spec)
    current = next((each.table.name for each in partitions if _is_current(run, each, present)), None)
    if current:
        note = f"of {current}, the current partition; {figures.size(original['indexes'])} of indexes on the original"
        run.ledger.record_measurement(STAGE, "hot_index_bytes", parts[current]["indexes"], "bytes", note=note)

    largest = max(parts, key=lambda name: parts[name]["heap"])
    note = f"of {largest}, the largest partition; {figures.size(original['heap'])} of the original"
    run.ledger.record_measurement(STAGE, "vacuum_unit_bytes", parts[largest]["heap"], "bytes", note=note)


def _sizes(session: Session, table: TableName) -> Row:
    return session.row("pruning/find_sizes", {"schema": table.schema, "name": table.name})


def _is_current(run: Run, partition: Partition, now: DateTime) -> bool:
    lower, upper = partition.ends(run.spec.codec) or (None, None)
    return lower is not None and upper is not None and lower <= now < upper


def _measure_retention(run: Run, now: Sides, partition: TableName) -> None:
    """Measure a DELETE and a DROP of the same rows on copies: on the table the DELETE would leave dead rows behind."""
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
    note = f"{figures.count(rows, 'row')} of one partition; a lower bound: the original has them among other rows"

    run.ledger.record_measurement(STAGE, "retention_delete_ms", taken, "ms", note=note)
    run.ledger.record_measurement(STAGE, "retention_delete_wal", plan["Plan"].get("WAL Bytes", 0), "bytes", note=note)

    vacuum = _timed(lambda: session.run("pruning/vacuum_copy", copy=copy.identifier))
    run.ledger.record_measurement(STAGE, "retention_vacuum_ms", vacuum, "ms", note="the vacuum after such a DELETE")


def _measure_drop(run: Run, session: Session, copy: TableName, rows: int) -> None:
    before = session.value_unless_refused("pruning/find_wal_position")
    taken = _timed(lambda: session.run("pruning/drop_copy", copy=copy.identifier))
    after = session.value_unless_refused("pruning/find_wal_position")
    run.ledger.record_measurement(
        STAGE, "retention_drop_ms", taken, "ms", note=f"the same {figures.count(rows, 'row')} as a partition"
    )
    if before is None or after is None:
        run.ledger.add_note("the server does not tell its WAL position: retention_drop_wal is not measured")
        return
    run.ledger.record_measurement(
        STAGE,
        "retention_drop_wal",
        after - before,
        "bytes",
        note="an upper bound: WAL of other sessions is included",
    )


def _timed(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - started)
