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
from staging.writers import Writers

WRITERS, RATE, WORKERS = 4, 50.0, 2
QUIET_SECONDS = 10.0
AROUND_SECONDS = 2.0


def migrate_live(conninfo: str, connect: Connect) -> dict[str, Any]:
    """Migrate, roll back and cut over again under writers; return milliseconds, seconds and bytes, named by unit."""
    run = open_run(connect, "bench-live")
    parts: dict[str, float] = {}
    with Writers(conninfo, count=WRITERS, rate=RATE) as writers, peak_memory(connect) as memory:
        time.sleep(QUIET_SECONDS)
        before = writers.latency()
        started = time.time()
        with measured(connect) as copied:
            _build(run, parts)
        during = writers.latency(since=started)
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
        "latency_ms": {"before": asdict(before), "during_loads": asdict(during), **around},
        "swaps": {name: _figures(swap) for name, swap in swaps.items()},
        "parts_seconds": parts,
        "wal_bytes": copied[0].wal_bytes,
        "peak_backend_bytes": max(memory),
        "rollback_seconds": round(returned.seconds, 2),
        "differences": len(compared.lost) + len(compared.resurrected) + len(compared.stale) + len(compared.doubled),
        "errors_seen_by_writers": errors,
    }


def _build(run: Run, parts: dict[str, float]) -> None:
    with timed(parts, "load"):
        groups = load_groups.grouped(shadow.build(run), WORKERS)
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(partial(load.load_group, run, workers=WORKERS), groups))
    with timed(parts, "attach"):
        attach.attach_partitions(run)
        vacuum.vacuum_partitions(run, workers=WORKERS)
    with timed(parts, "catch_up"):
        reconcile.catch_up(run, until=reconcile.FEW_CHANGES)


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
