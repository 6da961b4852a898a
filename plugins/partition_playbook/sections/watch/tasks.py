"""Section 9: look for errors every minute, from the triggerer, and end at the first finding or after the time."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import BaseOperator, task_group

from partition_playbook.airflow.http import fetch
from partition_playbook.airflow.runs import current_run, run_params
from partition_playbook.sections.application.probes import probe_checks
from partition_playbook.sections.application.procedures import procedure_checks
from partition_playbook.sections.watch import looks
from partition_playbook.sections.watch.checks import not_watched, watch_checks


@task_group
def watch() -> None:
    """Watch alerts, logs, health and the database for some time, and run the probes and the procedures again."""
    Observe(task_id="observe", doc_md="Look at every source of the spec's `watch`, then wait in the triggerer.")


class Observe(BaseOperator):
    """Look once, wait in the triggerer, and look again, until the time is over or something is found.

    The ledger has the state, so a restart of everything goes on where it was. A cleared task begins a new watch.
    """

    def execute(self, context: Any) -> None:
        """Begin, or go on after a dead worker."""
        if run_params(context).watched_minutes:
            self.execute_complete(context)
        else:
            current_run(context).ledger.record_checks(not_watched("The param watch_minutes is 0"))

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """Look once, after the wait; judge the watch at its end."""
        run = current_run(context)
        current = looks.begin(run, 60.0 * run_params(context).watched_minutes)
        looks.take(run, current, fetch)
        if not current.is_over(run):
            self.defer(trigger=TimeDeltaTrigger(run.spec.watch.every), method_name="execute_complete")

        application = [*probe_checks(run, after="watch"), *procedure_checks(run, after="watch")]
        run.ledger.record_checks([*watch_checks(run, current), *application])
        current.ended = True
        current.save(run)
