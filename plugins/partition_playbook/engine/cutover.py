"""Swap live table and standby in one short transaction: the cutover and its rollback."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psycopg

from partition_playbook import figures, parity
from partition_playbook.database import Session
from partition_playbook.engine import (
    apply_workers,
    capture,
    dependents,
    doubled,
    drain,
    foreign_keys,
    materialized_views,
    own_readers,
    reconcile,
    sequences,
    swap_locks,
    swap_script,
    verify,
)
from partition_playbook.engine.advisory_locks import Exclusive, exclusive_session
from partition_playbook.engine.dependents import Dependent, Kind
from partition_playbook.engine.drain import Tries
from partition_playbook.engine.locks import Deadline
from partition_playbook.engine.sides import Direction, Sides, sides
from partition_playbook.errors import SourceChanged
from partition_playbook.gates import Gate
from partition_playbook.ledger import Phase
from partition_playbook.lock_retry import LockRetry, with_lock_retry
from partition_playbook.parity import Difference, Facts
from partition_playbook.run import Run

log = logging.getLogger(__name__)

# The lock timeout for the locks that block no reader or writer.
PATIENCE = "3s"


@dataclass(frozen=True)
class Swapped:
    """The times of a swap, in seconds of the monotonic clock.

    The first lock was requested at ``asked``, the first one granted at ``granted`` and the last one at ``locked``; all
    were released at ``released``. ``longest_try_ms`` is the longest hold of a try that gave way.
    """

    direction: Direction
    asked: float
    granted: float
    locked: float
    released: float
    tries: int
    reconciled: int
    longest_try_ms: float = 0.0

    @property
    def waited_ms(self) -> float:
        """Return the wait for all locks in the successful try, in milliseconds."""
        return 1000 * (self.locked - self.asked)

    @property
    def held_ms(self) -> float:
        """Return the time from the first lock that blocked the application to the release, in milliseconds."""
        return 1000 * (self.released - self.granted)

    def __str__(self) -> str:
        return (
            f"swapped {self.direction}: waited {figures.milliseconds(self.waited_ms)} for its locks, granted at try "
            f"{figures.number(self.tries)}, held them for {figures.milliseconds(self.held_ms)}, reconciled "
            f"{figures.count(self.reconciled, 'change')} under them"
        )


OCCASION = {Direction.FORWARD: "cutover", Direction.BACK: "rollback"}
DIVERGED = (
    "Nothing was swapped. Keep both tables, make the partitions named equal in both, then clear this task. Before the "
    "cutover you can also trigger partition_rollback and start a new run"
)


def swap(
    run: Run,
    direction: Direction,
    retry: LockRetry | None = None,
    *,
    occasion: str | None = None,
    gate: Gate | None = None,
) -> Swapped | None:
    """Prove that both sides are equal, then swap the names of live and standby; None if that side is live already.

    Every row is compared. Only the changed ones are, if the capture fingerprint is still that of the last equal
    comparison of these sides. It must be the same under the lock too. ``gate`` must permit the swap under the advisory
    lock of the step, and again in the transaction of each try.

    The ledger gets the measurements ``<occasion>_held_ms`` and ``<occasion>_waited_ms``; by default the occasion is
    cutover or rollback. Raises GateClosed, LockNotGranted, CatchUpTooSlow, PreconditionFailed, SourceChanged or
    Diverged; then nothing has changed.
    """
    with exclusive_session(run, Exclusive.STEP):
        require_permitted(run, direction, gate)
        now = capture.require_on(run)
        if now.direction is not direction:
            kind = "partitioned" if now.live.is_partitioned else "original"
            log.info("%s: nothing to swap, the %s table is live", run.table, kind)
            foreign_keys.release(run)
            return None

        reconcile.catch_up(run, until=reconcile.FEW_CHANGES)
        preconditions = SwapPreconditions(capture_fingerprint=_proven(run, direction), gate=gate)
        return _swap_proven(run, now, preconditions, retry, occasion or OCCASION[direction])


@contextmanager
def _explained(run: Run) -> Iterator[None]:
    """Raise SourceChanged where the server refuses a statement of the swap: its objects are not those of preflight."""
    try:
        yield
    except psycopg.ProgrammingError as error:
        raise SourceChanged(
            f"the server refuses a statement of the swap: {str(error).strip()}",
            where=str(run.table),
            remedy="Nothing was swapped. A view, function, key or sequence of the table was created or renamed since "
            "preflight, or has another owner. Undo that, then clear this task",
        ) from error


def require_permitted(run: Run, direction: Direction, gate: Gate | None) -> None:
    """Raise GateClosed unless the gate permits a swap that is still due; it comes before any work towards the swap."""
    with run.database.session() as session:
        if gate and sides(session, run).direction is direction:
            gate(session, run)


def _proven(run: Run, direction: Direction) -> str:
    """Return the capture fingerprint since which both sides are equal, after a comparison if it is necessary."""
    if found := verify.unbroken_capture(run):
        run.ledger.add_note("the change log is complete since the last full comparison: only changed rows are compared")
        return found
    verify.require_equal(run, DIVERGED)
    return verify.compared_fingerprint(run, direction)


def _swap_proven(
    run: Run, now: Sides, preconditions: SwapPreconditions, retry: LockRetry | None, occasion: str
) -> Swapped:
    with run.database.session() as session:
        apply_workers.require_none(session, run.table)
    require_parity(run, now)
    reconcile.catch_up(run, until=reconcile.FEW_CHANGES)
    with _explained(run):
        materialized_views.prepare(run)
        foreign_keys.prepare(run, now.direction)
    table_fingerprint, most_changes = drain.table_fingerprint(run), drain.changes_under_lock(run)
    preconditions = replace(preconditions, table_fingerprint=table_fingerprint, most_changes=most_changes)
    tries = Tries()

    def attempt(lock_timeout: int) -> Swapped:
        if now.direction is Direction.BACK:
            own_readers.cancel(run)
        with tries.counted():
            return _swap_once(run, now.direction, lock_timeout, preconditions, tries, occasion)

    with _explained(run):
        swapped = with_lock_retry(run.database, run.table, attempt, retry)
    foreign_keys.release(run)
    run.ledger.add_note(str(swapped))
    return swapped


def differences(run: Run, session: Session, now: Sides) -> list[Difference]:
    """Return the differences of live table and standby that an application could notice."""
    by = now.partition_by
    names = parity.names_once_live(now.live, now.direction.standby_suffix)
    return parity.compare(
        parity.read_facts(session, now.live, by),
        parity.read_facts(session, now.require_standby(), by, names),
        live=False,
    )


def require_parity(run: Run, now: Sides) -> None:
    """Raise SourceChanged if an application could tell the standby from the live table."""
    with run.database.session() as session:
        found = differences(run, session, now)
    if found:
        raise SourceChanged(
            "live table and standby differ in " + "; ".join(map(str, found)),
            where=str(now.live.table_name),
            remedy="Undo the change or apply it to both tables, then clear this task",
        )


@dataclass(frozen=True)
class SwapPreconditions:
    """The state during the preparation of a swap; it must be the same under the lock, and the gate still permit it.

    Under the lock at most ``most_changes`` may wait.
    """

    capture_fingerprint: str
    table_fingerprint: str = ""
    gate: Gate | None = None
    most_changes: int = drain.BACKLOG_UNDER_LOCK


def _swap_once(
    run: Run,
    direction: Direction,
    lock_timeout: int,
    preconditions: SwapPreconditions,
    tries: Tries,
    occasion: str,
) -> Swapped:
    with reconcile.reconciler(run) as session:
        before = reconcile.with_ranges(run, session, sides(session, run))
        readers = dependents.find(session, run.table)
        surface_before = dependents.parity_facts(session, run.table, run.spec.partition_by)
        swap_names = swap_script.compose(run, session, before, direction, readers)
        drain.catch_up(run, session, before, preconditions.most_changes)

        with run.database.block(session):
            if preconditions.gate:
                preconditions.gate(session, run)
            live, standby = before.live.table_name, before.require_standby().table_name
            session.rows("engine/set_lock_timeout", {"lock_timeout": PATIENCE})
            swap_locks.lock_around(session, live, standby)
            partitions = swap_locks.partition_tables(session, before)
            swap_locks.lock_partitions_around(session, partitions)
            sequence_locks = list(sequences.lock(session, before.live))

            # From here on no DDL on both tables is possible: what is compared now need not be compared under the lock.
            versions = _unlocked_versions(run, session, before)
            drain.require_unchanged(run, session, preconditions.table_fingerprint, live)
            _require_unbroken_capture(run, session, before, preconditions.capture_fingerprint)

            tries.deadline = deadline = Deadline(session, lock_timeout)
            swap_locks.lock_all(session, before, readers, partitions, sequence_locks, deadline)

            _require_same_versions(run, session, before, versions)
            # Their definition was compared above; without them the standby holds back no delete of the application.
            foreign_keys.drop_of_live(session, before.live, deadline)
            reconciled = drain.reconcile_rest(run, session, before, preconditions.most_changes, tries)
            with _keys_to_the_table(run, readers):
                session.execute(
                    swap_names, purpose=f"Swap the names of {live.name} and {standby.name}", lock="held already"
                )

            doubled.leave(run, session, before)
            swap_script.record_publications(run, session, before, direction)
            _require_same(run, session, surface_before)
            run.ledger.set_phase(session, Phase.LIVE if direction is Direction.FORWARD else Phase.ROLLED_BACK)
            _measure(run, session, occasion, _swapped(direction, deadline, tries, reconciled))

        swapped = _swapped(direction, deadline, tries, reconciled)
        _measure(run, session, occasion, swapped)
    log.info("%s", swapped)
    return swapped


@contextmanager
def _keys_to_the_table(run: Run, readers: Sequence[Dependent]) -> Iterator[None]:
    """Name the foreign keys that refer to the table if one of them cannot refer to the other one."""
    try:
        yield
    except psycopg.errors.InvalidForeignKey as error:
        keys = ", ".join(str(each) for each in readers if each.kind is Kind.FOREIGN_KEY)
        raise SourceChanged(
            f"{error.diag.message_primary}: a key that was added after preflight cannot follow the swap, one of {keys}",
            where=str(run.table),
            remedy=f"Drop it, or let it reference {run.spec.partition_by} too, then clear this task",
        ) from error


def _swapped(direction: Direction, deadline: Deadline, tries: Tries, reconciled: int) -> Swapped:
    """Return the times of a swap whose locks are released now."""
    granted = deadline.granted or deadline.locked
    return Swapped(
        direction,
        deadline.asked,
        granted,
        deadline.locked,
        time.perf_counter(),
        tries.count,
        reconciled,
        tries.longest_ms,
    )


def _unlocked_versions(run: Run, session: Session, before: Sides) -> str:
    """Return one value over all that the locks around a swap do not hold."""
    return str(session.value("engine/find_unlocked_versions", capture.catalog_names(run, before)))


def _require_same_versions(run: Run, session: Session, before: Sides, expected: str) -> None:
    """Raise SourceChanged if anything changed since it was compared, PreconditionFailed if an apply worker came."""
    apply_workers.require_none(session, run.table)
    if _unlocked_versions(run, session, before) != expected:
        raise SourceChanged(
            "a privilege, a view, the capture or its change log changed while the swap waited for its locks",
            where=str(run.table),
            remedy="Clear this task to prepare the swap again",
        )


def _require_unbroken_capture(run: Run, session: Session, before: Sides, expected: str) -> None:
    apply_workers.require_none(session, run.table)
    if not expected or capture.capture_fingerprint(session, run, before) != expected:
        raise SourceChanged(
            "the capture, a column, a partition or a data file changed since every row was compared",
            where=str(run.table),
            remedy="Clear this task; it compares every row again",
        )


def _require_same(run: Run, session: Session, before: Facts) -> None:
    """Compare the new live table with the old one, in the same transaction as the swap."""
    after = dependents.parity_facts(session, run.table, run.spec.partition_by)
    # Foreign keys are validated after the swap: NOT VALID is no difference here.
    missing = [
        each
        for each in parity.compare(before, after, live=True)
        if each.expected.replace(foreign_keys.UNCHECKED, "") != each.actual.replace(foreign_keys.UNCHECKED, "")
    ]
    if missing:
        raise SourceChanged(
            "the swap would lose " + "; ".join(map(str, missing)),
            where=str(run.table),
            remedy="The swap was rolled back. Clear this task to retry; if it fails again, report it as a bug",
        )


def _measure(run: Run, session: Session, occasion: str, swapped: Swapped) -> None:
    """Record the times of a swap: before its commit, in case the worker dies, and after it, to be exact."""
    detail = {
        "tries": swapped.tries,
        "reconciled_under_lock": swapped.reconciled,
        "longest_try_ms": swapped.longest_try_ms,
    }
    for name in ("held_ms", "waited_ms"):
        run.ledger.record_measurement(
            "migration", f"{occasion}_{name}", getattr(swapped, name), "ms", session=session, **detail
        )
