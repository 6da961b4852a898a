"""Application: the same answers from both tables under live writes, in time, and no probe can write."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import psycopg
import pytest

from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.engine import cutover, reconcile, verify
from partition_playbook.engine.sides import Direction
from partition_playbook.errors import InvalidSpec
from partition_playbook.run import Run
from partition_playbook.sections.application.probes import probe_checks
from tests.fixtures.sabotage import behind_the_capture
from tests.fixtures.web import Quiet, served

Connect = Callable[[], psycopg.Connection]


@pytest.fixture(scope="session")
def template(migrated_template: str) -> str:
    return migrated_template


def with_application(run: Run, **content: Any) -> Run:
    spec = run.spec.model_validate({**run.spec.model_dump(), "application": content})
    return replace(run, spec=spec)


def probes(run: Run, sql: str, max_seconds: float = 2.0) -> dict[str, Check]:
    asked = with_application(run, probes=[{"name": "asked", "sql": sql, "max_seconds": max_seconds}])
    return {each.name: each for each in probe_checks(asked)}


def probe(run: Run, sql: str) -> Check:
    return probes(run, sql)["probe_asked"]


def test_worked_procedures_answer_the_same(run: Run) -> None:
    found = probe_checks(run)
    asked = ["readings.recent", "readings.byUnit", "readings.aggregate", "alerts.evaluate"]
    pairs = [(f"probe_{name}", f"response_time_probe_{name}") for name in asked]
    assert [each.name for each in found] == [*(name for pair in pairs for name in pair), "http"]
    assert [each.outcome for each in found] == [Outcome.PASSED] * 8 + [Outcome.SKIPPED]
    assert found[0].evidence["rows"] == 100
    assert found[4].evidence["rows"] > 0


def test_occasion_is_part_of_the_name_and_either_table_may_be_live(run: Run) -> None:
    cutover.swap(run, Direction.BACK)
    found = probe_checks(run, after="rollback")
    assert found[0].name == "probe_readings.recent_after_rollback"
    assert [str(each) for each in found if each.blocks] == []


def test_row_that_only_one_table_has_is_noticed(run: Run, connection: psycopg.Connection) -> None:
    with behind_the_capture(connection):
        connection.execute("UPDATE sensor_readings_old SET battery = -1 WHERE id = 77")
    found = probe(run, "SELECT * FROM {table} ORDER BY id")
    assert found.blocks
    assert "different from row 77 on" in found.actual
    with behind_the_capture(connection):
        connection.execute("DELETE FROM sensor_readings_old WHERE id = 77")
    assert "20,000 rows from the live table, 19,999 from the standby" in probe(run, "SELECT id FROM {table}").actual


def test_change_that_waits_is_reconciled_in_the_same_snapshot(
    run: Run, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "catch_up", lambda *_, **__: 0)
    connection.execute("DELETE FROM sensor_readings WHERE id <= 100")
    connection.execute("UPDATE sensor_readings SET battery = 55 WHERE id BETWEEN 101 AND 200")
    assert probe(run, "SELECT * FROM {table} ORDER BY id").outcome is Outcome.PASSED
    waiting = connection.execute(f"SELECT count(*) FROM {run.table.change_log}").fetchone()  # type: ignore[call-overload]
    assert waiting == (0,)


def test_answers_are_equal_while_writers_go_on(run: Run, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the catch-up before it, the snapshot's own reconcile has to do all the work."""
    monkeypatch.setattr(reconcile, "catch_up", lambda *_, **__: 0)
    with writing(connect) as written:
        found = [probe(run, "SELECT id, battery, recorded_at FROM {table} ORDER BY id") for _ in range(5)]
    assert written[0] > 100
    assert [each.actual for each in found if each.blocks] == []


@contextmanager
def writing(connect: Connect) -> Iterator[list[int]]:
    done, written = threading.Event(), [0]

    def write() -> None:
        with connect() as connection:
            connection.autocommit = True
            while not done.is_set():
                connection.execute(
                    "UPDATE sensor_readings SET battery = battery + 1 WHERE id % 97 = (random() * 96)::int"
                )
                connection.execute("DELETE FROM sensor_readings WHERE id = (SELECT (random() * 20000)::int)")
                written[0] += 200

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield written
    finally:
        done.set()
        thread.join()


