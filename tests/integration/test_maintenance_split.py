"""The default partition is split while an application reads and writes, whatever breaks off, and leaves no trace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.checks import Outcome
from partition_playbook.errors import SplitUnderWay
from partition_playbook.maintenance import copies, split
from partition_playbook.maintenance.actions import Abandon, Split
from partition_playbook.maintenance.apply import Ending, apply
from partition_playbook.maintenance.maintain import Maintained, maintain
from partition_playbook.maintenance.params import MaintenanceParams, RetentionMode
from partition_playbook.names import TableName
from partition_playbook.run import Run
from tests.fixtures.moments import this_month
from tests.fixtures.scenario_subscriber import subscribed
from tests.fixtures.scenario_writer import read_rows
from tests.integration.test_maintenance import (
    MIXED,
    contents,
    exists,
    insert,
    looked,
    make_table,
    mixed_run,
    months,
    outcome,
    partitions,
    statements,
)

Connect = Callable[[], psycopg.Connection[Any]]
Connection = psycopg.Connection[Any]
FEW = MaintenanceParams(max_moved_rows=10, retention=RetentionMode.OFF)
UNTOUCHED = 4_000
STAGING = MIXED.default.shadow
NAMES = [name.name for name, _, _ in months(5, 2)]


def make_waiting(connection: Connection, rows: int = 3_000) -> None:
    """Make the table of somebody who has not maintained it: this month and the next have no partition, rows wait."""
    make_table(connection, ahead=-1)
    for _, lower, _ in months(0, 1):
        insert(connection, lower, rows=rows)
    if rows:
        insert(connection, months(5, 3)[-1][1], rows=7)
    connection.execute('ANALYZE "Plant A"."Sensor Readings"')


def leftovers(connection: Connection) -> list[str]:
    """Return what no split may leave: its tables, its change log, its function, its triggers."""
    query = """
        SELECT relname FROM pg_class WHERE relname ~ '_new' OR relname ~ '_changes$'
         UNION ALL SELECT proname FROM pg_proc WHERE proname ~ '_capture$'
         UNION ALL SELECT tgname FROM pg_trigger WHERE tgname ~ '^partition_playbook'
         UNION ALL SELECT conname FROM pg_constraint WHERE conname ~ '^partition_playbook'
    """
    return [name for (name,) in connection.execute(query)]


def counts(connection: Connection) -> dict[str, int]:
    statement = 'SELECT tableoid::regclass::text, count(*) FROM "Plant A"."Sensor Readings" GROUP BY 1'
    return {name.split(".")[1].strip('"'): count for name, count in connection.execute(statement)}


def failures(done: Maintained) -> list[str]:
    return [str(each) for each in done.checks if each.blocks]


def test_any_number_of_waiting_rows_gets_its_partitions(connection: Connection, connect: Connect) -> None:
    make_waiting(connection)
    before = contents(connection)
    run = mixed_run(connect)
    done = maintain(run, FEW)
    assert failures(done) == []
    assert (done.summary["split"], done.summary["created"]) == ([MIXED.default.name], NAMES[-3:])
    assert done.summary["moved_rows"] == 6_000
    assert contents(connection) == before
    assert counts(connection) == {NAMES[-3]: 3_000, NAMES[-2]: 3_000, MIXED.default.name: 7}
    assert leftovers(connection) == []
    assert maintain(mixed_run(connect), FEW).summary["split"] == []


def test_the_new_default_partition_is_the_old_one_in_all_but_its_rows(connection: Connection, connect: Connect) -> None:
    make_waiting(connection, rows=20)
    default = MIXED.default.identifier
    for each in (
        "COMMENT ON TABLE {0} IS 'what is left'",
        "ALTER TABLE {0} SET (fillfactor = 70)",
        'ALTER TABLE {0} ALTER "Value" SET STATISTICS 300',
        "ALTER TABLE {0} REPLICA IDENTITY FULL",
        'CREATE INDEX "its own" ON {0} ("Value") WHERE "Value" > 3',
        "GRANT SELECT ON {0} TO pg_monitor",
    ):
        connection.execute(sql.SQL(each).format(default))  # type: ignore[arg-type]
    run = mixed_run(connect)

    def described() -> dict[str, Any]:
        with run.database.session() as session:
            found = vars(catalog.require(session, MIXED.default)).copy()
        oid = found.pop("oid")
        del found["unknown_options"]  # Debian's 15 keeps marks of its own on each column
        found["constraints"] = sorted((each.kind, each.definition, each.validated) for each in found["constraints"])
        return found | {"oid": oid}

    before = described()
    assert failures(maintain(run, FEW)) == []
    after = described()
    assert after.pop("oid") != before.pop("oid")
    assert after == before


def test_postgresql_adopts_keys_and_indexes_and_scans_nothing_under_the_lock(
    connection: Connection, connect: Connect
) -> None:
    make_waiting(connection, rows=20)
    heard: list[str] = []

    def listening() -> Connection:
        opened = connect()
        opened.execute("SET client_min_messages = debug1")
        opened.commit()
        opened.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
        return opened

    run = mixed_run(listening)
    (action,) = [each for each in looked(run, move_limit=10).actions if isinstance(each, Split)]
    assert split.split(run, action.creates) == 40
    implied = [each.split('"')[1] for each in heard if "is implied by existing constraints" in each]
    assert {STAGING.default.name, *NAMES[-3:-1]} <= set(implied), "the server would not have said so"
    assert [each for each in heard if each.startswith("verifying table")] == []
    keys = connection.execute(
        "SELECT conrelid::regclass::text, convalidated, conparentid <> 0 FROM pg_constraint"
        " WHERE contype = 'f' AND confrelid = '\"Plant A\".\"Unit\"'::regclass AND conparentid <> 0"
    ).fetchall()
    assert len(keys) == len(partitions(connection))
    assert {row[1:] for row in keys} == {(True, True)}
    indexes = "SELECT count(*) FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid"
    assert connection.execute(indexes).fetchone() == (2 * len(partitions(connection)),)


@dataclass
class Writer(threading.Thread):
    """One application: it inserts, moves, changes and deletes rows of its own, and knows what must be there."""

    connect: Connect
    number: int
    rows: dict[int, tuple[datetime, int]] = field(default_factory=dict)
    writes: int = 0
    error: Exception | None = None
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return self.number

    def run(self) -> None:
        try:
            with self.connect() as connection:
                while not self.stopped.is_set():
                    with connection.transaction():
                        self._write(connection)
                    self.writes += 1
                    time.sleep(0.002)
        except psycopg.Error as error:
            self.error = error

    def _write(self, connection: Connection) -> None:
        known = sorted(self.rows)
        step = self.writes % 7
        moments = [this_month(), months(1, 1)[-1][1], months(2, 0)[0][1]]
        moment = moments[self.writes % 3].add(days=3, seconds=self.writes, microseconds=self.number)
        if step == 5:  # as an application that holds other rows before it comes to this table
            connection.execute('UPDATE "Plant A"."Unit" SET note = %s WHERE id = %s', (step, 1 + self.number))
        if len(known) > 20 and step == 3:
            connection.execute('DELETE FROM "Plant A"."Sensor Readings" WHERE "Id" = %s', (known[0],))
            del self.rows[known[0]]
        elif len(known) > 20 and step in (1, 4):
            key = known[self.writes % len(known)]
            statement = 'UPDATE "Plant A"."Sensor Readings" SET "Recorded At" = %s, "Value" = %s WHERE "Id" = %s'
            moment = moment if step == 1 else self.rows[key][0]
            connection.execute(statement, (moment, self.writes, key))
            self.rows[key] = (moment, self.writes)
        else:
            statement = (
                'INSERT INTO "Plant A"."Sensor Readings" ("order", "Recorded At", "Value")'
                ' VALUES (%s, %s, %s) RETURNING "Id"'
            )
            ((key,),) = connection.execute(statement, (1 + self.number, moment, self.writes)).fetchall()
            self.rows[key] = (moment, self.writes)


@dataclass
class Reader(threading.Thread):
    """One who counts and adds up, again and again, rows that nobody changes."""

    connect: Connect
    seen: set[tuple[int, int]] = field(default_factory=set)
    reads: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        query = 'SELECT count(*), sum("Id")::bigint FROM "Plant A"."Sensor Readings" WHERE "Id" <= 4000'
        with self.connect() as connection:
            connection.autocommit = True
            while not self.stopped.is_set():
                self.seen.update(connection.execute(query).fetchall())
                self.reads += 1


@dataclass
class Application:
    """Writers and readers; ``goes_on`` waits until each has got on."""

    writers: list[Writer]
    readers: list[Reader]

    def goes_on(self, count: int = 12) -> None:
        wanted = [(each, each.writes + count) for each in self.writers]
        reads = [(each, each.reads + 2) for each in self.readers]
        deadline = time.monotonic() + 60
        while any(each.writes < until for each, until in wanted) or any(each.reads < until for each, until in reads):
            assert time.monotonic() < deadline, "the application stands still"
            assert [each.error for each in self.writers if each.error] == []
            time.sleep(0.005)


@pytest.fixture
def application(connection: Connection, connect: Connect) -> Iterator[Application]:
    """Work on a table whose current month has no partition."""
    make_waiting(connection, rows=0)
    connection.execute('ALTER TABLE "Plant A"."Unit" ADD note int')
    for _, lower, _ in months(0, 1):
        insert(connection, lower, rows=UNTOUCHED // 2, value=0)
    found = Application([Writer(connect, number) for number in range(3)], [Reader(connect) for _ in range(2)])
    for each in (*found.writers, *found.readers):
        each.start()
    found.goes_on(40)
    yield found
    for each in (*found.writers, *found.readers):
        each.stopped.set()
        each.join()


# The steps of a split, and their modules.
STEPS = {
    "capture_rows": copies,
    "copy_rows": copies,
    "_verify": split,
    "_take_place": split,
    "_script": split,
}


def meanwhile(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the application get on between all steps of a split, and within its copy."""
    monkeypatch.setattr(copies, "SLICE_BLOCKS", 10)
    for name in ("capture_rows", "copy_rows", "_verify", "_take_place"):
        step = getattr(STEPS[name], name)

        def stepping(*args: Any, step: Callable[..., Any] = step) -> Any:
            result = step(*args)
            application.goes_on()
            return result

        monkeypatch.setattr(STEPS[name], name, stepping)


