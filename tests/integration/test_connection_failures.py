"""Every way in which a real server gives no connection: told in one line, and retried only where it helps."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from partition_playbook.database import Database
from partition_playbook.errors import LoginRefused, PlaybookError, Unreachable
from partition_playbook.login import (
    ADMISSION,
    CLOSED,
    CONNECT,
    DATABASE,
    FULL,
    HOST,
    NO_SERVER,
    NOT_ADMITTED,
    OPTION,
    PASSWORD,
    ROLE,
    SILENCE,
    STARTING,
    TLS,
    Refusal,
)
from staging import cluster
from tests.fixtures.translator import translated

NAME = "the Airflow connection app_db"
ROLES = """
CREATE ROLE guarded LOGIN PASSWORD 'right';
CREATE ROLE outsider LOGIN;
CREATE ROLE secured LOGIN;
CREATE ROLE nologin;
CREATE ROLE limited LOGIN CONNECTION LIMIT 0;
CREATE ROLE plain LOGIN;
CREATE DATABASE closed ALLOW_CONNECTIONS false;
CREATE DATABASE reserved;
REVOKE CONNECT ON DATABASE reserved FROM PUBLIC;
"""
# The first line that fits decides, and a role without one is not admitted.
HBA = (
    "host all guarded all scram-sha-256",
    "hostssl all secured all trust",
    *(f"host all {role} all trust" for role in ("postgres", "nologin", "limited", "plain", "nobody")),
)
SLOTS, RESERVED = 8, 3


@dataclass(frozen=True)
class Failure:
    """A connection that fails, and its meaning in English and in any language."""

    told: Refusal
    given: tuple[tuple[str, str], ...] = ()
    elsewhere: Refusal | None = None


SERVER_SAYS = {
    "a wrong password": Failure(PASSWORD, (("user", "guarded"), ("password", "wrong"))),
    "a role without a line in pg_hba.conf": Failure(ADMISSION, (("user", "outsider"),), NOT_ADMITTED),
    "a server that wants TLS": Failure(ADMISSION, (("user", "secured"), ("sslmode", "disable")), NOT_ADMITTED),
    "an unknown role": Failure(ROLE, (("user", "nobody"),), NOT_ADMITTED),
    "a role without LOGIN": Failure(ROLE, (("user", "nologin"),), NOT_ADMITTED),
    "a role at its CONNECTION LIMIT": Failure(FULL, (("user", "limited"),)),
    "an unknown database": Failure(DATABASE, (("dbname", "nowhere"),)),
    "a database without connections": Failure(CLOSED, (("dbname", "closed"),)),
    "a database without CONNECT": Failure(CONNECT, (("user", "plain"), ("dbname", "reserved"))),
}
CLIENT_SAYS = {
    "no password": Failure(PASSWORD, (("user", "guarded"),)),
    "a port without a server": Failure(NO_SERVER, (("port", "1"),)),
    "a folder without a socket": Failure(NO_SERVER, (("host", "/nowhere"),)),
    "an unknown host": Failure(HOST, (("host", "no-such-host.invalid"),)),
    "a client that wants TLS": Failure(TLS, (("sslmode", "require"),)),
    "an unknown sslmode": Failure(TLS, (("sslmode", "sometimes"),)),
    "a root certificate that is not there": Failure(TLS, (("sslmode", "verify-full"), ("sslrootcert", "/nowhere"))),
    "an unknown parameter": Failure(OPTION, (("sslmod", "require"),)),
}


@pytest.fixture(scope="module")
def strict(programs: Path) -> Iterator[str]:
    """Return the connection string of a server of these tests' own, with few connections and a strict pg_hba.conf."""
    settings = cluster.THROW_AWAY | {"max_connections": str(SLOTS), "superuser_reserved_connections": str(RESERVED)}
    # Those of the replication count as connections too, and the default of 10 leaves none.
    settings |= {"max_wal_senders": "0", "wal_level": "replica"}
    with cluster.temporary(settings, programs=programs) as server:
        dsn = server.conninfo("postgres")
        with psycopg.connect(dsn, autocommit=True) as connection:
            for statement in filter(str.strip, ROLES.split(";")):
                connection.execute(statement)  # type: ignore[call-overload]
            rows = " UNION ALL ".join(f"SELECT '{line}'" for line in HBA)
            (path,) = connection.execute("SHOW hba_file").fetchone() or ("",)
            connection.execute(f"COPY ({rows}) TO '{path}'")  # type: ignore[call-overload]
            connection.execute("SELECT pg_reload_conf()")
        wait_until(lambda: isinstance(failure_of(make_conninfo(dsn, user="outsider")), LoginRefused))
        yield dsn


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline, "the server is not as the test wants it"
        time.sleep(0.05)


