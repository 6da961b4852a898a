"""A session means what it says, whatever the role, the database or a pooler between would make of it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from partition_playbook import catalog
from partition_playbook.checks import Outcome
from partition_playbook.database import Database
from partition_playbook.engine import reconcile
from partition_playbook.engine.advisory_locks import Exclusive, exclusive_session
from partition_playbook.errors import LockNotGranted, PlaybookError, PreconditionFailed
from partition_playbook.run import Run
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.sections.snapshot.backup import take_backup
from partition_playbook.sections.snapshot.restore import check_restore
from partition_playbook.spec import RunParams, TableSpec, load_spec
from partition_playbook.sql import SQL_ROOT
from tests.fixtures.migration import migrate
from tests.fixtures.pooler import pooled
from tests.fixtures.tables import fill_readings, open_run

REHEARSE = RunParams(mode="rehearse", accept_weaker_uniqueness=True)
Setting = Callable[[str, str], None]


@pytest.fixture
def setting(connection: psycopg.Connection) -> Setting:
    """Return a function that sets a parameter for all later sessions of this test's database."""
    return partial(_set, connection, f"ALTER DATABASE {connection.info.dbname}")


def _set(connection: psycopg.Connection, target: str, name: str, value: str) -> None:
    connection.execute(sql.SQL(f"{target} SET {{}} = {{}}").format(sql.Identifier(name), sql.Literal(value)))  # type: ignore[arg-type]


def shown(database: Database, name: str) -> str:
    with database.session() as session:
        row = session.connection.execute(sql.SQL("SHOW {}").format(sql.Identifier(name))).fetchone()
    return str(next(iter(row.values()))) if row else ""


# What a role or a database may set for its sessions, and the value in ours.
PINNED = [
    pytest.param("transaction_timeout", "5min", "0", marks=pytest.mark.since(17)),
    ("idle_session_timeout", "5min", "0"),
    ("client_encoding", "LATIN1", "UTF8"),
    ("idle_in_transaction_session_timeout", "5min", "10min"),
    ("extra_float_digits", "0", "3"),
    ("bytea_output", "escape", "hex"),
    ("lc_monetary", "C.UTF-8", "C"),
    ("xmlbinary", "hex", "base64"),
    ("xmloption", "document", "content"),
    ("DateStyle", "German", "ISO, MDY"),
    ("IntervalStyle", "iso_8601", "postgres"),
    ("TimeZone", "Asia/Kathmandu", "UTC"),
    ("array_nulls", "off", "on"),
    ("standard_conforming_strings", "off", "on"),
    ("transform_null_equals", "on", "off"),
    ("quote_all_identifiers", "on", "off"),
    ("jit", "on", "off"),
    ("default_transaction_isolation", "serializable", "read committed"),
    ("default_transaction_deferrable", "on", "off"),
    ("session_replication_role", "replica", "origin"),
]


@pytest.mark.parametrize(("name", "theirs", "ours"), PINNED)
def test_a_setting_of_the_database_does_not_reach_our_sessions(
    database: Database, setting: Setting, name: str, theirs: str, ours: str
) -> None:
    setting(name, theirs)
    assert shown(database, name) == ours
    # A reused connection has it as well.
    assert shown(database, name) == ours


def test_every_format_of_an_archive_is_one_of_the_session() -> None:
    fixed = {
        line.split("'")[1]
        for line in (SQL_ROOT / "maintenance" / "set_archive_text.sql").read_text().splitlines()
        if "set_config" in line
    }
    of_session = (SQL_ROOT / "session" / "set_session.sql").read_text()
    fixed.remove("synchronize_seqscans")  # an order of rows and no format
    assert len(fixed) > 8
    assert [name for name in fixed if f"'{name}'" not in of_session] == []


@pytest.mark.parametrize(
    ("name", "ended"),
    [
        pytest.param("transaction_timeout", "SELECT pg_sleep(1.5)", marks=pytest.mark.since(17)),
        ("idle_session_timeout", None),
    ],
)
def test_a_session_outlasts_the_timeouts_of_the_database(
    database: Database, setting: Setting, name: str, ended: str | None
) -> None:
    setting(name, "500ms")
    with database.session() as session:
        if ended:
            session.connection.execute(ended)  # type: ignore[call-overload]
        else:
            time.sleep(1.5)
        session.row("preflight/find_server")


