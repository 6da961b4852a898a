"""Loads of several partitions: one scan each, empty after a failure, and nothing left of them beside the partitions."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.database import STATEMENT_CHARACTERS
from partition_playbook.engine import (
    attach,
    cutover,
    foreign_keys,
    load,
    load_groups,
    reconcile,
    rollback,
    shadow,
    vacuum,
    verify,
)
from partition_playbook.engine.sides import Direction
from partition_playbook.errors import LoadMustWait, PlaybookError, PreconditionFailed
from partition_playbook.ledger import Phase
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec
from tests.fixtures import footprint
from tests.fixtures.migration import finalize_anyway
from tests.fixtures.scenario_writer import wait_until
from tests.fixtures.tables import open_run

Connect = Callable[[], psycopg.Connection]
DAYS = 40
KEYS = """
SELECT convalidated, count(*) FROM pg_constraint
 WHERE contype = 'f'
   AND conrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'sensor_readings_new'::regclass)
 GROUP BY 1
"""
VALIDATIONS = """
SELECT count(DISTINCT xmin::text), sum((SELECT count(*) FROM regexp_matches(statement, 'VALIDATE CONSTRAINT', 'g')))
  FROM partition_playbook.events
 WHERE message LIKE 'Validate a foreign key; reads and writes continue%'
"""
# Partitions whose pages are not all-visible, or that were never analyzed.
UNSETTLED = """
SELECT c.relname FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
 WHERE i.inhparent = 'sensor_readings_new'::regclass
   AND (c.relallvisible <> c.relpages OR c.reltuples < 0
        OR c.reltuples > 0 AND NOT EXISTS (SELECT FROM pg_statistic WHERE starelid = c.oid))
"""
SETTINGS = {"interval": "day", "premake": 5}


@pytest.fixture
def run(connect: Connect, connection: psycopg.Connection, spec: TableSpec, readings: Callable[..., None]) -> Run:
    """Return a run of the worked table with days as partitions, and the shadow not yet built."""
    readings(3_000, days=DAYS)
    return open_run(connect, TableSpec.model_validate(spec.model_dump() | SETTINGS), "by-day")


@pytest.fixture
def names(run: Run) -> list[str]:
    """Return the partitions of the shadow that was built."""
    return [each["partition_name"] for each in shadow.build(run)]


def states(run: Run) -> Counter[str]:
    return Counter(each["state"] for each in run.ledger.loads())


def scans(run: Run) -> int:
    """Return the number of statements that copied rows from the source."""
    copies = [each["statement"] or "" for each in run.ledger.events()]
    return sum(each.startswith("INSERT") and 'FROM "public"."sensor_readings" WHERE "' in each for each in copies)


def counted(connection: psycopg.Connection, name: str) -> int:
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))
    return int(connection.execute(query).fetchall()[0][0])


def expected(connection: psycopg.Connection, run: Run, name: str) -> int:
    """Return the rows of the source within the bounds of a partition."""
    (bounds,) = [
        (each["lower_bound"], each["upper_bound"]) for each in run.ledger.loads() if each["partition_name"] == name
    ]
    query = "SELECT count(*) FROM sensor_readings WHERE recorded_at >= %s AND recorded_at < %s"
    return int(connection.execute(query, bounds).fetchall()[0][0])


def left_parents(run: Run) -> list[TableName]:
    with run.database.session() as session:
        return load_groups.left_parents(run, session)


def die(*_: object) -> None:
    raise ConnectionError("the worker is gone")


def leave_dead(run: Run, group: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a load as a worker does that dies after the rows are copied."""
    with monkeypatch.context() as patch:
        patch.setattr(load, "create_indexes", die)
        with pytest.raises(ConnectionError):
            load.load_group(run, group, workers=1)
    # Its session was closed for the error; the server lets go of the locks a moment later.
    wait_until(lambda: load.free_slots(run, 1) == 1 and not load.arrivals(run, group), "the end of its session")


def test_a_group_is_one_scan_and_each_partition_gets_its_rows_and_indexes(
    run: Run, names: list[str], connection: psycopg.Connection
) -> None:
    assert len(names) > DAYS
    group = names[3:20]
    loaded = load.load_group(run, group, workers=1)
    assert scans(run) == 1
    assert [each.partition for each in loaded] == group
    assert {each.partition: each.rows for each in loaded} == {name: expected(connection, run, name) for name in group}
    assert sum(each.rows for each in loaded) > 0
    assert {name: counted(connection, name) for name in group} == {each.partition: each.rows for each in loaded}
    assert states(run) == {"loaded": len(group), "pending": len(names) - len(group)}
    assert left_parents(run) == []
    with run.database.session() as session:
        described = [catalog.require(session, TableName("public", name)) for name in group]
    assert {len(each.indexes) for each in described} == {4}
    assert not any(each.is_partition for each in described)


