"""Questions to people, and their answers as the ledger keeps them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

TRIGGERED = "the run was triggered"
ANSWERED = "a person was asked"
# The answer to a gate after the cutover that neither waives nor rolls back; also the one if nobody answers.
STAY = "Stay"


class Question(StrEnum):
    """The kinds of questions; a waiver belongs to one section."""

    CUTOVER = "cutover"
    SECOND_CUTOVER = "second cutover"
    WAIVER = "waiver"
    SIGN_OFF = "sign-off"
    FINALIZE = "finalize"


# The task that asks. A gate asks for the waiver of its section.
ASKED_BY = {
    Question.CUTOVER: "migration.approve_cutover",
    Question.SECOND_CUTOVER: "rollback.approve_second_cutover",
    Question.SIGN_OFF: "decision.sign_off",
    Question.FINALIZE: "finalize.approve_finalize",
}


@dataclass(frozen=True)
class Answer:
    """The answer to a question.

    ``by`` is the person's name, None if time ran out and the safe answer was taken. ``user`` is the id in Airflow's
    auth manager. ``recorded_at`` is the server's time of the record, ``dag_run`` the DAG run that asked.
    """

    question: Question
    section: str
    chosen: str
    agreed: bool
    by: str | None
    at: str
    reason: str = ""
    user: str | None = None
    recorded_at: datetime | None = None
    dag_run: str = ""

    @property
    def note(self) -> dict[str, Any]:
        """Return the answer as the detail of a note in the ledger."""
        return {name: value for name, value in asdict(self).items() if name not in ("recorded_at", "dag_run")}

    @classmethod
    def from_note(cls, note: Mapping[str, Any]) -> Self:
        """Build an answer from a note of the ledger: section, detail, happened_at. Version 0.1.0 kept no ``user``."""
        detail = note["detail"]
        kept = {name: detail[name] for name in ("chosen", "agreed", "by", "at", "reason")}
        return cls(
            Question(detail["question"]),
            detail.get("section") or note["section"],
            **kept,
            user=detail.get("user") or _user_of(detail["by"]),
            recorded_at=note.get("happened_at"),
            dag_run=detail.get("origin", {}).get("run_id", ""),
        )

    def is_permitted(self, approvers: Collection[str]) -> bool:
        """Return True if a person gave it, one of ``approvers`` if there are any."""
        return bool(self.by) and (not approvers or self.user in approvers)

    @property
    def stays(self) -> bool:
        """Return True if the partitioned table stays live without a waiver."""
        return self.question is Question.WAIVER and self.chosen == STAY

    def __str__(self) -> str:
        about = f"{self.question} of {self.section}" if self.question is Question.WAIVER else self.question.value
        text = f"{about}: {self.chosen}" + (f", {self.reason}" if self.reason else "")
        return text if self.by else f"{text}, because nobody answered in time"


def _user_of(by: str | None) -> str | None:
    """Return the id in a name written as ``name (id)``; a name without an id is the id itself."""
    return by.rpartition(" (")[2].removesuffix(")") if by else None


def last_answer(answers: Iterable[Answer], question: Question, dag_run: str | None = None) -> Answer | None:
    """Return the last answer to a question, in one DAG run if it is given; None if nobody was asked."""
    given = [each for each in answers if each.question is question and dag_run in (None, each.dag_run)]
    return given[-1] if given else None


def objection(answer: Answer | None, approvers: Collection[str], since: datetime | None) -> str:
    """Return why an answer is no valid yes; empty if it is one. ``since`` is the time of its evidence."""
    if answer is None:
        return "was not asked"
    if not answer.agreed:
        return f"was answered {answer.chosen}" + (f" by {answer.by}" if answer.by else ": nobody answered in time")
    if not answer.is_permitted(approvers):
        return f"was answered by {answer.by or 'nobody'}, not by one of the approvers {', '.join(approvers)}"
    if since and answer.recorded_at and answer.recorded_at < since:
        return f"was answered by {answer.by} before its checks were made again"
    return ""
