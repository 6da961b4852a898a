"""VACUUM (FREEZE, ANALYZE) the loaded partitions, so autovacuum has no reason to do it at a busy time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.database import Limits, Session
from partition_playbook.engine import throttle
from partition_playbook.engine.sides import sides
from partition_playbook.errors import PreconditionFailed
from partition_playbook.lock_retry import PATIENCE, LockRetry, with_lock_retry
from partition_playbook.names import TableName
from partition_playbook.run import Run


def vacuum_partitions(run: Run, *, workers: int) -> None:
    """Vacuum and analyze every partition of the shadow, ``workers`` at a time, then the shadow as a whole.

    Call it after the last load. The snapshot of a running load keeps rows of other partitions from being frozen or
    marked all-visible, and index-only scans would still visit the heap. Raises PreconditionFailed if a table is gone.
    """
    with run.database.session() as session:
        shadow = sides(session, run).partitioned.table_name
        partitions = [each.table for each in catalog.partitions(session, shadow)]

    try:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(partial(_vacuum, run), partitions))
        analyze_parent(run, shadow)
    except psycopg.errors.UndefinedTable as error:
        raise PreconditionFailed(
            f"a table was dropped before its VACUUM or ANALYZE: {error.diag.message_primary}",
            where=str(shadow),
            remedy="A rollback dropped the shadow meanwhile: trigger a new run of partition_migration",
        ) from error


def _vacuum(run: Run, partition: TableName) -> None:
    def attempt(lock_timeout: int) -> None:
        with run.database.session(Limits(lock_timeout=lock_timeout)) as session:
            vacuum(session, partition)

    throttle.wait_until_calm(run, partition.name)
    with_lock_retry(run.database, partition, attempt, PATIENCE)


def vacuum(session: Session, partition: TableName) -> None:
    """VACUUM (FREEZE, ANALYZE) a partition."""
    session.run("engine/vacuum_partition", partition=partition.identifier)


def analyze_parent(run: Run, table: TableName, retry: LockRetry | None = None) -> None:
    """ANALYZE a partitioned table with bounded waits; from PostgreSQL 18 on without its partitions."""

    def attempt(lock_timeout: int) -> None:
        with run.database.session(Limits(lock_timeout=lock_timeout)) as session:
            analyze(session, table)

    with_lock_retry(run.database, table, attempt, retry)


def analyze(session: Session, table: TableName) -> None:
    """ANALYZE a partitioned table."""
    # Autovacuum analyzes the partitions, but not the parent. ANALYZE ONLY a partitioned table is new in version 18.
    only = sql.SQL("ONLY" if session.server_version() >= 18 else "")
    session.run("engine/analyze_parent", only=only, parent=table.identifier)
