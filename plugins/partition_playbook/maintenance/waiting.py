"""The rows that wait in the default partition: how many for which interval, and in which ways they may leave it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Partition, Table
from partition_playbook.database import Session
from partition_playbook.intervals import Bounds, bounds_at, in_zone
from partition_playbook.migration import dependents
from partition_playbook.migration.run import Run
from partition_playbook.names import TableName

# Rows are moved while the table is locked: about 100 ms for so many.
MOVE_LIMIT = 10_000


@dataclass(frozen=True)
class Waiting:
    """The rows by their intervals; why they can't be moved under a lock, and why the partition can't be split."""

    rows: Mapping[Bounds, int] = field(default_factory=dict)
    unmovable: tuple[str, ...] = ()
    unsplittable: tuple[str, ...] = ()


NOTHING = Waiting()


def find(run: Run, session: Session, default: Partition) -> Waiting:
    """Read what waits in the default partition."""
    by = sql.Identifier(run.spec.partition_by)
    parts = {"default": default.table.identifier, "partition_by": by}
    zone, interval = run.spec.timezone, run.spec.interval
    found = session.rows("maintenance/list_waiting", {"interval": interval.value}, **parts)
    if not found:
        return NOTHING
    parent, table = catalog.require(session, run.table), catalog.require(session, default.table)
    return Waiting(
        {bounds_at(interval, in_zone(row["lower"], zone)): row["rows"] for row in found},
        tuple(unmovable(parent, table)),
        tuple(unsplittable(session, parent, table)),
    )


def unmovable(parent: Table, default: Table) -> Iterator[str]:
    """Say why rows can't be deleted here and inserted there: who would see the delete."""
    # Server 14 calls the table's own triggers internal where they hang on a partition.
    triggers = [each.name for table in (default, parent) for each in table.user_triggers if each.each_row]
    yield from (f"the row trigger {name} would fire" for name in dict.fromkeys(triggers))
    yield from (f"{key} refers to the rows" for key in parent.inbound_keys)
    for name in {each.name for each in (*default.publications, *parent.publications)}:
        yield f"subscribers of {name} would see a delete"


def unsplittable(session: Session, parent: Table, default: Table) -> Iterator[str]:
    """Say what keeps copies of the rows from taking the place of the default partition."""
    if default.kind != "r":
        yield "it is not a plain table"
    if not default.key:
        yield "it has no key that tells its rows apart"
    # PostgreSQL refuses to take a partition away while its rows are referred to.
    yield from (f"{key} refers to the rows" for key in parent.inbound_keys)
    yield from (f"{each.name} publishes it by its own name" for each in default.publications)
    for each in parent.publications:
        if not each.via_root:
            yield f"{each.name} publishes each partition by its own name, where subscribers keep the rows"
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
    """List the default partitions of the table whose split began and did not end."""
    rows = session.rows("maintenance/find_unfinished_split", {"parent": str(run.table)})
    return [TableName.parse(row["default"]) for row in rows]
