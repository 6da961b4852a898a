"""Every way out of a run that died: rolled back in whatever phase it stands, finalized, and not run over by another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
import pytest

from partition_playbook.engine import attach, cutover, load, shadow
from partition_playbook.engine.sides import Direction
from partition_playbook.ledger import Phase
from partition_playbook.run import Run
from partition_playbook.sections.decision.record import RunRecord
from partition_playbook.sections.snapshot.backup import take_statistics
from partition_playbook.spec import load_spec
from staging.writers import Writers
from tests.fixtures import footprint, sabotage
from tests.fixtures.dag_runs import DagRuns, uri
from tests.fixtures.tables import open_run

WRITES = """
DELETE FROM sensor_readings WHERE id % 100 = 1;
UPDATE sensor_readings SET recorded_at = recorded_at - interval '40 days 1 microsecond' WHERE id % 100 = 2;
INSERT INTO sensor_readings (unit_id, device_id, temperature, recorded_at)
SELECT unit_id, device_id, 99.99, now() FROM sensor_readings LIMIT 20
"""
TABLE = {"table": "sensor_readings"}
NAME = load_spec("sensor_readings").name
STANDS = "SELECT phase, verdict FROM partition_playbook.runs WHERE mode = 'rehearse'"
TRIES = 4  # of the task: the first, and its retries


def dead_run(dsn: str, phase: Phase) -> Run:
    """Leave a migration as a worker does that dies in this phase; before the attach in the middle of a load."""
    run = open_run(partial(psycopg.connect, dsn), load_spec("sensor_readings"), "dead-run")
    take_statistics(run)
    *planned, last = [each["partition_name"] for each in shadow.build(run)]
    for name in planned:
        load.load_partition(run, name, workers=1)
    if phase is Phase.SHADOWED:
        with run.database.session() as session:
            run.ledger.start_loads(session, [last])
        return run
    load.load_partition(run, last, workers=1)
    attach.attach_partitions(run)
    if phase is Phase.LIVE:
        cutover.swap(run, Direction.FORWARD)
    assert run.ledger.run()["phase"] == phase
    return run


@pytest.fixture
def leave_dead(dsn: str, connection: psycopg.Connection) -> Callable[[Phase], Run]:
    """Return a function that leaves a dead run, while the application goes on writing."""

    def leave(phase: Phase) -> Run:
        run = dead_run(dsn, phase)
        connection.execute(WRITES)
        return run

    return leave


@pytest.mark.parametrize("phase", [Phase.SHADOWED, Phase.ATTACHED, Phase.LIVE])
def test_a_dead_run_is_rolled_back_and_every_write_is_kept(
    phase: Phase, dsn: str, connection: psycopg.Connection, dag_runs: DagRuns, leave_dead: Callable[[Phase], Run]
) -> None:
    sabotage.make_ledger(connection)
    table, objects = footprint.description(dsn, NAME), footprint.objects(connection)
    run = leave_dead(phase)
    written = footprint.rows(connection)
    assert dag_runs.run("partition_rollback", dsn, TABLE).state == "success"
    assert footprint.rows(connection) == written
    assert footprint.description(dsn, NAME) == table
    assert footprint.objects(connection) == objects
    assert (run.ledger.run()["phase"], run.ledger.run()["verdict"]) == (Phase.ABANDONED, "rolled back")
    again = dag_runs.run("partition_rollback", dsn, TABLE)
    assert again.state == "failed"
    assert "there is no standing migration to roll back or finalize. Check the param `table`" in again.log


def test_a_rollback_where_nothing_was_ever_migrated_says_so(dsn: str, dag_runs: DagRuns) -> None:
    run = dag_runs.run("partition_rollback", dsn, TABLE)
    assert run.state == "failed"
    assert "there is no standing migration" in run.log


def test_finalize_asks_for_the_name_and_a_reason_and_then_drops_what_a_way_back_needs(
    dsn: str, connection: psycopg.Connection, dag_runs: DagRuns, leave_dead: Callable[[Phase], Run]
) -> None:
    run = leave_dead(Phase.LIVE)
    written, objects = footprint.rows(connection), footprint.objects(connection)
    refused = dag_runs.run("partition_finalize", dsn, TABLE | {"confirm": "sensor_reading"})
    assert refused.state == "failed"
    assert "confirm is 'sensor_reading', not 'sensor_readings'" in refused.log
    assert footprint.objects(connection) == objects
    nobody_checked = dag_runs.run("partition_finalize", dsn, TABLE | {"confirm": "sensor_readings"})
    assert nobody_checked.state == "failed"
    assert "section validation has no verdict" in nobody_checked.log
    assert footprint.objects(connection) == objects
    override = {"confirm": "sensor_readings", "override_reason": "the worker died"}
    assert dag_runs.run("partition_finalize", dsn, TABLE | override).state == "success"
    (kept,) = [each.reason for each in RunRecord.read(run).answers]
    assert kept == "the worker died"
    assert footprint.rows(connection) == written
    gone = {name for _, name, _ in objects - footprint.objects(connection)}
    assert {"public.sensor_readings_old", "partition_playbook.public_sensor_readings_changes"} < gone
    assert not connection.execute("SELECT FROM pg_trigger WHERE tgname LIKE 'partition_playbook%'").fetchall()
    assert run.ledger.run()["phase"] == Phase.FINALIZED
    assert dag_runs.run("partition_rollback", dsn, TABLE).state == "failed"


def test_finalize_refuses_where_the_original_is_live(
    dsn: str, connection: psycopg.Connection, dag_runs: DagRuns, leave_dead: Callable[[Phase], Run]
) -> None:
    leave_dead(Phase.ATTACHED)
    objects = footprint.objects(connection)
    refused = dag_runs.run("partition_finalize", dsn, TABLE | {"confirm": "sensor_readings"})
    assert refused.state == "failed"
    assert "the original table is live" in refused.log
    assert footprint.objects(connection) == objects


def test_a_second_run_is_refused_while_one_stands(
    dsn: str, connection: psycopg.Connection, dag_runs: DagRuns, leave_dead: Callable[[Phase], Run]
) -> None:
    run = leave_dead(Phase.ATTACHED)
    objects = footprint.objects(connection)
    conf = {"mode": "rehearse", "backup": "skip", "accept_weaker_uniqueness": True}
    second = dag_runs.run("partition_migration", dsn, conf)
    assert (second.state, second.tasks["preflight.open_run"]) == ("failed", "failed")
    assert "run dead-run of this table is attached since " in second.log
    assert "or trigger partition_rollback to undo it" in second.log
    assert footprint.objects(connection) == objects
    assert run.ledger.run()["phase"] == Phase.ATTACHED
    assert connection.execute("SELECT count(*) FROM partition_playbook.runs").fetchone() == (1,)


@pytest.mark.parametrize("phase", [Phase.ATTACHED, Phase.LIVE])
def test_a_plan_runs_while_a_migration_of_its_table_stands(
    phase: Phase, dsn: str, connection: psycopg.Connection, dag_runs: DagRuns, leave_dead: Callable[[Phase], Run]
) -> None:
    leave_dead(phase)
    objects = footprint.objects(connection)
    planned = dag_runs.run("partition_migration", dsn, {"mode": "plan", "accept_weaker_uniqueness": True})
    assert planned.tasks["plan"] == "failed"
    assert f"run dead-run ({phase}" in planned.log
    assert footprint.objects(connection) == objects


OTHER = "AIRFLOW_CONN_PARTITION_PLAYBOOK_OTHER"


@pytest.fixture
def moved(tables: Path, dsn: str) -> Iterator[dict[str, str]]:
    """Return the params for the same table, whose spec was given another connection since."""
    spec = (tables / "sensor_readings" / "sensor_readings.yaml").read_text()
    (tables / "moved.yaml").write_text(f"{spec}\nconnection: partition_playbook_other\n")
    yield {"table": "moved"}
    (tables / "moved.yaml").unlink()


@pytest.mark.parametrize(
    ("dag_id", "conf"),
    [("partition_rollback", {}), ("partition_finalize", {"confirm": "moved"}), ("partition_maintenance", {})],
)
def test_a_run_is_not_touched_through_another_connection_than_its_own(
    dag_id: str,
    conf: dict[str, str],
    dsn: str,
    connection: psycopg.Connection,
    dag_runs: DagRuns,
    leave_dead: Callable[[Phase], Run],
    moved: dict[str, str],
) -> None:
    run = leave_dead(Phase.LIVE)
    written, objects = footprint.rows(connection), footprint.objects(connection)
    refused = dag_runs.run(dag_id, dsn, moved | conf, **{OTHER: uri(dsn)})
    assert refused.state == "failed"
    told = "run dead-run was opened through the Airflow connection partition_playbook_db, and was found through"
    assert f"{told} partition_playbook_other" in refused.log
    assert (footprint.rows(connection), footprint.objects(connection)) == (written, objects)
    assert run.ledger.run()["phase"] == Phase.LIVE


@pytest.mark.parametrize("dag_id", ["partition_rollback", "partition_finalize"])
def test_a_run_in_a_copy_of_its_database_is_not_touched(
    dag_id: str, dsn: str, connection: psycopg.Connection, dag_runs: DagRuns, leave_dead: Callable[[Phase], Run]
) -> None:
    run = leave_dead(Phase.LIVE)
    connection.execute("UPDATE partition_playbook.home SET database_name = 'production'")
    objects = footprint.objects(connection)
    refused = dag_runs.run(dag_id, dsn, TABLE | {"confirm": "sensor_readings"})
    assert refused.state == "failed"
    assert "this ledger belongs to the database production (oid " in refused.log
    assert footprint.objects(connection) == objects
    assert run.ledger.run()["phase"] == Phase.LIVE


def test_a_run_that_may_not_have_the_table_says_who_holds_it_and_goes_on_once_he_is_gone(
    dsn: str, connection: psycopg.Connection, dag_runs: DagRuns
) -> None:
    table = footprint.description(dsn, NAME)
    conf = {"table": "calm", "mode": "rehearse", "backup": "skip", "accept_weaker_uniqueness": True}
    with Writers(dsn, count=2, rate=20) as writers:
        with psycopg.connect(dsn, application_name="a report") as idle:
            idle.execute("SELECT 'a secret' FROM sensor_readings LIMIT 1")
            run = dag_runs.run("partition_migration", dsn, conf)
            assert run.state == "failed"
            assert {each for each, state in run.tasks.items() if state == "failed"} == {"migration.cut_over"}
            assert run.tasks["decision.say_verdict"] == "upstream_failed"
            who = f"pid {idle.info.backend_pid} user {idle.info.user} application 'a report' from .+? AccessShareLock"
            told = rf"no lock in 4 tries \([\d.]+ m?s waited in all\), held by: {who} for [\d:.]+: SELECT \.\.\."
            assert len(re.findall(told, run.log)) >= TRIES
            assert replace(footprint.description(dsn, NAME), triggers=()) == table
            assert writers.compare().exact
        assert connection.execute(STANDS).fetchall() == [("attached", None)]
        resumed = dag_runs.resume("partition_migration", dsn, run.run_id)
        found = writers.compare()
        errors = writers.errors
    assert resumed.run_id == run.run_id
    assert resumed.state == "success", resumed.tasks
    assert connection.execute(STANDS).fetchall() == [("live", "go")]
    assert found.exact, found
    assert errors == ()
