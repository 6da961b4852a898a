"""Nothing waits behind another table: two worker slots, a migration that waits, and another one's way back."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial

import psycopg
import pytest
from psycopg import sql

from partition_playbook.engine import attach, cutover, load, shadow
from partition_playbook.engine.sides import Direction
from partition_playbook.spec import TABLES_VARIABLE, TableSpec
from staging import instance
from staging.instance import LOADS_POOL, Instance
from staging.rest import AirflowClient, DagRun
from tests.fixtures.running_airflow import API_SECONDS, APPROVAL, MIGRATION, PARSED_ONCE, SECONDS, Migration, Server
from tests.fixtures.tables import open_run

ROLLBACK, MAINTENANCE = "partition_rollback", "partition_maintenance"
PAUSED = f"{MAINTENANCE} is paused: a triggered run would wait for ever"
LOAD = "migration.load_partition"
# No query has to become faster: with so few rows on a busy machine none can be relied on to.
SPEC = """
table: {}
partition_by: at
queries:
  - name: one_interval_count
    sql: >-
      SELECT count(*) FROM {{table}}
      WHERE {{partition_by}} >= {{interval_start}} AND {{partition_by}} < {{interval_end}}
    since: "{{interval_start}}"
    until: "{{interval_end}}"
    criterion: false
"""
TABLE = """
CREATE TABLE {0} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL, v int);
INSERT INTO {0} (at, v) SELECT now() - n * interval '1 day', n FROM generate_series(0, 400) AS n;
ANALYZE {0}
"""
CONF = {"mode": "rehearse", "backup": "skip", "accept_weaker_uniqueness": True, "approvals": "required"}
OCCUPIED = "SELECT count(*) FROM task_instance WHERE state IN ('queued', 'running')"
OF_LOADS = """
SELECT count(*) FROM pg_stat_activity
 WHERE application_name IN ('partition_playbook migration.load_partition', 'partition_playbook triggerer')
"""
FAILED = """
SELECT section, name, actual FROM partition_playbook.checks
 WHERE run_id = %s AND outcome = 'failed' AND severity = 'error' ORDER BY check_id
"""


class TwoSlots(Server):
    """The tests' server, with databases beside those of the other modules."""

    @staticmethod
    def name(database: str) -> str:
        return f"playbook_two_slots_{os.getpid()}_{database}"


@pytest.fixture(scope="module")
def server(server_dsn: str) -> Iterator[Server]:
    server = TwoSlots(server_dsn)
    names = [sql.Identifier(server.name(each)) for each in ("airflow", "staging")]
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        for each in names:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(each))
    yield server
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        for each in names:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(each))


