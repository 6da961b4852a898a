"""The engine against a real server: what a user fears most, one test each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.engine import (
    attach,
    capture,
    cutover,
    drain,
    foreign_keys,
    load,
    reconcile,
    rollback,
    sequences,
    shadow,
    verify,
)
from partition_playbook.engine.batches import NO_CHANGES, Batch
from partition_playbook.engine.sides import Direction
from partition_playbook.errors import CatchUpTooSlow, Diverged, LockNotGranted, PreconditionFailed, SourceChanged
from partition_playbook.ledger import Phase
from partition_playbook.lock_retry import LockRetry
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec
from tests.fixtures.migration import finalize_anyway
from tests.fixtures.sabotage import behind_the_capture
from tests.fixtures.tables import open_run

Connect = Callable[[], psycopg.Connection]
ONE_ROW = """
INSERT INTO sensor_readings (unit_id, device_id, temperature, recorded_at)
SELECT (SELECT id FROM units ORDER BY id LIMIT 1), (SELECT id FROM devices ORDER BY id LIMIT 1), 21.5, %s RETURNING id
"""


def build(run: Run) -> None:
    for each in shadow.build(run):
        load.load_partition(run, each["partition_name"], workers=1)
    attach.attach_partitions(run)
    reconcile.catch_up(run)


def content(run: Run) -> bool:
    return not verify.content_check(*verify.compare(run)).blocks


def rows(connection: psycopg.Connection, table: str = "sensor_readings") -> list[tuple]:
    return connection.execute(f"SELECT * FROM {table} ORDER BY id, recorded_at").fetchall()


@contextmanager
def replica_role(connect: Connect) -> Iterator[psycopg.Connection]:
    with connect() as connection:
        connection.autocommit = True
        connection.execute("SET session_replication_role = replica")
        yield connection


def describe(run: Run, connect: Connect) -> catalog.Table:
    with run.database.session() as session:
        return catalog.require(session, run.table)


def shape(table: catalog.Table) -> catalog.Table:
    """Return what a user can tell of a table: without its oid and without the capture."""
    triggers = table.user_triggers
    return replace(table, oid=0, triggers=triggers)


def test_forward_back_forward_keeps_every_row(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection
) -> None:
    readings(5_000)
    before = rows(connection)
    build(run)
    for direction in (Direction.FORWARD, Direction.BACK, Direction.FORWARD):
        assert cutover.swap(run, direction) is not None
        assert rows(connection) == before
        assert content(run)


def test_the_catalog_is_as_it_was_after_an_abandoned_migration(
    run: Run, readings: Callable[[int], None], connect: Connect, connection: psycopg.Connection
) -> None:
    readings(500)
    names = "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    before, relations = describe(run, connect), connection.execute(names).fetchall()
    build(run)
    cutover.swap(run, Direction.FORWARD)
    rollback.roll_back(run)
    rollback.abandon(run)
    assert describe(run, connect) == before
    assert connection.execute(names).fetchall() == relations
    assert run.ledger.run()["phase"] == Phase.ABANDONED


def test_names_and_promises_are_the_sources_after_cutover(
    run: Run, readings: Callable[[int], None], connect: Connect
) -> None:
    readings(500)
    before = describe(run, connect)
    build(run)
    cutover.swap(run, Direction.FORWARD)
    after = describe(run, connect)
    assert after.is_partitioned
    assert {index.name for index in after.indexes} == {index.name for index in before.indexes}
    assert after.columns == before.columns
    assert {key.definition for key in after.foreign_keys} == {key.definition for key in before.foreign_keys}
    assert all(key.validated for key in after.foreign_keys)
    rollback.roll_back(run)
    assert shape(describe(run, connect)) == replace(shape(before), oid=0)


def test_every_step_may_be_run_twice(run: Run, readings: Callable[[int], None], connection: psycopg.Connection) -> None:
    readings(500)
    before = rows(connection)
    for _ in range(2):
        build(run)
    for _ in range(2):
        cutover.swap(run, Direction.FORWARD)
    assert rows(connection) == before
    for _ in range(2):
        rollback.roll_back(run)
    for _ in range(2):
        rollback.abandon(run)
    assert rows(connection) == before


def test_a_run_that_was_abandoned_loads_everything_again(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection
) -> None:
    """The ledger must not take the loads of dropped partitions for those of new ones."""
    readings(500)
    build(run)
    rollback.abandon(run)
    build(run)
    cutover.swap(run, Direction.FORWARD)
    assert connection.execute("SELECT count(*) FROM sensor_readings").fetchone() == (500,)
    assert content(run)


def test_a_write_that_commits_late_is_not_lost(
    run: Run, readings: Callable[[int], None], connect: Connect, connection: psycopg.Connection
) -> None:
    """The classic loss: its sequence number is old, its commit is after the copy."""
    readings(500)
    loads = shadow.build(run)
    with connect() as late:
        (id_,) = late.execute(ONE_ROW, ("2026-06-15 12:00:00.123456+00",)).fetchone()  # type: ignore[misc]
        late.execute("DELETE FROM sensor_readings WHERE id = 1")
        late.execute("UPDATE sensor_readings SET temperature = 99 WHERE id = 2")
        for each in loads:
            load.load_partition(run, each["partition_name"], workers=1)
        attach.attach_partitions(run)
        connection.execute(ONE_ROW, ("2026-06-16 12:00:00+00",))
        reconcile.catch_up(run)
        late.commit()
    cutover.swap(run, Direction.FORWARD)
    found = {row[0]: row for row in rows(connection)}
    assert id_ in found
    assert 1 not in found
    assert found[2][3] == 99
    assert content(run)


def test_a_row_that_moves_across_months_is_in_one_place(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection
) -> None:
    readings(500)
    build(run)
    for day in ("2026-01-15", "2026-07-15", "2026-01-16"):
        connection.execute("UPDATE sensor_readings SET recorded_at = %s WHERE id = 7", (day,))
    cutover.swap(run, Direction.FORWARD)
    for day in ("2026-03-15", "2026-09-15"):
        connection.execute("UPDATE sensor_readings SET recorded_at = %s WHERE id = 7", (day,))
    assert connection.execute("SELECT count(*) FROM sensor_readings WHERE id = 7").fetchone() == (1,)
    rollback.roll_back(run)
    assert connection.execute("SELECT recorded_at::date::text FROM sensor_readings WHERE id = 7").fetchall() == [
        ("2026-09-15",)
    ]
    assert content(run)


def test_writes_of_a_replication_role_are_captured(run: Run, readings: Callable[[int], None], connect: Connect) -> None:
    readings(500)
    build(run)
    with replica_role(connect) as connection:
        connection.execute("DELETE FROM sensor_readings WHERE id = 3")
    assert capture.backlog(run) == 1
    reconcile.catch_up(run)
    assert content(run)


def test_truncate_is_refused_with_a_way_out(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection
) -> None:
    readings(100)
    build(run)
    with pytest.raises(
        psycopg.errors.RaiseException, match=r"TRUNCATE of public\.sensor_readings is refused"
    ) as raised:
        connection.execute("TRUNCATE sensor_readings")
    assert "partition_rollback" in str(raised.value.diag.message_hint)
    assert len(rows(connection)) == 100


TAMPERING = {
    "lost": "DELETE FROM sensor_readings_new WHERE id = 5",
    "stale by a microsecond": """
        UPDATE sensor_readings_new SET received_at = received_at + interval '1 microsecond' WHERE id = 5""",
    "resurrected": """
        INSERT INTO sensor_readings_new OVERRIDING SYSTEM VALUE
        SELECT 987654, unit_id, device_id, temperature, humidity, battery, signal_strength, recorded_at, received_at,
               source
          FROM sensor_readings WHERE id = 5""",
    "swapped between two rows of a partition": """
        UPDATE sensor_readings_new s
           SET humidity = CASE s.id WHEN two.a THEN two.humidity_b ELSE two.humidity_a END
          FROM (SELECT a.id AS a, b.id AS b, a.humidity AS humidity_a, b.humidity AS humidity_b
                  FROM sensor_readings_new a JOIN sensor_readings_new b ON a.tableoid = b.tableoid AND a.id < b.id
                 WHERE a.humidity <> b.humidity LIMIT 1) AS two
         WHERE s.id IN (two.a, two.b)""",
}


@pytest.mark.parametrize("kind", TAMPERING)
def test_verification_sees_one_wrong_row(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection, kind: str
) -> None:
    readings(2_000)
    build(run)
    assert content(run)
    with behind_the_capture(connection):
        assert connection.execute(TAMPERING[kind]).rowcount >= 1
    found = verify.content_check(*verify.compare(run))
    assert found.blocks
    assert "sensor_readings_y" in found.actual
    with pytest.raises(Diverged):
        cutover.swap(run, Direction.FORWARD)
    assert not describe(run, lambda: connection).is_partitioned


def test_a_missed_change_is_seen(run: Run, readings: Callable[[int], None], connection: psycopg.Connection) -> None:
    """Break the capture on purpose: the verification must not stay green, and no swap may follow."""
    readings(500)
    build(run)
    connection.execute("ALTER TABLE sensor_readings DISABLE TRIGGER partition_playbook_update")
    connection.execute("UPDATE sensor_readings SET temperature = temperature + 1 WHERE id = 9")
    assert not content(run)
    with pytest.raises(Diverged, match="capture is off"):
        cutover.swap(run, Direction.FORWARD)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE sensor_readings ADD COLUMN firmware text",
        "ALTER TABLE sensor_readings ALTER COLUMN source DROP NOT NULL",
        "CREATE INDEX surprise ON sensor_readings (battery)",
        "GRANT SELECT ON sensor_readings TO pg_monitor",
        "COMMENT ON COLUMN sensor_readings.battery IS 'percent'",
    ],
)
def test_a_source_that_changes_shape_stops_the_cutover(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection, change: str
) -> None:
    readings(100)
    build(run)
    connection.execute(change)
    with pytest.raises(SourceChanged):
        cutover.swap(run, Direction.FORWARD)
    assert not describe(run, lambda: connection).is_partitioned
    assert len(rows(connection)) == 100


def test_a_change_between_parity_and_lock_stops_the_cutover(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(100)
    build(run)
    prepare = foreign_keys.prepare

    def change_meanwhile(*arguments: object) -> None:
        prepare(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(drain, "table_fingerprint", lambda run: before)
        connection.execute("ALTER TABLE sensor_readings ADD COLUMN firmware text")

    before = drain.table_fingerprint(run)
    monkeypatch.setattr(foreign_keys, "prepare", change_meanwhile)
    with pytest.raises(SourceChanged, match="definition of the table changed while the swap was prepared"):
        cutover.swap(run, Direction.FORWARD)
    assert not describe(run, lambda: connection).is_partitioned


def test_a_load_whose_partition_is_dropped_right_before_says_so(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it happens to a load that begins while partition_rollback drops the shadow."""
    readings(100)
    name = shadow.build(run)[0]["partition_name"]
    empty = load.empty

    def drop_and_empty(*arguments: Any) -> None:
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
        empty(*arguments)

    monkeypatch.setattr(load, "empty", drop_and_empty)
    with pytest.raises(PreconditionFailed, match=f"{name}: the partition does not exist"):
        load.load_partition(run, name, workers=1)


