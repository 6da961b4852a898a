"""Decision: the criteria and the report, read from a real ledger."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from partition_playbook import figures
from partition_playbook.benchmark.measure import benchmark
from partition_playbook.checks import Check, check, skipped
from partition_playbook.engine import cutover, rollback, verify, way_back
from partition_playbook.engine.sides import Direction
from partition_playbook.people import ANSWERED
from partition_playbook.run import Run
from partition_playbook.sections.application.probes import probe_checks
from partition_playbook.sections.decision import report
from partition_playbook.sections.decision.criteria import criteria
from partition_playbook.sections.decision.record import RunRecord
from partition_playbook.sections.pruning.checks import pruning_checks
from partition_playbook.sections.pruning.retention_benefit import measure_benefit
from partition_playbook.sections.pruning.speed import BEFORE
from partition_playbook.sections.validation.checks import validation_checks
from partition_playbook.spec import Mode, RunParams
from tests.unit.test_page import Page

PARAMS = RunParams(mode=Mode.REHEARSE, production_rows=1_000_000)


@pytest.fixture(scope="session")
def template(migrated_template: str) -> str:
    return migrated_template


def within(run: Run, section: str) -> Run:
    return replace(run, ledger=replace(run.ledger, section=section))


def record(run: Run, section: str, checks: list[Check]) -> None:
    within(run, section).ledger.record_checks(checks)


def rehearse(run: Run) -> None:
    """Make every section's checks, as the DAG does."""
    record(run, "migration", [verify.content_check(*verify.compare(run), name="row_content_before_cutover")])
    run.ledger.record_measurement("migration", "cutover_held_ms", 8.0, "ms", tries=1)
    run.ledger.record_measurement("migration", "cutover_waited_ms", 1.0, "ms", tries=1)
    record(run, "validation", validation_checks(run))
    benchmark(run, BEFORE)
    for name, row in run.ledger.measurements(BEFORE).items():
        slow = {**row["detail"], "runs": [1000 * each for each in row["detail"]["runs"]]}
        run.ledger.record_measurement(BEFORE, name, 1000 * row["value"], "ms", **slow)
    record(run, "pruning", pruning_checks(run, 0.5))
    measure_benefit(run)
    record(run, "application", probe_checks(run))
    record(run, "lifecycle", [check("maintenance_ran", True, expected="x", actual="x")])
    record(run, "watch", [skipped("watch", "watch_minutes is 0")])
    rolled = rollback.roll_back(within(run, "rollback"))
    run.ledger.record_measurement("rollback", "rollback_seconds", rolled.seconds, "s")
    content = verify.content_check(*verify.compare(run), name="row_content_after_rollback")
    record(run, "rollback", [content, check("rollback_time", True, expected="x", actual="x")])
    cutover.swap(run, Direction.FORWARD)


def test_rehearsal_that_went_well_is_a_go_with_a_report(run: Run) -> None:
    rehearse(run)
    decided = criteria(run, PARAMS)
    assert [str(each) for each in decided if each.blocks] == []
    way_back.keep_open(run, seconds=0)
    html, text, plain = (content.decode() for content in report.keep(run, PARAMS).values())
    content = json.loads(plain)
    assert text.startswith(r"# Rehearsed partitioning of public.sensor\_readings: GO")
    assert content["verdict"] == "go"
    assert {each["section"] for each in content["durations"]} >= {"migration", "validation", "pruning", "rollback"}
    assert [each["query"] for each in content["performance"]]
    assert sum(each["snapshot_rows"] for each in content["partitions"]) == 20_000
    assert sum(each["validation_rows"] for each in content["partitions"]) == 20_000
    assert content["estimate"]["production_rows"] == 1_000_000
    assert len(content["gains"]) == 7
    assert content["way_back"][0].startswith("A rollback now takes about ")
    assert content["way_back"][0] in Page(html).text
    assert "The way back: A rollback now takes about " in text
    assert_page_tells(html, content)


