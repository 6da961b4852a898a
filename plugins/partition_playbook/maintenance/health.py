"""The health of a partitioned table: facts from catalog, ledger and disk, checks over them, and a status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import takewhile
from typing import Any

import pendulum
from pendulum import DateTime
from psycopg import sql

from partition_playbook import figures
from partition_playbook.checks import Check, Outcome, Severity, check, skipped
from partition_playbook.codecs import last_number
from partition_playbook.database import Row, Session
from partition_playbook.disk import Disk, find_disk
from partition_playbook.intervals import IdMoment
from partition_playbook.ledger import Ledger
from partition_playbook.maintenance.interval_change import required
from partition_playbook.maintenance.ranges import ManagedPartition, Ranged, end_of_partitions, managed, ranges, touching
from partition_playbook.maintenance.state import TableState
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.runway import Schedule
from partition_playbook.spec import TableSpec

STAGE = "health"
# A clock change may take an hour from the runway.
RUNWAY_TOLERANCE = timedelta(hours=1)
COUNTED_ROWS = 100_000
# Growth is measured against an earlier run, at least a week and at most about a quarter ago.
LEAST_DAYS, MOST_DAYS = 7, 100
RECENT_INTERVALS = 3
# The newest partitions with an exact size; older ones are at rest.
EXACT_SIZES = 16
# The rate of ids is that of the last week.
RATE_DAYS = 7
# Time enough to get a larger disk, so the schedule of the table does not matter.
FULL_DAYS, FULL_SOON_DAYS = 31, 93
CENTURY_DAYS = 36_525


class Status(StrEnum):
    """The status of a table, from all its checks."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True)
class Growth:
    """The growth of a table in bytes per day, and its basis."""

    bytes_per_day: float
    known_from: str


@dataclass(frozen=True)
class Ids:
    """The greatest id, the end of the ranges without a gap after it, and the ids a day by an earlier look, if any.

    ``column_type`` is the type of the partition column if that is the end of the ids, else empty.
    """

    greatest: int
    end: int
    per_day: float | None
    column_type: str = ""

    @property
    def left(self) -> int:
        """Return the number of ids up to the end of the ranges."""
        return max(self.end - self.greatest - 1, 0)

    @property
    def days_left(self) -> float | None:
        """Return the days until the ranges are full at this rate; None if it is unknown, or no id is added."""
        return self.left / self.per_day if self.per_day else None

    def __str__(self) -> str:
        if not self.left:
            return f"no id is left before {self.end}"
        left = f"{figures.count(self.left, 'id')} left before {self.end}"
        if self.per_day is None:
            return f"{left}; how long they last is unknown until a look that is an hour later"
        if self.days_left is None:
            return f"{left}; no id was added since an earlier look"
        return f"{left}; they last for {_about(self.days_left)} at {figures.count(self.per_day, 'id')} a day"


def _about(days: float) -> str:
    return f"about {figures.count(round(days), 'day')}" if days >= 2 else f"about {figures.seconds(86_400 * days)}"


@dataclass(frozen=True)
class Facts:
    """The facts about a table; ``ahead`` counts consecutive partitions after the current interval.

    ``partitions_end`` is the end of the partitions without a gap from now on; None if the last one has an open end.
    """

    ahead: int
    gaps: int
    pending_detach: int
    sizes: Mapping[TableName, int]
    estimated_rows: int
    oldest_xid_age: int
    lacking: Mapping[str, Sequence[str]]
    analyzed_at: DateTime | None
    waiting: Row | None
    growth: Growth | None
    disk: Disk
    freeze_limits: Row
    partitions_end: DateTime | None = None
    ids: Ids | None = None

    @property
    def bytes(self) -> int:
        """Return the size of the whole table."""
        return sum(self.sizes.values())

    @property
    def full_in_days(self) -> float | None:
        """Return the days until the disk is full at this growth; None if unknown or more than a century away."""
        if self.growth is None or self.disk.free_bytes is None or self.growth.bytes_per_day <= 0:
            return None
        days = self.disk.free_bytes / self.growth.bytes_per_day
        return days if days <= CENTURY_DAYS else None


