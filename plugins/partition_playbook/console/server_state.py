"""Read the state of the server during a run: the throttle's limits, WAL, disk, and the sessions in the way."""

from __future__ import annotations

from collections.abc import Iterator

import pendulum
from psycopg import sql

from partition_playbook.console import answers
from partition_playbook.database import Row, Session
from partition_playbook.disk import find_disk
from partition_playbook.engine.throttle import excesses
from partition_playbook.names import TableName
from partition_playbook.spec import Throttle

# A lock on the table for as long as this would make a swap wait.
LONG_SECONDS = 10
GRANT = "the role does not see it: GRANT pg_monitor TO this role"


def read(session: Session, table: TableName, limits: Throttle) -> answers.Server:
    """Return the state of the server; a figure that the role may not see is None, with the reason."""
    load = session.row("engine/measure_load")
    disk = find_disk(session)
    names = [table.name, table.shadow.name, table.retired.name]
    found = session.rows("console/list_blockers", {"schema": table.schema, "names": names, "seconds": LONG_SECONDS})
    return answers.Server(
        now=pendulum.now("UTC"),
        limits=list(_limits(load, limits)),
        over=[text for _, text in excesses(limits, load)],
        safe_wal_bytes=load["safe_wal_bytes"],
        wal_bytes=session.value_unless_refused("pruning/find_wal_position"),
        free_bytes=disk.free_bytes,
        free_unknown=disk.unknown,
        blockers=[answers.Blocker(**row, statement=_statement(row)) for row in found],
    )


def _limits(load: Row, limits: Throttle) -> Iterator[answers.Limit]:
    """Yield each figure that the throttle looks at, with its limit."""
    lag = limits.max_replica_lag.total_seconds() if limits.max_replica_lag else None
    unseen = "" if load["sees_all"] or load["replica_lag"] is not None else GRANT
    yield answers.Limit(name="replica lag", value=load["replica_lag"], limit=lag, unit="s", unknown=unseen)
    most = limits.most_connections(load["max_connections"])
    yield answers.Limit(name="connections", value=load["connections"], limit=most, unit="")
    running = load["running"] if load["sees_all"] else None
    unseen = "" if load["sees_all"] else GRANT
    yield answers.Limit(name="running sessions", value=running, limit=limits.max_running, unit="", unknown=unseen)


def _statement(blocker: Row) -> str:
    """Return the statement that ends a blocker's wait for it; empty for a session of the playbook.

    A session that is idle in its transaction runs no statement to cancel: only its end releases the locks.
    """
    if blocker["is_ours"]:
        return ""
    if not blocker["pid"]:
        return f"ROLLBACK PREPARED {sql.Literal(blocker['application']).as_string()};"
    is_idle = str(blocker["state"] or "").startswith("idle")
    return f"SELECT {'pg_terminate_backend' if is_idle else 'pg_cancel_backend'}({blocker['pid']});"
