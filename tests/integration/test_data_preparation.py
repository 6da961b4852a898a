"""Rows for a rehearsal: the same ones for a seed, spread over a year, never twice, never in production."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from partition_playbook.checks import Outcome
from partition_playbook.errors import InvalidSpec, PreconditionFailed
from partition_playbook.intervals import Interval
from partition_playbook.run import Run
from partition_playbook.sections.data_preparation import rows, synthetic
from partition_playbook.spec import RunParams, TableSpec
from tests.fixtures.tables import open_run

Readings = Callable[[int], None]
CONTENT = """SELECT md5(string_agg(md5(ROW(unit_id, device_id, temperature, humidity, battery, signal_strength,
recorded_at, received_at, source)::text), '' ORDER BY id)) FROM sensor_readings"""


def rehearse(**params: Any) -> RunParams:
    return RunParams(mode="rehearse", **params)


def fill(run: Run, params: RunParams) -> None:
    for piece in rows.slices(run, params):
        rows.generate(run, params, piece)


def one(connection: psycopg.Connection, query: str) -> Any:
    row = connection.execute(query).fetchone()  # type: ignore[call-overload]
    return row[0] if row else None


def outcomes(run: Run, params: RunParams) -> dict[str, Outcome]:
    return {each.name: each.outcome for each in rows.refusal_checks(run, params)}


def test_slices_hold_all_rows_and_are_the_same_when_asked_again(run: Run) -> None:
    params = rehearse(synthetic_rows=1_000_003)
    pieces = rows.slices(run, params)
    assert len(pieces) == 12
    assert sum(piece["rows"] for piece in pieces) == 1_000_003
    assert max(piece["rows"] for piece in pieces) < 90_000
    assert len({piece["upper"] for piece in pieces}) == 1
    assert rows.slices(run, params) == pieces


@pytest.mark.parametrize(
    ("synthetic", "interval", "slices", "days"),
    [
        ({}, "month", 12, 365),
        ({}, "hour", 15, 15),
        ({}, "6 hours", 3, 91),
        ({}, "day", 12, 365),
        ({"months": 3}, "hour", 3, 90),
        ({"days": 45}, "month", 15, 45),
        ({"days": 2}, "hour", 2, 2),
    ],
)
def test_slices_in_time_order_adjoin_and_cover_a_span_that_fits_the_interval(
    run: Run, synthetic: dict[str, int], interval: str, slices: int, days: int
) -> None:
    given = {"table": "sensor_readings", "partition_by": "recorded_at", "interval": interval, "synthetic": synthetic}
    pieces = rows.slices(
        replace(run, spec=TableSpec.model_validate(given)), rehearse(synthetic_rows=1200, arrival="time")
    )
    assert [piece["upper"] for piece in pieces[:-1]] == [piece["lower"] for piece in pieces[1:]]
    assert len(pieces) == slices
    covered = datetime.fromisoformat(pieces[-1]["upper"]) - datetime.fromisoformat(pieces[0]["lower"])
    assert abs(covered.days - days) <= 2


def test_rows_of_a_short_span_are_counted_by_the_day(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(0)
    hourly = replace(run, spec=run.spec.model_copy(update={"interval": Interval.HOUR}))
    params = rehearse(synthetic_rows=15_000)
    fill(hourly, params)
    found = {each.name: each for each in rows.distribution_checks(hourly, params)}["distribution"]
    assert found.outcome is Outcome.PASSED
    assert "in each of 14 whole days" in found.expected
    connection.execute(
        "DELETE FROM sensor_readings WHERE recorded_at::date = (now() - interval '3 days')::date AND id % 2 = 0"
    )
    uneven = {each.name: each for each in rows.distribution_checks(hourly, params)}["distribution"]
    assert uneven.actual.startswith(f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%d}: ")


def test_generated_rows_lie_in_the_ranges_of_the_playbook(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(0)
    params = rehearse(synthetic_rows=6000)
    fill(run, params)
    found = connection.execute(
        """SELECT count(*), min(temperature) >= -10 AND max(temperature) <= 20,
                  min(humidity) >= 0 AND max(humidity) <= 100,
                  min(battery) >= 0 AND max(battery) <= 99 AND max(battery) > 90,
                  min(signal_strength) BETWEEN -100 AND -90 AND max(signal_strength) BETWEEN 10 AND 20,
                  bool_and(received_at BETWEEN recorded_at AND recorded_at + interval '60 seconds'),
                  bool_and(source = 'synthetic'), count(DISTINCT unit_id), count(DISTINCT device_id),
                  bool_and(recorded_at BETWEEN now() - interval '1 year 1 hour' AND now()),
                  bool_or(extract(microseconds FROM recorded_at)::int % 1000 <> 0)
             FROM sensor_readings"""
    ).fetchone()
    assert found == (6000, True, True, True, True, True, True, 50, 50, True, True)
    checks = {each.name: each for each in rows.distribution_checks(run, params)}
    assert {each.outcome for each in checks.values()} == {Outcome.PASSED}, checks


def test_a_seed_gives_the_same_rows_and_another_seed_gives_others(
    readings: Readings,
    connection: psycopg.Connection,
    connect: Callable[[], psycopg.Connection],
    spec: TableSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readings(0)
    monkeypatch.setattr(rows, "BATCH", 100)
    pieces: list[synthetic.Slice] = []

    def content(run_id: str, seed: int) -> str:
        run = open_run(connect, spec, run_id)
        params = rehearse(synthetic_rows=3000, seed=seed)
        pieces[:] = pieces or rows.slices(run, params)
        connection.execute("TRUNCATE sensor_readings RESTART IDENTITY")
        for piece in pieces:
            rows.generate(run, params, piece | {"seed": seed})
        run.ledger.close("no-go")
        return str(one(connection, CONTENT))

    assert content("first", 42) == content("second", 42)
    assert content("third", 43) != content("fourth", 42)
    assert (
        one(connection, "SELECT count(*) - count(DISTINCT (temperature, humidity, recorded_at)) FROM sensor_readings")
        == 0
    )


@pytest.mark.parametrize(("arrival", "ordered"), [("time", True), ("random", False)])
def test_arrival_decides_how_the_rows_lie(
    run: Run, readings: Readings, connection: psycopg.Connection, arrival: str, ordered: bool
) -> None:
    readings(0)
    fill(run, rehearse(synthetic_rows=4000, arrival=arrival))
    connection.execute("ANALYZE sensor_readings")
    correlation = "SELECT correlation FROM pg_stats WHERE tablename = 'sensor_readings' AND attname = 'recorded_at'"
    assert (abs(one(connection, correlation)) > 0.99) is ordered


def test_a_slice_that_is_done_is_not_done_again(run: Run, readings: Readings, connection: psycopg.Connection) -> None:
    readings(0)
    params = rehearse(synthetic_rows=1200)
    piece = rows.slices(run, params)[0]
    counts = [rows.generate(run, params, piece) for _ in range(3)]
    assert counts == [piece["rows"]] * 3
    assert one(connection, "SELECT count(*) FROM sensor_readings") == piece["rows"]


def test_a_slice_that_failed_goes_on_where_it_stands(
    run: Run, readings: Readings, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(0)
    params = rehearse(synthetic_rows=1200)
    piece = rows.slices(run, params)[0]
    monkeypatch.setattr(rows, "BATCH", 30)
    insert = synthetic.insert

    def insert_and_die(*args: Any) -> None:
        insert(*args)
        if args[-2] > 30:
            raise KeyboardInterrupt

    monkeypatch.setattr(synthetic, "insert", insert_and_die)
    with pytest.raises(KeyboardInterrupt):
        rows.generate(run, params, piece)
    assert one(connection, "SELECT count(*) FROM sensor_readings") == 30
    monkeypatch.setattr(synthetic, "insert", insert)
    assert rows.generate(run, params, piece) == piece["rows"]
    assert one(connection, "SELECT count(*) FROM sensor_readings") == piece["rows"]


def test_two_tries_of_a_slice_at_once_write_it_once(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(0)
    params = rehearse(synthetic_rows=24_000)
    piece = rows.slices(run, params)[0]
    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(lambda _: rows.generate(run, params, piece), range(2)))
    assert counts == [piece["rows"]] * 2
    assert one(connection, "SELECT count(*) FROM sensor_readings") == piece["rows"]


@pytest.mark.parametrize("kind", ["timestamp", "timestamp(3)", "date"])
def test_every_partition_type_is_filled_and_composite_keys_stay_together(
    readings: Readings,
    connection: psycopg.Connection,
    connect: Callable[[], psycopg.Connection],
    kind: str,
) -> None:
    connection.execute("CREATE TYPE \"Kind\" AS ENUM ('a', 'b')")
    connection.execute('CREATE TABLE "Site" (region "Kind", "no" int, PRIMARY KEY (region, "no"))')
    connection.execute("INSERT INTO \"Site\" VALUES ('a', 1), ('b', 2)")
    connection.execute(
        f'CREATE TABLE "Log" ("Id" serial PRIMARY KEY, "When" {kind} NOT NULL, region "Kind", "no" int, '  # type: ignore[call-overload]
        'share numeric, FOREIGN KEY (region, "no") REFERENCES "Site")'
    )
    spec = TableSpec.model_validate(
        {
            "table": "Log",
            "partition_by": "When",
            "timezone": "Asia/Tokyo",
            "synthetic": {"values": {"share": "(7 % 4) * 1.5"}},
        }
    )
    run = open_run(connect, spec, "typed-run")
    params = rehearse(synthetic_rows=240)
    assert set(outcomes(run, params).values()) == {Outcome.PASSED}
    fill(run, params)
    assert connection.execute('SELECT count(*), count(DISTINCT (region, "no")), min(share) FROM "Log"').fetchone() == (
        240,
        2,
        4.5,
    )


@pytest.mark.parametrize(
    ("params", "statement", "refused"),
    [
        (RunParams(mode="migrate"), "SELECT 1", "rehearsal"),
        (RunParams(mode="plan"), "SELECT 1", "rehearsal"),
        (rehearse(synthetic_rows=10), "DELETE FROM devices", "parents_exist"),
        (rehearse(synthetic_rows=10), "ALTER TABLE sensor_readings ADD colour text NOT NULL", "columns_filled"),
    ],
)
def test_what_must_not_be_filled_is_refused(
    run: Run, readings: Readings, connection: psycopg.Connection, params: RunParams, statement: str, refused: str
) -> None:
    readings(0)
    connection.execute(statement)  # type: ignore[call-overload]
    assert [name for name, outcome in outcomes(run, params).items() if outcome is Outcome.FAILED] == [refused]


def test_missing_parents_are_named_as_in_the_playbook(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(0)
    connection.execute("DELETE FROM devices; DELETE FROM units")
    checks = {each.name: each for each in rows.refusal_checks(run, rehearse(synthetic_rows=10))}
    assert checks["parents_exist"].actual == "no rows in devices, units"
    with pytest.raises(PreconditionFailed, match="no rows in devices"):
        fill(run, rehearse(synthetic_rows=10))


def test_rows_that_are_there_already_are_refused_unless_asked_for(run: Run, readings: Readings) -> None:
    readings(10)
    assert outcomes(run, rehearse(synthetic_rows=10))["table_empty"] is Outcome.FAILED
    assert outcomes(run, rehearse(synthetic_rows=10, allow_existing_rows=True))["table_empty"] is Outcome.PASSED


def test_a_run_that_is_resumed_may_go_on_in_its_own_rows(run: Run, readings: Readings) -> None:
    readings(0)
    params = rehearse(synthetic_rows=120)
    rows.generate(run, params, rows.slices(run, params)[0])
    assert outcomes(run, params)["table_empty"] is Outcome.PASSED


def test_production_is_never_filled(run: Run, readings: Readings, connection: psycopg.Connection) -> None:
    readings(0)
    piece = rows.slices(run, rehearse(synthetic_rows=120))[0]
    with pytest.raises(PreconditionFailed, match="rehearsals only"):
        rows.generate(run, RunParams(mode="migrate"), piece)
    assert one(connection, "SELECT count(*) FROM sensor_readings") == 0


def test_other_braces_than_moment_are_an_error_of_the_spec(run: Run, readings: Readings) -> None:
    readings(0)
    wrong = run.spec.model_dump() | {"synthetic": {"values": {"source": "'{colour}'"}}}
    broken = Run(TableSpec.model_validate(wrong), run.database, run.ledger)
    with pytest.raises(InvalidSpec, match=r"synthetic\.values\.source"):
        fill(broken, rehearse(synthetic_rows=10))


def test_an_uneven_distribution_and_missing_rows_are_told(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(0)
    params = rehearse(synthetic_rows=24_000)
    for piece in rows.slices(run, params)[:-1]:
        rows.generate(run, params, piece)
    checks = {each.name: each for each in rows.distribution_checks(run, params)}
    assert checks["rows_generated"].blocks
    month = one(connection, "SELECT to_char(now() - interval '3 months', 'YYYY-MM')")
    connection.execute(
        "DELETE FROM sensor_readings WHERE to_char(recorded_at, 'YYYY-MM') = %s AND mod(id, 2) = 0", (month,)
    )
    uneven = {each.name: each for each in rows.distribution_checks(run, params)}["distribution"]
    assert uneven.blocks
    assert uneven.actual.startswith(f"{month}: ")


def test_the_baseline_is_recorded(run: Run, readings: Readings, connection: psycopg.Connection) -> None:
    readings(500)
    rows.record_baseline(run)
    found = run.ledger.measurements("baseline")
    assert found["rows"]["value"] == 500
    oldest = "SELECT min(recorded_at AT TIME ZONE 'UTC')::text || '+00' FROM sensor_readings"
    assert found["rows"]["detail"]["oldest"] == one(connection, oldest)
    assert found["total_bytes"]["value"] == one(connection, "SELECT pg_total_relation_size('sensor_readings')")
    assert {name for name in found if name.startswith("index ")} == {
        "index sensor_readings_pkey",
        "index sensor_readings_unit_time",
        "index sensor_readings_device",
        "index sensor_readings_recorded",
    }
    vacuumed = "SELECT last_vacuum IS NOT NULL FROM pg_stat_user_tables WHERE relname = 'sensor_readings'"
    deadline = time.monotonic() + 10
    while not one(connection, vacuumed):  # server 14 tells it later, by a process of its own
        assert time.monotonic() < deadline
        time.sleep(0.05)
