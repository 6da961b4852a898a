"""Connections with limits, and a journal of every changing statement."""

from __future__ import annotations

import copy
import logging
import os
import re
import socket
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from partition_playbook import figures
from partition_playbook.encoding import storable
from partition_playbook.errors import (
    LedgerMissing,
    LockTableFull,
    LoginRefused,
    NotInEncoding,
    OutOfResources,
    PlaybookError,
    ReadOnlyServer,
    SharedSession,
    SourceChanged,
    UnknownTimeZone,
    Unreachable,
)
from partition_playbook.login import explained
from partition_playbook.names import LEDGER_SCHEMA, TableName
from partition_playbook.sql import Statement, statement

log = logging.getLogger(__name__)

Row = dict[str, Any]
Params = dict[str, Any]
Result = TypeVar("Result")
UNREAD_TABLE_LOCK = "ACCESS EXCLUSIVE on a table not in use yet"
SAFE_PATH = "pg_catalog, pg_temp"
# At the end of every statement: pg_stat_statements of PostgreSQL 18 drops a comment at the beginning.
STATEMENT_MARK = "/* partition_playbook */"
# Between the statements of a script, which the server records one by one: each gets the mark.
SEPARATOR = sql.SQL(";\n")
# SQLSTATE class: out of disk, memory or connections, or over a configuration limit.
INSUFFICIENT_RESOURCES = "53"
# The server names the setting in its hint; the message is translated, the hint's names are not.
LOCK_SETTING = re.compile(r"max_(?:pred_)?locks_per_transaction")
# A host that vanished is noticed after 10 + 3 * 5 s without traffic, or 30 s with an unanswered packet.
KEEPALIVES = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}
# Functions of the server itself: the role may not execute one, or a service has taken it away.
REFUSALS = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.ObjectNotInPrerequisiteState,
)
POOLER_ROUNDS = 3
# Every step repeats these large reads, a swap under its lock, and planning one takes longer than running it.
PREPARED = frozenset(
    {
        "catalog/describe_table",
        "catalog/list_dependents",
        "catalog/list_materialized_views",
        "catalog/list_partition_storage",
        "catalog/list_sequences",
        "engine/find_unlocked_versions",
        "engine/list_subscriptions",
    }
)
# Without the setting the server plans the first five executions one by one.
EXECUTE_GENERIC = (
    "SET plan_cache_mode = force_generic_plan; EXECUTE {plan} ({values}); RESET plan_cache_mode " + STATEMENT_MARK
)
# A request of many statements is as long as an event of the ledger, which keeps the beginning of a statement.
STATEMENT_CHARACTERS = 8_000
SET_TIMEOUT = sql.SQL("SET LOCAL statement_timeout = {}")
# The names under which each open connection has prepared its reads.
_plans: weakref.WeakKeyDictionary[psycopg.Connection[Row], dict[str, sql.Identifier]] = weakref.WeakKeyDictionary()
# The servers of this process that gave each of two sessions a process of its own.
_unshared: set[str] = set()


@dataclass(frozen=True)
class Limits:
    """The timeouts of a session in milliseconds; 0 is no limit."""

    lock_timeout: int = 5_000
    statement_timeout: int = 0
    idle_in_transaction: int = 600_000


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
            return self._prepared_rows(name, params)
        params = self._storable(name, params)
        with _ledger_required(name):
            return self.connection.execute(_marked(self._compose(name, params, parts)), params).fetchall()

    def _prepared_rows(self, name: str, params: Params) -> list[Row]:
        """Run a read that the session has prepared; the server plans it anew after a change of the search path.

        The driver's own prepared statements end with each DROP, ALTER and ROLLBACK, so they would save nothing here.
        """
        plans = _plans.setdefault(self.connection, {})
        if name not in plans:
            # A pooler may hand on a server process with the prepared statements of its last client.
            plan = sql.Identifier(f"{name.rpartition('/')[2]}_{uuid4().hex}")
            self.connection.execute(_marked(sql.SQL("PREPARE {} AS {}").format(plan, statement(name).numbered(params))))
            plans[name] = plan
        values = sql.SQL(", ").join(map(sql.Literal, params.values()))
        cursor = self.connection.execute(sql.SQL(EXECUTE_GENERIC).format(plan=plans[name], values=values))
        cursor.nextset()  # past the SET
        return cursor.fetchall()

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
        for request in _requests([query.as_string(self.connection) for query in queries]):
            several = f"{purpose} ({figures.count(len(request), 'statement')})" if len(request) > 1 else purpose
            self.execute(SEPARATOR.join(map(_plain, request)), purpose=several, lock=lock)

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
        with self.connection.cursor() as cursor, cursor.copy(_marked(statement(name).compose(**parts))) as stream:
            yield stream

    def write_ledger(self, name: str, params: Params, /) -> None:
        """Write to the ledger, without an entry in the journal."""
        with _ledger_required(name):
            self.connection.execute(_marked(statement(name).compose()), self._storable(name, params))

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
        cursor = self.connection.execute(_marked(script or query), params)
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