def test_readers_and_writers_go_on_and_miss_nothing(
    application: Application, connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(application, monkeypatch)
    run = mixed_run(connect)
    done = maintain(run, FEW)
    application.goes_on()
    for each in (*application.writers, *application.readers):
        each.stopped.set()
        each.join()
    assert failures(done) == []
    assert done.summary["split"] == [MIXED.default.name]
    assert [each.error for each in application.writers] == [None] * 3
    assert {len(each.seen) for each in application.readers} == {1}
    query = 'SELECT "Id", "Recorded At", "Value"::int FROM "Plant A"."Sensor Readings" WHERE "Id" > %s'
    written = {key: (at, value) for each in application.writers for key, (at, value) in each.rows.items()}
    found = connection.execute(query, (UNTOUCHED,)).fetchall()
    assert sorted(found) == sorted((key, *row) for key, row in written.items())
    reconciled = [each for each in statements(run) if each.startswith("Write the changed rows")]
    assert reconciled, "nothing changed meanwhile, so nothing was proved"
    assert leftovers(connection) == []


def test_a_capture_that_misses_changes_is_found_out_and_nothing_is_replaced(
    application: Application, connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison can turn red: without one of its triggers it does."""
    capture = copies.capture_rows

    def forgetful(run: Run, inner: Run, partition: TableName) -> None:
        capture(run, inner, partition)
        connection.execute(
            sql.SQL("DROP TRIGGER partition_playbook_split_update ON {}").format(MIXED.default.identifier)
        )

    monkeypatch.setattr(copies, "capture_rows", forgetful)
    meanwhile(application, monkeypatch)
    done = maintain(mixed_run(connect), FEW)
    assert any("checksum" in each for each in failures(done))
    assert NAMES[-3] not in partitions(connection)
    assert leftovers(connection) == []


@pytest.mark.parametrize("boundary", STEPS)
def test_a_split_that_breaks_off_is_removed_and_done_by_the_next_run(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch, boundary: str
) -> None:
    make_waiting(connection, rows=300)

    class Died(BaseException):
        pass

    def die(*args: Any) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(STEPS[boundary], boundary, die)
        with pytest.raises(Died):
            maintain(mixed_run(connect), FEW)
    assert len(contents(connection)) == 607
    assert exists(connection, STAGING)
    insert(connection, this_month(), rows=3, value=2)
    connection.execute('DELETE FROM "Plant A"."Sensor Readings" WHERE "Id" = 1')
    before = contents(connection)
    run = mixed_run(connect)
    assert isinstance(looked(run).actions[0], Abandon)
    done = maintain(run, FEW)
    assert failures(done) == []
    assert (done.summary["abandoned"], done.summary["split"]) == ([MIXED.default.name], [MIXED.default.name])
    assert contents(connection) == before
    assert leftovers(connection) == []


def test_what_a_split_left_is_removed_also_where_no_row_waits_any_more(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_waiting(connection, rows=300)
    monkeypatch.setattr(copies, "clean_up", lambda run: None)
    with monkeypatch.context() as patch:
        patch.setattr(split, "_verify", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            maintain(mixed_run(connect), FEW)
    connection.execute(sql.SQL("DELETE FROM {}").format(MIXED.default.identifier))
    done = maintain(mixed_run(connect), FEW)
    assert (failures(done), leftovers(connection)) == ([], [])
    assert (done.summary["abandoned"], done.summary["split"]) == ([MIXED.default.name], [])


def test_a_table_of_the_same_name_that_is_somebody_elses_is_left_alone(
    connection: Connection, connect: Connect
) -> None:
    make_waiting(connection, rows=20)
    connection.execute(sql.SQL("CREATE TABLE {} (precious int)").format(STAGING.identifier))
    done = maintain(mixed_run(connect), FEW)
    assert any("the name is taken" in each for each in failures(done))
    assert exists(connection, STAGING)
    assert len(contents(connection)) == 47


def test_truncate_is_refused_and_a_second_split_stays_away(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_waiting(connection, rows=20)
    copy = copies.copy_rows
    refused: list[BaseException] = []

    def interfere(inner: Run, partition: TableName) -> None:
        with pytest.raises(psycopg.errors.RaiseException, match="TRUNCATE"):
            connection.execute('TRUNCATE "Plant A"."Sensor Readings"')
        with pytest.raises(SplitUnderWay) as other:
            copies.abandon(mixed_run(connect))
        refused.append(other.value)
        copy(inner, partition)

    monkeypatch.setattr(copies, "copy_rows", interfere)
    assert failures(maintain(mixed_run(connect), FEW)) == []
    assert len(refused) == 1
    connection.execute('TRUNCATE "Plant A"."Sensor Readings"')


def test_a_split_whose_lock_was_lost_does_not_take_another_ones_copies(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session that only holds the lock dies, and another run begins a split of its own."""
    make_waiting(connection, rows=300)
    before = contents(connection)
    take_place = split._take_place

    class Died(BaseException):
        pass

    def die(*args: Any) -> None:
        raise Died

    def lose_the_lock(*args: Any) -> None:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        with monkeypatch.context() as patch:
            patch.setattr(copies, "copy_rows", die)
            with pytest.raises(Died):
                maintain(mixed_run(connect), FEW)
        take_place(*args)

    monkeypatch.setattr(split, "_take_place", lose_the_lock)
    with pytest.raises((SplitUnderWay, psycopg.OperationalError)):
        maintain(mixed_run(connect), FEW)
    assert contents(connection) == before
    monkeypatch.setattr(split, "_take_place", take_place)
    assert failures(maintain(mixed_run(connect), FEW)) == []
    assert contents(connection) == before
    assert leftovers(connection) == []


TRIGGER = """
    CREATE TABLE fired (at timestamptz);
    CREATE FUNCTION "Plant A".f() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO public.fired VALUES (now()); RETURN NULL; END$$;
"""


@pytest.mark.filterwarnings("ignore")
def test_what_would_see_a_move_does_not_see_a_split(connection: Connection, connect: Connect) -> None:
    make_waiting(connection, rows=3)
    connection.execute(TRIGGER)  # type: ignore[arg-type]
    connection.execute(
        'CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON "Plant A"."Sensor Readings"'
        ' FOR EACH ROW EXECUTE FUNCTION "Plant A".f();'
        'CREATE PUBLICATION p FOR TABLE "Plant A"."Sensor Readings" WITH (publish_via_partition_root)'
    )
    done = maintain(mixed_run(connect), MaintenanceParams(retention=RetentionMode.OFF))
    assert (failures(done), done.summary["split"]) == ([], [MIXED.default.name])
    assert connection.execute("SELECT * FROM fired").fetchall() == []
    insert(connection, this_month())
    connection.execute(sql.SQL("DELETE FROM {}").format(MIXED.default.identifier))
    assert connection.execute("SELECT count(*) FROM fired").fetchone() == (8,)


COPY = """
CREATE SCHEMA "Plant A";
CREATE TABLE "Plant A"."Sensor Readings" ("Id" bigint, "order" int, "Recorded At" timestamptz, "Value" numeric,
    "Double" numeric GENERATED ALWAYS AS ("Value" * 2) STORED, PRIMARY KEY ("Id", "Recorded At"))
"""


@pytest.mark.filterwarnings("ignore")
def test_a_live_subscriber_sees_every_write_and_no_split(
    connection: Connection, connect: Connect, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_waiting(connection, rows=20)
    connection.execute(
        'CREATE PUBLICATION scenario FOR TABLE "Plant A"."Sensor Readings" WITH (publish_via_partition_root)'
    )
    with subscribed(dsn, COPY, MIXED, ("Id",)) as subscriber:
        verify = split._verify

        def meanwhile(*args: Any) -> int:
            insert(connection, this_month(), rows=5, value=2)
            connection.execute('UPDATE "Plant A"."Sensor Readings" SET "Value" = 3 WHERE "Id" = 1')
            connection.execute('DELETE FROM "Plant A"."Sensor Readings" WHERE "Id" = 2')
            return verify(*args)

        monkeypatch.setattr(split, "_verify", meanwhile)
        done = maintain(mixed_run(connect), FEW)
        assert (failures(done), done.summary["split"]) == ([], [MIXED.default.name])
        insert(connection, this_month(), value=4)
        assert subscriber.unlike(dict(read_rows(connection, MIXED, ("Id",)))) == {}


REFUSED = {
    "PRIMARY": ('ALTER TABLE "Plant A"."Sensor Readings" DROP CONSTRAINT "Sensor Readings_pkey"', "no key"),
    "inbound key": (
        'CREATE TABLE "Plant A".n (a bigint, b timestamptz, FOREIGN KEY (a, b) REFERENCES "Plant A"."Sensor Readings")',
        "references the rows",
    ),
    "publication": ('CREATE PUBLICATION p FOR TABLE "Plant A"."Sensor Readings"', "p publishes each partition"),
    "publication of it": (
        'CREATE PUBLICATION p FOR TABLE "Plant A"."Sensor Readings_default"',
        "p publishes it by its own name",
    ),
    "publication of all": ("CREATE PUBLICATION p FOR ALL TABLES", "p would publish the copies"),
    "trigger": (
        TRIGGER + 'CREATE TRIGGER mine AFTER INSERT ON "Plant A"."Sensor Readings_default"'
        ' FOR EACH ROW EXECUTE FUNCTION "Plant A".f()',
        "the trigger mine is its own",
    ),
    "view": ('CREATE VIEW v AS SELECT * FROM "Plant A"."Sensor Readings_default"', "view v"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_kept_is_refused_by_name_and_nothing_is_begun(
    connection: Connection, connect: Connect, reason: str
) -> None:
    make_waiting(connection, rows=20)
    statement, words = REFUSED[reason]
    connection.execute(statement)  # type: ignore[call-overload]
    done = maintain(mixed_run(connect), FEW)
    assert any(words in each for each in failures(done)), failures(done)
    assert len(contents(connection)) == 47
    assert leftovers(connection) == []
    assert done.summary["created"] == [NAMES[-1]], "a month for which no row waits is created"


def test_a_dry_run_names_the_split(connection: Connection, connect: Connect) -> None:
    make_waiting(connection, rows=20)
    done = maintain(mixed_run(connect), FEW.model_copy(update={"dry_run": True}))
    assert done.summary["would_split"] == [MIXED.default.name]
    assert outcome(done, "partitions_ahead") is Outcome.SKIPPED
    assert leftovers(connection) == []


def test_rows_that_come_after_the_plan_are_split_off_too(connection: Connection, connect: Connect) -> None:
    make_waiting(connection, rows=0)
    run = mixed_run(connect)
    stale = looked(run, move_limit=10)
    insert(connection, this_month(), rows=50)
    done = apply(run, stale, move_limit=10)
    assert {each.ending for each in done} == {Ending.DONE}
    assert counts(connection) == {NAMES[-3]: 50}