def test_a_host_that_vanishes_gives_its_turn_back_within_45_seconds(database: Database) -> None:
    idle, interval, count = (int(shown(database, f"tcp_keepalives_{each}")) for each in ("idle", "interval", "count"))
    assert min(idle, interval, count) > 0
    assert idle + interval * count <= 45
    with database.session() as session:
        (version,) = session.connection.execute("SELECT version() AS text").fetchall()
    if "linux" in version["text"]:
        assert 0 < int(shown(database, "tcp_user_timeout")) <= 45_000


def test_a_server_that_vanishes_is_noticed_within_45_seconds(database: Database) -> None:
    with database.session() as session:
        line = socket.socket(fileno=os.dup(session.connection.fileno()))
    with line:
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle, interval, count, unanswered = (
            line.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        )
    assert idle + interval * count <= 45
    assert 0 < unanswered <= 45_000


# Encodings ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def encoded(server_dsn: str, template: str) -> Iterator[Callable[[str], str]]:
    """Return a function that creates a database in an encoding and returns its connection string."""
    names: list[str] = []

    def create(encoding: str) -> str:
        names.append(f"{template}_{encoding.lower()}")
        with psycopg.connect(server_dsn, autocommit=True) as connection:
            connection.execute(
                f"CREATE DATABASE {names[-1]} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0 "  # type: ignore[call-overload]
                + ("LOCALE_PROVIDER libc" if connection.info.server_version >= 150000 else "")
            )
        return make_conninfo(server_dsn, dbname=names[-1])

    yield create
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]


FEES = """
CREATE TABLE "Gebühren" (id text PRIMARY KEY, at timestamptz NOT NULL, t text);
INSERT INTO "Gebühren" SELECT 'Größe ' || n, now() - n * interval '1 day', 'ä' FROM generate_series(1, 90) n;
CREATE VIEW "Übersicht" AS SELECT * FROM "Gebühren";
"""


def fees(dsn: str) -> Run:
    with psycopg.connect(dsn, autocommit=True, client_encoding="UTF8") as connection:
        connection.execute(FEES)  # type: ignore[call-overload]
    spec = TableSpec.model_validate({"table": "public.Gebühren", "partition_by": "at", "interval": "month"})
    return open_run(partial(psycopg.connect, dsn), spec, "fees")


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "LATIN9"])
def test_a_database_in_another_encoding_is_carried(encoded: Callable[[str], str], encoding: str) -> None:
    dsn = encoded(encoding)
    run = fees(dsn)
    checks = run.ledger.record_checks(preflight_checks(run, REHEARSE)).checks
    assert [str(each) for each in checks if each.blocks] == []

    # The playbook's own words may hold what the encoding lacks.
    run.ledger.add_note("Größe ① \N{SNOWMAN}", why="①", more=["①", {"①": "①"}])
    assert run.ledger.announce_once("subject ①", "text ①")
    noted = run.ledger.events()[-2]
    del noted["detail"]["origin"]
    assert (noted["message"], noted["detail"]) == ("Größe 1 ?", {"why": "1", "more": ["1", {"1": "1"}]})

    migrate(run)
    with psycopg.connect(dsn, autocommit=True, client_encoding="UTF8") as connection:
        connection.execute("""UPDATE "Gebühren" SET t = 'ö' WHERE id = 'Größe 7'""")
        reconcile.catch_up(run)
        found = connection.execute("""SELECT t FROM "Gebühren_old" WHERE id = 'Größe 7'""").fetchone()
    assert found == ("ö",)


def test_a_lock_holder_is_named_in_another_encoding(encoded: Callable[[str], str]) -> None:
    dsn = encoded("LATIN1")
    run = fees(dsn)
    with psycopg.connect(dsn, client_encoding="UTF8") as connection:
        connection.execute("""SELECT 'ä' FROM "Gebühren" WHERE t = 'ä'""")
        named = {each.name: each for each in preflight_checks(run, REHEARSE)}["long_transactions"]
    assert named.outcome is Outcome.PASSED


