"""Split the default partition: its rows, however many, get their partitions while the application goes on.

It is the migration's protocol on one partition. Copies are built beside it while a row trigger logs the keys of what
changes; when both are equal they take its place in one short transaction. Nothing is deleted from a table that anybody
reads, so no trigger fires and no subscriber is told. What a split that breaks off leaves behind is removed by the next
run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

import psycopg
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Partition, Table
from partition_playbook.database import Limits, LockRetry, Session, with_lock_retry
from partition_playbook.errors import CaptureLost, Diverged, PlaybookError, PreconditionFailed, SplitUnderWay
from partition_playbook.maintenance import locks, waiting
from partition_playbook.maintenance.actions import Create
from partition_playbook.maintenance.create import equip, require_free, sibling
from partition_playbook.maintenance.ranges import ranges
from partition_playbook.migration import capture, cutover, keys, load, reconcile, settle, shadow, surface, verify
from partition_playbook.migration.run import Run, Sides, sides
from partition_playbook.names import TableName
from partition_playbook.sql import columns, statement

# 8 MB: some ten thousand rows, so that no transaction is long.
SLICE_BLOCKS = 1_000
MORE_ROOM = (
    "Nothing was replaced, no write is lost. Run again with more disk, a larger change_log_limit, or at a calm hour"
)
OTHER_SPLIT, LATER = "another run splits its default partition", "Run again when it has ended"
log = logging.getLogger(__name__)


def split(run: Run, creates: Sequence[Create], retry: LockRetry | None = None) -> int | None:
    """Create partitions with the rows that wait for them; return how many, None where there is nothing to do."""
    with _alone(run):
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
            _clean_up(run)
            raise CaptureLost(lost.problem, where=lost.where, remedy=MORE_ROOM) from lost
        except Exception:
            _clean_up(run)
            raise


def abandon(run: Run) -> bool:
    """Remove what a split that did not end left behind; tell whether there was anything."""
    with _alone(run):
        return abandon_unfinished(run)


@contextmanager
def _alone(run: Run) -> Iterator[None]:
    """Be the only one who splits the table."""
    with run.database.session() as session:
        if not session.value("migration/take_load_slot", {"slot": f"partition_playbook.split {run.table}"}):
            raise SplitUnderWay(OTHER_SPLIT, where=str(run.table), remedy=LATER)
        yield


def _on(run: Run, default: TableName) -> Run:
    """Return the run as the migration's engine sees it: the default partition is live, its copies stand by."""
    return replace(run, spec=run.spec.model_copy(update={"table": str(default)}))


def _split(run: Run, default: Partition, creates: Sequence[Create], retry: LockRetry | None) -> int:
    inner = _on(run, default.table)
    with run.database.transaction() as session:
        likes = _create_tables(run, inner, session, creates)
        staging = catalog.require(session, inner.table.shadow).oid
    _capture(run, inner)
    _copy(inner)
    for partition, like in likes.items():
        with run.database.transaction() as session:
            load.create_indexes(session, like, partition)
        with run.database.session() as session:
            settle.vacuum(session, partition)
    reconcile.catch_up(inner, until=1_000)
    moved = _verify(inner, [each.partition.name for each in creates])
    with run.database.session() as session:
        parent = catalog.require(session, run.table)
    # As late as can be: until the copies are reconciled they hold back deletes in the tables that they refer to.
    for partition in likes:
        keys.constrain(inner, partition, parent.foreign_keys)
    _take_place(run, inner, creates, staging, retry)
    return moved


