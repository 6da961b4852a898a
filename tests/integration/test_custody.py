"""A rollback compares no row again if no write can have escaped since all of them were compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from partition_playbook.checks import Check, Outcome
from partition_playbook.engine import (
    attach,
    capture,
    cutover,
    foreign_keys,
    load,
    reconcile,
    rollback,
    shadow,
    verify,
)
from partition_playbook.engine.sides import Direction
from partition_playbook.errors import Diverged, SourceChanged
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.run import Run
from partition_playbook.spec import load_spec
from tests.fixtures.migration import finalize_anyway
from tests.fixtures.sabotage import behind_the_capture
from tests.fixtures.tables import fill_readings, make_template, open_run

MONTH = "sensor_readings_y"
ROWS = 2_000
SKIPPED = "the change log is complete since the last full comparison: only changed rows are compared"


def go_live(connect: Callable[..., psycopg.Connection]) -> None:
    with connect(autocommit=True) as connection:
        fill_readings(connection, ROWS, days=60)
    run = open_run(connect, load_spec("sensor_readings"), "test-run")
    for each in shadow.build(run):
        load.load_partition(run, each["partition_name"], workers=1)
    attach.attach_partitions(run)
    cutover.swap(run, Direction.FORWARD)
    assert not verify.content_check(*verify.compare(run)).blocks


@pytest.fixture(scope="session")
def live_template(server_dsn: str) -> str:
    return make_template(server_dsn, "live", go_live)


@pytest.fixture
def template(request: pytest.FixtureRequest, template: str) -> str:
    return request.getfixturevalue("live_template") if "live" in request.fixturenames else template  # type: ignore[no-any-return]


@pytest.fixture
def live(run: Run) -> Run:
    """Return a run whose partitioned table is live, and compared."""
    return run


def rows(connection: psycopg.Connection, table: str = "sensor_readings") -> list[tuple]:
    return connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()  # type: ignore[call-overload]


def partition_of(connection: psycopg.Connection, number: int) -> str:
    found = connection.execute(
        "SELECT tableoid::regclass::text FROM sensor_readings WHERE id = %s", (number,)
    ).fetchone()
    assert found
    assert found[0].startswith(MONTH)
    return str(found[0])


def told(run: Run) -> bool:
    return any(each["message"] == SKIPPED for each in run.ledger.events())


WRITES = {
    "insert": """INSERT INTO {partition} SELECT 987654, unit_id, device_id, temperature, humidity, battery,
                 signal_strength, recorded_at, received_at, source FROM {partition} WHERE id = 5""",
    "update": "UPDATE {partition} SET battery = 7777 WHERE id = 5",
    "delete": "DELETE FROM {partition} WHERE id = 5",
}


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_names_a_partition_comes_back_with_the_original(
    live: Run, connection: psycopg.Connection, write: str
) -> None:
    statement = WRITES[write].format(partition=partition_of(connection, 5))
    connection.execute("SET session_replication_role = replica")
    assert connection.execute(statement).rowcount == 1  # type: ignore[call-overload]
    connection.execute("RESET session_replication_role")
    written = rows(connection)
    rollback.roll_back(live)
    assert told(live)
    assert rows(connection) == written


def test_a_partition_is_not_truncated_while_the_way_back_stands(live: Run, connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="is refused"):
        connection.execute(f"TRUNCATE {partition_of(connection, 5)}")  # type: ignore[call-overload]


@pytest.mark.parametrize("write", WRITES)
def test_whoever_writes_to_the_retired_table_writes_to_a_copy(
    live: Run, connection: psycopg.Connection, write: str
) -> None:
    before = rows(connection)
    connection.execute(WRITES[write].format(partition="sensor_readings_old"))  # type: ignore[call-overload]
    assert rows(connection, "sensor_readings_old") != before
    rollback.roll_back(live)
    assert rows(connection) == before


def test_the_shadow_is_set_right_where_somebody_writes_to_it(
    run: Run, readings: Callable[..., None], connection: psycopg.Connection
) -> None:
    readings(100, days=60)
    for each in shadow.build(run):
        load.load_partition(run, each["partition_name"], workers=1)
    attach.attach_partitions(run)
    connection.execute("DELETE FROM sensor_readings_new WHERE id <= 10")
    cutover.swap(run, Direction.FORWARD)
    assert len(rows(connection)) == 100


ESCAPES = {
    "the live table's capture was off": """
        ALTER TABLE sensor_readings DISABLE TRIGGER partition_playbook_delete;
        DELETE FROM sensor_readings WHERE id = 5;
        ALTER TABLE sensor_readings ENABLE ALWAYS TRIGGER partition_playbook_delete""",
    "the retired table's capture was off": """
        ALTER TABLE sensor_readings_old DISABLE TRIGGER partition_playbook_delete;
        DELETE FROM sensor_readings_old WHERE id = 5;
        ALTER TABLE sensor_readings_old ENABLE ALWAYS TRIGGER partition_playbook_delete""",
    "a partition's capture was off": """
        ALTER TABLE {partition} DISABLE TRIGGER partition_playbook_delete;
        DELETE FROM {partition} WHERE id = 5;
        ALTER TABLE {partition} ENABLE ALWAYS TRIGGER partition_playbook_delete""",
    "a partition's capture is gone": """
        DROP TRIGGER partition_playbook_delete ON {partition};
        DELETE FROM {partition} WHERE id = 5""",
    "the function was another": """
        CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        ALTER FUNCTION partition_playbook.public_sensor_readings_capture() RENAME TO aside;
        DROP TRIGGER partition_playbook_delete ON sensor_readings;
        CREATE TRIGGER partition_playbook_delete AFTER DELETE ON sensor_readings EXECUTE FUNCTION nothing();
        ALTER TABLE sensor_readings ENABLE ALWAYS TRIGGER partition_playbook_delete;
        DELETE FROM sensor_readings WHERE id = 5;
        ALTER FUNCTION partition_playbook.aside() RENAME TO public_sensor_readings_capture""",
    "a column was written anew": """
        ALTER TABLE sensor_readings ALTER COLUMN battery TYPE smallint USING battery + 1""",
    "a column gained a default of old rows": """
        ALTER TABLE sensor_readings ADD COLUMN firmware text DEFAULT 'a';
        ALTER TABLE sensor_readings_old ADD COLUMN firmware text DEFAULT 'b'""",
    "a partition was exchanged": """
        ALTER TABLE sensor_readings DETACH PARTITION {partition};
        ALTER TABLE {partition} RENAME TO aside;
        CREATE TABLE {partition} (LIKE aside INCLUDING ALL);
        ALTER TABLE sensor_readings ATTACH PARTITION {partition} {bound}""",
}


@pytest.mark.parametrize("escape", ESCAPES)
def test_what_can_have_escaped_makes_a_rollback_compare_every_row(
    live: Run, connection: psycopg.Connection, escape: str
) -> None:
    partition = partition_of(connection, 5)
    bound = connection.execute(
        "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = %s::regclass", (partition,)
    ).fetchone()
    assert bound
    connection.execute(ESCAPES[escape].format(partition=partition, bound=bound[0]))  # type: ignore[call-overload]
    assert not verify.unbroken_capture(live)
    with pytest.raises(Diverged, match=f"{MONTH}|change capture is off"):
        rollback.roll_back(live)
    assert rows(connection, "sensor_readings_old"), "nothing was swapped"


@pytest.mark.parametrize("harmless", ["VACUUM sensor_readings", "VACUUM FREEZE ANALYZE sensor_readings_old", "ANALYZE"])
def test_upkeep_is_no_reason_to_compare_again(live: Run, connection: psycopg.Connection, harmless: str) -> None:
    connection.execute(harmless)  # type: ignore[call-overload]
    assert verify.unbroken_capture(live)


def test_a_rewritten_file_is_compared_and_found_equal(live: Run, connection: psycopg.Connection) -> None:
    connection.execute("VACUUM FULL sensor_readings_old")
    assert not verify.unbroken_capture(live)
    rollback.roll_back(live)
    assert not told(live)
    assert len(rows(connection)) == ROWS


def test_what_escapes_while_the_swap_is_prepared_stops_it(
    live: Run, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = foreign_keys.prepare

    def escape_meanwhile(*arguments: object) -> None:
        prepare(*arguments)  # type: ignore[arg-type]
        connection.execute(ESCAPES["the retired table's capture was off"])

    monkeypatch.setattr(foreign_keys, "prepare", escape_meanwhile)
    with pytest.raises(SourceChanged, match="file changed since every row was compared"):
        rollback.roll_back(live)
    assert rows(connection, "sensor_readings_old"), "nothing was swapped"


def test_without_a_comparison_since_the_cutover_every_row_is_compared(
    live: Run, connection: psycopg.Connection
) -> None:
    connection.execute("DELETE FROM partition_playbook.measurements WHERE name = %s", (verify.COMPARED_AFTER_CUTOVER,))
    with behind_the_capture(connection):
        connection.execute("DELETE FROM sensor_readings WHERE id = 5")
    with pytest.raises(Diverged, match=MONTH):
        rollback.roll_back(live)


def test_what_was_live_is_not_dropped_while_the_original_lacks_a_row(live: Run, connection: psycopg.Connection) -> None:
    written = rows(connection)
    rollback.roll_back(live)
    with behind_the_capture(connection):
        connection.execute("DELETE FROM sensor_readings WHERE id = 5")
    with pytest.raises(Diverged, match="trigger partition_rollback again"):
        rollback.abandon(live)
    connection.execute(
        "INSERT INTO sensor_readings OVERRIDING SYSTEM VALUE SELECT * FROM sensor_readings_new WHERE id = 5"
    )
    rollback.abandon(live)
    assert rows(connection) == written
    assert connection.execute("SELECT to_regclass('sensor_readings_new')").fetchone() == (None,)


def test_a_row_that_is_changed_on_its_way_stops_the_reconcile(live: Run, connection: psycopg.Connection) -> None:
    connection.execute("""
        CREATE FUNCTION damp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.humidity := 0; RETURN NEW; END';
        CREATE TRIGGER damp BEFORE INSERT ON sensor_readings_old FOR EACH ROW EXECUTE FUNCTION damp();
        UPDATE sensor_readings SET humidity = 50 WHERE id = 5""")
    with pytest.raises(Diverged, match="differ from the live table"):
        reconcile.catch_up(live)
    assert connection.execute("SELECT count(*) FROM sensor_readings_old WHERE humidity = 0 AND id = 5").fetchone() == (
        0,
    )


def test_no_trigger_of_the_capture_is_left_at_the_end(live: Run, connection: psycopg.Connection) -> None:
    connection.execute(
        "CREATE TABLE aside PARTITION OF sensor_readings FOR VALUES FROM ('2999-01-01') TO ('2999-02-01')"
    )
    finalize_anyway(live)
    left = connection.execute("SELECT tgname FROM pg_trigger WHERE starts_with(tgname, 'partition_playbook_')")
    assert left.fetchall() == []


def maintained(run: Run, **params: object) -> Check:
    found = maintain(of_maintenance(run), MaintenanceParams.model_validate(params))
    return next(each for each in found.checks if each.name == "retired_in_sync")


def of_maintenance(run: Run) -> Run:
    ledger = replace(run.ledger, run_id="maintenance", section="maintenance")
    ledger.open(run.table, "maintenance", {}, {})
    return replace(run, ledger=ledger)


def test_maintenance_keeps_the_way_back_short(live: Run, connection: psycopg.Connection) -> None:
    connection.execute("UPDATE sensor_readings SET battery = 7777 WHERE id <= 100")
    connection.execute("VACUUM FULL sensor_readings_old")
    assert capture.backlog(live) == 100
    assert maintained(live, dry_run=True).outcome is Outcome.SKIPPED
    assert maintained(live).outcome is Outcome.PASSED
    assert capture.backlog(live) == 0
    assert verify.unbroken_capture(live)


def test_maintenance_finds_what_only_one_of_the_tables_has(live: Run, connection: psycopg.Connection) -> None:
    with behind_the_capture(connection):
        connection.execute("DELETE FROM sensor_readings_old WHERE id = 5")
    found = maintained(live)
    assert found.blocks
    assert MONTH in found.actual


def test_maintenance_says_that_the_capture_has_given_up(live: Run, connection: psycopg.Connection) -> None:
    connection.execute("SELECT nextval('partition_playbook.public_sensor_readings_loss')")
    found = maintained(live)
    assert found.outcome is Outcome.FAILED
    assert not found.blocks
    assert "change capture stopped" in found.actual


def test_a_partition_that_maintenance_creates_is_captured_too(live: Run, connection: psycopg.Connection) -> None:
    found = maintain(of_maintenance(live), MaintenanceParams(premake=5))
    assert found.summary["created"]
    connection.execute(
        f"""INSERT INTO {found.summary["created"][0]} SELECT 987654, unit_id, device_id, temperature, humidity, battery,
            signal_strength, now() + interval '4 months', received_at, source FROM sensor_readings WHERE id = 5"""  # type: ignore[call-overload]
    )
    written = rows(connection)
    rollback.roll_back(live)
    assert told(live)
    assert rows(connection) == written