def test_the_groups_of_a_run_fill_all_partitions_and_it_goes_both_ways(
    run: Run, names: list[str], connection: psycopg.Connection
) -> None:
    groups = load_groups.grouped(run.ledger.loads())
    assert len(groups) <= load_groups.SCANS < len(names)
    connection.execute("UPDATE sensor_readings SET recorded_at = recorded_at + interval '1 day' WHERE id % 7 = 0")
    for group in groups:
        load.load_group(run, group, workers=2)
    assert scans(run) == len(groups)
    connection.execute("DELETE FROM sensor_readings WHERE id % 11 = 0")
    attach.attach_partitions(run)
    vacuum.vacuum_partitions(run, workers=2)
    assert connection.execute(UNSETTLED).fetchall() == []
    reconcile.catch_up(run)
    for direction in (Direction.FORWARD, Direction.BACK, Direction.FORWARD):
        assert not verify.content_check(*verify.compare(run)).blocks
        cutover.swap(run, direction)
    finalize_anyway(run)
    assert run.ledger.run()["phase"] == Phase.FINALIZED
    assert left_parents(run) == []


@pytest.mark.parametrize("is_violated", [False, True])
def test_the_keys_of_a_group_are_validated_in_one_transaction_unless_they_are_violated(
    run: Run, connection: psycopg.Connection, is_violated: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    groups = load_groups.grouped(shadow.build(run))
    for group in groups:
        load.load_group(run, group, workers=1)
    attach.attach_partitions(run)
    if is_violated:
        (device,) = connection.execute("SELECT device_id FROM sensor_readings LIMIT 1").fetchall()
        connection.execute("DELETE FROM sensor_readings WHERE device_id = %s", device)
        connection.execute("DELETE FROM devices WHERE id = %s", device)
    foreign_keys.prepare(run, Direction.FORWARD)

    partitions = len(run.ledger.loads()) + 1
    assert connection.execute(KEYS).fetchall() == [(True, 2 * partitions)]
    assert ("validating one by one" in caplog.text) is is_violated
    ((transactions, statements),) = connection.execute(VALIDATIONS).fetchall()
    # From version 18 on the shadow has its keys first, and they are validated last.
    of_shadow = int(connection.info.server_version >= 180_000)
    assert statements == 2 * (partitions + of_shadow)
    requests = [each["statement"] for each in run.ledger.events() if each["kind"] == "statement"]
    assert max(map(len, requests)) <= STATEMENT_CHARACTERS
    if not is_violated:
        assert len(requests) < 6 * partitions
        assert transactions == 2 * (len(groups) + 1 + of_shadow)


def test_a_group_that_dies_leaves_its_partitions_empty_and_is_loaded_again(
    run: Run, names: list[str], connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_dead(run, names[:6], monkeypatch)
    assert [counted(connection, name) for name in names[:6]] == [0] * 6
    assert states(run) == {"loading": 6, "pending": len(names) - 6}
    with pytest.raises(PreconditionFailed, match="not loaded yet"):
        attach.attach_partitions(run)

    assert [each.rows for each in load.load_group(run, names[:6], workers=1)] == [
        expected(connection, run, name) for name in names[:6]
    ]
    assert left_parents(run) == []


def test_partitions_of_a_dead_group_are_loaded_by_others(
    run: Run, names: list[str], connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next load may have another slot, and other partitions than the dead one."""
    leave_dead(run, names[:6], monkeypatch)
    with connection.cursor() as holder:
        holder.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [load.slot_names(run, 2)[0]])
        load.load_group(run, names[4:9], workers=2)
        holder.execute("SELECT pg_advisory_unlock_all()")
    load.load_group(run, names[:5], workers=1)
    assert [counted(connection, name) for name in names[:9]] == [expected(connection, run, name) for name in names[:9]]
    assert states(run) == {"loaded": 9, "pending": len(names) - 9}
    assert left_parents(run) == []


def test_what_is_loaded_is_not_loaded_again_and_its_rows_are_left_out(
    run: Run, names: list[str], connection: psycopg.Connection
) -> None:
    load.load_partition(run, names[2], workers=1)
    before = [each for each in run.ledger.loads() if each["partition_name"] == names[2]]
    load.load_group(run, names[:5], workers=1)
    assert scans(run) == 1 + 2, "one for the partition, one on each side of it"
    assert [each for each in run.ledger.loads() if each["partition_name"] == names[2]] == before
    assert [counted(connection, name) for name in names[:5]] == [expected(connection, run, name) for name in names[:5]]
    load.load_group(run, names[:5], workers=1)
    assert scans(run) == 3


def test_a_group_waits_for_the_load_of_one_of_its_partitions(
    run: Run, names: list[str], connection: psycopg.Connection
) -> None:
    connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [load.lock_name(run, names[2])])
    with pytest.raises(LoadMustWait, match=f"{names[2]} is being loaded, by pid {connection.info.backend_pid}"):
        load.load_group(run, names[:5], workers=2)
    assert states(run) == {"pending": len(names)}


def test_an_attached_partition_is_not_touched(run: Run, names: list[str], connection: psycopg.Connection) -> None:
    """As where a task of the loads is cleared after the cutover, and the ledger was changed by hand."""
    for group in load_groups.grouped(run.ledger.loads()):
        load.load_group(run, group, workers=1)
    attach.attach_partitions(run)
    connection.execute("UPDATE partition_playbook.loads SET state = 'pending'")
    rows = connection.execute("SELECT count(*) FROM sensor_readings_new").fetchall()
    with pytest.raises(PreconditionFailed, match=f"{names[3]}: the partition is attached already"):
        load.load_group(run, names[3:6], workers=1)
    assert connection.execute("SELECT count(*) FROM sensor_readings_new").fetchall() == rows


def test_a_name_that_was_not_planned_is_refused(run: Run, names: list[str]) -> None:
    with pytest.raises(PreconditionFailed, match="not planned: nowhere"):
        load.load_group(run, [names[0], "nowhere"], workers=1)
    assert states(run) == {"pending": len(names)}


def test_nothing_is_left_after_a_rollback_of_a_dead_group(
    run: Run, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = footprint.objects(connection)
    names = [each["partition_name"] for each in shadow.build(run)]
    load.load_group(run, names[:3], workers=1)
    leave_dead(run, names[3:30], monkeypatch)
    assert left_parents(run) == [run.table.load_parent(0)]
    rollback.abandon(run)
    assert footprint.objects(connection) == objects


def test_a_rollback_takes_no_transaction_for_each_partition(run: Run, connection: psycopg.Connection) -> None:
    objects = footprint.objects(connection)
    groups = load_groups.grouped(shadow.build(run))
    for group in groups[1:]:
        load.load_group(run, group, workers=1)
    partitions = len(run.ledger.loads())
    assert partitions > DAYS
    before = len(run.ledger.events())
    rollback.abandon(run)
    statements = [each for each in run.ledger.events()[before:] if each["kind"] == "statement"]
    assert len(statements) < partitions / rollback.DROPPED_TOGETHER + 6
    assert footprint.objects(connection) == objects


def test_a_rollback_of_an_attached_shadow_drops_the_triggers_with_their_partitions(
    run: Run, connection: psycopg.Connection
) -> None:
    objects = footprint.objects(connection)
    for group in load_groups.grouped(shadow.build(run)):
        load.load_group(run, group, workers=1)
    attach.attach_partitions(run)
    before = len(run.ledger.events())
    rollback.abandon(run)
    dropped = [each["message"] for each in run.ledger.events()[before:]]
    assert dropped.count("Drop the capture triggers of a table") == 1
    assert footprint.objects(connection) == objects


def test_nothing_is_left_after_a_rollback_during_a_load(
    run: Run, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load is between two statements when the rollback begins, so that it cannot be cancelled."""
    objects = footprint.objects(connection)
    names = [each["partition_name"] for each in shadow.build(run)]
    copied, go_on = threading.Event(), threading.Event()
    copy_rows = load.copy_rows

    def hold(*arguments: Any) -> int:
        done = copy_rows(*arguments)
        copied.set()
        go_on.wait(60)
        return done

    monkeypatch.setattr(load, "copy_rows", hold)
    ended: list[BaseException | None] = []

    def work() -> None:
        try:
            load.load_group(run, names[:8], workers=1)
            ended.append(None)
        except (PlaybookError, psycopg.Error) as error:
            ended.append(error)

    loading = threading.Thread(target=work)
    loading.start()
    assert copied.wait(60)
    dropping = threading.Thread(target=rollback.abandon, args=(run,))
    dropping.start()
    waits = "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
    wait_until(lambda: connection.execute(waits).fetchall() != [], "the rollback waits for the load")
    go_on.set()
    loading.join(60)
    dropping.join(60)
    assert len(ended) == 1
    assert footprint.objects(connection) == objects


def test_a_load_that_begins_as_the_rollback_ends_makes_nothing(
    run: Run, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = footprint.objects(connection)
    names = [each["partition_name"] for each in shadow.build(run)]
    require_calm = load._require_calm

    def drop_first(inner: Run) -> None:
        require_calm(inner)
        monkeypatch.setattr(load.capture, "require_complete", lambda *_: None)
        rollback.abandon(run)

    monkeypatch.setattr(load, "_require_calm", drop_first)
    with pytest.raises(PreconditionFailed, match=f"{names[0]}: the partition does not exist"):
        load.load_group(run, names[:4], workers=1)
    assert footprint.objects(connection) == objects


def test_a_load_makes_no_parent_once_the_change_log_is_dropped(
    run: Run, names: list[str], connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a rollback drops the change log and every parent that it finds: a later one would be left behind."""
    empty = load.empty

    def drop_and_empty(*arguments: Any) -> None:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(run.table.change_log.identifier))
        empty(*arguments)

    monkeypatch.setattr(load, "empty", drop_and_empty)
    with pytest.raises(PreconditionFailed, match="a table of the migration does not exist"):
        load.load_group(run, names[:4], workers=1)
    assert left_parents(run) == []
    assert [counted(connection, name) for name in names[:4]] == [0] * 4
