"""Create one partition with LIKE, CHECK and ATTACH, and move its rows out of the default partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from psycopg import sql

from partition_playbook import catalog, figures
from partition_playbook.catalog import Constraint, Index, Table
from partition_playbook.codecs import Key
from partition_playbook.database import Limits, Session
from partition_playbook.engine import attributes, capture, shadow
from partition_playbook.errors import PreconditionFailed, RowsWait
from partition_playbook.lock_retry import LockRetry, with_lock_retry
from partition_playbook.maintenance import exclusion, locks
from partition_playbook.maintenance.actions import Create
from partition_playbook.maintenance.ranges import managed, of_another_width, ranges
from partition_playbook.maintenance.read_state import require_ours
from partition_playbook.maintenance.waiting import MOVE_LIMIT, unmovable
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.sql import columns

LONGEST_STATEMENT_MS = 10_000


class _RowsDue(Exception):
    """Roll back: rows of the range may be in the default partition; the next try locks readers out from its start."""


def create(run: Run, action: Create, move_limit: int = MOVE_LIMIT, retry: LockRetry | None = None) -> int | None:
    """Create and attach a partition; return the number of rows moved into it, None if its range is taken already.

    Without a default partition, readers and writers are not blocked. With one, writers wait for a moment, because a row
    on its way into it would be refused. If rows of the range are due, readers wait too: otherwise they would miss the
    moving rows. A REPEATABLE READ transaction with an older snapshot still misses them if it first reads the table
    after the move, as after any such DDL.

    PreconditionFailed if the name is taken or the table does not match the spec. RowsWait if the rows must not move
    under a lock, or more than ``move_limit`` would.
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

    # From here on no other maintenance changes the partitions; all decisions are made under this lock.
    locks.block_maintenance(session, run.table, default)
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
        # A session that looked up the partitions before still routes its row to the default one, which refuses it then.
        stopped = [run.table, default] if move_limit else [default]
        locks.block_application(session, stopped, lock_timeout, writers_of=None if move_limit else run.table)

    shadow.create_partition(run, session, action.partition, like, action.bounds)
    equip(run, session, like, action.partition)
    lower, upper = run.spec.codec.literals(action.bounds, parent.column(run.spec.partition_by).type)
    moved = _move(run, session, action, default, (lower, upper), move_limit) if default else 0

    # Only now: the default partition is locked, and has no row of the range.
    with exclusion.closed(session, default):
        session.run(
            "maintenance/attach_partition",
            parent=run.table.identifier,
            partition=action.partition.identifier,
            lower=sql.Literal(lower),
            upper=sql.Literal(upper),
        )
    # ATTACH has created the indexes of the table; only now can they be chosen and tuned.
    _create_own_indexes(session, like, action.partition)
    attributes.copy_replica_identity(session, like, action.partition)
    attributes.copy_index_statistics_targets(session, like, action.partition)
    return moved


def _default(run: Run, session: Session) -> TableName | None:
    return next((each.table for each in catalog.partitions(session, run.table) if each.is_default), None)


def sibling(run: Run, session: Session, parent: Table) -> Table:
    """Return the model of a new partition: the last managed one, else the last of another width, else the parent.

    One of another owner, attached by a superuser for example, is no model: the role may not give a table to that owner.
    """
    ranged = ranges(run.spec, catalog.partitions(session, run.table))
    names = [each.table for _, _, each in managed(ranged)] or [each.table for each in of_another_width(ranged)]
    last = [catalog.require(session, each) for each in names[-2:]]
    siblings = [each for each in last if each.owner == parent.owner]
    like = siblings[-1] if siblings else parent
    # A comment of only one sibling describes that sibling, so it is not copied. Neither is an index of its own.
    shared = siblings and len({each.comment for each in siblings}) == 1
    return _with_shared_indexes(like if shared else replace(like, comment=""), siblings)


def _with_shared_indexes(like: Table, siblings: Sequence[Table]) -> Table:
    """Return the model without the indexes and keys that only one sibling has; its replica identity stays."""
    known = [{(each.unique, each.tail) for each in table.indexes} for table in siblings]
    indexes = [
        each for each in like.indexes if each.identity or all((each.unique, each.tail) in tails for tails in known)
    ]
    return replace(like, indexes=tuple(indexes), constraints=tuple(_constraints(like, indexes)))


def _constraints(like: Table, indexes: Sequence[Index]) -> Iterator[Constraint]:
    """Yield the constraints of a table, but the keys only with one of these indexes."""
    keys = {each.constraint for each in indexes}
    yield from (each for each in like.constraints if each.kind not in "pu" or each.name in keys)


def _create_own_indexes(session: Session, like: Table, partition: TableName) -> None:
    """Create the indexes and keys that siblings have and the partitioned table has not."""
    present = {(each.unique, each.tail) for each in catalog.require(session, partition).indexes}
    own = [each for each in like.indexes if each.valid and (each.unique, each.tail) not in present]
    if not own:
        return
    attributes.add_keys(
        session, replace(like, indexes=tuple(own), constraints=tuple(_constraints(like, own))), partition
    )
    for each in own:
        if not each.constraint:
            attributes.create_index(session, partition, each)


def equip(run: Run, session: Session, like: Table, partition: TableName) -> None:
    """Copy to a new partition the attributes that LIKE and ATTACH omit.

    These are storage, privileges, policies, comment and capture.
    """
    attributes.copy_column_storage(session, like, partition)
    attributes.copy_grants(session, like, partition)
    attributes.create_policies(session, like, partition)
    attributes.set_comment(session, "TABLE", partition.identifier, like.comment)
    capture.capture_new_partition(run, session, like.table_name, partition)


def require_free(session: Session, name: TableName) -> None:
    """Raise PreconditionFailed if the name is taken."""
    if catalog.describe(session, name):
        raise PreconditionFailed(
            "the name is taken by a table that is not a partition for this range",
            where=str(name),
            remedy="Rename that table, or attach it by hand if it holds the rows of this range",
        )


def _move(
    run: Run, session: Session, action: Create, default: TableName, ends: tuple[Key, Key], move_limit: int
) -> int:
    """Move the rows of the range out of the default partition, locked against writes; return their number."""
    parts: dict[str, sql.Composable] = {
        "default": default.identifier,
        "partition_by": sql.Identifier(run.spec.partition_by),
    }
    values = {"lower": ends[0], "upper": ends[1]}
    exclusion.prefer_index(session, default)
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
    """Raise RowsWait if a trigger, a foreign key or a subscriber would see a delete, or the move would take long."""
    reasons = list(unmovable(parent, default))
    if waiting > move_limit:
        reasons.append(f"more than {figures.count(move_limit, 'row')} would move while the table is locked")
    if reasons:
        raise RowsWait(
            f"its rows for a new partition cannot move under a lock: {'; '.join(reasons)}",
            where=str(default.table_name),
            remedy="The default partition is split instead",
        )
