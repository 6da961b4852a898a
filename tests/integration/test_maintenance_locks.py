"""Each action of maintenance takes the locks that it claims, in one order, as another session sees them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import psycopg
import pytest
from psycopg import sql

from partition_playbook import catalog, figures
from partition_playbook.database import Session
from partition_playbook.intervals import Bounds, bounds_at
from partition_playbook.maintenance import merge, retire, split
from partition_playbook.maintenance.actions import Action, Analyze, Create, Detach, Drop, Finalize, Merge, Split
from partition_playbook.maintenance.apply import Ending, apply
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams, RetentionMode
from partition_playbook.names import TableName
from partition_playbook.run import Run
from tests.fixtures.moments import this_month
from tests.fixtures.scenario_writer import wait_until
from tests.integration.test_maintenance import (
    MIXED,
    contents,
    insert,
    looked,
    make_table,
    mixed_run,
    months,
)

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]
WEAK = ["AccessShare", "RowShare", "RowExclusive"]
SPOKEN = {
    "ShareUpdateExclusive": "SHARE UPDATE EXCLUSIVE",
    "ShareRowExclusive": "SHARE ROW EXCLUSIVE",
    "AccessExclusive": "ACCESS EXCLUSIVE",
}
MODES = [*WEAK, "ShareUpdateExclusive", "Share", "ShareRowExclusive", "Exclusive", "AccessExclusive"]
OLDEST, CURRENT = months(5, 2)[0][0], months(0, 0)[0][0]
TABLES = {
    MIXED: "parent",
    MIXED.default: "default",
    OLDEST: "partition",
    CURRENT: "sibling",
    TableName(MIXED.schema, "Unit"): "referred",
}
HELD = """
    SELECT n.nspname, c.relname, l.mode, l.granted FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
      JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_stat_activity a USING (pid)
     WHERE a.application_name LIKE 'partition_playbook%' AND a.datname = current_database()
"""
WAITING = """
    SELECT 1 FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO "Plant A"%'
"""


class Locks:
    """The engine's locks that stop anybody, as another connection sees them, in the ``order`` in which they came."""

    def __init__(self, watcher: Connection) -> None:
        self.watcher = watcher
        self.modes: dict[str, set[str]] = {}
        self.order: list[set[str]] = []

    def look(self) -> list[str]:
        """Look once; return what is waited for."""
        waits, new = [], set[str]()
        for schema, name, mode, granted in self.watcher.execute(HELD).fetchall():
            key, mode = TABLES.get(TableName(schema, name)), mode.removesuffix("Lock")
            if key and not granted:
                waits.append(key)
            elif key and mode not in WEAK:
                new |= {key}.difference(self.modes)
                self.modes.setdefault(key, set()).add(mode)
        self.order += [new] if new else []
        return waits

    @property
    def strongest(self) -> dict[str, str]:
        """Return the strongest lock on each table."""
        return {key: max(modes, key=MODES.index) for key, modes in self.modes.items()}


