"""A run whose tasks die goes on where the ledger says it stands, in a running Airflow and under live writers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import psycopg

from partition_playbook.names import TableName
from staging.rest import AirflowClient
from staging.writers import Writers
from tests.fixtures import footprint, sabotage
from tests.fixtures.running_airflow import API_SECONDS, APPROVAL, MIGRATION, SIGN_OFF, Migration

TABLE = TableName("public", "sensor_readings")
RUN = "SELECT phase, verdict FROM partition_playbook.runs WHERE mode <> 'maintenance'"

LOOKS = "SELECT count(*) FROM partition_playbook.events WHERE kind = 'look'"


def test_a_run_whose_tasks_died_thrice_goes_on_and_loses_nothing(
    trigger: Callable[..., Migration], connection: psycopg.Connection, dsn: str
) -> None:
    """One dies in a load, one before the lock of the cutover, and one just after the cutover was committed."""
    in_a_load = sabotage.once(connection, sabotage.LOADED)
    sabotage.at(connection, "loads", in_a_load, "PERFORM pg_sleep(3)")
    after_commit = sabotage.once(connection, "TG_OP = 'UPDATE' AND NEW.name = 'cutover_held_ms'")
    sabotage.at(connection, "measurements", after_commit, sabotage.DIE)
    with Writers(dsn, count=2, rate=20) as writers, psycopg.connect(dsn) as reader:
        reader.execute("SELECT FROM sensor_readings LIMIT 1")
        run = trigger(mode="rehearse", backup="skip")
        run.wait_for_activity("migration.load_partition", "Timeout")
        run.kill("migration.load_partition")
        run.clear("migration.load_partition")
        run.wait_for_activity("migration.cut_over", "Lock")
        run.kill("migration.cut_over")
        reader.rollback()
        run.clear("migration.cut_over")
        run.wait_for("cut over", lambda: run.one("SELECT count(*) FROM pg_class WHERE relname = 'sensor_readings_old'"))
        run.clear("migration.cut_over")
        state = run.finish()
        found = writers.compare()
        errors = writers.errors
    assert state == "success", run.story()
    assert max(each.try_number for each in run.tasks("migration.load_partition", "success")) > 1
    assert [each.try_number for each in run.tasks("migration.cut_over", "success")] == [3]
    assert connection.execute(RUN).fetchall() == [("live", "go")]
    assert found.exact, found
    assert found.rows_checked > 500
    assert errors == ()


def now() -> str:
    return datetime.now(UTC).isoformat()


def test_production_stops_where_a_person_says_no_and_goes_on_where_one_says_yes(
    trigger: Callable[..., Migration], connection: psycopg.Connection, dsn: str
) -> None:
    with Writers(dsn, count=2, rate=20) as writers:
        run = trigger(table="watched", watch_minutes=0.05, mode="migrate", backup="external", external_backup_at=now())
        run.answer("Reject")
        assert run.finish() == "failed"
        assert run.tasks("migration.cut_over", "upstream_failed")
        assert connection.execute(RUN).fetchall() == [("attached", None)]
        run.clear(APPROVAL)
        run.answer("Approve")
        run.answer("Approve", SIGN_OFF)
        assert run.finish() == "success", run.story()
        assert writers.compare().exact
        assert writers.errors == ()
    assert connection.execute(RUN).fetchall() == [("live", "go")]
    assert connection.execute(LOOKS).fetchone() > (1,)  # type: ignore[operator]
    assert footprint.description(dsn, TABLE).is_partitioned
    assert {each.state for each in run.client.task_instances(MIGRATION, run.run_id)} == {"success", "skipped"}


def test_a_run_that_waits_for_a_person_is_rolled_back_and_a_late_approval_changes_nothing(
    trigger: Callable[..., Migration], connection: psycopg.Connection, dsn: str, client: AirflowClient
) -> None:
    sabotage.make_ledger(connection)
    table, objects = footprint.description(dsn, TABLE), footprint.objects(connection)
    with Writers(dsn, count=2, rate=20) as writers:
        run = trigger(mode="migrate", backup="external", external_backup_at=now())
        run.asked(APPROVAL)
        assert not footprint.description(dsn, TABLE).is_partitioned
        undo = client.trigger("partition_rollback", {"table": "calm"})
        run.wait_for("rolled back", lambda: client.run("partition_rollback", undo.run_id).finished, API_SECONDS)
        assert client.run("partition_rollback", undo.run_id).state == "success"
        run.answer("Approve")
        assert run.finish() == "failed"
        assert writers.compare().exact
        assert writers.errors == ()
    (task,) = run.tasks("migration.cut_over", "failed")
    assert "the run is in phase abandoned" in client.log(MIGRATION, run.run_id, task)
    assert footprint.description(dsn, TABLE) == table
    assert footprint.objects(connection) == objects
    assert connection.execute(RUN).fetchall() == [("abandoned", "rolled back")]
