"""The rules of a valid spec beyond its keys: it must be able to end well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from partition_playbook import figures
from partition_playbook.errors import InvalidSpec
from partition_playbook.names import is_quoted
from partition_playbook.spec.document import Location
from partition_playbook.spec.problems import REFERENCE, Problem, named, tell
from partition_playbook.spec.table import TableSpec

QUOTED_NAME = 'write a name with a dot or quotes in double quotes, such as \'"my.schema"."my.table"\''
# Below or above these no run ends well. Most are units mistaken for others, such as milliseconds for seconds.
LEAST_CHANGE_LOG = 1 << 20
LEAST_LOCK, MOST_LOCK = timedelta(milliseconds=10), timedelta(minutes=1)
LEAST_ANSWER = timedelta(minutes=1)
LEAST_LAG = timedelta(milliseconds=100)


def require_runway(spec: TableSpec, *, where: str) -> None:
    """Raise InvalidSpec if the partitions ahead end before the run of maintenance after next."""
    schedule = spec.schedule
    if spec.premake < schedule.least_premake(spec.interval):
        raise InvalidSpec(
            f"key 'premake': {figures.count(spec.premake, spec.interval.noun)} ahead can end before the run of "
            f"partition_maintenance after next, up to {figures.seconds(schedule.reach.total_seconds())} later with "
            f"`maintain: {schedule}`",
            where=where,
            remedy=spec.runway_remedy,
        )


def require_plausible(spec: TableSpec, *, where: str, lines: Mapping[Location, int] | None = None) -> None:
    """Raise InvalidSpec for an ambiguous name, SQL that does not name the table, and limits that stop every run.

    A spec in the ledger is not asked: its run must end.
    """
    found = [*_ambiguous_name(spec), *_without_table(spec), *_absurd_limits(spec)]
    if found:
        told = tell(found, lines or {})
        raise InvalidSpec(told, where=where, remedy=f"Correct this; {REFERENCE}")


def _ambiguous_name(spec: TableSpec) -> Iterator[Problem]:
    if '"' in spec.table and not is_quoted(spec.table):
        yield Problem(("table",), f"key 'table': the quotes in {spec.table} do not fit; {QUOTED_NAME}")
    elif '"' not in spec.table and spec.table.count(".") > 1:
        yield Problem(("table",), f"key 'table': {spec.table} has more than one dot; {QUOTED_NAME}")


def _without_table(spec: TableSpec) -> Iterator[Problem]:
    for number, probe in enumerate(spec.application.probes):
        if "{table}" not in probe.sql:
            place = ("application", "probes", number, "sql")
            yield Problem(place, f"probe {probe.name} does not read the table; write {{table}} in place of its name")

    for number, query in enumerate(spec.queries):
        if "{table}" not in query.sql and spec.name.name not in query.sql:
            told = f"query {query.name} does not name the table; write {{table}} in place of its name"
            yield Problem(("queries", number, "sql"), f"{told}, or name it in a comment if the query reads a view")


def _absurd_limits(spec: TableSpec) -> Iterator[Problem]:
    limit, lag = spec.change_log_limit, spec.throttle.max_replica_lag
    if limit is not None and limit < LEAST_CHANGE_LOG:
        yield Problem(
            ("change_log_limit",),
            f"key 'change_log_limit': a log of {figures.size(limit)} is full at once; write at least "
            f"{figures.size(LEAST_CHANGE_LOG)}, such as `20 GiB`, or remove the key",
        )
    if not LEAST_LOCK <= spec.max_lock <= MOST_LOCK:
        yield _seconds(("max_lock",), spec.max_lock, f"from {_span(LEAST_LOCK)} to {_span(MOST_LOCK)}")
    if spec.answer_within < LEAST_ANSWER:
        yield _seconds(("answer_within",), spec.answer_within, f"at least {_span(LEAST_ANSWER)}")
    if lag is not None and lag < LEAST_LAG:
        yield _seconds(("throttle", "max_replica_lag"), lag, f"at least {_span(LEAST_LAG)}")


def _seconds(place: Location, given: timedelta, wanted: str) -> Problem:
    told = f"key {named(place)!r}: {_span(given)} is out of range; write {wanted}, and a plain number in seconds"
    return Problem(place, told)


def _span(length: timedelta) -> str:
    return figures.seconds(length.total_seconds())
