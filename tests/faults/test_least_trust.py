"""Names, comments, rows, functions and files as an attack: nothing in them is ever obeyed, and none gains a right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import cycle
from typing import LiteralString

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.conninfo import make_conninfo

from partition_playbook.benchmark import measure, ranges
from partition_playbook.checks import Severity
from partition_playbook.database import Limits
from partition_playbook.engine import rollback
from partition_playbook.engine.sides import sides
from partition_playbook.errors import InvalidSpec
from partition_playbook.lock_retry import lock_holders
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.names import MAX_BYTES
from partition_playbook.run import Run
from partition_playbook.sections.application import probes
from partition_playbook.sections.data_preparation.rows import generate, slices
from partition_playbook.sections.preflight import environment
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.sections.pruning.checks import pruning_checks
from partition_playbook.sections.validation.checks import validation_checks
from partition_playbook.spec import Probe, Query, RunParams, Synthetic, TableSpec
from tests.fixtures import footprint
from tests.fixtures.migration import migrate
from tests.fixtures.tables import open_run

Connection = psycopg.Connection
TAKEN = "CREATE TABLE public.taken()"
# Each alone would end the text that it stands in, where that were put together without care.
POISONS = (
    f" ON public.t ; {TAKEN}; --",
    f" USING hash ((1)); {TAKEN}; --",
    f"$capture$; {TAKEN}; --",
    f"$capture_0${TAKEN}$capture_1$",
    f"'); {TAKEN}; --",
    f'"); {TAKEN}; --',
    f"\\'; {TAKEN} \\",
    "%s %(lower)s %% %",
    "{table} {0} {{ var.value.secret }} {% x %}",
    "\n/* -- \r\t*/ <script>",
    "\u202e ünïcödé 表",
    " WHERE INCLUDE (id) NOT VALID DEFERRABLE",
)


def cut(name: str) -> str:
    """Return as much of a name as PostgreSQL takes."""
    return name.encode()[:MAX_BYTES].decode(errors="ignore")


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=80)


MADE = """
CREATE SCHEMA {schema};
CREATE FUNCTION {schema}.{function}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE {schema}.{table} ({id} int, {at} timestamptz NOT NULL, {text} text DEFAULT {said},
    CONSTRAINT {key} PRIMARY KEY ({id}, {at}), CONSTRAINT {check} CHECK ({text} <> {said} || 'x'));
CREATE INDEX {index} ON {schema}.{table} ({text}) WHERE {text} <> {said};
CREATE UNIQUE INDEX {unique} ON {schema}.{table} ({at}, {id}) INCLUDE ({text});
CREATE STATISTICS {schema}.{statistics} ON {id}, {text} FROM {schema}.{table};
CREATE TRIGGER {trigger} BEFORE INSERT OR UPDATE OF {text} ON {schema}.{table} FOR EACH ROW
    WHEN (NEW.{text} <> {said}) EXECUTE FUNCTION {schema}.{function}({said});
