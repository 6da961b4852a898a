"""Open the run of a task: its spec, its database and its ledger."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.execution_time import task_runner

from partition_playbook.database import Database, Row
from partition_playbook.errors import LedgerMissing, NoConnection, PreconditionFailed
from partition_playbook.ledger import Ledger
from partition_playbook.people import TRIGGERED
from partition_playbook.run import Run
from partition_playbook.spec import RunParams, TableSpec, load_spec, validated

MIGRATION_DAG, MAINTENANCE_DAG, ROLLBACK_DAG = "partition_migration", "partition_maintenance", "partition_rollback"
STANDBY_DAG = "partition_standby"
PAUSE_VARIABLE = "partition_playbook_pause"


def open_database(
    connection_id: str, *, timezone: str = "UTC", application: str = "partition_playbook", long_lived: bool = False
) -> Database:
    """Return the database behind an Airflow connection; its sessions raise NoConnection if Airflow has none.

    A ``long_lived`` process reads the Airflow connection for each new session: its password may have changed.
    """
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    hook = PostgresHook(postgres_conn_id=connection_id)

    def connect() -> Any:
        try:
            return (PostgresHook(postgres_conn_id=connection_id) if long_lived else hook).get_conn()
        except AirflowNotFoundException:
            raise NoConnection(connection_id) from None

    name = f"the Airflow connection {connection_id}"
    return Database(connect, timezone=timezone, application=application, name=name)


def run_params(context: Mapping[str, Any]) -> RunParams:
    """Return the validated params of the current DAG run; InvalidSpec lists the wrong ones."""
    given = {name: context["params"][name] for name in RunParams.model_fields if name in context["params"]}
    return validated(RunParams, given, where="params")


def attach_run(spec: TableSpec, run_id: str, context: Mapping[str, Any], section: str = "") -> Run:
    """Return a run with a ledger that writes under a section, by default the section of the task.

    Events carry the ids of the task instance, so its log can be found.
    """
    ti = context["ti"]
    section = section or ti.task_id.split(".")[0].removeprefix("go_no_go_")
    origin = {name: getattr(ti, name) for name in ("dag_id", "run_id", "task_id", "map_index", "try_number")}
    # Preflight records a zone unknown to the server, so the ledger must do without it.
    ledger = Ledger(open_database(spec.connection, timezone=spec.timezone).or_utc(), run_id, section, origin)
    database = open_database(spec.connection, timezone=spec.timezone, application=f"partition_playbook {ti.task_id}")
    return Run(spec, database.with_sink(ledger.sink), ledger, partial(is_paused, spec))


def watched_run(connection_id: str, run_id: str, origin: Mapping[str, Any]) -> Run:
    """Return a run by its id, to look at it outside a task; one connection at a time serves run and ledger."""
    database = open_database(connection_id, application="partition_playbook triggerer")
    ledger = Ledger(database, run_id, "migration", origin)
    spec = validated(TableSpec, ledger.run()["spec"], where="ledger")
    return Run(spec, database, ledger, partial(is_paused, spec))


def in_dag_test() -> bool:
    """Return True in ``airflow dags test``, where no scheduler, triggerer or pool exists."""
    return type(task_runner.SUPERVISOR_COMMS).__name__ == "InProcessSupervisorComms"


def ended_runs(context: Mapping[str, Any], run_ids: Iterable[str]) -> list[str]:
    """Return those of the runs of this DAG that Airflow no longer works on, or no longer knows."""
    ti, at_work = context["ti"], ["queued", "running"]
    return [each for each in run_ids if not ti.get_dr_count(dag_id=ti.dag_id, run_ids=[each], states=at_work)]


def is_paused(spec: TableSpec) -> bool:
    """Return True if the Airflow Variable ``partition_playbook_pause`` names this table or ``all``."""
    named = re.split(r"[\s,]+", Variable.get(PAUSE_VARIABLE, default=""))
    return not {"all", spec.table, str(spec.name)}.isdisjoint(named)


def tell_trigger(run: Run, context: Mapping[str, Any]) -> None:
    """Note the Airflow user of a manual DAG run in the ledger; a scheduled run has none."""
    if user := context["dag_run"].triggering_user_name:
        run.ledger.add_note(TRIGGERED, by=user)


def current_run(context: Mapping[str, Any]) -> Run:
    """Return the run of the current task, with the spec as stored in the ledger when the run was opened.

    WrongDatabase if the run or the ledger belongs to another database.
    """
    spec = load_spec(run_params(context).table, standing=True)
    found = attach_run(spec, context["run_id"], context)
    return _as_stored(found, found.ledger.run(), context)


def standing_run(context: Mapping[str, Any]) -> Run:
    """Return the standing run of the table in the params.

    A run stands while its shadow, capture or retired table exists. PreconditionFailed if there is none, WrongDatabase
    if the run or the ledger belongs to another database.
    """
    spec = load_spec(context["params"]["table"], standing=True)
    found = attach_run(spec, "", context)
    try:
        row = found.ledger.standing_run(spec.name)
    except LedgerMissing:  # no run was ever opened in this database
        row = None
    if row is None:
        raise PreconditionFailed(
            "there is no standing migration to roll back or finalize",
            where=spec.table,
            remedy="Check the param `table`; the table partition_playbook.runs lists the runs of this database",
        )
    return _as_stored(found, row, context)


def _as_stored(found: Run, row: Row, context: Mapping[str, Any]) -> Run:
    """Return the run of a record of the ledger, on the connection that found it."""
    found.ledger.require_home()
    spec = found.stored_spec(row)
    found.ledger.database.close_idle()
    return attach_run(spec, row["run_id"], context)
