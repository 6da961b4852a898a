"""A batch costs as much as its changes: not the backlog, not the hot rows, and not the rows in its way."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from partition_playbook.checks import Severity
from partition_playbook.database import Session
from partition_playbook.engine import (
    attach,
    batches,
    capture,
    cutover,
    drain,
    foreign_keys,
    load,
    pace,
    reconcile,
    shadow,
    swap_locks,
    throttle,
    verify,
)
from partition_playbook.engine import stale_rows as stale
from partition_playbook.engine.batches import Batch
from partition_playbook.engine.sides import Direction, Sides, sides
from partition_playbook.errors import CatchUpTooSlow
from partition_playbook.intervals import Interval
from partition_playbook.lock_retry import LockRetry
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec
from tests.fixtures.migration import migrate
from tests.fixtures.scenario_writer import wait_until
from tests.fixtures.tables import open_run

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]
SPEC = TableSpec(table="slots", partition_by="at", premake=1)
ROWS = 1_000
SLOTS = f"""
CREATE TABLE slots (id bigint PRIMARY KEY, at timestamptz NOT NULL, code int, note text);
INSERT INTO slots SELECT n, date_trunc('month', now()), n, 'first' FROM generate_series(1, {ROWS}) n;
ANALYZE slots
"""
# A unique key of the live table, and the direction in which its batches are reconciled.
FORWARD_KEYS = {
    "index": "CREATE UNIQUE INDEX ON slots (code, at)",
    "constraint": "ALTER TABLE slots ADD UNIQUE (at, code)",
    "deferrable constraint": "ALTER TABLE slots ADD UNIQUE (at, code) DEFERRABLE INITIALLY DEFERRED",
    "expression": "CREATE UNIQUE INDEX ON slots ((code + 1), at)",
    "partial": "CREATE UNIQUE INDEX ON slots (code, at) WHERE code > 0",
}
BACK_KEYS = {
    "index": "CREATE UNIQUE INDEX ON slots (code)",
    "deferrable constraint": "ALTER TABLE slots ADD UNIQUE (code) DEFERRABLE",
    "expression": "CREATE UNIQUE INDEX ON slots ((code % 10000))",
    "partial": "CREATE UNIQUE INDEX ON slots (code) WHERE code > 0",
}
DELETED = "Delete the reconciled changes from the change log"


def make(connection: Connection, connect: Connect, key: str = "") -> Run:
    connection.execute(SLOTS)
    if key:
        connection.execute(key)
    return open_run(connect, SPEC, "slots")


def build(run: Run) -> None:
    for planned in shadow.build(run):
        load.load_partition(run, planned["partition_name"], workers=1)
    attach.attach_partitions(run)


def touch(connection: Connection, first: int, last: int, note: str = "touched") -> None:
    """Write one change for each of these rows, in the order of their ids."""
    for number in range(first, last + 1):
        connection.execute("UPDATE slots SET note = %s WHERE id = %s", (note, number))


def exchange(connection: Connection, one: int = 1, other: int = 2) -> None:
    """Let two rows exchange their codes, which are their ids, by three changes."""
    for code, number in ((10 * ROWS, one), (one, other), (other, one)):
        connection.execute("UPDATE slots SET code = %s WHERE id = %s", (code, number))


def equal(run: Run) -> bool:
    compared, _ = verify.compare(run)
    return all(each.equal for each in compared)


def deletions(run: Run) -> list[int]:
    """List the numbers of changes that were deleted together."""
    return [each["rows"] for each in run.ledger.events() if each["message"] == DELETED]


def notes(run: Run) -> list[str]:
    return [each["message"] for each in run.ledger.events() if each["kind"] == "note"]


@pytest.mark.parametrize("kind", FORWARD_KEYS)
def test_a_unique_value_that_is_handed_on_between_batches_brings_one_row_into_the_batch(
    kind: str, connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(connection, connect, FORWARD_KEYS[kind])
    build(run)
    monkeypatch.setattr(reconcile, "BATCH", 1)
    exchange(connection)
    touch(connection, 11, 20)
    assert reconcile.catch_up(run) == 0
    assert equal(run)
    assert max(deletions(run)) == 2
    assert sum(deletions(run)) == 14, "one change of row 2 is the reconciler's own"


@pytest.mark.parametrize("kind", BACK_KEYS)
def test_after_the_cutover_a_stale_value_is_no_doubled_one(
    kind: str, connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(connection, connect, BACK_KEYS[kind])
    connection.execute("UPDATE slots SET at = at - interval '1 month' WHERE id = 2")  # the row in the way is elsewhere
    migrate(run)
    before = len(deletions(run))
    monkeypatch.setattr(reconcile, "BATCH", 1)
    exchange(connection)
    connection.execute("UPDATE slots SET at = at + interval '1 day' WHERE id = 3")  # two changes of one row
    assert reconcile.catch_up(run) == 0
    assert equal(run)
    assert connection.execute("SELECT to_regclass('slots_doubled')").fetchone() == (None,)
    assert not [each for each in notes(run) if "doubled" in each]
    assert max(deletions(run)[before:]) == 2


def test_all_changes_are_reconciled_at_once_if_no_index_finds_the_row_in_the_way(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(connection, connect, BACK_KEYS["index"])
    migrate(run)
    before, found = len(deletions(run)), stale.unique_keys
    monkeypatch.setattr(reconcile, "BATCH", 1)
    unsearchable = lambda *given: [replace(each, searchable=False) for each in found(*given)]  # noqa: E731
    monkeypatch.setattr(stale, "unique_keys", unsearchable)
    exchange(connection)
    touch(connection, 11, 20)
    assert reconcile.catch_up(run) == 0
    assert equal(run)
    assert deletions(run)[before:] == [13]
    assert connection.execute("SELECT to_regclass('slots_doubled')").fetchone() == (None,)


@pytest.mark.parametrize("has_open_rows", [False, True])
def test_a_doubled_row_leaves_the_batch_bounded(
    has_open_rows: bool, connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(connection, connect, BACK_KEYS["index"])
    migrate(run)
    if has_open_rows:
        connection.execute("INSERT INTO slots VALUES (900, now(), 5000, 'earlier')")
        reconcile.catch_up(run)
    before = len(deletions(run))
    monkeypatch.setattr(reconcile, "BATCH", 20)
    connection.execute("INSERT INTO slots VALUES (5, now(), 6000, 'second')")
    touch(connection, 101, 200)
    assert reconcile.catch_up(run) == 0
    assert equal(run)
    assert max(deletions(run)[before:]) == 20
    assert connection.execute("SELECT count(*) FROM slots_doubled").fetchone() == (1 + has_open_rows,)


@pytest.mark.parametrize("rounds", [2, 10])
def test_a_chain_of_values_is_cut_where_it_gets_long(
    rounds: int, connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row of twelve has taken the value of the next one; the row cut off waits with a change of its own."""
    run = make(connection, connect, BACK_KEYS["index"])
    migrate(run)
    before = len(deletions(run))
    monkeypatch.setattr(reconcile, "BATCH", 1)
    monkeypatch.setattr(stale, "ROUNDS", rounds)
    connection.execute("UPDATE slots SET code = -1 WHERE id = 1")
    connection.execute(f"UPDATE slots SET code = {5 * ROWS} WHERE id = 13")
    for number in range(12, 0, -1):
        connection.execute("UPDATE slots SET code = %s WHERE id = %s", (number + 1, number))
    first = batch(run)
    assert first.count == 1
    assert first.added == rounds - 1
    assert equal(run)
    assert reconcile.catch_up(run) == 0
    assert equal(run)
    assert max(deletions(run)[before:]) <= rounds
    assert connection.execute("SELECT count(*) FROM slots_old WHERE code = id + 1").fetchone() == (12,)
    assert connection.execute("SELECT to_regclass('slots_doubled')").fetchone() == (None,)


