"""Prove from the plans that only the partitions in question are read, and measure what that gains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pendulum import DateTime

from partition_playbook import catalog
from partition_playbook.catalog import Partition
from partition_playbook.checks import Check, check, skipped
from partition_playbook.database import Row
from partition_playbook.evidence.benchmark import benchmark, compose
from partition_playbook.evidence.gains import gains
from partition_playbook.evidence.plans import Node, Plan
from partition_playbook.intervals import in_zone
from partition_playbook.migration.run import Run
from partition_playbook.spec import Query

__all__ = ["checks", "gains"]

BEFORE, AFTER = "before", "after"
DEGRADED = 0.1

Span = tuple[DateTime | None, DateTime | None]


def checks(run: Run, min_speedup: float) -> list[Check]:
    """Benchmark the spec's queries once more, then read their plans and compare their times."""
    # now() moves while the benchmark runs: a range is taken at both ends of it.
    spans = [asked(run)]
    benchmark(run, AFTER)
    spans.append(asked(run))
    before, after = run.ledger.measurements(BEFORE), run.ledger.measurements(AFTER)
    with run.database.session() as session:
        partitions = catalog.partitions(session, run.table)
    pruned = [
        pruning_check(run, query, after[query.name], partitions, [each[query.name] for each in spans])
        for query in run.spec.queries
    ]
    faster = [speedup_check(name, before.get(name), after[name], min_speedup) for name in _names(run)]
    return [*pruned, *faster, regression_check(_names(run), before, after)]


def _names(run: Run) -> list[str]:
    return [query.name for query in run.spec.queries]


def asked(run: Run) -> dict[str, Span]:
    """Evaluate on the server the range of time that each query covers; an open end is None."""
    return {query.name: (_moment(run, query.since), _moment(run, query.until)) for query in run.spec.queries}


def _moment(run: Run, expression: str | None) -> DateTime | None:
    if expression is None:
        return None
    with run.database.session() as session:
        value = session.value("pruning/evaluate_moment", moment=compose(run, expression))
    return in_zone(value, run.spec.timezone)


@dataclass(frozen=True)
class Scanned:
    """What a plan says of the partitions: the rows of each one that ran, and how many were never planned or begun."""

    rows: Mapping[str, float]
    removed: int
    never_executed: Sequence[str]


def scanned(plan: Plan, partitions: Sequence[Partition]) -> Scanned:
    """Read from a plan which partitions ran."""
    known = {(each.table.schema, each.table.name) for each in partitions}
    leaves: list[Node] = [node for node in plan.nodes() if (node.schema, node.relation) in known]
    ran = {node.relation for node in leaves if not node.never_executed}
    rows = {str(name): sum(node.rows * node.loops for node in leaves if node.relation == name) for name in ran}
    idle = sorted({str(node.relation) for node in leaves} - rows.keys())
    return Scanned(rows, plan.subplans_removed, idle)


def pruning_check(
    run: Run, query: Query, measured: Row, partitions: Sequence[Partition], spans: Sequence[Span]
) -> Check:
    """Return the check that no partition ran that the query's range does not touch."""
    name = f"pruned_{query.name}"
    if query.since is None and query.until is None:
        return skipped(name, "the query has neither `since` nor `until`, so every partition may be read")
    found = scanned(_plan(measured["detail"]), partitions)
    allowed = {each.table.name for each in partitions if _touched(run, each, spans)}
    default = next((each.table.name for each in partitions if each.is_default), None)
    problems = list(_problems(found, allowed, default))
    return check(
        name,
        not problems,
        expected=f"nothing but the {len(allowed)} of {len(partitions)} partitions that the query's range touches",
        actual="; ".join(problems) or f"{len(found.rows)} partitions ran: {', '.join(sorted(found.rows))}",
        remedy="Compare the query's WHERE clause with its `since` and `until`: a comparison with the bare partition "
        "column prunes, a function of it does not",
        evidence={
            "ran": dict(sorted(found.rows.items())),
            "allowed": sorted(allowed),
            "removed_at_start": found.removed,
            "never_executed": found.never_executed,
        },
    )


