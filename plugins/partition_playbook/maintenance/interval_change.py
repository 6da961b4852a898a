"""A change of the interval of a table that is partitioned already: where it begins, and the intervals until then.

Partitions of the earlier interval stay until their end. New ones begin at the first bound of both intervals, so none
overlaps another one and no moment is without one. Until that bound, partitions of the earlier interval go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from pendulum import DateTime

from partition_playbook import figures
from partition_playbook.catalog import Partition
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.intervals import INTERVALS, Bounds, Unit, between, elapsed
from partition_playbook.maintenance.ranges import Ranged, ranges
from partition_playbook.maintenance.widths import MOST_YEARS, Width, first_shared_bound
from partition_playbook.spec import TableSpec

INTERVAL_CHANGE = "interval_change"
# A plan with more than 400 creations is refused: the next runs create the others.
MOST_BEFORE = 300


@dataclass(frozen=True)
class IntervalChange:
    """A change whose new partitions are still to come.

    The last partition has the ``earlier`` width and ends at ``ends``. The first new one begins at ``begins``, None if
    the two widths share no bound.
    """

    earlier: Width
    ends: DateTime
    begins: DateTime | None


def find_change(spec: TableSpec, ranged: Sequence[Ranged]) -> IntervalChange | None:
    """Return the change of interval that the last partition shows; None if it has the interval of the spec."""
    found = [(each.upper, each.width) for each in ranged if each.width and each.upper]
    if not found:
        return None

    ends, width = max(found, key=lambda each: each[0])
    own = Width.of(spec)
    return None if width == own else IntervalChange(width, ends, first_shared_bound(width, own, ends))


def required(spec: TableSpec, ranged: Sequence[Ranged], first: DateTime, horizon: DateTime) -> list[Bounds]:
    """Return every interval in need of a partition from ``first`` to the horizon, each of its own width.

    Between partitions of one width it is this width. After the last partition it is the spec's, from the first bound
    of both on. Before that bound at most MOST_BEFORE intervals of the earlier width are needed at a time, none after
    them.
    """
    own, change = Width.of(spec), find_change(spec, ranged)
    groups = _groups(ranged, first)
    if not change and all(width == own for width, _ in groups):
        return _whole(spec, first, horizon)

    found: list[Bounds] = []
    for number, (width, lower) in enumerate(groups):
        end = found[-1].upper if found else first
        start = end if not found or width.begins_at(end) else lower
        following = groups[number + 1][1] if number + 1 < len(groups) else None
        if following:
            found += [each for each in width.between(start, following, spec.timezone) if each.upper <= following]
        elif not change:
            found += _whole(spec, start, horizon)
        else:
            until = min(horizon, change.begins) if change.begins else horizon
            bounds = list(width.between(start, until, spec.timezone))
            before = [each for each in bounds if is_before(change, each)]
            if len(before) > MOST_BEFORE:
                return [*found, *bounds[: len(bounds) - len(before) + MOST_BEFORE]]
            found += bounds

    if change and change.begins:
        found += _whole(spec, max(first, change.begins), horizon)
    return found


def _groups(ranged: Sequence[Ranged], first: DateTime) -> list[tuple[Width, DateTime]]:
    """Return the widths in their order in time, from ``first`` on, each with the start of its first partition."""
    known = [(each.lower, each.upper, each.width) for each in ranged if each.width and each.lower and each.upper]
    ordered = sorted(known, key=lambda each: each[0])
    kept = [each for each in ordered if each[1] > first] or ordered[-1:]
    return [(width, next(group)[0]) for width, group in groupby(kept, key=lambda each: each[2])]


def _whole(spec: TableSpec, first: DateTime, horizon: DateTime) -> list[Bounds]:
    return [each for each in between(spec.interval, first, horizon) if each.upper <= horizon]


def is_before(change: IntervalChange | None, bounds: Bounds) -> bool:
    """Return True for an interval after the last partition, but before the first new one."""
    return (
        change is not None and bounds.lower >= change.ends and (change.begins is None or bounds.lower < change.begins)
    )


def interval_change_check(spec: TableSpec, ranged: Sequence[Ranged], change: IntervalChange | None) -> list[Check]:
    """Return the check that tells of a change to come; none without one. It fails if no bound is shared."""
    if change is None:
        return []
    expected = f"partitions of one {spec.interval.noun} from the first bound of both intervals on"
    text = describe(spec, ranged, change)
    if change.begins:
        return [skipped(INTERVAL_CHANGE, text, expected=expected)]

    fitting = [str(each) for each in INTERVALS if _fits(change, spec, Width(each, spec.timezone))]
    other = f"to one that begins together with these, such as `{'` or `'.join(fitting)}`, or " if fitting else ""
    return [
        check(
            INTERVAL_CHANGE,
            False,
            expected=expected,
            actual=text,
            remedy=f"Set `interval` in the spec {other}back to `{change.earlier.interval}` with "
            f"`timezone: {change.earlier.timezone}`",
            severity=Severity.WARNING,
        )
    ]


def _fits(change: IntervalChange, spec: TableSpec, width: Width) -> bool:
    is_allowed = width.interval.unit is not Unit.HOUR or spec.timezone == "UTC"
    return is_allowed and first_shared_bound(change.earlier, width, change.ends) is not None


def told(spec: TableSpec, partitions: Sequence[Partition], earlier: Sequence[Width]) -> str:
    """Return the change of a table's interval that is still to come, as text; empty without one."""
    ranged = ranges(spec, partitions, earlier)
    change = find_change(spec, ranged)
    return describe(spec, ranged, change) if change else ""


def describe(spec: TableSpec, ranged: Sequence[Ranged], change: IntervalChange) -> str:
    """Return the change as text: the partitions that stay, and the first new one."""
    noun, before = spec.interval.noun, change.earlier.interval.noun
    number = sum(each.width == change.earlier for each in ranged)
    stay = f"{figures.count(number, 'partition')} of one {before} stay up to {_told(change.ends)}"
    if change.begins is None:
        return (
            f"{stay}; no bound of them is one of a {noun} within {MOST_YEARS} years, "
            f"so partitions of one {before} go on"
        )
    begin = f"partitions of one {noun} begin at {_told(change.begins)}"
    if elapsed(change.begins) == elapsed(change.ends):
        return f"{stay}; {begin}"
    return f"{stay}; {begin}, the first bound of both; until then partitions of one {before} go on"


def _told(moment: DateTime) -> str:
    return moment.isoformat(timespec="minutes")
