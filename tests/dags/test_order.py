"""The orders that protect data, through all ancestors: rewiring cannot quietly lose one."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def migration(dags: Any) -> Any:
    return dags.dags["partition_migration"]


def ancestors(dag: Any, task_id: str) -> set[str]:
    return {task.task_id for task in dag.get_task(task_id).get_flat_relatives(upstream=True)}


@pytest.mark.parametrize(
    ("task", "needs"),
    [
        ("migration.build_shadow", {"preflight.check_preconditions", "go_no_go_preflight", "go_no_go_snapshot"}),
        ("migration.build_shadow", {"snapshot.back_up", "snapshot.check_restore", "snapshot.benchmark_before"}),
        ("migration.attach_partitions", {"migration.load_partition", "migration.build_shadow"}),
        ("migration.cut_over", {"migration.verify_online", "migration.go_no_go_cutover", "migration.approve_cutover"}),
        ("validation.validate", {"migration.cut_over"}),
        ("pruning.prove_pruning", {"go_no_go_validation"}),
        ("application.probe", {"go_no_go_pruning"}),
        ("lifecycle.trigger_maintenance", {"go_no_go_application"}),
        ("rollback.migrate_again", {"rollback.roll_back", "rollback.stay_or_return"}),
        (
            "decision.say_verdict",
            {"decision.sign_off", "decision.decide", "rollback.restore_original", "rollback.migrate_again"},
        ),
    ],
)
def test_nothing_runs_before_what_protects_it(migration: Any, task: str, needs: set[str]) -> None:
    assert needs <= ancestors(migration, task)


@pytest.mark.parametrize("section", ["validation", "pruning", "application", "lifecycle"])
def test_every_gate_after_cutover_leads_to_the_rollback(migration: Any, section: str) -> None:
    assert "rollback.roll_back" in migration.get_task(f"go_no_go_{section}").downstream_task_ids


def test_a_no_go_before_cutover_drops_the_shadow(migration: Any) -> None:
    gate = migration.get_task("migration.go_no_go_cutover")
    assert "migration.abandon_shadow" in gate.downstream_task_ids
    assert "decision.weigh" in migration.get_task("migration.abandon_shadow").downstream_task_ids


def test_a_migration_that_goes_well_drops_nothing(migration: Any) -> None:
    """Whatever abandons the shadow follows a branch that chose it, and nothing else."""
    for task, branch in {
        "migration.abandon_shadow": "migration.go_no_go_cutover",
        "rollback.restore_original": "rollback.stay_or_return",
    }.items():
        assert migration.get_task(task).upstream_task_ids == {branch}


def test_the_plan_leads_nowhere(migration: Any) -> None:
    assert migration.get_task("plan").downstream_task_ids == set()


def test_the_approval_fails_on_reject(migration: Any) -> None:
    approval = migration.get_task("migration.approve_cutover")
    assert approval.fail_on_reject


def test_whoever_says_nothing_says_no(migration: Any) -> None:
    asked = {task.task_id: task for task in migration.tasks if task.operator_name in ("Ask", "Gate")}
    assert {"migration.approve_cutover", "decision.sign_off", "go_no_go_pruning"} < asked.keys()
    for task in asked.values():
        assert task.response_timeout
        assert task.defaults == task.options[-1:] == [{"Ask": "Reject", "Gate": "Stop"}[task.operator_name]]


def test_the_last_task_links_to_the_report(migration: Any) -> None:
    assert [each.name for each in migration.get_task("decision.say_verdict").operator_extra_links] == ["Report"]
