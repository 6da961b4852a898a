"""People decide: who may, what they see, what silence and a missing reason mean, and what is kept of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from staging.instance import Instance
from staging.rest import RestError
from tests.fixtures.running_airflow import APPROVAL, MIGRATION, SIGN_OFF, Migration

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
        assert body.split("|---|---|---|---|")[1].lstrip().startswith("| failed | speedup")
        jo.respond(MIGRATION, run.run_id, run.asked(GATE), ("Waive",), reason=" ")
        run.answer("Waive", GATE, reason="It was never slow")
        run.answer("Approve", SIGN_OFF)
        assert run.finish() == "success", run.story()
    assert connection.execute(NOTES).fetchall() == [
        ("migration", "cutover", "Approve", "jo", ""),
        ("pruning", "waiver", "Waive", "jo", "It was never slow"),
        ("decision", "sign-off", "Approve", "jo", ""),
    ]
    (report,) = (Path(airflow.home).parent / "artifacts").glob("*/report.json")
    content = json.loads(report.read_text())
    assert content["verdict"] == "go"
    assert {each["name"][:8] for each in content["went_wrong"] if each["outcome"] == "waived"} == {"speedup_"}
    assert [each["who"] for each in content["people"]][::2] == ["admin", "jo", "jo"]
    for name in ("report.md", "report.html"):
        assert "It was never slow" in report.with_name(name).read_text()
