"""A run whose tasks die goes on where the ledger says it stands, in a running Airflow and under live writers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from partition_playbook.names import TableName
from partition_playbook.spec import TABLES_VARIABLE
from staging import instance
from staging.rest import AirflowClient, TaskInstance
from staging.writers import Writers
from tests.fixtures import footprint, sabotage
from tests.fixtures.dag_runs import uri

MIGRATION = "partition_migration"
APPROVAL = "migration.approve_cutover"
TABLE = TableName("public", "sensor_readings")
SECONDS = 420  # a whole run on a busy machine
RUN = "SELECT phase, verdict FROM partition_playbook.runs WHERE mode <> 'maintenance'"
PIDS = "SELECT pid FROM task_instance WHERE run_id = %s AND task_id = %s AND state = 'running' AND pid IS NOT NULL"
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = %s"


@dataclass(frozen=True)
class Server:
    """The tests' server, with databases of this module's own in the place of staging's."""

    dsn: str

    def conninfo(self, database: str = "staging") -> str:
        return uri(self.dsn, self.name(database))

    @staticmethod
    def name(database: str) -> str:
        return f"playbook_resume_{os.getpid()}_{database}"


@pytest.fixture(scope="module")
def server(server_dsn: str) -> Iterator[Server]:
    server = Server(server_dsn)
    airflow = sql.Identifier(server.name("airflow"))
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(airflow))
        yield server
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(airflow))


@pytest.fixture(scope="module")
def client(server: Server, tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowClient]:
    """Return a session of somebody logged in to a running Airflow."""
    home = tmp_path_factory.mktemp("resume") / "airflow"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TABLES_VARIABLE, str(tables))
        try:
            with instance.start(home, server).client() as client:  # type: ignore[arg-type]
                client.wait_for_dag(MIGRATION)
                client.wait_for_dag("partition_rollback")
                yield client
        finally:
            instance.stop(home)


@pytest.fixture
def dsn(server: Server, server_dsn: str, template: str) -> Iterator[str]:
    """Return the database that this Airflow's connection names, new for each test."""
    name = sql.Identifier(server.name("staging"))
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(template)))
        yield server.conninfo()
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@dataclass(frozen=True)
class Migration:
    """One run in Airflow, the tasks that it is made of, and those who may be hurt."""

    client: AirflowClient
    server: Server
    connection: psycopg.Connection
    run_id: str

    def tasks(self, task_id: str, *states: str) -> list[TaskInstance]:
        found = self.client.task_instances(MIGRATION, self.run_id)
        return [each for each in found if each.task_id == task_id and each.state in states]

    def wait_for(self, what: str, reached: Callable[[], object]) -> None:
        deadline = time.monotonic() + SECONDS
        while not reached():
            run = self.client.run(MIGRATION, self.run_id)
            assert not run.finished or reached(), f"the run is over ({run.state}) before {what}: {self.story()}"
            assert time.monotonic() < deadline, f"not {what} after {SECONDS} s: {self.story()}"
            time.sleep(0.1)

    def wait_for_activity(self, task_id: str, event: str) -> None:
        name = f"partition_playbook {task_id}"
        self.wait_for(f"{task_id} waits", lambda: self.one(WAITS, (name, event)))

    def one(self, query: str, values: tuple[str, ...] = ()) -> int:
        (found,) = self.connection.execute(query, values).fetchone()  # type: ignore[misc]
        return int(found)

    def kill(self, task_id: str) -> None:
        """Kill the processes of a task as the kernel does where memory runs out."""
        with psycopg.connect(self.server.conninfo("airflow")) as metadata:
            pids = [pid for (pid,) in metadata.execute(PIDS, (self.run_id, task_id))]
        assert pids
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def clear(self, task_id: str) -> None:
        """Clear what has failed of a task, as a person does who does not want to wait for the next retry."""
        self.wait_for(f"{task_id} has failed", lambda: self.tasks(task_id, "up_for_retry", "failed"))
        for task in self.tasks(task_id, "up_for_retry", "failed"):
            self.client.clear(MIGRATION, self.run_id, task)

    def answer(self, chosen: str) -> None:
        """Answer the question whether to cut over, as a person does."""
        self.wait_for("asked", lambda: self.tasks(APPROVAL, "awaiting_input"))
        self.client.respond(MIGRATION, self.run_id, self.tasks(APPROVAL, "awaiting_input")[0], (chosen,))

    def finish(self) -> str:
        deadline = time.monotonic() + SECONDS
        while not (run := self.client.run(MIGRATION, self.run_id)).finished:
            assert time.monotonic() < deadline, self.story()
            time.sleep(0.2)
        return run.state

    def story(self) -> str:
        """Tell how each task stands, and how those that failed ended."""
        found = self.client.task_instances(MIGRATION, self.run_id)
        failed = [each for each in found if each.state in ("failed", "up_for_retry")]
        ends = [self.client.log(MIGRATION, self.run_id, each)[-1500:] for each in failed]
        return "\n".join([str([(each.task_id, each.state) for each in found]), *ends])


