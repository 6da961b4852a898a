"""Mode plan at its worst: one refusal, one line with what, where and what to do, at once and without a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg.conninfo import make_conninfo

from partition_playbook.login import DATABASE, NO_SERVER, PASSWORD, ROLE, TLS
from tests.fixtures import footprint
from tests.fixtures.dag_runs import CONNECTION, DagRuns, Finished, uri

MIGRATION = "partition_migration"
PLAN = {"mode": "plan"}


@dataclass(frozen=True)
class Fault:
    """A spec or a connection that is wrong, and the words of its line."""

    check: str
    actual: str
    remedy: str
    column: str = ""
    connection: tuple[tuple[str, str], ...] = ()
    options: str = ""
    unlisted: str = "see "


FAULTS = {
    "an integer column": Fault(
        "partition_type", "actual smallint", "Set partition_by in the spec to a stored", "battery"
    ),
    "a uuid column": Fault(
        "partition_type", "actual uuid", "Otherwise set partition_by in the spec to a stored", "trace"
    ),
    "a misspelt column": Fault("columns_exist", "missing: recorded_att", "the columns are battery, ", "recorded_att"),
    "a wrong password": Fault(
        "connectivity", PASSWORD.problem, PASSWORD.remedy, connection=(("user", "guarded_role"), ("password", "wrong"))
    ),
    "an unknown role": Fault("connectivity", ROLE.problem, ROLE.remedy, connection=(("user", "nobody"),)),
    "an unknown database": Fault(
        "connectivity", DATABASE.problem, DATABASE.remedy, connection=(("dbname", "nowhere"),)
    ),
    "a server without TLS": Fault("connectivity", TLS.problem, TLS.remedy, options="?sslmode=require"),
    "a host where no server is": Fault(
        "connectivity", NO_SERVER.problem, NO_SERVER.remedy, connection=(("port", "1"),)
    ),
    "a role without rights": Fault(
        "privileges", "SELECT on", "GRANT SELECT", connection=(("user", "stranger"),), unlisted="permission denied"
    ),
}


@pytest.fixture
def surroundings(connection: psycopg.Connection, dsn: str) -> Iterator[None]:
    """Add a uuid column, a role without rights, and one that needs a password."""
    connection.execute("ALTER TABLE sensor_readings ADD COLUMN trace uuid NOT NULL DEFAULT gen_random_uuid()")
    connection.execute("CREATE ROLE stranger LOGIN; CREATE ROLE guarded_role LOGIN PASSWORD 'right'")
    (hba,) = connection.execute("SELECT pg_read_file(current_setting('hba_file'))").fetchone() or ("",)
    _write_hba(connection, f"host all guarded_role all scram-sha-256\n{hba}")
    _wait_for_refusal(dsn)
    yield
    _write_hba(connection, hba)
    connection.execute("DROP ROLE stranger; DROP ROLE guarded_role")


def _wait_for_refusal(dsn: str) -> None:
    """Ask until the server has read its pg_hba.conf again: it does so at its own time."""
    for _ in range(1000):
        try:
            psycopg.connect(make_conninfo(dsn, user="guarded_role", password="wrong")).close()
        except psycopg.OperationalError:
            return
    raise TimeoutError("the server admits a wrong password")


def _write_hba(connection: psycopg.Connection, text: str) -> None:
    lines = [each for each in text.splitlines() if each.strip() and not each.startswith("#")]
    (path,) = connection.execute("SELECT current_setting('hba_file')").fetchone() or ("",)
    connection.execute("CREATE TEMP TABLE hba (line text)")
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO hba VALUES (%s)", [[" ".join(each.split())] for each in lines])
    connection.execute(f"COPY hba TO '{path}'".encode())
    connection.execute("DROP TABLE hba")
    connection.execute("SELECT pg_reload_conf()")


@pytest.fixture
def misread(tables: Path) -> Iterator[Path]:
    """Return the path of a spec that a test may write."""
    path = tables / "misread.yaml"
    yield path
    path.unlink(missing_ok=True)


def run_plan(dag_runs: DagRuns, dsn: str, tables: Path, misread: Path, fault: Fault) -> Finished:
    spec = yaml.safe_load((tables / "sensor_readings" / "sensor_readings.yaml").read_text())
    if fault.column:
        spec |= {"partition_by": fault.column, "application": {}}
    misread.write_text(yaml.safe_dump(spec))
    wrong = uri(make_conninfo(dsn, **dict(fault.connection))) + fault.options
    return dag_runs.run(MIGRATION, dsn, PLAN | {"table": "misread"}, **{CONNECTION: wrong})


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.usefixtures("surroundings")
def test_one_fault_is_one_line_at_once_and_no_traceback_of_another_error(
    name: str, dsn: str, dag_runs: DagRuns, tables: Path, misread: Path
) -> None:
    fault = FAULTS[name]
    run = run_plan(dag_runs, dsn, tables, misread, fault)
    assert run.state == "failed"
    failed = [each for each in run.messages if each.startswith("FAIL ")]
    assert [each.split(":")[0] for each in failed] == [f"FAIL {fault.check}"]
    assert fault.actual in failed[0]
    assert fault.remedy in failed[0]

    (unlisted,) = (each for each in run.messages if each.startswith("no statement is listed: "))
    assert fault.unlisted in unlisted
    assert not any("outside the supported range" in each for each in run.messages)
    # The error of the task is the last word: the same check, with its remedy, from one attempt.
    assert run.log.count(f"NO-GO: {fault.check}. {fault.check}: expected ") == run.log.count("NO-GO: ")
    assert "NO-GO: " in run.log
    assert "psycopg" not in run.log
    assert "During handling of the above exception" not in run.log
    assert "direct cause of the following exception" not in run.log


@pytest.mark.usefixtures("surroundings")
def test_a_wrong_password_in_a_run_fails_its_first_task_in_the_playbooks_words(
    dsn: str, dag_runs: DagRuns, tables: Path, misread: Path
) -> None:
    misread.write_text((tables / "sensor_readings" / "sensor_readings.yaml").read_text())
    wrong = uri(make_conninfo(dsn, user="guarded_role", password="wrong"))
    run = dag_runs.run(MIGRATION, dsn, {"mode": "rehearse", "table": "misread"}, **{CONNECTION: wrong})
    assert run.state == "failed"
    assert run.tasks["preflight.open_run"] == "failed"
    assert PASSWORD.problem in run.log
    assert "psycopg" not in run.log


def test_an_event_trigger_that_refuses_the_ledger_is_named_with_its_remedy(
    dsn: str, connection: psycopg.Connection, dag_runs: DagRuns
) -> None:
    connection.execute(
        "CREATE TABLE ddl_audit (tag text); "
        "CREATE FUNCTION note_ddl() RETURNS event_trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO ddl_audit VALUES (tg_tag); END'; "
        "CREATE EVENT TRIGGER audited ON ddl_command_end EXECUTE FUNCTION note_ddl()"
    )
    run = dag_runs.run(MIGRATION, dsn, {"mode": "rehearse"})
    assert run.state == "failed"
    assert run.tasks["preflight.open_run"] == "failed"
    assert "an event trigger refuses the statement: 42P01" in run.log
    assert "ALTER FUNCTION … SET search_path" in run.log


def test_the_plan_is_kept_with_its_hash_and_a_run_of_another_plan_is_refused(
    dsn: str, connection: psycopg.Connection, dag_runs: DagRuns, home: Path
) -> None:
    before = footprint.catalog_rows(connection)
    run = dag_runs.run(MIGRATION, dsn, PLAN)
    assert run.state == "success"
    assert footprint.catalog_rows(connection) == before
    kept = [Path(each.removeprefix("plan: ")) for each in run.messages if each.startswith("plan: ")]
    assert [path.name for path in kept] == ["plan.sql", "plan.json"]
    values = json.loads(kept[1].read_text())
    assert f"plan_hash {values['plan_hash']}" in run.messages
    assert (home / "artifacts") in kept[0].parents

    conf = PLAN | {"plan_hash": values["plan_hash"]}
    assert dag_runs.run(MIGRATION, dsn, conf).state == "success"
    connection.execute("CREATE INDEX ON sensor_readings (source)")
    changed = dag_runs.run(MIGRATION, dsn, conf)
    assert changed.state == "failed"
    (refused,) = (each for each in changed.messages if each.startswith("FAIL "))
    assert refused.startswith(
        f"FAIL reviewed_plan: expected the reviewed plan, plan_hash {values['plan_hash']}; actual"
    )


def test_a_rehearsal_of_another_plan_stops_in_preflight_and_keeps_the_present_one(
    dsn: str, connection: psycopg.Connection, dag_runs: DagRuns
) -> None:
    conf = {"mode": "rehearse", "backup": "skip", "accept_weaker_uniqueness": True, "plan_hash": "0" * 16}
    run = dag_runs.run(MIGRATION, dsn, conf)
    assert run.state == "failed"
    failed = (
        "SELECT name FROM partition_playbook.checks WHERE outcome = 'failed' AND severity = 'error' AND section = %s"
    )
    assert connection.execute(failed, ["preflight"]).fetchall() == [("reviewed_plan",)]
    assert run.tasks["migration.build_shadow"] == "skipped"
    assert connection.execute("SELECT to_regclass('sensor_readings_new')").fetchone() == (None,)

    kept = {Path(each.removeprefix("plan: ")).name: each for each in run.messages if each.startswith("plan: ")}
    text = Path(kept["plan.sql"].removeprefix("plan: ")).read_text()
    values = json.loads(Path(kept["plan.json"].removeprefix("plan: ")).read_text())
    assert f"-- refused by reviewed_plan: plan_hash {values['plan_hash']}\n" in text
