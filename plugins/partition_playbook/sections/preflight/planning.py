"""The plan of a run: made from what passed, compared with the reviewed one, and kept as files."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

import psycopg

from partition_playbook import artifacts
from partition_playbook.checks import Check, check, skipped
from partition_playbook.engine import plan, plan_text
from partition_playbook.engine.planned import Plan
from partition_playbook.errors import PlaybookError
from partition_playbook.lock_retry import TRANSIENT_ERRORS
from partition_playbook.object_store import OpenStore
from partition_playbook.run import Run
from partition_playbook.sections.preflight import key_steps
from partition_playbook.sections.preflight.context import PreflightContext, make_checks
from partition_playbook.spec import RunParams

log = logging.getLogger(__name__)

# Without these no statement can be told: the engine would stop at the same fault, in words of its own.
NEEDED = (
    "connectivity",
    "server_version",
    "time_zone",
    "table_exists",
    "already_partitioned",
    "inheritance",
    "columns_exist",
    "partition_type",
    "partitions_planned",
)


def reviewed_plan(context: PreflightContext) -> Check:
    """Refuse a run whose plan has another hash than the reviewed one; ``plan_hash`` of the params is that."""
    given = context.params.plan_hash
    found = plan.reviewable_hash(context.run, context.session)
    return check(
        "reviewed_plan",
        found == given,
        expected=f"the reviewed plan, plan_hash {given}",
        actual=f"plan_hash {found}",
        remedy="Trigger mode plan, and compare its plan.sql with the reviewed one. Then trigger this run again with "
        f"plan_hash {found}. It changes with the playbook, the major version of the server, the spec, the definition "
        "of the table, and the set of partitions",
    )


def review(context: PreflightContext, made: Sequence[Check]) -> list[Check]:
    """Return the check of the reviewed plan, after the checks that were ``made``; none if no plan was reviewed."""
    if not context.params.plan_hash:
        return []
    if lacking := _lacking(made):
        return [skipped("reviewed_plan", f"there is no plan: see {', '.join(lacking)}")]
    return list(make_checks(context, (reviewed_plan,)))


def planned(run: Run, params: RunParams, checks: Sequence[Check]) -> Plan | str:
    """Return the plan; instead of it the reason for its absence, if checks of preflight refuse the table.

    An error of the plan is raised if every check passed. A lock timeout is raised, because a retry can help.
    """
    if lacking := _lacking(checks):
        return f"no statement is listed: see {', '.join(lacking)}"
    try:
        return plan.make(run, params)
    except TRANSIENT_ERRORS:
        raise
    except (PlaybookError, psycopg.Error) as error:
        if not any(each.blocks for each in checks):
            raise
        return f"no statement is listed: {' '.join(str(error).split())}"


def lines(found: Plan | str, checks: Sequence[Check]) -> list[str]:
    """Return a plan, or the reason for its absence, as lines."""
    return [found] if isinstance(found, str) else plan_text.lines(found, checks)


def files(found: Plan | str, checks: Sequence[Check]) -> dict[str, bytes]:
    """Return plan.sql and plan.json; none without a plan.

    The steps to keys with the partition column, where the table needs any, are at the end of plan.sql.
    """
    if isinstance(found, str):
        return {}
    steps = key_steps.lines(checks)
    values = plan_text.as_values(found, checks) | {"key_steps": steps}
    texts = {
        artifacts.PLAN_SQL: "\n".join([plan_text.as_sql(found, checks), *steps, *([""] if steps else [])]),
        artifacts.PLAN_JSON: json.dumps(values, indent=2) + "\n",
    }
    return {name: text.encode() for name, text in texts.items()}


def export(found: Plan | str, checks: Sequence[Check], run_id: str, store: OpenStore) -> list[str]:
    """Write plan.sql and plan.json into the artifacts of a run and return their paths; none without a plan."""
    made = files(found, checks)
    return artifacts.export(run_id, made, store) if made else []


def keep_present(run: Run, params: RunParams, checks: Sequence[Check], store: OpenStore) -> None:
    """Keep the plan in the ledger and export it, for a run that goes on without it; any fault is logged."""
    try:
        made = files(planned(run, params, checks), checks)
        if not made:
            return
        run.ledger.keep_files(made)
        for path in artifacts.export(run.ledger.run_id, made, store):
            log.info("plan: %s", path)
    except (PlaybookError, psycopg.Error) as error:
        log.warning("plan.sql and plan.json are not kept: %s", error)


def refusal(checks: Sequence[Check], where: str) -> PlaybookError | None:
    """Return the error of a refused plan, with the first refusal in full; None if no check blocks."""
    refused = [each for each in checks if each.blocks]
    if not refused:
        return None
    first, names = refused[0], ", ".join(each.name for each in refused)
    others = ". Then follow the remedies of the other checks in the log of this task" if len(refused) > 1 else ""
    problem = f"NO-GO: {names}. {first.name}: expected {first.expected}; actual {first.actual}"
    return PlaybookError(problem, where=where, remedy=f"{first.remedy}{others}")


def _lacking(checks: Sequence[Check]) -> list[str]:
    return [each.name for each in checks if each.name in NEEDED and each.blocks]
