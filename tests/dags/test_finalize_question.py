"""partition_finalize asks like the migration does, shows the objects to drop, and needs a reason without a sign-off."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from partition_playbook.checks import check
from partition_playbook.errors import InvalidSpec, TryAgain
from partition_playbook.gates import SECTIONS
from partition_playbook.ledger import read_answers
from partition_playbook.people import Answer, Question
from partition_playbook.run import Run
from tests.fixtures import footprint

AT = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
ADA = {"id": "7", "name": "ada"}
DAG_RUN = "manual__finalize"
SLOW = check("speedup_last_7_days", False, expected="half", actual="the same", remedy="Add an index")


@pytest.fixture(scope="session")
def template(migrated_template: str) -> str:
    return migrated_template


@pytest.fixture
def asking(dags: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the task, with the run of the test as the standing one."""
    from airflow.providers.standard.operators.hitl import HITLOperator

    monkeypatch.setattr(HITLOperator, "execute", lambda self, context: None)
    task = copy(dags.dags["partition_finalize"].get_task("finalize.approve_finalize"))
    ledger = replace(run.ledger, section="finalize", origin={"run_id": DAG_RUN})
    task.find_run = lambda context: replace(run, ledger=ledger)
    return task


def context(**params: str) -> dict[str, Any]:
    given = {"table": "sensor_readings", "confirm": "sensor_readings", "override_reason": None} | params
    return {"params": given, "dag_run": SimpleNamespace(triggering_user_name="jo")}


def in_production(connection: psycopg.Connection) -> None:
    connection.execute(
        """UPDATE partition_playbook.runs SET mode = 'migrate', spec = spec || '{"approvers": ["7"]}',
           params = '{"backup": "external", "external_backup_at": "2026-11-22T06:00:00Z"}'"""
    )


def answers(run: Run) -> list[Answer]:
    with run.database.session() as session:
        return read_answers(session, run.ledger.run_id)


def answered(task: Any, chosen: str, reason: str | None = None) -> Any:
    event = {"chosen_options": [chosen], "params_input": {"reason": reason}, "responded_at": AT}
    return task.execute_complete(context(), event | {"responded_by_user": ADA})


def sign_off(run: Run) -> None:
    for section in (*SECTIONS, "decision"):
        replace(run.ledger, section=section).record_checks([check("looked", True, expected="x", actual="x")])
    run.ledger.record_answer(Answer(Question.SIGN_OFF, "decision", "Approve", True, "ada", "noon", user="7"))
    replace(run.ledger, section="decision").record_checks([check("looked", True, expected="x", actual="x")])
    run.ledger.close("go")


def test_question_shows_the_objects_the_way_back_and_the_verdict(
    asking: Any, run: Run, connection: psycopg.Connection
) -> None:
    in_production(connection)
    replace(run.ledger, section="pruning").record_checks([SLOW])
    run.ledger.close("no-go")
    asking.execute(context())

    body = asking.body
    assert r"| retired table | public.sensor\_readings\_old | " in body
    assert "MiB |" in body
    assert r"| change log | partition\_playbook.public\_sensor\_readings\_changes | " in body
    assert "| capture | triggers on " in body
    assert "Until you approve, `partition_rollback` makes the original table live again" in body
    assert "since the cutover of 20" in body
    assert "only your own backup of 2026-11-22T06:00:00Z leads back" in body
    assert "Verdict of run test-run: **no-go**" in body
    assert "**The run is not signed off.** A yes needs a reason:" in body
    assert r"- section pruning is a no-go (speedup\_last\_7\_days)" in body
    assert "- section preflight has no verdict" in body
    assert "- question sign-off was not asked" in body
    assert r"| failed | speedup\_last\_7\_days | half | the same | Add an index |" in body


def test_yes_without_a_reason_is_asked_again_unless_the_run_is_signed_off(
    asking: Any, run: Run, connection: psycopg.Connection
) -> None:
    in_production(connection)
    with pytest.raises(TryAgain, match="a yes to the finalize needs a reason"):
        answered(asking, "Approve", " ")
    assert answers(run) == []
    answered(asking, "Approve", "we need the disk")
    sign_off(run)
    asking.execute(context())
    assert "not signed off" not in asking.body
    answered(asking, "Approve")
    kept = [each for each in answers(run) if each.question is Question.FINALIZE]
    assert [(each.by, each.user, each.reason, each.dag_run) for each in kept] == [
        ("ada (7)", "7", "we need the disk", DAG_RUN),
        ("ada (7)", "7", "", DAG_RUN),
    ]


def test_no_keeps_everything(asking: Any, run: Run, connection: psycopg.Connection) -> None:
    from airflow.providers.standard.exceptions import HITLRejectException

    in_production(connection)
    before = footprint.objects(connection)
    with pytest.raises(HITLRejectException):
        answered(asking, "Reject")
    assert [each.agreed for each in answers(run)] == [False]
    assert footprint.objects(connection) == before


def test_run_without_people_keeps_the_reason_given_by_hand(asking: Any, run: Run) -> None:
    assert asking.execute(context()) is None
    assert answers(run) == []
    assert asking.execute(context(override_reason=" a test table ")) is None
    (kept,) = answers(run)
    assert (kept.by, kept.reason, kept.agreed, kept.dag_run) == ("jo", "a test table", True, DAG_RUN)
    assert str(kept) == "finalize: override_reason, a test table"


def test_reason_by_hand_is_refused_for_a_run_with_people(asking: Any, run: Run, connection: psycopg.Connection) -> None:
    in_production(connection)
    with pytest.raises(InvalidSpec, match="override_reason is for a run with approvals auto"):
        asking.execute(context(override_reason="I want it gone"))
    assert answers(run) == []


def test_message_about_the_question_says_how_to_answer(asking: Any, run: Run, connection: psycopg.Connection) -> None:
    from partition_playbook.airflow.notifications import question_message

    in_production(connection)
    replace(run.ledger, section="pruning").record_checks([SLOW])
    asking.execute(context())
    ti = SimpleNamespace(dag_id="partition_finalize", log_url="http://airflow.example/dags/x/runs/r/tasks/t?try=1")
    message = question_message(context() | {"task": asking, "ti": ti})
    assert "FAIL speedup_last_7_days: expected half; actual the same. Add an index" in message.happened
    assert "answer Approve or Reject within 24 h, else it is Reject" in message.next_step


def test_a_go_with_a_waiver_is_told_with_the_waiver(dags: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from partition_playbook.airflow import notifications

    waived = SLOW.waived("jo", "noon", "it never was slow")
    replace(run.ledger, section="decision").record_checks([waived])
    monkeypatch.setattr(notifications, "current_run", lambda context: run)
    ti = SimpleNamespace(dag_id="partition_migration", log_url="http://airflow.example/dags/x/runs/r/tasks/t")
    message = notifications.verdict_message({"params": {"table": "sensor_readings"}, "ti": ti})
    assert "Every criterion is met" not in message.happened
    assert "waived by jo: it never was slow" in message.happened
