"""Section 1: the pre-migration checklist. Nothing is touched but the ledger."""

from __future__ import annotations

import logging

from airflow.sdk import get_current_context, task, task_group

from partition_playbook.evidence import preflight as evidence
from partition_playbook.ledger import Ledger
from partition_playbook.migration.run import Run
from partition_playbook.operators import attach_run, playbook_task, run_params
from partition_playbook.spec import RunParams, load_spec

log = logging.getLogger(__name__)


@task_group
def preflight() -> None:
    """Check everything that can be known before anything is touched."""
    open_run() >> check_preconditions()


@task
def open_run() -> str:
    """Validate spec and params and open the run in the ledger."""
    context = get_current_context()
    params = run_params(context)
    spec = load_spec(params.table)
    run = attach_run(spec, context["run_id"], context["ti"].task_id)
    ledger: Ledger = run.ledger
    ledger.open(spec.name, params.mode.value, spec.model_dump(mode="json"), params.model_dump(mode="json"))
    return ledger.run_id


@playbook_task
def check_preconditions(run: Run, params: RunParams) -> None:
    """Make every check of the checklist and record it."""
    verdict = run.ledger.record(evidence.checks(run, params))
    for check in verdict.checks:
        log.info("%s", check)
