"""What the measured loads say of production: a pace, and what it makes of another number of rows."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from partition_playbook.evidence.record import Evidence
from partition_playbook.spec import RunParams

METHOD = (
    "Linear in rows: the production rows divided by the rows per second that the loads of this run reached together."
)
ASSUMPTIONS = (
    "The server, its settings and its other work are like those of this run, and as many loads run side by side.",
    "Rows are as wide, arrive in the same order, and have the same indexes and keys.",
    "Sorts and index builds grow with n log n of a partition's rows: the second figure allows for that.",
    "Partitions that no longer fit in memory make both figures too low: rehearse with rows in the order of production.",
    "The time that the cutover holds its lock does not depend on the number of rows.",
)
SCALING = ("snapshot", "migration", "validation")


@dataclass(frozen=True)
class Pace:
    """What the loads reached: from the first one's start to the last one's end."""

    rows: int
    seconds: float
    partitions: int
    workers: int

    @property
    def rows_per_second(self) -> float:
        """Return the rows that all loads together wrote in a second."""
        return self.rows / max(self.seconds, 1e-3)


def pace(evidence: Evidence, params: RunParams) -> Pace | None:
    """Return the pace of the loads that had rows; None where not one has ended."""
    ended = [load for load in evidence.loads if load["ended_at"] and load["rows"]]
    if not ended:
        return None
    started = min(load["started_at"] for load in ended)
    seconds = (max(load["ended_at"] for load in ended) - started).total_seconds()
    return Pace(sum(load["rows"] for load in ended), seconds, len(ended), params.load_workers)


def production(evidence: Evidence, params: RunParams) -> dict[str, Any] | None:
    """Return the estimate for ``production_rows`` with its method; None where nothing was measured."""
    found = pace(evidence, params)
    if found is None:
        return None
    target = params.production_rows or found.rows
    linear = target / found.rows_per_second
    per_partition, target_per_partition = (max(2, rows / found.partitions) for rows in (found.rows, target))
    sections = {
        span.section: {"seconds": span.seconds, "estimated_seconds": span.seconds * target / found.rows}
        for span in evidence.spans
        if span.section in SCALING
    }
    return {
        "measured": asdict(found) | {"rows_per_second": found.rows_per_second},
        "production_rows": target,
        "load_seconds": linear,
        "load_seconds_with_log": linear * max(1.0, math.log(target_per_partition) / math.log(per_partition)),
        "sections": sections,
        "method": METHOD,
        "assumptions": list(ASSUMPTIONS),
    }
