"""Slices: the ranges of the partition column that a comparison reads, each in a snapshot of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pendulum import DateTime
from psycopg import sql

from partition_playbook.catalog import Index, Partition, Table
from partition_playbook.database import Session
from partition_playbook.engine.batches import Batch
from partition_playbook.names import TableName
from partition_playbook.run import Run

OUTSIDE = "outside every bound"
# Adjoining partitions with fewer rows are compared together: a snapshot and its statements take some milliseconds.
ROWS_TOGETHER = 250_000
# Without an index that leads to adjoining blocks, each slice reads the whole monolith: so many slices at most.
SCANS = 2
# From this correlation on, the rows of a range lie in adjoining blocks.
ORDERED = 0.9
RANGE_METHODS = ("USING btree ", "USING brin ")
# The conditions of a statement that are combined by OR: the planner's time grows with more than their square.
ARMS = 8
# Planning for two partitions between two slices takes as long as another condition.
GAP = 3


@dataclass(frozen=True)
class Slice:
    """Adjoining buckets, from ``first`` to ``last``; see Ranges."""

    first: int
    last: int


@dataclass(frozen=True)
class Ranges:
    """All values of the partition column, cut at the bounds of the partitions.

    Bucket 0 is below the first edge and the last bucket from the last edge on, both outside every bound. ``names`` are
    those of the buckets between: a partition, or a gap. ``edges`` are as the catalog has them: a wall clock that the
    zone skips is a bound of a column without a zone.
    """

    column: str
    type: str
    not_null: bool
    names: tuple[str, ...]
    edges: tuple[str, ...]

    @property
    def whole(self) -> Slice:
        """Return the slice of all buckets."""
        return Slice(0, len(self.edges))

    def name(self, bucket: int) -> str:
        """Return the name of a bucket."""
        return self.names[bucket - 1] if 1 <= bucket <= len(self.names) else OUTSIDE

    def title(self, part: Slice) -> str:
        """Return a slice in words for a log line; its ends may be outside every bound."""
        first, last = self.name(part.first), self.name(part.last)
        if part.first == part.last:
            return first
        if part == self.whole:
            return "all rows"
        if part.first == self.whole.first:
            return f"all rows up to {last}"
        return f"all rows from {first} on" if part.last == self.whole.last else f"{first} to {last}"

    def bucket(self, part: Slice) -> sql.Composed:
        """Return the expression for the bucket of a row ``t`` of a slice."""
        if part.first == part.last:
            return sql.SQL("{}::int").format(sql.Literal(part.first))

        between = sql.SQL(", ").join(map(sql.SQL, self.edges[part.first : part.last]))
        found = sql.SQL("{} + width_bucket({}, ARRAY[{}]::{}[])").format(
            sql.Literal(part.first), sql.Identifier("t", self.column), between, sql.SQL(self.type)
        )
        # A row without a value is in the default partition, outside every bound.
        return found if self.not_null else sql.SQL("coalesce({}, 0)").format(found)

    def within(self, alias: str, part: Slice) -> sql.Composable:
        """Return the condition for rows of a slice; the slices of all buckets have every row once."""
        column = sql.Identifier(alias, self.column)
        conditions: list[sql.Composable] = []
        if part.first:
            conditions.append(sql.SQL("{} >= {}").format(column, self._edge(part.first - 1)))
        if part.last < len(self.edges):
            conditions.append(sql.SQL("{} < {}").format(column, self._edge(part.last)))
        found = sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")
        if part.first or not conditions or self.not_null:
            return found
        return sql.SQL("({} OR {} IS NULL)").format(found, column)

    def _edge(self, number: int) -> sql.Composed:
        return sql.SQL("{}::{}").format(sql.SQL(self.edges[number]), sql.SQL(self.type))


@dataclass(frozen=True)
class Reached:
    """A few slices that have a row with a waiting change."""

    ranges: Ranges
    slices: tuple[Slice, ...]

    def within(self, alias: str) -> sql.Composable:
        """Return the condition for rows of these slices: PostgreSQL plans for their partitions only."""
        return sql.SQL("({})").format(sql.SQL(" OR ").join(self.ranges.within(alias, each) for each in self.slices))


def buckets(session: Session, log: TableName, ranges: Ranges, batch: Batch) -> list[int]:
    """Return the buckets of the changes of a batch."""
    found = session.rows("engine/list_buckets", batch.values, bucket=ranges.bucket(ranges.whole), log=log.identifier)
    return [row["bucket"] for row in found]


def reached(found: Iterable[int], ranges: Ranges) -> list[Reached]:
    """Return the slices of these buckets, at most ARMS together; every bucket is in exactly one slice."""
    near = _near(sorted(set(found)))
    return [Reached(ranges, tuple(near[start : start + ARMS])) for start in range(0, len(near), ARMS)]


def reached_at_once(found: Iterable[int], ranges: Ranges) -> Reached:
    """Return at most ARMS slices with all these buckets, for one statement about all of them.

    The widest gaps between them stay out. If there are too many gaps, some slices have other buckets too.
    """
    near = _near(sorted(set(found)))
    while len(near) > ARMS:
        at = min(range(1, len(near)), key=lambda each: near[each].first - near[each - 1].last)
        near[at - 1 : at + 1] = [Slice(near[at - 1].first, near[at].last)]
    return Reached(ranges, tuple(near))


def _near(buckets: list[int]) -> list[Slice]:
    """Return the slices of sorted buckets; those with fewer than GAP buckets between them are one."""
    found: list[Slice] = []
    for bucket in buckets:
        if found and bucket - found[-1].last <= GAP:
            found[-1] = Slice(found[-1].first, bucket)
        else:
            found.append(Slice(bucket, bucket))
    return found


def read_ranges(run: Run, partitions: list[Partition], live: Table, standby: Table) -> Ranges:
    """Return the ranges of the partitions of one of both tables."""
    ranged = []
    written: dict[DateTime, str] = {}
    for each in partitions:
        ends = None if each.is_default else each.ends(run.spec.codec)
        edges = each.edges if ends else None
        if ends and ends[0] and ends[1] and edges:
            ranged.append((ends[0], ends[1], each.table.name))
            written |= {ends[0]: edges[0], ends[1]: edges[1]}

    moments = sorted({edge for lower, upper, _ in ranged for edge in (lower, upper)})
    names_by_lower = {lower: name for lower, _, name in sorted(ranged)}
    names = tuple(names_by_lower.get(edge, f"gap from {edge}") for edge in moments[:-1])
    by = run.spec.partition_by
    not_null = all(each.column(by).not_null for each in (live, standby))
    return Ranges(by, live.column(by).type, not_null, names, tuple(written[edge] for edge in moments))


def cut(ranges: Ranges, partitions: list[Partition], waiting: int, *, ordered: bool) -> list[Slice]:
    """Cut the ranges into slices of few rows, but into so few slices that no table is read over and over.

    Each slice also reads the change log, with ``waiting`` changes. A monolith that is not ``ordered`` is read as a
    whole for each slice.
    """
    rows = _estimated_rows(ranges, partitions)
    least = max(ROWS_TOGETHER, waiting)
    if not ordered:
        least = max(least, -(-sum(rows) // SCANS))
    return list(_together(rows, least))


def _estimated_rows(ranges: Ranges, partitions: list[Partition]) -> list[int]:
    """Return the estimated rows of each bucket; a partition that was never analyzed may have many."""
    found = [0] * (len(ranges.edges) + 1)
    buckets = {name: bucket for bucket, name in enumerate(ranges.names, start=1)}
    for each in partitions:
        rows = each.estimated_rows if each.estimated_rows >= 0 else ROWS_TOGETHER
        if bucket := buckets.get(each.table.name):
            found[bucket] += rows
        else:
            found[0] += rows // 2
            found[-1] += rows - rows // 2
    return found


def reads_ranges(session: Session, run: Run, monolith: Table) -> bool:
    """Tell whether the monolith's rows of a range are read without the others: by an index, from adjoining blocks."""
    if not any(_leads(each, run.spec.partition_by) for each in monolith.indexes):
        return False
    values = {"schema": monolith.schema, "name": monolith.name, "column": run.spec.partition_by}
    found = session.rows("catalog/find_correlation", values)
    return bool(found) and found[0]["correlation"] >= ORDERED


def _leads(index: Index, column: str) -> bool:
    return index.valid and index.plain and index.columns[:1] == (column,) and index.tail.startswith(RANGE_METHODS)


def _together(rows: list[int], least: int) -> Iterator[Slice]:
    """Yield slices of at least ``least`` rows, the last one with the rest."""
    first = total = 0
    left = sum(rows)
    for bucket, number in enumerate(rows):
        total, left = total + number, left - number
        # Without rows behind it a slice goes on to the end: the empty partitions ahead need none of their own.
        if bucket == len(rows) - 1 or (total >= least and left):
            yield Slice(first, bucket)
            first, total = bucket + 1, 0
