"""What catalog, ledger, rows and the server's clock say of a table: all that the plan is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pendulum import DateTime

from partition_playbook.catalog import Partition
from partition_playbook.maintenance.waiting import NOTHING, Waiting
from partition_playbook.names import TableName


@dataclass(frozen=True)
class Detached:
    """A table that retention detached and that still exists: since when, and the range that it held.

    ``kept`` is one that was detached to be kept for ever; ``archived`` one whose archive the ledger knows.
    """

    table: TableName
    since: DateTime
    ends: tuple[DateTime, DateTime] | None
    kept: bool = False
    archived: bool = False


@dataclass(frozen=True)
class Found:
    """The state of a table; retention has begun to detach the ``intended`` partitions.

    The ``unfinished`` splits of a default partition left something behind. ``deferral`` is why retention has to wait.
    ``newest`` is the partition value of the newest row that is not in the future, ``last_event`` the moment of the
    ledger's last event of the table, ``references`` the foreign keys that refer to one partition itself.
    """

    partitions: Sequence[Partition]
    clock: DateTime
    analyzed_at: DateTime | None = None
    detached: tuple[Detached, ...] = ()
    intended: tuple[TableName, ...] = ()
    deferral: str = ""
    waiting: Waiting = NOTHING
    unfinished: tuple[TableName, ...] = ()
    newest: DateTime | None = None
    last_event: DateTime | None = None
    references: Mapping[TableName, Sequence[str]] = field(default_factory=dict)

    @property
    def pending(self) -> list[Partition]:
        """Return the partitions whose detach was interrupted."""
        return [each for each in self.partitions if each.detach_pending]
