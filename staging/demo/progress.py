"""Read the state of a run from Airflow and the ledger, with short lock timeouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial

import psycopg

from partition_playbook.database import Database, Limits, Row
from partition_playbook.errors import PlaybookError
from partition_playbook.gates import SECTIONS
from partition_playbook.ledger import Ledger
from partition_playbook.names import TableName
from staging.rest import TaskInstance

TABLE = TableName.parse("sensor_readings")
ALL_SECTIONS = (*SECTIONS, "decision")
IMPATIENT = Limits(lock_timeout=100, statement_timeout=2_000)


class State(StrEnum):
    """The state of a section."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Section:
    """A section of the run with its checks so far."""

    name: str
    state: State
    seconds: float = 0.0
    checks: int = 0
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Load:
    """The load of a partition; while it runs, ``rows`` is an estimate from the size."""

    partition: str
    state: str
    expected: int
    rows: int = 0
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def done(self) -> bool:
        """Return True if all rows are loaded."""
        return self.state in ("loaded", "attached")


@dataclass(frozen=True)
class Loads:
    """All loads of the run at one moment."""

    each: tuple[Load, ...] = ()
    at: datetime = field(default_factory=partial(datetime.now, UTC))

    @property
    def rows(self) -> int:
        """Count the loaded rows."""
        return sum(load.rows for load in self.each)

    @property
    def done(self) -> bool:
        """Return True if all loads have ended."""
        return bool(self.each) and all(load.done for load in self.each)

    @property
    def rows_per_second(self) -> float:
        """Return the rows per second of all loads together, since the start of the first."""
        begun = [load.started for load in self.each if load.started]
        if not begun:
            return 0.0
        until = max((load.ended for load in self.each if load.ended), default=self.at) if self.done else self.at
        return self.rows / max((until - min(begun)).total_seconds(), 0.1)

    @property
    def seconds_left(self) -> float | None:
        """Return the remaining seconds at this rate; None before the first row."""
        if not self.rows_per_second:
            return None
        return sum(max(load.expected - load.rows, 0) for load in self.each if not load.done) / self.rows_per_second


@dataclass(frozen=True)
class Progress:
    """The state of a run, as the display shows it."""

    seconds: float
    sections: tuple[Section, ...] = tuple(Section(name, State.WAITING) for name in ALL_SECTIONS)
    tasks: tuple[str, ...] = ()
    loads: Loads = Loads()
    backlog: int | None = None
    writes: int = 0
    slowest_ms: float = 0.0


def sections(tasks: Sequence[TaskInstance], failures: Mapping[str, tuple[int, tuple[str, ...]]]) -> tuple[Section, ...]:
    """Return the state of each section; ``failures`` has its number of checks and the names of the blocking ones."""
    groups = {name: [task for task in tasks if task.task_id.startswith(f"{name}.")] for name in ALL_SECTIONS}
    return tuple(
        Section(name, _state(group), _seconds(group), *failures.get(name, (0, ()))) for name, group in groups.items()
    )


def _state(tasks: Sequence[TaskInstance]) -> State:
    states = {task.state for task in tasks}
    if states & {"failed", "upstream_failed"}:
        return State.FAILED
    if states and states <= {"skipped", "removed"}:
        return State.SKIPPED
    if states and states <= {"success", "skipped", "removed"}:
        return State.DONE
    return State.RUNNING if any(task.start for task in tasks if task.state != "skipped") else State.WAITING


def _seconds(tasks: Sequence[TaskInstance]) -> float:
    began = [task.start for task in tasks if task.start and task.state != "skipped"]
    if not began:
        return 0.0
    ended = max(task.end or datetime.now(UTC) for task in tasks if task.start and task.state != "skipped")
    return (ended - min(began)).total_seconds()


def running(tasks: Sequence[TaskInstance]) -> tuple[str, ...]:
    """Return the names of the running tasks, each once, with the done share of mapped tasks and pending retries."""
    busy = {
        "running": "",
        "deferred": "",
        "awaiting_input": ", waits for an answer",
        "up_for_retry": ", up for retry",
        "restarting": ", restarting",
    }
    return tuple(
        dict.fromkeys(f"{task.task_id}{_share(task, tasks)}{busy[task.state]}" for task in tasks if task.state in busy)
    )


def _share(task: TaskInstance, tasks: Sequence[TaskInstance]) -> str:
    if task.map_index < 0:
        return ""
    states = [each.state for each in tasks if each.task_id == task.task_id]
    return f" ({states.count('success')} of {len(states)} done)"


class LedgerReader:
    """Read loads, checks and backlog of a run; if a read fails, the last result stands."""

    def __init__(self, conninfo: str, run_id: str) -> None:
        self._database = Database(
            partial(psycopg.connect, conninfo, connect_timeout=3), application="partition-playbook demo"
        )
        self._ledger = Ledger(self._database, run_id)
        self._loads = Loads()
        self._checks: dict[str, tuple[int, tuple[str, ...]]] = {}

    def loads(self) -> Loads:
        """Return the loads, with estimates for the running ones."""
        try:
            found = tuple(self._load(row) for row in self._ledger.loads())
        except (psycopg.Error, PlaybookError):  # the ledger is not there yet
            return self._loads
        self._loads = Loads(found, datetime.now(UTC))
        return self._loads

    def checks(self) -> Mapping[str, tuple[int, tuple[str, ...]]]:
        """Return the number of checks of each section, and the names of the blocking ones."""
        try:
            found = self._ledger.checks()
        except (psycopg.Error, PlaybookError):
            return self._checks
        self._checks = {
            section: (len(checks), tuple(check.name for check in checks if check.blocks))
            for section, checks in found.items()
        }
        return self._checks

    def backlog(self) -> int | None:
        """Return the number of waiting changes; None without a change log."""
        try:
            with self._database.session(IMPATIENT) as session:
                return int(session.value("engine/count_changes", log=TABLE.change_log.identifier))
        except (psycopg.Error, PlaybookError):
            return None

    def _load(self, row: Row) -> Load:
        load = Load(
            row["partition_name"],
            row["state"],
            row["expected_rows"],
            row["rows"] or 0,
            row["started_at"],
            row["ended_at"],
        )
        return self._estimated(load) if load.state == "loading" else load

    def _estimated(self, load: Load) -> Load:
        values = {"schema": TABLE.schema, "names": [load.partition], "source": TABLE.name}
        values["log"] = TABLE.change_log.quoted
        try:
            with self._database.session(IMPATIENT) as session:
                seen = session.row("engine/watch_load", values)
        except psycopg.errors.LockNotAvailable:
            # ALTER TABLE builds the primary key, after all rows are loaded.
            return replace(load, state="indexing", rows=load.expected)
        except (psycopg.Error, PlaybookError):
            return load
        return replace(load, rows=min(load.expected, int(seen["bytes"] / max(seen["row_bytes"] or 1, 1))))
