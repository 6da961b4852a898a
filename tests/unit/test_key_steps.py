"""The printed script: its order, its comments, and the statements that make the server forget."""

from __future__ import annotations

from partition_playbook.checks import Check, check
from partition_playbook.sections.preflight import key_steps
from partition_playbook.sections.preflight.key_steps import Place, Step
from partition_playbook.workload.statement_statistics import Memory, ObservedStatement, Statistics

INDEX = Step(Place.INDEX, "Make an index", "SHARE", text="CREATE INDEX a;")
LATER = Step(Place.AFTERWARDS, "Drop it", "", text="BEGIN;\nDROP INDEX a;\nCOMMIT;")


def failed(name: str, *steps: Step) -> Check:
    return check(name, False, expected="a", actual="b", evidence=key_steps.evidence(steps))


def test_the_steps_of_all_checks_are_one_script_in_order_and_equal_ones_are_printed_once() -> None:
    drop = Step(Place.DROP, "Drop a key", "", text="ALTER TABLE t DROP CONSTRAINT k;")
    printed = key_steps.lines([failed("b", LATER, drop, INDEX), failed("a", INDEX, LATER)])
    assert [line for line in printed if not line.startswith("--")] == [
        "CREATE INDEX a;",
        "ALTER TABLE t DROP CONSTRAINT k;",
    ]
    assert printed[-3:] == ["-- BEGIN;", "-- DROP INDEX a;", "-- COMMIT;"]


def test_a_line_break_in_a_name_ends_no_comment() -> None:
    hostile = Step(Place.STATEMENTS, "Change a\nDROP TABLE t;", "of b\nc", ("today: x\n\\! date",))
    assert all(line.startswith("-- ") for line in key_steps.lines([failed("a", hostile)]))


def test_checks_without_a_step_print_nothing() -> None:
    assert key_steps.lines([failed("a"), check("b", True, expected="a", actual="a")]) == []


def memory(reset: str, may_reset: bool) -> Statistics:
    return Statistics(memory=Memory("monitor", reset, may_reset, "jo"))


def test_the_identifiers_of_all_entries_of_a_statement_are_forgotten_once() -> None:
    written = [ObservedStatement("a", "", queries=[7, -3]), ObservedStatement("a", "b", queries=[7])]
    (forget,) = memory("f(oid)", True).forget(written)
    assert forget.endswith("queryid IN (-3, 7)")
    assert forget in memory("f(oid)", True).last_steps(written)


def test_a_missing_right_and_an_old_extension_come_first() -> None:
    written = [ObservedStatement("a", "", queries=[7])]
    assert memory("f(oid)", False).forget(written)[0] == "GRANT EXECUTE ON FUNCTION f(oid) TO jo"
    assert memory("", False).forget(written)[0] == "ALTER EXTENSION pg_stat_statements UPDATE"


def test_a_statement_of_the_spec_was_never_recorded() -> None:
    assert memory("f(oid)", True).forget([ObservedStatement("a", "", label="query a")]) == []
    assert memory("f(oid)", True).last_steps([]) == "Then start a new run"
