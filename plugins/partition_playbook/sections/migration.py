"""Section 4: build the shadow, capture, load, catch up, verify online, approve, cut over."""

from __future__ import annotations

import logging

from airflow.sdk import TriggerRule, get_current_context, task, task_group

from partition_playbook.approvals import Ask
from partition_playbook.errors import PlaybookError
from partition_playbook.evidence import preflight, validation, workload
from partition_playbook.evidence.record import Question
from partition_playbook.migration import cutover as engine
from partition_playbook.migration import load as loading
from partition_playbook.migration import plan as planning
from partition_playbook.migration import reconcile, throttle, verify
from partition_playbook.migration import rollback as undoing
from partition_playbook.migration import settle as settling
from partition_playbook.migration import shadow as building
from partition_playbook.migration.run import Direction, Run
from partition_playbook.notifications import Announce, gated
from partition_playbook.operators import PartitionLink, attach_run, loads_pool, playbook_task, run_params, show_link
from partition_playbook.spec import RunParams, load_spec

log = logging.getLogger(__name__)


@task_group
def migration() -> None:
    """Move the table under live writes and swap it in."""
    built = build_shadow()
    loads = load_partition.expand(partition=built)
    loads.operator.operator_extra_links = (PartitionLink(),)
    verified = verify_online()
    [built, loads] >> attach_partitions() >> verified
    approved = approve_cutover()
    finished = cut_over()
    verified >> go_no_go_cutover() >> [approved, finished, abandon_shadow()]
    approved >> finished


@playbook_task
def build_shadow(run: Run) -> list[str]:
    """Create shadow and partitions, start the capture, and return the partitions that have rows to load."""
    loads = building.create(run)
    for load in loads:
        if not load["expected_rows"]:
            loading.load_partition(run, load["partition_name"], workers=1)
    return [load["partition_name"] for load in loads if load["expected_rows"]]


@playbook_task(map_index_template="{{ partition_name }}", pool=loads_pool())
def load_partition(run: Run, params: RunParams, partition: str) -> int:
    """Load one partition: one transaction, one snapshot."""
    context = get_current_context()
    context["partition_name"] = partition  # type: ignore[typeddict-unknown-key]
    show_link(PartitionLink(), context)
    return loading.load_partition(run, partition, workers=params.load_workers).rows


@playbook_task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def attach_partitions(run: Run, params: RunParams) -> int:
    """Attach what was loaded, then vacuum and analyze it."""
    count = building.attach(run)
    settling.settle(run, workers=params.load_workers)
    return count


@playbook_task
def verify_online(run: Run) -> None:
    """Catch up with the writers, compare every row of both tables, and try the application's statements."""
    throttle.wait_until_calm(run)
    reconcile.catch_up(run, until=1000, yielding=True)
    content = verify.content_check(*verify.compare(run), name="row_content_before_cutover")
    run.ledger.record([content, validation.parity_check(run, name="parity_before_cutover")])
    run.ledger.record(workload.checks(run))


@playbook_task(decorator=task.branch, on_success_callback=Announce(gated))
def go_no_go_cutover(run: Run, params: RunParams) -> str:
    """Go on to the cutover, by way of a person's approval where one decides, or abandon the shadow."""
    verdict = run.ledger.verdict("migration")
    log.info("%s", verdict)
    if not verdict.go:
        return "migration.abandon_shadow"
    return "migration.approve_cutover" if params.asks_people else "migration.cut_over"


def approve_cutover() -> Ask:
    """Return the task that waits for a person's approval of the cutover."""
    return Ask(
        task_id="approve_cutover",
        question=Question.CUTOVER,
        evidence=lambda run, params: run.ledger.verdict("migration").checks,
        subject="{{ params.table }}: cut over?",
        body="Every row was compared online. **Approve** swaps the names of both tables; the lock is tried for at most "
        "800 ms at a time. **Reject**, or no answer in a week, leaves the application on the original table: clear "
        "this task to be asked again, or trigger `partition_rollback`.",
        fail_on_reject=True,
    )


@playbook_task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def cut_over(run: Run) -> None:
    """Swap the two tables' names in one short transaction."""
    reconcile.catch_up(run, until=1000, yielding=True)  # an approval may have taken days
    engine.swap(run, Direction.FORWARD)


@playbook_task
def abandon_shadow(run: Run) -> None:
    """Drop shadow and capture: the application never left the original table."""
    undoing.abandon(run)


@task
def plan() -> None:
    """Print every statement that a migration would run, with its lock, and change nothing."""
    context = get_current_context()
    params = run_params(context)
    spec = load_spec(params.table)
    run = attach_run(spec, context["run_id"], context)
    checks = preflight.checks(run, params)
    for check in checks:
        log.info("%s", check)
    for line in planning.describe(run, params):
        log.info("%s", line)
    refused = [check.name for check in checks if check.blocks]
    if refused:
        raise PlaybookError(f"NO-GO: {', '.join(refused)}", where=spec.table, remedy="Each check above says what to do")
