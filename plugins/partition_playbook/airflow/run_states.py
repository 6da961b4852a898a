"""The state of a run, as the ledger and Airflow know it together.

The ledger alone cannot tell a run at work from one that died, and Airflow alone cannot tell what was built.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from partition_playbook.airflow.runs import MAINTENANCE_DAG, MIGRATION_DAG
from partition_playbook.database import Row
from partition_playbook.ledger import MAINTENANCE, Phase

# A dag id and a run id.
Key = tuple[str, str]


class State(StrEnum):
    """The state of a run without a verdict."""

    RUNNING = "running"
    ASKING = "asks a person"
    RETRYING = "retrying"
    FAILED = "failed"
    LOST = "lost"
    ENDED = "ended"


# Of the tasks of one run, the first of these states that one of them has decides.
TASK_STATES = {"awaiting_input": State.ASKING, "up_for_retry": State.RETRYING}
ENDED_PHASES = frozenset({Phase.ABANDONED, Phase.FINALIZED})


@dataclass(frozen=True)
class RunState:
    """The verdict of a run, or its state; where and since when, and what a person can do about it."""

    state: str
    where: str = ""
    since: datetime | None = None
    next_step: str = ""


def run_states(runs: Iterable[Row]) -> dict[str, RunState]:
    """Return the state of each run of a ledger, by run id; ``runs`` have the columns of its table of runs."""
    runs = list(runs)
    open_ = {each["run_id"]: dag_run_key(each) for each in runs if each["ended_at"] is None}
    found = _read_airflow(set(open_.values()))
    return {
        each["run_id"]: judge(each, found.get(open_[each["run_id"]]))
        if each["run_id"] in open_
        else RunState(each["verdict"] or State.ENDED, since=each["ended_at"])
        for each in runs
    }


@dataclass(frozen=True)
class DagRunState:
    """A DAG run in Airflow: its state, its end, and its tasks of a state that matters, with their times."""

    state: str
    ended_at: datetime | None = None
    tasks: Mapping[str, tuple[tuple[str, datetime | None], ...]] | None = None


def judge(run: Row, known: DagRunState | None) -> RunState:
    """Return the state of a run without an end in the ledger; ``known`` is its DAG run, None if Airflow has none."""
    phase = Phase(run["phase"])
    tasks = (known.tasks or {}) if known else {}
    if known and (known.state == "failed" or "failed" in tasks):
        where, times = _names(tasks.get("failed", ()))
        since = min(times, default=known.ended_at)
        return RunState(State.FAILED, where, since, _after_failure(run["mode"], phase, where))

    if known and known.state in ("queued", "running"):
        for name, state in TASK_STATES.items():
            if name in tasks:
                where, times = _names(tasks[name])
                step = "Answer the question under Required Actions in Airflow" if state is State.ASKING else ""
                return RunState(state, where, min(times, default=None), step)
        return RunState(State.RUNNING)

    return RunState(State.LOST, next_step=_after_loss(run["mode"], phase, known))


def _names(tasks: Iterable[tuple[str, datetime | None]]) -> tuple[str, list[datetime]]:
    """Return the names of tasks, each once, and their times."""
    tasks = list(tasks)
    return ", ".join(dict.fromkeys(name for name, _ in tasks)), [at for _, at in tasks if at]


def _after_failure(mode: str, phase: Phase, where: str) -> str:
    if phase in ENDED_PHASES:
        return "Nothing: the migration has ended"
    clear = f"Read the last lines of the log of {where or 'the failed task'}, fix the cause, and clear the task"
    if mode == MAINTENANCE:
        return clear
    if phase is Phase.OPENED:
        return f"{clear}. Or trigger a new run: nothing was built"
    return f"{clear}: the run resumes there. Or trigger partition_rollback to undo it"


def _after_loss(mode: str, phase: Phase, known: DagRunState | None) -> str:
    why = "Airflow ended this run without a verdict" if known else "Airflow no longer knows this run"
    if mode == MAINTENANCE or phase in ENDED_PHASES:
        return f"{why}. Nothing is left to do"
    if phase is Phase.OPENED:
        return f"{why}. Nothing was built: trigger a new run"
    if phase is Phase.LIVE:
        return f"{why}. Trigger partition_rollback to undo the migration, or partition_finalize to keep it"
    return f"{why}. Trigger partition_rollback: it drops what the run built"


def dag_run_key(run: Row) -> Key:
    """Return the DAG run of a run of the ledger; a maintenance run has one for each table."""
    if run["mode"] == MAINTENANCE:
        return MAINTENANCE_DAG, run["run_id"].rpartition("/")[0]
    return MIGRATION_DAG, run["run_id"]


def _read_airflow(keys: set[Key]) -> dict[Key, DagRunState]:
    """Read DAG runs from Airflow's own database: only the API server and Airflow's commands may."""
    if not keys:
        return {}
    from airflow.models import DagRun, TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select, tuple_

    states = ("failed", *TASK_STATES)
    with create_session() as session:
        runs = session.execute(
            select(DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.end_date).where(
                tuple_(DagRun.dag_id, DagRun.run_id).in_(keys)
            )
        ).all()
        found = session.execute(
            select(
                TaskInstance.dag_id,
                TaskInstance.run_id,
                TaskInstance.state,
                TaskInstance.task_id,
                TaskInstance.end_date,
                TaskInstance.start_date,
            )
            .where(tuple_(TaskInstance.dag_id, TaskInstance.run_id).in_(keys), TaskInstance.state.in_(states))
            .order_by(TaskInstance.start_date)
        ).all()

    tasks: dict[Key, dict[str, tuple[tuple[str, datetime | None], ...]]] = defaultdict(dict)
    for dag_id, run_id, state, task_id, ended_at, started_at in found:
        known = tasks[dag_id, run_id].setdefault(str(state), ())
        tasks[dag_id, run_id][str(state)] = (*known, (task_id, ended_at or started_at))
    return {(row[0], row[1]): DagRunState(str(row[2]), row[3], tasks.get((row[0], row[1]))) for row in runs}


def with_state(row: Row, states: Mapping[str, RunState]) -> dict[str, Any]:
    """Return the record of a run with its state beside it, under the names of the console's answers."""
    found = states[row["run_id"]]
    added = {"state": found.state, "state_in": found.where, "state_since": found.since, "next_step": found.next_step}
    return dict(row) | added
