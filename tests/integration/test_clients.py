"""Clients whose statements or tools mean something else on a partitioned table are named before it is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import psycopg
import pytest

from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.run import Run
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.spec import RunParams, TableSpec
from partition_playbook.workload.checks import workload_checks
from tests.fixtures.tables import open_run
from tests.integration.test_row_triggers import build

Connect = Callable[[], psycopg.Connection]
PARAMS = RunParams(mode="rehearse", backup="skip", accept_weaker_uniqueness=True)
TABLE = """
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
CREATE TABLE "Orders" (id bigint PRIMARY KEY, "At" timestamptz NOT NULL DEFAULT clock_timestamp(), total int);
CREATE TABLE customers (id int);
INSERT INTO "Orders" SELECT n, now() - n * interval '3 days', 0 FROM generate_series(1, 30) n;
INSERT INTO customers VALUES (1);
"""


@pytest.fixture
def orders(connect: Connect, connection: psycopg.Connection) -> Run:
    send(connection, TABLE, "SELECT pg_stat_statements_reset()")
    return open_run(connect, TableSpec.model_validate({"table": "Orders", "partition_by": "At"}), "orders-run")


def send(connection: psycopg.Connection, *statements: str) -> None:
    for each in statements:
        connection.execute(cast(Any, each))


def early(run: Run, name: str) -> Check:
    return {each.name: each for each in preflight_checks(run, PARAMS)}[name]


def late(run: Run, name: str) -> Check:
    return {each.name: each for each in workload_checks(run)}[name]


def accepting(run: Run) -> Run:
    return Run(run.spec.model_copy(update={"accept": ("upserts",)}), run.database, run.ledger)


RETRIES = {
    "ON CONFLICT DO NOTHING without a target": 'INSERT INTO "Orders" (id) VALUES (1) ON CONFLICT DO NOTHING',
    "ON CONFLICT ON CONSTRAINT Orders_pkey": (
        'INSERT INTO "Orders" (id) VALUES (1) ON CONFLICT ON CONSTRAINT "Orders_pkey" DO UPDATE SET total = 1'
    ),
    "NOT EXISTS (id)": ('INSERT INTO "Orders" (id) SELECT 1 WHERE NOT EXISTS (SELECT FROM "Orders" o WHERE o.id = 1)'),
}


@pytest.mark.parametrize("place", RETRIES)
def test_a_retry_that_relies_on_the_old_key_is_named_early_and_late(
    orders: Run, connection: psycopg.Connection, place: str
) -> None:
    send(connection, RETRIES[place])
    check = early(orders, "upserts")
    assert check.blocks
    assert place in check.actual
    assert early(accepting(orders), "upserts").severity is Severity.WARNING

    build(orders)
    check = late(orders, "workload_deduplicates")
    assert check.blocks
    assert place in check.actual
    assert late(accepting(orders), "workload_deduplicates").severity is Severity.WARNING


@pytest.mark.since(15)
def test_a_merge_on_the_old_key_is_named(orders: Run, connection: psycopg.Connection) -> None:
    send(
        connection,
        'MERGE INTO "Orders" o USING (SELECT 1 AS id) s ON s.id = o.id WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)',
    )
    assert "MERGE … ON (id)" in early(orders, "upserts").actual


def test_acceptance_does_not_cover_an_upsert_that_would_fail(orders: Run, connection: psycopg.Connection) -> None:
    send(connection, 'INSERT INTO "Orders" (id) VALUES (1) ON CONFLICT (id) DO NOTHING')
    assert early(accepting(orders), "upserts").blocks


def test_the_upsert_that_will_fail_stands_first(orders: Run, connection: psycopg.Connection) -> None:
    """An ORM writes one text for each number of rows, and each of them comes before the one that matters."""
    for rows in ("(2)", "(2), (3)", "(2), (3), (4)"):
        send(connection, f'INSERT INTO "Orders" (id) VALUES {rows} ON CONFLICT DO NOTHING')
    send(connection, 'INSERT INTO "Orders" (id) VALUES (1) ON CONFLICT (id) DO NOTHING')
    assert early(orders, "upserts").actual.startswith("ON CONFLICT (id)")


def test_a_function_that_relies_on_the_old_key_is_named(orders: Run, connection: psycopg.Connection) -> None:
    send(
        connection,
        "CREATE FUNCTION receive(bigint) RETURNS void LANGUAGE plpgsql AS "
        '$$ BEGIN INSERT INTO public."Orders" (id) VALUES ($1) ON CONFLICT DO NOTHING; END $$',
    )
    assert "in function public.receive(bigint)" in early(orders, "upserts").actual


def test_the_remedy_for_a_retry_works_as_it_is_typed(orders: Run, connection: psycopg.Connection) -> None:
    send(connection, RETRIES["ON CONFLICT DO NOTHING without a target"])
    typed = early(orders, "upserts").remedy.partition("under a lock: ")[2].partition(". Then")[0]
    for number, value in {"$1": "77", "$2": "now()", "$3": "5"}.items():
        typed = typed.replace(number, value)
    for _ in range(2):
        send(connection, *typed.split("; "))
    assert connection.execute('SELECT count(*) FROM "Orders" WHERE id = 77').fetchone() == (1,)


WARNED = {
    "TRUNCATE": ("maintenance_statements", ['TRUNCATE "Orders"']),
    "ALTER TABLE … DISABLE TRIGGER": (
        "maintenance_statements",
        ['ALTER TABLE "Orders" DISABLE TRIGGER ALL', 'ALTER TABLE public."Orders" ENABLE TRIGGER ALL'],
    ),
    "CLUSTER": ("maintenance_statements", ['CLUSTER "Orders" USING "Orders_pkey"']),
    "VACUUM FULL": ("maintenance_statements", ['VACUUM (FULL) "Orders"']),
    'UPDATE "Orders" SET "At"': ("row_movement", ['UPDATE "Orders" SET "At" = now() WHERE id = 1']),
    "ctid in": ("row_addresses", ['SELECT ctid FROM "Orders" WHERE id = 1']),
}


@pytest.mark.parametrize("told", WARNED)
def test_a_statement_that_a_migration_changes_is_a_warning(
    orders: Run, connection: psycopg.Connection, told: str
) -> None:
    name, statements = WARNED[told]
    assert early(orders, name).outcome is Outcome.PASSED
    send(connection, *statements)
    check = early(orders, name)
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    assert told in check.actual
    assert check.remedy


def test_sessions_of_postgres_fdw_are_named(orders: Run, connect: Connect) -> None:
    with connect() as foreign:
        foreign.execute("SET application_name = 'postgres_fdw'")
        session = f"pid {foreign.info.backend_pid} user {foreign.info.user} application 'postgres_fdw'"
        check = early(orders, "row_addresses")
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    assert f"{session} from " in check.actual


def copy_out(connection: psycopg.Connection, text: str) -> None:
    with connection.cursor().copy(cast(Any, text)) as copied:
        list(copied)


def test_a_dump_of_this_table_alone_is_named(orders: Run, connection: psycopg.Connection) -> None:
    assert early(orders, "selective_dumps").outcome is Outcome.PASSED
    copy_out(connection, 'COPY public."Orders" (id, "At", total) TO stdout;')
    check = early(orders, "selective_dumps")
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    assert "--table-and-children" in check.remedy
    copy_out(connection, "COPY public.customers (id) TO stdout;")
    assert early(orders, "selective_dumps").outcome is Outcome.PASSED


@pytest.fixture
def slot(connection: psycopg.Connection) -> Iterator[str]:
    name = f"cdc_{connection.info.dbname}"
    connection.execute("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", (name,))
    yield name
    connection.execute("SELECT pg_drop_replication_slot(%s)", (name,))


def test_a_slot_with_another_plugin_is_named(orders: Run, slot: str) -> None:
    check = early(orders, "output_plugins")
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    assert f"slot {slot} with test_decoding" in check.actual


def test_the_locks_of_a_generic_plan_are_told(orders: Run, connection: psycopg.Connection) -> None:
    """The table has one index, so each partition is two locks; before PostgreSQL 18 the root's index is not locked."""
    build(orders)
    send(connection, 'UPDATE "Orders" SET "At" = "At" WHERE id = 1 AND "At" > now()')
    check = late(orders, "workload_locks")
    tree = connection.execute("SELECT count(*) FROM pg_partition_tree('\"Orders_new\"')").fetchone()
    assert tree is not None
    (statement,) = check.evidence["statements"]
    assert statement["reason"] in (f"{2 * tree[0]} locks", f"{2 * tree[0] - 1} locks")
    assert check.outcome is Outcome.PASSED
    moves = late(orders, "workload_moves_rows")
    assert (moves.outcome, moves.severity) == (Outcome.FAILED, Severity.WARNING)


