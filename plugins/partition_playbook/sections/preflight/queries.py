"""Check the queries of the spec before the run starts: it keeps its spec, so nothing can be corrected later."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import psycopg
from pendulum import DateTime

from partition_playbook import figures
from partition_playbook.benchmark import plans
from partition_playbook.benchmark.comparison import MATERIAL_PAGES
from partition_playbook.benchmark.measure import LIMITS, ask, choose_interval, compose_query, evaluate
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.errors import InvalidSpec, PreconditionFailed, SourceChanged
from partition_playbook.intervals import Bounds, IdMoment, bounds_at
from partition_playbook.run import Run
from partition_playbook.sections.preflight.context import PreflightContext
from partition_playbook.sections.preflight.server import SYNTHETIC_ROW_BYTES
from partition_playbook.spec import Query

PAGE_BYTES = 8192
Range = tuple[DateTime, DateTime]


def queries(context: PreflightContext) -> Check:
    """Plan each query of the spec; without one that has a range, nothing would prove the pruning."""
    spec = context.run.spec
    problems = [f"{query.name}: {problem}" for query in spec.queries if (problem := _plan_problem(context, query))]
    if not any(query.since or query.until for query in spec.queries):
        problems.append("no query has `since` or `until`" if spec.queries else "the spec has no query")

    return check(
        "queries",
        not problems,
        expected="queries that the server accepts, at least one of them with a range",
        actual="; ".join(problems) or f"{figures.count(len(spec.queries), 'query', 'queries')} planned",
        remedy="Correct `queries` in the spec. A GO needs a query with `since` or `until`, to prove that partitions "
        "are pruned: add one, or remove the key for the default queries. With `criterion: false` no speed is judged",
    )


def query_ranges(context: PreflightContext) -> Check:
    """Evaluate `since` and `until` of each query.

    NULL passes: the expression may read a table without rows, before a rehearsal generates them.
    """
    run, interval = context.run, _current(context)
    ends = [(query.name, end) for query in run.spec.queries for end in (query.since, query.until) if end is not None]
    found = [(name, _problem_of(partial(evaluate, run, end, interval))) for name, end in ends]
    return check(
        "query_ranges",
        not any(problem for _, problem in found),
        expected="`since` and `until` of each query give "
        f"{'a number' if run.spec.interval.is_ids else 'a timestamp or a date'}",
        actual="; ".join(f"{name}: {problem}" for name, problem in found if problem)
        or f"{figures.count(len(run.spec.queries), 'query', 'queries')} evaluated",
        remedy="Correct `since` and `until` of these queries in the spec: SQL expressions, or left out for an open end",
    )


def _current(context: PreflightContext) -> Bounds:
    return bounds_at(context.run.spec.interval, context.present)


def _plan_problem(context: PreflightContext, query: Query) -> str:
    """Return the problem of a query's SQL; empty if the server plans it, and the plan reads the table."""
    read: set[tuple[str | None, str | None]] = set()

    def plan() -> None:
        composed = compose_query(context.run, query, interval=_current(context))
        with context.run.database.session(LIMITS, search_path=context.run.table.search_path) as session:
            found = plans.parse(ask(session, "benchmark/plan_query", query=composed))
        read.update((node.schema, node.relation) for node in found.nodes())

    if problem := _problem_of(plan):
        return problem
    table = context.run.table
    return "" if (table.schema, table.name) in read or "{table}" in query.sql else f"it does not read {table}"


def _problem_of(step: Callable[[], object]) -> str:
    """Return the error of the spec in a step; empty without one. A lost connection or a lock timeout is raised."""
    try:
        step()
    except (InvalidSpec, SourceChanged) as error:
        # A session takes an unknown column for one that changed meanwhile; here the spec names it.
        cause = error.__cause__
        return (isinstance(cause, psycopg.Error) and cause.diag.message_primary) or error.problem
    except psycopg.Error as error:
        if isinstance(error, psycopg.OperationalError) and not isinstance(error, psycopg.errors.QueryCanceled):
            raise
        return error.diag.message_primary or str(error)
    return ""


