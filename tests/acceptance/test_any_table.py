"""The command that the README names, on a table that nothing of ours was made for."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from partition_playbook.names import TableName
from tests.fixtures import footprint
from tests.fixtures.dag_runs import CONNECTION, airflow_settings, uri

SPEC = """
table: Plant A.Sensor Readings
partition_by: Recorded At
interval: week
timezone: America/St_Johns
premake: 9
retention: {keep: 5 weeks, action: archive, archive_to: "file://ARCHIVE"}
default_partition: none
queries:
  - name: last week
    sql: SELECT * FROM {table} WHERE {partition_by} >= now()::timestamp - interval '7 days' ORDER BY {partition_by}
    since: now()::timestamp - interval '7 days'
    criterion: false
application:
  probes:
    - name: hottest
      sql: SELECT "Device", max(value) FROM {table} GROUP BY 1 ORDER BY 1
"""
SCHEMA = """
CREATE SCHEMA "Plant A";
CREATE TABLE "Plant A"."order" (id int PRIMARY KEY);
INSERT INTO "Plant A"."order" SELECT generate_series(1, 5);
CREATE TABLE "Plant A"."Sensor Readings" (
    "Device" text COLLATE "C", "user" text, "Recorded At" timestamp NOT NULL, value numeric, raw jsonb, "order" int,
    note text GENERATED ALWAYS AS (upper("user")) STORED, flags bit(4) DEFAULT B'0000',
    PRIMARY KEY ("Device", "user"),
    FOREIGN KEY ("order") REFERENCES "Plant A"."order"
);
CREATE INDEX "by time" ON "Plant A"."Sensor Readings" ("Recorded At" DESC) WHERE value IS NOT NULL;
CREATE INDEX ON "Plant A"."Sensor Readings" USING gin (raw);
INSERT INTO "Plant A"."Sensor Readings" ("Device", "user", "Recorded At", value, raw, "order")
SELECT 'd''"%' || n % 7, 'é ' || n, date_trunc('microseconds', localtimestamp - random() * interval '60 days'), n,
       jsonb_build_object('n', n), 1 + n % 5
  FROM generate_series(1, 2000) AS n;
ANALYZE
"""
TABLE = TableName("Plant A", "Sensor Readings")
ROWS = 'SELECT t::text FROM "Plant A"."Sensor Readings" t ORDER BY "Device", "user"'
RUN = "SELECT mode, phase, verdict FROM partition_playbook.runs WHERE mode <> 'maintenance'"
PROVED = "SELECT outcome, evidence->>'archive' FROM partition_playbook.checks WHERE name = 'retention_proved'"
SECONDS = 240


WEEKS = """
SELECT count(*), bool_and(lower = date_trunc('week', lower)), bool_or(isfinite(lower)),
       max(lower) > localtimestamp + interval '2 weeks' - interval '1 day'
  FROM (SELECT (regexp_match(pg_get_expr(relpartbound, oid), $$FROM \\('([^']+)'\\)$$))[1]::timestamp AS lower
          FROM pg_class WHERE relispartition AND relkind = 'r') AS partitions
"""


@pytest.fixture(scope="module")
def template(server_dsn: str) -> str:
    """Start from an empty database."""
    return "template1"


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of an Airflow whose metadata database is there."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "Plant A's readings.yaml").write_text(SPEC.replace("ARCHIVE", f"{folder}/archive"))
    environment = os.environ | airflow_settings(tmp_path_factory.mktemp("airflow"), folder)
    done = subprocess.run(words("db", "migrate"), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return environment


@pytest.fixture
def hostile(connection: psycopg.Connection) -> psycopg.Connection:
    connection.execute(SCHEMA)
    return connection


def words(*given: str) -> list[str]:
    return [sys.executable, "-m", "airflow", *given]


@contextmanager
def dags_test(
    airflow: Mapping[str, str], dsn: str, log: Path, dag_id: str, **conf: object
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command in the background, with its output in a file; what still runs at the end is killed."""
    command = words("dags", "test", dag_id, "--conf", json.dumps({"table": "Plant A's readings"} | conf))
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env={**airflow, CONNECTION: uri(dsn)}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def run(airflow: Mapping[str, str], dsn: str, log: Path, dag_id: str, **conf: object) -> None:
    with dags_test(airflow, dsn, log, dag_id, **conf) as process:
        assert process.wait(SECONDS) == 0, log.read_text()[-6000:]


def wait_for(text: str, log: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SECONDS
    while text not in log.read_text():
        assert process.poll() is None, log.read_text()[-6000:]
        assert time.monotonic() < deadline, log.read_text()[-6000:]
        time.sleep(0.1)


def rows(connection: psycopg.Connection) -> list[str]:
    return [text for (text,) in connection.execute(ROWS)]


def test_a_rehearsal_of_a_hostile_table_goes_well(
    airflow: dict[str, str], hostile: psycopg.Connection, dsn: str, tmp_path: Path
) -> None:
    before, shape = rows(hostile), footprint.description(dsn, TABLE)
    conf = {"mode": "rehearse", "backup": "skip", "accept_weaker_uniqueness": True}
    run(airflow, dsn, tmp_path / "log", "partition_migration", **conf)
    assert hostile.execute(RUN).fetchall() == [("rehearse", "live", "go")]
    after = footprint.description(dsn, TABLE)
    assert after.is_partitioned
    assert after.columns == shape.columns
    assert {index.name for index in after.indexes} == {index.name for index in shape.indexes}
    assert {key.definition for key in after.foreign_keys} == {key.definition for key in shape.foreign_keys}
    assert rows(hostile) == before
    (count, mondays, finite, ahead) = hostile.execute(WEEKS).fetchone()  # type: ignore[misc]
    assert (mondays, finite, ahead) == (True, True, True)
    assert count >= 60 // 7 + 2 + 1, "weeks of rows, those ahead, and the one that maintenance was asked for"
    assert_retention_is_proved(hostile)


def assert_retention_is_proved(hostile: psycopg.Connection) -> None:
    ((outcome, archive),) = hostile.execute(PROVED)
    assert outcome == "passed"
    assert len(gzip.decompress(Path(archive.removeprefix("file://")).read_bytes()).splitlines()) == 1 + 100


def test_production_waits_for_a_person_and_can_be_rolled_back_without_one(
    airflow: dict[str, str], hostile: psycopg.Connection, dsn: str, tmp_path: Path
) -> None:
    """Nobody answers where no scheduler runs: the command waits at the approval, and nothing is cut over."""
    before = rows(hostile), footprint.description(dsn, TABLE)
    log, taken_at = tmp_path / "log", datetime.now(UTC).isoformat()
    conf = {
        "mode": "migrate",
        "watch_minutes": 0,
        "backup": "external",
        "external_backup_at": taken_at,
        "accept_weaker_uniqueness": True,
    }
    with dags_test(airflow, dsn, log, "partition_migration", **conf) as process:
        wait_for("Waiting for Human-in-the-loop input for tasks: ['migration.approve_cutover']", log, process)
        assert hostile.execute(RUN).fetchall() == [("migrate", "attached", None)]
        assert not footprint.description(dsn, TABLE).is_partitioned
    run(airflow, dsn, tmp_path / "rollback", "partition_rollback")
    assert hostile.execute(RUN).fetchall() == [("migrate", "abandoned", "rolled back")]
    assert (rows(hostile), footprint.description(dsn, TABLE)) == before
