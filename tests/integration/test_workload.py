"""The live workload: the application's own statements, planned on the shadow before it takes over."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.database import Database
from partition_playbook.engine import attach, cutover, layout, load, reconcile, rollback, shadow
from partition_playbook.engine.sides import Direction
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec, load_spec
from partition_playbook.workload import statement_planner, statement_statistics
from partition_playbook.workload.checks import NAMES, workload_checks
from partition_playbook.workload.statements import ParsedStatement
from tests.fixtures.tables import fill_readings, let_copies_be_at_home, open_run

Connect = Callable[[], psycopg.Connection]
INSERT = (
    "INSERT INTO sensor_readings (id, unit_id, device_id, recorded_at) "
    "SELECT 1, u.id, d.id, now() FROM units u, devices d WHERE false"
)


def build(run: Run) -> None:
    for each in shadow.build(run):
        load.load_partition(run, each["partition_name"], workers=1)
    attach.attach_partitions(run)
    reconcile.catch_up(run)


@pytest.fixture(scope="session")
def template(server_dsn: str) -> str:
    """Return a template database in which the shadow stands beside the worked table, and statements are counted."""
    name = f"playbook_shadowed_{os.getpid()}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    dsn = make_conninfo(server_dsn, dbname=name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill_readings(connection, 2_000, days=120)
        connection.execute("CREATE EXTENSION pg_stat_statements")
        # What hundreds of other tests left made the server forget some.
        connection.execute("SELECT pg_stat_statements_reset()")
    build(open_run(partial(psycopg.connect, dsn), load_spec("sensor_readings"), "test-run"))
    let_copies_be_at_home(dsn)
    return name


def send(connection: psycopg.Connection, *statements: str, times: int = 1) -> None:
    for each in statements:
        for _ in range(times):
            connection.execute(cast(Any, each))


def found(run: Run) -> dict[str, Check]:
    return {each.name: each for each in workload_checks(run)}


def blocking(run: Run) -> list[str]:
    return [each["query"] for each in found(run)["workload_runs"].evidence["statements"]]


def listed(run: Run, check: str = "workload_prunes") -> list[str]:
    return [each["query"] for each in found(run)[check].evidence["statements"]]


def test_an_upsert_on_the_old_key_blocks(run: Run, connection: psycopg.Connection) -> None:
    send(connection, f"{INSERT} ON CONFLICT (id) DO NOTHING", times=3)
    send(connection, "SELECT count(*) FROM sensor_readings WHERE recorded_at > now()")
    check = found(run)["workload_runs"]
    assert check.blocks
    (evidence,) = check.evidence["statements"]
    assert (evidence["calls"], evidence["share_of_calls"]) == (3, 0.75)
    assert 0 < evidence["share_of_time"] < 1
    assert "no unique or exclusion constraint matching the ON CONFLICT" in evidence["reason"]
    assert "ON CONFLICT (id) DO NOTHING" in check.actual
    assert "(id, recorded_at)" in check.remedy


@pytest.mark.parametrize(
    "clause",
    [
        "ON CONFLICT (id, recorded_at) DO UPDATE SET source = excluded.source || sensor_readings.source",
        "RETURNING sensor_readings.id, public.sensor_readings.source",
    ],
)
def test_a_write_that_the_new_key_serves_does_not_block(run: Run, connection: psycopg.Connection, clause: str) -> None:
    if "(id, recorded_at)" in clause:
        send(connection, "CREATE UNIQUE INDEX also ON sensor_readings (id, recorded_at)")
    send(connection, f"{INSERT} {clause}")
    checks = found(run)
    assert [str(each) for each in checks.values() if each.outcome is not Outcome.PASSED] == []
    assert checks["workload_seen"].evidence["statements"] == 1


def test_a_group_by_that_leans_on_the_old_key_blocks(run: Run, connection: psycopg.Connection) -> None:
    send(connection, "SELECT id, battery, count(*) FROM sensor_readings GROUP BY id")
    assert len(blocking(run)) == 1
    assert "must appear in the GROUP BY" in found(run)["workload_runs"].actual


def test_only_blocks_because_it_would_find_nothing(run: Run, connection: psycopg.Connection) -> None:
    send(connection, "SELECT count(*) FROM ONLY sensor_readings")
    assert "ONLY finds no row" in found(run)["workload_runs"].actual


ANY_KEY = f"{INSERT} ON CONFLICT DO NOTHING"
REFUSED_WHEN_RUN = {
    "the idiom that tells an insert from a conflict": (f"{ANY_KEY} RETURNING (xmax = 0) AS inserted", "no xmax"),
    "the transaction that inserted": (f"WITH new AS ({INSERT} RETURNING xmin) SELECT * FROM new", "no xmin"),
    "a batch of deletes by ctid": (
        "DELETE FROM sensor_readings WHERE ctid IN (SELECT ctid FROM sensor_readings WHERE battery < 0 LIMIT 10)",
        "the same ctid",
    ),
}


@pytest.mark.parametrize("kind", REFUSED_WHEN_RUN)
def test_what_only_goes_wrong_when_it_runs_blocks(run: Run, connection: psycopg.Connection, kind: str) -> None:
    text, reason = REFUSED_WHEN_RUN[kind]
    send(connection, text)
    assert len(blocking(run)) == 1
    assert reason in found(run)["workload_runs"].actual


def test_a_partitioned_table_has_no_xmax_of_what_is_inserted(run: Run, connection: psycopg.Connection) -> None:
    """The server itself refuses it, on every version, and only then: where this fails, the check may go."""
    cutover.swap(run, Direction.FORWARD)
    returning = f"{ANY_KEY.replace('WHERE false', 'LIMIT 1')} RETURNING"
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="cannot retrieve a system column"):
        connection.execute(cast(Any, f"{returning} (xmax = 0)"))
    send(
        connection, f"{returning} ctid, tableoid", "UPDATE sensor_readings SET battery = 1 WHERE id = 1 RETURNING xmax"
    )


def test_system_columns_that_are_there_do_not_block(run: Run, connection: psycopg.Connection) -> None:
    send(
        connection,
        f"{ANY_KEY} RETURNING ctid, tableoid, 'xmax' AS battery",
        "UPDATE sensor_readings SET battery = 1 WHERE id = -1 AND recorded_at = '2020-01-01' RETURNING xmin, xmax",
        "DELETE FROM sensor_readings WHERE (tableoid, ctid) IN (SELECT tableoid, ctid FROM sensor_readings "
        "WHERE recorded_at < '2001-01-01' LIMIT 10)",
        "SELECT ctid, xmin FROM sensor_readings WHERE recorded_at > now()",
    )
    assert found(run)["workload_runs"].outcome is Outcome.PASSED


def copy(connection: psycopg.Connection, text: str, *lines: str) -> None:
    with connection.cursor().copy(cast(Any, text)) as copied:
        if text.endswith("STDIN"):
            for each in lines:
                copied.write(each)
        else:
            list(copied)


def test_copy_of_the_table_itself_blocks_one_way_only(run: Run, connection: psycopg.Connection) -> None:
    for text in (
        "COPY sensor_readings (id) TO STDOUT",
        "COPY sensor_readings FROM STDIN",
        "COPY (SELECT id FROM sensor_readings WHERE recorded_at > now()) TO STDOUT",
        "COPY (SELECT id FROM sensor_readings WHERE battery = 3) TO STDOUT",
    ):
        copy(connection, text)
    checks = found(run)
    assert blocking(run) == ["COPY sensor_readings (id) TO STDOUT"]
    assert "COPY … TO does not accept a partitioned table" in checks["workload_runs"].actual
    assert checks["workload_explained"].outcome is Outcome.PASSED
    assert [each for each in listed(run) if "battery" in each]


def test_the_first_copy_of_a_replica_does_not_block(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("CREATE PUBLICATION readings FOR TABLE sensor_readings")
    copy(connection, "COPY public.sensor_readings (id) TO STDOUT")
    checks = found(run)
    assert not checks["workload_runs"].blocks
    assert "the initial table synchronization of a subscription" in checks["workload_explained"].actual


def test_what_wants_the_partition_column_is_listed_with_its_share(run: Run, connection: psycopg.Connection) -> None:
    send(connection, "SELECT * FROM sensor_readings WHERE device_id = gen_random_uuid()", times=3)
    send(connection, "UPDATE sensor_readings SET battery = 1 WHERE id = 77")
    send(
        connection,
        "SELECT * FROM sensor_readings WHERE device_id = gen_random_uuid() AND recorded_at > now() - interval '7 days'",
        "SELECT * FROM sensor_readings WHERE recorded_at >= '2020-01-01' AND recorded_at < timestamptz '2020-02-01'",
        "DELETE FROM sensor_readings WHERE recorded_at < now() - interval '9 years'",
        "UPDATE sensor_readings SET battery = 1 WHERE id = 77 AND recorded_at = '2020-01-01'",
        "SELECT date_trunc('day', recorded_at), extract(hour from recorded_at), count(*) FROM sensor_readings "
        "WHERE recorded_at > now() GROUP BY date_trunc('day', recorded_at), extract(hour from recorded_at)",
        "SELECT 1 FROM sensor_readings WHERE recorded_at IN ('2020-01-01', '2020-01-02', '2020-01-03')",
    )
    checks = found(run)
    check = checks["workload_prunes"]
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    shares = {each["query"].split()[0]: each["share_of_calls"] for each in check.evidence["statements"]}
    assert shares == {"SELECT": 0.3, "UPDATE": 0.1}
    times = [each["total_ms"] for each in check.evidence["statements"]]
    assert times == sorted(times, reverse=True)
    assert "2 of 8, 40 % of the calls" in check.actual
    assert checks["workload_explained"].outcome is Outcome.PASSED
    assert checks["workload_runs"].outcome is Outcome.PASSED
    assert checks["workload_seen"].outcome is Outcome.PASSED


TODAY, DAY = datetime.now(UTC), timedelta(days=1)
# Each statement as a driver sends it, with its values, and the partitions that it may read at most and must at least.
FEW = {
    "an open end": ("recorded_at >= %s", (TODAY - DAY,), "from a month before the newest row"),
    "the past days": ("recorded_at > now() - %s", (DAY,), "from a week before the newest row"),
    "both ends": ("recorded_at BETWEEN %s AND %s", (TODAY - DAY, TODAY), "from a day before the newest row"),
    "a search form": ("(%s::timestamptz IS NULL OR recorded_at >= %s)", (TODAY, TODAY), "from a day before"),
    "one moment": ("recorded_at = %s", (TODAY,), "reads 1 of"),
    "a list of moments": ("recorded_at = ANY (%s)", ([TODAY, TODAY - DAY],), "reads 1 of"),
    "a date": ("battery = %s AND recorded_at >= %s", (1, TODAY.date()), "from a month before the newest row"),
}


def reads(run: Run) -> Check:
    return found(run)["workload_prunes"]


@pytest.mark.parametrize("kind", FEW)
def test_a_range_is_tried_with_values_of_the_rows(run: Run, connect: Connect, kind: str) -> None:
    condition, values, told = FEW[kind]
    with connect() as connection:
        connection.execute(cast(Any, f"SELECT * FROM sensor_readings WHERE {condition}"), values)
    check = reads(run)
    (statement,) = check.evidence["reads"]
    assert told in statement["reason"]
    assert 1 <= statement["partitions_read"] <= 2 < statement["partitions_with_rows"]
    assert (check.outcome, check.evidence["count"]) == (Outcome.PASSED, 0)


@pytest.mark.parametrize("clause", ["recorded_at <= %s", "battery = 1 AND recorded_at < %s ORDER BY recorded_at"])
def test_an_upper_bound_alone_is_told_by_what_it_reads(run: Run, connect: Connect, clause: str) -> None:
    """A comparison with NULL removes every partition, so the plan with NULLs looked as if it pruned."""
    with connect() as connection:
        connection.execute(cast(Any, f"SELECT * FROM sensor_readings WHERE {clause}"), (TODAY,))
    check = reads(run)
    (statement,) = check.evidence["statements"]
    every = statement["partitions_with_rows"]
    assert statement["partitions_read"] == every
    assert f"reads 1 of {every} partitions with rows up to a day after the oldest row" in check.actual
    assert f"{every} up to the newest row" in check.actual
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)


def test_the_told_partitions_are_those_of_the_server(run: Run, connection: psycopg.Connection) -> None:
    send(connection, "SELECT * FROM sensor_readings WHERE recorded_at >= now() - interval '30 days'")
    (statement,) = reads(run).evidence["reads"]
    # A partition without a row in the range is read too: the plan is asked, not the rows.
    newest = connection.execute("SELECT max(recorded_at) - interval '30 days' FROM sensor_readings").fetchone()
    filled = connection.execute("SELECT DISTINCT tableoid::regclass::text FROM sensor_readings_new").fetchall()
    assert newest
    query = sql.SQL("EXPLAIN SELECT * FROM sensor_readings_new WHERE recorded_at >= {}").format(newest[0])
    plan = str(connection.execute(query).fetchall())
    scanned = [each for (each,) in filled if f" on {each} " in plan]
    assert (statement["partitions_read"], statement["partitions_with_rows"]) == (len(scanned), len(filled))


def test_retention_is_judged_by_the_oldest_rows(run: Run, connect: Connect) -> None:
    with connect() as connection:
        connection.execute("DELETE FROM sensor_readings WHERE recorded_at < %s", (TODAY - 999 * DAY,))
    check = reads(run)
    assert check.outcome is Outcome.PASSED
    assert "up to a month after the oldest row" in check.actual


@pytest.mark.parametrize(
    ("condition", "value"),
    [("recorded_at >= to_timestamp(%s)", 1.5), ("recorded_at > now() - %s * interval '1 day'", 7)],
)
def test_a_value_that_nobody_can_guess_is_no_pass(run: Run, connect: Connect, condition: str, value: float) -> None:
    with connect() as connection:
        connection.execute(cast(Any, f"SELECT * FROM sensor_readings WHERE {condition}"), (value,))
    checks = found(run)
    assert "a parameter without a typical value" in checks["workload_explained"].actual
    for name in ("workload_runs", "workload_prunes", "workload_explained"):
        assert (checks[name].outcome, checks[name].severity) == (Outcome.FAILED, Severity.WARNING)


def test_no_time_left_is_no_pass(run: Run, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_planner, "BUDGET_SECONDS", 0.0)
    send(connection, "SELECT count(*) FROM sensor_readings WHERE recorded_at > now()")
    checks = found(run)
    assert "no time left" in checks["workload_explained"].actual
    assert checks["workload_runs"].actual == "0 statements would run; 1 statement not tried, see workload_explained"
    assert checks["workload_runs"].severity is Severity.WARNING
    assert {checks[name].outcome for name in ("workload_runs", "workload_prunes")} == {Outcome.FAILED}


def test_without_any_statement_nothing_passes(run: Run, connection: psycopg.Connection) -> None:
    content = run.spec.model_dump() | {"application": {}, "queries": []}
    checks = found(replace(run, spec=run.spec.model_validate(content)))
    assert {checks[name].outcome for name in NAMES} == {Outcome.SKIPPED}
    assert "nothing was tried" in checks["workload_runs"].actual


def test_the_query_of_a_command_is_tried(run: Run, connection: psycopg.Connection) -> None:
    send(
        connection,
        "PREPARE by_battery (int) AS SELECT * FROM sensor_readings WHERE battery = $1",
        "EXECUTE by_battery (3)",
        "CREATE TABLE copied AS SELECT * FROM sensor_readings WHERE battery = 4",
    )
    assert sorted(each.split()[0] for each in listed(run)) == ["CREATE", "PREPARE"]


def test_utility_statements_are_left_out_and_counted(run: Run, connection: psycopg.Connection) -> None:
    send(
        connection,
        "ALTER TABLE sensor_readings SET (fillfactor = 90)",
        "BEGIN; LOCK TABLE sensor_readings; COMMIT",
        "CREATE VIEW recent AS SELECT * FROM sensor_readings",
        "SELECT count(*) FROM sensor_readings WHERE recorded_at > now()",
    )
    check = found(run)["workload_seen"]
    assert check.evidence["statements"] == 1
    assert check.actual.endswith("; 3 utility statements left out")


def test_with_parameters_as_drivers_send_them(run: Run, connect: Connect) -> None:
    with connect() as connection:
        for _ in range(8):
            connection.execute("SELECT * FROM sensor_readings WHERE id = %s AND recorded_at > %s", (1, "2020-01-01"))
            connection.execute("SELECT * FROM sensor_readings WHERE id = ANY (%s)", ([1, 2],))
    (query,) = listed(run)
    assert "ANY" in query


def test_a_plain_insert_has_nothing_to_prune(run: Run, connect: Connect) -> None:
    columns = "(unit_id, device_id, temperature, recorded_at)"
    text = f"INSERT INTO sensor_readings {columns} VALUES (%s, %s, %s, %s) RETURNING id"
    with connect() as connection:
        parents = connection.execute("SELECT u.id, d.id FROM units u, devices d LIMIT 1").fetchone()
        assert parents
        connection.execute(cast(Any, text), (*parents, 20.5, TODAY))
    checks = found(run)
    assert checks["workload_explained"].outcome is Outcome.PASSED
    assert checks["workload_runs"].actual == "1 statement would run"


def test_what_only_looks_like_the_table_is_left_alone(run: Run, connection: psycopg.Connection) -> None:
    send(
        connection,
        "CREATE TABLE labels (sensor_readings int, id int); CREATE SCHEMA other; "
        "CREATE TABLE other.sensor_readings (id int primary key)",
        "SELECT 'FROM sensor_readings' FROM labels WHERE id = 1 -- FROM sensor_readings",
        "SELECT sensor_readings.id FROM labels sensor_readings WHERE sensor_readings.sensor_readings = 1",
        "SELECT a.id FROM labels a JOIN labels b USING (sensor_readings)",
        "INSERT INTO other.sensor_readings VALUES (1) ON CONFLICT (id) DO NOTHING",
    )
    assert found(run)["workload_seen"].evidence["statements"] == 0


def test_the_name_may_stand_beside_the_table(run: Run, connection: psycopg.Connection) -> None:
    send(
        connection,
        "SELECT 'it''s FROM sensor_readings', sensor_readings.id, public.sensor_readings.battery "
        "FROM public.sensor_readings WHERE recorded_at > now() ORDER BY sensor_readings.id",
        'SELECT u.name FROM units u JOIN "sensor_readings" AS "units" ON "units".unit_id = u.id '
        "WHERE units.recorded_at > now() FOR UPDATE OF units",
        "SELECT to_json(sensor_readings) FROM sensor_readings WHERE recorded_at > now()",
        "SELECT count(*) FROM sensor_readings sensor_readings WHERE sensor_readings.recorded_at > now()",
        "WITH gone AS (DELETE FROM SENSOR_READINGS r USING units sensor_readings WHERE r.recorded_at > now() "
        "AND r.unit_id = sensor_readings.id RETURNING r.*) SELECT count(*) FROM gone",
    )
    checks = found(run)
    assert [str(each) for each in checks.values() if each.outcome is not Outcome.PASSED] == []
    assert checks["workload_seen"].evidence["statements"] == 5


def test_a_quoted_mixed_case_table(connection: psycopg.Connection, connect: Connect, spec: TableSpec) -> None:
    table = '"Plant 7"."Sensor ""Readings"""'
    send(
        connection,
        'CREATE SCHEMA "Plant 7"',
        f'CREATE TABLE {table} ("Id" bigint PRIMARY KEY, "At" timestamptz NOT NULL, "Sensor ""Readings""" int)',
        f"INSERT INTO {table} SELECT n, now() - n * interval '1 day' FROM generate_series(1, 100) n",
    )
    given = {"table": 'Plant 7.Sensor "Readings"', "partition_by": "At", "distinct": []}
    run = open_run(connect, TableSpec.model_validate(given), "mixed-run")
    build(run)
    send(
        connection,
        "SELECT pg_stat_statements_reset()",
        f'SELECT * FROM {table} WHERE "Id" = 3',
        f'SELECT {table}."Sensor ""Readings""" FROM {table} WHERE "At" > now()',
        f'INSERT INTO {table} VALUES (1, now()) ON CONFLICT ("Id") DO NOTHING',
    )
    with connect() as session:
        session.execute('SET search_path = "Plant 7"')
        session.execute('SELECT max("Id") FROM "Sensor ""Readings""" AS x WHERE x."At" > now()')
    checks = found(run)
    assert checks["workload_seen"].evidence["statements"] == 4
    assert [len(checks[name].evidence["statements"]) for name in NAMES] == [1, 1, 0, 0, 0, 3]