def assert_page_tells(html: str, content: dict[str, Any]) -> None:
    """The page has what JSON has of a real run: rows, checksums, loads, swaps, reads and their plans."""
    shown = Page(html)
    assert not {"script", "link", "img"} & set(shown.tags)
    assert [each for each in shown.addresses if not each.startswith("#")] == []
    assert shown.tags["svg"] == 3
    told = [str(each[f"{stage}_checksum"]) for each in content["partitions"] for stage in ("snapshot", "validation")]
    told += [f"{each['rows']:,}" for each in content["loads"] if each["rows"]]
    told += [figures.milliseconds(each["held_ms"]) for each in content["swaps"]]
    told += [line for each in content["performance"] for line in each["plan_before"] + each["plan_after"]]
    told += [each["text"] for each in content["headlines"]] + [each["sql"] for each in content["performance"]]
    assert all('FROM "public"."sensor_readings"' in each["sql"] for each in content["performance"])
    assert {each["swap"] for each in content["swaps"]} >= {"cutover", "rollback"}
    assert any("never executed" in line or "Scan" in line for line in told)
    assert [each for each in told if each not in shown.text] == []


def test_a_question_that_waits_is_no_work_and_each_swap_belongs_to_its_section(
    run: Run, connection: psycopg.Connection
) -> None:
    record(run, "migration", [check("row_content_before_cutover", True, expected="x", actual="x")])
    for section, later in (("migration", "2 days"), ("pruning", "50 hours")):
        if section == "pruning":
            record(run, section, [check("speedup_x", False, expected="x", actual="y")])
            moved = (
                "UPDATE partition_playbook.checks SET checked_at = checked_at + '49 hours' WHERE section = 'pruning'"
            )
            connection.execute(moved)
        within(run, section).ledger.add_note(ANSWERED, question="waiver", by="jo")
        asked = "UPDATE partition_playbook.events SET happened_at = happened_at + %s::interval WHERE event_id = "
        last = "(SELECT max(event_id) FROM partition_playbook.events)"
        connection.execute(asked + last, (later,))  # type: ignore[call-overload]
    for name in ("compared_after_cutover", "second_cutover_held_ms"):
        run.ledger.record_measurement("migration", name, 1.0, "ms")
    connection.execute(
        "UPDATE partition_playbook.measurements SET taken_at = taken_at + interval '60 hours' WHERE stage = 'migration'"
    )
    spans = {each.section: each for each in RunRecord.read(run).spans}
    assert spans["migration"].ended_at - spans["migration"].started_at > timedelta(days=2)
    assert spans["migration"].waited > timedelta(days=1, hours=23)
    assert spans["migration"].seconds < 3600
    assert spans["pruning"].waited > timedelta(minutes=50)
    assert spans["pruning"].seconds < 600


def test_hostile_names_in_the_ledger_are_text(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("UPDATE partition_playbook.runs SET table_name = '<script>alert(1)</script>'")
    connection.execute("UPDATE partition_playbook.loads SET partition_name = '<script>' || partition_name")
    record(run, "preflight", [skipped("comment", "<script>alert(2)</script>")])
    found = Page(report.keep(run, PARAMS)["report.html"].decode())
    assert not found.tags["script"]
    assert {"<script>alert(1)</script>", "<script>alert(2)</script>"} <= set(
        re.findall("<script>.*?</script>", found.text)
    )
    assert found.text.count("<script>sensor_readings") >= len(run.ledger.loads())


def test_run_that_stopped_half_way_names_the_sections_that_are_missing(run: Run) -> None:
    record(run, "validation", validation_checks(run))
    blocking = {each.name: each.actual for each in criteria(run, PARAMS) if each.blocks}
    assert blocking == {
        "sections_reached": "not reached: pruning, application, lifecycle, watch, rollback",
        "no_data_loss": "no evidence: section migration has no check row_content*",
    }
    text = report.keep(run, PARAMS)["report.md"].decode()
    assert text.startswith(r"# Rehearsed partitioning of public.sensor\_readings: NO-GO")
    assert r"Because of sections\_reached, no\_data\_loss" in text


def test_last_outcome_of_a_check_counts(run: Run, connection: psycopg.Connection) -> None:
    rehearse(run)
    connection.execute("DROP INDEX sensor_readings_device")
    record(run, "validation", validation_checks(run))
    assert {"checklist_indexes", "all_items_passed"} == {each.name for each in criteria(run, PARAMS) if each.blocks}
