"""A no-go at every gate ends where the design says: the run failed, the right tasks skipped, the table as it was."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from partition_playbook.catalog import Table
from partition_playbook.checks import Verdict, check
from partition_playbook.names import TableName
from partition_playbook.sections.preflight import after_cutover, key_steps
from tests.fixtures import footprint, sabotage
from tests.fixtures.dag_runs import DagRuns, Finished
from tests.fixtures.mailbox import CONNECTION, receiving

TABLE = TableName("public", "sensor_readings")
FUTURE = "2199-01-01 00:00:00.123456+00"
ONE_ROW = """
INSERT INTO public.sensor_readings (unit_id, device_id, temperature, recorded_at)
SELECT (SELECT id FROM public.units ORDER BY id LIMIT 1), (SELECT id FROM public.devices ORDER BY id LIMIT 1), 21.5,
       '{}'
"""

VERDICT = "SELECT verdict FROM partition_playbook.runs WHERE mode = 'rehearse'"

PREFLIGHT = (
    "choose_mode",
    "preflight.open_run",
    "preflight.provoke_alert",
    "preflight.check_preconditions",
    "go_no_go_preflight",
)
SNAPSHOT = ("snapshot.benchmark_before", "snapshot.back_up", "go_no_go_snapshot")
SHADOW = (
    "migration.build_shadow",
    "migration.load_partition",
    "migration.attach_partitions",
    "migration.verify_online",
    "migration.go_no_go_cutover",
)
CUTOVER = ("migration.cut_over",)
VALIDATION = ("validation.validate", "go_no_go_validation")
PRUNING = ("pruning.prove_pruning", "go_no_go_pruning")
APPLICATION = ("application.probe", "go_no_go_application")
LIFECYCLE = (
    "lifecycle.trigger_maintenance",
    "lifecycle.prove_retention",
    "lifecycle.check_maintenance",
    "go_no_go_lifecycle",
)
WATCH = ("watch.observe", "go_no_go_watch")
BACK = ("rollback.roll_back", "rollback.stay_or_return")
ABANDON = ("migration.abandon_shadow",)
RESTORE = ("rollback.restore_original",)
AGAIN = ("rollback.migrate_again",)
DECISION = ("decision.weigh", "decision.decide", "decision.say_verdict")

TO_CUTOVER = (*PREFLIGHT, *SNAPSHOT, *SHADOW, *CUTOVER)
TO_LIFECYCLE = (*TO_CUTOVER, *VALIDATION, *PRUNING, *APPLICATION, *LIFECYCLE)


@dataclass(frozen=True)
class Before:
    """The table, and all that was in the database beside it."""

    rows: list[str]
    table: Table
    objects: set[tuple]


@dataclass(frozen=True)
class Staged:
    """A database of a test's own and who runs DAGs on it."""

    dsn: str
    connection: psycopg.Connection
    dag_runs: DagRuns

    def look(self) -> Before:
        return Before(
            footprint.rows(self.connection),
            footprint.description(self.dsn, TABLE),
            footprint.objects(self.connection),
        )

    environment: dict[str, str] = field(default_factory=dict)

    def rehearse(self, **conf: Any) -> Finished:
        given = {"table": "calm", "mode": "rehearse", "backup": "skip", "accept_weaker_uniqueness": True} | conf
        return self.dag_runs.run("partition_migration", self.dsn, given, **self.environment)

    def one(self, query: str) -> Any:
        found = self.connection.execute(query).fetchone()
        return found and found[0]


@pytest.fixture
def staged(dsn: str, connection: psycopg.Connection, dag_runs: DagRuns) -> Staged:
    sabotage.make_ledger(connection)
    return Staged(dsn, connection, dag_runs)


def assert_path(run: Finished, path: tuple[str, ...], endings: Mapping[str, str]) -> None:
    """Every task of the path ran, every other one was skipped."""
    expected = dict.fromkeys(run.tasks, "skipped") | dict.fromkeys(path, "success") | dict(endings)
    assert run.tasks == expected


