"""Section 2, in rehearsals only: generate synthetic rows, check their distribution, record the baseline."""

from __future__ import annotations

from typing import Any

from airflow.sdk import get_current_context, task_group

from partition_playbook import gates
from partition_playbook.airflow.tasks import playbook_task
from partition_playbook.errors import PreconditionFailed
from partition_playbook.run import Run
from partition_playbook.sections.data_preparation import rows
from partition_playbook.spec import RunParams


@task_group
def data_preparation() -> None:
    """Fill the table with synthetic rows, in rehearsals only."""
    slices = plan_slices()
    generate.expand(piece=slices) >> check_distribution()


@playbook_task
def plan_slices(run: Run, params: RunParams) -> list[dict[str, Any]]:
    """Check the preconditions and cut the rows to generate into slices."""
    gates.require(run, gates.before_rows)
    verdict = run.ledger.record_checks(rows.refusal_checks(run, params))
    if not verdict.go:
        raise PreconditionFailed(
            str(verdict), where=str(run.table), remedy="Follow the remedies above, or set synthetic_rows to 0"
        )
    return list(rows.slices(run, params))


@playbook_task(map_index_template="{{ slice_name }}")
def generate(run: Run, params: RunParams, piece: dict[str, Any]) -> int:
    """Generate one slice by a series of INSERT … SELECT statements."""
    get_current_context()["slice_name"] = f"slice {piece['index'] + 1}"  # type: ignore[typeddict-unknown-key]
    return int(rows.generate(run, params, piece))


@playbook_task
def check_distribution(run: Run, params: RunParams) -> None:
    """Check the number of rows of each month and record the baseline."""
    run.ledger.record_checks(rows.distribution_checks(run, params))
    rows.record_baseline(run)
