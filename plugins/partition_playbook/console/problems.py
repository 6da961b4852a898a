"""Say why the console has nothing to show, and what to do."""

from __future__ import annotations

import psycopg
from airflow.sdk.exceptions import AirflowNotFoundException

from partition_playbook.console.answers import Problem
from partition_playbook.errors import InvalidSpec, PlaybookError, PreconditionFailed

FORESEEN = (PlaybookError, psycopg.Error, AirflowNotFoundException)
NO_LEDGER = "The database has no ledger yet: no run has been made"
BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled)
_KNOWN: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str, str], ...] = (
    (psycopg.errors.UndefinedTable, NO_LEDGER, "Trigger partition_migration in mode plan: its preflight creates it"),
    (
        psycopg.errors.InsufficientPrivilege,
        "The connection's role may not read this",
        "Grant it what the README lists, or name another role in the Airflow connection",
    ),
    (BUSY, "The database is too busy to answer", "Nothing waits for the console: it gave way. Look again in a moment"),
    (
        psycopg.OperationalError,
        "The database does not answer",
        "Check the Airflow connection that the table's spec names, and that the server can be reached from Airflow",
    ),
    (
        AirflowNotFoundException,
        "Airflow has no connection of the name that the table's spec gives",
        "Create the connection, or correct `connection` in the spec",
    ),
)


def explain(error: Exception) -> Problem:
    """Return what is wrong and what to do about it."""
    if isinstance(error, PlaybookError):
        return Problem(problem=f"{error.where}: {error.problem}" if error.where else error.problem, remedy=error.remedy)
    for kind, problem, remedy in _KNOWN:
        if isinstance(error, kind):
            return Problem(problem=f"{problem} ({str(error).strip()})", remedy=remedy)
    return Problem(problem=f"{type(error).__name__}: {error}".strip())


def status(error: Exception) -> int:
    """Return the HTTP status of an answer that could not be given: 404 for what is not there, 503 for what may come."""
    return 404 if isinstance(error, (InvalidSpec, PreconditionFailed, psycopg.errors.UndefinedTable)) else 503
