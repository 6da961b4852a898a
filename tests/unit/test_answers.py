"""The digest and the shape of an answer: equal ones stay equal, rows that arrive change no shape."""

from __future__ import annotations

from typing import Any

import pytest

from partition_playbook.sections.application import answers

ROWS = {"result": {"data": [{"id": 1, "at": "2026-01-01", "battery": None}, {"id": 2, "at": "2026-01-02"}]}}


def shape(*contents: Any) -> dict[str, list[str]]:
    return answers.merge(map(answers.shape_of, contents))


def test_the_order_of_keys_does_not_count_and_the_order_of_rows_does() -> None:
    assert answers.digest({"a": 1, "b": [1, 2]}) == answers.digest({"b": [1, 2], "a": 1})
    assert answers.digest({"b": [1, 2]}) != answers.digest({"b": [2, 1]})
    assert len(answers.digest("\ud800")) == 64


def test_a_shape_has_the_types_at_each_path() -> None:
    assert answers.shape_of(ROWS) == {
        "": ["object"],
        ".result": ["object"],
        ".result.data": ["list"],
        ".result.data[]": ["object"],
        ".result.data[].id": ["number"],
        ".result.data[].at": ["text"],
        ".result.data[].battery": ["absent", "null"],
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ROWS, {"result": {"data": []}}),
        ({"rows": []}, {"rows": [{"id": 1}]}),
        ({"last": None}, {"last": "2026"}),
        ({"last": "2026"}, {"last": None}),
        ({"a": 1}, {"a": 2.5, "b": "new"}),
        ({"by_day": {"2026-01-01": 1}}, {"by_day": {"2026-01-02": 2}}),
        ({"by_day": {}}, {"by_day": {"2026-01-02": 2}}),
        ([], [1]),
        ([{"a": 1}, {}], [{}]),
    ],
)
def test_rows_that_arrive_change_no_shape(before: Any, after: Any) -> None:
    assert answers.differences(shape(before), shape(after)) == []


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"a": {"b": 1}}, {"a": {}}, [".a.b is missing"]),
        ([{"a": 1}, {"a": 2}], [{"a": 1}, {}], ["[].a is missing"]),
        ({"id": 1}, {"id": "1"}, [".id was number, and is text"]),
        ({"by_day": {"2026-01-01": 1}}, {"by_day": {"2026-01-02": "1"}}, [".by_day.* was number, and is text"]),
        ([1], {"error": 1}, ["the answer was list, and is object"]),
        (True, 1, ["the answer was boolean, and is number"]),
    ],
)
def test_a_missing_key_and_another_type_are_told(before: Any, after: Any, told: list[str]) -> None:
    assert answers.differences(shape(before), shape(after)) == told


def test_a_key_that_one_answer_before_lacks_is_optional() -> None:
    before = shape({"a": 1, "b": 2}, {"a": 1})
    assert before[".b"] == ["absent", "number"]
    assert answers.differences(before, shape({"a": 1})) == []
    assert answers.differences(before, shape({"b": 1})) == [".a is missing"]


def test_the_shape_of_a_large_answer_is_bounded() -> None:
    wide = {f"key_{number}": number for number in range(100_000)}
    assert len(answers.shape_of([wide, wide])) == answers.MOST_PATHS
    assert len(shape(wide, {f"other_{number}": 1 for number in range(100_000)})) == answers.MOST_PATHS
    deep: Any = 1
    for _ in range(500):
        deep = {"a": deep}
    assert len(answers.shape_of(deep)) == answers.DEEPEST + 1
    assert answers.shape_of({"x" * 70: 1, "nul\0": 2}) == {"": ["object"], ".*": ["number"]}
