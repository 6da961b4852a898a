"""Tell a login that is refused for good from a server that may answer later, each with its remedy."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlencode

import psycopg

from partition_playbook.errors import LoginRefused, PlaybookError, Unreachable

ASK_SECONDS = 10.0
# The parameters of a connection that decide about its login, by libpq's names.
LOGIN_PARAMETERS = frozenset(
    {"host", "port", "user", "password", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword"}
)


@dataclass(frozen=True)
class Refusal:
    """One way to be refused: its messages, its SQLSTATEs, and the problem and the remedy in the playbook's words."""

    messages: tuple[str, ...]
    problem: str
    remedy: str
    states: tuple[str, ...] = ()

    def is_told(self, text: str) -> bool:
        """Return True if a text holds one of the messages."""
        return any(re.search(each, text, re.IGNORECASE) for each in self.messages)


PASSWORD = Refusal(
    ("password authentication failed", "no password supplied", "SASL authentication failed"),
    "the password is wrong or missing",
    "Correct login and password of the Airflow connection",
    ("28P01",),
)
DATABASE = Refusal(
    ('database ".*" does not exist', "no such database"),
    "the database does not exist",
    "Correct the database (schema) of the Airflow connection; psql -l lists the databases of the server",
    ("3D000",),
)
CLOSED = Refusal(
    ('database ".*" is not currently accepting connections',),
    "the database accepts no connections",
    "Execute ALTER DATABASE … ALLOW_CONNECTIONS true, or correct the database (schema) of the Airflow connection",
    ("55000",),
)
ROLE = Refusal(
    ('role ".*" does not exist', 'role ".*" is not permitted to log in', "no such user"),
    "the role does not exist, or may not log in",
    "Correct the login of the Airflow connection, or run CREATE ROLE … LOGIN, or ALTER ROLE … LOGIN",
)
CONNECT = Refusal(
    ('permission denied for database "',),
    "the role may not connect to the database",
    "Run GRANT CONNECT ON DATABASE … TO the role",
    ("42501",),
)
TLS = Refusal(
    (
        "does not support SSL",
        "invalid sslmode value",
        "certificate verify failed",
        # Not every SSL error: a server that dies in a handshake is one too.
        "SSL error: (tlsv1|sslv3|no protocols|wrong version|unsupported)",
        "(root|server) certificate",
        "(certificate|private key) file",
        "(SSL|channel binding) (is )?required",
    ),
    "TLS is refused, by the server or by this client",
    "Correct sslmode, sslrootcert, sslcert and sslkey in the extra of the Airflow connection, or let the server offer "
    "TLS (ssl = on, with a certificate that the client trusts)",
)
ADMISSION = Refusal(
    (
        r"no pg_hba\.conf entry",
        r"pg_hba\.conf rejects",
        "(peer|ident|certificate|LDAP|GSSAPI|RADIUS|PAM) authentication failed",
    ),
    "pg_hba.conf does not admit this client",
    "Add a line for this role, database and address to pg_hba.conf, then run SELECT pg_reload_conf(). If the message "
    "says `no encryption`, set sslmode=require in the extra of the Airflow connection instead",
)
# One SQLSTATE for roles and for pg_hba.conf.
NOT_ADMITTED = Refusal(
    (),
    "the server does not admit this role",
    "Correct the login of the Airflow connection, run ALTER ROLE … LOGIN, or add a line for this role, database and "
    "address to pg_hba.conf, as the message says",
    ("28000",),
)
OPTION = Refusal(
    (),
    "the connection has a parameter that PostgreSQL's client library does not accept",
    "Correct it in the extra of the Airflow connection",
)
# The first match wins: with sslmode=prefer the driver reports a second try without TLS after a wrong password.
REFUSALS = (PASSWORD, DATABASE, CLOSED, ROLE, CONNECT, TLS, ADMISSION, NOT_ADMITTED, OPTION)