@pytest.mark.parametrize("is_deleted", [False, True])
def test_the_keys_of_partitions_take_a_catch_up_only_if_they_are_violated(
    run: Run,
    readings: Callable[[int], None],
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    is_deleted: bool,
) -> None:
    """With a catch-up for each partition, a busy table with hundreds of them never got to its cutover."""
    readings(100)
    build(run)
    catch_up, calls = reconcile.catch_up, []

    def counted(*arguments: Any, **options: Any) -> int:
        calls.append(arguments)
        return catch_up(*arguments, **options)

    monkeypatch.setattr(reconcile, "catch_up", counted)
    if is_deleted:
        (device,) = connection.execute("SELECT device_id FROM sensor_readings LIMIT 1").fetchall()
        connection.execute("DELETE FROM sensor_readings WHERE device_id = %s", device)
        connection.execute("DELETE FROM devices WHERE id = %s", device)
    foreign_keys.prepare(run, Direction.FORWARD)
    assert bool(calls) is is_deleted
    assert len(calls) < len(run.ledger.loads())


def test_a_blocked_cutover_names_the_blocker_and_lets_writers_through(
    run: Run, readings: Callable[[int], None], connect: Connect, connection: psycopg.Connection
) -> None:
    readings(100)
    build(run)
    worst = 0.0
    stop = threading.Event()

    def write() -> None:
        nonlocal worst
        with connect() as writer:
            writer.autocommit = True
            while not stop.is_set():
                started = time.perf_counter()
                writer.execute(ONE_ROW, ("2026-06-16 12:00:00+00",))
                worst = max(worst, time.perf_counter() - started)
                time.sleep(0.01)

    with connect() as idle:
        idle.execute("SET application_name = 'forgotten report'")
        idle.execute("SELECT count(*) FROM sensor_readings")
        writer = threading.Thread(target=write)
        writer.start()
        with pytest.raises(LockNotGranted) as raised:
            cutover.swap(run, Direction.FORWARD, LockRetry(tries=3, first_ms=200, longest_ms=200, pause_seconds=0.2))
        stop.set()
        writer.join()
    assert "forgotten report" in str(raised.value)
    assert raised.value.tries == 3
    assert worst < 2, "a writer waited for longer than the lock timeout allows"
    assert not describe(run, connect).is_partitioned
    assert cutover.swap(run, Direction.FORWARD) is not None
    assert content(run)


