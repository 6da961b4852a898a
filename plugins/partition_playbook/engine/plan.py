"""Plan a migration: list every statement with its lock, and an estimate, without changing anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from partition_playbook import catalog, figures
from partition_playbook.catalog import Table
from partition_playbook.database import DrySession, Executed
from partition_playbook.engine import (
    attach,
    capture,
    cutover,
    dependents,
    foreign_keys,
    layout,
    load,
    materialized_views,
    reconcile,
    sequences,
    shadow,
    swap_script,
    vacuum,
)
from partition_playbook.engine.locks import lock_several
from partition_playbook.engine.sides import Direction, Sides, sides
from partition_playbook.names import SHADOW_SUFFIX, TableName, clip
from partition_playbook.run import Run
from partition_playbook.spec import DefaultPartition, RunParams

SWAP_LOCK = "ACCESS EXCLUSIVE on both tables, all locks of a try within 800 ms, then held for milliseconds"


def describe(run: Run, params: RunParams) -> list[str]:
    """Return the plan as lines: the estimate, then each statement with its purpose and lock as comments."""
    with run.database.snapshot() as opened:
        session = DrySession(opened.connection)
        if catalog.describe(session, run.table) is None:
            return [f"{run.table} does not exist: there is nothing to plan"]
        before = sides(session, run)
        if before.live.is_partitioned:
            return [f"{run.table} is partitioned already: there is nothing to migrate"]
        lines = list(_estimate(run, params, session, before.live))
        _record(run, session, before)
    return [*lines, *(line for each in session.journal for line in _lines(each))]


def _estimate(run: Run, params: RunParams, session: DrySession, source: Table) -> Iterator[str]:
    found = layout.find_range(session, run.spec)
    size = session.value("engine/find_size", {"schema": run.table.schema, "name": run.table.name})
    ordered = load.correlation(session, run)
    yield f"plan for {run.table}, {figures.count(params.load_workers, 'load worker')}; nothing is changed"
    yield f"about {figures.count(found['estimated_rows'], 'row')} from {found['oldest']} to {found['newest']}"
    yield f"{figures.size(size)} with indexes"

    limit = capture.limit(run.spec, size)
    yield f"disk needed beside the source: about {figures.size(1.1 * size)} until partition_finalize"
    yield f"disk for the change log: at most {figures.size(capture.INDEXED * limit)}; change capture stops there"
    weaker = [index.name for index in source.indexes if index.unique and run.spec.partition_by not in index.columns]
    if weaker:
        yield (
            f"after the cutover, rows with a value doubled in {', '.join(weaker)} are written to {run.table.doubled} "
            "as well; in a rollback only the oldest of them stays in the table"
        )
    yield "COPY takes two to three times as long while change capture is on, until partition_finalize"
    yield f"limits of the throttle, for loads and reconciles: {run.spec.throttle}"
    yield f"correlation of the heap with {run.spec.partition_by}: {figures.decimal(ordered)} (1 in order, 0 at random)"


def _record(run: Run, session: DrySession, before: Sides) -> None:
    """Run the engine on a dry session, so that its journal has every statement."""
    bounds = layout.planned_bounds(session, run.spec)
    shadow.create_tables(run, session, before, bounds)
    capture.create_triggers(run, session, run.table)
    for write in capture.WRITES:
        capture.send(run, session, write)

    built = replace(before, standby=_standby(run, before))
    kind = before.live.column(run.spec.partition_by).type
    partitions = [run.table.partition(each.suffix) for each in bounds]
    for each, partition in zip(bounds, partitions, strict=True):
        load.empty(session, partition)
        load.copy_rows(run, session, before.live, partition, each.literals(kind))
        load.create_indexes(session, before.live.partitioned_by(before.partition_by), partition)

    for each, partition in zip(bounds, partitions, strict=True):
        attach.attach_one(run, session, built, partition, each)
    if run.spec.default_partition is DefaultPartition.KEEP:
        attach.create_default(run, session, built)
        partitions.append(run.table.default)

    for partition in partitions:
        vacuum.vacuum(session, partition)
    for table in (*partitions, run.table.shadow):
        capture.create_triggers(run, session, table)
    vacuum.analyze(session, run.table.shadow)

    reconcile.write(run, session, built, [])
    reconcile.delete_changes(run, session, [])
    _record_keys(session, built, partitions)
    _record_swap(run, session, built, partitions)


def _record_keys(session: DrySession, built: Sides, partitions: list[TableName]) -> None:
    for partition in partitions:
        for key in built.live.foreign_keys:
            foreign_keys.add_unchecked(session, partition, key)
            foreign_keys.validate(session, partition, key)
    for key in built.live.foreign_keys:
        foreign_keys.add_whole(session, built.require_standby().table_name, key)


def _record_swap(run: Run, session: DrySession, built: Sides, partitions: list[TableName]) -> None:
    materialized_views.create_twins(session, built)
    readers = dependents.find(session, run.table)
    partitions = sorted(partitions)  # the swap locks them in the order of their names
    cutover.lock_around(session, built.live.table_name, built.require_standby().table_name)
    cutover.lock_partitions_around(session, partitions)
    for each in dependents.lock(readers):
        session.execute(each, purpose=cutover.LOCK_DEPENDENTS, lock="ACCESS EXCLUSIVE")
    cutover.lock_live(session, built.live.table_name)
    lock_several(session, "engine/lock_partitions", partitions)
    for each in sequences.lock(session, built.live):
        session.execute(each, purpose=cutover.LOCK_SEQUENCE, lock="ACCESS EXCLUSIVE on the sequence")
    for key in built.live.foreign_keys:
        foreign_keys.drop(session, built.live.table_name, key)
    script = swap_script.compose(run, session, built, Direction.FORWARD, readers)
    session.execute(script, purpose="Swap the names, and everything that changes with them", lock=SWAP_LOCK)


def _standby(run: Run, before: Sides) -> Table:
    """Return the future shadow, as the catalog would describe it."""
    indexes = tuple(replace(index, name=clip(index.name, SHADOW_SUFFIX)) for index in before.live.indexes)
    return replace(before.live, name=run.table.shadow.name, kind="p", indexes=indexes)


def _lines(each: Executed) -> Iterator[str]:
    yield f"-- {each.purpose}"
    yield f"-- lock: {each.lock}"
    yield f"{each.text};"
