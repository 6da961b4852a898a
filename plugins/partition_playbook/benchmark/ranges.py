"""Evaluate `since` and `until` of each query of the spec."""

from __future__ import annotations

from pendulum import DateTime

from partition_playbook.benchmark.measure import evaluate, no_moment
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
        raise no_moment(run, expression, "NULL")
    return value
