"""Settle what was loaded: freeze it, analyze it, so that neither happens in the middle of the day."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.database import PATIENCE, Limits, LockRetry, Session, with_lock_retry
from partition_playbook.errors import PreconditionFailed
from partition_playbook.migration import throttle
from partition_playbook.migration.run import Run, sides
from partition_playbook.names import TableName


def settle(run: Run, *, workers: int) -> None:
    """Vacuum and analyze every partition of the shadow, ``workers`` at a time, then the shadow as a whole.

    Not before all loads have ended: while one of them runs, no row of another can be frozen or known to be visible to
    all, and reads of an index alone would still look at the heap.
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
            f"what was to be settled is gone: {error.diag.message_primary}",
            where=str(shadow),
            remedy="A rollback dropped it meanwhile: start a new run",
        ) from error


def _vacuum(run: Run, partition: TableName) -> None:
    def attempt(lock_timeout: int) -> None:
        with run.database.session(Limits(lock_timeout=lock_timeout)) as session:
            vacuum(session, partition)

    throttle.wait_until_calm(run, partition.name)
    with_lock_retry(run.database, partition, attempt, PATIENCE)


def vacuum(session: Session, partition: TableName) -> None:
    """Freeze and analyze a partition."""
    session.run("migration/vacuum_partition", partition=partition.identifier)


def analyze_parent(run: Run, table: TableName, retry: LockRetry | None = None) -> None:
    """Analyze a partitioned table; from version 18 on without its partitions, which autovacuum does analyze."""

    def attempt(lock_timeout: int) -> None:
        with run.database.session(Limits(lock_timeout=lock_timeout)) as session:
            analyze(session, table)

    with_lock_retry(run.database, table, attempt, retry)


def analyze(session: Session, table: TableName) -> None:
    """Renew the statistics of a partitioned table."""
    only = sql.SQL("ONLY" if session.server_version() >= 18 else "")
    session.run("migration/analyze_parent", only=only, parent=table.identifier)
