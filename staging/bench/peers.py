"""Copy the table as pg_partman does it, beside this engine, on the PostgreSQL that Debian packages it for."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Any

import psycopg

from staging import cluster, servers
from staging.bench import copies, data
from staging.bench.copies import Connect, Copied, measured

VERSION, EXTENSION, PACKAGE = 15, "pg_partman", "postgresql-15-partman"
# It moves rows out of the source, so it gets a copy of its own.
PREPARE = f"""
CREATE SCHEMA partman; CREATE EXTENSION {EXTENSION} SCHEMA partman;
CREATE TABLE readings_source AS TABLE sensor_readings;
CREATE INDEX ON readings_source (recorded_at);
VACUUM ANALYZE readings_source
"""
CREATE = """
CREATE TABLE readings_partman (LIKE sensor_readings INCLUDING DEFAULTS, PRIMARY KEY (id, recorded_at))
PARTITION BY RANGE (recorded_at)
"""
CREATE_PARTITIONS = """
SELECT partman.create_parent('public.readings_partman', 'recorded_at', 'native', 'monthly', p_premake := 3,
       p_start_partition := (SELECT min(recorded_at)::text FROM readings_source))
"""
MOVE = """
CALL partman.partition_data_proc('public.readings_partman', p_source_table := 'public.readings_source', p_wait := 0)
"""


def measure(rows: int) -> dict[str, Any]:
    """Return the cost of a plain copy, of this engine and of pg_partman; the reason alone where it is not at hand."""
    servers.fetch_from_debian(VERSION, PACKAGE)
    try:
        programs = servers.programs(VERSION)
    except servers.NotAtHand as error:
        return {"left_out": f"pg_partman was left out: {error}"}
    with cluster.temporary(cluster.SETTINGS, programs) as server:
        server.create_database("peers")
        connect: Connect = partial(psycopg.connect, server.conninfo("peers"))
        if not _is_available(connect):
            return {"left_out": f"pg_partman was left out: install {PACKAGE} beside {programs}"}
        with connect() as connection:
            connection.autocommit = True
            data.fill(connection, rows)
        found = {"limit": copies.limit(connect), "ours_2": copies.ours(connect, 2), EXTENSION: partman(connect)}
        return {
            "version": cluster.version(programs),
            "rows": rows,
            **{name: asdict(each) for name, each in found.items()},
        }


def _is_available(connect: Connect) -> bool:
    with connect() as connection:
        found = connection.execute("SELECT FROM pg_available_extensions WHERE name = %s", (EXTENSION,))
        return found.fetchone() is not None


def partman(connect: Connect) -> Copied:
    """Move the rows of a copy of the table into monthly partitions with the same indexes and foreign keys."""
    with connect() as connection:
        connection.autocommit = True
        for each in PREPARE.split(";"):
            connection.execute(each)
        with measured(connect) as result:
            connection.execute(CREATE)
            data.index(connection, "readings_partman")
            data.add_keys(connection, "readings_partman")
            connection.execute(CREATE_PARTITIONS)
            connection.execute(MOVE)
            connection.execute("ANALYZE readings_partman")
        moved = connection.execute("SELECT count(*) = (SELECT count(*) FROM sensor_readings) FROM readings_partman")
        if moved.fetchone() != (True,):
            raise RuntimeError("pg_partman did not move every row")
    return result[0]
