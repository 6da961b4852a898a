"""The fixed rows of the application: no writer touches them, so their answers must never change.

They are older than the rows of the live writers and of a rehearsal. Their ids are below zero, because the live writers
change rows of others by ids from zero.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg

from staging.backend.install import SOURCE

Json = Mapping[str, Any]

MONTHS_AGO = 15  # a rehearsal makes rows of the last 12 months, and the spec keeps 24
DAYS = 60
ROWS = 1_000
BATCH = 500
UNITS = 2
PLACES = "SELECT d.unit_id, d.id FROM devices AS d JOIN units AS u ON u.id = d.unit_id ORDER BY u.name, d.name LIMIT %s"


@dataclass(frozen=True)
class Place:
    """A device and its unit."""

    unit_id: UUID
    device_id: UUID


@dataclass(frozen=True)
class Question:
    """A query of the application with its input."""

    procedure: str
    input: Json


@dataclass(frozen=True)
class History:
    """The fixed range of time, and the units with rows in it."""

    since: datetime
    until: datetime
    places: tuple[Place, ...]

    @property
    def questions(self) -> tuple[Question, ...]:
        """Return one query for each read of the application, all about the fixed range."""
        unit = {"unitId": str(self.places[0].unit_id)}
        other = {"unitId": str(self.places[-1].unit_id)}
        whole = {"from": iso(self.since), "to": iso(self.until)}
        last_hours = {"from": iso(self.until - timedelta(hours=6)), "to": iso(self.until)}
        return (
            Question("readings.recent", unit | {"to": iso(self.until), "limit": 100}),
            Question("readings.byUnit", unit | whole),
            Question("readings.aggregate", other | whole),
            Question("alerts.evaluate", last_hours),
        )


def iso(moment: datetime) -> str:
    """Return a moment as the application takes it, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def prepare(conninfo: str) -> tuple[Place, ...]:
    """Apply the application's own schema changes, and return the places of its devices."""
    with psycopg.connect(conninfo) as connection:
        for path in sorted((SOURCE / "migrations").glob("*.sql")):
            connection.execute(path.read_bytes())
        return tuple(Place(*row) for row in connection.execute(PLACES, (UNITS,)))


def write(url: str, places: tuple[Place, ...], now: datetime | None = None) -> History:
    """Write the fixed rows through the application, and return their range."""
    until = _months_before(now or datetime.now(UTC), MONTHS_AGO) + timedelta(days=DAYS)
    history = History(until - timedelta(days=DAYS), until, places)
    rows = list(_rows(history))
    for start in range(0, len(rows), BATCH):
        batch = {"readings": rows[start : start + BATCH]}
        answer = httpx.post(f"{url}/trpc/readings.ingest", json=batch, timeout=60, trust_env=False)
        answer.raise_for_status()
    return history


def _months_before(moment: datetime, months: int) -> datetime:
    """Return the start of the month so many months earlier."""
    index = moment.year * 12 + moment.month - 1 - months
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)


def _rows(history: History) -> Iterator[Json]:
    """Yield rows at even distances; the last ones are colder than any alert allows."""
    values = random.Random(1)
    step = (history.until - history.since) / ROWS
    for number in range(ROWS):
        place = history.places[number % len(history.places)]
        yield {
            "id": -1 - number,
            "unitId": str(place.unit_id),
            "deviceId": str(place.device_id),
            "temperature": -20.0 if number >= ROWS - len(history.places) else values.randint(-1000, 2000) / 100,
            "humidity": values.randint(0, 10_000) / 100,
            "battery": values.randrange(101),
            "signalStrength": values.randint(-100, 20),
            "recordedAt": iso(history.since + number * step),
            "source": "history",
        }
