"""A migration runs the statements that mode plan prints."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from partition_playbook.engine import plan, shadow
from partition_playbook.run import Run
from partition_playbook.spec import RunParams
from tests.fixtures.migration import migrate


def plain(statement: str) -> str:
    return " ".join(statement.rstrip(" ;\n").split())


def test_the_plan_names_every_statement_that_a_migration_runs_and_no_other(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection
) -> None:
    readings(300)
    planned = {plain(line) for line in plan.describe(run, RunParams()) if line.endswith(";")}
    shadow.build(run)
    connection.execute("UPDATE sensor_readings SET recorded_at = now() WHERE id < 10")
    migrate(run)
    done = {plain(event["statement"]) for event in run.ledger.events() if event["kind"] == "statement"}
    assert done == planned
