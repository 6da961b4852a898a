"""How a partitioned table is: facts from catalog, ledger and disk, the checks over them, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from typing import Any

from pendulum import DateTime
from psycopg import sql

from partition_playbook.checks import Check, Outcome, Severity, check, skipped
from partition_playbook.database import Row, Session
from partition_playbook.disk import Disk, find_disk
from partition_playbook.intervals import between
from partition_playbook.ledger import Ledger
from partition_playbook.maintenance.found import Found
from partition_playbook.maintenance.ranges import own, ranges, touching
from partition_playbook.migration.run import Run
from partition_playbook.names import TableName
from partition_playbook.spec import TableSpec

STAGE = "health"
COUNTED_ROWS = 100_000
# Growth is measured over as many days as a quarter has, and not before a week's have passed.
LEAST_DAYS, MOST_DAYS = 7, 100
RECENT_INTERVALS = 3
# The next monthly run would come too late; three of them are time enough for a person to order a disk.
FULL_BEFORE_THE_NEXT_RUN_DAYS, FULL_SOON_DAYS = 31, 93
CENTURY_DAYS = 36_525


class Status(StrEnum):
    """What all checks of a table add up to."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True)
class Growth:
    """How many bytes a day a table grows, and what that is known from."""

    bytes_per_day: float
    known_from: str


@dataclass(frozen=True)
class Facts:
    """What was read of a table; ``ahead`` counts whole intervals after the current one, without a gap."""

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

    @property
    def bytes(self) -> int:
        """Return the size of the whole table."""
        return sum(self.sizes.values())

    @property
    def full_in_days(self) -> float | None:
        """Return when the disk is full if the table goes on growing; None where that is unknown or far away."""
        if self.growth is None or self.disk.free_bytes is None or self.growth.bytes_per_day <= 0:
            return None
        days = self.disk.free_bytes / self.growth.bytes_per_day
        return days if days <= CENTURY_DAYS else None


def read(run: Run, session: Session, found: Found, now: DateTime) -> Facts:
    """Read the facts of a table as it stands at ``now``."""
    name = {"schema": run.table.schema, "name": run.table.name}
    leaves = session.rows("maintenance/list_leaves", name)
    sizes = {TableName(each["schema"], each["name"]): each["bytes"] for each in leaves}
    ahead, gaps = _reach(run.spec, found, now)
    earlier = session.rows("maintenance/find_earlier_size", name | {"least_days": LEAST_DAYS, "most_days": MOST_DAYS})
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
        growth=_since(sum(sizes.values()), earlier[0]) if earlier else _by_interval(run.spec, found, sizes, now),
        disk=find_disk(session),
        freeze_limits=session.row("maintenance/find_freeze_limits"),
    )


def _reach(spec: TableSpec, found: Found, now: DateTime) -> tuple[int, int]:
    """Count the intervals ahead that have a partition, and those between the oldest and the newest that have none."""
    ranged = ranges(spec, found.partitions)
    lowers = [lower for lower, _, _ in own(ranged)]
    if not lowers:
        return 0, 0
    held = list(touching(ranged, between(spec.interval, lowers[0], lowers[-1])))
    coming = [hit for bounds, hit in held if bounds.lower > now]
    return len(list(takewhile(bool, coming))), sum(not hit for _, hit in held)


def _waiting(run: Run, session: Session, found: Found) -> Row | None:
    """Count the rows in the default partition, up to a limit; None where there is no default partition."""
    default = next((each for each in found.partitions if each.is_default), None)
    if default is None:
        return None
    parts = {"default": default.table.identifier, "partition_by": sql.Identifier(run.spec.partition_by)}
    return session.row("maintenance/find_default_rows", {"limit": COUNTED_ROWS}, **parts)


def _since(size: int, earlier: Row) -> Growth:
    return Growth((size - earlier["bytes"]) / earlier["days"], f"the size {earlier['days']:.0f} days ago")


def _by_interval(spec: TableSpec, found: Found, sizes: Mapping[TableName, int], now: DateTime) -> Growth | None:
    """Take the newest partitions that are full for what as much time adds; what retention drops is left aside."""
    full = [each for each in own(ranges(spec, found.partitions)) if each[1] <= now][-RECENT_INTERVALS:]
    if not full:
        return None
    days = (full[-1][1] - full[0][0]).total_days()
    size = sum(sizes.get(partition.table, 0) for _, _, partition in full)
    return Growth(size / days, f"the last {len(full)} full partitions")


