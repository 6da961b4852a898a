"""One live writer: a process with one connection that writes like an application."""

from __future__ import annotations

import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from multiprocessing.connection import Connection as Channel
from multiprocessing.synchronize import Event
from typing import Any, Protocol
from uuid import UUID

import psycopg
from psycopg import sql

from staging.keys import IDENTITY, WorkedKey, keys_of
from staging.record import ROW, SESSION, Notes, RowId, States, WriteError

OWNED = sql.SQL(" WHERE id = %(id)s AND (source = %(token)s) = %(own)s RETURNING id, ") + ROW
MOVE = sql.SQL("UPDATE sensor_readings SET recorded_at = %(recorded_at)s") + OWNED
CORRECT = sql.SQL("UPDATE sensor_readings SET temperature = %(temperature)s, battery = %(battery)s") + OWNED
DELETE = sql.SQL("DELETE FROM sensor_readings") + OWNED
BURST = 5  # transactions on average


class Counters(Protocol):
    """A shared array with one number per writer."""

    def __setitem__(self, index: int, value: int, /) -> None:
        """Set the number of one writer."""


@dataclass(frozen=True)
class Duty:
    """The rows that a writer owns, and its rate in transactions per second; None is unlimited."""

    conninfo: str
    token: str  # the column source of all rows that this group of writers inserts
    index: int
    count: int
    rate: float | None
    seed: int
    late: float = 0.2  # the share of new rows with a random moment of the past days
    key: WorkedKey = IDENTITY
    days: float = 365


@dataclass
class Transaction:
    """The rows changed by an open transaction: their text, or None if deleted."""

    rows: dict[RowId, str | None] = field(default_factory=dict)
    inserted: set[RowId] = field(default_factory=set)


def application_name(index: int) -> str:
    """Return the application_name of a writer's session."""
    return f"partition-playbook-writer-{index}"


