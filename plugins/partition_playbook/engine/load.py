"""Load one partition: one transaction, one snapshot, sorted by the partition column."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import psycopg
from psycopg import sql

from partition_playbook import figures
from partition_playbook.catalog import Table
from partition_playbook.database import Database, Limits, Row, Session
from partition_playbook.engine import attributes, capture, throttle
from partition_playbook.engine.layout import bounds_of
from partition_playbook.engine.sides import sides
from partition_playbook.errors import LoadMustWait, PlaybookError, PreconditionFailed
from partition_playbook.lock_retry import PATIENCE, lock_holders, with_lock_retry
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.sql import columns

log = logging.getLogger(__name__)

SORT_MEMORY = "256MB"
# maintenance_work_mem by "one load at a time": a small sort stays in the CPU cache; parallel workers share the memory.
INDEX_MEMORY = {True: "256MB", False: "32MB"}
# Below this correlation a sort is cheaper than an index scan, which would fetch rows at random.
ORDERED = 0.9
PROGRESS_SECONDS = 5.0
LATER = "Nothing was changed: call it again later. The task of a DAG waits in the triggerer, and resumes by itself"


@dataclass(frozen=True)
class Loaded:
    """The result of a load: ``bytes`` with indexes and TOAST, ``seconds`` of the whole call."""

    partition: str
    rows: int
    bytes: int
    seconds: float


def load_partition(run: Run, name: str, *, workers: int) -> Loaded:
    """Load one partition of the shadow from the source now, or raise LoadMustWait with the reason.

    A failed load leaves the partition empty; a finished one is not repeated. At most ``workers`` loads of the table run
    at a time, over all processes. Raises CaptureLost, SourceChanged, LockNotGranted or PreconditionFailed too.
    """
    started = time.perf_counter()
    with load_slot(run, name, workers) as session:
        load = _find(run, name)
        if is_loaded(load):
            log.info("%s is loaded already", name)
        else:
            _require_calm(run)
            capture.require_complete(session, run)
            run.ledger.start_load(session, name)
            with _progress(run, load):
                _load(run, session, load, workers)
        done = _find(run, name)

    seconds = time.perf_counter() - started
    rate = figures.rate(done["rows"], max(seconds, 1e-3), "rows")
    log.info("%s: %s in %s (%s)", name, figures.count(done["rows"], "row"), figures.seconds(seconds), rate)
    return Loaded(name, done["rows"], done["bytes"], seconds)


def is_loaded(load: Row) -> bool:
    """Return True if a load of the ledger has ended well."""
    return load["state"] in ("loaded", "attached")


def _require_calm(run: Run) -> None:
    if found := throttle.reasons(run):
        raise LoadMustWait("; ".join(found.values()), where=str(run.table), remedy=LATER)


def _find(run: Run, name: str) -> Row:
    for load in run.ledger.loads():
        if load["partition_name"] == name:
            return load
    raise PreconditionFailed(
        f"partition {name!r} was not planned",
        where=run.ledger.run_id,
        remedy="Clear build_shadow to plan the partitions, then clear this task",
    )


@contextmanager
def load_slot(run: Run, name: str, workers: int) -> Iterator[Session]:
    """Open the only session allowed to load a partition, with one of the table's ``workers`` slots.

    Raises LoadMustWait with the sessions holding the partition or the slots, and then keeps no connection.
    """
    with run.database.session() as session:
        _take_any(run, session, [lock_name(run, name)], f"{name} is being loaded")
        slots = slot_names(run, workers)
        _take_any(run, session, slots, f"{figures.count(workers, 'load slot')}, all taken")
        yield session


def _take_any(run: Run, session: Session, locks: Sequence[str], problem: str) -> None:
    if not any(session.value("engine/take_load_slot", {"slot": each}) for each in locks):
        holders = "; ".join(lock_holders(run.database, (), locks)) or "a session that has ended since"
        raise LoadMustWait(f"{problem}, by {holders}", where=str(run.table), remedy=LATER)


def lock_name(run: Run, slot: str) -> str:
    """Return the name of the advisory lock of a partition's load, or of a slot of the table."""
    return f"partition_playbook.load {run.table} {slot}"


def slot_names(run: Run, workers: int) -> list[str]:
    """Return the names of the advisory locks of the table's load slots."""
    return [lock_name(run, str(slot)) for slot in range(workers)]


def arrivals(run: Run, names: Iterable[str]) -> set[str]:
    """Return those of the partitions whose load has begun or ended."""
    locks = {lock_name(run, name): name for name in names}
    loading = {locks[lock] for lock in _held(run, locks)}
    return loading | {load["partition_name"] for load in run.ledger.loads() if is_loaded(load)} & set(locks.values())


def free_slots(run: Run, workers: int) -> int:
    """Return the number of the table's ``workers`` load slots that no session holds."""
    slots = slot_names(run, workers)
    return len(slots) - len(_held(run, slots))


def _held(run: Run, locks: Iterable[str]) -> set[str]:
    with run.database.session() as session:
        return {row["name"] for row in session.rows("engine/list_held_locks", {"names": list(locks)})}