@pytest.fixture
def locks(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Iterator[Locks]:
    """Look at the locks after each statement of the engine, while its transaction is open still."""
    watcher = connect()
    watcher.autocommit = True
    found = Locks(watcher)
    execute = Session.execute

    def looking(self: Session, *args: Any, **kwargs: Any) -> int:
        result = execute(self, *args, **kwargs)
        found.look()
        return result

    monkeypatch.setattr(Session, "execute", looking)
    yield found
    watcher.close()


def create(run: Run, back: int) -> Create:
    bounds = bounds_at(run.spec.interval, this_month().subtract(months=back))
    return Create(MIXED.partition(bounds.suffix), bounds, "a test wants it", coming=back < 0)


def oldest(run: Run) -> catalog.Partition:
    with run.database.session() as session:
        return next(each for each in catalog.partitions(session, MIXED) if each.table == OLDEST)


def detached(run: Run) -> Drop:
    assert retire.detach(run, Detach(oldest(run), False, "too old"))
    return Drop(OLDEST, "too old")


def pending(run: Run) -> Finalize:
    """Break off a concurrent detach: it waits for a reader, and its patience ends."""
    with run.database._connect() as reader:
        reader.execute('SELECT count(*) FROM "Plant A"."Sensor Readings"')
        with pytest.raises(psycopg.errors.LockNotAvailable):
            retire._concurrently(run, Detach(oldest(run), True, "too old"), 200)
    return Finalize(oldest(run), "a test broke it off")


def waiting(run: Run) -> Split:
    with run.database._connect() as writer:
        insert(writer, this_month().add(months=3), rows=20)
    return Split(MIXED.default, (create(run, -3),), "20 rows wait")


def merging(run: Run) -> Merge:
    (first, lower, _), (second, _, upper) = months(5, 0)[:2]
    with run.database.session() as session:
        attached = {each.table: each for each in catalog.partitions(session, run.table)}
    found = attached[first], attached[second]
    return Merge(MIXED.partition("two"), Bounds(lower, upper, "two"), found, "a test wants it")


SHARED, TOLD, ALONE = "ShareUpdateExclusive", "ShareRowExclusive", "AccessExclusive"
# Whether there is a default partition, the action, and the strongest lock on each table that stops anybody.
ACTIONS: dict[str, tuple[bool, Callable[[Run], Action], dict[str, str]]] = {
    "create ahead": (False, lambda run: create(run, -3), {"parent": SHARED, "referred": TOLD}),
    "create ahead, with a default": (
        True,
        lambda run: create(run, -3),
        {"parent": TOLD, "default": ALONE, "referred": TOLD},
    ),
    "create what is due": (False, lambda run: create(run, 6), {"parent": SHARED, "referred": TOLD}),
    "create what is due, with a default": (
        True,
        lambda run: create(run, 6),
        {"parent": ALONE, "default": ALONE, "referred": TOLD},
    ),
    "split": (True, waiting, {"parent": ALONE, "default": ALONE, "referred": ALONE}),
    "merge": (True, merging, {"parent": ALONE, "default": ALONE, "partition": ALONE, "referred": ALONE}),
    "detach": (
        True,
        lambda run: Detach(oldest(run), False, "too old"),
        {"parent": ALONE, "default": ALONE, "partition": ALONE, "referred": TOLD},
    ),
    "finalize": (False, pending, {"parent": SHARED, "partition": ALONE, "referred": TOLD}),
    "drop": (True, detached, {"partition": ALONE, "referred": ALONE}),
}


def do(run: Run, action: Action) -> list[Ending]:
    return [each.ending for each in apply(run, replace(looked(run), actions=(action,)))]


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_takes_the_locks_that_it_claims_and_the_table_first(
    connection: Connection, connect: Connect, locks: Locks, name: str
) -> None:
    default, make, expected = ACTIONS[name]
    make_table(connection, default=default)
    run = mixed_run(connect)
    action = make(run)
    locks.modes.clear()
    locks.order.clear()
    assert do(run, action) == [Ending.DONE]
    assert locks.strongest == expected
    for mode in set(expected.values()):
        assert SPOKEN[mode] in action.lock
    assert ("partition" if name == "drop" else "parent") in locks.order[0]
    # A merge adds the foreign keys of its copy before it locks anything else of the application.
    assert name == "merge" or "referred" in locks.order[-1]
    assert name in ("drop", "finalize") or locks.order[0] == {"parent"}


@pytest.mark.parametrize(
    ("module", "kind", "key"), [(split, waiting, "default"), (merge, merging, "partition")], ids=["split", "merge"]
)
def test_before_its_last_step_an_action_stops_nobody_who_reads_or_writes(
    connection: Connection,
    connect: Connect,
    locks: Locks,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    kind: Callable[[Run], Action],
    key: str,
) -> None:
    make_table(connection)
    run = mixed_run(connect)
    action = kind(run)
    before: dict[str, str] = {}
    last = module._take_place

    def looking(*args: Any) -> None:
        before.update(locks.strongest)
        last(*args)

    monkeypatch.setattr(module, "_take_place", looking)
    locks.modes.clear()
    assert do(run, action) == [Ending.DONE]
    # For the instants of CREATE TRIGGER and of the copies' own foreign keys: who only reads is not stopped at all.
    assert before == {"parent": SHARED, key: TOLD, "referred": TOLD}


def until_it_waits(locks: Locks, key: str) -> None:
    """Look until the engine waits for a table."""
    deadline = time.monotonic() + 30
    while key not in locks.look():
        assert time.monotonic() < deadline, f"nobody waited for the {key}"
        time.sleep(0.01)


@pytest.mark.parametrize("kind", ["detach", "analyze"])
def test_what_runs_outside_a_transaction_takes_what_it_claims_while_it_is_held_up(
    connection: Connection, connect: Connect, kind: str
) -> None:
    make_table(connection, default=False)
    run = mixed_run(connect)
    with connect() as watcher, connect() as other:
        watcher.autocommit = True
        locks = Locks(watcher)
        action = Detach(oldest(run), True, "too old") if kind == "detach" else Analyze(MIXED, "it is due")
        plan = replace(looked(run), actions=(action,))
        if kind == "detach":
            other.execute('SELECT count(*) FROM "Plant A"."Sensor Readings"')
        else:
            other.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(CURRENT.identifier))
        worker = threading.Thread(target=apply, args=(run, plan))
        worker.start()
        try:
            if kind == "detach":
                deadline = time.monotonic() + 30
                while not connection.execute("SELECT FROM pg_inherits WHERE inhdetachpending").fetchall():
                    assert time.monotonic() < deadline
                    locks.look()
                insert(connection, this_month())
                assert len(contents(connection)) == 1
            else:
                until_it_waits(locks, "sibling")
        finally:
            other.rollback()
            worker.join()
    assert set(locks.strongest.values()) <= {SHARED}
    assert SPOKEN[SHARED] in action.lock
    if kind == "analyze":
        assert locks.strongest == {"parent": SHARED}


