"""Tell a foreseen error in one line, with an exit code."""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from partition_playbook.console import problems
from partition_playbook.errors import (
    InvalidSpec,
    LockNotGranted,
    LockTableFull,
    LoginRefused,
    NoConnection,
    OutOfResources,
    PlaybookError,
    ReadOnlyServer,
    SharedSession,
    Unreachable,
)
from partition_playbook.lock_retry import TRANSIENT_ERRORS
from partition_playbook.shell.answer import Exit, Failure

FORESEEN = (*problems.FORESEEN, SQLAlchemyError, OSError)
LOCKED = (*TRANSIENT_ERRORS, LockNotGranted, LockTableFull)
NOT_CONNECTED = (LoginRefused, NoConnection, SharedSession, ReadOnlyServer, OutOfResources, Unreachable)
LOST = "Check the Airflow connection, and the network from here to the server"


def failure_of(error: Exception, connection: str = "") -> Failure:
    """Return a foreseen error as a failure; ``connection`` is the id of the Airflow connection in use."""
    where = f"connection {connection}" if connection else ""
    if isinstance(error, LOCKED):
        return _locked(error, where)
    if isinstance(error, PlaybookError):
        remedy = error.remedy.removesuffix(", then clear this task")  # a shell has none
        return Failure(_exit(error), error.where, error.problem, remedy)
    if isinstance(error, problems.BUSY):
        return Failure(Exit.LOCK, where, _first_line(error), "Run the command again in a moment")
    if isinstance(error, SQLAlchemyError):
        return Failure(
            Exit.CONNECTION,
            "Airflow's database",
            _first_line(error),
            "Set AIRFLOW__DATABASE__SQL_ALCHEMY_CONN as Airflow has it, or create its tables: airflow db migrate",
        )
    if _is_connection(error):
        return Failure(Exit.CONNECTION, where, _first_line(error), LOST)
    told = problems.explain(error)
    return Failure(Exit.ERROR, where, told.problem, told.remedy)


def _locked(error: Exception, where: str) -> Failure:
    if isinstance(error, PlaybookError):
        return Failure(Exit.LOCK, error.where, error.problem, "Run the command again when these sessions have ended")
    return Failure(Exit.LOCK, where, _first_line(error), "Another session holds the lock. Run the command again")


def _exit(error: PlaybookError) -> Exit:
    if isinstance(error, InvalidSpec):
        return Exit.SPEC
    return Exit.CONNECTION if isinstance(error, NOT_CONNECTED) else Exit.ERROR


def _is_connection(error: Exception) -> bool:
    """Return True for a connection that was lost."""
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


def _first_line(error: Exception) -> str:
    """Return the error of the last address that was tried, without repeated prefixes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
