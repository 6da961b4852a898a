"""Locks that block the application: one deadline for all locks of a try."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

from partition_playbook.database import Session
from partition_playbook.names import TableName

# The share of deadlock_timeout after which a try gives way.
GIVE_WAY = 0.8


class Deadline:
    """The end of all lock waits of a try in an open transaction; times in seconds of the monotonic clock.

    ``lock_timeout`` in milliseconds bounds all waits together, here and later in the transaction. It is cut to less
    than the server's deadlock_timeout. So a session that waits for us while we wait for it gets its lock before the
    deadlock detector picks a victim. Requests raise LockNotAvailable.
    """

    def __init__(self, session: Session, lock_timeout: int) -> None:
        self._session = session
        patience = GIVE_WAY * session.value("engine/find_deadlock_timeout")
        self.asked = time.perf_counter()
        self.granted: float | None = None
        self.locked = self.asked
        self._until = self.asked + min(lock_timeout, patience) / 1000
        self.limit()

    @property
    def rest_ms(self) -> int:
        """Return the time left in milliseconds, at least 1."""
        return max(1, int(1000 * (self._until - time.perf_counter())))

    def limit(self) -> None:
        """Set the lock timeout of the transaction to the time left."""
        # The server's lock_timeout counts anew for each lock.
        self._session.rows("engine/set_lock_timeout", {"lock_timeout": f"{self.rest_ms}ms"})

    @contextmanager
    def request(self) -> Iterator[None]:
        """Request the locks of the block within the time left, and limit all later waits to the rest."""
        if time.perf_counter() >= self._until:
            raise psycopg.errors.LockNotAvailable("the deadline for all locks of this try has passed")
        yield
        self.locked = time.perf_counter()
        self.granted = self.granted or self.locked
        self.limit()

    def lock_several(self, name: str, tables: Sequence[TableName]) -> None:
        """Lock several tables by one statement from ``include/sql``."""
        if not tables:
            return
        with self.request(), self._whole_statement():
            lock_several(self._session, name, tables)

    @contextmanager
    def _whole_statement(self) -> Iterator[None]:
        """Limit the statement as a whole: lock_timeout counts anew for each of its locks."""
        earlier = self._session.value("engine/find_statement_timeout")
        self._session.rows("engine/set_statement_timeout", {"statement_timeout": f"{self.rest_ms}ms"})
        try:
            yield
        except psycopg.errors.QueryCanceled as error:
            raise psycopg.errors.LockNotAvailable("canceling statement at the deadline of its locks") from error
        self._session.rows("engine/set_statement_timeout", {"statement_timeout": earlier})


def lock_several(session: Session, name: str, tables: Sequence[TableName]) -> None:
    """Lock several tables in the order of their names, each without its partitions, by one statement."""
    each = [sql.SQL("ONLY {}").format(table.identifier) for table in sorted(tables)]
    session.run(name, tables=sql.SQL(", ").join(each))
