"""A scheduler dies, and others take over what it left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from staging.instance import LOADS_POOL, Instance
from staging.writers import Writers
from tests.fixtures import sabotage
from tests.fixtures.running_airflow import Migration, Schedulers

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
# A scheduler is believed dead after 30 s, and its tasks are looked for every 5 minutes.
IMPATIENT = {
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "1",
}
# A load that has done all but its last statement waits for who holds the key 1.
HOLD = "WHILE NOT pg_try_advisory_xact_lock_shared(1) LOOP PERFORM pg_sleep(0.05); END LOOP"


def test_a_scheduler_dies_with_the_loads_that_it_runs_and_two_others_share_the_rest(
    trigger: Callable[..., Migration], connection: psycopg.Connection, dsn: str, airflow: Instance
) -> None:
    """The server does not know yet that the loads died; a pool without slots holds them back until it does."""
    schedulers = Schedulers(Path(airflow.home))
    sabotage.at(connection, "loads", "NEW.state = 'loaded' AND NEW.rows > 0", HOLD)
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
