"""Prove that the application's own reads give the same answers, in time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from partition_playbook.catalog import Table
from partition_playbook.checks import Check, check, skipped
from partition_playbook.database import Session, with_lock_retry
from partition_playbook.errors import InvalidSpec
from partition_playbook.evidence import http_probes
from partition_playbook.evidence.http_probes import time_check
from partition_playbook.migration import capture, reconcile
from partition_playbook.migration.run import Run, Sides, sides
from partition_playbook.spec import Probe

MAX_ROWS = 20_000
# The table that stands by is only asked for comparison: it may be slower than the application's limit.
STANDBY_SECONDS = 120.0
ALMOST = 1e-9


@dataclass(frozen=True)
class Answer:
    """What a probe got from one table, or why it got nothing."""

    rows: Sequence[tuple[Any, ...]]
    seconds: float
    problem: str = ""
    stopped: bool = False


def checks(run: Run, *, after: str = "") -> list[Check]:
    """Run every probe of the spec; ``after`` tells one occasion from another in the checks' names."""
    occasion = f"_after_{after}" if after else ""
    application = run.spec.application
    found = [each for probe, answers in ask_both(run) for each in _probe_checks(probe, *answers, occasion)]
    found = found or [skipped(f"probes{occasion}", "the spec names no probes under `application`")]
    return [*found, *http_probes.checks(application, occasion)]


def ask_both(run: Run) -> list[tuple[Probe, tuple[Answer, Answer]]]:
    """Ask the live table and the one that stands by, both as they are in one snapshot.

    Under live writes the two differ by what waits in the change log. So the snapshot's own transaction first reconciles
    every change that it sees; no other session can reconcile meanwhile. Each probe then runs behind a savepoint that
    refuses writes, as the query of a cursor, which can be one SELECT only. The reconcile is kept.
    """
    if not run.spec.application.probes:
        return []
    reconcile.catch_up(run, until=1_000)

    def attempt(_: int) -> list[tuple[Probe, tuple[Answer, Answer]]]:
        with reconcile.reconciler(run) as session, run.database.block(session, "REPEATABLE READ"):
            now = sides(session, run)
            reconcile.apply_changes(run, session, now, capture.count(session, run))
            session.rows("application/restore_planner")
            return [(probe, _ask_sides(session, now, probe)) for probe in run.spec.application.probes]

    return with_lock_retry(run.database, run.table, attempt)


def _ask_sides(session: Session, now: Sides, probe: Probe) -> tuple[Answer, Answer]:
    live = _ask(session, now.live, probe, probe.max_seconds)
    return live, _ask(session, now.other, probe, max(STANDBY_SECONDS, probe.max_seconds))


def _ask(session: Session, table: Table, probe: Probe, seconds: float) -> Answer:
    limits = {"statement_timeout": str(int(1000 * seconds)), "search_path": table.table_name.search_path}
    started = time.perf_counter()
    try:
        with session.connection.transaction(force_rollback=True):
            session.rows("application/guard_probe", limits)
            with session.connection.cursor("partition_playbook_probe", row_factory=tuple_row) as cursor:
                started = time.perf_counter()
                cursor.execute(_compose(probe, table))
                rows = cursor.fetchmany(MAX_ROWS + 1)
                taken = time.perf_counter() - started
    except psycopg.Error as error:
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
            remedy="Only {table} is filled in; write other braces twice",
        ) from error


def _probe_checks(probe: Probe, live: Answer, standby: Answer, occasion: str) -> list[Check]:
    name = f"probe_{probe.name}{occasion}"
    return [_answer_check(name, live, standby), time_check(name, probe.max_seconds, live.seconds, live.stopped)]


def _answer_check(name: str, live: Answer, standby: Answer) -> Check:
    expected = "the same answer from both tables"
    if live.stopped:
        return skipped(name, "stopped at its time limit: there is no answer to compare", expected=expected)
    problems = list(_problems(live, standby))
    return check(
        name,
        not problems,
        expected=expected,
        actual="; ".join(problems) or f"{len(live.rows)} rows, the same",
        remedy="Run its SQL by hand on both tables. A LIMIT after an ORDER BY that leaves ties has no fixed answer",
        evidence={
            "rows": len(live.rows),
            "live_seconds": round(live.seconds, 4),
            "standby_seconds": round(standby.seconds, 4),
        },
    )


def _problems(live: Answer, standby: Answer) -> Iterable[str]:
    if live.problem:
        yield f"the live table answered {live.problem}"
    if standby.problem:
        yield f"the other table answered {standby.problem}"
    if max(len(live.rows), len(standby.rows)) > MAX_ROWS:
        yield f"more than {MAX_ROWS} rows: give the probe a LIMIT"
    elif not live.problem and not standby.problem and (told := difference(live.rows, standby.rows)):
        yield told


def difference(live: Sequence[tuple[Any, ...]], standby: Sequence[tuple[Any, ...]]) -> str:
    """Say in what two answers differ; nothing where they hold the same rows, in whatever order."""
    if len(live) != len(standby):
        return f"{len(live)} rows from the live table, {len(standby)} from the other"
    if _same(live, standby) or _same(sorted(live, key=_order), sorted(standby, key=_order)):
        return ""
    first = next(position for position, pair in enumerate(zip(live, standby, strict=True), 1) if not _equal(*pair))
    return f"{len(live)} rows from each table, different from row {first} on"


def _same(left: Sequence[tuple[Any, ...]], right: Sequence[tuple[Any, ...]]) -> bool:
    return all(_equal(*pair) for pair in zip(left, right, strict=True))


def _equal(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    return len(left) == len(right) and all(map(_equal_values, left, right))


def _equal_values(left: Any, right: Any) -> bool:
    """Compare exactly, but for floats: their sum depends on the order in which rows are read."""
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=ALMOST, abs_tol=ALMOST) or (math.isnan(left) and math.isnan(right))
    return bool(left == right)


def _order(row: tuple[Any, ...]) -> list[str]:
    return [f"{value:.6g}" if isinstance(value, float) else repr(value) for value in row]
