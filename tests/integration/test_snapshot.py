"""The backup holds what the statistics say, its check turns red when it does not, and no secret is seen anywhere."""

from __future__ import annotations

import gzip
import hashlib
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from partition_playbook.artifacts import ARTIFACTS_VARIABLE, run_name
from partition_playbook.benchmark import measure
from partition_playbook.benchmark.measure import benchmark
from partition_playbook.checks import Check, Outcome
from partition_playbook.errors import InvalidSpec, PlaybookError, PreconditionFailed, ToolMissing
from partition_playbook.run import Run
from partition_playbook.sections.snapshot import backup as backups
from partition_playbook.sections.snapshot import pg_tools, storage
from partition_playbook.sections.snapshot.backup import Backup, take_backup, take_statistics
from partition_playbook.sections.snapshot.checks import back_up, storage_checks
from partition_playbook.sections.snapshot.restore import check_restore, scratch_name
from partition_playbook.spec import RunParams, TableSpec
from staging import cluster
from tests.fixtures.tables import open_run

Readings = Callable[[int], None]
SECRET = "hunter2-not-to-be-seen"
INSERT = """INSERT INTO sensor_readings (unit_id, device_id, recorded_at)
SELECT u.id, d.id, now() - random() * interval '300 days' FROM units u, devices d LIMIT 50"""


def one(connection: psycopg.Connection, query: str, *params: Any) -> Any:
    row = connection.execute(query, params or None).fetchone()  # type: ignore[call-overload]
    return row[0] if row else None


def named(checks: list[Check]) -> dict[str, Check]:
    return {each.name: each for each in checks}


def restored(run: Run, backup: Backup) -> dict[str, Outcome]:
    return {each.name: each.outcome for each in check_restore(run, backup)}


def databases(connection: psycopg.Connection, name: str) -> int:
    return int(one(connection, "SELECT count(*) FROM pg_database WHERE datname = %s", name))


def folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Give artifacts and scratch folders of this test's own."""
    found = SimpleNamespace(artifacts=tmp_path / "artifacts", scratch=tmp_path / "scratch")
    monkeypatch.setenv(ARTIFACTS_VARIABLE, str(found.artifacts))
    monkeypatch.setenv(storage.SCRATCH_VARIABLE, str(found.scratch))
    return found


PASSED = dict.fromkeys(("statistics", "backup_unchanged", "restore_clean", "restore", "backup_stored"), Outcome.PASSED)


def test_a_backup_restores_to_what_the_snapshot_held_and_goes_to_the_artifacts(
    run: Run, readings: Readings, connection: psycopg.Connection, places: SimpleNamespace
) -> None:
    readings(3000)
    checks = named(back_up(run, RunParams(mode="rehearse"), Path))
    assert {name: each.outcome for name, each in checks.items()} == PASSED
    assert "3,000 equal rows in 16" in checks["restore"].actual
    assert databases(connection, scratch_name(run)) == 0

    recorded = run.ledger.measurements("snapshot")["backup"]
    kept = Path(recorded["detail"]["folder"])
    assert kept.parent == places.artifacts / run_name("test-run") / "backup"
    assert recorded["detail"]["host"] == socket.gethostname()
    assert recorded["detail"]["bytes"] == sum(path.stat().st_size for path in kept.iterdir())
    assert recorded["detail"]["sha256"] == hashlib.sha256((kept.parent / backups.SUMS).read_bytes()).hexdigest()
    checked = ["sha256sum", "--check", "--strict", backups.SUMS]
    assert subprocess.run(checked, cwd=kept.parent, check=False, capture_output=True).returncode == 0
    assert stat.S_IMODE((kept.parent.parent).stat().st_mode) == 0o700
    assert list(places.scratch.iterdir()) == []


def test_scratch_is_for_this_account_only_and_is_removed_after_an_error(places: SimpleNamespace) -> None:
    def fail() -> None:
        with storage.scratch_folder("a run") as scratch:
            modes.append(stat.S_IMODE(scratch.stat().st_mode))
            (scratch / "dump").mkdir()
            raise KeyboardInterrupt

    modes: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        fail()
    assert modes == [0o700]
    assert list(places.scratch.iterdir()) == []


def test_a_retry_removes_the_scratch_of_a_killed_try_of_its_run_only(places: SimpleNamespace) -> None:
    for run_id in ("a run", "another run"):
        context = storage.scratch_folder(run_id)
        left = context.__enter__()
        (left / "rows").write_text(run_id)
        left.rename(left.with_name(f"{left.name}_left"))
    with storage.scratch_folder("a run"):
        assert [path.read_text() for path in places.scratch.glob("*/rows")] == ["another run"]