def read(run: Run, session: Session, found: TableState, now: DateTime) -> Facts:
    """Read the facts of a table as of ``now``."""
    name = {"schema": run.table.schema, "name": run.table.name}
    ranged = ranges(run.spec, found.partitions, found.earlier)
    attached = managed(ranged)
    leaves = session.rows("maintenance/list_leaves", name | {"exact": _growing(found, attached, now)})
    sizes = {TableName(each["schema"], each["name"]): each["bytes"] for each in leaves}

    ahead, gaps = _reach(run.spec, ranged, attached, now)
    end = end_of_partitions(run.spec, ranged, now)
    is_ids = run.spec.interval.is_ids

    earlier = session.rows("maintenance/find_earlier_size", name | {"least_days": LEAST_DAYS, "most_days": MOST_DAYS})
    growth = _since(sum(sizes.values()), earlier[0]) if earlier else _by_interval(run.spec, attached, sizes, now)

    return Facts(
        ahead=ahead,
        gaps=gaps,
        pending_detach=len(found.pending),
        sizes=sizes,
        estimated_rows=sum(each["estimated_rows"] for each in leaves),
        oldest_xid_age=max((each["xid_age"] for each in leaves), default=0),
        lacking={each["name"]: each["lacking"] for each in leaves if each["lacking"]},
        analyzed_at=found.analyzed_at,
        waiting=_waiting(run, session, found),
        growth=growth,
        disk=find_disk(session),
        freeze_limits=session.row("maintenance/find_freeze_limits"),
        partitions_end=None if is_ids else end,
        ids=find_ids(run.spec, session, now, end, found.column_type) if is_ids else None,
    )


def _growing(found: TableState, attached: Sequence[ManagedPartition], now: DateTime) -> list[str]:
    """Return the names of the partitions that may have grown since their last VACUUM."""
    begun = [partition.table.name for lower, _, partition in attached if lower <= now]
    return begun[-EXACT_SIZES:] + [each.table.name for each in found.partitions if each.is_default]


def find_ids(spec: TableSpec, session: Session, now: DateTime, end: DateTime | None, column_type: str) -> Ids:
    """Return the ids left, with their rate since the earliest look of the last week that is an hour old.

    Without an ``end`` of the partitions the ids end with the type of the partition column.
    """
    name = {"schema": spec.name.schema, "name": spec.name.name, "days": RATE_DAYS}
    looks = session.rows("maintenance/find_earlier_id", name)
    greatest, last = (IdMoment.of_moment(each).number for each in (now, end or spec.codec.now))
    per_day = max(greatest - int(looks[0]["id"]), 0) / looks[0]["days"] if looks else None

    most = last_number(column_type)
    if most is not None and most < last:
        return Ids(greatest, most + 1, per_day, column_type)
    return Ids(greatest, last, per_day)


def _reach(
    spec: TableSpec, ranged: Sequence[Ranged], attached: Sequence[ManagedPartition], now: DateTime
) -> tuple[int, int]:
    """Return the number of consecutive partitions ahead, and of gaps between the oldest and the newest partition."""
    if not attached:
        return 0, 0
    held = list(touching(ranged, required(spec, ranged, attached[0][0], attached[-1][1])))
    coming = [hit for bounds, hit in held if bounds.lower > now]
    return len(list(takewhile(bool, coming))), sum(not hit for _, hit in held)


def runway_check(spec: TableSpec, found: TableState, now: DateTime, ids: Ids | None = None) -> Check:
    """Check that the partitions reach the run after next; an error if they end before the next one."""
    if ids:
        return _ids_check(spec, ids, found.clock)
    following, after_next = spec.schedule.next_runs(now)
    end = end_of_partitions(spec, ranges(spec, found.partitions), now)
    return check(
        "runway",
        end is None or end >= after_next - RUNWAY_TOLERANCE,
        expected=f"partitions up to the run of partition_maintenance after next, {after_next.isoformat()}",
        actual=f"they end at {end.isoformat()}" if end else "they have no end",
        remedy=f"{spec.runway_remedy}. Then trigger partition_maintenance, without its param `premake`",
        severity=Severity.ERROR if end and end < following else Severity.WARNING,
    )


