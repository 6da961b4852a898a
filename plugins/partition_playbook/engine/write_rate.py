"""The write rate of a table, and the rate that one reconciler follows: both are known before a run changes anything."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import psycopg

from partition_playbook import figures
from partition_playbook.database import Session
from partition_playbook.engine.pace import LEAST_MEASURED
from partition_playbook.errors import LedgerMissing
from partition_playbook.names import TableName
from partition_playbook.run import Run

# An average over less tells no more than the present rate.
LEAST_AVERAGED_SECONDS = 3600.0


@dataclass(frozen=True)
class Counters:
    """The number of rows written to a table since a moment; without ``counted`` the server counts nothing."""

    at: datetime
    changes: int
    reset_at: datetime | None
    counted: bool = True


@dataclass(frozen=True)
class Written:
    """The changes per second of an application: at present, and on average since the reset of the statistics.

    ``seconds`` is the time between the two reads of the counters. ``average`` is None without an older reset.
    """

    present: float
    seconds: float
    average: float | None = None
    since: datetime | None = None

    @property
    def highest(self) -> float:
        """Return the higher one of the two rates."""
        return max(self.present, self.average or 0.0)

    def __str__(self) -> str:
        over = f"{figures.rate(self.present, 1, 'changes')} over {figures.seconds(self.seconds)}"
        if self.average is None or self.since is None:
            return f"{over}; there is no average, as the statistics have no reset or a recent one"
        return f"{over}, and {figures.rate(self.average, 1, 'changes')} on average since {self.since:%Y-%m-%d %H:%M %Z}"


@dataclass(frozen=True)
class Followed:
    """The time of a batch of reconcile: seconds for the batch itself, and seconds for each of its changes.

    ``measured`` names the table and the run of the measurement. It is empty for an assumption.
    """

    fixed_seconds: float
    change_seconds: float
    measured: str = ""
    own: bool = False

    def rate(self, batch: int) -> float:
        """Return the changes per second that batches of this many changes follow."""
        return batch / (self.fixed_seconds + batch * self.change_seconds)

    @property
    def source(self) -> str:
        """Return the origin of the figures in words."""
        return f"measured by {self.measured}" if self.measured else "a cautious assumption, as no run has measured it"


# A batch of 20,000 changes took 1.4 s on two busy cores, and one of a few changes up to 0.2 s with 300 partitions.
ASSUMED = Followed(0.1, 0.0001)


def read_counters(session: Session, table: TableName) -> Counters:
    """Read the counters of the rows written to a table; also inside a transaction they are the present ones."""
    found = session.row("engine/read_write_counters", {"schema": table.schema, "name": table.name})
    return Counters(found["at"], found["changes"], found["reset_at"], found["counted"])


def between(first: Counters, last: Counters) -> Written | None:
    """Return the write rate from one read of the counters to a later one; None if they were off or reset meanwhile."""
    seconds = (last.at - first.at).total_seconds()
    changes = last.changes - first.changes
    if not last.counted or seconds <= 0 or changes < 0 or first.reset_at != last.reset_at:
        return None

    age = (last.at - last.reset_at).total_seconds() if last.reset_at else 0.0
    average = last.changes / age if age >= LEAST_AVERAGED_SECONDS else None
    return Written(changes / seconds, seconds, average, last.reset_at)


def followed(run: Run) -> Followed:
    """Return the rate that one reconciler follows, as the last run of this table measured it.

    Otherwise it is the lowest of the rates of other tables in the ledger, else an assumption.
    """
    with suppress(LedgerMissing, psycopg.errors.InsufficientPrivilege), run.ledger.database.session() as session:
        for found in run.ledger.followed_rate(session, run.table, LEAST_MEASURED):
            fixed, each = found["fixed_seconds"], found["change_seconds"]
            if fixed is None or each is None or fixed < 0 or each <= 0:  # batches of one size tell only their mean
                fixed, each = 0.0, found["seconds"] / found["taken"]
            named = "" if found["own"] else f" of {TableName(found['table_schema'], found['table_name'])}"
            return Followed(fixed, each, f"run {found['run_id']}{named}", found["own"])
    return ASSUMED
