"""Evaluate `since` and `until` of each query of the spec."""

from __future__ import annotations

from datetime import date

from pendulum import DateTime

from partition_playbook.benchmark.measure import LIMITS, ask, compose
from partition_playbook.errors import InvalidSpec
from partition_playbook.intervals import Bounds, in_zone
from partition_playbook.run import Run

Span = tuple[DateTime | None, DateTime | None]


def query_spans(run: Run) -> dict[str, Span]:
    """Evaluate the range of each query on the server; an open end is None. InvalidSpec for any other value or NULL."""
    return {query.name: (_moment(run, query.since), _moment(run, query.until)) for query in run.spec.queries}


def _moment(run: Run, expression: str | None) -> DateTime | None:
    if expression is None:
        return None

    value = evaluate(run, expression)
    if value is None:
        raise _no_moment(run, expression, "NULL")
    return in_zone(value, run.spec.timezone)


def evaluate(run: Run, expression: str, interval: Bounds | None = None) -> date | None:
    """Return the value of one end of a range; InvalidSpec if it is not a timestamp, a date or NULL."""
    with run.database.session(LIMITS, search_path=run.table.search_path) as session:
        value = ask(session, "benchmark/evaluate_moment", moment=compose(run, expression, interval=interval))
    if value is None or isinstance(value, date):
        return value
    raise _no_moment(run, expression, repr(value))


def _no_moment(run: Run, expression: str, found: str) -> InvalidSpec:
    problem = f"`{expression}` is {found}, not a timestamp or a date"
    return InvalidSpec(problem, where=run.spec.table, remedy="Correct `since` and `until` of the spec's queries")
