"""Plan the merge of partitions of an earlier, narrower interval; pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from pendulum import DateTime

from partition_playbook import figures
from partition_playbook.checks import Check, skipped
from partition_playbook.intervals import Bounds, bounds_at, elapsed
from partition_playbook.maintenance.actions import Merge
from partition_playbook.maintenance.ranges import Ranged
from partition_playbook.maintenance.state import TableState
from partition_playbook.maintenance.widths import Width
from partition_playbook.spec import TableSpec

# They are dropped under the lock of one transaction, in a few milliseconds each.
MOST_MERGED = 100


def mergeable(
    spec: TableSpec, ranged: Sequence[Ranged], found: TableState, now: DateTime, cutoff: DateTime | None
) -> list[Merge]:
    """Return a merge for each past interval of the spec that narrower managed partitions fill without a gap.

    None for an interval that retention has begun to retire, with a partition that a foreign key references by itself,
    or with more than MOST_MERGED partitions.
    """
    own = Width.of(spec)
    others = [each for each in ranged if each.width and each.width != own]
    narrow = [each for each in others if each.width and each.width.interval.days < own.interval.days]
    intervals = sorted({bounds_at(spec.interval, each.lower) for each in narrow if each.lower})
    merges = (_merge(spec, each, ranged, found) for each in intervals if _is_over(each, now, cutoff))
    return [each for each in merges if each]


def _is_over(bounds: Bounds, now: DateTime, cutoff: DateTime | None) -> bool:
    return bounds.upper <= now and (cutoff is None or bounds.lower >= cutoff)


def _merge(spec: TableSpec, bounds: Bounds, ranged: Sequence[Ranged], found: TableState) -> Merge | None:
    inside = [each for each in ranged if each.touches(bounds)]
    if not 1 < len(inside) <= MOST_MERGED or any(_hinders(each, found) for each in inside):
        return None
    ends = sorted((each.lower, each.upper) for each in inside if each.lower and each.upper)
    adjoin = all(elapsed(left[1]) == elapsed(right[0]) for left, right in pairwise(ends))
    is_filled = (elapsed(ends[0][0]), elapsed(ends[-1][1])) == (elapsed(bounds.lower), elapsed(bounds.upper))
    if not (adjoin and is_filled):
        return None

    partitions = [each.partition for each in sorted(inside, key=lambda each: (each.lower is not None, each.lower))]
    names = f"{partitions[0].table.name} to {partitions[-1].table.name}"
    reason = f"{names}, {figures.count(len(partitions), 'partition')}, are one whole {spec.interval.noun}"
    return Merge(spec.name.partition(bounds.suffix), bounds, tuple(partitions), reason)


def _hinders(ranged: Ranged, found: TableState) -> bool:
    return not ranged.width or ranged.partition.detach_pending or ranged.table in found.references


def chosen(merges: Sequence[Merge], found: TableState, before: DateTime | None) -> list[Merge]:
    """Return the merges up to a moment; none without a moment, or if a migration of the table is not over."""
    return [each for each in merges if before and each.bounds.upper <= before and not found.deferral]


def merge_check(
    merges: Sequence[Merge], asked: Sequence[Merge], found: TableState, before: DateTime | None
) -> list[Check]:
    """Return the check that tells of the partitions that could be merged and are not; none without any.

    ``before`` is the moment up to which this run merges; None if it is asked for none.
    """
    left = [each for each in merges if each not in asked]
    if not left:
        return []
    why = "only the param `merge` asks for it"
    if before:
        why = f"this run merges only what ended by {before.isoformat(timespec='minutes')}"
    if found.deferral:
        why = f"deferred: {found.deferral}"
    number = figures.count(sum(len(each.found) for each in left), "partition")
    return [
        skipped(
            "merge",
            f"{number} could be merged into {', '.join(_names(left))}; {why}",
            expected="partitions of an earlier, narrower interval stay unless a run is asked to merge them",
        )
    ]


def _names(merges: Sequence[Merge]) -> Iterator[str]:
    return (each.partition.name for each in merges)