CREATE POLICY {policy} ON {schema}.{table} USING ({text} <> {said} || 'y');
CREATE VIEW {schema}.{view} AS SELECT {id} AS {text}, {said} AS said FROM {schema}.{table};
CREATE MATERIALIZED VIEW {schema}.{materialized} AS SELECT {id}, {text} FROM {schema}.{table};
COMMENT ON TABLE {schema}.{table} IS {said};
COMMENT ON COLUMN {schema}.{table}.{text} IS {said};
COMMENT ON INDEX {schema}.{index} IS {said};
COMMENT ON TRIGGER {trigger} ON {schema}.{table} IS {said};
INSERT INTO {schema}.{table} SELECT n, now() - n * interval '9 days', {said} FROM generate_series(1, 9) AS n
"""
NAMED = (
    *("table", "index", "unique", "statistics", "view", "materialized", "trigger", "key", "check"),
    *("schema", "function", "id", "at", "text", "policy"),
)


def make(connection: Connection, poisons: Sequence[str]) -> tuple[TableSpec, dict[str, str]]:
    """Make a table each of whose names holds one of the poisons, with rows and comments that hold the first."""
    named = {each: cut(f"{each[:2]}{poison}") for each, poison in zip(NAMED, cycle(poisons), strict=False)}
    named["table"] = named["table"].replace(".", "_")
    parts = {each: sql.Identifier(name) for each, name in named.items()}
    connection.execute(sql.SQL(MADE).format(said=sql.Literal(poisons[0]), **parts))
    content = {"table": f"{named['schema']}.{named['table']}", "partition_by": named["at"], "interval": "quarter"}
    return TableSpec.model_validate(content | {"premake": 1}), named


@settings(max_examples=1)
@given(poisons=st.lists(texts, min_size=2, max_size=4))
@example(poisons=POISONS)
@example(poisons=POISONS[::-1])
@example(poisons=POISONS[2:] + POISONS[:2])
def test_a_name_is_never_obeyed(
    connection: Connection, connect: Callable[[], Connection], poisons: Sequence[str]
) -> None:
    spec, named = make(connection, poisons)
    before = objects(connection)
    rows = sql.SQL("SELECT * FROM {} ORDER BY 1").format(spec.name.identifier)
    run = open_run(connect, spec, f"run {poisons}")
    migrate(run)
    text = sql.Identifier(named["text"])
    connection.execute(sql.SQL("UPDATE {} SET {} = {} || '!'").format(spec.name.identifier, text, text))
    held = connection.execute(rows).fetchall()
    ahead = open_run(connect, spec.model_copy(update={"premake": 2}), f"ahead {poisons}", "maintenance")
    assert maintain(ahead, MaintenanceParams(table=spec.table)).summary["created"]
    rollback.roll_back(run)
    assert connection.execute(rows).fetchall() == held
    rollback.abandon(run)
    assert objects(connection) == before
    connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(spec.name.schema)))


def objects(connection: Connection) -> set[tuple[object, ...]]:
    """List what is in the database beside the ledger."""
    return {each for each in footprint.objects(connection) if "partition_playbook" not in str(each[1])}


# What PostgreSQL's own functions and operators are called, in the schema of the table: whoever calls one is named.
SHADOWS = """
CREATE FUNCTION public.tell() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'taken by %', current_user; END $$;
CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT public.tell()::timestamptz';
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT public.tell()::timestamptz';
CREATE FUNCTION public.to_regclass(text) RETURNS regclass LANGUAGE sql AS 'SELECT public.tell()::regclass';
CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS 'SELECT public.tell()';
CREATE FUNCTION public.date_trunc(text, timestamptz) RETURNS timestamptz LANGUAGE sql
    AS 'SELECT public.tell()::timestamptz';
