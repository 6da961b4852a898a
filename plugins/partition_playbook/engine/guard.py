"""Guard: refuse writes that name a partition after a rollback, because the next reconcile would undo them.

A partition keeps its name when a rollback takes it out of the table. A session that names it would write to a copy.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from partition_playbook.run import Run
from partition_playbook.sql import dollar_quote, statement


def drop(run: Run) -> sql.Composed:
    """Compose the statement to let the application write to the partitions of the new live table, after the renames."""
    return statement("engine/drop_guard").compose(table=run.table.identifier)


def create(run: Run, *, has_keys: bool) -> Iterator[sql.Composed]:
    """Compose the statements to guard the partitions of the new standby, after the renames.

    With ``has_keys`` the guard lets triggers write: a cascade of a referenced table that began before the swap ends.
    """
    function = run.table.guard_function.identifier
    hint = f"Write to {run.table.quoted} instead"
    parts = {"function": function, "live": sql.Literal(str(run.table)), "hint": sql.Literal(hint)}
    direct = sql.SQL("pg_trigger_depth() = 0" if has_keys else "true")
    yield statement("engine/create_guard_function").compose(quote=dollar_quote(*parts.values()), **parts)
    yield statement("engine/create_guard").compose(table=run.table.shadow.identifier, function=function, direct=direct)
