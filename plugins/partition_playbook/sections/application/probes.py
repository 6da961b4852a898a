"""Compare the answers of the application's own SELECTs on both tables, and check their times."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from partition_playbook import figures
from partition_playbook.catalog import Table
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Params, Session
from partition_playbook.engine import reconcile, verify
from partition_playbook.engine.sides import Sides, sides
from partition_playbook.errors import InvalidSpec
from partition_playbook.lock_retry import with_lock_retry
from partition_playbook.run import Run
from partition_playbook.sections.application import http_probes
from partition_playbook.sections.application.http_probes import time_check
from partition_playbook.spec import Probe

MAX_ROWS = 20_000
# The standby is only queried for comparison: it may exceed the limit of the application.
STANDBY_SECONDS = 120.0
# The first try reads from disk what the application has in memory.
TRIES = 3
# Plans that visit the rows in another order.
PLANNERS = ({"by_index": "off", "by_scan": "on"}, {"by_index": "on", "by_scan": "off"})
ALMOST = 1e-9
# Words by which a probe reads where a row is stored, and not only the row.
PLACES = re.compile(r"\b(tableoid|ctid|[xc](min|max)|regclass|pg_\w+)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """The answer of one table to a probe, or its problem; ``stopped`` after a statement timeout."""

    rows: Sequence[tuple[Any, ...]]
    seconds: float
    problem: str = ""
    stopped: bool = False


@dataclass(frozen=True)
class Asked:
    """A probe with the answers of both tables, and the reason for which a difference is no verdict."""

    probe: Probe
    live: Answer
    standby: Answer
    undetermined: str = ""

    @property
    def differs(self) -> bool:
        """Return True if both tables answered, with other rows."""
        return comparable(self.live, self.standby) and bool(difference(self.live.rows, self.standby.rows))


def probe_checks(run: Run, *, after: str = "") -> list[Check]:
    """Run every probe of the spec on both tables; ``after`` names the occasion in the names of the checks.

    InvalidSpec for a probe with unknown braces.
    """
    occasion = f"_after_{after}" if after else ""
    application = run.spec.application
    found = [each for asked in ask_both(run) for each in _probe_checks(_explained(run, asked), occasion)]
    found = found or [skipped(f"probes{occasion}", "the spec has no probes under `application`")]
    return [*found, *http_probes.http_probe_checks(application, occasion)]


def ask_both(run: Run) -> list[Asked]:
    """Run each probe on the live table and on the standby, in one snapshot.

    Under live writes the tables differ by the waiting changes. Therefore the transaction of the snapshot first
    reconciles every change visible to it, while no other session can reconcile. Each probe then runs as the query of a
    cursor, so it is a single SELECT, in a read-only subtransaction. The reconcile is committed.
    """
    if not run.spec.application.probes:
        return []

    reconcile.catch_up(run, until=reconcile.FEW_CHANGES)

    def attempt(_: int) -> list[Asked]:
        with reconcile.reconciler(run) as session, run.database.block(session, "REPEATABLE READ"):
            now = sides(session, run)
            reconcile.apply_changes(run, session, now, None)
            session.rows("application/restore_planner")
            return [_ask_sides(session, now, probe) for probe in run.spec.application.probes]

    return with_lock_retry(run.database, run.table, attempt)


def _explained(run: Run, asked: Asked) -> Asked:
    """Return the probe with a reason if its tables hold the same rows: then a difference is one of their order.

    They do if they were compared, and every change since was captured and reconciled. A probe that reads the place of
    a row may differ for that reason alone; such a difference is a verdict.
    """
    if not asked.differs:
        return asked
    if PLACES.search(asked.probe.sql):
        return replace(asked, undetermined="")
    if asked.undetermined or not verify.unbroken_capture(run):
        return asked
    return replace(asked, undetermined="both tables were compared and hold the same rows, so their order decides")


def _ask_sides(session: Session, now: Sides, probe: Probe) -> Asked:
    """Ask both tables; only if their rows differ, ask both again under other plans."""
    original = now.require_standby()
    live = ask(session, now.live, probe)
    standby = _ask(session, original, probe, max(STANDBY_SECONDS, probe.max_seconds))
    if live.seconds > probe.max_seconds and not standby.problem:
        standby = ask(session, original, probe, standby)
    asked = Asked(probe, live, standby)
    if not asked.differs:
        return asked

    answers = ((original, standby), (now.live, live))
    names = (table.name for table, answer in answers if not is_determined(session, table, probe, answer))
    return replace(asked, undetermined=next((f"{name} itself has other rows under another plan" for name in names), ""))


def ask(session: Session, table: Table, probe: Probe, first: Answer | None = None) -> Answer:
    """Run a probe until it answers within its limit, at most TRIES times; return the fastest answer.

    Each try is stopped at the limit; ``first`` counts as a try. The session must be in a transaction.
    """
    tries = [first or _ask(session, table, probe, probe.max_seconds)]
    while len(tries) < TRIES and _is_late(tries[-1], probe):
        tries.append(_ask(session, table, probe, probe.max_seconds))
    return min(tries, key=lambda each: (bool(each.problem), each.seconds))


def _is_late(answer: Answer, probe: Probe) -> bool:
    return answer.stopped or (not answer.problem and answer.seconds > probe.max_seconds)


def is_determined(session: Session, table: Table, probe: Probe, answer: Answer) -> bool:
    """Return False if a table gives other rows under another plan, such as for a LIMIT with ties in its ORDER BY.

    A plan that takes longer than the limit of the probe tells nothing.
    """
    others = (_ask(session, table, probe, probe.max_seconds, planner) for planner in PLANNERS)
    return not any(comparable(answer, other) and difference(answer.rows, other.rows) for other in others)


def comparable(first: Answer, second: Answer) -> bool:
    """Return True if both have all of their rows."""
    whole = all(len(each.rows) <= MAX_ROWS for each in (first, second))
    return whole and not first.problem and not second.problem


def _ask(session: Session, table: Table, probe: Probe, seconds: float, planner: Params | None = None) -> Answer:
    limits = {"statement_timeout": str(int(1000 * seconds)), "search_path": table.table_name.search_path}
    started = time.perf_counter()
    try:
        with session.connection.transaction(force_rollback=True):
            session.rows("application/guard_probe", limits)
            if planner:
                session.rows("application/vary_planner", planner)
            with session.connection.cursor("partition_playbook_probe", row_factory=tuple_row) as cursor:
                started = time.perf_counter()
                cursor.execute(_compose(probe, table))
                rows = cursor.fetchmany(MAX_ROWS + 1)
                taken = time.perf_counter() - started
    except psycopg.Error as error:
        if session.connection.closed:
            raise
        stopped = isinstance(error, psycopg.errors.QueryCanceled)
        return Answer([], time.perf_counter() - started, _problem(error), stopped)
    return Answer(rows, taken)


def _problem(error: psycopg.Error) -> str:
    return f"{error.sqlstate} {error.diag.message_primary or error}"


def _compose(probe: Probe, table: Table) -> sql.Composed:
    try:
        return sql.SQL(probe.sql).format(table=table.table_name.identifier)
    except (KeyError, IndexError, ValueError) as error:
        raise InvalidSpec(
            f"placeholder {error} is unknown",
            where=f"probe {probe.name!r}",
            remedy="Use only {table} in braces; write other braces twice, as {{ and }}",
        ) from error


def _probe_checks(asked: Asked, occasion: str) -> list[Check]:
    probe, live, standby = asked.probe, asked.live, asked.standby
    name = f"probe_{probe.name}{occasion}"
    return [
        _answer_check(name, asked),
        time_check(name, probe.max_seconds, live.seconds, live.stopped, standby.seconds),
    ]


def _answer_check(name: str, asked: Asked) -> Check:
    expected = "the same answer from both tables"
    live, standby = asked.live, asked.standby
    if live.stopped:
        return skipped(name, "stopped at its time limit: no answer to compare", expected=expected)

    problems = list(_problems(live, standby))
    if asked.undetermined:
        problems = [f"cannot tell: {problem}" for problem in problems]
        problems.append(asked.undetermined)

    return check(
        name,
        not problems,
        expected=expected,
        actual="; ".join(problems) or f"{figures.count(len(live.rows), 'equal row')}",
        severity=Severity.WARNING if asked.undetermined else Severity.ERROR,
        remedy="Run its SQL in psql on both tables. If it has a LIMIT, add a unique column to its ORDER BY in the "
        "spec: with ties the answer is not determined",
        evidence={
            "rows": len(live.rows),
            "live_seconds": round(live.seconds, 4),
            "standby_seconds": round(standby.seconds, 4),
        },
    )


def _problems(live: Answer, standby: Answer) -> Iterable[str]:
    if live.problem:
        yield f"the live table: {live.problem}"
    if standby.problem:
        yield f"the standby: {standby.problem}"
    if max(len(live.rows), len(standby.rows)) > MAX_ROWS:
        yield f"more than {figures.count(MAX_ROWS, 'row')}: add a LIMIT to the probe"
    elif not live.problem and not standby.problem and (found := difference(live.rows, standby.rows)):
        yield found


def difference(live: Sequence[tuple[Any, ...]], standby: Sequence[tuple[Any, ...]]) -> str:
    """Describe the difference of two answers; empty if they hold the same rows in any order."""
    if len(live) != len(standby):
        return f"{figures.count(len(live), 'row')} from the live table, {figures.number(len(standby))} from the standby"
    if _same(live, standby) or _same(sorted(live, key=_order), sorted(standby, key=_order)):
        return ""
    first = next(position for position, pair in enumerate(zip(live, standby, strict=True), 1) if not _equal(*pair))
    return f"{figures.count(len(live), 'row')} from each table, different from row {figures.number(first)} on"


def _same(left: Sequence[tuple[Any, ...]], right: Sequence[tuple[Any, ...]]) -> bool:
    return all(_equal(*pair) for pair in zip(left, right, strict=True))


def _equal(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    return len(left) == len(right) and all(map(_equal_values, left, right))


def _equal_values(left: Any, right: Any) -> bool:
    """Compare exactly, but floats approximately: their sum depends on the order of the rows."""
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=ALMOST, abs_tol=ALMOST) or (math.isnan(left) and math.isnan(right))
    return bool(left == right)


def _order(row: tuple[Any, ...]) -> list[str]:
    return [f"{value:.6g}" if isinstance(value, float) else repr(value) for value in row]
