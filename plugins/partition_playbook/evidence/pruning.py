"""Prove from the plans that only the partitions in question are read, and measure what that gains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pendulum
import psycopg
from pendulum import DateTime

from partition_playbook import catalog
from partition_playbook.catalog import Partition
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Row
from partition_playbook.errors import InvalidSpec
from partition_playbook.evidence.benchmark import LIMITS, ask, benchmark, compose, measure
from partition_playbook.evidence.gains import gains
from partition_playbook.evidence.plans import Node, Plan
from partition_playbook.evidence.precondition import Look
from partition_playbook.intervals import Bounds, bounds_at, in_zone
from partition_playbook.migration.run import Run
from partition_playbook.spec import Query

__all__ = ["checks", "gains"]

BEFORE, AFTER = "before", "after"
DEGRADED = 0.1
# A read that takes less comes from memory, and planning is most of it: the pages it touches say what it will cost when
# the table outgrows the memory.
MATERIAL_MS = 5.0
NOTICED_MS = 1.0
TURNS = 3

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
    faster = [speedup_check(each, before.get(each.name), after[each.name], min_speedup) for each in run.spec.queries]
    return [*pruned, *faster, *regression_checks(run, before, after)]


def asked(run: Run) -> dict[str, Span]:
    """Evaluate on the server the range of time that each query covers; an open end is None."""
    return {query.name: (_moment(run, query.since), _moment(run, query.until)) for query in run.spec.queries}


def _moment(run: Run, expression: str | None) -> DateTime | None:
    if expression is None:
        return None
    value = _evaluate(run, expression)
    if value is None:
        raise _no_moment(run, expression, "NULL")
    return in_zone(value, run.spec.timezone)


def _evaluate(run: Run, expression: str, interval: Bounds | None = None) -> date | None:
    with run.database.session(LIMITS, search_path=run.table.search_path) as session:
        value = ask(session, "pruning/evaluate_moment", moment=compose(run, expression, interval=interval))
    if value is None or isinstance(value, date):
        return value
    raise _no_moment(run, expression, repr(value))


def _no_moment(run: Run, expression: str, found: str) -> InvalidSpec:
    problem = f"`{expression}` is {found}, and neither a moment nor a day"
    return InvalidSpec(problem, where=run.spec.table, remedy="Correct `since` and `until` of the spec's queries")


def query_ranges(look: Look) -> Check:
    """Evaluate the ends of each query's range: a run keeps its spec, so that after the cutover it is too late.

    NULL may be one that is read from a table whose rows a rehearsal has not made yet.
    """
    lately = bounds_at(look.run.spec.interval, pendulum.now(look.run.spec.timezone))
    problems = list(_unasked(look.run, lately))
    return check(
        "query_ranges",
        not problems,
        expected="`since` and `until` of each query are a moment or a day",
        actual="; ".join(problems) or f"{len(look.run.spec.queries)} queries, as expected",
        remedy="Correct them in the spec: an SQL expression each, or none where the range is open",
    )


def _unasked(run: Run, interval: Bounds) -> Iterator[str]:
    ends = [(query.name, end) for query in run.spec.queries for end in (query.since, query.until) if end is not None]
    for name, end in ends:
        try:
            _evaluate(run, end, interval)
        except InvalidSpec as error:
            yield f"{name}: {error.problem}"
        except psycopg.Error as error:
            if isinstance(error, psycopg.OperationalError) and not isinstance(error, psycopg.errors.QueryCanceled):
                raise  # a lost connection or a lock is not the spec's fault: a retry can help
            yield f"{name}: {error.diag.message_primary or error}"


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


@dataclass(frozen=True)
class Gain:
    """What a query gained: its share of time and of pages, negative where it lost."""

    before: Row
    after: Row

    @property
    def time(self) -> float:
        """Return the share of its time, planning included, that it no longer takes."""
        return 1.0 - float(self.after["value"]) / max(float(self.before["value"]), 1e-6)

    @property
    def pages(self) -> float:
        """Return the share of the pages that it no longer touches."""
        return 1.0 - float(self.after["detail"]["buffers"]) / max(float(self.before["detail"]["buffers"]), 1.0)

    @property
    def by_time(self) -> bool:
        """Tell whether time decides: under MATERIAL_MS everything is in memory and time is mostly planning."""
        return max(float(self.before["value"]), float(self.after["value"])) >= MATERIAL_MS

    @property
    def judged(self) -> float:
        """Return the gain that decides."""
        return self.time if self.by_time else self.pages

    @property
    def surely_slower(self) -> bool:
        """Tell whether even the fastest run now is slower than the median before, by more than noise and a glance."""
        return _slower(float(self.before["value"]), min(self.after["detail"]["runs"]))

    def __str__(self) -> str:
        then, now = self.before, self.after
        reason = "" if self.by_time else f" (under {MATERIAL_MS:g} ms in memory, so pages decide)"
        return (
            f"{self.judged:.0%} {'faster' if self.by_time else 'fewer pages'}{reason}: "
            f"{then['value']:.3f} ms before, {now['value']:.3f} ms after; {_spread(then, now)}; {_parts(then, now)}"
        )


def speedup_check(query: Query, before: Row | None, after: Row, min_speedup: float) -> Check:
    """Return the check that a query gained what was asked for; one that is no criterion is measured all the same."""
    name = f"speedup_{query.name}"
    expected = (
        f"at least {100 * min_speedup:.6g}% less time than before, planning included, or pages where all is in memory"
    )
    if before is None:
        return check(
            name,
            False,
            expected=expected,
            actual="no evidence: there is no baseline",
            remedy="The baseline is taken in the snapshot section, before the migration",
        )
    gain = Gain(before, after)
    return check(
        name,
        gain.judged >= min_speedup,
        expected=expected,
        actual=gain,
        severity=Severity.ERROR if query.criterion else Severity.INFO,
        remedy="Where rows arrived in time order, reads gain nothing from partitions: see the gains beside this check",
        evidence={
            BEFORE: _figures(before),
            AFTER: _figures(after),
            "speedup": gain.judged,
            "time": gain.time,
            "pages": gain.pages,
            "criterion": query.criterion,
        },
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
    return f"{planning}, pages {then['buffers']} and {now['buffers']}"


def regression_checks(run: Run, before: Mapping[str, Row], after: Mapping[str, Row]) -> list[Check]:
    """Return the checks that no query got slower, whatever the others gained: surely, and at all."""
    queries = {query.name: query for query in run.spec.queries if query.name in before}
    compared = {name: Gain(before[name], after[name]) for name in queries}
    surely = {
        name: gain for name, gain in compared.items() if gain.surely_slower and slower_than_retired(run, queries[name])
    }
    at_all = {name: gain for name, gain in compared.items() if gain.time < -DEGRADED and name not in surely}
    return [
        check(
            "regressions",
            bool(compared) and not surely,
            expected=f"no query more than {DEGRADED:.0%} and {NOTICED_MS:g} ms slower than before and than the retired "
            "table is now, even at its fastest",
            actual=_told(surely) or f"none of {len(compared)} queries",
            remedy="Weigh what these queries lose against what the others and retention gain",
            evidence={name: gain.time for name, gain in compared.items()},
        ),
        check(
            "small_regressions",
            not at_all,
            expected=f"no median more than {DEGRADED:.0%} slower than before",
            actual=_told(at_all) or "none",
            severity=Severity.WARNING,
            remedy="Planning looks at every partition: prepared statements plan once",
        ),
    ]


def slower_than_retired(run: Run, query: Query) -> bool:
    """Ask both tables in turns: what is slow on the retired one too is the server's hour, not the partitions' doing."""
    with run.database.session() as session:
        if catalog.describe(session, run.table.retired) is None:
            return True
    return all(_slower_by_turns(run, query) for _ in range(TURNS))


def _slower_by_turns(run: Run, query: Query) -> bool:
    then, now = (measure(run, compose(run, query.sql, table)) for table in (run.table.retired, run.table))
    return _slower(then[len(then) // 2].total_ms, now[0].total_ms)


def _slower(median: float, fastest: float) -> bool:
    return fastest > median * (1 + DEGRADED) and fastest - median > NOTICED_MS


def _told(slower: Mapping[str, Gain]) -> str:
    return "; ".join(
        f"{name} by {-gain.time:.0%}, {gain.before['value']:.3f} to {gain.after['value']:.3f} ms"
        for name, gain in slower.items()
    )
