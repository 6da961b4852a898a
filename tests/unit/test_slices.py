"""The slices of a comparison: every row once, few rows in each, and few scans of a table without order."""

from __future__ import annotations

import pytest
from psycopg import sql

from partition_playbook.engine import slices
from partition_playbook.engine.slices import OUTSIDE, Ranges, Slice

EDGES = ("'2026-01-01'", "'2026-02-01'", "'2026-03-01'")
MONTHS = Ranges("at", "date", not_null=True, names=("january", "february"), edges=EDGES)
NOTHING = Ranges("at", "date", not_null=True, names=(), edges=())


def text(part: sql.Composable) -> str:
    return part.as_string(None)


@pytest.mark.parametrize("rows", [[0], [0, 0, 0], [7], [0, 5, 5, 5, 0], [9, 1, 1, 1, 9], [1] * 1_000, [0] * 900 + [3]])
@pytest.mark.parametrize("least", [1, 4, 10_000])
def test_every_bucket_is_in_one_slice(rows: list[int], least: int) -> None:
    found = list(slices._together(rows, least))
    assert [bucket for each in found for bucket in range(each.first, each.last + 1)] == list(range(len(rows)))


def test_a_slice_has_few_rows_and_the_empty_partitions_ahead_need_none() -> None:
    found = list(slices._together([0, 4, 4, 9, 1, 1, 0, 0, 0], 4))
    assert found == [Slice(0, 1), Slice(2, 2), Slice(3, 3), Slice(4, 8)]


@pytest.mark.parametrize("rows", [[3] * 400, [0, 900, 1, 1, 1, 1, 900, 0], [1, 1, 1, 1_000], [1_000, 1, 1, 1]])
def test_a_table_without_order_is_read_few_times(rows: list[int]) -> None:
    assert len(list(slices._together(rows, -(-sum(rows) // slices.SCANS)))) <= slices.SCANS


def test_one_statement_has_few_slices_and_leaves_out_the_widest_gaps() -> None:
    wide = [100 * number for number in range(slices.ARMS)]
    near = [wide[3] + 10, wide[5] - 20]
    found = slices.reached_at_once([*wide, *near], MONTHS).slices
    assert [Slice(each, each) for each in wide if each not in {300, 500}] == [
        each for each in found if each.first == each.last
    ]
    assert {Slice(300, 310), Slice(480, 500)} < set(found)
    assert slices.reached_at_once(wide[:2], MONTHS).slices == (Slice(0, 0), Slice(100, 100))


def test_the_conditions_of_neighbours_meet() -> None:
    first, last = Slice(0, 1), Slice(2, 3)
    assert text(MONTHS.within("t", first)) == '"t"."at" < \'2026-02-01\'::date'
    assert text(MONTHS.within("t", last)) == '"t"."at" >= \'2026-02-01\'::date'
    assert text(MONTHS.within("k", Slice(1, 1))) == (
        '"k"."at" >= \'2026-01-01\'::date AND "k"."at" < \'2026-02-01\'::date'
    )
    assert text(MONTHS.within("t", MONTHS.whole)) == "true"
    assert text(NOTHING.within("t", NOTHING.whole)) == "true"


def test_a_row_without_a_value_is_in_the_first_slice_only() -> None:
    nullable = Ranges("at", "date", not_null=False, names=MONTHS.names, edges=EDGES)
    assert text(nullable.within("t", Slice(0, 0))) == '("t"."at" < \'2026-01-01\'::date OR "t"."at" IS NULL)'
    assert "NULL" not in text(nullable.within("t", Slice(1, 3)))
    assert text(nullable.bucket(nullable.whole)).startswith("coalesce(0 + width_bucket")


def test_buckets_are_named_by_their_partition() -> None:
    assert [MONTHS.name(bucket) for bucket in range(4)] == [OUTSIDE, "january", "february", OUTSIDE]
    assert text(MONTHS.bucket(Slice(2, 2))) == "2::int"
    assert text(MONTHS.bucket(Slice(1, 2))) == '1 + width_bucket("t"."at", ARRAY[\'2026-02-01\']::date[])'
    assert MONTHS.title(Slice(1, 2)) == "january to february"


def test_a_slice_to_an_end_has_the_rows_outside_every_bound_too() -> None:
    assert MONTHS.title(MONTHS.whole) == "all rows"
    assert MONTHS.title(Slice(0, 1)) == "all rows up to january"
    assert MONTHS.title(Slice(2, 3)) == "all rows from february on"
    assert MONTHS.title(Slice(3, 3)) == OUTSIDE
