"""The rows in the default partition, by interval, and the permitted ways to move them out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Partition, Table, Trigger
from partition_playbook.codecs import Codec
from partition_playbook.database import Row, Session
from partition_playbook.engine import dependents
from partition_playbook.errors import PreconditionFailed
from partition_playbook.intervals import Bounds, Interval, bounds_at
from partition_playbook.names import TableName
from partition_playbook.run import Run

# Rows move while the table is locked: about 100 ms for this many.
MOVE_LIMIT = 10_000
# Some of the other moments are in no interval of this calendar.
LIKELY = sql.SQL("{0} >= '0002-01-01' AND {0} < '9999-01-01'")


@dataclass(frozen=True)
class Waiting:
    """The rows by interval, the reasons not to move them under a lock, and the reasons not to split the partition."""

    rows: Mapping[Bounds, int] = field(default_factory=dict)
    unmovable: tuple[str, ...] = ()
    unsplittable: tuple[str, ...] = ()


NOTHING = Waiting()


def find(run: Run, session: Session, default: Partition) -> Waiting:
    """Count the rows in the default partition by interval."""
    by = sql.Identifier(run.spec.partition_by)
    codec, interval = run.spec.codec, run.spec.interval
    parts = {"default": default.table.identifier, "partition_by": codec.ordered(by)}
    parts["readable"] = readable(codec, by)
    try:
        found = session.rows("maintenance/list_waiting", **parts, grouped=_grouped(interval, codec, by))
    except psycopg.errors.InsufficientPrivilege as error:
        raise _unreadable(run, session, default.table, error) from error
    if not found:
        return NOTHING

    parent, table = catalog.require(session, run.table), catalog.require(session, default.table)
    return Waiting(
        _by_interval(interval, codec, found),
        tuple(unmovable(parent, table)),
        tuple(unsplittable(session, parent, table)),
    )


def _unreadable(run: Run, session: Session, default: TableName, error: psycopg.Error) -> PreconditionFailed:
    owner = sql.Identifier(catalog.require(session, run.table).owner).as_string()
    return PreconditionFailed(
        f"its rows cannot be counted: {error.diag.message_primary}",
        where=str(default),
        remedy=f"As a superuser, execute ALTER TABLE {default.quoted} OWNER TO {owner}",
    )


def readable(codec: Codec, by: sql.Identifier) -> sql.Composable:
    """Return the condition for values whose moment can be read in any time zone."""
    return LIKELY.format(by) if codec.encoding is None else codec.finite(by)


def _grouped(interval: Interval, codec: Codec, by: sql.Identifier) -> sql.Composed:
    """Return the expression that is the same for all rows of one unit, or of one range of ids."""
    if interval.is_ids:
        return sql.SQL("div({}::numeric, {})").format(by, sql.Literal(interval.count))
    return sql.SQL("date_trunc({}, {}::timestamp)").format(sql.Literal(interval.unit.value), codec.as_moment(by))


def _by_interval(interval: Interval, codec: Codec, found: Sequence[Row]) -> dict[Bounds, int]:
    rows: dict[Bounds, int] = {}
    for row in found:
        # A clock that goes back over midnight shows one day in two intervals: such rows count for both.
        for bounds in {bounds_at(interval, codec.moment(row[end])) for end in ("oldest", "newest")}:
            rows[bounds] = rows.get(bounds, 0) + row["rows"]
    return rows


def unmovable(parent: Table, default: Table) -> Iterator[str]:
    """Yield the reasons not to move rows by DELETE and INSERT: observers of the delete."""
    # PostgreSQL 14 marks triggers inherited by a partition as internal, so those of the table count too.
    triggers = [each.name for table in (default, parent) for each in table.user_triggers if each.each_row]
    yield from (f"the row trigger {name} would fire" for name in dict.fromkeys(triggers))
    # A statement names the default partition, so its own statement triggers fire, and those of the table do not.
    of_statements = [each for each in default.user_triggers if not each.each_row and _fires_on_delete(each)]
    yield from (f"the statement trigger {each.name} would fire" for each in of_statements)
    yield from (f"{key} references the rows" for key in parent.inbound_keys)
    for name in {each.name for each in (*default.publications, *parent.publications)}:
        yield f"subscribers of {name} would see a delete"


def _fires_on_delete(trigger: Trigger) -> bool:
    """Tell from the definition, after the trigger's name, whether DELETE is among its events."""
    events = trigger.head.rpartition('"')[2] if '"' in trigger.head else trigger.head
    return re.search(r" (BEFORE|AFTER) (.* OR )?DELETE( OR |\s*$)", events) is not None


def unsplittable(session: Session, parent: Table, default: Table) -> Iterator[str]:
    """Yield the reasons not to replace the default partition by copies of its rows."""
    if default.kind != "r":
        yield "it is not a plain table"
    if not default.key:
        yield "it has no key to identify its rows"
    # PostgreSQL refuses to detach a partition with referenced rows.
    yield from (f"{key} references the rows" for key in parent.inbound_keys)
    yield from (f"{each.name} publishes it by its own name" for each in default.publications)
    # Without publish_via_partition_root subscribers keep the rows in their default partition: no DDL is replicated.
    for each in parent.publications:
        if not each.via_root:
            yield f"{each.name} publishes each partition by its own name, and subscribers keep the rows there"
    names = {"schema": default.schema, "names": [default.name, parent.name]}
    for row in session.rows("maintenance/list_whole_publications", names):
        yield f"{row['name']} would publish the copies too"
    inherited = {each.name for each in parent.user_triggers}
    yield from (f"the trigger {each.name} is its own" for each in default.user_triggers if each.name not in inherited)
    yield from (f"the rule {each} is its own" for each in default.rules)
    yield from (f"the security label {each} is its own" for each in default.security_labels)
    yield from (f"the exclusion constraint {each.name}" for each in default.constraints if each.kind == "x")
    yield from (f"{each} reads it by its own name" for each in dependents.find(session, default.table_name))


def unfinished_splits(run: Run, session: Session) -> list[TableName]:
    """Return the default partitions of the table with an interrupted split."""
    rows = session.rows("maintenance/find_unfinished_split", {"parent": str(run.table)})
    return [TableName.parse(row["default"]) for row in rows]
