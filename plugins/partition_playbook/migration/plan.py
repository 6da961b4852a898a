"""Print what a migration would do: every statement with its lock, and an estimate; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from partition_playbook import catalog
from partition_playbook.catalog import Table
from partition_playbook.database import DrySession, Executed
from partition_playbook.migration import (
    capture,
    cutover,
    dependents,
    keys,
    load,
    materialized,
    reconcile,
    settle,
    shadow,
)
from partition_playbook.migration.run import Direction, Run, Sides, sides
from partition_playbook.names import TableName, clip
from partition_playbook.spec import DefaultPartition, RunParams

SWAP_LOCK = "ACCESS EXCLUSIVE on both tables, tried for at most 800 ms at a time and held for milliseconds"


def describe(run: Run, params: RunParams) -> list[str]:
    """Return the plan as lines: the estimate, then each statement below its purpose and its lock."""
    with run.database.snapshot() as opened:
        session = DrySession(opened.connection)
        if catalog.describe(session, run.table) is None:
            return [f"{run.table} does not exist: there is nothing to plan"]
        before = sides(session, run)
        if before.live.is_partitioned:
            return [f"{run.table} is partitioned already: there is nothing to migrate"]
        lines = list(_estimate(run, params, session))
        _record(run, session, before)
    return [*lines, *(line for each in session.journal for line in _lines(each))]


def _estimate(run: Run, params: RunParams, session: DrySession) -> Iterator[str]:
    found = shadow.find_range(session, run.spec)
    size = session.value("migration/find_size", {"schema": run.table.schema, "name": run.table.name})
    ordered = load.correlation(session, run)
    yield f"plan for {run.table}, {params.load_workers} load workers; nothing is changed"
    yield f"about {found['estimated_rows']} rows from {found['oldest']} to {found['newest']}"
    yield f"{size / 1e6:.0f} MB with indexes"
    limit = capture.limit(run.spec, size)
    yield f"disk needed beside the source: about {1.1 * size / 1e6:.0f} MB until partition_finalize"
    yield f"disk for the change log: at most {capture.INDEXED * limit / 1e6:.0f} MB; then the capture gives up"
    yield f"loads and reconciles wait for: {run.spec.throttle}"
    yield f"order of the heap against {run.spec.partition_by}: {ordered:.2f} (1 is in order, 0 is at random)"


def _record(run: Run, session: DrySession, before: Sides) -> None:
    """Let the engine write its own statements to the journal of a session that runs none."""
    bounds = shadow.planned_bounds(session, run.spec)
    shadow.create_tables(run, session, before, bounds)
    capture.create_triggers(run, session, run.table)
    built = replace(before, standby=_standby(run, before))
    kind = before.live.column(run.spec.partition_by).type
    partitions = [run.table.partition(each.suffix) for each in bounds]
    for each, partition in zip(bounds, partitions, strict=True):
        load.empty(session, partition)
        load.copy_rows(run, session, before.live, partition, each.literals(kind))
        load.create_indexes(session, before.live.partitioned_by(before.partition_by), partition)
    for each, partition in zip(bounds, partitions, strict=True):
        shadow.attach_one(run, session, built, partition, each)
    if run.spec.default_partition is DefaultPartition.KEEP:
        shadow.create_default(run, session, built)
        partitions.append(run.table.default)
    for partition in partitions:
        settle.vacuum(session, partition)
    for table in (*partitions, run.table.shadow):
        capture.create_triggers(run, session, table)
    settle.analyze(session, run.table.shadow)
    reconcile.write(run, session, built, [])
    reconcile.take_off(run, session, [])
    _record_keys(session, built, partitions)
    _record_swap(run, session, built)


def _record_keys(session: DrySession, built: Sides, partitions: list[TableName]) -> None:
    for partition in partitions:
        for key in built.live.foreign_keys:
            keys.add_unchecked(session, partition, key)
            keys.validate(session, partition, key)
    for key in built.live.foreign_keys:
        keys.add_whole(session, built.other.table_name, key)


def _record_swap(run: Run, session: DrySession, built: Sides) -> None:
    materialized.create_twins(session, built)
    readers = dependents.find(session, run.table)
    cutover.lock_around(session, built.live.table_name, built.other.table_name)
    for each in dependents.lock(readers):
        session.execute(each, purpose="Lock what reads the table before the table", lock="ACCESS EXCLUSIVE")
    cutover.lock_live(session, built.live.table_name)
    script = cutover.script(run, session, built, Direction.FORWARD, readers)
    session.execute(script, purpose="Cut over: everything that changes with the names", lock=SWAP_LOCK)
    for key in built.live.foreign_keys:
        keys.drop(session, run.table.retired, key)


def _standby(run: Run, before: Sides) -> Table:
    """Return the shadow as it will be described once it is there."""
    indexes = tuple(replace(index, name=clip(index.name, "_new")) for index in before.live.indexes)
    return replace(before.live, name=run.table.shadow.name, kind="p", indexes=indexes)


def _lines(each: Executed) -> Iterator[str]:
    yield f"-- {each.purpose}"
    yield f"-- lock: {each.lock}"
    yield f"{each.text};"
