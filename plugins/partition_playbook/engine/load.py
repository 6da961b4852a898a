"""Load a group of partitions: one scan, one transaction, one snapshot, sorted by the partition column."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from partition_playbook import figures
from partition_playbook.catalog import Table
from partition_playbook.database import Database, Limits, Row, Session
from partition_playbook.engine import attributes, capture, load_groups, throttle
from partition_playbook.engine.layout import bounds_of
from partition_playbook.engine.sides import sides
from partition_playbook.errors import LoadMustWait, PlaybookError, PreconditionFailed
from partition_playbook.intervals import Bounds
from partition_playbook.lock_retry import PATIENCE, lock_holders, with_lock_retry
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.spec import MOST_LOAD_WORKERS
from partition_playbook.sql import columns

log = logging.getLogger(__name__)

SORT_MEMORY = "256MB"
# maintenance_work_mem by "one load at a time": a small sort stays in the CPU cache; parallel workers share the memory.
INDEX_MEMORY = {True: "256MB", False: "32MB"}
# Below this correlation a sort is cheaper than an index scan, which would fetch rows at random.
ORDERED = 0.9
PROGRESS_SECONDS = 5.0
# The indexes of partitions with so few rows together take about a second: they are requested at once.
QUICK_ROWS = 250_000
LATER = "Nothing was changed: call it again later. The task of a DAG waits in the triggerer, and resumes by itself"


@dataclass(frozen=True)
class Loaded:
    """The result of a load: ``bytes`` with indexes and TOAST, ``seconds`` of the whole call."""

    partition: str
    rows: int
    bytes: int
    seconds: float


def load_partition(run: Run, name: str, *, workers: int) -> Loaded:
    """Load one partition of the shadow by itself; see ``load_group``."""
    (loaded,) = load_group(run, [name], workers=workers)
    return loaded


def load_group(run: Run, names: Sequence[str], *, workers: int) -> list[Loaded]:
    """Load partitions of the shadow together from the source now, or raise LoadMustWait with the reason.

    A failed load leaves all of them empty; a finished one is not repeated. At most ``workers`` loads of the table run
    at a time, over all processes. Raises CaptureLost, SourceChanged, LockNotGranted or PreconditionFailed too.
    """
    started = time.perf_counter()
    with load_slot(run, names, workers) as (session, slot):
        left = [load for load in _find(run, names) if not is_loaded(load)]
        if left:
            _require_calm(run)
            capture.require_complete(session, run)
            run.ledger.start_loads(session, [load["partition_name"] for load in left])
            with _progress(run, left):
                _load(run, session, left, slot, workers)
        else:
            log.info("%s is loaded already", label(names))
        done = _find(run, names)

    seconds = time.perf_counter() - started
    rows = sum(each["rows"] for each in done)
    rate = figures.rate(rows, max(seconds, 1e-3), "rows")
    log.info("%s: %s in %s (%s)", label(names), figures.count(rows, "row"), figures.seconds(seconds), rate)
    return [Loaded(each["partition_name"], each["rows"], each["bytes"], seconds) for each in done]


def label(names: Sequence[str]) -> str:
    """Return the name of a partition, or the first and the last name of several."""
    if len(names) == 1:
        return names[0]
    return f"{names[0]} to {names[-1]} ({figures.count(len(names), 'partition')})"


def is_loaded(load: Row) -> bool:
    """Return True if a load of the ledger has ended well."""
    return load["state"] in ("loaded", "attached")


def _require_calm(run: Run) -> None:
    if found := throttle.reasons(run):
        raise LoadMustWait("; ".join(found.values()), where=str(run.table), remedy=LATER)


def _find(run: Run, names: Sequence[str]) -> list[Row]:
    """Return the planned loads of these partitions, in the order of their bounds."""
    found = [load for load in run.ledger.loads() if load["partition_name"] in set(names)]
    if missing := set(names) - {load["partition_name"] for load in found}:
        raise PreconditionFailed(
            f"not planned: {', '.join(sorted(missing))}",
            where=run.ledger.run_id,
            remedy="Clear build_shadow to plan the partitions, then clear this task",
        )
    return found


@contextmanager
def load_slot(run: Run, names: Sequence[str], workers: int) -> Iterator[tuple[Session, int]]:
    """Open the only session allowed to load these partitions, with one of the table's ``workers`` slots; yield both.

    Raises LoadMustWait with the sessions holding a partition or the slots, and then keeps no connection.
    """
    with run.database.session() as session:
        locks = {lock_name(run, name): name for name in names}
        for row in session.rows("engine/take_partition_locks", {"locks": list(locks)}):
            raise _must_wait(run, f"{locks[row['name']]} is being loaded", [row["name"]])

        slots = slot_names(run, workers)
        for number, each in enumerate(slots):
            if session.value("engine/take_load_slot", {"slot": each}):
                yield session, number
                return
        raise _must_wait(run, f"{figures.count(workers, 'load slot')}, all taken", slots)


def _must_wait(run: Run, problem: str, locks: Sequence[str]) -> LoadMustWait:
    holders = "; ".join(lock_holders(run.database, (), locks)) or "a session that has ended since"
    return LoadMustWait(f"{problem}, by {holders}", where=str(run.table), remedy=LATER)


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


def empty(session: Session, partitions: Sequence[TableName]) -> None:
    """Lock partitions before their load, and empty those with rows of one that failed."""
    lock(session, partitions)
    values = {"schema": partitions[0].schema, "names": [each.name for each in partitions]}
    if filled := [TableName(partitions[0].schema, row["name"]) for row in session.rows("engine/list_filled", values)]:
        session.run("engine/empty_partitions", partitions=sql.SQL(", ").join(each.identifier for each in filled))


def lock(session: Session, partitions: Sequence[TableName]) -> None:
    """Lock partitions in the given order."""
    session.run_many("engine/lock_exclusively", [{"table": each.identifier} for each in partitions])


def _load(run: Run, session: Session, loads: Sequence[Row], slot: int, workers: int) -> None:
    bounds = {TableName(run.table.schema, load["partition_name"]): bounds_of(load, run.spec) for load in loads}
    parent = run.table.load_parent(slot)

    def attempt(lock_timeout: int) -> None:
        # TRUNCATE and ATTACH commit first: their locks would block the progress query until the load ends.
        with run.database.within(session, lock_timeout):
            _gather(run, session, parent, bounds)
        with run.database.within(session, lock_timeout):
            _fill(run, session, parent, bounds, workers)

    first, *others = bounds
    try:
        with_lock_retry(run.database, first, attempt, PATIENCE, also=(parent, *others))
    except psycopg.errors.UndefinedTable as error:
        # A rollback dropped it after it was seen here.
        raise _gone(run, list(bounds)) from error


def _gather(run: Run, session: Session, parent: TableName, bounds: Mapping[TableName, Bounds]) -> None:
    """Empty the partitions, and attach them to the parent of this load."""
    partitions = list(bounds)
    _require_detached(run, session, partitions)
    now = sides(session, run)
    now.require_same_columns()

    empty(session, partitions)
    # Once more, now that they are locked.
    parents = _require_detached(run, session, partitions)

    # A rollback that ends meanwhile drops every parent that it finds, and this lock makes it wait for this one.
    session.run("engine/hold_capture", log=run.table.change_log.identifier)
    own = load_groups.parents(session, [parent])
    for stale in sorted({*own, *filter(None, parents.values())}):
        load_groups.dissolve(session, stale)

    column_type = now.live.column(run.spec.partition_by).type
    load_groups.create_parent(run, session, parent)
    ends = {each: run.spec.codec.ends(interval, column_type) for each, interval in bounds.items()}
    load_groups.attach(session, parent, ends)


def _fill(run: Run, session: Session, parent: TableName, bounds: Mapping[TableName, Bounds], workers: int) -> None:
    now = sides(session, run)
    now.require_same_columns()
    source = now.live

    ordered = correlation(session, run) >= ORDERED
    # Concurrent loads use all cores already, so only a single load builds indexes in parallel.
    alone = workers == 1
    settings = {"indexscan": "on" if ordered else "off", "parallel": "2" if alone else "0"}
    session.rows("engine/tune_load", settings | {"sort": SORT_MEMORY, "index": INDEX_MEMORY[alone]})

    partitions = list(bounds)
    copied = 0
    for first, last in load_groups.merged(list(bounds.values())):
        copied += copy_rows(run, session, source, parent, first, last)
    rows = _count(session, parent, partitions, copied)

    release(session, parent, partitions)
    widened = source.partitioned_by(now.partition_by)
    for several in together({each: rows[each.name] for each in bounds}):
        create_indexes(session, widened, several)

    found = session.rows("engine/list_sizes", {"schema": run.table.schema, "names": list(rows)})
    run.ledger.end_loads(session, rows, {row["name"]: row["bytes"] for row in found})


def _count(session: Session, parent: TableName, partitions: Sequence[TableName], copied: int) -> dict[str, int]:
    """Return the rows of each partition, of ``copied`` in all."""
    names = [each.name for each in partitions]
    if len(names) == 1:
        return {names[0]: copied}
    found = session.rows("engine/count_loaded_rows", parent=parent.identifier)
    return dict.fromkeys(names, 0) | {row["name"]: row["rows"] for row in found}


def release(session: Session, parent: TableName, partitions: Sequence[TableName]) -> None:
    """Detach loaded partitions from the parent of their load, and drop it."""
    # In the order in which pg_dump locks them, and all before the parent: else each could wait for the other.
    lock(session, partitions)
    load_groups.detach(session, parent, partitions)
    load_groups.drop_parent(session, parent)


def _require_detached(run: Run, session: Session, partitions: Sequence[TableName]) -> dict[TableName, TableName | None]:
    """Return the parent of each partition, of a load that failed; PreconditionFailed if it is attached or dropped."""
    found = load_groups.parents(session, partitions)
    of_loads = {None, *(run.table.load_parent(slot) for slot in range(MOST_LOAD_WORKERS))}
    for each in partitions:
        if each not in found:
            raise _changed(each, "the partition does not exist")
        if found[each] not in of_loads:
            raise _changed(each, "the partition is attached already")
    return found


def _gone(run: Run, partitions: Sequence[TableName]) -> PreconditionFailed:
    with run.database.session() as session:
        there = load_groups.parents(session, partitions)
    for each in partitions:
        if each not in there:
            return _changed(each, "the partition does not exist")
    return _changed(run.table.shadow, "a table of the migration does not exist")


def _changed(table: TableName, problem: str) -> PreconditionFailed:
    return PreconditionFailed(
        problem,
        where=str(table),
        remedy="Another process changed this migration. Read partition_playbook.events before you clear this task",
    )


def copy_rows(run: Run, session: Session, source: Table, parent: TableName, first: Bounds, last: Bounds) -> int:
    """Copy the rows of adjoining partitions from the source through the parent of a load, sorted; return the number."""
    by, kind = sql.Identifier(run.spec.partition_by), source.column(run.spec.partition_by).type
    return session.run(
        "engine/load_partitions",
        parent=parent.identifier,
        source=source.table_name.identifier,
        columns=columns(source.writable),
        partition_by=by,
        within=run.spec.codec.within(by, first, last, kind),
    )


def together(rows: Mapping[TableName, int]) -> list[list[TableName]]:
    """Return partitions in groups of at most QUICK_ROWS rows; a larger one by itself."""
    groups: list[list[TableName]] = []
    size = 0
    for partition, count in rows.items():
        size += count
        if not groups or size > QUICK_ROWS:
            groups.append([])
            size = count
        groups[-1].append(partition)
    return groups


def create_indexes(session: Session, source: Table, partitions: Sequence[TableName]) -> None:
    """Create the keys, indexes and NOT VALID checks of ``source`` on loaded partitions.

    Those of one partition are statements by themselves, with their durations. Those of several are requested together.
    """
    if len(partitions) > 1:
        attributes.add_keys_and_indexes(session, source, partitions)
    else:
        _create_one_by_one(session, source, partitions[0])
    for each in partitions:
        attributes.add_unvalidated_checks(session, source, each)
        attributes.copy_replica_identity(session, source, each)
        attributes.copy_index_statistics_targets(session, source, each)


def _create_one_by_one(session: Session, source: Table, partition: TableName) -> None:
    attributes.add_keys(session, source, partition)
    for index in source.indexes:
        if not index.constraint and index.valid:
            attributes.create_index(session, partition, index)


def correlation(session: Session, run: Run) -> float:
    """Return the correlation of heap and partition column: 1 in order, 0 at random or never analyzed."""
    values = {"schema": run.table.schema, "name": run.table.name, "column": run.spec.partition_by}
    found = session.rows("catalog/find_correlation", values)
    return float(found[0]["correlation"]) if found else 0.0


@contextmanager
def _progress(run: Run, loads: Sequence[Row]) -> Iterator[None]:
    """Log rows, rows per second and the time left, from the size of the partitions in another session."""
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(run.database, run.table, loads, done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(database: Database, table: TableName, loads: Sequence[Row], done: threading.Event) -> None:
    started = time.perf_counter()
    name = label([load["partition_name"] for load in loads])
    while not done.wait(PROGRESS_SECONDS):
        try:
            log.info("%s: %s", name, _progress_text(database, table, loads, time.perf_counter() - started))
        except psycopg.errors.LockNotAvailable:
            log.info("%s: all rows copied, building its indexes", name)
        except (psycopg.Error, PlaybookError) as error:
            log.warning("%s: cannot read the progress: %s", name, error)


def _progress_text(database: Database, table: TableName, loads: Sequence[Row], seconds: float) -> str:
    names = [load["partition_name"] for load in loads]
    values = {"schema": table.schema, "names": names, "source": table.name, "log": table.change_log.quoted}
    # ADD PRIMARY KEY holds ACCESS EXCLUSIVE until the load commits: this query must not wait for it.
    with database.session(Limits(lock_timeout=100)) as session:
        seen = session.row("engine/watch_load", values)
    rows = int(seen["bytes"] / max(seen["row_bytes"], 1))
    expected = sum(load["expected_rows"] for load in loads)
    left = max(expected - rows, 0) / max(rows / seconds, 1)
    return (
        f"about {figures.number(rows)} of {figures.count(expected, 'row')}, "
        f"{figures.rate(rows, seconds, 'rows')}, {figures.seconds(left)} left before its indexes; "
        f"change log {figures.size(seen['log_bytes'])}"
    )
