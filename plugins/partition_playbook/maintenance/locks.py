"""The order of locks, the same everywhere: the table, its default partition, the referenced tables."""

from __future__ import annotations

from collections.abc import Iterable

from partition_playbook.database import Session
from partition_playbook.engine.locks import Deadline
from partition_playbook.names import TableName

# Autovacuum cancels itself for a waiting lock after deadlock_timeout, 1 s by default. This lock mode
# conflicts with no reads and writes, so no session of the application waits behind it.
PATIENCE_MS = 3_000


def block_maintenance(session: Session, table: TableName, default: TableName | None) -> None:
    """Lock out other maintenance and autovacuum; readers and writers are not blocked."""
    session.run("engine/lock_against_maintenance", table=table.identifier)
    if default:
        _limit(session, PATIENCE_MS)
        session.run("engine/lock_against_maintenance", table=default.identifier)


def block_application(
    session: Session, tables: Iterable[TableName], lock_timeout: int, *, writers_of: TableName | None = None
) -> None:
    """Take the locks that block the application: first against ``writers_of`` a table, then exclusive ones.

    ``lock_timeout`` in milliseconds bounds all waits together, as a ``Deadline`` does.
    """
    deadline = Deadline(session, lock_timeout)
    requests = [(each, "engine/lock_exclusively") for each in tables]
    if writers_of:
        requests.insert(0, (writers_of, "maintenance/lock_against_writers"))

    for each, mode in requests:
        with deadline.request():
            session.lock(each, mode)


def _limit(session: Session, milliseconds: int) -> None:
    session.rows("engine/set_lock_timeout", {"lock_timeout": f"{milliseconds}ms"})
