"""What the plan found that needs a person: reported, never touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from math import ceil

from pendulum import DateTime

from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.intervals import Bounds
from partition_playbook.maintenance.ranges import Ranged
from partition_playbook.names import TableName
from partition_playbook.spec import Retention, TableSpec

# No mistake of a clock or of a spec may cost more DDL than this in one run.
MOST_CREATED = 400
# Clocks are set back by moments all the time; this much is a wrong one.
MOST_SET_BACK = timedelta(hours=1)


def amount_check(count: int) -> Check:
    """Return the check that a plausible number of partitions is missing."""
    return check(
        "plausible_plan",
        count <= MOST_CREATED,
        expected=f"at most {MOST_CREATED} partitions to create",
        actual=f"{count} to create",
        remedy="None was created. Look at the clock, `interval`, `premake` and the bounds of the oldest partition",
    )


def foreign_check(spec: TableSpec, ranged: Sequence[Ranged]) -> Check:
    """Return the check that every partition is one that the spec would have made."""
    foreign = [each for each in ranged if each.foreign]
    return check(
        "own_partitions",
        not foreign,
        expected=f"every partition is one whole {spec.interval} in {spec.timezone}",
        actual="; ".join(map(str, foreign)) or f"{len(ranged)} partitions, all of them are",
        remedy="These are never touched: replace them by hand, or correct `interval` and `timezone` in the spec",
        severity=Severity.WARNING,
    )


def overlap_check(spec: TableSpec, held: Sequence[tuple[Bounds, Sequence[Ranged]]], now: DateTime) -> Check:
    """Return the check that every interval can have a partition; where a coming one cannot, rows will be refused.

    ``held`` pairs each interval with the partitions that hold any moment of it.
    """
    blocked = [(bounds, hit) for bounds, hit in held if hit and not any(each.covers(bounds) for each in hit)]
    return check(
        "no_overlaps",
        not blocked,
        expected=f"no partition holds only a part of a {spec.interval}",
        actual="; ".join(f"{', '.join(_names(hit))} hold a part of {bounds}" for bounds, hit in blocked) or "none does",
        remedy="Detach the partitions named or split them, so that the whole range can have a partition",
        severity=Severity.ERROR if any(bounds.upper > now for bounds, _ in blocked) else Severity.WARNING,
    )


def _names(ranged: Sequence[Ranged]) -> list[str]:
    return [each.table.name for each in ranged]


def stranded_check(stranded: Sequence[TableName]) -> Check:
    """Return the check that no table is left between its detach and its drop."""
    return check(
        "no_stranded_partition",
        not stranded,
        expected="no table of which it is unknown who detached it",
        actual=", ".join(map(str, stranded)) or "none",
        remedy="Retention began to detach these and did not see the end: drop them, or attach them again, by hand",
        severity=Severity.WARNING,
    )


def cutoff_check(cutoff: DateTime, clock: DateTime) -> Check:
    """Return the check that retention does not reach into the future."""
    return check(
        "cutoff_in_the_past",
        cutoff <= clock,
        expected=f"at or before the server's clock, {clock.isoformat(timespec='seconds')}",
        actual=cutoff.isoformat(timespec="seconds"),
        remedy="Nothing was detached or dropped. Correct the clock, or the moment that was asked for",
    )


def time_check(last_event: DateTime | None, clock: DateTime) -> Check:
    """Return the check that the server's clock was not set back since the ledger's last event of the table."""
    return check(
        "time_went_on",
        last_event is None or last_event - MOST_SET_BACK <= clock,
        expected="the server's clock after the ledger's last event of this table",
        actual=f"clock {clock.isoformat(timespec='seconds')}, last event "
        f"{last_event.isoformat(timespec='seconds') if last_event else 'none'}",
        remedy="Nothing was detached or dropped. Correct the clock, or, where it was ahead when that event was "
        "written, the event's `happened_at` in partition_playbook.events",
    )


def newest_check(cutoff: DateTime, newest: DateTime | None, going: int, severity: Severity) -> Check:
    """Return the check that rows came after the cutoff: no more than the clock says that this much time has gone by."""
    return check(
        "rows_after_the_cutoff",
        not going or newest is None or cutoff <= newest,
        expected=f"a row at or after the cutoff, {cutoff.isoformat(timespec='seconds')}",
        actual=f"the newest row is of {newest.isoformat(timespec='seconds')}" if newest else "no rows",
        remedy="Nothing was detached or dropped. The clock is wrong, or nothing has arrived since: correct the clock, "
        "mend what writes, or retire a table that is no longer written by hand",
        severity=severity,
    )


def share_check(rules: Retention, going: int, attached: int, severity: Severity) -> Check:
    """Return the check that retention takes no more than its share of the partitions; one may always go."""
    return check(
        "retired_share",
        going <= 1 or going / attached <= rules.max_share,
        expected=f"at most {rules.max_share:g} of the partitions in one run",
        actual=f"{going} of {attached} would go",
        remedy="Nothing was detached or dropped. Where that is right, trigger partition_maintenance by hand with "
        f"`approve_share` {ceil(100 * going / max(attached, 1)) / 100:g} or more",
        severity=severity,
    )


def references_check(referred: Mapping[TableName, Sequence[str]]) -> Check:
    """Return the check that no foreign key refers to a partition that is to go."""
    return check(
        "not_referenced",
        not referred,
        expected="no foreign key refers to a partition that is too old",
        actual="; ".join(f"{', '.join(found)} refers to {table}" for table, found in referred.items()) or "none does",
        remedy="These stay attached: drop the foreign keys named, or let them refer to the partitioned table",
    )


def hold_checks(rules: Retention, old: Sequence[tuple[TableName, DateTime, DateTime]]) -> list[Check]:
    """Return the check that tells what a hold keeps from going, and why; none where there is no hold."""
    held = [f"{table} stays: {each.reason}" for table, lower, upper in old for each in rules.holds(lower, upper)]
    expected = "no partition that is too old is on hold"
    if held:
        return [skipped("hold", "; ".join(held), expected=expected)]
    return [check("hold", True, expected=expected, actual="none is")] if rules.hold else []
