"""The report as a page: one file that needs nothing, runs nothing and obeys nothing that it shows."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from partition_playbook.checks import Check
from partition_playbook.people import TRIGGERED
from partition_playbook.sections.decision import charts, page, report
from partition_playbook.sections.decision.record import RunRecord
from tests.unit.test_criteria import ASKED, PARAMS, START, answered, failed, good, load, measured

EVIL = "</style></svg><script>alert(1)</script><img src=http://e onerror=x>\"'&{{ 7 * 7 }}"
ADDRESS = "https://airflow.example/dags/partition_migration/runs/r"
PLAN = {"Node Type": "Append", "Actual Loops": 1, "Actual Rows": 3, "Subplans Removed": 2, "Shared Hit Blocks": 4}


class Page(HTMLParser):
    """A page as a browser sees it: tags, what they refer to, their ids, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.addresses: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.scopes = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data")]
        self.scopes += tag == "th" and "scope" in dict(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def seen(evidence: RunRecord) -> Page:
    return Page(page.render(report.compose(evidence, PARAMS, ADDRESS)))


def hostile() -> RunRecord:
    """Return evidence in which everything that comes from a database tries to become part of the page."""
    evidence = good()
    plan = {**PLAN, "Plans": [{"Node Type": "Seq Scan", "Relation Name": EVIL, "Actual Loops": 0}]}
    row = {**evidence.run, "table_name": EVIL, "run_id": EVIL, "opened_by": EVIL, "plan_hash": EVIL}
    return replace(
        evidence,
        run=row | {"spec": {"partition_by": EVIL, "interval": EVIL, "timezone": EVIL}},
        checks={**evidence.checks, EVIL: [failed(EVIL)], "preflight": [replace(failed("comment"), actual=EVIL)]},
        measurements={
            "migration": measured(f"{EVIL}_held_ms", 8.0),
            "rollback": measured(EVIL, 1.0, note=EVIL),
            "before": measured(EVIL, 10.0, plan=plan, sql=EVIL),
            "after": measured(EVIL, 2.0, plan=plan, sql=EVIL),
        },
        loads=[load(EVIL, 1, 2)],
        spans=[replace(evidence.spans[0], section=EVIL)],
        notes=[answered(chosen=EVIL, by=EVIL, at=EVIL, reason=EVIL), {"message": TRIGGERED, "detail": {"by": EVIL}}],
    )


@pytest.mark.parametrize("evidence", [good(), hostile(), RunRecord(good().run)], ids=["good", "hostile", "empty"])
def test_page_runs_nothing_and_loads_nothing(evidence: RunRecord) -> None:
    found = seen(evidence)
    assert not {"script", "link", "iframe", "object", "embed", "img", "image", "use", "form", "base"} & set(found.tags)
    assert [each for each in found.addresses if not each.startswith("#")] == [ADDRESS]
    assert not [name for name in found.attributes if name.startswith("on")]
    html = page.render(report.compose(evidence, PARAMS))
    assert "@import" not in html
    assert "url(" not in html


def test_hostile_names_and_comments_are_text() -> None:
    found, harmless = seen(hostile()), seen(good())
    assert found.text.count(EVIL) > 15
    assert found.tags["style"] == harmless.tags["style"]
    assert "{{ 7 * 7 }}" in found.text


def test_every_table_has_headers_with_a_scope() -> None:
    found = seen(good())
    assert found.tags["th"] == found.scopes > 50
    assert found.tags["caption"] == found.tags["table"] > 8


def test_page_and_markdown_tell_what_json_tells() -> None:
    evidence = replace(good("migrate"), notes=[answered(), {"message": TRIGGERED, "detail": {"by": "kim"}}])
    content = report.compose(evidence, PARAMS)
    shown, text = Page(page.render(content)).text, report.render(content).replace("\\", "")
    told: list[Any] = [each["actual"] for each in (*content["criteria"], *content["checklist"])]
    told += [each["partition"] for each in content["loads"]] + [content["write_latency"], "jo", "noon", "kim"]
    told += [*content["went_well"], *content["next_steps"], *content["recommendations"]]
    assert [each for each in told if each not in shown] == []
    assert [each for each in told if each not in text] == []


def test_first_page_has_title_verdict_and_headline_figures() -> None:
    first = seen(good()).text.partition("Contents")[0].partition("Criteria for GO")[0]
    told = ["Rehearsed partitioning of public.readings", "GO", "lock waited", "1 ms", "lock held", "8 ms"]
    told += ["slowest write", "9 ms", "rows per second", "1,000 rows/s", "rollback", "4 s"]
    assert [each for each in told if each not in first] == []
    assert "because of" not in first


def test_no_go_names_the_failed_checks_beside_the_verdict() -> None:
    checks: dict[str, list[Check]] = {**good().checks, "validation": [failed("row_content")]}  # type: ignore[dict-item]
    assert "NO-GO because of row_content\n" in seen(replace(good(), checks=checks)).text


def test_report_links_to_the_plan_of_its_run_where_one_was_kept() -> None:
    plan = "https://airflow.example/partition_playbook/plan?run_id=r"
    found = Page(page.render(report.compose(good(), PARAMS, ADDRESS, plan)))
    assert [each for each in found.addresses if not each.startswith("#")] == [ADDRESS, plan]


def test_query_stands_above_its_whole_plans() -> None:
    scan = {"Node Type": "Index Scan", "Index Name": "i", "Index Cond": "(at >= now())", "Actual Loops": 1}
    plan = {**PLAN, "Plans": [{**scan, "Filter": "(battery < 10)", "Rows Removed by Filter": 2}]}
    text = "SELECT *\n  FROM readings"
    stages = {stage: measured("q", 2.0, plan=plan, sql=text) for stage in ("before", "after")}
    evidence = replace(good(), measurements={**good().measurements, **stages})
    shown = seen(evidence).text
    for each in (text, "    Index Cond: (at >= now())", "    Filter: (battery < 10)", "    Rows Removed by Filter: 2"):
        assert each in shown
    assert all(f"    {line}" in report.render(report.compose(evidence, PARAMS)) for line in text.split("\n"))


def test_query_of_an_earlier_version_stands_as_the_spec_has_it() -> None:
    spec = {**good().run["spec"], "queries": [{"name": "q", "sql": "SELECT 1 FROM {table}"}]}
    plan = {stage: measured("q", 2.0, plan=PLAN) for stage in ("before", "after")}
    evidence = replace(good(), run={**good().run, "spec": spec}, measurements={**good().measurements, **plan})
    assert "SELECT 1 FROM {table}" in seen(evidence).text


def test_long_list_of_partitions_is_folded_and_its_chart_has_the_slowest() -> None:
    many = replace(good(), loads=[load(f"readings_p{n:03}", 10, n) for n in range(1, 101)])
    short, long = seen(good()), seen(many)
    assert long.tags["details"] == short.tags["details"] + 1
    assert "100 partitions" in long.text
    html = page.render(report.compose(many, PARAMS))
    (chart,) = [each for each in html.split("<figure") if "The 24 slowest loads, from start to end" in each]
    drawn = set(re.findall(r"readings_p\d+", chart.partition("</figure>")[0]))
    assert drawn == {f"readings_p{n:03}" for n in range(77, 101)}


def test_person_who_signed_off_is_named_in_the_criterion() -> None:
    content = report.compose(replace(good(), notes=[answered()]), ASKED)
    (confident,) = [each for each in content["criteria"] if each["name"] == "team_confident"]
    assert confident["actual"] == "sign-off: Approve, by jo at noon"


def test_timeline_draws_one_bar_a_span_even_a_short_one() -> None:
    spans = [(f"p{n}", START, START + timedelta(seconds=n)) for n in range(40)]
    drawn = Page(charts.timeline("Loads", spans))
    assert drawn.tags["svg"] == 1
    assert all(f"p{n}" in drawn.text for n in range(40))
    assert charts.timeline("Loads", []) == charts.bars("Locks", [], "ms") == ""


def test_plan_shows_what_was_pruned_and_what_never_ran() -> None:
    text = seen(hostile()).text
    assert "Append (3 rows, 1 loop, 4 buffers, 2 subplans removed)" in text
    assert "(never executed, 0 buffers)" in text


def test_charts_cost_nothing_where_no_report_is_written() -> None:
    asked = "import partition_playbook.sections.decision.report, sys; print('pygal' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", asked], env={"PYTHONPATH": "plugins"}, capture_output=True, text=True)
    assert told.stdout == "False\n", told.stderr


def test_failed_check_shows_its_remedy() -> None:
    checks: dict[str, list[Check]] = {**good().checks, "validation": [failed("row_content")]}  # type: ignore[dict-item]
    assert "mend it" in seen(replace(good(), checks=checks)).text
