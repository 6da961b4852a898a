"""Situations that users meet: the last line of the failed task's log, and its remedy, followed to the letter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.conninfo import make_conninfo

from partition_playbook.airflow.last_line import FAILED
from partition_playbook.artifacts import ARTIFACTS_VARIABLE
from tests.fixtures import sabotage
from tests.fixtures.dag_runs import CONNECTION, DagRuns, Finished, uri

MIGRATION = "partition_migration"
REHEARSE = {"mode": "rehearse", "backup": "skip", "accept_weaker_uniqueness": True, "min_speedup": 0}
READER = "remedies_reader"
STANDS = "SELECT phase, verdict FROM partition_playbook.runs WHERE mode = 'rehearse' ORDER BY started_at DESC LIMIT 1"


@dataclass
class Scene:
    """A database, a spec and an Airflow connection that a situation may spoil, and a person who follows a remedy."""

    dsn: str
    connection: psycopg.Connection[Any]
    dag_runs: DagRuns
    folder: Path
    conf: dict[str, Any] = field(default_factory=lambda: {"table": "met", "mode": "plan"})
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> Path:
        return self.folder / "met.yaml"

    def change_spec(self, **keys: object) -> None:
        self.spec.write_text(yaml.safe_dump(yaml.safe_load(self.spec.read_text()) | keys))

    def connect_as(self, role: str, **more: str) -> None:
        self.environment[CONNECTION] = uri(make_conninfo(self.dsn, user=role, **more))

    def run(self) -> Finished:
        return self.dag_runs.run(MIGRATION, self.dsn, self.conf, **self.environment)

    def execute(self, statements: str) -> None:
        """Execute the statements of a remedy, as a superuser in psql does; of two ways take the first one."""
        for each in statements.split("; "):
            self.connection.execute(each.partition(", or ")[0])  # type: ignore[call-overload]


@pytest.fixture
def scene(dsn: str, connection: psycopg.Connection[Any], dag_runs: DagRuns, tables: Path) -> Iterator[Scene]:
    folder = tables / "met"
    folder.mkdir()
    spec = yaml.safe_load((tables / "calm" / "calm.yaml").read_text())
    (folder / "met.yaml").write_text(yaml.safe_dump(spec | {"application": {}}))
    connection.execute(f"CREATE ROLE {READER} LOGIN")
    yield Scene(dsn, connection, dag_runs, folder)
    connection.execute(f"DROP OWNED BY {READER}; DROP ROLE {READER}")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def last_line(run: Finished) -> str:
    """Return the last line of the failed task: nothing of ours comes after it."""
    assert run.state == "failed", run.tasks
    line = run.messages[-1]
    assert line.startswith(FAILED), run.messages[-5:]
    assert "None" not in line
    return line.removeprefix(FAILED)


def between(line: str, start: str, end: str) -> str:
    """Return the part of a line that a person copies."""
    assert start in line, line
    return line.partition(start)[2].partition(end)[0]


@dataclass(frozen=True)
class Situation:
    """An event, the beginning of the last line, and the deed of the person who reads it."""

    happen: Callable[[Scene], None]
    line: str
    follow: Callable[[Scene, str], None]


def lose_rights(scene: Scene) -> None:
    scene.connect_as(READER)


def grant(scene: Scene, line: str) -> None:
    scene.execute("GRANT" + between(line, ". GRANT", ". Then follow"))


def move_to_another_schema(scene: Scene) -> None:
    scene.connection.execute("CREATE SCHEMA telemetry; ALTER TABLE sensor_readings SET SCHEMA telemetry")


def misspell(scene: Scene) -> None:
    scene.change_spec(table="sensor_reading")


def take_the_named_table(scene: Scene, line: str) -> None:
    scene.change_spec(table=line.partition("Set `table` in the spec to its name, such as: ")[2])


def let_be_null(scene: Scene) -> None:
    scene.connection.execute("ALTER TABLE sensor_readings ALTER recorded_at DROP NOT NULL")


def alter(scene: Scene, line: str) -> None:
    scene.execute("ALTER" + between(line, "Execute ALTER", ". Partitions"))


def write_twice(scene: Scene) -> None:
    (scene.folder / "twin.yaml").write_text(scene.spec.read_text())


def keep_one(scene: Scene, line: str) -> None:
    (scene.folder / between(line, ": ", " describes the same table")).unlink()


def take_a_name(scene: Scene) -> None:
    scene.connection.execute("CREATE TABLE sensor_readings_default ()")


def rename(scene: Scene, line: str) -> None:
    scene.execute(f"ALTER TABLE {between(line, 'taken: ', '. ')} RENAME TO something_else")


def review_another_plan(scene: Scene) -> None:
    scene.conf["plan_hash"] = "0" * 16


def take_the_present_plan(scene: Scene, line: str) -> None:
    scene.conf["plan_hash"] = between(line, "trigger this run again with plan_hash ", ".")


def read_only(scene: Scene) -> None:
    scene.connection.execute(f"ALTER ROLE {READER} SUPERUSER")
    scene.connection.execute(f"ALTER ROLE {READER} SET default_transaction_read_only = on")
    scene.connect_as(READER)


def write_again(scene: Scene, line: str) -> None:
    scene.execute(between(f"{line}. ", "execute: ", ". "))


def lose_the_connection(scene: Scene) -> None:
    scene.change_spec(connection="app_db")


def export(scene: Scene, line: str) -> None:
    name, _, address = between(line, "Export ", ",").partition("=")
    assert address == "postgresql://user:password@host:5432/database"
    scene.environment[name] = uri(scene.dsn)


def point_to_a_wrong_port(scene: Scene) -> None:
    scene.connect_as("postgres", port="1")


def point_to_an_unknown_database(scene: Scene) -> None:
    scene.connect_as("postgres", dbname="nowhere")


def point_to_an_unknown_role(scene: Scene) -> None:
    scene.connect_as("nobody")


def correct_the_connection(scene: Scene, line: str) -> None:
    assert re.search(r"[Cc]orrect (?:host and port|the database \(schema\)|the login) of the Airflow connection", line)
    del scene.environment[CONNECTION]


SITUATIONS = {
    "a role without privileges": Situation(lose_rights, "sensor_readings: NO-GO: privileges. ", grant),
    "a table in another schema": Situation(
        move_to_another_schema, "sensor_readings: NO-GO: table_exists. ", take_the_named_table
    ),
    "a misspelt table": Situation(misspell, "sensor_reading: NO-GO: table_exists. ", take_the_named_table),
    "a partition column that may be NULL": Situation(let_be_null, "sensor_readings: NO-GO: partition_values. ", alter),
    "two specs of one table": Situation(write_twice, "", keep_one),
    "a name that is taken": Situation(take_a_name, "sensor_readings: NO-GO: names_fit. ", rename),
    "a plan that changed": Situation(
        review_another_plan, "sensor_readings: NO-GO: reviewed_plan. ", take_the_present_plan
    ),
    "a role that may only read": Situation(read_only, "sensor_readings: NO-GO: writable. ", write_again),
    "no Airflow connection": Situation(lose_the_connection, "sensor_readings: NO-GO: connectivity. ", export),
    "a wrong port": Situation(point_to_a_wrong_port, "sensor_readings: NO-GO: connectivity. ", correct_the_connection),
    "an unknown database": Situation(
        point_to_an_unknown_database, "sensor_readings: NO-GO: connectivity. ", correct_the_connection
    ),
    "an unknown role": Situation(
        point_to_an_unknown_role, "sensor_readings: NO-GO: connectivity. ", correct_the_connection
    ),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_remedy_in_the_last_line_leads_to_a_plan(scene: Scene, name: str) -> None:
    situation = SITUATIONS[name]
    situation.happen(scene)
    line = last_line(scene.run())
    assert line.startswith(situation.line)

    situation.follow(scene, line)
    again = scene.run()
    assert (again.state, again.tasks["plan"]) == ("success", "success"), again.messages[-3:]


# In the middle of a run --------------------------------------------------------------------------------------------


def test_a_lock_that_a_report_holds(scene: Scene) -> None:
    scene.conf |= REHEARSE
    with psycopg.connect(scene.dsn, application_name="a report") as report:
        report.execute("SELECT count(*) FROM sensor_readings")
        run = scene.run()
        line = last_line(run)
        assert line.startswith("public.sensor_readings: no lock in ")
        assert "terminate them, then clear this task to resume" in line
        scene.connection.execute("SELECT pg_terminate_backend(%s)", [int(between(line, "held by: pid ", " user"))])
        report.close()
    resumed = scene.dag_runs.resume(MIGRATION, scene.dsn, run.run_id)
    assert resumed.state == "success", resumed.tasks
    assert scene.connection.execute(STANDS).fetchall() == [("live", "go")]


def test_an_artifacts_folder_that_cannot_be_written(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    scene.environment[ARTIFACTS_VARIABLE] = str(tmp_path / "a file")
    scene.conf |= REHEARSE | {"backup": "dump"}
    run = scene.run()
    line = last_line(run)
    assert line.startswith(
        f"NO-GO: preflight: FAIL artifacts_store: expected a file can be written to {tmp_path}/a file"
    )
    assert "the folder can't be written on the worker " in line
    assert f"Correct {ARTIFACTS_VARIABLE}" in line
    assert line.endswith("Read the report and follow it, then start a new run")
    kept = "SELECT name FROM partition_playbook.reports WHERE run_id = %s ORDER BY name"
    reports = [name for (name,) in scene.connection.execute(kept, [run.run_id]) if name.startswith("report")]
    assert reports == ["report.html", "report.json", "report.md"]

    scene.environment[ARTIFACTS_VARIABLE] = str(tmp_path / "other")
    again = scene.run()
    assert again.state == "success", again.tasks
    assert [path.name for path in (tmp_path / "other").glob("*/report.md")] == ["report.md"]


def test_a_change_log_that_was_full(scene: Scene) -> None:
    scene.change_spec(change_log_limit=1 << 20)
    write = "FOR i IN 1..20 LOOP UPDATE public.sensor_readings SET battery = battery; END LOOP"
    sabotage.at(scene.connection, "loads", sabotage.once(scene.connection, sabotage.LOADED), write)
    scene.conf |= REHEARSE
    line = last_line(scene.run())
    assert line.startswith("public.sensor_readings: ")
    assert "trigger partition_rollback" in line
    assert "`change_log_limit`" in line

    back = scene.dag_runs.run("partition_rollback", scene.dsn, {"table": "met"})
    assert back.state == "success", back.tasks
    scene.change_spec(change_log_limit=1 << 30)
    again = scene.run()
    assert again.state == "success", again.tasks
    assert scene.connection.execute(STANDS).fetchall() == [("live", "go")]
