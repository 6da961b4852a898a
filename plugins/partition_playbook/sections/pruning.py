"""Section 6: prove from the plans that only the partitions in question are read, and measure the speedup."""

from __future__ import annotations

from airflow.sdk import task_group

from partition_playbook.evidence import pruning as evidence
from partition_playbook.migration.run import Run
from partition_playbook.operators import playbook_task
from partition_playbook.spec import Mode, RunParams


@task_group
def pruning() -> None:
    """Benchmark the spec's queries again and read their plans."""
    prove_pruning()


@playbook_task
def prove_pruning(run: Run, params: RunParams) -> None:
    """Make every check of the section, and in a rehearsal measure what else the table gained."""
    run.ledger.record(evidence.checks(run, params.min_speedup))
    if params.mode is Mode.REHEARSE:
        evidence.gains(run)
