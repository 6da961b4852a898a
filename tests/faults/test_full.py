"""Disk, memory, connections and time run out: what was begun is undone, the application writes on, a retry works.

The disk that is full is a real one: a tablespace on a small file system of its own. Memory runs out where the server
says so (a trigger on the ledger raises the error), because a server that really has none is killed.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pydantic import ByteSize

from partition_playbook.database import Database
from partition_playbook.engine import capture, drain, load
from partition_playbook.engine.sides import sides
from partition_playbook.errors import CaptureLost, OutOfResources, Unreachable
from partition_playbook.ledger import Ledger
from partition_playbook.maintenance import copies
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.names import TableName
from partition_playbook.run import Run
from staging.cluster import ACCOUNT
from tests.fixtures import footprint, sabotage
from tests.fixtures.scenario_writer import Writer, read_rows, unlike, wait_until
from tests.fixtures.stages import KEY, RUN_ID, SPEC, STATEMENTS, STEPS, WRITTEN_DAYS, Stages, go_back, take_over
from tests.integration.test_maintenance import contents, mixed_run
from tests.integration.test_maintenance_split import FEW, failures, leftovers, make_waiting

LOG = SPEC.name.change_log
FULL = "No space left on device|wrote only"  # PostgreSQL 15 and older write a part of a page
LEFT_BYTES = 12_288  # for the index that TRUNCATE makes anew, and for no page of rows
FORWARD = ("load_partition", "attach_partitions", "verify_online", "cut_over")
numbers = count()


@dataclass(frozen=True)
class Disk:
    """A tablespace on a file system of its own, and a file that fills it."""

    tablespace: str
    folder: Path

    def fill(self, *, leave: int = 0) -> None:
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            try:
                while ballast.write(bytes(4096)):
                    pass
            except OSError:
                ballast.truncate(ballast.tell() - leave)

    def free(self) -> None:
        (self.folder / "ballast").unlink()


@pytest.fixture
def disk(server_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    """Mount a megabyte and give it to the server; only root may."""
    folder = Path("/tmp") / f"playbook-full-{os.getpid()}-{next(numbers)}"
    if os.geteuid() != 0 or ACCOUNT not in {each.pw_name for each in pwd.getpwall()}:
        pytest.skip("only root may mount a small file system")
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], check=False)
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("this host lets nobody mount a small file system")
    space = folder / "space"
    space.mkdir()
    os.chown(space, pwd.getpwnam(ACCOUNT).pw_uid, -1)
    name = folder.name.replace("-", "_")
    try:
        with psycopg.connect(server_dsn, autocommit=True) as connection:
            create = sql.SQL("CREATE TABLESPACE {} LOCATION {}")
            connection.execute(create.format(sql.Identifier(name), sql.Literal(str(space))))
            yield Disk(name, folder)
            connection.execute(sql.SQL("DROP TABLESPACE {}").format(sql.Identifier(name)))
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


@dataclass
class Scene:
    """A database with an application that writes to it, and a run that has come to a step."""

    dsn: str
    connection: psycopg.Connection
    writer: Writer
    run: Run

    def move(self, table: sql.Identifier, tablespace: str) -> None:
        self.connection.execute(sql.SQL("ALTER TABLE {} SET TABLESPACE {}").format(table, sql.Identifier(tablespace)))

    def touch_all(self) -> None:
        """Write every row as it is: the record stays true."""
        with self.writer.paused():
            self.connection.execute("UPDATE sensor_readings SET battery = battery")

    def log_bytes(self) -> int:
        (found,) = self.connection.execute("SELECT pg_relation_size(%s::regclass)", [LOG.quoted]).fetchone() or (0,)
        return int(found)

    def look(self) -> None:
        """Find the application undisturbed, and each of its rows."""
        self.writer.let_write(5)
        with self.writer.paused():
            assert self.writer.errors == []
            assert unlike(self.writer.record, read_rows(self.connection, SPEC.name, KEY)) == {}


@contextmanager
def scene(stages: Stages, step: str) -> Iterator[Scene]:
    with (
        stages.copy(step) as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
        Writer(dsn, KEY, STATEMENTS, days=WRITTEN_DAYS) as writer,
    ):
        writer.record = dict(read_rows(connection, SPEC.name, KEY))
        writer.start()
        yield Scene(dsn, connection, writer, take_over(dsn))


def whole_month(run: Run) -> str:
    """Name the second partition: it has a month of rows, the first one only some of its days."""
    return str(run.ledger.loads()[1]["partition_name"])


def found_loaded(scene: Scene, name: str) -> tuple[str, int]:
    """Return the state of a load and the rows of its partition."""
    (state,) = [each["state"] for each in scene.run.ledger.loads() if each["partition_name"] == name]
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))
    (rows,) = scene.connection.execute(query).fetchone() or (None,)
    return state, rows


def finish(scene: Scene) -> None:
    # The session of a load that died may outlive it for a moment.
    wait_until(lambda: load.free_slots(scene.run, 1) > 0, "a load slot")
    for step in FORWARD:
        STEPS[step](scene.run)
    scene.look()


def test_a_load_that_fills_the_disk(stages: Stages, disk: Disk) -> None:
    with scene(stages, "load_partition") as found:
        name = whole_month(found.run)
        found.move(sql.Identifier(name), disk.tablespace)
        disk.fill(leave=LEFT_BYTES)
        with pytest.raises(OutOfResources, match=FULL):
            STEPS["load_partition"](found.run)
        assert found_loaded(found, name) == ("loading", 0)
        found.look()
        disk.free()
        STEPS["load_partition"](found.run)
        found.move(sql.Identifier(name), "pg_default")
        finish(found)


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ("RAISE out_of_memory", OutOfResources),
        ("RAISE configuration_limit_exceeded", OutOfResources),  # temp_file_limit
        ("PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(60)", psycopg.errors.QueryCanceled),
    ],
    ids=["memory", "temporary files", "time"],
)
def test_a_load_that_runs_out_of(stages: Stages, action: str, error: type[Exception]) -> None:
    with scene(stages, "load_partition") as found:
        name = whole_month(found.run)
        loaded = f"NEW.state = 'loaded' AND NEW.partition_name = '{name}'"
        sabotage.at(found.connection, "loads", sabotage.once(found.connection, loaded), action)
        with pytest.raises(error):
            STEPS["load_partition"](found.run)
        assert found_loaded(found, name) == ("loading", 0)
        finish(found)


def test_a_statement_timeout_of_the_server_is_not_ours(stages: Stages) -> None:
    with scene(stages, "load_partition") as found:
        timeout = sql.SQL("ALTER DATABASE {} SET statement_timeout = 1000")
        found.connection.execute(timeout.format(sql.Identifier(found.connection.info.dbname)))
        loaded = f"NEW.state = 'loaded' AND NEW.partition_name = '{whole_month(found.run)}'"
        sabotage.at(found.connection, "loads", loaded, "PERFORM pg_sleep(1.2)")
        run = take_over(found.dsn)
        with pytest.raises(psycopg.errors.QueryCanceled), psycopg.connect(found.dsn) as other:
            other.execute("SELECT pg_sleep(2)")
        STEPS["load_partition"](run)
        assert {each["state"] for each in run.ledger.loads()} == {"loaded"}


@pytest.fixture
def narrow(server_dsn: str) -> Iterator[Callable[[int], str]]:
    """Return a function that lets a role, which may do all that its owner may, have so many connections."""
    role = f"playbook_narrow_{os.getpid()}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        (owner,) = connection.execute("SELECT current_user").fetchone() or ("",)
        connection.execute(f"CREATE ROLE {role} LOGIN IN ROLE {owner}")  # type: ignore[call-overload]

        def limit(most: int) -> str:
            connection.execute(f"ALTER ROLE {role} CONNECTION LIMIT {most}")  # type: ignore[call-overload]
            return role

        yield limit
        connection.execute(f"DROP ROLE {role}")  # type: ignore[call-overload]


def test_too_many_connections(stages: Stages, narrow: Callable[[int], str]) -> None:
    with scene(stages, "load_partition") as found:
        name = whole_month(found.run)
        connect = partial(psycopg.connect, make_conninfo(found.dsn, user=narrow(2), options="-c role=postgres"))
        run = Run(SPEC, Database(connect), Ledger(Database(connect), RUN_ID, "migration"))
        with pytest.raises(Unreachable, match="no connection is free"):
            STEPS["load_partition"](run)
        assert found_loaded(found, name)[1] == 0
        found.look()
        narrow(-1)
        STEPS["load_partition"](run)
        del run, connect
        finish(found)


@pytest.mark.parametrize("step", ["load_partition", "roll_back"], ids=["before cutover", "after cutover"])
def test_a_full_disk_under_the_change_log(stages: Stages, disk: Disk, step: str) -> None:
    with scene(stages, step) as found:
        found.writer.let_write(5)
        found.move(LOG.identifier, disk.tablespace)
        disk.fill()
        found.touch_all()
        assert capture_is_lost(found.run)
        found.look()
        refuse_and_leave(found, stages, step)


def test_a_change_log_that_reaches_its_limit(stages: Stages) -> None:
    with scene(stages, "build_shadow") as found:
        spec = SPEC.model_copy(update={"change_log_limit": ByteSize(32_768)})
        STEPS["build_shadow"](replace(found.run, spec=spec))
        found.writer.let_write(5)
        assert not capture_is_lost(found.run)
        for _ in range(5):
            found.touch_all()
        assert capture_is_lost(found.run)
        full = found.log_bytes()
        found.touch_all()
        found.look()
        assert 32_768 <= found.log_bytes() == full
        refuse_and_leave(found, stages, "load_partition")


def test_a_loss_just_before_the_lock_is_seen_under_it(stages: Stages) -> None:
    with scene(stages, "cut_over") as found, found.run.database.transaction() as session:
        now, expected = sides(session, found.run), drain.table_fingerprint(found.run)
        found.connection.execute("SELECT nextval(%s::regclass)", [SPEC.name.capture_loss.quoted])
        with pytest.raises(CaptureLost):
            drain.drain_change_log(found.run, session, now, expected, 1_000, drain.Tries())


def capture_is_lost(run: Run) -> bool:
    with run.database.session() as session:
        return "change capture stopped" in capture.loss(session, run)


def refuse_and_leave(found: Scene, stages: Stages, step: str) -> None:
    """See every step refuse that needs the change log, then take the one way that is left."""
    needing = FORWARD[:1] + FORWARD[2:] if step == "load_partition" else ("roll_back",)
    for each in needing:
        with pytest.raises(CaptureLost, match="change capture stopped"):
            STEPS[each](found.run)
    left = "" if step == "load_partition" else "finalize"
    (STEPS["finalize"] if left else go_back)(found.run)
    found.look()
    assert footprint.objects(found.connection) == stages.objects[left]


@pytest.mark.parametrize("limit", [None, 16_384], ids=["disk", "limit"])
def test_a_change_log_that_is_full_while_a_default_partition_is_split(
    connection: psycopg.Connection,
    connect: Callable[[], psycopg.Connection],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    limit: int | None,
) -> None:
    make_waiting(connection, rows=300)
    before = contents(connection)

    def fill(inner: Run, partition: TableName) -> None:
        if not limit:
            disk = request.getfixturevalue("disk")
            moved = sql.SQL("ALTER TABLE {} SET TABLESPACE {}")
            connection.execute(moved.format(inner.table.change_log.identifier, sql.Identifier(disk.tablespace)))
            disk.fill()
        connection.execute('UPDATE "Plant A"."Sensor Readings" SET "Value" = "Value"')

    run = mixed_run(connect)
    run = replace(run, spec=run.spec.model_copy(update={"change_log_limit": limit and ByteSize(limit)}))
    with monkeypatch.context() as patch:
        patch.setattr(copies, "copy_rows", fill)
        failed, *_ = failures(maintain(run, FEW))
    assert "change capture stopped" in failed
    assert "Nothing was replaced" in failed
    assert leftovers(connection) == []
    assert failures(maintain(run, FEW)) == []
    assert contents(connection) == before
