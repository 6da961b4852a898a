"""Section 8: let the scheduled sibling do its two jobs on the new table, and check what it did."""

from __future__ import annotations

import logging
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DagRunState, task_group
from airflow.sdk.execution_time import task_runner

from partition_playbook.errors import PlaybookError
from partition_playbook.evidence import lifecycle as evidence
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.migration.run import Run
from partition_playbook.operators import current_run, playbook_task, run_params
from partition_playbook.sections.maintenance import maintain_table
from partition_playbook.spec import Mode, RunParams

log = logging.getLogger(__name__)

MAINTENANCE = "partition_maintenance"
SHORT_RETENTION = "12 months"


@task_group
def lifecycle() -> None:
    """Trigger partition_maintenance for this table: partitions ahead for real, retention as a dry run."""
    trigger_maintenance() >> check_maintenance()


class TriggerMaintenance(TriggerDagRunOperator):
    """Trigger the sibling DAG and wait for it; in ``airflow dags test``, where no scheduler runs it, do its work.

    Whether it went well is for the next task to find out and for the gate to judge.
    """

    def execute(self, context: Any) -> None:
        """Trigger it with what this run needs."""
        self.conf = maintenance_conf(current_run(context), run_params(context))
        address = context["ti"].log_url.partition("/tasks/")[0]
        self.note = f"Triggered by the section lifecycle of [{context['run_id']}]({address})."
        if type(task_runner.SUPERVISOR_COMMS).__name__ == "InProcessSupervisorComms":
            try:
                maintain_table(str(self.trigger_run_id), self.conf["table"], MaintenanceParams(**self.conf))
            except PlaybookError as error:
                log.error("the maintenance failed: %s", error)
            return
        super().execute(context)


def maintenance_conf(run: Run, params: RunParams) -> dict[str, Any]:
    """Return the params of the maintenance run."""
    return {
        "table": params.table,
        "premake": partitions_ahead(run, params),
        "retention": "dry_run",
        "keep": SHORT_RETENTION,
    }


def partitions_ahead(run: Run, params: RunParams) -> int:
    """Return how many partitions to ask for: in a rehearsal one more than there are, so that there is one to create."""
    return run.spec.premake + (params.mode is Mode.REHEARSE)


def trigger_maintenance() -> TriggerMaintenance:
    """Return the task that triggers the sibling and waits for it."""
    return TriggerMaintenance(
        task_id="trigger_maintenance",
        trigger_dag_id=MAINTENANCE,
        trigger_run_id="{{ run_id }}__lifecycle",
        reset_dag_run=True,
        wait_for_completion=True,
        allowed_states=[DagRunState.SUCCESS, DagRunState.FAILED],
        failed_states=[],
        poke_interval=1,
    )


@playbook_task
def check_maintenance(run: Run, params: RunParams) -> None:
    """Check the effect in the ledger and in the catalog."""
    maintenance_run = f"{run.ledger.run_id}__lifecycle/{params.table}"
    run.ledger.record(evidence.checks(run, maintenance_run, partitions_ahead(run, params)))
