"""The DAG partition_maintenance: maintain the table of each spec, each in a mapped task of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from airflow.sdk import Asset, AssetAlias, ObjectStoragePath, Param, get_current_context, task, task_group

from partition_playbook.airflow.forms import form
from partition_playbook.airflow.last_line import tell_failure
from partition_playbook.airflow.notifications import AnnounceFailure, red_message
from partition_playbook.airflow.runs import attach_run, open_database, tell_trigger
from partition_playbook.airflow.tasks import SHORT
from partition_playbook.errors import InvalidSpec, PreconditionFailed
from partition_playbook.ledger import MAINTENANCE
from partition_playbook.maintenance import due
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import ALL_TABLES, MaintenanceParams
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec, load_spec, require_single, spec_names, spec_path, validated

log = logging.getLogger(__name__)

SCHEDULED = "scheduled"
# Outlets are the same for all mapped tasks, so each task adds an event of its table's asset through this alias.
MAINTAINED = AssetAlias("partition_playbook")


def maintained_asset(table: str) -> Asset:
    """Return the asset of a table spec, for schedules of other DAGs."""
    return Asset(f"partition_playbook/{table}")


@task_group
def maintenance() -> None:
    """Maintain the tables in parallel; a failed task does not affect the others."""
    maintain_one.expand(table=choose_tables())


@task(execution_timeout=SHORT)
def choose_tables() -> list[str]:
    """Return the names of the table specs to maintain; a scheduled run chooses those that are due, and logs the others.

    A table whose spec or ledger can't be read is chosen: the error belongs to its own task.
    """
    context, params = get_current_context(), _params()
    names = spec_names() if params.table == ALL_TABLES else [params.table]
    if context["dag_run"].run_type != SCHEDULED:
        return names

    waiting = due.waiting(_readable(names), context["run_id"], open_database)
    for each in waiting.values():
        log.info("%s", each)
    return [each for each in names if each not in waiting]


def _readable(names: Iterable[str]) -> dict[str, TableSpec]:
    found = {}
    for name in names:
        with suppress(InvalidSpec):
            found[name] = load_spec(name, standing=True)
    return found


def _maintained_run(context: Any) -> Run:
    table = context["maintained_table"]
    return attach_run(load_spec(table, standing=True), f"{context['run_id']}/{table}", context, MAINTENANCE)


@task(
    map_index_template="{{ maintained_table }}",
    max_active_tis_per_dagrun=2,
    outlets=[MAINTAINED],
    on_failure_callback=[AnnounceFailure(red_message, run=_maintained_run), tell_failure],
)
def maintain_one(table: str) -> dict[str, Any]:
    """Create partitions ahead, move rows out of the default partition, apply retention; return a summary."""
    context = get_current_context()
    context["maintained_table"] = table  # type: ignore[typeddict-unknown-key]
    params = _params()
    done = maintain_table(context["run_id"], table, params)
    if params.is_real and "health" in done:
        context["outlet_events"][MAINTAINED].add(maintained_asset(table), extra=done["health"])
    return done


def maintain_table(run_id: str, table: str, params: MaintenanceParams) -> dict[str, Any]:
    """Maintain one table as a run of its own in the ledger; return the summary.

    PreconditionFailed if a check of severity error failed, after the work is done.
    """
    run = _open(f"{run_id}/{table}", table, params)

    done = maintain(run, params, ObjectStoragePath)
    verdict = run.ledger.record_checks(done.checks)
    for each in verdict.checks:
        log.info("%s", each)

    run.ledger.add_note("maintained", **done.summary)
    run.ledger.close("go" if verdict.go else "no-go")
    if not verdict.go:
        raise PreconditionFailed(
            str(verdict), where=table, remedy="Follow the remedies of these checks, then clear this task"
        )
    return done.summary


def _open(run_id: str, table: str, params: MaintenanceParams) -> Run:
    spec = load_spec(table, standing=True)
    require_single(spec_path(table), spec)
    context = get_current_context()
    run = attach_run(spec, run_id, context, MAINTENANCE)
    run.ledger.open(spec.name, MAINTENANCE, spec.model_dump(mode="json"), params.model_dump(mode="json"))
    tell_trigger(run, context)
    return run


def _params() -> MaintenanceParams:
    given = get_current_context()["params"]
    return validated(MaintenanceParams, dict(given), where="params")


def trigger_form() -> dict[str, Param]:
    """Return the trigger form: one table or all of them, and the other params of MaintenanceParams."""
    shown = MaintenanceParams.model_fields["table"]
    choices = [ALL_TABLES, *spec_names()]
    table = Param(ALL_TABLES, type="string", enum=choices, title=shown.title, description_md=shown.description)
    return form(MaintenanceParams, table)
