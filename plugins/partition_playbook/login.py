"""Tell a login that is refused for good from a server that may recover."""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg

from partition_playbook.errors import LoginRefused


@dataclass(frozen=True)
class Refusal:
    """One way to be refused: its messages, and the problem and the remedy in the playbook's words."""

    messages: tuple[str, ...]
    problem: str
    remedy: str

    def is_told(self, text: str) -> bool:
        """Return True if a text holds one of the messages."""
        return any(re.search(each, text, re.IGNORECASE) for each in self.messages)


PASSWORD = Refusal(
    ("password authentication failed", "no password supplied", "SASL authentication failed"),
    "the password is wrong or missing",
    "Correct login and password of the Airflow connection",
)
DATABASE = Refusal(
    ('database ".*" does not exist', "no such database"),
    "the database does not exist",
    "Correct the database (schema) of the Airflow connection; psql -l lists the databases of the server",
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
# The first match wins: with sslmode=prefer the driver reports a second try without TLS after a wrong password.
REFUSALS = (PASSWORD, DATABASE, ROLE, CONNECT, TLS, ADMISSION)


def refused(error: psycopg.OperationalError) -> LoginRefused | None:
    """Return the refusal of a connection for good; None if the server may answer later.

    A failed connection has no SQLSTATE in psycopg, so the English messages of server and libpq decide. A server with
    another ``lc_messages`` is tried again.
    """
    # Each attempt of the driver has its own line; the servers' hints and details follow.
    text = " ".join(str(error).split())
    for each in REFUSALS:
        if each.is_told(text):
            problem = f"{each.problem} ({text})"
            return LoginRefused(problem, where=_place(error), remedy=f"{each.remedy}, then clear this task")
    return None


def _place(error: psycopg.OperationalError) -> str:
    """Return server, database and role of a failed connection, without its password."""
    tried = error.pgconn
    if tried is None:
        return "the server"
    host, port, database, role = (
        part.decode(errors="replace") for part in (tried.host, tried.port, tried.db, tried.user)
    )
    return f"the server at {host} port {port}, database {database}, role {role}"