def test_the_other_table_does_not_hold_back_the_applications_deletes(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection
) -> None:
    """A unit may go as soon as its live readings are gone, whatever the other table still holds."""
    readings(2_000)
    units = [id_ for (id_,) in connection.execute("SELECT id FROM units ORDER BY id LIMIT 3").fetchall()]
    build(run)
    _delete_unit(connection, units[0])
    cutover.swap(run, Direction.FORWARD)
    _delete_unit(connection, units[1])
    rollback.roll_back(run)
    _delete_unit(connection, units[2])
    cutover.swap(run, Direction.FORWARD)
    assert content(run)


def _delete_unit(connection: psycopg.Connection, unit: object) -> None:
    connection.execute("UPDATE devices SET unit_id = (SELECT max(id::text)::uuid FROM units)")
    connection.execute("DELETE FROM sensor_readings WHERE unit_id = %s", (unit,))
    assert connection.execute("DELETE FROM units WHERE id = %s", (unit,)).rowcount == 1


def test_a_parent_deleted_during_the_loads_does_not_break_the_keys(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection
) -> None:
    readings(2_000)
    (unit,) = connection.execute("SELECT id FROM units ORDER BY id LIMIT 1").fetchone()  # type: ignore[misc]
    for each in shadow.build(run):
        load.load_partition(run, each["partition_name"], workers=1)
    attach.attach_partitions(run)
    _delete_unit(connection, unit)
    cutover.swap(run, Direction.FORWARD)
    assert content(run)


