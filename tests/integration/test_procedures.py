"""Procedures of the application: their answers before, during and after the cutover are in the ledger, no secret is."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar

import psycopg
import pytest

from partition_playbook.checks import Outcome
from partition_playbook.engine import cutover
from partition_playbook.engine.sides import Direction
from partition_playbook.run import Run
from partition_playbook.sections.application.procedures import (
    AFTER,
    BEFORE,
    DURING,
    procedure_checks,
    record_before,
    record_during,
)
from tests.fixtures.web import Quiet, served

Connection = psycopg.Connection[Any]
TOKEN = "zeichen-der-prozedur"
LATEST = "SELECT id, temperature::float8, recorded_at::text FROM sensor_readings ORDER BY recorded_at DESC, id LIMIT 50"


@pytest.fixture(scope="session")
def template(migrated_template: str) -> str:
    return migrated_template


class Trpc(Quiet):
    """Answer with rows of the table."""

    session: ClassVar[Connection]
    asked: ClassVar[list[str]]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        found = self.session.execute(LATEST).fetchall()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"result": {"data": found}}).encode())


@pytest.fixture
def asked(run: Run, connect: Callable[[], Connection]) -> Iterator[Run]:
    """Return a run with a procedure that reads the table."""
    with connect() as Trpc.session, served(Trpc) as address:
        Trpc.asked, Trpc.session.autocommit = [], True
        procedure = {"name": "latest", "path": f"/latest?token={TOKEN}", "input": {"key": TOKEN}, "max_seconds": 5}
        application = {"base_url": address, "procedures": [procedure]}
        spec = run.spec.model_validate({**run.spec.model_dump(), "application": application})
        yield replace(run, spec=spec)


def add_row(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO sensor_readings (unit_id, device_id, recorded_at, received_at, source) "
        "SELECT unit_id, device_id, now(), now(), 'x' FROM sensor_readings LIMIT 1"
    )


def test_the_procedure_of_a_table_answers_the_same_from_partitions(
    asked: Run, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    cutover.swap(asked, Direction.BACK)
    record_before(asked)
    record_during(asked)
    cutover.swap(asked, Direction.FORWARD)
    found = procedure_checks(asked)
    assert [str(each) for each in found if each.outcome is not Outcome.PASSED] == []
    assert [each.name for each in found] == ["procedure_latest", "response_time_procedure_latest"]

    measured = {stage: asked.ledger.measurements(stage)["latest"] for stage in (BEFORE, DURING, AFTER)}
    assert [each["detail"]["calls"] for each in measured.values()] == [20, 2, 20]
    assert all(each["value"] > 0 and each["unit"] == "ms" for each in measured.values())
    assert measured[BEFORE]["detail"]["shape"][".result.data[][]"] == ["number", "text"]

    add_row(connection)
    assert procedure_checks(asked)[0].blocks
    asked.ledger.record_measurement(AFTER, "latest", 1, "ms", **measured[AFTER]["detail"])
    answer, seconds = procedure_checks(asked, after="watch")
    assert (answer.name, answer.blocks) == ("procedure_latest_after_watch", False)
    assert "it was the same after the cutover" in answer.actual
    assert seconds.name == "response_time_procedure_latest_after_watch"
    assert asked.ledger.measurements("procedures_after_watch")["latest"]["detail"]["calls"] == 20

    asked.ledger.record_checks([*found, answer])
    assert TOKEN in Trpc.asked[0]
    for table in ("measurements", "checks", "events"):
        (stored,) = connection.execute(f"SELECT string_agg(t::text, '') FROM partition_playbook.{table} t")
        assert TOKEN not in str(stored), table
    assert [each.getMessage() for each in caplog.records if TOKEN in each.getMessage()] == []


def test_rows_that_arrive_before_the_cutover_make_no_false_no_go(asked: Run, connection: Connection) -> None:
    cutover.swap(asked, Direction.BACK)
    record_before(asked)
    add_row(connection)
    record_during(asked)
    cutover.swap(asked, Direction.FORWARD)
    add_row(connection)
    answer, _ = procedure_checks(asked)
    assert answer.outcome is Outcome.PASSED
    assert answer.actual.endswith("the content was not compared: its answer changed before the cutover")


def test_nothing_is_recorded_as_before_once_the_partitioned_table_is_live(run: Run, asked: Run) -> None:
    """A task that is cleared after the cutover would compare the partitioned table with itself."""
    record_before(asked)
    record_during(asked)
    assert Trpc.asked == []
    assert asked.ledger.measurements(BEFORE) == {}
    assert procedure_checks(run) == []
