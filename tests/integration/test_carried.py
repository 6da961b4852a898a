"""All that hangs on the table hangs on it after cutover, after rollback and after the second cutover."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from partition_playbook.engine import attach, cutover, dependents, foreign_keys, load, rollback, shadow, swap_locks
from partition_playbook.engine.sides import Direction, sides
from partition_playbook.errors import PlaybookError, SourceChanged
from partition_playbook.run import Run
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.sections.validation.checks import parity_check, validation_checks
from partition_playbook.spec import RunParams
from tests.fixtures.migration import finalize_anyway, migrate

Readings = Callable[..., None]
PARAMS = RunParams(mode="rehearse", backup="skip", accept_weaker_uniqueness=True)
NOTHING = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
CARRIED = {
    "a view": "CREATE VIEW warm AS SELECT * FROM sensor_readings WHERE temperature > 20",
    "a view with options": (
        "CREATE VIEW warm WITH (security_barrier, check_option=local) AS SELECT id, battery FROM sensor_readings "
        "WHERE battery > 5; COMMENT ON VIEW warm IS 'warm'; GRANT SELECT ON warm TO PUBLIC"
    ),
    "a view on a view": (
        "CREATE VIEW a AS SELECT unit_id, count(*) AS n FROM sensor_readings GROUP BY unit_id; "
        "CREATE VIEW b AS SELECT a.*, s.battery FROM a JOIN sensor_readings s USING (unit_id)"
    ),
    "a materialized view": (
        "CREATE MATERIALIZED VIEW daily WITH (fillfactor = 80) AS SELECT unit_id, recorded_at::date AS day, "
        "count(*) AS n, 'public.sensor_readings' AS told FROM sensor_readings GROUP BY 1, 2; "
        "CREATE UNIQUE INDEX once ON daily (unit_id, day); COMMENT ON MATERIALIZED VIEW daily IS 'd'; "
        "COMMENT ON COLUMN daily.n IS 'rows'; "
        "GRANT SELECT ON daily TO PUBLIC; CREATE VIEW total AS SELECT sum(n) AS n FROM daily"
    ),
    "a materialized view without rows": (
        "CREATE MATERIALIZED VIEW daily AS SELECT count(*) AS n FROM sensor_readings s "
        "JOIN units u ON u.id = s.unit_id WITH NO DATA"
    ),
    "a materialized view of a view": (
        "CREATE VIEW warm AS SELECT * FROM sensor_readings WHERE battery > 5; "
        "CREATE MATERIALIZED VIEW hot AS SELECT count(*) FROM warm"
    ),
    "a parsed function": (
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM sensor_readings; END"
    ),
    "a row trigger": NOTHING + "CREATE TRIGGER t BEFORE UPDATE OF battery ON sensor_readings FOR EACH ROW "
    "WHEN (NEW.battery > 5) EXECUTE FUNCTION nothing(); COMMENT ON TRIGGER t ON sensor_readings IS 'mine'",
    "a trigger that always fires": NOTHING
    + "CREATE TRIGGER t AFTER INSERT ON sensor_readings FOR EACH ROW EXECUTE FUNCTION nothing(); "
    "ALTER TABLE sensor_readings ENABLE ALWAYS TRIGGER t",
    "a trigger that never fires": NOTHING
    + "CREATE TRIGGER t AFTER DELETE ON sensor_readings FOR EACH ROW EXECUTE FUNCTION nothing(); "
    "ALTER TABLE sensor_readings DISABLE TRIGGER t",
    "a statement trigger": NOTHING
    + "CREATE TRIGGER t AFTER INSERT ON sensor_readings REFERENCING NEW TABLE AS n EXECUTE FUNCTION nothing()",
    "a constraint trigger": NOTHING
    + "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON sensor_readings DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION nothing()",
    "row security": (
        "ALTER TABLE sensor_readings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; "
        "CREATE POLICY p ON sensor_readings AS RESTRICTIVE FOR UPDATE TO PUBLIC USING (battery > 5) "
        "WITH CHECK (battery > 6); COMMENT ON POLICY p ON sensor_readings IS 'mine'; "
        "CREATE POLICY q ON sensor_readings USING (EXISTS (SELECT FROM sensor_readings s WHERE s.battery > 1))"
    ),
    "a policy elsewhere": (
        "ALTER TABLE units ENABLE ROW LEVEL SECURITY; "
        "CREATE POLICY p ON units USING (EXISTS (SELECT FROM sensor_readings r WHERE r.unit_id = units.id))"
    ),
    "a publication": "CREATE PUBLICATION p FOR TABLE sensor_readings, units WITH (publish = 'insert')",
    "a unique constraint": (
        "ALTER TABLE sensor_readings ADD CONSTRAINT once UNIQUE (device_id, recorded_at, id) INCLUDE (source) "
        "DEFERRABLE INITIALLY DEFERRED; COMMENT ON CONSTRAINT once ON sensor_readings IS 'once'"
    ),
    "a unique constraint that gets weaker": "ALTER TABLE sensor_readings ADD CONSTRAINT once UNIQUE (source, id)",
    "a unique index that gets weaker": "CREATE UNIQUE INDEX once ON sensor_readings (lower(source || ')'), id DESC)",
    "a deferrable key": (
        "ALTER TABLE sensor_readings DROP CONSTRAINT sensor_readings_pkey, "
        "ADD PRIMARY KEY (id) INCLUDE (source) DEFERRABLE"
    ),
    "a check": "ALTER TABLE sensor_readings ADD CONSTRAINT full_ CHECK (battery >= 0)",
    "a check that old rows break": (
        "ALTER TABLE sensor_readings ADD CONSTRAINT c CHECK (battery > 50) NOT VALID; "
        "COMMENT ON CONSTRAINT c ON sensor_readings IS 'new rows only'"
    ),
    "a comment on a foreign key": "COMMENT ON CONSTRAINT sensor_readings_unit_id_fkey ON sensor_readings IS 'unit'",
    "comments on keys": (
        "COMMENT ON CONSTRAINT sensor_readings_pkey ON sensor_readings IS 'key'; "
        "COMMENT ON INDEX sensor_readings_pkey IS 'index'"
    ),
    "an invalid index": (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'sensor_readings_device'::regclass"
    ),
    "extended statistics": (
        "CREATE STATISTICS s (ndistinct) ON unit_id, device_id FROM sensor_readings; "
        "ALTER STATISTICS s SET STATISTICS 50; COMMENT ON STATISTICS s IS 'mine'"
    ),
    "statistics on an expression": "CREATE STATISTICS s ON lower(source), unit_id FROM sensor_readings",
    "a target of an index": (
        "CREATE INDEX i ON sensor_readings (lower(source)); ALTER INDEX i ALTER COLUMN 1 SET STATISTICS 50"
    ),
    "targets and options of columns": (
        "ALTER TABLE sensor_readings ALTER unit_id SET (n_distinct = 50), ALTER unit_id SET STATISTICS 500"
    ),
    "storage parameters": (
        "ALTER TABLE sensor_readings SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, "
        "toast.autovacuum_enabled = off)"
    ),
    "replica identity full": "ALTER TABLE sensor_readings REPLICA IDENTITY FULL",
    "replica identity nothing": "ALTER TABLE sensor_readings REPLICA IDENTITY NOTHING",
    "replica identity by the key": "ALTER TABLE sensor_readings REPLICA IDENTITY USING INDEX sensor_readings_pkey",
    "replica identity by an index": (
        "CREATE UNIQUE INDEX i ON sensor_readings (id, unit_id); "
        "ALTER TABLE sensor_readings REPLICA IDENTITY USING INDEX i"
    ),
    "an access method": (
        "CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler; "
        "ALTER TABLE sensor_readings SET ACCESS METHOD other"
    ),
    "default privileges": "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    "grants on columns": "GRANT SELECT (id), UPDATE (battery, source) ON sensor_readings TO PUBLIC",
    "a generated column": (
        "ALTER TABLE sensor_readings ADD warm boolean GENERATED ALWAYS AS (temperature > 20) STORED"
    ),
    "an inbound key": (
        "ALTER TABLE sensor_readings DROP CONSTRAINT sensor_readings_pkey, ADD PRIMARY KEY (recorded_at, id); "
        "CREATE TABLE alerts AS SELECT id AS reading, recorded_at AS moment FROM sensor_readings LIMIT 50; "
        "ALTER TABLE alerts ADD CONSTRAINT to_reading FOREIGN KEY (moment, reading) "
        "REFERENCES sensor_readings (recorded_at, id) ON DELETE CASCADE; "
        "COMMENT ON CONSTRAINT to_reading ON alerts IS 'mine'"
    ),
}
SINCE = {
    "an access method": 15,
    "an inbound key": 15,  # one that cascades, which fires on 14 where a row only moves
    "a foreign key that old rows may break": 18,
    "a virtual column": 18,
}
CARRIED |= {
    "a foreign key that old rows may break": (
        "ALTER TABLE sensor_readings ADD CONSTRAINT f FOREIGN KEY (unit_id) REFERENCES units NOT VALID"
    ),
    "a virtual column": "ALTER TABLE sensor_readings ADD warm boolean GENERATED ALWAYS AS (temperature > 20) VIRTUAL",
}


@pytest.mark.parametrize("what", [pytest.param(each, marks=pytest.mark.since(SINCE.get(each, 14))) for each in CARRIED])
def test_it_follows_the_table(run: Run, readings: Readings, connection: psycopg.Connection, what: str) -> None:
    readings(200, days=60)
    connection.execute(CARRIED[what])  # type: ignore[call-overload]
    before = everything(run)
    assert [str(each) for each in preflight_checks(run, PARAMS) if each.blocks] == []
    migrate(run)
    assert [str(each) for each in validation_checks(run) if each.blocks] == []
    assert_same(run, before)
    rollback.roll_back(run)
    assert_same(run, before)
    cutover.swap(run, Direction.FORWARD)
    assert_same(run, before)


def everything(run: Run) -> dict[str, str]:
    with run.database.session() as session:
        return dependents.parity_facts(session, run.table, run.spec.partition_by)


def assert_same(run: Run, before: dict[str, str]) -> None:
    assert everything(run) == before
    assert not parity_check(run).blocks, parity_check(run).actual


LOST = {
    "view": ("CREATE VIEW warm AS SELECT * FROM sensor_readings", "DROP VIEW warm"),
    "policy": ("CREATE POLICY p ON sensor_readings USING (true)", "DROP POLICY p ON sensor_readings"),
    "grant": ("GRANT SELECT ON sensor_readings TO PUBLIC", "REVOKE SELECT ON sensor_readings FROM PUBLIC"),
    "comment": ("COMMENT ON TABLE sensor_readings IS 'mine'", "COMMENT ON TABLE sensor_readings IS NULL"),
    "publication": ("CREATE PUBLICATION p FOR TABLE sensor_readings", "DROP PUBLICATION p"),
    "replica identity": (
        "ALTER TABLE sensor_readings REPLICA IDENTITY FULL",
        "ALTER TABLE sensor_readings_default REPLICA IDENTITY DEFAULT",
    ),
    "storage": (
        "ALTER TABLE sensor_readings SET (fillfactor = 70)",
        "ALTER TABLE sensor_readings_default RESET (fillfactor)",
    ),
    "index": ("CREATE INDEX i ON sensor_readings (battery)", "DROP INDEX i"),
    "statistics": ("CREATE STATISTICS s ON unit_id, device_id FROM sensor_readings", "DROP STATISTICS s"),
    "trigger": (
        NOTHING + "CREATE TRIGGER t BEFORE UPDATE ON sensor_readings FOR EACH ROW EXECUTE FUNCTION nothing()",
        "ALTER TABLE sensor_readings DISABLE TRIGGER t",
    ),
}


@pytest.mark.parametrize("what", LOST)
def test_what_is_lost_after_cutover_turns_parity_red(
    run: Run, readings: Readings, connection: psycopg.Connection, what: str
) -> None:
    readings(200, days=60)
    connection.execute(LOST[what][0])  # type: ignore[call-overload]
    migrate(run)
    assert not parity_check(run).blocks
    connection.execute(LOST[what][1])  # type: ignore[call-overload]
    assert parity_check(run).blocks


def test_a_swap_that_would_lose_something_is_undone_in_its_own_transaction(
    run: Run, readings: Readings, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(200, days=60)
    connection.execute("CREATE VIEW warm AS SELECT * FROM sensor_readings")
    monkeypatch.setattr(dependents, "rebind", lambda readers: iter(()))
    with pytest.raises(SourceChanged, match="the swap would lose dependent view warm"):
        migrate(run)
    with run.database.session() as session:
        assert not sides(session, run).live.is_partitioned


CHANGED = {
    "a view": (
        "CREATE VIEW warm AS SELECT id FROM sensor_readings WHERE battery > 5",
        "CREATE OR REPLACE VIEW warm AS SELECT id FROM sensor_readings WHERE battery > 50",
    ),
    "a function": (
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM sensor_readings; END",
        "CREATE OR REPLACE FUNCTION f() RETURNS bigint LANGUAGE sql "
        "BEGIN ATOMIC SELECT max(id) FROM sensor_readings; END",
    ),
    "a policy": (
        "CREATE POLICY p ON sensor_readings USING (battery > 5)",
        "ALTER POLICY p ON sensor_readings USING (battery > 50)",
    ),
    "a publication": (
        "CREATE PUBLICATION p FOR TABLE sensor_readings",
        "ALTER PUBLICATION p SET (publish_via_partition_root = true)",
    ),
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_definition_that_changes_before_the_lock_is_not_overwritten(
    run: Run, readings: Readings, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    readings(200, days=60)
    connection.execute(CHANGED[what][0])  # type: ignore[call-overload]
    lock_around = swap_locks.lock_around

    def change_first(*arguments: Any) -> None:
        connection.execute(CHANGED[what][1])  # type: ignore[call-overload]
        lock_around(*arguments)

    monkeypatch.setattr(swap_locks, "lock_around", change_first)
    with pytest.raises(SourceChanged, match="definition of the table changed"):
        migrate(run)


def test_a_swap_that_would_lose_a_foreign_key_is_undone(
    run: Run, readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(200, days=60)
    monkeypatch.setattr(foreign_keys, "prepare", lambda *_: None)
    with pytest.raises(SourceChanged, match="would lose foreign key sensor_readings_"):
        migrate(run)


def test_a_view_reads_the_new_table_and_again_the_old_one(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(200, days=60)
    connection.execute("CREATE VIEW warm AS SELECT count(*) AS n FROM sensor_readings")
    migrate(run)
    connection.execute("DELETE FROM sensor_readings WHERE id <= 50")
    assert connection.execute("SELECT n FROM warm").fetchone() == (150,)
    rollback.roll_back(run)
    connection.execute("DELETE FROM sensor_readings WHERE id <= 60")
    assert connection.execute("SELECT n FROM warm").fetchone() == (140,)


def test_a_materialized_view_is_refreshed_from_the_new_table_and_again_from_the_old_one(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(200, days=60)
    connection.execute("CREATE MATERIALIZED VIEW daily AS SELECT count(*) AS n FROM sensor_readings")
    connection.execute("CREATE VIEW total AS SELECT n FROM daily")
    migrate(run)
    for left, step in ((150, lambda: rollback.roll_back(run)), (140, lambda: None)):
        connection.execute("DELETE FROM sensor_readings WHERE id <= %s", (200 - left,))
        connection.execute("REFRESH MATERIALIZED VIEW daily")
        assert connection.execute("SELECT n FROM total").fetchone() == (left,)
        step()
        assert connection.execute("SELECT n FROM total").fetchone() == (left,)
    rollback.abandon(run)
    assert connection.execute("SELECT count(*) FROM pg_matviews").fetchone() == (1,)


def test_finalize_drops_the_twin_of_a_materialized_view(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(200, days=60)
    connection.execute("CREATE MATERIALIZED VIEW daily AS SELECT count(*) AS n FROM sensor_readings")
    migrate(run)
    finalize_anyway(run)
    assert connection.execute("SELECT matviewname FROM pg_matviews").fetchall() == [("daily",)]


def test_a_trigger_fires_once_for_each_write_of_the_application(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(200, days=60)
    connection.execute("CREATE TABLE seen (id bigint)")
    connection.execute(
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO public.seen VALUES (OLD.id); RETURN NEW; END'"
    )
    connection.execute("CREATE TRIGGER see AFTER UPDATE ON sensor_readings FOR EACH ROW EXECUTE FUNCTION see()")
    steps: list[Callable[[], object]] = [
        lambda: shadow.build(run),
        lambda: [load.load_partition(run, each["partition_name"], workers=1) for each in run.ledger.loads()],
        lambda: attach.attach_partitions(run),
        lambda: cutover.swap(run, Direction.FORWARD),
        lambda: rollback.roll_back(run),
        lambda: cutover.swap(run, Direction.FORWARD),
    ]
    for at, step in enumerate(steps, start=1):
        connection.execute("UPDATE sensor_readings SET battery = 7 WHERE id = %s", (at,))
        step()
        assert connection.execute("SELECT array_agg(id ORDER BY id) FROM seen").fetchone() == ([*range(1, at + 1)],)


def test_a_view_that_is_being_read_makes_the_cutover_wait_in_bounded_tries(
    run: Run, readings: Readings, connection: psycopg.Connection, dsn: str
) -> None:
    readings(200, days=60)
    connection.execute("CREATE VIEW warm AS SELECT * FROM sensor_readings")
    shadow.build(run)
    for each in run.ledger.loads():
        load.load_partition(run, each["partition_name"], workers=1)
    attach.attach_partitions(run)
    once = cutover.LockRetry(tries=2, pause_seconds=0.01)
    with psycopg.connect(dsn) as reader:
        reader.execute("SELECT count(*) FROM warm")
        with pytest.raises(PlaybookError):
            cutover.swap(run, Direction.FORWARD, once)
    assert cutover.swap(run, Direction.FORWARD, once) is not None
