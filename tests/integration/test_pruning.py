"""Pruning: the right partitions ran, the times are compared honestly, and the gains are measured on copies."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from partition_playbook.benchmark.measure import benchmark
from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.run import Run
from partition_playbook.sections.pruning.checks import pruning_checks
from partition_playbook.sections.pruning.retention_benefit import measure_benefit
from partition_playbook.sections.pruning.speed import AFTER, BEFORE

INTERVAL = "{partition_by} >= {interval_start} AND {partition_by} < {interval_end}"
SLOW = f"SELECT count(*) FROM {{table}}, pg_sleep(0.01) WHERE {INTERVAL}"
PARTITIONED = f"SELECT tableoid::regclass::text ~ '_y[0-9]' FROM {{table}} WHERE {INTERVAL} LIMIT 1"
SLOWER = f"SELECT count(*) FROM {{table}}, pg_sleep(CASE WHEN ({PARTITIONED}) THEN 0.01 ELSE 0 END) WHERE {INTERVAL}"
COUNT = f"SELECT count(*) FROM {{table}} WHERE {INTERVAL}"
BOUND = {"since": "{interval_start}", "until": "{interval_end}"}


@pytest.fixture(scope="session")
def template(migrated_template: str) -> str:
    return migrated_template


def with_queries(run: Run, *queries: dict[str, Any]) -> Run:
    return replace(run, spec=run.spec.model_validate({**run.spec.model_dump(), "queries": queries}))


def baseline(run: Run, factor: float) -> None:
    """Write a baseline that is ``factor`` times what the queries take now."""
    benchmark(run, AFTER)
    for name, row in run.ledger.measurements(AFTER).items():
        detail = {**row["detail"], "runs": [factor * each for each in row["detail"]["runs"]]}
        run.ledger.record_measurement(BEFORE, name, factor * row["value"], "ms", **detail)


def rewrite(run: Run, name: str, factor: float = 1.0, **detail: Any) -> None:
    """Change the baseline of one query."""
    row = run.ledger.measurements(BEFORE)[name]
    times = {"runs": [factor * each for each in row["detail"]["runs"]]}
    run.ledger.record_measurement(BEFORE, name, factor * row["value"], "ms", **{**row["detail"], **times, **detail})


def checks(run: Run, min_speedup: float = 0.5) -> dict[str, Check]:
    return {each.name: each for each in pruning_checks(run, min_speedup)}


def test_default_queries_read_only_their_partitions(run: Run) -> None:
    baseline(run, 1000)
    found = checks(run)
    assert list(found) == [
        *(f"pruned_{query.name}" for query in run.spec.queries),
        *(f"speedup_{query.name}" for query in run.spec.queries),
        "regressions",
        "small_regressions",
    ]
    assert [str(each) for each in found.values() if each.blocks] == []
    month = found["pruned_one_interval_count"].evidence
    assert len(month["ran"]) == 1
    assert month["allowed"] == sorted({*month["ran"], "sensor_readings_default"})
    week = found["pruned_last_7_days"].evidence
    assert 1 <= len([name for name, rows in week["ran"].items() if rows]) <= 2
    assert week["removed_at_start"] >= 10


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM {table}",
        "SELECT count(*) FROM {table} WHERE date_trunc('month', {partition_by}) = {interval_start}",
    ],
)
def test_query_that_cannot_prune_is_named(run: Run, sql: str) -> None:
    asked = with_queries(run, {"name": "whole", "sql": sql, **BOUND})
    baseline(asked, 1000)
    found = checks(asked)["pruned_whole"]
    assert found.blocks
    assert f"{run.ledger.loads()[0]['partition_name']} was scanned but is outside the range" in found.actual


def test_query_without_a_range_is_skipped_and_one_open_end_is_not(run: Run) -> None:
    asked = with_queries(
        run,
        {"name": "whole", "sql": "SELECT count(*) FROM {table}"},
        {
            "name": "old",
            "sql": "SELECT count(*) FROM {table} WHERE {partition_by} < {interval_end}",
            "until": BOUND["until"],
        },
        {
            "name": "all",
            "sql": "SELECT count(*) FROM {table} WHERE {partition_by} >= {since}",
            "since": "timestamptz '2001-01-01'",
        },
    )
    found = checks(asked)
    assert found["pruned_whole"].outcome is Outcome.SKIPPED
    assert found["pruned_old"].outcome is Outcome.PASSED
    first, *_, last = sorted(found["pruned_all"].evidence["ran"].keys() - {"sensor_readings_default"})
    assert found["pruned_all"].actual.endswith(f"scanned: {first} to {last}, sensor_readings_default")
    assert run.ledger.loads()[0]["partition_name"] in found["pruned_old"].evidence["ran"]


def test_rows_in_the_default_partition_are_read_and_told(run: Run, connection: psycopg.Connection) -> None:
    """Every range has to read them, so they are no failure of pruning; the check default_empty is about them."""
    connection.execute("UPDATE sensor_readings SET recorded_at = now() + interval '9 years' WHERE id = 9")
    found = checks(
        with_queries(
            run, {"name": "recent", "sql": "SELECT * FROM {table} WHERE {partition_by} >= now()", "since": "now()"}
        )
    )["pruned_recent"]
    assert found.outcome is Outcome.PASSED
    assert "sensor_readings_default returned 1 row" in found.actual


def test_a_range_without_a_partition_needs_none(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("DROP TABLE sensor_readings_default")
    sql = "SELECT count(*) FROM {table} WHERE {partition_by} < '2001-01-01'"
    found = checks(with_queries(run, {"name": "ancient", "sql": sql, "until": "timestamptz '2001-01-01'"}))
    assert found["pruned_ancient"].outcome is Outcome.PASSED
    assert "0 partitions scanned: none" in found["pruned_ancient"].actual


def test_query_of_another_table_proves_nothing(run: Run) -> None:
    asked = with_queries(run, {"name": "odd", "sql": "SELECT count(*) FROM units", "since": "now()"})
    assert "no partition ran" in checks(asked)["pruned_odd"].actual


def test_partitions_behind_a_limit_are_never_executed(run: Run) -> None:
    sql = "SELECT * FROM {table} WHERE {partition_by} < now() ORDER BY {partition_by} LIMIT 1"
    one = with_queries(replace(run, spec=run.spec), {"name": "first", "sql": sql, "until": "now()"})
    found = checks(one)["pruned_first"]
    assert found.outcome is Outcome.PASSED
    assert len(found.evidence["ran"]) + len(found.evidence["never_executed"]) + found.evidence["removed_at_start"] == 17


@pytest.mark.parametrize(("factor", "reached"), [(1000.0, True), (0.001, False)])
def test_speedup_is_compared_with_the_baseline(run: Run, factor: float, reached: bool) -> None:
    asked = with_queries(run, {"name": "count", "sql": SLOWER, **BOUND})
    baseline(asked, factor)
    found = checks(asked)
    assert found["speedup_count"].blocks is not reached
    assert found["regressions"].blocks is not reached
    assert re.search(r" (ms|s|min) before, .* (ms|s|min) after; ", found["speedup_count"].actual)
    assert "planning" in found["speedup_count"].actual


def test_pages_decide_where_everything_is_in_memory(run: Run) -> None:
    """Time is mostly planning then, and gets worse whatever the pages do: both are told."""
    asked = with_queries(run, {"name": "count", "sql": COUNT, **BOUND})
    baseline(asked, 0.01)
    rewrite(run, "count", buffers=10_000, pages=[10_000] * 9)
    found = checks(asked)
    assert found["speedup_count"].outcome is Outcome.PASSED
    assert "so pages decide" in found["speedup_count"].actual
    assert not found["regressions"].blocks
    assert found["small_regressions"].outcome is Outcome.FAILED
    assert "count by" in found["small_regressions"].actual


def test_a_query_that_is_no_criterion_is_measured_and_does_not_block(run: Run) -> None:
    asked = with_queries(run, {"name": "count", "sql": COUNT, "criterion": False, **BOUND})
    baseline(asked, 1)
    found = checks(asked)["speedup_count"]
    assert found.outcome is Outcome.FAILED
    assert not found.blocks


def told(found: Check) -> tuple[Outcome, Severity, bool]:
    return found.outcome, found.severity, found.actual.startswith("cannot tell: ")


CANNOT_TELL = (Outcome.FAILED, Severity.WARNING, True)
GOOD = (Outcome.PASSED, Severity.WARNING, False)


@pytest.mark.parametrize(("pages", "least", "finding"), [(-10, 0.0, GOOD), (0, 0.0, GOOD), (10, 0.5, CANNOT_TELL)])
def test_a_few_pages_are_no_verdict(run: Run, pages: int, least: float, finding: object) -> None:
    """Ten pages more than asked for: of a table at ``min_speedup: 0``, or beyond half of those before."""
    asked = with_queries(run, {"name": "count", "sql": COUNT, **BOUND})
    benchmark(asked, BEFORE)
    read = int(run.ledger.measurements(BEFORE)["count"]["detail"]["buffers"])
    before = max(read + pages, 0) if not least else int((read - pages) / (1 - least))
    rewrite(run, "count", buffers=before, pages=[before] * 9)
    assert told(checks(asked, least)["speedup_count"]) == finding


def test_runs_that_overlap_are_no_verdict(run: Run) -> None:
    asked = with_queries(run, {"name": "count", "sql": SLOW, **BOUND})
    baseline(asked, 1.0)
    before = run.ledger.measurements(BEFORE)["count"]["value"]
    rewrite(run, "count", runs=[factor * before for factor in (0.5, 0.6, 1.8, 1.9, 2.0, 2.1, 2.2, 3, 4)])
    found = checks(asked)["speedup_count"]
    assert told(found) == CANNOT_TELL
    assert "which overlap (9 and 9 runs)" in found.actual


def test_a_server_that_is_busy_now_is_no_verdict(run: Run) -> None:
    """The baseline was taken while it was idle; the retired table is as slow now as the live one."""
    asked = with_queries(run, {"name": "count", "sql": SLOW, **BOUND})
    baseline(asked, 0.3)
    found = checks(asked, 0.0)["speedup_count"]
    assert told(found) == CANNOT_TELL
    assert "by turns with the retired table: " in found.actual


def test_a_miss_names_the_waiver_and_the_key_of_the_spec(run: Run) -> None:
    asked = with_queries(run, {"name": "count", "sql": SLOWER, **BOUND})
    baseline(asked, 0.01)
    found = checks(asked)["speedup_count"]
    assert found.blocks
    assert "waive this check at the gate go_no_go_pruning" in found.remedy
    assert "`criterion: false`" in found.remedy


def test_regression_is_named_though_the_others_gain(run: Run) -> None:
    asked = with_queries(run, {"name": "count", "sql": SLOW, **BOUND}, {"name": "more", "sql": SLOWER, **BOUND})
    baseline(asked, 1000)
    rewrite(run, "more", 1e-6)
    found = checks(asked)
    assert not found["speedup_count"].blocks
    assert found["regressions"].blocks
    assert "more by" in found["regressions"].actual
    assert "count by" not in found["regressions"].actual


def test_what_is_slow_on_the_retired_table_too_is_no_regression(run: Run) -> None:
    asked = with_queries(run, {"name": "count", "sql": SLOW, **BOUND})
    baseline(asked, 0.001)
    found = checks(asked)
    assert not found["regressions"].blocks
    assert "count by" in found["small_regressions"].actual


def test_lacking_baseline_is_no_evidence(run: Run) -> None:
    asked = with_queries(run, {"name": "count", "sql": COUNT, **BOUND})
    found = checks(asked)
    assert found["speedup_count"].blocks
    assert found["regressions"].blocks


def test_gains_are_measured_on_copies_that_are_dropped(run: Run, connection: psycopg.Connection) -> None:
    before = connection.execute("SELECT count(*), sum(id) FROM sensor_readings").fetchone()
    measure_benefit(run)
    found = {name: row["value"] for name, row in run.ledger.measurements("gains").items()}
    assert set(found) == {
        "hot_index_bytes",
        "vacuum_unit_bytes",
        "retention_delete_ms",
        "retention_delete_wal",
        "retention_vacuum_ms",
        "retention_drop_ms",
        "retention_drop_wal",
    }
    assert found["retention_delete_wal"] > 0
    assert connection.execute("SELECT count(*), sum(id) FROM sensor_readings").fetchone() == before
    assert connection.execute("SELECT to_regclass('partition_playbook.public_sensor_readings_gains')").fetchone() == (
        None,
    )


def test_production_is_not_copied(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("UPDATE partition_playbook.runs SET mode = 'migrate'")
    measure_benefit(run)
    assert set(run.ledger.measurements("gains")) == {"hot_index_bytes", "vacuum_unit_bytes"}
