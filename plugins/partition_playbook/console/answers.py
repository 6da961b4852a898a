"""The models of the console's JSON answers: bytes, seconds and milliseconds as plain numbers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel

# A bound of a partition: a moment, or an id.
End = datetime | int


class Problem(BaseModel):
    """An error with its remedy."""

    problem: str
    remedy: str = ""


class Run(BaseModel):
    """One run of a table; ``state`` is its verdict, or what the ledger and Airflow know of it together.

    ``opened_by`` is the database role. ``triggered_by`` is the Airflow user, None for a schedule.
    """

    run_id: str
    mode: str
    phase: str
    verdict: str | None
    plan_hash: str | None
    opened_by: str
    triggered_by: str | None = None
    started_at: datetime
    ended_at: datetime | None
    state: str
    state_in: str
    state_since: datetime | None
    next_step: str


class Health(BaseModel):
    """The state of a table at its last maintenance."""

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
    partitions_end: datetime | None
    due: datetime | None


class Table(BaseModel):
    """One table spec; ``table`` is None if the spec is invalid."""

    spec: str
    table: str | None = None
    connection: str | None = None
    health: Health | None = None
    last_run: Run | None = None
    problem: Problem | None = None


class Partition(BaseModel):
    """A partition; a bound is None if it is open, unknown, or not one range."""

    name: str
    lower: End | None
    upper: End | None
    is_default: bool
    detach_pending: bool
    estimated_rows: int
    bytes: int | None


class Sibling(BaseModel):
    """The table, its shadow or its retired table."""

    role: str
    name: str
    kind: str
    estimated_rows: int
    bytes: int | None


class Detached(BaseModel):
    """A partition after its detachment by retention, before it is dropped."""

    name: str
    since: datetime
    kept: bool
    archived: bool


class PartitionMap(BaseModel):
    """The partitions of a table.

    The spec wants partitions up to ``horizon``. Retention may detach those with an upper bound before ``cutoff``.
    ``interval_change`` tells of a change of the interval that is still to come; it is empty without one. ``ids_left``
    counts the ids before the end of the partitions, None without ranges of ids, and ``ids_last`` tells how long they
    last.
    """

    table: str
    interval: str
    interval_change: str
    timezone: str
    now: End
    horizon: End
    ids_left: int | None
    ids_last: str
    keep: str | None
    cutoff: datetime | None
    siblings: list[Sibling]
    partitions: list[Partition]
    detached: list[Detached]


class Loaded(Run):
    """A run with the totals of its loads, for the list of runs."""

    partitions: int
    rows: int | None
    bytes: int | None


class Load(BaseModel):
    """The load of one partition; ``rows_so_far`` is an estimate from its size."""

    name: str
    lower: End
    upper: End
    state: str
    expected_rows: int
    rows: int | None
    bytes: int | None
    rows_so_far: int | None
    started_at: datetime | None
    ended_at: datetime | None


class LockWait(BaseModel):
    """A session waiting for a lock, and the pids of its blockers."""

    pid: int
    role: str | None
    application: str | None
    client: str | None
    table: str
    mode: str
    seconds: float | None
    blocked_by: list[int]
    query: str | None


class Wait(BaseModel):
    """A paused or throttled task; ``partition`` is empty if the wait concerns all partitions."""

    task: str | None
    partition: str
    why: str
    since: datetime


class WayBack(BaseModel):
    """The way back at the last look of partition_standby; ``seconds`` of a rollback then, None if it is lost."""

    state: str
    since: str
    seconds: float | None
    sentences: list[str]
    looked_at: datetime


class Step(BaseModel):
    """One section of a run; ``seconds`` of work so far, without the ``waited`` ones of questions; None if unknown."""

    section: str
    state: str
    started_at: datetime | None
    ended_at: datetime | None
    seconds: float | None
    waited: float


class Question(BaseModel):
    """A question that waits for a person; ``path`` leads to its page in Airflow."""

    subject: str
    task_id: str
    since: datetime | None
    path: str


class Work(BaseModel):
    """The instances of one task that are at work or wait for their turn."""

    task_id: str
    state: str
    count: int
    since: datetime | None


class Rate(BaseModel):
    """The loaded rows per second around one moment."""

    happened_at: datetime
    rows_per_second: float


class Eta(BaseModel):
    """The expected end of the loads, and in words how it was found."""

    seconds: float
    at: datetime
    rows_left: int
    method: str


class Headline(BaseModel):
    """A headline figure of a run in its unit; None if it was not measured."""

    name: str
    value: float | None
    unit: str
    note: str


class Pace(BaseModel):
    """Changes per second: ``written`` by the application over the last ``over`` seconds, ``followed`` by reconcile.

    Each is None while nothing tells it. ``source`` is the origin of the followed rate.
    """

    written: float | None
    over: float | None
    followed: float | None
    source: str
    verdict: str


class Progress(BaseModel):
    """The state of a run; ``waiting_changes`` is None without a change log and at most ``most_counted``.

    ``pace`` is None without a change log and for a run that has ended.
    ``waived`` names the waived checks, each with its waiver. ``failure`` is the last error of a failed task.
    ``dag_run`` is the path of the DAG run in Airflow. ``has_plan`` and ``has_report`` say if these files are here.
    """

    run: Run
    dag_run: str
    has_plan: bool
    has_report: bool
    steps: list[Step]
    questions: list[Question]
    working: list[Work]
    failure: str | None
    versions: list[str]
    waived: list[str]
    now: datetime
    loads: list[Load]
    throughput: list[Rate]
    eta: Eta | None
    headlines: list[Headline]
    waits: list[Wait]
    waiting_changes: int | None
    most_counted: int
    pace: Pace | None
    lock_waits: list[LockWait]
    way_back: WayBack | None


class Waiting(BaseModel):
    """The number of waiting changes at one moment, and ``before`` the batch that ended then; it may be an estimate."""

    event_id: int
    happened_at: datetime
    before: int
    waiting: int
    estimated: bool


class Limit(BaseModel):
    """A figure that the throttle looks at; ``limit`` is None without one, ``unknown`` the reason for no value."""

    name: str
    value: float | None
    limit: float | None
    unit: str
    unknown: str = ""


class Blocker(BaseModel):
    """A session with a lock on the table that others wait for, or that is old; ``statement`` ends it.

    The pid of a prepared transaction is 0, and ``application`` is its identifier.
    """

    pid: int
    role: str | None
    application: str | None
    client: str | None
    state: str | None
    since: datetime | None
    seconds: float | None
    blocks: int
    is_ours: bool
    query: str | None
    statement: str


class Server(BaseModel):
    """The state of the server; ``wal_bytes`` were ever written, ``over`` names the limits that hold the run back."""

    now: datetime
    limits: list[Limit]
    over: list[str]
    safe_wal_bytes: int | None
    wal_bytes: int | None
    free_bytes: int | None
    free_unknown: str
    blockers: list[Blocker]


class Measurement(BaseModel):
    """One measurement of a run, in its unit."""

    stage: str
    name: str
    value: float | None
    unit: str
    taken_at: datetime


class Gate(BaseModel):
    """The checks of a section and their verdict."""

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
    """A query before and after the migration; ``sql`` is its text."""

    query: str
    sql: str
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
    """The run of the ledger for a DAG run, and its section if another DAG wrote that section."""

    spec: str
    run_id: str
    section: str | None = None