FULL = Refusal(
    ("too many clients", "too many connections for", "connection slots are reserved", "too many (server|client)"),
    "no connection is free",
    "End idle sessions of pg_stat_activity. If it recurs, raise max_connections of the server, or the CONNECTION LIMIT "
    "of the role or the database",
    ("53300",),
)
STARTING = Refusal(
    ("the database system is ",),
    "the server is starting or stopping",
    "Wait until pg_isready says that it accepts connections; if it does not, read the server's log",
    ("57P03",),
)
HOST = Refusal(
    ("could not translate host name", "failed to resolve host", "name or service not known"),
    "the host is unknown",
    "Correct the host of the Airflow connection, or the name service of the machine that runs the task",
)
NO_SERVER = Refusal(
    ("connection refused", "no such file or directory.*socket"),
    "no server listens there",
    "Start the server, or correct host and port of the Airflow connection",
)
SILENCE = Refusal(
    ("timeout expired", "timed out", "no route to host", "network is unreachable"),
    "the server does not answer",
    "Correct host and port of the Airflow connection, or let the firewall pass connections from this machine",
)
BROKEN = Refusal(
    (),
    "the connection failed",
    "Read the server's log, and check the Airflow connection and the network from this machine to the server",
)
OUTAGES = (FULL, STARTING, HOST, NO_SERVER, SILENCE, BROKEN)


def explained(error: psycopg.Error, connection: str = "") -> PlaybookError:
    """Return a failed connection in the playbook's words, in one line.

    LoginRefused if the server would refuse it again, else Unreachable. ``connection`` names it for the reader.
    """
    # Each attempt of the driver has its own line; the servers' hints and details follow.
    text = " ".join(str(error).split())
    parsed = OPTION if isinstance(error, psycopg.ProgrammingError) else None
    found = parsed or _told(text) or of_state(asked_state(error)) or BROKEN
    kind: type[PlaybookError] = LoginRefused if found in REFUSALS else Unreachable
    where = ", ".join(each for each in (connection, _place(error)) if each)
    return kind(f"{found.problem} ({text})", where=where, remedy=f"{found.remedy}, then clear this task")


def _told(text: str) -> Refusal | None:
    """Return the meaning of an English message of server or libpq; None for any other one."""
    return next((each for each in (*REFUSALS, *OUTAGES) if each.is_told(text)), None)


def of_state(state: str) -> Refusal | None:
    """Return the meaning of a SQLSTATE of a failed login; None for any other one."""
    return next((each for each in (*REFUSALS, *OUTAGES) if state in each.states), None)


def asked_state(error: psycopg.Error) -> str:
    """Log in once more and return the SQLSTATE of the server's answer; empty without an answer of this kind.

    psycopg's error of a failed connection has no SQLSTATE, and the message is in the language of ``lc_messages``.
    """
    tried = error.pgconn
    if tried is None:
        return ""
    given = {each.keyword.decode(): each.val.decode() for each in tried.info if each.val}
    address = urlencode({name: value for name, value in given.items() if name in LOGIN_PARAMETERS})
    # A thread of its own: the caller's may run an event loop.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _state_of_login(f"postgresql://?{address}")).result()


async def _state_of_login(address: str) -> str:
    # Each task imports this module, and almost none comes here.
    import asyncpg  # type: ignore[import-untyped]

    try:
        connection = await asyncpg.connect(address, timeout=ASK_SECONDS)
    except asyncpg.PostgresError as error:
        return str(error.sqlstate or "")
    except (OSError, ValueError, asyncpg.InterfaceError, asyncpg.InternalClientError):  # no server, or no TLS
        return ""
    connection.terminate()
    return ""


def _place(error: psycopg.Error) -> str:
    """Return server, database and role of a failed connection, without its password; empty if none was tried."""
    tried = error.pgconn
    if tried is None:
        return ""
    host, port, database, role = (
        part.decode(errors="replace") for part in (tried.host, tried.port, tried.db, tried.user)
    )
    return f"the server at {host} port {port}, database {database}, role {role}"
