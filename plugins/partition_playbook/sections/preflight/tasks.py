"""Section 1: the pre-migration checklist. It writes to the ledger only."""

from __future__ import annotations

import logging
from typing import Any

import psycopg
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import BaseOperator, ObjectStoragePath, get_current_context, task, task_group

from partition_playbook.airflow.http import fetch
from partition_playbook.airflow.links import PlanLink
from partition_playbook.airflow.loads_pool import DEFAULT_POOL, CheckLoadsPool, loads_pool, use_loads_pool
from partition_playbook.airflow.notifications import Announce, started_message
from partition_playbook.airflow.runs import attach_run, current_run, ended_runs, run_params, tell_trigger
from partition_playbook.airflow.siblings import sibling_checks
from partition_playbook.airflow.tasks import SHORT, files_queue, playbook_task
from partition_playbook.errors import NotEnoughPrivilege, PreconditionFailed
from partition_playbook.ledger import Ledger
from partition_playbook.run import Run
from partition_playbook.sections.preflight import drill, planning
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.sections.preflight.environment import EVENT_TRIGGERS, event_trigger_refusal
from partition_playbook.sections.preflight.monitoring import monitoring_checks
from partition_playbook.sections.snapshot.checks import storage_checks
from partition_playbook.spec import Mode, RunParams, load_spec

log = logging.getLogger(__name__)

NO_PLAN = "Clear the task choose_mode with the tasks after it, or trigger a run with mode rehearse or migrate"
LOADS = "migration.load_partition"


@task_group
def preflight() -> None:
    """Check all preconditions before anything changes."""
    opened, checked = open_run(), check_preconditions()
    checked.operator.operator_extra_links = (PlanLink(),)
    opened >> ProvokeAlert(task_id="provoke_alert", doc_md="Let one alert fire and be resolved.") >> checked
    if loads_pool() != DEFAULT_POOL:
        opened >> use_loads_pool()
        opened >> check_loads_pool() >> checked


def check_loads_pool() -> CheckLoadsPool:
    """Return the task for the check of the loads' own pool."""
    return CheckLoadsPool(task_id="check_loads_pool", user="preflight.use_loads_pool", loads=LOADS)


@task(on_success_callback=Announce(started_message), execution_timeout=SHORT)
def open_run() -> str:
    """Validate spec and params and open the run in the ledger; RunStands if another one of the table stands."""
    context = get_current_context()
    params = run_params(context)
    if params.mode is Mode.PLAN:
        raise PreconditionFailed("mode plan changes nothing", where=params.table, remedy=NO_PLAN)
    spec = load_spec(params.table)
    run = attach_run(spec, context["run_id"], context)
    ledger: Ledger = run.ledger

    try:
        ended = ended_runs(context, ledger.opened_runs(spec.name))
        given = spec.model_dump(mode="json"), params.model_dump(mode="json")
        ledger.open(spec.name, params.mode.value, *given, ended=ended)
    except psycopg.errors.InsufficientPrivilege as error:
        raise NotEnoughPrivilege(
            f"the ledger could not be created: {error}", where=spec.connection, remedy="; ".join(_remedies(run, params))
        ) from error
    except psycopg.Error as error:
        if not (error.sqlstate and (refusal := event_trigger_refusal(run))):
            raise
        raise PreconditionFailed(
            f"the ledger could not be created: an event trigger refuses the statement: {refusal}",
            where=spec.connection,
            remedy=EVENT_TRIGGERS,
        ) from error

    tell_trigger(run, context)
    return ledger.run_id


class ProvokeAlert(BaseOperator):
    """In a rehearsal, provoke the alert of the drill, and wait in the triggerer until it fired and was resolved.

    The check ``monitoring_drill`` judges it. Its time is the spec's `monitoring.drill_within`.
    """

    def execute(self, context: Any) -> None:
        """Begin the drill; do nothing where none is wanted."""
        run, params = current_run(context), run_params(context)
        if not drill.is_wanted(run, params):
            log.info("%s: no alert is provoked: it takes mode rehearse and the spec's monitoring.prometheus", run.table)
            return
        drill.provoke(run)
        self.execute_complete(context)

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """Ask Prometheus once, and wait unless the drill is over."""
        run = current_run(context)
        last = drill.Drill.last(run) or drill.provoke(run)
        seen, is_over = drill.look(run, last, fetch)
        log.info("%s: the alert %s is %s", run.table, drill.ALERT, seen.state)
        if not is_over:
            self.defer(trigger=TimeDeltaTrigger(drill.EVERY), method_name="execute_complete")


def _remedies(run: Run, params: RunParams) -> list[str]:
    """Return the remedy of each failed check, without a ledger to write to."""
    plan = params.model_copy(update={"mode": Mode.PLAN})
    return [each.remedy for each in preflight_checks(run, plan) if each.blocks]


@playbook_task(queue=files_queue())
def check_preconditions(run: Run, params: RunParams) -> None:
    """Make every check of the checklist and record it; keep plan.sql and plan.json."""
    siblings = sibling_checks(get_current_context())
    monitored = [*monitoring_checks(run.spec.monitoring, fetch), drill.drill_check(run, params)]
    stored = storage_checks(run, params, ObjectStoragePath)
    verdict = run.ledger.record_checks([*preflight_checks(run, params), *stored, *siblings, *monitored])
    for check in verdict.checks:
        log.info("%s", check)
    planning.keep_present(run, params, verdict.checks, ObjectStoragePath)
