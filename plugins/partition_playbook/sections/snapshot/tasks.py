"""Section 3: a backup with a tested restore, statistics with checksums, and the speed of the queries."""

from __future__ import annotations

from airflow.sdk import ObjectStoragePath, TriggerRule, task_group

from partition_playbook.airflow.tasks import files_queue, playbook_task
from partition_playbook.benchmark.measure import benchmark
from partition_playbook.run import Run
from partition_playbook.sections.application.procedures import record_before
from partition_playbook.sections.snapshot import checks
from partition_playbook.spec import RunParams


@task_group
def snapshot() -> None:
    """Record the state before the migration: query times, a backup, rows and checksums."""
    benchmark_before() >> back_up()


@playbook_task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def benchmark_before(run: Run) -> None:
    """Time the spec's queries on the original table, and record the answers of the application's procedures."""
    benchmark(run, "before")
    record_before(run)


@playbook_task(queue=files_queue())
def back_up(run: Run, params: RunParams) -> None:
    """Dump the database, restore the dump and compare all checksums, then move it to the artifacts: on one worker."""
    run.ledger.record_checks(checks.back_up(run, params, ObjectStoragePath))
