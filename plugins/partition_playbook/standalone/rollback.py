"""The DAG partition_rollback: undo the standing migration of a table."""

from __future__ import annotations

import logging
import time

from airflow.sdk import get_current_context

from partition_playbook import engine
from partition_playbook.airflow.last_line import tell_failure
from partition_playbook.airflow.notifications import Announce, AnnounceFailure, failure_message, finished_message
from partition_playbook.airflow.runs import standing_run, tell_trigger
from partition_playbook.airflow.tasks import URGENT, playbook_task
from partition_playbook.ledger import Phase
from partition_playbook.run import Run

log = logging.getLogger(__name__)


@playbook_task(
    run=standing_run,
    priority_weight=URGENT,
    on_success_callback=Announce(finished_message, run=standing_run),
    on_failure_callback=[AnnounceFailure(failure_message, run=standing_run), tell_failure],
)
def roll_back_standing_run(run: Run) -> None:
    """Undo the standing migration of a table, from any phase."""
    tell_trigger(run, get_current_context())
    phase = Phase(run.ledger.run()["phase"])
    log.info("run %s is in phase %s", run.ledger.run_id, phase.value)
    engine.own_readers.cancel(run)

    if phase is Phase.LIVE:
        started = time.monotonic()
        engine.rollback.roll_back(run)
        run.ledger.record_measurement("rollback", "rollback_seconds", time.monotonic() - started, "s")

        doubled = engine.doubled.doubled_check(run)
        run.ledger.record_checks([doubled])
        log.log(logging.WARNING if doubled.fell_short else logging.INFO, "%s", doubled)

    engine.rollback.abandon(run)
    run.ledger.close("rolled back")
