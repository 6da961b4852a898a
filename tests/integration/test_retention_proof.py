"""The retention proof of a rehearsal: exactly one partition goes, and nobody ever sees its rows in the table."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.engine import retention_proof, rollback
from partition_playbook.engine.sides import Direction, sides
from partition_playbook.errors import PreconditionFailed
from partition_playbook.maintenance import exclusion
from partition_playbook.object_store import OpenStore
from partition_playbook.run import Run
from partition_playbook.sections.lifecycle.retention_proof import CONTENT, MOST_ROWS, NAME, remove, retention_checks
from partition_playbook.spec import Mode, TableSpec
from tests.fixtures.migration import finalize_anyway, migrate
from tests.fixtures.tables import open_run

Connect = Callable[[], psycopg.Connection[Any]]
Connection = psycopg.Connection[Any]
PROOF = "sensor_readings_retention_proof"
CONTENTS = "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {} AS t"
PARTITIONS = """
SELECT c.oid, c.relname, pg_get_expr(c.relpartbound, c.oid), pg_relation_filenode(c.oid)
  FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'sensor_readings'::regclass ORDER BY 1
"""
DUE = {"keep": "3 months", "grace": "0 days", "max_share": 1}


@pytest.fixture(scope="session")
def template(migrated_template: str) -> str:
    return migrated_template


def one(connection: Connection, query: str) -> Any:
    return connection.execute(query).fetchone()  # type: ignore[call-overload]


def with_retention(run: Run, **retention: Any) -> Run:
    changed = run.spec.model_dump(mode="json") | {"retention": retention or None}
    return replace(run, spec=TableSpec.model_validate(changed))


def at(folder: Path) -> OpenStore:
    """Return an object store that is a folder, whatever its URL."""
    return lambda url: folder  # type: ignore[return-value]


def prove(run: Run, store: OpenStore | None = None, mode: Mode = Mode.REHEARSE) -> dict[str, Check]:
    return {each.name: each for each in retention_checks(run, mode, store)}


def assert_proved(found: dict[str, Check], actual: str) -> None:
    assert [str(each) for each in found.values() if each.outcome is not Outcome.PASSED] == []
    assert list(found) == [NAME, CONTENT]
    assert actual in found[NAME].actual


def state(connection: Connection) -> list[Any]:
    """Return the partitions as the catalog has them, the rows of both sides, and the change log."""
    tables = ("sensor_readings", "sensor_readings_old", 'partition_playbook."public_sensor_readings_changes"')
    contents = [one(connection, CONTENTS.format(table)) for table in tables]
    return [*connection.execute(PARTITIONS).fetchall(), *contents, one(connection, f"SELECT to_regclass('{PROOF}')")]


@contextmanager
def watched(connect: Connect) -> Iterator[set[Any]]:
    """Count the rows over all time again and again, and write to every row of the past; yield all counts."""
    counts: set[Any] = set()
    stop = threading.Event()

    def look() -> None:
        with connect() as connection:
            connection.autocommit = True
            while not stop.is_set():
                counts.add(one(connection, "SELECT count(*), min(recorded_at) FROM sensor_readings"))
                connection.execute(
                    "UPDATE sensor_readings SET battery = 7 WHERE recorded_at < now() - interval '11 months'"
                )

    thread = threading.Thread(target=look)
    thread.start()
    yield counts
    stop.set()
    thread.join()


def test_exactly_the_proofs_partition_goes_though_others_are_due(run: Run, connection: Connection) -> None:
    """Foreign keys, NOT NULL columns and a default partition; nine months are before the cutoff of three."""
    before = state(connection)
    assert_proved(prove(with_retention(run, **DUE)), f"with {MOST_ROWS} rows: detached, dropped; ")
    assert state(connection) == before


def test_grace_share_and_the_unfinished_migration_are_set_aside_for_it(run: Run, connection: Connection) -> None:
    before = state(connection)
    assert_proved(prove(with_retention(run, keep="3 months", grace="90 days", max_share=0)), "detached, dropped; ")
    assert state(connection) == before


def test_nobody_sees_its_rows_and_the_rollback_has_no_trace_of_them(run: Run, connect: Connect) -> None:
    with watched(connect) as counts:
        found = prove(run)
    assert_proved(found, "detached, dropped; ")
    assert len(counts) == 1
    with connect() as connection:
        live = one(connection, CONTENTS.format("sensor_readings"))
    rollback.roll_back(run)
    rollback.abandon(run)
    with connect() as connection:
        assert one(connection, CONTENTS.format("sensor_readings")) == live


def test_an_archive_holds_exactly_its_rows(run: Run, connection: Connection, tmp_path: Path) -> None:
    before = state(connection)
    archiving = with_retention(run, **DUE, action="archive", archive_to="memory://archive")
    found = prove(archiving, at(tmp_path))
    assert_proved(found, "detached, archived as ")
    assert state(connection) == before
    (written,), (told,) = tmp_path.rglob("*.csv.gz"), tmp_path.rglob("*.json")
    manifest = json.loads(told.read_text())
    assert found[NAME].evidence["archive"] == str(written)
    assert (manifest["partition"], manifest["rows"]) == (f"public.{PROOF}", MOST_ROWS)
    assert len(gzip.decompress(written.read_bytes()).splitlines()) == 1 + MOST_ROWS


def test_action_detach_keeps_it_until_the_proof_drops_it(run: Run, connection: Connection) -> None:
    before = state(connection)
    assert_proved(prove(with_retention(run, keep="3 months", action="detach")), "detached and kept; the proof itself")
    assert state(connection) == before


def test_a_large_default_partition_is_excluded_from_the_attach(
    run: Run, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has older rows than any partition, so the range lies before those too."""
    monkeypatch.setattr(exclusion, "LEAST_BLOCKS", 1)
    connection.execute(
        "INSERT INTO sensor_readings (unit_id, device_id, temperature, recorded_at, received_at, source) "
        "SELECT unit_id, device_id, 1, '1999-03-04', now(), 'x' FROM sensor_readings LIMIT 5"
    )
    assert_proved(prove(run), "[1999-02-01")