def _create_tables(run: Run, inner: Run, session: Session, creates: Sequence[Create]) -> dict[TableName, Table]:
    """Create the copies, empty, and what gathers them; return each with the table that it is like."""
    staging, new_default = inner.table.shadow, inner.table.shadow.default
    parent, default = catalog.require(session, run.table), catalog.require(session, inner.table)
    if reasons := list(waiting.unsplittable(session, parent, default)):
        raise PreconditionFailed(
            f"it can't be split: {'; '.join(reasons)}",
            where=str(inner.table),
            remedy="Move the rows by hand in a quiet hour, or raise `max_moved_rows` where their number alone keeps "
            "them from being moved",
        )
    by = sql.Identifier(run.spec.partition_by)
    for name in (staging, new_default, *(each.partition for each in creates)):
        require_free(session, name)
    session.run("migration/create_shadow", shadow=staging.identifier, source=run.table.identifier, partition_by=by)
    surface.forget_unvalidated_checks(session, parent, staging)
    like = sibling(run, session, parent)
    kind = parent.column(run.spec.partition_by).type
    for each in creates:
        shadow.create_partition(session, run.table, each.partition, like, run.spec.partition_by, each.bounds)
        lower, upper = each.bounds.literals(kind)
        _stage(session, parent, staging, each.partition, sql.SQL("FOR VALUES FROM ({}) TO ({})").format(lower, upper))
        equip(run, session, like, each.partition)
    shadow.create_detached(session, run.table, new_default, default, _outside(run, session, creates, kind))
    _stage(session, parent, staging, new_default, sql.SQL("DEFAULT"))
    equip(run, session, default, new_default)
    capture.create_log(inner, session, sides(session, inner), "maintenance/create_row_capture")
    noted = {"parent": str(run.table), "default": str(inner.table), "staging": str(staging)}
    run.ledger.note(session, "split begun", oid=catalog.require(session, staging).oid, **noted)
    return dict.fromkeys((each.partition for each in creates), like) | {new_default: default}


def _stage(session: Session, parent: Table, staging: TableName, partition: TableName, bound: sql.Composable) -> None:
    surface.forget_unvalidated_checks(session, parent, partition)
    parts = {"staging": staging.identifier, "partition": partition.identifier, "bound": bound}
    session.run("maintenance/stage_partition", **parts)


def _outside(run: Run, session: Session, creates: Sequence[Create], kind: str) -> sql.Composed:
    """Return the condition that a row belongs to no other partition, in a form from which PostgreSQL concludes it."""
    by = sql.Identifier(run.spec.partition_by)
    present = [each.edges for each in catalog.partitions(session, run.table) if each.edges]
    edges = [(surface.catalog_text(lower), surface.catalog_text(upper)) for lower, upper in present]
    edges += [(_literal(lower), _literal(upper)) for lower, upper in (each.bounds.literals(kind) for each in creates)]
    conditions = []
    for lower, upper in edges:
        below = [] if lower == sql.SQL("MINVALUE") else [sql.SQL("{} < {}").format(by, lower)]
        above = [] if upper == sql.SQL("MAXVALUE") else [sql.SQL("{} >= {}").format(by, upper)]
        conditions.append(sql.SQL("({})").format(sql.SQL(" OR ").join([*below, *above])))
    return sql.SQL(" AND ").join(conditions)


def _literal(end: date) -> sql.SQL:
    return surface.catalog_text(sql.Literal(end).as_string())


def _capture(run: Run, inner: Run) -> None:
    def attempt(lock_timeout: int) -> None:
        with run.database.transaction(Limits(lock_timeout=lock_timeout)) as session:
            locks.keep_off(session, run.table, inner.table)
            locks.stop(session, (), lock_timeout)
            parts = {"table": inner.table.identifier, "function": inner.table.capture_function.identifier}
            session.run("maintenance/create_row_capture_triggers", **parts)

    with_lock_retry(run.database, inner.table, attempt)


