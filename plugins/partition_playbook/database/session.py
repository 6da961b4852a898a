"""One connection with its limits, and the journal of its changing statements."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from partition_playbook import figures
from partition_playbook.database.connection import Params, Row
from partition_playbook.database.prepared import PREPARED, prepared_rows
from partition_playbook.database.requests import SEPARATOR, marked, plain, requests
from partition_playbook.encoding import storable
from partition_playbook.errors import LedgerMissing
from partition_playbook.names import LEDGER_SCHEMA, TableName
from partition_playbook.sql import Statement, statement

log = logging.getLogger(__name__)

UNREAD_TABLE_LOCK = "ACCESS EXCLUSIVE on a table not in use yet"
# Functions of the server itself: the role may not execute one, or a service has taken it away.
REFUSALS = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.ObjectNotInPrerequisiteState,
)
SET_TIMEOUT = sql.SQL("SET LOCAL statement_timeout = {}")


@dataclass(frozen=True)
class Executed:
    """One executed statement, for the task log and the events of the ledger."""

    purpose: str
    text: str
    lock: str
    rows: int
    duration_ms: float


@dataclass
class LockTimes:
    """The longest wait for, and the longest hold of, a lock in the application's way, in milliseconds."""

    waited_ms: float = 0.0
    held_ms: float = 0.0

    def reset(self) -> None:
        """Set both to zero."""
        self.waited_ms = self.held_ms = 0.0


