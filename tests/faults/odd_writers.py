"""Writers with habits of their own beside the regular ones: by a partition's name, by nextval, by COPY, by ALTER TABLE.

Each labels its rows in the column ``source``. A label whose transaction was committed is found once, and one whose
transaction failed never.
"""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql

Connection = psycopg.Connection[Any]
# A column that no other writer uses; one of these writers renames it and back.
SPARE_COLUMN = "ALTER TABLE sensor_readings ADD note text"
COLUMNS = "unit_id, device_id, recorded_at, source"
VALUES = (
    "(SELECT id FROM units LIMIT 1), (SELECT id FROM devices LIMIT 1), now() - %(age)s * interval '1 day', %(label)s"
)
INSERT = sql.SQL(f"INSERT INTO {{}} ({COLUMNS}) VALUES ({VALUES}) RETURNING id")
INSERT_VALUE = sql.SQL(f"INSERT INTO sensor_readings (id, {COLUMNS}) VALUES (%(id)s, {VALUES}) RETURNING id")
# The names of partitions that hold rows; none while the table is not partitioned.
PARTITIONS = """
SELECT DISTINCT c.relnamespace::regnamespace::text, c.relname
  FROM sensor_readings s JOIN pg_class c ON c.oid = s.tableoid
 WHERE c.relispartition AND s.recorded_at > now() - interval '20 days'
"""
RENAMED = """
SELECT max(attname) FROM pg_attribute WHERE attrelid = 'sensor_readings'::regclass AND attname = 'remark'
"""
FOUND = "SELECT source, array_agg(id) FROM sensor_readings WHERE source LIKE 'odd %' GROUP BY 1"
# A partition leaves the table, and its name, by a rollback: the guard refuses the write, or the name is gone.
PROCESS = re.compile(r"Process (\d+) waits")
LEFT_THE_TABLE = (psycopg.errors.RaiseException, psycopg.errors.UndefinedTable)
PAUSE_SECONDS = 0.02
# DDL comes ever more rarely, or no step would ever find the table unchanged.
RENAME_SECONDS = 0.5


class NothingToDo(Exception):
    """The habit has no place in this state of the table."""


