"""People decide: who may, what they see, what silence and a missing reason mean, and what is kept of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from playwright.sync_api import Page, expect

from staging.browser import chromium, sign_in
from staging.instance import Instance
from staging.rest import RestError, TaskInstance
from tests.fixtures.running_airflow import APPROVAL, MIGRATION, SECOND_APPROVAL, SIGN_OFF, Migration

GATE = "go_no_go_pruning"
NOTES = """
SELECT section, detail->>'question', detail->>'chosen', detail->>'by', detail->>'reason'
  FROM partition_playbook.events WHERE kind = 'note' AND message = 'a person was asked' ORDER BY event_id
"""


def test_a_rehearsal_with_people_waives_a_no_go_with_a_reason_and_is_signed_off(
    trigger: Callable[..., Migration], connection: psycopg.Connection, airflow: Instance
) -> None:
    run = trigger(table="guarded", mode="rehearse", backup="skip", approvals="required", min_speedup=0.999999)
    question = run.client.question(MIGRATION, run.run_id, run.asked(APPROVAL))
    assert "| passed | row\\_content\\_before\\_cutover |" in question["body"]
    assert [each["name"] for each in question["assigned_users"]] == ["jo"]
    with pytest.raises(RestError, match="403"):
        run.answer("Approve")
    with airflow.client("jo") as jo:
        run = Migration(jo, run.server, connection, run.run_id)
        run.answer("Approve")
        body = jo.question(MIGRATION, run.run_id, run.asked(GATE))["body"]
        first = body.split("|---|---|---|---|---|")[1].lstrip()
        assert first.startswith("| failed, **waived by this answer** | speedup")
        jo.respond(MIGRATION, run.run_id, run.asked(GATE), ("Waive",), reason=" ")
        run.answer("Waive", GATE, reason="It was never slow")
        run.answer("Approve", SECOND_APPROVAL)
        run.answer("Approve", SIGN_OFF)
        assert run.finish() == "success", run.story()
    assert connection.execute(NOTES).fetchall() == [
        ("migration", "cutover", "Approve", "jo", ""),
        ("pruning", "waiver", "Waive", "jo", "It was never slow"),
        ("rollback", "second cutover", "Approve", "jo", ""),
        ("decision", "sign-off", "Approve", "jo", ""),
    ]
    (report,) = (Path(airflow.home).parent / "artifacts").glob("*/report.json")
    content = json.loads(report.read_text())
    assert content["verdict"] == "go"
    assert {each["name"][:8] for each in content["went_wrong"] if each["outcome"] == "waived"} == {"speedup_"}
    assert [each["who"] for each in content["people"]][::2] == ["admin", "jo", "jo"]
    assert content["waived"]
    waived = {each["name"] for each in content["criteria"] if each["outcome"] == "waived"}
    assert waived == {"speedup_reached", "all_items_passed"}
    for name in ("report.md", "report.html"):
        assert "It was never slow" in report.with_name(name).read_text()


FINALIZE, ASKED = "partition_finalize", "finalize.approve_finalize"
DROP = "finalize.drop_retired"
LEFT = "SELECT to_regclass('sensor_readings_new')::text, to_regclass('sensor_readings_old')::text"


def task(run: Migration, task_id: str) -> TaskInstance:
    (found,) = [each for each in run.client.task_instances(run.dag_id, run.run_id) if each.task_id == task_id]
    return found


def mark_success(page: Page, run: Migration, task_id: str) -> None:
    """Mark a task as success on its page, as a person does."""
    page.goto(f"/dags/{run.dag_id}/runs/{quote(run.run_id)}/tasks/{task_id}")
    page.get_by_role("button", name=re.compile("Mark .*as")).first.click()
    page.get_by_role("menuitem", name=re.compile("success", re.IGNORECASE)).click()
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()


def test_questions_marked_as_success_by_hand_swap_and_drop_nothing(
    trigger: Callable[..., Migration], connection: psycopg.Connection, airflow: Instance
) -> None:
    """In production: the approval of the cutover, then the question of partition_finalize after a no-go."""
    run = trigger(table="guarded", mode="migrate", backup="external", external_backup_at=now(), min_speedup=0.999999)
    run.asked(APPROVAL)
    with chromium() as browser:
        mark_success(sign_in(browser, airflow), run, APPROVAL)
    assert run.finish() == "failed"
    (cut_over,) = run.tasks("migration.cut_over", "failed")
    told = run.client.log(MIGRATION, run.run_id, cut_over)
    assert "the ledger does not permit to cut over: question cutover was not asked. Clear the task" in told
    assert connection.execute(LEFT).fetchall() == [("sensor_readings_new", None)]

    with airflow.client("jo") as jo:
        run = Migration(jo, run.server, connection, run.run_id)
        run.client.clear(MIGRATION, run.run_id, task(run, APPROVAL))
        run.answer("Approve")
        run.asked(GATE)
        assert connection.execute(LEFT).fetchall() == [(None, "sensor_readings_old")]

        ending = jo.trigger(FINALIZE, {"table": "guarded", "confirm": "guarded"})
        finalize = Migration(jo, run.server, connection, ending.run_id, FINALIZE)
        body = jo.question(FINALIZE, ending.run_id, finalize.asked(ASKED))["body"]
        assert "**The run is not signed off.** A yes needs a reason:" in body
        assert r"| retired table | public.sensor\_readings\_old |" in body
        jo.mark_success(FINALIZE, ending.run_id, task(finalize, ASKED))
        assert finalize.finish() == "failed"
        told = jo.log(FINALIZE, ending.run_id, task(finalize, DROP))
        assert "the ledger does not permit to drop the retired table: question finalize was not asked" in told
        assert connection.execute(LEFT).fetchall() == [(None, "sensor_readings_old")]

        jo.clear(FINALIZE, ending.run_id, task(finalize, ASKED))
        finalize.answer("Approve", ASKED, reason="The speed is fine")
        assert finalize.finish() == "success", finalize.story()
        jo.fail_run(MIGRATION, run.run_id)
    assert connection.execute(LEFT).fetchall() == [(None, None)]


def now() -> str:
    return datetime.now(UTC).isoformat()
