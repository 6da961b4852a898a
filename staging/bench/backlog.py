"""Measure a batch of the reconciler at a small and at a large backlog: its cost must not follow the backlog."""

from __future__ import annotations

import argparse
import statistics
from functools import partial
from typing import Any

import psycopg
from psycopg import sql

from partition_playbook.database import Database
from partition_playbook.engine import attach, load, reconcile, shadow
from partition_playbook.engine.sides import sides
from partition_playbook.ledger import Ledger
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec
from staging import cluster
from staging.bench.copies import Connect
from staging.bench.maintenance import timed

FEW, MANY = 100_000, 8_000_000
ROWS = 200_000
REPEATS = 5
SPEC = TableSpec(table="reconciled", partition_by="at", premake=1)
TABLE = """
CREATE TABLE reconciled (id bigint PRIMARY KEY, at timestamptz NOT NULL, value float8);
INSERT INTO reconciled SELECT n, now() - n * interval '1 minute', n FROM generate_series(1, {rows}) AS n;
ANALYZE reconciled
"""
# The rows in an order of their own: 7919 is prime, so that each row comes once in so many changes as there are rows.
CHANGES = """
INSERT INTO {log} (id, at)
SELECT r.id, r.at
  FROM generate_series(1, {changes}::bigint) AS n
  JOIN reconciled r ON r.id = 1 + n * 7919 % {rows}
 ORDER BY n
"""


def measure(connect: Connect, many: int = MANY) -> dict[str, Any]:
    """Return the median milliseconds of a batch at both backlogs, and their ratio."""
    run = _build(connect)
    few = _median_ms(connect, run, FEW)
    more = _median_ms(connect, run, many)
    return {
        "batch": reconcile.BATCH,
        "ms_by_backlog": {str(FEW): round(few, 1), str(many): round(more, 1)},
        "ratio": round(more / few, 2),
    }


def _build(connect: Connect) -> Run:
    with connect() as connection:
        connection.autocommit = True
        connection.execute(sql.SQL(TABLE).format(rows=ROWS))
    ledger = Ledger(Database(connect), "bench-backlog", "migration")
    ledger.open(SPEC.name, "rehearse", SPEC.model_dump(mode="json"), {})
    run = Run(SPEC, Database(connect, timezone=SPEC.timezone, sink=ledger.sink), ledger)
    for each in shadow.build(run):
        load.load_partition(run, each["partition_name"], workers=1)
    attach.attach_partitions(run)
    return run


def _median_ms(connect: Connect, run: Run, backlog: int) -> float:
    """Fill the change log up to a backlog, and time some batches with the look after each."""
    log = run.table.change_log.identifier
    with connect() as connection:
        connection.autocommit = True
        connection.execute(sql.SQL("TRUNCATE {}").format(log))
        connection.execute(sql.SQL(CHANGES).format(log=log, rows=ROWS, changes=backlog))
        connection.execute(sql.SQL("VACUUM {}").format(log))
        connection.execute("CHECKPOINT")

    with reconcile.reconciler(run) as session:
        now = sides(session, run)
        step = partial(reconcile.take_step, run, session, now, until=0, floor=0)
        took = [1000 * timed(step) for _ in range(REPEATS)]
    return statistics.median(took)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m staging.bench.backlog", description=__doc__)
    parser.add_argument("--changes", type=int, default=MANY, help="the large backlog")
    asked = parser.parse_args()
    with cluster.temporary(cluster.SETTINGS) as server:
        server.create_database("backlog")
        print(measure(partial(psycopg.connect, server.conninfo("backlog")), asked.changes))
