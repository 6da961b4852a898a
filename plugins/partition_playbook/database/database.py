"""Sessions with limits, and their transactions."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from partition_playbook import login
from partition_playbook.database import failures, poolers
from partition_playbook.database.connection import Params, Row, close_all, set_up
from partition_playbook.database.read_only import read_only_server
from partition_playbook.database.session import Executed, LockTimes, Session
from partition_playbook.errors import LoginRefused, PlaybookError, ReadOnlyServer, Unreachable
from partition_playbook.sql import statement

SAFE_PATH = "pg_catalog, pg_temp"


@dataclass(frozen=True)
class Limits:
    """The timeouts of a session in milliseconds; 0 is no limit."""

    lock_timeout: int = 5_000
    statement_timeout: int = 0
    idle_in_transaction: int = 600_000


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
        weakref.finalize(self, close_all, self._idle)

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
                raise failures.unknown_time_zone(self._timezone) from error
            session.rows("session/set_session", settings | {"timezone": "UTC"})

    def _connected(self) -> psycopg.Connection[Row]:
        """Open a connection; the first one to a server proves that it has a server process of its own."""
        connection = self._dial()
        try:
            if not poolers.is_proved(connection):
                poolers.require_own_process(connection, self._dial)
        except BaseException:
            connection.close()
            raise
        return connection

    def _dial(self) -> psycopg.Connection[Row]:
        """Open a connection; LoginRefused if the server would refuse it again, Unreachable if it may answer later."""
        try:
            return set_up(self._connect())
        except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
            failure = login.explained(error, self._name)
        raise failure  # outside the handler: the message has all that the driver's traceback tells

    def require_own_processes(self) -> None:
        """Raise SharedSession if a pooler moves a session from one server process to another; ask two new sessions."""
        with self._dial() as connection:
            poolers.require_own_process(connection, self._dial)

    def close_idle(self) -> None:
        """Close the connections that no session uses, before a long wait."""
        close_all(self._idle)

    def _explained(self, error: psycopg.Error, encoding: str) -> PlaybookError | None:
        """Return the error in the playbook's words; None if it has no words of its own."""
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
            return self._read_only()
        return failures.explained(error, encoding)

    def _read_only(self) -> ReadOnlyServer | None:
        """Return the reason why every new session is read-only; None if only the failed one was."""
        with suppress(psycopg.Error, LoginRefused, Unreachable), self._dial() as connection:
            return read_only_server(Session(connection).row("session/find_read_only"))
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
