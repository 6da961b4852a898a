"""Section 10: the playbook's criteria one by one, the report, the verdict."""

from __future__ import annotations

import logging

from airflow.sdk import TriggerRule, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowFailException

from partition_playbook.approvals import Ask
from partition_playbook.checks import Verdict
from partition_playbook.evidence import decision as evidence
from partition_playbook.evidence import report
from partition_playbook.evidence.record import Question
from partition_playbook.migration.run import Run
from partition_playbook.notifications import Announce, ended
from partition_playbook.operators import ReportLink, artifacts_folder, playbook_task
from partition_playbook.spec import RunParams

log = logging.getLogger(__name__)


@task_group
def decision() -> None:
    """Decide from the evidence, let a person sign it off, write the report, and say go or no-go."""
    signed, decided, said = sign_off(), decide(), say_verdict()
    said.operator.operator_extra_links = (ReportLink(),)
    weigh() >> [signed, decided]
    signed >> decided >> said


@playbook_task(decorator=task.branch, trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def weigh(run: Run, params: RunParams) -> str:
    """Lead to a person's sign-off where the criteria say go and a person decides."""
    go = Verdict.of("decision", evidence.to_sign_off(run, params)).go
    return "decision.sign_off" if go and params.asks_people else "decision.decide"


def sign_off() -> Ask:
    """Return the task that waits for the team's confidence."""
    return Ask(
        task_id="sign_off",
        question=Question.SIGN_OFF,
        evidence=evidence.to_sign_off,
        subject="{{ params.table }}: sign off the migration?",
        body="The criteria say go but for the team's confidence. **Approve** makes the run a GO. **Reject**, or no "
        "answer in a week, makes it a NO-GO and changes nothing in the database: clear this task to be asked again, "
        "or trigger `partition_rollback`, which keeps every write made since the cutover.",
    )


@playbook_task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def decide(run: Run, params: RunParams) -> None:
    """Judge the criteria and write the report beside the backup."""
    verdict = run.ledger.record(evidence.criteria(run, params))
    run.ledger.close("go" if verdict.go else "no-go")
    address = get_current_context()["ti"].log_url.partition("/tasks/")[0]
    for path in report.write(run, params, artifacts_folder(run.ledger.run_id), address):
        log.info("report: %s", path)


@playbook_task(on_success_callback=Announce(ended), on_failure_callback=Announce(ended))
def say_verdict(run: Run) -> str:
    """Say GO, or fail the run with NO-GO and the reasons: nobody shall read green as go."""
    verdict = run.ledger.verdict("decision")
    log.info("%s", verdict)
    if not verdict.go:
        raise AirflowFailException(f"NO-GO: {evidence.reasons(run.ledger.checks())}")
    return "GO"