def test_whoever_waits_for_the_engine_while_it_waits_for_him_gets_on(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deadlock of locks is ended by the engine, which gives way before the server looks for a victim."""
    make_table(connection)
    run = mixed_run(connect)
    action = waiting(run)
    last = split._take_place
    with connect() as application, connect() as watcher:
        watcher.autocommit = True
        locks = Locks(watcher)

        def work() -> None:
            until_it_waits(locks, "referred")
            insert(application, this_month())
            application.commit()

        def meet(*args: Any) -> None:
            application.execute('UPDATE "Plant A"."Unit" SET id = id WHERE id = 3')
            worker = threading.Thread(target=work)
            worker.start()
            last(*args)
            worker.join()

        monkeypatch.setattr(split, "_take_place", meet)
        assert do(run, action) == [Ending.DONE]
    assert len(contents(connection)) == 21


def test_the_longest_lock_is_in_the_summary_the_ledger_and_a_check(connection: Connection, connect: Connect) -> None:
    make_table(connection, ahead=0)
    insert(connection, months(0, 1)[-1][1], rows=50)
    run = mixed_run(connect)
    done = maintain(run, MaintenanceParams(retention=RetentionMode.OFF))
    measured = run.ledger.measurements("maintenance")
    held = measured["longest_lock_held_ms"]["value"]
    assert held > 0
    assert done.summary["longest_lock_hold_ms"] == round(held, 1)
    assert measured["longest_lock_waited_ms"]["value"] > 0
    longest = f"longest hold {figures.milliseconds(held)}"
    assert any(longest in each.actual for each in done.checks if each.name == "locks_were_short")
    second = maintain(run, MaintenanceParams(retention=RetentionMode.OFF))
    assert second.summary["longest_lock_hold_ms"] == 0, "a run that does nothing held nothing"
    assert looked(run).actions == ()


def test_a_row_from_the_future_is_not_refused_while_its_partition_is_attached(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that has looked up the partitions already would find the default one closed for the row."""
    make_table(connection)
    run = mixed_run(connect)
    moment = this_month().add(months=3, days=2)
    errors: list[psycopg.Error] = []

    def write() -> None:
        try:
            with connect() as writer:
                insert(writer, moment)
        except psycopg.Error as error:
            errors.append(error)

    thread = threading.Thread(target=write)
    original = Session.run

    def hold(self: Session, name: str, *args: Any, **kwargs: Any) -> int:
        if name == "maintenance/attach_partition":
            thread.start()
            wait_until(lambda: bool(connection.execute(WAITING).fetchone()), "the insert waits")
        return original(self, name, *args, **kwargs)

    monkeypatch.setattr(Session, "run", hold)
    assert do(run, create(run, -3)) == [Ending.DONE]
    thread.join()
    assert errors == []
    assert len(contents(connection)) == 1
