"""VACUUM (FREEZE, ANALYZE) the loaded partitions, so autovacuum has no reason to do it at a busy time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.database import Limits, Session
from partition_playbook.engine import load_groups, throttle
from partition_playbook.engine.sides import sides
from partition_playbook.errors import PreconditionFailed
from partition_playbook.lock_retry import PATIENCE, LockRetry, with_lock_retry
from partition_playbook.names import TableName
from partition_playbook.run import Run


def vacuum_partitions(run: Run, *, workers: int) -> None:
    """Vacuum and analyze every partition of the shadow, ``workers`` groups at a time, then the shadow as a whole.

    Call it after the last load. The snapshot of a running load keeps rows of other partitions from being frozen or
    marked all-visible, and index-only scans would still visit the heap. Raises PreconditionFailed if a table is gone.
    """
    with run.database.session() as session:
        shadow = sides(session, run).partitioned.table_name
        partitions = [each.table for each in catalog.partitions(session, shadow)]

    try:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(partial(_vacuum, run), load_groups.of(run, partitions)))
        analyze_parent(run, shadow)
    except psycopg.errors.UndefinedTable as error:
        raise PreconditionFailed(
            f"a table was dropped before its VACUUM or ANALYZE: {error.diag.message_primary}",
            where=str(shadow),
            remedy="A rollback dropped the shadow meanwhile: trigger a new run of partition_migration",
        ) from error


def _vacuum(run: Run, partitions: Sequence[TableName]) -> None:
    def attempt(lock_timeout: int) -> None:
        with run.database.session(Limits(lock_timeout=lock_timeout)) as session:
            vacuum(session, partitions, analyzed=analyzes_parent_alone(session))

    first, *others = partitions
    throttle.wait_until_calm(run, first.name)
    with_lock_retry(run.database, first, attempt, PATIENCE, also=others)


def vacuum(session: Session, partitions: Sequence[TableName], *, analyzed: bool = True) -> None:
    """VACUUM (FREEZE) partitions one after another, by one statement; also ANALYZE them unless that follows."""
    session.run(
        "engine/vacuum_partitions",
        options=sql.SQL("FREEZE, ANALYZE" if analyzed else "FREEZE"),
        partitions=sql.SQL(", ").join(each.identifier for each in partitions),
    )


def analyze_parent(run: Run, table: TableName, retry: LockRetry | None = None) -> None:
    """ANALYZE a partitioned table with bounded waits; from PostgreSQL 18 on without its partitions."""

    def attempt(lock_timeout: int) -> None:
        with run.database.session(Limits(lock_timeout=lock_timeout)) as session:
            analyze(session, table)

    with_lock_retry(run.database, table, attempt, retry)


def analyze(session: Session, table: TableName) -> None:
    """ANALYZE a partitioned table, before PostgreSQL 18 with its partitions."""
    # Autovacuum analyzes the partitions, but not the parent.
    only = sql.SQL("ONLY" if analyzes_parent_alone(session) else "")
    session.run("engine/analyze_parent", only=only, parent=table.identifier)


def analyzes_parent_alone(session: Session) -> bool:
    """Return True if ANALYZE of a partitioned table can leave out its partitions: ONLY is new in PostgreSQL 18."""
    return session.server_version() >= 18
