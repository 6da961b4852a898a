"""Checks and the go/no-go rules over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

# What loses nothing where it is passed over, as ``section:pattern``. What is not named here, nobody can waive.
WAIVABLE = (
    "preflight:monitoring",
    "pruning:pruned_*",
    "pruning:speedup_*",
    "pruning:regressions",
    "application:response_time_*",
    "lifecycle:maintenance_ran",
    "lifecycle:future_partitions",
)


class Outcome(StrEnum):
    """What a check found."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    WAIVED = "waived"  # it failed, and a person decided to go on all the same


class Severity(StrEnum):
    """What a failed check means: only an error is a no-go."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


MARKS = {Outcome.PASSED: "ok  ", Outcome.FAILED: "FAIL", Outcome.SKIPPED: "skip", Outcome.WAIVED: "waiv"}


@dataclass(frozen=True)
class Check:
    """One named fact: what was expected, what was found, and what to do where they differ."""

    name: str
    outcome: Outcome
    expected: str
    actual: str
    severity: Severity = Severity.ERROR
    remedy: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def blocks(self) -> bool:
        """Tell whether this check alone is a no-go."""
        return self.outcome is Outcome.FAILED and self.severity is Severity.ERROR

    @property
    def fell_short(self) -> bool:
        """Tell whether it was not as expected, whatever followed from that."""
        return self.outcome in (Outcome.FAILED, Outcome.WAIVED)

    def waived(self, by: str, at: str, reason: str) -> Check:
        """Return this check as a person passed over it."""
        told = f"{self.actual}; waived by {by} at {at}: {reason}"
        return replace(self, outcome=Outcome.WAIVED, actual=told)

    def __str__(self) -> str:
        mark = MARKS[self.outcome]
        if self.outcome is Outcome.FAILED and self.severity is not Severity.ERROR:
            mark = "warn" if self.severity is Severity.WARNING else "note"
        text = f"{mark} {self.name}: expected {self.expected}; actual {self.actual}"
        return f"{text}. {self.remedy}" if self.remedy and self.outcome is Outcome.FAILED else text


def check(
    name: str,
    passed: bool,
    *,
    expected: object,
    actual: object,
    remedy: str = "",
    severity: Severity = Severity.ERROR,
    evidence: Mapping[str, Any] | None = None,
) -> Check:
    """Return the check that ``passed`` decides."""
    outcome = Outcome.PASSED if passed else Outcome.FAILED
    return Check(name, outcome, str(expected), str(actual), severity, remedy, evidence or {})


def skipped(name: str, reason: str, *, expected: object = "-") -> Check:
    """Return a check that was not made, with the reason."""
    return Check(name, Outcome.SKIPPED, str(expected), reason, Severity.INFO)


@dataclass(frozen=True)
class Verdict:
    """Go or no-go, with everything behind it."""

    section: str
    checks: tuple[Check, ...]

    @classmethod
    def of(cls, section: str, checks: Iterable[Check]) -> Verdict:
        """Collect the checks of a section."""
        return cls(section, tuple(checks))

    @property
    def go(self) -> bool:
        """Tell whether the run may proceed; a section without a single check may not."""
        return bool(self.checks) and not self.reasons

    @property
    def reasons(self) -> tuple[Check, ...]:
        """Return the checks that make it a no-go."""
        return tuple(each for each in self.checks if each.blocks)

    @property
    def waivable(self) -> bool:
        """Tell whether it is a no-go that a person may waive: none of its reasons loses anything."""
        named = [f"{self.section}:{each.name}" for each in self.reasons]
        return bool(named) and all(any(fnmatchcase(name, known) for known in WAIVABLE) for name in named)

    def __str__(self) -> str:
        head = f"{'GO' if self.go else 'NO-GO'} after {self.section}: {len(self.checks)} checks"
        return "\n".join([head, *(f"  {each}" for each in self.reasons)])


def as_json(each: Check) -> dict[str, Any]:
    """Return the check as plain values."""
    return asdict(each) | {"evidence": dict(each.evidence)}
