"""The pace of reconcile and of the application, from the samples of the last batches in the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from partition_playbook import figures
from partition_playbook.checks import Check, Severity, check
from partition_playbook.database import Session
from partition_playbook.engine.batches import Batch, Waiting
from partition_playbook.run import Run

# Fewer changes tell nothing: most of the time of a small batch does not depend on its size.
LEAST_MEASURED = 1_000
# So many batches tell the present pace.
BATCHES = 20


@dataclass(frozen=True)
class Pace:
    """Changes per second: those that reconcile takes while it works, and those that the application writes."""

    reconciled: float
    written: float

    @property
    def keeps_up(self) -> bool:
        """Tell whether reconcile is at least as fast as the application."""
        return self.reconciled >= self.written

    def __str__(self) -> str:
        reconciled, written = (figures.rate(each, 1, "changes") for each in (self.reconciled, self.written))
        return f"reconcile takes {reconciled}, and the application writes {written}"


def sample(run: Run, session: Session, batch: Batch, waiting: Waiting, seconds: float) -> None:
    """Record the waiting changes after a batch, with its changes and its duration."""
    run.ledger.sample_backlog(
        session,
        waiting.number,
        estimated=waiting.estimated,
        taken=batch.count,
        seconds=round(seconds, 6),
        position=waiting.last_change,
    )


def find(run: Run, session: Session) -> Pace | None:
    """Return the pace over the last batches of the run; None if they are too few to tell."""
    found = run.ledger.reconcile_pace(session, BATCHES)
    if found["taken"] < LEAST_MEASURED or not found["seconds"] or not found["passed"]:
        return None
    return Pace(found["taken"] / found["seconds"], found["written"] / found["passed"])


def pace_checks(run: Run) -> list[Check]:
    """Return the check that reconcile is as fast as the application, if enough changes were reconciled to tell."""
    with run.database.session() as session:
        found = find(run, session)
    if found is None:
        return []
    return [
        check(
            "reconcile_pace",
            found.keeps_up,
            expected="reconcile is at least as fast as the application writes",
            actual=str(found),
            remedy="The cutover would give up before its lock. Let the application write less until the cutover, or "
            "answer its question at a quieter time",
            severity=Severity.WARNING,
            evidence={"reconciled": found.reconciled, "written": found.written},
        )
    ]
