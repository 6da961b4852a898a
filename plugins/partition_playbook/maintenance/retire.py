"""Retire partitions: detach, complete an interrupted detach, drop what was detached.

A detach is noted in the ledger with the table's oid; only a table so noted is ever dropped.
"""

from __future__ import annotations

from partition_playbook import catalog
from partition_playbook.catalog import Partition
from partition_playbook.database import PATIENCE, Limits, Session, with_lock_retry
from partition_playbook.errors import PreconditionFailed
from partition_playbook.maintenance import locks
from partition_playbook.maintenance.actions import Detach, Drop, Finalize
from partition_playbook.maintenance.archive import Store, detached, require_same, require_stored, shelf_of
from partition_playbook.maintenance.observe import detachments, references
from partition_playbook.maintenance.ranges import own, ranges
from partition_playbook.migration.run import Run
from partition_playbook.names import TableName


def detach(run: Run, action: Detach) -> bool:
    """Detach a partition; tell whether there was something to do."""
    if action.concurrently:
        return with_lock_retry(run.database, run.table, lambda limit: _concurrently(run, action, limit), PATIENCE)
    return with_lock_retry(run.database, run.table, lambda limit: _at_once(run, action, limit))


def _at_once(run: Run, action: Detach, lock_timeout: int) -> bool:
    partition = action.found
    with run.database.transaction(Limits(lock_timeout=lock_timeout)) as session:
        locks.stop(session, (run.table,), lock_timeout)
        if not _still(run, session, partition):
            return False
        _note(run, session, "retention detached", partition, kept=action.kept)
        _run(session, "maintenance/detach_partition", run, partition.table)
        return True


def _concurrently(run: Run, action: Detach, lock_timeout: int) -> bool:
    partition = action.found
    with run.database.session(Limits(lock_timeout=lock_timeout)) as session:
        if _pending(run, session, partition.table):
            return _finalize(run, session, partition)
        if not _still(run, session, partition):
            return False
        _note(run, session, "retention detaches", partition, kept=action.kept)
        oid = _oid(session, partition.table)
        _run(session, "maintenance/detach_concurrently", run, partition.table)
        if _oid(session, partition.table) == oid:
            _note(run, session, "retention detached", partition)
        return True


def finalize(run: Run, action: Finalize) -> bool:
    """Complete an interrupted detach; tell whether there was something to do."""

    def attempt(lock_timeout: int) -> bool:
        with run.database.session(Limits(lock_timeout=lock_timeout)) as session:
            return _finalize(run, session, action.found)

    return with_lock_retry(run.database, run.table, attempt, PATIENCE)


def _finalize(run: Run, session: Session, partition: Partition) -> bool:
    with run.database.block(session):
        if not _pending(run, session, partition.table):
            return False
        begun = [TableName(row["schema"], row["name"]) for row in detachments(run, session)]
        if partition.table in begun:
            _note(run, session, "retention detached", partition)
        _run(session, "maintenance/finalize_detach", run, partition.table)
        return True


def drop(run: Run, action: Drop, store: Store | None = None) -> bool:
    """Drop a table that retention has detached; tell whether there was one.

    One that is archived is read again under its lock, so that no row goes that came after the archive.
    """
    shelf = shelf_of(run, store, action.partition) if action.archived else None
    with run.database.session() as session:
        found = catalog.describe(session, action.partition)
        if shelf:
            require_stored(run, session, shelf)
    referenced = [key.referenced for key in found.foreign_keys] if found else []

    def attempt(lock_timeout: int) -> bool:
        with run.database.transaction(Limits(lock_timeout=lock_timeout)) as session:
            if not detached(run, session, action.partition):
                return False
            if shelf:
                session.run("maintenance/lock_rows", table=action.partition.identifier)
                require_same(run, session, shelf)
            locks.stop(session, (action.partition,), lock_timeout)
            if not detached(run, session, action.partition):
                return False
            session.run("maintenance/drop_partition", partition=action.partition.identifier)
            run.ledger.note(session, "retention dropped", parent=str(run.table), partition=str(action.partition))
            return True

    return with_lock_retry(run.database, (referenced or [action.partition])[0], attempt)


def _still(run: Run, session: Session, planned: Partition) -> bool:
    """Tell whether the partition is attached as it was planned, and not the last one."""
    current = catalog.partitions(session, run.table)
    found = next((each for each in current if each.table == planned.table), None)
    if found is None:
        return False
    if (found.bound, found.kind, found.detach_pending) != (planned.bound, planned.kind, False):
        raise PreconditionFailed(
            f"was planned as {planned.bound} and is {found.bound} now", where=str(found.table), remedy="Run again"
        )
    attached = [each for _, _, each in own(ranges(run.spec, current)) if not each.detach_pending]
    if len(attached) < 2:
        raise PreconditionFailed("the last partition is never detached", where=str(found.table))
    if keys := references(run, session).get(found.table):
        raise PreconditionFailed(f"{', '.join(keys)} refers to it", where=str(found.table), remedy="Run again")
    return True


def _pending(run: Run, session: Session, name: TableName) -> bool:
    return any(each.table == name and each.detach_pending for each in catalog.partitions(session, run.table))


def _run(session: Session, name: str, run: Run, partition: TableName) -> None:
    session.run(name, parent=run.table.identifier, partition=partition.identifier)


def _oid(session: Session, name: TableName) -> int | None:
    found: int | None = session.value("maintenance/find_oid", {"schema": name.schema, "name": name.name})
    return found


def _note(run: Run, session: Session, message: str, partition: Partition, **more: bool) -> None:
    size = session.value("migration/find_size", {"schema": partition.table.schema, "name": partition.table.name})
    detail = {"bound": partition.bound, "estimated_rows": partition.estimated_rows, "bytes": size, **more}
    names = {"parent": str(run.table), "partition": str(partition.table)}
    run.ledger.note(session, message, oid=_oid(session, partition.table), **names, **detail)
