"""Swap live table and standby in one short transaction: the cutover and its rollback."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from partition_playbook import figures, parity
from partition_playbook.database import Session
from partition_playbook.engine import (
    apply_workers,
    batches,
    capture,
    dependents,
    doubled,
    foreign_keys,
    materialized_views,
    own_readers,
    pace,
    reconcile,
    sequences,
    swap_script,
    verify,
    write_rate,
)
from partition_playbook.engine.advisory_locks import Exclusive, exclusive_session
from partition_playbook.engine.batches import Waiting
from partition_playbook.engine.dependents import Dependent
from partition_playbook.engine.locks import Deadline, lock_several
from partition_playbook.engine.sides import Direction, Sides, sides
from partition_playbook.errors import CatchUpTooSlow, Diverged, SourceChanged
from partition_playbook.gates import Gate
from partition_playbook.ledger import Phase
from partition_playbook.lock_retry import LockRetry, with_lock_retry
from partition_playbook.names import TableName
from partition_playbook.parity import Difference, Facts
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
# The lock timeout for the locks that block no reader or writer.
PATIENCE = "3s"
LOCK_SEQUENCE = "Lock a sequence of the table against nextval()"
LOCK_DEPENDENTS = "Lock views and referring tables before the table itself"


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

    Every row is compared, or only the changed ones if the capture fingerprint is the same as at the last equal
    comparison of these sides. It must be the same under the lock too.
    The ledger gets the measurements ``<occasion>_held_ms`` and ``<occasion>_waited_ms``; by default the occasion is
    cutover or rollback.
    ``gate`` must permit the swap under the advisory lock of the step, and again in the transaction of each try.
    Raises GateClosed, LockNotGranted, CatchUpTooSlow, PreconditionFailed, SourceChanged or Diverged; then nothing has
    changed.
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
    preconditions = replace(
        preconditions, table_fingerprint=table_fingerprint(run), most_changes=changes_under_lock(run)
    )
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
    most_changes: int = BACKLOG_UNDER_LOCK


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


def _swap_once(
    run: Run, direction: Direction, lock_timeout: int, preconditions: SwapPreconditions, tries: Tries, occasion: str
) -> Swapped:
    with reconcile.reconciler(run) as session:
        before = reconcile.with_ranges(run, session, sides(session, run))
        readers = dependents.find(session, run.table)
        surface_before = dependents.parity_facts(session, run.table, run.spec.partition_by)
        swap_names = swap_script.compose(run, session, before, direction, readers)
        catch_up(run, session, before, preconditions.most_changes)

        with run.database.block(session):
            if preconditions.gate:
                preconditions.gate(session, run)
            live, standby = before.live.table_name, before.require_standby().table_name
            session.rows("engine/set_lock_timeout", {"lock_timeout": PATIENCE})
            lock_around(session, live, standby)
            partitions = partition_tables(session, before)
            lock_partitions_around(session, partitions)
            sequence_locks = list(sequences.lock(session, before.live))

            # From here on no DDL on both tables is possible: what is compared now need not be compared under the lock.
            versions = _unlocked_versions(run, session, before)
            _require_unchanged(run, session, preconditions.table_fingerprint, live)
            _require_unbroken_capture(run, session, before, preconditions.capture_fingerprint)

            tries.deadline = deadline = Deadline(session, lock_timeout)
            _lock_all(session, before, readers, partitions, sequence_locks, deadline)

            _require_same_versions(run, session, before, versions)
            # Their definition was compared above; without them the standby holds back no delete of the application.
            foreign_keys.drop_of_live(session, before.live, deadline)
            reconciled = _drain(run, session, before, preconditions.most_changes, tries)
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


def _lock_all(
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
    _require_unchanged(run, session, expected, before.live.table_name)
    return _drain(run, session, before, most_changes, tries)


def _require_unchanged(run: Run, session: Session, expected: str, live: TableName) -> None:
    if _fingerprint(session, live) != expected:
        raise SourceChanged(
            "the definition of the table changed while the swap was prepared",
            where=str(run.table),
            remedy="Clear this task to prepare the swap again",
        )


def _drain(run: Run, session: Session, before: Sides, most_changes: int, tries: Tries) -> int:
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
