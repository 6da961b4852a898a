"""What follows from an answer, as Airflow's own operator hands it over: in the ledger, in the checks, in the path."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from partition_playbook.checks import Check, Outcome, check
from partition_playbook.errors import TryAgain
from partition_playbook.evidence.record import Evidence
from partition_playbook.migration.run import Run

AT = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
JO = {"id": "jo", "name": "jo"}
SLOW = check("speedup_last_7_days", False, expected="half", actual="the same")
Answering = Callable[..., Any]


@pytest.fixture(scope="session")
def template(migrated_template: str) -> str:
    return migrated_template


@pytest.fixture
def answering(dags: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> Answering:
    """Return a function that answers a task of the migration, and returns where the run goes."""
    from airflow.sdk.bases.branch import BranchMixIn

    from partition_playbook import approvals

    monkeypatch.setattr(BranchMixIn, "do_branch", lambda self, context, path: path)

    def answer(task_id: str, chosen: str, user: dict[str, str] | None = JO, **form: str | None) -> Any:
        task = dags.dags["partition_migration"].get_task(task_id)
        section = task_id.split(".")[0].removeprefix("go_no_go_")
        asked = replace(run, ledger=replace(run.ledger, section=section))
        monkeypatch.setattr(approvals, "current_run", lambda context: asked)
        event = {"chosen_options": [chosen], "params_input": form, "responded_at": AT, "responded_by_user": user}
        return task.execute_complete({"params": {"table": "sensor_readings", "mode": "rehearse"}}, event)

    return answer


def record(run: Run, section: str, *checks: Check) -> None:
    replace(run.ledger, section=section).record(checks)


def told(run: Run) -> list[str]:
    return [f"{each.by}: {each}" for each in Evidence.read(run).answers]


def test_approval_is_kept_with_name_and_time(run: Run, answering: Answering) -> None:
    answering("migration.approve_cutover", "Approve", {"id": "7", "name": "Jo Doe"})
    (answer,) = Evidence.read(run).answers
    assert (str(answer), answer.by, answer.at) == ("cutover: Approve", "Jo Doe (7)", "2026-11-23 12:30:00 UTC")


@pytest.mark.parametrize("user", [JO, None])
def test_rejected_cutover_stops_the_run_and_is_kept(run: Run, answering: Answering, user: dict[str, str]) -> None:
    from airflow.providers.standard.exceptions import HITLRejectException

    with pytest.raises(HITLRejectException):
        answering("migration.approve_cutover", "Reject", user)
    late = "" if user else ", because nobody answered in time"
    assert told(run) == [f"{user and 'jo'}: cutover: Reject{late}"]


def test_waiver_goes_on_and_the_check_says_who_passed_over_it(run: Run, answering: Answering) -> None:
    record(run, "pruning", SLOW, check("regressions", True, expected="x", actual="x"))
    assert answering("go_no_go_pruning", "Waive", reason=" It was never slow ") == "application"
    verdict = run.ledger.verdict("pruning")
    assert verdict.go
    (waived,) = [each for each in verdict.checks if each.outcome is Outcome.WAIVED]
    assert waived.name == SLOW.name
    assert waived.actual == "the same; waived by jo at 2026-11-23 12:30:00 UTC: It was never slow"
    assert told(run) == ["jo: waiver of pruning: Waive, It was never slow"]


def test_check_that_fails_again_after_a_waiver_is_a_no_go_again(run: Run, answering: Answering) -> None:
    record(run, "pruning", SLOW)
    answering("go_no_go_pruning", "Waive", reason="known")
    record(run, "pruning", SLOW)
    assert not run.ledger.verdict("pruning").go


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_waiver_without_a_reason_is_asked_for_again(run: Run, answering: Answering, reason: str | None) -> None:
    record(run, "pruning", SLOW)
    with pytest.raises(TryAgain, match="a waiver needs a reason"):
        answering("go_no_go_pruning", "Waive", reason=reason)
    assert not run.ledger.verdict("pruning").go
    assert told(run) == []


@pytest.mark.parametrize("user", [JO, None])
def test_no_waiver_and_no_answer_roll_back(run: Run, answering: Answering, user: dict[str, str] | None) -> None:
    record(run, "pruning", SLOW)
    assert answering("go_no_go_pruning", "Stop", user, reason=None) == "rollback"
    assert not run.ledger.verdict("pruning").go


@pytest.mark.parametrize(
    ("approvals", "name", "asked"),
    [
        ("required", "speedup_last_7_days", True),
        ("auto", "speedup_last_7_days", False),
        ("required", "row_content", False),
    ],
)
def test_a_gate_asks_only_where_people_decide_and_nothing_is_lost(
    dags: Any, run: Run, monkeypatch: pytest.MonkeyPatch, approvals: str, name: str, asked: bool
) -> None:
    from airflow.providers.standard.operators.hitl import HITLOperator
    from airflow.sdk.bases.branch import BranchMixIn

    from partition_playbook import approvals as module

    record(run, "pruning", check(name, False, expected="x", actual="y"))
    monkeypatch.setattr(module, "current_run", lambda context: run)
    monkeypatch.setattr(BranchMixIn, "do_branch", lambda self, context, path: path)
    monkeypatch.setattr(HITLOperator, "execute", lambda self, context: None)
    gate = copy(dags.dags["partition_migration"].get_task("go_no_go_pruning"))
    params = {"table": "sensor_readings", "mode": "rehearse", "approvals": approvals}
    assert gate.execute({"params": params}) == (None if asked else "rollback")
    assert (r"| failed | speedup\_last\_7\_days | x | y |" in gate.body) is asked
