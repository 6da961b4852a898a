"""A bounded lock retry: other sessions queue behind each try for a short time only."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from partition_playbook.database import Database, Row
from partition_playbook.errors import LockNotGranted
from partition_playbook.names import TableName

log = logging.getLogger(__name__)

Result = TypeVar("Result")
# Errors to retry after.
TRANSIENT_ERRORS = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)


@dataclass(frozen=True)
class LockRetry:
    """A bounded series of tries; other sessions queue behind each for at most its lock timeout."""

    first_ms: int = 100
    longest_ms: int = 800
    tries: int = 30
    pause_seconds: float = 0.5

    def lock_timeout(self, attempt: int) -> int:
        """Return the lock timeout of a try, in milliseconds."""
        return min(self.longest_ms, int(self.first_ms * 1.25**attempt))

    def pause(self, attempt: int) -> float:
        """Return the pause after a try in seconds, with jitter."""
        return random.uniform(0.5, 1.5) * min(10.0, self.pause_seconds * 1.3**attempt)


# For locks with no session queueing behind them: fewer and longer tries.
PATIENCE = LockRetry(first_ms=20_000, longest_ms=60_000, tries=4)


def with_lock_retry(
    database: Database,
    table: TableName,
    attempt: Callable[[int], Result],
    retry: LockRetry | None = None,
    *,
    also: Sequence[TableName] = (),
) -> Result:
    """Call ``attempt(lock_timeout_ms)`` until its locks are granted; LockNotGranted after the last try.

    The error describes the sessions with locks on the table, its standby, their partitions and referenced tables, and
    on ``also``. Deadlocks and serialization failures are retried too.
    """
    retry = retry or LockRetry()
    waited = 0.0
    blockers: list[str] = []
    for count in range(retry.tries):
        started = time.perf_counter()
        try:
            return attempt(retry.lock_timeout(count))
        except TRANSIENT_ERRORS as error:
            waited += 1000 * (time.perf_counter() - started)
            blockers = lock_holders(database, (table, table.shadow, table.retired, *also))
            log.warning("try %d on %s: %s; held by: %s", count + 1, table, str(error).strip(), "; ".join(blockers))
            time.sleep(retry.pause(count))
    raise LockNotGranted(str(table), waited, retry.tries, blockers)


def lock_holders(database: Database, tables: Sequence[TableName], advisory_locks: Sequence[str] = ()) -> list[str]:
    """Describe the sessions with locks on tables, their partitions and referenced tables, oldest transaction first."""
    names = {"schemas": [each.schema for each in tables], "names": [each.name for each in tables]}
    values = names | {"advisory_locks": list(advisory_locks)}
    with database.session() as session:
        rows = session.rows("catalog/list_lock_holders", values)
    return [
        f"prepared transaction {row['application_name']!r} of user {row['usename']} {row['modes']} for {row['age']}"
        if not row["pid"]
        else f"{session_name(row)} {row['modes']} for {row['age']}: {row['query']}"
        for row in rows
    ]


def snapshot_holders(database: Database) -> list[str]:
    """Describe the sessions of the database with a snapshot, oldest transaction first."""
    with database.session() as session:
        rows = session.rows("catalog/list_snapshot_holders")
    return [f"{session_name(row)} a snapshot for {row['age']}: {row['query']}" for row in rows]


def session_name(row: Row) -> str:
    """Name a session by pid, user, application and the client's address, unless the server hides it."""
    client = f" from {row['client']}" if row["client"] else ""
    return f"pid {row['pid']} user {row['usename']} application {row['application_name']!r}{client}"
