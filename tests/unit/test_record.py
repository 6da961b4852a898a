"""The records of several writers are joined: an id that was handed out twice belongs to whoever has an answer."""

from __future__ import annotations

import pytest

from staging.record import States, join

ROW: States = ("row",)
GONE: States = (None,)
UNSURE: States = (None, "other row")


@pytest.mark.parametrize("unanswered", [GONE, UNSURE])
@pytest.mark.parametrize("first", [True, False])
def test_an_insert_without_an_answer_gives_way_to_the_next_owner_of_its_id(unanswered: States, first: bool) -> None:
    records, unsure = [{7: unanswered}, {7: ROW}], [{7}, set[int]()]
    if not first:
        records.reverse()
        unsure.reverse()
    assert join(records, unsure) == {7: ROW}


@pytest.mark.parametrize("unanswered", [GONE, UNSURE])
def test_one_that_nobody_else_has_is_judged(unanswered: States) -> None:
    assert join([{7: unanswered}, {}], [{7}, set()]) == {7: unanswered}
    assert join([{7: unanswered}, {}], [{7}, set()], taken={7}) == {}


def test_an_acknowledged_state_is_judged_whoever_else_names_the_id() -> None:
    assert join([{7: GONE}, {}], [set(), set()], taken={7}) == {7: GONE}
