"""Load one partition: one transaction, one snapshot, sorted by the partition column."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import psycopg
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Table
from partition_playbook.database import PATIENCE, Database, Limits, Row, Session, with_lock_retry
from partition_playbook.errors import PreconditionFailed
from partition_playbook.migration import capture, surface, throttle
from partition_playbook.migration.run import Run, sides
from partition_playbook.migration.shadow import bounds_of
from partition_playbook.names import TableName
from partition_playbook.sql import columns

log = logging.getLogger(__name__)

SORT_MEMORY = "256MB"
# A smaller sort stays in the processor's cache; workers of one parallel build share what there is.
INDEX_MEMORY = {True: "256MB", False: "32MB"}
# Below this the heap's order and the index's differ so much that a sort beats fetching row after row through the index.
ORDERED = 0.9
PROGRESS_SECONDS = 5.0


@dataclass(frozen=True)
class Loaded:
    """What a load brought."""

    partition: str
    rows: int
    bytes: int
    seconds: float


def load_partition(run: Run, name: str, *, workers: int) -> Loaded:
    """Load one partition of the shadow from the source, once the application leaves room.

    A load that fails leaves the partition empty; a load that is done already is not done again. At most ``workers``
    loads of
    the table run at a time, whoever starts them.
    """
    started = time.perf_counter()
    with load_slot(run, name, workers) as session:
        load = _find(run, name)
        if load["state"] in ("loaded", "attached"):
            log.info("%s is loaded already", name)
        else:
            throttle.wait_until_calm(run, name)
            capture.require_whole(session, run)
            session.note("ledger/start_load", {"run_id": run.ledger.run_id, "partition_name": name})
            with _progress(run, load):
                _load(run, session, load, workers)
        done = _find(run, name)
    seconds = time.perf_counter() - started
    log.info("%s: %d rows in %.1f s (%.0f rows/s)", name, done["rows"], seconds, done["rows"] / max(seconds, 1e-3))
    return Loaded(name, done["rows"], done["bytes"], seconds)


def _find(run: Run, name: str) -> Row:
    for load in run.ledger.loads():
        if load["partition_name"] == name:
            return load
    raise PreconditionFailed(
        f"partition {name!r} was not planned", where=run.ledger.run_id, remedy="Run the shadow step first"
    )


@contextmanager
def load_slot(run: Run, name: str, workers: int) -> Iterator[Session]:
    """Open the one session that may load a partition, once it has one of the table's ``workers`` slots."""
    with run.database.session() as session:
        while not _take(session, run, name):
            time.sleep(0.5)
        while not any(_take(session, run, str(slot)) for slot in range(workers)):
            time.sleep(0.5)
        yield session


def _take(session: Session, run: Run, what: str) -> bool:
    return bool(session.value("migration/take_load_slot", {"slot": f"partition_playbook.load {run.table} {what}"}))


def empty(session: Session, partition: TableName) -> None:
    """Remove what an earlier try left in a partition."""
    session.run("migration/empty_partition", partition=partition.identifier)


def _load(run: Run, session: Session, load: Row, workers: int) -> None:
    partition = TableName(run.table.schema, load["partition_name"])

    def attempt(lock_timeout: int) -> None:
        # By itself: who watches the progress must not wait for its lock until the load ends.
        with run.database.within(session, lock_timeout):
            _require_detached(session, partition)
            empty(session, partition)
        with run.database.within(session, lock_timeout):
            _fill(run, session, load, partition, workers)

    with_lock_retry(run.database, partition, attempt, PATIENCE)


def _fill(run: Run, session: Session, load: Row, partition: TableName, workers: int) -> None:
    now = sides(session, run)
    now.require_same_columns()
    source = now.live
    ordered = correlation(session, run) >= ORDERED
    # Loads that run side by side fill the cores by themselves.
    alone = workers == 1
    settings = {"indexscan": "on" if ordered else "off", "parallel": "2" if alone else "0"}
    session.rows("migration/tune_load", settings | {"sort": SORT_MEMORY, "index": INDEX_MEMORY[alone]})
    lower, upper = bounds_of(load, run.spec).literals(source.column(run.spec.partition_by).type)
    rows = copy_rows(run, session, source, partition, (lower, upper))
    create_indexes(session, source.partitioned_by(now.partition_by), partition)
    size = session.value("migration/find_size", {"schema": partition.schema, "name": partition.name})
    done = {"run_id": run.ledger.run_id, "partition_name": partition.name, "rows": rows, "bytes": size}
    session.note("ledger/end_load", done)


def _require_detached(session: Session, partition: TableName) -> None:
    """Stop where the partition is gone, or in use: another process has undone the run, or gone on."""
    found = catalog.describe(session, partition)
    if found is None or found.is_partition:
        raise PreconditionFailed(
            "it is attached" if found else "it is gone",
            where=str(partition),
            remedy="Another process works on this migration: look at the ledger's events",
        )


def copy_rows(run: Run, session: Session, source: Table, partition: TableName, ends: tuple[date, date]) -> int:
    """Copy the rows between two bounds from the source into a partition, sorted; return how many."""
    return session.run(
        "migration/load_partition",
        {"lower": ends[0], "upper": ends[1]},
        partition=partition.identifier,
        source=source.table_name.identifier,
        columns=columns(source.writable),
        partition_by=sql.Identifier(run.spec.partition_by),
    )


def create_indexes(session: Session, source: Table, partition: TableName) -> None:
    """Give a loaded partition the keys, indexes and unvalidated checks that another table has."""
    surface.add_keys(session, source, partition)
    for index in source.indexes:
        if not index.constraint and index.valid:
            surface.create_index(session, partition, index)
    surface.add_unvalidated_checks(session, source, partition)
    surface.identify(session, source, partition)
    surface.aim_indexes(session, source, partition)


def correlation(session: Session, run: Run) -> float:
    """Return how far the heap is in the order of the partition column, 0 to 1; 0 where the table was never analyzed."""
    values = {"schema": run.table.schema, "name": run.table.name, "column": run.spec.partition_by}
    found = session.rows("catalog/find_correlation", values)
    return float(found[0]["correlation"]) if found else 0.0


@contextmanager
def _progress(run: Run, load: Row) -> Iterator[None]:
    """Log rows so far, rows per second and the time left, as another session sees the partition grow."""
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(run.database, run.table, load, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(database: Database, table: TableName, load: Row, done: threading.Event) -> None:
    started = time.perf_counter()
    while not done.wait(PROGRESS_SECONDS):
        try:
            log.info("%s: %s", load["partition_name"], _so_far(database, table, load, time.perf_counter() - started))
        except psycopg.errors.LockNotAvailable:
            log.info("%s: all rows copied, building its indexes", load["partition_name"])
        except psycopg.Error as error:
            log.warning("%s: progress is not known: %s", load["partition_name"], error)


def _so_far(database: Database, table: TableName, load: Row, seconds: float) -> str:
    values = {"schema": table.schema, "name": load["partition_name"], "source": table.name}
    values["log"] = table.change_log.quoted
    # The key takes the table for itself until the load commits: whoever looks must not wait for that.
    with database.session(Limits(lock_timeout=100)) as session:
        seen = session.row("migration/watch_load", values)
    rows = int(seen["bytes"] / max(seen["row_bytes"], 1))
    rate = rows / seconds
    left = max(load["expected_rows"] - rows, 0) / max(rate, 1)
    return (
        f"about {rows} of {load['expected_rows']} rows, {rate:.0f} rows/s, {left:.0f} s left before its indexes; "
        f"change log {seen['log_bytes'] / 1e6:.0f} MB"
    )
