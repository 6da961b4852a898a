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
# A lock timeout this old is still that of the time left: setting it takes as long as many locks.
FRESH_SECONDS = 0.01


class Deadline:
    """The end of all lock waits of a try in an open transaction; times in seconds of the monotonic clock.

    ``lock_timeout`` in milliseconds bounds all waits together, here and later in the transaction. It is cut to less
    than the server's deadlock_timeout. So a session that waits for us while we wait for it gets its lock before the
    deadlock detector picks a victim. Requests raise LockNotAvailable.
    """

    def __init__(self, session: Session, lock_timeout: int) -> None:
        self._session = session
        timeouts = session.row("engine/find_timeouts")
        patience = GIVE_WAY * timeouts["deadlock"]
        self._statement_timeout = str(timeouts["statement"])
        self._limited = float("-inf")
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
        if time.perf_counter() - self._limited > FRESH_SECONDS:
            self._session.rows("engine/set_lock_timeout", {"lock_timeout": f"{self.rest_ms}ms"})
            self._limited = time.perf_counter()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Request the locks of the block within the time left, and limit all later waits to the rest."""
        if time.perf_counter() >= self._until:
            raise psycopg.errors.LockNotAvailable("the deadline for all locks of this try has passed")
        self.limit()
        yield
        self.locked = time.perf_counter()
        self.granted = self.granted or self.locked
        self.limit()

    @contextmanager
    def request_free(self) -> Iterator[None]:
        """Request locks after work of our own, which may have taken the time left; then a lock that is free is enough.

        LockNotAvailable at once if another session holds one: a wait after the deadline could end in a deadlock.
        """
        self.limit()
        yield
        self.locked = time.perf_counter()
        self.limit()

    def lock_several(self, name: str, tables: Sequence[TableName]) -> None:
        """Lock several tables by one statement from ``include/sql``."""
        if not tables:
            return
        try:
            with self.request():
                # Limit the statement as a whole: lock_timeout counts anew for each of its locks.
                limit = f"{self.rest_ms}ms"
                self._session.run_within(name, limit, self._statement_timeout, tables=_only(tables))
        except psycopg.errors.QueryCanceled as error:
            raise psycopg.errors.LockNotAvailable("canceling statement at the deadline of its locks") from error


def lock_several(session: Session, name: str, tables: Sequence[TableName]) -> None:
    """Lock several tables in the order of their names, each without its partitions, by one statement."""
    session.run(name, tables=_only(tables))


def _only(tables: Sequence[TableName]) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL("ONLY {}").format(table.identifier) for table in sorted(tables))
