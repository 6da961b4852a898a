"""Names, comments, rows, functions and files as an attack: nothing in them is ever obeyed, and none gains a right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from partition_playbook.database import Limits
from partition_playbook.evidence import application, benchmark, data_preparation, preflight, pruning, validation
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.maintenance.upkeep import maintain
from partition_playbook.migration import rollback
from partition_playbook.migration.run import Run, sides
from partition_playbook.names import MAX_BYTES
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


@settings(max_examples=4)
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
    monkeypatch.setattr(benchmark, "RUNS", 3)
    connection.execute(SHADOWS.replace("{type}", "timestamptz"))  # type: ignore[call-overload]
    name = sql.Identifier(connection.info.dbname)
    connection.execute(sql.SQL("ALTER DATABASE {} SET search_path = public, pg_catalog").format(name))
    assert [each for each in preflight.checks(run, RunParams()) if "taken" in str(each)] == []
    benchmark.benchmark(run, "before")
    migrate(run)
    found = [*validation.checks(run), *pruning.checks(run, 0), *application.checks(run)]
    assert [str(each) for each in found if each.blocks and not each.name.startswith("speedup")] == []
    rollback.roll_back(run)


ATTEMPTS = (
    f"SELECT 1; COMMIT; {TAKEN}",
    f"SELECT 1; {TAKEN}",
    "SELECT 1; DELETE FROM {table}",
    "WITH gone AS (DELETE FROM {table} RETURNING 1) SELECT * FROM gone",
    "SELECT set_config('transaction_read_only', 'off', true), nextval('public.numbers')",
    "SELECT lo_create(0)",
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
        benchmark.measure(small, benchmark.compose(small, attempt))
    query = Query(name="q", sql="SELECT", since=f"({attempt})" if ";" not in attempt else attempt[6:])
    with pytest.raises(psycopg.Error):
        pruning.asked(Run(small.spec.model_copy(update={"queries": (query,)}), small.database, small.ledger))
    assert answer(small, attempt).problem
    assert (footprint.objects(connection), footprint.rows(connection)) == (before, rows)
    assert connection.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone() == (0,)


def answer(run: Run, text: str) -> application.Answer:
    with run.database.session() as session, run.database.block(session):
        return application._ask(session, sides(session, run).live, Probe(name="probe", sql=text), 1)


def test_the_sql_of_a_spec_leaves_no_setting_behind(small: Run) -> None:
    text = "SELECT set_config('session_replication_role', 'replica', false), set_config('role', 'pg_monitor', false)"
    benchmark.measure(small, benchmark.compose(small, text))
    assert answer(small, text).problem == ""
    with small.database.session() as session:
        left = session.connection.execute("SELECT current_setting('session_replication_role') AS a, current_user AS b")
        assert left.fetchone() == {"a": "origin", "b": session.connection.info.user}


def test_the_sql_of_a_spec_ends_in_time(small: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "LIMITS", Limits(statement_timeout=50))
    with pytest.raises(psycopg.errors.QueryCanceled):
        benchmark.measure(small, benchmark.compose(small, "SELECT pg_sleep(20)"))
    assert "57014" in answer(small, "SELECT pg_sleep(20)").problem


def test_generated_values_are_one_statement(small: Run) -> None:
    values = {"source": f"'x' FROM moments AS m; {TAKEN}; SELECT 1"}
    spec = small.spec.model_copy(update={"synthetic": Synthetic(values=values)})
    params = RunParams(mode="rehearse", synthetic_rows=10)
    run = Run(spec, small.database, small.ledger)
    with pytest.raises(psycopg.errors.SyntaxError, match="multiple commands"):
        data_preparation.generate(run, params, data_preparation.slices(run, params)[0])
