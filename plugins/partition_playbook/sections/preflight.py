"""Section 1: the pre-migration checklist. Nothing is touched but the ledger."""

from __future__ import annotations

import logging

import psycopg
from airflow.sdk import get_current_context, task, task_group

from partition_playbook.errors import NotEnoughPrivilege
from partition_playbook.evidence import preflight as evidence
from partition_playbook.ledger import Ledger
from partition_playbook.migration.run import Run
from partition_playbook.notifications import Announce, started
from partition_playbook.operators import attach_run, playbook_task, run_params, tell_trigger
from partition_playbook.spec import Mode, RunParams, load_spec

log = logging.getLogger(__name__)


@task_group
def preflight() -> None:
    """Check everything that can be known before anything is touched."""
    open_run() >> check_preconditions()


@task(on_success_callback=Announce(started))
def open_run() -> str:
    """Validate spec and params and open the run in the ledger."""
    context = get_current_context()
    params = run_params(context)
    spec = load_spec(params.table)
    run = attach_run(spec, context["run_id"], context)
    ledger: Ledger = run.ledger
    try:
        ledger.open(spec.name, params.mode.value, spec.model_dump(mode="json"), params.model_dump(mode="json"))
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotEnoughPrivilege(
            f"the ledger can't be made: {error}", where=spec.connection, remedy="; ".join(_remedies(run, params))
        ) from error
    tell_trigger(run, context)
    return ledger.run_id


def _remedies(run: Run, params: RunParams) -> list[str]:
    """Return what to do about each check that fails, without a ledger to write to."""
    plan = params.model_copy(update={"mode": Mode.PLAN})
    return [each.remedy for each in evidence.checks(run, plan) if each.blocks]


@playbook_task
def check_preconditions(run: Run, params: RunParams) -> None:
    """Make every check of the checklist and record it."""
    verdict = run.ledger.record(evidence.checks(run, params))
    for check in verdict.checks:
        log.info("%s", check)
