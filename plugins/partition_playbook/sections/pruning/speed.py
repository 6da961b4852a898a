"""Compare the times and pages of the spec's queries with those before, and with the retired table now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from partition_playbook import catalog, figures
from partition_playbook.benchmark.comparison import (
    DEGRADED,
    FEW_PAGES,
    MATERIAL_MS,
    MATERIAL_PAGES,
    NOTICED_MS,
    Finding,
    Interval,
    compare,
    surely_slower,
)
from partition_playbook.benchmark.measure import compose_query, measure
from partition_playbook.checks import Check, Severity, check
from partition_playbook.database import Row
from partition_playbook.run import Run
from partition_playbook.spec import Query

BEFORE, AFTER = "before", "after"
TURNS = 3

WAIVER = (
    "A person may waive this check at the gate go_no_go_pruning, with a reason. Or set `criterion: false` on the query "
    "in the spec of the next run, or lower the param min_speedup"
)
REMEDIES = {
    Finding.REACHED: "",
    Finding.MISSED: "Weigh the gains of retention, vacuum and indexes in the report; the checks arrival_order and "
    f"speedup_possible of preflight say what the reads of such a table can gain. {WAIVER}",
    Finding.CANNOT_TELL: "The difference is within the spread of the runs, so it stops nothing. For a verdict, compare "
    "a longer read, or rehearse while the server is idle",
}


@dataclass(frozen=True)
class Gain:
    """The saved time and pages of a query as shares of one; negative if it takes more than before."""

    before: Row
    after: Row

    @property
    def time(self) -> float:
        """Return the saved share of its time, planning included."""
        return 1.0 - float(self.after["value"]) / max(float(self.before["value"]), 1e-6)

    @property
    def pages(self) -> float:
        """Return the saved share of its shared buffers."""
        return 1.0 - float(self.after["detail"]["buffers"]) / max(float(self.before["detail"]["buffers"]), 1.0)

    @property
    def by_time(self) -> bool:
        """Return True if time decides; if it executes under MATERIAL_MS pages do, as its time is mostly planning."""
        return max(float(each["detail"]["execution_ms"]) for each in (self.before, self.after)) >= MATERIAL_MS

    @property
    def judged(self) -> float:
        """Return the share that decides."""
        return self.time if self.by_time else self.pages

    def found(self, least: float) -> Finding:
        """Compare the runs with the share to save; a difference within their spread is no verdict."""
        if self.by_time:
            return compare(_times(self.before), _times(self.after), least, NOTICED_MS)
        before, after = _pages(self.before), _pages(self.after)
        found = compare(before, after, least, max(FEW_PAGES, DEGRADED * before.high))
        few = max(before.high, after.high) <= MATERIAL_PAGES
        return Finding.CANNOT_TELL if few and found is Finding.MISSED else found

    @property
    def apart(self) -> bool:
        """Return True if the median is surely greater than before."""
        return _times(self.after).low > _times(self.before).high

    @property
    def surely_slower(self) -> bool:
        """Return True if it is surely slower by more than DEGRADED and NOTICED_MS."""
        return surely_slower(_times(self.before), _times(self.after))

    def __str__(self) -> str:
        then, now = self.before, self.after
        if self.by_time:
            gained = figures.gain(self.time)
        else:
            pages = figures.gain(self.pages, "fewer pages", "more pages", "as many pages as before")
            gained = f"{pages} (executed under {figures.milliseconds(MATERIAL_MS)} in memory, so pages decide)"
        times = f"{figures.milliseconds(then['value'])} before, {figures.milliseconds(now['value'])} after"
        return f"{gained}: {times}; {_spread(then, now)}; {_parts(then, now)}"


def _times(row: Row) -> Interval:
    return Interval.of(row["detail"]["runs"])


def _pages(row: Row) -> Interval:
    """Return the interval of the pages; a run of an earlier version has only their median."""
    return Interval.of(row["detail"].get("pages") or [row["detail"]["buffers"]])


def _spread(before: Row, after: Row) -> str:
    """Describe the intervals of the medians and the number of runs behind them."""
    then, now = _times(before), _times(after)
    ranges = [f"{figures.milliseconds(each.low)} to {figures.milliseconds(each.high)}" for each in (then, now)]
    overlap = "" if then.low > now.high or now.low > then.high else ", which overlap"
    counts = f"{len(before['detail']['runs'])} and {figures.count(len(after['detail']['runs']), 'run')}"
    return f"medians within {' and '.join(ranges)}{overlap} ({counts})"


def _parts(before: Row, after: Row) -> str:
    then, now = before["detail"], after["detail"]
    planning = [figures.milliseconds(each["planning_ms"]) for each in (then, now)]
    pages = [figures.number(each["buffers"]) for each in (then, now)]
    return f"planning {' and '.join(planning)}, pages {' and '.join(pages)}"


@dataclass(frozen=True)
class Turn:
    """A query measured on the retired table and right after it on the live one, under the same load of the server."""

    retired: Interval
    live: Interval

    @property
    def slower(self) -> bool:
        """Return True if the live table is surely slower than the retired one."""
        return surely_slower(self.retired, self.live)

    @property
    def gain(self) -> str:
        """Return the saved share of the time, from the middles of both intervals."""
        then, now = (each.low + each.high for each in (self.retired, self.live))
        return figures.gain(1.0 - now / max(then, 1e-6))


@dataclass(frozen=True)
class Turns:
    """Measures a query on both tables by turns, once for all checks that need it."""

    _run: Run
    _taken: dict[str, list[Turn] | None] = field(default_factory=dict)

    def of(self, query: Query) -> list[Turn] | None:
        """Return TURNS turns of a query; None without a retired table."""
        if query.name not in self._taken:
            self._taken[query.name] = self._measure(query)
        return self._taken[query.name]

    def _measure(self, query: Query) -> list[Turn] | None:
        with self._run.database.session() as session:
            if catalog.describe(session, self._run.table.retired) is None:
                return None
        return [self._turn(query) for _ in range(TURNS)]

    def _turn(self, query: Query) -> Turn:
        run = self._run
        retired, live = (measure(run, compose_query(run, query, table)) for table in (run.table.retired, run.table))
        return Turn(*(Interval.of([plan.total_ms for plan in found]) for found in (retired, live)))


def speedup_check(query: Query, before: Row | None, after: Row, min_speedup: float, turns: Turns) -> Check:
    """Return a check; it fails if the query surely saved less than ``min_speedup``, and warns if the runs cannot tell.

    A miss by time is confirmed by turns with the retired table: a server that is busy now slows both. Without
    `criterion` the check is an info.
    """
    name = f"speedup_{query.name}"
    expected = (
        f"at least {figures.percent(min_speedup)} less time than before, planning included (min_speedup "
        f"{min_speedup}), or fewer pages if it executes under {figures.milliseconds(MATERIAL_MS)}"
    )
    if before is None:
        return check(
            name,
            False,
            expected=expected,
            actual="no evidence: there is no baseline",
            remedy="Start a new run: snapshot.benchmark_before takes the baseline, before the migration",
        )

    gain = Gain(before, after)
    found, confirmed = _confirmed(gain, min_speedup, query, turns)
    severity = Severity.ERROR if found is Finding.MISSED else Severity.WARNING

    return check(
        name,
        found is Finding.REACHED,
        expected=expected,
        actual=f"{'cannot tell: ' if found is Finding.CANNOT_TELL else ''}{gain}{confirmed}",
        severity=severity if query.criterion else Severity.INFO,
        remedy=REMEDIES[found],
        evidence={
            BEFORE: _figures(before),
            AFTER: _figures(after),
            "speedup": gain.judged,
            "time": gain.time,
            "pages": gain.pages,
            "criterion": query.criterion,
            "found": found.value,
        },
    )


def _confirmed(gain: Gain, least: float, query: Query, turns: Turns) -> tuple[Finding, str]:
    """Return the finding, and the gains of the turns if they were needed to confirm a miss."""
    found = gain.found(least)
    taken = turns.of(query) if found is Finding.MISSED and gain.by_time and query.criterion else None
    if taken is None:
        return found, ""
    missed = all(compare(each.retired, each.live, least, NOTICED_MS) is Finding.MISSED for each in taken)
    told = f"; by turns with the retired table: {', '.join(each.gain for each in taken)}"
    return (found if missed else Finding.CANNOT_TELL), told


def _figures(row: Row) -> dict[str, Any]:
    kept = ("planning_ms", "execution_ms", "buffers", "runs")
    return {"total_ms": row["value"]} | {name: row["detail"][name] for name in kept}


def regression_checks(run: Run, before: Mapping[str, Row], after: Mapping[str, Row], turns: Turns) -> list[Check]:
    """Return two checks: an error for a query that is surely slower, a warning for a median apart from the one before.

    An error needs every turn with the retired table too: if that is slow as well, the partitions are not the cause.
    """
    queries = {query.name: query for query in run.spec.queries if query.name in before}
    compared = {name: Gain(before[name], after[name]) for name in queries}
    surely = {
        name: gain
        for name, gain in compared.items()
        if gain.surely_slower and all(each.slower for each in turns.of(queries[name]) or ())
    }
    possibly = {
        name: gain for name, gain in compared.items() if gain.time < -DEGRADED and gain.apart and name not in surely
    }

    return [
        check(
            "regressions",
            bool(compared) and not surely,
            expected=f"no query surely slower by more than {figures.percent(DEGRADED)} and "
            f"{figures.milliseconds(NOTICED_MS)}, than before and than the retired table now",
            actual=_slower_queries(surely) or f"none of {figures.count(len(compared), 'query', 'queries')}",
            remedy="Compare the plans of these queries in the report with those before. Roll back with "
            "partition_rollback, or waive the check at the gate go_no_go_pruning if the other gains outweigh the loss",
            evidence={name: gain.time for name, gain in compared.items()},
        ),
        check(
            "small_regressions",
            not possibly,
            expected=f"no median more than {figures.percent(DEGRADED)} slower than before, beyond the spread of the "
            "runs",
            actual=_slower_queries(possibly) or "none",
            severity=Severity.WARNING,
            remedy="Use prepared statements for these queries: planning visits every partition, and a generic plan "
            "saves it",
        ),
    ]


def _slower_queries(slower: Mapping[str, Gain]) -> str:
    return "; ".join(
        f"{name} by {figures.percent(-gain.time)}, from {figures.milliseconds(gain.before['value'])} to "
        f"{figures.milliseconds(gain.after['value'])}"
        for name, gain in slower.items()
    )
