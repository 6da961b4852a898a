"""The keys of the worked table: an identity, or ids that carry the time of their row."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import psycopg
from psycopg import sql

from partition_playbook.codecs import Codec, Encoding
from staging.record import COLUMNS, ROW, RowId

# The other encodings give two rows the same key too often for a primary key of the id alone.
ENCODINGS = (Encoding.UUIDV7, Encoding.ULID, Encoding.SNOWFLAKE, Encoding.EPOCH_MICROSECONDS)
TYPES = {Encoding.UUIDV7: "uuid", Encoding.ULID: "text"}
EPOCH, SHIFT = datetime(2015, 1, 1, tzinfo=UTC), 22
LOOKED_AT = 50  # rows from other sources, of which a writer takes the first of its share

INSERT = sql.SQL(f"INSERT INTO sensor_readings ({COLUMNS}) VALUES {{}} RETURNING id, {{}}")
VALUES = sql.SQL("(" + ", ".join(["%s"] * 9) + ")")
INSERT_KEYS = sql.SQL(
    f"INSERT INTO sensor_readings (id, {COLUMNS}) VALUES {{}} ON CONFLICT (id) DO NOTHING RETURNING id, {{}}"
)
VALUES_AFTER = sql.SQL("({}, " + ", ".join(["%s"] * 9) + ")")
ALERT = "INSERT INTO reading_alerts (reading_id) VALUES (%s)"
OTHERS = sql.SQL("SELECT id FROM sensor_readings WHERE id >= {} AND source <> %s ORDER BY id LIMIT %s")
MOMENT = sql.SQL("%s::timestamptz")

Rows = dict[RowId, str | None]


@dataclass(frozen=True)
class WorkedKey:
    """The key of the worked table; without ``encoding`` it is an identity, and the table has its time beside it."""

    encoding: Encoding | None = None

    @property
    def type(self) -> str:
        """Return the type of the column."""
        return TYPES.get(self.encoding, "bigint") if self.encoding else "bigint"

    @property
    def collation(self) -> str:
        """Return the clause for the collation: ULIDs are sorted like their bytes."""
        return 'COLLATE "C"' if self.encoding is Encoding.ULID else ""

    @property
    def codec(self) -> Codec:
        """Return the codec between moments and keys."""
        if self.encoding is Encoding.SNOWFLAKE:
            return Codec("UTC", self.encoding, EPOCH, SHIFT)
        return Codec("UTC", self.encoding)

    def share(self, key: RowId, count: int) -> int:
        """Return the number of the writer, of ``count``, that may change a row from another source."""
        return (key if isinstance(key, int) else zlib.crc32(str(key).encode())) % count


IDENTITY = WorkedKey()


class Keys(Protocol):
    """The part of a writer that depends on the key: new rows, and rows from other sources."""

    def connect(self, connection: psycopg.Connection) -> None:
        """Prepare for a new connection."""

    def insert(self, connection: psycopg.Connection, readings: Sequence[Sequence[Any]], own: Sequence[RowId]) -> Rows:
        """Insert readings, and return the new rows; ``own`` are the committed ids of this writer."""

    def pick_other(self, connection: psycopg.Connection, token: str, index: int, count: int) -> RowId | None:
        """Return a random id of this writer's share of the rows from other sources; None if there is none."""


class IdentityKeys:
    """Ids that the server counts."""

    def __init__(self, chance: random.Random) -> None:
        self._random = chance
        self._highest = 0

    def connect(self, connection: psycopg.Connection) -> None:
        """Find the highest id."""
        highest = connection.execute("SELECT max(id) FROM sensor_readings").fetchone()
        self._highest = (highest and highest[0]) or 0

    def insert(self, connection: psycopg.Connection, readings: Sequence[Sequence[Any]], own: Sequence[RowId]) -> Rows:
        """Insert readings without their ids."""
        query = INSERT.format(sql.SQL(", ").join([VALUES] * len(readings)), ROW)
        found = connection.execute(query, _flat(readings)).fetchall()
        self._highest = max(self._highest, *(key for key, _ in found))
        return dict(found)

    def pick_other(self, connection: psycopg.Connection, token: str, index: int, count: int) -> RowId | None:
        """Return a random id of the share; it may have no row."""
        key = self._random.randint(0, self._highest)
        return key - key % count + index


class TimeKeys:
    """Ids that carry the moment of their row, made before the row is sent.

    As an application with such ids does, it repeats an INSERT now and then, and another table refers to the id.
    """

    def __init__(self, key: WorkedKey, chance: random.Random, days: float) -> None:
        self._key = key
        self._days = days
        self._random = chance

    def connect(self, connection: psycopg.Connection) -> None:
        """Do nothing."""

    def insert(self, connection: psycopg.Connection, readings: Sequence[Sequence[Any]], own: Sequence[RowId]) -> Rows:
        """Insert readings with new ids; sometimes repeat the INSERT of an own row, or refer to a new one."""
        new = VALUES_AFTER.format(self._key.codec.from_moment(MOMENT))
        values = [value for each in readings for value in (each[-3], *each)]  # of recorded_at
        query = INSERT_KEYS.format(sql.SQL(", ").join([new] * len(readings)), ROW)
        rows: Rows = dict(connection.execute(query, values).fetchall())

        if own and self._random.random() < 0.1:
            self._repeat(connection, self._random.choice(own), readings[0])
        if rows and self._random.random() < 0.2:
            connection.execute(ALERT, (self._random.choice(list(rows)),))
        return rows

    def _repeat(self, connection: psycopg.Connection, key: RowId, reading: Sequence[Any]) -> None:
        """Send the INSERT of a committed row again; IntegrityError if the server takes it for a new one."""
        query = INSERT_KEYS.format(VALUES_AFTER.format(sql.Placeholder()), ROW)
        if connection.execute(query, (key, *reading)).fetchall():
            raise psycopg.IntegrityError(f"a repeated INSERT of {key} made a second row")

    def pick_other(self, connection: psycopg.Connection, token: str, index: int, count: int) -> RowId | None:
        """Return the first id of the share after a random moment of the past days."""
        moment = datetime.now(UTC) - self._random.random() * timedelta(days=self._days)
        first = sql.Literal(self._key.codec.first_key(moment))
        found = connection.execute(OTHERS.format(first), (token, LOOKED_AT)).fetchall()
        return next((key for (key,) in found if self._key.share(key, count) == index), None)


def keys_of(key: WorkedKey, chance: random.Random, days: float) -> Keys:
    """Return the part of a writer for a key; other sources have rows of the past ``days``."""
    return TimeKeys(key, chance, days) if key.encoding else IdentityKeys(chance)


def _flat(readings: Sequence[Sequence[Any]]) -> list[Any]:
    return [value for each in readings for value in each]
