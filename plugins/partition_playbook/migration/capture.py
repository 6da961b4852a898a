"""Capture: write the keys of changed rows to the change log, from before the first load until finalize.

The table that stands by and each partition are captured as the live table is, all but the reconciler's own writes:
whoever writes to one of them by its name makes a change that the next reconcile sees.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import psycopg
from psycopg import sql

from partition_playbook.database import Session, with_lock_retry
from partition_playbook.errors import CaptureLost, Diverged
from partition_playbook.migration.run import Run, Sides, sides
from partition_playbook.names import TableName
from partition_playbook.spec import TableSpec
from partition_playbook.sql import columns, dollar_quote

SMALLEST_LIMIT = 1 << 30
# What the change log takes with its index, against its keys alone; measured with a bigint and a timestamptz: 1.43.
INDEXED = 1.5
logger = logging.getLogger(__name__)


def create_log(run: Run, session: Session, before: Sides, function: str = "migration/create_capture_function") -> None:
    """Create the change log and the function that writes to it."""
    log, loss = run.table.change_log, run.table.capture_loss
    parts = {"log": log.identifier, "columns": columns(before.logged)}
    session.run("migration/create_change_log", source=run.table.identifier, **parts)
    size = session.value("migration/find_size", {"schema": run.table.schema, "name": run.table.name})
    parts |= {
        "function": run.table.capture_function.identifier,
        "loss": loss.identifier,
        "loss_text": sql.Literal(loss.quoted),
        "log_text": sql.Literal(log.quoted),
        "owner": sql.Identifier(log.schema, log.name, before.logged[0]),
        "limit": sql.Literal(limit(run.spec, size)),
        "old": columns(before.logged, "old"),
        "new": columns(before.logged, "new"),
    }
    session.run(function, quote=dollar_quote(*parts.values()), **parts)


def limit(spec: TableSpec, table_bytes: int) -> int:
    """Return how many bytes of keys the change log may hold, where the capture gives up rather than fill the disk."""
    return spec.change_log_limit or max(table_bytes // 4, SMALLEST_LIMIT)


def is_on(session: Session, table: TableName) -> bool:
    """Tell whether every write to the table is captured."""
    return bool(session.value("migration/is_captured", {"schema": table.schema, "name": table.name}))


def start(run: Run, session: Session) -> None:
    """Start the capture on the live table, with a bounded wait for the lock."""

    def attempt(lock_timeout: int) -> None:
        with run.database.within(session, lock_timeout):
            extend(run, session, (run.table,))

    with_lock_retry(run.database, run.table, attempt)


def extend(run: Run, session: Session, tables: Iterable[TableName]) -> None:
    """Capture the writes to further tables of the run too."""
    for table in tables:
        if not is_on(session, table):
            create_triggers(run, session, table)


def follow(run: Run, session: Session, like: TableName, partition: TableName) -> None:
    """Capture the writes to a new partition where those to another one are, unless the capture ends meanwhile.

    The lock on the change log holds its end off: a trigger whose function goes before this commits would refuse writes.
    """
    if not is_on(session, like):
        return
    try:
        with session.connection.transaction():
            session.run("migration/hold_capture", log=run.table.change_log.identifier)
            create_triggers(run, session, partition)
    except psycopg.errors.UndefinedTable:
        logger.info("%s: the capture has ended, %s is not captured", run.table, partition)


def end(run: Run, session: Session) -> None:
    """End the capture on every table that holds a trigger of it, the live one last."""
    values = {"function": run.table.capture_function.quoted}
    found = [TableName(row["schema"], row["name"]) for row in session.rows("migration/list_captured", values)]
    for table in sorted(found, key=lambda each: each == run.table):

        def attempt(lock_timeout: int, table: TableName = table) -> None:
            with run.database.within(session, lock_timeout):
                session.run("migration/drop_capture_triggers", table=table.identifier)

        with_lock_retry(run.database, table, attempt)


def custody(session: Session, run: Run) -> str:
    """Reduce to one value what must stay the same if every write is to be in the change log; empty where none could be.

    While it does, two tables that were equal differ at most in the rows whose changes wait.
    """
    table = run.table
    names = {"schema": table.schema, "live": table.name, "standby": table.retired.name}
    return session.value("migration/find_custody", names | {"function": table.capture_function.quoted}) or ""


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


def loss(session: Session, run: Run) -> str:
    """Tell why writes were not captured any more; empty where all were."""
    values = {"loss": run.table.capture_loss.quoted, "log": run.table.change_log.quoted}
    found = session.row("migration/find_loss", values)
    if not found["lost"]:
        return ""
    megabytes = (found["bytes"] or 0) / 1e6
    return f"the capture gave up: its change log of {megabytes:.0f} MB was full, so the application went on without it"


def require_whole(session: Session, run: Run) -> None:
    """Stop with CaptureLost where a write was not captured."""
    if problem := loss(session, run):
        raise CaptureLost(
            problem,
            where=str(run.table),
            remedy="Before cutover trigger partition_rollback, which drops the shadow, then begin again with more disk "
            "or a larger change_log_limit. After it the way back is the backup: trigger partition_finalize to stay",
        )


def require_on(run: Run) -> Sides:
    """Return the sides of a migration that stands and whose capture is on; anything else is a reason to stop."""
    with run.database.session() as session:
        require_whole(session, run)
        now = sides(session, run)
        if not all(is_on(session, each.table_name) for each in (now.live, now.other)):
            raise Diverged(
                "the capture is off, so changes may have been missed",
                where=str(run.table),
                remedy="Before cutover trigger partition_rollback and start again; after it compare the tables by hand",
            )
    return now
