"""Run the benchmark, print the results, and write them as JSON: `make bench`, with ROWS and INTERVALS for others."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Column, Table

from partition_playbook import figures
from partition_playbook.engine import load_groups
from partition_playbook.intervals import Interval
from staging import cluster, environment
from staging.bench import (
    airflow,
    backlog,
    comparison,
    console_answers,
    copies,
    data,
    holds,
    live,
    machine_load,
    maintenance,
    peers,
    scrape,
    whole_migration,
)
from staging.bench.copies import Copied
from staging.instance import PROJECT

TARGETS = {
    "ours_2_over_literal": (">=", 9.0),
    "ours_2_over_limit": ("<=", 1.0),
    "ours_2_over_limit_in_time_order": ("<=", 0.85),
    "ours_2_over_limit_on_15": ("<=", 1.2),
    "by_day_over_by_month": ("<=", 1.5),
    "mapped_tasks_of_2000_partitions": ("<=", 100.0),
    "cutover_held_ms": ("<=", 50.0),
    "slowest_write_around_cutover_beyond_its_hold_ms": ("<=", 40.0),
    "rollback_seconds": ("<=", 10.0),
    "batch_at_the_large_backlog_over_the_small": ("<=", 1.2),
    "dag_import_seconds": ("<=", 1.0),
    "comparison_over_scan": ("<=", 1.5),
    "comparison_over_scan_in_time_order": ("<=", 1.5),
    "swap_held_ms_few_partitions": ("<=", 15.0),
    "swap_held_ms_1000_partitions": ("<=", 50.0),
    "migration_of_1000_partitions_over_16": ("<=", 2.0),
    "writers_p99_with_1_loader_over_before": ("<=", 2.0),
    "writers_p99_with_2_loaders_over_before": ("<=", 3.0),
    "maintenance_of_1000_partitions_over_10": ("<=", 2.0),
    "maintenance_of_100_tables_over_1": ("<=", 40.0),
    "look_at_100_tables_over_1": ("<=", 40.0),
}
# With the WAL of `live.keep_wal`: a server that has been at work for a while uses its old files again.
SETTINGS = cluster.SETTINGS | {"min_wal_size": "4GB"}
console = Console()


def main() -> None:
    """Run the benchmarks that the arguments select."""
    parser = argparse.ArgumentParser(prog="python -m staging.bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument(
        "--intervals", type=_interval, nargs="*", default=[Interval.DAY], help="partitions beside monthly ones"
    )
    parser.add_argument("--json", type=Path, default=PROJECT / "bench.json")
    parser.add_argument("--without-airflow", action="store_true", help="skip the overhead of Airflow")
    parser.add_argument("--maintenance-only", action="store_true", help="measure only the maintenance")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # else the server would outlive a terminated benchmark
    logging.getLogger("partition_playbook").setLevel(logging.WARNING)  # its statements would hide the results
    found: dict[str, Any] = {"rows": asked.rows, "at": datetime.now(UTC).isoformat()}
    found["python"] = platform.python_version()
    found["load"] = announced_load(asked.rows)
    found["no_result"] = list(machine_load.refusals(asked.rows, found["load"]))

    with cluster.temporary(SETTINGS) as server:
        for name in ("bench", "in_time_order", "maintenance", "console", "metrics", "backlog"):
            server.create_database(name)
        for name in ("few", "many", "whole_few", "whole_many"):
            server.create_database(name)
        found["maintenance"] = maintenance.measure(partial(psycopg.connect, server.conninfo("maintenance")))
        found["console"] = console_answers.measure(partial(psycopg.connect, server.conninfo("console")))
        found["metrics"] = scrape.measure(partial(psycopg.connect, server.conninfo("metrics")))
        if not asked.maintenance_only:
            # As large as the table allows: a run of few rows only checks that each part works.
            many = max(2 * backlog.FEW, min(backlog.MANY, asked.rows))
            found["backlog"] = backlog.measure(partial(psycopg.connect, server.conninfo("backlog")), many)
            console.print({"backlog": found["backlog"]})
            found |= measure(server, asked.rows, asked.intervals)
            found["in_time_order"] = measure_in_time_order(server.conninfo("in_time_order"), asked.rows)
            connect = partial(psycopg.connect, server.conninfo("in_time_order"))
            found["comparison_in_time_order"] = comparison.measure(connect)
            console.print("swaps under four writers, with few and with many partitions")
            whole = asked.rows >= machine_load.RESULT_ROWS
            swaps, rate = (holds.SWAPS, holds.RATE) if whole else (1, holds.CALM_RATE)
            layouts = {"few": holds.FEW, "many": holds.MANY if whole else holds.SMALL}
            found["holds"] = {
                name: holds.measure(server.conninfo(name), layout, swaps, rate) for name, layout in layouts.items()
            }
            console.print("forward, back and forward again under four writers, with few and with many partitions")
            found["whole"] = {
                name: whole_migration.measure(server.conninfo(f"whole_{name}"), asked.rows, layout, rate)
                for name, layout in layouts.items()
            }
            console.print(found["whole"])

    if not asked.maintenance_only:
        console.print(f"PostgreSQL {peers.VERSION}, with pg_partman beside it")
        found["peers"] = peers.measure(min(asked.rows, machine_load.RESULT_ROWS))
        console.print(found["peers"])
        found["dag_import_seconds"] = airflow.import_seconds()
        if not asked.without_airflow:
            found["airflow"] = airflow.load_overhead()
            environment.stop()
        show_live(found)
    found["ratios"] = ratios(found)
    show(found["ratios"], found["no_result"])
    show_maintenance(found["maintenance"])
    console.print({"console": found["console"], "metrics": found["metrics"]})
    asked.json.write_text(json.dumps(found, indent=2) + "\n")
    console.print(f"JSON: {asked.json}")


def _interval(text: str) -> Interval:
    """Read an interval of time; ArgumentTypeError for any other, such as the first half of one without quotes."""
    try:
        interval = Interval.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; quote a number of them: '6 hours'") from error
    if interval.is_ids:
        raise argparse.ArgumentTypeError("the table of the benchmark is divided by time")
    return interval


def announced_load(rows: int) -> float | None:
    """Sample and print the load of the machine; None for a run of so few rows that it can't be a result."""
    if rows < machine_load.RESULT_ROWS:
        return None
    load = machine_load.sample()
    console.print(f"load of the machine before: {figures.decimal(load)} cores at work, over a minute")
    return round(load, 2)


