"""Check before the cutover that the application's statements run on the partitioned table, and that they prune."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pendulum
from psycopg import sql

from partition_playbook import figures
from partition_playbook.benchmark.measure import compose, compose_query
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.engine.sides import Sides, sides
from partition_playbook.run import Run
from partition_playbook.spec import Acceptance
from partition_playbook.workload import statement_statistics, trigger_trial
from partition_playbook.workload.pruning_trial import MOST_READ
from partition_playbook.workload.statement_planner import LIMITS, PlannedStatement, PlanResult, StatementPlanner
from partition_playbook.workload.statement_risks import WeakerKeys, moves_rows, reliances, repeat_safely
from partition_playbook.workload.statement_statistics import ObservedStatement, Statistics

SHOWN, CUT, KEPT = 5, 200, 100
NOT_TRIED_REMEDY = (
    "Nothing is known of the statements that were not tried. Run EXPLAIN for each on the shadow in psql, with values "
    "of your application"
)
NAMES = (
    "workload_runs",
    "workload_prunes",
    "workload_explained",
    "workload_deduplicates",
    "workload_moves_rows",
    "workload_locks",
)


@dataclass(frozen=True)
class Workload:
    """All statements that reference the table, planned; shares are of these statements."""

    planned: Sequence[PlannedStatement]

    @cached_property
    def not_tried(self) -> list[PlannedStatement]:
        """Return the statements of which nothing is known; they are no pass."""
        return self.with_result(PlanResult.NOT_TRIED)

    @property
    def remainder(self) -> str:
        """Return the number of statements that were not tried, in words; empty for none."""
        untried = figures.count(len(self.not_tried), "statement")
        return f"; {untried} not tried, see workload_explained" if self.not_tried else ""

    @cached_property
    def calls(self) -> int:
        """Return the number of calls of all statements."""
        return sum(each.statement.calls for each in self.planned)

    @cached_property
    def total_ms(self) -> float:
        """Return the execution time of all statements in ms."""
        return sum(each.statement.total_ms for each in self.planned)

    def with_result(self, result: PlanResult) -> list[PlannedStatement]:
        """Return the statements with this result, by total time, the longest first."""
        found = [each for each in self.planned if each.result is result]
        return sorted(found, key=lambda each: (-each.statement.total_ms, each.statement.text))

    def shares(self, some: Iterable[PlannedStatement]) -> tuple[float, float]:
        """Return the share of all calls and of all time of some statements."""
        listed = [each.statement for each in some]
        calls, total = sum(each.calls for each in listed), sum(each.total_ms for each in listed)
        return calls / max(self.calls, 1), total / self.total_ms if self.total_ms else 0.0


def workload_checks(run: Run) -> list[Check]:
    """Plan the statements of the workload on the shadow; those of the spec if the server has recorded none.

    Tries the BEFORE row triggers on the shadow too, in a transaction that is rolled back. Everything else only reads.
    All checks are skipped if the partitioned table is live already.
    """
    with run.database.session(LIMITS) as session:
        session.connection.read_only = True
        now = sides(session, run)

        if now.live.is_partitioned:
            reason = "the partitioned table is live already"
            return [skipped(name, reason) for name in ("workload_seen", *NAMES, trigger_trial.NAME)]

        statistics = statement_statistics.read(session, run.table)
        planner = StatementPlanner(session, now, run.spec.codec)
        workload = Workload(list(planner.plan_all(statistics.statements)))
        seen = _seen_check(run, statistics, workload)
        if not workload.planned:
            workload = Workload(list(planner.plan_all(_of_spec(run))))
        share = session.value("workload/find_lock_share")

    return [
        seen,
        *(_judge(run, statistics, workload, now, share) if workload.planned else _nothing_to_try()),
        trigger_trial.before_trigger_check(run, now.require_standby()),
    ]


def _judge(run: Run, statistics: Statistics, workload: Workload, now: Sides, share: int) -> list[Check]:
    return [
        _runs_check(statistics, workload, now),
        _prunes_check(run, workload, now),
        _explained_check(workload),
        _deduplicates_check(run, statistics, workload, now),
        _moves_check(workload, now),
        _locks_check(workload, share),
    ]


def _nothing_to_try() -> list[Check]:
    reason = "no statement, query or probe reads or writes the table, so nothing was tried"
    return [skipped(name, reason) for name in NAMES]


def _of_spec(run: Run) -> list[ObservedStatement]:
    """Return the queries and probes of the spec."""
    named = [(f"query {each.name}", compose_query(run, each)) for each in run.spec.queries]
    named += [(f"probe {each.name}", compose(run, each.sql)) for each in run.spec.application.probes]
    return [
        ObservedStatement(text.as_string(None).strip().removesuffix(";"), run.table.search_path, label=label)
        for label, text in named
    ]


def _seen_check(run: Run, statistics: Statistics, workload: Workload) -> Check:
    name, expected = "workload_seen", "the application's statements from pg_stat_statements"
    spec = "only the queries and probes of the spec are planned"
    if not statistics.installed:
        return skipped(name, f"{statistics.problem}: {spec}", expected=expected)

    gaps = list(_gaps(statistics))
    many = (
        f"{figures.count(len(workload.planned), 'statement')} on the table, {figures.count(workload.calls, 'call')} "
        f"since {statistics.since}"
    )
    utility = [
        each for each in statistics.statements if each.parsed.is_utility and each.parsed.references_to(run.table)
    ]
    left_out = f"; {figures.count(len(utility), 'utility statement')} left out" if utility else ""
    return check(
        name,
        bool(workload.planned) and not gaps,
        expected=expected,
        actual="; ".join([*gaps, many if workload.planned else f"no statement on the table: {spec}"]) + left_out,
        severity=Severity.WARNING,
        remedy="GRANT pg_read_all_stats to the role of the connection and raise pg_stat_statements.max. Let the "
        "application run until each of its statements was called once, then clear this task",
        evidence={
            "statements": len(workload.planned),
            "calls": workload.calls,
            "total_ms": round(workload.total_ms, 1),
        },
    )


def _gaps(statistics: Statistics) -> Iterator[str]:
    if statistics.problem:
        yield statistics.problem
    if statistics.hidden:
        yield f"{figures.count(statistics.hidden, 'call')} of other roles are hidden (<insufficient privilege>)"
    if not statistics.complete:
        yield f"the list ends at {figures.count(statement_statistics.MOST, 'statement')}, by total time"
    if statistics.forgotten:
        yield f"the server evicted its rarest statements {figures.count(statistics.forgotten, 'time')}"


def _runs_check(statistics: Statistics, workload: Workload, now: Sides) -> Check:
    failing = workload.with_result(PlanResult.FAILS)
    good = len(workload.planned) - len(failing) - len(workload.not_tried)
    key = ", ".join(now.change_log_columns)

    return check(
        "workload_runs",
        not failing and not workload.not_tried,
        expected="every statement of the live table runs on the partitioned table",
        actual=(_listed(workload, failing) or f"{figures.count(good, 'statement')} would run") + workload.remainder,
        severity=Severity.ERROR if failing else Severity.WARNING,
        remedy=f"Change these statements first: ON CONFLICT and GROUP BY must name the new key ({key}), and COPY "
        f"(SELECT …) TO replaces COPY … TO. A unique index on ({key}) lets ON CONFLICT name it today already: see "
        "docs/your-keys.md. " + statistics.last_steps(each.statement for each in failing)
        if failing
        else NOT_TRIED_REMEDY,
        evidence=_evidence(workload, failing),
    )


def _prunes_check(run: Run, workload: Workload, now: Sides) -> Check:
    """Tell each statement by the partitions that it reads with typical values, the widest first."""
    told = [replace(each, reason=str(each.reads)) for each in workload.planned if each.most_read]
    told.sort(key=lambda each: (-each.most_read, -each.statement.total_ms))
    wide = [replace(each, reason=str(each.reads)) for each in workload.with_result(PlanResult.READS_MOST)]
    widest = f"at most: {_line(told[0])}" if told else "no statement reads a partition"

    return check(
        "workload_prunes",
        not wide and not workload.not_tried,
        expected=f"no statement reads over {figures.percent(MOST_READ)} of the partitions with rows, for typical "
        f"values of {now.partition_by}",
        actual=(_listed(workload, wide) or widest) + workload.remainder,
        severity=Severity.WARNING,
        remedy=f"Add a comparison with {now.partition_by} to the statements with a large share: without it they read "
        "every partition. An upper bound alone needs a lower one beside it. A LIMIT, or a value from a subquery or "
        f"join, may still read fewer at execution{_rewrite(run)}"
        if wide
        else NOT_TRIED_REMEDY,
        evidence=_evidence(workload, wide) | {"reads": [_raw(workload, each) for each in told[:KEPT]]},
    )


def _rewrite(run: Run) -> str:
    """Return the comparison that stands for a range of moments, for a partition column with an encoding."""
    spec, codec = run.spec, run.spec.codec
    if codec.encoding is None:
        return ""
    if codec.is_ids:
        return f". A range of another column prunes nothing here; write a range of {spec.partition_by} beside it"
    week = pendulum.now(spec.timezone).subtract(days=7).start_of("day")
    first = codec.first_key(week)
    by, key = sql.Identifier(spec.partition_by), sql.Literal(first if isinstance(first, int) else str(first))
    comparison = sql.SQL("{} >= {}").format(by, key).as_string(None)
    return (
        f". A range of another column prunes nothing here. Write {comparison} beside it for rows since {week}: the "
        f"smallest key of encoding {codec.encoding} for that moment"
    )


def _explained_check(workload: Workload) -> Check:
    return check(
        "workload_explained",
        not workload.not_tried,
        expected="every statement was tried",
        actual=f"not tried: {_listed(workload, workload.not_tried)}" if workload.not_tried else "all tried",
        severity=Severity.WARNING,
        remedy=NOT_TRIED_REMEDY,
        evidence=_evidence(workload, workload.not_tried),
    )


def _deduplicates_check(run: Run, statistics: Statistics, workload: Workload, now: Sides) -> Check:
    keys = WeakerKeys.of(now.live, now.partition_by)
    found = []
    for each in workload.planned:
        places = [one.place for one in reliances(each.statement.parsed, now.live.table_name, keys) if not one.fails]
        if places:
            found.append(replace(each, reason="; ".join(places)))

    old = ", ".join(keys.columns[0]) if keys.columns else ""
    how = f", or search under a lock: {repeat_safely(now.live, keys)}" if keys.columns else ""
    return check(
        "workload_deduplicates",
        not found,
        expected=f"no repeated write relies on a key without {now.partition_by}",
        actual=_listed(workload, found) or "none",
        severity=Severity.WARNING if Acceptance.UPSERTS in run.spec.accept else Severity.ERROR,
        remedy=f"After the cutover ({old}) alone is not unique: a repeated write with another {now.partition_by} adds "
        f"a second row. Repeat it with the same {now.partition_by}{how}. Then add `accept: [upserts]` to the spec, or "
        "change the statement. " + statistics.last_steps(each.statement for each in found),
        evidence=_evidence(workload, found),
    )


def _moves_check(workload: Workload, now: Sides) -> Check:
    table, by = now.live.table_name, now.partition_by
    found = [each for each in workload.planned if moves_rows(each.statement.parsed, table, by)]
    return check(
        "workload_moves_rows",
        not found,
        expected=f"no statement sets {by}",
        actual=_listed(workload, found) or "none",
        severity=Severity.WARNING,
        remedy=f"Leave {by} out of SET if its value stays, and repeat each transaction that fails with SQLSTATE 40001: "
        "a concurrent write to a row that moves to another partition fails so, in READ COMMITTED too",
        evidence=_evidence(workload, found),
    )


def _locks_check(workload: Workload, share: int) -> Check:
    """Tell the locks of each statement: a generic plan locks every partition, also those it prunes."""
    most = sorted((each for each in workload.planned if each.locks), key=lambda each: -each.locks)
    wide = [replace(each, reason=figures.count(each.locks, "lock")) for each in most if each.locks > share]
    return check(
        "workload_locks",
        not wide,
        expected=f"no generic plan locks more than {share} partitions and indexes, which is max_locks_per_transaction",
        actual=_listed(workload, wide)
        or (f"at most {figures.count(most[0].locks, 'lock')}" if most else "none planned"),
        severity=Severity.WARNING,
        remedy="Raise max_locks_per_transaction above this number and restart the server, or let these clients set "
        "plan_cache_mode = force_custom_plan: a custom plan locks only the partitions that it reads",
        evidence=_evidence(workload, [replace(each, reason=figures.count(each.locks, "lock")) for each in most]),
    )


def _listed(workload: Workload, some: Sequence[PlannedStatement]) -> str:
    if not some:
        return ""
    calls, total = workload.shares(some)
    share = (
        f", {figures.percent(calls)} of the calls and {figures.percent(total)} of the time" if workload.calls else ""
    )
    more = f"; and {len(some) - SHOWN} more" if len(some) > SHOWN else ""
    return f"{len(some)} of {len(workload.planned)}{share}: " + "; ".join(map(_line, some[:SHOWN])) + more


def _line(planned: PlannedStatement) -> str:
    statement = planned.statement
    cost = f"{figures.count(statement.calls, 'call')}, {figures.milliseconds(statement.total_ms)}"
    reason = f": {planned.reason}" if planned.reason else ""
    return f"[{statement.label or cost}] {_cut(statement)}{reason}"


def _cut(statement: ObservedStatement) -> str:
    text = " ".join(statement.text[: 10 * CUT].split())
    return text if len(text) <= CUT else text[:CUT] + " …"


def _evidence(workload: Workload, some: Sequence[PlannedStatement]) -> dict[str, Any]:
    return {"statements": [_raw(workload, each) for each in some[:KEPT]], "count": len(some)}


def _raw(workload: Workload, planned: PlannedStatement) -> dict[str, Any]:
    statement, (calls, total) = planned.statement, workload.shares([planned])
    return {
        "query": _cut(statement),
        "calls": statement.calls,
        "total_ms": round(statement.total_ms, 3),
        "label": statement.label,
        "share_of_calls": round(calls, 6),
        "share_of_time": round(total, 6),
        "reason": planned.reason,
        "partitions_read": planned.reads.most if planned.reads else None,
        "partitions_with_rows": planned.reads.of if planned.reads else None,
    }
