"""Copies of partitions, built beside the table while the application writes: the protocol of a split and of a merge.

The copies are partitions of a staging table. Row triggers on the partitions log the keys of changed rows, and the
migration's engine reconciles the copies with them. At last the copies take the place of the partitions. The next run
removes the remains of an interrupted split or merge.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import psycopg
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Table
from partition_playbook.database import SEPARATOR, Limits, Session
from partition_playbook.engine import attributes, capture, load, shadow, vacuum, verify
from partition_playbook.engine.sides import sides
from partition_playbook.engine.verify import Compared
from partition_playbook.errors import CaptureLost, Diverged, PlaybookError, SplitUnderWay
from partition_playbook.intervals import Bounds
from partition_playbook.lock_retry import with_lock_retry
from partition_playbook.maintenance import locks, waiting
from partition_playbook.maintenance.create import equip
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.sql import columns, statement

# 8 MB, about ten thousand rows: keeps each transaction short.
SLICE_BLOCKS = 1_000
MORE_ROOM = (
    "Nothing was replaced and no write is lost. Raise `change_log_limit` in the spec or free disk space, then trigger "
    "partition_maintenance again at a quieter time"
)
OTHER_SPLIT = "another run is splitting its default partition"
LATER = "Wait for that run to end, then clear this task"
log = logging.getLogger(__name__)

# A row trigger of a partition also fires for rows routed to it through the table; a statement trigger would not.
OF_ROWS = capture.CaptureBody(
    "maintenance/write_key_of_row", "old", "new", "splits", "Use DELETE, or wait for the end of partition_maintenance"
)


@contextmanager
def exclusive(run: Run) -> Iterator[None]:
    """Hold the advisory lock on splits of the table; SplitUnderWay if another session holds it."""
    with run.database.session() as session:
        if not session.value("engine/take_load_slot", {"slot": f"partition_playbook.split {run.table}"}):
            raise SplitUnderWay(OTHER_SPLIT, where=str(run.table), remedy=LATER)
        yield


@contextmanager
def removed_after_failure(run: Run) -> Iterator[None]:
    """Remove the copies if the block fails; the remedy for a full change log is more room."""
    try:
        yield
    except CaptureLost as lost:
        clean_up(run)
        raise CaptureLost(lost.problem, where=lost.where, remedy=MORE_ROOM) from lost
    except Exception:
        clean_up(run)
        raise


def for_partition(run: Run, partition: TableName) -> Run:
    """Return the run for the migration's engine: the partition is the live table, its copies are the standby."""
    return replace(run, spec=run.spec.model_copy(update={"table": str(partition)}))


def create_staging(run: Run, inner: Run, session: Session, parent: Table) -> None:
    """Create the staging table, empty."""
    staging, by = inner.table.shadow, sql.Identifier(run.spec.partition_by)
    session.run("engine/create_shadow", shadow=staging.identifier, source=run.table.identifier, partition_by=by)
    attributes.drop_unvalidated_checks(session, parent, staging)


def create_copy(
    run: Run, inner: Run, session: Session, parent: Table, copy: TableName, like: Table, bounds: Bounds
) -> None:
    """Create a copy with bounds, empty, as a partition of the staging table."""
    shadow.create_partition(run, session, copy, like, bounds)
    lower, upper = run.spec.codec.literals(bounds, parent.column(run.spec.partition_by).type)
    stage(inner, session, parent, copy, sql.SQL("FOR VALUES FROM ({}) TO ({})").format(lower, upper))
    equip(run, session, like, copy)


def stage(inner: Run, session: Session, parent: Table, copy: TableName, bound: sql.Composable) -> None:
    """Attach an empty copy to the staging table."""
    attributes.drop_unvalidated_checks(session, parent, copy)
    parts = {"staging": inner.table.shadow.identifier, "partition": copy.identifier, "bound": bound}
    session.run("maintenance/stage_partition", **parts)


def begin(run: Run, inner: Run, session: Session) -> None:
    """Create the change log, and note in the ledger that there are copies to remove after a crash."""
    capture.create_change_log(inner, session, sides(session, inner), OF_ROWS)
    staging = inner.table.shadow
    noted = {"parent": str(run.table), "default": str(inner.table), "staging": str(staging)}
    run.ledger.add_note("split begun", session=session, oid=catalog.require(session, staging).oid, **noted)


def capture_rows(run: Run, inner: Run, partition: TableName) -> None:
    """Start the capture on one partition."""

    def attempt(lock_timeout: int) -> None:
        with run.database.transaction(Limits(lock_timeout=lock_timeout)) as session:
            locks.block_maintenance(session, run.table, partition)
            locks.block_application(session, (), lock_timeout)
            parts = {"table": partition.identifier, "function": inner.table.capture_function.identifier}
            session.run("maintenance/create_row_capture_triggers", **parts)

    with_lock_retry(run.database, partition, attempt)


