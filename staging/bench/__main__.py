"""Run the benchmark, print it, and write it as JSON: `make bench`, with ROWS for another size."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import signal
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from staging import cluster, environment
from staging.bench import airflow, console_answers, copies, data, live, maintenance
from staging.bench.copies import Copied
from staging.instance import PROJECT

TARGETS = {
    "ours_2_over_literal": (">=", 7.0),
    "ours_2_over_limit": ("<=", 0.85),
    "ours_2_over_limit_in_time_order": ("<=", 0.85),
    "cutover_held_ms": ("<=", 50.0),
    "slowest_write_around_cutover_ms": ("<=", 100.0),
    "rollback_seconds": ("<=", 10.0),
    "dag_import_seconds": ("<=", 1.0),
}
console = Console()


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m staging.bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--json", type=Path, default=PROJECT / "bench.json")
    parser.add_argument("--without-airflow", action="store_true", help="leave out Airflow's own overhead")
    parser.add_argument("--maintenance-only", action="store_true", help="measure the maintenance and nothing else")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # else the server would outlive a benchmark that is ended
    logging.getLogger("partition_playbook").setLevel(logging.WARNING)  # the audit would hide the figures
    found: dict[str, Any] = {"rows": asked.rows, "at": datetime.now(UTC).isoformat()}
    found["python"] = platform.python_version()
    with cluster.temporary(cluster.SETTINGS) as server:
        for name in ("bench", "in_time_order", "maintenance", "console"):
            server.create_database(name)
        found["maintenance"] = maintenance.measure(partial(psycopg.connect, server.conninfo("maintenance")))
        found["console"] = console_answers.measure(partial(psycopg.connect, server.conninfo("console")))
        if not asked.maintenance_only:
            found |= measure(server.conninfo("bench"), asked.rows)
            found["in_time_order"] = measure_in_time_order(server.conninfo("in_time_order"), asked.rows)
    if not asked.maintenance_only:
        found["dag_import_seconds"] = airflow.import_seconds()
        if not asked.without_airflow:
            found["airflow"] = airflow.load_overhead()
            environment.stop()
        found["ratios"] = ratios(found)
        show(found)
    show_maintenance(found["maintenance"])
    console.print({"console": found["console"]})
    asked.json.write_text(json.dumps(found, indent=2) + "\n")
    console.print(f"JSON: {asked.json}")


def measure(conninfo: str, rows: int) -> dict[str, Any]:
    """Fill the table once and measure everything on it."""
    connect: copies.Connect = partial(psycopg.connect, conninfo)
    fill(connect, rows)
    copied = {
        "limit": told("the limit: one table, the same indexes and keys", partial(copies.limit, connect)),
        **{
            f"ours_{workers}": told(f"ours, {workers} workers", partial(copies.ours, connect, workers))
            for workers in (1, 2, 3)
        },
        "literal": told("the literal way: batches of 10,000 by key", partial(copies.literal, connect)),
    }
    console.print("a whole migration, back and forward again, under four writers")
    figures = live.migrate_live(conninfo, connect)
    return {"copies": {name: asdict(each) for name, each in copied.items()}, "live": figures}


def measure_in_time_order(conninfo: str, rows: int) -> dict[str, Any]:
    """Measure the copies again on rows that arrived in time order, as real telemetry does."""
    connect: copies.Connect = partial(psycopg.connect, conninfo)
    fill(connect, rows, in_time_order=True)
    copied = {
        "limit": told("the limit, in time order", partial(copies.limit, connect)),
        "ours_2": told("ours in time order, 2 workers", partial(copies.ours, connect, 2)),
    }
    return {name: asdict(each) for name, each in copied.items()}


def fill(connect: copies.Connect, rows: int, *, in_time_order: bool = False) -> None:
    """Fill the table of an empty database."""
    with connect() as connection:
        connection.autocommit = True
        version = connection.execute("SHOW server_version").fetchone()
        order = "time order" if in_time_order else "random order"
        console.print(f"PostgreSQL {version[0] if version else '?'}: filling {rows:,} rows in {order}")
        data.fill(connection, rows, in_time_order=in_time_order)


def told(what: str, copy: Any) -> Copied:
    """Say what is measured and what it took."""
    copied: Copied = copy()
    console.print(f"{what}: {copied.seconds:.1f} s, {copied.wal_bytes / 1e6:.0f} MB of WAL {copied.parts or ''}")
    return copied


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """Return what the targets are about."""
    seconds = {name: each["seconds"] for name, each in found["copies"].items()}
    ordered = {name: each["seconds"] for name, each in found["in_time_order"].items()}
    latency = found["live"]["latency_ms"]
    return {
        "ours_2_over_literal": round(seconds["literal"] / seconds["ours_2"], 2),
        "ours_2_over_limit": round(seconds["ours_2"] / seconds["limit"], 2),
        "ours_2_over_limit_in_time_order": round(ordered["ours_2"] / ordered["limit"], 2),
        "cutover_held_ms": found["live"]["swaps"]["cutover"]["held_ms"],
        "slowest_write_around_cutover_ms": round(latency["cutover"]["max"], 1),
        "rollback_seconds": found["live"]["rollback_seconds"],
        "dag_import_seconds": max(found["dag_import_seconds"].values()),
    }


def show(found: dict[str, Any]) -> None:
    """Print the figures beside their targets, and the writers' latency."""
    table = Table("figure", "measured", "target")
    for name, value in found["ratios"].items():
        sign, target = TARGETS[name]
        met = value >= target if sign == ">=" else value <= target
        table.add_row(name, f"[{'green' if met else 'red'}]{value}[/]", f"{sign} {target}")
    console.print(table)
    waits = Table("writers", "count", "p50 ms", "p99 ms", "max ms")
    for name, each in found["live"]["latency_ms"].items():
        waits.add_row(name, *(f"{each[key]:.1f}" if key != "count" else str(each[key]) for key in each))
    console.print(waits)
    console.print({key: value for key, value in found["live"].items() if key != "latency_ms"})
    console.print({key: found[key] for key in ("dag_import_seconds", "airflow") if key in found})


def show_maintenance(found: dict[str, Any]) -> None:
    """Print what maintenance takes; ten times as much of everything is linear growth."""
    table = Table("maintenance", *found["seconds_by_partitions"], "growth", title="seconds by partitions")
    for kind, grown in found["growth_by_partitions"].items():
        seconds = [str(each[kind]) for each in found["seconds_by_partitions"].values()]
        table.add_row(kind, *seconds, " ".join(map(str, grown)))
    console.print(table)
    table = Table("maintenance", *found["seconds_by_tables"], "growth", title="seconds by tables")
    table.add_row(
        "no_op", *map(str, found["seconds_by_tables"].values()), " ".join(map(str, found["growth_by_tables"]))
    )
    console.print(table)


if __name__ == "__main__":
    main()
