"""Swap forward and back under four writers, with few and with many partitions, and measure the locks."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import psycopg
from psycopg import sql

from partition_playbook.database import Database
from partition_playbook.engine import attach, cutover, load, reconcile, shadow, vacuum, verify
from partition_playbook.engine.sides import Direction
from partition_playbook.intervals import Interval
from partition_playbook.ledger import Ledger
from partition_playbook.run import Run
from partition_playbook.spec import load_spec
from staging.bench import data
from staging.writers import Writers

ROWS, WRITERS, RATE, WORKERS, SWAPS = 100_000, 4, 50.0, 2, 5
AROUND_SECONDS = 2.0


@dataclass(frozen=True)
class Layout:
    """Partitions of an interval over so many days."""

    interval: Interval
    days: int


FEW, MANY = Layout(Interval.MONTH, 365), Layout(Interval.DAY, 996)
# For a run that only checks that this part works.
SMALL, CALM_RATE = Layout(Interval.DAY, 40), 5.0


def measure(conninfo: str, layout: Layout, swaps: int = SWAPS, rate: float = RATE) -> dict[str, Any]:
    """Return medians of ``swaps`` swaps in each direction, in milliseconds: the hold, and the slowest write around it.

    Each of the writers makes ``rate`` transactions a second.

    The table has no foreign keys: they are prepared before a swap, one partition after the other, for minutes.
    """
    run = _built(conninfo, layout)
    held: dict[Direction, list[float]] = {each: [] for each in Direction}
    slowest: dict[Direction, list[float]] = {each: [] for each in Direction}
    with Writers(conninfo, count=WRITERS, rate=rate) as writers:
        time.sleep(AROUND_SECONDS)
        for _ in range(swaps):
            for direction in Direction:
                reconcile.catch_up(run, until=reconcile.FEW_CHANGES)
                if verify.content_check(*verify.compare(run)).blocks:
                    raise RuntimeError("the tables differ")

                started = time.time()
                swapped = cutover.swap(run, direction)
                time.sleep(AROUND_SECONDS)
                if swapped:
                    held[direction].append(swapped.held_ms)
                slowest[direction].append(writers.latency(since=started).max)

    return {
        "partitions": len(run.ledger.loads()),
        "held_ms": {each.value: round(median(found), 1) for each, found in held.items()},
        "slowest_write_ms": {each.value: round(median(found), 1) for each, found in slowest.items()},
    }


def _built(conninfo: str, layout: Layout) -> Run:
    """Fill the table and attach its partitions."""
    connect = partial(psycopg.connect, conninfo)
    with connect(autocommit=True) as connection:
        data.fill(connection, ROWS, days=layout.days)
        for name in data.KEYS:
            connection.execute(sql.SQL("ALTER TABLE sensor_readings DROP CONSTRAINT {}").format(sql.Identifier(name)))

    spec = load_spec("sensor_readings").model_copy(update={"interval": layout.interval})
    ledger = Ledger(Database(connect), "bench-holds", "migration")
    ledger.open(spec.name, "rehearse", spec.model_dump(mode="json"), {})
    run = Run(spec, Database(connect, timezone=spec.timezone, sink=ledger.sink), ledger)

    names = [str(each["partition_name"]) for each in shadow.build(run)]
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(partial(load.load_partition, run, workers=WORKERS), names))
    attach.attach_partitions(run)
    vacuum.vacuum_partitions(run, workers=WORKERS)
    return run