def measure(server: cluster.Cluster, rows: int, intervals: Sequence[Interval]) -> dict[str, Any]:
    """Fill the table, then measure all copies and the migration under writers."""
    conninfo = server.conninfo("bench")
    connect: copies.Connect = partial(psycopg.connect, conninfo)
    fill(connect, rows)
    copied = {
        "limit": announced("plain copy, the same indexes and keys", partial(copies.limit, connect)),
        **{
            f"ours_{workers}": announced(
                f"this engine, {figures.count(workers, 'worker')}", partial(copies.ours, connect, workers)
            )
            for workers in (1, 2, 3)
        },
        **{f"ours_2_by_{each}": by_interval(server, connect, rows, each) for each in intervals},
        "literal": announced("the playbook's batches of 10,000 ids", partial(copies.literal, connect)),
    }
    console.print("comparison of both tables, and a scan of both")
    compared = comparison.measure(connect)
    console.print("migration, rollback and second cutover under four writers")
    migrated = live.migrate_live(conninfo, connect)
    found = {name: asdict(each) for name, each in copied.items()}
    return {"copies": found, "comparison": compared, "live": migrated}


def by_interval(server: cluster.Cluster, connect: copies.Connect, rows: int, interval: Interval) -> Copied:
    """Measure the copy into partitions of an interval; one too narrow for a year of rows has a table of fewer days."""
    days = data.days_of(interval)
    name = f"this engine, 2 workers, a partition for each {interval.noun} of {figures.count(days, 'day')}"
    if days < data.YEAR:
        database = f"by_{interval}".replace(" ", "_")
        server.create_database(database)
        connect = partial(psycopg.connect, server.conninfo(database))
        fill(connect, rows, days=days)
    return announced(name, partial(copies.ours, connect, 2, str(interval)))


