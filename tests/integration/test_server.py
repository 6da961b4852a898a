"""Checks of the server: its lock table, its file systems, the age of a table, its standbys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from partition_playbook import disk
from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.database import Database
from partition_playbook.engine import load, rollback, shadow, throttle
from partition_playbook.errors import LoadMustWait, LockTableFull, OutOfResources
from partition_playbook.run import Run
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.sections.snapshot.checks import back_up
from partition_playbook.spec import Mode, RunParams, TableSpec
from staging import cluster
from tests.fixtures.migration import migrate
from tests.fixtures.scenario_writer import wait_until
from tests.fixtures.tables import open_run

REHEARSE = RunParams(mode="rehearse", accept_weaker_uniqueness=True, backup="skip")
VISITS = """
CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL, page text, ms int);
CREATE INDEX visits_at ON visits (at); CREATE INDEX visits_page ON visits (page);
INSERT INTO visits (at, page, ms)
SELECT now() - n * interval '1 day', 'p' || n % 7, n FROM generate_series(0, {days}) n;
ANALYZE visits;
"""
SETTINGS = cluster.THROW_AWAY | {"max_connections": "20", "archive_mode": "on"}


def visits(dsn: str, interval: str = "month", days: int = 250, **changes: object) -> Run:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS visits; DROP SCHEMA IF EXISTS partition_playbook CASCADE")
        connection.execute(VISITS.format(days=days))  # type: ignore[call-overload]
    content = {"table": "visits", "partition_by": "at", "interval": interval, "premake": 3} | changes
    return open_run(partial(psycopg.connect, dsn), TableSpec.model_validate(content), "visits")


def found(run: Run, params: RunParams = REHEARSE) -> dict[str, Check]:
    return {each.name: each for each in preflight_checks(run, params)}


def execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for each in statements:
            connection.execute(each)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def small(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[cluster.Cluster]:
    """Return a server of its own with few connections and an archive."""
    with cluster.temporary(SETTINGS, programs) as server:
        yield server


# The lock table ------------------------------------------------------------------------------------------------------


def test_locks_of_all_partitions_are_compared_with_the_lock_table(small: cluster.Cluster) -> None:
    dsn = small.conninfo("postgres")
    per_partition, capacity = 2 + 3 + 1, 64 * 20
    every = {days: found(visits(dsn, "day", days)) for days in (30, 100, 250, 2_000)}
    checks = {days: each["lock_table"] for days, each in every.items()}
    for check in checks.values():
        assert check.evidence["capacity"] == capacity
        assert check.evidence["locks"] == per_partition * check.evidence["partitions"]
    assert checks[30].outcome is Outcome.PASSED
    assert (checks[100].outcome, checks[100].severity) == (Outcome.FAILED, Severity.WARNING)
    assert checks[250].blocks
    assert "Or set `interval: week` for about" in checks[250].remedy

    # A server with more locks bears them: the planner's time is a warning.
    assert not every[2_000]["partitions_planned"].blocks
    assert checks[2_000].blocks
    assert f"max_locks_per_transaction = {checks[2_000].evidence['setting']};" in checks[2_000].remedy
    planner = {days: each["planner"] for days, each in every.items()}
    assert [days for days, each in planner.items() if each.fell_short] == [2_000]
    assert not planner[2_000].blocks
    assert "Or set `interval: week` for about" in planner[2_000].remedy


def test_the_remedy_for_the_lock_table_works_as_it_is_written(programs: Path) -> None:
    with cluster.temporary(SETTINGS, programs) as server:
        run = visits(server.conninfo("postgres"), "day", 250)
        execute(server.conninfo("postgres"), found(run)["lock_table"].remedy.partition(";")[0])
        cluster.stop(server.data, programs)
        restarted = cluster.start(server.data, SETTINGS, programs).conninfo("postgres")
        again = open_run(partial(psycopg.connect, restarted), run.spec, run.ledger.run_id)
        assert found(again)["lock_table"].outcome is Outcome.PASSED


def test_a_full_lock_table_has_its_own_remedy(small: cluster.Cluster) -> None:
    dsn = small.conninfo("postgres")
    with pytest.raises(LockTableFull) as full, Database(partial(psycopg.connect, dsn)).session() as session:
        session.connection.execute("SELECT count(pg_advisory_lock(n)) FROM generate_series(1, 3000000) n")
    assert "ALTER SYSTEM SET max_locks_per_transaction" in full.value.remedy
    assert "disk" not in full.value.remedy
    assert isinstance(full.value, OutOfResources)
    # The server process still releases its locks.
    wait_until(lambda: _admits(dsn), "room in the lock table")


def _admits(dsn: str) -> bool:
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True


COUNT_LOCKS = """
CREATE TABLE held (tag text, locks bigint);
CREATE FUNCTION count_locks() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.held SELECT tg_tag, count(*)
  FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'AccessExclusiveLock'; END $$;
