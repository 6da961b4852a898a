"""Every precondition turns red on the table that breaks it, and on no other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pendulum
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.database import Database
from partition_playbook.disk import Disk
from partition_playbook.errors import InvalidSpec
from partition_playbook.evidence import pg_tools, preflight, pruning, surroundings
from partition_playbook.ledger import Ledger, Phase
from partition_playbook.migration import shadow
from partition_playbook.migration.run import Run
from partition_playbook.spec import RunParams, TableSpec
from staging import cluster
from tests.fixtures.tables import fill_readings, open_run

REHEARSE = RunParams(mode="rehearse", accept_weaker_uniqueness=True)
Readings = Callable[[int], None]


def found(run: Run, params: RunParams = REHEARSE) -> dict[str, Check]:
    return {each.name: each for each in preflight.checks(run, params)}


def blocking(run: Run, params: RunParams = REHEARSE) -> set[str]:
    return {name for name, each in found(run, params).items() if each.blocks}


def with_spec(run: Run, **changes: object) -> Run:
    return Run(TableSpec.model_validate(run.spec.model_dump() | changes), run.database, run.ledger)


def test_weaker_uniqueness_must_be_accepted(run: Run, readings: Readings) -> None:
    readings(0)
    assert blocking(run, RunParams(mode="rehearse")) == {"uniqueness"}
    assert "accept_weaker_uniqueness" in found(run, RunParams(mode="rehearse"))["uniqueness"].remedy
    assert blocking(run, RunParams(mode="plan")) == set()


def test_the_worked_table_is_a_go(run: Run, readings: Readings) -> None:
    readings(20_000)
    checks = found(run)
    assert [str(each) for each in checks.values() if each.blocks] == []
    assert checks["uniqueness"].severity is Severity.WARNING
    assert checks["uniqueness"].outcome is Outcome.FAILED
    assert "(id, recorded_at)" in checks["uniqueness"].actual
    assert checks["partitions_planned"].actual.startswith("16 of a month each")


BROKEN = [
    (
        "nested_materialized_views",
        "CREATE MATERIALIZED VIEW v AS SELECT * FROM sensor_readings; "
        "CREATE MATERIALIZED VIEW w AS SELECT count(*) FROM v",
    ),
    ("views", "CREATE VIEW v AS SELECT id, battery FROM sensor_readings GROUP BY id"),
    (
        "rules_elsewhere",
        "CREATE RULE r AS ON INSERT TO units DO ALSO INSERT INTO sensor_readings (unit_id) VALUES (NEW.id)",
    ),
    (
        "triggers",
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER t "
        "AFTER INSERT ON sensor_readings REFERENCING NEW TABLE AS added FOR EACH ROW EXECUTE FUNCTION nothing()",
    ),
    pytest.param(
        "published_columns", "CREATE PUBLICATION p FOR TABLE sensor_readings (id, battery)", marks=pytest.mark.since(15)
    ),
    ("inbound_keys", "ALTER TABLE sensor_readings ADD parent bigint REFERENCES sensor_readings"),
    ("rules", "CREATE RULE r AS ON DELETE TO sensor_readings DO ALSO NOTIFY gone"),
    ("publications", "CREATE PUBLICATION p FOR ALL TABLES"),
    pytest.param("publications", "CREATE PUBLICATION p FOR TABLES IN SCHEMA public", marks=pytest.mark.since(15)),
    (
        "exclusion_constraints",
        "ALTER TABLE sensor_readings ADD EXCLUDE USING gist (tstzrange(recorded_at, received_at) WITH &&)",
    ),
    ("constraints_not_inherited", "ALTER TABLE sensor_readings ADD CHECK (battery >= 0) NO INHERIT"),
    ("functions", "CREATE FUNCTION f(sensor_readings) RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    ("row_type", "CREATE TABLE other (reading sensor_readings)"),
    ("row_type", "CREATE TABLE other (readings sensor_readings[])"),
    (
        "typed_table",
        "DO $$ BEGIN EXECUTE (SELECT format('CREATE TYPE same AS (%s)', string_agg(attname || ' ' || "
        "format_type(atttypid, atttypmod), ', ' ORDER BY attnum)) FROM pg_attribute "
        "WHERE attrelid = 'sensor_readings'::regclass AND attnum > 0); END $$; ALTER TABLE sensor_readings OF same",
    ),
    ("extension", "ALTER EXTENSION plpgsql ADD TABLE sensor_readings"),
    (
        "security_labels",
        "INSERT INTO pg_seclabel VALUES ('sensor_readings'::regclass, 'pg_class'::regclass, 0, 'provider', 'label')",
    ),
    (
        "other_dependants",
        "INSERT INTO pg_depend VALUES ('pg_namespace'::regclass, 'public'::regnamespace, 0, "
        "'pg_class'::regclass, 'sensor_readings'::regclass, 0, 'n')",
    ),
    ("inheritance", "CREATE TABLE child () INHERITS (sensor_readings)"),
    ("persistence", "ALTER TABLE sensor_readings SET UNLOGGED"),
    ("key", "ALTER TABLE sensor_readings DROP CONSTRAINT sensor_readings_pkey"),
    ("columns_exist", "ALTER TABLE sensor_readings RENAME device_id TO gadget_id"),
    ("inbound_keys", "CREATE TABLE alerts (reading_id bigint REFERENCES sensor_readings)"),
    ("names_fit", "CREATE TABLE sensor_readings_default ()"),
    ("names_fit", "CREATE TYPE sensor_readings_default AS ENUM ()"),
    ("names_fit", "CREATE INDEX sensor_readings_device_old ON units (name)"),
    (
        "no_standing_run",
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
        "CREATE TRIGGER partition_playbook_insert AFTER INSERT ON sensor_readings EXECUTE FUNCTION nothing()",
    ),
]


@pytest.mark.parametrize(("name", "statements"), BROKEN)
def test_what_cannot_be_carried_over_is_refused_by_name(
    run: Run, readings: Readings, connection: psycopg.Connection, name: str, statements: str
) -> None:
    readings(0)
    connection.execute(statements)  # type: ignore[call-overload]
    refused = {each.name: each.remedy for each in preflight.checks(run, REHEARSE) if each.blocks}
    assert refused.keys() == {name}
    assert refused[name]


@pytest.mark.since(18)
def test_a_temporal_key_is_refused(run: Run, readings: Readings, connection: psycopg.Connection) -> None:
    readings(0)
    connection.execute(
        "ALTER TABLE sensor_readings ADD places int4range NOT NULL, ADD during tstzrange NOT NULL, "
        "ADD UNIQUE (places, during WITHOUT OVERLAPS)"
    )
    assert "temporal_constraints" in blocking(run)


def test_a_subscription_is_refused(run: Run, readings: Readings, connection: psycopg.Connection) -> None:
    readings(0)
    connection.execute(
        "CREATE SUBSCRIPTION s CONNECTION 'dbname=none' PUBLICATION p WITH (connect = false, slot_name = NONE)"
    )
    try:
        connection.execute(
            "INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate) "
            "SELECT oid, 'sensor_readings'::regclass, 'r' FROM pg_subscription WHERE subname = 's'"
        )
        assert blocking(run) == {"subscriptions"}
    finally:
        connection.execute("DROP SUBSCRIPTION s")


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("clustered_index", "ALTER TABLE sensor_readings CLUSTER ON sensor_readings_recorded"),
        ("index_on_partition_column", "DROP INDEX sensor_readings_recorded"),
        (
            "event_triggers",
            "CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; "
            "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION e()",
        ),
    ],
)
def test_what_does_no_harm_is_a_warning(
    run: Run, readings: Readings, connection: psycopg.Connection, name: str, statement: str
) -> None:
    readings(0)
    assert found(run)[name].outcome is Outcome.PASSED
    connection.execute(statement)  # type: ignore[call-overload]
    assert found(run)[name].outcome is Outcome.FAILED
    assert blocking(run) == set()


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("absent", "SELECT 1"),
        ("v", "CREATE VIEW v AS SELECT now() AS recorded_at"),
        (
            "f",
            "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; "
            "CREATE FOREIGN TABLE f (a int) SERVER s",
        ),
    ],
)
def test_what_is_no_table_is_refused(run: Run, connection: psycopg.Connection, table: str, statement: str) -> None:
    connection.execute(statement)  # type: ignore[call-overload]
    assert blocking(with_spec(run, table=table)) == {"table_exists"}


def test_a_partitioned_table_and_a_partition_are_refused(run: Run, connection: psycopg.Connection) -> None:
    connection.execute(
        "CREATE TABLE p (id int, recorded_at date, PRIMARY KEY (id, recorded_at)) PARTITION BY RANGE (recorded_at)"
    )
    connection.execute("CREATE TABLE q PARTITION OF p DEFAULT")
    bare = {"partition_by": "recorded_at", "distinct": [], "synthetic": {}}
    assert blocking(with_spec(run, table="p", **bare)) == {"already_partitioned"}
    assert "already_partitioned" in blocking(with_spec(run, table="q", **bare))


@pytest.mark.parametrize("kind", ["text", "bigint", "time", "timestamptz GENERATED ALWAYS AS (NULL) STORED"])
def test_a_partition_column_of_another_type_is_refused(run: Run, connection: psycopg.Connection, kind: str) -> None:
    connection.execute(f"CREATE TABLE odd (id int PRIMARY KEY, moment {kind})")  # type: ignore[call-overload]
    checks = found(with_spec(run, table="odd", partition_by="moment", distinct=[], synthetic={}))
    assert [name for name, each in checks.items() if each.blocks] == ["partition_type"]
    assert checks["partition_values"].outcome is Outcome.SKIPPED


@pytest.mark.parametrize("kind", ["timestamptz", "timestamptz(3)", "timestamp", "timestamp(3)", "date"])
def test_moments_and_days_are_taken(run: Run, connection: psycopg.Connection, kind: str) -> None:
    connection.execute(f"CREATE TABLE fine (id int PRIMARY KEY, moment {kind} NOT NULL)")  # type: ignore[call-overload]
    connection.execute("INSERT INTO fine VALUES (1, now())")
    assert blocking(with_spec(run, table="fine", partition_by="moment", distinct=[], synthetic={})) == set()


def test_missing_columns_are_named(run: Run, readings: Readings) -> None:
    readings(0)
    broken = with_spec(run, partition_by="moment", distinct=["sensor_id"], synthetic={"values": {"colour": "'red'"}})
    checks = found(broken)
    assert "missing: moment, sensor_id, colour" in checks["columns_exist"].actual
    assert checks["columns_exist"].blocks
    assert checks["partition_type"].blocks


@pytest.mark.parametrize(
    ("since", "told"),
    [
        ("1", "q: `1` is 1, and neither a moment nor a day"),
        ("now(", "q: syntax error"),
        ("nothing", 'q: column "nothing" does not exist'),
        ("{colour}", "q: queries: 'colour'"),
    ],
)
def test_a_range_that_is_none_is_found_before_anything_is_touched(
    run: Run, readings: Readings, since: str, told: str
) -> None:
    readings(10)
    checks = found(with_spec(run, queries=[{"name": "q", "sql": "SELECT 1", "since": since}]))
    assert [name for name, each in checks.items() if each.blocks] == ["query_ranges"]
    assert told in checks["query_ranges"].actual


def test_a_range_that_is_read_from_rows_waits_for_them(run: Run, readings: Readings) -> None:
    readings(0)
    newest = "(SELECT max({partition_by}) FROM {table})"
    spec = with_spec(run, queries=[{"name": "q", "sql": "SELECT 1", "since": newest}])
    assert blocking(spec) == set()
    with pytest.raises(InvalidSpec, match="is NULL, and neither a moment nor a day"):
        pruning.asked(spec)


@pytest.mark.parametrize("value", ["NULL", "'infinity'", "'-infinity'"])
def test_values_that_belong_to_no_partition_are_counted(
    run: Run, readings: Readings, connection: psycopg.Connection, value: str
) -> None:
    readings(10)
    connection.execute("ALTER TABLE sensor_readings ALTER recorded_at DROP NOT NULL")
    connection.execute(f"UPDATE sensor_readings SET recorded_at = {value} WHERE id IN (1, 2)")  # type: ignore[call-overload]
    assert blocking(run) == {"partition_values"}
    assert 2 in found(run)["partition_values"].evidence.values()


def test_more_partitions_than_can_be_managed_are_refused(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(1)
    connection.execute(
        "INSERT INTO sensor_readings SELECT 99, unit_id, device_id, 1, 1, 1, 1, '0033-01-01' FROM sensor_readings"
    )
    assert blocking(run) == {"partitions_planned"}


def test_a_standing_run_is_named_with_the_way_out(
    run: Run, readings: Readings, connect: Callable[[], psycopg.Connection], spec: TableSpec
) -> None:
    readings(100)
    shadow.create(run)
    later = open_run(connect, spec, "later-run")
    check = found(later)["no_standing_run"]
    assert check.blocks
    assert "run test-run (shadowed" in check.actual
    assert "partition_rollback" in check.remedy


def test_a_finished_run_does_not_stand(
    run: Run, readings: Readings, connect: Callable[[], psycopg.Connection], spec: TableSpec
) -> None:
    readings(0)
    with run.database.transaction() as session:
        run.ledger.set_phase(session, Phase.ABANDONED)
    assert blocking(open_run(connect, spec, "later-run")) == set()


@contextmanager
def reading_transaction(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(make_conninfo(dsn, application_name="nightly report")) as busy:
        busy.execute("SELECT count(*) FROM sensor_readings")
        yield busy


def test_a_long_transaction_is_named(run: Run, readings: Readings, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    readings(0)
    with reading_transaction(dsn):
        assert found(run)["long_transactions"].outcome is Outcome.PASSED
        monkeypatch.setattr(surroundings, "LONG_SECONDS", 0)
        check = found(run)["long_transactions"]
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    assert "'nightly report'" in check.actual
    assert "SELECT count(*) FROM sensor_readings" in check.actual


@pytest.fixture(scope="module")
def tuned_dsn(programs: Path) -> Iterator[str]:
    """Return the address of a server that knows prepared transactions and the statistics of statements."""
    with cluster.temporary(cluster.THROW_AWAY | {"max_prepared_transactions": "2"}, programs) as server:
        dsn = server.conninfo("postgres")
        with psycopg.connect(dsn, autocommit=True) as connection:
            fill_readings(connection, 0)
            connection.execute("CREATE SCHEMA monitor; CREATE EXTENSION pg_stat_statements SCHEMA monitor")
        yield dsn


@pytest.fixture
def tuned(tuned_dsn: str, spec: TableSpec) -> Run:
    return open_run(partial(psycopg.connect, tuned_dsn), spec, "tuned-run")


def test_an_old_prepared_transaction_is_refused(tuned: Run, tuned_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(tuned_dsn, autocommit=True) as connection:
        connection.execute("BEGIN; LOCK TABLE sensor_readings IN ROW EXCLUSIVE MODE; PREPARE TRANSACTION 'order 7'")
        try:
            assert blocking(tuned) == set()
            monkeypatch.setattr(surroundings, "LONG_SECONDS", 0)
            assert blocking(tuned) == {"prepared_transactions"}
            assert "'order 7' of postgres" in found(tuned)["prepared_transactions"].actual
        finally:
            connection.execute("ROLLBACK PREPARED 'order 7'")


INSERT = (
    "INSERT INTO sensor_readings (id, unit_id, device_id, recorded_at) "
    "SELECT 1, u.id, u.id, now() FROM units u WHERE false"
)


@pytest.mark.parametrize(
    ("clause", "refused"),
    [
        ("ON CONFLICT (id) DO NOTHING", True),
        ('ON CONFLICT ("id") DO UPDATE SET source = EXCLUDED.source', True),
        ("ON CONFLICT DO NOTHING", False),
    ],
)
def test_upserts_on_the_old_key_are_found_in_the_live_workload(
    tuned: Run, tuned_dsn: str, clause: str, refused: bool
) -> None:
    with psycopg.connect(tuned_dsn, autocommit=True) as connection:
        connection.execute("SELECT monitor.pg_stat_statements_reset()")
        connection.execute(f"{INSERT} {clause}")  # type: ignore[call-overload]
    assert blocking(tuned) == ({"upserts"} if refused else set())


@pytest.fixture
def limited(dsn: str, connection: psycopg.Connection, template: str) -> Iterator[tuple[str, str]]:
    """Return a role that may do nothing, and a connection string that takes it."""
    role = f"{template}_limited"
    connection.execute(f"REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE {role}")  # type: ignore[call-overload]
    yield role, make_conninfo(dsn, options=f"-c role={role}")
    connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")  # type: ignore[call-overload]


def as_role(run: Run, dsn: str) -> Run:
    connect = partial(psycopg.connect, dsn)
    return Run(run.spec, Database(connect), Ledger(Database(connect), run.ledger.run_id))


def test_each_missing_privilege_is_named(run: Run, readings: Readings, limited: tuple[str, str]) -> None:
    readings(0)
    check = found(as_role(run, limited[1]))["privileges"]
    assert check.blocks
    assert check.evidence["missing"] == [
        "membership of the owner postgres, with its rights",
        "DELETE on table public.sensor_readings",
        "INSERT on table public.sensor_readings",
        "SELECT on table public.sensor_readings",
        "TRIGGER on table public.sensor_readings",
        "REFERENCES on table public.devices",
        "SELECT on table public.devices",
        "REFERENCES on table public.units",
        "SELECT on table public.units",
        "CREATE on schema public",
        "the ledger in schema partition_playbook",
        "CREATEDB for the restore check",
        "SELECT for the dump on public.devices, public.sensor_readings, public.sensor_readings_id_seq, public.units",
    ]


def test_a_role_with_every_privilege_but_one_misses_that_one(
    readings: Readings, connection: psycopg.Connection, limited: tuple[str, str], spec: TableSpec
) -> None:
    role, dsn = limited
    readings(0)
    for statement in (
        f"ALTER TABLE sensor_readings OWNER TO {role}",
        f"GRANT REFERENCES, SELECT ON units, devices TO {role}",
        f"GRANT USAGE, CREATE ON SCHEMA public TO {role}",
        f"GRANT CREATE ON DATABASE {connection.info.dbname} TO {role}",
        f"ALTER ROLE {role} CREATEDB",
    ):
        connection.execute(statement)  # type: ignore[call-overload]
    run = open_run(partial(psycopg.connect, dsn), spec, "limited-run")
    assert blocking(run) == set()
    assert found(run)["statistics_privilege"].outcome is Outcome.FAILED
    connection.execute(f"REVOKE REFERENCES ON devices FROM {role}")  # type: ignore[call-overload]
    assert found(run)["privileges"].evidence["missing"] == ["REFERENCES on table public.devices"]


def test_grants_by_others_are_refused_unless_they_can_be_granted_again(
    run: Run, readings: Readings, connection: psycopg.Connection, limited: tuple[str, str]
) -> None:
    readings(0)
    role, dsn = limited
    stranger = f"{role}_stranger"
    connection.execute(f"CREATE ROLE {stranger}")  # type: ignore[call-overload]
    try:
        connection.execute(f"GRANT SELECT ON sensor_readings TO {stranger} WITH GRANT OPTION; SET ROLE {stranger}")  # type: ignore[call-overload]
        connection.execute("GRANT SELECT ON sensor_readings TO PUBLIC")
        connection.execute("RESET ROLE")
        assert "grants_by_others" not in blocking(run)
        theirs = Run(run.spec, Database(lambda: psycopg.connect(dsn)), run.ledger)
        assert f"SELECT to PUBLIC by {stranger}" in found(theirs)["grants_by_others"].actual
    finally:
        connection.execute(f"RESET ROLE; DROP OWNED BY {stranger}; DROP ROLE {stranger}")  # type: ignore[call-overload]


def test_a_view_of_somebody_else_is_named_with_its_owner(
    run: Run, readings: Readings, connection: psycopg.Connection, limited: tuple[str, str]
) -> None:
    readings(0)
    _, dsn = limited
    connection.execute("CREATE VIEW v AS SELECT * FROM sensor_readings")
    theirs = Run(run.spec, Database(lambda: psycopg.connect(dsn)), run.ledger)
    check = found(theirs)["dependents_of_others"]
    assert check.blocks
    assert "v of postgres" in check.actual
    assert "dependents_of_others" not in blocking(run)


def test_disk_that_does_not_suffice_is_refused(run: Run, readings: Readings, monkeypatch: pytest.MonkeyPatch) -> None:
    readings(1000)
    monkeypatch.setattr(surroundings, "find_disk", lambda session: Disk(50_000_000))
    assert blocking(run) == {"disk"}
    assert "MB free for the shadow" in found(run)["disk"].expected


def absent(path: Path, **_: object) -> None:
    raise FileNotFoundError(path)


def test_disk_of_another_host_is_not_guessed(run: Run, readings: Readings, monkeypatch: pytest.MonkeyPatch) -> None:
    readings(0)
    monkeypatch.setattr(Path, "stat", absent)
    check = found(run, RunParams(mode="rehearse", accept_weaker_uniqueness=True, backup="skip"))["disk"]
    assert check.outcome is Outcome.SKIPPED
    assert "not on this host" in check.actual
    assert "bytes are free" in check.actual


@pytest.mark.parametrize(("hours", "refused"), [(1, False), (23, False), (25, True), (-2, True)])
def test_an_external_backup_must_be_young(run: Run, readings: Readings, hours: int, refused: bool) -> None:
    readings(0)
    taken = pendulum.now("UTC").subtract(hours=hours).isoformat()
    params = RunParams(mode="rehearse", accept_weaker_uniqueness=True, backup="external", external_backup_at=taken)
    assert blocking(run, params) == ({"backup"} if refused else set())


def test_tools_that_are_too_old_are_named(
    run: Run, readings: Readings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(0)
    for name in ("pg_dump", "pg_restore"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) 9.6.1'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv(pg_tools.BIN_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pg_tools, "find_spec", lambda name: None)
    assert blocking(run) == {"backup"}
    assert "is of version 9" in found(run)["backup"].actual
    assert blocking(run, RunParams(mode="rehearse", accept_weaker_uniqueness=True, backup="skip")) == set()


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path.startswith("/healthy") else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def dashboard() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", ["/down?token=secret", "file:///etc/hostname", "http://127.0.0.1:1/", "http://["])
def test_a_monitoring_endpoint_that_does_not_answer_is_refused(
    run: Run, readings: Readings, dashboard: str, path: str
) -> None:
    readings(0)
    url = dashboard + path if path.startswith("/") else path
    monitored = with_spec(run, monitoring={"endpoints": {"grafana": url, "alerts": f"{dashboard}/healthy"}})
    check = found(monitored)["monitoring"]
    assert check.blocks
    assert check.actual.startswith("grafana: ")
    assert "alerts" not in check.actual
    assert "secret" not in str(check)


def test_monitoring_that_answers_passes(run: Run, readings: Readings, dashboard: str) -> None:
    readings(0)
    monitored = with_spec(run, monitoring={"endpoints": {"grafana": f"{dashboard}/healthy"}})
    assert found(monitored)["monitoring"].outcome is Outcome.PASSED
    assert found(run)["monitoring"].outcome is Outcome.SKIPPED


def test_rows_in_time_order_are_foreseen_to_gain_nothing(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(5000)
    assert found(run)["arrival_order"].outcome is Outcome.PASSED
    connection.execute(
        "CLUSTER sensor_readings USING sensor_readings_recorded; ALTER TABLE sensor_readings SET WITHOUT CLUSTER"
    )
    connection.execute("ANALYZE sensor_readings")
    check = found(run)["arrival_order"]
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    assert check.actual == "correlation 1.00"
    generated = RunParams(mode="rehearse", accept_weaker_uniqueness=True, synthetic_rows=10, arrival="random")
    assert found(run, generated)["arrival_order"].outcome is Outcome.PASSED
    in_time = RunParams(mode="rehearse", accept_weaker_uniqueness=True, synthetic_rows=10, arrival="time")
    assert found(run, in_time)["arrival_order"].outcome is Outcome.FAILED


@pytest.mark.parametrize(("version", "severity"), [(13, Severity.ERROR), (19, Severity.WARNING)])
def test_a_server_that_was_never_tried_is_told(
    run: Run, readings: Readings, monkeypatch: pytest.MonkeyPatch, version: int, severity: Severity
) -> None:
    readings(0)
    monkeypatch.setattr("partition_playbook.database.Session.server_version", lambda session: version)
    check = found(run)["server_version"]
    assert (check.outcome, check.severity) == (Outcome.FAILED, severity)


def test_a_server_that_does_not_answer_is_a_check_and_shows_no_password(run: Run, spec: TableSpec) -> None:
    absent = partial(psycopg.connect, "host=127.0.0.1 port=1 user=nobody password=hunter2")
    checks = preflight.checks(Run(spec, Database(absent), run.ledger), REHEARSE)
    assert [each.name for each in checks] == ["connectivity"]
    assert checks[0].blocks
    assert "hunter2" not in str(checks[0])


def test_it_only_reads(run: Run, readings: Readings, connection: psycopg.Connection) -> None:
    readings(100)
    digest = "SELECT count(*), max(oid::bigint) FROM pg_class"
    before = connection.execute(digest).fetchone()
    preflight.checks(run, RunParams(mode="plan"))
    assert run.ledger.run()["plan_hash"] is None
    assert run.ledger.events() == []
    preflight.checks(run, REHEARSE)
    assert run.ledger.run()["plan_hash"] == found(run)["plan_hash"].actual
    assert connection.execute(digest).fetchone() == before


def test_without_a_ledger_the_plan_is_not_recorded_and_nothing_is_raised(
    readings: Readings, connect: Callable[[], psycopg.Connection], spec: TableSpec
) -> None:
    readings(0)
    unopened = Run(spec, Database(connect), Ledger(Database(connect), "unopened"))
    assert blocking(unopened) == {"plan_hash"}
    assert blocking(unopened, RunParams(mode="plan")) == set()