def measure_in_time_order(conninfo: str, rows: int) -> dict[str, Any]:
    """Measure the copies again on rows in time order, like real telemetry."""
    connect: copies.Connect = partial(psycopg.connect, conninfo)
    fill(connect, rows, in_time_order=True)
    copied = {
        "limit": announced("plain copy in time order", partial(copies.limit, connect)),
        "ours_2": announced("this engine in time order, 2 workers", partial(copies.ours, connect, 2)),
    }
    return {name: asdict(each) for name, each in copied.items()}


def fill(connect: copies.Connect, rows: int, *, in_time_order: bool = False, days: int = data.YEAR) -> None:
    """Fill the table of an empty database."""
    with connect() as connection:
        connection.autocommit = True
        version = connection.execute("SHOW server_version").fetchone()
        order = "time order" if in_time_order else "random order"
        filling = f"filling {figures.count(rows, 'row')} in {order}"
        console.print(f"PostgreSQL {version[0] if version else '?'}: {filling}")
        data.fill(connection, rows, in_time_order=in_time_order, days=days)


def announced(name: str, copy: Callable[[], Copied]) -> Copied:
    """Run a copy and print its cost."""
    copied = copy()
    parts = "".join(f", {part} {figures.seconds(seconds)}" for part, seconds in copied.parts.items())
    wal = figures.size(copied.wal_bytes)
    console.print(f"{name}: {figures.seconds(copied.seconds)}, {wal} of WAL{parts}", soft_wrap=True)
    return copied


