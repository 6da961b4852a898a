"""Split the default partition: any number of its rows move to new partitions while the application writes.

The protocol is the migration's, on one partition. Copies are built beside it while row triggers log the keys of changed
rows. Once both are equal, the copies replace it in one short transaction. No row is deleted from a table in use, so no
trigger fires and no subscriber sees a change. The next run removes the remains of an interrupted split.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import psycopg
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Partition, Table
from partition_playbook.codecs import Key
from partition_playbook.database import SEPARATOR, Limits, Session
from partition_playbook.engine import (
    attributes,
    capture,
    drain,
    foreign_keys,
    load,
    reconcile,
    shadow,
    vacuum,
    verify,
)
from partition_playbook.engine.sides import Sides, sides
from partition_playbook.errors import CaptureLost, Diverged, PlaybookError, PreconditionFailed, SplitUnderWay
from partition_playbook.lock_retry import LockRetry, with_lock_retry
from partition_playbook.maintenance import locks, waiting
from partition_playbook.maintenance.actions import Create
from partition_playbook.maintenance.create import equip, require_free, sibling
from partition_playbook.maintenance.ranges import ranges
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


def split(run: Run, creates: Sequence[Create], retry: LockRetry | None = None) -> int | None:
    """Create partitions with their rows from the default partition; return the number of rows, None if nothing to do.

    SplitUnderWay if another run splits the table, PreconditionFailed if the partition cannot be split. CaptureLost if
    the change log was full. The remains of a failed split are removed, by the next run at the latest.
    """
    with exclusive(run):
        abandon_unfinished(run)

        with run.database.session() as session:
            partitions = catalog.partitions(session, run.table)
        taken = ranges(run.spec, partitions)
        missing = [each for each in creates if not any(other.touches(each.bounds) for other in taken)]
        default = next((each for each in partitions if each.is_default), None)
        if default is None or not missing:
            return None

        try:
            return _split(run, default, missing, retry)
        except CaptureLost as lost:
            clean_up(run)
            raise CaptureLost(lost.problem, where=lost.where, remedy=MORE_ROOM) from lost
        except Exception:
            clean_up(run)
            raise


def abandon(run: Run) -> bool:
    """Remove the remains of an interrupted split; return False if there are none."""
    with exclusive(run):
        return abandon_unfinished(run)


@contextmanager
def exclusive(run: Run) -> Iterator[None]:
    """Hold the advisory lock on splits of the table; SplitUnderWay if another session holds it."""
    with run.database.session() as session:
        if not session.value("engine/take_load_slot", {"slot": f"partition_playbook.split {run.table}"}):
            raise SplitUnderWay(OTHER_SPLIT, where=str(run.table), remedy=LATER)
        yield


def _for_default(run: Run, default: TableName) -> Run:
    """Return the run for the migration's engine: the default partition is the live table, its copies the standby."""
    return replace(run, spec=run.spec.model_copy(update={"table": str(default)}))


def _split(run: Run, default: Partition, creates: Sequence[Create], retry: LockRetry | None) -> int:
    inner = _for_default(run, default.table)
    with run.database.transaction() as session:
        likes = _create_tables(run, inner, session, creates)
        staging = catalog.require(session, inner.table.shadow).oid

    _capture(run, inner)
    _copy(inner)
    for partition, like in likes.items():
        with run.database.transaction() as session:
            load.create_indexes(session, like, [partition])
        with run.database.session() as session:
            vacuum.vacuum(session, [partition])

    reconcile.catch_up(inner, until=reconcile.FEW_CHANGES)
    moved = _verify(inner, [each.partition.name for each in creates])

    with run.database.session() as session:
        parent = catalog.require(session, run.table)
    # As late as possible: until they are reconciled, the copies block deletes in the referenced tables.
    for partition in likes:
        foreign_keys.constrain(inner, partition, parent.foreign_keys)
    _take_place(run, inner, creates, staging, retry)
    return moved


