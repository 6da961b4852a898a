"""Evidence on tables that are nothing like the worked one: odd names, other types, other keys."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from partition_playbook.checks import Outcome
from partition_playbook.run import Run
from partition_playbook.sections.application.probes import probe_checks
from partition_playbook.sections.pruning.checks import pruning_checks
from partition_playbook.sections.pruning.retention_benefit import measure_benefit
from partition_playbook.sections.validation.checks import validation_checks
from partition_playbook.spec import TableSpec
from tests.fixtures.migration import migrate
from tests.fixtures.tables import open_run

HOSTILE = """
CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."group" ("select" int, "Sub" varchar(12), PRIMARY KEY ("select", "Sub"));
CREATE TABLE "Odd Schema"."Kind%s" (code char(32) PRIMARY KEY);
INSERT INTO "Odd Schema"."group" SELECT n, 'sub ' || n FROM generate_series(1, 9) AS n;
INSERT INTO "Odd Schema"."Kind%s" VALUES ('a'), ('b');
CREATE TABLE "Odd Schema"."Order" (
    "Id" serial PRIMARY KEY, "group" int NOT NULL, "Sub" varchar(12) NOT NULL, kind char(32) NOT NULL,
    "when" {type} NOT NULL, amount float8, twice float8 GENERATED ALWAYS AS (amount * 2) STORED,
    CONSTRAINT "to group" FOREIGN KEY ("group", "Sub") REFERENCES "Odd Schema"."group",
    CONSTRAINT "to%kind" FOREIGN KEY (kind) REFERENCES "Odd Schema"."Kind%s" DEFERRABLE INITIALLY DEFERRED);
CREATE INDEX "Order when" ON "Odd Schema"."Order" ("when");
INSERT INTO "Odd Schema"."Order" ("group", "Sub", kind, "when", amount)
SELECT 1 + n % 9, 'sub ' || 1 + n % 9, 'a', now()::timestamp - n * interval '7 hours 11 microseconds', n / 7.0
  FROM generate_series(1, 900) AS n;
ANALYZE
"""


@pytest.mark.parametrize("kind", ["date", "timestamp", "timestamptz"])
@pytest.mark.parametrize("default", ["keep", "none"])
def test_hostile_table_passes(
    connect: Callable[[], psycopg.Connection], connection: psycopg.Connection, kind: str, default: str
) -> None:
    connection.execute(HOSTILE.replace("{type}", kind))  # type: ignore[call-overload]
    sql = 'SELECT "group", sum(amount), avg(twice) FROM {table} GROUP BY 1'
    content = {
        "table": "Odd Schema.Order",
        "partition_by": "when",
        "timezone": "Asia/Kolkata",
        "default_partition": default,
    }
    content["application"] = {"probes": [{"name": "sums", "sql": sql}]}
    run = open_run(connect, TableSpec.model_validate(content), "hostile")
    migrate(run)
    found = [*validation_checks(run), *pruning_checks(run, 0.5)[:3], *probe_checks(run)]
    assert [str(each) for each in found if each.outcome is Outcome.FAILED] == []
    by_name = {each.name: each for each in found}
    assert set(by_name["foreign_keys_enforced"].evidence) == {"to group", "to%kind"}
    measure_benefit(run)
    assert_unchanged(run, connection)


def assert_unchanged(run: Run, connection: psycopg.Connection) -> None:
    live, retired = (
        connection.execute(f'SELECT count(*), sum("Id") FROM "Odd Schema"."{name}"').fetchone()  # type: ignore[call-overload]
        for name in ("Order", "Order_old")
    )
    assert live == retired
    assert live is not None
    assert live[0] == 900