def _plain(text: str) -> sql.SQL:
    """Mark a text that was composed already as SQL."""
    return sql.SQL(text)


def _requests(statements: Sequence[str]) -> Iterator[list[str]]:
    """Yield the statements in requests of at most STATEMENT_CHARACTERS; a longer one has a request of its own."""
    request: list[str] = []
    size = 0
    for each in statements:
        size += len(each) + len(SEPARATOR.as_string())
        if request and size > STATEMENT_CHARACTERS:
            yield request
            request, size = [], len(each)
        request.append(each)
    if request:
        yield request


@contextmanager
def _ledger_required(name: str) -> Iterator[None]:
    """Raise LedgerMissing where a statement of the ledger finds no table of it."""
    try:
        yield
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        if name.partition("/")[0] != "ledger":
            raise
        raise LedgerMissing(error.diag.message_primary or str(error), LEDGER_SCHEMA) from error


def _marked(query: sql.Composable) -> sql.Composed:
    """Mark each statement: the server's log and statistics tell ours from the application's by it."""
    mark = sql.SQL(f"\n{STATEMENT_MARK}")
    parts = query if isinstance(query, sql.Composed) else (query,)
    inside = [one for each in parts for one in ((mark, each) if each == SEPARATOR else (each,))]
    return sql.Composed([*inside, mark])


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


Sink = Callable[[Session, Sequence[Executed]], None]


