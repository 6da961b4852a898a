"""The plan of a migration as values: its statements, its locks on the live table, and what it needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from partition_playbook.intervals import Bounds
from partition_playbook.names import TableName

# In the order of their strength.
MODES = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
# The words for the live table in the headers of the statements.
LIVE = r"the source|the live table|the table|both tables"
IDENTIFIER = re.compile(r'"((?:[^"]|"")+)"')
LITERAL = re.compile(r"'(?:[^']|'')*'")
# A partition has at most so many statements of one kind: each column may have options of its own.
LONGEST_BLOCK = 200


class Part(StrEnum):
    """The parts of a plan, in order."""

    SHADOW = "Create the shadow, its partitions and the change log"
    CAPTURE = "Start change capture on the live table"
    LOAD = "Load the partitions, neighbours with few rows together"
    ATTACH = "Attach the partitions"
    SETTLE = "VACUUM, and let the partitions capture too"
    RECONCILE = "Reconcile the captured changes, batch by batch"
    KEYS = "Add and validate the foreign keys of the table"
    SWAP = "Cut over: swap the names in one transaction"


@dataclass(frozen=True)
class Step:
    """One statement of a plan: ``text`` as an event of the ledger will have it, ``sql`` with its values, to copy."""

    part: Part
    purpose: str
    lock: str
    text: str
    sql: str


@dataclass(frozen=True)
class Folded:
    """Statements for one partition, and the names of the other partitions with the same ones."""

    steps: tuple[Step, ...]
    same: tuple[str, ...] = ()


@dataclass(frozen=True)
class LiveLock:
    """A lock on the live table: how often it is taken, and the bounds of each wait and hold."""

    part: Part
    mode: str
    times: int
    waits: str
    holds: str
    blocks: str


@dataclass(frozen=True)
class Needs:
    """The resources that a migration needs; ``load_seconds`` is None before a run of the table was measured."""

    estimated_rows: int
    table_bytes: int
    disk_bytes: int
    change_log_bytes: int
    wal_bytes: int
    load_seconds: float | None


@dataclass(frozen=True)
class Plan:
    """The plan of one table; ``told`` are its figures as sentences."""

    table: TableName
    hash: str
    version: str
    server: int
    partitions: tuple[tuple[TableName, Bounds], ...]
    locks: tuple[LiveLock, ...]
    needs: Needs
    told: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def folded(self) -> list[Folded]:
        """Return the statements with the equal ones of many partitions folded."""
        return list(fold(self.steps, [self.table.default.name, *(name.name for name, _ in self.partitions)]))


def live_mode(step: Step, live: TableName) -> str:
    """Return the strongest lock that a statement takes on the live table; empty if it takes none."""
    if live.quoted not in step.sql:
        return ""
    taken = [mode for mode in MODES if re.search(rf"(?:^|, ){mode} on (?:{LIVE})(?:$|,| and )", step.lock)]
    return taken[-1] if taken else ""


def fold(steps: Sequence[Step], partitions: Iterable[str]) -> Iterator[Folded]:
    """Fold the statements that are repeated for one partition after the other, and differ in nothing else."""
    known = frozenset(partitions)
    owners = [_owner(each, known) for each in steps]
    keys = [_key(each, owner, known) for each, owner in zip(steps, owners, strict=True)]

    at = 0
    while at < len(steps):
        length = _repeated(keys, owners, at) if owners[at] else 0
        after = at + (length or 1)
        same = []
        while length and keys[after : after + length] == keys[at : at + length]:
            same.append(owners[after])
            after += length
        yield Folded(tuple(steps[at : at + (length or 1)]), tuple(same))
        at = after


def _repeated(keys: Sequence[tuple[str, ...]], owners: Sequence[str], at: int) -> int:
    """Return the length of the shortest block of statements that is repeated for another partition; 0 without any."""
    for length in range(1, min(LONGEST_BLOCK, (len(keys) - at) // 2) + 1):
        after = at + length
        if keys[at:after] == keys[after : after + length] and owners[at] != owners[after]:
            return length
    return 0


def _owner(step: Step, known: frozenset[str]) -> str:
    """Return the first partition that a statement names; empty without any."""
    named = (_partition(found, known) for found in IDENTIFIER.findall(step.sql))
    return next((each for each in named if each), "")


def _partition(identifier: str, known: frozenset[str]) -> str:
    """Return the partition of an identifier: its own name, or the beginning of the name of its index or key."""
    words = identifier.split("_")
    prefixes = ("_".join(words[:count]) for count in range(len(words), 0, -1))
    return next((each for each in prefixes if each in known), "")


def _key(step: Step, owner: str, known: frozenset[str]) -> tuple[str, ...]:
    """Return what two statements have in common that differ in their partition and its bounds only."""
    if not owner:
        # The rows of a load go through its parent, so the statement that copies them names no partition.
        bounds_masked = LITERAL.sub("?", step.sql) if step.part is Part.LOAD else step.sql
        return (step.part, step.lock, bounds_masked)
    named = IDENTIFIER.sub(lambda found: _placed(found[1], known), step.sql)
    return (step.part, step.lock, LITERAL.sub("?", named))


def _placed(identifier: str, known: frozenset[str]) -> str:
    partition = _partition(identifier, known)
    return f'"?{identifier.removeprefix(partition)}"' if partition else f'"{identifier}"'
