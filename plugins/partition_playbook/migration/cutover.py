"""Cutover and its way back: one short transaction in which the two tables swap names."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg import sql

from partition_playbook import parity
from partition_playbook.catalog import Table
from partition_playbook.database import LockRetry, Session, with_lock_retry
from partition_playbook.errors import CatchUpTooSlow, Diverged, SourceChanged
from partition_playbook.ledger import Phase
from partition_playbook.migration import capture, dependents, keys, materialized, reconcile, surface
from partition_playbook.migration.dependents import Dependent
from partition_playbook.migration.run import Direction, Run, Sides, sides
from partition_playbook.migration.turn import Turn, turn
from partition_playbook.names import TableName, clip
from partition_playbook.parity import Difference, Facts
from partition_playbook.sql import statement

log = logging.getLogger(__name__)

# What may be left to reconcile when the lock is asked for, at best and where it no longer becomes less, and when it is
# granted; it decides how long the lock is held.
BACKLOG_BEFORE_LOCK = 50
STEADY_BACKLOG = 200
BACKLOG_UNDER_LOCK = 2_000
CATCH_UP_PASSES = 500
# How long the locks that hold up nobody may be waited for.
PATIENCE = "3s"


@dataclass(frozen=True)
class Swapped:
    """What a swap took, by the monotonic clock in seconds: when the lock was asked for, granted and released."""

    direction: Direction
    asked: float
    granted: float
    released: float
    tries: int
    reconciled: int

    @property
    def waited_ms(self) -> float:
        """Return how long the lock was waited for in the try that got it."""
        return 1000 * (self.granted - self.asked)

    @property
    def held_ms(self) -> float:
        """Return how long the lock was held."""
        return 1000 * (self.released - self.granted)

    def __str__(self) -> str:
        return (
            f"swapped {self.direction}: waited {self.waited_ms:.1f} ms, held {self.held_ms:.1f} ms, "
            f"{self.reconciled} changes under the lock, granted at try {self.tries}"
        )


OCCASION = {Direction.FORWARD: "cutover", Direction.BACK: "rollback"}


def swap(
    run: Run, direction: Direction, retry: LockRetry | None = None, *, occasion: str | None = None
) -> Swapped | None:
    """Swap the names of live and standby; None where the table is on that side already.

    What it took is measured as ``<occasion>_held_ms`` and ``<occasion>_waited_ms``: cutover or rollback where none is
    named. Raises LockNotGranted, CatchUpTooSlow, SourceChanged or Diverged; then nothing has changed.
    """
    with turn(run, Turn.STEP):
        return swap_now(run, direction, retry, occasion=occasion)


def swap_now(
    run: Run, direction: Direction, retry: LockRetry | None = None, *, occasion: str | None = None, custody: str = ""
) -> Swapped | None:
    """Swap as one whose turn it is; a custody that is given must be unbroken under the lock."""
    now = capture.require_on(run)
    if now.direction is not direction:
        log.info("%s: nothing to swap, %s is live", run.table, "partitioned" if now.live.is_partitioned else "original")
        keys.release(run)
        return None
    require_parity(run, now)
    reconcile.catch_up(run, until=1_000)
    materialized.prepare(run)
    keys.prepare(run, direction)
    premises = Premises(fingerprint(run), custody)
    tries = 0

    def attempt(lock_timeout: int) -> Swapped:
        nonlocal tries
        tries += 1
        return _swap_once(run, direction, lock_timeout, premises, tries, occasion or OCCASION[direction])

    swapped = with_lock_retry(run.database, run.table, attempt, retry)
    keys.release(run)
    run.ledger.tell(str(swapped))
    return swapped


def differences(run: Run, session: Session, now: Sides) -> list[Difference]:
    """Return in what the table that stands by could not stand in for the live one."""
    by = now.partition_by
    names = parity.names_once_live(now.live, now.direction.standby_suffix)
    return parity.compare(parity.facts(session, now.live, by), parity.facts(session, now.other, by, names), live=False)


def require_parity(run: Run, now: Sides) -> None:
    """Stop where one table could not stand in for the other."""
    with run.database.session() as session:
        found = differences(run, session, now)
    if found:
        raise SourceChanged(
            "the two tables differ in " + "; ".join(map(str, found)),
            where=str(now.live.table_name),
            remedy="Undo the change or make it on both tables, then clear this task",
        )


@dataclass(frozen=True)
class Premises:
    """What a swap was prepared on and must find again under the lock; without a custody every row was compared."""

    fingerprint: str
    custody: str


def fingerprint(run: Run) -> str:
    """Return the shape of the live table as one value."""
    with run.database.session() as session:
        return _fingerprint(session, run.table)


def _fingerprint(session: Session, table: TableName) -> str:
    return str(session.value("catalog/fingerprint_table", {"schema": table.schema, "name": table.name}))


def _swap_once(
    run: Run, direction: Direction, lock_timeout: int, premises: Premises, tries: int, occasion: str
) -> Swapped:
    with reconcile.reconciler(run) as session:
        before = sides(session, run)
        readers = dependents.find(session, run.table)
        surface_before = dependents.surface_of(session, run.table, run.spec.partition_by)
        swapping = script(run, session, before, direction, readers)
        catch_up(run, session, before)
        with run.database.block(session):
            live, standby = before.live.table_name, before.other.table_name
            session.rows("migration/set_lock_timeout", {"lock_timeout": PATIENCE})
            lock_around(session, live, standby)
            session.rows("migration/set_lock_timeout", {"lock_timeout": f"{lock_timeout}ms"})
            asked = time.perf_counter()
            granted = _lock_all(session, live, readers)
            reconciled = finish(run, session, before, premises.fingerprint)
            _require_custody(run, session, premises.custody)
            session.execute(swapping, purpose=f"Swap the names of {live.name} and {standby.name}", lock="held already")
            _remember_publications(run, session, before, direction)
            _require_same(run, session, surface_before)
            run.ledger.set_phase(session, Phase.LIVE if direction is Direction.FORWARD else Phase.ROLLED_BACK)
            _measure(run, session, occasion, Swapped(direction, asked, granted, time.perf_counter(), tries, reconciled))
        swapped = Swapped(direction, asked, granted, time.perf_counter(), tries, reconciled)
        _measure(run, session, occasion, swapped)
    log.info("%s", swapped)
    return swapped


def _lock_all(session: Session, live: TableName, readers: Sequence[Dependent]) -> float:
    """Lock what reads the table and then the table, as the application does; return when the first lock was granted."""
    locks = list(dependents.lock(readers))
    granted = None
    # The first lock by itself, because the time runs from there; all others with one message.
    for some in filter(None, (locks[:1], locks[1:])):
        together = sql.SQL(";\n").join(some)
        session.execute(together, purpose="Lock what reads the table before the table", lock="ACCESS EXCLUSIVE")
        granted = granted or time.perf_counter()
    lock_live(session, live)
    return granted or time.perf_counter()


def _remember_publications(run: Run, session: Session, before: Sides, direction: Direction) -> None:
    """Record which publications a rollback has to set back."""
    if direction is Direction.FORWARD and before.live.publications:
        changed = list(_published_by_root(run, before.live, direction))
        run.ledger.measure_with(session, "migration", "published_by_root", len(changed), "", publications=changed)


def _require_custody(run: Run, session: Session, expected: str) -> None:
    if expected and capture.custody(session, run) != expected:
        raise SourceChanged(
            "a trigger of the capture, a column, a partition or a file changed while the swap was prepared",
            where=str(run.table),
            remedy="Clear this task: every row is compared again",
        )


def _require_same(run: Run, session: Session, before: Facts) -> None:
    """Compare the table that is live now with the one that was, in the very transaction that swapped them."""
    after = dependents.surface_of(session, run.table, run.spec.partition_by)
    missing = [
        each
        for each in parity.compare(before, after, live=True)
        if each.expected.replace(keys.UNCHECKED, "") != each.actual.replace(keys.UNCHECKED, "")  # validated after it
    ]
    if missing:
        raise SourceChanged(
            "the swap would lose " + "; ".join(map(str, missing)),
            where=str(run.table),
            remedy="Nothing was swapped. Report it, and trigger partition_rollback",
        )


def lock_around(session: Session, live: TableName, standby: TableName) -> None:
    """Take the locks that hold up nobody who reads or writes."""
    session.run("migration/lock_exclusively", table=standby.identifier)
    session.run("migration/lock_against_maintenance", table=live.identifier)


def lock_live(session: Session, live: TableName) -> None:
    """Take the one lock that the application waits for."""
    session.run("migration/lock_exclusively", table=live.identifier)


def _measure(run: Run, session: Session, occasion: str, swapped: Swapped) -> None:
    """Record what the swap took: before its commit, lest it is lost with the worker, and after it, to be exact."""
    detail = {"tries": swapped.tries, "reconciled_under_lock": swapped.reconciled}
    for name in ("held_ms", "waited_ms"):
        run.ledger.measure_with(session, "migration", f"{occasion}_{name}", getattr(swapped, name), "ms", **detail)


def catch_up(run: Run, session: Session, now: Sides) -> None:
    """Reconcile until so little waits that the lock will be held for milliseconds."""
    waiting = capture.count(session, run)
    for _ in range(CATCH_UP_PASSES):
        if waiting <= BACKLOG_BEFORE_LOCK:
            return
        reconcile.reconcile_batch(run, session, now)
        earlier, waiting = waiting, capture.count(session, run)
        if earlier <= waiting <= STEADY_BACKLOG:
            return
    raise CatchUpTooSlow(str(run.table), waiting, STEADY_BACKLOG)


def finish(run: Run, session: Session, before: Sides, expected: str) -> int:
    """Apply what is left under the lock and make sure that nothing is; raise where the swap must not happen."""
    capture.require_whole(session, run)
    waiting = capture.count(session, run)
    if waiting > BACKLOG_UNDER_LOCK:
        raise CatchUpTooSlow(str(run.table), waiting, BACKLOG_UNDER_LOCK)
    if _fingerprint(session, run.table) != expected:
        raise SourceChanged(
            "changed shape while the cutover was prepared", where=str(run.table), remedy="Clear this task to look again"
        )
    reconciled = reconcile.apply_changes(run, session, before, waiting) if waiting else 0
    left = capture.count(session, run)
    if left:
        raise Diverged(
            f"{left} changes are left under the lock", where=str(run.table), remedy="Clear this task to try again"
        )
    return reconciled


def script(
    run: Run, session: Session, before: Sides, direction: Direction, readers: Sequence[Dependent]
) -> sql.Composed:
    """Compose everything that must change in the same instant as the names."""
    live, standby = before.live, before.other
    retired = run.table.retired if direction is Direction.FORWARD else run.table.shadow
    parts = [
        sql.SQL("SET CONSTRAINTS ALL IMMEDIATE"),  # a key that is deferred has yet to look at what was reconciled
        *_rename_all(live, standby, direction),
        rename("TABLE", live.table_name, retired.name),
        rename("TABLE", standby.table_name, run.table.name),
        *_move_sequences(run, session, before, direction),
        *materialized.rename(session, before),
        *dependents.settle_triggers(live, standby, run.table, retired),
        *dependents.publish(live.publications, run.table, retired, _published_by_root(run, live, direction)),
        *_bind_policies(live, run.table),
        *_bind_policies(live, retired),
        *dependents.point(readers),
    ]
    return sql.SQL(";\n").join(parts)


def _published_by_root(run: Run, live: Table, direction: Direction) -> dict[str, bool]:
    """Return the publications whose option publish_via_partition_root changes with the swap."""
    if direction is Direction.FORWARD:
        return {each.name: True for each in live.publications if not each.via_root}
    recorded = run.ledger.measurements("migration").get("published_by_root")
    return dict.fromkeys(recorded["detail"]["publications"], False) if recorded else {}


def _bind_policies(live: Table, name: TableName) -> Iterator[sql.Composed]:
    """Let the policies' conditions mean the table that bears the name now, where they read it themselves."""
    for each in live.policies:
        yield sql.SQL("ALTER POLICY {} ON {} {}").format(
            sql.Identifier(each.name), name.identifier, surface.conditions(each.using, each.with_check)
        )


