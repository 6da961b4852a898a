"""The headline figures of a run, by the names that a DBA knows; for the report's first page and for the console."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from partition_playbook import figures
from partition_playbook.database import Row

QUEUED = "bound: the wait for the locks plus their hold; a write that queued at once waited no longer"


@dataclass(frozen=True)
class Headline:
    """One figure in its unit, None if the run did not measure it, with a remark."""

    name: str
    value: float | None
    unit: str
    note: str = ""

    @property
    def text(self) -> str:
        """Return the figure as people read it; a hyphen for None."""
        return "-" if self.value is None else figures.measured(self.value, self.unit)


def by_stage(measured: Iterable[Row]) -> dict[str, dict[str, Row]]:
    """Return the measurements of a run by stage and name."""
    stages: dict[str, dict[str, Row]] = {}
    for row in measured:
        stages.setdefault(row["stage"], {})[row["name"]] = row
    return stages


def headlines(loads: Sequence[Row], measured: Mapping[str, Mapping[str, Row]]) -> list[Headline]:
    """Return the figures of a run, from its loads and its measurements by stage and name."""
    return [*_swap(measured.get("migration", {})), _pace(loads), _rollback(measured.get("rollback", {}))]


def _swap(measured: Mapping[str, Row]) -> Iterator[Headline]:
    """Yield the lock times of the first cutover, and the longest wait that it can have cost a write."""
    waited, held = (_value(measured, f"cutover_{name}_ms") for name in ("waited", "held"))
    tries = measured["cutover_held_ms"]["detail"].get("tries", 1) if "cutover_held_ms" in measured else None
    at_try = f"granted at try {tries}" if tries else ""
    yield Headline("lock waited", waited, "ms", at_try)
    yield Headline("lock held", held, "ms", "ACCESS EXCLUSIVE" if held is not None else "")
    if waited is None or held is None:
        yield Headline("slowest write", None, "ms")
    elif tries != 1:
        yield Headline("slowest write", None, "ms", "not measured: earlier tries blocked writes too")
    else:
        yield Headline("slowest write", waited + held, "ms", QUEUED)


def _pace(loads: Sequence[Row]) -> Headline:
    over = [each for each in loads if each["ended_at"] and each["rows"]]
    if not over:
        return Headline("rows per second", None, "rows/s")
    rows = sum(each["rows"] for each in over)
    took = (max(each["ended_at"] for each in over) - min(each["started_at"] for each in over)).total_seconds()
    note = f"{figures.count(rows, 'row')} in {figures.seconds(took)}"
    return Headline("rows per second", rows / max(took, 1e-3), "rows/s", note)


def _rollback(measured: Mapping[str, Row]) -> Headline:
    seconds = _value(measured, "rollback_seconds")
    return Headline("rollback", seconds, "s", "" if seconds is None else "with all writes since the cutover")


def comparable(run: Row, loads: Sequence[Row], measured: Mapping[str, Mapping[str, Row]]) -> list[Headline]:
    """Return more figures, for two runs side by side: their size and duration, and the time of each query."""
    over = [each for each in loads if each["ended_at"]]
    took = (run["ended_at"] - run["started_at"]).total_seconds() if run["ended_at"] else None
    held = measured.get("migration", {}).get("cutover_held_ms")
    changes = held["detail"].get("reconciled_under_lock") if held else None
    return [
        Headline("duration", took, "s", "with the time of questions"),
        Headline("partitions loaded", len(over), ""),
        Headline("rows loaded", sum(each["rows"] or 0 for each in over), ""),
        Headline("size loaded", sum(each["bytes"] or 0 for each in over), "bytes"),
        *headlines(loads, measured),
        Headline("changes reconciled under the lock", changes, ""),
        *_queries(measured),
    ]


def _queries(measured: Mapping[str, Mapping[str, Row]]) -> Iterator[Headline]:
    for stage in ("before", "after"):
        for name, row in measured.get(stage, {}).items():
            if "plan" in row["detail"]:
                yield Headline(f"query {name}, {stage}", row["value"], row["unit"])


def _value(measured: Mapping[str, Row], name: str) -> float | None:
    return measured[name]["value"] if name in measured else None
