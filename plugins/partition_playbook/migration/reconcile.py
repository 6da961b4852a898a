"""Reconcile: make the table that stands by equal to the live one for every key in the change log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager

import psycopg

from partition_playbook.database import Session, with_lock_retry
from partition_playbook.errors import Diverged, PreconditionFailed
from partition_playbook.migration import capture, throttle
from partition_playbook.migration.run import Run, Sides, sides
from partition_playbook.migration.turn import Turn, turn
from partition_playbook.migration.verify import hashed_row
from partition_playbook.sql import columns

log = logging.getLogger(__name__)

BATCH = 20_000


def reconciler(run: Run) -> AbstractContextManager[Session]:
    """Open the one session that may reconcile, swap or drop this table's other side now."""
    return turn(run, Turn.RECONCILE)


def catch_up(run: Run, *, until: int = 0, passes: int = 200, yielding: bool = False) -> int:
    """Reconcile until at most ``until`` changes wait, or ``passes`` batches are done; return what waits.

    Where it is ``yielding``, it waits between two batches until the application leaves room; nobody waits for it then,
    as it has given up being the one reconciler.
    """
    for _ in range(passes):
        taken, waiting = with_lock_retry(run.database, run.table, lambda _: _one_batch(run))
        if not taken or waiting <= until:
            break
        if yielding:
            throttle.wait_until_calm(run)
    return waiting


def _one_batch(run: Run) -> tuple[int, int]:
    """Reconcile one batch; return how many changes it took off the log and how many wait."""
    with reconciler(run) as session:
        capture.require_whole(session, run)
        now = sides(session, run)
        now.require_same_columns()
        taken, waiting = reconcile_batch(run, session, now), capture.count(session, run)
        if taken:
            run.ledger.sample_backlog(session, waiting)
        return taken, waiting


def reconcile_batch(run: Run, session: Session, now: Sides) -> int:
    """Reconcile one batch in one REPEATABLE READ transaction; return how many changes it took off the log.

    The tables are read from the catalog once: while the reconciler's lock is held nobody swaps them, and a swap looks
    for a change of shape itself.

    The batch is taken by the changes' own ids, because the order of a sequence is not the order of commits, and with
    it every other visible change to the same rows, so that a unique key never meets a row's old and new version at
    once. Where rows of different batches handed a value of another unique index on, all changes are taken at once:
    then the standby becomes what the snapshot of the live table is, and that is unique.
    """
    try:
        with run.database.block(session, "REPEATABLE READ"):
            return apply_changes(run, session, now, BATCH)
    except psycopg.errors.UniqueViolation as error:
        log.info("%s: all changes at once", str(error).strip())
        return _reconcile_all(run, session, now)


def _reconcile_all(run: Run, session: Session, now: Sides) -> int:
    try:
        with run.database.block(session, "REPEATABLE READ"):
            return apply_changes(run, session, now, capture.count(session, run))
    except psycopg.errors.UniqueViolation as error:
        raise Diverged(
            f"the live table holds rows that the other one's key refuses: {error.diag.message_detail or error}",
            where=str(run.table),
            remedy="The partitioned key has one column more: correct the doubled rows, then clear this task",
        ) from error


def apply_changes(run: Run, session: Session, now: Sides, batch: int) -> int:
    """Apply up to ``batch`` changes in the open transaction; idempotent and free of order."""
    log_table = run.table.change_log.identifier
    parts = {"log": log_table, "key": columns(now.key), "match": now.match("l", "picked", now.key)}
    changes: list[int] = session.value("migration/pick_changes", {"batch": batch}, **parts)
    if not changes:
        return 0
    session.rows("migration/become_reconciler")
    deleted, written = write(run, session, now, changes)
    _require_equal(run, session, now, changes)
    take_off(run, session, changes)
    log.info(
        "reconciled %d changes: %d rows deleted, %d rows written in %s", len(changes), deleted, written, now.other.name
    )
    return len(changes)


def write(run: Run, session: Session, now: Sides, changes: Sequence[int]) -> tuple[int, int]:
    """Make the rows of these changes equal; return how many were deleted and written."""
    log_table = run.table.change_log.identifier
    values = {"changes": changes}
    parts = {
        "log": log_table,
        "standby": now.other.table_name.identifier,
        "columns": columns(now.logged),
        "match": now.match("s", "k"),
    }
    deleted = session.run("migration/delete_standby_rows", values, **parts)
    row = now.other.writable
    parts |= {"row": columns(row), "live_row": columns(row, "s"), "live": now.live.table_name.identifier}
    try:
        written = session.run("migration/insert_standby_rows", values, **parts)
    except psycopg.errors.CheckViolation as error:
        raise PreconditionFailed(
            f"a row fits into no partition: {error.diag.message_detail or error}",
            where=str(now.other.table_name),
            remedy="Correct the row's partition value, or set default_partition: keep and start again",
        ) from error
    return deleted, written


def take_off(run: Run, session: Session, changes: Sequence[int]) -> None:
    """Take changes off the log."""
    session.run("migration/delete_changes", {"changes": changes}, log=run.table.change_log.identifier)


def _require_equal(run: Run, session: Session, now: Sides, changes: Sequence[int]) -> None:
    """Stop with Diverged where something between the statement and the table made other rows of what was written."""
    equal = session.value(
        "migration/are_equal",
        {"changes": changes},
        log=run.table.change_log.identifier,
        columns=columns(now.logged),
        live=now.live.table_name.identifier,
        standby=now.other.table_name.identifier,
        row=hashed_row(now.live.columns),
        match=now.match("k", "t"),
    )
    if not equal:
        raise Diverged(
            f"rows written to {now.other.name} are not the same there",
            where=str(run.table),
            remedy="A trigger or rule changes what is written to it: look at those of that table; nothing was kept",
        )
