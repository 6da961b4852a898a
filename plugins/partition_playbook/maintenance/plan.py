"""Plan the maintenance of a table: catalog, spec and clock in, a list of actions out; pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pendulum import DateTime

from partition_playbook import figures
from partition_playbook.checks import Check
from partition_playbook.intervals import Bounds, in_zone
from partition_playbook.maintenance import checks as findings
from partition_playbook.maintenance import merging
from partition_playbook.maintenance.actions import Abandon, Action, Analyze, Create, Finalize, Split
from partition_playbook.maintenance.interval_change import (
    IntervalChange,
    find_change,
    interval_change_check,
    is_before,
    required,
)
from partition_playbook.maintenance.ranges import Ranged, managed, ranges, touching
from partition_playbook.maintenance.retention import Retirement, retire
from partition_playbook.maintenance.state import TableState
from partition_playbook.maintenance.waiting import MOVE_LIMIT
from partition_playbook.names import TableName
from partition_playbook.spec import Retention, TableSpec

ANALYZE_AFTER_DAYS = 7


@dataclass(frozen=True)
class Plan:
    """The actions to apply, the actions that retention only proposes, and the findings for a person.

    Partitions must reach the ``horizon``. ``deferral`` is the reason for retention to wait. ``stops`` are the names of
    the failed checks by which retention does nothing.
    """

    table: TableName
    now: DateTime
    horizon: DateTime
    cutoff: DateTime | None
    actions: tuple[Action, ...]
    proposed: tuple[Action, ...]
    findings: tuple[Check, ...]
    deferral: str
    stops: tuple[str, ...]
    statistics_due: str


def plan(
    spec: TableSpec,
    found: TableState,
    now: DateTime,
    *,
    premake: int | None = None,
    retention: Retention | None = None,
    propose: bool = False,
    move_limit: int = MOVE_LIMIT,
    merge_before: DateTime | None = None,
) -> Plan:
    """Plan one table as of ``now``; without ``retention`` no partition is retired.

    With ``propose`` retention is only shown, even if it is deferred. The clock drives the horizon, never the data.
    Ranges come from the catalog, never from names. Partitions are merged only up to ``merge_before``. With ranges of
    ids ``now`` is the greatest id, and it drives the horizon.
    """
    now = in_zone(now, spec.timezone)
    ahead = spec.premake if premake is None else premake
    horizon = spec.interval.shift(spec.interval.floor(now), ahead + 1)
    cutoff = retention.cutoff(now) if retention else None

    ranged = ranges(spec, found.partitions, found.earlier)
    change = find_change(spec, ranged)
    wanted = list(touching(ranged, _required(spec, ranged, now, horizon, cutoff)))
    held = [each for each in wanted if spec.codec.fits(each[0].upper, found.column_type)]
    unheld = [bounds for bounds, partitions in wanted[len(held) :] if not partitions]
    horizon = min([horizon, *(each.lower for each in unheld)])
    missing = [_beside(bounds, ranged) for bounds, partitions in held if not partitions]
    due = max(now, found.present)
    is_plausible = len(missing) <= findings.MOST_CREATED
    creates = [_create(spec, each, due, ahead, change) for each in missing] if is_plausible else []

    deferral = (found.deferral or _ahead_of_time(now, found.clock)) if cutoff else ""
    retired = Retirement()
    if retention:
        shown = propose or bool(deferral)
        span = findings.due_span(retention, spec.schedule)
        retired = retire(found, ranged, retention, now, span=span, keep_last=not creates, shown=shown)

    # An interrupted detach comes first: until it is finalized, PostgreSQL refuses rows of its range.
    changes: list[Action] = [
        Finalize(each, "its detach was interrupted, and its range refuses rows") for each in found.pending
    ]
    changes += [Abandon(each, "a split of it, or a merge to it, was interrupted") for each in found.unfinished]
    changes += _split(found, creates, move_limit)

    mergeable = merging.mergeable(spec, ranged, found, min(now, found.clock), cutoff)
    chosen = merging.chosen(mergeable, found, merge_before)
    changes += chosen
    changes += () if propose or deferral else retired.actions

    checks = [
        findings.too_many_to_create_check(len(missing)),
        *findings.column_holds_ranges_check(spec, found, unheld, now),
        findings.unmanaged_check(spec, ranged, found.earlier, found.column_type),
        findings.overlap_check(spec, held, now),
        findings.stranded_check(_stranded(found)),
        *retired.findings,
        *(findings.first_partition_check(spec, ranged, cutoff) if cutoff else ()),
        *interval_change_check(spec, ranged, change),
        *merging.merge_check(mergeable, chosen, found, merge_before),
    ]

    statistics_due = _statistics_due(found, found.clock if spec.interval.is_ids else now)
    if changes or statistics_due:
        changes.append(Analyze(spec.name, statistics_due or "its partitions change"))

    return Plan(
        spec.name,
        now,
        horizon,
        cutoff,
        tuple(changes),
        retired.actions if propose else (),
        tuple(checks),
        deferral,
        retired.stops,
        statistics_due,
    )


def _required(
    spec: TableSpec, ranged: Sequence[Ranged], now: DateTime, horizon: DateTime, cutoff: DateTime | None
) -> list[Bounds]:
    """Return every interval in need of a partition, from the oldest kept one to the horizon."""
    first = min([now, *(lower for lower, _, _ in managed(ranged))])
    if cutoff:
        first = max(first, min(cutoff, now))
    return required(spec, ranged, first, horizon)


def _ahead_of_time(now: DateTime, clock: DateTime) -> str:
    """Return the reason for retention to wait if the plan is for a future moment."""
    if now <= clock:
        return ""
    return f"{now.isoformat(timespec='seconds')} is after the server's clock, {clock.isoformat(timespec='seconds')}"


def _beside(bounds: Bounds, ranged: Sequence[Ranged]) -> Bounds:
    """Return the bounds next to existing neighbours.

    PostgreSQL reads 00:00 as the second of two midnights, so other tools create partitions there. Python compares
    moments of one zone by their wall clocks, so both midnights are equal here.
    """
    lower = next((each.upper for each in ranged if each.upper and each.upper == bounds.lower), bounds.lower)
    upper = next((each.lower for each in ranged if each.lower and each.lower == bounds.upper), bounds.upper)
    return replace(bounds, lower=lower, upper=upper)


def _create(spec: TableSpec, bounds: Bounds, due: DateTime, ahead: int, change: IntervalChange | None) -> Create:
    """Return the action; rows are ``due`` up to the moment of the plan or the server's clock, the later of the two."""
    if change and is_before(change, bounds):
        begins = change.begins.isoformat(timespec="minutes") if change.begins else "a bound that does not exist"
        reason = f"partitions of one {spec.interval.noun} begin at {begins}; until then those of one "
        reason += f"{change.earlier.interval.noun} go on"
    elif bounds.lower > due:
        reason = f"premake {ahead}: {spec.interval.noun}s after {spec.interval.told(due)} are created ahead"
    elif bounds.upper > due:
        reason = f"the {spec.interval.noun} of {spec.interval.told(due)} has no partition"
    else:
        reason = "a gap between partitions"
    return Create(spec.name.partition(bounds.suffix), bounds, reason, coming=bounds.lower > due)


