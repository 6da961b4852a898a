"""Capture: write the keys of changed rows to the change log, from before the first load until finalize.

The standby and each partition have the same triggers as the live table. A direct write to one of them is therefore
reconciled too; only the reconciler's own writes are not captured.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from partition_playbook import figures
from partition_playbook.catalog import Column
from partition_playbook.database import Session
from partition_playbook.engine import apply_workers, guard, own_readers
from partition_playbook.engine.sides import Sides, sides
from partition_playbook.errors import CaptureLost, Diverged
from partition_playbook.intervals import Bounds
from partition_playbook.lock_retry import TRANSIENT_ERRORS, with_lock_retry
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec
from partition_playbook.sql import columns, dollar_quote, statement

SMALLEST_LIMIT = 1 << 30
# The size of the change log with its index, relative to its keys alone; 1.43 measured with a bigint and a timestamptz.
INDEXED = 1.5
# SQLSTATEs for the application: a retry helps, or somebody ended the statement. Any other error ends the capture.
FOR_APPLICATION = "^(40...|55P03|57...)$"
# SQLSTATE classes of a full change log: insufficient resources, system error.
FULL = ("53", "58")
# The log has the widest type of each family, so that a wider key column still fits.
WIDER = {"smallint": "bigint", "integer": "bigint"}
LENGTH = re.compile(r"^(character varying|bit varying|numeric|time|timestamp)\([\d,-]+\)")
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LOST = (
    "Before the cutover trigger partition_rollback to drop the shadow, then start a new run. If the log was full, "
    "start it with more disk space or a larger `change_log_limit` in the spec. After the cutover only the backup leads "
    "back: trigger partition_finalize to keep the partitioned table"
)
OFF = "change capture is off: a trigger is missing, disabled or replaced, so the change log may lack writes"
OFF_REMEDY = (
    "Before the cutover trigger partition_rollback, then start a new run. After it a rollback is refused: "
    "trigger partition_finalize, which first compares every row"
)
WRITES = ("engine/try_insert", "engine/try_update", "engine/try_delete")
GOES_ON = "Application writes were not blocked but are no longer captured"
DROPPED = f"change capture stopped: the change log or its mark of a loss was dropped. {GOES_ON}"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CaptureBody:
    """The body of a capture function: the statement to write keys, and the texts to refuse a TRUNCATE with.

    ``old`` and ``new`` are the names of a row before and after the change. ``work`` is the verb in "while Partition
    Playbook … it".
    """

    statement: str
    old: str
    new: str
    work: str
    hint: str


OF_STATEMENTS = CaptureBody(
    "engine/write_keys_of_statement",
    "old_row",
    "new_row",
    "migrates",
    "Use DELETE, or end the migration first: trigger partition_rollback or partition_finalize",
)


def create_change_log(run: Run, session: Session, before: Sides, body: CaptureBody = OF_STATEMENTS) -> None:
    """Create the change log and its trigger function, in the open transaction of ``session``."""
    log, loss = run.table.change_log, run.table.capture_loss
    keys = sql.SQL(", ").join(_widened(before.live.column(name)) for name in before.change_log_columns)
    parts = {"log": log.identifier, "columns": columns(before.change_log_columns)}
    session.run("engine/create_change_log", source=before.live.table_name.identifier, log=log.identifier, columns=keys)

    size = session.value("engine/find_size", {"schema": before.live.schema, "name": before.live.name})
    parts |= {
        "function": run.table.capture_function.identifier,
        "loss": loss.identifier,
        "loss_text": sql.Literal(loss.quoted),
        "log_text": sql.Literal(log.quoted),
        "owner": sql.Identifier(log.schema, log.name, before.change_log_columns[0]),
        "limit": sql.Literal(limit(run.spec, size)),
        "for_application": sql.Literal(FOR_APPLICATION),
        "work": sql.Literal(body.work),
        "hint": sql.Literal(body.hint),
        **guard.refusal(run),
    }

    named = before.change_log_columns
    old, new = columns(named, body.old), columns(named, body.new)
    parts["write_keys"] = statement(body.statement).compose(**parts, old=old, new=new)
    session.run("engine/create_capture_function", quote=dollar_quote(*parts.values()), **parts)


def _widened(column: Column) -> sql.Composed:
    """Return a key column in the type of the change log."""
    kind = LENGTH.sub(r"\1", WIDER.get(column.type, column.type))
    name = sql.Identifier(column.name)
    return sql.SQL("{}::{} AS {}").format(name, sql.SQL(kind), name) if kind != column.type else sql.Composed([name])


def limit(spec: TableSpec, table_bytes: int) -> int:
    """Return the limit of the change log, in bytes without its index; capture stops there to protect the disk."""
    return spec.change_log_limit or max(table_bytes // 4, SMALLEST_LIMIT)


def is_on(run: Run, session: Session, table: TableName) -> bool:
    """Tell whether all triggers of the run's capture function are on the table, and enabled ALWAYS."""
    return not _uncaptured(run, session, [table])


