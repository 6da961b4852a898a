"""The other DAGs that a migration relies on: found before the cutover if they are missing, paused or failing."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import DagRunState
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time import comms, task_runner

from partition_playbook.airflow.runs import MAINTENANCE_DAG, ROLLBACK_DAG, STANDBY_DAG, in_dag_test
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.errors import PreconditionFailed


def sibling_checks(context: Mapping[str, Any]) -> list[Check]:
    """Check that partition_maintenance can run, and warn unless partition_rollback and partition_standby can."""
    if in_dag_test():
        reason = "`airflow dags test` triggers no other DAG"
        return [skipped(name, reason) for name in ("maintenance_dag", "rollback_dag", "standby_dag")]

    return [
        _runs(context, MAINTENANCE_DAG, "maintenance_dag", "the section lifecycle triggers it", Severity.ERROR),
        _last_run(),
        _runs(context, ROLLBACK_DAG, "rollback_dag", "it is the way back while the run is stopped", Severity.WARNING),
        _runs(context, STANDBY_DAG, "standby_dag", "it keeps a rollback short after the cutover", Severity.WARNING),
    ]


def require_maintenance(context: Mapping[str, Any]) -> None:
    """Raise PreconditionFailed unless partition_maintenance can be triggered."""
    for each in sibling_checks(context):
        if each.blocks:
            raise PreconditionFailed(each.actual, where=MAINTENANCE_DAG, remedy=f"{each.remedy}. Then clear this task")


def _runs(context: Mapping[str, Any], dag_id: str, name: str, why: str, severity: Severity) -> Check:
    problem, remedy = _problem(context, dag_id)
    return check(
        name,
        not problem,
        expected=f"{dag_id} can be triggered: {why}",
        actual=problem or f"{dag_id} is there and not paused",
        remedy=remedy,
        severity=severity,
    )


def _problem(context: Mapping[str, Any], dag_id: str) -> tuple[str, str]:
    """Return why a DAG would not run if it was triggered, and what to do; both empty if it would."""
    file = Path(context["dag"].fileloc).with_name(f"{dag_id}.py")
    try:
        paused = context["ti"].get_dag(dag_id).is_paused
    except AirflowRuntimeError:
        remedy = f"Copy dags/{file.name} into Airflow's folder of DAGs, and wait until Airflow lists the DAG"
        return f"Airflow has no DAG {dag_id}", remedy
    if paused:
        return f"{dag_id} is paused: a triggered run would wait for ever", f"Unpause it: airflow dags unpause {dag_id}"

    # Airflow keeps a DAG whose file it can no longer import.
    try:
        if file.exists():
            runpy.run_path(str(file))
    except Exception as error:
        remedy = f"Correct {file.name}: `airflow dags list-import-errors` shows the whole error"
        return f"{dag_id} cannot be imported: {type(error).__name__}: {error}", remedy
    return "", ""


def _last_run() -> Check:
    """Warn if the last scheduled run of partition_maintenance failed: the one of this table may fail too."""
    question = comms.GetPreviousDagRun(dag_id=MAINTENANCE_DAG, logical_date=pendulum.now("UTC"))
    answer = task_runner.SUPERVISOR_COMMS.send(question)
    last = answer.dag_run if isinstance(answer, comms.PreviousDagRunResult) else None
    return last_run_check(last.run_id, DagRunState(last.state)) if last else last_run_check()


def last_run_check(run_id: str = "", state: DagRunState | None = None) -> Check:
    """Return the check of the last scheduled run of partition_maintenance; without one it passes."""
    return check(
        "maintenance_last_run",
        state is not DagRunState.FAILED,
        expected=f"the last scheduled run of {MAINTENANCE_DAG} did not fail",
        actual=f"{run_id}: {state.value}" if state else "it has not run yet",
        remedy="Read the log of its failed task: it names the table and what to do. A red table fails no other table",
        severity=Severity.WARNING,
    )
