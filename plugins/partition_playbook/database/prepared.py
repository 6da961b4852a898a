"""The large reads that each connection prepares once."""

from __future__ import annotations

import weakref
from uuid import uuid4

import psycopg
from psycopg import sql

from partition_playbook.database.connection import Params, Row
from partition_playbook.database.requests import STATEMENT_MARK, marked
from partition_playbook.sql import statement

# Every step repeats these large reads, a swap under its lock, and planning one takes longer than running it.
PREPARED = frozenset(
    {
        "catalog/describe_table",
        "catalog/list_dependents",
        "catalog/list_materialized_views",
        "catalog/list_partition_storage",
        "catalog/list_sequences",
        "engine/find_unlocked_versions",
        "engine/list_subscriptions",
    }
)
# Without the setting the server plans the first five executions one by one.
EXECUTE_GENERIC = (
    "SET plan_cache_mode = force_generic_plan; EXECUTE {plan} ({values}); RESET plan_cache_mode " + STATEMENT_MARK
)
# The names under which each open connection has prepared its reads.
_plans: weakref.WeakKeyDictionary[psycopg.Connection[Row], dict[str, sql.Identifier]] = weakref.WeakKeyDictionary()


def prepared_rows(connection: psycopg.Connection[Row], name: str, params: Params) -> list[Row]:
    """Run a read that the connection has prepared; the server plans it anew after a change of the search path.

    The driver's own prepared statements end with each DROP, ALTER and ROLLBACK, so they would save nothing here.
    """
    plans = _plans.setdefault(connection, {})
    if name not in plans:
        # A pooler may hand on a server process with the prepared statements of its last client.
        plan = sql.Identifier(f"{name.rpartition('/')[2]}_{uuid4().hex}")
        connection.execute(marked(sql.SQL("PREPARE {} AS {}").format(plan, statement(name).numbered(params))))
        plans[name] = plan
    values = sql.SQL(", ").join(map(sql.Literal, params.values()))
    cursor = connection.execute(sql.SQL(EXECUTE_GENERIC).format(plan=plans[name], values=values))
    cursor.nextset()  # past the SET
    return cursor.fetchall()
