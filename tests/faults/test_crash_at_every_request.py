"""A process that dies at any moment of the engine's work: it is done again, or undone, and nothing is lost.

Each step starts from a copy of a database in which all before it were done. Every request of the step that makes
something last is struck twice: before the server hears of it, and after it was done but before the answer arrives; all
connections of the process are cut with it. Then a new process takes over, by turns to go on and to go back, while an
application writes all the time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from partition_playbook.database import Database
from partition_playbook.errors import PlaybookError
from partition_playbook.ledger import Ledger, Phase
from partition_playbook.migration import cutover, load, reconcile, rollback, settle, shadow, verify
from partition_playbook.migration.run import Direction, Run
from partition_playbook.spec import load_spec
from tests.fixtures import footprint
from tests.fixtures.proxy import Proxy, Strike
from tests.fixtures.scenario_writer import Statement, Writer, read_rows, unlike
from tests.fixtures.tables import fill_readings, open_run

# The months of the writer's rows are among those of the rows that are there: it makes no other partitions necessary.
ROWS, DAYS, WRITTEN_DAYS = 300, 60, 20
RUN_ID = "crash"
SPEC = load_spec("sensor_readings").model_copy(update={"premake": 1})
KEY = ("id",)
STATEMENTS = (
    Statement(
        "insert",
        "INSERT INTO sensor_readings AS live (unit_id, device_id, temperature, recorded_at, received_at, source) "
        "SELECT (SELECT id FROM units LIMIT 1), (SELECT id FROM devices LIMIT 1), %(n)s %% 40, %(moment)s, now(), 'w'",
    ),
    Statement("move", "UPDATE sensor_readings AS live SET recorded_at = %(moment)s WHERE id = %(id)s"),
    Statement("correct", "UPDATE sensor_readings AS live SET battery = %(n)s %% 100 WHERE id = %(id)s"),
    Statement("delete", "DELETE FROM sensor_readings AS live WHERE id = %(id)s"),
)
MOST_REQUESTS = 500
COMPARABLE = {Phase.ATTACHED, Phase.LIVE, Phase.ROLLED_BACK}
LEFT = """
SELECT format('%s %s of %s', locktype, mode, application_name)
  FROM pg_locks JOIN pg_stat_activity USING (pid)
 WHERE datname = current_database() AND (locktype = 'advisory' OR state <> 'idle')
   AND application_name LIKE 'partition\\_playbook%'
"""


def load_all(run: Run) -> None:
    for each in run.ledger.loads():
        load.load_partition(run, each["partition_name"], workers=1)


def attach(run: Run) -> None:
    shadow.attach(run)
    settle.settle(run, workers=1)


def verify_online(run: Run) -> None:
    reconcile.catch_up(run, until=1000)
    assert not verify.content_check(*verify.compare(run)).blocks


STEPS: dict[str, Callable[[Run], object]] = {
    "build_shadow": shadow.create,
    "load_partition": load_all,
    "attach_partitions": attach,
    "verify_online": verify_online,
    "cut_over": lambda run: cutover.swap(run, Direction.FORWARD),
    "roll_back": rollback.roll_back,
    "migrate_again": lambda run: rollback.verified_swap(run, Direction.FORWARD, occasion="second_cutover"),
    "finalize": rollback.finalize,
}


def go_back(run: Run) -> None:
    """Do what ``partition_rollback`` does."""
    if Phase(run.ledger.run()["phase"]) is Phase.LIVE:
        rollback.roll_back(run)
    rollback.abandon(run)


def attached(dsn: str) -> Run:
    connect = partial(psycopg.connect, dsn)
    ledger = Ledger(Database(connect), RUN_ID, "migration")
    return Run(SPEC, Database(connect, sink=ledger.sink), ledger)


@dataclass(frozen=True)
class Stages:
    """A database as it is before each step, and what stands in it after each; before the first under ``""``."""

    server: str
    names: dict[str, str]
    objects: dict[str, set[tuple[object, ...]]]

    def clone(self, step: str, number: int) -> str:
        """Return the connection string of a copy as it is before a step."""
        name = f"{self.names[step]}_{number}"
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(_sql("CREATE DATABASE {} TEMPLATE {}", name, self.names[step]))
        return make_conninfo(self.server, dbname=name)


def _sql(text: str, *names: str) -> sql.Composed:
    return sql.SQL(text).format(*map(sql.Identifier, names))


def drop(server: str, dsn: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(_sql("DROP DATABASE {} WITH (FORCE)", conninfo_to_dict(dsn)["dbname"]))


@pytest.fixture(scope="module")
def stages(server_dsn: str) -> Stages:
    """Run every step once, with a copy of the database before each."""
    work = f"playbook_crash_{os.getpid()}"
    dsn = make_conninfo(server_dsn, dbname=work)
    stages = Stages(server_dsn, {}, {})
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(_sql("CREATE DATABASE {}", work))
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill_readings(connection, ROWS, days=DAYS)
    open_run(partial(psycopg.connect, dsn), SPEC, RUN_ID)
    for done, (name, step) in zip(["", *STEPS], STEPS.items(), strict=False):
        with psycopg.connect(dsn, autocommit=True) as connection:
            stages.objects[done] = footprint.objects(connection)
        stages.names[name] = f"{work}_{name}"
        with psycopg.connect(server_dsn, autocommit=True) as connection:
            connection.execute(_sql("CREATE DATABASE {} TEMPLATE {}", stages.names[name], work))
        step(attached(dsn))
    with psycopg.connect(dsn, autocommit=True) as connection:
        stages.objects[name] = footprint.objects(connection)
    return stages


@pytest.mark.parametrize("strike", Strike)
@pytest.mark.parametrize("name", STEPS)
def test_a_process_that_dies_is_survived(stages: Stages, name: str, strike: Strike) -> None:
    for at in range(1, MOST_REQUESTS):
        dsn = stages.clone(name, at)
        back = (at + (strike is Strike.UNTOLD)) % 2 and name != "finalize"
        struck = survive(stages, dsn, name, at, strike, back=bool(back))
        drop(stages.server, dsn)
        if not struck:
            break
    assert 1 < at < MOST_REQUESTS - 1


def survive(stages: Stages, dsn: str, name: str, at: int, strike: Strike, *, back: bool) -> bool:
    """Let a step die, go on or back, and look; tell whether there was such a request at all."""
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        Writer(dsn, KEY, STATEMENTS, seed=at, days=WRITTEN_DAYS) as writer,
    ):
        writer.record = dict(read_rows(connection, SPEC.name, KEY))
        writer.start()
        writer.let_write(5)
        with Proxy(dsn) as proxy:
            proxy.arm(at, strike)
            try:
                STEPS[name](attached(proxy.conninfo))
            except (psycopg.Error, PlaybookError):
                if not proxy.has_struck:
                    raise
            struck = proxy.has_struck
        writer.let_write(5)
        run = attached(dsn)
        (go_back if back else STEPS[name])(run)
        writer.let_write(5)
        with writer.paused():
            assert writer.errors == []
            look(connection, run, stages.objects["" if back else name], writer)
    return struck


def look(connection: psycopg.Connection, run: Run, objects: set[tuple[object, ...]], writer: Writer) -> None:
    """Compare objects, rows and what stands by with what they must be, and find no session left."""
    assert unlike(writer.record, read_rows(connection, SPEC.name, KEY)) == {}
    found = footprint.objects(connection)
    assert found == objects, f"left: {found - objects}, missing: {objects - found}"
    if Phase(run.ledger.run()["phase"]) in COMPARABLE:
        verify_online(run)
    assert connection.execute(LEFT).fetchall() == []
