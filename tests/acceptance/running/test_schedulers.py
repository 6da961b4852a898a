"""A scheduler dies, and others take over what it left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from staging.instance import LOADS_POOL, Instance
from staging.writers import Writers
from tests.fixtures import sabotage
from tests.fixtures.running_airflow import API_SECONDS, MIGRATION, Migration, Schedulers

RUN = "SELECT phase, verdict FROM partition_playbook.runs WHERE mode <> 'maintenance'"
LOAD = "migration.load_partition"
HEARTBEATS = """
SELECT count(*) FROM job WHERE job_type = 'SchedulerJob' AND state = 'running' AND latest_heartbeat > %s
"""
SCHEDULERS_OF = """
SELECT count(DISTINCT queued_by_job_id)
  FROM (SELECT queued_by_job_id, run_id FROM task_instance
         UNION ALL SELECT queued_by_job_id, run_id FROM task_instance_history) AS tries
 WHERE run_id = %s
"""
GIVEN_UP = "SELECT task_id FROM task_instance_history WHERE run_id = %s"
OF_A_LOAD = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'partition_playbook {LOAD}' AND "
AT_WORK = OF_A_LOAD + "state = 'active' AND starts_with(query, 'UPDATE partition_playbook.loads')"
BY_A_LOAD = f"current_setting('application_name') = 'partition_playbook {LOAD}'"
# A scheduler is believed dead after 30 s, and its tasks are looked for every 5 minutes.
IMPATIENT = {
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "1",
}


@pytest.fixture
def schedulers(airflow: Instance) -> Iterator[Schedulers]:
    """Return the only scheduler, and leave one."""
    schedulers = Schedulers(Path(airflow.home))
    yield schedulers
    schedulers.kill()


def test_a_scheduler_dies_with_the_loads_that_it_runs_and_two_others_share_the_rest(
    trigger: Callable[..., Migration], connection: psycopg.Connection, dsn: str, schedulers: Schedulers
) -> None:
    """The server does not know yet that the loads died; a pool without slots holds them back until it does."""
    sabotage.at(connection, "loads", sabotage.LOADED, sabotage.HOLD)
    with Writers(dsn, count=2, rate=20) as writers, psycopg.connect(dsn, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(1)")
        run = trigger(mode="rehearse", backup="skip")
        run.wait_for_activity(LOAD, "Timeout")
        run.client.set_pool(LOADS_POOL, slots=0)
        schedulers.kill()
        for _ in range(2):
            schedulers.start(**IMPATIENT)
        run.wait_for("loads are given up", lambda: run.metadata(GIVEN_UP, run.run_id))
        holder.execute("SELECT pg_advisory_unlock(1)")
        since = datetime.now(UTC)
        run.wait_for("both have looked", lambda: run.metadata(HEARTBEATS, since) == [(2,)])
        waiting = run.tasks(LOAD)
        run.client.set_pool(LOADS_POOL, slots=2)
        state = run.finish()
        found = writers.compare()
        errors = writers.errors
    assert {each.state for each in waiting} <= {"scheduled", None}
    assert state == "success", run.story()
    assert {task for (task,) in run.metadata(GIVEN_UP, run.run_id)} == {LOAD}
    assert run.metadata(SCHEDULERS_OF, run.run_id) == [(3,)]
    assert connection.execute(RUN).fetchall() == [("live", "go")]
    assert found.exact, found
    assert errors == ()


def test_a_scheduler_dies_alone_and_no_load_is_done_by_its_worker_and_by_a_new_one_at_once(
    trigger: Callable[..., Migration], connection: psycopg.Connection, dsn: str, schedulers: Schedulers
) -> None:
    """Its session outlives it with its workers, and with it the lock of the run, until the server ends what is idle."""
    sabotage.at(connection, "loads", f"{sabotage.LOADED} AND {BY_A_LOAD}", sabotage.HOLD)
    with Writers(dsn, count=2, rate=20, late=0) as writers, psycopg.connect(dsn, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(1)")
        run = trigger(mode="rehearse", backup="skip")
        run.wait_for("two load", lambda: run.one(AT_WORK) == 2)
        with run.unheard(LOAD):
            schedulers.kill_alone(run)
            run.client.set_pool(LOADS_POOL, slots=8)
            for _ in range(2):
                schedulers.start(**IMPATIENT)
            run.wait_for("loads are given up", lambda: run.metadata(GIVEN_UP, run.run_id))
            assert run.is_locked()
            loads = len(run.tasks(LOAD))
            run.wait_for("all wait in the triggerer", lambda: len(run.tasks(LOAD, "deferred")) == loads, API_SECONDS)
            assert run.one(AT_WORK) == 2
            holder.execute("SELECT pg_advisory_unlock(1)")
            run.wait_for("all are loaded", lambda: len(run.tasks(LOAD, "success")) == loads, API_SECONDS)
        run.client.set_pool(LOADS_POOL, slots=2)
        tried_again = [each for each in run.tasks(LOAD) if each.try_number > 1]
        state = run.finish()
        found = writers.compare()
        errors = writers.errors
    assert len(tried_again) == 2
    assert all("is loaded already" in run.client.log(MIGRATION, run.run_id, each) for each in tried_again)
    assert state == "success", run.story()
    assert connection.execute(RUN).fetchall() == [("live", "go")]
    assert found.exact, found
    assert errors == ()
