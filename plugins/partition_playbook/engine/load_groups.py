"""Group partitions into loads, and the partitioned table through which one scan fills a group.

The number of scans of the source is bounded, whatever the number of partitions. While its group is loaded, a partition
is attached to a table of its own: the parent of the load, in the schema of the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from psycopg import sql

from partition_playbook import catalog
from partition_playbook.database import Row, Session
from partition_playbook.engine import attributes
from partition_playbook.intervals import Bounds
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.spec import MOST_LOAD_WORKERS

# A group has at least this share of the expected rows, unless it has as many partitions as fit into a load.
SCANS = 16
# Of a smaller table: at this size a scan takes as long as a tenth of the rest of its load.
SCANS_OF_FEW_ROWS, FEW_ROWS = 8, 10_000_000
# A load locks its partitions, their TOAST tables and indexes until it ends: the server's lock table must bear it.
MOST_PARTITIONS = 64


def grouped(loads: Sequence[Row], workers: int = 1) -> list[list[str]]:
    """Return the names of the planned partitions in groups of neighbours, in the order of their bounds.

    There are at most SCANS groups, or ``workers``, and one more for each MOST_PARTITIONS partitions. Groups of up to
    FEW_ROWS / SCANS_OF_FEW_ROWS rows are an eighth of the table. A group ends with the partition that completes its
    share of the expected rows, and the empty ones after it.
    """
    expected = sum(load["expected_rows"] for load in loads)
    few = min(expected, FEW_ROWS) / max(SCANS_OF_FEW_ROWS, workers)
    share = max(expected / max(SCANS, workers), few, 1)
    groups: list[list[str]] = []
    rows = 0
    for load in loads:
        complete = rows >= share and bool(load["expected_rows"])
        if not groups or complete or len(groups[-1]) >= MOST_PARTITIONS:
            groups.append([])
            rows = 0
        groups[-1].append(load["partition_name"])
        rows += load["expected_rows"]
    return groups


def of(run: Run, partitions: Sequence[TableName]) -> list[list[TableName]]:
    """Return partitions in the groups of the run's loads; one without a load by itself."""
    left = {each.name: each for each in partitions}
    groups = [[left.pop(name) for name in group if name in left] for group in grouped(run.ledger.loads())]
    return [*filter(None, groups), *([each] for each in left.values())]


def largest_share(loads: Sequence[Row]) -> float:
    """Return the largest group's share of the expected rows; 0 without any."""
    expected = {load["partition_name"]: load["expected_rows"] or 0 for load in loads}
    rows = [sum(expected[name] for name in group) for group in grouped(loads)]
    return max(rows, default=0) / max(sum(rows), 1)


def merged(bounds: Sequence[Bounds]) -> Iterator[tuple[Bounds, Bounds]]:
    """Yield the first and the last of each row of adjoining bounds."""
    first = 0
    for at, (before, after) in enumerate(pairwise(bounds), start=1):
        if before.upper != after.lower:
            yield bounds[first], bounds[at - 1]
            first = at
    if bounds:
        yield bounds[first], bounds[-1]


def create_parent(run: Run, session: Session, parent: TableName) -> None:
    """Create the parent of a load, with the columns of the shadow."""
    attributes.reset_default_tablespace(session)
    session.run(
        "engine/create_load_parent",
        parent=parent.identifier,
        shadow=run.table.shadow.identifier,
        partition_by=sql.Identifier(run.spec.partition_by),
    )


def attach(
    session: Session, parent: TableName, ends: Mapping[TableName, tuple[sql.Composable, sql.Composable]]
) -> None:
    """Attach empty partitions to the parent of their load, each with both bounds as FOR VALUES has them."""
    several = [
        {"parent": parent.identifier, "partition": partition.identifier, "lower": lower, "upper": upper}
        for partition, (lower, upper) in ends.items()
    ]
    session.run_many("engine/attach_to_load_parent", several)


def detach(session: Session, parent: TableName, partitions: Sequence[TableName]) -> None:
    """Detach partitions from the parent of their load."""
    several = [{"parent": parent.identifier, "partition": each.identifier} for each in partitions]
    session.run_many("engine/detach_from_load_parent", several)


def drop_parent(session: Session, parent: TableName) -> None:
    """Drop the parent of a load, with the partitions that it still has."""
    session.run("engine/drop_table", kind=sql.SQL("TABLE"), table=parent.identifier)


def parents(session: Session, partitions: Iterable[TableName]) -> dict[TableName, TableName | None]:
    """Return the parent of each partition that exists; None for a detached one."""
    names: dict[str, list[str]] = {}
    for each in partitions:
        names.setdefault(each.schema, []).append(each.name)
    return {
        TableName(schema, row["name"]): TableName(row["parent_schema"], row["parent"]) if row["parent"] else None
        for schema, several in names.items()
        for row in session.rows("engine/list_parents", {"schema": schema, "names": several})
    }


def left_parents(run: Run, session: Session) -> list[TableName]:
    """Return the parents of the table's loads that exist: of running loads, and of those that failed."""
    return list(parents(session, [run.table.load_parent(slot) for slot in range(MOST_LOAD_WORKERS)]))


def dissolve(session: Session, parent: TableName) -> None:
    """Detach all partitions from the parent of a load that failed, and drop it."""
    session.run("engine/lock_exclusively", table=parent.identifier)
    detach(session, parent, [each.table for each in catalog.partitions(session, parent)])
    drop_parent(session, parent)