def empty(session: Session, partition: TableName) -> None:
    """Empty a partition before a load."""
    session.run("engine/empty_partition", partition=partition.identifier)


def _load(run: Run, session: Session, load: Row, workers: int) -> None:
    partition = TableName(run.table.schema, load["partition_name"])

    def attempt(lock_timeout: int) -> None:
        # TRUNCATE commits first: its lock would block the progress query until the load ends.
        with run.database.within(session, lock_timeout):
            _require_detached(session, partition)
            empty(session, partition)
        with run.database.within(session, lock_timeout):
            _fill(run, session, load, partition, workers)

    try:
        with_lock_retry(run.database, partition, attempt, PATIENCE)
    except psycopg.errors.UndefinedTable as error:
        # A rollback dropped it after it was seen here.
        raise _changed(partition, "the partition does not exist") from error


def _fill(run: Run, session: Session, load: Row, partition: TableName, workers: int) -> None:
    now = sides(session, run)
    now.require_same_columns()
    source = now.live

    ordered = correlation(session, run) >= ORDERED
    # Concurrent loads use all cores already, so only a single load builds indexes in parallel.
    alone = workers == 1
    settings = {"indexscan": "on" if ordered else "off", "parallel": "2" if alone else "0"}
    session.rows("engine/tune_load", settings | {"sort": SORT_MEMORY, "index": INDEX_MEMORY[alone]})

    lower, upper = bounds_of(load, run.spec).literals(source.column(run.spec.partition_by).type)
    rows = copy_rows(run, session, source, partition, (lower, upper))
    create_indexes(session, source.partitioned_by(now.partition_by), partition)
    size = session.value("engine/find_size", {"schema": partition.schema, "name": partition.name})
    run.ledger.end_load(session, partition.name, rows, size)


def _require_detached(session: Session, partition: TableName) -> None:
    """Raise PreconditionFailed if another process has attached or dropped the partition."""
    found = session.rows("engine/is_attached", {"schema": partition.schema, "name": partition.name})
    if not found or found[0]["attached"]:
        raise _changed(partition, "the partition is attached already" if found else "the partition does not exist")


def _changed(partition: TableName, problem: str) -> PreconditionFailed:
    return PreconditionFailed(
        problem,
        where=str(partition),
        remedy="Another process changed this migration. Read partition_playbook.events before you clear this task",
    )


def copy_rows(run: Run, session: Session, source: Table, partition: TableName, ends: tuple[date, date]) -> int:
    """Copy the rows between two bounds from the source into a partition, sorted; return their number."""
    return session.run(
        "engine/load_partition",
        {"lower": ends[0], "upper": ends[1]},
        partition=partition.identifier,
        source=source.table_name.identifier,
        columns=columns(source.writable),
        partition_by=sql.Identifier(run.spec.partition_by),
    )


def create_indexes(session: Session, source: Table, partition: TableName) -> None:
    """Create the keys, indexes and NOT VALID checks of ``source`` on a loaded partition."""
    attributes.add_keys(session, source, partition)
    for index in source.indexes:
        if not index.constraint and index.valid:
            attributes.create_index(session, partition, index)
    attributes.add_unvalidated_checks(session, source, partition)
    attributes.copy_replica_identity(session, source, partition)
    attributes.copy_index_statistics_targets(session, source, partition)


def correlation(session: Session, run: Run) -> float:
    """Return the correlation of heap and partition column: 1 in order, 0 at random or never analyzed."""
    values = {"schema": run.table.schema, "name": run.table.name, "column": run.spec.partition_by}
    found = session.rows("catalog/find_correlation", values)
    return float(found[0]["correlation"]) if found else 0.0


@contextmanager
def _progress(run: Run, load: Row) -> Iterator[None]:
    """Log rows, rows per second and the time left, from the partition's size in another session."""
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
            log.info(
                "%s: %s", load["partition_name"], _progress_text(database, table, load, time.perf_counter() - started)
            )
        except psycopg.errors.LockNotAvailable:
            log.info("%s: all rows copied, building its indexes", load["partition_name"])
        except (psycopg.Error, PlaybookError) as error:
            log.warning("%s: cannot read the progress: %s", load["partition_name"], error)


def _progress_text(database: Database, table: TableName, load: Row, seconds: float) -> str:
    values = {"schema": table.schema, "name": load["partition_name"], "source": table.name}
    values["log"] = table.change_log.quoted
    # ADD PRIMARY KEY holds ACCESS EXCLUSIVE until the load commits: this query must not wait for it.
    with database.session(Limits(lock_timeout=100)) as session:
        seen = session.row("engine/watch_load", values)
    rows = int(seen["bytes"] / max(seen["row_bytes"], 1))
    left = max(load["expected_rows"] - rows, 0) / max(rows / seconds, 1)
    return (
        f"about {figures.number(rows)} of {figures.count(load['expected_rows'], 'row')}, "
        f"{figures.rate(rows, seconds, 'rows')}, {figures.seconds(left)} left before its indexes; "
        f"change log {figures.size(seen['log_bytes'])}"
    )
