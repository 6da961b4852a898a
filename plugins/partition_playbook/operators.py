"""The few Airflow pieces that are ours: a task that is given its run, how tasks retry, the trigger form."""

from __future__ import annotations

import hashlib
import inspect
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload
from urllib.parse import urlencode

import psycopg
from airflow.sdk import (
    BaseOperatorLink,
    ExceptionRetryPolicy,
    Param,
    RetryAction,
    RetryRule,
    Variable,
    get_current_context,
    task,
)
from airflow.sdk.configuration import conf
from pydantic import BaseModel

from partition_playbook.database import Database
from partition_playbook.errors import PlaybookError, PreconditionFailed, TryAgain
from partition_playbook.evidence.record import TRIGGERED
from partition_playbook.ledger import Ledger
from partition_playbook.migration.run import Run
from partition_playbook.spec import RunParams, TableSpec, load_spec, spec_names, validated

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

log = logging.getLogger(__name__)

ARTIFACTS_VARIABLE = "PARTITION_PLAYBOOK_ARTIFACTS"
LOADS_POOL_VARIABLE = "PARTITION_PLAYBOOK_LOADS_POOL"
PAUSE_VARIABLE = "partition_playbook_pause"
# The plugin's: without it the links lead nowhere.
CONSOLE = "/partition_playbook"

RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(TryAgain, RetryAction.RETRY, reason="The state is consistent; time alone can help"),
        RetryRule(PlaybookError, RetryAction.FAIL, reason="A retry would find the same"),
        RetryRule(
            "airflow.providers.standard.exceptions.HITLRejectException", RetryAction.FAIL, reason="A person said no"
        ),
        RetryRule("psycopg.errors.InsufficientPrivilege", RetryAction.FAIL, reason="A retry would find the same"),
        RetryRule("psycopg.OperationalError", RetryAction.RETRY, reason="The connection or the server may come back"),
        RetryRule("psycopg.Error", RetryAction.FAIL, reason="A retry would find the same"),
    ]
)
TASK_DEFAULTS: dict[str, Any] = {
    "owner": "partition_playbook",
    "retries": 3,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=5),
    "retry_policy": RETRY_POLICY,
    "execution_timeout": timedelta(hours=12),
}


def loads_pool() -> str:
    """Return the pool that bounds the loads of all runs together."""
    return os.environ.get(LOADS_POOL_VARIABLE, "default_pool")


