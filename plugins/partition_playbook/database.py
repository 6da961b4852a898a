"""Connections with limits, a bounded lock retry, and a journal of every statement that changes something."""

from __future__ import annotations

import copy
import logging
import random
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from partition_playbook.errors import LockNotGranted, OutOfResources
from partition_playbook.names import TableName
from partition_playbook.sql import Statement, statement

log = logging.getLogger(__name__)

Row = dict[str, Any]
Params = dict[str, Any]
Result = TypeVar("Result")
UNREAD = "ACCESS EXCLUSIVE on a table that nobody reads yet"
SAFE_PATH = "pg_catalog, pg_temp"
# At the end of every statement: PostgreSQL 18's pg_stat_statements keeps no comment at its beginning.
MARK = "/* partition_playbook */"
# Errors that pass by themselves: lock not available, deadlock, serialization failure.
PASSING = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)

INSUFFICIENT_RESOURCES = "53"  # the class of SQLSTATE: disk, memory, connections, limits of the configuration


@dataclass(frozen=True)
class Limits:
    """How long a session may wait and work, in milliseconds; 0 is without a limit."""

    lock_timeout: int = 5_000
    statement_timeout: int = 0
    idle_in_transaction: int = 600_000


@dataclass(frozen=True)
class Executed:
    """One statement that was run: for the task log and the ledger's events."""

    purpose: str
    text: str
    lock: str
    rows: int
    duration_ms: float


@dataclass
class LockTimes:
    """The longest that a lock which stops the application was waited for, and was held, in milliseconds."""

    waited_ms: float = 0.0
    held_ms: float = 0.0

    def reset(self) -> None:
        """Begin anew."""
        self.waited_ms = self.held_ms = 0.0


@dataclass
class Session:
    """One connection and the journal of what it changed since the last commit."""

    connection: psycopg.Connection[Row]
    journal: list[Executed] = field(default_factory=list)
    locks: LockTimes = field(default_factory=LockTimes)
    locked_at: float = 0.0

    def rows(self, name: str, params: Params | None = None, /, **parts: Any) -> list[Row]:
        """Run a read from ``include/sql`` and return its rows."""
        return self.connection.execute(_marked(self._compose(name, params, parts)), params).fetchall()

    def row(self, name: str, params: Params | None = None, /, **parts: Any) -> Row:
        """Run a read that returns exactly one row."""
        (only,) = self.rows(name, params, **parts)
        return only

    def value(self, name: str, params: Params | None = None, /, **parts: Any) -> Any:
        """Run a read and return the first column of its only row."""
        return next(iter(self.row(name, params, **parts).values()))

    def run(self, name: str, params: Params | None = None, /, **parts: Any) -> int:
        """Run a statement from ``include/sql`` that changes something; return the rows it touched."""
        found: Statement = statement(name)
        composed = self._compose(name, params, parts)
        return self.execute(composed, params, purpose=found.purpose, lock=found.lock)

    def lock(self, table: TableName, name: str = "migration/lock_exclusively") -> None:
        """Take a lock that the application waits for; how long that is waited for, and held, is recorded."""
        asked = time.perf_counter()
        try:
            self.run(name, table=table.identifier)
            self.locked_at = self.locked_at or time.perf_counter()
        finally:
            self.locks.waited_ms = max(self.locks.waited_ms, 1000 * (time.perf_counter() - asked))

    def unlocked(self) -> None:
        """Record that the transaction ends, and its locks with it."""
        if self.locked_at:
            self.locks.held_ms = max(self.locks.held_ms, 1000 * (time.perf_counter() - self.locked_at))
        self.locked_at = 0.0

    def _compose(self, name: str, params: Params | None, parts: dict[str, Any]) -> sql.Composed:
        """Fill a statement's braces; a percent sign in a name is no placeholder of the driver."""
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
        with self.connection.cursor() as cursor, cursor.copy(_marked(statement(name).compose(**parts))) as stream:
            yield stream

    def note(self, name: str, params: Params, /) -> None:
        """Write to the ledger; that is not part of the journal."""
        self.connection.execute(_marked(statement(name).compose()), params)

    def execute(self, query: sql.Composable, params: Params | None = None, *, purpose: str, lock: str = UNREAD) -> int:
        """Run a composed statement that changes something, note it in the journal, return the rows it touched."""
        started = time.perf_counter()
        cursor = self.connection.execute(_marked(query), params)
        text = query.as_string(self.connection)
        done = Executed(purpose, text, lock, max(cursor.rowcount, 0), 1000 * (time.perf_counter() - started))
        self.journal.append(done)
        log.info("%s (%d rows, %.1f ms)", purpose, done.rows, done.duration_ms)
        log.debug("%s", text)
        return done.rows

    def server_version(self) -> int:
        """Return the server's major version."""
        return self.connection.info.server_version // 10_000