CREATE EVENT TRIGGER count_locks ON sql_drop EXECUTE FUNCTION count_locks();
"""


def test_the_shadow_is_dropped_in_slices(
    dsn: str, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback, "DROPPED_TOGETHER", 2, raising=False)
    run = visits(dsn)
    migrate(run)
    rollback.roll_back(run)
    (partitions,) = connection.execute(
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'visits_new'::regclass"
    ).fetchone() or (0,)
    assert partitions > 10
    connection.execute(COUNT_LOCKS)
    rollback.abandon(run)
    dropped = connection.execute("SELECT count(*), max(locks) FROM held WHERE tag = 'DROP TABLE'").fetchone() or (0, 0)
    assert dropped[0] > partitions / 2
    # Of two partitions with three indexes and TOAST, and of what belongs to them.
    assert 0 < dropped[1] < 40
    left = "SELECT relname FROM pg_class WHERE relname LIKE 'visits%' AND relkind IN ('r', 'p') ORDER BY 1"
    assert connection.execute(left).fetchall() == [("visits",)]
    assert run.ledger.run()["phase"] == "abandoned"


def test_a_shadow_that_a_view_reads_loses_no_partition(dsn: str, connection: psycopg.Connection) -> None:
    run = visits(dsn)
    migrate(run)
    rollback.roll_back(run)
    connection.execute("CREATE VIEW seen AS SELECT * FROM visits_new")
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        rollback.abandon(run)
    assert connection.execute("SELECT count(*) FROM seen").fetchone() == (251,)
    connection.execute("DROP VIEW seen")
    rollback.abandon(run)
    assert connection.execute("SELECT to_regclass('visits_new')").fetchone() == (None,)


# What fills the disk -------------------------------------------------------------------------------------------------


@pytest.fixture
def settled(small: cluster.Cluster) -> Iterator[str]:
    """Return the small server, archiving well and without slots, as it is found again."""
    dsn = small.conninfo("postgres")
    execute(dsn, "ALTER SYSTEM SET archive_command = 'true'", "SELECT pg_reload_conf()")
    yield dsn
    execute(
        dsn,
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active",
        "ALTER SYSTEM RESET max_slot_wal_keep_size",
        "ALTER SYSTEM SET archive_command = 'true'",
        "SELECT pg_reload_conf()",
    )


def test_a_slot_that_nobody_uses_is_named(settled: str) -> None:
    run = visits(settled)
    assert found(run)["replication_slots"].outcome is Outcome.PASSED
    execute(settled, "SELECT pg_create_physical_replication_slot('forgotten', true)")
    check = found(run)["replication_slots"]
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    assert check.actual.startswith("forgotten (reserved, keeps ")
    execute(settled, check.remedy.rpartition(": ")[2])
    assert found(run)["replication_slots"].outcome is Outcome.PASSED


def test_loads_wait_before_a_slot_loses_its_wal(settled: str) -> None:
    run = visits(settled)
    shadow.build(run)
    assert throttle.reasons(run) == {}
    execute(settled, "ALTER SYSTEM SET max_slot_wal_keep_size = '32MB'", "SELECT pg_reload_conf()")
    execute(settled, "SELECT pg_create_physical_replication_slot('slow', true)")
    assert throttle.reasons(run) == {}
    for _ in range(4):
        execute(settled, "CREATE TABLE written (); DROP TABLE written", "SELECT pg_switch_wal()")
    assert set(throttle.reasons(run)) == {"replication_slot"}
    assert "loses its WAL" in found(run)["replication_slots"].actual
    execute(settled, "SELECT pg_drop_replication_slot('slow')")
    assert throttle.reasons(run) == {}
    rollback.abandon(run)


def archived(dsn: str, column: str) -> bool:
    with psycopg.connect(dsn) as connection:
        newest = "last_failed_time > coalesce(last_archived_time, '-infinity')"
        test = newest if column == "failed" else f"NOT coalesce({newest}, false)"
        return bool((connection.execute(f"SELECT {test} FROM pg_stat_archiver").fetchone() or (False,))[0])  # type: ignore[call-overload]


def test_an_archiver_that_fails_is_refused_and_waited_for(settled: str) -> None:
    run = visits(settled)
    execute(settled, "ALTER SYSTEM SET archive_command = 'false'", "SELECT pg_reload_conf()")
    execute(settled, "CREATE TABLE written (); DROP TABLE written", "SELECT pg_switch_wal()")
    wait_until(lambda: archived(settled, "failed"), "a failure")
    assert found(run)["archiver"].blocks
    assert set(throttle.reasons(run)) == {"archiver"}
    execute(settled, "ALTER SYSTEM SET archive_command = 'true'", "SELECT pg_reload_conf()")
    wait_until(lambda: archived(settled, "archived"), "a success")
    assert found(run)["archiver"].outcome is Outcome.PASSED
    assert throttle.reasons(run) == {}


def test_a_backup_of_others_is_proved_by_the_archive_since_the_run_began(settled: str) -> None:
    run = visits(settled)
    assert archiving(run).outcome is Outcome.FAILED
    assert (archiving(run).severity, archiving(run).actual) == (Severity.WARNING, "none was archived since")
    execute(settled, "CREATE TABLE written (); DROP TABLE written", "SELECT pg_switch_wal()")
    wait_until(lambda: archiving(run).outcome is Outcome.PASSED, "an archived file")

    execute(settled, "ALTER SYSTEM SET archive_command = 'false'", "SELECT pg_reload_conf()")
    execute(settled, "CREATE TABLE written (); DROP TABLE written", "SELECT pg_switch_wal()")
    wait_until(lambda: archiving(run).blocks, "a failure")
    assert " failed at " in archiving(run).actual
    execute(settled, "ALTER SYSTEM SET archive_command = 'true'", "SELECT pg_reload_conf()")
    wait_until(lambda: archiving(run).outcome is Outcome.PASSED, "a success")


def archiving(run: Run) -> Check:
    params = RunParams(mode="rehearse", backup="external", external_backup_at="2026-11-23T00:00:00Z")
    return {each.name: each for each in back_up(run, params, Path)}["backup_archiving"]


@pytest.mark.parametrize("full", ["pg_wal", "space", "data"])
def test_the_file_system_of_each_purpose_is_measured(settled: str, monkeypatch: pytest.MonkeyPatch, full: str) -> None:
    run = visits(settled)
    assert found(run)["filesystems"].outcome is Outcome.PASSED
    execute(settled, "SELECT pg_create_physical_replication_slot('slow', true)")
    with psycopg.connect(settled) as connection:
        (data,) = connection.execute("SHOW data_directory").fetchone() or ("",)
    measured: set[str] = set()

    def usage(folder: Path) -> SimpleNamespace:
        measured.add(str(folder))
        return SimpleNamespace(free=10 if str(folder) == (data if full == "data" else f"{data}/{full}") else 1 << 40)

    monkeypatch.setattr(disk.shutil, "disk_usage", usage)
    # On this host they are one file system, in production they need not be.
    monkeypatch.setattr(disk, "_filesystem", lambda folder: disk.Filesystem(hash(folder), usage(folder).free))
    check = found(run)["filesystems"]
    assert measured >= {data, f"{data}/pg_wal"}
    assert check.blocks is (full != "space")
    if full == "pg_wal":
        assert check.actual.startswith("the file system of pg_wal has 10 bytes free")


def test_a_disk_that_cannot_be_seen_is_told_in_production(settled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = visits(settled)
    monkeypatch.setattr(disk, "find_disk", lambda session: disk.Disk(None, "the server runs elsewhere"))
    assert found(run)["filesystems"].outcome is Outcome.SKIPPED
    production = REHEARSE.model_copy(update={"mode": Mode.MIGRATE})
    check = found(run, production)["filesystems"]
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    assert "the server runs elsewhere" in check.actual


def test_new_wal_files_are_told_before_commits_wait_for_them(small: cluster.Cluster) -> None:
    dsn = small.conninfo("postgres")
    run = visits(dsn)
    assert found(run)["wal_files"].outcome is Outcome.PASSED
    # Rows of 25 GB, of which max_wal_size lets 1 GB be written between two checkpoints.
    many = REHEARSE.model_copy(update={"synthetic_rows": 100_000_000})
    check = found(run, many)["wal_files"]
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    assert check.evidence["needed_bytes"] == 1 << 30
    assert check.evidence["ready_bytes"] < 1 << 29

    execute(dsn, *(each for each in re.findall(r"(ALTER SYSTEM[^;]+|SELECT [^;]+|CHECKPOINT);", check.remedy)))
    again = found(run, many)["wal_files"]
    assert again.outcome is Outcome.PASSED, again.actual
    execute(dsn, "ALTER SYSTEM SET wal_recycle = off", "SELECT pg_reload_conf()")
    wait_until(lambda: found(run, many)["wal_files"].outcome is Outcome.SKIPPED, "the setting")


# Age and standbys ----------------------------------------------------------------------------------------------------


def test_a_table_near_an_anti_wraparound_vacuum_is_named(settled: str) -> None:
    run = visits(settled)
    assert found(run)["anti_wraparound"].outcome is Outcome.PASSED
    execute(settled, "ALTER TABLE visits SET (autovacuum_freeze_max_age = 100000)")
    burn = "DO $$ BEGIN FOR i IN 1..95000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    execute(settled, burn)
    check = found(run)["anti_wraparound"]
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)
    execute(settled, check.remedy.partition(" in a quiet hour")[0])
    assert found(run)["anti_wraparound"].outcome is Outcome.PASSED


def test_a_standby_is_told(settled: str) -> None:
    run = visits(settled)
    assert found(run)["standbys"].outcome is Outcome.PASSED
    with psycopg.connect(settled) as connection:
        position = connection.execute("SELECT pg_current_wal_flush_lsn()::text").fetchone() or ("",)
    with psycopg.connect(make_conninfo(settled, replication="true"), autocommit=True) as walsender:
        walsender.pgconn.send_query(f"START_REPLICATION PHYSICAL {position[0]}".encode())
        wait_until(lambda: found(run)["standbys"].outcome is Outcome.FAILED, "a standby")
        assert found(run)["standbys"].actual.startswith("1 standby:")
        assert not found(run)["standbys"].blocks
        walsender.pgconn.finish()


def test_commits_that_wait_for_a_standby_are_told(settled: str) -> None:
    run = visits(settled)
    # With local, no commit of this test waits for a standby that is not there.
    settings = ("synchronous_commit = local", "synchronous_standby_names = 'far'")
    try:
        for each in settings:
            execute(settled, f"ALTER SYSTEM SET {each}", "SELECT pg_reload_conf()")
        wait_until(lambda: found(run)["standbys"].outcome is Outcome.FAILED, "the settings")
        assert found(run)["standbys"].actual == "synchronous_standby_names = 'far' with synchronous_commit = local"
    finally:
        for each in reversed(settings):
            execute(settled, f"ALTER SYSTEM RESET {each.split()[0]}", "SELECT pg_reload_conf()")


# The run's own sessions ----------------------------------------------------------------------------------------------


def test_own_sessions_are_not_counted(dsn: str) -> None:
    run = visits(dsn, throttle={"max_active_connections": 3, "max_replica_lag": None})
    own = [psycopg.connect(dsn, application_name=f"partition_playbook load_{n}") for n in range(6)]
    assert throttle.reasons(run) == {}
    others = [psycopg.connect(dsn, application_name="shop") for _ in range(6)]
    assert set(throttle.reasons(run)) == {"connections"}
    for each in (*own, *others):
        each.close()


OWN = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'partition_%'"


@pytest.mark.parametrize("held", ["all slots", "the partition"])
def test_a_load_that_must_wait_says_for_whom_and_keeps_no_connection(
    dsn: str, connection: psycopg.Connection, held: str
) -> None:
    run = visits(dsn)
    shadow.build(run)
    name = run.ledger.loads()[0]["partition_name"]
    waiting = open_run_again(dsn, run)
    del run
    locks = load.slot_names(waiting, 2) if held == "all slots" else [load.lock_name(waiting, name)]
    problem = "2 load slots, all taken" if held == "all slots" else f"{name} is being loaded"
    with psycopg.connect(dsn, autocommit=True, application_name="another load") as holder:
        pid = holder.info.backend_pid
        for each in locks:
            holder.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [each])
        with pytest.raises(LoadMustWait, match=f"{problem}, by pid {pid} .*'another load'"):
            load.load_partition(waiting, name, workers=2)
        wait_until(lambda: connection.execute(ADVISORY).fetchall() == [(pid,)], "only the lock of the holder")
        waiting.database.close_idle()
        waiting.ledger.database.close_idle()
        wait_until(lambda: connection.execute(OWN).fetchone() == (0,), "no connection")
    wait_until(lambda: connection.execute(ADVISORY).fetchall() == [], "the end of the holder's locks")
    assert load.load_partition(waiting, name, workers=2).partition == name


ADVISORY = """
SELECT DISTINCT pid FROM pg_locks
 WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def open_run_again(dsn: str, run: Run) -> Run:
    """Return the run as another task has it."""
    from partition_playbook.ledger import Ledger

    connect = partial(psycopg.connect, dsn)
    ledger = Ledger(Database(connect), run.ledger.run_id, "migration")
    return Run(run.spec, Database(connect, sink=ledger.sink), ledger)


# Functions that some services refuse ---------------------------------------------------------------------------------


@pytest.fixture
def refusing(dsn: str, template: str) -> Iterator[Callable[[], psycopg.Connection]]:
    """Return a connection of a plain role in a database whose WAL functions are refused."""
    role = f"{template}_plain"
    wal = "FUNCTION pg_current_wal_insert_lsn(), pg_current_wal_lsn()"
    execute(dsn, f"CREATE ROLE {role} LOGIN", f"REVOKE EXECUTE ON {wal} FROM PUBLIC")
    yield partial(psycopg.connect, make_conninfo(dsn, user=role))
    execute(dsn, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_refused_wal_functions_leave_figures_out(refusing: Callable[[], psycopg.Connection], dsn: str) -> None:
    run = visits(dsn)
    plain = Run(run.spec, Database(refusing), run.ledger)
    assert throttle.reasons(plain) == {}
    with plain.database.session() as session, plain.database.block(session):
        assert session.value_unless_refused("pruning/find_wal_position") is None
        assert session.row("preflight/find_server")["standby"] is False
    with run.database.session() as session:
        assert session.value_unless_refused("pruning/find_wal_position") > 0
