"""Find the planned partitions without rows, the rows that make them necessary, and their cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pendulum
from psycopg import sql

from partition_playbook import figures
from partition_playbook.database import Row
from partition_playbook.engine.layout import bounds_for, find_range, with_outliers
from partition_playbook.errors import PreconditionFailed
from partition_playbook.intervals import INTERVALS, Bounds, Interval, bounds_at
from partition_playbook.runway import default_premake
from partition_playbook.sections.preflight.context import PreflightContext
from partition_playbook.spec import DefaultPartition

# More empty partitions up to the present are worth a warning.
HANDFUL = 5
# Far-out rows are counted up to here.
MOST = 1000
# Rows so many years away are wrong, or stand for no moment at all.
CENTURIES = 400
# The planner visits each partition that it cannot prune: measured as 0.01 to 0.03 ms.
PLANNING_MS = 0.025
# The first statement of a session reads the catalog for each: measured as 0.2 to 0.5 ms, with three indexes.
FIRST_PLANNING_MS = 0.3


@dataclass(frozen=True)
class FarRows:
    """The few rows on the far side of the widest gap; at most MOST + 1 are counted.

    ``key`` is the key of the spec, with its value, by which they need no partitions of their own.
    """

    rows: int
    oldest: str
    newest: str
    key: str = ""

    def __str__(self) -> str:
        return f"for {self.counted} from {self.oldest} to {self.newest}"

    @property
    def counted(self) -> str:
        """Return the number of the rows in words."""
        return f"more than {figures.count(MOST, 'row')}" if self.rows > MOST else figures.count(self.rows, "row")


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
    return _beyond_the_years(context)


def _beyond_the_years(context: PreflightContext) -> FarRows | None:
    """Return the rows centuries away, such as those of 0001 or 9999; None without any, or without others."""
    spec, now = context.run.spec, pendulum.now(context.run.spec.timezone)
    if spec.interval.is_ids:
        return None
    # Keys begin about 1970.
    start, end = (now.subtract(years=CENTURIES) if spec.encoding is None else None), now.add(years=CENTURIES)
    by = sql.Identifier(context.partition_by)
    near = find_range(context.session, spec, spec.codec.inside(by, start, end))
    if near["oldest"] is None:
        return None

    sides = {"since": (None, start), "until": (end, None)}
    within = {key: spec.codec.inside(by, *ends) for key, ends in sides.items() if ends != (None, None)}
    first, last = (bounds_at(spec.interval, spec.codec.moment(near[each])) for each in ("oldest", "newest"))
    nearest = {"since": _bounding(context, since=first), "until": _bounding(context, until=last)}
    keys = [nearest[key] for key, condition in within.items() if _count_far(context, condition)["rows"]]
    if not keys:
        return None
    either = sql.SQL("({})").format(sql.SQL(" OR ").join(map(sql.SQL("({})").format, within.values())))
    return FarRows(**_count_far(context, either), key=" and ".join(filter(None, keys)))


def wider_intervals(interval: Interval) -> list[Interval]:
    """Return the wider intervals, the narrowest first; of ids ten, a hundred and a thousand times as many."""
    if interval.is_ids:
        return [Interval(interval.unit, interval.count * times) for times in (10, 100, 1000)]
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
        # The far side is the one with fewer filled partitions; of ids, which begin at 0, rather the newer one.
        older = [number for number in filled if number <= before]
        newer = [number for number in filled if number >= after]
        side = older if len(older) + context.run.spec.interval.is_ids <= len(newer) else newer
        keys = {"since": bounds[after - 1]} if side is older else {"until": bounds[before - 1]}
        far = FarRows(**_far_rows(context, bounds[side[0] - 1], bounds[side[-1] - 1]), key=_bounding(context, **keys))

    since = sum(each.upper <= _rows_begin(context) for each in bounds[filled[-1] :])
    newest, codec = context.rows_range["newest"], context.run.spec.codec
    return EmptyPartitions(between, since, far, str(newest if codec.encoding is None else codec.moment(newest)))


def _rows_begin(context: PreflightContext) -> pendulum.DateTime:
    """Return the present, or the oldest of the synthetic rows that are to come; these have the next ids."""
    spec, now = context.run.spec, context.present
    is_older = context.params.synthetic_rows and not spec.interval.is_ids
    return spec.synthetic_start(now) if is_older else now


def _filled(context: PreflightContext, bounds: Sequence[Bounds]) -> list[int]:
    """Return the numbers, from 1, of the planned partitions with rows."""
    by = context.partition_by
    indexed = any(index.columns[:1] == (by,) and index.valid and index.plain for index in context.table.indexes)
    name = "preflight/probe_filled_partitions" if indexed else "preflight/list_filled_partitions"
    codec, kind = context.run.spec.codec, context.table.column(by).type
    lowers = sql.SQL(", ").join(sql.Literal(codec.literals(each, kind)[0]) for each in bounds)
    edges = sql.SQL("ARRAY[{}]::{}[]").format(lowers, sql.SQL(kind))
    parts = {"source": context.table.table_name.identifier, "partition_by": sql.Identifier(by), "edges": edges}
    parts["beyond"] = sql.Literal(codec.literals(bounds[-1], kind)[1])
    return [row["number"] for row in context.session.rows(name, **parts)]


def _bounding(context: PreflightContext, since: Bounds | None = None, until: Bounds | None = None) -> str:
    """Return the key of the spec by which the partitions begin with ``since`` or end with ``until``; ids have none."""
    if context.run.spec.interval.is_ids:
        return ""
    if since:
        return f"`since: {since.lower.to_date_string()}`"
    if until and context.run.spec.default_partition is DefaultPartition.KEEP:
        return f"`until: {until.lower.to_date_string()}`"
    return ""


def outliers(context: PreflightContext, bounds: Sequence[Bounds]) -> Iterator[str]:
    """Yield the rows beside the partitions of the intervals, with the partition for them."""
    for each in with_outliers(bounds, context.run.spec):
        if not each.is_interval:
            found = FarRows(**_far_rows(context, each, each))
            name = context.run.table.partition(each.suffix).name
            yield f"{name} holds {found.counted}" + (f" from {found.oldest} to {found.newest}" if found.rows else "")


def _far_rows(context: PreflightContext, first: Bounds, last: Bounds) -> Row:
    kind, by = context.table.column(context.partition_by).type, sql.Identifier(context.partition_by)
    return _count_far(context, context.run.spec.codec.within(by, first, last, kind))


def _count_far(context: PreflightContext, within: sql.Composable) -> Row:
    return context.session.row(
        "preflight/find_far_rows",
        {"most": MOST + 1},
        source=context.table.table_name.identifier,
        moment=context.run.spec.codec.as_moment(sql.Identifier(context.partition_by)),
        within=within,
    )