def _ids_check(spec: TableSpec, ids: Ids, clock: DateTime) -> Check:
    """Check that the ids left last up to the run after next; without a rate, that a whole range is left."""
    following, after_next = ((each - clock).total_days() for each in spec.schedule.next_runs(clock))
    days = ids.days_left
    return check(
        "runway",
        ids.left >= spec.interval.count and (days is None or days >= after_next),
        expected=f"ids left for one range of {figures.number(spec.interval.count)}, and up to the run of "
        "partition_maintenance after next",
        actual=str(ids),
        remedy=f"{ids.column_type} ends there: copy the table to one with a wider type before"
        if ids.column_type
        else "Set a greater `premake` in the spec, or a schedule with more runs under `maintain`. Then trigger "
        "partition_maintenance, without its param `premake`",
        severity=Severity.ERROR if not ids.left or (days is not None and days < following) else Severity.WARNING,
    )


def _waiting(run: Run, session: Session, found: TableState) -> Row | None:
    """Count the rows in the default partition not newer than `until`, up to a limit; None without such a partition."""
    default = next((each for each in found.partitions if each.is_default), None)
    if default is None:
        return None
    ordered = run.spec.codec.ordered(sql.Identifier(run.spec.partition_by))
    parts = {"default": default.table.identifier, "ordered": ordered, "counted": run.spec.unexpected_in_default}
    return session.row("maintenance/find_default_rows", {"limit": COUNTED_ROWS}, **parts)


def _since(size: int, earlier: Row) -> Growth:
    return Growth((size - earlier["bytes"]) / earlier["days"], f"the size {figures.count(earlier['days'], 'day')} ago")


def _by_interval(
    spec: TableSpec, attached: Sequence[ManagedPartition], sizes: Mapping[TableName, int], now: DateTime
) -> Growth | None:
    """Estimate the growth from the newest full partitions; partitions dropped by retention do not count against it."""
    if spec.interval.is_ids:
        return None
    full = [each for each in attached if each[1] <= now][-RECENT_INTERVALS:]
    if not full:
        return None
    days = (full[-1][1] - full[0][0]).total_days()
    size = sum(sizes.get(partition.table, 0) for _, _, partition in full)
    return Growth(size / days, f"the last {figures.count(len(full), 'full partition')}")


def checks(facts: Facts) -> list[Check]:
    """Return the checks over the facts; the plan has checks of its own for actions left to do."""
    return [_default_empty(facts), _indexes_complete(facts), _frozen(facts), _disk_lasts(facts)]


def _default_empty(facts: Facts) -> Check:
    waiting = facts.waiting
    if waiting is None:
        return skipped("default_empty", "there is no default partition", expected="no rows")
    at_least = "at least " if waiting["rows"] == COUNTED_ROWS else ""
    found = f"{at_least}{figures.count(waiting['rows'], 'row')} from {waiting['oldest']} to {waiting['newest']}"
    return check(
        "default_empty",
        waiting["rows"] == 0,
        expected="no rows",
        actual=found if waiting["rows"] else "no rows",
        remedy="These rows lie outside the maintained range. "
        "Correct or delete wrong ones; for future ones raise `premake` in the spec. "
        "Move older ones in one transaction to a new table, and attach it",
        severity=Severity.WARNING,
    )


def _indexes_complete(facts: Facts) -> Check:
    named = [f"{name} lacks {', '.join(indexes)}" for name, indexes in facts.lacking.items()]
    others = [figures.count(len(named) - 10, "more partition")] if len(named) > 10 else []
    return check(
        "indexes_complete",
        not named,
        expected="every index of the table, valid, on every partition",
        actual="; ".join([*named[:10], *others]) or "complete",
        remedy="Run CREATE INDEX CONCURRENTLY on the partition, then ALTER INDEX ... ATTACH PARTITION on the table's "
        "index. If the partition has the index but it is invalid, run REINDEX INDEX CONCURRENTLY instead",
        severity=Severity.WARNING,
        evidence={"lacking": dict(facts.lacking)},
    )


def _frozen(facts: Facts) -> Check:
    """Check the age of the oldest transaction id.

    Autovacuum freezes at ``forced``; at twice that age it was blocked for long.
    """
    age, forced, failsafe = facts.oldest_xid_age, facts.freeze_limits["forced"], facts.freeze_limits["failsafe"]
    return check(
        "xid_age",
        age <= min(2 * forced, failsafe),
        expected=f"no transaction id older than {figures.count(min(2 * forced, failsafe), 'transaction')}",
        actual=f"the oldest is {figures.count(age, 'transaction')} old",
        remedy="End old transactions and prepared transactions, drop unused replication slots: they prevent freezing. "
        "Then run VACUUM (FREEZE) on the oldest partitions",
        severity=Severity.ERROR if age > failsafe else Severity.WARNING,
    )


