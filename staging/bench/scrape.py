"""Measure a scrape of the metrics, from the database to Prometheus' text: 100 tables, 1,000 partitions."""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any

import psycopg

from partition_playbook.checks import check
from partition_playbook.console import scrape
from partition_playbook.database import Database
from partition_playbook.ledger import Ledger
from partition_playbook.spec import TableSpec
from staging import cluster
from staging.bench.copies import Connect
from staging.bench.maintenance import make, timed

TABLES, PARTITIONS = 100, 10
EVENTS = 1_000
CHECKS = 20
REPEATS = 5
FILL = """
INSERT INTO partition_playbook.events (run_id, section, kind, message, statement, rows, duration_ms)
SELECT %(run_id)s, 'migration', CASE n %% 100 WHEN 0 THEN 'backlog' ELSE 'statement' END,
       'Write rows', repeat('x', 300), n, 1
  FROM generate_series(1, %(events)s) AS n
"""


def measure(connect: Connect) -> dict[str, Any]:
    """Return the median and the longest time of a scrape, each table with a migration and a maintenance."""
    specs = {spec.table: spec for spec in (make(connect, f"scraped_{number}", PARTITIONS) for number in range(TABLES))}
    for spec in specs.values():
        _fill(connect, spec)
    with connect() as connection:
        connection.autocommit = True
        connection.execute("ANALYZE")

    database = Database(connect)

    def once() -> bytes:
        return scrape.render({"bench": scrape.read_rows(database, specs)}, 0)

    times = [1000 * timed(once) for _ in range(REPEATS)]
    return {
        "tables": TABLES,
        "partitions": TABLES * PARTITIONS,
        "events": TABLES * EVENTS,
        "lines": once().count(b"\n"),
        "ms": round(statistics.median(times)),
        "longest_ms": round(max(times)),
    }


def _fill(connect: Connect, spec: TableSpec) -> None:
    """Write a migration and a maintenance to the ledger."""
    ledger = Ledger(Database(connect), f"migration of {spec.table}", "migration")
    ledger.open(spec.name, "rehearse", spec.model_dump(mode="json"), {})
    ledger.close("go")
    with connect() as connection:
        connection.autocommit = True
        connection.execute(FILL, {"run_id": ledger.run_id, "events": EVENTS})

    kept = Ledger(Database(connect), f"maintenance/{spec.table}", "maintenance")
    kept.open(spec.name, "maintenance", spec.model_dump(mode="json"), {})
    kept.record_checks(check(f"check_{number}", True, expected="", actual="") for number in range(CHECKS))
    kept.record_measurement("health", "bytes", 1, "bytes", status="green", problems=[], partitions=PARTITIONS)
    kept.close("go")


if __name__ == "__main__":
    with cluster.temporary(cluster.SETTINGS) as server:
        server.create_database("metrics")
        print(measure(partial(psycopg.connect, server.conninfo("metrics"))))
