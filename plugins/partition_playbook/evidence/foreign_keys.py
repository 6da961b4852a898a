"""See that foreign keys are there, validated, and really refuse a row that refers to nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from partition_playbook.catalog import Constraint, Table
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Limits, Session
from partition_playbook.migration.run import Run, Sides
from partition_playbook.names import TableName
from partition_playbook.sql import columns

# A bad insert waits for nobody for long: it would hold back the application.
BRIEF = Limits(lock_timeout=2_000, statement_timeout=60_000)
NUMBERED = ("smallint", "integer", "bigint", "numeric")
TEXTUAL = ("text", "character varying", "character")

Unknown = sql.Composable | None


def original_keys(run: Run, now: Sides) -> dict[str, str]:
    """Return the definitions of the original table's foreign keys, by name.

    They leave the original once it is retired; the cutover recorded what they were.
    """
    recorded = run.ledger.measurements("migration").get("foreign_keys")
    keys = {key.name: key.definition for key in now.monolith.foreign_keys}
    return {**keys, **(recorded["detail"]["definitions"] if recorded else {})}


def presence_check(run: Run, now: Sides) -> Check:
    """Return the check that every foreign key of the original is on the live table and validated."""
    expected = original_keys(run, now)
    found = {key.name: key for key in now.live.foreign_keys}
    problems = [f"{name} is missing" for name in expected if name not in found]
    problems += [
        f"{name} is {found[name].definition!r} and not {definition!r}"
        for name, definition in expected.items()
        if name in found and found[name].definition != definition
    ]
    return check(
        "foreign_keys",
        not problems,
        expected=f"{len(expected)} foreign keys: {', '.join(sorted(expected)) or 'the original had none'}",
        actual="; ".join(problems) or f"{len(found)} foreign keys, as they were",
        remedy="Add the key to the live table with NOT VALID, then VALIDATE CONSTRAINT; or roll back",
        evidence=expected,
    )


@dataclass(frozen=True)
class Tried:
    """What became of a row that refers to nothing."""

    key: str
    refused: bool
    told: str


def enforcement_check(run: Run, now: Sides) -> Check:
    """Return the check that each foreign key refuses a bad row; whatever is tried is rolled back."""
    keys = now.live.foreign_keys
    if not keys:
        return skipped("foreign_keys_enforced", "the live table has no foreign key")
    with run.database.session(BRIEF) as session:
        tried = [_try_orphan(session, now, key) for key in keys]
    accepted = [each for each in tried if not each.refused and not each.told]
    untried = [each for each in tried if not each.refused and each.told]
    return check(
        "foreign_keys_enforced",
        not accepted and not untried,
        expected="a row that refers to nothing is refused by every foreign key",
        actual=_describe(tried),
        severity=Severity.ERROR if accepted else Severity.WARNING,
        remedy="Look for disabled triggers on the live table and its partitions"
        if accepted
        else "Try those keys by hand",
        evidence={each.key: each.told or "accepted" for each in tried},
    )


def _describe(tried: Iterable[Tried]) -> str:
    return "; ".join(
        f"{each.key} refused it" if each.refused else f"{each.key} {each.told or 'ACCEPTED it'}" for each in tried
    )


def _try_orphan(session: Session, now: Sides, key: Constraint) -> Tried:
    """Insert a copy of a real row with a reference that cannot exist, in a transaction that is always rolled back."""
    values = _orphan(now.live, key, now.partition_by)
    if values is None:
        return Tried(key.name, False, "was not tried: no value that cannot exist is known for its columns' types")
    try:
        with session.connection.transaction(force_rollback=True):
            session.run("validation/check_keys_at_once")
            parts = {"columns": columns(list(values)), "values": sql.SQL(", ").join(values.values())}
            rows = session.run("validation/insert_orphan", table=now.live.table_name.identifier, **parts)
    except psycopg.errors.ForeignKeyViolation as error:
        return Tried(key.name, True, f"refused by {error.diag.constraint_name}")
    except psycopg.Error as error:
        return Tried(key.name, False, f"could not be tried: {error.diag.message_primary or error}")
    finally:
        session.journal.clear()
    return Tried(key.name, False, "" if rows else "could not be tried: there is no row to copy")


def _orphan(table: Table, key: Constraint, partition_by: str) -> dict[str, sql.Composable] | None:
    """Return the values of the row: absent ones for the key and for whatever must be unique, the rest copied."""
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
    """Return an expression of the column's type whose value is not in the referenced column; None for other types."""
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