@pytest.fixture
def trigger(client: AirflowClient, server: Server, connection: psycopg.Connection) -> Callable[..., Migration]:
    """Return a function that triggers a migration as the button does."""

    def start(**conf: object) -> Migration:
        run = client.trigger(MIGRATION, {"table": "calm", "accept_weaker_uniqueness": True} | conf)
        return Migration(client, server, connection, run.run_id)

    return start


def test_a_run_whose_tasks_died_thrice_goes_on_and_loses_nothing(
    trigger: Callable[..., Migration], connection: psycopg.Connection, dsn: str
) -> None:
    """One dies in a load, one before the lock of the cutover, and one just after the cutover was committed."""
    in_a_load = sabotage.once(connection, "NEW.state = 'loaded' AND NEW.rows > 0")
    sabotage.at(connection, "loads", in_a_load, "PERFORM pg_sleep(3)")
    after_commit = sabotage.once(connection, "TG_OP = 'UPDATE' AND NEW.name = 'cutover_held_ms'")
    sabotage.at(connection, "measurements", after_commit, sabotage.DIE)
    with Writers(dsn, count=2, rate=20) as writers, psycopg.connect(dsn) as reader:
        reader.execute("SELECT FROM sensor_readings LIMIT 1")
        run = trigger(mode="rehearse", backup="skip")
        run.wait_for_activity("migration.load_partition", "Timeout")
        run.kill("migration.load_partition")
        run.clear("migration.load_partition")
        run.wait_for_activity("migration.cut_over", "Lock")
        run.kill("migration.cut_over")
        reader.rollback()
        run.clear("migration.cut_over")
        run.wait_for("cut over", lambda: run.one("SELECT count(*) FROM pg_class WHERE relname = 'sensor_readings_old'"))
        run.clear("migration.cut_over")
        state = run.finish()
        found = writers.compare()
        errors = writers.errors
    assert state == "success", run.story()
    assert max(each.try_number for each in run.tasks("migration.load_partition", "success")) > 1
    assert [each.try_number for each in run.tasks("migration.cut_over", "success")] == [3]
    assert connection.execute(RUN).fetchall() == [("live", "go")]
    assert found.exact, found
    assert found.rows_checked > 500
    assert errors == ()


def now() -> str:
    return datetime.now(UTC).isoformat()


def test_production_stops_where_a_person_says_no_and_goes_on_where_one_says_yes(
    trigger: Callable[..., Migration], connection: psycopg.Connection, dsn: str
) -> None:
    with Writers(dsn, count=2, rate=20) as writers:
        run = trigger(mode="migrate", backup="external", external_backup_at=now())
        run.answer("Reject")
        assert run.finish() == "failed"
        assert run.tasks("migration.cut_over", "upstream_failed")
        assert connection.execute(RUN).fetchall() == [("attached", None)]
        run.clear(APPROVAL)
        run.answer("Approve")
        assert run.finish() == "success", run.story()
        assert writers.compare().exact
        assert writers.errors == ()
    assert connection.execute(RUN).fetchall() == [("live", "go")]
    assert footprint.description(dsn, TABLE).is_partitioned
    assert {each.state for each in run.client.task_instances(MIGRATION, run.run_id)} == {"success", "skipped"}


def test_a_run_that_waits_for_a_person_is_rolled_back_and_a_late_approval_changes_nothing(
    trigger: Callable[..., Migration], connection: psycopg.Connection, dsn: str, client: AirflowClient
) -> None:
    sabotage.make_ledger(connection)
    table, objects = footprint.description(dsn, TABLE), footprint.objects(connection)
    with Writers(dsn, count=2, rate=20) as writers:
        run = trigger(mode="migrate", backup="external", external_backup_at=now())
        run.wait_for("asked", lambda: run.tasks(APPROVAL, "awaiting_input"))
        assert not footprint.description(dsn, TABLE).is_partitioned
        undo = client.trigger("partition_rollback", {"table": "calm"})
        run.wait_for("rolled back", lambda: client.run("partition_rollback", undo.run_id).finished)
        assert client.run("partition_rollback", undo.run_id).state == "success"
        run.answer("Approve")
        assert run.finish() == "failed"
        assert writers.compare().exact
        assert writers.errors == ()
    (task,) = run.tasks("migration.cut_over", "failed")
    assert "no table stands by to take over" in client.log(MIGRATION, run.run_id, task)
    assert footprint.description(dsn, TABLE) == table
    assert footprint.objects(connection) == objects
    assert connection.execute(RUN).fetchall() == [("abandoned", "rolled back")]
