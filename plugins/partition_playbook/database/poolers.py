"""The proof that each session has a server process of its own, and no pooler moves it to another one."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from partition_playbook.database.connection import Row
from partition_playbook.database.session import Session
from partition_playbook.errors import SharedSession, Unreachable

POOLER_ROUNDS = 3
# The servers of this process that gave each of two sessions a process of its own.
_unshared: set[str] = set()


def is_proved(connection: psycopg.Connection[Row]) -> bool:
    """Return True if the connection's server gave each of two earlier sessions a process of its own."""
    return connection.info.dsn in _unshared


def require_own_process(connection: psycopg.Connection[Row], dial: Callable[[], psycopg.Connection[Row]]) -> None:
    """Raise SharedSession if a pooler moves the session of an idle connection; ``dial`` opens one to compare with.

    Nothing is set or locked before the answer is known, so the pooler's server processes stay as they were.
    """
    first = Session(connection)
    try:
        second = Session(dial())
    except Unreachable:
        # No second connection is free. A pooler gives its clients process ids of its own.
        if connection.info.backend_pid == _process(first):
            return
        raise

    with second.connection:
        if _share(first, second):
            raise SharedSession(f"the server at {connection.info.host} port {connection.info.port}")
    _unshared.add(connection.info.dsn)


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
