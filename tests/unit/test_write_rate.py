"""The write rate of a table is compared with what a cutover can follow; only certainty stops a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.engine.write_rate import ASSUMED, Counters, Followed, between
from partition_playbook.sections.preflight.write_rate import judged

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
FIRST = Counters(NOW, 4_000_000_000, NOW - timedelta(days=10))
# A batch of 800 changes takes 0.2 s, so a cutover follows 4,000 changes a second.
MEASURED = Followed(0.04, 0.0002, "run rehearsal", own=True)


def after(changes: int, seconds: float = 10, first: Counters = FIRST) -> Counters:
    return replace(first, at=first.at + timedelta(seconds=seconds), changes=first.changes + changes)


def verdict(found: Check) -> str:
    if found.outcome is not Outcome.FAILED:
        return found.outcome.value
    return "error" if found.blocks else "warning"


@pytest.mark.parametrize(
    ("per_second", "first", "known", "expected"),
    [
        (0, replace(FIRST, changes=0), ASSUMED, "passed"),
        (1_900, replace(FIRST, changes=0), MEASURED, "passed"),
        (2_100, replace(FIRST, changes=0), MEASURED, "warning"),
        (9_000, replace(FIRST, changes=0), MEASURED, "warning"),  # a peak is not certain
        (0, FIRST, MEASURED, "warning"),  # the average of ten days is 4,630 changes a second
        (9_000, FIRST, MEASURED, "error"),
        (9_000, FIRST, replace(MEASURED, own=False), "warning"),
        (9_000, replace(FIRST, reset_at=None), MEASURED, "warning"),
        (9_000, replace(FIRST, reset_at=NOW - timedelta(minutes=5)), MEASURED, "warning"),
        (9_000, FIRST, ASSUMED, "warning"),
    ],
)
def test_over_half_is_a_warning_and_only_a_certain_excess_an_error(
    per_second: int, first: Counters, known: Followed, expected: str
) -> None:
    found = judged(first, after(10 * per_second, first=first), known)
    assert verdict(found) == expected
    assert found.severity is (Severity.ERROR if expected == "error" else Severity.WARNING)


def test_the_check_tells_both_rates_their_origin_and_the_limit_of_a_cutover() -> None:
    found = judged(FIRST, after(90_000), MEASURED)
    assert found.actual == (
        "the application writes 9,000 changes/s over 10 s, and 4,630 changes/s on average since 2026-11-21 12:00 UTC; "
        "one reconciler follows 4,950 changes/s, and above 4,000 changes/s a cutover gives up before its lock "
        "(measured by run rehearsal)"
    )
    assert found.expected == "at most 2,000 changes/s, half of what a cutover can follow"
    assert found.evidence["cutover_limit_per_second"] == 4_000
    assert "no run has measured it" in judged(FIRST, after(90_000), ASSUMED).actual


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (replace(after(10), counted=False), "track_counts is off"),
        (after(-1), "reset meanwhile"),
        (replace(after(10), reset_at=NOW), "reset meanwhile"),
    ],
)
def test_counters_that_tell_nothing_skip_the_check(last: Counters, why: str) -> None:
    assert between(FIRST, last) is None
    found = judged(FIRST, last, MEASURED)
    assert found.outcome is Outcome.SKIPPED
    assert why in found.actual
