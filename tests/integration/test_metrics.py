"""The metrics say what the ledger and the catalog say, without a strong lock and without waiting for one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pendulum
import psycopg
import pytest
from psycopg import sql

from partition_playbook import metrics
from partition_playbook.checks import check
from partition_playbook.database import Database, Limits, Row
from partition_playbook.engine import rollback, throttle
from partition_playbook.intervals import INTERVALS, Interval, Unit, between
from partition_playbook.ledger import Ledger
from partition_playbook.maintenance import health
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.maintenance.read_state import read_state
from partition_playbook.metrics import Group
from partition_playbook.run import Run
from partition_playbook.runway import Schedule
from partition_playbook.spec import TableSpec, load_spec
from tests.fixtures.earlier import restore_first_build
from tests.fixtures.migration import migrate
from tests.fixtures.moments import now
from tests.fixtures.tables import fill_readings, make_template, open_run

Connection = psycopg.Connection[Any]
MULTIPLES = [Interval.parse(each) for each in ("5 hours", "2 weeks", "5 months")]
Connect = Callable[[], Connection]


def read(run: Run, group: Group = metrics.TABLES) -> list[Row]:
    """Return the rows of a group as the console reads them."""
    with run.database.snapshot(Limits(lock_timeout=200, statement_timeout=5_000)) as session:
        return metrics.read(session)[group]


def only(run: Run, group: Group = metrics.TABLES) -> Row:
    (row,) = read(run, group)
    return row


def partitioned(
    connection: Connection,
    connect: Connect,
    spec: TableSpec,
    back: int = 3,
    ahead: int = 4,
    *,
    kind: str = "timestamptz",
) -> Run:
    """Make a partitioned table of a spec, with a default partition and a run of maintenance in the ledger."""
    table, now = spec.name, pendulum.now(spec.timezone)
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(table.schema)))
    made = sql.SQL("CREATE TABLE {} (id bigint, at {}) PARTITION BY RANGE (at)")
    connection.execute(made.format(table.identifier, sql.SQL(kind)))
    default = sql.SQL("CREATE TABLE {} PARTITION OF {} DEFAULT")
    connection.execute(default.format(table.default.identifier, table.identifier))
    first, last = (spec.interval.shift(spec.interval.floor(now), count) for count in (-back, ahead))
    for each in between(spec.interval, first, last):
        statement = sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})")
        name = table.partition(each.suffix).identifier
        ends = (kind == "timestamptz" and (each.lower, each.upper)) or each.literals("timestamp without time zone")
        connection.execute(statement.format(name, table.identifier, *map(sql.Literal, ends)))
    return open_run(connect, spec, f"first/{table.name}", "maintenance")


def spec_of(**given: Any) -> TableSpec:
    return TableSpec.model_validate({"table": "Plant A.Readings", "partition_by": "at", "premake": 4} | given)


def live(run: Run) -> tuple[int, int]:
    """Return the partitions ahead and the gaps as maintenance counts them."""
    with run.database.session() as session:
        found = read_state(run, session)
        facts = health.read(run, session, found, found.clock)
    return facts.ahead, facts.gaps


def flush_statistics(connection: Connection) -> None:
    """Make the session hand over its statistics, which it otherwise does once a second; before 15, they are sent."""
    if connection.info.server_version >= 150_000:
        connection.execute("SELECT pg_stat_force_next_flush()")
    connection.execute("SELECT 1")


# ---- Partitions


@pytest.mark.parametrize("interval", [*INTERVALS, *MULTIPLES], ids=str)
@pytest.mark.parametrize(
    ("timezone", "kind"), [("UTC", "timestamptz"), ("America/Havana", "timestamptz"), ("UTC", "date")]
)
def test_partitions_are_counted_as_maintenance_counts_them(
    connection: Connection, connect: Connect, interval: Interval, timezone: str, kind: str
) -> None:
    if interval.unit is Unit.HOUR:
        timezone, kind = "UTC", "timestamp" if kind == "date" else kind
    run = partitioned(connection, connect, spec_of(interval=interval, timezone=timezone), kind=kind)
    row = only(run)
    assert (row["partitions_ahead"], row["partition_gaps"]) == live(run) == (4, 0)
    assert (row["partitions"], row["partitions_extra"], row["partitioned"]) == (9, 0, 1)
    now = pendulum.now(timezone)
    end = interval.shift(interval.floor(now), 5)
    assert row["partitions_end_timestamp_seconds"] == pytest.approx(end.timestamp())

    for count in (-2, 3):
        taken = interval.suffix(interval.shift(interval.floor(now), count))
        connection.execute(sql.SQL("DROP TABLE {}").format(run.table.partition(taken).identifier))
    row = only(run)
    assert (row["partitions_ahead"], row["partition_gaps"]) == live(run) == (2, 2)


def test_a_missing_current_partition_leaves_none_ahead(connection: Connection, connect: Connect) -> None:
    run = partitioned(connection, connect, spec_of())
    taken = run.table.partition(Interval.MONTH.suffix(now()))
    connection.execute(sql.SQL("DROP TABLE {}").format(taken.identifier))
    row = only(run)
    assert (row["partitions_ahead"], row["partition_gaps"]) == (0, 1)
    assert row["partitions_end_timestamp_seconds"] == now().start_of("month").timestamp()


def test_partitions_that_are_no_interval_are_extra(connection: Connection, connect: Connect) -> None:
    run = partitioned(connection, connect, spec_of(), back=0, ahead=1)
    start, end = now().start_of("month").add(months=2), now().start_of("month").add(months=4)
    wide = sql.SQL('CREATE TABLE wide PARTITION OF "Plant A"."Readings" FOR VALUES FROM ({}) TO ({})')
    connection.execute(wide.format(start, end))
    connection.execute(
        """CREATE TABLE ancient PARTITION OF "Plant A"."Readings" FOR VALUES FROM (MINVALUE) TO ('0044-03-15 BC');
        CREATE TABLE last PARTITION OF "Plant A"."Readings" FOR VALUES FROM ('9000-01-01') TO ('infinity')"""
    )
    row = only(run)
    assert (row["partitions_extra"], row["partitions_ahead"], row["partition_gaps"]) == (3, *live(run)) == (3, 1, 0)


def test_rows_of_the_default_partition_are_seen_without_an_analyze(connection: Connection, connect: Connect) -> None:
    run = partitioned(connection, connect, spec_of())
    assert only(run)["default_rows"] == 0
    connection.execute(
        """INSERT INTO "Plant A"."Readings" SELECT n, now() + interval '9 years' FROM generate_series(1, 7) AS n"""
    )
    flush_statistics(connection)
    assert only(run)["default_rows"] == 7


def test_only_the_newest_partitions_have_a_size_of_their_own(connection: Connection, connect: Connect) -> None:
    run = partitioned(connection, connect, spec_of(interval="day"), back=40, ahead=4)
    rows = read(run, metrics.PARTITIONS)
    assert len(rows) == 36
    newest = Interval.DAY.suffix(now().start_of("day").add(days=4))
    assert rows[-1]["partition"] == f"Readings_{newest}"
    assert only(run)["partitions"] == 46


def test_the_newest_keys_are_the_largest_numbers(connection: Connection, connect: Connect) -> None:
    spec = spec_of(table="public.keys", partition_by="key", encoding="epoch_seconds", interval="day")
    connection.execute("CREATE TABLE keys (key bigint) PARTITION BY RANGE (key)")
    for number in range(38):
        lower, upper = (86_400 * (11_558 + count) for count in (number, number + 1))
        connection.execute(f"CREATE TABLE k{number:02} PARTITION OF keys FOR VALUES FROM ({lower}) TO ({upper})")
    connection.execute("CREATE TABLE k_oldest PARTITION OF keys FOR VALUES FROM (MINVALUE) TO (998611200)")
    rows = read(open_run(connect, spec, "keyed", "maintenance"), metrics.PARTITIONS)
    assert [row["partition"] for row in rows] == [f"k{number:02}" for number in range(2, 38)]


def test_a_locked_partition_makes_no_scrape_wait(connection: Connection, connect: Connect, dsn: str) -> None:
    run = partitioned(connection, connect, spec_of())
    before = {group: read(run, group) for group in metrics.GROUPS}
    current = run.table.partition(Interval.MONTH.suffix(now())).identifier
    with psycopg.connect(dsn) as holder:
        for name in (run.table.identifier, current):
            holder.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(name))
        row = only(run)
        assert len(read(run, metrics.PARTITIONS)) == len(before[metrics.PARTITIONS])
    for name in ("partitions", "partitions_ahead", "partition_gaps", "partitions_end_timestamp_seconds"):
        assert row[name] == before[metrics.TABLES][0][name]


# ---- Maintenance and retention


def test_the_next_maintenance_is_due_as_the_schedule_says(connection: Connection, connect: Connect) -> None:
    run, monthly = partitioned(connection, connect, spec_of()), Schedule("monthly")
    assert only(run)["maintained_timestamp_seconds"] == 0
    assert only(run)["maintenance_due_timestamp_seconds"] == monthly.next_runs(now())[0].timestamp()
    maintain(replace(run, spec=spec_of(maintain="hourly")), MaintenanceParams())
    hourly = Schedule("hourly")
    assert only(run)["maintenance_due_timestamp_seconds"] == pytest.approx(
        hourly.next_runs(now())[0].timestamp(), abs=3600
    )
    connection.execute("UPDATE partition_playbook.measurements SET detail = detail - 'due'")
    for moment in (
        "2026-11-01T03:29:59+00:00",
        "2026-11-01T03:30:00+00:00",
        "2026-12-31T23:00:00-05:00",
        "2028-02-29T12:00:00+00:00",
    ):
        connection.execute("UPDATE partition_playbook.measurements SET taken_at = %s", (moment,))
        at = pendulum.parse(moment)
        assert isinstance(at, pendulum.DateTime)
        row = only(run)
        assert row["maintained_timestamp_seconds"] == at.timestamp()
        assert row["maintenance_due_timestamp_seconds"] == monthly.next_runs(at)[0].timestamp()


def test_health_and_its_problems(connection: Connection, connect: Connect) -> None:
    run = partitioned(connection, connect, spec_of())
    maintain(run, MaintenanceParams())
    assert (only(run)["healthy"], {row["problems"] for row in read(run, metrics.PROBLEMS)}) == (1, {0})

    health.record(run.ledger, None, "the disk is on fire")
    assert only(run)["healthy"] == 0
    problems = {row["check"]: row["problems"] for row in read(run, metrics.PROBLEMS)}
    assert (problems["error"], problems["not_checked"]) == (1, 0)


@pytest.mark.parametrize("keep", ["2 months", "1 quarter"])
def test_retention_that_stalls(connection: Connection, connect: Connect, keep: str) -> None:
    held = {"since": now().subtract(months=6).start_of("month").to_date_string(), "reason": "a case"}
    held["until"] = held["since"]
    run = partitioned(connection, connect, spec_of(retention={"keep": keep, "hold": [held]}), back=7)
    months = {"2 months": 4, "1 quarter": 3}[keep]
    # Of the partitions before the cutoff, one is held.
    row = only(run)
    assert (row["retention_due_partitions"], row["retention_overdue_partitions"]) == (months, months)
    assert row["retention_oldest_age_seconds"] > 180 * 86_400


def test_detached_and_archived_partitions(connection: Connection, connect: Connect) -> None:
    run = partitioned(connection, connect, spec_of(retention={"keep": "2 months", "max_share": 1}), back=4)
    connection.execute("""INSERT INTO "Plant A"."Readings" VALUES (1, now())""")
    maintain(run, MaintenanceParams())
    row = only(run)
    assert (row["detached_partitions"], row["detached_overdue_partitions"]) == (2, 0)
    assert 0 <= row["detached_oldest_age_seconds"] < 60
    assert (row["retention_due_partitions"], row["retention_overdue_partitions"], row["archived_bytes_total"]) == (
        0,
        0,
        0,
    )

    connection.execute("UPDATE partition_playbook.events SET happened_at = happened_at - interval '8 days'")
    assert only(run)["detached_overdue_partitions"] == 2


# ---- A migration


def migrate_few(connect: Callable[..., psycopg.Connection]) -> None:
    with connect(autocommit=True) as connection:
        fill_readings(connection, 600, days=60)
    migrate(open_run(connect, load_spec("sensor_readings"), "test-run"))


@pytest.fixture(scope="session")
def migrated_template(server_dsn: str) -> str:
    return make_template(server_dsn, "migrated_few", migrate_few)


@pytest.fixture
def template(request: pytest.FixtureRequest, template: str) -> str:
    return request.getfixturevalue("migrated_template") if "migrated" in request.fixturenames else template  # type: ignore[no-any-return]


@pytest.fixture
def migrated(run: Run) -> Run:
    return run


def test_a_migration_from_its_beginning_to_its_rollback(readings: Callable[..., None], run: Run) -> None:
    readings(600, days=60)
    assert (only(run)["partitioned"], only(run)["partitions_end_timestamp_seconds"]) == (0, 0)
    assert only(run)["rows_estimate"] == 600
    row = only(run, metrics.RUNS)
    assert (row["phase"], row["run"], row["run_open"], row["rollback_possible"], row["capture_lost"]) == (
        "opened",
        "test-run",
        1,
        0,
        0,
    )

    migrate(run)
    row = only(run, metrics.RUNS)
    assert (row["phase"], row["rollback_possible"], row["capture_lost"]) == ("live", 1, 0)
    assert row["phase_timestamp_seconds"] == pytest.approx(pendulum.now().timestamp(), abs=30)
    assert row["loads"] == row["loads_done"] > 2
    assert (row["rows_loaded_total"], row["change_log_limit_bytes"]) == (600, 2**30)

    rollback.roll_back(run)
    assert only(run, metrics.RUNS)["phase"] == "rolled_back"
    swaps = {row["direction"]: row for row in read(run, metrics.CUTOVERS)}
    assert all(
        0 < each["cutover_lock_held_seconds"] < 5 and each["cutover_lock_attempts"] >= 1 for each in swaps.values()
    )

    rollback.abandon(run)
    run.ledger.close("rolled back")
    row = only(run, metrics.RUNS)
    assert (row["phase"], row["run_open"], row["rollback_possible"], row["capture_lost"]) == ("abandoned", 0, 0, 0)


def test_changes_that_wait_grow_old(migrated: Run, connection: Connection) -> None:
    for _ in range(2):
        connection.execute("UPDATE sensor_readings SET battery = 1")
    flush_statistics(connection)
    connection.execute("UPDATE partition_playbook.events SET happened_at = happened_at - interval '2 hours'")
    row = only(migrated, metrics.RUNS)
    assert row["change_log_rows"] >= 1_200
    assert row["change_log_bytes"] > 0
    assert row["change_log_oldest_age_seconds"] > 7_000


@pytest.mark.parametrize(
    "loss",
    [
        "SELECT setval('partition_playbook.public_sensor_readings_loss', 1)",
        "DROP TABLE partition_playbook.public_sensor_readings_changes CASCADE",
    ],
)
def test_a_lost_capture_is_seen(migrated: Run, connection: Connection, loss: str) -> None:
    connection.execute(loss)  # type: ignore[call-overload]
    row = only(migrated, metrics.RUNS)
    assert (row["capture_lost"], row["rollback_possible"]) == (1, 0)


def test_checks_are_counted_by_their_last_outcome(migrated: Run) -> None:
    ledger = replace(migrated.ledger, section="preflight")
    ledger.record_checks([check("a", False, expected="x", actual="y"), check("b", True, expected="x", actual="x")])
    ledger.record_checks([check("a", True, expected="x", actual="x")])
    found = {row["outcome"]: row["checks"] for row in read(migrated, metrics.CHECKS) if row["section"] == "preflight"}
    assert found == {"passed": 2, "failed": 0, "skipped": 0, "waived": 0}


def test_waits_are_summed_up_by_reason(migrated: Run, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([True, False])
    monkeypatch.setattr(throttle, "POLL_SECONDS", 0.05)
    origin = {"task_id": "migration.load_partition", "map_index": 3}
    ledger = Ledger(migrated.database, "test-run", "migration", origin)
    throttle.wait_until_calm(replace(migrated, ledger=ledger, paused=partial(next, answers)))
    connection.execute(
        "UPDATE partition_playbook.events SET happened_at = happened_at - interval '1 minute' "
        "WHERE detail ? 'waits_for'"
    )
    waited = {row["reason"]: row["throttled_seconds_total"] for row in read(migrated, metrics.WAITS)}
    assert 60 < waited.pop("paused") < 90
    assert set(waited.values()) == {0}


def test_a_session_that_waits_for_a_lock_is_counted(migrated: Run, dsn: str, connection: Connection) -> None:
    assert only(migrated, metrics.RUNS)["lock_waiters"] == 0
    with psycopg.connect(dsn) as holder, psycopg.connect(dsn, autocommit=True) as waiter:
        holder.execute("LOCK TABLE sensor_readings IN SHARE MODE")
        blocked = threading.Thread(target=waiter.execute, args=("DELETE FROM sensor_readings WHERE id = 1",))
        blocked.start()
        while not only(migrated, metrics.RUNS)["lock_waiters"]:
            pass
        holder.rollback()
        blocked.join()


# ---- Locks, views, rights and earlier ledgers


def test_no_lock_is_stronger_than_access_share(migrated: Run) -> None:
    """The one exception is the sequence of the ledger that marks a lost capture."""
    with migrated.database.snapshot() as session:
        metrics.read(session)
        held = (
            "SELECT relation::regclass::text AS name, mode FROM pg_locks "
            "WHERE pid = pg_backend_pid() AND relation IS NOT NULL"
        )
        locks = session.connection.execute(held).fetchall()
    strong = {row["name"] for row in locks if row["mode"] != "AccessShareLock"}
    assert strong == {"partition_playbook.public_sensor_readings_loss"}


def test_the_views_answer_as_the_console_does_to_a_role_that_reads_nothing_else(
    migrated: Run, connection: Connection
) -> None:
    with migrated.database.snapshot() as session:
        asked = metrics.read(session)
        for group, rows in asked.items():
            found = session.connection.execute(sql.SQL("SELECT * FROM {}").format(group.name.identifier)).fetchall()
            assert found == rows
            columns = {each.column for each in group.metrics} | {
                label for each in group.metrics for label in each.labels
            }
            assert rows == [] or columns == rows[0].keys()

    role = f"reader_{connection.info.dbname}"
    connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    try:
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA partition_playbook TO {}").format(sql.Identifier(role)))
        for group in metrics.GROUPS:
            connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(group.name.identifier, sql.Identifier(role)))
        connection.execute(sql.SQL("REVOKE ALL ON SCHEMA public FROM PUBLIC; SET ROLE {}").format(sql.Identifier(role)))
        for group in metrics.GROUPS:
            found = connection.execute(sql.SQL("SELECT * FROM {}").format(group.name.identifier)).fetchall()
            assert len(found) == len(asked[group])
    finally:
        connection.execute("RESET ROLE")
        connection.execute(sql.SQL("DROP OWNED BY {role}; DROP ROLE {role}").format(role=sql.Identifier(role)))


def test_views_of_another_version_are_replaced_once(migrated: Run, connection: Connection, connect: Connect) -> None:
    ids = "SELECT relname, xmin::text FROM pg_class WHERE relname LIKE '%%\\_metrics' ORDER BY 1"
    before = connection.execute(ids).fetchall()
    assert len(before) == len(metrics.GROUPS)
    open_run(connect, migrated.spec, "next", "maintenance")
    assert connection.execute(ids).fetchall() == before

    connection.execute("COMMENT ON VIEW partition_playbook.table_metrics IS 'an older one'")
    open_run(connect, migrated.spec, "one_more", "maintenance")
    comment = connection.execute("SELECT obj_description('partition_playbook.table_metrics'::regclass)").fetchone()
    assert comment
    assert comment[0].startswith("Partition Playbook, metrics: List every table")


def test_a_ledger_of_the_first_build_is_read_before_and_after_its_next_run(
    connection: Connection, connect: Connect
) -> None:
    restore_first_build(connection)
    spec = TableSpec.model_validate({"table": "sensor_readings", "partition_by": "recorded_at"})
    run = Run(spec, Database(connect), Ledger(Database(connect), "x", "migration"))
    row = only(run, metrics.RUNS)
    assert (row["phase"], row["capture_lost"], row["change_log_limit_bytes"]) == ("live", 0, 2**30)
    assert row["phase_timestamp_seconds"] > 0
    open_run(connect, spec, "next/sensor_readings", "maintenance")
    assert connection.execute("SELECT count(*) FROM partition_playbook.table_metrics").fetchone() == (1,)
