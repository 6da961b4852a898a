"""Preflight says which queries and probes of a spec can give no answer, before anything is touched."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.run import Run
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.spec import RunParams, TableSpec
from tests.fixtures.web import Quiet, served

Readings = Callable[[int], None]
PARAMS = RunParams(mode="rehearse", accept_weaker_uniqueness=True)
LAST_MONTH = "SELECT * FROM {table} WHERE {partition_by} >= now() - interval '30 days'"


def with_spec(run: Run, **changes: object) -> Run:
    return Run(TableSpec.model_validate(run.spec.model_dump() | changes), run.database, run.ledger)


def checked(run: Run, name: str, params: RunParams = PARAMS) -> Check:
    return {each.name: each for each in preflight_checks(run, params)}[name]


def asks(run: Run, **query: object) -> Run:
    return with_spec(run, queries=[{"name": "q", "sql": LAST_MONTH} | query])


@pytest.mark.parametrize(
    ("queries", "told"),
    [
        ([], "the spec has no query"),
        ([{"name": "all", "sql": "SELECT count(*) FROM {table}"}], "no query has `since` or `until`"),
        ([{"name": "odd", "sql": "SELECT nothing FROM {table}", "since": "now()"}], 'odd: column "nothing" does not'),
        ([{"name": "odd", "sql": "SELECT 1 FROM {tabel}", "since": "now()"}], "odd: queries: 'tabel'"),
        ([{"name": "odd", "sql": "SELECT 1 FROM units", "since": "now()"}], "odd: it does not read public.sensor_"),
        ([{"name": "odd", "sql": "SELECT 1; SELECT 2 FROM {table}", "since": "now()"}], "odd: cannot insert multiple"),
    ],
)
def test_queries_that_prove_nothing_stop_the_run_before_it_begins(
    run: Run, readings: Readings, queries: list[dict[str, Any]], told: str
) -> None:
    readings(100)
    found = checked(with_spec(run, queries=queries), "queries")
    assert found.blocks
    assert told in found.actual
    assert "remove the key for the default queries" in found.remedy
    assert "`criterion: false`" in found.remedy


def test_the_default_queries_are_good(run: Run, readings: Readings) -> None:
    readings(20_000)
    for name in ("queries", "query_ranges", "speedup_possible", "probes"):
        assert checked(run, name).outcome is Outcome.PASSED, name
    assert checked(run, "http_probes").outcome is Outcome.SKIPPED


@pytest.fixture
def fill(connection: psycopg.Connection) -> Callable[..., None]:
    """Return a function that spreads rows evenly over so many days up to some days ago."""

    def make(rows: int, days: int, *, ago: int = 0) -> None:
        connection.execute(
            "INSERT INTO sensor_readings (unit_id, device_id, recorded_at, received_at, source) "
            "SELECT (SELECT id FROM units LIMIT 1), (SELECT id FROM devices LIMIT 1), "
            "now() - (%s + random() * %s) * interval '1 day', now(), 'x' FROM generate_series(1, %s)",
            (ago, days, rows),
        )
        connection.execute("ANALYZE")

    return make


@pytest.mark.parametrize("mode", ["rehearse", "plan"])
def test_last_30_days_of_40_days_cannot_halve(
    run: Run, readings: Readings, fill: Callable[..., None], mode: str
) -> None:
    readings(0)
    fill(5_000, 40)
    params = RunParams(mode=mode)
    found = checked(asks(run, since="now() - interval '30 days'"), "speedup_possible", params)
    assert (found.outcome, found.severity) == (Outcome.FAILED, Severity.WARNING)
    assert "q: the partitions of its range cover " in found.actual
    assert "saves at most " in found.actual
    assert "`criterion: false`" in found.remedy
    assert "waiver" in found.remedy


def test_a_quarter_of_the_rows_can_halve(run: Run, readings: Readings, fill: Callable[..., None]) -> None:
    readings(0)
    fill(5_000, 400)
    query = {"since": "now() - interval '30 days'"}
    assert checked(asks(run, **query), "speedup_possible").outcome is Outcome.PASSED
    assert checked(asks(run), "speedup_possible").actual == "q: without `since` and `until` it skips no partition"
    generous = PARAMS.model_copy(update={"min_speedup": 0.95})
    assert checked(asks(run, **query), "speedup_possible", generous).outcome is Outcome.FAILED


def test_a_range_without_rows_gains_nothing(run: Run, readings: Readings, fill: Callable[..., None]) -> None:
    """A table at rest: its newest row is older than the range of the query."""
    readings(0)
    fill(5_000, 400, ago=500)
    assert "q: its range has no row; the rows are from" in checked(asks(run, since="now()"), "speedup_possible").actual


def test_a_table_of_a_few_pages_is_too_small_to_tell(run: Run, connection: psycopg.Connection) -> None:
    connection.execute("CREATE TABLE tiny (id int PRIMARY KEY, at timestamptz NOT NULL)")
    connection.execute("INSERT INTO tiny SELECT n, now() - n * interval '10 days' FROM generate_series(1, 40) AS n")
    worked = {"table": "tiny", "partition_by": "at", "distinct": [], "application": {}, "synthetic": {}}
    small = with_spec(asks(run, since="now() - interval '30 days'"), **worked)
    found = checked(small, "speedup_possible")
    assert re.fullmatch(r"the table has \d pages with its indexes: too small to tell", found.actual)
    many = PARAMS.model_copy(update={"synthetic_rows": 100_000})
    assert checked(small, "speedup_possible", many).outcome is Outcome.PASSED


@pytest.mark.parametrize("change", [{"criterion": False}, {}])
def test_where_no_speed_is_asked_for_nothing_is_said(run: Run, readings: Readings, change: dict[str, Any]) -> None:
    readings(10)
    params = PARAMS if change else PARAMS.model_copy(update={"min_speedup": 0.0})
    assert checked(asks(run, since="now()", **change), "speedup_possible", params).outcome is Outcome.SKIPPED


def probe(run: Run, sql: str, max_seconds: float = 2.0) -> Check:
    probes = [{"name": "asked", "sql": sql, "max_seconds": max_seconds}]
    return checked(with_spec(run, application={"probes": probes}), "probes")


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT nothing FROM {table}", 'asked: 42703 column "nothing" does not exist'),
        ("SELECT * FROM {tabel}", "asked: placeholder 'tabel' is unknown"),
        ("DELETE FROM {table}", "asked: 42601"),
        ("SELECT n FROM {table}, generate_series(1, 200) AS n", "asked: more than 20,000 rows: add a LIMIT"),
        ("SELECT id FROM {table} ORDER BY recorded_at::date LIMIT 9", ""),
        ("SELECT random() FROM {table} ORDER BY id LIMIT 3", "asked: its answer depends on the plan"),
    ],
)
def test_a_probe_that_would_fail_after_the_cutover_is_found_before(
    run: Run, readings: Readings, connection: psycopg.Connection, sql: str, told: str
) -> None:
    readings(500)
    found = probe(run, sql)
    assert found.blocks is bool(told)
    assert told in found.actual
    assert connection.execute("SELECT count(*) FROM sensor_readings").fetchone() == (500,)


def test_a_probe_that_is_late_already_is_a_warning(run: Run, readings: Readings) -> None:
    readings(10)
    found = probe(run, "SELECT pg_sleep(1)::text FROM {table} LIMIT 1", max_seconds=0.1)
    assert (found.outcome, found.severity) == (Outcome.FAILED, Severity.WARNING)
    assert found.actual == "asked was stopped after 100 ms"


class Answers(Quiet):
    def do_GET(self) -> None:
        self.send_response(200 if urlsplit(self.path).path == "/ok" else 500)
        self.end_headers()
        self.wfile.write(b"{}")


@pytest.fixture
def base_url() -> Iterator[str]:
    with served(Answers) as address:
        yield address


@pytest.mark.parametrize(("path", "good"), [("/ok", True), ("/broken?token=secret", False)])
def test_an_application_that_fails_already_is_found_before(
    run: Run, readings: Readings, base_url: str, path: str, good: bool
) -> None:
    readings(10)
    asked = {"base_url": base_url, "http_probes": [{"name": "page", "path": path}]}
    found = checked(with_spec(run, application=asked), "http_probes")
    assert found.blocks is not good
    assert found.actual == ("1 probe answered" if good else "http_page: answered 500")


@pytest.mark.parametrize(("path", "good"), [("/ok", True), ("/broken?token=secret", False)])
def test_a_procedure_that_fails_already_is_found_before(
    run: Run, readings: Readings, base_url: str, path: str, good: bool
) -> None:
    readings(10)
    asked = {"base_url": base_url, "procedures": [{"name": "latest", "path": path, "input": {"json": {}}}]}
    found = checked(with_spec(run, application=asked), "procedures")
    assert found.blocks is not good
    assert found.actual == ("1 procedure answered" if good else "latest: answered 500")
    assert "secret" not in str(found)


def test_a_procedure_that_is_late_already_is_a_warning(run: Run, readings: Readings, base_url: str) -> None:
    readings(10)
    asked = {"base_url": base_url, "procedures": [{"name": "latest", "path": "/ok", "max_seconds": 1e-6}]}
    found = checked(with_spec(run, application=asked), "procedures")
    assert (found.outcome, found.severity) == (Outcome.FAILED, Severity.WARNING)
    assert found.actual.startswith("latest was stopped after ")


def commanded(run: Run, path: Path, code: int) -> Run:
    """Return a run whose command writes a file."""
    text = f"import pathlib, sys; pathlib.Path({str(path)!r}).touch(); print('1 failing'); sys.exit({code})"
    return with_spec(run, application={"commands": [{"name": "tests", "command": [sys.executable, "-c", text]}]})


def test_a_command_that_fails_already_is_a_no_go_of_preflight(run: Run, readings: Readings, tmp_path: Path) -> None:
    readings(10)
    found = checked(commanded(run, tmp_path / "ran", 1), "command_tests")
    assert found.blocks
    assert found.actual.startswith("it fails before the migration already, so it could prove nothing after it: exit")
    assert found.evidence["output"] == "1 failing\n"
    assert checked(commanded(run, tmp_path / "ran", 0), "command_tests").outcome is Outcome.PASSED


def test_no_command_runs_where_nothing_may_change_or_the_verdict_stands(
    run: Run, readings: Readings, tmp_path: Path
) -> None:
    readings(10)
    asked = commanded(run, tmp_path / "ran", 0)
    planned = checked(asked, "command_tests", RunParams(mode="plan"))
    assert (planned.outcome, planned.actual) == (
        Outcome.SKIPPED,
        "mode plan runs no command, because it may change something",
    )
    absent = checked(with_spec(asked, table="public.absent"), "command_tests")
    assert absent.actual == "not run, because other checks are a no-go: table_exists"
    assert not (tmp_path / "ran").exists()
    assert not [each for each in preflight_checks(run, PARAMS) if each.name.startswith("command")]
