"""Check that the foreign keys exist, are validated, and refuse an orphan row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from partition_playbook import figures
from partition_playbook.catalog import Constraint, Table
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Limits, Row, Session
from partition_playbook.engine.sides import Sides
from partition_playbook.errors import LockNotGranted
from partition_playbook.lock_retry import TRANSIENT_ERRORS, LockRetry, with_lock_retry
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.sql import columns

# Short limits: a waiting INSERT would queue the application behind it.
BRIEF = Limits(lock_timeout=2_000, statement_timeout=60_000)
# The session gives way by itself, so the lock timeout of a try is not used.
RETRY = LockRetry(tries=5, pause_seconds=0.2)
NUMBERED = ("smallint", "integer", "bigint", "numeric")
TEXTUAL = ("text", "character varying", "character")

Unknown = sql.Composable | None


def original_keys(run: Run, now: Sides) -> dict[str, str]:
    """Return the definitions of the original table's foreign keys, by name.

    The cutover drops them from the retired table and records their definitions.
    """
    recorded = run.ledger.measurements("migration").get("foreign_keys")
    keys = {key.name: key.definition for key in now.monolith.foreign_keys}
    return {**keys, **(recorded["detail"]["definitions"] if recorded else {})}


def presence_check(run: Run, now: Sides) -> Check:
    """Return a check; it fails if the live table lacks a foreign key of the original or has it not validated."""
    expected = original_keys(run, now)
    found = {key.name: key for key in now.live.foreign_keys}
    problems = [f"{name} is missing" for name in expected if name not in found]
    problems += [
        f"{name} is {found[name].definition!r} instead of {definition!r}"
        for name, definition in expected.items()
        if name in found and found[name].definition != definition
    ]
    return check(
        "foreign_keys",
        not problems,
        expected=f"{figures.count(len(expected), 'foreign key')}: "
        f"{', '.join(sorted(expected)) or 'the original had none'}",
        actual="; ".join(problems) or f"{figures.count(len(found), 'foreign key')}, unchanged",
        remedy="Run ALTER TABLE … ADD FOREIGN KEY … NOT VALID and VALIDATE CONSTRAINT on each partition, then ADD "
        "FOREIGN KEY on the live table. Or roll back with partition_rollback",
        evidence=expected,
    )


@dataclass(frozen=True)
class Attempt:
    """The result of inserting an orphan row: refused, accepted, or not tested for the ``reason``."""

    key: Constraint
    refused: bool
    reason: str

    @property
    def tested(self) -> bool:
        """Return True if the server refused or accepted an orphan row."""
        return self.refused or not self.reason

    def __str__(self) -> str:
        if self.tested and not self.key.enforced:
            return f"{self.key.name} {'REFUSED it' if self.refused else 'accepted it, as it is NOT ENFORCED'}"
        return f"{self.key.name} {'refused it' if self.refused else self.reason or 'ACCEPTED it'}"


def enforcement_check(run: Run, now: Sides) -> Check:
    """Insert an orphan row for each foreign key and roll it back.

    The check fails if an enforced key accepts it, if a key that is NOT ENFORCED refuses it, or if one is not tested.
    """
    keys = now.live.foreign_keys
    if not keys:
        return skipped("foreign_keys_enforced", "the live table has no foreign key")

    with run.database.session(BRIEF) as session:
        attempts = [_try_patiently(run, session, now, key) for key in keys]
    wrong = [each for each in attempts if each.tested and each.refused != each.key.enforced]
    untested = [each for each in attempts if not each.tested]

    return check(
        "foreign_keys_enforced",
        not wrong and not untested,
        expected="every foreign key refuses an orphan row, unless it is NOT ENFORCED",
        actual="; ".join(map(str, attempts)),
        severity=Severity.ERROR if wrong else Severity.WARNING,
        remedy="Search pg_trigger for disabled internal triggers (tgenabled = 'D') of the live table and its "
        "partitions. Run ALTER TABLE … ENABLE TRIGGER for each by name; ENABLE TRIGGER ALL would stop change capture"
        if wrong
        else "Test these keys in psql: BEGIN, INSERT a row with an unknown reference, ROLLBACK",
        evidence={each.key.name: each.reason or "accepted" for each in attempts},
    )


def _try_patiently(run: Run, session: Session, now: Sides, key: Constraint) -> Attempt:
    """Try an orphan row, again while the application holds a lock that it needs, or has taken the next value."""
    taken = Attempt(key, False, "")
    for _ in range(RETRY.tries):
        try:
            return with_lock_retry(run.database, now.live.table_name, lambda _: _try_orphan(session, now, key), RETRY)
        except LockNotGranted as error:
            return Attempt(key, False, f"could not be tested: {error}")
        except psycopg.errors.UniqueViolation as error:
            taken = Attempt(key, False, f"could not be tested: {error.diag.message_primary or error}")
    return taken


def _try_orphan(session: Session, now: Sides, key: Constraint) -> Attempt:
    """Insert a copy of a real row with a reference that cannot exist, in a transaction that is always rolled back."""
    values = _orphan(now.live, key, now.partition_by)
    if values is None:
        return Attempt(key, False, "was not tested: its column types have no value that surely does not exist")

    try:
        with session.connection.transaction(force_rollback=True):
            session.give_way()
            session.run("validation/check_keys_at_once")
            parts = {"columns": columns(list(values)), "values": sql.SQL(", ").join(values.values())}
            rows = session.rows("validation/insert_orphan", table=now.live.table_name.identifier, **parts)
            reason = _not_orphaned(session, now, key, rows)
    except psycopg.errors.ForeignKeyViolation as error:
        return Attempt(key, True, f"refused by {error.diag.constraint_name}")
    except (*TRANSIENT_ERRORS, psycopg.errors.UniqueViolation):
        raise
    except psycopg.Error as error:
        return Attempt(key, False, f"could not be tested: {error.diag.message_primary or error}")
    finally:
        session.journal.clear()
    return Attempt(key, False, reason)


def _not_orphaned(session: Session, now: Sides, key: Constraint, inserted: Sequence[Row]) -> str:
    """Return the reason for which an accepted row proves nothing; empty if it refers to no row.

    A trigger of the application may drop the row, change its reference, or insert the row that it refers to.
    """
    if not inserted:
        return "could not be tested: there is no row to copy, or a trigger dropped it"
    pairs = zip(key.columns, key.referenced_columns, strict=True)
    match = [sql.SQL("r.{} = t.{}").format(sql.Identifier(other), sql.Identifier(own)) for own, other in pairs]
    found = session.rows(
        "validation/find_orphan",
        inserted[0],
        table=now.live.table_name.identifier,
        referenced=key.referenced.identifier,
        match=sql.SQL(" AND ").join(match),
    )
    if found and found[0]["orphan"]:
        return ""
    return "could not be tested: the value is in use, or a trigger changed the row or inserted what it refers to"


def _orphan(table: Table, key: Constraint, partition_by: str) -> dict[str, sql.Composable] | None:
    """Return the values of the row: absent ones for the key and unique columns, copied ones for the rest."""
    values: dict[str, sql.Composable] = {name: sql.Identifier("t", name) for name in table.writable}
    unique = {name for index in table.indexes if index.unique for name in index.columns} - {partition_by}
    for name in unique & values.keys():
        values[name] = absent_value(table, name, table.table_name, name) or values[name]
    for name, referenced in zip(key.columns, key.referenced_columns, strict=True):
        absent = absent_value(table, name, key.referenced, referenced)
        if absent is None:
            return None
        values[name] = absent
    return values


def absent_value(table: Table, column: str, referenced: TableName, referenced_column: str) -> Unknown:
    """Return an expression for a value absent from the referenced column; None for unsupported column types."""
    kind = table.column(column).type.partition("(")[0]
    parts: dict[str, Any] = {"table": referenced.identifier, "column": sql.Identifier(referenced_column)}
    if kind == "uuid":
        return sql.SQL("gen_random_uuid()")
    if kind in NUMBERED:
        return sql.SQL("(SELECT coalesce(max({column}), 0) + 1 FROM {table})").format(**parts)
    if kind in TEXTUAL:
        whole = sql.SQL(table.column(column).type)
        return sql.SQL("md5(gen_random_uuid()::text)::{}").format(whole)
    return None
