"""Validation: green on a good migration, red where one thing is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from partition_playbook.checks import Check, Outcome
from partition_playbook.engine.sides import sides
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.run import Run
from partition_playbook.sections.validation import foreign_keys
from partition_playbook.sections.validation.checks import validation_checks
from tests.fixtures.sabotage import behind_the_capture
from tests.fixtures.scenario_writer import wait_until
from tests.fixtures.tables import open_run

BEHIND_THE_CAPTURE = "ALTER TABLE sensor_readings DISABLE TRIGGER USER; {}; " + "; ".join(
    f"ALTER TABLE sensor_readings ENABLE ALWAYS TRIGGER partition_playbook_{event}"
    for event in ("insert", "update", "delete", "truncate")
)
# On server 14 the parent alone is not enough.
DISABLE_ALL = """DO $$ DECLARE part regclass;
BEGIN FOR part IN SELECT relid FROM pg_partition_tree('sensor_readings') LOOP
    EXECUTE format('ALTER TABLE %s DISABLE TRIGGER ALL', part);
END LOOP;
END $$"""
ONE_ROW = "id = (SELECT min(id) FROM sensor_readings)"


@pytest.fixture(scope="session")
def template(migrated_template: str) -> str:
    return migrated_template


def failed(found: list[Check]) -> dict[str, Check]:
    return {each.name: each for each in found if each.outcome is Outcome.FAILED}


def test_good_migration_passes_every_check(run: Run) -> None:
    found = validation_checks(run)
    assert [str(each) for each in found if each.outcome is not Outcome.PASSED] == []
    assert len(found) == 12


def test_a_value_twice_in_a_key_that_became_weaker_is_named(run: Run, connection: psycopg.Connection) -> None:
    connection.execute(
        "INSERT INTO sensor_readings (id, unit_id, device_id, recorded_at) "
        "SELECT id, unit_id, device_id, recorded_at + interval '1 day' FROM sensor_readings ORDER BY id LIMIT 3"
    )
    found = failed(validation_checks(run))
    assert found.keys() == {"duplicates"}
    assert found["duplicates"].actual == "3 duplicates in (id)"
    assert not found["duplicates"].blocks


def test_captured_writes_do_not_matter(run: Run, connection: psycopg.Connection) -> None:
    connection.execute(f"DELETE FROM sensor_readings WHERE {ONE_ROW}")
    connection.execute("UPDATE sensor_readings SET recorded_at = now() - interval '100 days' WHERE id = 9")
    assert failed(validation_checks(run)) == {}


@pytest.mark.parametrize(
    ("broken", "names"),
    [
        (BEHIND_THE_CAPTURE.format(f"DELETE FROM sensor_readings WHERE {ONE_ROW}"), {"row_content"}),
        (BEHIND_THE_CAPTURE.format(f"UPDATE sensor_readings SET battery = 7777 WHERE {ONE_ROW}"), {"row_content"}),
        ("DROP INDEX sensor_readings_device", {"partition_indexes", "parity"}),
        ("CREATE INDEX lonely ON ONLY sensor_readings (source)", {"partition_indexes", "parity"}),
        (
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid ="
            " (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'sensor_readings_device'::regclass LIMIT 1)",
            {"partition_indexes"},
        ),
        ("ALTER TABLE sensor_readings DROP CONSTRAINT sensor_readings_unit_id_fkey", {"foreign_keys", "parity"}),
        (
            "UPDATE pg_constraint SET convalidated = false WHERE conname = 'sensor_readings_unit_id_fkey'"
            " AND conrelid = 'sensor_readings'::regclass",
            {"foreign_keys", "parity"},
        ),
        (
            "ALTER TABLE sensor_readings DROP CONSTRAINT sensor_readings_unit_id_fkey, ADD CONSTRAINT "
            "sensor_readings_unit_id_fkey FOREIGN KEY (unit_id) REFERENCES units ON DELETE CASCADE",
            {"foreign_keys", "parity"},
        ),
        (DISABLE_ALL, {"foreign_keys_enforced", "capture_on"}),
        ("ALTER TABLE sensor_readings DISABLE TRIGGER partition_playbook_delete", {"capture_on"}),
        ("SELECT setval('sensor_readings_id_seq', 5)", {"identity_continues_id"}),
        ("GRANT SELECT ON sensor_readings TO pg_monitor", {"parity"}),
    ],
)
def test_one_broken_thing_is_named(run: Run, connection: psycopg.Connection, broken: str, names: set[str]) -> None:
    for statement in broken.split("; "):
        connection.execute(statement)  # type: ignore[call-overload]
    found = failed(validation_checks(run))
    assert {name for name, each in found.items() if each.blocks} == names
    assert all(each.remedy for each in found.values())


def test_detached_partition_is_a_gap(run: Run, connection: psycopg.Connection) -> None:
    name = run.ledger.loads()[5]["partition_name"]
    connection.execute(f"ALTER TABLE sensor_readings DETACH PARTITION {name}")  # type: ignore[call-overload]
    found = failed(validation_checks(run))
    assert "a gap between" in found["partition_count"].actual
    assert "no partition for" in found["partition_count"].actual
    assert "row_content" in found


def test_rows_that_came_after_the_plan_for_another_time_are_a_warning(run: Run, connection: psycopg.Connection) -> None:
    for year, number in (("1999", 9), ("2077", 10)):
        connection.execute("UPDATE sensor_readings SET recorded_at = %s WHERE id = %s", (f"{year}-01-01", number))
    found = failed(validation_checks(run))
    assert found.keys() == {"default_empty"}
    assert not found["default_empty"].blocks
    assert "2 rows in public.sensor_readings_default, from 1999-01-01" in found["default_empty"].actual


def test_partitions_that_maintenance_made_meanwhile_are_good(
    run: Run, connection: psycopg.Connection, connect: Callable[[], psycopg.Connection]
) -> None:
    """The same task, cleared after the section lifecycle, judges what that section has made."""
    connection.execute("UPDATE sensor_readings SET recorded_at = recorded_at - interval '14 months' WHERE id = 9")
    upkeep = open_run(connect, run.spec, "upkeep", "maintenance")
    done = maintain(upkeep, MaintenanceParams(premake=run.spec.premake + 2))
    assert len(done.summary["created"]) >= 2
    assert [str(each) for each in validation_checks(run) if each.blocks] == []


def test_partition_that_nobody_planned_is_named(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE odd PARTITION OF sensor_readings FOR VALUES FROM ('2040-01-01') TO ('2040-02-01')")
    assert "odd was not planned" in failed(validation_checks(run))["partition_count"].actual


def test_lacking_default_partition_is_named(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("ALTER TABLE sensor_readings DETACH PARTITION sensor_readings_default")
    assert "there is no default partition" in failed(validation_checks(run))["partition_count"].actual


def test_before_cutover_nothing_else_is_looked_at(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("ALTER TABLE sensor_readings RENAME TO sensor_readings_new")
    connection.execute("ALTER TABLE sensor_readings_old RENAME TO sensor_readings")
    assert [each.name for each in validation_checks(run)] == ["partitioned_table_live"]
    assert failed(validation_checks(run))["partitioned_table_live"].blocks


def test_bad_insert_leaves_nothing_behind(run: Run, connection: psycopg.Connection) -> None:
    query = (
        f"SELECT (SELECT count(*) FROM sensor_readings), (SELECT count(*) FROM {run.table.change_log}),"
        " (SELECT last_value FROM sensor_readings_id_seq),"
        " (SELECT count(*) FROM partition_playbook.events WHERE message LIKE '%refers to nothing%')"
    )
    connection.execute(DISABLE_ALL)
    before = connection.execute(query).fetchone()  # type: ignore[call-overload]
    assert failed(validation_checks(run))["foreign_keys_enforced"].blocks
    assert connection.execute(query).fetchone() == before  # type: ignore[call-overload]


def test_deferred_key_is_tried_at_once(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("ALTER TABLE sensor_readings DROP CONSTRAINT sensor_readings_unit_id_fkey")
    connection.execute(
        "ALTER TABLE sensor_readings ADD CONSTRAINT sensor_readings_unit_id_fkey FOREIGN KEY (unit_id)"
        " REFERENCES units DEFERRABLE INITIALLY DEFERRED"
    )
    found = {each.name: each for each in validation_checks(run)}
    assert found["foreign_keys_enforced"].outcome is Outcome.PASSED


MEET = """
CREATE TABLE places (id int PRIMARY KEY);
CREATE FUNCTION meet() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.places VALUES (1) ON CONFLICT DO NOTHING;
    PERFORM pg_advisory_xact_lock(7);
    RETURN NEW;
