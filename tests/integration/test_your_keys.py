"""The printed way to the new keys is followed to the letter, while the application writes, and nothing is lost."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import psycopg
import pytest

from partition_playbook import artifacts, catalog
from partition_playbook.checks import Check, Outcome
from partition_playbook.database import Database
from partition_playbook.engine import rollback, shadow
from partition_playbook.markdown import escape
from partition_playbook.run import Run
from partition_playbook.sections.decision import page, report
from partition_playbook.sections.decision.record import RunRecord
from partition_playbook.sections.preflight import key_steps, planning
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.sections.preflight.key_steps import InboundKey, Place, Step
from partition_playbook.sections.snapshot import pg_tools
from partition_playbook.sections.validation.checks import validation_checks
from partition_playbook.spec import RunParams, TableSpec
from partition_playbook.workload import statement_statistics
from partition_playbook.workload.checks import workload_checks
from tests.fixtures.migration import finalize_anyway, migrate
from tests.fixtures.scenario_writer import wait_until
from tests.fixtures.stages import attach, load_all
from tests.fixtures.tables import open_run

Connect = Callable[[], psycopg.Connection]
Script = dict[Place, str]
PARAMS = RunParams(mode="rehearse", backup="skip", accept_weaker_uniqueness=True)
SPEC = TableSpec.model_validate({"table": "shop.Orders", "partition_by": "placed_at"})
BEGUN = datetime.now(UTC).replace(microsecond=0) - timedelta(days=90)
ORDERS, WRITES = 60, 60
TABLE = """
CREATE EXTENSION pg_stat_statements;
CREATE SCHEMA shop;
CREATE TABLE shop."Orders" (id bigint PRIMARY KEY, placed_at timestamptz NOT NULL, total int NOT NULL);
CREATE TABLE shop.lines (
    n int PRIMARY KEY,
    order_id bigint CONSTRAINT lines_order REFERENCES shop."Orders" ON DELETE CASCADE
);
CREATE INDEX ON shop.lines (order_id);
"""
FILL = """
INSERT INTO shop."Orders" SELECT n, %s::timestamptz + n * interval '1 day', 0 FROM generate_series(1, %s) n;
"""
LINES = "INSERT INTO shop.lines SELECT -n, 1 + n %% %s FROM generate_series(1, 4000) n"
UPSERT = (
    'INSERT INTO shop."Orders" (id, placed_at, total) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET total = '
    "excluded.total"
)
LINE = "INSERT INTO shop.lines (order_id, n) VALUES ($1, $2)"
NEW_LINE = (
    'INSERT INTO shop.lines (order_id, order_placed_at, n) SELECT id, placed_at, $2 FROM shop."Orders" WHERE id = $1'
)


@dataclass
class Application:
    """An application that writes orders by ON CONFLICT and lines with a foreign key, and knows what it committed."""

    connect: Connect
    upsert: str = UPSERT
    line: str = LINE
    orders: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(1, ORDERS + 1), 0))
    lines: dict[int, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._turn, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join(60)

    def change(self, upsert: str, line: str) -> None:
        """Deploy new texts; no transaction with an old one is open afterwards."""
        with self._turn:
            self.upsert, self.line = upsert, line

    def let_write(self) -> None:
        """Wait until so many more lines are committed, or a statement failed."""
        wanted = len(self.lines) + WRITES
        wait_until(lambda: len(self.lines) >= wanted or bool(self.errors), "writes of the application")
        assert self.errors == []

    def agree(self, connection: psycopg.Connection) -> None:
        """Compare every order and every line with what was committed, while nobody writes."""
        with self._turn:
            assert self.errors == []
            found = connection.execute('SELECT id, total, placed_at FROM shop."Orders"').fetchall()
            assert len(found) == len(self.orders)
            assert {each[0]: each[1] for each in found} == self.orders
            assert all(each[2] == placed(each[0]) for each in found)
            mine = connection.execute("SELECT n, order_id FROM shop.lines WHERE n > 0").fetchall()
            assert dict(cast(Any, mine)) == self.lines
            assert connection.execute("SELECT count(*) FROM shop.lines WHERE n < 0").fetchone() == (4000,)

    def _work(self) -> None:
        with self.connect() as connection:
            connection.autocommit = True
            for number in count(1):
                if self._over.wait(0.002) or self.errors:
                    return
                with self._turn:
                    self._write(connection, number)

    def _write(self, connection: psycopg.Connection, number: int) -> None:
        key = 1 + number % (ORDERS + number // 10)  # most times an order that is there, sometimes a new one
        try:
            with connection.transaction():
                send(connection, self.upsert, key, placed(key), number)
                send(connection, self.line, key, number)
        except psycopg.Error as error:
            self.errors.append(f"{error.sqlstate} {error}")
            return
        self.orders[key], self.lines[number] = number, key


def send(connection: psycopg.Connection, text: str, *values: object) -> None:
    """Execute a text with $1 and so on, as an application sends it."""
    names = {f"p{number}": value for number, value in enumerate(values, 1)}
    connection.execute(cast(Any, re.sub(r"\$(\d)", r"%(p\1)s", text)), names)


def placed(key: int) -> datetime:
    return BEGUN + timedelta(days=key % 80)


@pytest.fixture
def application(connection: psycopg.Connection, connect: Connect) -> Iterator[Application]:
    connection.execute(TABLE)
    connection.execute(FILL, (BEGUN, ORDERS))
    connection.execute(LINES, (ORDERS,))
    connection.execute("ANALYZE")
    with Application(connect) as application:
        application.let_write()
        yield application


def script(checks: list[Check]) -> Script:
    """Return the printed script, cut at its steps."""
    printed = "\n".join(key_steps.lines(checks))
    cut = re.split(r"^-- (\d)\. ", printed, flags=re.MULTILINE)
    found: Script = {}
    for number, text in zip(cut[1::2], cut[2::2], strict=True):
        place = Place(int(number))
        found[place] = f"{found.get(place, '')}-- {text}"
    return found


def psql(dsn: str, text: str) -> None:
    """Execute a step in psql; again while lock_timeout ends it, as the script says."""
    tool = pg_tools.find("psql", 14)
    for _ in range(20):
        done = subprocess.run(
            [str(tool), "-X", "-v", "ON_ERROR_STOP=1", "-d", dsn],
            input=text,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode == 0 or "lock timeout" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr


def blocking(checks: list[Check]) -> list[str]:
    return [each.name for each in checks if each.blocks]


def new_upsert(printed: str) -> str:
    """Return the text that the script gives for the application's upsert."""
    (found,) = re.findall(r"^-- then: +(.*)$", printed, re.MULTILINE)
    return str(found)


