"""Advisory locks: keep two processes from working on the same table at the same time.

A separate session can lose its lock while the work continues. Work with a risk of lost rows therefore runs in the
session holding the lock. The lock of a whole step only hides its half-done work from other processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import psycopg

from partition_playbook.database import Limits, Session
from partition_playbook.errors import LockNotGranted
from partition_playbook.lock_retry import lock_holders
from partition_playbook.run import Run

PATIENCE_MS = 60_000


class Exclusive(StrEnum):
    """The kinds of work on a table, each open to one session at a time."""

    STEP = "step"
    RECONCILE = "reconcile"


@contextmanager
def exclusive_session(run: Run, kind: Exclusive) -> Iterator[Session]:
    """Open the one session with the advisory lock of ``kind`` on the run's table; the lock ends with the session.

    Raises LockNotGranted after PATIENCE_MS, with the session holding the lock.
    """
    name = f"partition_playbook.{kind} {run.table}"
    with run.database.session(Limits(lock_timeout=PATIENCE_MS)) as session:
        try:
            session.rows("engine/take_advisory_lock", {"name": name})
        except psycopg.errors.LockNotAvailable as error:
            holders = lock_holders(run.database, (), [name])
            raise LockNotGranted(str(run.table), PATIENCE_MS, 1, holders) from error
        yield session
