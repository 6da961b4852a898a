"""The outcome of a rehearsal, and its verdict: from the run, its ledger, and the independent record of the writers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from partition_playbook import figures
from partition_playbook.database import Row
from partition_playbook.sections.decision.record import RunRecord
from staging.record import Comparison, Latency

if TYPE_CHECKING:
    from staging.backend.verdict import Noticed

SWAPS = ("cutover", "rollback", "second_cutover")
KINDS = ("lost", "resurrected", "stale", "doubled")
AROUND = timedelta(seconds=1)
NOTHING = Latency(0, 0.0, 0.0, 0.0)
EARLIER_TRY = timedelta(seconds=3)  # a try without success, and the pause after it


class Verdict(StrEnum):
    """The verdict of a demo."""

    GO = "go"
    NO_GO = "no-go"
    UNKNOWN = "unknown"

    @property
    def exit_code(self) -> int:
        """Return the exit code: 0 go, 1 no-go, 2 unknown."""
        return {Verdict.GO: 0, Verdict.NO_GO: 1, Verdict.UNKNOWN: 2}[self]


@dataclass(frozen=True)
class Ending:
    """The end of the DAG run: its state in Airflow, or the problem that hides it."""

    state: str | None = None
    problem: str = ""


@dataclass(frozen=True)
class Swap:
    """One swap from the ledger; ``since`` and ``until`` are Unix times around it."""

    name: str
    held_ms: float
    waited_ms: float
    tries: int
    since: float
    until: float


@dataclass(frozen=True)
class Written:
    """The writes of the live writers, their errors and latency, and the comparison with the table."""

    writers: int
    writes: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    comparison: Comparison | None = None
    latency: Latency = NOTHING
    around: Mapping[str, Latency] = field(default_factory=dict)
    rows_at_end: int | None = None


@dataclass(frozen=True)
class Places:
    """The addresses of the run, its ledger and its report."""

    ui: str | None = None
    login: str | None = None
    ledger: str | None = None
    report: str | None = None


@dataclass(frozen=True)
class Outcome:
    """All results of a demo."""

    rows: int
    written: Written
    run_id: str | None = None
    ending: Ending = Ending()
    evidence: RunRecord | None = None
    places: Places = Places()
    seconds: float = 0.0
    run_seconds: float | None = None
    noticed: Noticed | None = None  # by the users of the application, in a demo with it

    @property
    def verdict(self) -> Verdict:
        """Return go only if Airflow, the ledger and the writers' record agree on it."""
        comparison = self.written.comparison
        if comparison and not comparison.exact:
            return Verdict.NO_GO
        if self.unknown:
            return Verdict.UNKNOWN
        return Verdict.NO_GO if self.against else Verdict.GO

    @property
    def unknown(self) -> list[str]:
        """Return the reasons for the verdict unknown."""
        state, recorded = self.ending.state, self.recorded_verdict
        reasons = [self.ending.problem] if self.ending.problem else []
        if not reasons and (state, recorded) not in (("success", "go"), ("failed", "no-go")):
            reasons.append(f"the DAG run is {state or 'unknown'}, the verdict in the ledger is {recorded or 'missing'}")
        if self.written.writers and not self.written.writes:
            reasons.append("the writers committed nothing")
        if self.written.writers and self.written.comparison is None:
            reasons.append("the table was not compared with the record of the writers")
        return [*reasons, *(self.noticed.unknown if self.noticed else ())]

    @property
    def against(self) -> list[str]:
        """Return the reasons for a no-go."""
        comparison = self.written.comparison
        found = {kind: len(getattr(comparison, kind)) for kind in KINDS} if comparison else {}
        reasons = [
            f"{figures.count(count, 'row')} {kind} according to the record of the writers"
            for kind, count in found.items()
            if count
        ]
        reasons += [
            f"the application got {figures.count(count, 'error')}: {state}"
            for state, count in self.written.errors.items()
        ]
        reasons += self.noticed.against if self.noticed else ()
        if self.recorded_verdict == "no-go":
            reasons += self._failed_checks or ["the verdict of the run is no-go"]
        return reasons

    @property
    def _failed_checks(self) -> list[str]:
        """Return the blocking checks of the sections; those of the decision only if no section has one."""
        sections = self.evidence.checks if self.evidence else {}
        failed = [(name, check) for name, checks in sections.items() for check in checks if check.blocks]
        shown = [(name, check) for name, check in failed if name != "decision"] or failed
        return [f"{name}.{check.name}: {check.actual}" for name, check in shown]

    @property
    def recorded_verdict(self) -> str | None:
        """Return the verdict in the ledger; None if there is none."""
        return self.evidence.run.get("verdict") if self.evidence else None

    @property
    def speedup(self) -> float | None:
        """Return the smallest speedup of the queries that are criteria, as the checks judged it."""
        found = [row["speedup"] for row in self.speedups.values() if row["criterion"]]
        return min(found, default=None)

    @property
    def speedups(self) -> dict[str, Mapping[str, Any]]:
        """Return the evidence of each query with a time before and after."""
        checks = self.evidence.checks.get("pruning", ()) if self.evidence else ()
        named = {check.name: check.evidence for check in checks if check.name.startswith("speedup_")}
        return {name.removeprefix("speedup_"): timed for name, timed in named.items() if "speedup" in timed}

    def as_json(self) -> dict[str, Any]:
        """Return the outcome for programs; ``rows`` is the number in the arguments."""
        swapped = {swap.name: swap for swap in swaps(self.evidence)}
        comparison = self.written.comparison
        held = {f"{name}_held_ms": _rounded(swapped[name].held_ms) if name in swapped else None for name in SWAPS}

        return {
            "verdict": self.verdict.value,
            "run_id": self.run_id,
            "rows": self.rows,
            "rows_at_end": self.written.rows_at_end,
            "writers": self.written.writers,
            "writes_during_run": self.written.writes,
            **{kind: len(getattr(comparison, kind)) if comparison else None for kind in KINDS},
            "rows_compared": comparison.rows_checked if comparison else None,
            "errors": dict(self.written.errors),
            **held,
            "cutover_waited_ms": _rounded(swapped["cutover"].waited_ms) if "cutover" in swapped else None,
            "slowest_write_ms": _rounded(self.written.latency.max),
            **{f"slowest_write_around_{name}_ms": _slowest(self.written.around.get(name)) for name in SWAPS},
            "rollback_seconds": _rounded(measured(self.evidence, "rollback", "rollback_seconds")),
            "speedup": _rounded(self.speedup, 4),
            "run_seconds": _rounded(self.run_seconds),
            "seconds": _rounded(self.seconds),
            "ui": self.places.ui,
            "ledger": self.places.ledger,
            "report": self.places.report,
            "application": self.noticed.as_json() if self.noticed else None,
            "reasons": [*self.unknown, *self.against],
        }


def swaps(evidence: RunRecord | None) -> list[Swap]:
    """Return the swaps in the ledger, each with the time in which it may have delayed writers."""
    taken = evidence.measurements.get("migration", {}) if evidence else {}
    return [
        _swap(name, taken[f"{name}_held_ms"], taken[f"{name}_waited_ms"])
        for name in SWAPS
        if f"{name}_held_ms" in taken and f"{name}_waited_ms" in taken
    ]


def _swap(name: str, held: Row, waited: Row) -> Swap:
    tries = int(held["detail"].get("tries", 1))
    lasted = timedelta(milliseconds=held["value"] + waited["value"]) + (tries - 1) * EARLIER_TRY
    since, until = held["taken_at"] - lasted - AROUND, held["taken_at"] + AROUND
    return Swap(name, held["value"], waited["value"], tries, since.timestamp(), until.timestamp())


def measured(evidence: RunRecord | None, stage: str, name: str) -> float | None:
    """Return a measurement; None if there is none."""
    return evidence.measured(stage, name) if evidence else None


def _slowest(latency: Latency | None) -> float | None:
    return _rounded(latency.max) if latency and latency.count else None


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)
