"""Prove to ATTACH, without a scan under its lock, that the default partition has no row of a new range.

ATTACH reads the whole default partition while writers wait, unless a validated CHECK constraint excludes the range. A
plain constraint would refuse the application's rows of that range. So the constraint has a switch: ``CHECK (outside of
the new ranges OR open())``.

While ``open()`` is true, the constraint refuses no row, and VALIDATE reads the partition without blocking writes. The
transaction of the attach holds ACCESS EXCLUSIVE on the default partition. It asks an index for rows of the range, and
finds none or moves them. Then it replaces ``open()`` by false, attaches, and replaces it by true again. No other
session sees it false, so a row of the new range waits for the attach as before, and is never refused.

One constraint serves all partitions of a run. Remains of an interrupted run refuse nothing; the next run removes them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise

import psycopg
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.database import Limits, Session
from partition_playbook.errors import PlaybookError
from partition_playbook.intervals import Bounds
from partition_playbook.lock_retry import LockRetry, with_lock_retry
from partition_playbook.maintenance import locks
from partition_playbook.names import LEDGER_SCHEMA, TableName, clip
from partition_playbook.run import Run

# A default partition with fewer blocks, 1 MB, is read under the lock in a few milliseconds.
LEAST_BLOCKS = 128
# For VALIDATE and CREATE INDEX CONCURRENTLY: no session of the application queues behind their waits.
ONLINE = LockRetry(first_ms=10_000, longest_ms=10_000, tries=3)
log = logging.getLogger(__name__)


@contextmanager
def prepared(run: Run, ranges: Sequence[Bounds]) -> Iterator[None]:
    """Exclude the ranges from a large default partition for the attaches inside; remove the exclusion afterwards.

    If it cannot be made, the attaches read the default partition under their lock.
    """
    default = _default(run)
    if default is None or _blocks(run, default) < LEAST_BLOCKS:
        yield
        return

    try:
        _prepare(run, default, _merged(ranges))
    except (PlaybookError, psycopg.Error) as error:
        log.warning("%s is read under a lock for each new partition: %s", default, error)
        _clean_up(run)
    try:
        yield
    finally:
        _clean_up(run)


def remove(run: Run) -> bool:
    """Remove an exclusion, whole or not, from the default partition; return False if there is none."""
    default = _default(run)
    if default is None:
        return False
    with run.database.session() as session:
        if not any(_find(session, default).values()):
            return False

    def attempt(lock_timeout: int) -> None:
        with run.database.transaction(Limits(lock_timeout=lock_timeout)) as session:
            locks.block_maintenance(session, run.table, default)
            locks.block_application(session, (default,), lock_timeout)
            parts = {"function": _function(default).identifier, "index": _index(default).identifier}
            session.run("maintenance/drop_exclusion", default=default.identifier, **parts)

    with_lock_retry(run.database, default, attempt)
    return True


@contextmanager
def closed(session: Session, default: TableName | None) -> Iterator[None]:
    """Let ATTACH, inside, take the exclusion of its range as proven.

    The caller holds ACCESS EXCLUSIVE on the default partition, and has found that it has no row of the range.
    """
    if default is None or not _find(session, default)["valid"]:
        yield
        return
    _switch(session, default, is_open=False)
    yield
    _switch(session, default, is_open=True)


def prefer_index(session: Session, default: TableName) -> None:
    """Let the transaction look for rows of a range by the index of the exclusion, if there is one."""
    if _find(session, default)["valid"]:
        session.rows("maintenance/prefer_indexes")


def _prepare(run: Run, default: TableName, ranges: Sequence[Bounds]) -> None:
    remove(run)
    with run.database.session() as session:
        kind = catalog.require(session, default).column(run.spec.partition_by).type
        indexed = session.value("maintenance/find_leading_index", _names(default) | {"column": run.spec.partition_by})

    outside, inside = _outside(run, ranges, kind), _inside(run, ranges, kind)
    with_lock_retry(run.database, default, partial(_add, run, default, outside))
    with_lock_retry(run.database, default, partial(_validate, run, default), ONLINE)
    if not indexed:
        with_lock_retry(run.database, default, partial(_create_index, run, default, inside), ONLINE)


def _add(run: Run, default: TableName, outside: sql.Composable, lock_timeout: int) -> None:
    with run.database.transaction(Limits(lock_timeout=lock_timeout)) as session:
        locks.block_maintenance(session, run.table, default)
        locks.block_application(session, (default,), lock_timeout)
        _switch(session, default, is_open=True)
        # The application's roles evaluate the constraint; default privileges may withhold functions from PUBLIC.
        session.run(
            "maintenance/add_exclusion",
            default=default.identifier,
            function=_function(default).identifier,
            outside=outside,
        )


def _switch(session: Session, default: TableName, *, is_open: bool) -> None:
    parts = {"function": _function(default).identifier, "open": sql.Literal(is_open)}
    session.run("maintenance/switch_exclusion", **parts)


def _validate(run: Run, default: TableName, lock_timeout: int) -> None:
    with run.database.session(Limits(lock_timeout=lock_timeout)) as session:
        session.run("maintenance/validate_exclusion", default=default.identifier)


def _create_index(run: Run, default: TableName, inside: sql.Composable, lock_timeout: int) -> None:
    index = _index(default)
    parts = {"bare_index": sql.Identifier(index.name), "default": default.identifier, "inside": inside}
    with run.database.session(Limits(lock_timeout=lock_timeout)) as session:
        session.run("maintenance/drop_index", index=index.identifier)  # the try before may have left an invalid one
        session.run("maintenance/index_exclusion", column=sql.Identifier(run.spec.partition_by), **parts)


def _clean_up(run: Run) -> None:
    """Remove the exclusion now; if this fails, leave it to the next run."""
    try:
        remove(run)
    except (PlaybookError, psycopg.Error) as error:
        log.warning("%s: the check on its default partition is removed by the next run: %s", run.table, error)


def _default(run: Run) -> TableName | None:
    """Return the default partition if it is a plain table."""
    # Not catalog.partitions: it waits for a partition that another session has locked.
    with run.database.session() as session:
        found = session.rows("maintenance/find_default", _names(run.table))
    return next((TableName(each["schema"], each["name"]) for each in found), None)


def _blocks(run: Run, default: TableName) -> int:
    with run.database.session() as session:
        blocks: int | None = session.value("maintenance/count_blocks", _names(default))
    return blocks or 0


def _find(session: Session, default: TableName) -> dict[str, bool]:
    values = {"function": _function(default).quoted, "index": _index(default).quoted}
    return session.row("maintenance/find_exclusion", _names(default) | values)


def _names(table: TableName) -> dict[str, str]:
    return {"schema": table.schema, "name": table.name}


def _function(default: TableName) -> TableName:
    return TableName(LEDGER_SCHEMA, clip(f"{default.schema}_{default.name}", "_open"))


def _index(default: TableName) -> TableName:
    return TableName(default.schema, clip(default.name, "_excluded"))


def _merged(ranges: Sequence[Bounds]) -> list[Bounds]:
    """Join adjoining ranges: the fewer conditions, the cheaper each write to the default partition."""
    ordered = sorted(ranges)
    starts = [ordered[0], *(after for before, after in pairwise(ordered) if after.lower > before.upper)]
    ends = [*(before for before, after in pairwise(ordered) if after.lower > before.upper), ordered[-1]]
    return [Bounds(first.lower, last.upper, first.suffix) for first, last in zip(starts, ends, strict=True)]


def _outside(run: Run, ranges: Sequence[Bounds], kind: str) -> sql.Composed:
    return _joined(run, ranges, kind, "({0} < {1} OR {0} >= {2})", " AND ")


def _inside(run: Run, ranges: Sequence[Bounds], kind: str) -> sql.Composed:
    return _joined(run, ranges, kind, "({0} >= {1} AND {0} < {2})", " OR ")


def _joined(run: Run, ranges: Sequence[Bounds], kind: str, condition: str, word: str) -> sql.Composed:
    by = sql.Identifier(run.spec.partition_by)
    ends = (run.spec.codec.literals(each, kind) for each in ranges)
    return sql.SQL(word).join(
        [sql.SQL(condition).format(by, sql.Literal(lower), sql.Literal(upper)) for lower, upper in ends]
    )