def is_valid(run: Run) -> None:
    assert [str(each) for each in validation_checks(run) if each.outcome is Outcome.FAILED and each.blocks] == []


def test_the_printed_way_leads_from_refusal_to_go_and_back_and_to_go_again(
    application: Application, connection: psycopg.Connection, connect: Connect, dsn: str
) -> None:
    run = open_run(connect, SPEC, "first")
    checks = preflight_checks(run, PARAMS)
    assert blocking(checks) == ["inbound_keys", "upserts"]
    printed = script(checks)
    assert list(printed) == list(Place)

    for place in (Place.INDEX, Place.COLUMN):
        psql(dsn, printed[place])
    application.let_write()  # the old texts still work
    assert 'INSERT INTO "shop"."lines" ("order_id", "order_placed_at", …)' in printed[Place.STATEMENTS]
    application.change(new_upsert(printed[Place.STATEMENTS]), NEW_LINE)
    assert 'ON CONFLICT (id, "placed_at")' in application.upsert
    for place in (Place.FILL, Place.KEY, Place.VALIDATE, Place.DROP, Place.FORGET):
        psql(dsn, printed[place])
        application.let_write()
    application.agree(connection)
    assert connection.execute("SELECT count(*) FROM shop.lines WHERE order_placed_at IS NULL").fetchone() == (0,)

    checks = preflight_checks(run, PARAMS)
    assert blocking(checks) == []
    assert list(script(checks)) == [Place.AFTERWARDS]
    migrate(run)
    goes_on(run, application, connection)
    rollback.roll_back(run)
    application.let_write()
    application.agree(connection)
    rollback.abandon(run)

    again = open_run(connect, SPEC, "again")
    checks = preflight_checks(again, PARAMS)
    assert blocking(checks) == []
    migrate(again)
    goes_on(again, application, connection)
    finalize_anyway(again)
    indexes = names_of_indexes(connection)
    psql(dsn, re.sub(r"^-- (BEGIN|SET|DROP|COMMIT)", r"\1", script(checks)[Place.AFTERWARDS], flags=re.MULTILINE))
    assert indexes - names_of_indexes(connection) == {"Orders_id_placed_at_key"}
    application.let_write()
    application.agree(connection)
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="lines_order"):
        connection.execute("INSERT INTO shop.lines VALUES (0, -1, now())")