SLOW_IF = "SELECT pg_sleep(CASE WHEN {0} THEN 3 ELSE 0 END)::text, id FROM {{table}} ORDER BY id LIMIT 1"
SLOW, SLOW_IN_PARTITIONS = SLOW_IF.format("true"), SLOW_IF.format("tableoid::regclass::text ~ '_y[0-9]'")


def test_slow_probe_is_stopped(run: Run) -> None:
    found = probes(run, SLOW_IN_PARTITIONS, max_seconds=0.2)
    assert found["response_time_probe_asked"].blocks
    assert re.fullmatch(r"stopped after [2-9]\d\d ms", found["response_time_probe_asked"].actual)
    assert found["probe_asked"].outcome is Outcome.SKIPPED


def test_probe_that_is_as_slow_on_the_other_table_is_a_warning(run: Run) -> None:
    late = probes(run, SLOW, max_seconds=0.2)["response_time_probe_asked"]
    assert (late.outcome, late.severity) == (Outcome.FAILED, Severity.WARNING)
    assert re.search(r"; the other table takes \d", late.actual)


def test_probe_that_is_slow_once_is_asked_again(run: Run, connection: psycopg.Connection) -> None:
    connection.execute(
        "CREATE SEQUENCE tries; CREATE FUNCTION slow_once() RETURNS bigint LANGUAGE sql VOLATILE AS "
        "'SELECT CASE WHEN count(pg_sleep(CASE WHEN n = 1 THEN 3 ELSE 0 END)) = 1 THEN 1 END FROM "
        "(SELECT last_value AS n FROM public.tries) AS x'"
    )
    with psycopg.connect(connection.info.dsn, autocommit=True) as other:
        timer = threading.Timer(0.4, lambda: other.execute("SELECT setval('tries', 2)"))
        timer.start()
        found = probes(run, "SELECT public.slow_once() FROM {table} LIMIT 1", max_seconds=0.3)
        timer.join()
    assert [str(each) for each in found.values() if each.outcome is Outcome.FAILED] == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id, temperature FROM {table} ORDER BY source LIMIT 50",  # one source: all rows are ties
        "SELECT DISTINCT ON (unit_id) unit_id, id FROM {table} ORDER BY unit_id",
        "SELECT id FROM {table} LIMIT 20",
        "SELECT random(), id FROM {table} ORDER BY id LIMIT 3",
    ],
)
def test_answer_that_depends_on_the_plan_is_no_verdict(run: Run, sql: str) -> None:
    verify.compare(run)
    found = probe(run, sql)
    assert (found.outcome, found.severity) == (Outcome.FAILED, Severity.WARNING)
    assert found.actual.startswith("cannot tell: ")


def test_answer_that_has_ties_differs_without_a_verdict_only_on_equal_rows(
    run: Run, connection: psycopg.Connection
) -> None:
    sql = "SELECT id, temperature FROM {table} ORDER BY battery LIMIT 50"
    assert probe(run, sql).blocks  # nobody has compared the rows yet
    verify.compare(run)
    found = probe(run, sql)
    assert not found.blocks
    assert "both tables were compared and hold the same rows" in found.actual
    connection.execute("ALTER TABLE sensor_readings DISABLE TRIGGER partition_playbook_update")
    assert probe(run, sql).blocks


def test_answer_that_reads_the_place_of_a_row_is_a_verdict(run: Run) -> None:
    verify.compare(run)
    assert probe(run, "SELECT id, tableoid::regclass::text FROM {table} ORDER BY id LIMIT 3").blocks


def test_probe_that_fails_is_not_taken_for_a_slow_one(run: Run) -> None:
    found = probes(run, "SELECT 1 / (id - id) FROM {table}")
    assert [name for name, each in found.items() if each.blocks] == ["probe_asked"]


def test_late_answer_is_compared_all_the_same(run: Run, connection: psycopg.Connection) -> None:
    with behind_the_capture(connection):
        connection.execute("UPDATE sensor_readings_old SET battery = -1 WHERE id = 77")
    found = probes(run, "SELECT * FROM {table} ORDER BY id", max_seconds=1e-6)  # too short to be a timeout
    assert {name for name, each in found.items() if each.outcome is Outcome.FAILED} == set(found) - {"http"}
    assert found["probe_asked"].blocks