def _disk_lasts(facts: Facts) -> Check:
    expected = f"the disk lasts for {figures.count(FULL_SOON_DAYS, 'day')}"
    if facts.disk.free_bytes is None:
        return skipped("disk_lasts", facts.disk.unknown, expected=expected)
    if facts.growth is None:
        unknown = f"no size from {figures.count(LEAST_DAYS, 'day')} ago" if facts.ids else "no interval is over yet"
        return skipped("disk_lasts", f"{unknown}, so the growth is unknown", expected=expected)
    days = facts.full_in_days
    grows = f"{figures.size(facts.growth.bytes_per_day)} a day, measured by {facts.growth.known_from}"
    lasts = f"lasts for {figures.count(days, 'day')}" if days is not None else "does not fill up"
    return check(
        "disk_lasts",
        days is None or days >= FULL_SOON_DAYS,
        expected=expected,
        actual=f"{figures.size(facts.disk.free_bytes)} free; it {lasts} at {grows}",
        remedy="Enlarge the server's disk, or shorten `keep` under `retention` in the spec",
        severity=Severity.ERROR if (days or 0) < FULL_DAYS else Severity.WARNING,
    )


@dataclass(frozen=True)
class Health:
    """The status of a table, the names of its failed checks, and the facts."""

    status: Status
    problems: tuple[str, ...]
    facts: Facts

    def summary(self) -> dict[str, Any]:
        """Return the health as plain values, without the single partitions; sizes in bytes."""
        facts = self.facts
        return {
            "status": self.status.value,
            "problems": list(self.problems),
            "partitions": len(facts.sizes),
            "ahead": facts.ahead,
            "partitions_end": facts.partitions_end.isoformat() if facts.partitions_end else None,
            **_told(facts.ids),
            "gaps": facts.gaps,
            "pending_detach": facts.pending_detach,
            "default_rows": facts.waiting["rows"] if facts.waiting else None,
            "lacking_an_index": len(facts.lacking),
            "analyzed_at": facts.analyzed_at.isoformat() if facts.analyzed_at else None,
            "oldest_xid_age": facts.oldest_xid_age,
            "estimated_rows": facts.estimated_rows,
            "bytes": facts.bytes,
            "bytes_per_day": round(facts.growth.bytes_per_day) if facts.growth else None,
            "free_bytes": facts.disk.free_bytes,
            "full_in_days": round(facts.full_in_days) if facts.full_in_days is not None else None,
        }


def _told(ids: Ids | None) -> dict[str, Any]:
    if ids is None:
        return {}
    days = None if ids.days_left is None else round(ids.days_left, 2)
    return {"greatest_id": ids.greatest, "ids_left": ids.left, "ids_last_days": days}


def judge(found: Iterable[Check], facts: Facts) -> Health:
    """Derive the status from all checks of a table.

    Red, a failed error, needs a person before the next run. Yellow, a failed warning, can wait for it.
    """
    failed = [each for each in found if each.outcome is Outcome.FAILED]
    status = Status.RED if any(each.blocks for each in failed) else Status.YELLOW if failed else Status.GREEN
    return Health(status, tuple(each.name for each in failed), facts)


def record(ledger: Ledger, health: Health | None, problem: str = "", schedule: Schedule | None = None) -> None:
    """Write the health to the ledger, with the size of each partition; a ``problem`` without a health is red.

    With the ``schedule`` come its next run, and the time after which the measurement is too old. The view ``health``
    shows the last measurement of each table.
    """
    scheduled: dict[str, Any] = {}
    if schedule:
        due, _ = schedule.next_runs(pendulum.now("UTC"))
        scheduled = {"due": due.isoformat(), "silence_seconds": schedule.silence.total_seconds()}
    if health is None:
        ledger.record_measurement(
            STAGE, "bytes", None, "bytes", **scheduled, status=Status.RED.value, problems=[problem]
        )
        return
    sizes = {str(name): size for name, size in health.facts.sizes.items()}
    ledger.record_measurement(STAGE, "bytes", health.facts.bytes, "bytes", **health.summary(), **scheduled, sizes=sizes)
