"""The orders that protect data, through all ancestors: rewiring cannot quietly lose one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from partition_playbook import gates
from partition_playbook.gates import EVIDENCE
from partition_playbook.people import ASKED_BY, Question


@pytest.fixture
def migration(dags: Any) -> Any:
    return dags.dags["partition_migration"]


def ancestors(dag: Any, task_id: str) -> set[str]:
    return {task.task_id for task in dag.get_task(task_id).get_flat_relatives(upstream=True)}


@pytest.mark.parametrize(
    ("task", "needs"),
    [
        ("migration.build_shadow", {"preflight.check_preconditions", "go_no_go_preflight", "go_no_go_snapshot"}),
        ("migration.build_shadow", {"snapshot.back_up", "snapshot.benchmark_before"}),
        ("migration.attach_partitions", {"migration.load_partition", "migration.build_shadow"}),
        ("migration.cut_over", {"migration.verify_online", "migration.go_no_go_cutover", "migration.approve_cutover"}),
        ("validation.validate", {"migration.cut_over"}),
        ("pruning.prove_pruning", {"go_no_go_validation"}),
        ("application.probe", {"go_no_go_pruning"}),
        ("lifecycle.trigger_maintenance", {"go_no_go_application"}),
        ("lifecycle.prove_retention", {"lifecycle.trigger_maintenance", "go_no_go_application"}),
        ("lifecycle.check_maintenance", {"lifecycle.prove_retention"}),
        ("watch.observe", {"lifecycle.check_maintenance", "go_no_go_lifecycle"}),
        (
            "rollback.migrate_again",
            {"rollback.roll_back", "rollback.stay_or_return", "rollback.approve_second_cutover"},
        ),
        (
            "decision.say_verdict",
            {"decision.sign_off", "decision.decide", "rollback.restore_original", "rollback.migrate_again"},
        ),
    ],
)
def test_nothing_runs_before_what_protects_it(migration: Any, task: str, needs: set[str]) -> None:
    assert needs <= ancestors(migration, task)


@pytest.mark.parametrize("section", ["validation", "pruning", "application", "lifecycle", "watch"])
def test_every_gate_after_cutover_leads_to_the_rollback(migration: Any, section: str) -> None:
    assert "rollback.roll_back" in migration.get_task(f"go_no_go_{section}").downstream_task_ids


def test_a_no_go_before_cutover_drops_the_shadow(migration: Any) -> None:
    gate = migration.get_task("migration.go_no_go_cutover")
    assert "migration.abandon_shadow" in gate.downstream_task_ids
    assert "decision.weigh" in migration.get_task("migration.abandon_shadow").downstream_task_ids


def test_a_migration_that_goes_well_drops_nothing(migration: Any) -> None:
    """Each task that abandons the shadow follows a branch that chose it, and nothing else."""
    for task, branch in {
        "migration.abandon_shadow": "migration.go_no_go_cutover",
        "rollback.restore_original": "rollback.stay_or_return",
    }.items():
        assert migration.get_task(task).upstream_task_ids == {branch}


def test_the_plan_leads_nowhere(migration: Any) -> None:
    assert migration.get_task("plan").downstream_task_ids == set()


@pytest.mark.parametrize("task", ["migration.approve_cutover", "rollback.approve_second_cutover"])
def test_the_approval_fails_on_reject(migration: Any, task: str) -> None:
    assert migration.get_task(task).fail_on_reject


def test_finalize_asks_before_it_drops(dags: Any) -> None:
    finalize = dags.dags["partition_finalize"]
    assert finalize.get_task("finalize.drop_retired").upstream_task_ids == {"finalize.approve_finalize"}
    asking = finalize.get_task("finalize.approve_finalize")
    assert asking.fail_on_reject
    assert (asking.defaults, asking.options) == (["Reject"], ["Approve", "Reject"])


def test_every_gate_names_tasks_that_exist(dags: Any) -> None:
    """An error of a gate tells people to clear these tasks."""
    known = {task.task_id for name in ("partition_migration", "partition_finalize") for task in dags.dags[name].tasks}
    assert {*EVIDENCE.values(), *ASKED_BY.values()} <= known
    remedies = Path(gates.__file__).read_text()
    assert set(re.findall(r"Clear the task ([\w.]+) ", remedies)) <= known
    assert set(ASKED_BY) == set(Question) - {Question.WAIVER}


def test_whoever_says_nothing_says_no(migration: Any) -> None:
    asked = {task.task_id: task for task in migration.tasks if task.operator_name in ("Ask", "Gate")}
    approvals = {"migration.approve_cutover", "rollback.approve_second_cutover", "decision.sign_off"}
    assert approvals | {"go_no_go_pruning"} < asked.keys()
    after = ("validation", "pruning", "application", "lifecycle", "watch")
    for task in asked.values():
        assert task.response_timeout or task.operator_name == "Gate", "a gate reads its time from the spec"
        after_cutover = task.task_id.removeprefix("go_no_go_") in after
        safe = {"Ask": "Reject", "Gate": "Stay" if after_cutover else "Stop"}[task.operator_name]
        assert task.defaults == task.options[-1:] == [safe]


def test_the_last_task_links_to_the_report(migration: Any) -> None:
    assert [each.name for each in migration.get_task("decision.say_verdict").operator_extra_links] == ["Report"]
