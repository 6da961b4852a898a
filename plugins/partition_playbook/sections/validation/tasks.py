"""Section 5: compare the live partitioned table with the original."""

from __future__ import annotations

from airflow.sdk import task_group

from partition_playbook.airflow.tasks import playbook_task
from partition_playbook.run import Run
from partition_playbook.sections.validation.checks import validation_checks
from partition_playbook.spec import RunParams


@task_group
def validation() -> None:
    """Compare rows, partitions, indexes and foreign keys with those of the original."""
    validate()


@playbook_task
def validate(run: Run, params: RunParams) -> None:
    """Make every check of the section."""
    run.ledger.record_checks(validation_checks(run, params.load_workers))