def assert_no_go(staged: Staged, run: Finished, path: tuple[str, ...], section: str, reason: str) -> None:
    """The run is marked failed by its last task, which says NO-GO; the ledger knows which check said so."""
    assert run.state == "failed"
    assert_path(run, (*path, *DECISION), {"decision.say_verdict": "failed"})
    assert any(text.startswith(f"NO-GO after {section}") for text in run.messages)
    assert re.search(rf"NO-GO: {section}: FAIL (.*; {section}: FAIL )?{re.escape(reason)}: expected ", run.log)
    assert staged.one(VERDICT) == "no-go"


def assert_restored(staged: Staged, before: Before) -> None:
    after = staged.look()
    assert after.rows == before.rows
    assert after.table == before.table
    assert after.objects == before.objects


def test_a_no_go_at_preflight_touches_nothing(staged: Staged) -> None:
    staged.connection.execute(ONE_ROW.format("infinity"))
    before = staged.look()
    run = staged.rehearse()
    assert_no_go(staged, run, PREFLIGHT, "preflight", "partition_values")
    assert_restored(staged, before)


def test_a_provoked_alert_that_no_prometheus_tells_is_a_no_go(staged: Staged) -> None:
    before = staged.look()
    run = staged.rehearse(table="drilled")
    assert_no_go(staged, run, PREFLIGHT, "preflight", "monitoring_alerts")
    assert "monitoring_drill: expected an alert that this rehearsal provokes fires" in run.log
    assert_restored(staged, before)


def test_a_backup_that_cannot_be_restored_stops_before_anything_is_built(staged: Staged) -> None:
    """The check asks another table, which a restore fills later: the dump looks well and is worth nothing."""
    staged.connection.execute(
        """
        CREATE FUNCTION known_unit(uuid) RETURNS boolean LANGUAGE plpgsql AS
        'BEGIN RETURN EXISTS (SELECT FROM public.units WHERE id = $1); END';
        ALTER TABLE sensor_readings ADD CONSTRAINT unit_known CHECK (known_unit(unit_id))
        """
    )
    before = staged.look()
    run = staged.rehearse(backup="dump")
    assert_no_go(staged, run, (*PREFLIGHT, *SNAPSHOT), "snapshot", "restore")
    assert_restored(staged, before)


def test_a_wrong_row_in_the_shadow_abandons_it_before_cutover(staged: Staged) -> None:
    wrong = "UPDATE public.sensor_readings_new SET temperature = temperature + 0.01 WHERE id = 7"
    sabotage.at_phase(staged.connection, "attached", sabotage.uncaptured(wrong))
    before = staged.look()
    run = staged.rehearse()
    path = (*PREFLIGHT, *SNAPSHOT, *SHADOW, *ABANDON)
    assert_no_go(staged, run, path, "migration", "row_content_before_cutover")
    assert_restored(staged, before)


def test_a_statement_of_the_application_that_would_fail_abandons_the_shadow(staged: Staged) -> None:
    staged.connection.execute("CREATE EXTENSION pg_stat_statements")
    staged.connection.execute("SELECT id, battery, count(*) FROM public.sensor_readings GROUP BY id")
    before = staged.look()
    run = staged.rehearse()
    assert_no_go(staged, run, (*PREFLIGHT, *SNAPSHOT, *SHADOW, *ABANDON), "migration", "workload_runs")
    assert_restored(staged, before)
    seen = "SELECT evidence->>'statements' FROM partition_playbook.checks WHERE name = 'workload_seen'"
    assert staged.one(seen) == "2"  # this one and what the look reads, none of the playbook's


