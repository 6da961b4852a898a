"""Who approved the cutover is in the ledger, as Airflow's own operator tells it."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from partition_playbook.evidence.record import Evidence
from partition_playbook.migration.run import Run

AT = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def template(migrated_template: str) -> str:
    return migrated_template


def note(run: Run, monkeypatch: pytest.MonkeyPatch, answer: object) -> Any:
    from partition_playbook.sections import migration

    answers = {"migration.approve_cutover": answer}
    ti = SimpleNamespace(xcom_pull=lambda task_ids: answers[task_ids])
    monkeypatch.setattr(migration, "get_current_context", lambda: {"ti": ti})
    migration._note_approval(run)
    return Evidence.read(run).approval


@pytest.mark.parametrize(("user", "name"), [({"id": "1", "name": "jo"}, "jo"), (None, "somebody unnamed")])
def test_approval_is_kept(
    airflow_home: Any, run: Run, monkeypatch: pytest.MonkeyPatch, user: dict[str, str] | None, name: str
) -> None:
    from partition_playbook.sections.migration import approve_cutover

    event = {"chosen_options": ["Approve"], "params_input": {}, "responded_at": AT, "responded_by_user": user}
    kept = note(run, monkeypatch, approve_cutover().execute_complete({}, event))
    assert (kept["by"], kept["at"]) == (name, str(AT))


def test_rehearsal_asks_nobody_and_names_nobody(airflow_home: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert note(run, monkeypatch, None) is None
