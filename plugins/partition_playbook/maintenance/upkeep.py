"""All of maintenance for one table: observe, plan, apply, and look again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from partition_playbook import catalog
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.maintenance import health, way_back
from partition_playbook.maintenance.actions import (
    Abandon,
    Action,
    Analyze,
    Archive,
    Create,
    Detach,
    Drop,
    Finalize,
    Split,
)
from partition_playbook.maintenance.apply import Done, Ending, apply
from partition_playbook.maintenance.archive import Store
from partition_playbook.maintenance.found import Found
from partition_playbook.maintenance.health import Health
from partition_playbook.maintenance.observe import clock_check, observe, require_ours
from partition_playbook.maintenance.params import MaintenanceParams, RetentionMode
from partition_playbook.maintenance.plan import ANALYZE_AFTER_DAYS, Plan, plan
from partition_playbook.migration.run import Run

LONGEST_LOCK_MS = 1_000
WORDS: dict[type[Action], tuple[str, str]] = {
    Create: ("created", "would_create"),
    Split: ("split", "would_split"),
    Abandon: ("abandoned", "would_abandon"),
    Finalize: ("finalized", "would_finalize"),
    Detach: ("detached", "would_detach"),
    Archive: ("archived", "would_archive"),
    Drop: ("dropped", "would_drop"),
    Analyze: ("analyzed", "would_analyze"),
}
RETIRING: dict[type[Action], str] = {Detach: "detach", Archive: "archive", Drop: "drop"}


@dataclass(frozen=True)
class Maintained:
    """What one run of maintenance found and did: checks for the ledger and a summary of plain values."""

    checks: tuple[Check, ...]
    summary: dict[str, Any]


def maintain(run: Run, params: MaintenanceParams, store: Store | None = None) -> Maintained:
    """Keep one table in order, as of the server's clock; one that is not partitioned yet is passed over.

    The ``store`` opens the URL that archives go to.
    """
    try:
        return _maintain(run, params, store)
    except Exception as error:
        with suppress(psycopg.Error):  # the ledger's database may be what is lost
            _record(run, params, None, str(error))
        raise


def _maintain(run: Run, params: MaintenanceParams, store: Store | None) -> Maintained:
    with run.database.session() as session:
        parent = catalog.require(session, run.table)
        if not parent.is_partitioned:
            reason = f"{run.table} is not partitioned yet"
            return Maintained((skipped("partitioned", reason),), {"table": run.spec.table, "skipped": reason})
        require_ours(run, parent)
        found = observe(run, session)
    clock = clock_check(found)
    if clock.blocks:
        _record(run, params, None, clock.name)
        return Maintained((clock,), {"table": run.spec.table, "failed": [clock.name]})
    before = after = _plan(run, params, found)
    run.database.locks.reset()
    done = apply(run, before, dry_run=params.dry_run, move_limit=params.max_moved_rows, store=store)
    with run.database.session() as session:
        if any(each.ending is not Ending.SHOWN for each in done):
            found = _with_own_analyze(observe(run, session), done)
            after = _plan(run, params, found)
        facts = health.read(run, session, found, after.now)
    state = [*_state_checks(run, params, after), way_back.keep(run, params), *health.checks(facts)]
    checks = (clock, *before.findings, *_failures(done), *state)
    judged = health.judge(checks, facts)
    _record(run, params, judged)
    return Maintained(checks, _summary(run, after, done, checks) | {"health": judged.summary()})


def _with_own_analyze(found: Found, done: Sequence[Done]) -> Found:
    """Count an ANALYZE of this run: the statistics of PostgreSQL 14 tell of it half a second late."""
    analyzed = any(isinstance(each.action, Analyze) and each.ending is Ending.DONE for each in done)
    return replace(found, analyzed_at=found.clock) if analyzed else found


def _record(run: Run, params: MaintenanceParams, judged: Health | None, problem: str = "") -> None:
    """Keep the health of the table; what a dry run or another moment than now shows is not how it stands."""
    if params.is_real:
        health.record(run.ledger, judged, problem)


def _plan(run: Run, params: MaintenanceParams, found: Found) -> Plan:
    retention = params.applied(run.spec.retention)
    propose = params.retention is RetentionMode.DRY_RUN
    return plan(
        run.spec,
        found,
        params.moment or found.clock,
        premake=params.premake,
        retention=retention,
        propose=propose,
        move_limit=params.max_moved_rows,
    )


def _failures(done: Sequence[Done]) -> list[Check]:
    return [
        check(
            f"{type(each.action).__name__.lower()} {each.action.partition.name}",
            False,
            expected=each.action.reason,
            actual=each.detail,
            remedy="The other actions were done; remove the cause and run again",
        )
        for each in done
        if each.ending is Ending.FAILED
    ]


def _state_checks(run: Run, params: MaintenanceParams, after: Plan) -> list[Check]:
    reach = f"a partition for every {run.spec.interval} up to {after.horizon.isoformat()}"
    return [
        _left("partitions_ahead", after, (Create, Split), reach, params.dry_run),
        _left("no_pending_detach", after, (Finalize,), "no interrupted detach", params.dry_run),
        _retention_check(run, params, after),
        _statistics_check(params, after),
        _lock_check(run),
    ]


def _left(name: str, after: Plan, kinds: tuple[type[Action], ...], expected: str, dry_run: bool) -> Check:
    """Return the check that a plan made now has nothing of these kinds left to do."""
    left = [each for each in after.actions if isinstance(each, kinds)]
    if left and dry_run:
        return skipped(name, f"a dry run left {_listed(left)}", expected=expected)
    return check(name, not left, expected=expected, actual=f"left to do: {_listed(left)}" if left else "as expected")


def _listed(actions: Sequence[Action]) -> str:
    return ", ".join(dict.fromkeys(each.partition.name for each in actions))


def _retention_check(run: Run, params: MaintenanceParams, after: Plan) -> Check:
    if after.cutoff is None:
        return skipped("retention", "retention is off" if run.spec.retention else "the spec keeps everything")
    expected = f"no partition wholly before {after.cutoff.isoformat(timespec='seconds')} that is free to go"
    waits = f"deferred: {after.deferral}" if after.deferral else ""
    if params.retention is RetentionMode.DRY_RUN:
        kinds = {did: [each for each in after.proposed if isinstance(each, kind)] for kind, did in RETIRING.items()}
        would = "; ".join(f"{did} {_listed(each)}" for did, each in kinds.items() if each) or "do nothing"
        return skipped("retention", f"a dry run, it would {would}. {waits}".rstrip(". "), expected=expected)
    if waits:
        return skipped("retention", waits, expected=expected)
    if after.stops:
        return skipped("retention", f"stopped by {', '.join(after.stops)}", expected=expected)
    return _left("retention", after, tuple(RETIRING), expected, params.dry_run)


def _statistics_check(params: MaintenanceParams, after: Plan) -> Check:
    expected = f"statistics of the last {ANALYZE_AFTER_DAYS} days"
    if after.statistics_due and params.dry_run:
        return skipped("parent_analyzed", f"a dry run: {after.statistics_due}", expected=expected)
    actual = after.statistics_due or "as expected"
    return check("parent_analyzed", not after.statistics_due, expected=expected, actual=actual)


def _lock_check(run: Run) -> Check:
    """Return the check that no lock stopped the application for long, and record the longest."""
    locks = run.database.locks
    for name in ("waited_ms", "held_ms"):
        run.ledger.measure("maintenance", f"longest_lock_{name}", getattr(locks, name), "ms")
    return check(
        "locks_were_short",
        max(locks.waited_ms, locks.held_ms) <= LONGEST_LOCK_MS,
        expected=f"no lock that stops the application waited for or held longer than {LONGEST_LOCK_MS} ms",
        actual=f"longest wait {locks.waited_ms:.1f} ms, longest hold {locks.held_ms:.1f} ms",
        remedy="Look in the ledger's events for the statements that took long; lower `max_moved_rows` if rows moved",
        severity=Severity.WARNING,
    )


def _summary(run: Run, after: Plan, done: Sequence[Done], checks: Sequence[Check]) -> dict[str, Any]:
    """Return what was done as plain values: an XCom, and what the lifecycle section looks at."""
    summary: dict[str, Any] = {
        "table": run.spec.table,
        "horizon": after.horizon.isoformat(),
        "cutoff": after.cutoff.isoformat() if after.cutoff else None,
        "deferred": after.deferral,
        "moved_rows": sum(each.moved_rows for each in done),
        "longest_lock_wait_ms": round(run.database.locks.waited_ms, 1),
        "longest_lock_hold_ms": round(run.database.locks.held_ms, 1),
    }
    for kind, (did, would) in WORDS.items():
        of_kind = [each for each in done if isinstance(each.action, kind)]
        summary[did] = [each.action.partition.name for each in of_kind if each.ending is Ending.DONE]
        summary[would] = [each.action.partition.name for each in of_kind if each.ending is Ending.SHOWN]
    splits = [each.action for each in done if isinstance(each.action, Split) and each.ending is Ending.DONE]
    summary["created"] = [each.partition.name for one in splits for each in one.creates] + summary["created"]
    return summary | {"failed": [each.name for each in checks if each.blocks]}
