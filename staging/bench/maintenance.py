"""Measure maintenance with more partitions and more tables: idle runs, and runs that create partitions."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pendulum
from psycopg import sql

from partition_playbook.checks import Verdict
from partition_playbook.database import Database
from partition_playbook.intervals import Bounds, Interval, between
from partition_playbook.ledger import Ledger
from partition_playbook.maintenance import due
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec
from staging.bench.copies import Connect

PARTITIONS = (10, 100, 1_000)
TABLES = (1, 10, 100)
FEW = 10
CREATED = 3
# Fewer than the smallest table has partitions, and enough for a daily schedule.
PREMAKE = 3
REPEATS = 3


def measure(connect: Connect) -> dict[str, Any]:
    """Return the seconds for each size, and the growth from each size to the next."""
    by_partitions = {str(count): _one(connect, f"parts_{count}", count) for count in PARTITIONS}
    specs = [make(connect, f"many_{number}", FEW) for number in range(max(TABLES))]
    by_tables = {str(count): timed(partial(_maintain_all, connect, specs[:count])) for count in TABLES}
    looks = {str(count): min(timed(partial(_look, connect, specs[:count])) for _ in range(REPEATS)) for count in TABLES}
    return {
        "seconds_by_partitions": by_partitions,
        "seconds_by_tables": by_tables,
        "look_seconds_by_tables": looks,
        "growth_by_partitions": {
            kind: growth([each[kind] for each in by_partitions.values()]) for kind in ("no_op", "creating")
        },
        "growth_by_tables": growth(list(by_tables.values())),
    }


def growth(seconds: list[float]) -> list[float]:
    """Return the ratio of each duration to the one before it; 10 is linear."""
    return [round(after / before, 1) for before, after in pairwise(seconds)]


def _one(connect: Connect, name: str, count: int) -> dict[str, float]:
    """Return the seconds of the fastest idle run, and of a run that creates partitions."""
    spec = make(connect, name, count)
    no_op = min(timed(partial(_maintain, connect, spec)) for _ in range(REPEATS))
    more = spec.model_copy(update={"premake": spec.premake + CREATED})
    creating = timed(partial(_maintain, connect, more))
    return {"no_op": no_op, "creating": creating}


def timed(work: Callable[[], object]) -> float:
    """Return the seconds of a call."""
    started = time.perf_counter()
    work()
    return round(time.perf_counter() - started, 4)


def _maintain_all(connect: Connect, specs: list[TableSpec]) -> None:
    for each in specs:
        _maintain(connect, each)


def _look(connect: Connect, specs: list[TableSpec]) -> None:
    """Look at tables that were maintained just now, like the scheduled run; RuntimeError if one is due."""
    waiting = due.waiting({each.table: each for each in specs}, "look", lambda _: Database(connect))
    if len(waiting) != len(specs):
        raise RuntimeError("a table is due")


def _maintain(connect: Connect, spec: TableSpec) -> None:
    """Maintain one table like the task of the DAG: open a run, maintain, record; RuntimeError on a no-go."""
    ledger = Ledger(Database(connect), f"{spec.table}-{time.monotonic_ns()}", "maintenance")
    ledger.open(spec.name, "maintenance", spec.model_dump(mode="json"), {})
    run = Run(spec, Database(connect, timezone=spec.timezone, sink=ledger.sink), ledger)
    verdict: Verdict = ledger.record_checks(
        maintain(run, MaintenanceParams.model_validate({"table": spec.table})).checks
    )
    ledger.close("go" if verdict.go else "no-go")
    if not verdict.go:
        raise RuntimeError(str(verdict))


def make(connect: Connect, name: str, count: int) -> TableSpec:
    """Create a table of ``count`` daily partitions and a default partition, with hourly rows, a key and an index."""
    spec = TableSpec.model_validate({"table": name, "partition_by": "at", "interval": Interval.DAY, "premake": PREMAKE})
    today = pendulum.now("UTC").start_of("day")
    last = today.add(days=spec.premake)
    with connect() as connection:
        connection.execute(
            sql.SQL(
                "CREATE TABLE {0} (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, value float8,"
                " PRIMARY KEY (id, at)) PARTITION BY RANGE (at); CREATE INDEX ON {0} (at);"
                " CREATE TABLE {1} PARTITION OF {0} DEFAULT"
            ).format(spec.name.identifier, spec.name.default.identifier)
        )
        for each in between(spec.interval, last.subtract(days=count - 1), last):
            connection.execute(_partition(spec, each))
        rows = sql.SQL("INSERT INTO {} (at) SELECT generate_series(%s::timestamptz, %s, '1 hour')")
        connection.execute(rows.format(spec.name.identifier), (last.subtract(days=count - 1), today))
        connection.execute(sql.SQL("ANALYZE {}").format(spec.name.identifier))
    return spec


def _partition(spec: TableSpec, bounds: Bounds) -> sql.Composed:
    return sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
        spec.name.partition(bounds.suffix).identifier,
        spec.name.identifier,
        sql.Literal(bounds.lower),
        sql.Literal(bounds.upper),
    )
