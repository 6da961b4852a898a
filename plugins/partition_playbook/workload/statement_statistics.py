"""Read the statements of the application from pg_stat_statements; their texts are untrusted data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg
from psycopg import sql

from partition_playbook.database import Session
from partition_playbook.names import LEDGER_SCHEMA, TableName
from partition_playbook.workload.statements import ParsedStatement

MOST = 500
HIDDEN = "<insufficient privilege>"
CUT = 200


@dataclass(frozen=True)
class ObservedStatement:
    """One statement with its calls and its total time in ms; ``label`` names a query or probe of the spec.

    ``queries`` are the identifiers that the server gave it, none if it was not recorded.
    """

    text: str
    search_path: str
    calls: int = 0
    total_ms: float = 0.0
    label: str = ""
    queries: Sequence[int] | None = None

    @cached_property
    def parsed(self) -> ParsedStatement:
        """Return the parsed text."""
        return ParsedStatement(self.text)


@dataclass(frozen=True)
class Memory:
    """The function of pg_stat_statements that forgets one statement, and whether ``role`` may call it.

    ``reset`` is empty while the extension is older than 1.7.
    """

    schema: str
    reset: str
    may_reset: bool
    role: str

    def forget(self, queries: Iterable[int]) -> Iterator[str]:
        """Yield the statements that forget some queries of this database, and before them the grant they need."""
        schema = sql.Identifier(self.schema).as_string(None)
        if not self.reset:
            yield "ALTER EXTENSION pg_stat_statements UPDATE"
        elif not self.may_reset:
            yield f"GRANT EXECUTE ON FUNCTION {self.reset} TO {self.role}"
        listed = ", ".join(map(str, queries))
        yield (
            f"SELECT {schema}.pg_stat_statements_reset(userid, dbid, queryid) FROM {schema}.pg_stat_statements "
            f"WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND queryid IN ({listed})"
        )


@dataclass(frozen=True)
class Statistics:
    """The recorded statements with the name of a table; with a ``problem`` there are none.

    ``hidden`` counts the calls of other roles without their texts, ``forgotten`` the evictions since ``since``.
    ``dumped_alone`` counts the COPY statements by which pg_dump read this table and none of its neighbours.
    """

    problem: str = ""
    installed: bool = True
    statements: tuple[ObservedStatement, ...] = ()
    hidden: int = 0
    since: str = "an unknown time"
    forgotten: int = 0
    complete: bool = True
    dumped_alone: int = 0
    memory: Memory | None = None

    def forget(self, statements: Iterable[ObservedStatement]) -> list[str]:
        """Return the SQL by which the server forgets these statements and no others; empty for none recorded."""
        queries = sorted({query for each in statements for query in each.queries or ()})
        return list(self.memory.forget(queries)) if self.memory and queries else []

    def last_steps(self, statements: Iterable[ObservedStatement]) -> str:
        """Return the end of a remedy for statements that change: forget their old texts, and start a new run."""
        text = self.forget(statements)
        return f"Then forget the old texts: {'; '.join(text)}. Start a new run" if text else "Then start a new run"


def shorten(text: str) -> str:
    """Return the beginning of a statement on one line."""
    return " ".join(text.split())[:CUT]


def read(session: Session, table: TableName) -> Statistics:
    """Read the statements on a table, without those of the playbook; a server error becomes the ``problem``."""
    installed = session.rows("workload/find_statement_statistics")
    if not installed:
        return Statistics("pg_stat_statements is not installed in this database", installed=False)
    try:
        with session.connection.transaction():
            return _read(session, table, **installed[0])
    except psycopg.Error as error:
        if session.connection.closed:
            raise
        return Statistics(f"pg_stat_statements cannot be read: {error.diag.message_primary or error}")


def _read(session: Session, table: TableName, schema: str, has_age: bool, **memory: Any) -> Statistics:
    view = sql.Identifier(schema, "pg_stat_statements")
    asked = {"name": table.name, "schema": table.schema, "most": MOST + 1}
    rows = session.rows("workload/list_workload", asked, statements=view)
    statements = [ObservedStatement(**row) for row in rows[:MOST] if row["text"] != HIDDEN]
    return Statistics(
        statements=tuple(each for each in statements if not each.parsed.is_ours(table)),
        hidden=sum(row["calls"] for row in rows if row["text"] == HIDDEN),
        complete=len(rows) <= MOST,
        dumped_alone=_dumped_alone(session, table, view),
        memory=Memory(schema, **memory),
        **(_age(session, schema) if has_age else {}),
    )


def _dumped_alone(session: Session, table: TableName, view: sql.Identifier) -> int:
    named = {"schema": table.schema, "name": table.name, "ledger_schema": LEDGER_SCHEMA}
    found = session.row("workload/count_dumps", named, statements=view)
    return int(found["own"]) if found["neighbours"] and not found["others"] else 0


def _age(session: Session, schema: str) -> dict[str, Any]:
    found = session.row("workload/find_statistics_age", info=sql.Identifier(schema, "pg_stat_statements_info"))
    return {"since": f"{found['since']:%Y-%m-%d %H:%M %Z}", "forgotten": found["forgotten"]}