def _uncaptured(run: Run, session: Session, tables: Iterable[TableName]) -> list[TableName]:
    """Return the tables without all triggers of the run's capture function, in their order."""
    names = {table.quoted: table for table in tables}
    values = {"tables": list(names), "function": run.table.capture_function.quoted}
    found = {row["name"] for row in session.rows("engine/list_uncaptured", values)}
    return [table for name, table in names.items() if name in found]


def start(run: Run, session: Session) -> None:
    """Start capture on the live table and try it with writes of no row.

    Raises LockNotGranted after a bounded wait for the lock, CaptureLost if the capture does not work, and Diverged if
    it was switched off. After an error there is no new trigger.
    """

    def attempt(lock_timeout: int) -> None:
        with run.database.within(session, lock_timeout):
            if not is_on(run, session, run.table):
                extend(run, session, (run.table,))
                _try_writes(run, session)

    require_complete(session, run)
    with_lock_retry(run.database, run.table, attempt)


def _try_writes(run: Run, session: Session) -> None:
    """Send writes of no row to the live table; CaptureLost if one of them stops the capture or fails because of it."""
    failed = [each for each in WRITES if not _works(run, session, each) and _works(run, session, each, captured=False)]
    problem = (
        f"captured, these writes of no row fail: {', '.join(each.removeprefix('engine/try_') for each in failed)}"
        if failed
        else loss(session, run)
    )
    if problem:
        raise CaptureLost(problem, where=str(run.table), remedy=LOST)


def _works(run: Run, session: Session, write: str, *, captured: bool = True) -> bool:
    try:
        send(run, session, write, captured=captured)
    except (*TRANSIENT_ERRORS, psycopg.errors.QueryCanceled):
        raise
    except psycopg.Error as error:
        if session.connection.broken:
            raise
        logger.info("%s: %s: %s", run.table, write, str(error).strip())
        return False
    return True


def send(run: Run, session: Session, write: str, *, captured: bool = True) -> None:
    """Send a write of no row to the live table, past its own triggers; roll it back."""
    table = run.table.identifier
    with session.connection.transaction(force_rollback=True):
        session.run("engine/silence_triggers", table=table)
        if captured:
            session.run("engine/enable_capture_triggers", table=table)
        session.run(write, table=table, column=sql.Identifier(run.spec.partition_by))


def extend(run: Run, session: Session, tables: Iterable[TableName]) -> None:
    """Add the capture triggers to tables without them; Diverged if one of them was disabled or replaced."""
    try:
        create_triggers(run, session, _uncaptured(run, session, tables))
    except psycopg.errors.DuplicateObject as error:
        raise Diverged(f"{OFF}: {error.diag.message_primary}", where=str(run.table), remedy=OFF_REMEDY) from error


def log_rows_outside(run: Run, session: Session, before: Sides, bounds: Sequence[Bounds]) -> None:
    """Write the keys of the rows outside all planned partitions to the change log; only once capture is on.

    They were committed after the partitions were planned and before capture began, so no load copies them.
    """
    by = run.spec.partition_by
    session.run(
        "engine/log_rows_outside",
        log=run.table.change_log.identifier,
        columns=columns(before.change_log_columns),
        source=run.table.identifier,
        within=run.spec.codec.within(sql.Identifier(by), bounds[0], bounds[-1], before.live.column(by).type),
    )


def capture_new_partition(run: Run, session: Session, like: TableName, partition: TableName) -> None:
    """Add the capture triggers to a new partition if ``like`` has them, unless capture ends meanwhile.

    A lock on the change log delays the end of capture: a trigger without its function would refuse every write.
    """
    if not is_on(run, session, like):
        return
    try:
        with session.connection.transaction():
            session.run("engine/hold_capture", log=run.table.change_log.identifier)
            create_triggers(run, session, [partition])
    except psycopg.errors.UndefinedTable:
        logger.info("%s: change capture has ended, so %s gets no capture triggers", run.table, partition)


