"""The table of the benchmark: the worked schema, filled in random or in time order."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg import sql

from partition_playbook.intervals import Interval

SCHEMA = Path(__file__).resolve().parents[1] / "schema.sql"
BATCH = 1_000_000
YEAR = 365
# A year of hours needs more partitions than the planner bears.
MOST_PARTITIONS = 1_000

FILL = """
INSERT INTO sensor_readings
       (unit_id, device_id, temperature, humidity, battery, signal_strength, recorded_at, received_at, source)
SELECT md5('unit ' || 1 + n %% 50)::uuid, md5('device ' || 1 + n * 7 %% 50)::uuid,
       round((random() * 30 - 10)::numeric, 2), round((random() * 100)::numeric, 2), (random() * 99)::int,
       (random() * -120 + 20)::int, moment, moment + random() * interval '1 minute', 'synthetic'
  FROM (SELECT n, now() - {age} * {days} * interval '1 day' AS moment
          FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n) AS r
"""
KEYS = {
    "sensor_readings_unit_id_fkey": "FOREIGN KEY (unit_id) REFERENCES units(id)",
    "sensor_readings_device_id_fkey": "FOREIGN KEY (device_id) REFERENCES devices(id)",
}
INDEXES = {
    "unit_time": "(unit_id, recorded_at DESC)",
    "device": "(device_id)",
    "recorded": "(recorded_at)",
}
Connection = psycopg.Connection[tuple[object, ...]]


def days_of(interval: Interval) -> int:
    """Return the days of the rows for partitions of an interval: a year, or as many as MOST_PARTITIONS have."""
    return min(YEAR, int(MOST_PARTITIONS * interval.days))


def fill(connection: Connection, rows: int, *, in_time_order: bool = False, days: int = YEAR) -> None:
    """Create the worked schema and fill it; indexes and foreign keys come last, which is faster."""
    connection.execute(SCHEMA.read_text())
    for name in KEYS:
        connection.execute(sql.SQL("ALTER TABLE sensor_readings DROP CONSTRAINT {}").format(sql.Identifier(name)))
    for name in INDEXES:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(f"sensor_readings_{name}")))

    age = sql.SQL("(1 - n / {}::float8)").format(rows) if in_time_order else sql.SQL("random()")
    for first in range(1, rows + 1, BATCH):
        values = {"first": first, "last": min(rows, first + BATCH - 1)}
        connection.execute(sql.SQL(FILL).format(age=age, days=sql.Literal(days)), values)

    index(connection, "sensor_readings")
    add_keys(connection, "sensor_readings")
    connection.execute("VACUUM (ANALYZE) sensor_readings")
    connection.execute("CHECKPOINT")


def index(connection: Connection, table: str) -> None:
    """Create the three indexes on a table."""
    for name, columns in INDEXES.items():
        statement = sql.SQL("CREATE INDEX {} ON {} {}").format(
            sql.Identifier(f"{table}_{name}"), sql.Identifier(table), sql.SQL(columns)
        )
        connection.execute(statement)


def add_keys(connection: Connection, table: str) -> None:
    """Add the two foreign keys to a table."""
    for name, definition in KEYS.items():
        statement = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
            sql.Identifier(table), sql.Identifier(name), sql.SQL(definition)
        )
        connection.execute(statement)
