from __future__ import annotations

from partition_playbook.checks import Severity, Verdict, check, skipped


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
