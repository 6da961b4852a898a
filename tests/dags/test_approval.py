"""The consequences of an answer, as Airflow's own operator hands it over: in the ledger, in the checks, in the path."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from partition_playbook.checks import Check, Outcome, Severity, check
from partition_playbook.errors import TryAgain
from partition_playbook.run import Run
from partition_playbook.sections.decision import report
from partition_playbook.sections.decision.criteria import criteria
from partition_playbook.sections.decision.record import RunRecord
from partition_playbook.spec import RunParams, TableSpec

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

    monkeypatch.setattr(BranchMixIn, "do_branch", lambda self, context, path: path)

    def answer(
        task_id: str,
        chosen: str,
        user: dict[str, str] | None = JO,
        spec: TableSpec = run.spec,
        **form: str | None,
    ) -> Any:
        task = dags.dags["partition_migration"].get_task(task_id)
        section = task_id.split(".")[0].removeprefix("go_no_go_")
        asked = replace(run, spec=spec, ledger=replace(run.ledger, section=section))
        monkeypatch.setattr("partition_playbook.airflow.approvals.current_run", lambda context: asked)
        event = {"chosen_options": [chosen], "params_input": form, "responded_at": AT, "responded_by_user": user}
        return task.execute_complete({"params": {"table": "sensor_readings", "mode": "rehearse"}}, event)

    return answer


def record(run: Run, section: str, *checks: Check) -> None:
    replace(run.ledger, section=section).record_checks(checks)


def told(run: Run) -> list[str]:
    return [f"{each.by}: {each}" for each in RunRecord.read(run).answers]


def test_approval_is_kept_with_name_and_time(run: Run, answering: Answering) -> None:
    answering("migration.approve_cutover", "Approve", {"id": "7", "name": "Jo Doe"})
    (answer,) = RunRecord.read(run).answers
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
    assert waived.actual == "the same; waived by jo: It was never slow"
    assert waived.evidence["waived_at"] == "2026-11-23 12:30:00 UTC"
    assert told(run) == ["jo: waiver of pruning: Waive, It was never slow"]


def test_check_that_fails_again_after_a_waiver_is_a_no_go_again(run: Run, answering: Answering) -> None:
    record(run, "pruning", SLOW)
    answering("go_no_go_pruning", "Waive", reason="known")
    record(run, "pruning", SLOW)
    assert not run.ledger.verdict("pruning").go


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_waiver_without_a_reason_is_asked_for_again(run: Run, answering: Answering, reason: str | None) -> None:
    record(run, "pruning", SLOW)
    with pytest.raises(TryAgain, match="a yes to the waiver needs a reason"):
        answering("go_no_go_pruning", "Waive", reason=reason)
    assert not run.ledger.verdict("pruning").go
    assert told(run) == []


def test_yes_by_somebody_who_is_no_approver_is_asked_again(run: Run, answering: Answering) -> None:
    """Airflow refuses such an answer; nothing is waived either if it arrives nevertheless."""
    record(run, "pruning", SLOW)
    guarded = run.spec.model_copy(update={"approvers": ("ada",)})
    with pytest.raises(TryAgain, match="the waiver was answered by jo, not by one of the approvers ada"):
        answering("go_no_go_pruning", "Waive", spec=guarded, reason="It was never slow")
    assert not run.ledger.verdict("pruning").go


def test_only_a_person_rolls_back(run: Run, answering: Answering) -> None:
    record(run, "pruning", SLOW)
    assert answering("go_no_go_pruning", "Roll back", reason=None) == "rollback"
    assert not run.ledger.verdict("pruning").go
    assert told(run) == ["jo: waiver of pruning: Roll back"]
    assert RunRecord.read(run).stays == []


@pytest.mark.parametrize(("user", "who"), [(JO, "jo chose to stay"), (None, "Nobody answered in time")])
def test_silence_after_the_cutover_keeps_the_partitioned_table_and_says_so(
    run: Run, answering: Answering, caplog: pytest.LogCaptureFixture, user: dict[str, str] | None, who: str
) -> None:
    record(run, "pruning", SLOW)
    assert answering("go_no_go_pruning", "Stay", user, reason=None) == "application"
    assert not run.ledger.verdict("pruning").go, "nobody waived it"
    assert run.ledger.run()["phase"] == "live"
    late = "" if user else ", because nobody answered in time"
    assert told(run) == [f"{user and 'jo'}: waiver of pruning: Stay{late}"]
    (stay,) = RunRecord.read(run).stays
    assert stay.startswith(
        f"{who} after the no-go of pruning (speedup_last_7_days), so the partitioned table stays live"
    )
    assert "Clear go_no_go_pruning to be asked again, or trigger partition_rollback" in stay
    assert stay in caplog.text


def test_a_waiver_after_a_stay_counts(run: Run, answering: Answering) -> None:
    record(run, "pruning", SLOW)
    answering("go_no_go_pruning", "Stay", None, reason=None)
    assert answering("go_no_go_pruning", "Waive", reason="known") == "application"
    assert run.ledger.verdict("pruning").go
    assert RunRecord.read(run).stays == []


def test_silence_before_the_cutover_stops(run: Run, answering: Answering) -> None:
    record(run, "preflight", check("monitoring", False, expected="x", actual="y"))
    assert answering("go_no_go_preflight", "Stop", None, reason=None) == "decision"


def test_a_run_that_stays_tells_it_with_its_verdict(
    run: Run,
    connection: psycopg.Connection,
    answering: Answering,
    dags: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    connection.execute("UPDATE partition_playbook.runs SET mode = 'migrate'")

    record(run, "pruning", SLOW)
    answering("go_no_go_pruning", "Stay", None, reason=None)
    params = RunParams(mode="migrate", backup="external", external_backup_at="2026-11-23T00:00:00Z")
    record(run, "decision", *criteria(run, params))
    html, markdown, plain = (content.decode() for content in report.keep(run, params).values())
    content = json.loads(plain)
    assert content["verdict"] == "no-go"
    assert "partition_rollback restores the original table" in content["next_steps"][0]
    (stay,) = content["stays"]
    assert stay in html
    assert stay.replace("_", r"\_") in markdown

    verdict = dags.dags["partition_migration"].get_task("decision.say_verdict").python_callable
    monkeypatch.setattr("partition_playbook.airflow.tasks.get_current_context", lambda: {})
    with pytest.raises(AirflowFailException, match="Nobody answered in time after the no-go of pruning"):
        verdict.__wrapped__(run)


@pytest.mark.parametrize(("given", "told"), [({}, "1 h"), ({"answer_within": "08:00:00"}, "8 h")])
def test_the_time_for_an_answer_is_a_key_of_the_spec(
    dags: Any, run: Run, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], told: str
) -> None:
    from airflow.providers.standard.operators.hitl import HITLOperator

    patient = replace(run, spec=run.spec.model_validate(run.spec.model_dump() | given))
    record(run, "pruning", SLOW)
    monkeypatch.setattr("partition_playbook.airflow.approvals.current_run", lambda context: patient)
    monkeypatch.setattr(HITLOperator, "execute", lambda self, context: None)
    gate = copy(dags.dags["partition_migration"].get_task("go_no_go_pruning"))
    gate.execute({"params": {"table": "sensor_readings", "mode": "rehearse", "approvals": "required"}})
    assert gate.response_timeout == patient.spec.answer_within
    assert f"**Stay**, or no answer within {told}, keeps the partitioned table live" in gate.body


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

    advice = check("advice", False, expected="x", actual="y", remedy="look at it", severity=Severity.WARNING)
    record(run, "pruning", advice, check(name, False, expected="x", actual="y", remedy="mend it"))
    monkeypatch.setattr("partition_playbook.airflow.approvals.current_run", lambda context: run)
    monkeypatch.setattr(BranchMixIn, "do_branch", lambda self, context, path: path)
    monkeypatch.setattr(HITLOperator, "execute", lambda self, context: None)
    gate = copy(dags.dags["partition_migration"].get_task("go_no_go_pruning"))
    params = {"table": "sensor_readings", "mode": "rehearse", "approvals": approvals}
    assert gate.execute({"params": params}) == (None if asked else "rollback")
    marked = r"| failed, **waived by this answer** | speedup\_last\_7\_days | x | y | mend it |"
    assert (marked in gate.body) is asked
    assert ("| warning | advice | x | y | look at it |" in gate.body) is asked
