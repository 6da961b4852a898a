"""Create one partition: LIKE, CHECK, ATTACH, with the rows of its range that wait in the default partition."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import partial

from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Table
from partition_playbook.database import Limits, LockRetry, Session, with_lock_retry
from partition_playbook.errors import PreconditionFailed, RowsWait
from partition_playbook.maintenance import locks
from partition_playbook.maintenance.actions import Create
from partition_playbook.maintenance.observe import require_ours
from partition_playbook.maintenance.ranges import own, ranges
from partition_playbook.maintenance.waiting import MOVE_LIMIT, unmovable
from partition_playbook.migration import capture, shadow, surface
from partition_playbook.migration.run import Run
from partition_playbook.names import TableName
from partition_playbook.sql import columns

LONGEST_STATEMENT_MS = 10_000


class _RowsDue(Exception):
    """Leave the transaction: rows of the range wait or are due, and that needs the stronger lock from its start."""


def create(run: Run, action: Create, move_limit: int = MOVE_LIMIT, retry: LockRetry | None = None) -> int | None:
    """Create and attach a partition; return how many rows were moved into it, None where its range is taken already.

    Without a default partition readers and writers go on. With one, writers wait for a moment, or a row would be
    refused that was on its way into it; where rows of the range are due readers wait too, or they would miss the rows
    that move. A REPEATABLE READ transaction that is older than the move and reads the table only after it misses them
    still, as after any such DDL.
    """

    def attempt(lock_timeout: int, exclusive: bool) -> int | None:
        limits = Limits(lock_timeout=lock_timeout, statement_timeout=LONGEST_STATEMENT_MS)
        with run.database.transaction(limits) as session:
            return _create(run, session, action, move_limit if exclusive else 0, lock_timeout)

    try:
        return with_lock_retry(run.database, run.table, partial(attempt, exclusive=False), retry)
    except _RowsDue:
        return with_lock_retry(run.database, run.table, partial(attempt, exclusive=True), retry)


def _create(run: Run, session: Session, action: Create, move_limit: int, lock_timeout: int) -> int | None:
    default = _default(run, session)
    locks.keep_off(session, run.table, default)
    parent = catalog.require(session, run.table)
    require_ours(run, parent)
    partitions = catalog.partitions(session, run.table)
    ranged = ranges(run.spec, partitions)
    if any(each.touches(action.bounds) for each in ranged):
        return None
    if default and not (action.coming or move_limit):
        raise _RowsDue
    require_free(session, action.partition)
    like = sibling(run, session, parent)
    if default:
        stopped = [run.table, default] if move_limit else [default]
        locks.stop(session, stopped, lock_timeout, writers_of=None if move_limit else run.table)
    shadow.create_partition(session, run.table, action.partition, like, run.spec.partition_by, action.bounds)
    equip(run, session, like, action.partition)
    lower, upper = action.bounds.literals(parent.column(run.spec.partition_by).type)
    moved = _move(run, session, action, default, (lower, upper), move_limit) if default else 0
    session.run(
        "maintenance/attach_partition",
        parent=run.table.identifier,
        partition=action.partition.identifier,
        lower=sql.Literal(lower),
        upper=sql.Literal(upper),
    )
    surface.identify(session, like, action.partition)
    surface.aim_indexes(session, like, action.partition)
    return moved


def _default(run: Run, session: Session) -> TableName | None:
    return next((each.table for each in catalog.partitions(session, run.table) if each.is_default), None)


def sibling(run: Run, session: Session, parent: Table) -> Table:
    """Return the table that a new partition is like: the last one that the spec would have made, else the parent."""
    names = [each.table for _, _, each in own(ranges(run.spec, catalog.partitions(session, run.table)))]
    siblings = [catalog.require(session, each) for each in names[-2:]]
    like = siblings[-1] if siblings else parent
    # A comment that the siblings do not share says something of one of them.
    shared = siblings and len({each.comment for each in siblings}) == 1
    return like if shared else replace(like, comment="")


def equip(run: Run, session: Session, like: Table, partition: TableName) -> None:
    """Give a new partition what LIKE and ATTACH leave out: storage, rights, policies, the comment and the capture."""
    surface.store_columns(session, like, partition)
    surface.grant(session, like, partition)
    surface.create_policies(session, like, partition)
    surface.comment(session, "TABLE", partition.identifier, like.comment)
    capture.follow(run, session, like.table_name, partition)


def require_free(session: Session, name: TableName) -> None:
    """Stop where a name is taken."""
    if catalog.describe(session, name):
        raise PreconditionFailed(
            "the name is taken by a table that is not a partition for this range",
            where=str(name),
            remedy="Rename that table, or attach it yourself if it holds the rows of this range",
        )


def _move(
    run: Run, session: Session, action: Create, default: TableName, ends: tuple[date, date], move_limit: int
) -> int:
    """Move the rows of the range out of the default partition, which is locked against new ones."""
    parts: dict[str, sql.Composable] = {
        "default": default.identifier,
        "partition_by": sql.Identifier(run.spec.partition_by),
    }
    values = {"lower": ends[0], "upper": ends[1]}
    waiting = session.value("maintenance/count_waiting_rows", values | {"limit": move_limit + 1}, **parts)
    if not waiting:
        return 0
    if not move_limit:
        raise _RowsDue
    table = catalog.require(session, default)
    _require_movable(table, catalog.require(session, run.table), waiting, move_limit)
    parts |= {"partition": action.partition.identifier, "columns": columns(table.writable)}
    return session.run("maintenance/move_waiting_rows", values, **parts)


def _require_movable(default: Table, parent: Table, waiting: int, move_limit: int) -> None:
    """Stop where a trigger, a referring table or a subscriber would see a delete, or the move would take long."""
    reasons = list(unmovable(parent, default))
    if waiting > move_limit:
        reasons.append(f"more than {move_limit} rows would be moved while the table is locked")
    if reasons:
        raise RowsWait(
            f"rows of a missing partition wait in it and are not moved: {'; '.join(reasons)}",
            where=str(default.table_name),
            remedy="The partition is split instead, where that can be done",
        )
