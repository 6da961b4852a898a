"""Everything that the ledger holds of one run, read once: what the decision and the report are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase

from partition_playbook.checks import Check
from partition_playbook.database import Row
from partition_playbook.ledger import Statistics
from partition_playbook.migration.run import Run
from partition_playbook.spec import Mode

TRIGGERED = "the run was triggered"
ANSWERED = "a person was asked"
SECTIONS = (
    "preflight",
    "data_preparation",
    "snapshot",
    "migration",
    "validation",
    "pruning",
    "application",
    "lifecycle",
    "rollback",
)


class Question(StrEnum):
    """What a person is asked; a waiver is asked for a section."""

    CUTOVER = "cutover"
    WAIVER = "waiver"
    SIGN_OFF = "sign-off"


@dataclass(frozen=True)
class Answer:
    """What was answered to a question, by whom; by nobody where the time was over and the safe answer was taken."""

    question: Question
    section: str
    chosen: str
    agreed: bool
    by: str | None
    at: str
    reason: str = ""

    def __str__(self) -> str:
        about = f"{self.question} of {self.section}" if self.question is Question.WAIVER else self.question.value
        told = f"{about}: {self.chosen}" + (f", {self.reason}" if self.reason else "")
        return told if self.by else f"{told}, because nobody answered in time"


@dataclass(frozen=True)
class Span:
    """The first and the last trace that a section left in the ledger."""

    section: str
    started_at: datetime
    ended_at: datetime

    @property
    def seconds(self) -> float:
        """Return how long the section took, as far as its traces tell."""
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True)
class Evidence:
    """One run as the ledger has it."""

    run: Row
    checks: Mapping[str, Sequence[Check]] = field(default_factory=dict)
    measurements: Mapping[str, Mapping[str, Row]] = field(default_factory=dict)
    snapshot: Mapping[str, Statistics] = field(default_factory=dict)
    validation: Mapping[str, Statistics] = field(default_factory=dict)
    loads: Sequence[Row] = ()
    spans: Sequence[Span] = ()
    notes: Sequence[Row] = ()

    @classmethod
    def read(cls, run: Run) -> Evidence:
        """Read the run from its ledger."""
        ledger = run.ledger
        with run.database.session() as session:
            key = {"run_id": ledger.run_id}
            measured = session.rows("ledger/list_measurements", key)
            spans = [Span(**row) for row in session.rows("decision/list_section_times", key)]
            notes = session.rows("decision/list_notes", key)
        stages: dict[str, dict[str, Row]] = {}
        for row in measured:
            stages.setdefault(row["stage"], {})[row["name"]] = row
        return cls(
            ledger.run(),
            ledger.checks(),
            stages,
            ledger.statistics("snapshot"),
            ledger.statistics("validation"),
            ledger.loads(),
            [each for each in spans if each.section in SECTIONS],
            notes,
        )

    @property
    def mode(self) -> Mode:
        """Return what the run was allowed to do."""
        return Mode(self.run["mode"])

    def find(self, need: str) -> Iterator[Check]:
        """Yield the checks that ``section:pattern`` names."""
        section, _, pattern = need.partition(":")
        yield from (each for each in self.checks.get(section, ()) if fnmatchcase(each.name, pattern))

    def measured(self, stage: str, name: str) -> float | None:
        """Return the value of a measurement; None where it was not taken."""
        row = self.measurements.get(stage, {}).get(name)
        return None if row is None else row["value"]

    @property
    def triggered_by(self) -> str | None:
        """Return the Airflow user who triggered the run."""
        return next((each["detail"]["by"] for each in self.notes if each["message"] == TRIGGERED), None)

    @property
    def answers(self) -> list[Answer]:
        """Return what people were asked and answered, in order."""
        given = [(each["section"], each["detail"]) for each in self.notes if each["message"] == ANSWERED]
        names = ("chosen", "agreed", "by", "at", "reason")
        return [
            Answer(Question(detail["question"]), section, **{name: detail[name] for name in names})
            for section, detail in given
        ]

    def answer(self, question: Question) -> Answer | None:
        """Return the last answer to a question; None where nobody was asked."""
        return next((each for each in reversed(self.answers) if each.question is question), None)