def ratios(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures with a target, of the parts that were measured."""
    return maintenance_ratios(found["maintenance"]) | (copy_ratios(found) if "copies" in found else {})


def maintenance_ratios(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the growth of maintenance with nothing to do, from the fewest partitions and tables to the most."""
    partitions = [each["no_op"] for each in found["seconds_by_partitions"].values()]
    tables, looks = (list(found[each].values()) for each in ("seconds_by_tables", "look_seconds_by_tables"))
    return {
        "maintenance_of_1000_partitions_over_10": round(partitions[-1] / partitions[0], 2),
        "maintenance_of_100_tables_over_1": round(tables[-1] / tables[0], 1),
        "look_at_100_tables_over_1": round(looks[-1] / looks[0], 1),
    }


def copy_ratios(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures of everything but the maintenance."""
    seconds = {name: each["seconds"] for name, each in found["copies"].items()}
    ordered = {name: each["seconds"] for name, each in found["in_time_order"].items()}
    latency, peer = found["live"]["latency_ms"], found["peers"]
    held = found["live"]["swaps"]["cutover"]["held_ms"]
    asked_for = {}
    if "ours_2_by_day" in seconds:
        asked_for["by_day_over_by_month"] = round(seconds["ours_2_by_day"] / seconds["ours_2"], 2)
    if "limit" in peer:
        asked_for["ours_2_over_limit_on_15"] = round(peer["ours_2"]["seconds"] / peer["limit"]["seconds"], 2)
    return {
        "ours_2_over_literal": round(seconds["literal"] / seconds["ours_2"], 2),
        "ours_2_over_limit": round(seconds["ours_2"] / seconds["limit"], 2),
        **asked_for,
        "mapped_tasks_of_2000_partitions": mapped_tasks(2_000),
        "ours_2_over_limit_in_time_order": round(ordered["ours_2"] / ordered["limit"], 2),
        "cutover_held_ms": held,
        "slowest_write_around_cutover_beyond_its_hold_ms": round(latency["cutover"]["max"] - held, 1),
        "rollback_seconds": found["live"]["rollback_seconds"],
        "batch_at_the_large_backlog_over_the_small": found["backlog"]["ratio"],
        "dag_import_seconds": max(found["dag_import_seconds"].values()),
        "comparison_over_scan": found["comparison"]["ratio"],
        "comparison_over_scan_in_time_order": found["comparison_in_time_order"]["ratio"],
        "swap_held_ms_few_partitions": max(found["holds"]["few"]["held_ms"].values()),
        "swap_held_ms_1000_partitions": max(found["holds"]["many"]["held_ms"].values()),
        "migration_of_1000_partitions_over_16": round(
            found["whole"]["many"]["seconds"] / found["whole"]["few"]["seconds"], 2
        ),
        "writers_p99_with_1_loader_over_before": _p99_over(latency, "with_1_loader", "before_1_loader"),
        "writers_p99_with_2_loaders_over_before": _p99_over(latency, "with_2_loaders", "before_2_loaders"),
    }


def _p99_over(latency: Mapping[str, Mapping[str, float]], during: str, before: str) -> float:
    return round(latency[during]["p99"] / latency[before]["p99"], 2)


def mapped_tasks(partitions: int) -> int:
    """Return the number of load tasks that Airflow maps for so many partitions with rows."""
    loads = [{"partition_name": str(each), "expected_rows": 1_000} for each in range(partitions)]
    return len(load_groups.grouped(loads, workers=2))


def show(found: Mapping[str, float], no_result: Sequence[str]) -> None:
    """Print the figures beside their targets; no figure meets or misses one if the run is no result."""
    title = f"no result: {'; '.join(no_result)}" if no_result else "results"
    table = Table("figure", Column("measured", justify="right"), Column("target", justify="right"), title=title)
    for name, value in found.items():
        sign, target = TARGETS[name]
        met = value >= target if sign == ">=" else value <= target
        style = "dim" if no_result else "green" if met else "red"
        table.add_row(name, f"[{style}]{figures.decimal(value)}[/]", f"{sign} {figures.decimal(target)}")
    console.print(table)


def show_live(found: Mapping[str, Any]) -> None:
    """Print the latency of the writers, the swaps, and what Airflow adds."""
    waits = Table("writers", *(Column(name, justify="right") for name in ("count", "p50", "p99", "max")))
    for name, each in found["live"]["latency_ms"].items():
        times = (figures.milliseconds(each[key]) for key in ("p50", "p99", "max"))
        waits.add_row(name, figures.number(each["count"]), *times)
    console.print(waits)
    console.print({key: value for key, value in found["live"].items() if key != "latency_ms"})
    console.print({key: found[key] for key in ("dag_import_seconds", "airflow") if key in found})


def show_maintenance(found: dict[str, Any]) -> None:
    """Print the duration of maintenance; the sizes grow tenfold, so a growth of 10 is linear."""
    table = Table("maintenance", *found["seconds_by_partitions"], "growth", title="duration by number of partitions")
    for kind, grown in found["growth_by_partitions"].items():
        taken = [each[kind] for each in found["seconds_by_partitions"].values()]
        table.add_row(kind, *map(figures.seconds, taken), " ".join(map(figures.decimal, grown)))
    console.print(table)

    table = Table("maintenance", *found["seconds_by_tables"], "growth", title="duration by number of tables")
    growth = " ".join(map(figures.decimal, found["growth_by_tables"]))
    table.add_row("no_op", *map(figures.seconds, found["seconds_by_tables"].values()), growth)
    table.add_row("look", *map(figures.seconds, found["look_seconds_by_tables"].values()), "")
    console.print(table)


if __name__ == "__main__":
    main()
