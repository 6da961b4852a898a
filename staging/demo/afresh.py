"""End what an earlier demo left running, and start from an empty database."""

from __future__ import annotations

import psycopg
from psycopg import sql

from staging import environment
from staging.environment import Staging

DAGS = ("partition_migration", "partition_maintenance", "partition_rollback", "partition_finalize")
LEFTOVERS = "partition_playbook_restore_%"  # scratch databases of runs that were killed


def start_afresh(staging: Staging) -> None:
    """Fail the runs that are under way, then make the staging database anew."""
    with staging.airflow.client() as client:
        for dag_id in DAGS:
            client.wait_for_dag(dag_id)
            for run in client.unfinished_runs(dag_id):
                client.fail_run(dag_id, run.run_id)
    with psycopg.connect(staging.cluster.conninfo("postgres"), autocommit=True) as connection:
        left = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (LEFTOVERS,)).fetchall()
        for (name,) in (("staging",), *left):
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    staging.cluster.create_database("staging")
    environment.create_schema(staging.database)
