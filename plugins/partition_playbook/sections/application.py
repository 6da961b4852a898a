"""Section 7: the application's own procedures give the same answers, in time."""

from __future__ import annotations

from airflow.sdk import task_group

from partition_playbook.evidence import application as evidence
from partition_playbook.migration.run import Run
from partition_playbook.operators import playbook_task


@task_group
def application() -> None:
    """Run the spec's probes on both tables."""
    probe()


@playbook_task
def probe(run: Run) -> None:
    """Make every check of the section."""
    run.ledger.record(evidence.checks(run))
