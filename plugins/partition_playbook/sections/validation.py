"""Section 5: prove that the table that is live now holds every row and keeps every promise."""

from __future__ import annotations

from airflow.sdk import task_group

from partition_playbook.evidence import validation as evidence
from partition_playbook.migration.run import Run
from partition_playbook.operators import playbook_task


@task_group
def validation() -> None:
    """Compare contents, partitions, indexes and foreign keys with what there was."""
    validate()


@playbook_task
def validate(run: Run) -> None:
    """Make every check of the section."""
    run.ledger.record(evidence.checks(run))
