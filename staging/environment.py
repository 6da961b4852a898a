"""Start and stop the staging environment of this checkout: PostgreSQL, the worked schema, and Airflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from staging import cluster, instance
from staging.cluster import Cluster
from staging.instance import PROJECT, Instance
from staging.keys import IDENTITY, WorkedKey

STATE = PROJECT / ".staging"
# Workers that outlive their scheduler keep its session open, and with it the row lock on the DAG run.
ABANDON = "ALTER DATABASE airflow SET idle_in_transaction_session_timeout = '60s'"


@dataclass(frozen=True)
class Staging:
    """A running staging environment."""

    cluster: Cluster
    airflow: Instance
    artifacts: Path

    @property
    def database(self) -> str:
        """Return the connection string of the database with the worked tables."""
        return self.cluster.conninfo("staging")


def start(state: Path = STATE, settings: Mapping[str, str] | None = None) -> Staging:
    """Start PostgreSQL and Airflow, unless they run; ``settings`` are variables of Airflow's environment."""
    server = start_database(state)
    artifacts = state / "artifacts"
    artifacts.mkdir(parents=True, exist_ok=True)
    return Staging(server, instance.start(state / "airflow", server, settings=settings), artifacts)


def start_database(state: Path = STATE) -> Cluster:
    """Start only PostgreSQL, with its databases and the worked schema."""
    server = cluster.start(state / "postgres")
    for name in ("airflow", "staging"):
        server.create_database(name)
    with psycopg.connect(server.conninfo("airflow"), autocommit=True) as connection:
        connection.execute(ABANDON)
    create_schema(server.conninfo("staging"))
    return server


def create_schema(conninfo: str, key: WorkedKey = IDENTITY) -> None:
    """Create the worked tables in a database, with 50 units and 50 devices.

    With a ``key`` that carries time, the database must be empty.
    """
    with psycopg.connect(conninfo) as connection:
        connection.execute((PROJECT / "staging" / "schema.sql").read_bytes())
        if key.encoding:
            statements = sql.SQL((PROJECT / "staging" / "schema_of_keys.sql").read_text())
            connection.execute(statements.format(type=sql.SQL(f"{key.type} {key.collation}")))


def stop(state: Path = STATE) -> None:
    """Stop everything; the data stays."""
    instance.stop(state / "application")  # its processes have the same mark
    instance.stop(state / "airflow")
    cluster.stop(state / "postgres")
