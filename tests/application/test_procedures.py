"""The application's procedures, against a real server and database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from staging.backend.history import History, iso
from staging.backend.processes import Server

UNIT = "SELECT id FROM units ORDER BY name LIMIT 1"
NOW = datetime.now(UTC)
WEEK = {"from": iso(NOW - timedelta(days=7)), "to": iso(NOW)}
END_SESSIONS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
 WHERE application_name = 'sensor-backend' AND datname = %s
"""
DEVICE = "SELECT unit_id::text, id::text FROM devices ORDER BY name LIMIT 1"


def ask(server: Server, procedure: str, given: Mapping[str, Any]) -> Any:
    answer = httpx.get(f"{server.url}/trpc/{procedure}", params={"input": json.dumps(given)})
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]["data"]


def send(server: Server, procedure: str, readings: list[dict[str, Any]]) -> list[int]:
    answer = httpx.post(f"{server.url}/trpc/{procedure}", json={"readings": readings})
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["result"]["data"]["inserted"]]


def log_of(server: Server, level: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    return [line for line in lines if line["level"] == level]


@pytest.fixture
def unit(connection: psycopg.Connection) -> str:
    return str(connection.execute(UNIT).fetchone()[0])  # type: ignore[index]


@pytest.fixture
def reading(connection: psycopg.Connection, server: Server) -> dict[str, Any]:
    unit, device = connection.execute(DEVICE).fetchone()  # type: ignore[misc]
    return {
        "unitId": unit,
        "deviceId": device,
        "temperature": 4.5,
        "humidity": 60,
        "recordedAt": iso(datetime.now(UTC)),
    }


def test_recent_is_the_newest_readings_of_the_unit(server: Server, connection: psycopg.Connection, unit: str) -> None:
    query = "SELECT id FROM sensor_readings WHERE unit_id = %s ORDER BY recorded_at DESC, id DESC LIMIT 20"
    expected = [row[0] for row in connection.execute(query, (unit,))]
    assert [each["id"] for each in ask(server, "readings.recent", {"unitId": unit, "limit": 20})] == expected
    assert len(expected) == 20


def test_by_unit_is_the_range_with_exact_values(server: Server, connection: psycopg.Connection, unit: str) -> None:
    query = """
    SELECT id, temperature::text FROM sensor_readings
     WHERE unit_id = %s AND recorded_at >= %s AND recorded_at < %s ORDER BY recorded_at, id
    """
    expected = connection.execute(query, (unit, WEEK["from"], WEEK["to"])).fetchall()
    found = ask(server, "readings.byUnit", {"unitId": unit, **WEEK})
    assert [(each["id"], each["temperature"]) for each in found] == expected
    assert expected


def test_aggregate_is_one_row_a_day(server: Server, connection: psycopg.Connection, unit: str) -> None:
    query = """
    SELECT count(*), min(temperature)::text, avg(humidity)::text FROM sensor_readings
     WHERE unit_id = %s AND recorded_at >= %s AND recorded_at < %s
     GROUP BY date_trunc('day', recorded_at, 'UTC') ORDER BY date_trunc('day', recorded_at, 'UTC')
    """
    expected = connection.execute(query, (unit, WEEK["from"], WEEK["to"])).fetchall()
    found = ask(server, "readings.aggregate", {"unitId": unit, **WEEK})
    assert [(each["readings"], each["coldest"], each["humidity"]) for each in found] == expected
    assert expected


def test_evaluate_is_the_last_bad_reading_of_each_device(server: Server, connection: psycopg.Connection) -> None:
    query = """
    SELECT id FROM (SELECT DISTINCT ON (device_id) device_id, id, temperature, battery FROM sensor_readings
                     WHERE recorded_at >= %s AND recorded_at < %s
                     ORDER BY device_id, recorded_at DESC, id DESC) AS latest
     WHERE temperature NOT BETWEEN -5 AND 8 OR battery < 10 ORDER BY device_id
    """
    expected = [row[0] for row in connection.execute(query, (WEEK["from"], WEEK["to"]))]
    assert [each["id"] for each in ask(server, "alerts.evaluate", WEEK)] == expected
    assert expected


def test_ingest_returns_the_new_rows_only(server: Server, reading: dict[str, Any]) -> None:
    assert len(send(server, "readings.ingest", [reading, reading])) == 2
    assert send(server, "readings.ingest", [{**reading, "id": -7}]) == [-7]
    assert send(server, "readings.ingest", [{**reading, "id": -7}, {**reading, "id": -8}]) == [-8]


def test_repeat_names_its_target_and_needs_the_index_before_the_migration(
    server: Server, connection: psycopg.Connection, reading: dict[str, Any]
) -> None:
    assert send(server, "readings.repeat", [{**reading, "id": -7}]) == [-7]
    assert send(server, "readings.repeat", [{**reading, "id": -7}]) == []

    connection.execute("DROP INDEX sensor_readings_id_recorded_at")
    body = {"readings": [{**reading, "id": -7}]}
    answer = httpx.post(f"{server.url}/trpc/readings.repeat", json=body)
    assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert [line["sqlstate"] for line in log_of(server, "error")] == ["42P10"]


def test_the_reads_are_named_prepared_statements(server: Server, connection: psycopg.Connection, unit: str) -> None:
    """Only a statement that the session has kept fails so after a change of a column's type."""
    for _ in range(4):
        ask(server, "readings.byUnit", {"unitId": unit, **WEEK})
    connection.execute("ALTER TABLE sensor_readings ALTER COLUMN battery TYPE integer")
    given = {"input": json.dumps({"unitId": unit, **WEEK})}
    assert httpx.get(f"{server.url}/trpc/readings.byUnit", params=given).status_code == 500
    assert [line["reason"] for line in log_of(server, "error")] == ["cached plan must not change result type"]


def test_an_input_without_sense_is_a_bad_request(server: Server, unit: str) -> None:
    given = {"input": json.dumps({"unitId": unit, "from": WEEK["to"], "to": WEEK["from"]})}
    answer = httpx.get(f"{server.url}/trpc/readings.byUnit", params=given)
    assert (answer.status_code, answer.json()["error"]["data"]["code"]) == (400, "BAD_REQUEST")
    assert log_of(server, "error") == []


def test_metrics_count_each_procedure_by_its_result(server: Server, unit: str, reading: dict[str, Any]) -> None:
    ask(server, "readings.recent", {"unitId": unit})
    httpx.get(f"{server.url}/trpc/readings.recent")
    send(server, "readings.ingest", [reading] * 3)
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    assert 'trpc_calls_total{procedure="readings.recent",result="ok"} 1' in lines
    assert 'trpc_calls_total{procedure="readings.recent",result="BAD_REQUEST"} 1' in lines
    assert "readings_inserted_total 3" in lines


def test_health_asks_the_database(server: Server, server_dsn: str, connection: psycopg.Connection) -> None:
    assert httpx.get(f"{server.url}/health").json() == {"status": "ok"}
    name = sql.Identifier(connection.info.dbname)
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(server_dsn, autocommit=True) as elsewhere:
        elsewhere.execute(allow.format(name, sql.SQL("false")))
        elsewhere.execute(END_SESSIONS, (connection.info.dbname,))
        assert httpx.get(f"{server.url}/health").status_code == 503
        elsewhere.execute(allow.format(name, sql.SQL("true")))
    assert httpx.get(f"{server.url}/health").status_code == 200
    assert "a request failed" in [line["msg"] for line in log_of(server, "error")]


def test_the_log_has_no_input(server: Server, fixed: History) -> None:
    ask(server, "readings.recent", fixed.questions[0].input)
    requests = [line for line in log_of(server, "info") if line["msg"] == "request"]
    assert requests[-1] | {"time": "", "milliseconds": 0} == {
        "level": "info",
        "time": "",
        "method": "GET",
        "path": "/trpc/readings.recent",
        "status": 200,
        "milliseconds": 0,
        "msg": "request",
    }
