from __future__ import annotations

import pytest

from partition_playbook.checks import Check, Outcome, Severity, Verdict, check, skipped
from partition_playbook.markdown import checks_table


def broken(section: str, *names: str) -> Verdict:
    return Verdict.of(section, [check(name, False, expected=1, actual=2) for name in names])


def test_what_loses_nothing_may_be_waived_and_nothing_beside_it() -> None:
    assert broken("pruning", "speedup_last_7_days", "regressions").waivable
    assert not broken("pruning", "speedup_last_7_days", "row_content").waivable
    assert not broken("validation", "speedup_last_7_days").waivable
    assert not broken("rollback", "response_time_probe_a").waivable
    assert not Verdict.of("pruning", []).waivable
    assert not Verdict.of("pruning", [check("regressions", True, expected=1, actual=1)]).waivable


def test_a_waived_check_is_no_reason_any_more_and_still_fell_short() -> None:
    waived = check("regressions", False, expected=1, actual=2).waived("jo", "noon", "known")
    verdict = Verdict.of("pruning", [waived])
    assert verdict.go
    assert waived.fell_short
    assert waived.actual == "2; waived by jo: known"
    assert waived.waiver == "waived by jo: known"
    assert waived.evidence["waived_at"] == "noon"
    assert str(verdict) == (
        "GO after pruning: 1 check, 1 waived\n  waiv regressions: expected 1; actual 2; waived by jo: known"
    )


def test_a_waiver_of_an_earlier_version_is_told_as_it_was_written() -> None:
    earlier = Check("regressions", Outcome.WAIVED, "1", "2; waived by jo at noon: known")
    assert earlier.waiver == "waived by jo at noon: known"


@pytest.mark.parametrize(
    ("severity", "label"), [(Severity.ERROR, "failed"), (Severity.WARNING, "warning"), (Severity.INFO, "info")]
)
def test_only_a_failed_error_is_labelled_failed(severity: Severity, label: str) -> None:
    assert check("a", False, expected=1, actual=2, severity=severity).label == label


def test_a_question_shows_severity_and_remedy_and_marks_its_waivers() -> None:
    slow = check("slow", False, expected=1, actual=2, remedy="Add an index")
    known = check("known", False, expected=1, actual=2).waived("jo", "noon", "fine")
    advice = check("advice", False, expected=1, actual=2, severity=Severity.WARNING, remedy="Look at it")
    fine = check("fine", True, expected=1, actual=1, remedy="Never shown")
    assert checks_table([fine, known, advice, slow], waives=[slow]).splitlines() == [
        "| outcome | check | expected | actual | remedy |",
        "|---|---|---|---|---|",
        "| failed, **waived by this answer** | slow | 1 | 2 | Add an index |",
        "| waived | known | 1 | 2; waived by jo: fine |  |",
        "| warning | advice | 1 | 2 | Look at it |",
        "| passed | fine | 1 | 1 |  |",
    ]


def test_a_section_without_a_check_is_a_no_go() -> None:
    assert not Verdict.of("validation", []).go


def test_only_a_failed_error_is_a_no_go() -> None:
    fine = check("a", True, expected=1, actual=1)
    advice = check("b", False, expected=1, actual=2, severity=Severity.WARNING)
    broken = check("c", False, expected=1, actual=2, remedy="Mend it")
    assert Verdict.of("s", [fine, advice, skipped("d", "no endpoint")]).go
    verdict = Verdict.of("s", [fine, advice, broken])
    assert not verdict.go
    assert verdict.reasons == (broken,)
    assert "Mend it" in str(verdict)
