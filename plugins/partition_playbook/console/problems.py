"""Explain an error of the console, with a remedy."""

from __future__ import annotations

import psycopg

from partition_playbook.console.answers import Problem
from partition_playbook.errors import InvalidSpec, LoginRefused, NoConnection, PlaybookError, PreconditionFailed
from partition_playbook.names import LEDGER_SCHEMA

FORESEEN = (PlaybookError, psycopg.Error)
NO_LEDGER = "The database has no ledger yet: no run has started"
BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled)
_KNOWN: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str, str], ...] = (
    (psycopg.errors.UndefinedTable, NO_LEDGER, "Trigger partition_migration in mode plan: its preflight creates it"),
    (
        psycopg.errors.InsufficientPrivilege,
        "The role of the Airflow connection lacks a privilege",
        f"Grant it USAGE on the schema {LEDGER_SCHEMA} and SELECT on all tables in it, or name the owner of the schema "
        "in the Airflow connection",
    ),
    (
        BUSY,
        "The database is too busy to answer",
        "The console canceled its query to block no other session. Reload the page in a moment",
    ),
    (
        psycopg.OperationalError,
        "The connection to the database was lost",
        "Check the Airflow connection in the table spec, and the network between the API server and the database",
    ),
)


def explain(error: Exception) -> Problem:
    """Return the problem and the remedy of an error; an unforeseen error has no remedy."""
    if isinstance(error, PlaybookError):
        return Problem(problem=f"{error.where}: {error.problem}" if error.where else error.problem, remedy=error.remedy)
    for kind, problem, remedy in _KNOWN:
        if isinstance(error, kind):
            return Problem(problem=f"{problem} ({str(error).strip()})", remedy=remedy)
    return Problem(problem=f"{type(error).__name__}: {error}".strip())


def status(error: Exception) -> int:
    """Return the HTTP status of an error: 404 for an absent table, run or ledger, else 503."""
    if isinstance(error, LoginRefused | NoConnection):
        return 503
    return 404 if isinstance(error, (InvalidSpec, PreconditionFailed, psycopg.errors.UndefinedTable)) else 503
