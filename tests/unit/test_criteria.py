"""The criteria, the estimate and the report, from evidence as values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from partition_playbook.checks import Check, Outcome, Severity, Verdict, check, skipped
from partition_playbook.people import ANSWERED
from partition_playbook.sections.decision import estimate, page, report
from partition_playbook.sections.decision.criteria import decide
from partition_playbook.sections.decision.record import RunRecord, Span
from partition_playbook.spec import Mode, RunParams

START = datetime(2026, 11, 1, tzinfo=UTC)
PARAMS = RunParams(mode=Mode.REHEARSE, load_workers=2)
ASKED = RunParams(mode=Mode.REHEARSE, approvals="required")
CONFIGURED = {"probes": [{"name": "readings.recent"}], "http_probes": [{"name": "dashboard"}]}
SPEC: dict[str, Any] = {"partition_by": "at", "interval": "month", "application": CONFIGURED}
MADE = {
    "preflight": ["server_version"],
    "migration": ["row_content_before_cutover"],
    "validation": ["row_content", "snapshot_rows", "partition_indexes", "foreign_keys", "foreign_keys_enforced"],
    "pruning": ["pruned_last_7_days", "speedup_last_7_days", "regressions"],
    "application": ["probe_readings.recent"],
    "lifecycle": ["maintenance_ran"],
    "watch": ["watch_time", "watch_logs"],
    "rollback": ["row_content_after_rollback", "rollback_time"],
}


def passed(name: str) -> Check:
    return check(name, True, expected="x", actual="x")


def failed(name: str, severity: Severity = Severity.ERROR) -> Check:
    return check(name, False, expected="x", actual="y", remedy="mend it", severity=severity)


def load(name: str, rows: int, seconds: float) -> dict[str, Any]:
    ended = START + timedelta(seconds=seconds)
    return {"partition_name": name, "state": "attached", "rows": rows, "started_at": START, "ended_at": ended}


def measured(name: str, value: float, unit: str = "ms", **detail: Any) -> dict[str, dict[str, Any]]:
    return {name: {"name": name, "value": value, "unit": unit, "detail": detail}}


def good(mode: str = "rehearse") -> RunRecord:
    row = {"run_id": "r", "mode": mode, "phase": "live", "plan_hash": "h", "opened_by": "me", "started_at": START}
    row |= {"table_schema": "public", "table_name": "readings", "spec": SPEC}
    checks = {section: [passed(name) for name in names] for section, names in MADE.items()}
    checks["application"].append(skipped("http", "no base_url"))
    return RunRecord(
        row,
        checks,
        {
            "migration": measured("cutover_held_ms", 8.0, tries=1) | measured("cutover_waited_ms", 1.0),
            "rollback": measured("rollback_seconds", 4.0, "s"),
            "before": measured("q", 10.0, planning_ms=0.1, buffers=100),
            "after": measured("q", 2.0, planning_ms=0.2, buffers=10),
        },
        loads=[load("readings_y2026m01", 1000, 2), load("readings_y2026m02", 3000, 4)],
        spans=[Span("migration", START, START + timedelta(seconds=8))],
    )


def without(evidence: RunRecord, section: str, *names: str) -> RunRecord:
    kept = [each for each in evidence.checks.get(section, ()) if names and each.name not in names]
    return replace(evidence, checks={**evidence.checks, section: kept})


def broken(evidence: RunRecord, section: str, name: str) -> RunRecord:
    changed = without(evidence, section, name)
    return replace(changed, checks={**changed.checks, section: [*changed.checks[section], failed(name)]})


def red(evidence: RunRecord, params: RunParams = PARAMS) -> set[str]:
    return {each.name for each in decide(evidence, params) if each.blocks}


def test_good_rehearsal_is_a_go() -> None:
    decided = decide(good(), PARAMS)
    assert Verdict.of("decision", decided).go
    assert {each.name for each in decided if each.outcome is Outcome.SKIPPED} == {
        "checklist_dashboard",
        "team_confident",
    }


def test_every_line_of_the_playbook_is_there() -> None:
    names = [each.name for each in decide(good(), PARAMS)]
    assert len([name for name in names if name.startswith("checklist_")]) == 11
    assert len(names) == 11 + 13


@pytest.mark.parametrize("application", [None, {}, {"base_url": "http://x", "probes": [], "http_probes": []}])
def test_a_line_about_somebody_elses_application_stands_only_where_the_spec_has_its_evidence(application: Any) -> None:
    evidence = good()
    bare = replace(evidence, run={**evidence.run, "spec": SPEC | {"application": application}})
    for record in (bare, RunRecord(bare.run)):
        names = {each.name for each in decide(record, PARAMS)}
        assert not names & {"checklist_procedures", "checklist_dashboard"}
        text = report.render(report.compose(record, PARAMS))
        assert not [word for word in ("tRPC", "Dashboard", "Grafana") if word in text]
    only = replace(bare, run={**bare.run, "spec": SPEC | {"application": {"probes": CONFIGURED["probes"]}}})
    named = {each.name for each in decide(only, PARAMS)} & {"checklist_procedures", "checklist_dashboard"}
    assert named == {"checklist_procedures"}


KINDS = {"probes": "probe_q", "procedures": "procedure_q", "commands": "command_q"}


def configured(*keys: str) -> RunRecord:
    """Return a good record whose spec has these keys, each with its evidence."""
    application = {key: [{"name": "q"}] for key in keys}
    evidence = replace(good(), run={**good().run, "spec": SPEC | {"application": application}})
    made = [passed(KINDS[key]) for key in keys] + [skipped("probes", "none"), skipped("http", "none")]
    return replace(evidence, checks={**evidence.checks, "application": made})


@pytest.mark.parametrize("keys", [("procedures",), ("commands",), ("probes",), tuple(KINDS), ("commands", "probes")])
def test_the_line_about_procedures_counts_each_kind_of_evidence(keys: tuple[str, ...]) -> None:
    record = configured(*keys)
    listed = {each.name: each for each in decide(record, PARAMS)}["checklist_procedures"]
    assert listed.outcome is Outcome.PASSED
    assert {*listed.evidence} - {"probes"} == {KINDS[key] for key in keys}
    assert red(record) == set()
    for key in keys:
        assert {"checklist_procedures", "no_application_error"} <= red(broken(record, "application", KINDS[key]))


def test_a_kind_of_evidence_without_a_check_is_red() -> None:
    record = without(configured("probes", "commands"), "application", "command_q")
    found = {each.name: each for each in decide(record, PARAMS)}["checklist_procedures"]
    assert found.blocks
    assert "section application has no check command_*" in found.actual


@pytest.mark.parametrize(
    ("section", "name", "criteria"),
    [
        ("validation", "row_content", {"checklist_row_count", "no_data_loss", "no_row_mismatch"}),
        ("validation", "snapshot_rows", {"checklist_row_count", "no_row_mismatch"}),
        ("validation", "partition_indexes", {"checklist_indexes"}),
        ("validation", "foreign_keys_enforced", {"checklist_foreign_keys"}),
        ("pruning", "pruned_last_7_days", {"checklist_pruning", "pruning_confirmed", "no_pruning_failure"}),
        ("pruning", "speedup_last_7_days", {"checklist_performance", "speedup_reached"}),
        ("pruning", "regressions", {"no_degradation"}),
        ("application", "probe_readings.recent", {"checklist_procedures", "no_application_error"}),
        ("application", "http_dashboard", {"checklist_dashboard", "no_application_error"}),
        ("lifecycle", "maintenance_ran", {"checklist_automation"}),
        ("rollback", "rollback_time", {"checklist_rollback", "rollback_in_time", "no_rollback_failure"}),
        ("rollback", "row_content_after_rollback", {"checklist_rollback", "no_rollback_failure"}),
        ("migration", "row_content_before_cutover", {"no_data_loss", "no_migration_error"}),
    ],
)
def test_failed_check_turns_its_criteria_red(section: str, name: str, criteria: set[str]) -> None:
    listed = {"all_items_passed"} if any(each.startswith("checklist_") for each in criteria) else set()
    assert red(broken(good(), section, name)) == criteria | listed


@pytest.mark.parametrize("section", ["validation", "pruning", "application", "lifecycle", "rollback"])
def test_section_that_never_ran_is_a_no_go_and_told_once(section: str) -> None:
    decided = decide(without(good(), section), PARAMS)
    (missing,) = (each for each in decided if each.blocks)
    assert (missing.name, missing.actual) == ("sections_reached", f"not reached: {section}")
    skips = [each.name for each in decided if each.outcome is Outcome.SKIPPED and each.actual == missing.actual]
    assert "all_items_passed" in skips
    assert len(skips) > 1


def test_a_no_go_of_preflight_is_followed_by_one_failed_criterion() -> None:
    evidence = RunRecord(good().run, {"preflight": [passed("server_version"), failed("xid_age")]})
    for asked in (PARAMS, ASKED):
        (missing,) = (each for each in decide(evidence, asked) if each.blocks)
        assert missing.actual == (
            "not reached after the no-go of preflight: migration, validation, pruning, application, lifecycle, "
            "watch, rollback"
        )
    content = report.compose(evidence, PARAMS)
    assert content["verdict"] == "no-go"
    assert [each["name"] for each in content["went_wrong"]] == ["xid_age", "sections_reached"]


def test_a_no_go_on_the_way_is_told_with_its_own_criteria_only() -> None:
    """The run stops after pruning and rolls back."""
    evidence = broken(without(without(good(), "application"), "lifecycle"), "pruning", "speedup_last_7_days")
    red_ones = {"checklist_performance", "all_items_passed", "speedup_reached", "sections_reached"}
    assert red(evidence) == red_ones
    decided = {each.name: each.actual for each in decide(evidence, PARAMS)}
    assert decided["sections_reached"] == "not reached after the no-go of pruning: application, lifecycle"
    assert decided["checklist_automation"] == "not reached: lifecycle"


def test_a_section_that_was_reached_without_its_evidence_is_red() -> None:
    found = {each.name: each for each in decide(without(good(), "pruning", "pruned_last_7_days"), PARAMS)}
    assert found["pruning_confirmed"].blocks
    assert found["pruning_confirmed"].actual == "no evidence: section pruning has no check pruned_*"
    assert found["sections_reached"].outcome is Outcome.PASSED


def test_warning_is_not_a_no_go() -> None:
    evidence = good()
    warned = [*evidence.checks["validation"], failed("row_content_odd", Severity.WARNING)]
    assert red(replace(evidence, checks={**evidence.checks, "validation": warned})) == set()


def test_pruning_that_was_only_skipped_proves_nothing() -> None:
    evidence = without(good(), "pruning", "pruned_last_7_days")
    only = [*evidence.checks["pruning"], skipped("pruned_last_7_days", "no range")]
    assert {"pruning_confirmed", "no_pruning_failure"} < red(
        replace(evidence, checks={**evidence.checks, "pruning": only})
    )


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"loads": []}, "nothing was loaded"),
        ({"loads": [load("a", 1, 1) | {"state": "loading"}]}, "a is loading"),
        ({"measurements": {}}, "no cutover was recorded"),
    ],
)
def test_migration_that_did_not_end_is_named(changed: dict[str, Any], told: str) -> None:
    found = {each.name: each for each in decide(replace(good(), **changed), PARAMS)}["no_migration_error"]
    assert found.blocks
    assert told in found.actual


def test_duration_needs_a_load_that_ended() -> None:
    unended = [load("a", 0, 1) | {"ended_at": None}]
    assert red(replace(good(), loads=unended)) == {"checklist_duration", "all_items_passed"}


def answered(**answer: Any) -> dict[str, Any]:
    given = {"question": "sign-off", "chosen": "Approve", "agreed": True, "by": "jo", "at": "noon", "reason": ""}
    return {"section": "decision", "message": ANSWERED, "detail": given | answer}


def signed(evidence: RunRecord, **answer: Any) -> RunRecord:
    return replace(evidence, notes=[answered(**answer)])


@pytest.mark.parametrize("asked", [ASKED, RunParams(mode=Mode.MIGRATE)])
def test_team_is_confident_only_where_somebody_signed(asked: RunParams) -> None:
    evidence = good(asked.mode)
    assert red(evidence, asked) == {"team_confident"}
    assert red(signed(evidence), asked) == set()
    assert red(signed(evidence, agreed=False, chosen="Reject"), asked) == {"team_confident"}
    silent = signed(evidence, agreed=False, chosen="Reject", by=None)
    told = {each.name: each.actual for each in decide(silent, asked)}
    assert told["team_confident"] == "sign-off: Reject, because nobody answered in time"


def test_a_sign_off_counts_only_by_an_approver_and_after_the_last_check() -> None:
    evidence = good("migrate")
    asked = RunParams(mode=Mode.MIGRATE)
    guarded = replace(evidence, run={**evidence.run, "spec": {**evidence.run["spec"], "approvers": ["7"]}})
    assert red(signed(guarded), asked) == {"team_confident"}
    assert red(signed(guarded, by="Jo (7)"), asked) == set()
    assert red(signed(guarded, by="7 (kim)", user="kim"), asked) == {"team_confident"}

    later = replace(signed(evidence), checked_at={"validation": START + timedelta(hours=1)})
    late = replace(later, notes=[{**later.notes[0], "happened_at": START}])
    told = {each.name: each for each in decide(late, asked)}["team_confident"]
    assert told.blocks
    assert "was answered by jo before its checks were made again" in told.actual


def test_waived_check_turns_nothing_red_and_is_told_wherever_it_counts() -> None:
    waived = failed("speedup_last_7_days").waived("jo", "noon", "it never was slow")
    evidence = without(good(), "pruning", "speedup_last_7_days")
    evidence = replace(evidence, checks={**evidence.checks, "pruning": [*evidence.checks["pruning"], waived]})
    assert red(evidence) == set()
    content = report.compose(evidence, PARAMS)
    assert [each["name"] for each in content["went_wrong"]] == ["speedup_last_7_days"]
    assert "Fix the causes of the waived checks: speedup_last_7_days" in content["recommendations"]
    assert "it never was slow" in report.render(content)


def test_criterion_behind_a_waived_check_is_waived_and_never_passed() -> None:
    waived = failed("speedup_last_7_days").waived("jo", "noon", "it never was slow")
    evidence = without(good(), "pruning", "speedup_last_7_days")
    evidence = replace(evidence, checks={**evidence.checks, "pruning": [*evidence.checks["pruning"], waived]})
    decided = {each.name: each for each in decide(evidence, PARAMS)}
    behind = {"speedup_reached", "checklist_performance", "all_items_passed"}
    assert {name for name, each in decided.items() if each.outcome is Outcome.WAIVED} == behind
    assert all("waived by jo: it never was slow" in decided[name].actual for name in behind)
    assert decided["all_items_passed"].actual.startswith("9 passed, 1 left to a person")
    assert "waived by jo: it never was slow" in str(Verdict.of("decision", decided.values()))

    content = report.compose(evidence, PARAMS)
    assert content["verdict"] == "go"
    assert content["waived"] == ["speedup_last_7_days waived by jo: it never was slow"]
    text = report.render(content)
    assert "- [ ] Performance improvement measured: waived, " in text
    for shown in (text.replace("\\_", "_"), page.render(content)):
        assert "speedup_last_7_days waived by jo: it never was slow" in shown


def test_production_needs_no_rollback() -> None:
    evidence = without(good("migrate"), "rollback")
    decided = {each.name: each for each in decide(evidence, PARAMS)}
    assert [each.name for each in decided.values() if each.blocks] == []
    assert decided["rollback_in_time"].outcome is Outcome.SKIPPED


def test_production_that_was_rolled_back_is_judged_by_its_rollback() -> None:
    assert "no_rollback_failure" in red(broken(good("migrate"), "rollback", "rollback_time"))


def test_estimate_is_linear_with_a_note_for_sorts() -> None:
    found = estimate.production(good(), PARAMS.model_copy(update={"production_rows": 40_000}))
    assert found is not None
    assert found["measured"]["rows_per_second"] == pytest.approx(1000)
    assert found["load_seconds"] == pytest.approx(40)
    assert 40 < found["load_seconds_with_log"] < 60
    assert found["sections"]["migration"]["estimated_seconds"] == pytest.approx(80)


def test_estimate_without_rows_to_aim_at_is_for_the_rows_of_the_run() -> None:
    found = estimate.production(good(), PARAMS)
    assert found is not None
    assert (found["production_rows"], found["load_seconds"]) == (4000, pytest.approx(4))
    assert estimate.production(replace(good(), loads=[]), PARAMS) is None


def test_report_tells_verdict_speedup_and_estimate() -> None:
    text = report.render(report.compose(good(), PARAMS))
    assert text.startswith("# Rehearsed partitioning of public.readings: GO\n")
    assert "| q | 10 ms | 2 ms | 80 % faster | 0.1 ms → 0.2 ms | 100 → 10 |" in text
    assert "cutover waited 1 ms for its lock and held it for 8 ms" in text
    assert "- [x] Row count matches pre-migration count: passed" in text
    assert "- [x] No critical errors in logs for 2 hours" in text
    assert "4,000 rows in 4 s with 2 workers, 1,000 rows/s" in text


def test_report_of_a_no_go_names_what_went_wrong_and_the_remedy() -> None:
    content = report.compose(broken(good(), "validation", "row_content"), PARAMS)
    text = report.render(content)
    assert text.startswith("# Rehearsed partitioning of public.readings: NO-GO\n\nBecause of row\\_content.\n")
    assert r"FAIL row\_content: expected x; actual y. mend it" in text
    assert "Rehearse again; do not start the migration in production" in text
    assert content["adjustments"] == ["row_content: mend it"]


def test_report_of_an_empty_ledger_is_a_no_go() -> None:
    text = report.render(report.compose(RunRecord(good().run), PARAMS))
    assert "NO-GO" in text
    assert "There was no cutover." in text
    assert "No load with rows has ended" in text


def test_nothing_from_data_is_markdown() -> None:
    evil = "a|b\n\n# owned <script> [x](http://e) `c` *d*"
    evidence = good()
    checks = {**evidence.checks, "preflight": [replace(failed("views"), actual=evil)]}
    text = report.render(
        report.compose(replace(evidence, checks=checks, run={**evidence.run, "table_name": evil}), PARAMS)
    )
    assert "\n# owned" not in text
    assert "<script>" not in text.replace(r"\<script\>", "")
    assert r"a\|b \# owned \<script\> \[x\](http://e) \`c\` \*d\*" in text


def test_next_steps_fit_the_run() -> None:
    assert "partition_finalize" in report.compose(without(good("migrate"), "rollback"), PARAMS)["next_steps"][-1]
    assert "plan" in " ".join(report.compose(good(), PARAMS)["next_steps"])


def test_what_was_never_looked_at_went_wrong() -> None:
    wrong = report.compose(without(good(), "pruning"), PARAMS)["went_wrong"]
    assert {each["name"] for each in wrong} == {"sections_reached"}


def test_a_warning_is_no_pass_and_is_told() -> None:
    evidence = without(good(), "pruning", "speedup_last_7_days")
    unsure = failed("speedup_last_7_days", Severity.WARNING)
    evidence = replace(evidence, checks={**evidence.checks, "pruning": [*evidence.checks["pruning"], unsure]})
    told = {each.name: each for each in decide(evidence, PARAMS)}["speedup_reached"]
    assert told.outcome is Outcome.PASSED
    assert told.actual == "0 of 1 check passed; speedup_last_7_days: y"


def test_an_empty_table_has_a_duration_and_no_estimate() -> None:
    evidence = replace(good(), loads=[load("readings_y2026m01", 0, 2), load("readings_y2026m02", 0, 3)])
    decided = {each.name: each for each in decide(evidence, PARAMS)}
    assert decided["checklist_duration"].outcome is Outcome.PASSED
    assert decided["checklist_duration"].actual == "0 rows loaded in 3 s"
    assert estimate.production(evidence, PARAMS) is None
