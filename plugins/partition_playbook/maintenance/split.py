"""Split the default partition: any number of its rows move to new partitions while the application writes.

The protocol is the migration's, on one partition. Copies are built beside it while row triggers log the keys of changed
rows. Once both are equal, the copies replace it in one short transaction. No row is deleted from a table in use, so no
trigger fires and no subscriber sees a change. The next run removes the remains of an interrupted split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Partition, Table
from partition_playbook.codecs import Key
from partition_playbook.database import SEPARATOR, Session
from partition_playbook.engine import attributes, drain, foreign_keys, reconcile, shadow
from partition_playbook.engine.sides import Sides, sides
from partition_playbook.errors import PreconditionFailed
from partition_playbook.lock_retry import LockRetry, with_lock_retry
from partition_playbook.maintenance import copies, locks, waiting
from partition_playbook.maintenance.actions import Create
from partition_playbook.maintenance.create import equip, require_free, sibling
from partition_playbook.maintenance.ranges import ranges
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.sql import statement


def split(run: Run, creates: Sequence[Create], retry: LockRetry | None = None) -> int | None:
    """Create partitions with their rows from the default partition; return the number of rows, None if nothing to do.

    SplitUnderWay if another run splits the table, PreconditionFailed if the partition cannot be split. CaptureLost if
    the change log was full. The remains of a failed split are removed, by the next run at the latest.
    """
    with copies.exclusive(run):
        copies.abandon_unfinished(run)

        with run.database.session() as session:
            partitions = catalog.partitions(session, run.table)
        taken = ranges(run.spec, partitions)
        missing = [each for each in creates if not any(other.touches(each.bounds) for other in taken)]
        default = next((each for each in partitions if each.is_default), None)
        if default is None or not missing:
            return None

        with copies.removed_after_failure(run):
            return _split(run, default, missing, retry)


def _split(run: Run, default: Partition, creates: Sequence[Create], retry: LockRetry | None) -> int:
    inner = copies.for_partition(run, default.table)
    with run.database.transaction() as session:
        likes = _create_tables(run, inner, session, creates)
        staging = catalog.require(session, inner.table.shadow).oid

    copies.capture_rows(run, inner, inner.table)
    copies.copy_rows(inner, inner.table)
    copies.finish(run, likes)
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
    new_default = inner.table.shadow.default
    parent, default = catalog.require(session, run.table), catalog.require(session, inner.table)
    if reasons := list(waiting.unsplittable(session, parent, default)):
        raise PreconditionFailed(
            f"it cannot be split: {'; '.join(reasons)}",
            where=str(inner.table),
            remedy="If only the number of rows prevents the move, raise the param `max_moved_rows`. "
            "Otherwise move the rows by hand at a quiet time",
        )

    for name in (inner.table.shadow, new_default, *(each.partition for each in creates)):
        require_free(session, name)
    copies.create_staging(run, inner, session, parent)

    like = sibling(run, session, parent)
    for each in creates:
        copies.create_copy(run, inner, session, parent, each.partition, like, each.bounds)

    outside = _outside(run, session, creates, parent.column(run.spec.partition_by).type)
    shadow.create_detached(session, run.table, new_default, default, outside)
    copies.stage(inner, session, parent, new_default, sql.SQL("DEFAULT"))
    equip(run, session, default, new_default)

    copies.begin(run, inner, session)
    return dict.fromkeys((each.partition for each in creates), like) | {new_default: default}


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


def _verify(inner: Run, partitions: Sequence[str]) -> int:
    """Compare every row; return the number of rows in the new partitions. Diverged if the copies differ."""
    remedy = "Nothing was replaced. Trigger partition_maintenance again; if it recurs, report this message as a bug"
    compared = copies.require_equal(inner, remedy)
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
                copies.require_own(run, inner, session, staging)

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
        copies.drop_staging(inner),
        copies.drop_capture(inner),
    ]
    return SEPARATOR.join(parts)


def _renames(session: Session, old: Table, new: TableName) -> Iterator[sql.Composed]:
    """Compose the statements to rename the new default partition and its indexes like the old ones."""
    names = {(each.tail, each.constraint != ""): each.name for each in old.indexes}
    for each in catalog.require(session, new).indexes:
        if name := names.pop((each.tail, each.constraint != ""), None):
            yield attributes.rename("INDEX", TableName(new.schema, each.name), name)
    yield attributes.rename("TABLE", new, old.name)