def test_a_store_that_fails_is_a_no_go_and_leaves_no_table(run: Run, connection: Connection, tmp_path: Path) -> None:
    before = state(connection)
    full = tmp_path / "full"
    full.touch()
    archiving = with_retention(run, **DUE, action="archive", archive_to="memory://archive")
    found = prove(archiving, at(full))[NAME]
    assert found.blocks
    assert f"archive of {PROOF}" in found.actual
    assert "the object store has no whole archive" in found.actual
    assert state(connection) == before


def test_a_detach_that_is_refused_is_a_no_go_and_no_warning(run: Run, connection: Connection) -> None:
    connection.execute(
        """
        CREATE FUNCTION stay() RETURNS event_trigger LANGUAGE plpgsql AS $$
        BEGIN IF current_query() ~ 'DETACH PARTITION' THEN RAISE 'partitions stay'; END IF; END $$;
        CREATE EVENT TRIGGER stay ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION stay();
        """
    )
    before = state(connection)
    found = prove(run)[NAME]
    assert found.blocks
    assert found.actual.startswith("it was not detached: partitions stay")
    assert state(connection) == before


def test_a_table_that_cannot_be_dropped_is_a_no_go(run: Run, connection: Connection) -> None:
    connection.execute(
        """
        CREATE FUNCTION keep() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'tables stay'; END $$;
        CREATE EVENT TRIGGER keep ON ddl_command_end WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION keep();
        """
    )
    found = prove(run)[NAME]
    assert found.blocks
    assert found.actual.startswith(f"drop of {PROOF} ")
    assert f"{PROOF} is left: tables stay" in found.actual
    connection.execute("DROP EVENT TRIGGER keep")
    assert_proved(prove(run), "detached, dropped; ")


def test_retention_that_takes_another_partition_too_is_a_no_go(run: Run, connection: Connection) -> None:
    connection.execute(
        """
        CREATE FUNCTION greedy() RETURNS event_trigger LANGUAGE plpgsql AS $greedy$
        BEGIN
            EXECUTE (SELECT format('ALTER TABLE public.sensor_readings DETACH PARTITION %s', min(inhrelid)::regclass)
                       FROM pg_inherits WHERE inhparent = 'public.sensor_readings'::regclass);
        END $greedy$;
        CREATE EVENT TRIGGER greedy ON ddl_command_end WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION greedy();
        """
    )
    found = prove(run)
    assert found[NAME].blocks
    assert "also gone: sensor_readings_y20" in found[NAME].actual
    assert found[CONTENT].blocks


REASONS = [
    ("ALTER TABLE sensor_readings ADD CHECK (recorded_at > '2020-01-01')", {"keep": "20 years"}, "CheckViolation"),
    ("SELECT", {"keep": "3 months", "hold": [{"since": "1990-01-01", "reason": "case 4711"}]}, "a hold covers "),
    (f"CREATE TABLE {PROOF} (mine int)", DUE, f"the name public.{PROOF} is taken"),
    ("DELETE FROM sensor_readings", DUE, "it has no row to copy"),
    ("DELETE FROM sensor_readings WHERE recorded_at > now() - interval '100 days'", DUE, "rows_after_the_cutoff: "),
    (
        "CREATE TABLE hours (at timestamptz PRIMARY KEY); INSERT INTO hours SELECT DISTINCT recorded_at FROM "
        "sensor_readings; ALTER TABLE sensor_readings ADD FOREIGN KEY (recorded_at) REFERENCES hours",
        DUE,
        "ForeignKeyViolation",
    ),
    (
        "CREATE TABLE early PARTITION OF sensor_readings FOR VALUES FROM (MINVALUE) TO ('1990-01-01')",
        DUE,
        "no range is older than early",
    ),
]


