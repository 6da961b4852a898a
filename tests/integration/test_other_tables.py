"""A good cutover of a table unlike the worked one is a GO: no check of any section turns red for nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from partition_playbook.benchmark.measure import benchmark
from partition_playbook.checks import Check
from partition_playbook.engine import attach, cutover, load, reconcile, shadow, vacuum, verify
from partition_playbook.engine.sides import Direction
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.run import Run
from partition_playbook.sections.application.probes import probe_checks
from partition_playbook.sections.decision.criteria import to_sign_off
from partition_playbook.sections.lifecycle.checks import lifecycle_checks
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.sections.pruning.checks import pruning_checks
from partition_playbook.sections.pruning.speed import BEFORE
from partition_playbook.sections.snapshot.backup import take_statistics
from partition_playbook.sections.validation.checks import parity_check, validation_checks
from partition_playbook.sections.watch import looks
from partition_playbook.sections.watch.checks import watch_checks
from partition_playbook.spec import RunParams, TableSpec
from tests.fixtures.tables import open_run

Connect = Callable[[], psycopg.Connection]
UUID7 = (
    "CREATE FUNCTION uuid7_at(timestamptz) RETURNS uuid LANGUAGE sql AS $$ SELECT overlay(overlay("
    "gen_random_uuid()::text placing '7' from 15) placing overlay(lpad(to_hex(floor(extract(epoch FROM $1) * 1000)"
    "::bigint), 12, '0') placing '-' from 9 for 0) from 1)::uuid $$; "
)
LOGS = "CREATE TABLE logs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL, code bigint); "
ROWS = "INSERT INTO logs (at, code) SELECT {}, n FROM generate_series(1, {}) AS n; "
PARAMS = {"accept_weaker_uniqueness": True, "backup": "external", "external_backup_at": "2026-11-23T00:00:00Z"}
SPEC: dict[str, Any] = {"table": "logs", "partition_by": "at"}

# What it is: its SQL, changes of the spec, and statements of the application between the build and the cutover.
TABLES: dict[str, tuple[str, dict[str, Any], str]] = {
    "an empty table": (LOGS, {}, ""),
    "a single row": (LOGS + ROWS.format("now()", 1), {}, ""),
    "a table at rest": (LOGS + ROWS.format("'2020-01-01'::timestamptz + n * interval '6 hours'", 3000), {}, ""),
    "one partition": (
        LOGS + ROWS.format("date_trunc('year', now()) + n * interval '1 second'", 500),
        {"interval": "year", "premake": 1},
        "",
    ),
    "ten years in order of time, of which two are kept": (
        LOGS + ROWS.format("now() - (3650 - n) * interval '1 day'", 3650),
        {"retention": "24 months", "interval": "year"},
        "",
    ),
    "weeks without a default partition": (
        LOGS + ROWS.format("now() - n * interval '1 hour'", 500),
        {"interval": "week", "default_partition": "none"},
        "",
    ),
    "rows of wrong clocks that arrive meanwhile": (
        LOGS + ROWS.format("now() - n * interval '1 hour'", 2000),
        {},
        "INSERT INTO logs (at) VALUES ('1970-01-01'), ('2036-02-07'), (now() - interval '3 years'), ('infinity')",
    ),
    "a second unique key, of an application that writes no time": (
        LOGS
        + "ALTER TABLE logs ALTER at SET DEFAULT now(); "
        + ROWS.format("now() - n * interval '1 hour'", 2000)
        + "CREATE UNIQUE INDEX logs_code ON logs (code) NULLS NOT DISTINCT WHERE code > 0; "
        "ALTER TABLE logs ADD CONSTRAINT twice UNIQUE (code) DEFERRABLE",
        {},
        "UPDATE logs SET code = code + 10000 WHERE id < 50",
    ),
    "mixed case, a text key and days": (
        'CREATE TABLE "Order Log" ("Key" text COLLATE "C" PRIMARY KEY, "At" date NOT NULL, "Note %s" text); '
        "INSERT INTO \"Order Log\" SELECT 'k' || n, current_date - n % 400, 'x' FROM generate_series(1, 2000) AS n",
        {"table": "Order Log", "partition_by": "At", "application": {}},
        'DELETE FROM "Order Log" WHERE "Key" < \'k2\'',
    ),
    "a probe with ties": (
        LOGS + ROWS.format("now() - n * interval '1 hour'", 2000) + "CREATE INDEX ON logs (at)",
        {
            "application": {
                "probes": [{"name": "ties", "sql": "SELECT id, code FROM {table} ORDER BY code % 7 LIMIT 9"}]
            }
        },
        "DELETE FROM logs WHERE id % 10 = 0",
    ),
    "seconds since 1970 in an integer": (
        "CREATE TABLE logs (id bigint GENERATED ALWAYS AS IDENTITY, at integer, code bigint, PRIMARY KEY (id, at)); "
        + ROWS.format("extract(epoch FROM now() - n * interval '2 hours')::int", 3000)
        + "CREATE INDEX ON logs (at)",
        {"encoding": "epoch_seconds", "timezone": "America/Santiago", "retention": "36 months"},
        "UPDATE logs SET at = at - 3000000 WHERE id < 50; INSERT INTO logs (at) VALUES (2000000000), (-1)",
    ),
    "a key of uuid version 7": (
        UUID7 + "CREATE TABLE logs (id uuid PRIMARY KEY, code bigint); INSERT INTO logs "
        "SELECT uuid7_at(now() - n * interval '2 hours'), n FROM generate_series(1, 3000) AS n",
        {"partition_by": "id", "encoding": "uuidv7", "timezone": "Asia/Kathmandu", "retention": "36 months"},
        "DELETE FROM logs WHERE code < 50; INSERT INTO logs VALUES (gen_random_uuid()), (uuid7_at('2040-01-01'))",
    ),
}
NOT_DISTINCT = pytest.mark.since(15)


def record(run: Run, section: str, checks: list[Check]) -> list[str]:
    """Record the checks of a section, and return those that would be a no-go."""
    replace(run.ledger, section=section).record_checks(checks)
    return [f"{section}: {each}" for each in checks if each.blocks]


@pytest.mark.parametrize(
    "what", [pytest.param(each, marks=[NOT_DISTINCT] if "NOT DISTINCT" in TABLES[each][0] else []) for each in TABLES]
)
def test_a_good_cutover_is_a_go(connect: Connect, connection: psycopg.Connection, what: str) -> None:
    made, changes, meanwhile = TABLES[what]
    connection.execute(made + "; ANALYZE")  # type: ignore[call-overload]
    spec = TableSpec.model_validate(SPEC | changes)
    run = open_run(connect, spec, "other", "migrate")
    params = RunParams.model_validate({"mode": "migrate"} | PARAMS)

    rehearsal = RunParams.model_validate({"mode": "rehearse", "backup": "skip", "accept_weaker_uniqueness": True})
    against = record(run, "preflight", preflight_checks(run, rehearsal))
    take_statistics(run)
    benchmark(run, BEFORE)
    cut_over(run, lambda: connection.execute(meanwhile))  # type: ignore[call-overload]
    against += record(
        run,
        "migration",
        [
            verify.content_check(*verify.compare(run), name="row_content_before_cutover"),
            parity_check(run, name="parity_before_cutover"),
        ],
    )
    cutover.swap(run, Direction.FORWARD)

    against += record(run, "validation", validation_checks(run))
    against += record(run, "pruning", pruning_checks(run, params.min_speedup))
    against += record(run, "application", probe_checks(run))
    against += record(run, "lifecycle", maintained(run, connect))
    against += record(run, "watch", watched(run))
    against += record(run, "validation", validation_checks(run))  # cleared after the maintenance
    against += [str(each) for each in to_sign_off(run, params) if each.blocks]
    assert not against, "\n".join(against)


def cut_over(run: Run, write: Callable[[], object]) -> None:
    """Build the shadow, let the application write, and catch up."""
    shadow.build(run)
    write()
    for each in run.ledger.loads():
        load.load_partition(run, each["partition_name"], workers=1)
    attach.attach_partitions(run)
    vacuum.vacuum_partitions(run, workers=2)
    reconcile.catch_up(run)


def watched(run: Run) -> list[Check]:
    """Look once at the database, the only source that every spec has."""
    watch = looks.begin(run, 60.0)
    looks.take(run, watch, lambda *_: None)
    return watch_checks(run, watch)


def maintained(run: Run, connect: Connect) -> list[Check]:
    """Do what the section lifecycle triggers."""
    upkeep = open_run(connect, run.spec, "upkeep", "maintenance")
    done = maintain(upkeep, MaintenanceParams(retention="dry_run", keep="12 months"))
    upkeep.ledger.record_checks(done.checks)
    upkeep.ledger.close("no-go" if any(each.blocks for each in done.checks) else "go")
    return lifecycle_checks(run, upkeep.ledger, run.spec.premake)
