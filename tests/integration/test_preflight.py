"""Every precondition turns red on the table that breaks it, and on no other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pendulum
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from partition_playbook import catalog, disk
from partition_playbook.benchmark import ranges
from partition_playbook.benchmark.measure import compose_query
from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.database import Database
from partition_playbook.engine import shadow
from partition_playbook.engine.write_rate import read_counters
from partition_playbook.errors import InvalidSpec
from partition_playbook.intervals import Interval, bounds_at
from partition_playbook.ledger import Ledger, Phase
from partition_playbook.lock_retry import lock_holders
from partition_playbook.run import Run
from partition_playbook.sections.preflight import environment, write_rate
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.sections.preflight.context import PreflightContext
from partition_playbook.sections.snapshot import pg_tools
from partition_playbook.spec import Query, RunParams, TableSpec
from staging import cluster
from tests.fixtures.scenario_writer import wait_until
from tests.fixtures.tables import fill_readings, open_run
from tests.fixtures.web import Quiet, served

REHEARSE = RunParams(mode="rehearse", accept_weaker_uniqueness=True)
Readings = Callable[[int], None]


def found(run: Run, params: RunParams = REHEARSE) -> dict[str, Check]:
    return {each.name: each for each in preflight_checks(run, params)}


def blocking(run: Run, params: RunParams = REHEARSE) -> set[str]:
    return {name for name, each in found(run, params).items() if each.blocks}


def with_spec(run: Run, **changes: object) -> Run:
    if "table" in changes or "partition_by" in changes:  # the worked probes read columns of the worked table
        changes = {"application": {}} | changes
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
    assert checks["partitions_planned"].actual.startswith("16 partitions, one per month")


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
    ("columns_exist", "ALTER TABLE sensor_readings RENAME source TO origin"),
    ("inbound_keys", "CREATE TABLE alerts (reading_id bigint REFERENCES sensor_readings)"),
    ("names_fit", "CREATE TABLE sensor_readings_default ()"),
    ("names_fit", "CREATE TYPE sensor_readings_default AS ENUM ()"),
    ("names_fit", "CREATE TABLE sensor_readings_retention_proof ()"),
    ("names_fit", "ALTER TABLE sensor_readings ADD CONSTRAINT partition_playbook_bounds CHECK (battery < 1000)"),
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
    refused = {each.name: each.remedy for each in preflight_checks(run, REHEARSE) if each.blocks}
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


SKIPS = "noting fires for a row that moves, and skips the UPDATE without an error if it returns NULL"


@pytest.mark.parametrize(
    ("fires", "named"),
    [
        ("AFTER UPDATE", "noting does not fire for a row that moves"),
        ("BEFORE DELETE", SKIPS),
        ("BEFORE INSERT", SKIPS),
        ("AFTER DELETE", "noting fires for a row that moves, although nobody deletes it"),
        ("AFTER INSERT", "noting fires for a row that moves, although nobody inserts it"),
        ("AFTER INSERT OR DELETE", "noting fires for a row that moves, although nobody inserts or deletes it"),
    ],
)
def test_a_row_trigger_that_a_move_treats_otherwise_is_a_warning(
    run: Run, readings: Readings, connection: psycopg.Connection, fires: str, named: str
) -> None:
    readings(0)
    connection.execute(
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN coalesce(NEW, OLD); END'; "
        f"CREATE TRIGGER noting {fires} ON sensor_readings FOR EACH ROW EXECUTE FUNCTION noted()"  # type: ignore[arg-type]
    )
    assert found(run)["triggers_on_moves"].actual == named
    assert blocking(run) == set()


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


REFUSING_EVENTS = {
    # Without a schema: the application's sessions have it in their search path, the playbook's have none.
    "CREATE": (
        "CREATE TABLE ddl_audit (tag text); "
        "CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO ddl_audit VALUES (tg_tag); END'; "
        "CREATE EVENT TRIGGER audited ON ddl_command_end EXECUTE FUNCTION e()",
        'relation "ddl_audit" does not exist',
    ),
    "DROP": (
        "CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION ''ask a DBA to drop tables''; END'; "
        "CREATE EVENT TRIGGER audited ON sql_drop WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION e()",
        "ask a DBA to drop tables",
    ),
}


@pytest.mark.parametrize("command", REFUSING_EVENTS)
def test_an_event_trigger_that_refuses_statements_is_refused_by_its_words(
    run: Run, readings: Readings, connection: psycopg.Connection, command: str
) -> None:
    readings(0)
    statement, words = REFUSING_EVENTS[command]
    connection.execute(statement)  # type: ignore[call-overload]

    refused = found(run)["event_triggers"]
    assert refused.blocks
    assert words in refused.actual
    assert "audited" in refused.actual
    assert "e()" in refused.actual

    connection.execute("ALTER EVENT TRIGGER audited DISABLE")
    assert found(run)["event_triggers"].outcome is Outcome.PASSED


def test_the_remedy_for_an_event_trigger_without_a_search_path_works(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(0)
    connection.execute(REFUSING_EVENTS["CREATE"][0])  # type: ignore[call-overload]
    assert "ALTER FUNCTION … SET search_path = …" in found(run)["event_triggers"].remedy
    connection.execute("ALTER FUNCTION e() SET search_path = public")
    connection.execute("TRUNCATE ddl_audit")

    assert not found(run)["event_triggers"].blocks
    assert connection.execute("SELECT count(*) FROM ddl_audit").fetchone() == (0,), "the trial is rolled back"
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


@pytest.mark.parametrize(
    ("table", "near"),
    [
        ("events", "telemetry.events"),
        ("telemetry.Events", "telemetry.events"),
        ("telemetry.event", "telemetry.events"),
        ("sensor_reading", "public.sensor_readings"),
        ("elsewhere.sensor_readings", "public.sensor_readings"),
    ],
)
def test_a_name_without_a_table_is_told_the_nearest_one(
    run: Run, readings: Readings, connection: psycopg.Connection, table: str, near: str
) -> None:
    readings(0)
    connection.execute("CREATE SCHEMA telemetry; CREATE TABLE telemetry.events (at timestamptz)")
    refused = found(with_spec(run, table=table))["table_exists"]
    assert refused.blocks
    assert refused.remedy == f"Set `table` in the spec to its name, such as: {near}"


def test_a_name_like_no_other_is_told_how_to_go_on(run: Run) -> None:
    assert found(with_spec(run, table="zzz"))["table_exists"].remedy.startswith("Correct `table` in the spec, create")


def test_a_nullable_partition_column_is_told_the_statement(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(10)
    connection.execute("ALTER TABLE sensor_readings ALTER recorded_at DROP NOT NULL")
    statement = 'ALTER TABLE "public"."sensor_readings" ALTER COLUMN "recorded_at" SET NOT NULL'
    assert found(run)["partition_values"].remedy == f"Execute {statement}. Partitions hold finite values only"
    connection.execute("UPDATE sensor_readings SET recorded_at = NULL WHERE id = 7")
    assert found(run)["partition_values"].remedy.startswith(f"Correct or delete these rows, then execute {statement}")


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


def test_a_date_has_no_hours(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE days (id int PRIMARY KEY, day date NOT NULL)")
    days = {"table": "days", "partition_by": "day", "distinct": [], "synthetic": {}, "premake": 248}
    checks = found(with_spec(run, interval=Interval.parse("6 hours"), **days))
    assert [name for name, each in checks.items() if each.blocks] == ["partition_type"]
    assert "no hours for an interval of 6 hours" in checks["partition_type"].actual
    assert found(with_spec(run, interval=Interval.DAY, **days))["partition_type"].outcome is Outcome.PASSED


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
    assert checks["partition_type"].outcome is checks["partitions_planned"].outcome is Outcome.SKIPPED


@pytest.mark.parametrize(
    ("since", "told"),
    [
        ("1", "q: `1` is 1, not a timestamp or a date"),
        ("now(", "q: syntax error"),
        ("nothing", 'q: column "nothing" does not exist'),
        ("{colour}", "q: queries: 'colour'"),
    ],
)
def test_a_range_that_is_none_is_found_before_anything_is_touched(
    run: Run, readings: Readings, since: str, told: str
) -> None:
    readings(10)
    checks = found(with_spec(run, queries=[{"name": "q", "sql": "SELECT 1 FROM {table}", "since": since}]))
    assert [name for name, each in checks.items() if each.blocks] == ["query_ranges"]
    assert told in checks["query_ranges"].actual


def test_the_since_of_the_table_is_not_that_of_a_query(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE sensor_readings (recorded_at date)")
    query = Query(name="q", sql="SELECT * FROM {table} WHERE {partition_by} >= {since}")
    bounded = with_spec(run, since="2020-01-01", queries=[query.model_dump()])
    month = bounds_at(Interval.MONTH, pendulum.now("UTC"))
    with pytest.raises(InvalidSpec, match="'since'") as refused:
        compose_query(bounded, query, interval=month)
    assert "a query that has these keys itself" in str(refused.value)


def test_a_range_that_is_read_from_rows_waits_for_them(run: Run, readings: Readings) -> None:
    readings(0)
    newest = "(SELECT max({partition_by}) FROM {table})"
    spec = with_spec(run, queries=[{"name": "q", "sql": "SELECT 1 FROM {table}", "since": newest}])
    assert blocking(spec) == set()
    with pytest.raises(InvalidSpec, match="is NULL, not a timestamp or a date"):
        ranges.query_spans(spec)


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


def test_a_standing_run_is_named_with_the_way_out(run: Run, readings: Readings) -> None:
    """A plan opens no run, so the ledger does not refuse it."""
    readings(100)
    shadow.build(run)
    check = found(replace(run, ledger=replace(run.ledger, run_id="a plan")))["no_standing_run"]
    assert check.blocks
    assert "run test-run (shadowed" in check.actual
    assert "partition_rollback" in check.remedy


@pytest.mark.parametrize("run_id", ["a plan", "test-run"])
def test_names_and_dependants_of_a_standing_run_are_told_once(run: Run, readings: Readings, run_id: str) -> None:
    """They are the run's own: advice to rename or drop them would break it."""
    readings(100)
    shadow.build(run)
    checks = found(replace(run, ledger=replace(run.ledger, run_id=run_id)))
    for name in ("names_fit", "other_dependants"):
        assert (checks[name].outcome, checks[name].remedy) == (Outcome.SKIPPED, "")
        assert "run test-run (shadowed since" in checks[name].actual
        assert "see no_standing_run" in checks[name].actual
    assert checks["no_standing_run"].blocks
    assert "partition_rollback" in checks["no_standing_run"].remedy


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
    with reading_transaction(dsn) as busy:
        assert found(run)["long_transactions"].outcome is Outcome.PASSED
        monkeypatch.setattr(environment, "LONG_SECONDS", 0)
        check = found(run)["long_transactions"]
        (holder,) = lock_holders(run.database, [run.table])
        (unseen,) = lock_holders(Database(partial(psycopg.connect, dsn, options=BLIND)), [run.table])
        (client,) = busy.execute("SELECT coalesce(host(inet_client_addr()), 'a local socket')").fetchone() or ("",)
        session = f"pid {busy.info.backend_pid} user {busy.info.user} application 'nightly report'"
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    assert check.actual.startswith(f"{session} from {client} idle in transaction for ")
    assert "SELECT count(*) FROM sensor_readings" in check.actual
    assert holder.startswith(f"{session} from {client} AccessShareLock for ")
    assert unseen.startswith(f"{session} AccessShareLock for ")


