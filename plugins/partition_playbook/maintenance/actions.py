"""The actions of maintenance on a table, each with its reason and its lock."""

from __future__ import annotations

from dataclasses import dataclass

from partition_playbook.catalog import Partition
from partition_playbook.intervals import Bounds
from partition_playbook.names import TableName
from partition_playbook.sql import statement


@dataclass(frozen=True)
class Create:
    """Create and attach the partition of one interval; ``coming`` means no row is due in it yet."""

    partition: TableName
    bounds: Bounds
    reason: str
    coming: bool

    @property
    def lock(self) -> str:
        """Return the locks of the action."""
        attach = statement("maintenance/attach_partition").lock
        # Rows may already wait for a current or past interval: then readers are locked out too.
        with_default = "SHARE ROW EXCLUSIVE" if self.coming else "ACCESS EXCLUSIVE"
        return f"{attach}; {with_default} on the table if it has a default partition"


@dataclass(frozen=True)
class Split:
    """Create partitions together with their rows, in any number, out of the default ``partition``."""

    partition: TableName
    creates: tuple[Create, ...]
    reason: str

    @property
    def lock(self) -> str:
        """Return the locks of the action."""
        capture = statement("maintenance/create_row_capture_triggers").lock
        return f"{capture}; at the end briefly ACCESS EXCLUSIVE on it, the table and the referenced tables"


@dataclass(frozen=True)
class Merge:
    """Replace adjoining partitions by one with all their rows."""

    partition: TableName
    bounds: Bounds
    found: tuple[Partition, ...]
    reason: str

    @property
    def lock(self) -> str:
        """Return the locks of the action."""
        return (
            "SHARE ROW EXCLUSIVE on one partition after the other; at the end briefly ACCESS EXCLUSIVE on them, the "
            "table, its default partition and the referenced tables"
        )


@dataclass(frozen=True)
class Abandon:
    """Remove the remains of an interrupted split of the default ``partition``, or of a merge to this partition."""

    partition: TableName
    reason: str

    @property
    def lock(self) -> str:
        """Return the locks of the action."""
        return "ACCESS EXCLUSIVE on the partitions with its triggers, one after the other"


@dataclass(frozen=True)
class Finalize:
    """Complete an interrupted detach."""

    found: Partition
    reason: str

    @property
    def partition(self) -> TableName:
        """Return the partition's name."""
        return self.found.table

    @property
    def lock(self) -> str:
        """Return the locks of the action."""
        return statement("maintenance/finalize_detach").lock


@dataclass(frozen=True)
class Detach:
    """Detach a partition; its rows stay in a table of their own, for ever if it is ``kept``."""

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
        """Return the locks of the action."""
        name = "maintenance/detach_concurrently" if self.concurrently else "maintenance/detach_partition"
        return statement(name).lock


@dataclass(frozen=True)
class Archive:
    """Write a table detached by retention to the object store, and read it back."""

    partition: TableName
    reason: str

    @property
    def lock(self) -> str:
        """Return the locks of the action."""
        return statement("maintenance/lock_rows").lock


@dataclass(frozen=True)
class Drop:
    """Drop a table detached by retention; an ``archived`` one only if it still equals its archive."""

    partition: TableName
    reason: str
    archived: bool = False

    @property
    def lock(self) -> str:
        """Return the locks of the action."""
        return statement("maintenance/drop_partition").lock


@dataclass(frozen=True)
class Analyze:
    """Analyze the partitioned table; autovacuum analyzes only its partitions."""

    partition: TableName
    reason: str

    @property
    def lock(self) -> str:
        """Return the locks of the action."""
        return statement("engine/analyze_parent").lock


Action = Create | Split | Merge | Abandon | Finalize | Detach | Archive | Drop | Analyze


def describe(action: Action) -> str:
    """Return the action as one line for the log."""
    return f"{type(action).__name__.lower()} {action.partition}: {action.reason} (lock: {action.lock})"
