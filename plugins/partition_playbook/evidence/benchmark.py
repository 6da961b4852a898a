"""Time the spec's queries on the live table: before and after the migration, the same questions in the same way."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Sequence
from typing import Any

import pendulum
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.database import Limits, Session
from partition_playbook.errors import InvalidSpec
from partition_playbook.evidence import plans
from partition_playbook.evidence.plans import Plan
from partition_playbook.intervals import Bounds, bounds_at, in_zone
from partition_playbook.migration import shadow
from partition_playbook.migration.run import Run
from partition_playbook.names import TableName
from partition_playbook.spec import Query

log = logging.getLogger(__name__)

WARM_UPS, RUNS, FEWEST_RUNS = 2, 9, 3
BUDGET_SECONDS = 60.0  # a query that takes long is asked fewer times, so that its benchmark ends
LIMITS = Limits(statement_timeout=600_000)


def benchmark(run: Run, stage: str) -> None:
    """Record the median time and buffers of every query of the spec, with all runs and the whole median plan."""
    for query in run.spec.queries:
        found = measure(run, compose(run, query.sql))
        record(run, stage, query, found)


def measure(run: Run, query: sql.Composed) -> list[Plan]:
    """Run a query some times on the live table, warm, in read-only transactions; return the plans by total time."""
    found: list[Plan] = []
    with run.database.session(LIMITS, search_path=run.table.search_path) as session:
        started = time.perf_counter()
        for count in range(WARM_UPS + RUNS):
            plan = plans.parse(ask(session, "snapshot/explain_query", query=query))
            found += [plan] if count >= WARM_UPS else []
            if len(found) >= FEWEST_RUNS and time.perf_counter() - started > BUDGET_SECONDS:
                break
    return sorted(found, key=lambda plan: plan.total_ms)


def ask(session: Session, name: str, **parts: sql.Composed) -> Any:
    """Return the value of one statement that holds SQL of the spec, read-only and rolled back.

    In a pipeline the server refuses a second statement in the text, which could end the transaction.
    """
    session.connection.read_only = True
    with session.connection.pipeline(), session.connection.transaction(force_rollback=True):
        return session.value(name, **parts)


def record(run: Run, stage: str, query: Query, found: Sequence[Plan]) -> None:
    """Record what a query took; the median plan is that of the run with the median time."""
    median = found[len(found) // 2]
    log.info("%s: %.2f ms, %d buffers, median of %d", query.name, median.total_ms, median.buffers, len(found))
    run.ledger.measure(
        stage,
        query.name,
        median.total_ms,
        "ms",
        planning_ms=median.planning_ms,
        execution_ms=median.execution_ms,
        buffers=statistics.median_low([plan.buffers for plan in found]),
        planning_buffers=median.planning_buffers,
        plan=dict(median.root),
        runs=[plan.total_ms for plan in found],
    )


def compose(run: Run, template: str, table: TableName | None = None, interval: Bounds | None = None) -> sql.Composed:
    """Fill in the table, by default the live one, its partition column and an interval, by default the run's own.

    InvalidSpec where braces hold others.
    """
    with run.database.session() as session:
        kind = catalog.require(session, run.table).column(run.spec.partition_by).type
    lower, upper = (interval or asked_interval(run)).literals(kind)
    try:
        return sql.SQL(template).format(
            table=(table or run.table).identifier,
            partition_by=sql.Identifier(run.spec.partition_by),
            interval_start=sql.Literal(lower),
            interval_end=sql.Literal(upper),
        )
    except (KeyError, IndexError, ValueError) as error:
        remedy = "Braces may hold table, partition_by, interval_start and interval_end; write { as {{"
        raise InvalidSpec(f"queries: {error} in {template!r}", where=run.spec.table, remedy=remedy) from error


def asked_interval(run: Run) -> Bounds:
    """Return the whole past interval that the queries ask for: chosen once a run, in the middle of the data."""
    noted = run.ledger.measurements("benchmark").get("asked_interval")
    if noted:
        start = pendulum.parse(noted["detail"]["lower"])
        assert isinstance(start, pendulum.DateTime)
        return bounds_at(run.spec.interval, in_zone(start, run.spec.timezone))
    with run.database.session() as session:
        chosen = _middle(session, run)
    detail = {"lower": chosen.lower.isoformat(), "upper": chosen.upper.isoformat()}
    run.ledger.measure("benchmark", "asked_interval", None, "interval", **detail)
    return chosen


def _middle(session: Session, run: Run) -> Bounds:
    """Choose the middle one of the intervals that are over and, where there are any, filled from end to end."""
    found = shadow.find_range(session, run.spec)
    bounds = shadow.planned_bounds(session, run.spec)
    past = [each for each in bounds if each.upper <= pendulum.now("UTC")] or bounds[:1]
    if found["oldest"] is None:
        return past[-1]
    oldest, newest = (in_zone(found[end], run.spec.timezone) for end in ("oldest", "newest"))
    touched = [each for each in past if each.overlaps(oldest, newest)] or past
    whole = [each for each in touched if oldest <= each.lower and each.upper <= newest] or touched
    return whole[len(whole) // 2]