def test_identity_goes_on_where_it_was_in_both_directions(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection
) -> None:
    readings(50)
    connection.execute("SELECT setval('sensor_readings_id_seq', 1000)")
    build(run)
    found = []
    for direction in (Direction.FORWARD, Direction.BACK, Direction.FORWARD):
        cutover.swap(run, direction)
        found += [connection.execute(ONE_ROW, ("2026-06-16 12:00:00+00",)).fetchone()[0]]  # type: ignore[index]
        assert connection.execute("SELECT currval('sensor_readings_id_seq')").fetchone() == (found[-1],)
    gaps = [later - earlier for earlier, later in zip([1000, *found], found, strict=False)]
    assert gaps == [1 + sequences.RESERVED_VALUES] * 3


def test_a_load_that_dies_leaves_the_partition_empty_and_may_be_run_again(
    run: Run,
    readings: Callable[[int], None],
    connect: Connect,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readings(2_000)
    first = next(each["partition_name"] for each in shadow.build(run))

    def die(*_: object) -> None:
        raise ConnectionError("the worker is gone")

    with monkeypatch.context() as patch:
        patch.setattr(load, "create_indexes", die)
        with pytest.raises(ConnectionError):
            load.load_partition(run, first, workers=1)
    assert connection.execute(f"SELECT count(*) FROM {first}").fetchone() == (0,)
    with pytest.raises(PreconditionFailed, match="not loaded yet"):
        attach.attach_partitions(run)
    build(run)
    assert content(run)


def test_progress_is_told_and_does_not_wait_for_the_load(
    run: Run, readings: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    readings(2_000)
    first = next(each["partition_name"] for each in shadow.build(run))
    copy_rows, create_indexes = load.copy_rows, load.create_indexes

    def until_told(text: str, step: Callable[..., object]) -> Callable[..., object]:
        def stepping(*arguments: object) -> object:
            done = step(*arguments)
            deadline = time.monotonic() + 20
            while text not in caplog.text and time.monotonic() < deadline:
                time.sleep(0.05)
            return done

        return stepping

    caplog.set_level("INFO")
    monkeypatch.setattr(load, "PROGRESS_SECONDS", 0.1)
    monkeypatch.setattr(load, "copy_rows", until_told("rows/s,", copy_rows))
    monkeypatch.setattr(load, "create_indexes", until_told("building its indexes", create_indexes))
    load.load_partition(run, first, workers=1)
    assert "rows/s," in caplog.text
    assert "building its indexes" in caplog.text


def test_a_statement_ends_with_the_process_that_asked_for_it(run: Run) -> None:
    """A killed worker must not leave a load behind that runs for hours and holds its locks."""
    with run.database.session() as session:
        assert session.connection.execute("SHOW client_connection_check_interval").fetchone() == {
            "client_connection_check_interval": "10s"
        }


def test_a_backlog_that_grows_faster_than_it_is_reconciled_gives_up_in_time(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(500)
    build(run)

    def no_progress(*_: object) -> Batch:
        for _ in range(3):
            connection.execute("UPDATE sensor_readings SET battery = 1 WHERE id <= 400")
        return NO_CHANGES

    no_progress()
    monkeypatch.setattr(drain, "CATCH_UP_PASSES", 3)
    monkeypatch.setattr(reconcile, "reconcile_batch", no_progress)
    with pytest.raises(CatchUpTooSlow):
        cutover.swap(run, Direction.FORWARD)
    assert not describe(run, lambda: connection).is_partitioned


def test_one_microsecond_decides_the_partition(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection
) -> None:
    readings(10)
    for moment in ("2026-05-31 23:59:59.999999+00", "2026-06-01 00:00:00+00"):
        connection.execute(ONE_ROW, (moment,))
    build(run)
    cutover.swap(run, Direction.FORWARD)
    homes = "SELECT tableoid::regclass::text FROM sensor_readings WHERE recorded_at = %s"
    assert connection.execute(homes, ("2026-05-31 23:59:59.999999+00",)).fetchall() == [("sensor_readings_y2026m05",)]
    assert connection.execute(homes, ("2026-06-01 00:00:00+00",)).fetchall() == [("sensor_readings_y2026m06",)]


def test_an_empty_table_migrates(run: Run, readings: Callable[[int], None], connection: psycopg.Connection) -> None:
    readings(0)
    build(run)
    cutover.swap(run, Direction.FORWARD)
    connection.execute(ONE_ROW, ("2026-11-16 12:00:00+00",))
    rollback.roll_back(run)
    assert len(rows(connection)) == 1


def test_rows_after_cutover_that_fit_no_partition_survive_a_rollback(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection
) -> None:
    readings(10)
    build(run)
    cutover.swap(run, Direction.FORWARD)
    connection.execute(ONE_ROW, ("2099-01-01 00:00:00+00",))
    assert connection.execute("SELECT count(*) FROM sensor_readings_default").fetchone() == (1,)
    rollback.roll_back(run)
    assert content(run)
    assert len(rows(connection)) == 11


def test_finalize_drops_what_a_way_back_needed_and_nothing_else(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection
) -> None:
    readings(100)
    build(run)
    cutover.swap(run, Direction.FORWARD)
    before = rows(connection)
    finalize_anyway(run)
    assert rows(connection) == before
    assert connection.execute(
        "SELECT to_regclass('sensor_readings_old'), to_regclass('partition_playbook.public_sensor_readings_changes')"
    ).fetchone() == (None, None)
    assert describe(run, lambda: connection).triggers == ()
    connection.execute("TRUNCATE sensor_readings")


def test_finalize_refuses_while_somebody_uses_the_retired_table(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection
) -> None:
    readings(100)
    build(run)
    cutover.swap(run, Direction.FORWARD)
    connection.execute("CREATE VIEW report AS SELECT * FROM sensor_readings_old")
    with pytest.raises(PreconditionFailed, match="report"):
        finalize_anyway(run)
    assert connection.execute("SELECT count(*) FROM sensor_readings_old").fetchone() == (100,)


def test_abandon_refuses_while_the_partitioned_table_is_live(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection
) -> None:
    readings(100)
    build(run)
    cutover.swap(run, Direction.FORWARD)
    with pytest.raises(PreconditionFailed, match="Trigger partition_rollback: it swaps back first"):
        rollback.abandon(run)
    assert len(rows(connection)) == 100


def test_a_composite_key_with_a_text_part_and_hostile_names(connect: Connect, connection: psycopg.Connection) -> None:
    connection.execute(
        """
        CREATE SCHEMA "My Schema";
        CREATE TABLE "My Schema"."Order" (
            "Device Id" text, "select" int, "At" timestamp NOT NULL, doc json, tags text[],
            PRIMARY KEY ("Device Id", "select"), CHECK ("select" >= 0));
        CREATE INDEX "Time Idx" ON "My Schema"."Order" ("At" DESC) WHERE "select" > 1;
        INSERT INTO "My Schema"."Order" SELECT 'dev' || n %% 7, n, timestamp '2026-01-31 23:59:59.999999'
               + n * interval '1 hour', '{"a": 1}', '{x}'
          FROM generate_series(0, 3000) n;
        """.replace("%%", "%")
    )
    spec = TableSpec(table="My Schema.Order", partition_by="At")
    run = open_run(connect, spec, "hostile")
    build(run)
    connection.execute(
        """UPDATE "My Schema"."Order" SET "At" = "At" + interval '40 days', doc = NULL WHERE "select" < 50"""
    )
    connection.execute("""DELETE FROM "My Schema"."Order" WHERE "select" BETWEEN 60 AND 70""")
    for direction in (Direction.FORWARD, Direction.BACK, Direction.FORWARD):
        assert cutover.swap(run, direction)
        assert content(run)
        connection.execute("""UPDATE "My Schema"."Order" SET "At" = "At" - interval '1 day' WHERE "select" < 100""")
    reconcile.catch_up(run)
    assert content(run)
    assert connection.execute("""SELECT count(*) FROM "My Schema"."Order" """).fetchone() == (2990,)
