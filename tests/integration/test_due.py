"""A look of the maintenance acts on the tables that are due, by the ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

from partition_playbook.database import Database
from partition_playbook.maintenance import due
from partition_playbook.spec import TableSpec
from tests.fixtures.tables import open_run

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]
SPEC = TableSpec.model_validate({"table": "Yard.Trips", "partition_by": "at", "maintain": "daily"})


def look(connect: Connect, specs: dict[str, TableSpec], run_id: str = "look") -> dict[str, str]:
    return due.waiting(specs, run_id, lambda _: Database(connect))


def test_a_table_is_due_once_its_schedule_has_a_run_after_the_last_one(
    connection: Connection, connect: Connect
) -> None:
    asked = {"trips": SPEC}
    assert look(connect, asked) == {}, "there is no ledger"
    other = SPEC.model_copy(update={"table": "Yard.Other"})
    open_run(connect, other, "other", "maintenance")
    open_run(connect, SPEC, "migration")
    open_run(connect, SPEC, "dry", "maintenance")
    connection.execute("""UPDATE partition_playbook.runs SET params = '{"dry_run": true}' WHERE run_id = 'dry'""")
    assert look(connect, asked) == {}, "it was never maintained"

    open_run(connect, SPEC, "last/trips", "maintenance")
    (told,) = look(connect, asked).values()
    assert told.startswith("Yard.Trips is due at 20")
    assert told.endswith("03:30:00+00:00 (maintain: daily)")
    assert look(connect, asked, "last") == {}, "a retry of the look chooses the same tables again"

    connection.execute("UPDATE partition_playbook.runs SET started_at = now() - interval '23 hours 59 minutes'")
    hourly = SPEC.model_copy(update={"maintain": "hourly"})
    rare = SPEC.model_copy(update={"maintain": "0 0 29 2 *"})
    assert set(look(connect, {"hourly": hourly, "rare": rare})) == {"rare"}


def test_a_server_that_does_not_answer_is_asked_once_for_all_its_tables() -> None:
    asked = []

    def refuse() -> Connection:
        asked.append(1)
        raise psycopg.OperationalError("connection refused")

    tables = {str(number): SPEC.model_copy(update={"maintain": "0 0 29 2 *"}) for number in range(100)}
    assert set(look(refuse, tables)) == set(tables), "their schedule has no run since the last look"
    assert len(asked) == 1


def test_one_connection_looks_at_all_tables_of_a_server(connection: Connection, connect: Connect) -> None:
    opened = []

    def counted() -> Connection:
        opened.append(1)
        return connect()

    open_run(connect, SPEC, "earlier", "maintenance")
    assert len(look(counted, {str(number): SPEC for number in range(100)})) == 100
    assert len(opened) == 1