def test_the_dump_is_larger_than_the_room_of_this_worker(places: SimpleNamespace) -> None:
    enough, short = storage.scratch_space(1), storage.scratch_space(1 << 60)
    assert (enough.outcome, short.outcome) == (Outcome.PASSED, Outcome.FAILED)
    assert socket.gethostname() in short.actual
    assert storage.SCRATCH_VARIABLE in short.remedy


def test_preflight_asks_for_room_and_for_a_place(
    run: Run, readings: Readings, connection: psycopg.Connection, places: SimpleNamespace, tmp_path: Path
) -> None:
    readings(3000)
    room, place = storage_checks(run, RunParams(mode="rehearse"), Path)
    assert (room.outcome, place.outcome) == (Outcome.PASSED, Outcome.PASSED)
    size = int(one(connection, "SELECT pg_table_size('sensor_readings')"))
    assert size <= room.evidence["needed"] < int(one(connection, "SELECT pg_database_size(current_database())"))
    assert list(places.artifacts.iterdir()) == []

    places.artifacts.rmdir()
    places.artifacts.touch()
    place = storage_checks(run, RunParams(mode="rehearse"), Path)[1]
    assert place.blocks
    assert "File exists" in place.actual or "Not a directory" in place.actual
    assert storage_checks(run, RunParams(mode="rehearse", backup="skip"), Path) == []


def test_a_newer_tool_restores_into_an_older_server_without_a_complaint(
    run: Run, readings: Readings, tool: Callable[[str, str], Path], tmp_path: Path
) -> None:
    readings(10)
    backup = take_backup(run, tmp_path, 1)
    newest = cluster.bin_dir() / "pg_restore"
    unknown = 'pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "{}"'
    for name, outcome in (("transaction_timeout", Outcome.PASSED), ("wrong_timeout", Outcome.FAILED)):
        tool("pg_restore", f"{newest} \"$@\"; echo '{unknown.format(name)}' >&2; exit 1")
        assert restored(run, backup)["restore_clean"] is outcome


