"""Somebody changes the table while it is being migrated: the change is followed, or named and nothing else happens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
import pytest

from partition_playbook import catalog, parity
from partition_playbook.engine import dependents
from partition_playbook.errors import PlaybookError, SourceChanged
from partition_playbook.run import Run
from tests.fixtures.scenario_writer import Key, read_rows
from tests.fixtures.stages import KEY, SPEC, STEPS, Stages, go_back, take_over

TABLE = SPEC.name
FORWARD = ("build_shadow", "load_partition", "attach_partitions", "verify_online", "cut_over")


@dataclass(frozen=True)
class Change:
    """A change by somebody else; where the engine can't follow, its message holds ``named``."""

    statement: str
    named: str


CHANGES = {
    "a column is added": Change("ALTER TABLE sensor_readings ADD COLUMN extra text DEFAULT 'x'", "extra"),
    "a column is dropped": Change("ALTER TABLE sensor_readings DROP COLUMN humidity", "humidity"),
    "a column is renamed": Change("ALTER TABLE sensor_readings RENAME COLUMN humidity TO moisture", "moisture"),
    "a column gets another type": Change("ALTER TABLE sensor_readings ALTER battery TYPE bigint", "battery"),
    "a column gets another default": Change("ALTER TABLE sensor_readings ALTER source SET DEFAULT 'x'", "source"),
    "a comment is written": Change("COMMENT ON COLUMN sensor_readings.battery IS 'percent'", "battery"),
    "an index is created": Change("CREATE INDEX later ON sensor_readings (battery)", "later"),
    "an index is dropped": Change("DROP INDEX sensor_readings_device", "sensor_readings_device"),
    "a check is added": Change("ALTER TABLE sensor_readings ADD CONSTRAINT sane CHECK (battery < 1000)", "sane"),
    "a privilege is granted": Change("GRANT SELECT ON sensor_readings TO PUBLIC", "PUBLIC"),
    "a trigger is created": Change(
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER noting BEFORE INSERT ON sensor_readings FOR EACH ROW EXECUTE FUNCTION noted()",
        "noting",
    ),
    "a rule is created": Change("CREATE RULE kept AS ON DELETE TO sensor_readings DO ALSO NOTHING", "kept"),
    "the sequence is renamed": Change("ALTER SEQUENCE sensor_readings_id_seq RENAME TO numbers", "numbers"),
    "row security is switched on": Change(
        "ALTER TABLE sensor_readings ENABLE ROW LEVEL SECURITY; "
        "CREATE POLICY everything ON sensor_readings USING (true) WITH CHECK (true)",
        "everything",
    ),
    "a view reads the table": Change("CREATE VIEW hot AS SELECT id FROM sensor_readings WHERE temperature > 30", "hot"),
    "the table is rewritten": Change("VACUUM (FULL) sensor_readings", "never"),
    "the table is renamed": Change("ALTER TABLE sensor_readings RENAME TO readings", "sensor_readings"),
    "the table gets another owner": Change("ALTER TABLE sensor_readings OWNER TO pg_database_owner", "pg_database_own"),
    "somebody truncates it": Change("TRUNCATE sensor_readings", "TRUNCATE"),
    "a row is far out": Change(
        "INSERT INTO sensor_readings (unit_id, device_id, recorded_at, received_at, source) SELECT unit_id, device_id, "
        "'2199-01-01', now(), 'far' FROM sensor_readings LIMIT 1",
        "never",
    ),
    "a replica writes": Change(
        "SET session_replication_role = replica; UPDATE sensor_readings SET battery = 7 WHERE id % 10 = 0; "
        "DELETE FROM sensor_readings WHERE id % 17 = 0; RESET session_replication_role",
        "never",
    ),
}


def surface(run: Run) -> tuple[bool, parity.Facts]:
    """Return whether the live table is partitioned, and all that an application could notice of it."""
    with run.database.session() as session:
        live = catalog.require(session, TABLE)
        return live.is_partitioned, dependents.parity_facts(session, TABLE, SPEC.partition_by)


def rows(connection: psycopg.Connection) -> dict[Key, str]:
    return dict(read_rows(connection, TABLE, KEY))


def finish(run: Run, steps: Sequence[str]) -> Exception | None:
    """Do the steps; return what stopped them."""
    try:
        for step in steps:
            STEPS[step](run)
    except (PlaybookError, psycopg.Error) as error:
        return error
    return None


@pytest.mark.parametrize("before", [*FORWARD[1:], "roll_back", "migrate_again"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_followed_or_named(stages: Stages, name: str, before: str) -> None:
    change = CHANGES[name]
    with stages.copy(before) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        run = take_over(dsn)
        if name == "somebody truncates it":  # the capture is on already
            with pytest.raises(psycopg.errors.RaiseException, match=change.named):
                connection.execute(change.statement)
            return
        connection.execute(change.statement)
        if name == "the table is renamed":
            assert change.named in str(finish(run, [before]))
            connection.execute("ALTER TABLE readings RENAME TO sensor_readings")
        was_partitioned, noticed = surface(run)
        held = rows(connection)
        stopped = finish(run, FORWARD[FORWARD.index(before) :] if before in FORWARD else [before])
        partitioned, found = surface(run)
        assert rows(connection) == held
        assert parity.compare(noticed, found, live=True) == []
        if stopped:
            assert change.named in str(stopped)
            assert partitioned == was_partitioned
        else:
            assert partitioned != was_partitioned
        if before in FORWARD:
            go_back(run)
            assert rows(connection) == held
            partitioned, found = surface(run)
            assert not partitioned
            assert parity.compare(noticed, found, live=True) == []


def test_a_key_to_the_id_alone_that_came_before_the_cutover_is_named(stages: Stages) -> None:
    with stages.copy("cut_over") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        run = take_over(dsn)
        connection.execute("CREATE TABLE alarms (id bigint CONSTRAINT alarmed REFERENCES sensor_readings)")
        with pytest.raises(SourceChanged, match="one of foreign key alarmed on alarms") as refused:
            STEPS["cut_over"](run)
        assert "recorded_at too" in str(refused.value)
        partitioned, _ = surface(run)
        assert not partitioned

        connection.execute("ALTER TABLE alarms DROP CONSTRAINT alarmed")
        assert finish(run, ["cut_over"]) is None
