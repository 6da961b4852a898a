"""Take turns: what two processes must not do to a table at once is done by the session that holds an advisory lock.

A lock in a session that only watches can be lost while the work goes on. What would lose rows is therefore done in the
very session whose turn it is; the turn of a whole step only spares two processes each other's half-done work.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import psycopg

from partition_playbook.database import Limits, Session, lock_holders
from partition_playbook.errors import LockNotGranted
from partition_playbook.migration.run import Run

PATIENCE_MS = 60_000


class Turn(StrEnum):
    """What one session at a time may do with a table."""

    STEP = "step"
    RECONCILE = "reconcile"


@contextmanager
def turn(run: Run, kind: Turn) -> Iterator[Session]:
    """Open the one session whose turn it is; LockNotGranted names the one that has it."""
    name = f"partition_playbook.{kind} {run.table}"
    with run.database.session(Limits(lock_timeout=PATIENCE_MS)) as session:
        try:
            session.rows("migration/take_turn", {"turn": name})
        except psycopg.errors.LockNotAvailable as error:
            holders = lock_holders(run.database, (), [name])
            raise LockNotGranted(str(run.table), PATIENCE_MS, 1, holders) from error
        yield session
