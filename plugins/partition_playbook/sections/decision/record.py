"""Read all records of one run from the ledger, as the input of the decision and the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from partition_playbook.checks import Check
from partition_playbook.database import Row, Session
from partition_playbook.gates import SECTIONS
from partition_playbook.ledger import Phase, Statistics, read_check_times, read_measurements, read_versions
from partition_playbook.people import ANSWERED, TRIGGERED, Answer, Question, last_answer
from partition_playbook.run import Run
from partition_playbook.sections.decision.headline import by_stage
from partition_playbook.sections.watch.looks import BEGUN, STAGE
from partition_playbook.spec import Mode


@dataclass(frozen=True)
class Span:
    """The times of the first and the last record of a section in the ledger, and how long its questions waited."""

    section: str
    started_at: datetime
    ended_at: datetime
    waited: timedelta = timedelta()

    @property
    def seconds(self) -> float:
        """Return the time between the two records without the time in which people had not answered yet."""
        return (self.ended_at - self.started_at - self.waited).total_seconds()


@dataclass(frozen=True)
class RunRecord:
    """One run, read from the ledger: its row, checks by section, measurements by stage, loads, times and notes."""

    run: Row
    checks: Mapping[str, Sequence[Check]] = field(default_factory=dict)
    measurements: Mapping[str, Mapping[str, Row]] = field(default_factory=dict)
    snapshot: Mapping[str, Statistics] = field(default_factory=dict)
    validation: Mapping[str, Statistics] = field(default_factory=dict)
    loads: Sequence[Row] = ()
    spans: Sequence[Span] = ()
    notes: Sequence[Row] = ()
    versions: Sequence[str] = ()
    checked_at: Mapping[str, datetime] = field(default_factory=dict)
    looks: Sequence[Row] = ()

    @classmethod
    def read(cls, run: Run) -> RunRecord:
        """Read the run from its ledger."""
        ledger = run.ledger
        with run.database.session() as session:
            key = {"run_id": ledger.run_id}
            measured = read_measurements(session, ledger.run_id)
            spans = [Span(**row) for row in session.rows("decision/list_section_times", key | {"answered": ANSWERED})]
            notes = session.rows("decision/list_notes", key)
            versions = read_versions(session, ledger.run_id)
            checked_at = read_check_times(session, ledger.run_id)
            looks = _looks(session, ledger.run_id, measured)

        return cls(
            ledger.run(),
            ledger.checks(),
            by_stage(measured),
            ledger.statistics("snapshot"),
            ledger.statistics("validation"),
            ledger.loads(),
            [each for each in spans if each.section in SECTIONS],
            notes,
            versions,
            checked_at,
            looks,
        )

    @property
    def mode(self) -> Mode:
        """Return the mode of the run."""
        return Mode(self.run["mode"])

    def find(self, need: str) -> Iterator[Check]:
        """Yield the checks for ``section:pattern``; the pattern is a glob over names."""
        section, _, pattern = need.partition(":")
        yield from (each for each in self.checks.get(section, ()) if fnmatchcase(each.name, pattern))

    def measured(self, stage: str, name: str) -> float | None:
        """Return the value of a measurement in its unit; None if it was not taken."""
        row = self.measurements.get(stage, {}).get(name)
        return None if row is None else row["value"]

    @property
    def triggered_by(self) -> str | None:
        """Return the Airflow user who triggered the run; None if it is unknown."""
        return next((each["detail"]["by"] for each in self.notes if each["message"] == TRIGGERED), None)

    @property
    def answers(self) -> list[Answer]:
        """Return the questions to people with their answers, in order."""
        return [Answer.from_note(each) for each in self.notes if each["message"] == ANSWERED]

    @property
    def stays(self) -> list[str]:
        """Return for each gate why the partitioned table stays live in spite of its no-go."""
        return [text for section in SECTIONS if (text := self.stay(section))]

    def stay(self, section: str) -> str:
        """Return why the partitioned table stays live after the no-go of a section; empty if it does not."""
        answer = last_answer((each for each in self.answers if each.section == section), Question.WAIVER)
        reasons = [each.name for each in self.checks.get(section, ()) if each.blocks]
        if answer is None or not answer.stays or not reasons or self.run["phase"] != Phase.LIVE:
            return ""
        who = f"{answer.by} chose to stay" if answer.by else "Nobody answered in time"
        return (
            f"{who} after the no-go of {section} ({', '.join(reasons)}), so the partitioned table stays live. Clear "
            f"go_no_go_{section} to be asked again, or trigger partition_rollback, which keeps every write since the "
            "cutover"
        )


def _looks(session: Session, run_id: str, measured: Sequence[Row]) -> list[Row]:
    """Return the looks of the last watch; none without one."""
    begun = next((row for row in measured if (row["stage"], row["name"]) == (STAGE, BEGUN)), None)
    if begun is None:
        return []
    return session.rows("watch/list_looks", {"run_id": run_id, "since": begun["detail"]["started_at"]})
