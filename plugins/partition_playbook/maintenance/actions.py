"""What maintenance can do to a table, each with its reason and the lock that it takes."""

from __future__ import annotations

from dataclasses import dataclass

from partition_playbook.catalog import Partition
from partition_playbook.intervals import Bounds
from partition_playbook.names import TableName
from partition_playbook.sql import statement


@dataclass(frozen=True)
class Create:
    """Create and attach the partition of one interval; ``coming`` is one in which no row is due yet."""

    partition: TableName
    bounds: Bounds
    reason: str
    coming: bool

    @property
    def lock(self) -> str:
        """Return the lock that the action takes."""
        attach = statement("maintenance/attach_partition").lock
        with_default = "SHARE ROW EXCLUSIVE" if self.coming else "ACCESS EXCLUSIVE"
        return f"{attach}; with a default partition {with_default} on the table"


@dataclass(frozen=True)
class Split:
    """Create partitions together with the rows that wait for them, however many, in the default ``partition``."""

    partition: TableName
    creates: tuple[Create, ...]
    reason: str

    @property
    def lock(self) -> str:
        """Return the locks that the action takes."""
        capture = statement("maintenance/create_row_capture_triggers").lock
        return f"{capture}; at the end for a moment ACCESS EXCLUSIVE on the table, on it, and on those it refers to"


@dataclass(frozen=True)
class Abandon:
    """Remove what a split of the default ``partition`` left that did not end."""

    partition: TableName
    reason: str

    @property
    def lock(self) -> str:
        """Return the lock that the action takes."""
        return "ACCESS EXCLUSIVE on the default partition"


@dataclass(frozen=True)
class Finalize:
    """Complete a detach that was interrupted."""

    found: Partition
    reason: str

    @property
    def partition(self) -> TableName:
        """Return the partition's name."""
        return self.found.table

    @property
    def lock(self) -> str:
        """Return the lock that the action takes."""
        return statement("maintenance/finalize_detach").lock


@dataclass(frozen=True)
class Detach:
    """Take a partition off the table; its rows stay in a table of their own, for ever where it is ``kept``."""

    found: Partition
    concurrently: bool
    reason: str
    kept: bool = False

    @property
    def partition(self) -> TableName:
        """Return the partition's name."""
        return self.found.table

    @property
    def lock(self) -> str:
        """Return the lock that the action takes."""
        return statement(
            "maintenance/detach_concurrently" if self.concurrently else "maintenance/detach_partition"
        ).lock


@dataclass(frozen=True)
class Archive:
    """Write a table that retention has detached to the object store, and read it back."""

    partition: TableName
    reason: str

    @property
    def lock(self) -> str:
        """Return the lock that the action takes."""
        return statement("maintenance/lock_rows").lock


@dataclass(frozen=True)
class Drop:
    """Drop a table that retention has detached; an ``archived`` one only where its archive equals it."""

    partition: TableName
    reason: str
    archived: bool = False

    @property
    def lock(self) -> str:
        """Return the lock that the action takes."""
        return statement("maintenance/drop_partition").lock


@dataclass(frozen=True)
class Analyze:
    """Renew the statistics of the partitioned table, which autovacuum never does."""

    partition: TableName
    reason: str

    @property
    def lock(self) -> str:
        """Return the lock that the action takes."""
        return statement("migration/analyze_parent").lock


Action = Create | Split | Abandon | Finalize | Detach | Archive | Drop | Analyze


def describe(action: Action) -> str:
    """Return the action as one line for the log."""
    return f"{type(action).__name__.lower()} {action.partition}: {action.reason} (lock: {action.lock})"
