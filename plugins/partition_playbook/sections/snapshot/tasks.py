"""Section 3: a backup with a tested restore, statistics with checksums, and the speed of the queries."""

from __future__ import annotations

from airflow.sdk import TriggerRule, task_group

from partition_playbook.airflow.tasks import files_queue, playbook_task
from partition_playbook.artifacts import artifacts_folder
from partition_playbook.benchmark.measure import benchmark
from partition_playbook.run import Run
from partition_playbook.sections.application.procedures import record_before
from partition_playbook.sections.snapshot.backup import take_backup, take_statistics
from partition_playbook.sections.snapshot.checks import check_backup
from partition_playbook.spec import Backup, RunParams


@task_group
def snapshot() -> None:
    """Record the state before the migration: query times, a backup, rows and checksums."""
    benchmark_before() >> back_up() >> check_restore()


@playbook_task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def benchmark_before(run: Run) -> None:
    """Time the spec's queries on the original table, and record the answers of the application's procedures."""
    benchmark(run, "before")
    record_before(run)


@playbook_task(queue=files_queue())
def back_up(run: Run, params: RunParams) -> None:
    """Dump the database, and record the statistics in the same snapshot."""
    if params.backup is Backup.DUMP:
        take_backup(run, artifacts_folder(run.ledger.run_id) / "backup", params.load_workers)
    else:
        take_statistics(run)


@playbook_task(queue=files_queue())
def check_restore(run: Run, params: RunParams) -> None:
    """Restore the backup into a scratch database and compare all checksums."""
    folder = artifacts_folder(run.ledger.run_id) / "backup"
    run.ledger.record_checks(check_backup(run, params, folder))
