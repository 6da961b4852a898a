"""The reason why a server takes no writes, and the way out."""

from __future__ import annotations

from psycopg import sql

from partition_playbook.database.connection import Row
from partition_playbook.errors import ReadOnlyServer


def read_only_server(found: Row) -> ReadOnlyServer | None:
    """Return the reason why new sessions are read-only, from ``session/find_read_only``; None if they can write."""
    remedy = read_only_remedy(found)
    if not remedy:
        return None
    problem = "the server is a standby" if found["standby"] else "new transactions are read-only by default"
    return ReadOnlyServer(problem, where=f"database {found['database']}", remedy=remedy)


def read_only_remedy(found: Row) -> str:
    """Return the statements that let new sessions write, from ``session/find_read_only``; empty if they can."""
    if found["standby"]:
        return "Connect to the primary: a standby cannot be written to"
    if not found["read_only"]:
        return ""
    role, database = (sql.Identifier(found[name]).as_string(None) for name in ("role", "database"))
    reset = "RESET default_transaction_read_only"
    statements = {
        "database": f"ALTER DATABASE {database} {reset}",
        "user": f"ALTER ROLE {role} {reset}",
        "database user": f"ALTER ROLE {role} IN DATABASE {database} {reset}",
        "global": f"ALTER ROLE ALL {reset}",
        "configuration file": f"ALTER SYSTEM {reset}; SELECT pg_reload_conf()",
    }
    if found["source"] not in statements:
        return "Remove default_transaction_read_only from the options of the connection, or from PGOPTIONS"
    # The statement itself would be refused in a read-only transaction.
    return (
        f"Find out why it was set: some services set it when the disk is nearly full. Then, as its owner, execute: SET "
        f"default_transaction_read_only = off; {statements[found['source']]}"
    )
