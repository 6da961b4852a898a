"""A large default partition is not read under the lock of an attach, and no write to it is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pendulum
import psycopg
import pytest

from partition_playbook.database import Session
from partition_playbook.intervals import between
from partition_playbook.maintenance import exclusion
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec
from tests.fixtures.moments import this_month
from tests.fixtures.tables import open_run

Connect = Callable[[], psycopg.Connection[Any]]
Connection = psycopg.Connection[Any]
CALLS = TableName("Desk", "Calls 100%")
DEFAULT = CALLS.default.identifier.as_string()
SPEC = TableSpec.model_validate({"table": str(CALLS), "partition_by": "Rung At", "premake": 3})
FEW = 40
REMAINS = """
    SELECT conname FROM pg_constraint WHERE conname LIKE '%excluded%' UNION ALL
    SELECT indexrelid::regclass::text FROM pg_index
     WHERE indpred IS NOT NULL AND indrelid <> to_regclass('partition_playbook.events') UNION ALL
    SELECT proname FROM pg_proc WHERE pronamespace = 'partition_playbook'::regnamespace AND proname LIKE '%\\_open'
"""


def make_calls(connection: Connection, kind: str = "timestamptz", stray: int = 1_500) -> None:
    """Make a table with stray rows of a kilobyte, and no index that begins with the partition column."""
    connection.execute(
        f"""CREATE SCHEMA "Desk"; CREATE TABLE "Desk"."Calls 100%" (id bigint, "Rung At" {kind} NOT NULL, note text,
              PRIMARY KEY (id, "Rung At")) PARTITION BY RANGE ("Rung At");
            CREATE TABLE {DEFAULT} PARTITION OF "Desk"."Calls 100%" DEFAULT""".replace("%", "%")  # type: ignore[call-overload]
    )
    (bounds,) = between(SPEC.interval, this_month(), this_month())
    lower, upper = bounds.literals({"timestamptz": kind, "timestamp": "timestamp without time zone"}.get(kind, kind))
    connection.execute(
        psycopg.sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
            CALLS.partition(bounds.suffix).identifier, CALLS.identifier, lower, upper
        )
    )
    fill(connection, stray)


def fill(connection: Connection, stray: int) -> None:
    connection.execute(
        psycopg.sql.SQL(
            "INSERT INTO {} SELECT n, '1987-06-05'::date - n % 3000, repeat('x', 1000) FROM generate_series(1, {}) n"
        ).format(CALLS.identifier, stray)
    )


def blocks(connection: Connection) -> int:
    (found,) = connection.execute("SELECT pg_relation_size(%s) / 8192", (DEFAULT,)).fetchone()  # type: ignore[misc]
    return int(found)


def rang(connection: Connection, moment: pendulum.DateTime, key: int) -> None:
    connection.execute('INSERT INTO "Desk"."Calls 100%%" VALUES (%s, %s)', (key, moment))


def opened(connect: Connect, run_id: str = "run") -> Run:
    return open_run(connect, SPEC, run_id, "maintenance")


def moments_of(connection: Connection) -> dict[str, int]:
    query = 'SELECT tableoid::regclass::text, count(*) FROM "Desk"."Calls 100%" WHERE id >= 1000000 GROUP BY 1'
    return dict(connection.execute(query).fetchall())


@pytest.fixture
def read_under_lock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the blocks of the default partition and its indexes that are read between each lock and its attach."""
    found: list[int] = []
    run, lock = Session.run, Session.lock
    query = """SELECT coalesce(sum(pg_stat_get_xact_blocks_fetched(each)), 0)::int AS n FROM (
        SELECT %(table)s::regclass AS each
         UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid = %(table)s::regclass
    ) AS files"""
    before = [0]

    def scanned(session: Session) -> int:
        return session.connection.execute(query, {"table": DEFAULT}).fetchone()["n"]  # type: ignore[index]

    def locking(self: Session, *args: Any, **kwargs: Any) -> None:
        lock(self, *args, **kwargs)
        before[0] = scanned(self)

    def running(self: Session, name: str, *args: Any, **kwargs: Any) -> int:
        result = run(self, name, *args, **kwargs)
        if name == "maintenance/attach_partition":
            found.append(scanned(self) - before[0])
        return result

    monkeypatch.setattr(Session, "lock", locking)
    monkeypatch.setattr(Session, "run", running)
    return found


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
def test_an_attach_reads_no_row_of_the_default_partition_under_its_lock(
    connection: Connection, connect: Connect, read_under_lock: list[int], kind: str
) -> None:
    make_calls(connection, kind)
    rang(connection, this_month().add(months=2, days=3), 1_000_000)
    done = maintain(opened(connect), MaintenanceParams())
    assert done.summary["failed"] == []
    assert (len(done.summary["created"]), done.summary["moved_rows"]) == (3, 1)
    assert len(read_under_lock) == 3
    assert max(read_under_lock) < FEW < blocks(connection)
    assert connection.execute(REMAINS).fetchall() == []
    assert connection.execute(f"SELECT count(*) FROM {DEFAULT}").fetchone() == (1_500,)  # type: ignore[call-overload]


