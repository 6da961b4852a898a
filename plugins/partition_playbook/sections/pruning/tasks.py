"""Section 6: check partition pruning in the plans, and measure the speedup."""

from __future__ import annotations

from airflow.sdk import task_group

from partition_playbook.airflow.tasks import playbook_task
from partition_playbook.run import Run
from partition_playbook.sections.pruning.checks import pruning_checks
from partition_playbook.sections.pruning.retention_benefit import measure_benefit
from partition_playbook.spec import Mode, RunParams


@task_group
def pruning() -> None:
    """Benchmark the spec's queries again and read their plans."""
    prove_pruning()


@playbook_task
def prove_pruning(run: Run, params: RunParams) -> None:
    """Make every check of the section, and in a rehearsal measure the gains in retention, vacuum and indexes."""
    run.ledger.record_checks(pruning_checks(run, params.min_speedup))
    if params.mode is Mode.REHEARSE:
        measure_benefit(run)