def write(
    duty: Duty, rows: dict[RowId, States], written: int, channel: Channel, paused: Event, total: Counters
) -> None:
    """Write until the command stop, or until the channel is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    writer = Writer(duty, rows, written)
    try:
        while _obey(writer, channel, paused):
            if not paused.is_set() and time.monotonic() >= writer.due:
                writer.transact()
                total[duty.index] = writer.written
    except (EOFError, OSError):
        return
    finally:
        writer.close()


def _obey(writer: Writer, channel: Channel, paused: Event) -> bool:
    idle = 0.02 if paused.is_set() else min(0.02, max(0.0, writer.due - time.monotonic()))
    if not channel.poll(idle):
        return True
    command = channel.recv()
    channel.send(writer.take_notes())
    return bool(command != "stop")


class Writer:
    """The application: short transactions in bursts, with a record of each committed row."""

    def __init__(self, duty: Duty, rows: dict[RowId, States], written: int) -> None:
        self.due = time.monotonic()
        self.written = written
        self._duty = duty
        self._rows = rows
        self._own: list[RowId] = []
        self._random = random.Random(f"{duty.seed} {duty.index} {written}")
        self._keys = keys_of(duty.key, self._random, duty.days)
        self._notes = Notes()
        self._connection: psycopg.Connection | None = None
        self._units: list[UUID] = []
        self._devices: list[UUID] = []

    def take_notes(self) -> Notes:
        """Return the notes since the last call."""
        notes, self._notes = self._notes, Notes()
        return notes

    def close(self) -> None:
        """Close the connection."""
        if self._connection:
            self._connection.close()

    def transact(self) -> None:
        """Run one transaction and time it, without the time for connecting."""
        try:
            self._connect()
        except psycopg.Error as error:
            self._undo(Transaction(), error)
            return

        transaction = Transaction()
        began, clock = time.time(), time.perf_counter()
        try:
            for _ in range(self._random.choice((1, 1, 1, 1, 3))):
                self._change(transaction)
        except psycopg.Error as error:
            self._undo(transaction, error)
        else:
            self._commit(transaction)
        self._notes.timings.append((began, time.perf_counter() - clock))

        if self._duty.rate and self._random.random() < 1 / BURST:
            self.due = max(self.due, time.monotonic() - 1) + BURST / self._duty.rate

    def _connect(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            name = application_name(self._duty.index)
            connection = psycopg.connect(self._duty.conninfo, options=SESSION, application_name=name)
            self._units = [row[0] for row in connection.execute("SELECT id FROM units ORDER BY id")]
            self._devices = [row[0] for row in connection.execute("SELECT id FROM devices ORDER BY id")]
            self._keys.connect(connection)
            connection.commit()
            self._connection = connection
        return self._connection

    def _change(self, transaction: Transaction) -> None:
        kind = self._random.random()
        if kind < 0.8:
            self._insert(transaction)
        elif kind < 0.9:
            values = {"temperature": self._number(-10, 20), "battery": self._random.randrange(100)}
            moment = self._moment(late=self._duty.late > 0)
            move = self._random.random() < 0.5
            self._alter(transaction, MOVE if move else CORRECT, values | {"recorded_at": moment})
        else:
            self._alter(transaction, DELETE, {})

    def _insert(self, transaction: Transaction) -> None:
        count = self._random.choice((1, 1, 1, 5, 20))
        readings = [self._reading() for _ in range(count)]
        rows = self._keys.insert(self._connect(), readings, self._own)
        transaction.rows |= rows
        transaction.inserted |= rows.keys()

    def _alter(self, transaction: Transaction, query: sql.Composed, values: dict[str, Any]) -> None:
        own = bool(self._own) and self._random.random() < 0.5
        key = self._pick_own() if own else self._pick_other()
        if key is None:
            return
        parameters = {**values, "id": key, "own": own, "token": self._duty.token}
        rows: dict[RowId, str | None] = dict(self._connect().execute(query, parameters).fetchall())
        transaction.rows |= dict.fromkeys(rows) if query is DELETE else rows
        if own and (query is DELETE or not rows):
            self._own.pop()

    def _pick_own(self) -> RowId:
        place = self._random.randrange(len(self._own))
        self._own[place], self._own[-1] = self._own[-1], self._own[place]
        return self._own[-1]  # at the end of the list, to be popped after a DELETE

    def _pick_other(self) -> RowId | None:
        """Pick a random id of this writer among the rows of other sources."""
        return self._keys.pick_other(self._connect(), self._duty.token, self._duty.index, self._duty.count)

    def _reading(self) -> tuple[Any, ...]:
        late = self._random.random() < self._duty.late
        recorded = self._moment(late)
        return (
            self._random.choice(self._units),
            self._random.choice(self._devices),
            self._number(-10, 20),
            self._number(0, 100),
            self._random.randrange(100),
            self._random.randrange(-100, 20),
            recorded,
            datetime.now(UTC),
            self._duty.token,
        )

    def _number(self, low: int, high: int) -> Decimal:
        return Decimal(self._random.randint(100 * low, 100 * high)).scaleb(-2)

    def _moment(self, late: bool) -> datetime:
        days = self._duty.days if late else 0.0001
        return datetime.now(UTC) - timedelta(microseconds=self._random.randrange(round(days * 86_400_000_000)))

    def _commit(self, transaction: Transaction) -> None:
        connection = self._connection
        assert connection is not None
        try:
            connection.commit()
        except psycopg.Error as error:
            if not connection.closed:
                self._undo(transaction, error)
                return
            # The connection was lost during COMMIT: either state is possible.
            self._note_error(error)
            for key in transaction.rows:
                self._note(key, self._either(transaction, key))
            self._notes.acknowledged |= dict.fromkeys(transaction.inserted, False)
            return
        self.written += len(transaction.rows)
        self._own += transaction.inserted
        for key, text in transaction.rows.items():
            self._note(key, (text,))
        self._notes.acknowledged |= dict.fromkeys(transaction.rows, True)

    def _either(self, transaction: Transaction, key: RowId) -> States | None:
        before = (None,) if key in transaction.inserted else self._rows.get(key)
        return before and (*before, transaction.rows[key])

    def _undo(self, transaction: Transaction, error: psycopg.Error) -> None:
        self._note_error(error)
        for key in transaction.inserted:
            self._note(key, (None,))
        self._notes.acknowledged |= dict.fromkeys(transaction.inserted, False)
        if self._connection and not self._connection.closed:
            with suppress(psycopg.Error):
                self._connection.rollback()
        self.due = time.monotonic() + 0.1

    def _note(self, key: RowId, states: States | None) -> None:
        self._notes.rows[key] = states
        if states is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = states

    def _note_error(self, error: psycopg.Error) -> None:
        state = error.sqlstate or type(error).__name__
        self._notes.errors.append(WriteError(time.time(), state, str(error).strip()))
