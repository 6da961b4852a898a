"""The waiting changes of a swap: caught up before its locks, and drained under them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from partition_playbook import figures
from partition_playbook.database import Session
from partition_playbook.engine import batches, capture, pace, reconcile, write_rate
from partition_playbook.engine.batches import Waiting
from partition_playbook.engine.locks import Deadline
from partition_playbook.engine.sides import Sides
from partition_playbook.errors import CatchUpTooSlow, Diverged, SourceChanged
from partition_playbook.names import TableName
from partition_playbook.run import Run

log = logging.getLogger(__name__)

# The waiting changes allowed when the lock is requested (at best, and if more passes no longer help) and when it is
# granted. They decide how long the lock is held.
BACKLOG_BEFORE_LOCK = 50
STEADY_BACKLOG = 800
BACKLOG_UNDER_LOCK = 1_000
# So few changes are taken under the lock whatever their time: another try would block the application again.
LEAST_UNDER_LOCK = 200
# The share of `max_lock` for the changes under the lock.
HOLD_SHARE = 0.5
# After so many tries that found more changes under their locks, another one would find as many.
OVERFULL_TRIES = 5
CATCH_UP_PASSES = 500
# After so many batches without a new low of the backlog, more of them would not help either.
HOPELESS_PASSES = 100


@dataclass
class Tries:
    """The tries of a swap so far, and the longest time for which one held locks before it gave way.

    ``overfull`` of them found too many waiting changes under their locks.
    """

    count: int = 0
    longest_ms: float = 0.0
    overfull: int = 0
    deadline: Deadline | None = None

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count one try."""
        self.count += 1
        earlier = self.deadline
        try:
            yield
        except psycopg.Error:
            if self.deadline and self.deadline is not earlier and self.deadline.granted:
                held = 1000 * (time.perf_counter() - self.deadline.granted)
                self.longest_ms = max(self.longest_ms, held)
                log.info("the try gave way after it held locks for %s", figures.milliseconds(held))
            raise


def table_fingerprint(run: Run) -> str:
    """Return the definition of the live table as one value."""
    with run.database.session() as session:
        return _fingerprint(session, run.table)


def _fingerprint(session: Session, table: TableName) -> str:
    return str(session.value("catalog/fingerprint_table", {"schema": table.schema, "name": table.name}))


def changes_under_lock(run: Run) -> int:
    """Return the number of changes that may wait under the lock: half of ``max_lock`` by their measured time."""
    known = write_rate.followed(run)
    seconds = HOLD_SHARE * run.spec.max_lock.total_seconds()
    return max(LEAST_UNDER_LOCK, min(BACKLOG_UNDER_LOCK, round(seconds / known.change_seconds)))


def catch_up(run: Run, session: Session, now: Sides, most_changes: int) -> None:
    """Reconcile until few enough changes wait for a lock of milliseconds.

    Stops at BACKLOG_BEFORE_LOCK changes. If a batch no longer lowers the backlog, four fifths of ``most_changes`` are
    few enough: others come while the locks are requested. CatchUpTooSlow after CATCH_UP_PASSES batches, or
    after HOPELESS_PASSES without a new low.
    """
    steady = most_changes * STEADY_BACKLOG // BACKLOG_UNDER_LOCK
    change_log = run.table.change_log
    waiting, floor = batches.look(session, change_log), 0
    lowest, unchanged = waiting.number, 0
    for _ in range(CATCH_UP_PASSES):
        if waiting.number <= BACKLOG_BEFORE_LOCK:
            return
        step, after = reconcile.take_step(run, session, now, until=BACKLOG_BEFORE_LOCK, floor=floor)
        earlier, waiting, floor = waiting, after, step.floor

        if earlier.number <= waiting.number <= steady:
            waiting, floor = batches.look(session, change_log), 0  # late commits may wait below
            if waiting.number <= steady:
                return

        unchanged = 0 if waiting.number < lowest else unchanged + 1
        lowest = min(lowest, waiting.number)
        if unchanged >= HOPELESS_PASSES:
            break
    raise _too_slow(run, session, waiting, steady)


def _too_slow(run: Run, session: Session, waiting: Waiting, limit: int) -> CatchUpTooSlow:
    found = pace.find(run, session)
    return CatchUpTooSlow(str(run.table), waiting.number, limit, waiting=str(waiting), pace=str(found) if found else "")


def drain_change_log(run: Run, session: Session, before: Sides, expected: str, most_changes: int, tries: Tries) -> int:
    """Reconcile the rest of the change log under the lock; return the number of changes.

    Above ``most_changes`` it raises SerializationFailure, for the caller's lock retry to catch up again, and
    CatchUpTooSlow after OVERFULL_TRIES. Raises CaptureLost, SourceChanged if the table fingerprint is not
    ``expected``, and Diverged if changes are left.
    """
    require_unchanged(run, session, expected, before.live.table_name)
    return reconcile_rest(run, session, before, most_changes, tries)


def require_unchanged(run: Run, session: Session, expected: str, live: TableName) -> None:
    """Raise SourceChanged unless the live table has the expected definition."""
    if _fingerprint(session, live) != expected:
        raise SourceChanged(
            "the definition of the table changed while the swap was prepared",
            where=str(run.table),
            remedy="Clear this task to prepare the swap again",
        )


def reconcile_rest(run: Run, session: Session, before: Sides, most_changes: int, tries: Tries) -> int:
    """Reconcile the rest of the change log as ``drain_change_log`` does, for a definition that is compared already."""
    capture.require_complete(session, run)
    waiting = batches.look_at_once(session, run.table.change_log)
    if waiting.number > most_changes:
        tries.overfull += 1
        if tries.overfull >= OVERFULL_TRIES:
            raise _too_slow(run, session, waiting, most_changes)
        allowed = figures.number(most_changes)
        raise psycopg.errors.SerializationFailure(f"{waiting} waited under the lock, more than the {allowed} allowed")
    if not waiting.number:
        return 0

    reconciled = reconcile.apply_changes(run, session, before, None).count
    left = batches.look_at_once(session, run.table.change_log)
    if left.number:
        raise Diverged(
            f"{left} left in the change log after reconciling it under the lock",
            where=str(run.table),
            remedy="Clear this task to retry",
        )
    return reconciled
