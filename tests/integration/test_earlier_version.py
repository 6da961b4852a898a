"""A migration that an earlier version began is read, maintained and rolled back by this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL

from partition_playbook import __version__, catalog, parity
from partition_playbook.database import Database
from partition_playbook.engine import reconcile, rollback, verify
from partition_playbook.ledger import Ledger, read_checks
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.run import Run
from partition_playbook.sections.decision import page, report
from partition_playbook.sections.decision.record import RunRecord
from partition_playbook.spec import RunParams, TableSpec, validated
from partition_playbook.sql import statement
from tests.fixtures.earlier import MAINTENANCE_RUN_ID, RENAMED, RUN_ID, restore_first_build
from tests.fixtures.tables import open_run

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]


@pytest.fixture
def earlier(connection: Connection, connect: Connect) -> Run:
    """Return the run of the first build, as a task of this version attaches to it."""
    restore_first_build(connection)
    ledger = Ledger(Database(connect), RUN_ID, "rollback")
    spec = validated(TableSpec, ledger.run()["spec"], where="ledger")
    return Run(spec, Database(connect, timezone=spec.timezone, sink=ledger.sink), ledger)


def names(run: Run, run_id: str) -> set[str]:
    with run.database.session() as session:
        return {each.name for checks in read_checks(session, run_id).values() for each in checks}


def test_its_checks_are_read_under_the_names_that_they_had(earlier: Run) -> None:
    found = names(earlier, RUN_ID) | names(earlier, MAINTENANCE_RUN_ID)
    assert found >= set(RENAMED.values())
    assert not found & RENAMED.keys()


def test_its_report_shows_them(earlier: Run) -> None:
    content = report.compose(RunRecord.read(earlier), RunParams())
    shown = {each["name"] for each in content["checks"]["preflight"]}
    assert "lent_rights" in shown
    assert "<code>lent_rights</code>" in page.render(content)
    assert content["people"][0]["who"] == "jo"
    assert content["versions"] == []
    assert "before 0.2.0" in page.render(content)


def test_its_recorded_facts_of_sequences_are_those_that_this_version_reads(earlier: Run) -> None:
    recorded = earlier.ledger.measurements("migration")["surface"]["detail"]["facts"]
    with earlier.database.session() as session:
        found = dict(parity.sequence_facts(session, catalog.require(session, earlier.table)))
    assert found
    assert found.items() <= recorded.items()


def test_maintenance_carries_on_and_keeps_what_was_recorded(
    earlier: Run, connect: Connect, connection: Connection
) -> None:
    run = open_run(connect, earlier.spec, "next/sensor_readings", "maintenance")
    run = replace(run, ledger=replace(run.ledger, section="maintenance"))
    done = maintain(run, MaintenanceParams())
    verdict = run.ledger.record_checks(done.checks)
    assert verdict.go, str(verdict)
    assert names(run, run.ledger.run_id) >= RENAMED.keys() - {"foreign_function_rights"}
    assert names(run, MAINTENANCE_RUN_ID) >= set(RENAMED.values()) - {"lent_rights"}
    health = connection.execute("SELECT status FROM partition_playbook.health").fetchall()
    assert [row[0] for row in health] == ["green"]

    # Its ledger has the new index, which finds few notes among many events.
    connection.execute(
        "INSERT INTO partition_playbook.events (run_id, section, kind, message) "
        "SELECT run_id, 'migration', 'statement', 'filler' FROM partition_playbook.runs, generate_series(1, 20000)"
    )
    connection.execute("ANALYZE partition_playbook.events")
    for name in ("list_detachments", "find_unfinished_split"):
        query = SQL("EXPLAIN {}").format(statement(f"maintenance/{name}").compose())
        plan = connection.execute(query, {"parent": str(run.table)}).fetchall()
        assert "events_noted" in str(plan), plan


def test_its_changes_are_reconciled_and_it_is_rolled_back(earlier: Run, connection: Connection) -> None:
    connection.execute("UPDATE sensor_readings SET battery = 3 WHERE id % 5 = 0")
    live = connection.execute("SELECT * FROM sensor_readings ORDER BY id").fetchall()
    ((partition,),) = connection.execute("SELECT max(tableoid::regclass::text) FROM sensor_readings").fetchall()
    assert rollback.roll_back(earlier).swapped
    assert connection.execute("SELECT * FROM sensor_readings ORDER BY id").fetchall() == live
    with pytest.raises(psycopg.errors.RaiseException, match="no longer part of"):  # its capture refuses no write
        connection.execute(SQL("DELETE FROM {}").format(SQL(partition)))
    reconcile.catch_up(earlier)
    assert not verify.content_check(*verify.compare(earlier)).blocks
    rollback.abandon(earlier)
    left = connection.execute("SELECT proname FROM pg_proc WHERE pronamespace = 'partition_playbook'::regnamespace")
    assert left.fetchall() == []


def test_a_run_knows_the_version_that_closed_it(earlier: Run) -> None:
    earlier.ledger.close("rolled back")
    record = RunRecord.read(earlier)
    assert record.versions == [__version__]
    assert report.compose(record, RunParams())["versions"] == [__version__]
    assert __version__ in report.render(report.compose(record, RunParams()))