# A role that may not see the sessions of others.
BLIND = "-c role=pg_signal_backend"


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
            monkeypatch.setattr(environment, "LONG_SECONDS", 0)
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
        ("ON CONFLICT DO NOTHING", True),
        ("RETURNING id", False),
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
        "membership in the owner postgres, with its privileges",
        "DELETE on table public.sensor_readings",
        "INSERT on table public.sensor_readings",
        "SELECT on table public.sensor_readings",
        "TRIGGER on table public.sensor_readings",
        "REFERENCES on table public.devices",
        "SELECT on table public.devices",
        "REFERENCES on table public.units",
        "SELECT on table public.units",
        "CREATE on schema public",
        "USAGE, CREATE and writes for the ledger in schema partition_playbook",
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
    monkeypatch.setattr(disk, "_filesystem", lambda folder: disk.Filesystem(1, 50_000_000))
    assert blocking(run) == {"filesystems"}
    assert "1.5 GiB free for change log" in found(run)["filesystems"].expected


def test_keys_that_the_swap_makes_again_are_told_before(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(10)
    connection.execute(
        "ALTER TABLE sensor_readings ADD UNIQUE (id, recorded_at); "
        "CREATE TABLE alerts (reading bigint, at timestamptz, "
        "FOREIGN KEY (reading, at) REFERENCES sensor_readings (id, recorded_at))"
    )
    assert found(run)["inbound_keys_hold"].outcome is Outcome.PASSED
    strict = replace(run, spec=run.spec.model_copy(update={"max_lock": timedelta(milliseconds=5)}))
    check = found(strict)["inbound_keys_hold"]
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    assert re.search(r"about \d+ ms: 1 key to \d+ partitions", check.actual)


def absent(path: Path, **_: object) -> None:
    raise FileNotFoundError(path)


def test_disk_of_another_host_is_not_guessed(run: Run, readings: Readings, monkeypatch: pytest.MonkeyPatch) -> None:
    readings(0)
    monkeypatch.setattr(Path, "stat", absent)
    check = found(run, RunParams(mode="rehearse", accept_weaker_uniqueness=True, backup="skip"))["filesystems"]
    assert check.outcome is Outcome.SKIPPED
    assert "not on this host" in check.actual
    assert "iB free for change log" in check.expected


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
    assert "has version 9" in found(run)["backup"].actual
    assert blocking(run, RunParams(mode="rehearse", accept_weaker_uniqueness=True, backup="skip")) == set()


class Answers(Quiet):
    def do_GET(self) -> None:
        self.send_response(200 if self.path.startswith("/healthy") else 503)
        self.end_headers()


@pytest.fixture
def dashboard() -> Iterator[str]:
    with served(Answers) as address:
        yield address


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
    assert check.actual == "correlation 1"
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
    checks = preflight_checks(Run(spec, Database(absent), run.ledger), REHEARSE)
    assert [each.name for each in checks] == ["connectivity"]
    assert checks[0].blocks
    assert "hunter2" not in str(checks[0])


def test_it_only_reads(run: Run, readings: Readings, connection: psycopg.Connection) -> None:
    readings(100)
    digest = "SELECT count(*), max(oid::bigint) FROM pg_class"
    before, opened = connection.execute(digest).fetchone(), run.ledger.events()
    preflight_checks(run, RunParams(mode="plan"))
    assert run.ledger.run()["plan_hash"] is None
    assert run.ledger.events() == opened
    preflight_checks(run, REHEARSE)
    assert found(run)["plan_hash"].actual == f"definition {run.ledger.run()['plan_hash']}"
    assert connection.execute(digest).fetchone() == before


def test_without_a_ledger_the_plan_is_not_recorded_and_nothing_is_raised(
    readings: Readings, connect: Callable[[], psycopg.Connection], spec: TableSpec
) -> None:
    readings(0)
    unopened = Run(spec, Database(connect), Ledger(Database(connect), "unopened"))
    assert blocking(unopened) == {"plan_hash"}
    assert blocking(unopened, RunParams(mode="plan")) == set()


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
@pytest.mark.parametrize("index", [True, False], ids=["indexed", "scanned"])
@pytest.mark.parametrize(("far", "rows"), [("1970-01-01", 1), ("2060-05-05", 2)])
def test_empty_partitions_are_told_with_the_rows_that_need_them(
    connect: Callable[[], psycopg.Connection],
    connection: psycopg.Connection,
    kind: str,
    index: bool,
    far: str,
    rows: int,
) -> None:
    connection.execute(
        f"CREATE TABLE mails (id bigint PRIMARY KEY, sent {kind} NOT NULL);"  # type: ignore[arg-type]
        "INSERT INTO mails SELECT n, now() - n * interval '1 day' FROM generate_series(1, 200) n;"
        f"INSERT INTO mails SELECT -n, '{far}' FROM generate_series(1, {rows}) n"
    )
    if index:
        connection.execute("CREATE INDEX ON mails (sent)")
    run = open_run(connect, TableSpec(table="mails", partition_by="sent"), "far")
    check = found(run)["partitions_planned"]
    assert check.fell_short
    assert not check.blocks
    assert f"for {rows} row" in check.actual
    assert far in check.actual
    number = int(check.actual.partition(" of them empty")[0].rpartition(" ")[2])
    assert 300 < number < len(check.evidence["partitions"])
    assert check.remedy


def mails(connect: Callable[[], psycopg.Connection], connection: psycopg.Connection, rows: str, **spec: object) -> Run:
    """Create a table with these rows, and open a run on it."""
    connection.execute(
        "CREATE TABLE mails (id bigint PRIMARY KEY, sent timestamptz NOT NULL); CREATE INDEX ON mails (sent);"
        f"INSERT INTO mails {rows}"  # type: ignore[arg-type]
    )
    given = {"table": "mails", "partition_by": "sent"} | spec
    return open_run(connect, TableSpec.model_validate(given), "mails")


def test_the_empty_partitions_since_the_newest_row_are_told_with_their_cost(
    connect: Callable[[], psycopg.Connection], connection: psycopg.Connection
) -> None:
    rows = "SELECT n, '2014-03-31'::timestamptz - n * interval '1 day' FROM generate_series(1, 400) n"
    run = mails(connect, connection, rows)
    check = found(run)["partitions_planned"]
    since = pendulum.now("UTC").diff(pendulum.datetime(2014, 4, 1)).in_months()
    assert (check.fell_short, check.blocks) == (True, False)
    assert f"{since} of them empty, {since} since the newest row, 2014-03-30" in check.actual
    assert "to the planning of a statement that prunes none" in check.actual
    assert re.search(r"`interval: year` for about 1\d partitions", check.remedy)
    wider = found(with_spec(run, interval="year", premake=1))["partitions_planned"]
    assert len(wider.evidence["partitions"]) < 25


def test_rows_of_a_rehearsal_to_come_fill_the_partitions(
    connect: Callable[[], psycopg.Connection], connection: psycopg.Connection
) -> None:
    run = mails(connect, connection, "SELECT n, now() - interval '12 months' FROM generate_series(1, 3) n")
    assert found(run)["partitions_planned"].fell_short
    rehearsal = RunParams(mode="rehearse", accept_weaker_uniqueness=True, synthetic_rows=1000)
    assert not found(run, rehearsal)["partitions_planned"].fell_short


def test_too_many_partitions_name_the_rows_that_need_them(
    connect: Callable[[], psycopg.Connection], connection: psycopg.Connection
) -> None:
    rows = (
        "SELECT n, CASE n WHEN 1 THEN '1970-01-01' ELSE now() - n * interval '1 day' END FROM generate_series(1, 9) n"
    )
    run = mails(connect, connection, rows, interval="day")
    check = found(run)["partitions_planned"]
    assert check.blocks
    assert "for 1 row from 1970-01-01" in check.actual
    assert "`interval: month` for about" in check.remedy
    (since,) = re.findall(r"set `since: ([0-9-]+)` in the spec", check.remedy)
    bounded = found(with_spec(run, since=since))["partitions_planned"]
    assert (bounded.fell_short, "mails_before holds 1 row" in bounded.actual) == (False, True)
    assert not found(with_spec(run, interval="month", premake=3))["partitions_planned"].blocks

    connection.execute("UPDATE mails SET sent = '9999-12-31' WHERE sent < '1980-01-01'")
    (until,) = re.findall(r"set `until: ([0-9-]+)` in the spec", found(run)["partitions_planned"].remedy)
    bounded = found(with_spec(run, until=until))["partitions_planned"]
    assert (bounded.fell_short, "mails_default holds 1 row" in bounded.actual) == (False, True)
    without = with_spec(run, default_partition="none")
    assert "`until" not in found(without)["partitions_planned"].remedy


RETENTION = {
    "at rest": ("'2014-03-31'::timestamptz", "24 months", "rows_after_the_cutoff", "remove `retention`"),
    "long overdue": ("now()", "2 months", "retired_share", "`approve_share` 0."),
    "in order": ("now()", "24 months", "", ""),
}


@pytest.mark.parametrize("kind", RETENTION)
def test_a_first_retention_that_would_stop_is_told_before(
    connect: Callable[[], psycopg.Connection], connection: psycopg.Connection, kind: str
) -> None:
    newest, keep, stops, remedy = RETENTION[kind]
    rows = f"SELECT n, {newest} - n * interval '10 days' FROM generate_series(0, 70) n"
    run = mails(connect, connection, rows, retention={"keep": keep})
    check = found(run)["first_retention"]
    assert check.severity is Severity.WARNING
    assert check.fell_short is bool(stops)
    assert (stops in check.actual, remedy in check.remedy) == (True, True)


def test_a_handful_of_empty_partitions_is_no_warning(
    connect: Callable[[], psycopg.Connection], connection: psycopg.Connection
) -> None:
    connection.execute(
        "CREATE TABLE mails (id bigint PRIMARY KEY, sent timestamptz NOT NULL);"
        "INSERT INTO mails SELECT n, now() - n * interval '5 months' FROM generate_series(0, 1) n"
    )
    run = open_run(connect, TableSpec(table="mails", partition_by="sent"), "near")
    assert not found(run)["partitions_planned"].fell_short


def batches_of(run: Run, *samples: tuple[int, float]) -> None:
    with run.database.session() as session:
        for taken, seconds in samples:
            run.ledger.sample_backlog(session, 0, taken=taken, seconds=seconds, position=1, estimated=False)


def test_the_write_rate_is_read_twice_and_compared_with_measured_batches(
    run: Run, readings: Readings, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(100)
    assumed = found(run)["write_rate"]
    assert assumed.outcome is Outcome.PASSED
    assert "a cautious assumption" in assumed.actual

    # A batch of n changes takes 0.1 s and 1 ms for each: a batch of 800 follows 889 changes a second.
    other = open_run(partial(psycopg.connect, connection.info.dsn), with_spec(run, table="devices").spec, "other")
    batches_of(other, (100, 0.2), (1_000, 1.1), (20_000, 20.1))
    elsewhere = found(run)["write_rate"]
    assert "measured by run other of public.devices" in elsewhere.actual
    assert elsewhere.evidence["cutover_limit_per_second"] == 889

    batches_of(run, (900, 0.9))
    assert "run other" in found(run)["write_rate"].actual, "fewer than 1,000 changes tell nothing"
    batches_of(run, (1_000, 0.9))
    own = found(run)["write_rate"]
    assert "measured by run test-run;" not in own.actual
    assert "measured by run test-run)" in own.actual

    monkeypatch.setattr(write_rate, "LEAST_SECONDS", 0.5)
    with psycopg.connect(connection.info.dsn) as writer:  # its end publishes its counters
        writer.execute("UPDATE sensor_readings SET battery = 1")
    with run.database.session() as session, run.database.block(session):
        wait_until(lambda: read_counters(session, run.table).changes >= 100, "the counters are published")
        last = read_counters(session, run.table)
        earlier = replace(last, changes=last.changes - 10_000)
        context = PreflightContext(run, REHEARSE, session, catalog.require(session, run.table), earlier)
        busy = write_rate.write_rate(context)
    assert busy.evidence["sampled_seconds"] >= 0.5
    assert (busy.outcome, busy.severity) == (Outcome.FAILED, Severity.WARNING)
