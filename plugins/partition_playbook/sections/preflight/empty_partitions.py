"""Find the planned partitions without rows, the rows that make them necessary, and their cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pendulum
from psycopg import sql

from partition_playbook import figures
from partition_playbook.database import Row
from partition_playbook.engine.layout import bounds_for
from partition_playbook.errors import PreconditionFailed
from partition_playbook.intervals import INTERVALS, Bounds, Interval
from partition_playbook.runway import default_premake
from partition_playbook.sections.preflight.context import PreflightContext

# More empty partitions up to the present are worth a warning.
HANDFUL = 5
# Far-out rows are counted up to here.
MOST = 1000
# The planner visits each partition that it cannot prune: measured as 0.01 to 0.03 ms.
PLANNING_MS = 0.025
# The first statement of a session reads the catalog for each: measured as 0.2 to 0.5 ms, with three indexes.
FIRST_PLANNING_MS = 0.3


@dataclass(frozen=True)
class FarRows:
    """The few rows on the far side of the widest gap; at most MOST + 1 are counted."""

    rows: int
    oldest: str
    newest: str

    def __str__(self) -> str:
        counted = figures.count(self.rows, "row")
        if self.rows > MOST:
            counted = f"more than {figures.count(MOST, 'row')}"
        return f"for {counted} from {self.oldest} to {self.newest}"


@dataclass(frozen=True)
class EmptyPartitions:
    """The empty partitions between the rows, and those from the newest row to the present."""

    between: int
    since: int
    far: FarRows | None
    newest: str

    @property
    def count(self) -> int:
        """Return the number of empty partitions, without the ones ahead."""
        return self.between + self.since

    @property
    def causes(self) -> str:
        """Return the rows and the pause that make them necessary."""
        causes = [str(self.far)] if self.far else []
        if self.since:
            causes.append(f"{figures.number(self.since)} since the newest row, {self.newest}")
        return ", ".join(causes)

    def __str__(self) -> str:
        warm, cold = (figures.milliseconds(each * self.count) for each in (PLANNING_MS, FIRST_PLANNING_MS))
        return (
            f"{figures.number(self.count)} of them empty, {self.causes}; they add about {warm} to the planning of a "
            f"statement that prunes none, and {cold} to the first one of a session"
        )


def find_empty_partitions(context: PreflightContext) -> EmptyPartitions | None:
    """Return the empty partitions; None if there are at most HANDFUL."""
    found = _find(context, context.bounds)
    return found if found and found.count > HANDFUL else None


def far_rows(context: PreflightContext) -> FarRows | None:
    """Return the far-out rows of a table that needs too many partitions, by a wider interval; None without a gap."""
    for interval in wider_intervals(context.run.spec.interval):
        try:
            bounds = bounds_for(context.rows_range, context.run.spec.model_copy(update={"interval": interval}))
        except PreconditionFailed:
            continue
        found = _find(context, bounds)
        return found.far if found else None
    return None


def wider_intervals(interval: Interval) -> list[Interval]:
    """Return the wider intervals, the narrowest first."""
    return [each for each in INTERVALS if each.days > interval.days]


def wider_choices(context: PreflightContext) -> str:
    """Return the key for each wider interval with its number of partitions; empty if there is none."""
    found = []
    for interval in wider_intervals(context.run.spec.interval):
        changes = {"interval": interval, "premake": default_premake(interval)}
        try:
            count = len(bounds_for(context.rows_range, context.run.spec.model_copy(update=changes)))
        except PreconditionFailed:
            continue
        found.append(f"`interval: {interval}` for about {figures.count(count, 'partition')}")
    return " or ".join(found)


def _find(context: PreflightContext, bounds: Sequence[Bounds]) -> EmptyPartitions | None:
    """Return the empty partitions; None for a table without rows."""
    filled = _filled(context, bounds)
    if not filled:
        return None

    gaps = [(before, after) for before, after in pairwise(filled) if after - before > 1]
    between = sum(after - before - 1 for before, after in gaps)
    far = None
    if gaps:
        before, after = max(gaps, key=lambda gap: gap[1] - gap[0])
        # The far side is the one with fewer filled partitions.
        older = [number for number in filled if number <= before]
        newer = [number for number in filled if number >= after]
        side = older if len(older) <= len(newer) else newer
        far = FarRows(**_far_rows(context, bounds[side[0] - 1], bounds[side[-1] - 1]))

    since = sum(each.upper <= _rows_begin(context) for each in bounds[filled[-1] :])
    newest, codec = context.rows_range["newest"], context.run.spec.codec
    return EmptyPartitions(between, since, far, str(newest if codec.encoding is None else codec.moment(newest)))


def _rows_begin(context: PreflightContext) -> pendulum.DateTime:
    """Return the present, or the oldest of the synthetic rows that are to come."""
    spec, now = context.run.spec, pendulum.now(context.run.spec.timezone)
    return now.subtract(months=spec.synthetic.months) if context.params.synthetic_rows else now


def _filled(context: PreflightContext, bounds: Sequence[Bounds]) -> list[int]:
    """Return the numbers, from 1, of the planned partitions with rows."""
    by = context.partition_by
    indexed = any(index.columns[:1] == (by,) and index.valid and index.plain for index in context.table.indexes)
    name = "preflight/probe_filled_partitions" if indexed else "preflight/list_filled_partitions"
    codec, kind = context.run.spec.codec, context.table.column(by).type
    lowers = sql.SQL(", ").join(sql.Literal(codec.literals(each, kind)[0]) for each in bounds)
    edges = sql.SQL("ARRAY[{}]::{}[]").format(lowers, sql.SQL(kind))
    parts = {"source": context.table.table_name.identifier, "partition_by": sql.Identifier(by), "edges": edges}
    # PostgreSQL compares a date or a timestamp with infinity; a key has none.
    parts["beyond"] = sql.Literal("infinity" if codec.encoding is None else codec.literals(bounds[-1], kind)[1])
    return [row["number"] for row in context.session.rows(name, **parts)]


def _far_rows(context: PreflightContext, first: Bounds, last: Bounds) -> Row:
    codec, kind = context.run.spec.codec, context.table.column(context.partition_by).type
    by = sql.Identifier(context.partition_by)
    return context.session.row(
        "preflight/find_far_rows",
        {"most": MOST + 1},
        source=context.table.table_name.identifier,
        partition_by=by,
        moment=codec.as_moment(by),
        lower=codec.literals(first, kind)[0],
        upper=codec.literals(last, kind)[1],
    )
