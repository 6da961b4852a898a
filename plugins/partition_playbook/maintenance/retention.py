"""Decide what retention does: what is too old and free to go, what holds it back, what stops all of it; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pendulum import DateTime

from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.maintenance import findings
from partition_playbook.maintenance.actions import Action, Archive, Detach, Drop
from partition_playbook.maintenance.found import Detached, Found
from partition_playbook.maintenance.ranges import Own, Ranged, own
from partition_playbook.spec import Retention, Retire


@dataclass(frozen=True)
class Retirement:
    """What retention does, what it found, and the names of the checks for which it does nothing."""

    actions: tuple[Action, ...] = ()
    findings: tuple[Check, ...] = ()
    stops: tuple[str, ...] = ()


def retire(
    found: Found, ranged: Sequence[Ranged], rules: Retention, now: DateTime, *, keep_last: bool, shown: bool
) -> Retirement:
    """Detach what lies wholly before the cutoff, archive and drop what stood detached through its grace period.

    Nothing goes where a clock is implausible, nor, unless it is only ``shown``, where nothing newer has come or too
    much would go at once.
    """
    cutoff = rules.cutoff(now)
    attached = [each for each in own(ranged) if not each[2].detach_pending]
    old = [each for each in (attached[:-1] if keep_last else attached) if each[1] <= cutoff]
    referred = {partition.table: keys for _, _, partition in old if (keys := found.references.get(partition.table))}
    free = [each for each in old if each[2].table not in referred and not rules.holds(*each[:2])]
    clocks = (findings.cutoff_check(cutoff, found.clock), findings.time_check(found.last_event, found.clock))
    severity = Severity.WARNING if shown else Severity.ERROR
    doubts = (
        findings.newest_check(cutoff, found.newest, len(free), severity),
        findings.share_check(rules, len(free), len(attached), severity),
    )
    stops = (*_failed(clocks), *(() if shown else _failed(doubts)))
    actions = () if stops else tuple(_actions(found, ranged, free, rules, now))
    ranges = [(partition.table, lower, upper) for lower, upper, partition in old]
    ranges += [(each.table, *each.ends) for each in found.detached if each.ends]
    others = (findings.references_check(referred), *findings.hold_checks(rules, ranges))
    return Retirement(actions, (*clocks, *doubts, *others), stops)


def _failed(checks: Iterable[Check]) -> tuple[str, ...]:
    return tuple(each.name for each in checks if each.outcome is Outcome.FAILED)


def _actions(
    found: Found, ranged: Sequence[Ranged], free: Sequence[Own], rules: Retention, now: DateTime
) -> Iterator[Action]:
    cutoff, today = rules.cutoff(now), found.clock
    concurrently = not any(each.is_default for each in found.partitions)
    for lower, upper, partition in free:
        reason = f"[{lower.isoformat()}, {upper.isoformat()}) lies before {cutoff.isoformat(timespec='seconds')}"
        yield Detach(partition, concurrently, reason, kept=rules.action is Retire.DETACH)
        yield from _end(rules, Detached(partition.table, today, (lower, upper)), today, reason)
    begun = [
        Detached(partition.table, today, (lower, upper))
        for lower, upper, partition in own(ranged)
        if partition.detach_pending and partition.table in found.intended
    ]
    for each in (*begun, *found.detached):
        if not each.kept and each.ends and each.ends[1] <= cutoff and not rules.holds(*each.ends):
            reason = f"retention detached it at {each.since.isoformat(timespec='seconds')}"
            yield from _end(rules, each, today, reason)


def _end(rules: Retention, table: Detached, today: DateTime, reason: str) -> Iterator[Action]:
    """Archive at once, and look at the archive again before the drop, which comes after the grace period."""
    archive = rules.action is Retire.ARCHIVE
    due = rules.action is not Retire.DETACH and rules.grace_is_over(table.since, today)
    if archive and (due or not table.archived):
        yield Archive(table.table, reason)
    if due:
        yield Drop(table.table, reason, archived=archive)
