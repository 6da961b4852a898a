"""The DAGs load, say who owns them and what they are for, and send no file's name as SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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
    "rollback",
    "decision",
]
DAGS = ["partition_finalize", "partition_maintenance", "partition_migration", "partition_rollback"]


def test_no_import_errors(dags: Any) -> None:
    assert dags.import_errors == {}
    assert sorted(dags.dags) == DAGS


def test_the_sections_are_the_playbooks_in_order(dags: Any) -> None:
    groups = dags.dags["partition_migration"].task_group.children
    assert [name for name in groups if name in SECTIONS] == SECTIONS


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_shares_its_name_with_module_and_heading(section: str) -> None:
    assert (ROOT / "plugins" / "partition_playbook" / "sections" / f"{section}.py").exists()
    assert f"\n## {section.replace('_', ' ').capitalize()}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("dag_id", DAGS)
def test_every_task_is_owned_bounded_and_explained(dags: Any, dag_id: str) -> None:
    dag = dags.dags[dag_id]
    assert dag.doc_md
    assert dag.max_active_runs == 1
    for task in dag.tasks:
        assert task.owner == "partition_playbook"
        assert task.execution_timeout
        assert task.retry_policy, task.task_id
        assert not str(getattr(task, "sql", "")).endswith(".sql")


def test_the_trigger_form_describes_every_param(dags: Any) -> None:
    for dag in dags.dags.values():
        for name, param in dag.params.items():
            shown = dag.params.get_param(name)
            assert shown.schema.get("title"), (dag.dag_id, name)
            assert shown.description or shown.schema.get("description_md"), (dag.dag_id, name)
            assert param is not ...


def test_the_package_is_not_loaded_as_plugins() -> None:
    assert (ROOT / "plugins" / ".airflowignore").read_text().split() == ["partition_playbook/"]
