"""A run is told as it is: from the ledger and from Airflow together, in every case in which one alone would mislead."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("airflow_home")
AT, LATER = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
LOG = "Read the last lines of the log of"


def judged(known: Any, phase: str = "attached", mode: str = "migrate") -> Any:
    from partition_playbook.airflow.run_states import judge

    return judge({"phase": phase, "mode": mode}, known)


def known(state: str, **tasks: list[tuple[str, datetime | None]]) -> Any:
    from partition_playbook.airflow.run_states import DagRunState

    return DagRunState(state, LATER, {name: tuple(each) for name, each in tasks.items()})


@pytest.mark.parametrize("state", ["failed", "running"])
def test_a_failed_task_is_named_with_its_time_and_both_ways_on(state: str) -> None:
    loads = [("migration.load_partition", AT), ("migration.load_partition", LATER)]
    found = judged(known(state, failed=loads))
    assert (found.state, found.where, found.since) == ("failed", "migration.load_partition", AT)
    assert found.next_step.startswith(f"{LOG} migration.load_partition, fix the cause, and clear the task")
    assert found.next_step.endswith("Or trigger partition_rollback to undo it")


@pytest.mark.parametrize(
    ("phase", "mode", "step"),
    [
        ("opened", "migrate", "Or trigger a new run: nothing was built"),
        ("live", "rehearse", "Or trigger partition_rollback to undo it"),
        ("opened", "maintenance", "clear the task"),
        ("finalized", "migrate", "Nothing: the migration has ended"),
    ],
)
def test_what_to_do_depends_on_what_was_built(phase: str, mode: str, step: str) -> None:
    assert judged(known("failed", failed=[("a_task", AT)]), phase, mode).next_step.endswith(step)


def test_a_run_marked_as_failed_without_a_failed_task_says_when() -> None:
    found = judged(known("failed"))
    assert (found.state, found.where, found.since) == ("failed", "", LATER)


def test_a_question_and_a_retry_are_no_failure() -> None:
    asks = judged(known("running", awaiting_input=[("migration.approve_cutover", AT)]))
    assert (asks.state, asks.where, asks.since) == ("asks a person", "migration.approve_cutover", AT)
    assert "Required Actions" in asks.next_step
    assert judged(known("running", up_for_retry=[("migration.cut_over", AT)])).state == "retrying"
    assert judged(known("running")).state == judged(known("queued")).state == "running"


@pytest.mark.parametrize(
    ("phase", "step"),
    [("opened", "trigger a new run"), ("shadowed", "Trigger partition_rollback"), ("live", "or partition_finalize")],
)
def test_a_run_that_airflow_no_longer_knows_is_lost(phase: str, step: str) -> None:
    assert judged(None, phase).state == "lost"
    assert judged(None, phase).next_step.startswith("Airflow no longer knows this run. ")
    assert step in judged(None, phase).next_step


def test_a_run_that_airflow_calls_a_success_without_a_verdict_is_lost() -> None:
    found = judged(known("success"))
    assert (found.state, found.next_step[:33]) == ("lost", "Airflow ended this run without a ")


def test_a_verdict_is_the_state_of_a_run_that_ended() -> None:
    from partition_playbook.airflow.run_states import run_states

    ended = {"run_id": "a run", "mode": "migrate", "phase": "live", "ended_at": AT}
    assert run_states([ended | {"verdict": "no-go"}])["a run"].state == "no-go"
    assert run_states([ended | {"verdict": None}])["a run"].state == "ended"


def test_the_benchmark_needs_no_metadata_database_of_yours() -> None:
    from airflow import settings

    from partition_playbook.airflow.run_states import run_states
    from staging.bench.console_answers import empty_metadata

    yours = settings.engine
    assert yours is not None
    address = yours.url
    run = {"run_id": "a-run", "kind": "migration", "phase": "attached", "mode": "migrate", "ended_at": None}
    with empty_metadata():
        assert settings.engine is not None
        assert settings.engine.url != address
        assert run_states([run])["a-run"].state
    assert settings.engine is not None
    assert settings.engine.url == address
