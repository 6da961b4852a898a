"""Statements of a room as they go to the server: marked, and many in one request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import sql

# At the end of every statement: pg_stat_statements of PostgreSQL 18 drops a comment at the beginning.
STATEMENT_MARK = "/* partition_playbook */"
# Between the statements of a script, which the server records one by one: each gets the mark.
SEPARATOR = sql.SQL(";\n")
# A request of many statements is as long as an event of the ledger, which keeps the beginning of a statement.
STATEMENT_CHARACTERS = 8_000


def plain(text: str) -> sql.SQL:
    """Mark a text that was composed already as SQL."""
    return sql.SQL(text)


def requests(statements: Sequence[str]) -> Iterator[list[str]]:
    """Yield the statements in requests of at most STATEMENT_CHARACTERS; a longer one has a request of its own."""
    request: list[str] = []
    size = 0
    for each in statements:
        size += len(each) + len(SEPARATOR.as_string())
        if request and size > STATEMENT_CHARACTERS:
            yield request
            request, size = [], len(each)
        request.append(each)
    if request:
        yield request


def marked(query: sql.Composable) -> sql.Composed:
    """Mark each statement: the server's log and statistics tell ours from the application's by it."""
    mark = sql.SQL(f"\n{STATEMENT_MARK}")
    parts = query if isinstance(query, sql.Composed) else (query,)
    inside = [one for each in parts for one in ((mark, each) if each == SEPARATOR else (each,))]
    return sql.Composed([*inside, mark])