def _create_tables(run: Run, inner: Run, session: Session, creates: Sequence[Create]) -> dict[TableName, Table]:
    """Create the copies, empty, under a staging table; return each copy with its model.

    PreconditionFailed if the partition cannot be split or a name is taken.
    """
    staging, new_default = inner.table.shadow, inner.table.shadow.default
    parent, default = catalog.require(session, run.table), catalog.require(session, inner.table)
    if reasons := list(waiting.unsplittable(session, parent, default)):
        raise PreconditionFailed(
            f"it cannot be split: {'; '.join(reasons)}",
            where=str(inner.table),
            remedy="If only the number of rows prevents the move, raise the param `max_moved_rows`. "
            "Otherwise move the rows by hand at a quiet time",
        )

    by = sql.Identifier(run.spec.partition_by)
    for name in (staging, new_default, *(each.partition for each in creates)):
        require_free(session, name)
    session.run("engine/create_shadow", shadow=staging.identifier, source=run.table.identifier, partition_by=by)
    attributes.drop_unvalidated_checks(session, parent, staging)

    like = sibling(run, session, parent)
    kind = parent.column(run.spec.partition_by).type
    for each in creates:
        shadow.create_partition(run, session, each.partition, like, each.bounds)
        lower, upper = run.spec.codec.literals(each.bounds, kind)
        stage(session, parent, staging, each.partition, sql.SQL("FOR VALUES FROM ({}) TO ({})").format(lower, upper))
        equip(run, session, like, each.partition)

    shadow.create_detached(session, run.table, new_default, default, _outside(run, session, creates, kind))
    stage(session, parent, staging, new_default, sql.SQL("DEFAULT"))
    equip(run, session, default, new_default)

    capture.create_change_log(inner, session, sides(session, inner), OF_ROWS)
    noted = {"parent": str(run.table), "default": str(inner.table), "staging": str(staging)}
    run.ledger.add_note("split begun", session=session, oid=catalog.require(session, staging).oid, **noted)
    return dict.fromkeys((each.partition for each in creates), like) | {new_default: default}


def stage(session: Session, parent: Table, staging: TableName, partition: TableName, bound: sql.Composable) -> None:
    """Attach an empty copy to the staging table."""
    attributes.drop_unvalidated_checks(session, parent, partition)
    parts = {"staging": staging.identifier, "partition": partition.identifier, "bound": bound}
    session.run("maintenance/stage_partition", **parts)


def _outside(run: Run, session: Session, creates: Sequence[Create], kind: str) -> sql.Composed:
    """Return the condition for rows of no other partition, in a form for PostgreSQL to prove the bounds from.

    With this CHECK constraint, ATTACH ... DEFAULT needs no scan.
    """
    by = sql.Identifier(run.spec.partition_by)
    present = [each.edges for each in catalog.partitions(session, run.table) if each.edges]
    edges = [(attributes.catalog_text(lower), attributes.catalog_text(upper)) for lower, upper in present]
    coming = (run.spec.codec.literals(each.bounds, kind) for each in creates)
    edges += [(_literal(lower), _literal(upper)) for lower, upper in coming]

    conditions = []
    for lower, upper in edges:
        below = [] if lower == sql.SQL("MINVALUE") else [sql.SQL("{} < {}").format(by, lower)]
        above = [] if upper == sql.SQL("MAXVALUE") else [sql.SQL("{} >= {}").format(by, upper)]
        conditions.append(sql.SQL("({})").format(sql.SQL(" OR ").join([*below, *above])))

    return sql.SQL(" AND ").join(conditions)


def _literal(end: Key) -> sql.SQL:
    return attributes.catalog_text(sql.Literal(end).as_string())


def _capture(run: Run, inner: Run) -> None:
    capture_rows(run, inner, inner.table)


def capture_rows(run: Run, inner: Run, partition: TableName) -> None:
    """Start the capture on one partition."""

    def attempt(lock_timeout: int) -> None:
        with run.database.transaction(Limits(lock_timeout=lock_timeout)) as session:
            locks.block_maintenance(session, run.table, partition)
            locks.block_application(session, (), lock_timeout)
            parts = {"table": partition.identifier, "function": inner.table.capture_function.identifier}
            session.run("maintenance/create_row_capture_triggers", **parts)

    with_lock_retry(run.database, partition, attempt)


def _copy(inner: Run) -> None:
    copy_rows(inner, inner.table)


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


