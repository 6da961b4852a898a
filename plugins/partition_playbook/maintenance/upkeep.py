"""All of maintenance for one table: observe, plan, apply, and look again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from partition_playbook import catalog
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Session
from partition_playbook.maintenance.actions import Action, Analyze, Create, Detach, Drop, Finalize
from partition_playbook.maintenance.apply import Done, Ending, apply
from partition_playbook.maintenance.observe import clock_check, observe, require_ours
from partition_playbook.maintenance.params import MaintenanceParams, RetentionMode
from partition_playbook.maintenance.plan import ANALYZE_AFTER_DAYS, Found, Plan, plan
from partition_playbook.migration.run import Run

COUNTED_ROWS = 100_000
WORDS: dict[type[Action], tuple[str, str]] = {
    Create: ("created", "would_create"),
    Finalize: ("finalized", "would_finalize"),
    Detach: ("detached", "would_detach"),
    Drop: ("dropped", "would_drop"),
    Analyze: ("analyzed", "would_analyze"),
}


@dataclass(frozen=True)
class Maintained:
    """What one run of maintenance found and did: checks for the ledger and a summary of plain values."""

    checks: tuple[Check, ...]
    summary: dict[str, Any]


def maintain(run: Run, params: MaintenanceParams) -> Maintained:
    """Keep one table in order, as of the server's clock; one that is not partitioned yet is passed over."""
    with run.database.session() as session:
        parent = catalog.require(session, run.table)
        if not parent.is_partitioned:
            reason = f"{run.table} is not partitioned yet"
            return Maintained((skipped("partitioned", reason),), {"table": run.spec.table, "skipped": reason})
        require_ours(run, parent)
        found = observe(run, session)
    clock = clock_check(found)
    if clock.blocks:
        return Maintained((clock,), {"table": run.spec.table, "failed": [clock.name]})
    before = after = _plan(run, params, found)
    done = apply(run, before, dry_run=params.dry_run, move_limit=params.max_moved_rows)
    with run.database.session() as session:
        if any(each.ending is not Ending.SHOWN for each in done):
            found = observe(run, session)
            after = _plan(run, params, found)
        state = _state_checks(run, session, params, found, after)
    checks = (clock, *before.findings, *_failures(done), *state)
    return Maintained(checks, _summary(run, after, done, checks))


def _plan(run: Run, params: MaintenanceParams, found: Found) -> Plan:
    retention = None if params.retention is RetentionMode.OFF else params.kept or run.spec.retention
    propose = params.retention is RetentionMode.DRY_RUN
    return plan(
        run.spec, found, params.moment or found.clock, premake=params.premake, retention=retention, propose=propose
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


def _state_checks(run: Run, session: Session, params: MaintenanceParams, found: Found, after: Plan) -> list[Check]:
    reach = f"a partition for every {run.spec.interval} up to {after.horizon.isoformat()}"
    return [
        _left("partitions_ahead", after, (Create,), reach, params.dry_run),
        _left("no_pending_detach", after, (Finalize,), "no interrupted detach", params.dry_run),
        _retention_check(run, params, after),
        _statistics_check(params, after),
        _default_check(run, session, found),
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
    expected = f"no partition that lies wholly before {after.cutoff.isoformat(timespec='seconds')}"
    waits = f"deferred: {after.deferral}" if after.deferral else ""
    if params.retention is RetentionMode.DRY_RUN:
        dropped = _listed([each for each in after.proposed if isinstance(each, Drop)]) or "nothing"
        return skipped("retention", f"a dry run, it would drop {dropped}. {waits}".rstrip(". "), expected=expected)
    if waits:
        return skipped("retention", waits, expected=expected)
    return _left("retention", after, (Detach, Drop), expected, params.dry_run)


def _statistics_check(params: MaintenanceParams, after: Plan) -> Check:
    expected = f"statistics of the last {ANALYZE_AFTER_DAYS} days"
    if after.statistics_due and params.dry_run:
        return skipped("parent_analyzed", f"a dry run: {after.statistics_due}", expected=expected)
    actual = after.statistics_due or "as expected"
    return check("parent_analyzed", not after.statistics_due, expected=expected, actual=actual)


def _default_check(run: Run, session: Session, found: Found) -> Check:
    default = next((each for each in found.partitions if each.is_default), None)
    if default is None:
        return skipped("default_empty", "there is no default partition", expected="no rows")
    parts = {"default": default.table.identifier, "partition_by": sql.Identifier(run.spec.partition_by)}
    waiting = session.row("maintenance/find_default_rows", {"limit": COUNTED_ROWS}, **parts)
    more = " or more" if waiting["rows"] == COUNTED_ROWS else ""
    return check(
        "default_empty",
        waiting["rows"] == 0,
        expected="no rows",
        actual=f"{waiting['rows']}{more} rows from {waiting['oldest']} to {waiting['newest']}"
        if waiting["rows"]
        else "no rows",
        remedy="No partition that the clock asks for takes them: correct the rows or create partitions by hand",
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
    }
    for kind, (did, would) in WORDS.items():
        of_kind = [each for each in done if isinstance(each.action, kind)]
        summary[did] = [each.action.partition.name for each in of_kind if each.ending is Ending.DONE]
        summary[would] = [each.action.partition.name for each in of_kind if each.ending is Ending.SHOWN]
    return summary | {"failed": [each.name for each in checks if each.blocks]}
