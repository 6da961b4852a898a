"""The headline figures say no more than a run has measured."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from partition_playbook.sections.decision.headline import by_stage, comparable, headlines
from tests.unit.test_criteria import START


def row(stage: str, name: str, value: float, unit: str = "ms", **detail: Any) -> dict[str, Any]:
    return {"stage": stage, "name": name, "value": value, "unit": unit, "detail": detail}


def load(begun: float, over: float | None, rows: int | None) -> dict[str, Any]:
    ended = None if over is None else START + timedelta(seconds=over)
    return {"started_at": START + timedelta(seconds=begun), "ended_at": ended, "rows": rows, "bytes": 8192}


LOADS = [load(0, 2, 1000), load(2, 4, 3000), load(4, None, None)]
SWAP = [row("migration", f"cutover_{name}_ms", value, tries=1) for name, value in (("waited", 1.0), ("held", 8.0))]


def told(loads: Any, measured: Any) -> dict[str, str]:
    return {each.name: each.text for each in headlines(loads, by_stage(measured))}


def test_a_run_tells_the_five_figures_of_a_dba() -> None:
    assert told(LOADS, [*SWAP, row("rollback", "rollback_seconds", 4.0, "s")]) == {
        "lock waited": "1 ms",
        "lock held": "8 ms",
        "slowest write": "9 ms",
        "rows per second": "1,000 rows/s",
        "rollback": "4 s",
    }


def test_a_run_that_has_not_got_there_tells_nothing() -> None:
    assert set(told([], []).values()) == {"-"}


def test_a_swap_of_several_tries_has_no_bound_for_a_write() -> None:
    again = [each | {"detail": {"tries": 3}} for each in SWAP]
    (found,) = [each for each in headlines(LOADS, by_stage(again)) if each.name == "slowest write"]
    assert (found.value, found.note) == (None, "not measured: earlier tries blocked writes too")


def test_two_runs_are_compared_by_the_same_names() -> None:
    plan = {"Node Type": "Seq Scan"}
    run = {"started_at": START, "ended_at": START + timedelta(minutes=2)}
    measured = by_stage([*SWAP, row("before", "count", 10.0, plan=plan), row("after", "count", 2.0, plan=plan)])
    found = {each.name: each.value for each in comparable(run, LOADS, measured)}
    assert (found["duration"], found["rows loaded"], found["partitions loaded"]) == (120.0, 4000, 2)
    assert (found["query count, before"], found["query count, after"]) == (10.0, 2.0)
    early = comparable(run | {"ended_at": None}, [], {})
    assert [each.name for each in early] == [name for name in found if not name.startswith("query")]
