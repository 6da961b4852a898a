"""Preflight tells the last scheduled run of the maintenance in Airflow's own word for its state."""

from __future__ import annotations

import pytest
from airflow.sdk import DagRunState

from partition_playbook.airflow.siblings import last_run_check
from partition_playbook.checks import Outcome


@pytest.mark.parametrize(
    ("state", "outcome"), [(DagRunState.SUCCESS, Outcome.PASSED), (DagRunState.FAILED, Outcome.FAILED)]
)
def test_the_last_run_is_told_with_its_state(state: DagRunState, outcome: Outcome) -> None:
    found = last_run_check("scheduled__2026-12-01", state)
    assert (found.actual, found.outcome) == (f"scheduled__2026-12-01: {state.name.lower()}", outcome)


def test_a_maintenance_that_never_ran_is_no_fault() -> None:
    assert (last_run_check().actual, last_run_check().outcome) == ("it has not run yet", Outcome.PASSED)
