"""Capture: write the keys of changed rows to the change log, from before the first load until finalize."""

from __future__ import annotations

from partition_playbook import catalog
from partition_playbook.database import Session, with_lock_retry
from partition_playbook.errors import Diverged
from partition_playbook.migration.run import Run, Sides, sides
from partition_playbook.names import CAPTURE_PREFIX, TableName
from partition_playbook.sql import columns, dollar_quote


def create_log(run: Run, session: Session, before: Sides) -> None:
    """Create the change log and the function that writes to it."""
    parts = {"log": run.table.change_log.identifier, "columns": columns(before.logged)}
    session.run("migration/create_change_log", source=run.table.identifier, **parts)
    parts |= {"function": run.table.capture_function.identifier, "quote": dollar_quote(*parts.values())}
    session.run("migration/create_capture_function", **parts)


def is_on(session: Session, table: TableName) -> bool:
    """Tell whether every write to the table is captured."""
    found = catalog.require(session, table)
    enabled = [each for each in found.triggers if each.name.startswith(CAPTURE_PREFIX) and each.enabled == "A"]
    return len(enabled) == 4


def start(run: Run, session: Session) -> None:
    """Start the capture on the live table, with a bounded wait for the lock."""

    def attempt(lock_timeout: int) -> None:
        with run.database.within(session, lock_timeout):
            if not is_on(session, run.table):
                create_triggers(run, session, run.table)

    with_lock_retry(run.database, run.table, attempt)


def create_triggers(run: Run, session: Session, table: TableName) -> None:
    """Create the capture's triggers on a table."""
    function = run.table.capture_function.identifier
    session.run("migration/create_capture_triggers", table=table.identifier, function=function)


def backlog(run: Run) -> int:
    """Return how many changes wait to be reconciled."""
    with run.database.session() as session:
        return count(session, run)


def count(session: Session, run: Run) -> int:
    """Return how many changes wait, as this session sees them."""
    return int(session.value("migration/count_changes", log=run.table.change_log.identifier))


def require_on(run: Run) -> Sides:
    """Return the sides of a migration that stands and whose capture is on; anything else is a reason to stop."""
    with run.database.session() as session:
        now = sides(session, run)
        if now.other and not is_on(session, run.table):
            raise Diverged(
                "the capture is off, so changes may have been missed",
                where=str(run.table),
                remedy="Before cutover trigger partition_rollback and start again; after it compare the tables by hand",
            )
    return now