def test_probes_after_a_slow_one_are_still_made(run: Run) -> None:
    slow = {"name": "slow", "sql": SLOW_IN_PARTITIONS, "max_seconds": 0.1}
    found = probe_checks(with_application(run, probes=[slow, {"name": "next", "sql": "SELECT 1 FROM {table}"}]))
    assert [each.name for each in found if each.blocks] == ["response_time_probe_slow"]
    assert {each.name: each.outcome for each in found}["probe_next"] is Outcome.PASSED


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM {table}",
        "WITH gone AS (DELETE FROM {table} RETURNING id) SELECT * FROM gone",
        "SELECT 1; DELETE FROM {table}",
        "SELECT 1; COMMIT; DELETE FROM {table}",
        "SELECT nextval('public.sensor_readings_id_seq') FROM {table}",
        "SELECT set_config('transaction_read_only', 'off', true) FROM {table}",
        "SELECT public.write_secretly() FROM {table}",
    ],
)
def test_probe_cannot_write(run: Run, connection: psycopg.Connection, sql: str) -> None:
    connection.execute(
        "CREATE FUNCTION write_secretly() RETURNS int LANGUAGE sql VOLATILE AS"
        " 'DELETE FROM public.sensor_readings RETURNING 1'"
    )
    before = connection.execute("SELECT count(*), (SELECT last_value FROM sensor_readings_id_seq) FROM sensor_readings")
    rows = before.fetchone()
    assert probe(run, sql).blocks
    after = connection.execute("SELECT count(*), (SELECT last_value FROM sensor_readings_id_seq) FROM sensor_readings")
    assert after.fetchone() == rows


def test_probe_finds_tables_without_their_schema_and_the_planner_is_free(run: Run) -> None:
    assert probe(run, "SELECT count(*) FROM {table} JOIN units ON units.id = unit_id").outcome is Outcome.PASSED
    assert probe(run, "SELECT 1 FROM {table} WHERE current_setting('enable_seqscan') = 'off'").evidence["rows"] == 0


def test_unknown_placeholder_names_the_probe(run: Run) -> None:
    with pytest.raises(InvalidSpec, match="asked"):
        probe(run, "SELECT * FROM {tabel}")


def test_probe_without_a_limit_is_refused(run: Run) -> None:
    found = probe(run, "SELECT n FROM {table}, generate_series(1, 2) AS n")
    assert found.blocks
    assert "LIMIT" in found.actual


def test_spec_without_probes_is_skipped(run: Run) -> None:
    assert [each.outcome for each in probe_checks(with_application(run))] == [Outcome.SKIPPED] * 2


class Answers(Quiet):
    asked: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        self.asked[self.path] += 1
        if self.path == "/once" and self.asked[self.path] > 1:
            self.path = "/ok"
        status, body = {"/ok": (200, b'{"result": {}}'), "/trpc": (200, b'[{"error": {}}]')}.get(self.path, (500, b""))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def base_url() -> Iterator[str]:
    with served(Answers) as address:
        yield address


@pytest.mark.parametrize(
    ("path", "actual"), [("/ok", "200"), ("/trpc", "answered with an error"), ("/broken", "answered 500")]
)
def test_http_probe_reads_status_and_envelope(run: Run, base_url: str, path: str, actual: str) -> None:
    asked = with_application(run, base_url=base_url, http_probes=[{"name": "page", "path": path}])
    found = {each.name: each for each in probe_checks(asked)}
    assert found["http_page"].actual == actual
    assert found["http_page"].blocks is (path != "/ok")
    assert not found["response_time_http_page"].blocks


def test_http_probe_that_fails_once_is_sent_again(run: Run, base_url: str) -> None:
    """A connection of the application's pool may have a prepared statement of the table before."""
    asked = with_application(run, base_url=base_url, http_probes=[{"name": "page", "path": "/once"}])
    found = {each.name: each for each in probe_checks(asked)}
    assert found["http_page"].outcome is Outcome.PASSED
    assert found["http_page"].actual == "200; try 1: answered 500"


def test_http_probe_without_an_answer_fails(run: Run) -> None:
    asked = with_application(run, base_url="http://127.0.0.1:1", http_probes=[{"name": "page", "path": "/"}])
    (found,) = [each for each in probe_checks(asked) if each.blocks]
    assert (found.name, found.actual) == ("http_page", "no answer: ConnectError")


def test_slow_http_probe_fails(run: Run, base_url: str) -> None:
    page = {"name": "page", "path": "/ok", "max_seconds": 1e-6}
    found = probe_checks(with_application(run, base_url=base_url, http_probes=[page]))
    assert [each.name for each in found if each.blocks] == ["response_time_http_page"]
