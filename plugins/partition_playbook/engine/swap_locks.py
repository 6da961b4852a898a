"""The locks of a swap: first those that block no reader or writer, then those that block the application."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from partition_playbook.database import Session
from partition_playbook.engine import dependents
from partition_playbook.engine.dependents import Dependent
from partition_playbook.engine.locks import Deadline, lock_several
from partition_playbook.engine.sides import Sides
from partition_playbook.names import TableName

LOCK_SEQUENCE = "Lock a sequence of the table against nextval()"
LOCK_DEPENDENTS = "Lock views and referring tables before the table itself"


def lock_all(
    session: Session,
    before: Sides,
    readers: Sequence[Dependent],
    partitions: Sequence[TableName],
    sequence_locks: Sequence[sql.Composed],
    deadline: Deadline,
) -> None:
    """Lock all that the swap uses, in the application's order: dependents, table, partitions, sequences."""
    for each in dependents.lock(readers):
        with deadline.request():
            session.execute(each, purpose=LOCK_DEPENDENTS, lock="ACCESS EXCLUSIVE")
    with deadline.request():
        lock_live(session, before.live.table_name)

    # A write that names a partition locks nothing else.
    deadline.lock_several("engine/lock_partitions", partitions)
    for lock in sequence_locks:
        with deadline.request():
            session.execute(lock, purpose=LOCK_SEQUENCE, lock="ACCESS EXCLUSIVE on the sequence")


def partition_tables(session: Session, now: Sides) -> list[TableName]:
    """List all partitions of the partitioned side, on every level."""
    rows = session.rows("engine/list_partition_tables", vars(now.partitioned.table_name))
    return [TableName(row["schema"], row["name"]) for row in rows]


def lock_around(session: Session, live: TableName, standby: TableName) -> None:
    """Take the locks that block no reader or writer."""
    session.run("engine/lock_exclusively", table=standby.identifier)
    session.run("engine/lock_against_maintenance", table=live.identifier)


def lock_partitions_around(session: Session, partitions: Sequence[TableName]) -> None:
    """Cancel autovacuum on the partitions, and keep it off; readers and writers are not blocked."""
    if partitions:
        lock_several(session, "engine/lock_partitions_against_maintenance", partitions)


def lock_live(session: Session, live: TableName) -> None:
    """Take the ACCESS EXCLUSIVE lock on the live table; the application waits for it."""
    session.run("engine/lock_exclusively", table=live.identifier)