CREATE FUNCTION public.compared({type}, {type}) RETURNS boolean LANGUAGE sql AS 'SELECT public.tell() IS NULL';
CREATE OPERATOR public.= (FUNCTION = public.compared, LEFTARG = {type}, RIGHTARG = {type});
CREATE OPERATOR public.>= (FUNCTION = public.compared, LEFTARG = {type}, RIGHTARG = {type});
CREATE OPERATOR public.< (FUNCTION = public.compared, LEFTARG = {type}, RIGHTARG = {type})
"""


def test_nothing_on_the_search_path_is_called(
    connection: Connection, run: Run, readings: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(200)
    monkeypatch.setattr(measure, "RUNS", 3)
    connection.execute(SHADOWS.replace("{type}", "timestamptz"))  # type: ignore[call-overload]
    name = sql.Identifier(connection.info.dbname)
    connection.execute(sql.SQL("ALTER DATABASE {} SET search_path = public, pg_catalog").format(name))
    assert [each for each in preflight_checks(run, RunParams()) if "taken" in str(each)] == []
    measure.benchmark(run, "before")
    migrate(run)
    found = [*validation_checks(run), *pruning_checks(run, 0), *probes.probe_checks(run)]
    assert [str(each) for each in found if each.blocks and not each.name.startswith("speedup")] == []
    rollback.roll_back(run)


ATTEMPTS = (
    f"SELECT 1; COMMIT; {TAKEN}",
    f"SELECT 1; {TAKEN}",
    "SELECT 1; DELETE FROM {table}",
    "WITH gone AS (DELETE FROM {table} RETURNING 1) SELECT * FROM gone",
    "SELECT set_config('transaction_read_only', 'off', true), nextval('public.numbers')",
)


@pytest.fixture
def small(connection: Connection, run: Run, readings: Callable[[int], None]) -> Run:
    readings(50)
    connection.execute("CREATE SEQUENCE public.numbers")
    return run


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_the_sql_of_a_spec_cannot_write(connection: Connection, small: Run, attempt: str) -> None:
    before, rows = footprint.objects(connection), footprint.rows(connection)
    with pytest.raises(psycopg.Error):
        measure.measure(small, measure.compose(small, attempt))
    with pytest.raises(psycopg.Error):
        ask_since(small, f"({attempt})" if ";" not in attempt else attempt[6:])
    assert answer(small, attempt).problem
    assert (footprint.objects(connection), footprint.rows(connection)) == (before, rows)


def test_a_large_object_that_the_sql_of_a_spec_makes_is_gone_again(connection: Connection, small: Run) -> None:
    """Before PostgreSQL 16 a read-only transaction may make one."""
    refused = connection.info.server_version >= 160_000
    attempt = "SELECT lo_create(0)"
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction) if refused else nullcontext():
        measure.measure(small, measure.compose(small, attempt))
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction if refused else InvalidSpec):
        ask_since(small, f"({attempt})")
    assert bool(answer(small, attempt).problem) is refused
    assert connection.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone() == (0,)


def ask_since(run: Run, expression: str) -> None:
    query = Query(name="q", sql="SELECT", since=expression)
    ranges.query_spans(Run(run.spec.model_copy(update={"queries": (query,)}), run.database, run.ledger))


def answer(run: Run, text: str) -> probes.Answer:
    with run.database.session() as session, run.database.block(session):
        return probes._ask(session, sides(session, run).live, Probe(name="probe", sql=text), 1)


def test_the_sql_of_a_spec_leaves_no_setting_behind(small: Run) -> None:
    text = "SELECT set_config('session_replication_role', 'replica', false), set_config('role', 'pg_monitor', false)"
    measure.measure(small, measure.compose(small, text))
    assert answer(small, text).problem == ""
    with small.database.session() as session:
        left = session.connection.execute("SELECT current_setting('session_replication_role') AS a, current_user AS b")
        assert left.fetchone() == {"a": "origin", "b": session.connection.info.user}


def test_the_sql_of_a_spec_ends_in_time(small: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LIMITS", Limits(statement_timeout=50))
    with pytest.raises(psycopg.errors.QueryCanceled):
        measure.measure(small, measure.compose(small, "SELECT pg_sleep(20)"))
    assert "57014" in answer(small, "SELECT pg_sleep(20)").problem


def test_generated_values_are_one_statement(small: Run) -> None:
    values = {"source": f"'x' FROM moments AS m; {TAKEN}; SELECT 1"}
    spec = small.spec.model_copy(update={"synthetic": Synthetic(values=values)})
    params = RunParams(mode="rehearse", synthetic_rows=10)
    run = Run(spec, small.database, small.ledger)
    with pytest.raises(psycopg.errors.SyntaxError, match="multiple commands"):
        generate(run, params, slices(run, params)[0])


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("SELECT 'geheim' FROM sensor_readings", "SELECT ..."),
        ("SELECT 4711 AS y2026 FROM sensor_readings", "SELECT ? AS y2026 FROM sensor_readings"),
        (r"SELECT E'it\'s geheim' FROM sensor_readings", "SELECT E..."),
        ("SELECT $$geheim$$ FROM sensor_readings", "SELECT ..."),
        (f"SELECT '{'x' * 900}', 'geheim' FROM sensor_readings", "SELECT ..."),
    ],
)
def test_who_is_in_the_way_is_named_without_values(
    connect: Callable[[], Connection],
    small: Run,
    monkeypatch: pytest.MonkeyPatch,
    statement: LiteralString,
    told: str,
) -> None:
    monkeypatch.setattr(environment, "LONG_SECONDS", -1)
    with connect() as other:
        other.execute(statement)
        (holder,) = lock_holders(small.database, [small.table])
        checked = {each.name: each for each in preflight_checks(small, RunParams())}["long_transactions"]
    assert holder.endswith(f": {told}")
    assert checked.actual.endswith(told)
    assert "geheim" not in f"{holder} {checked} {checked.evidence}"


# What another role can put on its own table, or before the ledger is there; each tells who runs it.
LENT = """
GRANT CREATE ON SCHEMA public TO mallory;
CREATE TABLE public.ran (who text);
GRANT INSERT ON public.ran TO PUBLIC;
ALTER TABLE sensor_readings OWNER TO mallory;
SET ROLE mallory;
CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO public.ran VALUES (current_user); RETURN NEW; END $$;
CREATE FUNCTION public.plausible(numeric) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION public.seen() RETURNS boolean LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO public.ran VALUES (current_user); RETURN true; END $$;
CREATE TRIGGER noting BEFORE INSERT OR UPDATE OR DELETE ON sensor_readings FOR EACH ROW EXECUTE FUNCTION public.note();
ALTER TABLE sensor_readings ADD CHECK (public.plausible(temperature));
CREATE MATERIALIZED VIEW public.latest AS SELECT max(recorded_at) AS latest FROM sensor_readings WHERE public.seen();
RESET ROLE
"""


@pytest.fixture
def mallory(connection: Connection, run: Run, readings: Callable[[int], None]) -> Iterator[Run]:
    """Return the run of a table of somebody who wishes to have its rights."""
    readings(200)
    connection.execute("CREATE ROLE mallory LOGIN")
    connection.execute(LENT)
    connection.execute("TRUNCATE public.ran")
    yield run
    connection.execute("DROP OWNED BY mallory CASCADE; DROP ROLE mallory")


def test_triggers_and_views_of_others_are_lent_no_right(connection: Connection, mallory: Run) -> None:
    lent = {each.name: each for each in preflight_checks(mallory, RunParams())}["foreign_function_rights"]
    assert lent.severity is Severity.WARNING
    assert lent.actual == "public.note() of mallory; public.plausible(numeric) of mallory"
    migrate(mallory)
    rollback.roll_back(mallory)
    rollback.abandon(mallory)
    assert set(connection.execute("SELECT who FROM public.ran")) <= {("mallory",)}


def test_the_change_log_and_the_capture_are_nobody_elses(connection: Connection, dsn: str, mallory: Run) -> None:
    migrate(mallory)
    log, capture = mallory.table.change_log.identifier, mallory.table.capture_function.identifier
    attempts = (
        sql.SQL("SELECT * FROM {}").format(log),
        sql.SQL("INSERT INTO {} DEFAULT VALUES").format(log),
        sql.SQL("DELETE FROM partition_playbook.runs"),
        sql.SQL(
            "CREATE TEMP TABLE mine (LIKE sensor_readings); CREATE TRIGGER fake AFTER INSERT ON mine "
            "REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION {}()"
        ).format(capture),
    )
    with psycopg.connect(make_conninfo(dsn, user="mallory"), autocommit=True) as other:
        for attempt in attempts:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                other.execute(attempt)
        other.execute("UPDATE sensor_readings SET battery = 1 WHERE id = (SELECT min(id) FROM sensor_readings)")
    assert count_changes(connection, mallory) == 1
    rollback.roll_back(mallory)
    rollback.abandon(mallory)


def count_changes(connection: Connection, run: Run) -> int:
    ((found,),) = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(run.table.change_log.identifier))
    return int(found)
