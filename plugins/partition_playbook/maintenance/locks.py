"""The order of locks, the same everywhere: the table, its default partition, the tables that it refers to."""

from __future__ import annotations

import time
from collections.abc import Iterable

from partition_playbook.database import Session
from partition_playbook.names import TableName

# Autovacuum gives way after deadlock_timeout, a second by default; whoever waits for it so keeps nobody waiting.
PATIENCE_MS = 3_000


def keep_off(session: Session, table: TableName, default: TableName | None) -> None:
    """Keep other maintenance and autovacuum off; readers and writers go on."""
    session.run("migration/lock_against_maintenance", table=table.identifier)
    if default:
        _limit(session, PATIENCE_MS)
        session.run("migration/lock_against_maintenance", table=default.identifier)


def stop(
    session: Session, tables: Iterable[TableName], lock_timeout: int, *, writers_of: TableName | None = None
) -> None:
    """Take the locks that the application waits for, first the one that only the ``writers_of`` a table wait for.

    All that is waited for here and later is ``lock_timeout``. That is less than deadlock_timeout: whoever waits for us
    while we wait for him gets on before he is found guilty.
    """
    until = time.perf_counter() + lock_timeout / 1000
    _limit(session, lock_timeout)
    wanted = [(each, "migration/lock_exclusively") for each in tables]
    if writers_of:
        wanted.insert(0, (writers_of, "maintenance/lock_against_writers"))
    for each, mode in wanted:
        session.lock(each, mode)
        _limit(session, max(1, int(1000 * (until - time.perf_counter()))))


def _limit(session: Session, milliseconds: int) -> None:
    session.rows("migration/set_lock_timeout", {"lock_timeout": f"{milliseconds}ms"})
