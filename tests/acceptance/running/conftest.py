"""One Airflow that runs, for all modules that need one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from partition_playbook.spec import TABLES_VARIABLE
from staging import instance
from staging.instance import Instance
from staging.rest import AirflowClient
from tests.fixtures.dag_runs import DEFAULT_TABLE
from tests.fixtures.running_airflow import MIGRATION, PARSED_ONCE, Migration, Server

# Two who may do all, one who may only look, and one who may do nothing.
USERS = {"admin": "admin", "jo": "admin", "viewer": "viewer", "guest": ""}

# What the README asks for, sooner: what dies inside a transaction may leave its session to others.
ABANDON = "ALTER DATABASE {} SET idle_in_transaction_session_timeout = '20s'"


# For these tests only: it would take its share of the processor from all later ones, and die with their servers.
@pytest.fixture(scope="package")
def server(server_dsn: str) -> Iterator[Server]:
    server = Server(server_dsn)
    airflow = sql.Identifier(server.name("airflow"))
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(airflow))
        connection.execute(sql.SQL(ABANDON).format(airflow))
    yield server
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(airflow))


@pytest.fixture(scope="package")
def airflow(server: Server, tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """Return a running Airflow.

    Its specs are of one table, and two of one table and one connection are refused: most have a connection of their
    own, to the same database.
    """
    folder = tmp_path_factory.mktemp("running")
    for path in tables.glob("*/*.yaml"):
        own = "" if path.stem == DEFAULT_TABLE else f"\nconnection: {path.stem}\n"
        (folder / path.name).write_text(path.read_text() + own)
    settings = {f"AIRFLOW_CONN_{path.stem.upper()}": server.conninfo() for path in folder.glob("*.yaml")}
    try:
        yield instance.start(
            folder / "airflow",
            server,
            users=USERS,
            settings=settings | PARSED_ONCE | {TABLES_VARIABLE: str(folder)},  # type: ignore[arg-type]
        )
    finally:
        instance.stop(folder / "airflow")


@pytest.fixture(scope="package")
def client(airflow: Instance) -> Iterator[AirflowClient]:
    """Return a session of somebody logged in."""
    with airflow.client() as client:
        client.wait_for_dag(MIGRATION)
        client.wait_for_dag("partition_rollback")
        yield client


@pytest.fixture
def dsn(server: Server, server_dsn: str, template: str) -> Iterator[str]:
    """Return the database that this Airflow's connection names, new for each test."""
    name = sql.Identifier(server.name("staging"))
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(template)))
        yield server.conninfo()
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def trigger(client: AirflowClient, server: Server, connection: psycopg.Connection) -> Callable[..., Migration]:
    """Return a function that triggers a migration as the button does."""

    def start(**conf: object) -> Migration:
        run = client.trigger(MIGRATION, {"table": "calm", "accept_weaker_uniqueness": True, "watch_minutes": 0} | conf)
        return Migration(client, server, connection, run.run_id)

    return start