def test_a_small_default_partition_is_read_at_once(
    connection: Connection, connect: Connect, read_under_lock: list[int]
) -> None:
    make_calls(connection, stray=10)
    assert maintain(opened(connect), MaintenanceParams()).summary["failed"] == []
    assert connection.execute(REMAINS).fetchall() == []
    assert max(read_under_lock) < FEW


def test_an_index_of_the_applications_own_is_enough(
    connection: Connection, connect: Connect, read_under_lock: list[int]
) -> None:
    make_calls(connection)
    connection.execute('CREATE INDEX ON "Desk"."Calls 100%" ("Rung At")')
    run = opened(connect)
    assert maintain(run, MaintenanceParams()).summary["failed"] == []
    assert max(read_under_lock) < FEW < blocks(connection)
    assert not any("CONCURRENTLY" in each["detail"].get("statement", "") for each in run.ledger.events())


def test_no_write_of_a_new_range_is_refused_at_any_moment(connection: Connection, connect: Connect) -> None:
    """Writers go on from before the constraint until after the attach, also a role with no right to the ledger."""
    make_calls(connection)
    connection.execute('CREATE ROLE clerk; GRANT USAGE ON SCHEMA "Desk" TO clerk')
    connection.execute('GRANT INSERT, SELECT ON "Desk"."Calls 100%" TO clerk')
    errors: list[psycopg.Error] = []
    written = [0, 0]
    over = threading.Event()

    def write(number: int) -> None:
        with connect() as clerk:
            clerk.autocommit = True
            clerk.execute("SET ROLE clerk")
            while not over.is_set():
                key = 1_000_000 * (number + 1) + written[number]
                try:
                    rang(clerk, this_month().add(months=1 + key % 3, hours=key % 600), key)
                    written[number] += 1
                except psycopg.Error as error:
                    errors.append(error)
                    return

    writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    try:
        connection.execute("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
        for each in writers:
            each.start()
        for again in range(3):
            done = maintain(opened(connect, f"run {again}"), MaintenanceParams(max_moved_rows=100_000))
            assert done.summary["failed"] == []
    finally:
        over.set()
        for each in writers:
            each.join()
        connection.execute("ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC")
        connection.execute("DROP OWNED BY clerk; DROP ROLE clerk")
    assert errors == []
    assert min(written) > 0
    places = moments_of(connection)
    assert sum(places.values()) == sum(written)
    assert not any("default" in each for each in places)


def test_the_remains_of_an_interrupted_run_refuse_no_row_and_are_removed_by_the_next(
    connection: Connection, connect: Connect
) -> None:
    make_calls(connection)
    run = opened(connect)
    ahead = list(between(SPEC.interval, this_month().add(months=1), this_month().add(months=3)))
    exclusion._prepare(run, CALLS.default, ahead)
    assert len(connection.execute(REMAINS).fetchall()) == 3
    for number, each in enumerate(ahead):
        rang(connection, each.lower, 1_000_000 + number)
    connection.execute(f"UPDATE {DEFAULT} SET note = 'seen' WHERE id >= 1000000")  # type: ignore[call-overload]
    done = maintain(opened(connect, "next"), MaintenanceParams())
    assert (done.summary["failed"], done.summary["moved_rows"]) == ([], 3)
    assert connection.execute(REMAINS).fetchall() == []
    assert len(moments_of(connection)) == 3


def test_remains_are_removed_by_a_run_with_nothing_to_create(connection: Connection, connect: Connect) -> None:
    make_calls(connection)
    maintain(opened(connect), MaintenanceParams())
    exclusion._prepare(
        opened(connect), CALLS.default, list(between(SPEC.interval, this_month(), this_month().add(months=9)))[5:]
    )
    assert maintain(opened(connect, "dry"), MaintenanceParams(dry_run=True)).summary["failed"] == []
    assert len(connection.execute(REMAINS).fetchall()) == 3
    done = maintain(opened(connect, "next"), MaintenanceParams())
    assert (done.summary["failed"], done.summary["created"]) == ([], [])
    assert connection.execute(REMAINS).fetchall() == []


def test_if_it_cannot_be_prepared_the_partitions_are_created_all_the_same(
    connection: Connection, connect: Connect, read_under_lock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old transaction keeps CREATE INDEX CONCURRENTLY waiting."""
    make_calls(connection)
    monkeypatch.setattr(exclusion, "ONLINE", exclusion.LockRetry(first_ms=50, longest_ms=50, tries=2, pause_seconds=0))
    with connect() as old:
        old.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        old.execute("SELECT 1")
        done = maintain(opened(connect), MaintenanceParams())
    assert done.summary["failed"] == []
    assert len(done.summary["created"]) == 3
    assert min(read_under_lock) > FEW, "or else this proves nothing"
    assert connection.execute(REMAINS).fetchall() == []
