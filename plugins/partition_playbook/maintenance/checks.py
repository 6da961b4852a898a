"""The checks of a plan: states to be corrected by a person. They report and change nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from pendulum import DateTime

from partition_playbook import figures
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.intervals import Bounds
from partition_playbook.maintenance.ranges import ManagedPartition, Ranged, is_first, is_last
from partition_playbook.maintenance.state import TableState
from partition_playbook.maintenance.widths import Width
from partition_playbook.names import TableName
from partition_playbook.runway import Schedule
from partition_playbook.spec import Retention, TableSpec

# A wrong clock or spec must not cost more DDL than this in one run.
MOST_CREATED = 400
# Time synchronization sets clocks back by moments; more than this is a wrong clock.
MOST_SET_BACK = timedelta(hours=1)
# The cutoff of a number of months may move by so much more than the time: `3 months` before the ends of February and
# of March are 33 days apart. Of other periods it moves by the time, and a run may be late.
MONTH_ENDS = timedelta(days=3)


def too_many_to_create_check(count: int) -> Check:
    """Check that the number of missing partitions is plausible."""
    return check(
        "too_many_to_create",
        count <= MOST_CREATED,
        expected=f"at most {figures.count(MOST_CREATED, 'partition')} to create",
        actual=f"{figures.count(count, 'partition')} to create",
        remedy="None was created. Check the clock, the bounds of the oldest partition, and `interval` and `premake` in "
        "the spec. Then trigger partition_maintenance again",
    )


def unmanaged_check(
    spec: TableSpec, ranged: Sequence[Ranged], earlier: Sequence[Width] = (), column_type: str = ""
) -> Check:
    """Check that every partition is one whole interval of the spec, or of an earlier one."""
    outer = [each for each in ranged if is_first(spec, each) or is_last(spec, each, column_type)]
    foreign = [each for each in ranged if each.foreign and each not in outer]
    return check(
        "unmanaged_partitions",
        not foreign,
        expected=f"every partition is one whole {' or '.join(map(str, (Width.of(spec), *earlier)))}",
        actual="; ".join(map(str, foreign))
        or f"{figures.count(len(ranged), 'partition')}, each one whole "
        f"{' or '.join([spec.interval.noun, *dict.fromkeys(each.interval.noun for each in earlier)])}",
        remedy="Maintenance never changes these. Correct `interval` or `timezone` in the spec, or replace them by "
        "hand. If another program made them by an earlier interval, run partition_maintenance once with that "
        "`interval`, then change it",
        severity=Severity.WARNING,
    )


def column_holds_ranges_check(
    spec: TableSpec, found: TableState, unheld: Sequence[Bounds], now: DateTime
) -> list[Check]:
    """Return the check that tells of bounds that the type of the partition column cannot hold; none without any."""
    if not unheld:
        return []
    first = spec.codec.first_key(unheld[0].lower)
    last = spec.name.partition("last")
    return [
        check(
            "column_holds_ranges",
            False,
            expected=f"a type of {spec.partition_by} that holds both bounds of each partition up to the horizon",
            actual=f"{found.column_type} cannot hold {spec.codec.first_key(unheld[0].upper)}, so no partition was made "
            f"for the keys from {first} on",
            remedy="Make one partition for all keys that the type has left: CREATE TABLE "
            f"{last.quoted} PARTITION OF {spec.name.quoted} FOR VALUES FROM ('{first}') TO (MAXVALUE); "
            "if the default partition has such rows, leave them there. "
            "Copy the table to one with a wider type before its keys are used up",
            severity=Severity.ERROR if unheld[0].lower <= now else Severity.WARNING,
        )
    ]


def first_partition_check(spec: TableSpec, ranged: Sequence[Ranged], cutoff: DateTime) -> list[Check]:
    """Return the check that tells of a first partition wholly before the cutoff; none if there is no such one."""
    due = [each for each in ranged if is_first(spec, each) and each.upper and each.upper <= cutoff]
    return [
        skipped(
            "first_partition",
            f"{each.table} holds every row before {each.upper}; retention never retires it. If nobody needs these "
            f"rows, run ALTER TABLE {spec.name.quoted} DETACH PARTITION {each.table.quoted}, then DROP TABLE",
            expected="no partition for older rows wholly before the cutoff",
        )
        for each in due
    ]


def overlap_check(spec: TableSpec, held: Sequence[tuple[Bounds, Sequence[Ranged]]], now: DateTime) -> Check:
    """Check that no partition blocks the partition of an interval.

    A blocked current or future interval is an error, a past one a warning. ``held`` pairs each interval with the
    partitions that overlap it.
    """
    blocked = [(bounds, hit) for bounds, hit in held if hit and not any(each.covers(bounds) for each in hit)]
    return check(
        "no_overlaps",
        not blocked,
        expected=f"no partition that covers only part of one {spec.interval.noun}",
        actual="; ".join(f"part of {bounds} is in {', '.join(_names(hit))}" for bounds, hit in blocked) or "none",
        remedy=f"Detach these partitions, or replace them by whole {spec.interval.noun}s. "
        "Then trigger partition_maintenance again",
        severity=Severity.ERROR if any(bounds.upper > now for bounds, _ in blocked) else Severity.WARNING,
    )


def _names(ranged: Sequence[Ranged]) -> list[str]:
    return [each.table.name for each in ranged]


def stranded_check(stranded: Sequence[TableName]) -> Check:
    """Check that no table is left from a detach by retention with unknown outcome."""
    return check(
        "no_stranded_partition",
        not stranded,
        expected="no detached table without a completed detach in the ledger",
        actual=", ".join(map(str, stranded)) or "none",
        remedy="Detaching these partitions was interrupted, so retention does not drop them. "
        "Drop each with DROP TABLE, or attach it again with ALTER TABLE ... ATTACH PARTITION",
        severity=Severity.WARNING,
    )


def cutoff_check(cutoff: DateTime, clock: DateTime) -> Check:
    """Check that the cutoff is not in the future."""
    return check(
        "cutoff_in_the_past",
        cutoff <= clock,
        expected=f"a cutoff at or before the server's clock, {clock.isoformat(timespec='seconds')}",
        actual=cutoff.isoformat(timespec="seconds"),
        remedy="Nothing was detached or dropped. Correct the server's clock, or the param `as_of`",
    )


def clock_moved_back_check(last_event: DateTime | None, clock: DateTime) -> Check:
    """Check that the server's clock was not set back since the ledger's last event of the table."""
    tolerated = figures.seconds(MOST_SET_BACK.total_seconds())
    return check(
        "clock_moved_back",
        last_event is None or last_event - MOST_SET_BACK <= clock,
        expected=f"the server's clock at most {tolerated} before the ledger's last event of this table",
        actual=f"clock {clock.isoformat(timespec='seconds')}, last event "
        f"{last_event.isoformat(timespec='seconds') if last_event else 'none'}",
        remedy="Nothing was detached or dropped. Correct the clock. "
        "If it was ahead when that event was written, correct the event's `happened_at` in partition_playbook.events",
    )


def newest_check(cutoff: DateTime, newest: DateTime | None, going: int, severity: Severity) -> Check:
    """Check that a row is as new as the cutoff: without one, the clock may be wrong.

    ``going`` is the number of partitions to detach. A table without rows passes.
    """
    return check(
        "rows_after_the_cutoff",
        not going or newest is None or cutoff <= newest,
        expected=f"a row at or after the cutoff, {cutoff.isoformat(timespec='seconds')}",
        actual=f"the newest row is from {newest.isoformat(timespec='seconds')}" if newest else "no rows",
        remedy="Nothing was detached or dropped. Correct the clock or the writer. "
        "If the table has no writers any more, detach its old partitions by hand",
        severity=severity,
    )


def due_span(rules: Retention, schedule: Schedule) -> timedelta:
    """Return the longest step of the cutoff from one scheduled run to the next."""
    gap = schedule.longest_gap
    return gap + (MONTH_ENDS if rules.keeps_months else min(gap, MONTH_ENDS))


@dataclass(frozen=True)
class Share:
    """The partitions to detach, and their share of the time that the table keeps up to now.

    ``late`` are those that fell due longer ago than ``span``, the longest step of the cutoff.
    """

    going: int
    late: int
    of_time: float
    span: timedelta

    @classmethod
    def of(
        cls,
        going: Sequence[ManagedPartition],
        attached: Sequence[ManagedPartition],
        cutoff: DateTime,
        now: DateTime,
        span: timedelta,
    ) -> Share:
        """Compute the share; partitions after ``now`` do not count as kept."""
        kept = sum((min(upper, now) - lower).total_seconds() for lower, upper, _ in attached if lower < now)
        gone = sum((min(upper, now) - lower).total_seconds() for lower, upper, _ in going)
        since = cutoff - span
        return cls(len(going), sum(upper <= since for _, upper, _ in going), gone / kept if going else 0.0, span)


def share_check(rules: Retention, share: Share, severity: Severity) -> Check:
    """Check that retention detaches no more than ``max_share`` of the kept time.

    One partition may always go, and so may the partitions that fell due since the last scheduled run.
    """
    needed = ceil(100 * share.of_time) / 100
    return check(
        "retired_share",
        share.going <= 1 or not share.late or share.of_time <= rules.max_share,
        expected=f"at most {figures.percent(rules.max_share)} of the kept time detached in one run, or only partitions "
        f"that fell due in the last {figures.seconds(share.span.total_seconds())}",
        actual=f"{figures.count(share.going, 'partition')} with {figures.percent(share.of_time)} of the kept time to "
        f"detach, {share.late} of them due for longer",
        remedy="Nothing was detached or dropped. Look at the list of a run with `retention` set to `dry_run`. "
        "To detach them, trigger partition_maintenance with this `table` and with "
        f"`approve_share` {figures.decimal(needed)} or more",
        severity=severity,
    )


def references_check(referred: Mapping[TableName, Sequence[str]]) -> Check:
    """Check that no foreign key references a partition due for retention."""
    return check(
        "not_referenced",
        not referred,
        expected="no foreign key that references a partition before the cutoff",
        actual="; ".join(f"{table} is referenced by {', '.join(keys)}" for table, keys in referred.items()) or "none",
        remedy="These partitions stay attached. Drop the foreign keys, or let them reference the partitioned table",
    )


def hold_checks(rules: Retention, old: Sequence[tuple[TableName, DateTime, DateTime]]) -> list[Check]:
    """Return the check with the partitions on hold and their reasons; no check if the spec has no hold."""
    held = [f"{table} stays: {each.reason}" for table, lower, upper in old for each in rules.holds(lower, upper)]
    expected = "no partition before the cutoff on hold"
    if held:
        return [skipped("hold", "; ".join(held), expected=expected)]
    return [check("hold", True, expected=expected, actual="none")] if rules.hold else []
