"""Try a prepared statement with typical values, and count the partitions that it reads.

The direction of a comparison is found by trying, not by reading the text. Each parameter of time gets the oldest and
the newest row. The choice that reads most has lower bounds at the oldest row, and upper bounds at the newest one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from pendulum import DateTime

from partition_playbook import figures
from partition_playbook.benchmark.plans import Plan
from partition_playbook.workload.prepared import NULL, Prepared
from partition_playbook.workload.typical_values import (
    IDS,
    PERIODS,
    RowRange,
    any_argument,
    as_argument,
    time_parameters,
)

# A statement that reads a larger share of the partitions with rows is told.
MOST_READ = 0.5
# Each further parameter of time doubles the number of plans.
MOST_PARAMETERS = 4

Choice = tuple[DateTime, ...]


@dataclass(frozen=True)
class Reading:
    """The number of partitions that a statement reads, and the values for which it reads them."""

    partitions: int
    values: str = ""


@dataclass(frozen=True)
class Reads:
    """The readings of a statement, ``of`` so many partitions with rows.

    ``untyped`` is the type of a parameter without a typical value, if nothing was read because of it.
    """

    of: int
    readings: tuple[Reading, ...]
    untyped: bool = False

    @property
    def most(self) -> int:
        """Return the most partitions that the statement reads with a typical value."""
        return max(each.partitions for each in self.readings)

    @property
    def wide(self) -> bool:
        """Return True if it reads more than a share of MOST_READ."""
        return self.of > 1 and self.most > MOST_READ * self.of

    def __str__(self) -> str:
        first, *others = self.readings
        head = f"reads {first.partitions} of {figures.count(self.of, 'partition')} with rows{first.values}"
        return ", ".join([head, *(f"{each.partitions}{each.values}" for each in others)])


@dataclass(frozen=True)
class _Values:
    """The values of a prepared statement: moments for some parameters, NULL or any value for the others."""

    prepared: Prepared
    positions: Sequence[int]
    rows: RowRange
    custom: bool

    def plan(self, choice: Choice) -> Plan:
        """Return the plan with these moments at the positions."""
        types = self.prepared.types
        values = [any_argument(oid) if self.custom else NULL for oid in types]
        for at, moment in zip(self.positions, choice, strict=True):
            values[at] = as_argument(types[at], moment, self.rows)
        return self.prepared.explain(values, custom=self.custom)


class PruningTrial:
    """Tries statements on one partitioned table; without rows in it only their plans are counted."""

    def __init__(self, partitions: frozenset[tuple[str, str]], rows: RowRange | None) -> None:
        self._all, self._rows = partitions, rows
        self._counted = rows.filled if rows else partitions

    def read(self, prepared: Prepared, generic: Plan, *, deletes: bool) -> Reads:
        """Count the partitions read with typical values; ``generic`` is the plan with NULLs.

        A DELETE with an upper bound alone is retention, so the oldest rows alone are typical for it.
        """
        rows = self._rows
        positions = time_parameters(prepared.types, rows.codec)[:MOST_PARAMETERS] if rows else []
        if not positions or rows is None:
            pruned_by_null = bool(prepared.types) and generic.subplans_removed > 0
            return self._reads([Reading(self._count(generic))], untyped=pruned_by_null and not self._scanned(generic))

        values = _Values(prepared, positions, rows, custom=False)
        counts = self._sweep(values)
        if self._reads([Reading(min(counts.values()))]).wide:
            # `$1 IS NULL OR at >= $1` prunes in a custom plan only. The server prefers it, because it costs less.
            custom = replace(values, custom=True)
            counts_of_custom = self._sweep(custom)
            if max(counts_of_custom.values()) > 0 and min(counts_of_custom.values()) < min(counts.values()):
                values, counts = custom, counts_of_custom
        return self._judged(values, counts, deletes)

    def _sweep(self, values: _Values) -> dict[Choice, int]:
        """Count for each choice between the oldest and the newest row."""
        ends = (values.rows.oldest, values.rows.newest)
        return {choice: self._count(values.plan(choice)) for choice in product(ends, repeat=len(values.positions))}

    def _judged(self, values: _Values, counts: Mapping[Choice, int], deletes: bool) -> Reads:
        rows = values.rows
        widest = max(counts, key=lambda choice: counts[choice])
        bounds = [at for at in range(len(widest)) if counts[_flipped(widest, at, rows)] != counts[widest]]
        lowers = [at for at in bounds if widest[at] == rows.oldest]

        if lowers:
            readings = self._near(values, widest, lowers, "newest")
        elif bounds:
            readings = self._near(values, widest, bounds, "oldest")
            if not deletes:
                readings.append(Reading(counts[widest], " up to the newest row"))
        else:
            nothing = not counts[widest] and not self._scanned(values.plan(widest))
            others = len(values.prepared.types) > len(values.positions)
            return self._reads([Reading(counts[widest])], untyped=nothing and others)
        return self._reads(readings)

    def _near(self, values: _Values, widest: Choice, changed: Sequence[int], end: str) -> list[Reading]:
        """Count for the bounds at some distances from the newest or the oldest row."""
        rows = values.rows
        found: list[Reading] = []
        for name, period in (IDS if rows.codec.is_ids else PERIODS).items():
            if end == "newest":
                moment, words = max(rows.newest - period, rows.oldest), f" from {name} before the newest row"
            else:
                moment, words = min(rows.oldest + period, rows.newest), f" up to {name} after the oldest row"
            choice = tuple(moment if at in changed else each for at, each in enumerate(widest))
            found.append(Reading(self._count(values.plan(choice)), words))
        return found

    def _reads(self, readings: Sequence[Reading], *, untyped: bool = False) -> Reads:
        return Reads(len(self._counted), tuple(readings), untyped)

    def _count(self, plan: Plan) -> int:
        return len(self._scanned(plan) & self._counted)

    def _scanned(self, plan: Plan) -> frozenset[tuple[str | None, str | None]]:
        return frozenset((each.schema, each.relation) for each in plan.nodes()) & self._all


def _flipped(choice: Choice, at: int, rows: RowRange) -> Choice:
    other = rows.newest if choice[at] == rows.oldest else rows.oldest
    return (*choice[:at], other, *choice[at + 1 :])
