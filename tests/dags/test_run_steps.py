"""A section's state comes from Airflow's tasks and the ledger's checks together; its time leaves out questions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from partition_playbook.checks import check

pytestmark = pytest.mark.usefixtures("airflow_home")
START = datetime(2026, 11, 1, tzinfo=UTC)
PASSED = check("disk", True, expected="room", actual="room")
FAILED = check("disk", False, expected="room", actual="none")


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def step(section: str, *tasks: tuple[Any, ...], checks: Any = (), over: bool = False) -> Any:
    """Return the step of a section; a task is its id, its state, and the minutes of its start and end."""
    from partition_playbook.airflow.run_steps import Activity, Tasks, steps

    found = [
        Tasks(task_id, state, 1, *(at(each) if each is not None else None for each in times))
        for task_id, state, *times in tasks
    ]
    made = {section: list(checks)} if checks else {}
    told = steps(Activity(found), made, dict.fromkeys(made, at(59)), at(60), over=over)
    return next(each for each in told if each.section == section)


@pytest.mark.parametrize(
    ("tasks", "checks", "state"),
    [
        ([("validation.validate", None)], [], "pending"),
        ([("validation.validate", "scheduled")], [], "running"),
        ([("validation.validate", "running", 0)], [], "running"),
        ([("validation.validate", "up_for_retry", 0, 1)], [], "retrying"),
        ([("validation.validate", "failed", 0, 1)], [PASSED], "failed"),
        ([("validation.validate", "success", 0, 1)], [PASSED], "passed"),
        ([("validation.validate", "success", 0, 1)], [FAILED], "no-go"),
        ([("validation.validate", "success", 0, 1)], [FAILED.waived("jo", "noon", "known")], "waived"),
        ([("validation.validate", "success", 0, 1)], [], "no checks"),
        ([("validation.validate", "skipped", 0, 0), ("go_no_go_validation", "skipped", 0, 0)], [], "skipped"),
        ([("validation.validate", "upstream_failed")], [], "not reached"),
        (
            [("validation.validate", "success", 0, 1), ("go_no_go_validation", "awaiting_input", 1)],
            [FAILED],
            "asks a person",
        ),
        ([("validation.validate", "success", 0, 1), ("go_no_go_validation", None)], [PASSED], "running"),
    ],
)
def test_the_state_of_a_section(tasks: Any, checks: Any, state: str) -> None:
    assert step("validation", *tasks, checks=checks).state == state


def test_a_verdict_is_no_failed_task_of_the_decision() -> None:
    said = ("decision.say_verdict", "failed", 1, 2)
    assert step("decision", ("decision.decide", "success", 0, 1), said, checks=[FAILED]).state == "no-go"
    assert step("decision", ("decision.decide", "failed", 0, 1), said, checks=[FAILED]).state == "failed"
    assert step("decision", said).state == "failed"


def test_a_run_that_stopped_reaches_nothing_more() -> None:
    assert step("watch", ("watch.observe", None), over=True).state == "not reached"
    assert step("watch", over=True).state == "not reached"
    assert step("watch").state == "pending"


def test_a_run_that_airflow_no_longer_knows_keeps_the_verdicts_of_its_ledger() -> None:
    found = step("validation", checks=[PASSED], over=True)
    assert (found.state, found.ended_at, found.seconds(at(60))) == ("passed", at(59), None)


def test_neither_a_question_nor_a_gate_counts_as_time_of_work() -> None:
    tasks = [
        ("migration.build_shadow", "success", 0, 10),
        ("migration.approve_cutover", "success", 10, 40),
        ("migration.cut_over", "success", 40, 45),
        ("migration.abandon_shadow", "skipped", 50, 50),
    ]
    found = step("migration", *tasks, checks=[PASSED])
    assert (found.seconds(at(60)), found.waited) == (15 * 60, timedelta(minutes=30))
    asking = step("migration", tasks[0], ("migration.approve_cutover", "awaiting_input", 10), checks=[PASSED])
    assert (asking.state, asking.seconds(at(60)), asking.waited) == ("asks a person", 600, timedelta(minutes=50))
    gate = step("pruning", ("pruning.prove", "success", 0, 5), ("go_no_go_pruning", "success", 5, 50), checks=[PASSED])
    assert gate.seconds(at(60)) == 300
