"""Section 10: roll back, verify and time it; after a successful rehearsal cut over again."""

from __future__ import annotations

import logging
import time

from airflow.sdk import TriggerRule, task, task_group

from partition_playbook import engine, figures, gates
from partition_playbook.airflow.approvals import Ask
from partition_playbook.airflow.tasks import SHORT, playbook_task
from partition_playbook.checks import check
from partition_playbook.engine.sides import Direction
from partition_playbook.people import Question
from partition_playbook.run import Run
from partition_playbook.sections.application.probes import probe_checks
from partition_playbook.sections.preflight.unsupported import require_supported
from partition_playbook.sections.validation.checks import parity_check
from partition_playbook.spec import RunParams

log = logging.getLogger(__name__)


@task_group
def rollback() -> None:
    """Make the original table live again, with every write since the cutover."""
    approved = approve_second_cutover()
    finished = migrate_again()
    roll_back() >> stay_or_return() >> [approved, finished, restore_original()]
    approved >> finished


@playbook_task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def roll_back(run: Run, params: RunParams) -> None:
    """Reconcile, verify, swap back and run the probes; the time until the last answer is measured."""
    started = time.monotonic()
    engine.rollback.roll_back(run, gates.before_rollback)
    probes = probe_checks(run, after="rollback")
    seconds = time.monotonic() - started
    run.ledger.record_measurement("rollback", "rollback_seconds", seconds, "s")

    compared = engine.verify.compare(run, params.load_workers)
    content = engine.verify.content_check(*compared, name="row_content_after_rollback")
    limit = check(
        "rollback_time",
        seconds <= 60 * params.max_rollback_minutes,
        expected=f"at most {figures.seconds(60 * params.max_rollback_minutes)}",
        actual=f"{figures.seconds(seconds)} until the original table was live and its probes had answered",
        remedy="Find the slow statements by duration_ms in partition_playbook.events, or raise the param "
        "max_rollback_minutes",
    )
    parity = parity_check(run, name="parity_after_rollback")
    run.ledger.record_checks([content, engine.doubled.doubled_check(run), parity, limit, *probes])


@playbook_task(decorator=task.branch, execution_timeout=SHORT)
def stay_or_return(run: Run, params: RunParams) -> str:
    """Branch to the second cutover after a successful rehearsal with `leave: partitioned`, else to restore_original."""
    with run.database.session() as session:
        again = gates.returns(gates.read_facts(session, run))
    if not again:
        return "rollback.restore_original"
    return "rollback.approve_second_cutover" if params.asks_people else "rollback.migrate_again"


def approve_second_cutover() -> Ask:
    """Return the task for the approval of the second cutover by a person: the answer to the first one is used up."""
    return Ask(
        task_id="approve_second_cutover",
        question=Question.SECOND_CUTOVER,
        evidence=lambda run, params: run.ledger.verdict("rollback").checks,
        subject="{{ params.table }}: cut over again?",
        body="The rollback was rehearsed, and the original table is live. **Approve** swaps the names once more. "
        "**Reject**, or no answer in a week, leaves the original table live. Then clear this task to be asked again, "
        "or trigger `partition_rollback`.",
        fail_on_reject=True,
    )


@playbook_task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def migrate_again(run: Run, params: RunParams) -> None:
    """Cut over a second time, then verify again."""
    require_supported(run, params)  # an approval may have taken days
    occasion, gate = "second_cutover", gates.before_second_cutover
    engine.cutover.swap(run, Direction.FORWARD, occasion=occasion, gate=gate)
    content = engine.verify.content_check(*engine.verify.compare(run), name="row_content_after_second_cutover")
    run.ledger.record_checks([content, parity_check(run, name="parity_after_second_cutover")])


@playbook_task
def restore_original(run: Run) -> None:
    """Drop the partitioned table, capture and change log; the original table is as before the run."""
    engine.rollback.abandon(run, gates.before_restoring)
