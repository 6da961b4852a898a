from __future__ import annotations

from partition_playbook.checks import Severity, Verdict, check, skipped


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
    assert Verdict.of("pruning", [waived]).go
    assert waived.fell_short
    assert waived.actual == "2; waived by jo at noon: known"


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
