"""What the console's endpoints answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel


class Problem(BaseModel):
    """Why there is nothing to show, and what to do."""

    problem: str
    remedy: str = ""


class Run(BaseModel):
    """One run of a table."""

    run_id: str
    mode: str
    phase: str
    verdict: str | None
    plan_hash: str | None
    opened_by: str
    started_at: datetime
    ended_at: datetime | None


class Health(BaseModel):
    """How maintenance found a table last."""

    status: str
    problems: list[str]
    checked_at: datetime
    partitions: int | None
    ahead: int | None
    gaps: int | None
    default_rows: int | None
    estimated_rows: int | None
    bytes: int | None
    bytes_per_day: int | None
    full_at: datetime | None


class Table(BaseModel):
    """One table spec; ``table`` is None where the spec cannot be read."""

    spec: str
    table: str | None = None
    connection: str | None = None
    health: Health | None = None
    last_run: Run | None = None
    problem: Problem | None = None


class Partition(BaseModel):
    """A partition; an end that is None is open, unknown, or not one range of time."""

    name: str
    lower: datetime | None
    upper: datetime | None
    is_default: bool
    detach_pending: bool
    estimated_rows: int
    bytes: int | None


class Sibling(BaseModel):
    """The table itself or one that stands beside it."""

    role: str
    name: str
    kind: str
    estimated_rows: int
    bytes: int | None


class Detached(BaseModel):
    """A partition that retention detached and that still exists."""

    name: str
    since: datetime
    kept: bool
    archived: bool


class PartitionMap(BaseModel):
    """The partitions of a table, wanted up to ``horizon``; what ends before ``cutoff`` may go."""

    table: str
    interval: str
    timezone: str
    now: datetime
    horizon: datetime
    keep: str | None
    cutoff: datetime | None
    siblings: list[Sibling]
    partitions: list[Partition]
    detached: list[Detached]


class Loaded(Run):
    """A run with what it loaded, for the list of a table's runs."""

    partitions: int
    rows: int | None
    bytes: int | None


class Load(BaseModel):
    """The load of one partition; ``rows_so_far`` is an estimate by its size."""

    name: str
    lower: datetime
    upper: datetime
    state: str
    expected_rows: int
    rows: int | None
    bytes: int | None
    rows_so_far: int | None
    started_at: datetime | None
    ended_at: datetime | None


class LockWait(BaseModel):
    """A session that waits for a lock."""

    pid: int
    role: str | None
    application: str | None
    table: str
    mode: str
    seconds: float | None
    blocked_by: list[int]
    query: str | None


class Wait(BaseModel):
    """A task that begins nothing for now, at one partition where it names one."""

    task: str | None
    partition: str
    why: str
    since: datetime


class Progress(BaseModel):
    """A run and where it stands; ``waiting_changes`` is None where nothing is captured."""

    run: Run
    now: datetime
    loads: list[Load]
    waits: list[Wait]
    waiting_changes: int | None
    most_counted: int
    lock_waits: list[LockWait]


class Waiting(BaseModel):
    """How many changes waited to be reconciled at a moment."""

    happened_at: datetime
    waiting: int


class Measurement(BaseModel):
    """One number that a run measured."""

    stage: str
    name: str
    value: float | None
    unit: str
    taken_at: datetime


class Gate(BaseModel):
    """The checks of a section, and what they add up to."""

    section: str
    go: bool
    checks: list[dict[str, Any]]


class Timed(BaseModel):
    """A query's time and plan at one stage."""

    ms: float | None
    planning_ms: float | None
    buffers: int | None
    plan: dict[str, Any] | None


class Compared(BaseModel):
    """A query before and after the migration."""

    query: str
    before: Timed | None
    after: Timed | None


class Event(BaseModel):
    """One event of the audit trail."""

    event_id: int
    section: str
    kind: str
    message: str
    statement: str | None
    rows: int | None
    duration_ms: float | None
    detail: dict[str, Any]
    happened_at: datetime


class Found(BaseModel):
    """A run that the ledger recorded for a DAG run, or the section of it where that wrote."""

    spec: str
    run_id: str
    section: str | None = None
