"""The state of a table from catalog, ledger, rows and the server's clock: the input of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pendulum import DateTime

from partition_playbook.catalog import Partition
from partition_playbook.maintenance.waiting import NOTHING, Waiting
from partition_playbook.maintenance.widths import Width
from partition_playbook.names import TableName


@dataclass(frozen=True)
class Detached:
    """A table detached by retention that still exists.

    ``since`` is the moment of its detach, ``ends`` its former range, None if unreadable or open. ``kept`` means
    detached to be kept for ever, ``archived`` means with an archive in the ledger.
    """

    table: TableName
    since: DateTime
    ends: tuple[DateTime, DateTime] | None
    kept: bool = False
    archived: bool = False


@dataclass(frozen=True)
class TableState:
    """The state of a table; moments are in the time zone of the spec.

    ``intended`` are partitions with a detach begun by retention and not completed. ``unfinished`` are default
    partitions with remains of an interrupted split. ``deferral`` is the reason for retention to wait, or empty.
    ``newest`` is the greatest partition value up to the clock, ``last_event`` the moment of the ledger's last event of
    the table. ``references`` are the foreign keys to a partition by itself. ``earlier`` are the widths of the specs by
    which the table was maintained before, the newest first. ``reached`` is the greatest id of the rows or of the
    sequence, with ranges of ids only. ``column_type`` is the type of the partition column.
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
    earlier: tuple[Width, ...] = ()
    reached: DateTime | None = None
    column_type: str = ""

    @property
    def present(self) -> DateTime:
        """Return the server's clock; with ranges of ids the greatest id that was reached."""
        return self.reached or self.clock

    @property
    def pending(self) -> list[Partition]:
        """Return the partitions with an interrupted detach."""
        return [each for each in self.partitions if each.detach_pending]