def goes_on(run: Run, application: Application, connection: psycopg.Connection) -> None:
    """Check the partitioned table while the application writes, and its rows afterwards."""
    is_valid(run)
    application.let_write()
    application.agree(connection)
    assert connection.execute("SELECT relkind::text FROM pg_class WHERE relname = 'Orders'").fetchone() == ("p",)


def names_of_indexes(connection: psycopg.Connection) -> set[str]:
    query = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'shop.\"Orders\"'::regclass"
    return {name.removeprefix("shop.").strip('"') for (name,) in connection.execute(query)}


def test_the_plan_and_the_report_print_the_same_script(
    application: Application, connection: psycopg.Connection, connect: Connect
) -> None:
    run = open_run(connect, SPEC, "first")
    checks = preflight_checks(run, PARAMS)
    replace(run.ledger, section="preflight").record_checks(checks)
    content = report.compose(RunRecord.read(run), PARAMS)
    printed = key_steps.lines(checks)
    assert content["key_steps"] == printed
    assert len(printed) > 50
    text = report.render(content)
    assert all(f"    {line}\n" in text for line in printed)
    assert escape(printed[-1]) == printed[-1] or escape(printed[-1]) not in text
    assert printed[0] in page.render(content)


def test_the_kept_plan_ends_with_the_steps(
    application: Application, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(artifacts.ARTIFACTS_VARIABLE, str(tmp_path))
    run = open_run(connect, SPEC, "first")
    checks = preflight_checks(run, PARAMS)
    kept = planning.export(planning.planned(run, PARAMS, checks), checks, "manual__1", Path)
    as_sql, as_json = map(Path, kept)
    steps = key_steps.lines(checks)
    assert as_sql.read_text().endswith("\n" + "\n".join(steps) + "\n")
    assert json.loads(as_json.read_text())["key_steps"] == steps


def test_a_row_that_was_missed_is_told_by_validation_and_filled_by_repeating_the_step(
    application: Application, connection: psycopg.Connection, connect: Connect, dsn: str
) -> None:
    printed = script(preflight_checks(open_run(connect, SPEC, "first"), PARAMS))
    for place in (Place.INDEX, Place.COLUMN, Place.FILL):
        psql(dsn, printed[place])
    application.let_write()  # with the old text, after the step that fills
    application.change(new_upsert(printed[Place.STATEMENTS]), NEW_LINE)
    psql(dsn, printed[Place.KEY])
    with pytest.raises(AssertionError, match="lines_order_placed_at_check"):
        psql(dsn, printed[Place.VALIDATE])
    for place in (Place.FILL, Place.VALIDATE, Place.DROP):
        psql(dsn, printed[place])
    application.let_write()
    application.agree(connection)


PAUSE = """
CREATE TABLE shop.rare (id bigint, placed_at timestamptz NOT NULL, total int NOT NULL);
CREATE FUNCTION shop.pause(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
  IF current_setting('test.pause', true) = 'on' THEN PERFORM pg_advisory_xact_lock(1); END IF; RETURN $1; END $$;
CREATE INDEX first_index ON shop.rare (shop.pause(id));
ALTER TABLE shop.rare ADD PRIMARY KEY (id);
CREATE UNIQUE INDEX later ON shop.rare (id, placed_at);
"""


def test_two_sessions_with_the_same_new_row_before_the_cutover(
    connection: psycopg.Connection, connect: Connect
) -> None:
    """The documented limit: between the look at the new key and the write of the old one another session commits."""
    connection.execute(TABLE)
    connection.execute(PAUSE)
    upsert = UPSERT.replace("(id) DO", "(id, placed_at) DO").replace('"Orders"', "rare")
    caught: list[psycopg.Error] = []

    def pause_and_write() -> None:
        with connect() as other:
            other.execute("SET test.pause = on")
            try:
                send(other, upsert, 1, BEGUN, 2)
            except psycopg.Error as error:
                caught.append(error)

    with connect() as holder:
        holder.execute("SELECT pg_advisory_lock(1)")
        second = threading.Thread(target=pause_and_write)
        second.start()
        waits = (
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        wait_until(lambda: connection.execute(waits).fetchone() == (1,), "the second session's pause")
        send(connection, upsert, 1, BEGUN, 1)
        holder.execute("SELECT pg_advisory_unlock(1)")
        second.join(60)
    assert [each.diag.constraint_name for each in caught if each.sqlstate == "23505"] == ["rare_pkey"]
    send(connection, upsert, 1, BEGUN, 2)
    assert connection.execute("SELECT id, total FROM shop.rare").fetchall() == [(1, 2)]


def test_only_the_statements_that_change_are_forgotten_and_the_grant_for_it_is_named(
    connection: psycopg.Connection, connect: Connect, template: str
) -> None:
    connection.execute(TABLE)
    connection.execute('SELECT count(*) FROM shop."Orders"')
    send(connection, UPSERT, 1, BEGUN, 1)
    role = f"{template}_forgetful"
    run = open_run(connect, SPEC, "first")
    connection.execute(cast(Any, f"CREATE ROLE {role} IN ROLE pg_read_all_stats"))
    try:
        with Database(connect).session() as session:
            session.connection.execute(cast(Any, f"SET ROLE {role}"))
            found = statement_statistics.read(session, run.table)
        (changed,) = [each for each in found.statements if "ON CONFLICT" in each.text]
        grant, forget = found.forget([changed])
        assert grant.startswith("GRANT EXECUTE ON FUNCTION public.pg_stat_statements_reset(oid,oid,bigint")
        assert grant.endswith(f" TO {role}")

        connection.execute(cast(Any, f"SET ROLE {role}"))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(cast(Any, forget))
        connection.execute("RESET ROLE")
        connection.execute(cast(Any, grant))
        connection.execute(cast(Any, f"SET ROLE {role}"))
        connection.execute(cast(Any, forget))
        connection.execute("RESET ROLE")
    finally:
        connection.execute(cast(Any, f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}"))

    with Database(connect).session() as session:
        left = statement_statistics.read(session, run.table)
    assert not [each for each in left.statements if "ON CONFLICT" in each.text]
    assert [each.text for each in left.statements if "count(*)" in each.text] == ['SELECT count(*) FROM shop."Orders"']
    assert left.forget(left.statements)[0].startswith('SELECT "public".pg_stat_statements_reset(')  # a superuser may


def test_a_key_without_a_way_is_dropped_with_the_reason(connection: psycopg.Connection, connect: Connect) -> None:
    connection.execute(TABLE)
    connection.execute('ALTER TABLE shop."Orders" ADD parent bigint REFERENCES shop."Orders"')
    connection.execute(
        "CREATE TABLE shop.parts (id bigint NOT NULL, order_id bigint DEFAULT 7 CONSTRAINT parts_order REFERENCES "
        'shop."Orders" ON DELETE SET DEFAULT)'
    )
    check = {each.name: each for each in preflight_checks(open_run(connect, SPEC, "first"), PARAMS)}["inbound_keys"]
    assert "Drop parts_order on shop.parts: SET DEFAULT has no default for the partition column" in check.remedy
    assert "refers to its own table" in check.remedy
    drops = script([check])[Place.DROP]
    assert 'ALTER TABLE "shop"."parts" DROP CONSTRAINT "parts_order";' in drops
    assert 'ALTER TABLE "shop"."Orders" DROP CONSTRAINT "Orders_parent_fkey";' in drops
    assert 'RENAME CONSTRAINT "lines_order_placed_at_fkey" TO "lines_order";' in drops


def steps_of_lines(connect: Connect, server: int) -> dict[Place, Step]:
    """Return the steps for the key of shop.lines, as a server of this version would get them."""
    with Database(connect).session() as session:
        table = catalog.require(session, SPEC.name)
        (row,) = session.rows("preflight/list_inbound_keys", {"schema": "shop", "name": "Orders"})
    return {each.place: each for each in InboundKey(table, "placed_at", row, server).steps()}


def test_before_postgresql_15_the_new_key_has_no_action(connection: psycopg.Connection, connect: Connect) -> None:
    connection.execute(TABLE)
    older, newer = (steps_of_lines(connect, server)[Place.KEY] for server in (14, 15))
    assert "ON DELETE CASCADE NOT VALID" in newer.text
    assert "CASCADE" not in older.text
    assert "Without ON DELETE CASCADE" in older.comments[0]


def test_a_key_that_was_never_validated_stays_so(connection: psycopg.Connection, connect: Connect) -> None:
    connection.execute(TABLE)
    connection.execute("ALTER TABLE shop.lines DROP CONSTRAINT lines_order")
    connection.execute(
        'ALTER TABLE shop.lines ADD CONSTRAINT lines_order FOREIGN KEY (order_id) REFERENCES shop."Orders" '
        "ON UPDATE CASCADE DEFERRABLE NOT VALID"
    )
    steps = steps_of_lines(connect, 17)
    assert Place.VALIDATE not in steps
    assert " ON UPDATE CASCADE DEFERRABLE NOT VALID;" in steps[Place.KEY].text
    assert not [each for each in steps[Place.STATEMENTS].comments if "23503" in each]


def test_the_way_can_be_taken_up_again(connection: psycopg.Connection, connect: Connect) -> None:
    """An invalid index is dropped first, a valid one is not made again; a column of another type is left alone."""
    connection.execute(TABLE)
    connection.execute('CREATE UNIQUE INDEX "Orders_id_placed_at_key" ON shop."Orders" (id, placed_at)')
    connection.execute("ALTER TABLE shop.lines ADD order_placed_at text")
    steps = steps_of_lines(connect, 17)
    assert Place.INDEX not in steps
    assert '"order_placed_at_key" timestamp with time zone' in steps[Place.COLUMN].text

    invalid = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass"
    connection.execute(invalid, ('shop."Orders_id_placed_at_key"',))
    assert steps_of_lines(connect, 17)[Place.INDEX].text.splitlines() == [
        'DROP INDEX CONCURRENTLY "shop"."Orders_id_placed_at_key";',
        'CREATE UNIQUE INDEX CONCURRENTLY "Orders_id_placed_at_key" ON "shop"."Orders" ("id", "placed_at");',
    ]


def test_the_late_checks_forget_only_their_statements(connection: psycopg.Connection, connect: Connect) -> None:
    connection.execute(TABLE)
    connection.execute(FILL, (BEGUN, ORDERS))
    send(connection, UPSERT, 1, placed(1), 1)
    send(connection, 'INSERT INTO shop."Orders" VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', 1, placed(1), 1)
    run = open_run(connect, SPEC, "first")
    connection.execute("DROP TABLE shop.lines")
    shadow.build(run)
    load_all(run)
    attach(run)
    checks = {each.name: each for each in workload_checks(run)}
    for name in ("workload_runs", "workload_deduplicates"):
        assert checks[name].blocks
        assert len(re.findall(r"queryid IN \(-?\d+\)", checks[name].remedy)) == 1
        assert "pg_stat_statements_reset()" not in checks[name].remedy
