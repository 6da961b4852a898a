"""An object that preflight refuses, and that came after preflight, stops the cutover before its lock, by name."""

from __future__ import annotations

import psycopg
import pytest

from partition_playbook.engine import cutover, rollback
from partition_playbook.engine.sides import Direction
from partition_playbook.errors import PreconditionFailed, SourceChanged
from partition_playbook.sections.preflight.unsupported import require_supported
from partition_playbook.spec import RunParams
from tests.fixtures.stages import SPEC, STEPS, Stages, build, take_over

PARAMS = RunParams.model_validate({"mode": "rehearse", "backup": "skip"})
LATE = {
    "public.late reads ONLY the table": (
        "CREATE VIEW late AS SELECT id FROM ONLY sensor_readings",
        "DROP VIEW late",
    ),
    "everything": ("CREATE PUBLICATION everything FOR ALL TABLES", "DROP PUBLICATION everything"),
    "kept": (
        "CREATE RULE kept AS ON DELETE TO sensor_readings DO ALSO NOTHING",
        "DROP RULE kept ON sensor_readings",
    ),
    "public.rows_of(public.sensor_readings)": (
        "CREATE FUNCTION rows_of(sensor_readings) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "DROP FUNCTION rows_of",
    ),
}
BOUND = {
    "must appear in the GROUP BY": "CREATE VIEW v AS SELECT id, battery, count(*) FROM sensor_readings GROUP BY id",
    "no unique constraint matching": "CREATE TABLE notes (id bigint REFERENCES sensor_readings (id))",
    "numbers": "ALTER SEQUENCE sensor_readings_id_seq RENAME TO numbers",
}


@pytest.fixture(scope="module")
def keyed(server_dsn: str) -> Stages:
    """Return stages of a table whose primary key has the partition column, so that others can refer to it."""
    wider = (
        "ALTER TABLE sensor_readings DROP CONSTRAINT sensor_readings_pkey CASCADE, ADD PRIMARY KEY (id, recorded_at)"
    )
    return build(server_dsn, wider)


@pytest.mark.parametrize("before", ["verify_online", "cut_over", "migrate_again"])
def test_nothing_stops_the_cutover_of_a_table_that_preflight_accepted(stages: Stages, before: str) -> None:
    with stages.copy(before) as dsn:
        require_supported(take_over(dsn), PARAMS)


@pytest.mark.parametrize("named", LATE)
def test_an_object_that_cannot_be_carried_over_is_named_until_it_is_gone(stages: Stages, named: str) -> None:
    create, drop = LATE[named]
    with stages.copy("cut_over") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        run = take_over(dsn)
        connection.execute(create)  # type: ignore[call-overload]
        with pytest.raises(PreconditionFailed) as refused:
            require_supported(run, PARAMS)
        assert named in refused.value.problem
        assert refused.value.remedy.endswith("Then clear this task")

        connection.execute(drop)  # type: ignore[call-overload]
        require_supported(run, PARAMS)
        assert cutover.swap(run, Direction.FORWARD)
        require_supported(run, PARAMS)  # the partitioned table is live: a cleared task goes on


@pytest.mark.parametrize("named", BOUND)
def test_an_object_that_cannot_follow_the_swap_stops_it_with_a_remedy(stages: Stages, named: str) -> None:
    with stages.copy("cut_over") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        run = take_over(dsn)
        connection.execute(BOUND[named])  # type: ignore[call-overload]
        with pytest.raises(SourceChanged, match=named) as stopped:
            cutover.swap(run, Direction.FORWARD)
        assert "then clear this task" in stopped.value.remedy
        live = connection.execute("SELECT relkind::text FROM pg_class WHERE relname = %s", (SPEC.name.name,))
        assert live.fetchone() == ("r",)


@pytest.mark.since(18)
def test_a_rollback_leaves_a_key_not_valid_that_rows_violate(stages: Stages) -> None:
    with stages.copy("roll_back") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        run = take_over(dsn)
        connection.execute(
            "CREATE TABLE signals (id integer PRIMARY KEY); UPDATE sensor_readings SET signal_strength = 5; "
            "ALTER TABLE sensor_readings "
            "ADD CONSTRAINT known FOREIGN KEY (signal_strength) REFERENCES signals NOT VALID"
        )
        rollback.roll_back(run)
        validated = connection.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'known'").fetchall()
        assert validated == [(False,)]
        rollback.abandon(run)


@pytest.mark.parametrize("before", ["cut_over", "roll_back"])
def test_a_swap_leaves_a_key_to_the_table_not_valid_that_rows_violate(keyed: Stages, before: str) -> None:
    with keyed.copy(before) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        run = take_over(dsn)
        connection.execute(
            "CREATE TABLE notes (id bigint, at timestamptz); INSERT INTO notes VALUES (-1, now()); "
            "ALTER TABLE notes ADD CONSTRAINT known FOREIGN KEY (id, at) REFERENCES sensor_readings NOT VALID"
        )
        STEPS[before](run)
        validated = connection.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'known'").fetchall()
        assert validated == [(False,)]
        if before == "roll_back":
            rollback.abandon(run)
