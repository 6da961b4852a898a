"""End the runs of an earlier demo, and start from an empty database."""

from __future__ import annotations

import time

import psycopg
from psycopg import sql

from staging import environment
from staging.environment import Staging
from staging.keys import WorkedKey
from staging.rest import AirflowClient

LEFTOVERS = "partition_playbook_restore_%"  # databases for checking a dump, left by killed runs
MAINTENANCE_SECONDS = 60


def start_afresh(staging: Staging, key: WorkedKey) -> None:
    """Mark the unfinished runs as failed, then create the staging database again, with a worked table of this key."""
    with staging.airflow.client() as client:
        for dag_id in ("partition_migration", "partition_rollback", "partition_finalize"):
            _end_runs(client, dag_id, patience=0)
        # Airflow starts the scheduled run by itself. It is short, so wait for it rather than leave a failed run.
        _end_runs(client, "partition_maintenance", patience=MAINTENANCE_SECONDS)
    _drop_databases(staging)
    staging.cluster.create_database("staging")
    environment.create_schema(staging.database, key)
    with psycopg.connect(staging.database) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")  # for preflight: the application's statements


def _end_runs(client: AirflowClient, dag_id: str, patience: float) -> None:
    client.wait_for_dag(dag_id)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and client.unfinished_runs(dag_id):
        time.sleep(0.5)
    for run in client.unfinished_runs(dag_id):
        client.fail_run(dag_id, run.run_id)


def _drop_databases(staging: Staging) -> None:
    with psycopg.connect(staging.cluster.conninfo("postgres"), autocommit=True) as connection:
        left = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (LEFTOVERS,)).fetchall()
        for (name,) in (("staging",), *left):
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