@pytest.mark.parametrize(("change", "retention", "reason"), REASONS, ids=[each[2] for each in REASONS])
def test_a_table_that_cannot_have_its_rows_gets_a_warning_and_no_pass(
    run: Run, connection: Connection, change: str, retention: dict[str, Any], reason: str
) -> None:
    connection.execute(change)  # type: ignore[call-overload]
    (found,) = retention_checks(with_retention(run, **retention), Mode.REHEARSE, None)
    assert (found.name, found.outcome, found.severity) == (NAME, Outcome.FAILED, Severity.WARNING)
    assert found.actual.startswith("not proved, because the table cannot have a partition for it: ")
    assert reason in found.actual
    taken = one(connection, f"SELECT to_regclass('{PROOF}') IS NOT NULL")
    assert taken == ("is taken" in reason,)


def test_row_triggers_do_not_fire_for_its_rows(run: Run, connection: Connection) -> None:
    connection.execute(
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON sensor_readings FOR EACH ROW EXECUTE FUNCTION refuse();
        """
    )
    assert_proved(prove(run), "detached, dropped; ")


def test_a_table_that_others_refer_to(run: Run, connection: Connection) -> None:
    connection.execute(
        """
        CREATE TABLE notes (id bigint, at timestamptz,
                            FOREIGN KEY (id, at) REFERENCES sensor_readings (id, recorded_at) ON DELETE CASCADE);
        INSERT INTO notes SELECT id, recorded_at FROM sensor_readings;
        """
    )
    assert_proved(prove(run), "detached, dropped; ")
    assert one(connection, "SELECT count(*) FROM notes") == (20_000,)


def test_nothing_is_proved_in_production_or_without_retention(run: Run, connection: Connection) -> None:
    before = state(connection)
    for mode, spec in ((Mode.MIGRATE, run), (Mode.REHEARSE, with_retention(run))):
        (found,) = retention_checks(spec, mode, None)
        assert found.outcome is Outcome.SKIPPED
    assert state(connection) == before


def test_a_run_that_was_rolled_back_proves_nothing(run: Run) -> None:
    rollback.roll_back(run)
    with pytest.raises(PreconditionFailed, match="only between the cutover and the rollback"):
        prove(run)


def leave(run: Run, connection: Connection) -> None:
    """Leave a detached table as a task does that dies after its transaction."""
    with run.database.transaction() as session:
        session.connection.execute(f"CREATE TABLE public.{PROOF} (LIKE public.sensor_readings)")  # type: ignore[call-overload]
        retention_proof.record(run, session, 0)
    assert one(connection, f"SELECT to_regclass('{PROOF}') IS NOT NULL") == (True,)


@pytest.mark.parametrize("way_out", [remove, finalize_anyway], ids=["the next try", "finalize"])
def test_every_way_out_drops_what_a_dead_task_left(
    run: Run, connection: Connection, way_out: Callable[[Run], object]
) -> None:
    leave(run, connection)
    way_out(run)
    assert one(connection, f"SELECT to_regclass('{PROOF}')") == (None,)


def test_a_table_of_the_same_name_that_the_ledger_did_not_note_stays(run: Run, connection: Connection) -> None:
    leave(run, connection)
    connection.execute(f"DROP TABLE {PROOF}; CREATE TABLE {PROOF} (mine int)")
    remove(run)
    rollback.roll_back(run)
    rollback.abandon(run)
    assert one(connection, f"SELECT to_regclass('{PROOF}') IS NOT NULL") == (True,)


SMALL = """
CREATE TABLE visits (at {kind} NOT NULL, place int NOT NULL, "row_number" text, n int GENERATED ALWAYS AS IDENTITY,
                     twice int GENERATED ALWAYS AS (place * 2) STORED, PRIMARY KEY (place, at));
INSERT INTO visits SELECT (now() - n * interval '7 hours')::{kind}, n, 'x' FROM generate_series(1, 20) AS n;
"""


@pytest.mark.parametrize(("kind", "rows"), [("date", "7 rows"), ("timestamp(0)", "20 rows")])
def test_a_weekly_table_without_a_default_partition(
    connection: Connection, connect: Connect, kind: str, rows: str
) -> None:
    """A week of dates has seven moments, so it gets seven rows."""
    connection.execute(SMALL.format(kind=kind))
    spec = {"table": "visits", "partition_by": "at", "interval": "week", "default_partition": "none"}
    zone = {"timezone": "America/Santiago", "retention": {"keep": "2 weeks"}}
    run = open_run(connect, TableSpec.model_validate(spec | zone), "small")
    migrate(run)
    with run.database.session() as session:
        assert sides(session, run).direction is Direction.BACK
    found = prove(run)
    assert_proved(found, f"with {rows}: detached, dropped; ")
    assert "that form is not proved" in found[NAME].actual
    rollback.roll_back(run)
