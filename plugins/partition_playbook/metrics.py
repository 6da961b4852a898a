"""The metrics of the tables and their migrations: one statement and one view of the ledger's schema for each group."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from partition_playbook.choices import Choice
from partition_playbook.database import Row, Session
from partition_playbook.names import LEDGER_SCHEMA, TableName
from partition_playbook.sql import statement

PREFIX = "partition_playbook_"
TABLE = ("table",)


class Kind(Choice):
    """The type of a metric, as Prometheus knows it."""

    GAUGE = "gauge", "A value that goes up and down."
    COUNTER = "counter", "A sum that only grows, or starts again."


@dataclass(frozen=True)
class Metric:
    """One metric: its column in the group's view, which is its name without the prefix, and its labels."""

    column: str
    text: str
    labels: tuple[str, ...] = TABLE

    @property
    def name(self) -> str:
        """Return the whole name."""
        return PREFIX + self.column

    @property
    def kind(self) -> Kind:
        """Return the type; a counter is named like one."""
        return Kind.COUNTER if self.column.endswith("_total") else Kind.GAUGE


@dataclass(frozen=True)
class Group:
    """The metrics of one statement, which is also a view."""

    view: str
    statement: str
    metrics: tuple[Metric, ...]

    @property
    def name(self) -> TableName:
        """Return the name of the view."""
        return TableName(LEDGER_SCHEMA, self.view)

    def absent(self, given: Mapping[str, object]) -> Row:
        """Return the row of a table of which the ledger knows nothing: zeros, and empty labels."""
        row: Row = {label: "" for each in self.metrics for label in each.labels}
        return row | {each.column: 0 for each in self.metrics} | dict(given)