def test_what_the_live_table_refuses_too_does_not_block(run: Run, connection: psycopg.Connection) -> None:
    send(
        connection,
        "CREATE TEMP TABLE basket (id bigint)",
        "SELECT * FROM sensor_readings JOIN basket USING (id)",
        "DROP TABLE basket",
        "WITH sensor_readings AS (SELECT 1 AS id) SELECT * FROM sensor_readings",
        "CREATE TABLE copied AS SELECT * FROM sensor_readings",
    )
    checks = found(run)
    check = checks["workload_explained"]
    for each in (check, checks["workload_runs"], checks["workload_prunes"]):
        assert (each.outcome, each.severity) == (Outcome.FAILED, Severity.WARNING)
    assert checks["workload_runs"].actual == "1 statement would run; 2 statements not tried, see workload_explained"
    reasons = " ".join(each["reason"] for each in check.evidence["statements"])
    assert "not tried: 2 of 3" in check.actual
    for told in ('relation "basket" does not exist', "a WITH query has the name"):
        assert told in reasons


def test_what_takes_too_long_does_not_block(run: Run, connection: psycopg.Connection, connect: Connect) -> None:
    send(connection, "SELECT count(*) FROM sensor_readings, units WHERE recorded_at > now()")
    with connect() as busy:
        busy.execute("LOCK TABLE units")
        checks = found(run)
    assert not checks["workload_runs"].blocks
    assert "55P03" in checks["workload_explained"].actual


