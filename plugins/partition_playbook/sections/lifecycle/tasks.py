"""Section 8: run partition_maintenance on the new table, prove retention in a rehearsal, and check the effects."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DagRunState, ObjectStoragePath, task_group

from partition_playbook.airflow.links import run_address
from partition_playbook.airflow.notifications import FAILURE
from partition_playbook.airflow.runs import MAINTENANCE_DAG, current_run, in_dag_test, run_params
from partition_playbook.airflow.siblings import require_maintenance
from partition_playbook.airflow.tasks import playbook_task
from partition_playbook.errors import PlaybookError, PreconditionFailed
from partition_playbook.ledger import Ledger
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.run import Run
from partition_playbook.sections.lifecycle.checks import lifecycle_checks
from partition_playbook.sections.lifecycle.retention_proof import retention_checks
from partition_playbook.spec import Mode, RunParams
from partition_playbook.standalone.maintenance import maintain_table

log = logging.getLogger(__name__)

# The tasks of partition_maintenance for one table, with their map indexes.
MAINTENANCE_TASKS = {"maintenance.maintain_one": 0, "maintenance.choose_tables": -1}
SHORT_RETENTION = "12 months"


@task_group
def lifecycle() -> None:
    """Trigger partition_maintenance for this table: it premakes partitions; retention is a dry run.

    A rehearsal then proves retention on a partition of its own.
    """
    trigger_maintenance() >> prove_retention() >> check_maintenance()


class TriggerMaintenance(TriggerDagRunOperator):
    """Trigger partition_maintenance, and wait for its end in the triggerer.

    In ``airflow dags test`` no scheduler runs, so this task does the maintenance itself. It succeeds after a red
    maintenance too: the next task checks the result, and the gate decides. One without a verdict fails it.
    """

    def execute(self, context: Any) -> None:
        """Trigger it with the params of this run; PreconditionFailed if it is missing or paused."""
        run, params = current_run(context), run_params(context)
        require_maintenance(context)
        self.conf = maintenance_conf(run, params)
        address = context["ti"].log_url.partition("/tasks/")[0]
        self.note = f"Triggered by the section lifecycle of [{context['run_id']}]({address})."
        maintenance_ledger(run, params).reopen()

        if not in_dag_test():
            super().execute(context)
            return
        try:
            maintain_table(str(self.trigger_run_id), self.conf["table"], MaintenanceParams(**self.conf))
        except PlaybookError as error:
            log.error("the maintenance failed: %s", error)
            _require_verdict(context, str(error))

    def execute_complete(self, context: Any, event: tuple[str, dict[str, Any]]) -> None:
        """Require a verdict of the maintenance."""
        super().execute_complete(context, event)
        _require_verdict(context)


def _require_verdict(context: Any, error: str = "") -> None:
    """Raise PreconditionFailed with the error of a maintenance without a verdict."""
    run = current_run(context)
    ledger = maintenance_ledger(run, run_params(context))
    if ledger.verdict_of_run() is None:
        triggered = ledger.run_id.rpartition("/")[0]
        raise PreconditionFailed(
            f"the maintenance failed: {error or failure_of(context, triggered)}",
            where=run_address(context, MAINTENANCE_DAG, triggered),
            remedy=f"Fix the cause, then clear {context['ti'].task_id}: it triggers the maintenance again",
        )


def failure_of(context: Any, run_id: str) -> str:
    """Return the error of a run of partition_maintenance, as its failed task kept it in an XCom."""
    pull = partial(context["ti"].xcom_pull, dag_id=MAINTENANCE_DAG, run_id=run_id, key=FAILURE)
    kept = (pull(task_ids=task_id, map_indexes=index) for task_id, index in MAINTENANCE_TASKS.items())
    return next((each for each in kept if each), "none of its tasks told an error, so its worker may have died")


def maintenance_ledger(run: Run, params: RunParams) -> Ledger:
    """Return the ledger of the maintenance run that this run triggers."""
    return replace(run.ledger, run_id=f"{run.ledger.run_id}__lifecycle/{params.table}")


def maintenance_conf(run: Run, params: RunParams) -> dict[str, Any]:
    """Return the params of the maintenance run."""
    return {
        "table": params.table,
        "premake": partitions_ahead(run, params),
        "retention": "dry_run",
        "keep": SHORT_RETENTION,
    }


def partitions_ahead(run: Run, params: RunParams) -> int:
    """Return the number of partitions to premake: in a rehearsal one more than the spec, so one must be created."""
    return run.spec.premake + (params.mode is Mode.REHEARSE)


def trigger_maintenance() -> TriggerMaintenance:
    """Return the task for the maintenance run."""
    return TriggerMaintenance(
        task_id="trigger_maintenance",
        trigger_dag_id=MAINTENANCE_DAG,
        trigger_run_id="{{ run_id }}__lifecycle",
        reset_dag_run=True,
        wait_for_completion=True,
        allowed_states=[DagRunState.SUCCESS, DagRunState.FAILED],
        failed_states=[],
        deferrable=True,
        poke_interval=5,
    )


@playbook_task
def prove_retention(run: Run, params: RunParams) -> None:
    """Let retention retire a partition that a rehearsal makes for it; nothing in production."""
    run.ledger.record_checks(retention_checks(run, params.mode, ObjectStoragePath))


@playbook_task
def check_maintenance(run: Run, params: RunParams) -> None:
    """Check the effects in the ledger and in the catalog."""
    maintained = maintenance_ledger(run, params)
    run.ledger.record_checks(lifecycle_checks(run, maintained, partitions_ahead(run, params)))
