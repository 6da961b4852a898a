"""Merge adjoining partitions of an earlier, narrower interval into one of the spec's, while the application writes.

The protocol is that of a split. Row triggers on the partitions log the keys of changed rows. A copy of all their rows
is built beside the table. Once both are equal, it replaces them in one short transaction. No row is deleted from a
table in use. The next run removes the remains of an interrupted merge.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

from psycopg import sql

from partition_playbook import catalog, figures
from partition_playbook.catalog import Partition, Table
from partition_playbook.database import SEPARATOR, Session
from partition_playbook.engine import attributes, drain, foreign_keys, reconcile
from partition_playbook.engine.sides import sides
from partition_playbook.errors import PreconditionFailed
from partition_playbook.lock_retry import LockRetry, with_lock_retry
from partition_playbook.maintenance import copies, exclusion, locks, waiting
from partition_playbook.maintenance.actions import Merge
from partition_playbook.maintenance.create import require_free
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.sql import statement

log = logging.getLogger(__name__)

NOTHING_REPLACED = "Nothing was replaced. Trigger partition_maintenance with the same `merge` again"


def merge(run: Run, action: Merge, retry: LockRetry | None = None) -> int | None:
    """Replace partitions by one; return the number of its rows, None if it exists already.

    SplitUnderWay if another run splits or merges partitions of the table, PreconditionFailed if these cannot be merged
    or changed since the plan, CaptureLost if the change log was full. The remains of a failed merge are removed, by the
    next run at the latest.
    """
    with copies.exclusive(run):
        copies.abandon_unfinished(run)

        with run.database.session() as session:
            present = catalog.partitions(session, run.table)
        if any(_is_merged(run, each, action) for each in present):
            return None

        with copies.removed_after_failure(run):
            return _merge(run, action, retry)


def _is_merged(run: Run, partition: Partition, action: Merge) -> bool:
    return partition.ends(run.spec.codec) == (action.bounds.lower, action.bounds.upper)


def _merge(run: Run, action: Merge, retry: LockRetry | None) -> int:
    inner = _for_part(run, action)
    with run.database.transaction() as session:
        like = _create_tables(run, inner, session, action)
        staging = catalog.require(session, inner.table.shadow).oid

    expected = drain.table_fingerprint(run)
    for each in action.found:
        copies.capture_rows(run, inner, each.table)
    for each in action.found:
        copies.copy_rows(inner, each.table)

    copy = _copy_name(inner)
    copies.finish(run, {copy: like})
    reconcile.catch_up(inner, until=reconcile.FEW_CHANGES)
    rows = _verify(inner)
    with run.database.session() as session:
        parent = catalog.require(session, run.table)
    # As late as possible: until they are reconciled, the copies block deletes in the referenced tables.
    foreign_keys.constrain(inner, copy, parent.foreign_keys)
    with exclusion.prepared(run, [action.bounds]):
        _take_place(run, inner, action, staging, expected, retry)
    merged = figures.count(len(action.found), "partition")
    log.info("%s: %s of %s merged, equal on both sides", action.partition, figures.count(rows, "row"), merged)
    return rows


def _for_part(run: Run, action: Merge) -> Run:
    """Return the run for the migration's engine: the rows of the range are the live side, their copy the standby."""
    return replace(copies.for_partition(run, action.partition), part_of=run.table)


def _copy_name(inner: Run) -> TableName:
    """Return the name of the copy: the final one may be that of a partition to be merged."""
    return inner.table.sibling("_merged")


def _create_tables(run: Run, inner: Run, session: Session, action: Merge) -> Table:
    """Create the copy, empty, under a staging table; return its model.

    PreconditionFailed if the partitions cannot be merged or a name is taken.
    """
    parent, copy = catalog.require(session, run.table), _copy_name(inner)
    merged = [catalog.require(session, each.table) for each in action.found]
    if reasons := list(dict.fromkeys(_unmergeable(run, session, parent, merged))):
        raise PreconditionFailed(
            f"its partitions cannot be merged: {'; '.join(reasons)}",
            where=str(run.table),
            remedy="Trigger partition_maintenance without `merge`: these partitions stay as they are",
        )

    for name in (inner.table.shadow, copy):
        require_free(session, name)
    if action.partition not in [each.table for each in action.found]:
        require_free(session, action.partition)

    copies.create_staging(run, inner, session, parent)
    like = replace(merged[-1], comment="")
    copies.create_copy(run, inner, session, parent, copy, like, action.bounds)
    copies.begin(run, inner, session)
    return like


