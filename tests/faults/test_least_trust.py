"""Names, comments, rows, functions and files as an attack: nothing in them is ever obeyed, and none gains a right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle

import psycopg
from hypothesis import example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.maintenance.upkeep import maintain
from partition_playbook.migration import rollback
from partition_playbook.names import MAX_BYTES
from partition_playbook.spec import TableSpec
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