def batch(run: Run, floor: int = 0) -> Batch:
    with reconcile.reconciler(run) as session:
        return reconcile.reconcile_batch(run, session, sides(session, run), floor)


def test_a_batch_of_hot_rows_is_as_large_as_any(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(connection, connect)
    build(run)
    monkeypatch.setattr(reconcile, "BATCH", 50)
    for number in range(100):
        touch(connection, 1, 5, f"hot {number}")
    assert reconcile.catch_up(run) == 0
    assert equal(run)
    assert deletions(run) == [50] * 10


@pytest.mark.parametrize("has_long_transaction", [False, True])
def test_a_batch_reads_no_more_of_a_long_change_log(
    has_long_transaction: bool, connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch reads as many entries of the log at a backlog of 900 as at one of 9,900, also behind dead entries."""
    monkeypatch.setattr(reconcile, "BATCH", 100)
    monkeypatch.setattr(batches, "COUNTED", 200)
    run = make(connection, connect)
    build(run)
    with connect() as long:
        if has_long_transaction:
            long.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        connection.execute("UPDATE slots SET note = 'once'")
        few, floor = entries_read(run, 0)
        for _ in range(10):
            connection.execute("UPDATE slots SET note = 'again'")
        for _ in range(5):
            many, floor = entries_read(run, floor)
    assert capture.backlog(run) == ROWS + 10 * ROWS - 600
    assert 0 < many <= 1.2 * few


READ = """
SELECT pg_stat_get_xact_tuples_returned(indexrelid) + pg_stat_get_xact_tuples_returned(indrelid) AS entries
  FROM pg_index WHERE indrelid = 'partition_playbook.public_slots_changes'::regclass
"""


def entries_read(run: Run, floor: int) -> tuple[int, int]:
    """Reconcile and count; return the number of entries of the change log and of its index that were read."""
    with reconcile.reconciler(run) as session:
        now = sides(session, run)
        with run.database.block(session, "REPEATABLE READ"):
            before = session.connection.execute(READ).fetchone()
            taken = reconcile.apply_changes(run, session, now, reconcile.BATCH, floor=floor)
            batches.look(session, run.table.change_log, taken.last + 1)
            after = session.connection.execute(READ).fetchone()
    assert before
    assert after
    return int(after["entries"] - before["entries"]), taken.last + 1


DAYS = 120
PLANNED = """
SELECT count(DISTINCT relation) AS number
  FROM pg_locks JOIN pg_partition_tree(%(table)s) ON relid = relation
 WHERE pid = pg_backend_pid() AND level > 0
"""


def planned_partitions(run: Run, size: int = reconcile.BATCH, *, added: int = 0) -> int:
    """Reconcile a batch; return the number of partitions that the plans of its statements lock."""
    with reconcile.reconciler(run) as session:
        now = reconcile.with_ranges(run, session, sides(session, run))
        with run.database.block(session, "REPEATABLE READ"):
            batch = reconcile.apply_changes(run, session, now, size)
            assert (batch.count > 0, batch.added) == (True, added)
            values = {"table": now.partitioned.table_name.quoted}
            return int(session.connection.execute(PLANNED, values).fetchall()[0]["number"])


def test_a_batch_is_planned_for_the_partitions_that_it_reaches_in_both_directions(
    connection: Connection, connect: Connect
) -> None:
    connection.execute(SLOTS)
    connection.execute(f"UPDATE slots SET at = now() - id % {DAYS} * interval '1 day'")
    connection.execute(f"{FORWARD_KEYS['index']}; {BACK_KEYS['index']}")
    run = open_run(connect, SPEC.model_copy(update={"interval": Interval.DAY}), "slots")
    loads = shadow.build(run)
    load.load_group(run, [each["partition_name"] for each in loads], workers=1)
    attach.attach_partitions(run)

    for direction in Direction:
        touch(connection, 1, 2)
        touch(connection, 100, 101)
        connection.execute("UPDATE slots SET at = at - interval '70 days' WHERE id = 1")
        assert planned_partitions(run) <= 5

        # More slices than one statement has; a gap of 6 days between two of them.
        connection.execute("UPDATE slots SET note = note || '.' WHERE id %% 7 = 0 AND id <= %s", (DAYS,))
        assert planned_partitions(run) <= DAYS
        assert equal(run)

        # Another row has the code still; before the cutover it is in the same partition.
        exchange(connection, *((3, 3 + DAYS) if direction is Direction.FORWARD else (103, 104)))
        assert planned_partitions(run, 1, added=1) <= 5
        assert reconcile.catch_up(run) == 0

        if direction is Direction.BACK:
            connection.execute("INSERT INTO slots VALUES (5, now() - interval '70 days', 6000, 'second')")
            assert planned_partitions(run) <= 5
            assert connection.execute("SELECT count(*) FROM slots_doubled").fetchone() == (1,)
            connection.execute("DELETE FROM slots WHERE id = 5 AND code = 5")
            assert planned_partitions(run) <= 8
            assert connection.execute("SELECT count(*) FROM slots_doubled").fetchone() == (0,)

            # The live table has these rows of many slices too, so none is stale.
            twice = f"SELECT id, now() - interval '70 days', -id, 'second' FROM slots WHERE id % 7 = 0 AND id <= {DAYS}"
            connection.execute(f"INSERT INTO slots {twice}")
            assert planned_partitions(run, added=0) <= DAYS
            assert equal(run)
        assert cutover.swap(run, direction)


def test_a_change_that_commits_below_the_floor_is_reconciled(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(connection, connect)
    build(run)
    monkeypatch.setattr(reconcile, "BATCH", 10)
    floors: list[int] = []
    one_step = reconcile.take_step

    def noted(*arguments: Any, floor: int, **options: Any) -> Any:
        floors.append(floor)
        if len(floors) == 3:
            late.commit()
        return one_step(*arguments, floor=floor, **options)

    monkeypatch.setattr(reconcile, "take_step", noted)
    with connect() as late:
        late.execute("UPDATE slots SET note = 'late' WHERE id = 500")
        touch(connection, 1, 60)
        assert reconcile.catch_up(run) == 0
    assert floors[2] > floors[1] > floors[0] == 0
    assert connection.execute("SELECT note FROM slots_new WHERE id = 500").fetchone() == ("late",)
    assert equal(run)


def test_a_change_that_is_committed_between_two_statements_is_never_deleted_unread(
    connection: Connection, connect: Connect
) -> None:
    run = make(connection, connect)
    build(run)
    with connect() as late, run.database.session() as session:
        touch(connection, 1, 1)
        late.execute("UPDATE slots SET note = 'late' WHERE id = 2")
        touch(connection, 3, 3)
        with run.database.block(session):
            picked = batches.pick(session, run.table.change_log, None)
        assert picked.count == 2
        late.commit()
        with pytest.raises(psycopg.errors.SerializationFailure), run.database.block(session):
            reconcile.delete_changes(run, session, picked)
    assert capture.backlog(run) == 3


REFERENCED = f"""
CREATE TABLE codes (id int PRIMARY KEY);
INSERT INTO codes SELECT generate_series(1, {ROWS});
ALTER TABLE slots ADD FOREIGN KEY (code) REFERENCES codes
"""
WAITS = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%slots_new%')"


def test_a_batch_gives_way_before_the_application_is_the_victim_of_a_deadlock(
    connection: Connection, connect: Connect
) -> None:
    run = make(connection, connect, REFERENCED)
    build(run)
    foreign_keys.prepare(run, Direction.FORWARD)
    touch(connection, 1, 20)
    with ThreadPoolExecutor(1) as pool, connect() as application:
        # The server looks for a deadlock in the middle of the time after which it does so for the batch.
        application.execute("SET deadlock_timeout = '500ms'")
        application.execute("SELECT FROM codes WHERE id = 10 FOR UPDATE")
        batch = pool.submit(reconcile.catch_up, run)
        wait_until(lambda: connection.execute(WAITS).fetchone() == (True,), "the batch waits for code 10")
        # The batch has locked some of these rows, so that each session waits for the other.
        application.execute("SELECT FROM codes WHERE id <> 10 AND id <= 20 FOR UPDATE")
        application.commit()
        assert batch.result() == 0
    assert equal(run)


def test_many_waiting_changes_are_told_as_about_so_many(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(connection, connect)
    build(run)
    monkeypatch.setattr(batches, "COUNTED", 100)
    touch(connection, 1, 100)
    with run.database.session() as session:
        found = batches.look(session, run.table.change_log)
        assert (found.number, str(found)) == (100, "100 changes")
        with connect() as other:
            touch(other, 101, 110)
            other.rollback()
        touch(connection, 111, 120)
        found = batches.look(session, run.table.change_log)
        assert (found.number, str(found)) == (120, "about 120 changes")


def outwritten(monkeypatch: pytest.MonkeyPatch, connection: Connection, rows: int = ROWS) -> None:
    """Let the application write rows during each batch; all of them are more than the batch takes."""
    one_batch = reconcile.reconcile_batch

    def and_more(run: Run, session: Session, now: Sides, floor: int = 0) -> Batch:
        found = one_batch(run, session, now, floor)
        connection.execute("UPDATE slots SET note = 'more' WHERE id <= %s", (rows,))
        return found

    monkeypatch.setattr(reconcile, "BATCH", 500)
    monkeypatch.setattr(reconcile, "reconcile_batch", and_more)


def test_a_cutover_that_cannot_keep_up_says_so_before_its_lock_with_both_rates(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(connection, connect)
    build(run)
    for _ in range(3):
        connection.execute("UPDATE slots SET note = 'many'")
    outwritten(monkeypatch, connection)
    monkeypatch.setattr(drain, "HOPELESS_PASSES", 4)
    monkeypatch.setattr(reconcile, "PATIENCE", 4)
    monkeypatch.setattr(swap_locks, "lock_around", None)
    with pytest.raises(
        CatchUpTooSlow, match=r"reconcile takes [\d,.]+ changes/s, and the application writes"
    ) as raised:
        cutover.swap(run, Direction.FORWARD)
    assert raised.value.backlog > drain.STEADY_BACKLOG
    assert equal(run)


def test_a_cutover_takes_a_steady_backlog_along(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(connection, connect)
    build(run)
    touch(connection, 1, 100)
    outwritten(monkeypatch, connection, rows=100)
    swapped = cutover.swap(run, Direction.FORWARD)
    assert swapped
    assert (swapped.tries, swapped.reconciled) == (1, 100)
    assert equal(run)


def test_a_try_with_too_many_changes_under_its_locks_ends_and_catches_up_again(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(connection, connect)
    build(run)
    bursts, most, lock_all = [401] * drain.OVERFULL_TRIES, 400, swap_locks.lock_all

    def and_burst(*given: Any) -> None:
        connection.execute("UPDATE slots SET note = 'burst' WHERE id <= %s", (bursts.pop(0),))
        lock_all(*given)

    monkeypatch.setattr(swap_locks, "lock_all", and_burst)
    monkeypatch.setattr(drain, "changes_under_lock", lambda run: most)
    hasty = LockRetry(pause_seconds=0)
    with pytest.raises(CatchUpTooSlow, match="401 changes in the change log, more than the 400 allowed"):
        cutover.swap(run, Direction.FORWARD, hasty)
    assert bursts == []

    bursts += [ROWS, 401, most]
    swapped = cutover.swap(run, Direction.FORWARD, hasty)
    assert swapped
    assert (swapped.tries, swapped.reconciled) == (3, most)
    assert swapped.longest_try_ms > 0
    assert equal(run)


def test_the_changes_under_the_lock_are_those_of_half_of_the_longest_hold(
    connection: Connection, connect: Connect
) -> None:
    run = make(connection, connect)
    assert drain.changes_under_lock(run) == 1_000, "no run has measured a change"
    # Of each further measurement there are more batches than the rate is found from.
    for seconds, most in ((0.000_1, 1_000), (0.001, 500), (0.01, 200)):
        with run.database.session() as session:
            for taken in (1_000, 2_000) * 50:
                run.ledger.sample_backlog(session, 0, taken=taken, seconds=taken * seconds, position=1)
        assert drain.changes_under_lock(run) == most


def test_the_time_of_a_change_is_found_from_few_events(connection: Connection, connect: Connect) -> None:
    """A ledger of years has millions of events; the newest samples of a table are enough."""
    run = make(connection, connect)
    connection.execute(
        """
        INSERT INTO partition_playbook.events (run_id, section, kind, message, detail)
        SELECT %s, 'migration', 'backlog', 'changes wait', jsonb_build_object('taken', 1000 + n %% 2, 'seconds', 2)
          FROM generate_series(1, 20000) AS n
        """,
        (run.ledger.run_id,),
    )
    connection.execute("ANALYZE partition_playbook.events")
    read = """SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables
        WHERE relid = 'partition_playbook.events'::regclass"""
    with run.database.session() as session, session.connection.transaction():
        (found,) = run.ledger.followed_rate(session, run.table, 1_000)
        (rows,) = session.connection.execute(read).fetchone().values()  # type: ignore[union-attr]
    assert found["run_id"] == run.ledger.run_id
    assert rows <= 200


def test_the_check_of_the_pace_compares_both_rates(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(connection, connect)
    build(run)
    touch(connection, 1, 10)
    reconcile.catch_up(run)
    assert pace.pace_checks(run) == [], "ten changes tell nothing"

    samples = ({"taken": 1_000, "seconds": 2.0, "position": 0}, {"taken": 1_000, "seconds": 2.0, "position": 10**9})
    for each in samples:
        with run.database.session() as session:
            run.ledger.sample_backlog(session, 1, **each)
    (found,) = pace.pace_checks(run)
    assert found.fell_short
    assert found.severity is Severity.WARNING
    assert "changes/s" in found.actual


def test_a_catch_up_goes_on_while_the_backlog_falls_and_ends_when_it_does_not(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(connection, connect)
    build(run)
    connection.execute("UPDATE slots SET note = 'many'")
    monkeypatch.setattr(reconcile, "PATIENCE", 3)
    monkeypatch.setattr(reconcile, "BATCH", 100)
    assert reconcile.catch_up(run) == 0, "ten batches lower the backlog"
    connection.execute("UPDATE slots SET note = 'many'")
    before = len(deletions(run))
    outwritten(monkeypatch, connection)
    assert reconcile.catch_up(run) > ROWS
    assert len(deletions(run)) - before == 4


def test_a_throttled_catch_up_keeps_its_floor(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(connection, connect)
    build(run)
    connection.execute("UPDATE slots SET note = 'many'")
    monkeypatch.setattr(reconcile, "BATCH", 300)
    waits: list[str] = []
    monkeypatch.setattr(throttle, "wait_until_calm", lambda run: waits.append(str(run.table)))
    assert reconcile.catch_up(run, yielding=True) == 0
    assert len(waits) == 3
    assert deletions(run) == [300, 300, 300, 100]


def test_a_catch_up_in_small_batches_is_one_line_of_the_log_and_every_statement_an_event(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = make(connection, connect)
    build(run)
    touch(connection, 1, 10)
    monkeypatch.setattr(reconcile, "BATCH", 2)
    caplog.set_level(logging.INFO)
    caplog.clear()
    reconcile.catch_up(run)
    told = [each.getMessage() for each in caplog.records if "reconciled" in each.getMessage()]
    assert told == ["public.slots: reconciled 10 changes in 5 batches; 0 left"]
    events = [each["message"] for each in run.ledger.events() if each["kind"] == "statement"]
    assert events.count(DELETED) == 5
