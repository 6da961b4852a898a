"""Section 4: create the shadow, capture, load, catch up, verify, approve, cut over."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import ObjectStoragePath, TriggerRule, get_current_context, task, task_group

from partition_playbook import engine, gates
from partition_playbook.airflow import progress
from partition_playbook.airflow.approvals import Ask
from partition_playbook.airflow.links import PlanLink
from partition_playbook.airflow.loads import LoadPartitions
from partition_playbook.airflow.loads_pool import loads_pool
from partition_playbook.airflow.notifications import Announce, gate_message
from partition_playbook.airflow.runs import attach_run, run_params
from partition_playbook.airflow.siblings import require_maintenance, sibling_checks
from partition_playbook.airflow.tasks import SHORT, files_queue, playbook_task
from partition_playbook.engine.sides import Direction
from partition_playbook.people import Question
from partition_playbook.run import Run
from partition_playbook.sections.application.procedures import record_during
from partition_playbook.sections.migration.lock_hold import lock_hold_check
from partition_playbook.sections.preflight import after_cutover, key_steps, planning
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.sections.preflight.unsupported import require_supported
from partition_playbook.sections.validation.checks import parity_check
from partition_playbook.spec import RunParams, load_spec
from partition_playbook.workload.checks import workload_checks

log = logging.getLogger(__name__)


@task_group
def migration() -> None:
    """Copy the table into partitions while the application writes, then swap the names."""
    built = build_shadow()
    loads = LoadPartitions.partial(
        task_id="load_partition",
        pool=loads_pool(),
        map_index_template="{{ partition_name }}",
        doc_md="Load a group of partitions from one scan and snapshot, in one transaction; wait in the triggerer for a "
        "load slot.",
    ).expand(partitions=built)
    verified = verify_online()

    [built, loads] >> attach_partitions() >> verified
    approved = approve_cutover()
    finished = cut_over()
    verified >> go_no_go_cutover() >> [approved, finished, abandon_shadow()]
    approved >> finished


@playbook_task
def build_shadow(run: Run, params: RunParams) -> list[list[str]]:
    """Create the shadow and its partitions, start change capture, and return the groups of partitions to load."""
    loads = engine.shadow.build(run, gates.before_shadow)
    progress.tell(run)
    return engine.load_groups.grouped(loads, params.load_workers)


@playbook_task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def attach_partitions(run: Run, params: RunParams) -> int:
    """Attach the loaded partitions, then VACUUM and ANALYZE them."""
    count = engine.attach.attach_partitions(run)
    engine.vacuum.vacuum_partitions(run, workers=params.load_workers)
    return count


@playbook_task
def verify_online(run: Run, params: RunParams) -> None:
    """Catch up, compare all rows and the parity facts of both tables, and plan the application's statements."""
    require_supported(run, params)
    engine.throttle.wait_until_calm(run)
    engine.reconcile.catch_up(run, until=engine.reconcile.FEW_CHANGES, yielding=True)

    compared = engine.verify.compare(run, params.load_workers)
    content = engine.verify.content_check(*compared, name="row_content_before_cutover")
    run.ledger.record_checks([content, parity_check(run, name="parity_before_cutover")])
    run.ledger.record_checks(engine.pace.pace_checks(run))
    run.ledger.record_checks(workload_checks(run))


@playbook_task(decorator=task.branch, on_success_callback=Announce(gate_message), execution_timeout=SHORT)
def go_no_go_cutover(run: Run, params: RunParams) -> str:
    """Branch to the approval of a person, or to the cutover without approvals, or after a no-go to abandon_shadow."""
    verdict = run.ledger.verdict("migration")
    log.info("%s", verdict)
    if not verdict.go:
        return "migration.abandon_shadow"
    return "migration.approve_cutover" if params.asks_people else "migration.cut_over"


def approve_cutover() -> Ask:
    """Return the task for the approval of the cutover by a person."""
    return Ask(
        task_id="approve_cutover",
        question=Question.CUTOVER,
        evidence=lambda run, params: run.ledger.verdict("migration").checks,
        subject="{{ params.table }}: cut over?",
        body="All rows were compared. **Approve** swaps the names of both tables; each try waits at most 800 ms for "
        "its lock. **Reject**, or no answer in a week, leaves the original table live. Then clear this task to be "
        "asked again, or trigger `partition_rollback`.",
        fail_on_reject=True,
    )


@playbook_task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def cut_over(run: Run, params: RunParams) -> None:
    """Catch up, then swap the table names; compare again if a write can have escaped the capture."""
    engine.cutover.require_permitted(run, Direction.FORWARD, gates.before_cutover)
    require_maintenance(get_current_context())  # an approval may have taken days
    require_supported(run, params)
    record_during(run)
    engine.reconcile.catch_up(run, until=engine.reconcile.FEW_CHANGES, yielding=True)
    engine.cutover.swap(run, Direction.FORWARD, gate=gates.before_cutover)
    run.ledger.record_checks([lock_hold_check(run, params.mode)])


@playbook_task
def abandon_shadow(run: Run) -> None:
    """Drop the shadow, capture and change log; the original table stays live."""
    engine.rollback.abandon(run, gates.before_abandoning)


def plan() -> Any:
    """Return the task of mode plan, with a link to the plan that it keeps."""
    made: Any = print_plan()
    made.operator.operator_extra_links = (PlanLink(),)
    return made


@task(task_id="plan", queue=files_queue())
def print_plan() -> None:
    """Print the plan and keep it as plan.sql and plan.json; change nothing. Fails with NO-GO if a check blocks.

    It reads the catalog only: it waits for no other run, and needs no ledger.
    """
    context = get_current_context()
    params = run_params(context)
    spec = load_spec(params.table)
    run = attach_run(spec, context["run_id"], context)

    checks = [*preflight_checks(run, params), *sibling_checks(context)]
    for check in checks:
        log.info("%s", check)
    found = planning.planned(run, params, checks)
    for line in [*planning.lines(found, checks), *after_cutover.lines(checks), *key_steps.lines(checks)]:
        log.info("%s", line)
    for path in planning.export(found, checks, context["run_id"], ObjectStoragePath):
        log.info("plan: %s", path)

    if refused := planning.refusal(checks, spec.table):
        raise refused
