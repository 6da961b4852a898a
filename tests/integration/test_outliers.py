"""Outliers: `since` and `until` bound the partitions, and maintenance leaves both partitions beside them alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql

from partition_playbook import catalog, metrics
from partition_playbook.checks import Outcome
from partition_playbook.codecs import Encoding
from partition_playbook.database import Session
from partition_playbook.engine import capture, shadow
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.run import Run
from partition_playbook.sections.decision import report
from partition_playbook.sections.decision.record import RunRecord
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.spec import RunParams, TableSpec
from tests.fixtures.migration import finalize_anyway, migrate
from tests.fixtures.moments import this_month
from tests.fixtures.tables import open_run

Connect = Callable[[], psycopg.Connection[Any]]
OLDEST, NEWEST = "1987-05-06 12:00", "8999-12-30 12:00"
SINCE = this_month().subtract(months=14)
KINDS = {"timestamp without time zone": None, "uuid": Encoding.UUIDV7, "numeric": Encoding.EPOCH_MILLISECONDS}


@pytest.mark.parametrize("kind", KINDS)
def test_outliers_stay_in_partitions_of_their_own(
    connection: psycopg.Connection[Any], connect: Connect, kind: str
) -> None:
    spec = TableSpec.model_validate(
        {
            "table": "Yard.Trips",
            "partition_by": "left at",
            "encoding": KINDS[kind],
            "timezone": "America/Sao_Paulo",
            "retention": {"keep": "12 months", "max_share": 1, "grace": "0 days"},
            "since": SINCE.add(days=9).to_date_string(),
            "until": "2100-12-31",
        }
    )
    make = f'CREATE SCHEMA "Yard"; CREATE TABLE "Yard"."Trips" ("left at" {kind} PRIMARY KEY)'
    connection.execute(make)  # type: ignore[call-overload]

    def insert(moment: str) -> None:
        key = spec.codec.from_moment(sql.SQL("{}::timestamptz").format(sql.Literal(moment)))
        connection.execute(sql.SQL('INSERT INTO "Yard"."Trips" VALUES ({})').format(key))

    recent = [str(this_month().subtract(months=count).add(days=3)) for count in range(14)]
    for each in (OLDEST, NEWEST, *recent):
        insert(each)

    run = open_run(connect, spec, "moved", "migrate")
    (planned,) = [each for each in preflight_checks(run, RunParams()) if each.name == "partitions_planned"]
    assert planned.outcome is Outcome.PASSED
    assert "Trips_before holds 1 row from 1987-05-06" in planned.actual
    assert "Trips_default holds 1 row from 8999-12-30" in planned.actual
    migrate(run)
    reported = {each["partition"]: each for each in report.compose(RunRecord.read(run), RunParams())["loads"]}
    assert reported["Trips_before"]["lower_bound"] is reported["Trips_default"]["upper_bound"] is None
    assert reported["Trips_before"]["upper_bound"] == spec.first_moment
    finalize_anyway(run)

    with run.database.session() as session:
        partitions = {each.table.name: each for each in catalog.partitions(session, spec.name)}
    assert min(partitions) == "Trips_before"
    assert partitions["Trips_before"].ends(spec.codec) == (None, spec.first_moment)
    assert partitions["Trips_default"].is_default

    def maintained(run_id: str) -> tuple[dict[str, Any], str, list[str]]:
        done = maintain(open_run(connect, spec, run_id, "maintenance"), MaintenanceParams())
        told = next(each.actual for each in done.checks if each.name == "first_partition")
        return done.summary, told, done.summary["health"]["problems"]

    summary, told, problems = maintained("first")
    assert len(summary["dropped"]) == 2
    assert "retention never retires it" in told
    assert 'DETACH PARTITION "Yard"."Trips_before"' in told
    assert problems == []
    assert connection.execute('SELECT count(*) FROM "Yard"."Trips_before"').fetchone() == (1,)
    with run.database.snapshot() as session:
        (shown,) = metrics.read(session)[metrics.TABLES]
    assert (shown["partitions_extra"], shown["default_rows"]) == (0, 0)

    # A row of an interval without a partition is no outlier.
    insert("2099-01-01")
    assert maintained("second")[2] == ["default_empty"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_outside_the_plan_is_not_lost_between_the_plan_and_the_capture(
    connection: psycopg.Connection[Any], connect: Connect, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    of_time = {"table": "trips", "partition_by": "left at", "encoding": KINDS[kind]}
    spec = TableSpec.model_validate(of_time)
    connection.execute(f'CREATE TABLE trips ("left at" {kind} PRIMARY KEY)')  # type: ignore[call-overload]

    def insert(moment: object) -> None:
        key = spec.codec.from_moment(sql.SQL("{}::timestamptz").format(sql.Literal(str(moment))))
        connection.execute(sql.SQL("INSERT INTO trips VALUES ({})").format(key))

    insert(this_month().subtract(months=2))
    run = open_run(connect, spec, "moved", "migrate")
    start = capture.start

    def start_late(run: Run, session: Session) -> None:
        monkeypatch.undo()
        for moment in (OLDEST, this_month().add(years=2)):
            insert(moment)
        start(run, session)
        raise InterruptedError("the worker dies once capture is on")

    monkeypatch.setattr(capture, "start", start_late)
    with pytest.raises(InterruptedError):
        shadow.build(run)
    assert capture.backlog(run) == 0

    # The next try must not plan anew: both rows would be within the new bounds, but not within the partitions.
    migrate(run)
    assert connection.execute('SELECT * FROM trips ORDER BY "left at"').fetchall() == (
        connection.execute('SELECT * FROM trips_old ORDER BY "left at"').fetchall()
    )
    assert connection.execute("SELECT count(*) FROM trips_default").fetchone() == (2,)
