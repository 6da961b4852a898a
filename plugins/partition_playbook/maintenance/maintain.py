"""All of maintenance for one table: read its state, plan, apply, and check the result."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from partition_playbook import catalog, figures
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.errors import LoginRefused, PreconditionFailed, Unreachable
from partition_playbook.maintenance import health
from partition_playbook.maintenance.actions import (
    Abandon,
    Action,
    Analyze,
    Archive,
    Create,
    Detach,
    Drop,
    Finalize,
    Merge,
    Split,
)
from partition_playbook.maintenance.apply import Done, Ending, apply
from partition_playbook.maintenance.health import Health
from partition_playbook.maintenance.managers import other_managers_check
from partition_playbook.maintenance.params import MaintenanceParams, RetentionMode
from partition_playbook.maintenance.plan import ANALYZE_AFTER_DAYS, Plan, plan
from partition_playbook.maintenance.published import published_check
from partition_playbook.maintenance.read_state import clock_check, read_state, require_ours
from partition_playbook.maintenance.retired_sync import sync_retired
from partition_playbook.maintenance.state import TableState
from partition_playbook.object_store import OpenStore
from partition_playbook.run import Run

LONGEST_LOCK_MS = 1_000
SUMMARY_KEYS: dict[type[Action], tuple[str, str]] = {
    Create: ("created", "would_create"),
    Split: ("split", "would_split"),
    Merge: ("merged", "would_merge"),
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
    """The result of one run: checks for the ledger and a summary of plain values."""

    checks: tuple[Check, ...]
    summary: dict[str, Any]


def maintain(run: Run, params: MaintenanceParams, store: OpenStore | None = None) -> Maintained:
    """Maintain one table as of the server's clock; skip a table that is not partitioned.

    ``store`` opens the URL of the archives. TryAgain if a retry can succeed, PreconditionFailed if the table does not
    match the spec. An error is recorded in the health of the table too.
    """
    try:
        return _maintain(run, params, store)
    except Exception as error:
        with suppress(psycopg.Error, LoginRefused, Unreachable):  # the connection to the ledger may be lost too
            _record(run, params, None, str(error))
        raise


def _maintain(run: Run, params: MaintenanceParams, store: OpenStore | None) -> Maintained:
    with run.database.session() as session:
        parent = catalog.require(session, run.table)
        if not parent.is_partitioned:
            reason = f"{run.table} is not partitioned, so there is nothing to maintain"
            return Maintained((skipped("partitioned", reason),), {"table": run.spec.table, "skipped": reason})
        require_ours(run, parent)
        if standing := run.ledger.standing_run(run.table):
            run.stored_spec(standing)
        found = read_state(run, session)

    clock = clock_check(found)
    if clock.blocks:
        _record(run, params, None, clock.name)
        return Maintained((clock,), {"table": run.spec.table, "failed": [clock.name]})

    before = after = _plan(run, params, found)
    run.database.locks.reset()
    done = apply(run, before, dry_run=params.dry_run, move_limit=params.max_moved_rows, store=store)

    with run.database.session() as session:
        if any(each.ending is not Ending.SHOWN for each in done):
            found = _with_own_analyze(read_state(run, session), done)
            after = _plan(run, params, found)
        facts = health.read(run, session, found, after.now)
        others = (other_managers_check(session, run.table), published_check(run, session, found.partitions))

    state = [
        *_state_checks(run, params, after),
        _runway_check(run, params, found, after, facts.ids),
        *others,
        sync_retired(run, params),
        *health.checks(facts),
    ]
    checks = (clock, *before.findings, *_failures(done), *state)
    judged = health.judge(checks, facts)
    _record(run, params, judged)
    return Maintained(checks, _summary(run, after, done, checks) | {"health": judged.summary()})


def inspect(run: Run) -> tuple[tuple[Check, ...], Health | None]:
    """Judge the health of a table as of now, as maintenance does; change and record nothing.

    Without a health for a table that is not partitioned. PreconditionFailed if the table does not match the spec.
    """
    params = MaintenanceParams(dry_run=True)
    with run.database.snapshot() as session:
        parent = catalog.require(session, run.table)
        if not parent.is_partitioned:
            return (skipped("partitioned", f"{run.table} is not partitioned"),), None
        require_ours(run, parent)
        found = read_state(run, session)
        planned = _plan(run, params, found)
        facts = health.read(run, session, found, planned.now)
        others = (other_managers_check(session, run.table), published_check(run, session, found.partitions))

    checks = (
        clock_check(found),
        *planned.findings,
        _left("no_pending_detach", planned, (Finalize,), "no interrupted detach", dry_run=False),
        health.runway_check(run.spec, found, planned.now, facts.ids),
        *others,
        *health.checks(facts),
    )
    return checks, health.judge(checks, facts)


def _with_own_analyze(found: TableState, done: Sequence[Done]) -> TableState:
    """Count an ANALYZE of this run: PostgreSQL 14 publishes it in the statistics half a second later."""
    analyzed = any(isinstance(each.action, Analyze) and each.ending is Ending.DONE for each in done)
    return replace(found, analyzed_at=found.clock) if analyzed else found


def _record(run: Run, params: MaintenanceParams, judged: Health | None, problem: str = "") -> None:
    """Record the health of the table, except after a dry run or a plan for another moment."""
    if params.is_real:
        health.record(run.ledger, judged, problem, run.spec.schedule)


def _plan(run: Run, params: MaintenanceParams, found: TableState) -> Plan:
    is_ids = run.spec.interval.is_ids
    if is_ids and params.moment:
        raise PreconditionFailed(
            "as_of is a moment, and ids carry no time",
            where=str(run.table),
            remedy="Trigger partition_maintenance for this table without the param `as_of`",
        )
    retention = None if is_ids else params.applied(run.spec.retention)
    propose = params.retention is RetentionMode.DRY_RUN
    return plan(
        run.spec,
        found,
        params.moment or found.present,
        premake=params.premake,
        retention=retention,
        propose=propose,
        move_limit=params.max_moved_rows,
        merge_before=params.merge_before(found.clock),
    )


def _failures(done: Sequence[Done]) -> list[Check]:
    return [
        check(
            f"{type(each.action).__name__.lower()} {each.action.partition.name}",
            False,
            expected=each.action.reason,
            actual=each.detail,
            remedy="The other actions were applied. Remove the cause, then trigger partition_maintenance again",
        )
        for each in done
        if each.ending is Ending.FAILED
    ]


def _state_checks(run: Run, params: MaintenanceParams, after: Plan) -> list[Check]:
    reach = f"a partition for every {run.spec.interval.noun} up to {after.horizon.isoformat()}"
    return [
        _left("partitions_ahead", after, (Create, Split), reach, params.dry_run),
        _left("no_pending_detach", after, (Finalize,), "no interrupted detach", params.dry_run),
        _retention_check(run, params, after),
        _statistics_check(params, after),
        _lock_check(run),
    ]


def _runway_check(run: Run, params: MaintenanceParams, found: TableState, after: Plan, ids: health.Ids | None) -> Check:
    if params.dry_run and any(isinstance(each, Create | Split) for each in after.actions):
        return skipped("runway", "a dry run: partitions are left to create")
    return health.runway_check(run.spec, found, after.now, ids)


def _left(name: str, after: Plan, kinds: tuple[type[Action], ...], expected: str, dry_run: bool) -> Check:
    """Check that a new plan has no action of these kinds left."""
    left = [each for each in after.actions if isinstance(each, kinds)]
    if left and dry_run:
        return skipped(name, f"a dry run, left to do: {_listed(left)}", expected=expected)
    return check(name, not left, expected=expected, actual=f"left to do: {_listed(left)}" if left else "as expected")


def _listed(actions: Sequence[Action]) -> str:
    return ", ".join(dict.fromkeys(each.partition.name for each in actions))


def _retention_check(run: Run, params: MaintenanceParams, after: Plan) -> Check:
    if after.cutoff is None:
        return skipped("retention", "retention is off" if run.spec.retention else "the spec keeps everything")
    expected = f"no partition left to retire wholly before {after.cutoff.isoformat(timespec='seconds')}"
    deferred = f"deferred: {after.deferral}" if after.deferral else ""
    if params.retention is RetentionMode.DRY_RUN:
        kinds = {did: [each for each in after.proposed if isinstance(each, kind)] for kind, did in RETIRING.items()}
        would = "; ".join(f"{did} {_listed(each)}" for did, each in kinds.items() if each) or "do nothing"
        return skipped("retention", f"a dry run, it would {would}. {deferred}".rstrip(". "), expected=expected)
    if deferred:
        return skipped("retention", deferred, expected=expected)
    if after.stops:
        return skipped("retention", f"stopped by the checks {', '.join(after.stops)}", expected=expected)
    return _left("retention", after, tuple(RETIRING), expected, params.dry_run)


def _statistics_check(params: MaintenanceParams, after: Plan) -> Check:
    expected = f"statistics of the last {figures.count(ANALYZE_AFTER_DAYS, 'day')}"
    if after.statistics_due and params.dry_run:
        return skipped("parent_analyzed", f"a dry run: {after.statistics_due}", expected=expected)
    actual = after.statistics_due or "as expected"
    return check("parent_analyzed", not after.statistics_due, expected=expected, actual=actual)


def _lock_check(run: Run) -> Check:
    """Check that no lock blocked the application for long, and record the longest wait and hold."""
    locks = run.database.locks
    waited, held = figures.milliseconds(locks.waited_ms), figures.milliseconds(locks.held_ms)
    for name in ("waited_ms", "held_ms"):
        run.ledger.record_measurement("maintenance", f"longest_lock_{name}", getattr(locks, name), "ms")
    return check(
        "locks_were_short",
        max(locks.waited_ms, locks.held_ms) <= LONGEST_LOCK_MS,
        expected=f"no blocking lock waited for or held longer than {figures.milliseconds(LONGEST_LOCK_MS)}",
        actual=f"longest wait {waited}, longest hold {held}",
        remedy="Find the slow statements by `duration_ms` in partition_playbook.events. If rows moved, lower the param "
        "`max_moved_rows`",
        severity=Severity.WARNING,
    )


def _summary(run: Run, after: Plan, done: Sequence[Done], checks: Sequence[Check]) -> dict[str, Any]:
    """Return the results as plain values, for the XCom and the lifecycle section."""
    summary: dict[str, Any] = {
        "table": run.spec.table,
        "horizon": after.horizon.isoformat(),
        "cutoff": after.cutoff.isoformat() if after.cutoff else None,
        "deferred": after.deferral,
        "moved_rows": sum(each.moved_rows for each in done),
        "longest_lock_wait_ms": round(run.database.locks.waited_ms, 1),
        "longest_lock_hold_ms": round(run.database.locks.held_ms, 1),
    }
    for kind, (did, would) in SUMMARY_KEYS.items():
        of_kind = [each for each in done if isinstance(each.action, kind)]
        summary[did] = [each.action.partition.name for each in of_kind if each.ending is Ending.DONE]
        summary[would] = [each.action.partition.name for each in of_kind if each.ending is Ending.SHOWN]
    splits = [each.action for each in done if isinstance(each.action, Split) and each.ending is Ending.DONE]
    summary["created"] = [each.partition.name for one in splits for each in one.creates] + summary["created"]
    return summary | {"failed": [each.name for each in checks if each.blocks]}
