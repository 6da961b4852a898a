"""The DAGs load, say who owns them and what they are for, and send no file's name as SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from partition_playbook.errors import LoginRefused

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = [
    "preflight",
    "data_preparation",
    "snapshot",
    "migration",
    "validation",
    "pruning",
    "application",
    "lifecycle",
    "watch",
    "rollback",
    "decision",
]
DAGS = ["partition_finalize", "partition_maintenance", "partition_migration", "partition_rollback", "partition_standby"]


def test_no_import_errors(dags: Any) -> None:
    assert dags.import_errors == {}
    assert sorted(dags.dags) == DAGS


def test_the_sections_are_the_playbooks_in_order(dags: Any) -> None:
    groups = dags.dags["partition_migration"].task_group.children
    assert [name for name in groups if name in SECTIONS] == SECTIONS


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_shares_its_name_with_module_and_heading(section: str) -> None:
    assert (ROOT / "plugins" / "partition_playbook" / "sections" / section / "tasks.py").exists()
    assert f"\n## {section.replace('_', ' ').capitalize()}" in (ROOT / "docs" / "how-it-works.md").read_text()


@pytest.mark.parametrize("dag_id", DAGS)
def test_every_task_is_owned_bounded_and_explained(dags: Any, dag_id: str) -> None:
    dag = dags.dags[dag_id]
    assert dag.doc_md
    for task in dag.tasks:
        assert task.owner == "partition_playbook"
        assert task.retry_policy, task.task_id
        assert not str(getattr(task, "sql", "")).endswith(".sql")


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (psycopg.errors.InvalidPassword("28P01"), False),
        (psycopg.errors.InvalidAuthorizationSpecification("28000"), False),
        (psycopg.errors.InvalidCatalogName("3D000"), False),
        (LoginRefused("TLS is refused"), False),
        (psycopg.errors.InsufficientPrivilege("42501"), False),
        (psycopg.OperationalError("Connection refused"), True),
        (psycopg.errors.CannotConnectNow("57P03"), True),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else str(each),
)
def test_a_login_that_is_refused_for_good_is_not_tried_again(dags: Any, error: Exception, retried: bool) -> None:
    from airflow.sdk import RetryAction

    action = RetryAction.RETRY if retried else RetryAction.FAIL
    for dag in dags.dags.values():
        for task in dag.tasks:
            decision = task.retry_policy.evaluate(exception=error, try_number=1, max_tries=3, context={})
            assert decision.action is action, task.task_id


@pytest.mark.parametrize("names", [[], ["events"]])
def test_the_dags_load_also_before_the_first_table_spec(
    dags: Any, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.serialization.serialized_objects import DagSerialization

    for name in names:
        (tmp_path / f"{name}.yaml").write_text("table: events\npartition_by: at\n")
    monkeypatch.setenv("PARTITION_PLAYBOOK_TABLES", str(tmp_path))
    folder = str(ROOT / "dags")
    found = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")  # type: ignore[arg-type]
    assert sorted(found.dags) == DAGS
    for dag in found.dags.values():
        assert DagSerialization.to_dict(dag)


def test_a_run_waits_for_no_run_of_another_table(dags: Any) -> None:
    # A pass of partition_standby is bounded, and begins every five minutes.
    assert {name: dag.max_active_runs for name, dag in dags.dags.items()} == {
        name: 1 if name == "partition_standby" else 256 for name in DAGS
    }


# Decisions and the opening of a run. All other tasks take as long as the table demands.
BOUNDED = {
    "choose_mode",
    "preflight.open_run",
    "go_no_go_preflight",
    "go_no_go_snapshot",
    "migration.go_no_go_cutover",
    "migration.approve_cutover",
    "go_no_go_validation",
    "go_no_go_pruning",
    "go_no_go_application",
    "go_no_go_lifecycle",
    "go_no_go_watch",
    "rollback.stay_or_return",
    "rollback.approve_second_cutover",
    "finalize.approve_finalize",
    "decision.weigh",
    "decision.sign_off",
    "decision.say_verdict",
    "maintenance.choose_tables",
    "standby.retired_tables",
    "standby.keep_open",
}


def test_only_a_step_that_is_short_by_design_has_a_time_limit(dags: Any) -> None:
    tasks = [task for dag in dags.dags.values() for task in dag.tasks]
    assert {task.task_id for task in tasks if task.execution_timeout} == BOUNDED


def test_the_trigger_form_describes_every_param(dags: Any) -> None:
    for dag in dags.dags.values():
        for name, param in dag.params.items():
            shown = dag.params.get_param(name)
            assert shown.schema.get("title"), (dag.dag_id, name)
            assert shown.description or shown.schema.get("description_md"), (dag.dag_id, name)
            assert param is not ...


def test_the_package_is_not_loaded_as_plugins() -> None:
    assert (ROOT / "plugins" / ".airflowignore").read_text().split() == ["partition_playbook/"]
