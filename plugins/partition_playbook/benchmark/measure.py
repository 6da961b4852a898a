"""Time the spec's queries on the live table, in the same way before and after the migration."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pendulum
from pendulum import DateTime
from psycopg import sql

from partition_playbook import catalog, figures
from partition_playbook.benchmark import plans
from partition_playbook.benchmark.plans import Plan
from partition_playbook.database import Limits, Row, Session
from partition_playbook.engine import layout
from partition_playbook.errors import InvalidSpec
from partition_playbook.intervals import Bounds, bounds_at, in_zone
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.spec import Query, TableSpec

log = logging.getLogger(__name__)

WARM_UPS, RUNS, FEWEST_RUNS = 2, 9, 3
BUDGET_SECONDS = 60.0  # a slow query has fewer runs, so its benchmark ends
LIMITS = Limits(statement_timeout=600_000)


def benchmark(run: Run, stage: str) -> None:
    """Time every query of the spec and record median time and buffers, all runs, and the whole median plan.

    ``stage`` is the stage of the measurements in the ledger. InvalidSpec for a query with unknown braces.
    """
    for query in run.spec.queries:
        text = compose_query(run, query)
        record(run, stage, query, measure(run, text), text.as_string())


def measure(run: Run, query: sql.Composed, limits: Limits | None = None) -> list[Plan]:
    """Run a query repeatedly with warm caches, in read-only transactions; return the plans by total time.

    FEWEST_RUNS to RUNS plans follow WARM_UPS discarded ones; BUDGET_SECONDS ends the runs of a slow query.
    """
    found: list[Plan] = []
    with run.database.session(limits or LIMITS, search_path=run.table.search_path) as session:
        session.run("benchmark/restore_jit")
        started = time.perf_counter()
        for count in range(WARM_UPS + RUNS):
            plan = plans.parse(ask(session, "benchmark/explain_query", query=query))
            found += [plan] if count >= WARM_UPS else []
            if len(found) >= FEWEST_RUNS and time.perf_counter() - started > BUDGET_SECONDS:
                break
    return sorted(found, key=lambda plan: plan.total_ms)


def ask(session: Session, name: str, **parts: sql.Composed) -> Any:
    """Return the value of one statement with SQL of the spec, in a read-only transaction that is rolled back.

    In pipeline mode the server refuses a second statement in the text; it could commit and leave the transaction.
    """
    session.connection.read_only = True
    with session.connection.pipeline(), session.connection.transaction(force_rollback=True):
        return session.value(name, **parts)


def record(run: Run, stage: str, query: Query, found: Sequence[Plan], text: str) -> None:
    """Record the query's text, the times in ms and the buffers of all runs, and the plan with the median time."""
    median = found[len(found) // 2]
    cost = f"{figures.milliseconds(median.total_ms)}, {figures.count(median.buffers, 'buffer')}"
    log.info("%s: %s, median of %s", query.name, cost, figures.count(len(found), "run"))
    run.ledger.record_measurement(
        stage,
        query.name,
        median.total_ms,
        "ms",
        planning_ms=median.planning_ms,
        execution_ms=median.execution_ms,
        buffers=statistics.median_low([plan.buffers for plan in found]),
        planning_buffers=median.planning_buffers,
        sql=text.strip(),
        plan=dict(median.root),
        runs=[plan.total_ms for plan in found],
        pages=[plan.buffers for plan in found],
    )


def compose_query(
    run: Run, query: Query, table: TableName | None = None, interval: Bounds | None = None
) -> sql.Composed:
    """Fill the braces of a query's SQL, those of both ends of its range too; see ``compose``."""
    ends = {"since": query.since, "until": query.until}
    used = {name: end for name, end in ends.items() if end is not None and f"{{{name}}}" in query.sql}
    ends_of_range = {name: _end(run, end, interval) for name, end in used.items()}
    return compose(run, query.sql, table, interval, ends=ends_of_range)


def _end(run: Run, expression: str, interval: Bounds | None) -> sql.Composable:
    """Return one end of a range: its expression, or the first key of its moment in a column with an encoding."""
    codec = run.spec.codec
    if codec.encoding is None or codec.is_ids:
        return compose(run, expression, interval=interval)
    moment = evaluate(run, expression, interval)
    return sql.Literal(None if moment is None else codec.first_key(moment))


def evaluate(run: Run, expression: str, interval: Bounds | None = None) -> DateTime | None:
    """Return the moment of one end of a range; InvalidSpec if it is no timestamp, date or NULL, with ids no number."""
    moment = compose(run, expression, interval=interval, keys=False)
    with run.database.session(LIMITS, search_path=run.table.search_path) as session:
        value = ask(session, "benchmark/evaluate_moment", moment=moment)
    if value is None:
        return None
    if run.spec.interval.is_ids and isinstance(value, int | Decimal):
        return run.spec.codec.moment(value)
    if isinstance(value, date) and not run.spec.interval.is_ids:
        return in_zone(value, run.spec.timezone)
    raise no_moment(run, expression, repr(value))


def no_moment(run: Run, expression: str, found: str) -> InvalidSpec:
    """Return the error of an end of a range that is no moment."""
    problem = f"`{expression}` is {found}, not {'a number' if run.spec.interval.is_ids else 'a timestamp or a date'}"
    return InvalidSpec(problem, where=run.spec.table, remedy="Correct `since` and `until` of the spec's queries")


def compose(
    run: Run,
    template: str,
    table: TableName | None = None,
    interval: Bounds | None = None,
    *,
    keys: bool = True,
    ends: Mapping[str, sql.Composable] | None = None,
) -> sql.Composed:
    """Fill the braces of a query: the table, by default the live one, its partition column, and an interval.

    The interval is by default the run's own. With ``keys`` its ends are values of the partition column, otherwise
    moments. Ranges of ids have keys in any case. InvalidSpec for unknown braces.
    """
    with run.database.session() as session:
        kind = catalog.require(session, run.table).column(run.spec.partition_by).type
    asked, codec = interval or asked_interval(run), run.spec.codec
    lower, upper = codec.literals(asked, kind) if keys or codec.is_ids else asked.literals(kind)
    try:
        return sql.SQL(template).format(
            table=(table or run.table).identifier,
            partition_by=sql.Identifier(run.spec.partition_by),
            interval_start=sql.Literal(lower),
            interval_end=sql.Literal(upper),
            **(ends or {}),
        )
    except (KeyError, IndexError, ValueError) as error:
        remedy = (
            "Use only table, partition_by, interval_start and interval_end in braces, and since and until in `sql` of "
            "a query that has these keys itself, beside its `sql`; write { as {{ and } as }}"
        )
        raise InvalidSpec(f"queries: {error} in {template!r}", where=run.spec.table, remedy=remedy) from error


def asked_interval(run: Run) -> Bounds:
    """Return the past interval for the queries: chosen once per run in the middle of the data, then from the ledger."""
    recorded = run.ledger.measurements("benchmark").get("asked_interval")
    if recorded and run.spec.interval.is_ids:
        return bounds_at(run.spec.interval, run.spec.codec.moment(recorded["detail"]["lower"]))
    if recorded:
        start = pendulum.parse(recorded["detail"]["lower"])
        assert isinstance(start, pendulum.DateTime)
        return bounds_at(run.spec.interval, in_zone(start, run.spec.timezone))

    with run.database.session() as session:
        found = layout.find_range(session, run.spec)
    chosen = choose_interval(run.spec, found, layout.bounds_for(found, run.spec))
    lower, upper = chosen.lower.isoformat(), chosen.upper.isoformat()
    run.ledger.record_measurement("benchmark", "asked_interval", None, "interval", lower=lower, upper=upper)
    return chosen


def choose_interval(spec: TableSpec, found: Row, bounds: Sequence[Bounds]) -> Bounds:
    """Choose the middle one of the past intervals, if possible of those with data from end to end.

    ``found`` has the oldest and the newest partition value, ``bounds`` are the planned ones.
    """
    present = layout.present(found, spec)
    past = [each for each in bounds if each.upper <= present] or list(bounds[:1])
    if found["oldest"] is None:
        return past[-1]

    oldest, newest = (spec.codec.moment(found[end]) for end in ("oldest", "newest"))
    touched = [each for each in past if each.overlaps(oldest, newest)] or past
    whole = [each for each in touched if oldest <= each.lower and each.upper <= newest] or touched
    return whole[len(whole) // 2]
