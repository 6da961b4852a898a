"""A run of partition_maintenance in Airflow: every table in a task of its own, and what other DAGs learn of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.fixtures.dag_runs import SCHEDULED, DagRuns
from tests.fixtures.mailbox import CONNECTION, receiving

SPEC = "table: public.{name}\npartition_by: at\nretention: 12 months\n"
TABLE = """
CREATE TABLE {name} (at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE {name}_default PARTITION OF {name} DEFAULT
"""
HEALTH = "SELECT table_name, status, problems, run_id FROM partition_playbook.health ORDER BY 1"


@pytest.fixture(scope="module")
def two_tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagRuns]:
    """Return an Airflow that knows two tables which this project did not migrate."""
    folder: Path = tmp_path_factory.mktemp("maintained")
    for name in ("readings", "events"):
        (folder / f"{name}.yaml").write_text(SPEC.format(name=name))
    with DagRuns(tmp_path_factory.mktemp("airflow"), folder) as runs:
        yield runs


@pytest.fixture
def tables(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Return a connection to a database with both tables."""
    for name in ("readings", "events"):
        connection.execute(TABLE.format(name=name))  # type: ignore[call-overload]
    return connection


def test_each_table_in_order_is_an_event_that_starts_other_dags(
    two_tables: DagRuns, tables: psycopg.Connection[Any], dsn: str
) -> None:
    done = two_tables.run("partition_maintenance", dsn, {})
    assert done.state == "success"
    assert set(done.events) == {"partition_playbook/readings", "partition_playbook/events"}
    told = done.events["partition_playbook/readings"]
    assert (told["status"], told["problems"], told["ahead"]) == ("green", [], 3)
    assert done.queued == ("after_maintenance",)
    rows = tables.execute(HEALTH).fetchall()
    assert [row[:3] for row in rows] == [("events", "green", []), ("readings", "green", [])]

    # The scheduler's next look acts on what is due; a month has passed for one of them.
    tables.execute(
        "UPDATE partition_playbook.runs SET started_at = now() - '32 days'::interval WHERE table_name = 'events'"
    )
    looked = two_tables.run("partition_maintenance", dsn, {}, **{SCHEDULED: "1"})
    assert (looked.state, looked.tasks["maintenance.maintain_one"]) == ("success", "success")
    assert set(looked.events) == {"partition_playbook/events"}
    assert "public.readings is due at 20" in looked.log
    assert "03:30:00+00:00 (maintain: monthly)" in looked.log
    again = two_tables.run("partition_maintenance", dsn, {}, **{SCHEDULED: "1"})
    assert (again.state, again.tasks["maintenance.maintain_one"]) == ("success", "skipped")


def test_a_table_that_is_not_in_order_fails_alone_after_its_work_and_starts_nothing(
    two_tables: DagRuns, tables: psycopg.Connection[Any], dsn: str
) -> None:
    tables.execute("INSERT INTO events VALUES ('2199-01-01')")
    taken = "CREATE TABLE readings_y{:%Ym%m} (precious int)"
    (month,) = tables.execute("SELECT date_trunc('month', now()) + interval '1 month'").fetchone() or (None,)
    tables.execute(taken.format(month))  # type: ignore[call-overload]
    with receiving() as mailbox:
        done = two_tables.run("partition_maintenance", dsn, {}, **{CONNECTION: mailbox.connection})
    assert mailbox.events == ["maintenance is red"]
    assert "readings: NO-GO after maintenance" in mailbox.text
    assert done.state == "failed"
    assert done.tasks["maintenance.maintain_one"] == "failed, success"
    assert set(done.events) == {"partition_playbook/events"}
    assert (done.events["partition_playbook/events"]["status"], done.queued) == ("yellow", ())
    (events, readings) = tables.execute(HEALTH).fetchall()
    assert events[1:3] == ("yellow", ["default_empty"])
    assert readings[1] == "red"
    assert "partitions_ahead" in readings[2]
    made = tables.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'readings'::regclass").fetchone()
    assert made == (4,), "the default one, the current one, and those ahead but one"
    assert any("NO-GO after maintenance" in each for each in (*done.messages, done.log))


def test_a_dry_run_of_one_table_for_another_moment_is_no_event(
    two_tables: DagRuns, tables: psycopg.Connection[Any], dsn: str
) -> None:
    done = two_tables.run(
        "partition_maintenance",
        dsn,
        {"table": "events", "dry_run": True, "as_of": "2031-01-01T00:00:00Z", "retention": "off"},
    )
    assert (done.state, dict(done.events), done.queued) == ("success", {}, ())
    assert any("would create public.events_y2031m04" in each for each in done.messages)


def test_a_moment_that_is_none_is_refused(two_tables: DagRuns, tables: psycopg.Connection[Any], dsn: str) -> None:
    done = two_tables.run("partition_maintenance", dsn, {"as_of": "soon"})
    assert (done.state, dict(done.events)) == ("failed", {})
    assert "InvalidSpec" in done.log
    assert "key 'as_of'" in done.log