@dataclass
class Odd:
    """The record of one habit: the labels by their outcome, and the errors by SQLSTATE."""

    committed: dict[str, tuple[int, ...]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    among_themselves: int = 0
    left_the_table: int = 0


@dataclass(frozen=True)
class Judged:
    """The labels that are not in their committed state."""

    lost: tuple[str, ...]
    resurrected: tuple[str, ...]
    doubled: tuple[str, ...]


def name_a_partition(connection: Connection, label: str, chance: random.Random) -> tuple[int, ...]:
    """Insert by the name of a partition, which was looked up in a transaction before."""
    names = connection.execute(PARTITIONS).fetchall()  # type: ignore[call-overload]
    connection.commit()
    if not names:
        raise NothingToDo
    insert = INSERT.format(sql.Identifier(*chance.choice(names)))
    month = {"label": label, "age": chance.random() * 20}
    try:
        with connection.transaction():
            return _ids(connection, insert, month)
    except psycopg.errors.CheckViolation:  # another partition's month
        raise NothingToDo from None


def call_nextval(connection: Connection, label: str, chance: random.Random) -> tuple[int, ...]:
    """Take a value of the sequence by its name, and insert it."""
    (value,) = connection.execute("SELECT nextval('sensor_readings_id_seq')").fetchone() or (None,)
    return _ids(connection, INSERT_VALUE, {"id": value, "label": label, "age": chance.random() * 20})


def copy_rows(connection: Connection, label: str, chance: random.Random) -> tuple[int, ...]:
    """Copy one row in, and read its id."""
    device = connection.execute(
        "SELECT unit_id, id, now() - %s * interval '1 day' FROM devices LIMIT 1", (chance.random(),)
    )
    row = device.fetchone() or ()
    with connection.cursor().copy(f"COPY sensor_readings ({COLUMNS}) FROM STDIN") as stream:
        stream.write_row((*row, label))
    return _ids(connection, sql.SQL("SELECT id FROM sensor_readings WHERE source = %(label)s"), {"label": label})


def rename_a_column(connection: Connection, label: str, chance: random.Random) -> tuple[int, ...]:
    """Rename a column that nobody else uses, and rename it back in a second transaction, which an error may skip."""
    if connection.execute(RENAMED).fetchone() == (None,):
        _retried(connection, "ALTER TABLE sensor_readings RENAME note TO remark")
    threading.Event().wait(0.2 * chance.random())
    _retried(connection, "ALTER TABLE sensor_readings RENAME remark TO note")
    return ()


def _retried(connection: Connection, statement: str) -> None:
    """Send DDL like a migration tool: with a lock timeout, again until it is granted."""
    while True:
        try:
            with connection.transaction():
                connection.execute("SET LOCAL lock_timeout = '1s'")
                connection.execute(statement)  # type: ignore[call-overload]
                return
        except psycopg.errors.LockNotAvailable:
            continue


def _ids(connection: Connection, query: sql.SQL | sql.Composed, values: dict[str, Any]) -> tuple[int, ...]:
    return tuple(key for (key,) in connection.execute(query, values))


Habit = Callable[[Connection, str, random.Random], tuple[int, ...]]
HABITS: dict[str, Habit] = {
    "partition": name_a_partition,
    "nextval": call_nextval,
    "copy": copy_rows,
    "rename": rename_a_column,
}


class OddWriters:
    """One thread and one connection per habit, from ``with`` to its end."""

    def __init__(self, conninfo: str, seed: int, habits: Collection[str] = tuple(HABITS)) -> None:
        self._conninfo = conninfo
        self._seed = seed
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(len(habits))
        self._habits = habits
        self._pids: set[int] = set()
        self._done: dict[str, Future[Odd]] = {}

    def __enter__(self) -> Self:
        self._done = {name: self._pool.submit(self._write, name) for name in self._habits}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> dict[str, Odd]:
        """End every writer after its open transaction; return what each has done."""
        self._over.set()
        self._pool.shutdown()
        return {name: done.result() for name, done in self._done.items()}

    def _write(self, name: str) -> Odd:
        odd, chance = Odd(), random.Random(f"{self._seed} {name}")
        connection: Connection | None = None
        while not self._over.wait(RENAME_SECONDS * 2 ** len(odd.committed) if name == "rename" else PAUSE_SECONDS):
            label = f"odd {name} {len(odd.committed) + len(odd.failed) + odd.refused.total()}"
            try:
                if connection is None or connection.closed:
                    connection = psycopg.connect(self._conninfo, application_name=f"odd {name}")
                    self._pids.add(connection.info.backend_pid)
                transact(connection, name, label, chance, odd, self._pids)
            except psycopg.OperationalError:  # the server crashed before any write
                continue
        if connection:
            connection.close()
        return odd


def is_among(error: psycopg.Error, pids: Collection[int]) -> bool:
    """Tell whether an error is a deadlock of these sessions alone.

    PostgreSQL lets two of an application deadlock: a write that names a partition locks it, then the table to read the
    bound, and a RENAME of a column locks the table first. Any other deadlock has the playbook in it.
    """
    named = {int(pid) for pid in PROCESS.findall(error.diag.message_detail or "")}
    return isinstance(error, psycopg.errors.DeadlockDetected) and bool(named) and named <= set(pids)


def transact(
    connection: Connection, name: str, label: str, chance: random.Random, odd: Odd, pids: Collection[int]
) -> None:
    """Do one transaction of a habit and note its outcome; the outcome of a lost connection stays unknown."""
    try:
        ids = HABITS[name](connection, label, chance)
        connection.commit()
    except NothingToDo:
        connection.rollback()
    except psycopg.Error as error:
        odd.among_themselves += is_among(error, pids)
        is_foreseen = isinstance(error, LEFT_THE_TABLE) or is_among(error, pids)
        odd.refused[error.sqlstate or type(error).__name__] += not is_foreseen
        odd.left_the_table += isinstance(error, LEFT_THE_TABLE)
        if not connection.closed:
            connection.rollback()
            odd.failed.add(label)
    else:
        odd.committed[label] = ids


def judge(connection: Connection, odd: Collection[Odd], known: Collection[int]) -> Judged:
    """Compare the labels with the table; the ids that a regular writer changed are judged by its own record."""
    found = {label: ids for label, ids in connection.execute(FOUND)}
    committed = {label: ids for each in odd for label, ids in each.committed.items() if ids}
    failed = {label for each in odd for label in each.failed}
    elsewhere = set(known)
    return Judged(
        lost=tuple(label for label, ids in committed.items() if label not in found and not elsewhere & set(ids)),
        resurrected=tuple(failed & found.keys()),
        doubled=tuple(label for label, ids in found.items() if len(ids) > 1),
    )