@pytest.fixture(scope="module")
def airflow(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """Return an Airflow with two worker slots for all that it runs."""
    folder = tmp_path_factory.mktemp("two_slots")
    tables = folder / "tables"
    tables.mkdir()
    for name in ("events", "readings"):
        (tables / f"{name}.yaml").write_text(SPEC.format(name))
    settings = PARSED_ONCE | {"AIRFLOW__CORE__PARALLELISM": "2", TABLES_VARIABLE: str(tables)}
    try:
        yield instance.start(folder / "airflow", server, settings=settings)  # type: ignore[arg-type]
    finally:
        instance.stop(folder / "airflow")


@pytest.fixture(scope="module")
def client(airflow: Instance) -> Iterator[AirflowClient]:
    with airflow.client() as client:
        for dag_id in (MIGRATION, ROLLBACK, MAINTENANCE):
            client.wait_for_dag(dag_id)
        yield client


@pytest.fixture(scope="module")
def dsn(server: Server) -> str:
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        for name in ("events", "readings"):
            connection.execute(TABLE.format(name))  # type: ignore[call-overload]
    return server.conninfo()


def migrate(client: AirflowClient, server: Server, connection: psycopg.Connection, table: str) -> Migration:
    run = client.trigger(MIGRATION, CONF | {"table": table})
    return Migration(client, server, connection, run.run_id)


def wait_for(client: AirflowClient, run: DagRun) -> str:
    deadline = time.monotonic() + SECONDS
    while not (found := client.run(run.dag_id, run.run_id)).finished:
        assert time.monotonic() < deadline, client.task_instances(run.dag_id, run.run_id)
        time.sleep(API_SECONDS)
    return found.state


def leave_live(dsn: str, run_id: str) -> None:
    """Leave a migration of the other table as a worker does that dies after the cutover."""
    run = open_run(partial(psycopg.connect, dsn), TableSpec(table="readings", partition_by="at"), run_id)
    for each in shadow.build(run):
        load.load_partition(run, each["partition_name"], workers=1)
    attach.attach_partitions(run)
    cutover.swap(run, Direction.FORWARD)


def roll_back(client: AirflowClient, connection: psycopg.Connection) -> None:
    """Roll the other table back, from the button to the end."""
    assert wait_for(client, client.trigger(ROLLBACK, {"table": "readings"})) == "success"
    assert connection.execute("SELECT relkind = 'r' FROM pg_class WHERE relname = 'readings'").fetchone() == (True,)


def test_a_pool_that_is_not_there_and_a_maintenance_that_is_paused_are_a_no_go_before_anything_is_built(
    client: AirflowClient, server: Server, connection: psycopg.Connection
) -> None:
    client.delete_pool(LOADS_POOL)
    client.pause(MAINTENANCE)
    run = migrate(client, server, connection, "readings")
    assert run.finish() == "failed", run.story()
    client.pause(MAINTENANCE, False)
    client.set_pool(LOADS_POOL, slots=16)
    found = {name: actual for _, name, actual in connection.execute(FAILED, [run.run_id]).fetchall()}
    assert found["loads_pool"] == f"no slot within 2 min: there is no pool {LOADS_POOL}"
    assert found["maintenance_dag"] == PAUSED
    assert run.tasks("preflight.use_loads_pool", "skipped")
    assert not run.tasks(LOAD, "success", "scheduled")


def test_a_table_whose_loads_wait_or_that_waits_for_a_person_is_in_no_other_tables_way(
    client: AirflowClient, server: Server, connection: psycopg.Connection, dsn: str
) -> None:
    leave_live(dsn, "died once")
    with psycopg.connect(dsn, autocommit=True) as holder:
        for slot in range(2):
            lock = f"partition_playbook.load public.events {slot}"
            holder.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [lock])
        run = migrate(client, server, connection, "events")
        run.wait_for("all loads wait", lambda: {each.state for each in run.tasks(LOAD)} == {"deferred"}, API_SECONDS)
        run.wait_for("no worker is occupied", lambda: run.metadata(OCCUPIED) == [(0,)])
        roll_back(client, connection)
        waiting = run.tasks(LOAD)
        assert len(waiting) >= 6
        assert {each.state for each in waiting} == {"deferred"}
        assert run.one(OF_LOADS) <= 2

    run.asked(APPROVAL)
    assert {each.try_number for each in run.tasks(LOAD)} == {1}
    leave_live(dsn, "died again")
    roll_back(client, connection)
    assert wait_for(client, client.trigger(MIGRATION, CONF | {"table": "events", "mode": "plan"})) == "failed"
    (second,) = connection.execute("SELECT count(*) FROM partition_playbook.runs WHERE phase = 'attached'").fetchall()
    refused = client.trigger(MIGRATION, CONF | {"table": "events"})
    assert wait_for(client, refused) == "failed"
    (opening,) = (
        each
        for each in client.task_instances(MIGRATION, refused.run_id)
        if each.task_id == "preflight.open_run" and each.state == "failed"
    )
    assert f"run {run.run_id} of this table is attached since" in client.log(MIGRATION, refused.run_id, opening)
    assert second == (1,)

    client.pause(MAINTENANCE)
    run.answer("Approve")
    assert run.finish() == "failed"
    (cut_over,) = run.tasks("migration.cut_over", "failed")
    assert PAUSED in client.log(MIGRATION, run.run_id, cut_over)
    client.pause(MAINTENANCE, False)
    client.clear(MIGRATION, run.run_id, cut_over)
    run.wait_for("cut over", lambda: run.tasks("migration.cut_over", "success"), API_SECONDS)
    run.wait_for("maintained", lambda: run.tasks("lifecycle.trigger_maintenance", "success"), API_SECONDS)