def _split(found: TableState, creates: Sequence[Create], move_limit: int) -> Iterator[Action]:
    """Yield the creations, with one split for partitions with rows not to be moved under a lock."""
    rows = {each: _waiting(found, each.bounds) for each in creates}
    default = next((each.table for each in found.partitions if each.is_default), None)

    many = max(rows.values(), default=0) > move_limit
    must = many or (found.waiting.unmovable and any(rows.values()))
    if not default or not must or found.waiting.unsplittable:
        yield from creates
        return

    chosen = tuple(each for each in creates if rows[each] or not each.coming)
    why = f"more than {figures.number(move_limit)} for one partition" if many else "; ".join(found.waiting.unmovable)
    yield Split(default, chosen, f"it has {figures.count(sum(rows.values()), 'row')} for {_listed(chosen)}: {why}")
    yield from (each for each in creates if each not in chosen)


def _waiting(found: TableState, bounds: Bounds) -> int:
    """Return the rows of an interval in the default partition; those of a wider one are added up."""
    rows = found.waiting.rows
    if bounds in rows or not found.earlier:
        return rows.get(bounds, 0)
    return sum(number for each, number in rows.items() if bounds.lower <= each.lower and each.upper <= bounds.upper)


def _listed(creates: Sequence[Create]) -> str:
    return ", ".join(each.partition.name for each in creates)


def _stranded(found: TableState) -> list[TableName]:
    attached = [each.table for each in found.partitions]
    return [each for each in found.intended if each not in attached]


def _statistics_due(found: TableState, now: DateTime) -> str:
    """Return the reason to analyze the parent; empty if its statistics are fresh."""
    if found.analyzed_at is None:
        return "it was never analyzed"
    if (now - found.analyzed_at).total_days() > ANALYZE_AFTER_DAYS:
        return f"it was last analyzed at {found.analyzed_at.isoformat(timespec='seconds')}"
    return ""
