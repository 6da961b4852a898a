"""Check partition pruning in the plans of the spec's queries, and compare their times with those before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from partition_playbook import catalog, figures
from partition_playbook.benchmark.measure import benchmark
from partition_playbook.benchmark.plans import Node, Plan
from partition_playbook.benchmark.ranges import Span, query_spans
from partition_playbook.catalog import Partition
from partition_playbook.checks import Check, check, skipped
from partition_playbook.database import Row
from partition_playbook.run import Run
from partition_playbook.sections.pruning.speed import AFTER, BEFORE, Turns, regression_checks, speedup_check
from partition_playbook.spec import Query

FEW_NAMED = 12


def pruning_checks(run: Run, min_speedup: float) -> list[Check]:
    """Benchmark the spec's queries again, check the pruning in their plans, and compare their times.

    ``min_speedup`` is a share of one. The retired table may be measured too, to confirm a miss or a regression.
    """
    # now() advances during the benchmark: evaluate each range before and after it.
    spans = [query_spans(run)]
    benchmark(run, AFTER)
    spans.append(query_spans(run))

    before, after = run.ledger.measurements(BEFORE), run.ledger.measurements(AFTER)
    with run.database.session() as session:
        partitions = catalog.partitions(session, run.table)

    pruned = [
        pruning_check(run, query, after[query.name], partitions, [each[query.name] for each in spans])
        for query in run.spec.queries
    ]
    turns = Turns(run)
    faster = [
        speedup_check(each, before.get(each.name), after[each.name], min_speedup, turns) for each in run.spec.queries
    ]
    return [*pruned, *faster, *regression_checks(run, before, after, turns)]


@dataclass(frozen=True)
class Scanned:
    """The partitions in a plan: rows of each executed one, number removed at executor start, names never executed."""

    rows: Mapping[str, float]
    removed: int
    never_executed: Sequence[str]


def scanned(plan: Plan, partitions: Sequence[Partition]) -> Scanned:
    """Return the partitions that a plan read, removed or never executed."""
    known = {(each.table.schema, each.table.name) for each in partitions}
    leaves: list[Node] = [node for node in plan.nodes() if (node.schema, node.relation) in known]
    ran = {node.relation for node in leaves if not node.never_executed}
    rows = {str(name): sum(node.rows * node.loops for node in leaves if node.relation == name) for name in ran}
    idle = sorted({str(node.relation) for node in leaves} - rows.keys())
    return Scanned(rows, plan.subplans_removed, idle)


def pruning_check(
    run: Run, query: Query, measured: Row, partitions: Sequence[Partition], spans: Sequence[Span]
) -> Check:
    """Return a check; it fails if the plan read a partition outside every span of the query's range."""
    name = f"pruned_{query.name}"
    if query.since is None and query.until is None:
        return skipped(name, "the query has neither `since` nor `until`: it may read every partition")

    found = scanned(_plan(measured["detail"]), partitions)
    allowed = {each.table.name for each in partitions if _touched(run, each, spans)}
    default = next((each.table.name for each in partitions if each.is_default), None)
    problems = list(_problems(found, allowed))

    return check(
        name,
        not problems,
        expected=f"a scan of at most {len(allowed)} of {figures.count(len(partitions), 'partition')}: those in the "
        "range",
        actual="; ".join(problems)
        or f"{figures.count(len(found.rows), 'partition')} scanned: {_listed(found, default) or 'none'}"
        f"{_from_default(found, default)}",
        remedy="Compare the WHERE clause of the query with its `since` and `until`. A comparison with the bare "
        "partition column prunes; a comparison with a function of it does not",
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
    ends = partition.ends(run.spec.codec)
    if partition.is_default or ends is None:
        return True
    lower, upper = ends
    return any(
        (since is None or upper is None or since < upper) and (until is None or lower is None or until > lower)
        for since, until in spans
    )


def _problems(found: Scanned, allowed: set[str]) -> Iterator[str]:
    read = found.rows or found.removed or found.never_executed
    # Where no partition overlaps the range, a plan that prunes has none of them.
    if not read and allowed:
        yield "no partition ran: the plan does not read this table"
    yield from (f"{name} was scanned but is outside the range" for name in sorted(found.rows.keys() - allowed))


def _listed(found: Scanned, default: str | None) -> str:
    """Return a few names, or the first and the last one: a week of hours has 168 partitions."""
    names, last = sorted(found.rows.keys() - {default}), sorted(found.rows.keys() & {default})
    shown = [f"{names[0]} to {names[-1]}"] if len(names) > FEW_NAMED else names
    return ", ".join([*shown, *last])


def _from_default(found: Scanned, default: str | None) -> str:
    """Name rows of the default partition, which every range has to read; the check default_empty says what to do."""
    rows = found.rows.get(default or "", 0)
    return f"; {default} returned {figures.count(rows, 'row')}" if rows else ""
