"""Section 11: the criteria of the playbook, the sign-off, the report, the verdict."""

from __future__ import annotations

import hashlib
import logging

from airflow.sdk import ObjectStoragePath, TriggerRule, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowFailException

from partition_playbook import artifacts, gates
from partition_playbook.airflow.approvals import Ask
from partition_playbook.airflow.last_line import tell_failure
from partition_playbook.airflow.links import ReportLink, plan_address
from partition_playbook.airflow.notifications import Announce, AnnounceFailure, verdict_message
from partition_playbook.airflow.tasks import SHORT, files_queue, playbook_task
from partition_playbook.checks import Verdict
from partition_playbook.engine import way_back
from partition_playbook.errors import PlaybookError
from partition_playbook.ledger import Phase
from partition_playbook.people import Question
from partition_playbook.run import Run
from partition_playbook.sections.decision import report
from partition_playbook.sections.decision.criteria import criteria, reasons, to_sign_off, waivers
from partition_playbook.sections.decision.record import RunRecord
from partition_playbook.spec import RunParams

log = logging.getLogger(__name__)


@task_group
def decision() -> None:
    """Evaluate the criteria, ask a person for the sign-off, write the report, and end with go or no-go."""
    signed, decided, said = sign_off(), decide(), say_verdict()
    said.operator.operator_extra_links = (ReportLink(),)

    weigh() >> [signed, decided]
    signed >> decided >> said


@playbook_task(decorator=task.branch, trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS, execution_timeout=SHORT)
def weigh(run: Run, params: RunParams) -> str:
    """Branch to the sign-off if the criteria are a go and approvals are required, else to the decision."""
    go = Verdict.of("decision", to_sign_off(run, params)).go
    return "decision.sign_off" if go and params.asks_people else "decision.decide"


def sign_off() -> Ask:
    """Return the task for the sign-off by a person."""
    return Ask(
        task_id="sign_off",
        question=Question.SIGN_OFF,
        evidence=to_sign_off,
        subject="{{ params.table }}: sign off the migration?",
        body="No criterion failed; the team's confidence is yours to state. Waived criteria are shown as *waived* with "
        "the person and the reason. **Approve** makes the run a GO. **Reject**, or no "
        "answer in a week, makes it a NO-GO and changes nothing in the database. Then clear this task to be asked "
        "again, or trigger `partition_rollback`, which keeps every write since the cutover.",
    )


@playbook_task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS, queue=files_queue())
def decide(run: Run, params: RunParams) -> None:
    """Record the criteria and the verdict, and write the report into the ledger; export it."""
    verdict = run.ledger.record_checks(criteria(run, params))
    run.ledger.close("go" if verdict.go else "no-go")
    _measure_way_back(run)
    address = get_current_context()["ti"].log_url.partition("/tasks/")[0]
    files = report.keep(run, params, address, plan_address(run.ledger.run_id))
    for name, content in files.items():
        log.info("%s is in the ledger: SHA-256 %s", name, hashlib.sha256(content).hexdigest())
    for path in artifacts.export(run.ledger.run_id, files, ObjectStoragePath):
        log.info("report: %s", path)


def _measure_way_back(run: Run) -> None:
    """Record the way back for the report; a lost one is recorded too, and stops no report."""
    if run.ledger.run()["phase"] != Phase.LIVE:
        return
    try:
        found = way_back.keep_open(run, seconds=0)
    except PlaybookError as error:
        log.warning("%s", error)
        return
    for sentence in found.sentences() if found else ():
        log.info("%s", sentence)


@playbook_task(
    on_success_callback=Announce(verdict_message),
    on_failure_callback=[AnnounceFailure(verdict_message), tell_failure],
    execution_timeout=SHORT,
)
def say_verdict(run: Run) -> str:
    """Return GO with the waivers, or fail the run with NO-GO and the reasons: a green run is always a go."""
    gates.require(run, gates.before_verdict)
    verdict, checks = run.ledger.verdict("decision"), run.ledger.checks()
    log.info("%s", verdict)
    if not verdict.go:
        raise AirflowFailException(". ".join([f"NO-GO: {reasons(checks)}", *RunRecord.read(run).stays]))
    return "; ".join(["GO", *waivers(checks)])
