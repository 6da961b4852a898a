"""End a migration: roll back, abandon, and the parts shared with finalize."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import psycopg
from psycopg import sql

from partition_playbook import catalog, gates
from partition_playbook.database import Session
from partition_playbook.engine import (
    capture,
    cutover,
    dependents,
    foreign_keys,
    load_groups,
    materialized_views,
    own_readers,
    reconcile,
    retention_proof,
    verify,
)
from partition_playbook.engine.advisory_locks import Exclusive, exclusive_session
from partition_playbook.engine.cutover import Swapped
from partition_playbook.engine.sides import Direction
from partition_playbook.errors import PreconditionFailed
from partition_playbook.gates import Gate
from partition_playbook.ledger import Phase
from partition_playbook.lock_retry import with_lock_retry
from partition_playbook.names import TableName
from partition_playbook.run import Run

RETURNED = "Nothing was dropped. Copy the missing rows to the live table, then trigger partition_rollback again"
END_TRIES = 5
# Partitions that one transaction drops: each takes locks on its indexes, TOAST and constraints too.
DROPPED_TOGETHER = 25
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RolledBack:
    """The result of a rollback; ``seconds`` from its start until the original table was live."""

    seconds: float
    swapped: Swapped | None


def roll_back(run: Run, gate: Gate | None = None) -> RolledBack:
    """Make the original table live again, with every write since the cutover; raises like ``cutover.swap``."""
    started = time.perf_counter()
    gates.require(run, gate)  # the swap asks again under its lock, but only if there is something to swap
    swapped = cutover.swap(run, Direction.BACK, gate=gate)
    return RolledBack((swapped.released if swapped else time.perf_counter()) - started, swapped)


def abandon(run: Run, gate: Gate | None = None) -> None:
    """Drop capture, shadow and change log; PreconditionFailed unless the original table is live.

    A partitioned table with a past as live table is dropped only after a comparison of every row; Diverged if one
    differs. GateClosed unless ``gate`` permits it under the advisory lock of the step.
    """
    with exclusive_session(run, Exclusive.STEP):
        gates.require(run, gate)
        with run.database.session() as session:
            _require_original_live(run, session)
            captured = capture.is_on(run, session, run.table)

        foreign_keys.validate_live(run)  # in case a rollback died between its swap and this
        if captured and run.ledger.run()["phase"] == Phase.ROLLED_BACK:
            require_same(run, RETURNED)

        with reconcile.reconciler(run) as session:
            _require_original_live(run, session)  # the session with the lock of the step may have died
            # The triggers of the shadow and its partitions go with them.
            capture.end(run, session, only=run.table)
            for table in _shadow_and_views(run, session):
                drop(run, session, table)
            for several in _slices_of(_detached(run, session)):
                _drop(run, session, several[0], several)
            for table in retention_proof.find(run, session):
                drop(run, session, table)
            end(run, session, Phase.ABANDONED)
    log.info("%s: the original table is live; shadow, change capture and change log are dropped", run.table)


def _require_original_live(run: Run, session: Session) -> None:
    if catalog.require(session, run.table).is_partitioned:
        raise PreconditionFailed(
            "the partitioned table is live",
            where=str(run.table),
            remedy="Trigger partition_rollback: it swaps back first",
        )


def _shadow_and_views(run: Run, session: Session) -> list[TableName]:
    """Return the shadow's materialized views and the shadow, in the order of their drop."""
    shadow = run.table.shadow
    return [*materialized_views.find(session, shadow), shadow] if catalog.describe(session, shadow) else []


def _detached(run: Run, session: Session) -> list[TableName]:
    """Return the partitions that are attached to nothing, or to the parent of a load.

    A load that ends meanwhile detaches its partitions. So they are dropped by their own names, before the parent.
    """
    planned = [TableName(run.table.schema, load["partition_name"]) for load in run.ledger.loads()]
    of_loads = {None, *load_groups.left_parents(run, session)}
    return [table for table, parent in load_groups.parents(session, planned).items() if parent in of_loads]


def require_same(run: Run, remedy: str) -> None:
    """Compare every row before a table is dropped; Diverged if one differs.

    If capture has stopped, no comparison is possible: the ledger gets a note instead.
    """
    with run.database.session() as session:
        lost = capture.loss(session, run)
    if lost:
        log.warning("%s: %s", run.table, lost)
        run.ledger.add_note(f"{lost}. The standby is dropped without a comparison")
        return

    reconcile.catch_up(run, until=reconcile.FEW_CHANGES)
    verify.require_equal(run, remedy)


def drop(run: Run, session: Session, table: TableName) -> None:
    """Drop a table or materialized view; LockNotGranted after a bounded wait for its lock.

    The partitions go first, in slices: all of them in one transaction can fill the server's lock table.
    """
    for leaves in _slices(session, table):
        _drop(run, session, table, leaves)
    _drop(run, session, table, [table])


def _slices(session: Session, table: TableName) -> list[list[TableName]]:
    """Return the partitions to drop before their table; none if other objects depend on it, so that its DROP fails."""
    leaves = [each.table for each in catalog.partitions(session, table)]
    if not leaves or dependents.find(session, table):
        return []
    return _slices_of(leaves)


def _slices_of(tables: list[TableName]) -> list[list[TableName]]:
    return [tables[start : start + DROPPED_TOGETHER] for start in range(0, len(tables), DROPPED_TOGETHER)]


def _drop(run: Run, session: Session, table: TableName, dropped: list[TableName]) -> None:
    def attempt(lock_timeout: int) -> None:
        own_readers.cancel(run)
        with run.database.within(session, lock_timeout):
            described = catalog.describe(session, dropped[0])
            kind = sql.SQL("MATERIALIZED VIEW" if described and described.kind == "m" else "TABLE")
            names = sql.SQL(", ").join(each.identifier for each in dropped)
            session.run("engine/drop_table", kind=kind, table=names)

    with_lock_retry(run.database, table, attempt)


def end(run: Run, session: Session, phase: Phase) -> None:
    """Drop the capture triggers, the change log and its function, and record the phase.

    Retried up to END_TRIES times: maintenance may add triggers to a new partition meanwhile.
    """
    parts = {
        "log": run.table.change_log.identifier,
        "function": run.table.capture_function.identifier,
        "guard": run.table.guard_function.identifier,
    }

    def attempt(lock_timeout: int) -> None:
        with run.database.within(session, lock_timeout):
            session.run("engine/drop_capture", **parts)
            # No load can begin any more: each holds the change log when it makes its parent.
            for parent in load_groups.left_parents(run, session):
                load_groups.drop_parent(session, parent)
            run.ledger.set_phase(session, phase)

    for left in reversed(range(END_TRIES)):
        capture.end(run, session)
        try:
            return with_lock_retry(run.database, run.table.change_log, attempt)
        except psycopg.errors.DependentObjectsStillExist:
            if not left:
                raise
