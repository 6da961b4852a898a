"""The ranges of a table's partitions, and which of them are as the spec would have made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pendulum import DateTime

from partition_playbook.catalog import Partition
from partition_playbook.intervals import Bounds, bounds_at
from partition_playbook.names import TableName
from partition_playbook.spec import TableSpec

UNREADABLE = "its bounds cannot be read as one range of time"
KINDS = {"p": "it is partitioned itself", "f": "it is a foreign table"}


@dataclass(frozen=True)
class Ranged:
    """A partition and its range; an end that is None is open. ``foreign`` is why the spec would not have made it."""

    partition: Partition
    lower: DateTime | None
    upper: DateTime | None
    foreign: str

    @property
    def table(self) -> TableName:
        """Return the partition's name."""
        return self.partition.table

    def touches(self, bounds: Bounds) -> bool:
        """Tell whether the range holds any moment of an interval."""
        return self.foreign != UNREADABLE and bounds.overlaps(self.lower, self.upper)

    def covers(self, bounds: Bounds) -> bool:
        """Tell whether the range holds a whole interval."""
        starts = self.lower is None or self.lower <= bounds.lower
        return self.touches(bounds) and starts and (self.upper is None or self.upper >= bounds.upper)

    def __str__(self) -> str:
        return f"{self.table.name} {self.partition.bound}: {self.foreign}"


def ranges(spec: TableSpec, partitions: Sequence[Partition]) -> list[Ranged]:
    """Read the ranges of all partitions but the default one."""
    return [_ranged(spec, each) for each in partitions if not each.is_default]


def _ranged(spec: TableSpec, partition: Partition) -> Ranged:
    try:
        ends = partition.ends(spec.timezone)
    except ValueError:
        ends = None
    if ends is None:
        return Ranged(partition, None, None, UNREADABLE)
    return Ranged(partition, *ends, _foreign(spec, partition, *ends))


def _foreign(spec: TableSpec, partition: Partition, lower: DateTime | None, upper: DateTime | None) -> str:
    if partition.kind != "r":
        return KINDS.get(partition.kind, "it is not a plain table")
    if lower is None or upper is None:
        return "it has an open end"
    whole = bounds_at(spec.interval, lower)
    if (whole.lower, whole.upper) != (lower, upper):
        return f"it is not one whole {spec.interval} in {spec.timezone}"
    return ""


def own(ranged: Sequence[Ranged]) -> list[tuple[DateTime, DateTime, Partition]]:
    """Return the partitions that the spec would have made, by their ranges, the oldest first."""
    found = [
        (each.lower, each.upper, each.partition) for each in ranged if not each.foreign and each.lower and each.upper
    ]
    return sorted(found, key=lambda each: each[0])


def blockers(ranged: Sequence[Ranged], bounds: Bounds) -> list[Ranged]:
    """Return the partitions that hold a part of an interval and so keep it from having a partition of its own."""
    touching = [each for each in ranged if each.touches(bounds)]
    return [] if any(each.covers(bounds) for each in touching) else touching
