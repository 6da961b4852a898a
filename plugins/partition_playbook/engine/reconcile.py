"""Reconcile: make the standby equal to the live table for every key in the change log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager

import psycopg
from psycopg import sql

from partition_playbook import figures
from partition_playbook.database import Session
from partition_playbook.engine import capture, doubled, throttle
from partition_playbook.engine.advisory_locks import Exclusive, exclusive_session
from partition_playbook.engine.sides import Sides, sides
from partition_playbook.engine.verify import hashed_row
from partition_playbook.errors import Diverged, PreconditionFailed
from partition_playbook.lock_retry import with_lock_retry
from partition_playbook.run import Run
from partition_playbook.sql import columns

log = logging.getLogger(__name__)

BATCH = 20_000
# So few changes are reconciled in milliseconds; more passes would not reach zero while the application writes.
FEW_CHANGES = 1_000


def reconciler(run: Run) -> AbstractContextManager[Session]:
    """Open the only session allowed to reconcile, swap or drop the standby; LockNotGranted if another one is open."""
    return exclusive_session(run, Exclusive.RECONCILE)


def catch_up(run: Run, *, until: int = 0, passes: int = 200, yielding: bool = False) -> int:
    """Reconcile until at most ``until`` changes wait, or ``passes`` batches are done; return the waiting changes.

    With ``yielding`` it waits for the throttle between two batches, without the advisory lock of the reconciler.
    """
    for _ in range(passes):
        taken, waiting = take_batch(run)
        if not taken or waiting <= until:
            break
        if yielding:
            throttle.wait_until_calm(run)
    return waiting


def take_batch(run: Run) -> tuple[int, int]:
    """Reconcile one batch with a lock retry; return the number of reconciled and of waiting changes."""
    return with_lock_retry(run.database, run.table, lambda _: _one_batch(run))


def _one_batch(run: Run) -> tuple[int, int]:
    with reconciler(run) as session:
        capture.require_complete(session, run)
        if not capture.count(session, run):
            return 0, 0
        now = sides(session, run)
        now.require_standby()
        now.require_same_columns()
        taken, waiting = reconcile_batch(run, session, now), capture.count(session, run)
        if taken:
            run.ledger.sample_backlog(session, waiting, taken=taken)
        return taken, waiting


def reconcile_batch(run: Run, session: Session, now: Sides) -> int:
    """Reconcile one batch in one REPEATABLE READ transaction; return the number of reconciled changes.

    ``now`` stays valid: the reconciler's lock prevents a swap, and a swap checks the definitions itself.

    The order of a sequence is not the order of commits, so a batch deletes the changes by their ids, not up to an id.
    It includes every other visible change to the same rows: a unique key never meets the old and new version of a row.
    Rows of different batches may exchange a value of another unique index. After such a violation all changes are
    reconciled at once: the standby then equals one snapshot of the live table. If the live table is partitioned, its
    wider keys may allow rows that the standby's forbid; these go beside, see ``doubled``.
    """
    try:
        with run.database.block(session, "REPEATABLE READ"):
            return apply_changes(run, session, now, BATCH, doubling=False)
    except psycopg.errors.UniqueViolation as error:
        log.info("%s; reconciling all waiting changes in one batch", str(error).strip())
        return _reconcile_all(run, session, now)


def _reconcile_all(run: Run, session: Session, now: Sides) -> int:
    try:
        with run.database.block(session, "REPEATABLE READ"):
            return apply_changes(run, session, now, capture.count(session, run))
    except psycopg.errors.UniqueViolation as error:
        raise Diverged(
            f"rows of the live table violate a unique key of the standby: {error.diag.message_detail or error}",
            where=str(run.table),
            remedy="A unique index of the standby is not one of the live table: drop it, then clear this task",
        ) from error


def apply_changes(run: Run, session: Session, now: Sides, batch: int, *, doubling: bool = True) -> int:
    """Apply up to ``batch`` changes in the open transaction; return their number. Idempotent, in any order.

    With ``doubling``, rows that violate a unique key of the retired table go beside it; else UniqueViolation is raised,
    unless some are beside it already.
    """
    log_table = run.table.change_log.identifier
    parts = {"log": log_table, "key": columns(now.key), "match": now.match("l", "picked", now.key)}
    changes: list[int] = session.value("engine/pick_changes", {"batch": batch}, **parts)
    if not changes:
        return 0

    session.rows("engine/become_reconciler")
    deleted, written = _write_or_double(run, session, now, changes, doubling)
    _require_equal(run, session, now, changes)
    delete_changes(run, session, changes)

    log.info(
        "reconciled %s: %s deleted, %s written in %s",
        figures.count(len(changes), "change"),
        figures.count(deleted, "row"),
        figures.count(written, "row"),
        now.require_standby().name,
    )
    return len(changes)


def _write_or_double(run: Run, session: Session, now: Sides, changes: Sequence[int], doubling: bool) -> tuple[int, int]:
    if not now.live.is_partitioned:
        return write(run, session, now, changes)
    if doubled.has_deferrable_key(now.require_standby()):
        session.run("engine/check_constraints_at_once")
    if doubled.count_open(session, run):
        return doubled.write(run, session, now, changes)
    if not doubling:
        return write(run, session, now, changes)

    try:
        with session.connection.transaction():
            return write(run, session, now, changes)
    except psycopg.errors.UniqueViolation as error:
        log.info("%s; rows with a doubled key go to %s", str(error).strip(), run.table.doubled)
        return doubled.write(run, session, now, changes)


def write(run: Run, session: Session, now: Sides, changes: Sequence[int]) -> tuple[int, int]:
    """Make the rows of these changes equal; return the number of deleted and of written rows."""
    log_table = run.table.change_log.identifier
    values = {"changes": changes}
    parts = {
        "log": log_table,
        "standby": now.require_standby().table_name.identifier,
        "columns": columns(now.change_log_columns),
        "match": now.match("s", "k"),
    }
    deleted = session.run("engine/delete_standby_rows", values, **parts)

    row = now.require_standby().writable
    parts |= {"row": columns(row), "live_row": columns(row, "s"), "live": now.live.table_name.identifier}
    try:
        written = session.run("engine/insert_standby_rows", values, **parts)
    except psycopg.errors.CheckViolation as error:
        raise PreconditionFailed(
            f"no partition for a row: {error.diag.message_detail or error}",
            where=str(now.require_standby().table_name),
            remedy="Correct the row in the live table and clear this task, or trigger partition_rollback and start a "
            "new run with `default_partition: keep`",
        ) from error
    return deleted, written


def delete_changes(run: Run, session: Session, changes: Sequence[int]) -> None:
    """Delete reconciled changes from the change log."""
    session.run("engine/delete_changes", {"changes": changes}, log=run.table.change_log.identifier)


def _standby_rows(run: Run, session: Session, now: Sides) -> sql.Composable:
    """Compose the relation that must equal the live table: the standby, with the doubled rows beside it."""
    if now.live.is_partitioned and doubled.exists(session, run.table):
        return doubled.with_open_rows(now, run.table)
    return now.require_standby().table_name.identifier


def _require_equal(run: Run, session: Session, now: Sides, changes: Sequence[int]) -> None:
    """Raise Diverged if a trigger or rule of the standby changed the written rows."""
    equal = session.value(
        "engine/are_equal",
        {"changes": changes},
        log=run.table.change_log.identifier,
        columns=columns(now.change_log_columns),
        live=now.live.table_name.identifier,
        standby=_standby_rows(run, session, now),
        row=hashed_row(now.live.columns),
        match=now.match("k", "t"),
    )
    if not equal:
        raise Diverged(
            f"rows written to {now.require_standby().name} differ from the live table",
            where=str(run.table),
            remedy="A trigger or rule of that table changes them: disable it, then clear this task. "
            "The batch was rolled back",
        )
