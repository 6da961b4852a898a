"""Section 9: swap back, verify, time it; in a rehearsal that went well swap forward again."""

from __future__ import annotations

import logging
import time

from airflow.sdk import TriggerRule, get_current_context, task, task_group

from partition_playbook.checks import check
from partition_playbook.evidence import application, validation
from partition_playbook.ledger import Phase
from partition_playbook.migration import rollback as engine
from partition_playbook.migration import verify
from partition_playbook.migration.run import Direction, Run
from partition_playbook.notifications import Announce, failed, finished
from partition_playbook.operators import playbook_task, standing_run, tell_trigger
from partition_playbook.spec import Leave, Mode, RunParams

log = logging.getLogger(__name__)

BEFORE_ROLLBACK = ("migration", "validation", "pruning", "application", "lifecycle")


@task_group
def rollback() -> None:
    """Put the original table back into service with every write made since cutover."""
    roll_back() >> stay_or_return() >> [migrate_again(), restore_original()]


@playbook_task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def roll_back(run: Run, params: RunParams) -> None:
    """Reconcile, verify, swap back, see the service work; timed from the decision to the proof."""
    started = time.monotonic()
    engine.roll_back(run)
    probes = application.checks(run, after="rollback")
    seconds = time.monotonic() - started
    run.ledger.measure("rollback", "rollback_seconds", seconds, "s")
    content = verify.content_check(*verify.compare(run), name="row_content_after_rollback")
    limit = check(
        "rollback_time",
        seconds <= 60 * params.max_rollback_minutes,
        expected=f"at most {params.max_rollback_minutes:g} minutes",
        actual=f"{seconds:.1f} s until the original table was in service and its probes had answered",
        remedy="See the events of the ledger for where the time went",
    )
    run.ledger.record([content, validation.parity_check(run, name="parity_after_rollback"), limit, *probes])


@playbook_task(decorator=task.branch)
def stay_or_return(run: Run, params: RunParams) -> str:
    """Migrate again after a rehearsal that went well, unless it is to leave the original table."""
    went_well = all(run.ledger.verdict(section).go for section in (*BEFORE_ROLLBACK, "rollback"))
    again = went_well and params.mode is Mode.REHEARSE and params.leave is Leave.PARTITIONED
    return "rollback.migrate_again" if again else "rollback.restore_original"


@playbook_task
def migrate_again(run: Run) -> None:
    """Swap forward once more and verify once more."""
    engine.verified_swap(run, Direction.FORWARD, occasion="second_cutover")
    content = verify.content_check(*verify.compare(run), name="row_content_after_second_cutover")
    run.ledger.record([content, validation.parity_check(run, name="parity_after_second_cutover")])


@playbook_task
def restore_original(run: Run) -> None:
    """Drop shadow and capture: the table is as it was before the run."""
    engine.abandon(run)


@playbook_task(
    run=standing_run,
    on_success_callback=Announce(finished, run=standing_run),
    on_failure_callback=Announce(failed, run=standing_run),
)
def roll_back_standing_run(run: Run) -> None:
    """Undo the migration of a table in whatever state the ledger finds it."""
    tell_trigger(run, get_current_context())
    phase = Phase(run.ledger.run()["phase"])
    log.info("run %s stands in phase %s", run.ledger.run_id, phase.value)
    if phase is Phase.LIVE:
        started = time.monotonic()
        engine.roll_back(run)
        run.ledger.measure("rollback", "rollback_seconds", time.monotonic() - started, "s")
    engine.abandon(run)
    run.ledger.close("rolled back")
