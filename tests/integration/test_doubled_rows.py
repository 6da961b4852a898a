"""Rows that only the wider key allowed: a rollback keeps one in the table and the others beside it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from partition_playbook.database import Session
from partition_playbook.engine import cutover, reconcile, rollback, swap_locks, verify
from partition_playbook.engine.doubled import doubled_check
from partition_playbook.engine.sides import Direction
from partition_playbook.errors import PreconditionFailed
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.spec import RunParams, TableSpec
from tests.fixtures.migration import finalize_anyway, migrate
from tests.fixtures.tables import open_run

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]
SPEC = TableSpec(table="Events", partition_by="at", premake=1)
COLUMNS = "id, at, code, note, length"
EVENTS = """
CREATE TABLE "Events" (id bigint NOT NULL, at timestamptz NOT NULL, code int, note text,
                       length int GENERATED ALWAYS AS (length(note)) STORED);
INSERT INTO "Events" SELECT n, now() - (n % 50) * interval '1 day', n, 'first ' || n FROM generate_series(1, 100) n
"""
# Unique keys without the partition column, of every kind that PostgreSQL has.
KEYS = {
    "primary key": 'ALTER TABLE "Events" ADD PRIMARY KEY (id)',
    "deferred key": 'ALTER TABLE "Events" ADD PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED',
    "unique index": 'ALTER TABLE "Events" ADD PRIMARY KEY (id, at); CREATE UNIQUE INDEX ON "Events" (code)',
    "expression": 'ALTER TABLE "Events" ADD PRIMARY KEY (id, at); CREATE UNIQUE INDEX ON "Events" ((code + 1))',
    "partial": 'ALTER TABLE "Events" ADD PRIMARY KEY (id, at); CREATE UNIQUE INDEX ON "Events" (code) WHERE code > 0',
    "two keys": 'ALTER TABLE "Events" ADD PRIMARY KEY (id); CREATE UNIQUE INDEX ON "Events" (code)',
    "two deferred": 'ALTER TABLE "Events" ADD PRIMARY KEY (id); ALTER TABLE "Events" ADD UNIQUE (code) DEFERRABLE',
}


def rows(connection: Connection, table: str = "Events", where: str = "true") -> Counter[tuple[object, ...]]:
    return Counter(connection.execute(f'SELECT {COLUMNS} FROM "{table}" WHERE {where}').fetchall())


def beside(connection: Connection) -> Counter[tuple[object, ...]]:
    if connection.execute("""SELECT to_regclass('"Events_doubled"') IS NULL""").fetchone() == (True,):
        return Counter()
    return rows(connection, "Events_doubled")


def repeat(connection: Connection, number: int, note: str, ago: str = "0") -> None:
    """Write a row whose id and code are taken, at another moment."""
    query = 'INSERT INTO "Events" (id, at, code, note) VALUES (%s, now() - %s::interval, %s, %s)'
    connection.execute(query, (number, ago, number, note))


@pytest.fixture
def moved(connection: Connection, connect: Connect) -> Callable[[str], Run]:
    """Return a function that migrates a table with a key of some kind."""

    def move(kind: str) -> Run:
        connection.execute(EVENTS)
        connection.execute(KEYS[kind])
        run = open_run(connect, SPEC, "doubled")
        migrate(run)
        return run

    return move


def equal(run: Run) -> bool:
    compared, _ = verify.compare(run)
    return all(each.equal for each in compared)


@pytest.mark.parametrize("kind", KEYS)
def test_one_row_stays_and_the_others_go_beside_the_table(
    kind: str, moved: Callable[[str], Run], connection: Connection
) -> None:
    run = moved(kind)
    repeat(connection, 5, "second")
    connection.execute("""UPDATE "Events" SET note = 'changed' WHERE id = 5 AND note = 'first 5'""")
    repeat(connection, 5, "third", "1 hour")
    repeat(connection, 200, "new")
    written = rows(connection)
    rollback.roll_back(run)
    assert rows(connection) + beside(connection) == written
    assert {row[3] for row in beside(connection)} == {"second", "third"}
    assert equal(run)
    rollback.abandon(run)
    assert rows(connection) + beside(connection) == written


def test_it_is_told_by_name_count_and_place(moved: Callable[[str], Run], connection: Connection) -> None:
    run = moved("primary key")
    assert not doubled_check(run).fell_short
    repeat(connection, 5, "second")
    repeat(connection, 6, "second")
    rollback.roll_back(run)
    found = doubled_check(run)
    assert found.blocks
    assert "2 rows" in found.actual
    query = found.remedy.partition("`")[2].partition("`")[0]
    assert len(connection.execute(query).fetchall()) == 2
    assert [each for each in run.ledger.events() if "Events_doubled" in each["message"] and each["kind"] == "note"]
    assert run.ledger.measurements("migration")["doubled_rows"]["value"] == 2


def test_owner_privileges_and_policies_are_those_of_the_table(connect: Connect, connection: Connection) -> None:
    connection.execute(EVENTS + ";" + KEYS["primary key"])
    connection.execute(
        "DROP ROLE IF EXISTS doubled_owner; DROP ROLE IF EXISTS doubled_reader; CREATE ROLE doubled_owner; "
        "CREATE ROLE doubled_reader; GRANT ALL ON SCHEMA public TO doubled_owner; "
        'ALTER TABLE "Events" OWNER TO doubled_owner; '
        'GRANT SELECT ON "Events" TO doubled_reader; ALTER TABLE "Events" ENABLE ROW LEVEL SECURITY; '
        'CREATE POLICY few ON "Events" TO doubled_reader USING (id = 5)'
    )
    run = open_run(connect, SPEC, "doubled")
    migrate(run)
    repeat(connection, 5, "second")
    repeat(connection, 6, "second")
    rollback.roll_back(run)
    rollback.abandon(run)
    owner = """SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = '"Events_doubled"'::regclass"""
    assert connection.execute(owner).fetchone() == ("doubled_owner",)
    connection.execute("SET ROLE doubled_reader")
    assert {row[0] for row in beside(connection)} == {5}
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute('DELETE FROM "Events_doubled"')
    connection.execute("RESET ROLE")
    connection.execute('DROP TABLE "Events", "Events_doubled"; DROP OWNED BY doubled_owner, doubled_reader')
    connection.execute("DROP ROLE doubled_owner, doubled_reader")


def test_a_row_doubled_after_the_last_catch_up_is_kept_under_the_lock(
    moved: Callable[[str], Run], connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = moved("deferred key")
    lock_around, tries = swap_locks.lock_around, iter(range(2))

    def write_and_lock(session: Session, live: TableName, standby: TableName) -> None:
        repeat(connection, 5, f"late {next(tries)}")
        lock_around(session, live, standby)

    monkeypatch.setattr(swap_locks, "lock_around", write_and_lock)
    rollback.roll_back(run)
    assert {row[3] for row in beside(connection)} == {"late 0"}
    assert {row[3] for row in rows(connection, where="id = 5")} == {"first 5"}


def test_the_table_beside_follows_the_live_one(moved: Callable[[str], Run], connection: Connection) -> None:
    run = moved("primary key")
    for number in (5, 6, 7, 8):
        repeat(connection, number, "second")
    reconcile.catch_up(run)
    assert sum(beside(connection).values()) == 4
    assert equal(run)
    connection.execute(
        """DELETE FROM "Events" WHERE id = 5 AND note = 'first 5'"""
    )  # its second row comes into the table
    connection.execute("""DELETE FROM "Events" WHERE id = 6 AND note = 'second'""")
    connection.execute("""UPDATE "Events" SET note = 'changed' WHERE id = 7 AND note = 'second'""")
    connection.execute("""DELETE FROM "Events_doubled" WHERE id = 8""")  # by hand: the live table still has the row
    written = rows(connection)
    reconcile.catch_up(run)
    assert equal(run)
    assert {(row[0], row[3]) for row in beside(connection)} == {(7, "changed"), (8, "second")}
    rollback.roll_back(run)
    assert rows(connection) + beside(connection) == written


def test_forward_again_leaves_them_beside(moved: Callable[[str], Run], connection: Connection) -> None:
    run = moved("primary key")
    repeat(connection, 5, "second")
    rollback.roll_back(run)
    kept = rows(connection)
    cutover.swap(run, Direction.FORWARD)
    assert rows(connection) == kept
    assert equal(run)
    repeat(connection, 5, "third", "3 days 1 minute")
    rollback.roll_back(run)
    assert rows(connection) == kept
    assert {row[3] for row in beside(connection)} == {"second", "third"}
    cutover.swap(run, Direction.FORWARD)
    finalize_anyway(run)
    assert {row[3] for row in beside(connection)} == {"second", "third"}


def test_finalize_never_drops_it_and_the_live_table_has_every_row(
    moved: Callable[[str], Run], connection: Connection
) -> None:
    run = moved("primary key")
    repeat(connection, 5, "second")
    written = rows(connection)
    finalize_anyway(run)
    assert rows(connection) == written
    assert {row[3] for row in beside(connection)} == {"second"}
    connection.execute("""DELETE FROM "Events_doubled" """)  # no capture is left on it


def test_the_next_run_uses_it_unless_the_columns_changed(
    moved: Callable[[str], Run], connection: Connection, connect: Connect
) -> None:
    run = moved("primary key")
    repeat(connection, 5, "second")
    rollback.roll_back(run)
    rollback.abandon(run)
    params = RunParams(mode="rehearse", backup="skip", accept_weaker_uniqueness=True)
    again = open_run(connect, SPEC, "again")
    assert not [each for each in preflight_checks(again, params) if each.name == "names_fit" and each.blocks]
    connection.execute('ALTER TABLE "Events" ADD extra int')
    (refused,) = [each for each in preflight_checks(again, params) if each.name == "names_fit"]
    assert refused.blocks
    assert "Events_doubled" in refused.actual
    migrate(again)
    repeat(connection, 6, "second")
    with pytest.raises(PreconditionFailed, match="Events_doubled"):
        rollback.roll_back(again)
    connection.execute('ALTER TABLE "Events_doubled" RENAME TO earlier')
    rollback.roll_back(again)
    assert {row[3] for row in beside(connection)} == {"second"}


@pytest.mark.parametrize("kind", ["two keys", "two deferred", "partial"])
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_written_each_row_is_in_one_of_both(
    kind: str, seed: int, moved: Callable[[str], Run], connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, choose = moved(kind), random.Random(seed)
    monkeypatch.setattr(reconcile, "BATCH", 3)
    for _ in range(6):
        for _ in range(8):
            write(connection, choose)
        reconcile.catch_up(run, passes=choose.randint(1, 4))
        assert equal(run)
    reconcile.catch_up(run)
    written = rows(connection)
    assert rows(connection, "Events_old") + beside(connection) == written
    assert beside(connection), "the writes must double rows"
    assert fits(connection) == []
    rollback.roll_back(run)
    assert rows(connection) + beside(connection) == written
    cutover.swap(run, Direction.FORWARD)
    rollback.roll_back(run)
    assert rows(connection) + beside(connection) == written


def write(connection: Connection, choose: random.Random) -> None:
    """Write with few values, so that ids and codes meet."""
    one, two = choose.randint(1, 6), choose.randint(1, 6)
    moment = f"{choose.randint(0, 40)} days {choose.randint(0, 10**6)} microseconds"
    match choose.randint(1, 5):
        case 1 | 2:
            query = 'INSERT INTO "Events" (id, at, code, note) VALUES (%s, now() - %s::interval, %s, %s)'
            connection.execute(query, (one, moment, two, moment))
        case 3:
            connection.execute('UPDATE "Events" SET code = %s WHERE id = %s', (two, one))
        case 4:
            connection.execute('UPDATE "Events" SET note = %s WHERE code = %s', (moment, one))
        case _:
            query = (
                'DELETE FROM "Events" WHERE (id, at) IN (SELECT id, at FROM "Events" WHERE id = %s ORDER BY at LIMIT 1)'
            )
            connection.execute(query, (one,))


def fits(connection: Connection) -> list[tuple[object, ...]]:
    """List the rows beside the table that could be in it."""
    found = []
    for row in connection.execute('SELECT id, at, code, note FROM "Events_doubled"').fetchall():
        try:
            with connection.transaction(force_rollback=True):
                connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
                connection.execute('INSERT INTO "Events_old" (id, at, code, note) VALUES (%s, %s, %s, %s)', row)
                found.append(row)
        except psycopg.errors.UniqueViolation:
            continue
    return found
