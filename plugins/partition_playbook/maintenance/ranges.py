"""The ranges of a table's partitions, and the managed ones among them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import takewhile

from pendulum import DateTime

from partition_playbook.catalog import Partition, bound_ends
from partition_playbook.codecs import Codec
from partition_playbook.intervals import Bounds
from partition_playbook.maintenance.widths import Width
from partition_playbook.names import TableName
from partition_playbook.spec import TableSpec

OPEN = "it has an open end"
UNREADABLE = "its bounds cannot be read as one range"
ManagedPartition = tuple[DateTime, DateTime, Partition]
Read = tuple[DateTime | None, DateTime | None, str, Width | None]
KINDS = {"p": "it is partitioned itself", "f": "it is a foreign table"}


@dataclass(frozen=True)
class Ranged:
    """A partition and its range; None is an open end.

    ``width`` is that of a managed partition. ``foreign`` is the reason if the partition is not managed.
    """

    partition: Partition
    lower: DateTime | None
    upper: DateTime | None
    foreign: str
    width: Width | None = None

    @property
    def table(self) -> TableName:
        """Return the partition's name."""
        return self.partition.table

    @property
    def is_of_another_width(self) -> bool:
        """Return True for a plain table with two ends that is one whole interval of no known width."""
        both = self.lower is not None and self.upper is not None
        return both and self.width is None and self.partition.kind == "r"

    def touches(self, bounds: Bounds) -> bool:
        """Return True if the range overlaps an interval; always False for unreadable bounds."""
        return self.foreign != UNREADABLE and bounds.overlaps(self.lower, self.upper)

    def covers(self, bounds: Bounds) -> bool:
        """Return True if the range covers a whole interval."""
        starts = self.lower is None or self.lower <= bounds.lower
        return self.touches(bounds) and starts and (self.upper is None or self.upper >= bounds.upper)

    def __str__(self) -> str:
        return f"{self.table.name} {self.partition.bound}: {self.foreign}"


def ranges(spec: TableSpec, partitions: Sequence[Partition], earlier: Sequence[Width] = ()) -> list[Ranged]:
    """Return the ranges of all partitions but the default one.

    A partition is managed if it is one whole interval of the spec, or of one of the ``earlier`` widths.
    """
    read = _reader((Width.of(spec), *earlier), spec.codec)
    return [Ranged(each, *read(each.kind, each.bound)) for each in partitions if not each.is_default]


# A run parses the same bounds many times, partly under the table's lock. The widths and the codec are hashed once a
# table, because that costs more than all else of a bound that is known.
@lru_cache(maxsize=20)
def _reader(widths: tuple[Width, ...], codec: Codec) -> Callable[[str, str], Read]:
    return lru_cache(maxsize=10_000)(partial(_read, widths, codec))


def _read(widths: tuple[Width, ...], codec: Codec, kind: str, bound: str) -> Read:
    ends = bound_ends(bound, codec)
    if ends is None:
        return None, None, UNREADABLE, None
    return *ends, *_judge(widths, kind, *ends)


def _judge(
    widths: tuple[Width, ...], kind: str, lower: DateTime | None, upper: DateTime | None
) -> tuple[str, Width | None]:
    """Return the reason not to manage a partition, empty for none, and the width of a managed one."""
    if kind != "r":
        return KINDS.get(kind, "it is not a plain table"), None
    if lower is None or upper is None:
        return OPEN, None
    width = next((each for each in widths if each.is_whole(lower, upper)), None)
    return ("", width) if width else (f"it is not one whole {widths[0]}", None)


def is_first(spec: TableSpec, ranged: Ranged) -> bool:
    """Return True for the partition of the rows older than `since`, which is never managed."""
    return spec.since is not None and ranged.foreign == OPEN and ranged.lower is None


def is_last(spec: TableSpec, ranged: Ranged, column_type: str) -> bool:
    """Return True for the partition of the last keys that the type of the partition column can hold."""
    if ranged.foreign != OPEN or ranged.lower is None:
        return False
    return not spec.codec.fits(spec.interval.shift(ranged.lower, 1), column_type)


def managed(ranged: Sequence[Ranged]) -> list[ManagedPartition]:
    """Return the managed partitions with their ranges, the oldest first."""
    found = [
        (each.lower, each.upper, each.partition) for each in ranged if not each.foreign and each.lower and each.upper
    ]
    return sorted(found, key=lambda each: each[0])


def of_another_width(ranged: Sequence[Ranged]) -> list[Ranged]:
    """Return the plain partitions with two ends that have no known width, the oldest first."""
    found = [(each.lower, each) for each in ranged if each.is_of_another_width and each.lower]
    return [each for _, each in sorted(found, key=lambda each: each[0])]


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


def end_of_partitions(spec: TableSpec, ranged: Sequence[Ranged], now: DateTime) -> DateTime | None:
    """Return the end of the adjoining partitions from ``now`` on; None if they have no end.

    Without a partition for ``now`` it is the start of the current interval.
    """
    end = now
    readable = [each for each in ranged if each.foreign != UNREADABLE]
    for each in sorted(readable, key=lambda each: (each.lower is not None, each.lower)):
        if each.upper is not None and each.upper <= end:
            continue
        if each.lower is not None and each.lower > end:
            break
        if each.upper is None:
            return None
        end = each.upper
    return spec.interval.floor(now) if end is now else end
