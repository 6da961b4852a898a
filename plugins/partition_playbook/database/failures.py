"""Errors of the server in the playbook's words."""

from __future__ import annotations

import re

import psycopg

from partition_playbook.errors import (
    LockTableFull,
    NotInEncoding,
    OutOfResources,
    PlaybookError,
    SourceChanged,
    UnknownTimeZone,
)

# SQLSTATE class: out of disk, memory or connections, or over a configuration limit.
INSUFFICIENT_RESOURCES = "53"
# The server names the setting in its hint; the message is translated, the hint's names are not.
LOCK_SETTING = re.compile(r"max_(?:pred_)?locks_per_transaction")


def explained(error: psycopg.Error, encoding: str) -> PlaybookError | None:
    """Return the error in the playbook's words; None if it has no words of its own."""
    state = error.sqlstate or ""
    if setting := LOCK_SETTING.search(error.diag.message_hint or ""):
        return LockTableFull(error.diag.message_primary or str(error), setting[0])
    if state.startswith(INSUFFICIENT_RESOURCES):
        return _out_of_resources(error)
    # Before 16 an escape of JSON that SQL_ASCII cannot hold is a conversion that the server does not support.
    unsupported = isinstance(error, psycopg.errors.FeatureNotSupported) and encoding == "SQL_ASCII"
    untranslatable = psycopg.errors.UntranslatableCharacter | psycopg.errors.CharacterNotInRepertoire
    if unsupported or isinstance(error, untranslatable):
        return NotInEncoding(error.diag.message_primary or str(error), encoding)
    if isinstance(error, psycopg.errors.UndefinedColumn | psycopg.errors.DatatypeMismatch):
        return _changed_meanwhile(error)
    return None


def _changed_meanwhile(error: psycopg.Error) -> SourceChanged:
    """Explain that a column which the step had read from the catalog is another one now."""
    return SourceChanged(
        f"{error.diag.message_primary or error}: a column changed while this step used it, or the spec is wrong",
        where="the table of the spec",
        remedy="Compare the spec with the table, and wait for the end of DDL on it. Then clear this task: it reads the "
        "definition again",
    )


def _out_of_resources(error: psycopg.Error) -> OutOfResources:
    return OutOfResources(
        error.diag.message_primary or str(error),
        where="the server",
        remedy="The step was rolled back; the application continues. Free disk space, memory or connections, "
        "then clear this task to resume",
    )


def unknown_time_zone(name: str) -> UnknownTimeZone:
    """Return the error for a time zone that the server does not know."""
    return UnknownTimeZone(
        f"it does not know the time zone {name}",
        where="the server",
        remedy="Set `timezone` in the spec to a name in pg_timezone_names, or update the time zones of the server",
    )