LIARS = {
    "an index by the local day": (
        "CREATE FUNCTION f(timestamptz) RETURNS date LANGUAGE sql IMMUTABLE AS 'SELECT $1::date'",
        'CREATE INDEX ON "Orders" (public.f("At"))',
        "TimeZone",
    ),
    "an index by a date as text": (
        "CREATE FUNCTION f(timestamptz) RETURNS text LANGUAGE sql IMMUTABLE "
        "AS $$ SELECT ($1 AT TIME ZONE 'UTC')::text $$",
        'CREATE INDEX ON "Orders" (public.f("At"))',
        "DateStyle",
    ),
    "the predicate of an index": (
        "CREATE FUNCTION f(timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1::time < time ''12:00'''",
        'CREATE INDEX ON "Orders" (total) WHERE public.f("At")',
        "TimeZone",
    ),
    "a generated column": (
        "CREATE FUNCTION f(interval) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1::text; END'",
        """ALTER TABLE "Orders" ADD spent text GENERATED ALWAYS AS (public.f(interval '1 day')) STORED""",
        "IntervalStyle",
    ),
    "a CHECK": (
        "SELECT 1",
        """ALTER TABLE "Orders" ADD CHECK (("At"::time < '12:00') OR total = 0 OR "At" < '-infinity') NOT VALID""",
        "",
    ),
}


@pytest.mark.parametrize("kind", LIARS)
def test_an_expression_that_depends_on_a_setting_is_refused(
    orders: Run, connection: psycopg.Connection, kind: str
) -> None:
    """A constraint that holds for every row under every setting is carried: only a difference is refused."""
    function, user, setting = LIARS[kind]
    send(connection, function, user)
    check = early(orders, "expressions")
    assert check.blocks is bool(setting), check.actual
    if setting:
        assert check.actual.endswith(f"depends on {setting}")


def test_values_that_only_look_different_are_carried(orders: Run, connection: psycopg.Connection) -> None:
    """The text of a timestamptz depends on the zone, and its value does not."""
    send(
        connection,
        'CREATE INDEX ON "Orders" (greatest("At", \'2020-01-01 00:00+00\'))',
        "CREATE INDEX ON \"Orders\" (date_trunc('hour', \"At\" AT TIME ZONE 'Europe/Berlin'))",
    )
    assert early(orders, "expressions").outcome is Outcome.PASSED