def checks(facts: Facts) -> list[Check]:
    """Return the checks over the facts; what the plan finds left to do has checks of its own."""
    return [_default_empty(facts), _indexes_complete(facts), _frozen(facts), _disk_lasts(facts)]


def _default_empty(facts: Facts) -> Check:
    waiting = facts.waiting
    if waiting is None:
        return skipped("default_empty", "there is no default partition", expected="no rows")
    more = " or more" if waiting["rows"] == COUNTED_ROWS else ""
    found = f"{waiting['rows']}{more} rows from {waiting['oldest']} to {waiting['newest']}"
    return check(
        "default_empty",
        waiting["rows"] == 0,
        expected="no rows",
        actual=found if waiting["rows"] else "no rows",
        remedy="No partition that the clock asks for takes them: correct the rows or create partitions by hand",
        severity=Severity.WARNING,
    )


def _indexes_complete(facts: Facts) -> Check:
    named = [f"{name} lacks {', '.join(indexes)}" for name, indexes in facts.lacking.items()]
    return check(
        "indexes_complete",
        not named,
        expected="every index of the table, valid, on every partition",
        actual="; ".join(named[:10]) + (f" and {len(named) - 10} more" if len(named) > 10 else "") if named else "so",
        remedy="Create it on the partitions named (CREATE INDEX CONCURRENTLY) and attach it to the table's own",
        severity=Severity.WARNING,
        evidence={"lacking": dict(facts.lacking)},
    )


def _frozen(facts: Facts) -> Check:
    """Autovacuum begins at the age that is forced; at twice that age it was held up for long."""
    age, forced, failsafe = facts.oldest_xid_age, facts.freeze_limits["forced"], facts.freeze_limits["failsafe"]
    return check(
        "frozen",
        age <= min(2 * forced, failsafe),
        expected=f"no transaction id older than {min(2 * forced, failsafe)}",
        actual=f"the oldest has the age {age}",
        remedy="VACUUM (FREEZE) the oldest partitions; look for old transactions, prepared ones and replication slots",
        severity=Severity.ERROR if age > failsafe else Severity.WARNING,
    )


def _disk_lasts(facts: Facts) -> Check:
    expected = f"the disk lasts for {FULL_SOON_DAYS} days"
    if facts.disk.free_bytes is None:
        return skipped("disk_lasts", facts.disk.unknown, expected=expected)
    if facts.growth is None:
        return skipped("disk_lasts", "no interval is over yet, so that its growth is unknown", expected=expected)
    days = facts.full_in_days
    grows = f"{facts.growth.bytes_per_day / 1e6:.1f} MB a day by {facts.growth.known_from}"
    lasts = f"lasts for {days:.0f} days" if days is not None else "does not fill up"
    return check(
        "disk_lasts",
        days is None or days >= FULL_SOON_DAYS,
        expected=expected,
        actual=f"{facts.disk.free_bytes / 1e6:.0f} MB free, which {lasts} at {grows}",
        remedy="Give the server more disk, or keep less: `retention` in the spec",
        severity=Severity.ERROR if (days or 0) < FULL_BEFORE_THE_NEXT_RUN_DAYS else Severity.WARNING,
    )


@dataclass(frozen=True)
class Health:
    """What is told to others: the status, the names of the checks that failed, and the facts."""

    status: Status
    problems: tuple[str, ...]
    facts: Facts

    def summary(self) -> dict[str, Any]:
        """Return it as plain values, without the single partitions."""
        facts = self.facts
        return {
            "status": self.status.value,
            "problems": list(self.problems),
            "partitions": len(facts.sizes),
            "ahead": facts.ahead,
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


def judge(found: Iterable[Check], facts: Facts) -> Health:
    """Add up all checks of a table: red needs a person before the next run, yellow can wait for it."""
    failed = [each for each in found if each.outcome is Outcome.FAILED]
    status = Status.RED if any(each.blocks for each in failed) else Status.YELLOW if failed else Status.GREEN
    return Health(status, tuple(each.name for each in failed), facts)


def record(ledger: Ledger, health: Health | None, problem: str = "") -> None:
    """Keep it in the ledger, with each partition's size; to have come to a ``problem`` instead is red too.

    The view ``health`` shows the last of each table.
    """
    if health is None:
        ledger.measure(STAGE, "bytes", None, "bytes", status=Status.RED.value, problems=[problem])
        return
    sizes = {str(name): size for name, size in health.facts.sizes.items()}
    ledger.measure(STAGE, "bytes", health.facts.bytes, "bytes", **health.summary(), sizes=sizes)
