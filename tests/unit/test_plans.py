"""Reading plans, on documents as PostgreSQL writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from partition_playbook.benchmark import plans

RUNS = {"Node Type": "Index Scan", "Schema": "public", "Relation Name": "r_y2026m02", "Index Name": "r_recorded"}
DOCUMENT: list[dict[str, Any]] = [
    {
        "Plan": {
            "Node Type": "Append",
            "Actual Rows": 3.0,
            "Actual Loops": 1,
            "Subplans Removed": 11,
            "Shared Hit Blocks": 7,
            "Shared Read Blocks": 5,
            "Plans": [
                {**RUNS, "Actual Rows": 3, "Actual Loops": 2, "Shared Hit Blocks": 4, "Shared Read Blocks": 1},
                {
                    "Node Type": "Seq Scan",
                    "Schema": "public",
                    "Relation Name": "r_default",
                    "Actual Rows": 0,
                    "Actual Loops": 0,
                },
                {
                    "Node Type": "Bitmap Heap Scan",
                    "Relation Name": "r_y2026m01",
                    "Actual Loops": 1,
                    "Plans": [{"Node Type": "Bitmap Index Scan", "Index Name": "i", "Actual Loops": 1}],
                },
            ],
        },
        "Planning": {"Shared Hit Blocks": 40, "Shared Read Blocks": 2},
        "Planning Time": 0.25,
        "Execution Time": 1.5,
    }
]


@pytest.mark.parametrize("answer", [DOCUMENT, json.dumps(DOCUMENT)])
def test_times_and_buffers_come_from_the_document(answer: Any) -> None:
    plan = plans.parse(answer)
    assert (plan.planning_ms, plan.execution_ms, plan.total_ms) == (0.25, 1.5, 1.75)
    assert (plan.buffers, plan.planning_buffers) == (12, 42)


def test_every_node_is_reached_before_its_children() -> None:
    assert [node.type for node in plans.parse(DOCUMENT).nodes()] == [
        "Append",
        "Index Scan",
        "Seq Scan",
        "Bitmap Heap Scan",
        "Bitmap Index Scan",
    ]


def test_a_node_that_did_not_run_says_so() -> None:
    assert [node.relation for node in plans.parse(DOCUMENT).nodes() if node.never_executed] == ["r_default"]


def test_a_node_names_what_it_reads_and_how_often() -> None:
    _, scan, *_ = plans.parse(DOCUMENT).nodes()
    assert (scan.schema, scan.relation, scan.index) == ("public", "r_y2026m02", "r_recorded")
    assert (scan.loops, scan.rows, scan.buffers) == (2, 3, 5)


def test_partitions_pruned_at_the_start_of_the_execution_are_counted() -> None:
    assert plans.parse(DOCUMENT).subplans_removed == 11


def test_a_plan_without_analyze_has_no_times() -> None:
    plan = plans.parse([{"Plan": {"Node Type": "Result"}}])
    assert (plan.total_ms, plan.buffers) == (0, 0)
    assert all(node.never_executed for node in plan.nodes())


def test_more_than_one_document_is_refused() -> None:
    with pytest.raises(ValueError, match="too many values"):
        plans.parse(DOCUMENT * 2)
