"""Migrate under four writers: measure their latency, the lock time of the swaps, and the rollback."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from partition_playbook.engine import attach, cutover, load, load_groups, reconcile, rollback, shadow, vacuum, verify
from partition_playbook.engine.cutover import Swapped
from partition_playbook.engine.sides import Direction
from partition_playbook.run import Run
from staging.bench.copies import Connect, measured, open_run, timed
from staging.record import Latency
from staging.writers import Writers

WRITERS, RATE, WORKERS = 4, 50.0, 2
QUIET_SECONDS = 10.0
AROUND_SECONDS = 2.0
WAL_BYTES = 3_500 << 20


def migrate_live(conninfo: str, connect: Connect) -> dict[str, Any]:
    """Migrate, roll back and cut over again under writers; return milliseconds, seconds and bytes, named by unit."""
    parts: dict[str, float] = {}
    keep_wal(connect)
    with Writers(conninfo, count=WRITERS, rate=RATE) as writers, peak_memory(connect) as memory:
        loads = _load_alone(connect, writers)
        run = open_run(connect, "bench-live")
        quiet_since = time.time()
        time.sleep(QUIET_SECONDS)
        started = time.time()
        loads["before_2_loaders"] = writers.latency(since=quiet_since, until=started)
        with measured(connect) as copied:
            loaded = build(run, parts)
        loads["with_2_loaders"] = writers.latency(since=started, until=loaded)
        swaps = {"cutover": _swap(run, parts, "cutover", Direction.FORWARD)}
        _compare(run, parts, "verify_after_cutover")
        time.sleep(QUIET_SECONDS)
        with timed(parts, "rollback"):
            returned = rollback.roll_back(run)
        swaps["rollback"] = returned.swapped
        _compare(run, parts, "verify_after_rollback")
        time.sleep(QUIET_SECONDS)
        swaps["second_cutover"] = cutover.swap(run, Direction.FORWARD, occasion="second_cutover")
        time.sleep(QUIET_SECONDS)
        writers.stop()
        compared = writers.compare(conninfo)
        errors = dict(writers.errors_by_sqlstate())
        around = {name: _around(writers, run, name) for name in swaps}

    return {
        "writers": {"count": WRITERS, "transactions_per_second_each": RATE, "writes": compared.writes},
        "latency_ms": {**{name: asdict(each) for name, each in loads.items()}, **around},
        "swaps": {name: _figures(swap) for name, swap in swaps.items()},
        "parts_seconds": parts,
        "wal_bytes": copied[0].wal_bytes,
        "peak_backend_bytes": max(memory),
        "rollback_seconds": round(returned.seconds, 2),
        "differences": len(compared.lost) + len(compared.resurrected) + len(compared.stale) + len(compared.doubled),
        "errors_seen_by_writers": errors,
    }


def keep_wal(connect: Connect) -> None:
    """Write as much WAL as the table has bytes, at most 3.5 GB, and make its files ready to be used again.

    A new server would make each file during the loads, and its writers would wait: the check `wal_files` warns of it.
    """
    with connect() as connection:
        connection.autocommit = True
        row = connection.execute("SELECT pg_total_relation_size('sensor_readings')").fetchone()
        messages = min(int(str(row[0])) if row else 0, WAL_BYTES) >> 20
        connection.execute(
            "SELECT count(pg_logical_emit_message(false, 'bench', repeat('x', 1048576))) FROM generate_series(1, %s)",
            (messages,),
        )
        connection.execute("CHECKPOINT")


def _load_alone(connect: Connect, writers: Writers) -> dict[str, Latency]:
    """Load with one worker, undo it, and return the latency of the writers before and during the loads."""
    quiet_since = time.time()
    time.sleep(QUIET_SECONDS)
    run = open_run(connect, "bench-one-loader")
    started = time.time()
    _load(run, workers=1)
    found = {
        "before_1_loader": writers.latency(since=quiet_since, until=started),
        "with_1_loader": writers.latency(since=started),
    }
    rollback.abandon(run)
    return found


def _load(run: Run, workers: int) -> None:
    groups = load_groups.grouped(shadow.build(run), workers)
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(partial(load.load_group, run, workers=workers), groups))


def build(run: Run, parts: dict[str, float]) -> float:
    """Build the shadow until it can be swapped in; return the Unix time at which the loads ended."""
    with timed(parts, "load"):
        _load(run, WORKERS)
    loaded = time.time()
    with timed(parts, "attach"):
        attach.attach_partitions(run)
        vacuum.vacuum_partitions(run, workers=WORKERS)
    with timed(parts, "catch_up"):
        reconcile.catch_up(run, until=reconcile.FEW_CHANGES)
    return loaded


def _swap(run: Run, parts: dict[str, float], name: str, direction: Direction) -> Swapped | None:
    _compare(run, parts, "verify")
    with timed(parts, name):
        return cutover.swap(run, direction, occasion=name)


def _compare(run: Run, parts: dict[str, float], name: str) -> None:
    """Compare all rows, as the sections of the playbook do around each swap; RuntimeError if they differ."""
    with timed(parts, name):
        found = verify.content_check(*verify.compare(run))
    if found.blocks:
        raise RuntimeError(str(found))


def _figures(swap: Swapped | None) -> dict[str, float]:
    if swap is None:
        return {}
    return {"waited_ms": round(swap.waited_ms, 2), "held_ms": round(swap.held_ms, 2), "tries": swap.tries}


def _around(writers: Writers, run: Run, name: str) -> dict[str, float]:
    """Return the latency of the writers, from two seconds before a swap to two seconds after it."""
    at = run.ledger.measurements("migration")[f"{name}_held_ms"]["taken_at"].timestamp()
    return asdict(writers.latency(since=at - AROUND_SECONDS, until=at + AROUND_SECONDS))


@contextmanager
def peak_memory(connect: Connect) -> Iterator[list[int]]:
    """Sample the private memory of the playbook's backends in bytes, without shared buffers, into the list."""
    found = [0]
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(connect, found, done), daemon=True)
    watcher.start()
    yield found
    done.set()
    watcher.join()


def _watch(connect: Connect, found: list[int], done: threading.Event) -> None:
    with connect() as connection:
        connection.autocommit = True
        while not done.wait(0.2):
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'partition_playbook%'"
            ).fetchall()
            found.extend(private_bytes(int(str(pid))) for (pid,) in rows)


def private_bytes(pid: int) -> int:
    """Return the private resident memory of a process in bytes; 0 if it can't be read."""
    status = Path(f"/proc/{pid}/statm")
    if not status.exists():
        return 0
    try:
        resident, shared = (int(part) for part in status.read_text().split()[1:3])
    except (OSError, ValueError):
        return 0
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")
