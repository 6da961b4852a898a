"""Retire partitions: detach, finalize an interrupted detach, drop a detached table.

A detach is noted in the ledger with the table's oid. Only a table with this note is ever dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

from partition_playbook import catalog
from partition_playbook.catalog import Partition
from partition_playbook.database import Limits, Session
from partition_playbook.errors import PreconditionFailed
from partition_playbook.lock_retry import PATIENCE, with_lock_retry
from partition_playbook.maintenance import locks
from partition_playbook.maintenance.actions import Detach, Drop, Finalize
from partition_playbook.maintenance.archive import detached, folder_of, require_same, require_stored
from partition_playbook.maintenance.ranges import managed, of_another_width, ranges
from partition_playbook.maintenance.read_state import detachments, references
from partition_playbook.names import TableName
from partition_playbook.object_store import OpenStore
from partition_playbook.run import Run


def detach(run: Run, action: Detach) -> bool:
    """Detach a partition; return False if it is not attached any more.

    PreconditionFailed if the partition changed since the plan, is the last one, or is referenced by a foreign key.
    """
    if action.concurrently:
        return with_lock_retry(run.database, run.table, lambda limit: _concurrently(run, action, limit), PATIENCE)
    return with_lock_retry(run.database, run.table, lambda limit: _at_once(run, action, limit))


def _at_once(run: Run, action: Detach, lock_timeout: int) -> bool:
    partition = action.found
    with run.database.transaction(Limits(lock_timeout=lock_timeout)) as session:
        # A write that names the partition or the default one takes no lock on the table. Both are locked here, within
        # the one deadline, and not by DETACH with a timeout of its own for each.
        defaults = [each.table for each in catalog.partitions(session, run.table) if each.is_default]
        locks.block_application(session, (run.table, *defaults, *_present(session, partition.table)), lock_timeout)
        return detach_locked(run, session, action)


def detach_locked(run: Run, session: Session, action: Detach) -> bool:
    """Detach a partition in the open transaction, which has locked the table, the default partition and this one.

    Like ``detach`` otherwise.
    """
    partition = action.found
    if not _is_attached(run, session, partition):
        return False

    _note(run, session, "retention detached", partition, kept=action.kept)
    _run(session, "maintenance/detach_partition", run, partition.table)
    return True


def _present(session: Session, name: TableName) -> tuple[TableName, ...]:
    return (name,) if _oid(session, name) else ()


def _concurrently(run: Run, action: Detach, lock_timeout: int) -> bool:
    partition = action.found
    with run.database.session(Limits(lock_timeout=lock_timeout)) as session:
        if _pending(run, session, partition.table):
            return _finalize(run, session, partition)
        if not _is_attached(run, session, partition):
            return False

        # DETACH CONCURRENTLY cannot run in a transaction. The first note tells the next run the intention, should this
        # one be interrupted. The second is written only if the name still has the same oid.
        _note(run, session, "retention detaches", partition, kept=action.kept)
        oid = _oid(session, partition.table)
        _run(session, "maintenance/detach_concurrently", run, partition.table)
        if _oid(session, partition.table) == oid:
            _note(run, session, "retention detached", partition)
        return True


def finalize(run: Run, action: Finalize) -> bool:
    """Complete an interrupted detach; return False if none is pending."""

    def attempt(lock_timeout: int) -> bool:
        with run.database.session(Limits(lock_timeout=lock_timeout)) as session:
            return _finalize(run, session, action.found)

    return with_lock_retry(run.database, run.table, attempt, PATIENCE)


def _finalize(run: Run, session: Session, partition: Partition) -> bool:
    with run.database.block(session):
        if not _pending(run, session, partition.table):
            return False

        # A detach that retention did not begin is finalized too, but its table is never dropped.
        begun = [TableName(row["schema"], row["name"]) for row in detachments(run, session)]
        if partition.table in begun:
            _note(run, session, "retention detached", partition)
        _run(session, "maintenance/finalize_detach", run, partition.table)
        return True


def drop(run: Run, action: Drop, store: OpenStore | None = None) -> bool:
    """Drop a table detached by retention; return False if there is none.

    An archived table is compared with its archive again under its lock, so no row written since is lost.
    PreconditionFailed without a good archive, Diverged if rows changed.
    """
    folder = folder_of(run, store, action.partition) if action.archived else None
    with run.database.session() as session:
        found = catalog.describe(session, action.partition)
        if folder:
            require_stored(run, session, folder)

    # DROP TABLE also locks the referenced tables; blockers are looked for on the first of them.
    referenced = [key.referenced for key in found.foreign_keys] if found else []

    def attempt(lock_timeout: int) -> bool:
        with run.database.transaction(Limits(lock_timeout=lock_timeout)) as session:
            if not detached(run, session, action.partition):
                return False

            if folder:
                session.run("maintenance/lock_rows", table=action.partition.identifier)
                require_same(run, session, folder)

            # The lock may take a while, and the table may be attached again meanwhile.
            locks.block_application(session, (action.partition,), lock_timeout)
            if not detached(run, session, action.partition):
                return False

            session.run("maintenance/drop_partition", partition=action.partition.identifier)
            run.ledger.add_note(
                "retention dropped", session=session, parent=str(run.table), partition=str(action.partition)
            )
            return True

    return with_lock_retry(run.database, (referenced or [action.partition])[0], attempt)


def _is_attached(run: Run, session: Session, planned: Partition) -> bool:
    """Return True if the partition is attached as planned; PreconditionFailed if it must not be detached."""
    current = catalog.partitions(session, run.table)
    found = next((each for each in current if each.table == planned.table), None)
    if found is None:
        return False

    if (found.bound, found.kind, found.detach_pending) != (planned.bound, planned.kind, False):
        raise PreconditionFailed(
            f"it changed since the plan: planned {planned.bound}, now {found.bound}",
            where=str(found.table),
            remedy="Trigger partition_maintenance again: it plans from the current catalog",
        )

    _require_another(run, current, found)
    if keys := references(run, session).get(found.table):
        raise PreconditionFailed(
            f"it is referenced by {', '.join(keys)}",
            where=str(found.table),
            remedy="Drop these foreign keys, or recreate them to reference the partitioned table",
        )
    return True


def _require_another(run: Run, current: Sequence[Partition], found: Partition) -> None:
    """Raise PreconditionFailed if it is the last partition of its interval."""
    ranged = ranges(run.spec, current)
    attached = [each for _, _, each in managed(ranged)]
    if found not in attached:  # one of an earlier interval
        attached += [each.partition for each in of_another_width(ranged)]
    if sum(not each.detach_pending for each in attached) < 2:
        raise PreconditionFailed(
            "the last partition is never detached",
            where=str(found.table),
            remedy="Remove the cause of the failed creations in this run, then trigger partition_maintenance again",
        )


def _pending(run: Run, session: Session, name: TableName) -> bool:
    return any(each.table == name and each.detach_pending for each in catalog.partitions(session, run.table))


def _run(session: Session, name: str, run: Run, partition: TableName) -> None:
    session.run(name, parent=run.table.identifier, partition=partition.identifier)


def _oid(session: Session, name: TableName) -> int | None:
    found: int | None = session.value("maintenance/find_oid", {"schema": name.schema, "name": name.name})
    return found


def _note(run: Run, session: Session, message: str, partition: Partition, **more: bool) -> None:
    size = session.value("engine/find_size", {"schema": partition.table.schema, "name": partition.table.name})
    detail = {"bound": partition.bound, "estimated_rows": partition.estimated_rows, "bytes": size, **more}
    names = {"parent": str(run.table), "partition": str(partition.table)}
    run.ledger.add_note(message, session=session, oid=_oid(session, partition.table), **names, **detail)
