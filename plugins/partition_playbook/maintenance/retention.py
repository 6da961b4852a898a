"""Plan retention: the partitions to retire, the ones held back, and the checks that stop it; pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from pendulum import DateTime

from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.maintenance import checks as findings
from partition_playbook.maintenance.actions import Action, Archive, Detach, Drop
from partition_playbook.maintenance.ranges import ManagedPartition, Ranged, managed
from partition_playbook.maintenance.state import Detached, TableState
from partition_playbook.names import TableName
from partition_playbook.runway import MONTHLY
from partition_playbook.spec import Retention, Retire

AT_ONCE = "0 days"


@dataclass(frozen=True)
class Retirement:
    """The actions of retention, its findings, and the names of the failed checks that stop it."""

    actions: tuple[Action, ...] = ()
    findings: tuple[Check, ...] = ()
    stops: tuple[str, ...] = ()


def retire(
    found: TableState,
    ranged: Sequence[Ranged],
    rules: Retention,
    now: DateTime,
    *,
    span: timedelta,
    keep_last: bool,
    shown: bool,
) -> Retirement:
    """Plan to detach partitions wholly before the cutoff, and to archive and drop detached ones after the grace period.

    An implausible clock stops all of it. So does a lack of newer rows or too large a share of the partitions, unless
    the plan is only ``shown``. Partitions that all fell due within ``span`` are never too large a share. With
    ``keep_last`` the last partition stays.
    """
    cutoff = rules.cutoff(now)

    attached = [each for each in managed(ranged) if not each[2].detach_pending]
    old = [each for each in (attached[:-1] if keep_last else attached) if each[1] <= cutoff]
    referred = {partition.table: keys for _, _, partition in old if (keys := found.references.get(partition.table))}
    free = [each for each in old if each[2].table not in referred and not rules.holds(*each[:2])]

    clocks = (
        findings.cutoff_check(cutoff, found.clock),
        findings.clock_moved_back_check(found.last_event, found.clock),
    )
    severity = Severity.WARNING if shown else Severity.ERROR
    doubts = (
        findings.newest_check(cutoff, found.newest, len(free), severity),
        findings.share_check(rules, findings.Share.of(free, attached, cutoff, now, span), severity),
    )

    stops = (*_failed(clocks), *(() if shown else _failed(doubts)))
    actions = () if stops else tuple(_actions(found, ranged, free, rules, now))

    ranges = [(partition.table, lower, upper) for lower, upper, partition in old]
    ranges += [(each.table, *each.ends) for each in found.detached if each.ends]
    others = (findings.references_check(referred), *findings.hold_checks(rules, ranges))
    return Retirement(actions, (*clocks, *doubts, *others), stops)


def retire_only(
    name: TableName, found: TableState, ranged: Sequence[Ranged], rules: Retention, now: DateTime
) -> Retirement:
    """Plan to retire one partition by its name, at once; every other one stays, even if it is due.

    Neither its grace period nor the share nor an unfinished migration delays it. A hold and all other checks do.
    """
    at_once = rules.model_copy(update={"grace": AT_ONCE, "max_share": 1.0})
    planned = retire(found, ranged, at_once, now, span=findings.due_span(rules, MONTHLY), keep_last=True, shown=False)
    return replace(planned, actions=tuple(each for each in planned.actions if each.partition == name))


def _failed(checks: Iterable[Check]) -> tuple[str, ...]:
    return tuple(each.name for each in checks if each.outcome is Outcome.FAILED)


def _actions(
    found: TableState, ranged: Sequence[Ranged], free: Sequence[ManagedPartition], rules: Retention, now: DateTime
) -> Iterator[Action]:
    cutoff, today = rules.cutoff(now), found.clock
    # PostgreSQL refuses DETACH CONCURRENTLY on a table with a default partition.
    concurrently = not any(each.is_default for each in found.partitions)
    for lower, upper, partition in free:
        reason = f"[{lower.isoformat()}, {upper.isoformat()}) is before {cutoff.isoformat(timespec='seconds')}"
        yield Detach(partition, concurrently, reason, kept=rules.action is Retire.DETACH)
        yield from _end(rules, Detached(partition.table, today, (lower, upper)), today, reason)

    begun = [
        Detached(partition.table, today, (lower, upper))
        for lower, upper, partition in managed(ranged)
        if partition.detach_pending and partition.table in found.intended
    ]
    for each in (*begun, *found.detached):
        if not each.kept and each.ends and each.ends[1] <= cutoff and not rules.holds(*each.ends):
            reason = f"retention detached it at {each.since.isoformat(timespec='seconds')}"
            yield from _end(rules, each, today, reason)


def _end(rules: Retention, table: Detached, today: DateTime, reason: str) -> Iterator[Action]:
    """Yield the archive at once, and again before the drop; the drop comes after the grace period."""
    archive = rules.action is Retire.ARCHIVE
    due = rules.action is not Retire.DETACH and rules.grace_is_over(table.since, today)
    if archive and (due or not table.archived):
        yield Archive(table.table, reason)
    if due:
        yield Drop(table.table, reason, archived=archive)
