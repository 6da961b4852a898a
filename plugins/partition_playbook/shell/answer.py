"""The answer of a command: lines for people, plain values for ``--json``, and an exit code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """The exit code of a command."""

    IN_ORDER = 0
    ERROR = 1
    FINDINGS = 2
    SPEC = 3
    CONNECTION = 4
    LOCK = 5


@dataclass(frozen=True)
class Failure:
    """A failure in one line: the place, the problem, the remedy."""

    exit: Exit
    where: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        told = f"{self.where}: {self.problem}" if self.where else self.problem
        return " ".join((f"{told.rstrip('.')}. {self.remedy}" if self.remedy else told).split())

    def as_json(self) -> dict[str, Any]:
        """Return the failure as plain values."""
        return {"where": self.where, "problem": self.problem, "remedy": self.remedy, "exit": int(self.exit)}


@dataclass(frozen=True)
class Answer:
    """The answer of a command; ``failures`` go to the standard error."""

    lines: tuple[str, ...]
    content: object
    exit: Exit = Exit.IN_ORDER
    failures: tuple[Failure, ...] = ()


def worst(exits: Iterable[Exit]) -> Exit:
    """Return the exit code of several tables: a failure counts more than a finding."""
    found = set(exits)
    failed = found - {Exit.IN_ORDER, Exit.FINDINGS}
    return max(failed or found, default=Exit.IN_ORDER)
