"""Guard: refuse writes that name a partition after a rollback, because the next reconcile would undo them.

A partition keeps its name when a rollback takes it out of the table. A session that names it would write to a copy. The
capture function, which each such write calls anyway, refuses it while the guard's function exists. So a swap changes
nothing in a partition. A trigger of the guard on the table refuses writes to the standby by its own name.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from partition_playbook.database import Session
from partition_playbook.run import Run
from partition_playbook.sql import dollar_quote, statement


def refusal(run: Run) -> dict[str, sql.Composable]:
    """Return the parts of the capture function that refuse a write to a partition of the standby."""
    return {
        "guard_text": sql.Literal(run.table.guard_function.quoted),
        "live_text": sql.Literal(str(run.table)),
        "direct_hint": sql.Literal(_hint(run)),
    }


def _hint(run: Run) -> str:
    return f"Write to {run.table.quoted} instead"


def drop(run: Run) -> sql.Composed:
    """Compose the statement to let the application write to the partitions of the new live table, after the renames."""
    parts = {"table": run.table.identifier, "function": run.table.guard_function.identifier}
    return statement("engine/drop_guard").compose(**parts)


def create(run: Run, session: Session, *, has_keys: bool) -> Iterator[sql.Composed]:
    """Compose the statements to guard the partitions of the new standby, after the renames.

    With ``has_keys`` the guard lets triggers write: a cascade of a referenced table that began before the swap ends.
    If the capture function is of an earlier version, the guard is a trigger of each partition.
    """
    names = {"function": run.table.capture_function.quoted, "guard": run.table.guard_function.quoted}
    level = "STATEMENT" if session.value("engine/refuses_names", names) else "ROW"
    function = run.table.guard_function.identifier
    parts = {"function": function, "live": sql.Literal(str(run.table)), "hint": sql.Literal(_hint(run))}
    yield statement("engine/create_guard_function").compose(quote=dollar_quote(*parts.values()), **parts)

    yield statement("engine/create_guard").compose(
        table=run.table.shadow.identifier,
        function=function,
        level=sql.SQL(level),
        direct=sql.SQL("pg_trigger_depth() = 0" if has_keys else "true"),
    )