def copy_rows(inner: Run, partition: TableName) -> None:
    """Copy all rows of a partition without a logged change, a few blocks per transaction.

    Every change from now on is logged, so a copied row is an unchanged one: no row is copied twice, and no key twice.
    A row written behind the last block is in the log.
    """
    name = {"schema": partition.schema, "name": partition.name}
    with inner.database.session() as session:
        now = sides(session, inner)
        row = now.live.writable

        parts = {
            "staging": inner.table.shadow.identifier,
            "default": partition.identifier,
            "log": inner.table.change_log.identifier,
            "columns": columns(row),
            "row": columns(row, "s"),
            "match": now.match("k", "s"),
        }

        blocks = session.value("maintenance/count_blocks", name)
        for first in range(0, blocks, SLICE_BLOCKS):
            slice_ = {"first": f"({first},0)", "last": f"({first + SLICE_BLOCKS},0)"}
            with inner.database.block(session):
                session.run("maintenance/copy_slice", slice_, **parts)


def finish(run: Run, copies: Mapping[TableName, Table]) -> None:
    """Create the indexes of full copies, each like its model, and vacuum them."""
    for copy, like in copies.items():
        with run.database.transaction() as session:
            load.create_indexes(session, like, [copy])
        with run.database.session() as session:
            vacuum.vacuum(session, [copy])


def require_equal(inner: Run, remedy: str) -> list[Compared]:
    """Compare every row, and return the compared copies; Diverged if they differ."""
    compared, changes = verify.compare(inner)
    found = verify.content_check(compared, changes)
    if found.blocks:
        raise Diverged(found.actual, where=str(inner.table), remedy=remedy)
    return compared


def require_own(run: Run, inner: Run, session: Session, staging: int) -> None:
    """Raise SplitUnderWay unless the staging table has this oid.

    The session with the advisory lock may be lost; then another run may have copies of its own.
    """
    if sides(session, inner).require_standby().oid != staging:
        raise SplitUnderWay(OTHER_SPLIT, where=str(run.table), remedy=LATER)


def drop_staging(inner: Run) -> sql.Composed:
    """Compose the statement that drops the staging table, with the copies that are still attached to it."""
    return statement("engine/drop_table").compose(kind=sql.SQL("TABLE"), table=inner.table.shadow.identifier)


def drop_capture(inner: Run) -> sql.Composed:
    """Compose the statements that drop the change log and the functions of the capture."""
    parts = {
        "log": inner.table.change_log.identifier,
        "function": inner.table.capture_function.identifier,
        "guard": inner.table.guard_function.identifier,
    }
    return statement("engine/drop_capture").compose(**parts)


def abandon(run: Run) -> bool:
    """Remove the remains of interrupted splits under the advisory lock; return False if there are none."""
    with exclusive(run):
        return abandon_unfinished(run)


def abandon_unfinished(run: Run) -> bool:
    """Remove the copies, the change log and the triggers of interrupted splits; return False if there are none."""
    with run.database.session() as session:
        found = waiting.unfinished_splits(run, session)
    for default in found:
        _abandon(run, default)
    return bool(found)


def _abandon(run: Run, part: TableName) -> None:
    """Remove the remains of a split or a merge; one partition after the other is locked to drop its triggers."""
    inner = for_partition(run, part)
    with run.database.session() as session:
        captured = session.rows("engine/list_captured", {"function": inner.table.capture_function.quoted})
    for row in captured:
        stop_capture(run, TableName(row["schema"], row["name"]))

    def attempt(lock_timeout: int) -> None:
        with run.database.transaction(Limits(lock_timeout=lock_timeout)) as session:
            removing = SEPARATOR.join([drop_staging(inner), drop_capture(inner)])
            session.execute(removing, purpose="Remove the remains of an interrupted split")
            run.ledger.add_note("split abandoned", session=session, parent=str(run.table), default=str(part))

    with_lock_retry(run.database, part, attempt)


def stop_capture(run: Run, partition: TableName) -> None:
    """Drop the row triggers of a partition."""

    def attempt(lock_timeout: int) -> None:
        with run.database.transaction(Limits(lock_timeout=lock_timeout)) as session:
            locks.block_maintenance(session, run.table, partition)
            locks.block_application(session, (partition,), lock_timeout)
            session.run("maintenance/drop_row_capture_triggers", table=partition.identifier)

    with_lock_retry(run.database, partition, attempt)


def clean_up(run: Run) -> None:
    """Remove the remains of a failed split now; if this fails too, leave it to the next run."""
    try:
        abandon_unfinished(run)
    except (PlaybookError, psycopg.Error) as error:
        log.warning("%s: the remains of the split are removed by the next run: %s", run.table, error)