def open_database(connection_id: str, *, timezone: str = "UTC", application: str = "partition_playbook") -> Database:
    """Return the database behind an Airflow connection."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    hook = PostgresHook(postgres_conn_id=connection_id)
    return Database(hook.get_conn, timezone=timezone, application=application)  # type: ignore[arg-type]


def run_params(context: Mapping[str, Any]) -> RunParams:
    """Return the params of the current DAG run, validated."""
    given = {name: context["params"][name] for name in RunParams.model_fields if name in context["params"]}
    return validated(RunParams, given, where="params")


def artifacts_path(run_id: str) -> Path:
    """Return where the backup and the report of a run are: a path of no other run, whatever the id holds."""
    root = Path(
        os.environ.get(ARTIFACTS_VARIABLE)
        or Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "artifacts"
    )
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", run_id)[:80]
    return root / f"{readable}_{hashlib.sha256(run_id.encode()).hexdigest()[:12]}"


def artifacts_folder(run_id: str) -> Path:
    """Make the folder of a run's backup and report, for no other user to look into, and return it."""
    folder = artifacts_path(run_id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise PreconditionFailed("somebody else made it", where=str(folder), remedy="Look at it, then remove it")
    folder.chmod(0o700)  # a dump holds every row of the database
    return folder


class ReportLink(BaseOperatorLink):
    """Lead from a task to its run's report, as the console serves it."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the report."""
        return _in_console("report", run_id=ti_key.run_id)


class PartitionLink(BaseOperatorLink):
    """Lead from the load of a partition to its bar in the console."""

    name = "Partition"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the run's progress, with the partition marked."""
        partition = operator.op_kwargs["partition"]
        return _in_console("", dag_id=ti_key.dag_id, run_id=ti_key.run_id, partition=partition)


def _in_console(path: str, **asked: str) -> str:
    server = conf.get("api", "base_url", fallback="/").rstrip("/")
    return f"{server}{CONSOLE}/{path}?{urlencode(asked)}"


def show_link(link: BaseOperatorLink, context: Mapping[str, Any]) -> None:
    """Give the link of a mapped task to the UI while it runs; Airflow does it at the end, and not for mapped ones."""
    ti = context["ti"]
    ti.xcom_push(link.xcom_key, link.get_link(ti.task, ti_key=ti))


def attach_run(spec: TableSpec, run_id: str, context: Mapping[str, Any], section: str = "") -> Run:
    """Return a run whose ledger writes under a section, by default the task's, and knows whose log tells more."""
    ti = context["ti"]
    section = section or ti.task_id.split(".")[0].removeprefix("go_no_go_")
    origin = {name: getattr(ti, name) for name in ("dag_id", "run_id", "task_id", "map_index", "try_number")}
    ledger = Ledger(open_database(spec.connection, timezone=spec.timezone), run_id, section, origin)
    database = open_database(spec.connection, timezone=spec.timezone, application=f"partition_playbook {ti.task_id}")
    return Run(spec, database.with_sink(ledger.sink), ledger, partial(is_paused, spec))


def is_paused(spec: TableSpec) -> bool:
    """Tell whether a person has written this table, or ``all``, into the Airflow Variable that pauses loads."""
    named = re.split(r"[\s,]+", Variable.get(PAUSE_VARIABLE, default=""))
    return not {"all", spec.table, str(spec.name)}.isdisjoint(named)


def tell_trigger(run: Run, context: Mapping[str, Any]) -> None:
    """Keep in the ledger which Airflow user triggered the DAG run; a schedule has none."""
    if who := context["dag_run"].triggering_user_name:
        run.ledger.tell(TRIGGERED, by=who)


def current_run(context: Mapping[str, Any]) -> Run:
    """Return the run of the current task, with the spec as it was when the run was opened."""
    spec = load_spec(run_params(context).table)
    run = attach_run(spec, context["run_id"], context)
    return replace(run, spec=validated(TableSpec, run.ledger.run()["spec"], where="ledger"))


def standing_run(context: Mapping[str, Any]) -> Run:
    """Return the run whose shadow or retired table stands beside the table that the current DAG run names."""
    spec = load_spec(context["params"]["table"])
    found = attach_run(spec, "", context)
    try:
        row = found.ledger.standing_run(spec.name)
    except psycopg.errors.UndefinedTable:  # no run was ever opened in this database
        row = None
    if row is None:
        raise PreconditionFailed(
            "no migration stands", where=spec.table, remedy="There is nothing to roll back or to finalize"
        )
    return attach_run(validated(TableSpec, row["spec"], where="ledger"), row["run_id"], context)


@overload
def playbook_task(function: Callable[..., Any]) -> Any: ...


@overload
def playbook_task(
    *,
    run: Callable[[Mapping[str, Any]], Run] = ...,
    decorator: Callable[..., Any] = ...,
    **arguments: Any,
) -> Callable[[Callable[..., Any]], Any]: ...


def playbook_task(
    function: Callable[..., Any] | None = None,
    *,
    run: Callable[[Mapping[str, Any]], Run] = current_run,
    decorator: Callable[..., Any] = task,
    **arguments: Any,
) -> Any:
    """Make a task of a function that may ask for the ``run`` and its ``params`` by name."""
    if function is None:
        return partial(playbook_task, run=run, decorator=decorator, **arguments)
    names = list(inspect.signature(function).parameters)
    given = [name for name in ("run", "params") if name in names]

    @wraps(function)
    def execute(*args: Any, **kwargs: Any) -> Any:
        context = get_current_context()
        values: dict[str, Callable[[], Any]] = {"run": partial(run, context), "params": partial(run_params, context)}
        return function(*args, **kwargs, **{name: values[name]() for name in given})

    shown = inspect.signature(function)
    execute.__signature__ = shown.replace(  # type: ignore[attr-defined]
        parameters=[each for name, each in shown.parameters.items() if name not in given]
    )
    made: Any = decorator(**arguments)
    return made(execute)


def table_param() -> Param:
    """Return the param that names a table spec."""
    names = spec_names()
    chosen = "sensor_readings" if "sensor_readings" in names else (names[0] if names else "")
    description = RunParams.model_fields["table"].description
    return Param(chosen, type="string", enum=names or None, title="Table", description_md=description)


def form(model: type[BaseModel] = RunParams, table: Param | None = None) -> dict[str, Param]:
    """Return the trigger form of a DAG: what the model of its params declares, once."""
    schema = model.model_json_schema()
    params = {"table": table or table_param()}
    for name, shown in schema["properties"].items():
        if name != "table":
            known = _flat(shown, schema["$defs"])
            description = known.pop("description", None)
            params[name] = Param(known.pop("default"), description_md=description, **known)
    return params


def _flat(shown: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a field declares without references and choices of types, which the form does not follow."""
    reference = shown.pop("$ref", "").rpartition("/")[2]
    known = {**definitions.get(reference, {}), **shown}
    if choices := [_flat(choice, definitions) for choice in known.pop("anyOf", ())]:
        known = {key: value for choice in choices for key, value in choice.items()} | known
        known["type"] = [choice["type"] for choice in choices]
        if "enum" in known and "null" in known["type"]:
            known["enum"] = [*known["enum"], None]
    return known