def speedup_possible(context: PreflightContext) -> Check:
    """Warn of queries that cannot save `min_speedup` by skipping partitions, and of a table too small to tell."""
    least = context.params.min_speedup
    judged = [query for query in context.run.spec.queries if query.criterion] if least else []
    expected = f"each query with a criterion can save {figures.percent(least)} (min_speedup {least})"
    if not judged:
        return skipped("speedup_possible", "no query is judged by its speed", expected=expected)
    try:
        rows, past = _range_of_rows(context), choose_interval(context.run.spec, context.rows_range, context.bounds)
    except PreconditionFailed:
        return skipped("speedup_possible", "no partitions are planned: see partitions_planned", expected=expected)
    if rows is None:
        return skipped("speedup_possible", "the table has no row yet", expected=expected)

    problems = [f"{query.name}: {problem}" for query in judged if (problem := _shortfall(context, query, rows, past))]
    pages = _pages(context)
    if pages <= MATERIAL_PAGES:
        problems.append(f"the table has {figures.count(pages, 'page')} with its indexes: too small to tell")

    return check(
        "speedup_possible",
        not problems,
        expected=expected,
        actual="; ".join(problems) or f"{figures.count(len(judged), 'query', 'queries')} can",
        severity=Severity.WARNING,
        remedy="Set `criterion: false` on these queries in the spec, or lower the param min_speedup. Otherwise the "
        "gate go_no_go_pruning may ask a person for a waiver, after the cutover. Only rows that are stored in another "
        "order than time gain more, see arrival_order",
    )


def _range_of_rows(context: PreflightContext) -> Range | None:
    """Return the oldest and the newest partition value, synthetic rows included; None without a row."""
    spec, found = context.run.spec, context.rows_range
    ends = [] if found["oldest"] is None else [spec.codec.moment(found[end]) for end in ("oldest", "newest")]
    if context.params.synthetic_rows:
        ends += _synthetic_ends(context)
    return (min(ends), max(ends)) if ends else None


def _synthetic_ends(context: PreflightContext) -> tuple[DateTime, DateTime]:
    spec, now = context.run.spec, context.present
    if isinstance(now, IdMoment):
        return now, IdMoment.of(now.number + context.params.synthetic_rows)
    return spec.synthetic_start(now), now


def _shortfall(context: PreflightContext, query: Query, rows: Range, past: Bounds) -> str:
    """Return why a query cannot save `min_speedup`; empty if it can. Rows are taken for evenly spread over time."""
    if query.since is None and query.until is None:
        return "without `since` and `until` it skips no partition"

    oldest, newest = rows
    since, until = (_moment(context.run, end, past) for end in (query.since, query.until))
    if (since and since > newest) or (until and until <= oldest):
        return f"its range has no row; the rows are from {oldest} to {newest}"

    interval = context.run.spec.interval
    first = bounds_at(interval, max(since or oldest, oldest)).lower
    last = bounds_at(interval, min(until or newest, newest)).upper
    whole = (newest - oldest).total_seconds()
    read = (min(last, newest) - max(first, oldest)).total_seconds() / whole if whole else 1.0
    if read <= 1 - context.params.min_speedup:
        return ""
    return (
        f"the partitions of its range cover {figures.percent(read)} of the "
        f"{'ids' if interval.is_ids else 'time'} of the rows, so skipping the others "
        f"saves at most {figures.percent(1 - read)}"
    )


def _moment(run: Run, expression: str | None, past: Bounds) -> DateTime | None:
    """Return one end of a range; None for an open end, and for one that the check query_ranges refuses."""
    found: list[DateTime | None] = []
    if expression is None or _problem_of(lambda: found.append(evaluate(run, expression, past))):
        return None
    (value,) = found
    return value


def _pages(context: PreflightContext) -> int:
    size = context.session.value("engine/find_size", context.name)
    return int(size + context.params.synthetic_rows * SYNTHETIC_ROW_BYTES) // PAGE_BYTES
