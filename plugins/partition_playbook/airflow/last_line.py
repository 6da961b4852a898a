"""End the log of a failed attempt with one line: problem, place and next step."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import psycopg
from airflow.providers.standard.exceptions import HITLRejectException, HITLTimeoutError
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout

from partition_playbook import login
from partition_playbook.errors import PlaybookError
from partition_playbook.lock_retry import TRANSIENT_ERRORS

log = logging.getLogger(__name__)

FAILED, RETRIED = "FAILED: ", "RETRIED BY AIRFLOW: "
# SQLSTATE classes of a session that ended: a lost connection, an end by the server, and a login that failed.
SESSION_CLASSES = ("08", "28", "3D", "57P")
# Errors of the driver for a lost connection have no SQLSTATE; any other one without it is a fault of ours.
WITHOUT_STATE = (psycopg.OperationalError, psycopg.InterfaceError)
LOST = (
    "If Airflow's tries are over, read the server's log, and clear this task when the server answers: nothing of an "
    "open transaction was committed"
)
RESOURCES = "Free disk space, memory or connections, then clear this task to resume"
LOCKED = "End the session that holds the lock, or wait for it, then clear this task"
PRIVILEGE = (
    "Grant it to the role of the Airflow connection, then clear this task. Mode plan lists all missing privileges, "
    "each with its GRANT"
)
CANCELED = "A person, a timeout or partition_rollback cancelled it. Clear this task to run it again"
STATEMENT = "It was rolled back. The traceback above has the statement: correct the cause, then clear this task"
OF_A_FILE = "Correct its rights, or free space there, then clear this task"
REJECTED = "Clear this task to be asked again"
VERDICT = "Read the report and follow it, then start a new run"
TOO_LONG = "Look for locks in pg_stat_activity and for a busy server, then clear this task"
DIED = (
    "Look for the cause in the logs of scheduler and worker, such as a full memory. If Airflow does not try again, "
    "clear this task: it resumes from the state in the ledger"
)
UNFORESEEN = (
    "This is unforeseen: report it with the traceback above. The state is in the ledger, so clear this task to resume, "
    "or trigger partition_rollback"
)


def tell_failure(context: Mapping[str, Any]) -> None:
    """Log the last line of a task that failed for good."""
    log.error("%s%s", FAILED, told(context.get("exception")))


def tell_retry(context: Mapping[str, Any]) -> None:
    """Log the last line of an attempt that Airflow repeats."""
    log.warning("%s%s", RETRIED, told(context.get("exception")))


def told(error: BaseException | str | None) -> str:
    """Return an error as one line: the playbook's own words, or the server's, and the next step."""
    if isinstance(error, PlaybookError):
        return _line(error)
    if isinstance(error, psycopg.Error) and (error.sqlstate or isinstance(error, WITHOUT_STATE)):
        problem, remedy = _of_the_server(error)
    else:
        problem, remedy = _of_airflow(error)
    return f"{_line(problem).rstrip('.')}. {remedy}"


def _of_airflow(error: BaseException | str | None) -> tuple[str, str]:
    if isinstance(error, AirflowFailException):
        return str(error), VERDICT
    if isinstance(error, HITLRejectException):
        return str(error), REJECTED
    if isinstance(error, HITLTimeoutError):
        return f"nobody answered in time ({error})", REJECTED
    if isinstance(error, AirflowTaskTimeout):
        return "the task did not end within its execution_timeout", TOO_LONG
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error or type(error).__name__}", OF_A_FILE
    if error is None:
        return "Airflow lost the process of this task, or never started it", DIED
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__, UNFORESEEN


def _of_the_server(error: psycopg.Error) -> tuple[str, str]:
    state = error.sqlstate or ""
    name = type(error).__name__
    text = error.diag.message_primary or str(error) or name
    place = f"table {error.diag.schema_name}.{error.diag.table_name}: " if error.diag.table_name else "the server: "

    if known := login.of_state(state) if state.startswith((*SESSION_CLASSES, "53300")) else None:
        return f"{place}{known.problem} ({text})", f"{known.remedy}, then clear this task"
    if not state or state.startswith(SESSION_CLASSES):
        return f"{place}the connection was lost ({text})", LOST
    return f"{place}{text} ({name}, {state})", _remedy(error, state)


def _remedy(error: psycopg.Error, state: str) -> str:
    if state.startswith("53"):
        return RESOURCES
    if isinstance(error, TRANSIENT_ERRORS):
        return LOCKED
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return PRIVILEGE
    return CANCELED if isinstance(error, psycopg.errors.QueryCanceled) else STATEMENT


def _line(text: object) -> str:
    return " ".join(str(text).split())