def _copy(inner: Run) -> None:
    """Copy all rows but those whose changes are logged, a few blocks at a time.

    Whatever changes from now on is logged, so that what is copied did not change: no row is copied twice, and no key
    is doubled. A row that is written behind the last block is in the log.
    """
    name = {"schema": inner.table.schema, "name": inner.table.name}
    with inner.database.session() as session:
        now = sides(session, inner)
        row = now.live.writable
        parts = {
            "staging": inner.table.shadow.identifier,
            "default": inner.table.identifier,
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
    """Compare every row; return how many belong to the new partitions."""
    compared, changes = verify.compare(inner)
    found = verify.content_check(compared, changes)
    if found.blocks:
        raise Diverged(found.actual, where=str(inner.table), remedy="Nothing was changed. Report it, and run again")
    return sum(each.standby.rows for each in compared if each.partition in partitions)


def _take_place(run: Run, inner: Run, creates: Sequence[Create], staging: int, retry: LockRetry | None) -> None:
    """Let the copies take the place of the default partition in one short transaction.

    The session that keeps other splits away may have been lost: the copies must still be ours, whose table is
    ``staging``.
    """
    expected = cutover.fingerprint(inner)

    def attempt(lock_timeout: int) -> None:
        with reconcile.reconciler(inner) as session:
            now = sides(session, inner)
            parent = catalog.require(session, run.table)
            replacing = _script(run, inner, session, now, parent, creates)
            cutover.catch_up(inner, session, now)
            with run.database.block(session):
                locks.keep_off(session, run.table, inner.table)
                # Not those that it refers to: LOCK TABLE asks for rights on them that ATTACH does not.
                locks.stop(session, (run.table, inner.table), lock_timeout)
                if sides(session, inner).other.oid != staging:
                    raise SplitUnderWay(OTHER_SPLIT, where=str(run.table), remedy=LATER)
                cutover.finish(inner, session, now, expected)
                purpose = f"Let the copies take the place of {inner.table.name}"
                session.execute(replacing, purpose=purpose, lock="held already")
                run.ledger.note(session, "split ended", parent=str(run.table), default=str(inner.table))

    with_lock_retry(run.database, run.table, attempt, retry)


def _script(
    run: Run, inner: Run, session: Session, now: Sides, parent: Table, creates: Sequence[Create]
) -> sql.Composed:
    """Compose everything that must change in the same instant."""
    table, staging, new_default = run.table.identifier, inner.table.shadow, inner.table.shadow.default
    kind = parent.column(run.spec.partition_by).type
    parts = [
        statement("validation/check_keys_at_once").compose(),
        statement("maintenance/drop_partition").compose(partition=inner.table.identifier),
    ]
    for create in creates:
        name, (lower, upper) = create.partition.identifier, create.bounds.literals(kind)
        parts += [
            statement("maintenance/detach_partition").compose(parent=staging.identifier, partition=name),
            statement("maintenance/attach_partition").compose(parent=table, partition=name, lower=lower, upper=upper),
        ]
    parts += [
        statement("maintenance/detach_partition").compose(parent=staging.identifier, partition=new_default.identifier),
        statement("maintenance/attach_default").compose(parent=table, partition=new_default.identifier),
        *_renames(session, now.live, new_default),
        _drop_staging(inner),
        _drop_capture(inner),
    ]
    return sql.SQL(";\n").join(parts)


def _renames(session: Session, old: Table, new: TableName) -> Iterator[sql.Composed]:
    """Compose what gives the new default partition and its indexes the old one's names."""
    names = {(each.tail, each.constraint != ""): each.name for each in old.indexes}
    for each in catalog.require(session, new).indexes:
        if name := names.pop((each.tail, each.constraint != ""), None):
            yield cutover.rename("INDEX", TableName(new.schema, each.name), name)
    yield cutover.rename("TABLE", new, old.name)


def abandon_unfinished(run: Run) -> bool:
    """Remove the copies, the change log and the triggers of splits that did not end."""
    with run.database.session() as session:
        found = waiting.unfinished_splits(run, session)
    for default in found:
        _abandon(run, default)
    return bool(found)


def _abandon(run: Run, default: TableName) -> None:
    inner = _on(run, default)

    def attempt(lock_timeout: int) -> None:
        with run.database.transaction(Limits(lock_timeout=lock_timeout)) as session:
            if catalog.describe(session, default):
                locks.keep_off(session, run.table, default)
                locks.stop(session, (default,), lock_timeout)
                session.run("maintenance/drop_row_capture_triggers", table=default.identifier)
            removing = sql.SQL(";\n").join([_drop_staging(inner), _drop_capture(inner)])
            session.execute(removing, purpose="Remove what a split left that did not end")
            run.ledger.note(session, "split abandoned", parent=str(run.table), default=str(default))

    with_lock_retry(run.database, default, attempt)


def _drop_staging(inner: Run) -> sql.Composed:
    return statement("migration/drop_table").compose(kind=sql.SQL("TABLE"), table=inner.table.shadow.identifier)


def _drop_capture(inner: Run) -> sql.Composed:
    parts = {"log": inner.table.change_log.identifier, "function": inner.table.capture_function.identifier}
    return statement("migration/drop_capture").compose(**parts)


def _clean_up(run: Run) -> None:
    """Remove what is left now, where that can be done; else the next run does."""
    try:
        abandon_unfinished(run)
    except (PlaybookError, psycopg.Error) as error:
        log.warning("%s: what the split left is removed by the next run: %s", run.table, error)
