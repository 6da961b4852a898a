"""The statements that the application sent, from pg_stat_statements: texts that others wrote, so data and no more."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg
from psycopg import sql

from partition_playbook.database import Session
from partition_playbook.evidence.statements import Script
from partition_playbook.names import TableName

MOST = 500
HIDDEN = "<insufficient privilege>"


@dataclass(frozen=True)
class Sent:
    """One statement, how often it was sent and how long it took; ``label`` names one of the spec's."""

    text: str
    search_path: str
    calls: int = 0
    total_ms: float = 0.0
    label: str = ""

    @cached_property
    def script(self) -> Script:
        """Return the text as it can be read."""
        return Script(self.text)


@dataclass(frozen=True)
class Statistics:
    """What the server remembers of the statements that name a table; ``problem`` says why it is nothing."""

    problem: str = ""
    installed: bool = True
    sent: tuple[Sent, ...] = ()
    hidden: int = 0
    since: str = "an unknown moment"
    forgotten: int = 0
    complete: bool = True


def read(session: Session, table: TableName) -> Statistics:
    """Read the statements that may touch a table, without the playbook's own."""
    installed = session.rows("preflight/find_statement_statistics")
    if not installed:
        return Statistics("pg_stat_statements is not installed in this database", installed=False)
    try:
        with session.connection.transaction():
            return _read(session, table, **installed[0])
    except psycopg.Error as error:
        if session.connection.closed:
            raise
        return Statistics(f"pg_stat_statements cannot be read: {error.diag.message_primary or error}")


def _read(session: Session, table: TableName, schema: str, has_age: bool) -> Statistics:
    view = sql.Identifier(schema, "pg_stat_statements")
    asked = {"name": table.name, "schema": table.schema, "most": MOST + 1}
    rows = session.rows("preflight/list_workload", asked, statements=view)
    sent = [Sent(**row) for row in rows[:MOST] if row["text"] != HIDDEN]
    return Statistics(
        sent=tuple(each for each in sent if not each.script.is_ours(table.shadow)),
        hidden=sum(row["calls"] for row in rows if row["text"] == HIDDEN),
        complete=len(rows) <= MOST,
        **(_age(session, schema) if has_age else {}),
    )


def _age(session: Session, schema: str) -> dict[str, Any]:
    found = session.row("preflight/find_statistics_age", info=sql.Identifier(schema, "pg_stat_statements_info"))
    return {"since": f"{found['since']:%Y-%m-%d %H:%M}", "forgotten": found["forgotten"]}