def test_bytes_without_an_encoding_are_refused_by_name(encoded: Callable[[str], str]) -> None:
    dsn = encoded("SQL_ASCII")
    with pytest.raises(PreconditionFailed, match="SQL_ASCII"):
        fees(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill_readings(connection, 0)
    run = open_run(partial(psycopg.connect, dsn), load_spec("sensor_readings"), "ascii")
    (refused,) = [each for each in preflight_checks(run, REHEARSE) if each.name == "encoding"]
    assert refused.blocks
    assert refused.actual == "SQL_ASCII"
    assert "pg_dump" in refused.remedy


# Read-only ---------------------------------------------------------------------------------------------------------


def test_a_database_that_is_read_only_by_default_is_refused_by_name(
    connect: Callable[[], psycopg.Connection],
    run: Run,
    readings: Callable[[int], None],
    connection: psycopg.Connection,
    setting: Setting,
    spec: TableSpec,
) -> None:
    readings(10)
    run.ledger.close("no-go")
    setting("default_transaction_read_only", "on")
    with pytest.raises(PreconditionFailed, match="read-only by default") as refused:
        open_run(connect, spec, "another")
    named = {each.name: each for each in preflight_checks(run, REHEARSE.model_copy(update={"mode": "plan"}))}
    assert named["writable"].blocks

    assert f'ALTER DATABASE "{connection.info.dbname}" RESET' in refused.value.remedy
    assert named["writable"].remedy == refused.value.remedy
    with psycopg.connect(connection.info.dsn, autocommit=True) as owner:
        for statement in refused.value.remedy.partition("execute: ")[2].split("; "):
            owner.execute(statement)  # type: ignore[call-overload]
    later = open_run(connect, spec, "another")
    assert {each.name: each for each in preflight_checks(later, REHEARSE)}["writable"].outcome is Outcome.PASSED


def test_a_role_that_is_read_only_by_default_is_refused_by_name(
    server_dsn: str, dsn: str, spec: TableSpec, readings: Callable[[int], None], template: str
) -> None:
    readings(10)
    role = f"{template}_reader"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN SUPERUSER")  # type: ignore[call-overload]
        try:
            database = conninfo_to_dict(dsn)["dbname"]
            for target in (f'ROLE "{role}"', f'ROLE "{role}" IN DATABASE "{database}"'):
                _set(connection, f"ALTER {target}", "default_transaction_read_only", "on")
                with pytest.raises(PreconditionFailed) as refused:
                    open_run(partial(psycopg.connect, make_conninfo(dsn, user=role)), spec, "another")
                remedy = f"ALTER {target} RESET default_transaction_read_only"
                assert remedy in refused.value.remedy
                connection.execute(remedy)  # type: ignore[call-overload]
            open_run(partial(psycopg.connect, make_conninfo(dsn, user=role)), spec, "another")
        finally:
            with psycopg.connect(dsn, autocommit=True) as own:
                own.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER")  # type: ignore[call-overload]
            connection.execute(f"DROP ROLE {role}")  # type: ignore[call-overload]


def test_a_connection_that_asks_for_read_only_is_refused_by_name(
    dsn: str, spec: TableSpec, readings: Callable[[int], None]
) -> None:
    readings(10)
    asks = make_conninfo(dsn, options="-c default_transaction_read_only=on")
    with pytest.raises(PreconditionFailed, match="options") as refused:
        open_run(partial(psycopg.connect, asks), spec, "another")
    assert "25006" not in str(refused.value)


# Poolers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 20])
@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_shares_sessions_is_refused_and_left_as_it_was(
    dsn: str, spec: TableSpec, readings: Callable[[int], None], mode: str, size: int
) -> None:
    readings(10)
    names = ("search_path", "row_security", "lock_timeout", "TimeZone", "application_name")
    with pooled(dsn, mode, size) as shared:

        def settings() -> list[object]:
            with psycopg.connect(shared, autocommit=True) as application:
                return [application.execute(f"SHOW {name}").fetchone() for name in names]  # type: ignore[call-overload]

        before = settings()
        connect = partial(psycopg.connect, shared)
        with pytest.raises(PlaybookError, match="pooler") as refused, Database(connect).session():
            pass
        assert refused.value.remedy.startswith("Connect to the server itself, or to a pool in session mode")
        with pytest.raises(PlaybookError, match="pooler"):
            open_run(connect, spec, "pooled")

        direct = open_run(partial(psycopg.connect, dsn), spec, "direct")
        through = Run(spec, Database(connect), direct.ledger)
        checks = {each.name: each for each in preflight_checks(through, REHEARSE)}
        assert checks["session_pooling"].blocks
        assert checks["session_pooling"].remedy.startswith("Connect to the server itself, or to a pool in session mode")
        assert settings() == before
        with psycopg.connect(shared, autocommit=True) as application:
            assert application.execute("SELECT count(*) FROM sensor_readings").fetchone() == (10,)


def test_a_pool_that_was_in_session_mode_before_is_refused_by_preflight(
    dsn: str, spec: TableSpec, readings: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(10)
    direct = open_run(partial(psycopg.connect, dsn), spec, "direct")
    with pooled(dsn, "transaction") as shared:
        with psycopg.connect(shared) as connection:
            known = connection.info.dsn
        # This process has proved the same address before its pool was changed.
        monkeypatch.setattr("partition_playbook.database.poolers._unshared", {known})
        through = Run(spec, Database(partial(psycopg.connect, shared)), direct.ledger)
        checks = {each.name: each for each in preflight_checks(through, REHEARSE)}
        assert checks["session_pooling"].blocks


def test_a_pooler_that_is_busy_is_refused_too(dsn: str) -> None:
    with pooled(dsn, "transaction") as shared:
        others = [psycopg.connect(shared) for _ in range(4)]
        for each in others:
            each.execute("SELECT 1")
        for each in others[:3]:
            each.rollback()
        with pytest.raises(PlaybookError, match="pooler"), Database(partial(psycopg.connect, shared)).session():
            pass
        for each in others:
            each.close()


def test_a_pool_in_session_mode_is_as_good_as_the_server(
    dsn: str, spec: TableSpec, readings: Callable[[int], None]
) -> None:
    readings(10)
    with pooled(dsn, "session") as own:
        connect = partial(psycopg.connect, own)
        run = open_run(connect, spec, "pooled")
        checks = {each.name: each for each in preflight_checks(run, REHEARSE)}
        assert checks["session_pooling"].outcome is Outcome.PASSED
        assert [str(each) for each in checks.values() if each.blocks] == []

        second = open_run(connect, spec, "pooled")
        with exclusive_session(run, Exclusive.STEP), pytest.MonkeyPatch.context() as patched:
            patched.setattr("partition_playbook.engine.advisory_locks.PATIENCE_MS", 100)
            with pytest.raises(LockNotGranted), exclusive_session(second, Exclusive.STEP):
                pass


def test_a_pool_that_resets_nothing_hands_on_no_prepared_read(
    dsn: str, spec: TableSpec, readings: Callable[[int], None]
) -> None:
    readings(10)
    with pooled(dsn, "session", size=2, reset="") as own:
        for _ in range(4):
            database = Database(partial(psycopg.connect, own))
            with database.session() as session:
                assert catalog.require(session, spec.name).columns
            database.close_idle()


# Restore check -----------------------------------------------------------------------------------------------------

TEMPERATURES = """
CREATE TABLE temps (id int PRIMARY KEY, at timestamptz NOT NULL, c double precision, r real, b bytea[], m money,
                    i interval[], a timestamptz[]);
INSERT INTO temps
SELECT n, now() - n * interval '1 hour', n / 3.0, n / 7.0, ARRAY['\\x00ff'::bytea], n::numeric::money,
       ARRAY[n * interval '1 hour'], ARRAY[now()]
  FROM generate_series(1, 300) n;
"""


def test_settings_of_the_database_leave_a_right_backup_right(
    connect: Callable[[], psycopg.Connection], connection: psycopg.Connection, setting: Setting, tmp_path: Path
) -> None:
    connection.execute(TEMPERATURES)  # type: ignore[call-overload]
    for name, value in {
        "extra_float_digits": "0",
        "bytea_output": "escape",
        "lc_monetary": "C.UTF-8",
        "xmlbinary": "hex",
        "DateStyle": "German",
        "IntervalStyle": "iso_8601",
        "TimeZone": "Asia/Kathmandu",
    }.items():
        setting(name, value)
    spec = TableSpec.model_validate({"table": "temps", "partition_by": "at", "interval": "month"})
    run = open_run(connect, spec, "temps")
    checks = {each.name: each for each in check_restore(run, take_backup(run, tmp_path, 1))}
    assert checks["restore"].outcome is Outcome.PASSED, str(checks["restore"])
