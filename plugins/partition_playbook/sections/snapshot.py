"""Section 3: what there was before: a backup that restores, statistics with checksums, the queries' speed."""

from __future__ import annotations

from airflow.sdk import TriggerRule, task_group

from partition_playbook.evidence import snapshot as evidence
from partition_playbook.migration.run import Run
from partition_playbook.operators import artifacts_folder, playbook_task
from partition_playbook.spec import Backup, RunParams


@task_group
def snapshot() -> None:
    """Record everything that the migration will be measured against."""
    benchmark_before() >> back_up() >> check_restore()


@playbook_task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
def benchmark_before(run: Run) -> None:
    """Time the spec's queries on the table as it is."""
    evidence.benchmark(run, "before")


@playbook_task
def back_up(run: Run, params: RunParams) -> None:
    """Dump the database and take the statistics in the same snapshot."""
    if params.backup is Backup.DUMP:
        evidence.take_backup(run, artifacts_folder(run.ledger.run_id) / "backup", params.load_workers)
    else:
        evidence.take_statistics(run)


@playbook_task
def check_restore(run: Run, params: RunParams) -> None:
    """Restore the backup into a scratch database and compare every checksum."""
    folder = artifacts_folder(run.ledger.run_id) / "backup"
    run.ledger.record(evidence.check_backup(run, params, folder))
