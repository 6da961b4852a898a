"""Check that every planned partition is attached, and count the rows outside of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pendulum
from psycopg import sql

from partition_playbook import catalog, figures
from partition_playbook.catalog import Partition
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Session
from partition_playbook.engine import layout
from partition_playbook.intervals import BEFORE, Bounds, bounds_at
from partition_playbook.run import Run
from partition_playbook.spec import DefaultPartition

Ranged = tuple[pendulum.DateTime, pendulum.DateTime, str]


def partition_check(run: Run, session: Session) -> Check:
    """Return a check; it fails if a planned partition is missing, or one is neither planned nor as maintenance creates.

    The plan is in the ledger, so rows that arrived after it change nothing here: they are in the default partition.
    """
    actual = catalog.partitions(session, run.table)
    expected = expected_bounds(run, session)
    problems = list(_bound_problems(run, actual, expected))
    default = "and a default" if _keeps(run) else "and no default"
    ranged = [each for each in actual if not each.is_default]
    span = f", {expected[0].lower} to {expected[-1].upper}" if expected else ""
    first = " and a first one for older rows" if run.spec.since else ""

    return check(
        "partition_count",
        not problems,
        expected=f"{figures.count(len(expected), 'planned partition')}{span}{first}, {default}, without a gap",
        actual="; ".join(problems) or f"{figures.count(len(ranged), 'partition')} {default}, without a gap",
        remedy="Trigger partition_maintenance to create missing partitions; correct the other bounds with DETACH "
        "PARTITION and ATTACH PARTITION",
        evidence={each.table.name: each.bound for each in actual},
    )


def expected_bounds(run: Run, session: Session) -> list[Bounds]:
    """Return the planned bounds of intervals, in order.

    Without a default partition they include the current interval, as rows need it.
    """
    planned = {each for load in run.ledger.loads() if (each := layout.bounds_of(load, run.spec)).is_interval}
    current = set() if _keeps(run) else {bounds_at(run.spec.interval, layout.find_present(session, run.spec))}
    return sorted(planned | current)


def _keeps(run: Run) -> bool:
    return run.spec.default_partition is DefaultPartition.KEEP


def _bound_problems(run: Run, actual: Sequence[Partition], expected: Sequence[Bounds]) -> Iterator[str]:
    if not expected:
        yield "the ledger has no planned partition"
    yield from (f"{each.table.name} has a pending DETACH … CONCURRENTLY" for each in actual if each.detach_pending)
    if _keeps(run) != any(each.is_default for each in actual):
        yield f"there is {'no' if _keeps(run) else 'a'} default partition"

    ends = {each.table.name: each.ends(run.spec.codec) for each in actual if not each.is_default}
    ranged = sorted((found[0], found[1], name) for name, found in ends.items() if found and found[0] and found[1])
    closed = {each[2] for each in ranged}
    if run.spec.since:
        first = run.table.partition(BEFORE).name
        if ends.get(first) != (None, expected[0].lower if expected else None):
            yield f"{first} does not hold every row before the planned partitions"
        closed.add(first)
    yield from (f"the bound of {name} is not one closed range" for name in ends.keys() - closed)
    yield from _gaps(ranged, expected)

    found_bounds = {(lower, upper) for lower, upper, _ in ranged}
    known = {(each.lower, each.upper) for each in expected}
    yield from (f"no partition for {each}" for each in expected if (each.lower, each.upper) not in found_bounds)
    yield from (
        f"{each[2]} was not planned" for each in ranged if each[:2] not in known and not _as_maintenance(run, each)
    )


def _gaps(ranged: Sequence[Ranged], expected: Sequence[Bounds]) -> Iterator[str]:
    """Yield the gaps between the planned bounds; maintenance may leave one beyond them, for a row far away."""
    inside = [each for each in ranged if expected and expected[0].lower <= each[0] < expected[-1].upper]
    for (_, upper, before), (lower, _, after) in pairwise(inside):
        if upper != lower:
            yield f"a gap between {before} and {after}"


def _as_maintenance(run: Run, each: Ranged) -> bool:
    """Return True for bounds and a name as partition_maintenance creates them: it may have run meanwhile."""
    lower, upper, name = each
    bounds = bounds_at(run.spec.interval, lower)
    return (bounds.lower, bounds.upper, run.table.partition(bounds.suffix).name) == (lower, upper, name)


def default_check(run: Run, session: Session) -> Check:
    """Return a warning if the default partition has rows: they came after the plan, for a time that it does not cover.

    With `until` it holds the rows after it, which do not count. PostgreSQL keeps rows of an attached partition's range
    out of the default partition.
    """
    default = next((each.table for each in catalog.partitions(session, run.table) if each.is_default), None)
    if default is None:
        return skipped("default_empty", "there is no default partition", expected="0 rows")

    by = sql.Identifier(run.spec.partition_by)
    ordered, counted = run.spec.codec.ordered(by), run.spec.unexpected_in_default
    found = session.row("validation/find_default_rows", table=default.identifier, ordered=ordered, counted=counted)
    after = f", without those after {run.spec.until}" if run.spec.until else ""
    rows = figures.count(found["rows"], "row")
    return check(
        "default_empty",
        found["rows"] == 0,
        expected=f"0 rows in the default partition{after}",
        actual=f"{rows} in {default}, from {found['oldest']} to {found['newest']}"
        if found["rows"]
        else f"0 rows in {default}{after}",
        severity=Severity.WARNING,
        remedy="These rows were written after the partitions were planned, and nothing is lost. UPDATE wrong values; "
        "partition_maintenance moves the others into partitions of their own",
        evidence={"rows": found["rows"]},
    )
