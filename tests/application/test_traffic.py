"""The users count each error, each unequal answer, and each lost row: a judge that finds nothing proves nothing."""

from __future__ import annotations

import psycopg

from staging.backend import verdict
from staging.backend.history import History, Question
from staging.backend.processes import Server
from staging.backend.traffic import Client, Request, Traffic
from staging.backend.verdict import Noticed

VANISH = """
CREATE FUNCTION vanish() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER vanish BEFORE INSERT ON sensor_readings
   FOR EACH ROW WHEN (NEW.source = 'users') EXECUTE FUNCTION vanish();
"""
ENOUGH = 120  # a round of a user, with every request once, has 17


def noticed(traffic: Traffic) -> Noticed:
    traffic.wait_for(ENOUGH, since=0)
    traffic.stop()
    return verdict.judge(traffic.requests, None)


def test_users_of_a_healthy_application_notice_nothing(server: Server, fixed: History, dsn: str) -> None:
    with Traffic(server.url, fixed, rate=50) as traffic:
        found = noticed(traffic)
    assert (found.errors, found.unequal, found.against) == ({}, [], [])
    assert set(found.procedures) == {
        *(f"readings.{name}" for name in ("recent", "byUnit", "aggregate", "ingest", "repeat")),
        "alerts.evaluate",
    }
    assert found.before.requests == found.requests >= ENOUGH
    assert found.compared > ENOUGH / 2
    assert len(traffic.acknowledged) > 10
    assert verdict.count_lost(dsn, traffic.acknowledged) == 0


def test_an_error_is_counted_with_its_procedure(server: Server, fixed: History, connection: psycopg.Connection) -> None:
    connection.execute("DROP INDEX sensor_readings_id_recorded_at")
    with Traffic(server.url, fixed, rate=50) as traffic:
        found = noticed(traffic)
    (error,) = found.errors
    assert error == "readings.repeat: HTTP 500 INTERNAL_SERVER_ERROR: SQLSTATE 42P10"
    assert found.errors[error] == found.procedures["readings.repeat"]
    assert found.against[0].startswith(f"users of the application saw {found.errors[error]} errors: {error}")


def test_no_answer_is_an_error() -> None:
    requests: list[Request] = []
    client = Client("http://127.0.0.1:1", requests.append)  # nobody listens
    client.query(Question("readings.recent", {}))
    client.close()
    assert [(each.status, each.problem) for each in requests] == [(0, "ConnectError")]
    assert verdict.judge(requests, None).errors == {"readings.recent: ConnectError": 1}


def test_an_unequal_answer_is_counted(server: Server, fixed: History, connection: psycopg.Connection) -> None:
    with Traffic(server.url, fixed, rate=50) as traffic:
        connection.execute("UPDATE sensor_readings SET temperature = 8.5 WHERE id = -500")
        found = noticed(traffic)
    assert {each.split()[0] for each in found.unequal} <= {f"readings.{name}" for name in ("byUnit", "aggregate")}
    assert found.unequal
    assert f"{len(found.unequal)} answers of the application differed" in found.against[0]


def test_a_lost_row_is_counted(server: Server, fixed: History, dsn: str, connection: psycopg.Connection) -> None:
    with Traffic(server.url, fixed, rate=50) as traffic:
        noticed(traffic)
    gone = min(traffic.acknowledged)
    connection.execute("DELETE FROM sensor_readings WHERE id = %s", (gone,))
    assert verdict.count_lost(dsn, traffic.acknowledged) == 1


def test_a_write_that_vanishes_is_unequal(server: Server, fixed: History, connection: psycopg.Connection) -> None:
    connection.execute(VANISH)
    with Traffic(server.url, fixed, rate=50) as traffic:
        found = noticed(traffic)
    assert found.errors == {}
    assert any(each.startswith("readings.ingest answered") for each in found.unequal)