def connect(address: str) -> psycopg.Connection[Any]:
    return psycopg.connect(address)


def failure_of(dsn: str) -> PlaybookError | None:
    try:
        with Database(partial(connect, dsn), name=NAME).session():
            return None
    except (LoginRefused, Unreachable) as error:
        return error


def assert_told(error: PlaybookError | None, wanted: Refusal, *, retried: bool) -> None:
    """Check that an error is one line with problem, place and remedy, and of the kind that Airflow retries or not."""
    assert error is not None
    assert isinstance(error, Unreachable if retried else LoginRefused), error
    assert str(error).startswith(f"{NAME}")
    assert error.problem.startswith(f"{wanted.problem} ("), error
    assert error.remedy == f"{wanted.remedy}, then clear this task"
    assert "\n" not in str(error)
    assert "None" not in str(error)
    assert (error.__cause__, error.__context__) == (None, None)


@pytest.mark.parametrize("name", [*SERVER_SAYS, *CLIENT_SAYS])
def test_a_connection_that_fails_is_one_line(strict: str, name: str) -> None:
    failure = (SERVER_SAYS | CLIENT_SAYS)[name]
    dsn = f"{strict}?{'&'.join(f'{key}={value}' for key, value in failure.given if key == 'sslmod')}"
    dsn = dsn if failure.told is OPTION else make_conninfo(strict, **dict(failure.given))
    assert_told(failure_of(dsn), failure.told, retried=failure.told in (FULL, HOST, NO_SERVER))


@pytest.mark.parametrize("name", SERVER_SAYS)
def test_a_server_that_speaks_another_language_is_understood(strict: str, name: str) -> None:
    failure = SERVER_SAYS[name]
    with translated(strict) as dsn:
        error = failure_of(make_conninfo(dsn, **dict(failure.given)))
    assert_told(error, failure.elsewhere or failure.told, retried=failure.told is FULL)
    assert "lässt diese Anmeldung nicht zu" in str(error)


def spoken(dsn: str, other: bool) -> AbstractContextManager[str]:
    return translated(dsn) if other else nullcontext(dsn)


@pytest.mark.parametrize("other", [False, True], ids=["in English", "in another language"])
def test_a_server_without_a_free_connection_is_tried_again(strict: str, other: bool) -> None:
    plain = make_conninfo(strict, user="plain")
    with ExitStack() as open_sessions, spoken(plain, other) as dsn:
        for _ in range(SLOTS - RESERVED):
            open_sessions.enter_context(psycopg.connect(plain))
        assert_told(failure_of(dsn), FULL, retried=True)


@pytest.mark.parametrize("other", [False, True], ids=["in English", "in another language"])
def test_a_server_that_stops_is_tried_again(programs: Path, other: bool) -> None:
    with cluster.temporary(programs=programs) as server:
        dsn = server.conninfo("postgres")
        with psycopg.connect(dsn), spoken(dsn, other) as address:
            # A smart shutdown waits for the open session, and refuses new ones.
            os.kill(int((server.data / "postmaster.pid").read_text().split()[0]), signal.SIGTERM)
            wait_until(lambda: failure_of(dsn) is not None)
            assert_told(failure_of(address), STARTING, retried=True)


@contextmanager
def silent() -> Iterator[int]:
    """Yield the port of a program that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_server_that_does_not_answer_is_tried_again() -> None:
    with silent() as port:
        error = failure_of(f"host=127.0.0.1 port={port} user=a connect_timeout=2")
    assert_told(error, SILENCE, retried=True)