def _marked(query: sql.Composable) -> sql.Composed:
    """Sign a statement, so that whoever reads the server's statistics or log can tell it from the application's."""
    return sql.SQL("{}\n{}").format(query, sql.SQL(MARK))


@dataclass
class DrySession(Session):
    """A session that reads, but only notes what it would have changed."""

    def note(self, name: str, params: Params, /) -> None:
        """Leave the ledger as it is."""

    def execute(self, query: sql.Composable, params: Params | None = None, *, purpose: str, lock: str = UNREAD) -> int:
        """Note the statement in the journal and do not run it."""
        self.journal.append(Executed(purpose, query.as_string(self.connection), lock, 0, 0.0))
        return 0


Sink = Callable[[Session, Sequence[Executed]], None]


class Database:
    """Open sessions in which no limit is missing; ``connect`` returns a fresh connection.

    A connection whose session ended well is used again by the next one, and closed with the Database.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        *,
        timezone: str = "UTC",
        application: str = "partition_playbook",
        sink: Sink | None = None,
    ) -> None:
        self._connect = connect
        self._timezone = timezone
        self._application = application
        self._sink = sink
        self._idle: list[psycopg.Connection[Row]] = []
        self._origin: Database | None = None
        self.locks = LockTimes()
        weakref.finalize(self, _close_all, self._idle)

    def with_sink(self, sink: Sink) -> Database:
        """Return the same database with a sink for the journal of every transaction."""
        twin = copy.copy(self)
        twin._sink = sink
        twin._origin = self
        return twin

    def sibling(self, dbname: str) -> Database:
        """Return another database of the same server, reached the way this one is."""
        with self.session() as session:
            info = session.connection.info
            secret = {"password": info.password} if info.password else {}
            conninfo = make_conninfo(**{**info.get_parameters(), **secret, "dbname": dbname})
        return Database(lambda: psycopg.connect(conninfo), timezone=self._timezone, application=self._application)

    @contextmanager
    def session(self, limits: Limits | None = None, *, search_path: str = SAFE_PATH) -> Iterator[Session]:
        """Open a session that commits each statement by itself."""
        session = self._open(limits or Limits(), search_path)
        try:
            yield session
            self._flush(session)
            session.rows("ledger/leave_session")
        except BaseException as error:
            session.connection.close()
            if isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith(INSUFFICIENT_RESOURCES):
                raise _out_of_resources(error) from error
            raise
        session.connection.read_only = None
        self._idle.append(session.connection)

    def _open(self, limits: Limits, search_path: str) -> Session:
        """Set up an idle connection that still answers, else a new one."""
        settings = {
            "application_name": self._application[:63],
            "lock_timeout": str(limits.lock_timeout),
            "statement_timeout": str(limits.statement_timeout),
            "idle_in_transaction": str(limits.idle_in_transaction),
            "timezone": self._timezone,
            "search_path": search_path,
        }
        while self._idle:
            session = Session(self._idle.pop(), locks=self.locks)
            try:
                session.rows("ledger/set_session", settings)
                return session
            except psycopg.OperationalError:
                session.connection.close()
        session = Session(_prepared(self._connect()), locks=self.locks)
        session.rows("ledger/set_session", settings)
        return session

    @contextmanager
    def transaction(self, limits: Limits | None = None, *, isolation: str = "READ COMMITTED") -> Iterator[Session]:
        """Open a session for one transaction; the journal is written to the ledger in that same transaction."""
        with self.session(limits) as session, self.block(session, isolation):
            yield session

    @contextmanager
    def block(self, session: Session, isolation: str = "READ COMMITTED") -> Iterator[Session]:
        """Run one transaction in an open session."""
        session.connection.isolation_level = psycopg.IsolationLevel[isolation.replace(" ", "_")]
        try:
            with session.connection.transaction():
                yield session
                self._flush(session)
                session.unlocked()  # what a commit takes longer than that, it removes files without a lock
        finally:
            session.unlocked()
            session.journal.clear()  # what was rolled back was never done

    @contextmanager
    def within(self, session: Session, lock_timeout: int) -> Iterator[Session]:
        """Run one transaction in an open session that waits for no lock longer than so many milliseconds."""
        with self.block(session):
            session.rows("migration/set_lock_timeout", {"lock_timeout": f"{lock_timeout}ms"})
            yield session

    @contextmanager
    def snapshot(
        self, limits: Limits | None = None, *, search_path: str = SAFE_PATH, shared: str | None = None
    ) -> Iterator[Session]:
        """Open one read-only REPEATABLE READ snapshot, the same that another session exported as ``shared``."""
        with self.session(limits, search_path=search_path) as session:
            session.connection.read_only = True
            with self.block(session, "REPEATABLE READ"):
                if shared:
                    session.connection.execute(
                        statement("ledger/import_snapshot").compose(snapshot=sql.Literal(shared))
                    )
                yield session

    def _flush(self, session: Session) -> None:
        if self._sink and session.journal:
            self._sink(session, tuple(session.journal))
        session.journal.clear()


def _prepared(connection: psycopg.Connection[Any]) -> psycopg.Connection[Row]:
    connection.autocommit = True
    connection.prepare_threshold = None
    connection.row_factory = dict_row
    return connection


def _out_of_resources(error: psycopg.Error) -> OutOfResources:
    return OutOfResources(
        error.diag.message_primary or str(error),
        where="the server",
        remedy="What this step had begun is undone and the application is not held up. Make room, then clear this task "
        "to go on",
    )


def _close_all(connections: list[psycopg.Connection[Row]]) -> None:
    while connections:
        connections.pop().close()


@dataclass(frozen=True)
class LockRetry:
    """A bounded ladder of attempts: each waits at most its lock timeout, so nobody queues behind us for longer."""

    first_ms: int = 100
    longest_ms: int = 800
    tries: int = 30
    pause_seconds: float = 0.5

    def lock_timeout(self, attempt: int) -> int:
        """Return the lock timeout of an attempt, in milliseconds."""
        return min(self.longest_ms, int(self.first_ms * 1.25**attempt))

    def pause(self, attempt: int) -> float:
        """Return the jittered pause after an attempt, in seconds."""
        return random.uniform(0.5, 1.5) * min(10.0, self.pause_seconds * 1.3**attempt)


# What nobody else waits for may be waited for in earnest.
PATIENCE = LockRetry(first_ms=20_000, longest_ms=60_000, tries=4)


def with_lock_retry(
    database: Database,
    table: TableName,
    attempt: Callable[[int], Result],
    retry: LockRetry | None = None,
    *,
    also: Sequence[TableName] = (),
) -> Result:
    """Call ``attempt(lock_timeout_ms)`` until its locks are granted; LockNotGranted names who held them.

    They are looked for on the table, its siblings, its partitions, what these refer to, and ``also`` on other tables.
    """
    retry = retry or LockRetry()
    waited = 0.0
    blockers: list[str] = []
    for count in range(retry.tries):
        started = time.perf_counter()
        try:
            return attempt(retry.lock_timeout(count))
        except PASSING as error:
            waited += 1000 * (time.perf_counter() - started)
            blockers = lock_holders(database, (table, table.shadow, table.retired, *also))
            log.warning("attempt %d on %s: %s; held by: %s", count + 1, table, str(error).strip(), "; ".join(blockers))
            time.sleep(retry.pause(count))
    raise LockNotGranted(str(table), waited, retry.tries, blockers)


def lock_holders(database: Database, tables: Sequence[TableName], turns: Sequence[str] = ()) -> list[str]:
    """Name the sessions that hold a lock on tables or what is locked with them, the oldest transaction first."""
    names = {"schemas": [each.schema for each in tables], "names": [each.name for each in tables]}
    values = names | {"turns": list(turns)}
    with database.session() as session:
        rows = session.rows("catalog/list_lock_holders", values)
    return [
        f"pid {row['pid']} user {row['usename']} application {row['application_name']!r} "
        f"{row['modes']} for {row['age']}: {row['query']}"
        for row in rows
    ]
