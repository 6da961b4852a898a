"""What the plan found that needs a person: reported, never touched."""

from __future__ import annotations

from collections.abc import Sequence

from pendulum import DateTime

from partition_playbook.checks import Check, Severity, check
from partition_playbook.intervals import Bounds
from partition_playbook.maintenance.ranges import Ranged
from partition_playbook.names import TableName
from partition_playbook.spec import TableSpec

# No mistake of a clock or of a spec may cost more DDL than this in one run.
MOST_CREATED = 400


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
