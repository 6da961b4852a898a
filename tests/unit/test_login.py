"""A login that is refused for good is told from a server that may recover, by the messages of server and libpq."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from partition_playbook.database import Database
from partition_playbook.errors import LoginRefused, PreconditionFailed, TryAgain, Unreachable
from partition_playbook.login import (
    ADMISSION,
    BROKEN,
    CLOSED,
    CONNECT,
    DATABASE,
    FULL,
    HOST,
    NO_SERVER,
    OPTION,
    PASSWORD,
    ROLE,
    SILENCE,
    STARTING,
    TLS,
    Refusal,
    explained,
)

AT = 'connection failed: connection to server at "10.0.0.5", port 5432 failed: '


@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        ('FATAL:  password authentication failed for user "app"', PASSWORD),
        ("fe_sendauth: no password supplied", PASSWORD),
        ('FATAL:  database "nowhere" does not exist', DATABASE),
        ('FATAL:  database "app" is not currently accepting connections', CLOSED),
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
    found = explained(psycopg.OperationalError(AT + message))
    assert isinstance(found, LoginRefused)
    assert found.problem.startswith(f"{refusal.problem} (connection failed: ")
    assert found.remedy == f"{refusal.remedy}, then clear this task"
    assert "\n" not in str(found)


@pytest.mark.parametrize(
    ("message", "outage"),
    [
        ("Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?", NO_SERVER),
        ("No such file or directory\n\tIs the server running locally on that socket?", NO_SERVER),
        ("FATAL:  the database system is starting up", STARTING),
        ("FATAL:  the database system is not yet accepting connections", STARTING),
        ("FATAL:  sorry, too many clients already", FULL),
        ('FATAL:  too many connections for role "app"', FULL),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", FULL),
        ("SSL error: unexpected eof while reading", BROKEN),
        ("SSL SYSCALL error: EOF detected", BROKEN),
        ("server closed the connection unexpectedly", BROKEN),
        ('could not translate host name "db" to address: Temporary failure in name resolution', HOST),
        ("failed to resolve host 'db': [Errno -2] Name or service not known", HOST),
        ("timeout expired", SILENCE),
        ("No route to host", SILENCE),
    ],
)
def test_a_server_that_may_recover_is_one_line_with_its_remedy(message: str, outage: Refusal) -> None:
    found = explained(psycopg.OperationalError(AT + message), "the Airflow connection a")
    assert isinstance(found, Unreachable)
    assert found.where == "the Airflow connection a"
    assert found.problem.startswith(f"{outage.problem} (connection failed: ")
    assert found.remedy == f"{outage.remedy}, then clear this task"
    assert "\n" not in str(found)


def test_a_parameter_that_libpq_does_not_know_is_refused_in_one_line() -> None:
    database = Database(lambda: psycopg.connect("host=127.0.0.1 sslmod=require"), name="the Airflow connection a")
    with pytest.raises(LoginRefused) as caught, database.session():
        pass
    assert str(caught.value) == (
        f'the Airflow connection a: {OPTION.problem} (invalid connection option "sslmod"). '
        f"{OPTION.remedy}, then clear this task"
    )


def test_the_second_try_without_tls_does_not_hide_a_wrong_password() -> None:
    password = 'FATAL:  password authentication failed for user "app"'
    plain = 'FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "app", database "app", no encryption'
    found = explained(psycopg.OperationalError(f"{AT}{password}\n{AT}{plain}"))
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


def test_every_session_tells_a_server_that_does_not_answer_without_the_drivers_traceback() -> None:
    with (
        pytest.raises(Unreachable, match=NO_SERVER.problem) as caught,
        Database(refusing("Connection refused")).session(),
    ):
        pass
    assert isinstance(caught.value, TryAgain)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
