"""Copy the table in three ways: the playbook's batches, this engine, and a plain copy as the limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg import sql

from partition_playbook.database import Database
from partition_playbook.engine import attach, foreign_keys, load, load_groups, reconcile, rollback, shadow, vacuum
from partition_playbook.engine.sides import Direction
from partition_playbook.ledger import Ledger
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec, load_spec
from staging.bench import data

KEY_BATCH = 10_000
Connect = Callable[[], psycopg.Connection[tuple[object, ...]]]


@dataclass(frozen=True)
class Copied:
    """The cost of a copy: seconds, WAL bytes, and the seconds of its parts."""

    seconds: float
    wal_bytes: int
    parts: dict[str, float]


@contextmanager
def measured(connect: Connect) -> Iterator[list[Copied]]:
    """Time a block and count the WAL of the server meanwhile; the result is appended to the list."""
    with connect() as connection:
        connection.autocommit = True
        connection.execute("CHECKPOINT")
        first = _wal(connection)
        result: list[Copied] = []
        started = time.perf_counter()
        yield result
        seconds = time.perf_counter() - started
        result.append(Copied(seconds, _wal(connection) - first, {}))


def _wal(connection: psycopg.Connection[tuple[object, ...]]) -> int:
    row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").fetchone()
    return int(str(row[0])) if row else 0


def literal(connect: Connect) -> Copied:
    """Copy in batches of 10,000 ids into a partitioned table with indexes and foreign keys."""
    with measured(connect) as result, connect() as connection:
        connection.autocommit = True
        _create_literal(connection)
        row = connection.execute("SELECT min(id), max(id) FROM sensor_readings").fetchone()
        least, greatest = (int(str(value)) for value in row or (0, 0))
        for first in range(least, greatest + 1, KEY_BATCH):
            connection.execute(
                "INSERT INTO readings_literal SELECT * FROM sensor_readings WHERE id >= %s AND id < %s ORDER BY id",
                (first, first + KEY_BATCH),
            )
        connection.execute("ANALYZE readings_literal")
    _drop(connect, "readings_literal")
    return result[0]


def _create_literal(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    connection.execute(
        "CREATE TABLE readings_literal (LIKE sensor_readings INCLUDING DEFAULTS, PRIMARY KEY (id, recorded_at)) "
        "PARTITION BY RANGE (recorded_at)"
    )
    data.index(connection, "readings_literal")
    data.add_keys(connection, "readings_literal")
    connection.execute("CREATE TABLE readings_literal_default PARTITION OF readings_literal DEFAULT")
    for row in connection.execute(
        "SELECT m, m + interval '1 month' FROM generate_series(date_trunc('month', now() - interval '1 year'), "
        "now() + interval '3 months', interval '1 month') AS m"
    ).fetchall():
        lower, upper = row
        connection.execute(
            sql.SQL("CREATE TABLE {} PARTITION OF readings_literal FOR VALUES FROM ({}) TO ({})").format(
                sql.Identifier(f"readings_literal_{lower:%Y%m}"), sql.Literal(lower), sql.Literal(upper)
            )
        )


def limit(connect: Connect) -> Copied:
    """Copy into one table without partitions, then build the same indexes and keys: the fastest possible copy."""
    with measured(connect) as result, connect() as connection:
        connection.autocommit = True
        connection.execute("CREATE TABLE readings_limit AS SELECT * FROM sensor_readings")
        connection.execute("ALTER TABLE readings_limit ADD PRIMARY KEY (id)")
        data.index(connection, "readings_limit")
        data.add_keys(connection, "readings_limit")
        connection.execute("ANALYZE readings_limit")
    _drop(connect, "readings_limit")
    return result[0]


def ours(connect: Connect, workers: int, interval: str = "month") -> Copied:
    """Build the shadow with ``workers`` until it is ready for the swap, then drop it."""
    run = open_run(connect, f"bench-{workers}-{interval}", interval)
    parts: dict[str, float] = {}
    with measured(connect) as result:
        with timed(parts, "create"):
            loads = shadow.build(run)
        with timed(parts, "load"), ThreadPoolExecutor(workers) as pool:
            list(pool.map(partial(load.load_group, run, workers=workers), load_groups.grouped(loads, workers)))
        with timed(parts, "attach"):
            attach.attach_partitions(run)
        with timed(parts, "settle"):
            vacuum.vacuum_partitions(run, workers=workers)
        with timed(parts, "keys"):
            reconcile.catch_up(run)
            foreign_keys.prepare(run, Direction.FORWARD)
    rollback.abandon(run)
    return Copied(result[0].seconds, result[0].wal_bytes, parts)


@contextmanager
def timed(parts: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds of a block to ``parts``."""
    started = time.perf_counter()
    yield
    parts[name] = round(time.perf_counter() - started, 3)


def open_run(connect: Connect, run_id: str, interval: str = "month") -> Run:
    """Open a run of the worked spec in the ledger, with partitions of another interval."""
    spec = TableSpec.model_validate(load_spec("sensor_readings").model_dump() | {"interval": interval})
    ledger = Ledger(Database(connect), run_id, "migration")
    ledger.open(spec.name, "rehearse", spec.model_dump(mode="json"), {})
    return Run(spec, Database(connect, timezone=spec.timezone, sink=ledger.sink), ledger)


def _drop(connect: Connect, table: str) -> None:
    with connect() as connection:
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(table)))
