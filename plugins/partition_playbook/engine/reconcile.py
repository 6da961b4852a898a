"""Reconcile: make the standby equal to the live table for every key in the change log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from partition_playbook import catalog, figures
from partition_playbook.database import Session
from partition_playbook.engine import batches, capture, doubled, pace, slices, stale_rows, throttle
from partition_playbook.engine.advisory_locks import Exclusive, exclusive_session
from partition_playbook.engine.batches import Batch, Waiting
from partition_playbook.engine.sides import Sides, near, sides
from partition_playbook.engine.slices import Ranges
from partition_playbook.engine.verify import hashed_row
from partition_playbook.errors import Diverged, PreconditionFailed
from partition_playbook.lock_retry import with_lock_retry
from partition_playbook.run import Run
from partition_playbook.sql import columns

log = logging.getLogger(__name__)

BATCH = 20_000
# So few changes are reconciled in milliseconds; more passes would not reach zero while the application writes.
FEW_CHANGES = 1_000
# After so many batches without a new low of the backlog, the application writes as fast as they reconcile.
PATIENCE = 200


@dataclass(frozen=True)
class Step:
    """One batch: the number of its changes, the number of changes that wait after it, and the floor of the next.

    ``waiting`` is exact up to COUNTED changes, beyond it an estimate. Below ``floor`` a scan finds only changes of late
    commits. They are looked for when nothing is left above it: entries of reconciled changes stay while any transaction
    is open that began before them, and reading them again for each batch takes ever longer. ``ranges`` are those of
    the partitions, for the next batch.
    """

    taken: int
    waiting: int
    floor: int = 0
    ranges: Ranges | None = None


def reconciler(run: Run) -> AbstractContextManager[Session]:
    """Open the only session allowed to reconcile, swap or drop the standby; LockNotGranted if another one is open."""
    return exclusive_session(run, Exclusive.RECONCILE)


def catch_up(run: Run, *, until: int = 0, passes: int | None = None, yielding: bool = False) -> int:
    """Reconcile until at most ``until`` changes wait; return the waiting changes, beyond COUNTED an estimate.

    It ends after ``passes`` batches, and after PATIENCE batches without a new low of the backlog.
    With ``yielding`` it waits for the throttle between two batches, without the advisory lock of the reconciler.
    """
    step, lowest, unchanged, done, taken = Step(0, 0), None, 0, 0, 0
    while unchanged < PATIENCE and done != passes:
        step = take_batch(run, until=until, floor=step.floor, ranges=step.ranges)
        done += 1
        taken += step.taken
        if not step.taken or step.waiting <= until:
            break

        is_lower = lowest is None or step.waiting < lowest
        unchanged = 0 if is_lower else unchanged + 1
        lowest = step.waiting if is_lower else lowest
        if yielding:
            throttle.wait_until_calm(run)

    if taken:
        batches_done, changes = figures.count(done, "batch", "batches"), figures.count(taken, "change")
        log.info("%s: reconciled %s in %s; %s left", run.table, changes, batches_done, figures.number(step.waiting))
    return step.waiting


def take_batch(run: Run, *, until: int = 0, floor: int = 0, ranges: Ranges | None = None) -> Step:
    """Reconcile one batch of the changes from ``floor`` on, with a lock retry; ``ranges`` are those of the last one."""
    return with_lock_retry(run.database, run.table, lambda _: _one_batch(run, until, floor, ranges))


def _one_batch(run: Run, until: int, floor: int, ranges: Ranges | None) -> Step:
    with reconciler(run) as session:
        capture.require_complete(session, run)
        if not batches.look_at_once(session, run.table.change_log, bound=1).number:
            return Step(0, 0)
        now = sides(session, run)
        now.require_standby()
        now.require_same_columns()
        now = replace(now, ranges=ranges) if ranges else with_ranges(run, session, now)

        step, _ = take_step(run, session, now, until=until, floor=floor)
        return step


def with_ranges(run: Run, session: Session, now: Sides) -> Sides:
    """Read the ranges of the partitions, so that batches are planned for those that they reach."""
    partitions = catalog.partitions(session, now.partitioned.table_name)
    return replace(now, ranges=slices.read_ranges(run, partitions, now.live, now.require_standby()))


def take_step(run: Run, session: Session, now: Sides, *, until: int, floor: int) -> tuple[Step, Waiting]:
    """Reconcile one batch in a session of the reconciler, and sample the backlog; also return the look after it."""
    started = time.monotonic()
    batch = reconcile_batch(run, session, now, floor)
    seconds = time.monotonic() - started

    floor = batch.last + 1 if batch.count else 0
    waiting = batches.look(session, run.table.change_log, floor)
    if floor and waiting.number <= until:
        floor = 0
        waiting = batches.look(session, run.table.change_log)
    if batch.count:
        pace.sample(run, session, batch, waiting, seconds)
    return Step(batch.count, waiting.number, floor, now.ranges), waiting


def reconcile_batch(run: Run, session: Session, now: Sides, floor: int = 0) -> Batch:
    """Reconcile one batch of the changes from ``floor`` on, in one REPEATABLE READ transaction; return the batch.

    ``now`` stays valid: the reconciler's lock prevents a swap, and a swap checks the definitions itself.

    The batch makes its keys equal to one snapshot of the live table, and deletes the changes that the snapshot shows
    with an id up to the batch's last one. The order of a sequence is not the order of commits: a change that commits
    later stays, whatever its id. Other changes to the same keys stay too, and are reconciled again.

    A row of a later batch may be in the way by another unique index; it joins, see ``stale_rows``. If no index finds
    it, all changes are reconciled at once: the standby then equals one snapshot of the live table. If the live table is
    partitioned, its wider keys may allow rows that the standby's forbid; these go beside, see ``doubled``.
    """
    try:
        with _batch(run, session):
            return apply_changes(run, session, now, BATCH, floor=floor)
    except psycopg.errors.UniqueViolation as error:
        log.info("%s; reconciling all waiting changes in one batch", str(error).strip())
        return _reconcile_all(run, session, now)


@contextmanager
def _batch(run: Run, session: Session) -> Iterator[None]:
    """Open the transaction of a batch; LockNotAvailable before it makes the application the victim of a deadlock.

    The foreign keys of the standby lock referenced rows, in another order than the application may lock them.
    """
    with run.database.block(session, "REPEATABLE READ"):
        session.give_way()
        yield


def _reconcile_all(run: Run, session: Session, now: Sides) -> Batch:
    try:
        with _batch(run, session):
            return apply_changes(run, session, now, None)
    except psycopg.errors.UniqueViolation as error:
        raise Diverged(
            f"rows of the live table violate a unique key of the standby: {error.diag.message_detail or error}",
            where=str(run.table),
            remedy="A unique index of the standby is not one of the live table: drop it, then clear this task",
        ) from error


def apply_changes(run: Run, session: Session, now: Sides, size: int | None, *, floor: int = 0) -> Batch:
    """Apply the ``size`` oldest changes from ``floor`` on, or all, in the open transaction; return the batch.

    It is idempotent. UniqueViolation is raised if a row may be in the way whose change is not in the batch.
    """
    batch = batches.pick(session, run.table.change_log, size, floor)
    if not batch.count:
        return batch

    session.rows("engine/become_reconciler")
    # A catch-up ends with hundreds of batches of a few changes: the events of the ledger have them, the task log not.
    level = logging.INFO if batch.count >= FEW_CHANGES else logging.DEBUG
    with session.logged_at(level):
        batch, deleted, written = _write_or_double(run, session, now, batch, is_whole=size is None)
        _require_equal(run, session, now, batch)
        delete_changes(run, session, batch)

    log.log(
        level,
        "reconciled %s: %s deleted, %s written in %s",
        figures.count(batch.count, "change"),
        figures.count(deleted, "row"),
        figures.count(written, "row"),
        now.require_standby().name,
    )
    return batch


def _write_or_double(run: Run, session: Session, now: Sides, batch: Batch, *, is_whole: bool) -> tuple[Batch, int, int]:
    """Write the rows of a batch; on a violation with the rows in the way, then with doubled rows beside."""
    if doubled.has_deferrable_key(now.require_standby()):
        session.run("engine/check_constraints_at_once")
    if now.live.is_partitioned and doubled.count_open(session, run):
        return doubled.write(run, session, now, batch)

    try:
        with _undone_on_error(session):
            return write(run, session, now, batch)
    except psycopg.errors.UniqueViolation as error:
        log.info("%s; looking for the rows in the way", str(error).strip())

    try:
        with _undone_on_error(session):
            return write(run, session, now, batch, joining=True)
    except psycopg.errors.UniqueViolation as error:
        # Only if every row in the way was found is the rest a value that the live table has twice.
        is_doubled = is_whole or all(each.searchable for each in stale_rows.unique_keys(session, now))
        if not (now.live.is_partitioned and is_doubled):
            raise
        log.info("%s; rows with a doubled key go to %s", str(error).strip(), run.table.doubled)
        return doubled.write(run, session, now, batch)


@contextmanager
def _undone_on_error(session: Session) -> Iterator[None]:
    """Run a part of the transaction; after an error neither its writes are left nor their entries in the journal."""
    done = len(session.journal)
    try:
        with session.connection.transaction():
            yield
    except psycopg.Error:
        del session.journal[done:]
        raise


def write(run: Run, session: Session, now: Sides, batch: Batch, *, joining: bool = False) -> tuple[Batch, int, int]:
    """Make the rows of a batch equal; return the batch, and the number of deleted and of written rows.

    With ``joining`` stale rows in the way are deleted first, and their changes join the batch.
    """
    log_table = run.table.change_log
    parts = {
        "log": log_table.identifier,
        "standby": now.require_standby().table_name.identifier,
        "columns": columns(now.change_log_columns),
    }
    partitioned_standby = not now.live.is_partitioned
    reached = near(session, log_table, now, batch)
    deleted = sum(
        session.run("engine/delete_standby_rows", batch.picked, **parts, match=each.match("s", "k"))
        for each in (reached if partitioned_standby else [now])
    )
    if joining:
        batch = stale_rows.join(session, log_table, now, batch)
        deleted += batch.added
        reached = near(session, log_table, now, batch)

    row = now.require_standby().writable
    parts |= {"row": columns(row), "live_row": columns(row, "s"), "live": now.live.table_name.identifier}
    try:
        written = sum(
            session.run("engine/insert_standby_rows", batch.values, **parts, match=each.match("s", "k"))
            for each in ([now] if partitioned_standby else reached)
        )
    except psycopg.errors.CheckViolation as error:
        raise _no_partition(now, error) from error
    return batch, deleted, written


def _no_partition(now: Sides, error: psycopg.Error) -> PreconditionFailed:
    return PreconditionFailed(
        f"no partition for a row: {error.diag.message_detail or error}",
        where=str(now.require_standby().table_name),
        remedy="Correct the row in the live table and clear this task, or trigger partition_rollback and start a new "
        "run with `default_partition: keep`",
    )


def delete_changes(run: Run, session: Session, batch: Batch) -> None:
    """Delete reconciled changes from the change log; SerializationFailure if others than those were deleted.

    In READ COMMITTED a change of the batch's range may be committed after its rows were written. The caller's lock
    retry tries again.
    """
    deleted = session.run("engine/delete_changes", batch.values, log=run.table.change_log.identifier)
    if deleted > batch.count + batch.added:
        raise psycopg.errors.SerializationFailure("changes were committed while their batch was written")


def _standby_rows(run: Run, session: Session, now: Sides) -> sql.Composable:
    """Compose the relation that must equal the live table: the standby, with the doubled rows beside it."""
    if now.live.is_partitioned and doubled.exists(session, run.table):
        return doubled.with_open_rows(now, run.table)
    return now.require_standby().table_name.identifier


def _require_equal(run: Run, session: Session, now: Sides, batch: Batch) -> None:
    """Raise Diverged if a trigger or rule of the standby changed the written rows."""
    parts = {
        "log": run.table.change_log.identifier,
        "columns": columns(now.change_log_columns),
        "live": now.live.table_name.identifier,
        "standby": _standby_rows(run, session, now),
        "row": hashed_row(now.live.columns),
    }
    matches = [each.match("k", "t") for each in near(session, run.table.change_log, now, batch)]
    if not all(session.value("engine/are_equal", batch.values, **parts, match=each) for each in matches):
        raise Diverged(
            f"rows written to {now.require_standby().name} differ from the live table",
            where=str(run.table),
            remedy="A trigger or rule of that table changes them: disable it, then clear this task. "
            "The batch was rolled back",
        )
