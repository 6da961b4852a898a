"""Checks and the go/no-go rules over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from partition_playbook import figures

# The checks open to a waiver, as ``section:pattern``: going on in spite of them loses no row. All others are final.
WAIVABLE = (
    "preflight:monitoring*",
    # The cutover gives up before its lock and changes nothing.
    "preflight:write_rate",
    # Nothing is built yet, and the check `regressions` compares the same reads after the cutover.
    "preflight:planning_time",
    "pruning:pruned_*",
    "pruning:speedup_*",
    "pruning:regressions",
    "application:response_time_*",
    "lifecycle:maintenance_ran",
    "lifecycle:future_partitions",
    # Hours after the cutover a person decides, whatever was seen: see `before_rollback` in gates.
    "watch:*",
)


class Outcome(StrEnum):
    """The result of a check."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    WAIVED = "waived"  # failed, but a person decided to go on


class Severity(StrEnum):
    """The weight of a failed check; only an error is a no-go."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


WAIVED_BY = "; waived by "
MARKS = {Outcome.PASSED: "ok  ", Outcome.FAILED: "FAIL", Outcome.SKIPPED: "skip", Outcome.WAIVED: "waiv"}


@dataclass(frozen=True)
class Check:
    """One named fact, with the expected and the actual state and a remedy for the difference."""

    name: str
    outcome: Outcome
    expected: str
    actual: str
    severity: Severity = Severity.ERROR
    remedy: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def blocks(self) -> bool:
        """Return True if this check alone is a no-go."""
        return self.outcome is Outcome.FAILED and self.severity is Severity.ERROR

    @property
    def fell_short(self) -> bool:
        """Return True if expected and actual differ, waived or not."""
        return self.outcome in (Outcome.FAILED, Outcome.WAIVED)

    @property
    def label(self) -> str:
        """Return the outcome in one word; a failed check below severity error shows its severity."""
        is_lesser = self.outcome is Outcome.FAILED and self.severity is not Severity.ERROR
        return self.severity.value if is_lesser else self.outcome.value

    def waived(self, by: str, at: str, reason: str) -> Check:
        """Return this check as waived, with the person, the time and the reason."""
        waiver = {"waived_by": by, "waived_at": at, "reason_of_waiver": reason}
        told = f"{self.actual}{WAIVED_BY}{by}: {reason}"
        return replace(self, outcome=Outcome.WAIVED, actual=told, evidence={**self.evidence, **waiver})

    @property
    def waiver(self) -> str:
        """Return ``waived by <name>: <reason>``; empty unless the check is waived."""
        return WAIVED_BY[2:] + self.actual.rpartition(WAIVED_BY)[2] if self.outcome is Outcome.WAIVED else ""

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
    """Return a passed or a failed check."""
    outcome = Outcome.PASSED if passed else Outcome.FAILED
    return Check(name, outcome, str(expected), str(actual), severity, remedy, evidence or {})


def skipped(name: str, reason: str, *, expected: object = "-") -> Check:
    """Return a check not made, with the reason."""
    return Check(name, Outcome.SKIPPED, str(expected), reason, Severity.INFO)


@dataclass(frozen=True)
class Verdict:
    """Go or no-go, with the checks behind it."""

    section: str
    checks: tuple[Check, ...]

    @classmethod
    def of(cls, section: str, checks: Iterable[Check]) -> Verdict:
        """Collect the checks of a section."""
        return cls(section, tuple(checks))

    @property
    def go(self) -> bool:
        """Return True if the run may proceed; a section without a check never may."""
        return bool(self.checks) and not self.reasons

    @property
    def reasons(self) -> tuple[Check, ...]:
        """Return the failed checks of severity error."""
        return tuple(each for each in self.checks if each.blocks)

    @property
    def waivers(self) -> tuple[Check, ...]:
        """Return the waived checks."""
        return tuple(each for each in self.checks if each.outcome is Outcome.WAIVED)

    @property
    def waivable(self) -> bool:
        """Return True for a no-go with only waivable reasons."""
        named = [f"{self.section}:{each.name}" for each in self.reasons]
        return bool(named) and all(any(fnmatchcase(name, known) for known in WAIVABLE) for name in named)

    def __str__(self) -> str:
        head = f"{'GO' if self.go else 'NO-GO'} after {self.section}: {figures.count(len(self.checks), 'check')}"
        if self.waivers:
            head += f", {figures.number(len(self.waivers))} waived"
        return "\n".join([head, *(f"  {each}" for each in (*self.reasons, *self.waivers))])


def as_json(each: Check) -> dict[str, Any]:
    """Return the check as plain values."""
    return asdict(each) | {"evidence": dict(each.evidence)}