@dataclass
class Session:
    """One connection, and the journal of its changing statements since the last commit."""

    connection: psycopg.Connection[Row]
    journal: list[Executed] = field(default_factory=list)
    locks: LockTimes = field(default_factory=LockTimes)
    locked_at: float = 0.0
    level: int = logging.INFO

    @contextmanager
    def logged_at(self, level: int) -> Iterator[None]:
        """Log the statements of the block at another level; the journal has them all the same."""
        before, self.level = self.level, level
        try:
            yield
        finally:
            self.level = before

    def rows(self, name: str, params: Params | None = None, /, **parts: Any) -> list[Row]:
        """Run a read from ``include/sql`` and return its rows."""
        if name in PREPARED and params is not None:
            return prepared_rows(self.connection, name, params)
        params = self._storable(name, params)
        with _ledger_required(name):
            return self.connection.execute(marked(self._compose(name, params, parts)), params).fetchall()

    def row(self, name: str, params: Params | None = None, /, **parts: Any) -> Row:
        """Run a read and return its only row; ValueError unless there is exactly one."""
        (only,) = self.rows(name, params, **parts)
        return only

    def value(self, name: str, params: Params | None = None, /, **parts: Any) -> Any:
        """Run a read and return the first column of its only row."""
        return next(iter(self.row(name, params, **parts).values()))

    def value_unless_refused(self, name: str, params: Params | None = None, /) -> Any:
        """Run a read and return its value; None where the role or the server refuses a function, as services do.

        A transaction that is open goes on.
        """
        try:
            with self.connection.transaction():
                return self.value(name, params)
        except REFUSALS:
            return None

    def run(self, name: str, params: Params | None = None, /, **parts: Any) -> int:
        """Run a changing statement from ``include/sql``; return the number of affected rows."""
        header: Statement = statement(name)
        composed = self._compose(name, params, parts)
        return self.execute(composed, params, purpose=header.purpose, lock=header.lock)

    def run_within(self, name: str, limit: str, earlier: str, /, **parts: Any) -> int:
        """Run a changing statement that may take ``limit`` in all, then reset the timeout to ``earlier``.

        All in one round trip; the journal has the statement alone.
        """
        header: Statement = statement(name)
        composed = self._compose(name, None, parts)
        limited = SEPARATOR.join((SET_TIMEOUT.format(limit), composed, SET_TIMEOUT.format(earlier)))
        return self.execute(composed, purpose=header.purpose, lock=header.lock, script=limited)

    def run_many(self, name: str, several: Iterable[Mapping[str, sql.Composable]], /) -> None:
        """Run a changing statement once for each set of its parts; see ``execute_many``."""
        header: Statement = statement(name)
        queries = [header.compose(**parts) for parts in several]
        self.execute_many(queries, purpose=header.purpose, lock=header.lock)

    def execute_many(self, queries: Iterable[sql.Composable], *, purpose: str, lock: str = UNREAD_TABLE_LOCK) -> None:
        """Run changing statements of one purpose, many in one request; the journal has an entry for each request."""
        for request in requests([query.as_string(self.connection) for query in queries]):
            several = f"{purpose} ({figures.count(len(request), 'statement')})" if len(request) > 1 else purpose
            self.execute(SEPARATOR.join(map(plain, request)), purpose=several, lock=lock)

    def give_way(self) -> None:
        """Bound each lock wait of the open transaction, so that its own session is the one that ends a deadlock.

        For writes that also lock other rows of the application: by a foreign key, or by a trigger that writes one.
        Raises LockNotAvailable later.
        """
        self.row("session/give_way")

    def lock(self, table: TableName, name: str = "engine/lock_exclusively") -> None:
        """Lock a table in the application's way; record the wait and the hold in ``locks``."""
        requested = time.perf_counter()
        try:
            self.run(name, table=table.identifier)
            self.locked_at = self.locked_at or time.perf_counter()
        finally:
            self.locks.waited_ms = max(self.locks.waited_ms, 1000 * (time.perf_counter() - requested))

    def unlocked(self) -> None:
        """Record the end of the transaction and of its locks."""
        if self.locked_at:
            self.locks.held_ms = max(self.locks.held_ms, 1000 * (time.perf_counter() - self.locked_at))
        self.locked_at = 0.0

    def _compose(self, name: str, params: Params | None, parts: dict[str, Any]) -> sql.Composed:
        """Fill a statement's braces; with params, escape percent signs in names for the driver."""
        if params is None:
            return statement(name).compose(**parts)
        escaped = {
            key: sql.SQL(
                (part if isinstance(part, sql.Composable) else sql.Literal(part))
                .as_string(self.connection)
                .replace("%", "%%")
            )
            for key, part in parts.items()
        }
        return statement(name).compose(**escaped)

    @contextmanager
    def copy(self, name: str, /, **parts: Any) -> Iterator[psycopg.Copy]:
        """Run a COPY from ``include/sql`` and yield the stream of its rows."""
        with self.connection.cursor() as cursor, cursor.copy(marked(statement(name).compose(**parts))) as stream:
            yield stream

    def write_ledger(self, name: str, params: Params, /) -> None:
        """Write to the ledger, without an entry in the journal."""
        with _ledger_required(name):
            self.connection.execute(marked(statement(name).compose()), self._storable(name, params))

    def execute(
        self,
        query: sql.Composable,
        params: Params | None = None,
        *,
        purpose: str,
        lock: str = UNREAD_TABLE_LOCK,
        script: sql.Composable | None = None,
    ) -> int:
        """Run a changing statement, add it to the journal, and return the number of affected rows.

        A ``script`` is sent instead of the statement; it contains the statement.
        """
        started = time.perf_counter()
        cursor = self.connection.execute(marked(script or query), params)
        text = query.as_string(self.connection)
        done = Executed(purpose, text, lock, max(cursor.rowcount, 0), 1000 * (time.perf_counter() - started))
        self.journal.append(done)
        rows, duration = figures.count(done.rows, "row"), figures.milliseconds(done.duration_ms)
        log.log(self.level, "%s (%s, %s)", purpose, rows, duration)
        log.debug("%s", text)
        return done.rows

    def server_version(self) -> int:
        """Return the server's major version."""
        return self.connection.info.server_version // 10_000

    def server_encoding(self) -> str:
        """Return the encoding of the database, by PostgreSQL's name."""
        return self.connection.info.parameter_status("server_encoding") or "UTF8"

    def _storable(self, name: str, params: Params | None) -> Params | None:
        """Return the values of a statement of the ledger in characters that the database's encoding has."""
        encoding = self.server_encoding()
        if not params or encoding == "UTF8" or name.partition("/")[0] != "ledger":
            return params
        return storable(params, encoding)


@contextmanager
def _ledger_required(name: str) -> Iterator[None]:
    """Raise LedgerMissing where a statement of the ledger finds no table of it."""
    try:
        yield
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        if name.partition("/")[0] != "ledger":
            raise
        raise LedgerMissing(error.diag.message_primary or str(error), LEDGER_SCHEMA) from error


@dataclass
class DrySession(Session):
    """A session for reads; changing statements are added to the journal and not run."""

    def write_ledger(self, name: str, params: Params, /) -> None:
        """Write nothing."""

    def execute_many(self, queries: Iterable[sql.Composable], *, purpose: str, lock: str = UNREAD_TABLE_LOCK) -> None:
        """Add each statement by itself."""
        for query in queries:
            self.execute(query, purpose=purpose, lock=lock)

    def execute(
        self,
        query: sql.Composable,
        params: Params | None = None,
        *,
        purpose: str,
        lock: str = UNREAD_TABLE_LOCK,
        script: sql.Composable | None = None,
    ) -> int:
        """Add the statement to the journal without running it; return 0."""
        self.journal.append(Executed(purpose, query.as_string(self.connection), lock, 0, 0.0))
        return 0
