"""Application: the same answers from both tables under live writes, in time, and no probe can write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import psycopg
import pytest

from partition_playbook.checks import Check, Outcome
from partition_playbook.errors import InvalidSpec
from partition_playbook.evidence import application
from partition_playbook.migration import cutover, reconcile
from partition_playbook.migration.run import Direction, Run
from tests.fixtures.sabotage import behind_the_capture

Connect = Callable[[], psycopg.Connection]


@pytest.fixture(scope="session")
def template(migrated_template: str) -> str:
    return migrated_template


def with_application(run: Run, **content: Any) -> Run:
    spec = run.spec.model_validate({**run.spec.model_dump(), "application": content})
    return replace(run, spec=spec)


def probes(run: Run, sql: str, max_seconds: float = 2.0) -> dict[str, Check]:
    asked = with_application(run, probes=[{"name": "asked", "sql": sql, "max_seconds": max_seconds}])
    return {each.name: each for each in application.checks(asked)}


def probe(run: Run, sql: str) -> Check:
    return probes(run, sql)["probe_asked"]


def test_worked_procedures_answer_the_same(run: Run) -> None:
    found = application.checks(run)
    asked = ["readings.recent", "readings.byUnit", "readings.aggregate", "alerts.evaluate"]
    pairs = [(f"probe_{name}", f"response_time_probe_{name}") for name in asked]
    assert [each.name for each in found] == [*(name for pair in pairs for name in pair), "http"]
    assert [each.outcome for each in found] == [Outcome.PASSED] * 8 + [Outcome.SKIPPED]
    assert found[0].evidence["rows"] == 100
    assert found[4].evidence["rows"] > 0


def test_occasion_is_part_of_the_name_and_either_table_may_be_live(run: Run) -> None:
    cutover.swap(run, Direction.BACK)
    found = application.checks(run, after="rollback")
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
    assert "20000 rows from the live table, 19999 from the other" in probe(run, "SELECT id FROM {table}").actual


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


def test_slow_probe_is_stopped(run: Run) -> None:
    found = probes(run, "SELECT id FROM {table} WHERE pg_sleep(3) IS NOT NULL ORDER BY id LIMIT 1", max_seconds=0.2)
    assert found["response_time_probe_asked"].blocks
    assert "stopped after 0." in found["response_time_probe_asked"].actual
    assert found["probe_asked"].outcome is Outcome.SKIPPED


def test_probe_that_fails_is_not_taken_for_a_slow_one(run: Run) -> None:
    found = probes(run, "SELECT 1 / (id - id) FROM {table}")
    assert [name for name, each in found.items() if each.blocks] == ["probe_asked"]


def test_late_answer_is_compared_all_the_same(run: Run, connection: psycopg.Connection) -> None:
    with behind_the_capture(connection):
        connection.execute("UPDATE sensor_readings_old SET battery = -1 WHERE id = 77")
    found = probes(run, "SELECT * FROM {table} ORDER BY id", max_seconds=1e-6)  # too short to be a timeout
    assert {name for name, each in found.items() if each.blocks} == {"probe_asked", "response_time_probe_asked"}


def test_probes_after_a_slow_one_are_still_made(run: Run) -> None:
    slow = {"name": "slow", "sql": "SELECT pg_sleep(1) FROM {table} LIMIT 1", "max_seconds": 0.1}
    found = application.checks(with_application(run, probes=[slow, {"name": "next", "sql": "SELECT 1 FROM {table}"}]))
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
    assert [each.outcome for each in application.checks(with_application(run))] == [Outcome.SKIPPED] * 2


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = {"/ok": (200, b'{"result": {}}'), "/trpc": (200, b'[{"error": {}}]')}.get(self.path, (500, b""))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def base_url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "actual"), [("/ok", "200"), ("/trpc", "answered with an error"), ("/broken", "answered 500")]
)
def test_http_probe_reads_status_and_envelope(run: Run, base_url: str, path: str, actual: str) -> None:
    asked = with_application(run, base_url=base_url, http_probes=[{"name": "page", "path": path}])
    found = {each.name: each for each in application.checks(asked)}
    assert found["http_page"].actual == actual
    assert found["http_page"].blocks is (path != "/ok")
    assert not found["response_time_http_page"].blocks


def test_http_probe_without_an_answer_fails(run: Run) -> None:
    asked = with_application(run, base_url="http://127.0.0.1:1", http_probes=[{"name": "page", "path": "/"}])
    (found,) = [each for each in application.checks(asked) if each.blocks]
    assert (found.name, found.actual) == ("http_page", "no answer: ConnectError")


def test_slow_http_probe_fails(run: Run, base_url: str) -> None:
    page = {"name": "page", "path": "/ok", "max_seconds": 1e-6}
    found = application.checks(with_application(run, base_url=base_url, http_probes=[page]))
    assert [each.name for each in found if each.blocks] == ["response_time_http_page"]
