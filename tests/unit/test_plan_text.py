"""A plan folds what many partitions have in common, and nothing else; its SQL is comments and statements."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from partition_playbook.checks import Check, Severity, check
from partition_playbook.engine.plan_text import as_sql, as_values, lines, summary
from partition_playbook.engine.planned import LiveLock, Needs, Part, Plan, Step, fold, live_mode
from partition_playbook.intervals import Interval, between, in_zone
from partition_playbook.names import TableName

EVENTS = TableName("public", "events")
DAYS = list(between(Interval.DAY, *(in_zone(date(2026, 1, day), "UTC") for day in (1, 3))))
NAMES = [EVENTS.partition(each.suffix) for each in DAYS]


def step(sql: str, lock: str = "none", part: Part = Part.LOAD, purpose: str = "Do it") -> Step:
    return Step(part, purpose, lock, sql, sql)


def of(name: TableName, number: int) -> list[Step]:
    return [
        step(f"TRUNCATE {name.quoted}"),
        step(
            f"INSERT INTO {name.quoted} SELECT * FROM {EVENTS.quoted} WHERE day >= '{number}'",
            "ACCESS SHARE on the source",
        ),
        step(f'CREATE INDEX "{name.name}_day_idx" ON {name.quoted} ("day")'),
    ]


def a_plan(steps: list[Step]) -> Plan:
    lock = LiveLock(Part.LOAD, "ACCESS SHARE", 3, "at most 1 s", "as long as the load", "DDL only")
    needs = Needs(1000, 8192, 9011, 1 << 30, 8192, None)
    partitions = tuple(zip(NAMES, DAYS, strict=True))
    return Plan(EVENTS, "0123456789abcdef", "1.0", 17, partitions, (lock,), needs, ("about 1,000 rows",), tuple(steps))


PER_PARTITION = [each for number, name in enumerate(NAMES) for each in of(name, number)]
ALL = [step(f"LOCK {EVENTS.quoted}"), *PER_PARTITION, step("SELECT 1", part=Part.SWAP)]


def folded(steps: list[Step]) -> list[tuple[int, tuple[str, ...]]]:
    return [(len(each.steps), each.same) for each in fold(steps, [each.name for each in NAMES])]


def test_the_statements_of_the_other_partitions_are_folded_into_those_of_the_first() -> None:
    assert len(NAMES) == 3
    assert folded(ALL) == [(1, ()), (3, (NAMES[1].name, NAMES[2].name)), (1, ())]


def test_a_partition_with_another_statement_is_shown_whole() -> None:
    other = [*of(NAMES[0], 0), *of(NAMES[1], 1)[:2], step(f'CREATE INDEX ON {NAMES[1].quoted} ("id")')]
    assert folded(other) == [(1, ())] * 6


@pytest.mark.parametrize(
    "steps",
    [
        [
            step(f"COMMENT ON COLUMN {NAMES[0].quoted}.\"a\" IS 'x'"),
            step(f"COMMENT ON COLUMN {NAMES[0].quoted}.\"a\" IS 'y'"),
        ],
        [step("SELECT 'a'"), step("SELECT 'b'")],
        [step(f"ANALYZE {NAMES[0].quoted}"), step(f"ANALYZE {NAMES[1].quoted}", lock="another")],
        [step(f"ANALYZE {NAMES[0].quoted}"), step(f"ANALYZE {NAMES[1].quoted}", part=Part.SWAP)],
        [step('ANALYZE "public"."events_daily"'), step('ANALYZE "public"."events_hourly"')],
    ],
    ids=["one partition", "no partition", "another lock", "another part", "no planned partition"],
)
def test_what_differs_in_more_than_the_partition_is_not_folded(steps: list[Step]) -> None:
    assert folded(steps) == [(1, ()), (1, ())]


def test_nothing_is_lost_or_moved_by_folding() -> None:
    shown = [each for one in fold(ALL, [name.name for name in NAMES]) for each in one.steps]
    assert shown == [ALL[0], *of(NAMES[0], 0), ALL[-1]]


@pytest.mark.parametrize(
    ("sql", "lock", "mode"),
    [
        (f"LOCK TABLE ONLY {EVENTS.quoted}", "ACCESS EXCLUSIVE on the table", "ACCESS EXCLUSIVE"),
        (f"x {EVENTS.quoted}", "ACCESS SHARE on the source, ROW EXCLUSIVE on the partition", "ACCESS SHARE"),
        (f"x {EVENTS.quoted}", "ACCESS EXCLUSIVE on both tables, briefly", "ACCESS EXCLUSIVE"),
        (f"x {EVENTS.quoted}", "ACCESS EXCLUSIVE on the table and its referenced tables", "ACCESS EXCLUSIVE"),
        (f"x {EVENTS.quoted}", "SHARE ROW EXCLUSIVE on the table", "SHARE ROW EXCLUSIVE"),
        (f"x {NAMES[0].quoted}", "ACCESS EXCLUSIVE on the table", ""),
        (f"x {EVENTS.quoted}", "ACCESS EXCLUSIVE on the partition, not in use yet", ""),
        (f"x {EVENTS.quoted}", "none", ""),
    ],
)
def test_a_lock_on_the_live_table_is_told_from_the_others(sql: str, lock: str, mode: str) -> None:
    assert live_mode(step(sql, lock), EVENTS) == mode


def refusals() -> list[Check]:
    return [
        check("inbound_keys", False, expected="none", actual="alarms_reading_fkey\nof alarms", remedy="Drop it"),
        check("arrival_order", False, expected="x", actual="in order", severity=Severity.WARNING),
        check("key", True, expected="a key", actual="id"),
        check("write_rate", True, expected="less", actual="the application writes 12 changes/s", evidence={"per": 12}),
    ]


def test_the_summary_has_the_hash_the_locks_the_refusals_and_the_notes() -> None:
    assert summary(a_plan(ALL), refusals()) == [
        "plan_hash 0123456789abcdef",
        "about 1,000 rows",
        "write rate: the application writes 12 changes/s",
        "lock on the live table: ACCESS SHARE at most 3 times, to load the partitions, neighbours with few rows "
        "together; waits at most 1 s; held as long as the load; blocks DDL only",
        "refused by inbound_keys: alarms_reading_fkey of alarms",
        "noted by arrival_order: in order",
    ]


def test_the_lines_are_the_summary_and_the_folded_statements() -> None:
    found = lines(a_plan(ALL))
    assert sum(each.startswith("TRUNCATE") for each in found) == 1
    assert f"-- … the same for 2 more partitions, these 3 statements each: {NAMES[1].name}, {NAMES[2].name}" in found
    assert found[-3:] == ["-- Do it", "-- lock: none", "SELECT 1;"]


def test_the_sql_is_comments_and_whole_statements() -> None:
    odd = replace(a_plan(ALL), table=TableName("public", "a\nDROP TABLE b;"))
    found = as_sql(odd, refusals()).splitlines()
    code = [each for each in found if each and not each.startswith("--")]
    assert code == [f"{each.sql};" for each in (ALL[0], *of(NAMES[0], 0), ALL[-1])]
    assert found[0] == "-- Partition Playbook 1.0, PostgreSQL 17, table public.a DROP TABLE b;"
    for name, bounds in odd.partitions:
        assert f"--   {name.name} from {bounds.lower} to {bounds.upper}" in found


def test_the_values_have_every_statement_and_every_check() -> None:
    found = as_values(a_plan(ALL), refusals())
    assert [each["sql"] for each in found["statements"]] == [each.sql for each in ALL]
    assert [each["name"] for each in found["partitions"]] == [each.name for each in NAMES]
    assert [each["check"] for each in found["refused"]] == ["inbound_keys"]
    assert [each["check"] for each in found["noted"]] == ["arrival_order"]
    assert found["refused"][0]["remedy"] == "Drop it"
    assert found["write_rate"] == {"per": 12}
