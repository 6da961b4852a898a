"""Section 2: rehearsals only. Generate synthetic rows on the server, check their distribution, record the baseline."""

from __future__ import annotations

from typing import Any

from airflow.sdk import get_current_context, task_group

from partition_playbook.errors import PreconditionFailed
from partition_playbook.evidence import data_preparation as evidence
from partition_playbook.migration.run import Run
from partition_playbook.operators import playbook_task
from partition_playbook.spec import RunParams


@task_group
def data_preparation() -> None:
    """Fill the table with rows like production's."""
    slices = plan_slices()
    generate.expand(piece=slices) >> check_distribution()


@playbook_task
def plan_slices(run: Run, params: RunParams) -> list[dict[str, Any]]:
    """Refuse what must not be filled, and cut the rows to generate into slices."""
    verdict = run.ledger.record(evidence.refuse(run, params))
    if not verdict.go:
        raise PreconditionFailed(
            str(verdict), where=str(run.table), remedy="Set synthetic_rows to 0, or empty the table first"
        )
    slices: list[dict[str, Any]] = evidence.slices(run, params)
    return slices


@playbook_task(map_index_template="{{ slice_name }}")
def generate(run: Run, params: RunParams, piece: dict[str, Any]) -> int:
    """Generate one slice in one INSERT … SELECT after the other."""
    get_current_context()["slice_name"] = f"slice {piece['index'] + 1}"  # type: ignore[typeddict-unknown-key]
    rows: int = evidence.generate(run, params, piece)
    return rows


@playbook_task
def check_distribution(run: Run, params: RunParams) -> None:
    """Check the rows of each month and record the baseline metrics."""
    run.ledger.record(evidence.distribution(run, params))
    evidence.baseline(run)
