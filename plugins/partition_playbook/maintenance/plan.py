"""Decide what a table needs: catalog, spec and clock make a list of actions; a pure function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pendulum import DateTime

from partition_playbook.checks import Check
from partition_playbook.intervals import Bounds, between, in_zone
from partition_playbook.maintenance import findings
from partition_playbook.maintenance.actions import Abandon, Action, Analyze, Create, Finalize, Split
from partition_playbook.maintenance.found import Found
from partition_playbook.maintenance.ranges import Ranged, own, ranges, touching
from partition_playbook.maintenance.retention import Retirement, retire
from partition_playbook.maintenance.waiting import MOVE_LIMIT
from partition_playbook.names import TableName
from partition_playbook.spec import Retention, TableSpec

ANALYZE_AFTER_DAYS = 7


@dataclass(frozen=True)
class Plan:
    """What to do, what retention would do besides, what needs a person; partitions must reach the ``horizon``.

    ``stops`` are the names of the findings for which retention does nothing.
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
    found: Found,
    now: DateTime,
    *,
    premake: int | None = None,
    retention: Retention | None = None,
    propose: bool = False,
    move_limit: int = MOVE_LIMIT,
) -> Plan:
    """Plan one table as it should be at ``now``; without ``retention`` everything is kept.

    With ``propose`` retention is only shown, also where it would have to wait. The clock drives the horizon, never the
    data. Ranges are the catalog's, whatever the names say.
    """
    now = in_zone(now, spec.timezone)
    ahead = spec.premake if premake is None else premake
    horizon = spec.interval.shift(spec.interval.floor(now), ahead + 1)
    cutoff = retention.cutoff(now) if retention else None
    ranged = ranges(spec, found.partitions)
    held = list(touching(ranged, _wanted(spec, ranged, now, horizon, cutoff)))
    missing = [bounds for bounds, partitions in held if not partitions]
    due = max(now, found.clock)
    creates = [_create(spec, each, due, ahead) for each in missing] if len(missing) <= findings.MOST_CREATED else []
    deferral = (found.deferral or _ahead_of_time(now, found.clock)) if cutoff else ""
    retired = Retirement()
    if retention:
        shown = propose or bool(deferral)
        retired = retire(found, ranged, retention, now, keep_last=not creates, shown=shown)
    changes: list[Action] = [
        Finalize(each, "its detach was interrupted, so its range is refused") for each in found.pending
    ]
    changes += [Abandon(each, "a split of it did not end") for each in found.unfinished]
    changes += _split(found, creates, move_limit)
    changes += () if propose or deferral else retired.actions
    checks = [
        findings.amount_check(len(missing)),
        findings.foreign_check(spec, ranged),
        findings.overlap_check(spec, held, now),
        findings.stranded_check(_stranded(found)),
        *retired.findings,
    ]
    statistics_due = _statistics_due(found, now)
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


def _wanted(
    spec: TableSpec, ranged: Sequence[Ranged], now: DateTime, horizon: DateTime, cutoff: DateTime | None
) -> list[Bounds]:
    """Return every interval that must have a partition, from the oldest one that is kept to the horizon."""
    first = min([now, *(lower for lower, _, _ in own(ranged))])
    if cutoff:
        first = max(first, min(cutoff, now))
    return [each for each in between(spec.interval, first, horizon) if each.upper <= horizon]


def _ahead_of_time(now: DateTime, clock: DateTime) -> str:
    """Say why retention must wait where the plan is for a moment that has not come."""
    if now <= clock:
        return ""
    return f"{now.isoformat(timespec='seconds')} lies after the server's clock, {clock.isoformat(timespec='seconds')}"


def _create(spec: TableSpec, bounds: Bounds, due: DateTime, ahead: int) -> Create:
    """Return the action; rows are ``due`` up to the moment of the plan or the server's clock, whichever is later."""
    if bounds.lower > due:
        reason = f"premake {ahead}: the {spec.interval}s after {due.to_date_string()} are made ahead"
    elif bounds.upper > due:
        reason = f"the {spec.interval} of {due.to_date_string()} has no partition"
    else:
        reason = "a gap between partitions"
    return Create(spec.name.partition(bounds.suffix), bounds, reason, coming=bounds.lower > due)


def _split(found: Found, creates: Sequence[Create], move_limit: int) -> Iterator[Action]:
    """Yield what creates the partitions: a split for those whose rows must not be moved under a lock."""
    rows = {each: found.waiting.rows.get(each.bounds, 0) for each in creates}
    default = next((each.table for each in found.partitions if each.is_default), None)
    many = max(rows.values(), default=0) > move_limit
    must = many or (found.waiting.unmovable and any(rows.values()))
    if not default or not must or found.waiting.unsplittable:
        yield from creates
        return
    chosen = tuple(each for each in creates if rows[each] or not each.coming)
    why = f"more than {move_limit} for one partition" if many else "; ".join(found.waiting.unmovable)
    yield Split(default, chosen, f"{sum(rows.values())} rows wait for {_listed(chosen)}: {why}")
    yield from (each for each in creates if each not in chosen)


def _listed(creates: Sequence[Create]) -> str:
    return ", ".join(each.partition.name for each in creates)


def _stranded(found: Found) -> list[TableName]:
    attached = [each.table for each in found.partitions]
    return [each for each in found.intended if each not in attached]


def _statistics_due(found: Found, now: DateTime) -> str:
    """Say why the parent's statistics are due; empty where they are fresh."""
    if found.analyzed_at is None:
        return "it was never analyzed"
    if (now - found.analyzed_at).total_days() > ANALYZE_AFTER_DAYS:
        return f"it was analyzed last at {found.analyzed_at.isoformat(timespec='seconds')}"
    return ""
