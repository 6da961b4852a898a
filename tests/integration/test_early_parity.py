"""A difference that would stop a swap days later stops the build of the shadow, in seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from partition_playbook.engine import shadow
from partition_playbook.errors import PreconditionFailed
from partition_playbook.spec import TableSpec
from tests.fixtures import footprint
from tests.fixtures.tables import open_run

Connection = psycopg.Connection[Any]
SPEC = TableSpec(table="orders", partition_by="placed_at", premake=1)
ORDERS = """
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, placed_at timestamptz NOT NULL, total int);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER note BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION note();
COMMENT ON SEQUENCE orders_id_seq IS 'numbers';
GRANT SELECT ON orders TO PUBLIC;
INSERT INTO orders (placed_at, total) SELECT now() - n * interval '1 day', n FROM generate_series(1, 60) n
"""
# An event trigger of the database's owner: automation that no preflight foresees. It acts once in a transaction.
AUTOMATION = """
CREATE FUNCTION adjust() RETURNS event_trigger LANGUAGE plpgsql AS $function$
DECLARE
    wanted text := (SELECT relname FROM pg_class WHERE relname ~ '^orders_(new|y)' AND relname ~ '{pattern}' LIMIT 1);
BEGIN
    IF wanted IS NOT NULL AND coalesce(current_setting('adjust.done', true), '') = '' THEN
        PERFORM set_config('adjust.done', 'yes', true);
        EXECUTE format('{statement}', wanted);
    END IF;
END $function$;
CREATE EVENT TRIGGER adjust ON ddl_command_end WHEN TAG IN ('{tag}') EXECUTE FUNCTION adjust()
"""


@pytest.fixture
def orders(connection: Connection) -> Connection:
    connection.execute(ORDERS)
    return connection


@pytest.mark.parametrize(
    ("tag", "pattern", "statement", "named"),
    [
        ("COMMENT", "new$", "COMMENT ON SEQUENCE public.orders_id_seq_new IS NULL", "sequence of id"),
        ("GRANT", "new$", "GRANT DELETE ON public.%s TO PUBLIC", "grant of DELETE"),
        ("ALTER TABLE", "new$", "ALTER TABLE public.%s ALTER COLUMN total SET STATISTICS 7", "column total"),
        ("CREATE TABLE", "_y", "ALTER TABLE public.%s SET (fillfactor = 50)", "storage of orders_y"),
        ("CREATE TRIGGER", "new$", "ALTER TRIGGER note ON public.%s DEPENDS ON EXTENSION plpgsql", "trigger note"),
    ],
)
def test_it_names_the_difference_and_leaves_nothing(
    orders: Connection, connect: Callable[[], Connection], tag: str, pattern: str, statement: str, named: str
) -> None:
    orders.execute(AUTOMATION.format(tag=tag, pattern=pattern, statement=statement))
    run = open_run(connect, SPEC, "early")
    before = footprint.objects(orders)
    with pytest.raises(PreconditionFailed) as raised:
        shadow.build(run)
    assert named in raised.value.problem
    assert footprint.objects(orders) == before
    assert run.ledger.loads() == []
    assert run.ledger.run()["phase"] == "opened"


def test_what_comes_later_is_no_difference(orders: Connection, connect: Callable[[], Connection]) -> None:
    orders.execute(
        "CREATE TABLE shops (id int PRIMARY KEY); INSERT INTO shops VALUES (1);"
        "ALTER TABLE orders ADD shop int DEFAULT 1 REFERENCES shops, REPLICA IDENTITY FULL, SET (fillfactor = 90);"
        "CREATE PUBLICATION outside FOR TABLE orders; CREATE VIEW totals AS SELECT sum(total) FROM orders;"
        "ALTER TABLE orders ADD CHECK (total > 10) NOT VALID;"
        "CREATE SEQUENCE numbers OWNED BY orders.total"
    )
    assert shadow.build(open_run(connect, SPEC, "early"))
