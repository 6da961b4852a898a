"""Plan a migration: every statement with its lock, what it needs, and its hash. Nothing is changed or recorded."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg import sql

from partition_playbook import __version__, catalog, figures
from partition_playbook.catalog import Table
from partition_playbook.database import UNREAD_TABLE_LOCK, DrySession, Params, Row, Session
from partition_playbook.engine import (
    attach,
    capture,
    dependents,
    foreign_keys,
    layout,
    load,
    load_groups,
    materialized_views,
    plan_text,
    reconcile,
    sequences,
    shadow,
    swap_locks,
    swap_script,
    vacuum,
)
from partition_playbook.engine.batches import NO_CHANGES
from partition_playbook.engine.locks import lock_several
from partition_playbook.engine.planned import MODES, LiveLock, Needs, Part, Plan, Step, live_mode
from partition_playbook.engine.sides import Direction, Sides, sides
from partition_playbook.errors import LedgerMissing, PreconditionFailed
from partition_playbook.intervals import Bounds
from partition_playbook.lock_retry import PATIENCE, LockRetry
from partition_playbook.names import SHADOW_SUFFIX, TableName, clip
from partition_playbook.run import Run
from partition_playbook.spec import RunParams

SWAP_LOCK = "ACCESS EXCLUSIVE on both tables, all locks of a try within 800 ms, then held for milliseconds"
# Rows, keys and indexes once more, with some room: see `disk needed` in the plan.
COPIED = 1.1
# The limit of the change log follows the size of the table, so it is left out of the hash.
LIMIT = re.compile(r"(pg_relation_size\([^\n]*\) >= )\d+")
# It sets where new tables are placed; see `attributes`.
PLACEMENT = "engine/set_placement"


@dataclass
class PlanSession(DrySession):
    """A dry session that also keeps each statement with its values, and the part of the plan that it belongs to."""

    part: Part = Part.SHADOW
    steps: list[Step] = field(default_factory=list)

    def rows(self, name: str, params: Params | None = None, /, **parts: Any) -> list[Row]:
        """Run a read; not the settings of each partition to create, because nothing is created."""
        return [] if name == PLACEMENT else super().rows(name, params, **parts)

    def execute(
        self,
        query: sql.Composable,
        params: Params | None = None,
        *,
        purpose: str,
        lock: str = UNREAD_TABLE_LOCK,
        script: sql.Composable | None = None,
    ) -> int:
        """Add the statement to the plan without running it; return 0."""
        text = query.as_string(self.connection)
        copied = text if params is None else psycopg.ClientCursor(self.connection).mogrify(sql.SQL(text), params)
        self.steps.append(Step(self.part, purpose, lock, text, copied))
        return 0


def describe(run: Run, params: RunParams) -> list[str]:
    """Return the plan as lines: the summary, then each statement with its purpose and lock as comments."""
    return plan_text.lines(make(run, params))


def make(run: Run, params: RunParams) -> Plan:
    """Plan a migration from one snapshot of the catalog; PreconditionFailed if there is no plain table to migrate.

    It waits for no run and needs no ledger: a ledger only tells the pace of an earlier run.
    """
    with run.database.snapshot() as session:
        live, bounds, steps = _read(run, session)
        needs = _needs(run, session)
        told = tuple(_told(run, params, session, live, needs))
        return Plan(
            table=run.table,
            hash=_hash(run, session, live, steps),
            version=__version__,
            server=session.server_version(),
            partitions=tuple((run.table.partition(each.suffix), each) for each in bounds),
            locks=tuple(_live_locks(run, steps)),
            needs=needs,
            told=told,
            steps=steps,
        )


def reviewable_hash(run: Run, session: Session) -> str:
    """Return the hash of the present plan, from the transaction of ``session``.

    It covers the version of the playbook, the major version of the server, every key of the table spec, the definition
    of the table, and every statement of the plan with its lock. So it also covers the set of partitions, which follows
    the oldest and newest row and the clock. It does not cover the number or size of rows, nor the params of a run.
    """
    live, _, steps = _read(run, session)
    return _hash(run, session, live, steps)


def _hash(run: Run, session: Session, live: Table, steps: Sequence[Step]) -> str:
    content = {
        "version": __version__,
        "server": session.server_version(),
        "spec": run.spec.model_dump(mode="json"),
        "table": layout.plan_hash(live, run.spec),
        "steps": [(each.part, each.lock, LIMIT.sub(r"\1", each.sql)) for each in steps],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _read(run: Run, session: Session) -> tuple[Table, list[Bounds], tuple[Step, ...]]:
    """Return the live table, the planned bounds and every statement; PreconditionFailed without a plain table."""
    dry = PlanSession(session.connection)
    live = catalog.describe(dry, run.table)
    if live is None or live.is_partitioned:
        problem = "it is partitioned already" if live else "it does not exist"
        remedy = "Trigger partition_maintenance for it" if live else "Correct `table` in the spec, or create the table"
        raise PreconditionFailed(f"{problem}: there is nothing to plan", where=str(run.table), remedy=remedy)

    before = sides(dry, run)
    bounds = layout.planned_bounds(dry, run.spec)
    _record(run, dry, before, bounds)
    return live, bounds, tuple(dry.steps)


def _needs(run: Run, session: Session) -> Needs:
    found = layout.find_range(session, run.spec)
    size = int(session.value("engine/find_size", {"schema": run.table.schema, "name": run.table.name}))
    pace = _pace(run)
    return Needs(
        estimated_rows=found["estimated_rows"],
        table_bytes=size,
        disk_bytes=int(COPIED * size),
        change_log_bytes=int(capture.INDEXED * capture.limit(run.spec, size)),
        wal_bytes=size,
        load_seconds=found["estimated_rows"] * pace["seconds"] / pace["rows"] if pace else None,
    )


def _pace(run: Run) -> Row | None:
    """Return the pace of the last measured run of the table; None without one, or without a ledger to read."""
    with suppress(LedgerMissing, psycopg.errors.InsufficientPrivilege):
        return run.ledger.last_pace(run.table)
    return None


def _told(run: Run, params: RunParams, session: Session, source: Table, needs: Needs) -> Iterator[str]:
    found = layout.find_range(session, run.spec)
    yield f"plan for {run.table}, {figures.count(params.load_workers, 'load worker')}; nothing is changed"
    yield f"about {figures.count(needs.estimated_rows, 'row')} from {found['oldest']} to {found['newest']}"
    yield f"{figures.size(needs.table_bytes)} with indexes"

    yield f"disk needed beside the source: about {figures.size(needs.disk_bytes)} until partition_finalize"
    yield f"disk for the change log: at most {figures.size(needs.change_log_bytes)}; change capture stops there"
    yield (
        f"WAL: at least about {figures.size(needs.wal_bytes)}, as every row and index entry is written once more; "
        "a backup, and full pages after each checkpoint, are not counted"
    )
    yield _time(needs)

    weaker = [index.name for index in source.indexes if index.unique and run.spec.partition_by not in index.columns]
    if weaker:
        yield (
            f"after the cutover, rows with a value doubled in {', '.join(weaker)} are written to {run.table.doubled} "
            "as well; in a rollback only the oldest of them stays in the table"
        )
    yield "COPY takes two to three times as long while change capture is on, until partition_finalize"
    yield f"limits of the throttle, for loads and reconciles: {run.spec.throttle}"
    ordered = load.correlation(session, run)
    yield f"correlation of the heap with {run.spec.partition_by}: {figures.decimal(ordered)} (1 in order, 0 at random)"


def _time(needs: Needs) -> str:
    if needs.load_seconds is None:
        return "time: unknown until a run of this table was measured; trigger mode rehearse on a copy first"
    return f"time for the loads: about {figures.seconds(needs.load_seconds)}, at the pace of the last run of this table"


def _live_locks(run: Run, steps: Sequence[Step]) -> Iterator[LiveLock]:
    """Yield the strongest lock on the live table of each part of the plan."""
    for part in Part:
        taken = [mode for each in steps if each.part is part and (mode := live_mode(each, run.table))]
        if taken:
            strongest = max(taken, key=MODES.index)
            # At most one load for each partition; the statements of another part share a transaction, or one a batch.
            times = len(taken) if part is Part.LOAD else 1
            yield LiveLock(part, strongest, times, _waits(part), _holds(run, part), _blocks(strongest))


def _waits(part: Part) -> str:
    retry = LockRetry()
    a_try = f"{figures.milliseconds(retry.longest_ms)} a try, in at most {figures.count(retry.tries, 'try', 'tries')}"
    if part is Part.SWAP:
        return f"at most {a_try}; all locks of a try together"
    if part is Part.CAPTURE:
        return f"at most {a_try}"
    if part is Part.LOAD:
        return f"at most {figures.milliseconds(PATIENCE.longest_ms)} a try"
    return "at most 5 s"


def _holds(run: Run, part: Part) -> str:
    if part is Part.SWAP:
        limit = figures.seconds(run.spec.max_lock.total_seconds())
        return f"for milliseconds; a rehearsal is a no-go above max_lock ({limit})"
    if part is Part.CAPTURE:
        return "for milliseconds"
    return "as long as the load" if part is Part.LOAD else "until its transaction ends"


def _blocks(mode: str) -> str:
    if mode == "ACCESS EXCLUSIVE":
        return "reads and writes"
    if MODES.index(mode) >= MODES.index("SHARE"):
        return "writes"
    return "VACUUM and DDL" if mode == "SHARE UPDATE EXCLUSIVE" else "DDL only"


def _record(run: Run, session: PlanSession, before: Sides, bounds: list[Bounds]) -> None:
    """Run the engine on a dry session, so that it keeps every statement."""
    shadow.create_tables(run, session, before, bounds)
    session.part = Part.CAPTURE
    capture.create_triggers(run, session, [run.table])
    for write in capture.WRITES:
        capture.send(run, session, write)
    capture.log_rows_outside(run, session, before, bounds)

    session.part = Part.LOAD
    for each in bounds:
        _record_load(run, session, before, each)

    session.part = Part.ATTACH
    built = replace(before, standby=_standby(run, before))
    partitions = [run.table.partition(each.suffix) for each in bounds]
    attach.attach(run, session, built, dict(zip(partitions, bounds, strict=True)))
    if attach.creates_default(run):
        attach.create_default(run, session, built)
        partitions.append(run.table.default)

    session.part = Part.SETTLE
    for partition in partitions:
        vacuum.vacuum(session, [partition], analyzed=vacuum.analyzes_parent_alone(session))
    capture.create_triggers(run, session, [*partitions, run.table.shadow])
    vacuum.analyze(session, run.table.shadow)

    session.part = Part.RECONCILE
    reconcile.write(run, session, built, NO_CHANGES)
    reconcile.delete_changes(run, session, NO_CHANGES)
    session.part = Part.KEYS
    _record_keys(session, built, partitions)
    session.part = Part.SWAP
    _record_swap(run, session, built, partitions)


def _record_load(run: Run, session: PlanSession, before: Sides, bounds: Bounds) -> None:
    """Load one partition on a dry session; a run loads several from one scan."""
    partition, parent = run.table.partition(bounds.suffix), run.table.load_parent(0)
    ends = run.spec.codec.ends(bounds, before.live.column(run.spec.partition_by).type)

    load.lock(session, [partition])  # it is new, so there is nothing to empty
    session.run("engine/hold_capture", log=run.table.change_log.identifier)
    load_groups.create_parent(run, session, parent)
    load_groups.attach(session, parent, {partition: ends})
    load.copy_rows(run, session, before.live, parent, bounds, bounds)
    load.release(session, parent, [partition])
    load.create_indexes(session, before.live.partitioned_by(before.partition_by), [partition])


def _record_keys(session: DrySession, built: Sides, partitions: list[TableName]) -> None:
    shadow = built.require_standby().table_name
    to_add_to = foreign_keys.tables_to_add_to(session, shadow, partitions)
    for key in built.live.foreign_keys:
        for tables in to_add_to:
            foreign_keys.add_unchecked(session, tables, key)
        if key.validated:
            foreign_keys.validate(session, partitions, key)
        if [shadow] not in to_add_to:
            foreign_keys.add_whole(session, shadow, key)
        elif key.validated:
            foreign_keys.validate(session, [shadow], key)


def _record_swap(run: Run, session: DrySession, built: Sides, partitions: list[TableName]) -> None:
    materialized_views.create_twins(session, built)
    readers = dependents.find(session, run.table)
    partitions = sorted(partitions)  # the swap locks them in the order of their names
    swap_locks.lock_around(session, built.live.table_name, built.require_standby().table_name)
    swap_locks.lock_partitions_around(session, partitions)
    for each in dependents.lock(readers):
        session.execute(each, purpose=swap_locks.LOCK_DEPENDENTS, lock="ACCESS EXCLUSIVE")
    swap_locks.lock_live(session, built.live.table_name)
    lock_several(session, "engine/lock_partitions", partitions)
    for each in sequences.lock(session, built.live):
        session.execute(each, purpose=swap_locks.LOCK_SEQUENCE, lock="ACCESS EXCLUSIVE on the sequence")
    for key in built.live.foreign_keys:
        foreign_keys.drop(session, built.live.table_name, key)
    script = swap_script.compose(run, session, built, Direction.FORWARD, readers)
    session.execute(script, purpose="Swap the names, and everything that changes with them", lock=SWAP_LOCK)


def _standby(run: Run, before: Sides) -> Table:
    """Return the future shadow, as the catalog would describe it."""
    indexes = tuple(replace(index, name=clip(index.name, SHADOW_SUFFIX)) for index in before.live.indexes)
    return replace(before.live, name=run.table.shadow.name, kind="p", indexes=indexes)
