"""A login that is refused for good is told from a server that may recover, by the messages of server and libpq."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from partition_playbook.database import Database
from partition_playbook.errors import LoginRefused, PreconditionFailed
from partition_playbook.login import ADMISSION, CONNECT, DATABASE, PASSWORD, ROLE, TLS, Refusal, refused

AT = 'connection failed: connection to server at "10.0.0.5", port 5432 failed: '


@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        ('FATAL:  password authentication failed for user "app"', PASSWORD),
        ("fe_sendauth: no password supplied", PASSWORD),
        ('FATAL:  database "nowhere" does not exist', DATABASE),
        ('FATAL:  role "nobody" does not exist', ROLE),
        ('FATAL:  role "app" is not permitted to log in', ROLE),
        ('FATAL:  permission denied for database "app"\nDETAIL:  User does not have CONNECT privilege.', CONNECT),
        ("server does not support SSL, but SSL was required", TLS),
        ("SSL error: certificate verify failed", TLS),
        ('invalid sslmode value: "bogus"', TLS),
        ('server certificate for "db" does not match host name "10.0.0.5"', TLS),
        ('root certificate file "/etc/root.crt" does not exist\nEither provide the file, or …', TLS),
        ("SSL error: tlsv1 alert unknown ca", TLS),
        (
            'FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "app", database "app", no encryption',
            ADMISSION,
        ),
        ('FATAL:  pg_hba.conf rejects connection for host "10.0.0.9", user "app", database "app"', ADMISSION),
        ('FATAL:  Peer authentication failed for user "app"', ADMISSION),
    ],
)
def test_a_refused_login_is_one_line_with_its_remedy(message: str, refusal: Refusal) -> None:
    found = refused(psycopg.OperationalError(AT + message))
    assert found is not None
    assert found.problem.startswith(f"{refusal.problem} (connection failed: ")
    assert found.remedy == f"{refusal.remedy}, then clear this task"
    assert "\n" not in str(found)


@pytest.mark.parametrize(
    "message",
    [
        "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
        "FATAL:  the database system is starting up",
        "FATAL:  sorry, too many clients already",
        "SSL error: unexpected eof while reading",
        "SSL SYSCALL error: EOF detected",
        "server closed the connection unexpectedly",
        'could not translate host name "db" to address: Temporary failure in name resolution',
        "timeout expired",
    ],
)
def test_a_server_that_may_recover_is_no_refusal(message: str) -> None:
    assert refused(psycopg.OperationalError(AT + message)) is None


def test_the_second_try_without_tls_does_not_hide_a_wrong_password() -> None:
    password = 'FATAL:  password authentication failed for user "app"'
    plain = 'FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "app", database "app", no encryption'
    found = refused(psycopg.OperationalError(f"{AT}{password}\n{AT}{plain}"))
    assert found is not None
    assert found.problem.startswith(PASSWORD.problem)


def refusing(message: str) -> Callable[[], Any]:
    def connect() -> Any:
        raise psycopg.OperationalError(AT + message)

    return connect


def test_every_session_tells_a_refused_login_without_the_drivers_traceback() -> None:
    database = Database(refusing('FATAL:  role "nobody" does not exist'))
    with pytest.raises(LoginRefused, match=ROLE.problem) as caught, database.session():
        pass
    assert isinstance(caught.value, PreconditionFailed)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_server_that_does_not_answer_stays_the_drivers_error() -> None:
    with pytest.raises(psycopg.OperationalError), Database(refusing("Connection refused")).session():
        pass