def _unmergeable(run: Run, session: Session, parent: Table, merged: list[Table]) -> Iterator[str]:
    if run.ledger.standing_run(run.table):
        yield "a migration of the table is not finalized"
    for each in merged:
        yield from (f"{each.name}: {reason}" for reason in waiting.unsplittable(session, parent, each))


def _verify(inner: Run) -> int:
    """Compare every row; return their number. Diverged if the copy differs."""
    compared = copies.require_equal(inner, f"{NOTHING_REPLACED}; report it if it recurs")
    return sum(each.standby.rows for each in compared)


def _take_place(run: Run, inner: Run, action: Merge, staging: int, expected: str, retry: LockRetry | None) -> None:
    """Replace the partitions by their copy in one short transaction.

    ``staging`` is the oid of this merge's staging table. The session with the advisory lock may be lost, so
    SplitUnderWay is raised if another merge has replaced the table.
    """
    most_changes, tries = drain.changes_under_lock(inner), drain.Tries()

    def attempt(lock_timeout: int) -> None:
        with reconcile.reconciler(inner) as session:
            now = sides(session, inner)
            kind = now.live.column(run.spec.partition_by).type
            default = next((each.table for each in catalog.partitions(session, run.table) if each.is_default), None)
            replacing = _script(run, inner, action, kind)
            drain.catch_up(inner, session, now, most_changes)

            with run.database.block(session):
                locks.block_maintenance(session, run.table, default)
                defaults = (default,) if default else ()
                merged = (each.table for each in action.found)
                locks.block_application(session, (run.table, *defaults, *merged), lock_timeout)
                copies.require_own(run, inner, session, staging)
                _require_same(run, session, action)

                drain.drain_change_log(inner, session, now, expected, most_changes, tries)
                purpose = f"Replace partitions by {action.partition.name}"
                # The partitions had every row of the range, so the default partition has none.
                with exclusion.closed(session, default):
                    session.execute(replacing, purpose=purpose, lock="held already")
                run.ledger.add_note("merge ended", session=session, parent=str(run.table), partition=str(inner.table))

    also = [each.table for each in action.found]
    with_lock_retry(run.database, run.table, attempt, retry, also=also)


def _require_same(run: Run, session: Session, action: Merge) -> None:
    """Raise PreconditionFailed unless all partitions are attached as planned."""
    present = {
        (each.table, each.bound, each.kind, each.detach_pending) for each in catalog.partitions(session, run.table)
    }
    planned = {(each.table, each.bound, each.kind, False) for each in action.found}
    if changed := planned - present:
        raise PreconditionFailed(
            f"partitions changed since the plan: {', '.join(sorted(table.name for table, *_ in changed))}",
            where=str(run.table),
            remedy=NOTHING_REPLACED,
        )


def _script(run: Run, inner: Run, action: Merge, kind: str) -> sql.Composed:
    """Compose the statements of the replacement, all for the same transaction."""
    table, staging, copy = run.table.identifier, inner.table.shadow.identifier, _copy_name(inner)
    lower, upper = run.spec.codec.literals(action.bounds, kind)
    dropped = [
        statement("maintenance/drop_partition").compose(partition=each.table.identifier) for each in action.found
    ]
    return SEPARATOR.join(
        [
            statement("validation/check_keys_at_once").compose(),
            *dropped,
            statement("maintenance/detach_partition").compose(parent=staging, partition=copy.identifier),
            statement("maintenance/attach_partition").compose(
                parent=table, partition=copy.identifier, lower=sql.Literal(lower), upper=sql.Literal(upper)
            ),
            attributes.rename("TABLE", copy, action.partition.name),
            copies.drop_staging(inner),
            copies.drop_capture(inner),
        ]
    )