def _verify(inner: Run, partitions: Sequence[str]) -> int:
    """Compare every row; return the number of rows in the new partitions. Diverged if the copies differ."""
    compared, changes = verify.compare(inner)
    found = verify.content_check(compared, changes)
    if found.blocks:
        remedy = "Nothing was replaced. Trigger partition_maintenance again; if it recurs, report this message as a bug"
        raise Diverged(found.actual, where=str(inner.table), remedy=remedy)
    return sum(each.standby.rows for each in compared if each.partition in partitions)


def _take_place(run: Run, inner: Run, creates: Sequence[Create], staging: int, retry: LockRetry | None) -> None:
    """Replace the default partition by the copies in one short transaction.

    ``staging`` is the oid of this split's staging table. The session with the advisory lock may be lost, so
    SplitUnderWay is raised if another split has replaced the table.
    """
    expected, most_changes = drain.table_fingerprint(inner), drain.changes_under_lock(inner)
    tries = drain.Tries()

    def attempt(lock_timeout: int) -> None:
        with reconcile.reconciler(inner) as session:
            now = sides(session, inner)
            parent = catalog.require(session, run.table)
            replacing = _script(run, inner, session, now, parent, creates)
            drain.catch_up(inner, session, now, most_changes)

            with run.database.block(session):
                locks.block_maintenance(session, run.table, inner.table)
                # Not the referenced tables: LOCK TABLE needs privileges on them, ATTACH does not.
                locks.block_application(session, (run.table, inner.table), lock_timeout)
                if sides(session, inner).require_standby().oid != staging:
                    raise SplitUnderWay(OTHER_SPLIT, where=str(run.table), remedy=LATER)

                drain.drain_change_log(inner, session, now, expected, most_changes, tries)
                purpose = f"Replace {inner.table.name} by its copies"
                session.execute(replacing, purpose=purpose, lock="held already")
                run.ledger.add_note("split ended", session=session, parent=str(run.table), default=str(inner.table))

    with_lock_retry(run.database, run.table, attempt, retry)


def _script(
    run: Run, inner: Run, session: Session, now: Sides, parent: Table, creates: Sequence[Create]
) -> sql.Composed:
    """Compose the statements of the replacement, all for the same transaction."""
    table, staging, new_default = run.table.identifier, inner.table.shadow, inner.table.shadow.default
    kind = parent.column(run.spec.partition_by).type

    parts = [
        statement("validation/check_keys_at_once").compose(),
        statement("maintenance/drop_partition").compose(partition=inner.table.identifier),
    ]
    for create in creates:
        name, (lower, upper) = create.partition.identifier, run.spec.codec.literals(create.bounds, kind)
        parts += [
            statement("maintenance/detach_partition").compose(parent=staging.identifier, partition=name),
            statement("maintenance/attach_partition").compose(parent=table, partition=name, lower=lower, upper=upper),
        ]

    parts += [
        statement("maintenance/detach_partition").compose(parent=staging.identifier, partition=new_default.identifier),
        statement("maintenance/attach_default").compose(parent=table, partition=new_default.identifier),
        *_renames(session, now.live, new_default),
        drop_staging(inner),
        drop_capture(inner),
    ]
    return SEPARATOR.join(parts)


def _renames(session: Session, old: Table, new: TableName) -> Iterator[sql.Composed]:
    """Compose the statements to rename the new default partition and its indexes like the old ones."""
    names = {(each.tail, each.constraint != ""): each.name for each in old.indexes}
    for each in catalog.require(session, new).indexes:
        if name := names.pop((each.tail, each.constraint != ""), None):
            yield attributes.rename("INDEX", TableName(new.schema, each.name), name)
    yield attributes.rename("TABLE", new, old.name)


def abandon_unfinished(run: Run) -> bool:
    """Remove the copies, the change log and the triggers of interrupted splits; return False if there are none."""
    with run.database.session() as session:
        found = waiting.unfinished_splits(run, session)
    for default in found:
        _abandon(run, default)
    return bool(found)


def _abandon(run: Run, part: TableName) -> None:
    """Remove the remains of a split or a merge; one partition after the other is locked to drop its triggers."""
    inner = _for_default(run, part)
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


def clean_up(run: Run) -> None:
    """Remove the remains of a failed split now; if this fails too, leave it to the next run."""
    try:
        abandon_unfinished(run)
    except (PlaybookError, psycopg.Error) as error:
        log.warning("%s: the remains of the split are removed by the next run: %s", run.table, error)
