"""Section 7: run the application's own reads, requests and tests; check their answers and times."""

from __future__ import annotations

from airflow.sdk import task_group

from partition_playbook.airflow.tasks import playbook_task
from partition_playbook.run import Run
from partition_playbook.sections.application.commands import commands_after
from partition_playbook.sections.application.probes import probe_checks
from partition_playbook.sections.application.procedures import procedure_checks


@task_group
def application() -> None:
    """Run the SQL probes on both tables, and the HTTP probes, the procedures and the commands of the application."""
    probe()


@playbook_task
def probe(run: Run) -> None:
    """Make every check of the section."""
    verdict = run.ledger.record_checks([*probe_checks(run), *procedure_checks(run)])
    run.ledger.record_checks(commands_after(run.spec.application, verdict))
