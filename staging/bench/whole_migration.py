"""Migrate forward, back and forward again under four writers: the cost must follow the rows, not the partitions."""

from __future__ import annotations

from functools import partial
from typing import Any

import psycopg

from partition_playbook.engine import cutover, rollback
from partition_playbook.engine.sides import Direction
from staging.bench import data, live
from staging.bench.copies import open_run, timed
from staging.bench.holds import WRITERS, Layout
from staging.writers import Writers

# The share of the new rows with a moment of the past year.
LATE, LATE_DAYS = 0.2, 365


def measure(conninfo: str, rows: int, layout: Layout, rate: float) -> dict[str, Any]:
    """Return the partitions, the seconds of each direction and of all, and what the lock table allows.

    The table has its foreign keys. Each of the writers makes ``rate`` transactions a second.
    """
    connect = partial(psycopg.connect, conninfo)
    with connect(autocommit=True) as connection:
        data.fill(connection, rows, days=layout.days)
        setting = connection.execute("SHOW max_locks_per_transaction").fetchone()

    run = open_run(connect, "bench-whole", str(layout.interval))
    steps: dict[str, float] = {}
    parts: dict[str, float] = {}
    late = LATE if layout.days >= LATE_DAYS else 0.0  # else they would need more partitions
    with Writers(conninfo, count=WRITERS, rate=rate, late=late) as writers:
        with timed(steps, "forward"):
            live.build(run, parts)
            cutover.swap(run, Direction.FORWARD)
        with timed(steps, "back"):
            rollback.roll_back(run)
        with timed(steps, "forward_again"):
            cutover.swap(run, Direction.FORWARD)
        writers.stop()
        compared, errors = writers.compare(conninfo), dict(writers.errors_by_sqlstate())

    return {
        "partitions": len(run.ledger.loads()),
        "max_locks_per_transaction": int(str(setting[0])) if setting else None,
        "steps_seconds": steps,
        "parts_seconds": parts,
        "seconds": round(sum(steps.values()), 2),
        "differences": len(compared.lost) + len(compared.resurrected) + len(compared.stale) + len(compared.doubled),
        "errors_seen_by_writers": errors,
    }
