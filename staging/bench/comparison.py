"""Compare both tables, and scan both of them as a measure of it: a scan that only counts and hashes records."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from typing import Any

from psycopg import sql

from partition_playbook.engine import attach, load, rollback, shadow, vacuum, verify
from partition_playbook.run import Run
from staging.bench.copies import Connect, open_run

TIMES, WORKERS = 5, 2
TABLES = ("sensor_readings", "sensor_readings_new")
SCAN = "SELECT count(*), sum(hash_record_extended(t, 0)) FROM {} AS t"


def measure(connect: Connect) -> dict[str, Any]:
    """Return the seconds of comparisons and scans, taken in turn, and the ratio of their medians."""
    run = open_run(connect, "bench-comparison")
    names = [str(each["partition_name"]) for each in shadow.build(run)]
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(partial(load.load_partition, run, workers=WORKERS), names))
    attach.attach_partitions(run)
    vacuum.vacuum_partitions(run, workers=WORKERS)

    # The first of each warms the cache.
    scans, comparisons = zip(*((_scan(connect), _compare(run)) for _ in range(1 + TIMES)), strict=True)
    rollback.abandon(run)
    ratio = median(comparisons[1:]) / median(scans[1:])
    return {"scan_seconds": scans[1:], "comparison_seconds": comparisons[1:], "ratio": round(ratio, 2)}


def _scan(connect: Connect) -> float:
    started = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(partial(_scan_table, connect), TABLES))
    return round(time.perf_counter() - started, 3)


def _scan_table(connect: Connect, table: str) -> None:
    with connect() as connection:
        # As in the sessions of the playbook, and with as many processes as its comparison.
        connection.execute("SET jit = off")
        connection.execute("SET max_parallel_workers_per_gather = 0")
        connection.execute(sql.SQL(SCAN).format(sql.Identifier(table))).fetchall()


def _compare(run: Run) -> float:
    started = time.perf_counter()
    compared, _ = verify.compare(run, WORKERS)
    if unequal := [each.partition for each in compared if not each.equal]:
        raise RuntimeError(f"the tables differ in {unequal}")
    return round(time.perf_counter() - started, 3)