def end(run: Run, session: Session, *, only: TableName | None = None) -> None:
    """Drop the capture triggers of every table, those of the live one last, or of ``only`` one.

    Raises LockNotGranted after bounded waits.
    """
    values = {"function": run.table.capture_function.quoted}
    found = [TableName(row["schema"], row["name"]) for row in session.rows("engine/list_captured", values)]
    for table in sorted(found, key=lambda each: each == run.table):
        if only not in (None, table):
            continue

        def attempt(lock_timeout: int, table: TableName = table) -> None:
            own_readers.cancel(run)
            with run.database.within(session, lock_timeout):
                session.run("engine/drop_capture_triggers", table=table.identifier)

        with_lock_retry(run.database, table, attempt)


def capture_fingerprint(session: Session, run: Run, now: Sides) -> str:
    """Return one value over everything that must not change for the change log to be complete; empty if it is not.

    While the value stays the same, two tables once equal differ at most in rows with a waiting change.
    """
    if apply_workers.find(session, run.table):
        return ""
    return session.value("engine/find_capture_fingerprint", catalog_names(run, now)) or ""


def catalog_names(run: Run, now: Sides) -> dict[str, str]:
    """Return the names of both tables and of the objects of the capture, for queries on the catalog."""
    table = run.table
    names = {"schema": table.schema, "live": table.name, "standby": now.require_standby().name}
    objects = {"function": table.capture_function, "log": table.change_log, "loss": table.capture_loss}
    return names | {kind: name.quoted for kind, name in objects.items()}


def create_triggers(run: Run, session: Session, tables: Sequence[TableName]) -> None:
    """Create the capture triggers on tables."""
    function = run.table.capture_function.identifier
    several = [{"table": table.identifier, "function": function} for table in tables]
    session.run_many("engine/create_capture_triggers", several)
    session.run_many("engine/enable_capture_triggers", [{"table": table.identifier} for table in tables])


def backlog(run: Run) -> int:
    """Return the number of waiting changes."""
    with run.database.session() as session:
        return count(session, run)


def count(session: Session, run: Run) -> int:
    """Return the number of waiting changes in the snapshot of this session."""
    return int(session.value("engine/count_changes", log=run.table.change_log.identifier))


def loss(session: Session, run: Run) -> str:
    """Return why capture stopped; empty if it did not."""
    values = {"loss": run.table.capture_loss.quoted, "log": run.table.change_log.quoted}
    try:
        found = session.row("engine/find_loss", values)
    except psycopg.errors.InternalError_:
        # A rollback dropped the sequence between its name and its value.
        return DROPPED
    if found["missing"]:
        return DROPPED
    if found["code"] is None:
        return ""
    return f"change capture stopped: {_cause(_sqlstate(found['code']), found['bytes'] or 0)}. {GOES_ON}"


def _cause(state: str, size: int) -> str:
    if not state or state.startswith(FULL):
        return f"the change log reached its limit or ran out of disk space at {figures.size(size)}"
    return f"a key could not be written to the change log, by SQLSTATE {state} ({_named(state)})"


def _sqlstate(code: int) -> str:
    """Decode the SQLSTATE from base 36; empty for the mark of an earlier version, without a cause."""
    if code == 1:
        return ""
    digits = []
    for _ in range(5):
        code, digit = divmod(code, len(DIGITS))
        digits.append(DIGITS[digit])
    return "".join(reversed(digits))


def _named(state: str) -> str:
    try:
        return psycopg.errors.lookup(state).__name__
    except KeyError:
        return "unknown to the driver"


def require_complete(session: Session, run: Run) -> None:
    """Raise CaptureLost if capture has stopped."""
    if problem := loss(session, run):
        raise CaptureLost(
            problem,
            where=str(run.table),
            remedy=LOST,
        )


def require_on(run: Run) -> Sides:
    """Return the sides of a migration under capture.

    Raises CaptureLost if capture has stopped, Diverged if a trigger is missing or disabled, PreconditionFailed without
    a standby.
    """
    with run.database.session() as session:
        now = sides(session, run)
        both = now.live, now.require_standby()
        require_complete(session, run)
        if not all(is_on(run, session, each.table_name) for each in both):
            raise Diverged(OFF, where=str(run.table), remedy=OFF_REMEDY)
    return now
