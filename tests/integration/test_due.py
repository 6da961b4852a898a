"""A look of the maintenance acts on the tables that are due, by the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg

from partition_playbook.database import Database
from partition_playbook.ledger import Ledger
from partition_playbook.maintenance.due import waits_for
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec
from tests.fixtures.tables import open_run

SPEC = TableSpec.model_validate({"table": "Yard.Trips", "partition_by": "at", "maintain": "daily"})


def looking(connect: Callable[[], psycopg.Connection[Any]]) -> Run:
    """Return a run that is not opened yet."""
    database = Database(connect)
    return Run(SPEC, database, Ledger(database, "look", "maintenance"))


def test_a_table_is_due_once_its_schedule_has_a_run_after_the_last_one(
    connection: psycopg.Connection[Any], connect: Callable[[], psycopg.Connection[Any]]
) -> None:
    look = looking(connect)
    assert waits_for(look) == "", "there is no ledger"
    other = SPEC.model_copy(update={"table": "Yard.Other"})
    open_run(connect, other, "other", "maintenance")
    open_run(connect, SPEC, "migration")
    dry = open_run(connect, SPEC, "dry", "maintenance")
    connection.execute("""UPDATE partition_playbook.runs SET params = '{"dry_run": true}' WHERE run_id = 'dry'""")
    assert waits_for(look) == "", "it was never maintained"

    last = open_run(connect, SPEC, "last", "maintenance")
    told = waits_for(look)
    assert told.startswith("Yard.Trips is due at 20")
    assert told.endswith("03:30:00+00:00 (maintain: daily)")
    assert waits_for(last) == "", "a task that is cleared acts again"
    assert waits_for(dry) == told
    connection.execute("UPDATE partition_playbook.runs SET started_at = now() - interval '23 hours 59 minutes'")
    hourly = replace(look, spec=SPEC.model_copy(update={"maintain": "hourly"}))
    monthly = replace(look, spec=SPEC.model_copy(update={"maintain": "0 0 29 2 *"}))
    assert (waits_for(hourly), bool(waits_for(monthly))) == ("", True)