def test_a_no_go_at_validation_rolls_back_and_keeps_what_was_written_since(staged: Staged) -> None:
    invalid = (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = (SELECT inhrelid FROM pg_inherits WHERE inhparent = "
        "'public.sensor_readings_device'::regclass LIMIT 1)"
    )
    sabotage.at_phase(staged.connection, "live", f"{ONE_ROW.format(FUTURE)}; {invalid}")
    before = staged.look()
    run = staged.rehearse()
    assert_no_go(staged, run, (*TO_CUTOVER, *VALIDATION, *BACK, *RESTORE), "validation", "partition_indexes")
    after = staged.look()
    assert after.rows[:-1] == before.rows
    assert staged.one(f"SELECT max(recorded_at) = '{FUTURE}' FROM sensor_readings")
    assert (after.table, after.objects) == (before.table, before.objects)


def test_a_no_go_at_pruning_rolls_back(staged: Staged) -> None:
    before = staged.look()
    run = staged.rehearse(table="sensor_readings", min_speedup=0.999999)
    path = (*TO_CUTOVER, *VALIDATION, *PRUNING, *BACK, *RESTORE)
    assert_no_go(staged, run, path, "pruning", "speedup_last_7_days")
    assert_restored(staged, before)


def test_a_no_go_at_application_rolls_back_and_every_step_is_told_once(staged: Staged) -> None:
    before = staged.look()
    with receiving() as mailbox:
        run = replace(staged, environment={CONNECTION: mailbox.connection}).rehearse(table="hurried")
    path = (*TO_CUTOVER, *VALIDATION, *PRUNING, *APPLICATION, *BACK, *RESTORE)
    assert_no_go(staged, run, path, "application", "response_time_probe_readings.recent")
    passed = ("preflight", "snapshot", "migration", "validation", "pruning")
    steps = ["started", *(f"GO after {section}" for section in passed), "NO-GO after application", "done: NO-GO"]
    assert mailbox.events == steps
    assert_restored(staged, before)


def test_a_no_go_at_lifecycle_rolls_back(staged: Staged) -> None:
    """Maintenance cannot make the next partition: its name is taken by then."""
    taken = """
    EXECUTE (SELECT format('CREATE TABLE public.%I ()', to_char(now() AT TIME ZONE 'UTC' + interval '4 months',
                                                                '"sensor_readings_y"YYYY"m"MM')))
    """
    sabotage.at_phase(staged.connection, "live", taken)
    before = staged.look()
    run = staged.rehearse()
    assert_no_go(staged, run, (*TO_LIFECYCLE, *BACK, *RESTORE), "lifecycle", "maintenance_ran")
    after = staged.look()
    assert (after.rows, after.table) == (before.rows, before.table)
    assert {name for _, name, _ in after.objects - before.objects} == {taken_name(staged)}


def taken_name(staged: Staged) -> str:
    month = "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '4 months', '\"public.sensor_readings_y\"YYYY\"m\"MM')"
    return str(staged.one(month))


def test_go_leaves_the_table_partitioned_with_every_row(staged: Staged) -> None:
    before = staged.look()
    run = staged.rehearse(backup="dump")
    assert run.state == "success"
    assert_path(run, (*TO_LIFECYCLE, *WATCH, *BACK, *AGAIN, *DECISION), {})
    after = staged.look()
    assert after.rows == before.rows
    assert after.table.is_partitioned
    assert staged.one(VERDICT) == "go"
    assert staged.one("SELECT phase FROM partition_playbook.runs WHERE mode = 'rehearse'") == "live"
    assert staged.one("SELECT outcome FROM partition_playbook.checks WHERE name = 'retention_proved'") == "passed"
    assert_only_these_may_be_waived(staged)


def assert_only_these_may_be_waived(staged: Staged) -> None:
    """Of every check that a whole run makes: a new one is not waivable unless it is named here too."""
    made = staged.connection.execute("SELECT DISTINCT section, name FROM partition_playbook.checks").fetchall()
    broken = [Verdict.of(section, [check(name, False, expected="", actual="")]) for section, name in made]
    assert len(made) > 80
    assert {f"{each.section}:{each.checks[0].name}" for each in broken if each.waivable} == {
        "preflight:monitoring",
        "preflight:monitoring_alerts",
        "preflight:monitoring_dashboard",
        "preflight:monitoring_drill",
        "preflight:planning_time",
        "preflight:write_rate",
        "pruning:pruned_one_interval_count",
        "pruning:speedup_one_interval_count",
        "pruning:regressions",
        "application:response_time_probe_readings.recent",
        "application:response_time_probe_readings.byUnit",
        "application:response_time_probe_readings.aggregate",
        "application:response_time_probe_alerts.evaluate",
        "lifecycle:maintenance_ran",
        "lifecycle:future_partitions",
        "watch:watch",
    }


LOOKS = "SELECT count(*) FROM partition_playbook.events WHERE kind = 'look'"


def test_an_error_in_the_log_of_the_application_is_found_and_rolls_a_rehearsal_back(
    staged: Staged, tables: Path
) -> None:
    before = staged.look()

    def fail_later() -> None:
        with psycopg.connect(staged.dsn, autocommit=True) as connection:
            while connection.execute(LOOKS).fetchone() < (2,):  # type: ignore[operator]
                time.sleep(0.1)
        with (tables / "application.log").open("a") as log:
            log.write("ERROR: cannot insert into sensor_readings\n")

    with ThreadPoolExecutor(1) as pool:
        failing = pool.submit(fail_later)
        run = staged.rehearse(table="watched", watch_minutes=60)
        failing.result()
    assert_no_go(staged, run, (*TO_LIFECYCLE, *WATCH, *BACK, *RESTORE), "watch", "watch_logs")
    assert "ERROR: cannot insert into sensor_readings" in run.log
    assert staged.one(LOOKS) >= 3
    assert_restored(staged, before)


def test_go_leaves_the_original_where_that_was_asked_for(staged: Staged) -> None:
    before = staged.look()
    run = staged.rehearse(leave="original", table="watched", watch_minutes=0.03)
    assert run.state == "success"
    assert_path(run, (*TO_LIFECYCLE, *WATCH, *BACK, *RESTORE, *DECISION), {})
    assert staged.one(LOOKS) > 1
    assert_restored(staged, before)
    assert staged.one(VERDICT) == "go"


def test_a_plan_changes_nothing_and_names_the_lock_of_every_statement(
    dsn: str, connection: psycopg.Connection, dag_runs: DagRuns
) -> None:
    before = footprint.catalog_rows(connection)
    run = dag_runs.run("partition_migration", dsn, {"mode": "plan"})
    assert run.state == "success"
    assert_path(run, ("choose_mode", "plan"), {})
    assert footprint.catalog_rows(connection) == before
    comments = [text for text in run.messages if text.startswith("-- ")]
    locks = [text for text in comments if text.startswith("-- lock: ")]
    folded = [text for text in comments if text.startswith("-- … the same for ")]
    assert len(comments) - len(locks) - len(folded) == len(locks) > 50
    assert all(text.removeprefix("-- lock: ").strip() for text in locks)
    assert f"{after_cutover.TITLES['schema_tools']}, not seen: " in "\n".join(run.messages)
    assert sum("ATTACH PARTITION" in text for text in run.messages) == 2  # to the parent of a load, and to the shadow
    assert folded


def test_a_plan_of_a_refused_table_fails_and_lists_every_refusal(
    dsn: str, connection: psycopg.Connection, dag_runs: DagRuns
) -> None:
    connection.execute(ONE_ROW.format("infinity"))
    connection.execute("CREATE TABLE alarms (reading bigint REFERENCES sensor_readings)")
    before = footprint.catalog_rows(connection)
    run = dag_runs.run("partition_migration", dsn, {"mode": "plan"})
    assert run.state == "failed"
    assert_path(run, ("choose_mode",), {"plan": "failed"})
    refused = {text.split(":")[0] for text in run.messages if text.startswith("FAIL ")}
    # The probe of the newest row reads the infinite moment, which no Python application can.
    assert refused == {"FAIL partition_values", "FAIL inbound_keys", "FAIL probes"}
    assert f"-- {key_steps.HEADING}" in run.messages
    assert 'ALTER TABLE "public"."alarms" DROP CONSTRAINT "alarms_reading_fkey";' in run.messages
    assert footprint.catalog_rows(connection) == before
