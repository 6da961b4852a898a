"""The DAG partition_standby: keep the way back of each migration open until partition_finalize."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import psycopg
from airflow.sdk import get_current_context, task, task_group

from partition_playbook.airflow.last_line import tell_failure
from partition_playbook.airflow.notifications import Announce, standby_message
from partition_playbook.airflow.runs import attach_run, standing_run
from partition_playbook.airflow.tasks import SHORT
from partition_playbook.engine import way_back
from partition_playbook.engine.way_back import State
from partition_playbook.errors import InvalidSpec, LedgerMissing, PlaybookError, PreconditionFailed
from partition_playbook.ledger import Phase
from partition_playbook.run import Run
from partition_playbook.spec import load_spec, spec_names

log = logging.getLogger(__name__)

REMEDIES = {
    State.BEHIND: "Look for a pause, an exceeded `throttle` limit or a lock in the log of keep_open. If changes arrive "
    "faster than one session reconciles them, trigger partition_finalize or partition_rollback soon",
    State.NEARLY_FULL: "When the log is full, only the backup leads back. Trigger partition_finalize or "
    "partition_rollback before. For the next run raise `change_log_limit` in the spec",
}


@task_group
def standby() -> None:
    """Reconcile the retired table of each table that has one; do nothing where none stands."""
    keep_open.expand(table=retired_tables())


@task(execution_timeout=SHORT)
def retired_tables() -> list[str]:
    """Return the names of the table specs with a retired table; one with a problem is included, to show it."""
    context = get_current_context()
    return [name for name in spec_names() if _has_retired_table(name, context)]


def _has_retired_table(name: str, context: Mapping[str, Any]) -> bool:
    try:
        spec = load_spec(name, standing=True)
        row = attach_run(spec, "", context).ledger.standing_run(spec.name)
    except InvalidSpec as error:
        log.warning("%s is left out: %s", name, error)
        return False
    except LedgerMissing:  # no run was ever opened in this database
        return False
    except (PlaybookError, psycopg.Error) as error:  # its own task fails, and no other
        log.warning("%s: %s", name, error)
        return True
    return row is not None and row["phase"] == Phase.LIVE


def _run_of(context: Mapping[str, Any]) -> Run:
    return standing_run({**context, "params": {"table": context["maintained_table"]}})


@task(
    map_index_template="{{ maintained_table }}",
    execution_timeout=timedelta(minutes=10),
    on_failure_callback=[Announce(standby_message, run=_run_of), tell_failure],
)
def keep_open(table: str) -> None:
    """Reconcile one retired table, and say what a rollback would take now.

    PreconditionFailed if the way back needs a person: the change log is behind or nearly full. Raises CaptureLost or
    Diverged once it is lost.
    """
    context = get_current_context()
    context["maintained_table"] = table  # type: ignore[typeddict-unknown-key]
    run = _run_of(context)
    if run.ledger.run()["phase"] != Phase.LIVE:
        log.info("%s: no retired table stands", run.table)
        return
    try:
        found = way_back.keep_open(run)
    except (PlaybookError, psycopg.Error):
        if run.ledger.run()["phase"] == Phase.LIVE:
            raise
        log.info("%s: the run was rolled back or finalized meanwhile", run.table)
        return

    for sentence in found.sentences() if found else ():
        log.info("%s: %s", run.table, sentence)
    if found and found.state is not State.IN_STEP:
        problem = f"the way back is {found.state}: {found.problem}"
        raise PreconditionFailed(problem, where=str(run.table), remedy=REMEDIES[found.state])
