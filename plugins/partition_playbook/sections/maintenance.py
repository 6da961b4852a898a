"""The scheduled sibling: every table that a spec names is kept in order, each in a task of its own."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import Asset, AssetAlias, ObjectStoragePath, Param, get_current_context, task, task_group

from partition_playbook.errors import PreconditionFailed
from partition_playbook.maintenance.params import ALL_TABLES, MaintenanceParams
from partition_playbook.maintenance.upkeep import maintain
from partition_playbook.migration.run import Run
from partition_playbook.notifications import Announce, red
from partition_playbook.operators import attach_run, form, tell_trigger
from partition_playbook.spec import load_spec, spec_names, validated

log = logging.getLogger(__name__)

MODE = "maintenance"
# Each table's task adds an event of its own table's asset; outlets are those of all of them.
MAINTAINED = AssetAlias("partition_playbook")


def maintained_asset(table: str) -> Asset:
    """Return the asset of a table spec: other DAGs can be scheduled on it."""
    return Asset(f"partition_playbook/{table}")


@task_group
def maintenance() -> None:
    """Maintain the tables side by side; one that fails fails alone."""
    maintain_one.expand(table=choose_tables())


@task
def choose_tables() -> list[str]:
    """Return the table specs that this run is for."""
    params = _params()
    return spec_names() if params.table == ALL_TABLES else [params.table]


def _maintained_run(context: Any) -> Run:
    table = context["maintained_table"]
    return attach_run(load_spec(table), f"{context['run_id']}/{table}", context, MODE)


@task(
    map_index_template="{{ maintained_table }}",
    max_active_tis_per_dagrun=2,
    outlets=[MAINTAINED],
    on_failure_callback=Announce(red, run=_maintained_run),
)
def maintain_one(table: str) -> dict[str, Any]:
    """Create partitions ahead, move what waits in the default one, apply retention; return what was done."""
    context = get_current_context()
    context["maintained_table"] = table  # type: ignore[typeddict-unknown-key]
    params = _params()
    done = maintain_table(context["run_id"], table, params)
    if params.is_real and "health" in done:
        context["outlet_events"][MAINTAINED].add(maintained_asset(table), extra=done["health"])
    return done


def maintain_table(run_id: str, table: str, params: MaintenanceParams) -> dict[str, Any]:
    """Maintain one table as a run of its own in the ledger; PreconditionFailed where it is not in order afterwards."""
    run = _open(f"{run_id}/{table}", table, params)
    done = maintain(run, params, ObjectStoragePath)
    verdict = run.ledger.record(done.checks)
    for each in verdict.checks:
        log.info("%s", each)
    run.ledger.tell("maintained", **done.summary)
    run.ledger.close("go" if verdict.go else "no-go")
    if not verdict.go:
        raise PreconditionFailed(str(verdict), where=table, remedy="The ledger and the log above say what was done")
    return done.summary


def _open(run_id: str, table: str, params: MaintenanceParams) -> Run:
    spec = load_spec(table)
    context = get_current_context()
    run = attach_run(spec, run_id, context, MODE)
    run.ledger.open(spec.name, MODE, spec.model_dump(mode="json"), params.model_dump(mode="json"))
    tell_trigger(run, context)
    return run


def _params() -> MaintenanceParams:
    given = get_current_context()["params"]
    return validated(MaintenanceParams, dict(given), where="params")


def trigger_form() -> dict[str, Param]:
    """Return the trigger form: one table or all of them, and what MaintenanceParams declares."""
    shown = MaintenanceParams.model_fields["table"]
    choices = [ALL_TABLES, *spec_names()]
    table = Param(ALL_TABLES, type="string", enum=choices, title=shown.title, description_md=shown.description)
    return form(MaintenanceParams, table)