END $$;
CREATE TRIGGER meet BEFORE INSERT ON sensor_readings FOR EACH ROW EXECUTE FUNCTION meet()
"""
WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted)"


def test_a_trial_row_gives_way_before_a_deadlock_is_detected(
    run: Run, connection: psycopg.Connection, dsn: str
) -> None:
    connection.execute(MEET)
    with run.database.session() as session:
        now = sides(session, run)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(dsn) as application:
        application.execute("SELECT pg_advisory_xact_lock(7)")
        trial = pool.submit(foreign_keys.enforcement_check, run, now)
        wait_until(lambda: connection.execute(WAITS).fetchone() == (True,), "the trial waits")
        # The trial has written this row, so that each session waits for the other.
        application.execute("INSERT INTO places VALUES (1) ON CONFLICT DO NOTHING")
        application.commit()
        found = trial.result()
    assert found.outcome is Outcome.PASSED, found.actual


def test_empty_table_cannot_be_tried_and_says_so(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("DELETE FROM sensor_readings")
    found = failed(validation_checks(run))
    assert set(found) == {"foreign_keys_enforced"}
    assert not found["foreign_keys_enforced"].blocks
    assert "no row to copy" in found["foreign_keys_enforced"].actual


def test_sequence_that_was_behind_already_is_a_warning(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("SELECT setval('sensor_readings_id_seq', 5), setval('sensor_readings_id_seq_old', 5)")
    found = failed(validation_checks(run))
    assert set(found) == {"identity_continues_id"}
    assert not found["identity_continues_id"].blocks


def test_sequence_that_starts_again_at_its_end_is_skipped(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("ALTER SEQUENCE sensor_readings_id_seq CYCLE; ALTER SEQUENCE sensor_readings_id_seq_old CYCLE")
    connection.execute("SELECT setval('sensor_readings_id_seq', 5), setval('sensor_readings_id_seq_old', 19000)")
    found = {each.name: each for each in validation_checks(run)}
    assert found["identity_continues_id"].outcome is Outcome.SKIPPED
    assert [name for name, each in found.items() if each.blocks] == ["parity"]  # the original had no CYCLE


def test_table_without_sequences_or_keys_is_skipped(run: Run, connection: psycopg.Connection) -> None:
    for name in ("sensor_readings", "sensor_readings_old"):
        connection.execute(f"ALTER TABLE {name} ALTER COLUMN id DROP IDENTITY")  # type: ignore[call-overload]
    outcomes = {each.name: each.outcome for each in validation_checks(run)}
    assert outcomes["identity_continues"] is Outcome.SKIPPED


def test_run_without_a_snapshot_has_no_evidence(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("DELETE FROM partition_playbook.statistics")
    found = failed(validation_checks(run))
    assert set(found) == {"snapshot_rows"}
    assert found["snapshot_rows"].blocks


def test_change_that_nothing_captured_is_a_warning(run: Run, connection: psycopg.Connection) -> None:
    for statement in BEHIND_THE_CAPTURE.format("DELETE FROM sensor_readings WHERE id = 9").split("; "):
        connection.execute(statement)  # type: ignore[call-overload]
    with behind_the_capture(connection):
        connection.execute("DELETE FROM sensor_readings_old WHERE id = 9")
    found = failed(validation_checks(run))
    assert set(found) == {"snapshot_rows"}
    assert "1 changed, by -1 row net; 0 changes captured" in found["snapshot_rows"].actual
    assert not found["snapshot_rows"].blocks


def test_rows_at_validation_are_recorded(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("DELETE FROM sensor_readings WHERE id = 9")
    counts = {each.name: each for each in validation_checks(run)}["snapshot_rows"]
    assert counts.outcome is Outcome.PASSED
    assert "by -1 row net; 1 change captured" in counts.actual
    assert len(counts.evidence) == 1
    assert sum(each.rows for each in run.ledger.statistics("validation").values()) == 19_999
