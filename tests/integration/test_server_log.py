"""The watch reads PostgreSQL's own log where its role may: over rotations, and without a line twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from partition_playbook.checks import Outcome
from partition_playbook.run import Run
from partition_playbook.sections.watch import looks
from partition_playbook.sections.watch.checks import watch_checks
from partition_playbook.sections.watch.looks import Watch
from partition_playbook.spec import ServerLog, TableSpec
from partition_playbook.spec import Watch as WatchSpec
from staging import cluster
from tests.fixtures.scenario_writer import wait_until
from tests.fixtures.tables import open_run

KEPT = {"fsync": "off", "logging_collector": "on", "log_directory": "logs", "log_destination": "stderr,jsonlog"}
VISITS = (
    "DROP TABLE IF EXISTS visits",
    "DROP SCHEMA IF EXISTS partition_playbook CASCADE",
    "CREATE TABLE visits (id bigint PRIMARY KEY, at timestamptz NOT NULL)",
    "CREATE TABLE IF NOT EXISTS parted (id int) PARTITION BY RANGE (id)",
)
GRANTS = (
    "DROP ROLE IF EXISTS watcher",
    "CREATE ROLE watcher LOGIN PASSWORD 'watcher'",
    "GRANT CREATE ON DATABASE postgres TO watcher",
)


@pytest.fixture(scope="module")
def logging_server(programs: Path) -> Iterator[cluster.Cluster]:
    """Return a server of its own that keeps its log in files, of two formats."""
    with cluster.temporary(KEPT, programs) as server:
        yield server


def execute(server: cluster.Cluster, *statements: str) -> None:
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as connection:
        for each in statements:
            connection.execute(each)  # type: ignore[call-overload]


def visits(server: cluster.Cluster, *, user: str | None = None, **log: Any) -> Run:
    execute(server, *VISITS)
    dsn = server.conninfo("postgres")
    if user:
        execute(server, "ALTER TABLE visits OWNER TO watcher")
        dsn = psycopg.conninfo.make_conninfo(dsn, user=user, password=user)
    spec = TableSpec.model_validate({"table": "visits", "partition_by": "at", "interval": "month"})
    run = open_run(partial(psycopg.connect, dsn), spec, "visits")
    return replace(run, spec=spec.model_copy(update={"watch": WatchSpec(server_log=ServerLog(**log))}))


def no_fetch(connection: str, endpoint: str, params: Mapping[str, str]) -> Any:
    raise AssertionError("no source is configured")


def write_without_a_partition(server: cluster.Cluster, number: int) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        execute(server, f"/* write {number} */ INSERT INTO parted VALUES ({number})")


def look_for(run: Run, watch: Watch, found: list[str], text: str) -> None:
    """Look until a text is found: the collector writes a line after the client has its error."""

    def is_found() -> bool:
        found.extend(looks.take(run, watch, no_fetch))
        return any(text in each for each in found)

    wait_until(is_found, text)


def test_a_write_without_a_partition_is_found_once_and_not_an_earlier_one(logging_server: cluster.Cluster) -> None:
    run = visits(logging_server)
    write_without_a_partition(logging_server, 0)
    # The line of the earlier error has arrived once a later one has.
    log = Path(logging_server.data)
    wait_until(lambda: any("no partition" in each.read_text() for each in log.glob("logs/*.log")), "the earlier line")
    watch = looks.begin(run, 120.0)
    found = looks.take(run, watch, no_fetch)
    write_without_a_partition(logging_server, 1)
    look_for(run, watch, found, "no partition of relation")
    for _ in range(3):
        found += looks.take(run, watch, no_fetch)
    (line,) = found
    assert line.startswith("server_log: ")
    (check,) = (each for each in watch_checks(run, watch) if each.name == "watch_server_log")
    assert check.blocks
    assert "no partition of relation" in check.actual


def test_no_line_is_lost_or_doubled_by_a_rotation(logging_server: cluster.Cluster) -> None:
    run = visits(logging_server, pattern=r"STATEMENT:  /\* write \d")
    watch, found = looks.begin(run, 120.0), []
    for number in range(1, 4):
        write_without_a_partition(logging_server, number)
        before = current_file(logging_server)
        # The name of a file has its second; within it the collector goes on with the same file.
        wait_until(lambda before=before: rotated(logging_server, before), "a rotation")  # type: ignore[misc]
    write_without_a_partition(logging_server, 4)
    look_for(run, watch, found, "/* write 4 */")
    assert [each.partition("/* ")[2][:7] for each in found] == ["write 1", "write 2", "write 3", "write 4"]


def current_file(server: cluster.Cluster) -> str:
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as connection:
        (found,) = connection.execute("SELECT pg_current_logfile()").fetchone() or ("",)
    return str(found)


def rotated(server: cluster.Cluster, before: str) -> bool:
    execute(server, "SELECT pg_rotate_logfile()")
    return current_file(server) != before


def test_the_grants_of_the_reason_work_as_they_are_written(logging_server: cluster.Cluster) -> None:
    execute(logging_server, *GRANTS)
    run = visits(logging_server, user="watcher")
    watch = looks.begin(run, 120.0)
    assert looks.take(run, watch, no_fetch) == []
    check = next(each for each in watch_checks(run, watch) if each.name == "watch_server_log")
    assert check.outcome is Outcome.SKIPPED

    execute(logging_server, *check.actual.partition("superuser: ")[2].split("; "))
    watch.ended = True
    watch.save(run)
    again, found = looks.begin(run, 120.0), []
    write_without_a_partition(logging_server, 1)
    look_for(run, again, found, "no partition of relation")
    assert len(found) == 1
    execute(logging_server, "DROP OWNED BY watcher CASCADE", "DROP ROLE watcher")


def test_a_server_without_log_files_is_told(run: Run) -> None:
    watch = looks.begin(run, 120.0)
    assert watch.server_log == {"reason": "the server writes no log files: logging_collector is off"}
    assert looks.take(run, watch, no_fetch) == []
