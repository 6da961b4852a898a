"""The verdict of the application's users: each thing that they notice is a reason against a go."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from staging.backend.traffic import Request
from staging.backend.verdict import Job, Noticed, Span, Times, Visit, judge

TIMES = Times(10, 20.0, 30.0)
SEEN = Visit("before the migration", 500)
GOOD = Noticed(
    requests=30,
    procedures={"readings.recent": 30},
    compared=20,
    written=7,
    swapped=True,
    before=TIMES,
    during=TIMES,
    after=TIMES,
    visits=(SEEN, replace(SEEN, occasion="after the migration")),
    jobs=(Job("partition:create", "run-1"),),
)


def request(at: float, seconds: float = 0.01, **changes: Any) -> Request:
    return replace(Request(at, seconds, "readings.recent", 200), **changes)


def test_users_who_notice_nothing_are_no_reason() -> None:
    assert (GOOD.unknown, GOOD.against) == ([], [])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"errors": {"readings.ingest: HTTP 500": 2}}, "saw 2 errors: readings.ingest: HTTP 500"),
        ({"unequal": ["readings.recent answered 1, expected 2"]}, "1 answer of the application differed: readings.rec"),
        ({"lost": 3}, "3 rows lost that the application had acknowledged"),
        ({"visits": (replace(SEEN, errors=("boom",)),)}, "the page before the migration: boom"),
        ({"visits": (replace(SEEN, points=0),)}, "the page before the migration drew no temperature"),
        ({"jobs": (Job("partition:create", problem="The job failed"),)}, "The job failed"),
    ],
)
def test_each_thing_they_notice_is_a_reason(changes: Mapping[str, Any], reason: str) -> None:
    (found,) = replace(GOOD, **changes).against
    assert reason in found


@pytest.mark.parametrize(
    "changes", [{"problem": "it died"}, {"compared": 0}, {"before": Times()}, {"during": Times()}, {"after": Times()}]
)
def test_users_who_prove_nothing_make_it_unknown(changes: Mapping[str, Any]) -> None:
    assert len(replace(GOOD, **changes).unknown) == 1


def test_without_a_swap_nobody_works_after_it() -> None:
    assert judge([request(1, equal=True)], None).unknown == []
    assert len(judge([request(1, equal=True)], Span(2, 8)).unknown) == 2


def test_requests_belong_to_the_part_in_which_they_began() -> None:
    requests = [request(1), request(2, 0.5), request(5), request(8), request(9), request(10)]
    found = judge(requests, Span(2, 8))
    assert [found.before.requests, found.during.requests, found.after.requests] == [1, 2, 3]
    assert found.during.slowest == 500
    assert judge(requests, None).before.requests == 6


def test_errors_and_unequal_answers_are_counted_apart() -> None:
    broken = request(1, problem="HTTP 500")
    other = request(2, equal=False, expected="1", found="2")
    found = judge([broken, broken, other, request(3, equal=True), request(4)], None)
    assert found.errors == {"readings.recent: HTTP 500": 2}
    assert found.unequal == ["readings.recent answered 2, expected 1"]
    assert found.compared == 2


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (19, 19), (20, 19), (100, 95)])
def test_p95_is_the_nearest_rank(count: int, expected: int) -> None:
    found = Times.of(request(0, each / 1000) for each in range(1, count + 1))
    assert math.isclose(found.p95, expected)
    assert math.isclose(found.slowest, count)


def test_the_scorecard_tells_errors_answers_times_pages_and_jobs() -> None:
    told = "\n".join(f"{title} {text}" for title, text in GOOD.lines())
    for part in ("30 requests", "no error seen", "20 answers compared, none unequal", "0 lost", "p95 20 ms", "run-1"):
        assert part in told
    assert GOOD.as_json()["p95_during_ms"] == 20.0


def test_a_part_without_requests_has_no_time() -> None:
    found = replace(GOOD, during=Times(), swapped=False)
    assert "during" not in "\n".join(text for _, text in found.lines())
    assert found.as_json()["p95_during_ms"] is None
