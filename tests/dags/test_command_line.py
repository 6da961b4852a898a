"""The command line on a migrated table: answers, exit codes, and one line for each failure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from partition_playbook.spec import DEFAULT_TABLES, TABLES_VARIABLE
from tests.fixtures.dag_runs import CONNECTION, uri

Ask = Callable[..., Any]
WRITTEN = (
    "SELECT (SELECT count(*) FROM partition_playbook.events), (SELECT count(*) FROM partition_playbook.measurements), "
    "(SELECT count(*) FROM partition_playbook.checks), (SELECT count(*) FROM partition_playbook.runs)"
)
# Without the present partition the table is red at any hour; without only the next one it is not on a first day of a
# month, before the scheduled run.
PRESENT_AND_NEXT = (
    "SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid "
    "WHERE inhparent = 'sensor_readings'::regclass AND split_part(pg_get_expr(relpartbound, inhrelid), chr(39), 2) "
    "LIKE ANY (SELECT to_char(now() AT TIME ZONE 'UTC' + ahead, 'YYYY-MM') || '%' "
    "FROM unnest('{0, 1 month}'::interval[]) AS ahead)"
)


@pytest.fixture(scope="session")
def template(migrated_template: str) -> str:
    """Start every test where the worked table was migrated."""
    return migrated_template


@pytest.fixture
def ask(airflow_metadata: None, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """Return a function that runs a command; the spec's Airflow connection leads to this test's database."""
    from partition_playbook.cli import app
    from partition_playbook.console import read

    (tmp_path / "readings.yaml").write_text((DEFAULT_TABLES / "sensor_readings.yaml").read_text())
    (tmp_path / "wrong.yaml").write_text("table: events\npartition_by: at\nintervall: day\n")
    monkeypatch.setenv(TABLES_VARIABLE, str(tmp_path))
    monkeypatch.setenv(CONNECTION, uri(dsn))
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")  # the script sets it: here it is set back
    read.database.cache_clear()
    yield lambda *given: CliRunner().invoke(app, list(given))
    read.database.cache_clear()


def content(done: Any, code: int) -> Any:
    assert (done.exit_code, done.stderr) == (code, "")
    return json.loads(done.stdout)


def test_a_migrated_table_is_looked_at_without_a_write(
    ask: Ask, connection: psycopg.Connection, tmp_path: Path
) -> None:
    before = connection.execute(WRITTEN).fetchall()
    assert before[0][0] > 5

    status = ask("status", "readings")
    assert status.exit_code == 2  # Airflow has no DAG run of it
    assert "    newest run: rehearse, live, lost, test-run\n    next: " in status.stdout
    assert "\n    unknown: the application's rate is not known yet; the rate of reconcile is " in status.stdout
    assert status.stdout.endswith("; 0 changes in the change log\n")
    (table,) = content(ask("status", "readings", "--json"), 2)["tables"]
    assert (table["table"], table["last_run"]["state"]) == ("public.sensor_readings", "lost")

    (found,) = content(ask("health", "readings", "--json"), 0)["tables"]
    assert (found["status"], found["problems"], found["gaps"]) == ("green", [], 0)

    spec = tmp_path / "readings.yaml"
    spec.write_text(f"{spec.read_text()}\ninterval: week\n")
    changed = ask("health", "readings")
    assert changed.stdout.startswith("readings: green, ")
    assert "    skip interval_change: expected partitions of one week from the first bound of both" in changed.stdout
    assert connection.execute(WRITTEN).fetchall() == before


def test_a_red_table_is_a_finding(ask: Ask, connection: psycopg.Connection) -> None:
    present, following = (name for (name,) in connection.execute(PRESENT_AND_NEXT).fetchall())
    connection.execute(f"DROP TABLE {present}, {following}")  # type: ignore[call-overload]
    done = ask("health", "readings")
    assert done.exit_code == 2
    assert done.stdout.startswith("readings: red, 0 partitions ahead, 2 gaps, about ")
    assert "    FAIL runway: expected partitions up to the run of partition_maintenance after next" in done.stdout


def test_the_events_of_a_run_are_told_oldest_first(ask: Ask, connection: psycopg.Connection) -> None:
    found = content(ask("events", "readings", "--json"), 0)
    wanted = connection.execute(
        "SELECT event_id FROM partition_playbook.events WHERE run_id = 'test-run' ORDER BY event_id DESC LIMIT 100"
    ).fetchall()
    assert found["run_id"] == "test-run"
    assert [each["event_id"] for each in found["events"]] == [event for (event,) in reversed(wanted)]

    listed = ask("events", "readings", "--kind", "statement", "--most", "5").stdout.splitlines()
    assert listed[0] == "readings: run test-run, 5 events"
    assert (len(listed), all("  statement  " in line for line in listed[1:])) == (6, True)


def test_a_plan_that_a_check_refuses_is_a_no_go(ask: Ask) -> None:
    done = ask("plan", "readings")
    assert done.exit_code == 2
    assert done.stdout.splitlines()[-1].startswith("public.sensor_readings: NO-GO: ")
    assert "already_partitioned" in done.stdout
    assert content(ask("plan", "readings", "--json"), 2)["go"] is False


def test_a_lock_in_the_way_is_a_code_of_its_own(ask: Ask, dsn: str) -> None:
    with psycopg.connect(dsn) as holder:
        holder.execute("LOCK TABLE partition_playbook.runs IN ACCESS EXCLUSIVE MODE")
        done = ask("status", "readings")
    assert (done.exit_code, done.stdout) == (5, "")
    assert done.stderr == (
        "connection partition_playbook_db: canceling statement due to lock timeout. "
        "Another session holds the lock. Run the command again\n"
    )


def test_a_ledger_that_is_not_there_is_told(ask: Ask, connection: psycopg.Connection) -> None:
    connection.execute("DROP SCHEMA partition_playbook CASCADE")
    done = ask("events", "readings")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "ledger" in done.stderr
    assert ask("status", "readings").stdout.endswith("health unknown\n    no run yet\n")


@pytest.mark.parametrize(
    ("given", "told", "remedy"),
    [
        (["events", "none"], "there is no table spec 'none'", "name an existing spec: readings, wrong"),
        (["plan", "wrong"], "line 3: key 'intervall' is unknown (did you mean `interval`?)", "Valid keys: "),
        (["plan", "readings", "--param", "rows=1"], "--param: key 'rows' is unknown", "Valid keys: "),
        (["plan", "readings", "--param", "seed"], "--param: 'seed' has no value", "Write --param seed=VALUE"),
    ],
)
def test_a_wrong_spec_or_param_is_code_3(ask: Ask, given: list[str], told: str, remedy: str) -> None:
    done = ask(*given)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert told in done.stderr
    assert remedy in done.stderr
    assert json.loads(ask(*given, "--json").stdout)["failure"]["exit"] == 3


@pytest.mark.parametrize("command", ["plan", "status", "health", "events"])
@pytest.mark.parametrize(
    ("address", "told", "remedy"),
    [
        ("nobody@127.0.0.1:1/nothing", "127.0.0.1", "Start the server, or correct host and port"),
        ("nobody@no-such-host.invalid:5432/a", "no-such-host.invalid", "Correct the host of the Airflow connection"),
        ("", 'database "no_such_database" does not exist', "Correct the database (schema) of the Airflow connection"),
    ],
)
def test_an_unreachable_database_is_code_4(
    ask: Ask, dsn: str, monkeypatch: pytest.MonkeyPatch, command: str, address: str, told: str, remedy: str
) -> None:
    monkeypatch.setenv(CONNECTION, f"postgresql://{address}" if address else uri(dsn, "no_such_database"))
    done = ask(command, "readings")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (4, "", 1), done.stderr
    assert told in done.stderr
    assert remedy in done.stderr


def test_a_metadata_database_without_tables_is_told(airflow: None) -> None:
    from partition_playbook.shell.failures import failure_of

    failure = failure_of(OperationalError("SELECT 1", {}, Exception("no such table: dag_run")))
    assert failure.exit == 4
    assert str(failure).startswith("Airflow's database: ")
    assert str(failure).endswith("airflow db migrate")