def _plan(detail: Mapping[str, Any]) -> Plan:
    return Plan(detail["planning_ms"], detail["execution_ms"], detail["buffers"], 0, detail["plan"])


def _touched(run: Run, partition: Partition, spans: Sequence[Span]) -> bool:
    ends = partition.ends(run.spec.timezone)
    if partition.is_default or ends is None:
        return True
    lower, upper = ends
    return any(
        (since is None or upper is None or since < upper) and (until is None or lower is None or until > lower)
        for since, until in spans
    )


def _problems(found: Scanned, allowed: set[str], default: str | None) -> Iterator[str]:
    if not found.rows:
        yield "no partition ran: the plan is not one of this table"
    yield from (f"{name} ran and should not" for name in sorted(found.rows.keys() - allowed))
    if default and found.rows.get(default):
        yield f"{default} returned {found.rows[default]:.0f} rows"


def speedup(before: Row, after: Row) -> float:
    """Return by how much of its time a query got faster; negative where it got slower."""
    return 1.0 - float(after["value"]) / max(float(before["value"]), 1e-6)


def speedup_check(name: str, before: Row | None, after: Row, min_speedup: float) -> Check:
    """Return the check that a query is as much faster as was asked for, planning included."""
    if before is None:
        return check(
            f"speedup_{name}",
            False,
            expected=f"at least {min_speedup:.0%} faster than before",
            actual="no evidence: there is no baseline",
            remedy="The baseline is taken in the snapshot section, before the migration",
        )
    gained = speedup(before, after)
    return check(
        f"speedup_{name}",
        gained >= min_speedup,
        expected=f"at least {min_speedup:.0%} faster than before",
        actual=f"{gained:.0%} faster: {before['value']:.3f} ms before, {after['value']:.3f} ms after; "
        f"{_spread(before, after)}; {_parts(before, after)}",
        remedy="Where rows arrived in time order, reads gain nothing from partitions: see the gains beside this check",
        evidence={BEFORE: _figures(before), AFTER: _figures(after), "speedup": gained},
    )


def _figures(row: Row) -> dict[str, Any]:
    kept = ("planning_ms", "execution_ms", "buffers", "runs")
    return {"total_ms": row["value"]} | {name: row["detail"][name] for name in kept}


def _spread(before: Row, after: Row) -> str:
    """Say how far the runs lie apart; medians whose runs overlap are no sure difference."""
    then, now = sorted(before["detail"]["runs"]), sorted(after["detail"]["runs"])
    text = f"runs from {then[0]:.3f} to {then[-1]:.3f} and from {now[0]:.3f} to {now[-1]:.3f}"
    overlap = then[0] <= now[-1] and now[0] <= then[-1]
    return f"{text}, which overlap" if overlap else text


def _parts(before: Row, after: Row) -> str:
    then, now = before["detail"], after["detail"]
    planning = f"planning {then['planning_ms']:.3f} and {now['planning_ms']:.3f} ms"
    return f"{planning}, buffers {then['buffers']} and {now['buffers']}"


def regression_check(names: Sequence[str], before: Mapping[str, Row], after: Mapping[str, Row]) -> Check:
    """Return the check that no query got slower, whatever the others gained."""
    compared = {name: speedup(before[name], after[name]) for name in names if name in before}
    slower = {name: gained for name, gained in compared.items() if gained < -DEGRADED}
    told = ", ".join(f"{name} by {-gained:.0%}" for name, gained in slower.items())
    return check(
        "regressions",
        bool(compared) and not slower,
        expected=f"no query more than {DEGRADED:.0%} slower than before",
        actual=f"slower: {told}" if slower else f"none of {len(compared)} queries",
        remedy="Weigh what these queries lose against what the others and retention gain",
        evidence=compared,
    )