class Database:
    """Open sessions with limits; ``connect`` returns a fresh connection, and ``name`` is its name in errors.

    The next session reuses the connection of one without an error; all are closed with the Database.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        *,
        timezone: str = "UTC",
        application: str = "partition_playbook",
        sink: Sink | None = None,
        name: str = "",
    ) -> None:
        self._connect = connect
        self._name = name
        self._timezone = timezone
        self._application = application
        self._sink = sink
        self._idle: list[psycopg.Connection[Row]] = []
        self._origin: Database | None = None
        self._or_utc = False
        self.locks = LockTimes()
        weakref.finalize(self, _close_all, self._idle)

    def with_sink(self, sink: Sink) -> Database:
        """Return the same database with a sink for the journal of every transaction."""
        clone = copy.copy(self)
        clone._sink = sink
        # The idle connections are shared: keep the finalizer of the original from closing them.
        clone._origin = self
        return clone

    def or_utc(self) -> Database:
        """Return the same database with sessions in UTC if the server does not know the time zone."""
        clone = copy.copy(self)
        clone._or_utc = True
        clone._origin = self
        return clone

    def sibling(self, dbname: str) -> Database:
        """Return another database of the same server, with the same connection parameters."""
        with self.session() as session:
            info = session.connection.info
            secret = {"password": info.password} if info.password else {}
            conninfo = make_conninfo(**{**info.get_parameters(), **secret, "dbname": dbname})
        return Database(
            lambda: psycopg.connect(conninfo),
            timezone=self._timezone,
            application=self._application,
            name=f"{self._name}, database {dbname}" if self._name else "",
        )

    @contextmanager
    def session(self, limits: Limits | None = None, *, search_path: str = SAFE_PATH) -> Iterator[Session]:
        """Open a session in autocommit mode; LoginRefused or Unreachable if there is none.

        Raises OutOfResources for SQLSTATE class 53, LockTableFull for a full lock table, and ReadOnlyServer. Raises
        SourceChanged for a column that changed meanwhile, NotInEncoding, and SharedSession behind a pooler in
        transaction mode. The connection is closed after any error.
        """
        session = self._open(limits or Limits(), search_path)
        try:
            yield session
            self._flush(session)
            session.rows("session/leave_session")
        except BaseException as error:
            encoding = session.server_encoding() if not session.connection.closed else ""
            session.connection.close()
            if isinstance(error, psycopg.Error) and (explained := self._explained(error, encoding)):
                raise explained from error
            raise
        session.connection.read_only = None
        self._idle.append(session.connection)

    def _open(self, limits: Limits, search_path: str) -> Session:
        """Set up a live idle connection, else a new one."""
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
                self._set_up(session, settings)
                return session
            except psycopg.OperationalError:
                session.connection.close()
        session = Session(self._connected(), locks=self.locks)
        self._set_up(session, settings)
        return session

    def _set_up(self, session: Session, settings: Params) -> None:
        try:
            session.rows("session/set_session", settings)
        except psycopg.errors.InvalidParameterValue as error:
            # Messages in every language name the parameter.
            if "TimeZone" not in str(error):
                raise
            if not self._or_utc:
                session.connection.close()
                raise _unknown_time_zone(self._timezone) from error
            session.rows("session/set_session", settings | {"timezone": "UTC"})

    def _connected(self) -> psycopg.Connection[Row]:
        """Open a connection; the first one to a server proves that it has a server process of its own."""
        connection = self._dial()
        try:
            if connection.info.dsn not in _unshared:
                self._require_own_process(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _dial(self) -> psycopg.Connection[Row]:
        """Open a connection; LoginRefused if the server would refuse it again, Unreachable if it may answer later."""
        try:
            return _prepared(self._connect())
        except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
            failure = explained(error, self._name)
        raise failure  # outside the handler: the message has all that the driver's traceback tells

    def require_own_processes(self) -> None:
        """Raise SharedSession if a pooler moves a session from one server process to another; ask two new sessions."""
        with self._dial() as connection:
            self._require_own_process(connection)

    def _require_own_process(self, connection: psycopg.Connection[Row]) -> None:
        """Compare a connection outside a transaction with a second one.

        Nothing is set or locked before the answer is known, so the pooler's server processes stay as they were.
        """
        first = Session(connection)
        try:
            second = Session(self._dial())
        except Unreachable:
            # No second connection is free. A pooler gives its clients process ids of its own.
            if connection.info.backend_pid == _process(first):
                return
            raise

        with second.connection:
            if _share(first, second):
                raise SharedSession(f"the server at {connection.info.host} port {connection.info.port}")
        _unshared.add(connection.info.dsn)

    def close_idle(self) -> None:
        """Close the connections that no session uses, before a long wait."""
        _close_all(self._idle)

    def _explained(self, error: psycopg.Error, encoding: str) -> PlaybookError | None:
        """Return the error in the playbook's words; None if it has no words of its own."""
        state = error.sqlstate or ""
        if setting := LOCK_SETTING.search(error.diag.message_hint or ""):
            return LockTableFull(error.diag.message_primary or str(error), setting[0])
        if state.startswith(INSUFFICIENT_RESOURCES):
            return _out_of_resources(error)
        # Before 16 an escape of JSON that SQL_ASCII cannot hold is a conversion that the server does not support.
        unsupported = isinstance(error, psycopg.errors.FeatureNotSupported) and encoding == "SQL_ASCII"
        untranslatable = psycopg.errors.UntranslatableCharacter | psycopg.errors.CharacterNotInRepertoire
        if unsupported or isinstance(error, untranslatable):
            return NotInEncoding(error.diag.message_primary or str(error), encoding)
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
            return self._read_only()
        if isinstance(error, psycopg.errors.UndefinedColumn | psycopg.errors.DatatypeMismatch):
            return _changed_meanwhile(error)
        return None

    def _read_only(self) -> ReadOnlyServer | None:
        """Return the reason why every new session is read-only; None if only the failed one was."""
        with suppress(psycopg.Error, LoginRefused, Unreachable), self._dial() as connection:
            found = Session(connection).row("session/find_read_only")
            if remedy := read_only_remedy(found):
                problem = "the server is a standby" if found["standby"] else "new transactions are read-only by default"
                return ReadOnlyServer(problem, where=f"database {found['database']}", remedy=remedy)
        return None

    @contextmanager
    def transaction(self, limits: Limits | None = None, *, isolation: str = "READ COMMITTED") -> Iterator[Session]:
        """Open a session for one transaction; it also writes its journal to the ledger."""
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
                session.unlocked()  # COMMIT releases the locks before it removes the files of dropped tables
        finally:
            session.unlocked()
            session.journal.clear()  # after a rollback nothing was done

    @contextmanager
    def within(self, session: Session, lock_timeout: int) -> Iterator[Session]:
        """Run one transaction in an open session, with a lock timeout in milliseconds."""
        with self.block(session):
            session.rows("engine/set_lock_timeout", {"lock_timeout": f"{lock_timeout}ms"})
            yield session

    @contextmanager
    def snapshot(
        self, limits: Limits | None = None, *, search_path: str = SAFE_PATH, shared: str | None = None
    ) -> Iterator[Session]:
        """Open a read-only REPEATABLE READ transaction; ``shared`` is the exported snapshot of another session."""
        with self.session(limits, search_path=search_path) as session:
            session.connection.read_only = True
            with self.block(session, "REPEATABLE READ"):
                if shared:
                    session.connection.execute(
                        statement("session/import_snapshot").compose(snapshot=sql.Literal(shared))
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
    _keep_alive(connection)
    return connection


def _keep_alive(connection: psycopg.Connection[Any]) -> None:
    """Let the client's side of a TCP connection notice a server that vanished."""
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        if line.family in (socket.AF_INET, socket.AF_INET6):
            line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in KEEPALIVES.items():
                if (option := getattr(socket, name, None)) is not None:  # not every system has each
                    line.setsockopt(socket.IPPROTO_TCP, option, value)


def _changed_meanwhile(error: psycopg.Error) -> SourceChanged:
    """Explain that a column which the step had read from the catalog is another one now."""
    return SourceChanged(
        f"{error.diag.message_primary or error}: a column changed while this step used it, or the spec is wrong",
        where="the table of the spec",
        remedy="Compare the spec with the table, and wait for the end of DDL on it. Then clear this task: it reads the "
        "definition again",
    )


def _share(first: Session, second: Session) -> bool:
    """Tell whether two open sessions can meet in one server process.

    A pooler in transaction mode binds a session to a process for one transaction only. The process that served the
    first session is free while it rests, so the second one's transaction takes it.
    """
    try:
        for _ in range(POOLER_ROUNDS):
            own = _process(first)
            with second.connection.transaction():
                if _process(second) == own or _process(first) != own:
                    return True
    except psycopg.errors.ProtocolViolation as error:
        if "statement pooling" not in str(error):
            raise
        return True
    return False


def _process(session: Session) -> int:
    return int(session.value("session/find_process"))


def read_only_remedy(found: Row) -> str:
    """Return the statements that let new sessions write, from ``session/find_read_only``; empty if they can."""
    if found["standby"]:
        return "Connect to the primary: a standby cannot be written to"
    if not found["read_only"]:
        return ""
    role, database = (sql.Identifier(found[name]).as_string(None) for name in ("role", "database"))
    reset = "RESET default_transaction_read_only"
    statements = {
        "database": f"ALTER DATABASE {database} {reset}",
        "user": f"ALTER ROLE {role} {reset}",
        "database user": f"ALTER ROLE {role} IN DATABASE {database} {reset}",
        "global": f"ALTER ROLE ALL {reset}",
        "configuration file": f"ALTER SYSTEM {reset}; SELECT pg_reload_conf()",
    }
    if found["source"] not in statements:
        return "Remove default_transaction_read_only from the options of the connection, or from PGOPTIONS"
    # The statement itself would be refused in a read-only transaction.
    return (
        f"Find out why it was set: some services set it when the disk is nearly full. Then, as its owner, execute: SET "
        f"default_transaction_read_only = off; {statements[found['source']]}"
    )


def _out_of_resources(error: psycopg.Error) -> OutOfResources:
    return OutOfResources(
        error.diag.message_primary or str(error),
        where="the server",
        remedy="The step was rolled back; the application continues. Free disk space, memory or connections, "
        "then clear this task to resume",
    )


def _unknown_time_zone(name: str) -> UnknownTimeZone:
    return UnknownTimeZone(
        f"it does not know the time zone {name}",
        where="the server",
        remedy="Set `timezone` in the spec to a name in pg_timezone_names, or update the time zones of the server",
    )


def _close_all(connections: list[psycopg.Connection[Row]]) -> None:
    while connections:
        connections.pop().close()