def test_a_cursor_is_tried_by_its_query(run: Run, connect: Connect) -> None:
    with connect() as connection, connection.cursor("nightly") as cursor:
        cursor.execute("SELECT * FROM sensor_readings WHERE battery = 3")
        cursor.fetchall()
    (query,) = listed(run)
    assert 'DECLARE "nightly"' in query


def test_nothing_is_executed_and_nothing_stays(run: Run, connection: psycopg.Connection) -> None:
    send(
        connection,
        "CREATE TABLE calls (n int)",
        "CREATE FUNCTION write_secretly() RETURNS int LANGUAGE plpgsql IMMUTABLE AS "
        "'BEGIN EXECUTE ''INSERT INTO public.calls VALUES (1)''; RETURN 1; EXCEPTION WHEN OTHERS THEN RETURN 1; END'",
        "CREATE FUNCTION write_openly() RETURNS int LANGUAGE sql VOLATILE AS "
        "'INSERT INTO public.calls VALUES (1) RETURNING 1'",
        "SELECT write_secretly() FROM sensor_readings WHERE false",
        "SELECT write_openly() FROM sensor_readings WHERE id = -1",
        "DELETE FROM sensor_readings WHERE id = -1",
        "SELECT nextval('sensor_readings_id_seq') FROM sensor_readings WHERE id = -1",
        "TRUNCATE calls",
    )
    before = connection.execute("SELECT last_value FROM sensor_readings_id_seq").fetchone()
    found(run)
    assert connection.execute("SELECT count(*) FROM calls").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM sensor_readings").fetchone() == (2000,)
    assert connection.execute("SELECT last_value FROM sensor_readings_id_seq").fetchone() == before


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 FROM sensor_readings; DELETE FROM public.sensor_readings",
        "SELECT 1 FROM sensor_readings; COMMIT; DELETE FROM public.sensor_readings",
        "DROP TABLE sensor_readings",
        "SELECT '\\'; DELETE FROM public.sensor_readings; --' FROM sensor_readings",
    ],
)
def test_a_text_that_is_no_single_statement_is_never_run(
    run: Run, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    sent = statement_statistics.ObservedStatement(text, "public", 1, 1.0)
    statistics = statement_statistics.Statistics(statements=(sent,))
    monkeypatch.setattr(statement_statistics, "read", lambda *_: statistics)
    assert not found(run)["workload_runs"].blocks
    assert connection.execute("SELECT count(*) FROM sensor_readings").fetchone() == (2000,)


def test_the_server_refuses_two_statements_even_where_the_reader_would_not(
    run: Run, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partition_playbook.workload.statements.ParsedStatement.problem", "")
    sent = statement_statistics.ObservedStatement(
        "SELECT 1 FROM sensor_readings; DELETE FROM public.sensor_readings", "public"
    )
    monkeypatch.setattr(statement_statistics, "read", lambda *_: statement_statistics.Statistics(statements=(sent,)))
    assert "cannot insert multiple commands" in found(run)["workload_explained"].actual
    assert connection.execute("SELECT count(*) FROM sensor_readings").fetchone() == (2000,)


def test_the_playbooks_own_statements_are_left_out(run: Run, connection: psycopg.Connection) -> None:
    """The template was built by the engine under the eyes of the extension; a comparison reads the whole table."""
    connection.execute("SELECT pg_stat_statements_reset()")
    with run.database.session() as session:
        layout.find_range(session, run.spec)
        session.execute(sql.SQL("DELETE FROM public.sensor_readings WHERE false"), purpose="Try")
    texts = connection.execute("SELECT query FROM pg_stat_statements WHERE query LIKE '%sensor_readings%'").fetchall()
    assert len([text for (text,) in texts if "/* partition_playbook */" in text]) >= 2
    assert found(run)["workload_seen"].evidence["statements"] == 0


def test_every_statement_of_an_earlier_run_is_left_out(connection: psycopg.Connection, connect: Connect) -> None:
    """Scripts are recorded statement by statement: each has the mark, so their names need not be known."""
    send(
        connection,
        "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL)",
        "CREATE INDEX orders_at ON orders (at)",
        "CREATE VIEW recent_orders AS SELECT * FROM orders",
        "INSERT INTO orders (at) SELECT now() - n * interval '1 day' FROM generate_series(1, 60) n",
        "SELECT pg_stat_statements_reset()",
    )
    run = open_run(connect, TableSpec.model_validate({"table": "orders", "partition_by": "at"}), "earlier-run")
    build(run)
    found(run)
    for direction in (Direction.FORWARD, Direction.BACK):
        cutover.swap(run, direction)
    rollback.abandon(run)
    statistics = connection.execute("SELECT query FROM pg_stat_statements WHERE query ~ 'orders'").fetchall()
    texts = [text for (text,) in statistics if "pg_stat_statements" not in text]
    assert any("RENAME TO" in text for text in texts)
    unmarked = [text for text in texts if "/* partition_playbook */" not in text and "partition_playbook" not in text]
    assert [text for text in unmarked if not ParsedStatement(text).is_ours(run.table)] == []
    with run.database.session() as session:
        assert statement_statistics.read(session, run.table).statements == ()


def test_without_the_extension_the_specs_statements_are_tried(run: Run, connection: psycopg.Connection) -> None:
    send(connection, "DROP EXTENSION pg_stat_statements")
    upsert = {"name": "upsert", "sql": "SELECT id, battery, count(*) FROM {table} GROUP BY id;"}
    wide = {"name": "by_battery", "sql": "SELECT * FROM sensor_readings WHERE battery = 3"}
    content = run.spec.model_dump() | {"application": {"probes": [upsert]}}
    content["queries"] = [*content["queries"], wide]
    checks = found(replace(run, spec=run.spec.model_validate(content)))
    assert checks["workload_seen"].outcome is Outcome.SKIPPED
    assert "not installed" in checks["workload_seen"].actual
    assert "[probe upsert]" in checks["workload_runs"].actual
    assert [each["label"] for each in checks["workload_prunes"].evidence["statements"]] == ["query by_battery"]
    assert checks["workload_explained"].outcome is Outcome.PASSED


def test_where_nothing_was_seen_the_specs_statements_are_tried(run: Run) -> None:
    checks = found(run)
    assert (checks["workload_seen"].outcome, checks["workload_seen"].severity) == (Outcome.FAILED, Severity.WARNING)
    assert "no statement on the table" in checks["workload_seen"].actual
    assert checks["workload_runs"].actual == "7 statements would run"


def test_an_unreadable_view_is_a_warning(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("ALTER VIEW pg_stat_statements RENAME TO elsewhere")
    check = found(run)["workload_seen"]
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    assert "cannot be read" in check.actual


def test_a_role_that_may_not_see_the_statements_of_others_says_so(
    run: Run, connection: psycopg.Connection, dsn: str, template: str
) -> None:
    role = f"{template}_blind"
    send(connection, "SELECT count(*) FROM sensor_readings", times=4)
    send(connection, f"CREATE ROLE {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    send(connection, f"GRANT USAGE ON SCHEMA partition_playbook TO {role}")
    send(connection, f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA partition_playbook TO {role}")
    try:
        connect = partial(psycopg.connect, make_conninfo(dsn, options=f"-c role={role}"))
        check = found(Run(run.spec, Database(connect), run.ledger))["workload_seen"]
    finally:
        send(connection, f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert check.severity is Severity.WARNING
    assert "<insufficient privilege>" in check.actual
    assert "pg_read_all_stats" in check.remedy


def test_only_the_longest_are_looked_at(
    run: Run, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_statistics, "MOST", 1)
    send(connection, "SELECT count(*) FROM sensor_readings", "SELECT max(battery) FROM sensor_readings")
    check = found(run)["workload_seen"]
    assert check.evidence["statements"] <= 1
    assert "the list ends at 1 statement," in check.actual


def test_a_name_alone_is_looked_up_as_its_role_would(run: Run, connection: psycopg.Connection, dsn: str) -> None:
    """The role finds another table of that name first; the other role finds ours."""
    send(connection, "CREATE SCHEMA tenant; CREATE TABLE tenant.sensor_readings (id int primary key)")
    send(connection, f"ALTER DATABASE {connection.info.dbname} SET search_path = tenant, public")
    send(connection, "SET search_path = tenant; INSERT INTO sensor_readings VALUES (1)")
    send(connection, "INSERT INTO sensor_readings VALUES (1) ON CONFLICT (id) DO NOTHING")
    checks = found(run)
    assert not checks["workload_runs"].blocks
    assert "is another table" in checks["workload_explained"].actual


def test_once_the_partitioned_table_is_live_there_is_nothing_to_try(run: Run) -> None:
    cutover.swap(run, Direction.FORWARD)
    assert {each.outcome for each in workload_checks(run)} == {Outcome.SKIPPED}
