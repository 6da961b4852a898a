"""The sections of a run as steps, and its open questions: Airflow's tasks and the ledger's verdicts together.

A task that was marked as success by hand leaves no check, so its section is not passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import quote

from partition_playbook.airflow.run_states import Key
from partition_playbook.checks import Check, Verdict
from partition_playbook.gates import SECTIONS
from partition_playbook.people import ASKED_BY

STEPS = (*SECTIONS, "decision")
GATE = "go_no_go_"
# Of the tasks of one section, the first of these states that one of them has decides.
AT_WORK = ("running", "deferred", "queued", "scheduled", "restarting", "up_for_reschedule")
OVER = frozenset({"success", "skipped", "failed", "upstream_failed", "removed"})
# It fails with NO-GO: a verdict, not an error.
VERDICT_TASK = "decision.say_verdict"


class StepState(StrEnum):
    """The state of a section."""

    PASSED = "passed"
    WAIVED = "waived"
    NO_GO = "no-go"
    FAILED = "failed"
    ASKING = "asks a person"
    RETRYING = "retrying"
    RUNNING = "running"
    PENDING = "pending"
    SKIPPED = "skipped"
    UNPROVED = "no checks"
    NOT_REACHED = "not reached"


@dataclass(frozen=True)
class Tasks:
    """The instances of one task in one state: their number, first start and last end."""

    task_id: str
    state: str | None
    count: int = 1
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def section(self) -> str:
        """Return the section of the task; a gate belongs to the section before it."""
        return self.task_id.split(".")[0].removeprefix(GATE)

    @property
    def is_section_work(self) -> bool:
        """Return True unless it is the gate after a section or was skipped: only work counts as its time."""
        return not self.task_id.startswith(GATE) and self.state != "skipped"


@dataclass(frozen=True)
class Step:
    """One section of a run; ``waited`` of its time people had a question to answer, and it counts as no work."""

    section: str
    state: StepState
    started_at: datetime | None = None
    ended_at: datetime | None = None
    waited: timedelta = timedelta()

    def seconds(self, now: datetime) -> float | None:
        """Return the seconds of work so far; None if the start is unknown."""
        if self.started_at is None:
            return None
        return max(((self.ended_at or now) - self.started_at - self.waited).total_seconds(), 0.0)


@dataclass(frozen=True)
class OpenQuestion:
    """A question that waits for a person, with the path of its page in Airflow."""

    subject: str
    task_id: str
    since: datetime | None
    path: str


@dataclass(frozen=True)
class Activity:
    """All that Airflow knows of the tasks of one DAG run."""

    tasks: Sequence[Tasks] = ()
    questions: Sequence[OpenQuestion] = ()


def steps(
    activity: Activity,
    checks: Mapping[str, Iterable[Check]],
    checked_at: Mapping[str, datetime],
    now: datetime,
    *,
    over: bool,
) -> list[Step]:
    """Return the sections in their order; ``over`` if no task of the run will start again by itself."""
    return [
        _step(
            Verdict.of(section, checks.get(section, ())),
            [each for each in activity.tasks if each.section == section],
            checked_at.get(section),
            now,
            over,
        )
        for section in STEPS
    ]


def _step(verdict: Verdict, tasks: Sequence[Tasks], checked_at: datetime | None, now: datetime, over: bool) -> Step:
    if not tasks:  # Airflow no longer knows the run, or has no such task
        found = _proved(verdict) if verdict.checks else StepState.NOT_REACHED if over else StepState.PENDING
        return Step(verdict.section, found, None, checked_at)

    work = [each for each in tasks if each.is_section_work]
    started = min((each.started_at for each in work if each.started_at), default=None)
    ended = max((each.ended_at for each in work if each.ended_at), default=None)
    state = _state(verdict, tasks, over)
    is_open = state in (StepState.RUNNING, StepState.RETRYING) or any(each.state not in OVER for each in work)
    return Step(verdict.section, state, started, None if is_open and not over else ended, _waited(work, now))


def _state(verdict: Verdict, tasks: Sequence[Tasks], over: bool) -> StepState:
    states = {each.state for each in tasks if each.count}
    failed = [each for each in tasks if each.state == "failed"]
    if failed and not (verdict.checks and {each.task_id for each in failed} == {VERDICT_TASK}):
        return StepState.FAILED
    if "awaiting_input" in states:
        return StepState.ASKING
    if "up_for_retry" in states:
        return StepState.RETRYING

    begun = [each for each in tasks if each.is_section_work and each.started_at]
    if not states <= OVER and not over and (begun or states & set(AT_WORK)):
        return StepState.RUNNING
    if verdict.checks:
        return _proved(verdict)
    if "success" in states and states <= OVER:
        return StepState.UNPROVED
    if states <= {"skipped", "removed"}:
        return StepState.SKIPPED
    return StepState.NOT_REACHED if over or "upstream_failed" in states else StepState.PENDING


def _proved(verdict: Verdict) -> StepState:
    if not verdict.go:
        return StepState.NO_GO
    return StepState.WAIVED if verdict.waivers else StepState.PASSED


def _waited(tasks: Iterable[Tasks], now: datetime) -> timedelta:
    """Return how long the questions of a section waited for people."""
    asked = [each for each in tasks if each.task_id in ASKED_BY.values() and each.started_at]
    return sum(((each.ended_at or now) - each.started_at for each in asked if each.started_at), timedelta())


def run_path(key: Key) -> str:
    """Return the path of a DAG run in Airflow's UI, without a leading slash."""
    dag_id, run_id = key
    return f"dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def read_activity(key: Key) -> Activity:
    """Read the tasks of a DAG run from Airflow's own database: only the API server and Airflow's commands may."""
    from airflow.models import TaskInstance
    from airflow.models.hitl import HITLDetail
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    own = (TaskInstance.dag_id == key[0], TaskInstance.run_id == key[1])
    with create_session() as session:
        found = session.execute(
            select(
                TaskInstance.task_id,
                TaskInstance.state,
                func.count(),
                func.min(TaskInstance.start_date),
                func.max(TaskInstance.end_date),
            )
            .where(*own)
            .group_by(TaskInstance.task_id, TaskInstance.state)
        ).all()
        asked = session.execute(
            select(TaskInstance.task_id, HITLDetail.subject, HITLDetail.created_at)
            .join(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
            .where(*own, TaskInstance.state == "awaiting_input")
            .order_by(HITLDetail.created_at)
        ).all()

    tasks = [Tasks(row[0], str(row[1]) if row[1] else None, row[2], row[3], row[4]) for row in found]
    path = f"{run_path(key)}/tasks"
    questions = [
        OpenQuestion(subject, task_id, since, f"{path}/{quote(task_id, safe='')}/required_actions")
        for task_id, subject, since in asked
    ]
    return Activity(tasks, questions)