def rename(kind: str, name: TableName, new: str) -> sql.Composed:
    """Compose the statement that gives a table or another relation a new name."""
    return sql.SQL("ALTER {} {} RENAME TO {}").format(sql.SQL(kind), name.identifier, sql.Identifier(new))


def _rename_all(live: Table, standby: Table, direction: Direction) -> Iterator[sql.Composed]:
    """Swap the names of indexes, which are those of their constraints too, and of extended statistics."""
    indexes = [("INDEX", live.schema, each.name) for each in live.indexes]
    statistics = [("STATISTICS", each.schema, each.name) for each in live.extended_statistics]
    for kind, schema, name in (*indexes, *statistics):
        yield rename(kind, TableName(schema, name), clip(name, direction.retired_suffix))
        yield rename(kind, TableName(schema, clip(name, direction.standby_suffix)), name)


def _move_sequences(run: Run, session: Session, before: Sides, direction: Direction) -> Iterator[sql.Composed]:
    live = session.rows("catalog/list_sequences", {"schema": before.live.schema, "name": before.live.name})
    for each in live:
        name = TableName(each["schema"], each["name"])
        if not each["identity"]:
            column = sql.Identifier(run.table.schema, run.table.name, each["column_name"])
            yield sql.SQL("ALTER SEQUENCE {} OWNED BY {}").format(name.identifier, column)
            continue
        stands_by = TableName(name.schema, clip(name.name, direction.standby_suffix))
        target = sql.Literal(stands_by.identifier.as_string(None))
        yield statement("migration/copy_sequence").compose(target=target, source=name.identifier)
        yield rename("SEQUENCE", name, clip(name.name, direction.retired_suffix))
        yield rename("SEQUENCE", stands_by, name.name)
