"""Section 10: the playbook's criteria one by one, the report, the verdict."""

from __future__ import annotations

import logging

from airflow.sdk import TriggerRule, get_current_context, task_group
from airflow.sdk.exceptions import AirflowFailException

from partition_playbook.evidence import decision as evidence
from partition_playbook.evidence import report
from partition_playbook.migration.run import Run
from partition_playbook.operators import ReportLink, artifacts_folder, playbook_task
from partition_playbook.spec import RunParams

log = logging.getLogger(__name__)


@task_group
def decision() -> None:
    """Decide from the evidence, write the report, and say go or no-go."""
    said = say_verdict()
    said.operator.operator_extra_links = (ReportLink(),)
    decide() >> said


@playbook_task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def decide(run: Run, params: RunParams) -> None:
    """Judge the criteria and write the report beside the backup."""
    verdict = run.ledger.record(evidence.criteria(run, params))
    run.ledger.close("go" if verdict.go else "no-go")
    address = get_current_context()["ti"].log_url.partition("/tasks/")[0]
    for path in report.write(run, params, artifacts_folder(run.ledger.run_id), address):
        log.info("report: %s", path)


@playbook_task
def say_verdict(run: Run) -> str:
    """Say GO, or fail the run with NO-GO and the reasons: nobody shall read green as go."""
    verdict = run.ledger.verdict("decision")
    log.info("%s", verdict)
    if not verdict.go:
        raise AirflowFailException(f"NO-GO: {evidence.reasons(run.ledger.checks())}")
    return "GO"