def test_the_ledger_is_not_in_the_backup(
    run: Run, readings: Readings, connection: psycopg.Connection, tmp_path: Path
) -> None:
    readings(10)
    backup = take_backup(run, tmp_path, 1)
    tool = pg_tools.find("pg_restore", connection.info.server_version // 10_000)
    listed = subprocess.run([str(tool), "--list", backup.folder], check=True, capture_output=True, text=True).stdout
    assert "sensor_readings" in listed
    assert "partition_playbook" not in listed


def test_statistics_are_those_of_the_table(run: Run, readings: Readings, connection: psycopg.Connection) -> None:
    readings(2000)
    take_statistics(run)
    month = one(connection, "SELECT to_char(now() AT TIME ZONE 'UTC' - interval '2 months', 'YYYY-MM-01')")
    found = run.ledger.statistics("snapshot")[f"sensor_readings_y{month[:4]}m{month[5:7]}"]
    connection.execute("SET TIME ZONE 'UTC'")
    expected = connection.execute(
        """SELECT count(*), min(recorded_at)::text, max(recorded_at)::text,
                  count(DISTINCT unit_id), count(DISTINCT device_id),
                  sum(hashfloat8extended(hash_record_extended(r, 0)::float8, 0))
             FROM sensor_readings r WHERE recorded_at >= %s::date AND recorded_at < %s::date + interval '1 month'""",
        (month, month),
    ).fetchone()
    distinct = (found.distinct["unit_id"], found.distinct["device_id"])
    assert (found.rows, found.oldest, found.newest, *distinct, found.checksum) == expected
    assert sum(each.rows for each in run.ledger.statistics("snapshot").values()) == 2000


def test_without_distinct_in_the_spec_the_foreign_keys_are_counted(run: Run, readings: Readings) -> None:
    readings(100)
    spec = TableSpec.model_validate(run.spec.model_dump() | {"distinct": []})
    statistics = take_statistics(Run(spec, run.database, run.ledger))
    assert {name for each in statistics for name in each.distinct} == {"unit_id", "device_id"}


def test_backup_and_statistics_see_the_same_rows_while_others_write(
    run: Run, readings: Readings, connect: Callable[[], psycopg.Connection], tmp_path: Path
) -> None:
    readings(20_000)
    stop = threading.Event()

    def write() -> None:
        with connect() as writer:
            writer.autocommit = True
            while not stop.is_set():
                writer.execute(INSERT)
                writer.execute("DELETE FROM sensor_readings WHERE id IN (SELECT id FROM sensor_readings LIMIT 20)")

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        backup = take_backup(run, tmp_path, 2)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert set(restored(run, backup).values()) == {Outcome.PASSED}


def tamper(backup: Backup, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change the rows of the largest file of a dump."""
    largest = max(Path(backup.folder).glob("*.dat.gz"), key=lambda path: path.stat().st_size)
    lines = gzip.decompress(largest.read_bytes()).splitlines(keepends=True)
    largest.write_bytes(gzip.compress(b"".join(change(lines))))


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[0], *lines],
        lambda lines: [lines[0].replace(b"synthetic", b"real"), *lines[1:]],
    ],
    ids=["a row lost", "a row doubled", "a value changed"],
)
def test_a_changed_backup_is_red_even_when_its_hash_was_changed_too(
    run: Run,
    readings: Readings,
    connection: psycopg.Connection,
    tmp_path: Path,
    change: Callable[[list[bytes]], list[bytes]],
) -> None:
    readings(500)
    backup = take_backup(run, tmp_path, 1)
    tamper(backup, change)
    outcomes = restored(run, backup)
    assert (outcomes["backup_unchanged"], outcomes["restore"]) == (Outcome.FAILED, Outcome.FAILED)
    forged = replace(backup, sha256=backups.sha256(backup))
    outcomes = restored(run, forged)
    assert (outcomes["backup_unchanged"], outcomes["restore"]) == (Outcome.PASSED, Outcome.FAILED)
    assert databases(connection, scratch_name(run)) == 0


def test_a_backup_that_cannot_be_read_is_red_and_its_scratch_database_is_gone(
    run: Run, readings: Readings, connection: psycopg.Connection, tmp_path: Path
) -> None:
    readings(500)
    backup = take_backup(run, tmp_path, 1)
    (Path(backup.folder) / "toc.dat").write_bytes(b"nothing")
    checks = named(check_restore(run, backup))
    assert checks["restore"].blocks
    assert "pg_restore ended with status" in checks["restore_clean"].actual
    assert databases(connection, scratch_name(run)) == 0


def test_what_an_earlier_check_left_is_dropped_first(
    run: Run, readings: Readings, connection: psycopg.Connection, tmp_path: Path
) -> None:
    readings(100)
    backup = take_backup(run, tmp_path, 1)
    connection.execute(f"CREATE DATABASE {scratch_name(run)}")  # type: ignore[call-overload]
    assert set(restored(run, backup).values()) == {Outcome.PASSED}


def test_the_scratch_database_is_dropped_when_the_check_fails(
    run: Run, readings: Readings, connection: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(100)
    backup = take_backup(run, tmp_path, 1)
    monkeypatch.setattr("partition_playbook.sections.snapshot.restore.statistics", None)
    with pytest.raises(TypeError):
        check_restore(run, backup)
    assert databases(connection, scratch_name(run)) == 0


def test_the_table_is_restored_whatever_its_name_and_types(
    connection: psycopg.Connection, connect: Callable[[], psycopg.Connection], tmp_path: Path
) -> None:
    connection.execute('CREATE SCHEMA "Odd.Schema"')
    connection.execute("CREATE TYPE \"Odd.Schema\".\"Mood\" AS ENUM ('so', 'la')")
    connection.execute(
        'CREATE TABLE "Odd.Schema"."Table of ""Moods""" ("order" int PRIMARY KEY, "When" date NOT NULL, '
        'mood "Odd.Schema"."Mood", seen point, note json, upper text GENERATED ALWAYS AS (upper(note::text)) STORED)'
    )
    connection.execute(
        'INSERT INTO "Odd.Schema"."Table of ""Moods""" '
        "SELECT n, current_date - n, 'so', point(n, 0.1), '{\"a\": 1}' FROM generate_series(1, 100) n"
    )
    spec = TableSpec.model_validate({"table": "x", "partition_by": "When"})
    spec = spec.model_copy(update={"table": 'Odd.Schema.Table of "Moods"'})
    run = open_run(connect, spec, "odd run/1")
    outcomes = restored(run, take_backup(run, tmp_path, 2))
    assert set(outcomes.values()) == {Outcome.PASSED}


def test_a_second_try_dumps_anew_and_replaces_the_first(run: Run, readings: Readings, places: SimpleNamespace) -> None:
    readings(100)
    made = []
    for _ in range(2):
        assert {each.name: each.outcome for each in back_up(run, RunParams(mode="rehearse"), Path)} == PASSED
        made += places.artifacts.glob("*/backup/dump-*")
    assert len({*made}) == 2
    assert [*places.artifacts.glob("*/backup/dump-*")] == made[1:]


def test_half_a_dump_is_not_left_behind(
    run: Run, readings: Readings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It restores nothing, and takes the room that the next try needs."""
    readings(100)
    with run.database.session() as session:
        real = pg_tools.find("pg_dump", session.server_version())
    tool = tmp_path / "bin" / "pg_dump"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\n"{real}" "$@"\ncase "$*" in *--file*) echo "No space left on device"; exit 1;; esac\n')
    tool.chmod(0o755)
    monkeypatch.setenv(pg_tools.BIN_VARIABLE, str(tool.parent))
    caplog.set_level("INFO")

    with pytest.raises(PlaybookError, match="No space left on device"):
        take_backup(run, folder(tmp_path / "backup"), 1)
    assert list((tmp_path / "backup").iterdir()) == []
    assert "removed the half dump" in caplog.text


def test_somebody_elses_backup_is_not_restored(run: Run, readings: Readings) -> None:
    readings(100)
    outcomes = {each.name: each.outcome for each in back_up(run, RunParams(mode="rehearse", backup="skip"), Path)}
    assert outcomes == {"statistics": Outcome.PASSED, "restore": Outcome.SKIPPED}


def test_a_server_without_an_archive_proves_no_backup_of_others(run: Run, readings: Readings) -> None:
    readings(100)
    params = RunParams(mode="rehearse", backup="external", external_backup_at="2026-11-23T00:00:00Z")
    outcomes = {each.name: each.outcome for each in back_up(run, params, Path)}
    skipped = dict.fromkeys(("restore", "backup_archiving"), Outcome.SKIPPED)
    assert outcomes == {"statistics": Outcome.PASSED} | skipped


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Return a function that puts a script in the place of a tool."""

    def write(name: str, body: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{name} (PostgreSQL) 99.1" && exit\n{body}\n')
        path.chmod(0o755)
        monkeypatch.setenv(pg_tools.BIN_VARIABLE, str(folder))
        return path

    return write


def test_the_password_is_in_no_argument_and_no_log(
    dsn: str,
    spec: TableSpec,
    readings: Readings,
    tool: Callable[[str, str], Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    readings(10)
    run = open_run(
        partial(psycopg.connect, make_conninfo(dsn, password=SECRET, sslpassword=SECRET)), spec, "secret-run"
    )
    seen = tmp_path / "seen"
    tool("pg_dump", f'echo "$@" > {seen}; echo "$PGPASSWORD" > {seen}.password; echo "no: $PGAPPNAME" >&2; exit 3')
    with caplog.at_level("DEBUG"), pytest.raises(PlaybookError) as raised:
        take_backup(run, folder(tmp_path / "backup"), 2)
    assert Path(f"{seen}.password").read_text().strip() == SECRET
    assert "--jobs=2" in seen.read_text()
    assert "pg_dump" in caplog.text
    for text in (seen.read_text(), caplog.text, str(raised.value), str(run.ledger.events())):
        assert SECRET not in text
    assert "pg_dump ended with status 3: no: partition_playbook" in str(raised.value)


def test_a_failed_dump_names_its_folder(
    run: Run, readings: Readings, tool: Callable[[str, str], Path], tmp_path: Path
) -> None:
    readings(10)
    tool("pg_dump", 'echo "pg_dump: error: could not write to output file: No space left on device" >&2; exit 1')
    with pytest.raises(PlaybookError) as raised:
        take_backup(run, folder(tmp_path / "backup"), 2)
    assert raised.value.where.startswith(f"{tmp_path}/backup/dump-")
    assert "No space left on device" in raised.value.problem
    assert list((tmp_path / "backup").iterdir()) == []


def test_a_dump_that_is_gone_is_told_apart_from_a_changed_one(
    run: Run, readings: Readings, connection: psycopg.Connection, tmp_path: Path
) -> None:
    readings(100)
    gone = replace(take_backup(run, tmp_path, 1), folder=f"{tmp_path}/gone")
    with pytest.raises(PreconditionFailed, match="the dump is not on the worker") as raised:
        check_restore(run, gone)
    assert raised.value.where == gone.folder
    assert "that nothing cleans up" in raised.value.remedy
    assert databases(connection, scratch_name(run)) == 0


def test_an_older_tool_is_given_only_what_it_understands() -> None:
    newer = SimpleNamespace(get_parameters=lambda: {"host": "db", "sslmode": "require", "sslnegotiation": "direct"})
    assert pg_tools.address(newer, 15) == "host=db sslmode=require"  # type: ignore[arg-type]
    assert "sslnegotiation=direct" in pg_tools.address(newer, 99)  # type: ignore[arg-type]


def test_a_dump_does_not_outlive_the_task_that_started_it(
    run: Run, readings: Readings, tool: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(10)
    pid = tmp_path / "pid"
    tool("pg_dump", f"echo $$ > {pid}; exec sleep 600")

    def fail(*_: object) -> None:
        while not pid.exists() or not pid.read_text():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(backups, "_statistics", fail)
    with pytest.raises(KeyboardInterrupt):
        take_backup(run, folder(tmp_path / "backup"), 1)
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_a_tool_older_than_the_server_is_passed_over(
    tool: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = tool("pg_dump", "")
    older = tmp_path / "pg_dump"
    older.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 13.4 (Debian 13.4-1)'\n")
    older.chmod(0o755)
    monkeypatch.setenv(pg_tools.BIN_VARIABLE, str(tmp_path))
    monkeypatch.setenv("PATH", str(newer.parent))
    monkeypatch.setattr(pg_tools, "find_spec", lambda name: None)
    assert pg_tools.find("pg_dump", 13) == older
    assert pg_tools.find("pg_dump", 18) == newer
    with pytest.raises(ToolMissing, match=r"has version 13; .* has version 99"):
        pg_tools.find("pg_dump", 100)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv(pg_tools.BIN_VARIABLE)
    with pytest.raises(ToolMissing, match="none was found"):
        pg_tools.find("pg_dump", 13)


def test_every_query_is_timed_and_its_plan_is_kept(run: Run, readings: Readings) -> None:
    readings(2000)
    benchmark(run, "before")
    found = run.ledger.measurements("before")
    assert set(found) == {query.name for query in run.spec.queries}
    for row in found.values():
        detail = row["detail"]
        assert row["value"] == pytest.approx(detail["planning_ms"] + detail["execution_ms"])
        assert row["value"] == sorted(detail["runs"])[4]
        assert len(detail["runs"]) == 9
        assert detail["buffers"] > 0
        assert detail["plan"]["Actual Loops"] == 1


def test_before_and_after_ask_for_the_same_interval(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(2000)
    asked = measure.asked_interval(run)
    query = measure.compose(run, run.spec.queries[2].sql).as_string(connection)
    connection.execute("DELETE FROM sensor_readings WHERE recorded_at > now() - interval '300 days'")
    assert measure.asked_interval(run) == asked
    assert measure.compose(run, run.spec.queries[2].sql).as_string(connection) == query
    assert one(connection, "SELECT %s::timestamptz <= now()", asked.upper)
    assert one(
        connection,
        "SELECT %s::timestamptz BETWEEN now() - '9 months'::interval AND now() - '4 months'::interval",
        asked.lower,
    )


def test_a_query_may_name_tables_as_the_application_does_and_write_nothing(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(100)

    def asking(sql: str) -> Run:
        queries = [{"name": "q", "sql": sql}]
        return Run(TableSpec.model_validate(run.spec.model_dump() | {"queries": queries}), run.database, run.ledger)

    benchmark(asking("SELECT count(*) FROM sensor_readings WHERE source LIKE 'syn%'"), "before")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        benchmark(asking("DELETE FROM sensor_readings"), "before")
    assert one(connection, "SELECT count(*) FROM sensor_readings") == 100
    with pytest.raises(InvalidSpec, match="colour"):
        benchmark(asking("SELECT '{colour}'"), "before")


def test_a_query_that_takes_long_is_asked_fewer_times(
    run: Run, readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(100)
    monkeypatch.setattr(measure, "BUDGET_SECONDS", 0.0)
    benchmark(run, "before")
    assert {len(row["detail"]["runs"]) for row in run.ledger.measurements("before").values()} == {3}


def test_an_empty_table_is_benchmarked_too(run: Run, readings: Readings) -> None:
    readings(0)
    benchmark(run, "before")
    assert len(run.ledger.measurements("before")) == 3