TABLES = Group(
    "table_metrics",
    "metrics/list_tables",
    (
        Metric(
            "info", "Always 1; its labels say what is installed.", (*TABLE, "spec", "interval", "postgres", "version")
        ),
        Metric("partitioned", "1 if the table is partitioned, else 0."),
        Metric("partitions", "Attached partitions, the default partition included."),
        Metric("partitions_ahead", "Consecutive partitions after the current one."),
        Metric("partitions_wanted_ahead", "The key premake of the spec at the last run."),
        Metric("partition_gaps", "Missing partitions between the oldest and the newest one."),
        Metric("partitions_extra", "Partitions that are not one interval of the spec, the default partition aside."),
        Metric(
            "default_rows", "Rows in the default partition, as the server's statistics estimate them; 0 with `until`."
        ),
        Metric("bytes", "Size of the table with its partitions, indexes and TOAST."),
        Metric("rows_estimate", "Rows of the table, as ANALYZE estimated them."),
        Metric("bytes_per_day", "Growth at the last maintenance; 0 if it is unknown."),
        Metric("disk_full_timestamp_seconds", "Time at which the disk is full at this growth; 0 if it is unknown."),
        Metric("healthy", "0 if the last maintenance found the table red, else 1."),
        Metric("maintained_timestamp_seconds", "Time of the last maintenance; 0 if there was none."),
        Metric(
            "maintenance_due_timestamp_seconds", "Time of the first run that the schedule wants after it; 0 for none."
        ),
        Metric(
            "partitions_end_timestamp_seconds",
            "Time up to which no partition is missing; 0 without partitions or time.",
        ),
        Metric("retention_oldest_age_seconds", "Age of the oldest partition's end; 0 without retention."),
        Metric("retention_due_partitions", "Attached partitions that retention may detach now."),
        Metric("retention_overdue_partitions", "Attached partitions that the last maintenance should have detached."),
        Metric("detached_partitions", "Detached partitions that wait for their drop."),
        Metric("detached_oldest_age_seconds", "Time since the detach of the oldest one of them."),
        Metric("detached_overdue_partitions", "Detached partitions that the last maintenance should have dropped."),
        Metric("archived_bytes_total", "Sizes of the archived partitions when they were detached."),
        Metric("xid_age", "Age of the oldest unfrozen transaction id of the database."),
    ),
)
PARTITION = (*TABLE, "partition")
PARTITIONS = Group(
    "partition_metrics",
    "metrics/list_partitions",
    (
        Metric("partition_bytes", "Size of a partition with indexes and TOAST; the newest 36 of a table.", PARTITION),
        Metric("partition_rows_estimate", "Rows of a partition, as ANALYZE estimated them; the newest 36.", PARTITION),
    ),
)
PROBLEMS = Group(
    "problem_metrics",
    "metrics/list_problems",
    (Metric("problems", "1 if the check failed at the last maintenance, else 0.", (*TABLE, "check")),),
)
RUNS = Group(
    "run_metrics",
    "metrics/list_runs",
    (
        Metric("run_phase", "Always 1; its labels are the migration and its phase.", (*TABLE, "run", "phase")),
        Metric("phase_timestamp_seconds", "Time at which the migration reached its phase.", (*TABLE, "phase")),
        Metric("run_open", "1 if a migration began and has no verdict yet, else 0."),
        Metric("loads", "Loads of the migration."),
        Metric("loads_done", "Loads that ended."),
        Metric("rows_loaded_total", "Rows of the loads that ended."),
        Metric("change_log_rows", "Changes that wait to be reconciled, as the server's statistics estimate them."),
        Metric("change_log_bytes", "Size of the change log without its index."),
        Metric("change_log_limit_bytes", "Size at which the capture stops; 0 without capture."),
        Metric("change_log_oldest_age_seconds", "Longest time for which more than 1,000 changes may have waited."),
        Metric("capture_lost", "1 if the capture of a standing migration stopped, else 0."),
        Metric("rollback_possible", "1 if a swap leads back, else 0."),
        Metric("lock_waiters", "Sessions that wait for a lock on the table or its partitions."),
        Metric("drill", "1 while a rehearsal provokes the alert RehearsalDrill, else 0."),
    ),
)
SWAP = (*TABLE, "direction")
CUTOVERS = Group(
    "cutover_metrics",
    "metrics/list_cutovers",
    (
        Metric("cutover_lock_held_seconds", "Time for which the last swap held its locks.", SWAP),
        Metric("cutover_lock_waited_seconds", "Time for which the last swap waited for its locks.", SWAP),
        Metric("cutover_lock_attempts", "Tries of the last swap to get its locks.", SWAP),
    ),
)
CHECKS = Group(
    "check_metrics",
    "metrics/list_checks",
    (Metric("checks", "Checks by their last outcome.", (*TABLE, "section", "outcome")),),
)
WAITS = Group(
    "wait_metrics",
    "metrics/list_waits",
    (Metric("throttled_seconds_total", "Time that the tasks of the migration waited.", (*TABLE, "reason")),),
)
GROUPS = (TABLES, PARTITIONS, PROBLEMS, RUNS, CUTOVERS, CHECKS, WAITS)


def read(session: Session) -> dict[Group, list[Row]]:
    """Return the rows of every group; the ledger must exist."""
    return {each: session.rows(each.statement) for each in GROUPS}


def create_views(session: Session) -> None:
    """Create the views, and replace those of another version where this role may.

    The comment of a view has the digest of its text: a view is only replaced if it differs, because a replacement
    waits for its readers. PostgreSQL can only append columns to a view.
    """
    views = {each.view: each for each in GROUPS}
    for row in session.rows("metrics/list_views", {"views": list(views)}):
        group = views[row["name"]]
        comment = _comment(group)
        if row["may_replace"] and row["comment"] != comment:
            query = statement(group.statement).compose()
            session.run("metrics/create_view", view=group.name.identifier, query=query, comment=sql.Literal(comment))


def _comment(group: Group) -> str:
    digest = hashlib.sha256(statement(group.statement).text.encode()).hexdigest()[:12]
    return f"Partition Playbook, metrics: {statement(group.statement).purpose} ({digest})"
