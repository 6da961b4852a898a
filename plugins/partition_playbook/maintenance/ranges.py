"""The ranges of a table's partitions, and the managed ones among them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import takewhile

from pendulum import DateTime

from partition_playbook.catalog import Partition, bound_ends
from partition_playbook.codecs import Codec
from partition_playbook.intervals import Bounds, Interval
from partition_playbook.names import TableName
from partition_playbook.spec import TableSpec

OPEN = "it has an open end"
UNREADABLE = "its bounds cannot be read as one range"
ManagedPartition = tuple[DateTime, DateTime, Partition]
KINDS = {"p": "it is partitioned itself", "f": "it is a foreign table"}


@dataclass(frozen=True)
class Ranged:
    """A partition and its range; None is an open end. ``foreign`` is the reason if the partition is not managed."""

    partition: Partition
    lower: DateTime | None
    upper: DateTime | None
    foreign: str

    @property
    def table(self) -> TableName:
        """Return the partition's name."""
        return self.partition.table

    def touches(self, bounds: Bounds) -> bool:
        """Return True if the range overlaps an interval; always False for unreadable bounds."""
        return self.foreign != UNREADABLE and bounds.overlaps(self.lower, self.upper)

    def covers(self, bounds: Bounds) -> bool:
        """Return True if the range covers a whole interval."""
        starts = self.lower is None or self.lower <= bounds.lower
        return self.touches(bounds) and starts and (self.upper is None or self.upper >= bounds.upper)

    def __str__(self) -> str:
        return f"{self.table.name} {self.partition.bound}: {self.foreign}"


def ranges(spec: TableSpec, partitions: Sequence[Partition]) -> list[Ranged]:
    """Return the ranges of all partitions but the default one."""
    interval, codec = spec.interval, spec.codec
    return [Ranged(each, *_read(interval, codec, each.kind, each.bound)) for each in partitions if not each.is_default]


# A run parses the same bounds many times, partly under the table's lock.
@lru_cache(maxsize=10_000)
def _read(interval: Interval, codec: Codec, kind: str, bound: str) -> tuple[DateTime | None, DateTime | None, str]:
    ends = bound_ends(bound, codec)
    if ends is None:
        return None, None, UNREADABLE
    return *ends, _foreign(interval, codec.timezone, kind, *ends)


def _foreign(interval: Interval, timezone: str, kind: str, lower: DateTime | None, upper: DateTime | None) -> str:
    if kind != "r":
        return KINDS.get(kind, "it is not a plain table")
    if lower is None or upper is None:
        return OPEN
    if not _is_whole(interval, lower, upper):
        return f"it is not one whole {interval.noun}{'' if interval.is_ids else f' in {timezone}'}"
    return ""


def is_first(spec: TableSpec, ranged: Ranged) -> bool:
    """Return True for the partition of the rows older than `since`, which is never managed."""
    return spec.since is not None and ranged.foreign == OPEN and ranged.lower is None


def _is_whole(interval: Interval, lower: DateTime, upper: DateTime) -> bool:
    try:
        return interval.floor(lower) == lower and interval.shift(lower, 1) == upper
    except (ValueError, OverflowError):  # the interval begins before year 1, or ends after 9999
        return False


def managed(ranged: Sequence[Ranged]) -> list[ManagedPartition]:
    """Return the managed partitions with their ranges, the oldest first."""
    found = [
        (each.lower, each.upper, each.partition) for each in ranged if not each.foreign and each.lower and each.upper
    ]
    return sorted(found, key=lambda each: each[0])


def touching(ranged: Sequence[Ranged], wanted: Iterable[Bounds]) -> Iterator[tuple[Bounds, list[Ranged]]]:
    """Pair each interval with the partitions that overlap it.

    The intervals must be in order. No two ranges overlap in PostgreSQL, so one walk along both lists is enough.
    """
    readable = [each for each in ranged if each.foreign != UNREADABLE]
    coming = deque(sorted(readable, key=lambda each: (each.lower is not None, each.lower)))
    for bounds in wanted:
        while coming and coming[0].upper is not None and coming[0].upper <= bounds.lower:
            coming.popleft()
        yield bounds, list(takewhile(partial(_touches, bounds), coming))


def _touches(bounds: Bounds, ranged: Ranged) -> bool:
    return ranged.touches(bounds)
