"""Measure how long the server will plan the queries of the spec, before anything is built.

The copy of a large table takes hours. The check `regressions` would refuse slower reads after it; planning depends on
the partitions and their indexes, not on their rows, so an empty temporary copy tells it in a second.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from partition_playbook import figures
from partition_playbook.benchmark import plans
from partition_playbook.benchmark.comparison import DEGRADED, NOTICED_MS, Interval, surely_slower
from partition_playbook.benchmark.measure import LIMITS, RUNS, WARM_UPS, compose_query, measure
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Limits, Session
from partition_playbook.engine import attributes
from partition_playbook.errors import InvalidSpec, PlaybookError, PreconditionFailed
from partition_playbook.intervals import Bounds, between, bounds_at
from partition_playbook.lock_retry import TRANSIENT_ERRORS
from partition_playbook.names import TableName
from partition_playbook.sections.preflight.context import PreflightContext
from partition_playbook.sections.preflight.empty_partitions import wider_choices
from partition_playbook.spec import DefaultPartition, Mode, Query

NAME = "planning_time"
# More partitions take longer to plan. These are enough to tell, and take a few locks and a second.
MOST_PARTITIONS = 200
# A difference beyond it is one after the cutover too, on a server that is as busy as now.
CERTAIN_MS = 2 * NOTICED_MS
# A query that takes so many times as long as its planning is not slowed down by it.
LONGER, LEAST_TIMEOUT_MS = 20, 100
EXPECTED = (
    f"no query whose planning alone will take longer than the whole query now, by more than "
    f"{figures.percent(DEGRADED)} and {figures.milliseconds(NOTICED_MS)}"
)


@dataclass(frozen=True)
class Slowed:
    """A query with its planning time on the copy, and its time on the table now, in milliseconds."""

    planning: Interval
    now: Interval

    @property
    def certain(self) -> bool:
        """Return True if noise does not explain the difference."""
        return self.planning.low - self.now.high > CERTAIN_MS

    def __str__(self) -> str:
        return f"at least {figures.milliseconds(self.planning.low)} to plan, now {_most(self.now)} in all"


def _most(interval: Interval) -> str:
    return f"at most {figures.milliseconds(interval.high)}"


def planning_time(context: PreflightContext) -> Check:
    """Refuse partitions with which the planning of a query takes longer than the whole query now."""
    if context.params.mode is Mode.PLAN:
        return skipped(NAME, "measured in mode rehearse and migrate, before anything is built", expected=EXPECTED)
    try:
        partitions = _planned_partitions(context)
    except PreconditionFailed:
        return skipped(NAME, "no partitions are planned: see partitions_planned", expected=EXPECTED)
    try:
        planned = _plan_queries(context, partitions[-MOST_PARTITIONS:])
    except TRANSIENT_ERRORS:
        raise
    except (psycopg.Error, PlaybookError) as error:
        return skipped(NAME, _untold(context, error), expected=EXPECTED)
    return _judge(context, len(partitions), planned)


def _untold(context: PreflightContext, error: psycopg.Error | PlaybookError) -> str:
    """Return the reason for no measurement; other checks tell what is wrong with the table or the server."""
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        database = sql.Identifier(context.session.connection.info.dbname).as_string()
        allow = f"GRANT TEMPORARY ON DATABASE {database} TO the role of the connection"
        return f"{error.diag.message_primary}. To measure it, {allow}, then clear this task"
    problem = error.problem if isinstance(error, PlaybookError) else error.diag.message_primary or str(error)
    return f"the temporary copy could not be planned: {problem}"


def _judge(context: PreflightContext, partitions: int, planned: Mapping[Query, Interval]) -> Check:
    slowed = {query.name: found for query, planning in planned.items() if (found := _compare(context, query, planning))}
    longest = max((each.low for each in planned.values()), default=0.0)
    count = figures.count(partitions, "partition")
    # Synthetic rows are not there yet: the same query takes longer with them.
    certain = any(each.certain for each in slowed.values()) and not context.params.synthetic_rows
    wider = wider_choices(context)

    return check(
        NAME,
        not slowed,
        expected=EXPECTED,
        actual=f"with {count}: {'; '.join(f'{name}: {found}' for name, found in slowed.items())}"
        if slowed
        else f"with {count}: {figures.milliseconds(longest)} at most",
        severity=Severity.ERROR if certain else Severity.WARNING,
        remedy=f"{f'Set {wider} in the spec. ' if wider else ''}After the copy and the cutover, the check regressions "
        "refuses such a query. A range with the values of one or two intervals is planned fast; a comparison with "
        "now() is planned for all partitions. If the application prepares these statements, a person may waive this "
        "check at the gate go_no_go_preflight, with a reason",
        evidence={"partitions": partitions, "measured_with": min(partitions, MOST_PARTITIONS)}
        | {query.name: {"planning_ms": [each.low, each.high]} for query, each in planned.items()},
    )


def _planned_partitions(context: PreflightContext) -> list[Bounds]:
    """Return the bounds of the partitions, with those for synthetic rows; PreconditionFailed if there are too many."""
    spec, bounds = context.run.spec, context.bounds
    if not context.params.synthetic_rows or spec.interval.is_ids:
        return bounds
    start = spec.synthetic_start(context.present)
    older = between(spec.interval, start, bounds[0].lower) if start < bounds[0].lower else ()
    return [*(each for each in older if each.upper <= bounds[0].lower), *bounds]


def _plan_queries(context: PreflightContext, partitions: Sequence[Bounds]) -> dict[Query, Interval]:
    """Plan each query on an empty temporary copy of the table; leave out those that the check queries refuses."""
    run = context.run
    clone = TableName("pg_temp", run.table.name)
    texts = dict(_texts(context, clone))
    with run.database.session(LIMITS, search_path=run.table.search_path) as session:
        try:
            with session.logged_at(logging.DEBUG), session.connection.transaction(force_rollback=True):
                _create_clone(context, session, clone, partitions)
                found = {query: _planning(session, text) for query, text in texts.items()}
        finally:
            session.journal.clear()  # nothing is left of it
    return {query: planning for query, planning in found.items() if planning}


def _texts(context: PreflightContext, table: TableName) -> Iterator[tuple[Query, sql.Composed]]:
    for query in context.run.spec.queries:
        try:
            text = compose_query(context.run, query, table, bounds_at(context.run.spec.interval, context.present))
        except (InvalidSpec, psycopg.DataError, psycopg.ProgrammingError):
            continue
        if "{table}" in query.sql:
            yield query, text


def _create_clone(context: PreflightContext, session: Session, clone: TableName, partitions: Sequence[Bounds]) -> None:
    spec, by = context.run.spec, context.partition_by
    partitioning = sql.SQL("PARTITION BY RANGE ({})").format(sql.Identifier(by))
    source, name = context.table.table_name.identifier, sql.Identifier(clone.name)
    session.run("workload/create_clone", clone=name, source=source, partitioning=partitioning)
    attributes.add_keys_and_indexes(session, context.table.partitioned_by(by), [clone])

    kind = context.table.column(by).type
    ends = [spec.codec.ends(each, kind) for each in partitions]
    bounds: list[sql.Composable] = [sql.SQL("FOR VALUES FROM ({}) TO ({})").format(*each) for each in ends]
    if spec.default_partition is DefaultPartition.KEEP:
        bounds.append(sql.SQL("DEFAULT"))
    several = [
        {"partition": sql.Identifier(f"partition_playbook_{number}"), "clone": clone.identifier, "bounds": each}
        for number, each in enumerate(bounds)
    ]
    session.run_many("workload/create_clone_partition", several)


def _planning(session: Session, text: sql.Composed) -> Interval | None:
    """Plan a query repeatedly, as the benchmark does; None if the server refuses it."""
    times: list[float] = []
    try:
        for _ in range(WARM_UPS + RUNS):
            # In pipeline mode the server refuses a second statement in the text.
            with session.connection.pipeline(), session.connection.transaction(force_rollback=True):
                times.append(plans.parse(session.value("benchmark/plan_query", query=text)).planning_ms)
    except psycopg.OperationalError:
        raise
    except psycopg.Error:
        return None
    return Interval.of(times[WARM_UPS:])


def _compare(context: PreflightContext, query: Query, planning: Interval) -> Slowed | None:
    """Compare with the query on the table now, if its planning is long enough to be noticed."""
    if planning.low <= NOTICED_MS:
        return None
    now = _whole(context, query, planning)
    return Slowed(planning, now) if now and surely_slower(now, planning) else None


def _whole(context: PreflightContext, query: Query, planning: Interval) -> Interval | None:
    """Time a query on the table; None if it takes many times as long as its planning."""
    interval = bounds_at(context.run.spec.interval, context.present)
    timeout = max(LEAST_TIMEOUT_MS, int(LONGER * planning.high))
    try:
        found = measure(
            context.run, compose_query(context.run, query, None, interval), Limits(statement_timeout=timeout)
        )
    except psycopg.errors.QueryCanceled:
        return None
    return Interval.of([plan.total_ms for plan in found])
