"""Estimate the duration in production from the measured loads."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from partition_playbook.sections.decision.record import RunRecord
from partition_playbook.spec import RunParams

METHOD = "Linear in rows: the production rows divided by the rows per second of all loads of this run together."
ASSUMPTIONS = (
    "The server, its settings and its other load are the same as in this run, and the same number of loads runs in "
    "parallel.",
    "The rows have the same width and physical order, and the table has the same indexes and keys.",
    "Sorts and index builds grow with n log n of the rows of a partition. The second estimate includes this.",
    "If partitions do not fit in memory, both estimates are too low. Rehearse with the row order of production.",
    "The lock time of the cutover does not depend on the number of rows.",
)
SCALING = ("snapshot", "migration", "validation")


@dataclass(frozen=True)
class Pace:
    """The speed of all loads together, from the start of the first to the end of the last."""

    rows: int
    seconds: float
    partitions: int
    workers: int

    @property
    def rows_per_second(self) -> float:
        """Return the rows per second of all loads together."""
        return self.rows / max(self.seconds, 1e-3)


def pace(record: RunRecord, params: RunParams) -> Pace | None:
    """Return the pace of the loads with rows, of an empty table that of all loads; None if no load has ended."""
    over = [load for load in record.loads if load["ended_at"]]
    ended = [load for load in over if load["rows"]] or over
    if not ended:
        return None
    started = min(load["started_at"] for load in ended)
    seconds = (max(load["ended_at"] for load in ended) - started).total_seconds()
    return Pace(sum(load["rows"] or 0 for load in ended), seconds, len(ended), params.load_workers)


def production(record: RunRecord, params: RunParams) -> dict[str, Any] | None:
    """Return the estimate for ``production_rows`` with its method, all durations in seconds.

    Without ``production_rows`` it is for the rows of the run. None if no load with rows has ended.
    """
    found = pace(record, params)
    if found is None or not found.rows:
        return None

    target = params.production_rows or found.rows
    linear = target / found.rows_per_second
    per_partition, target_per_partition = (max(2, rows / found.partitions) for rows in (found.rows, target))
    sections = {
        span.section: {"seconds": span.seconds, "estimated_seconds": span.seconds * target / found.rows}
        for span in record.spans
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
