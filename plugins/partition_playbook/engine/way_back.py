"""Measure the way back while a retired table stands: how long a rollback would take now, and until when seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from partition_playbook import figures
from partition_playbook.database import Row, Session
from partition_playbook.engine import capture, reconcile, throttle, verify
from partition_playbook.engine.sides import Direction, Sides
from partition_playbook.errors import CaptureLost, Diverged
from partition_playbook.run import Run

STAGE, NAME = "standby", "way_back"
# A pass ends before the next one of the schedule begins.
PASS_SECONDS = 240.0
# Three passes of the schedule: one may meet a busy server.
LONGEST_WAIT = timedelta(minutes=15)
FULLEST = 0.5
# A rollback that takes longer no longer takes seconds.
SECONDS = 60.0
# Used until the run has measured its own: a swap without waiting changes, changes reconciled per second, and the bytes
# of a change in the log.
SWAP_SECONDS, CHANGES_PER_SECOND, BYTES_PER_CHANGE = 5.0, 5_000.0, 54.0
LEAST_MEASURED = 1_000


class State(StrEnum):
    """The state of the way back; anything but ``in step`` needs a person."""

    IN_STEP = "in step"
    BEHIND = "behind"
    NEARLY_FULL = "nearly full"
    LOST = "lost"


@dataclass(frozen=True)
class WayBack:
    """The way back at one moment.

    ``waiting`` changes are in a change log of ``log_bytes``; it may grow to ``limit_bytes``. The oldest one has waited
    at least since ``waiting_since``, None if it is new. ``written`` and ``reconciled`` are changes per second; None if
    they are not measured yet. ``comparison`` is the time in seconds of the comparison of all rows that a rollback
    would begin with: 0 if changed rows are enough, None if it is unknown.
    """

    at: datetime
    waiting: int
    waiting_since: datetime | None
    log_bytes: int
    limit_bytes: int
    written: float | None
    reconciled: float | None
    comparison: float | None

    @property
    def state(self) -> State:
        """Return the state."""
        if self.log_bytes > FULLEST * self.limit_bytes:
            return State.NEARLY_FULL
        is_old = self.waiting_since is not None and self.at - self.waiting_since > LONGEST_WAIT
        return State.BEHIND if is_old and self.waiting > reconcile.FEW_CHANGES else State.IN_STEP

    @property
    def problem(self) -> str:
        """Return the reason for the state; empty for ``in step``."""
        if self.state is State.BEHIND and self.waiting_since:
            return f"{figures.count(self.waiting, 'change')} wait, the oldest since {_minute(self.waiting_since)}"
        if self.state is State.NEARLY_FULL:
            return f"the change log has {figures.size(self.log_bytes)} of at most {figures.size(self.limit_bytes)}"
        return ""

    @property
    def seconds(self) -> float:
        """Return the estimated duration of a rollback now, in seconds."""
        return SWAP_SECONDS + self.waiting / self._speed + (self.comparison or 0.0)

    @property
    def _speed(self) -> float:
        return self.reconciled or CHANGES_PER_SECOND

    def slow_from(self) -> datetime | None:
        """Return the moment from which a rollback takes longer than SECONDS if nothing is reconciled until then."""
        spare = (SECONDS - self.seconds) * self._speed
        return self._when(spare)

    def full_at(self) -> datetime | None:
        """Return the moment at which the change log is full if nothing is reconciled until then."""
        each = self.log_bytes / self.waiting if self.waiting > LEAST_MEASURED else BYTES_PER_CHANGE
        return self._when((self.limit_bytes - self.log_bytes) / each)

    def _when(self, changes: float) -> datetime | None:
        if not self.written:
            return None
        try:
            return self.at + timedelta(seconds=max(changes, 0.0) / self.written)
        except OverflowError:  # centuries
            return None

    def __str__(self) -> str:
        return ". ".join(self.sentences())

    def sentences(self) -> Iterator[str]:
        """Yield the answer for a person: a rollback now, and until when it stays short."""
        waits = f"{figures.count(self.waiting, 'change')} {'waits' if self.waiting == 1 else 'wait'}"
        yield f"A rollback now takes about {figures.seconds(self.seconds)}: {waits}, and {self._compared()}"
        if self.seconds <= SECONDS:
            yield "It stays this short until partition_finalize, while partition_standby runs"
        if slow := self.slow_from():
            yield f"Without partition_standby it takes longer than {figures.seconds(SECONDS)} from {_minute(slow)}"
        if full := self.full_at():
            yield f"Without it the change log is full at {_minute(full)}: from then on only the backup leads back"

    def _compared(self) -> str:
        if self.comparison is None:
            return "all rows are compared first, for an unknown time"
        return (
            f"all rows are compared first ({figures.seconds(self.comparison)})"
            if self.comparison
            else ("only changed rows are compared")
        )


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"  # a session has the zone of the spec


def keep_open(run: Run, seconds: float = PASS_SECONDS) -> WayBack | None:
    """Reconcile the retired table for up to ``seconds``, record the way back, and return it; None without one.

    It starts no batch while the run is paused or the server is over a limit of the spec. Raises CaptureLost or Diverged
    once the way back is lost.
    """
    try:
        now = capture.require_on(run)
        if now.direction is Direction.FORWARD:  # rolled back meanwhile
            return None
        speed = _reconcile(run, seconds)
    except (CaptureLost, Diverged) as error:
        _record(run, State.LOST, None, [error.problem])
        raise

    found = _measure(run, now, speed)
    _record(run, found.state, found, list(found.sentences()))
    return found


def _reconcile(run: Run, seconds: float) -> float | None:
    """Reconcile until few changes wait or the time is over; return the changes per second if they are many enough."""
    started, taken, step = time.monotonic(), 0, reconcile.Step(0, 0)
    while time.monotonic() - started < seconds and not throttle.reasons(run):
        step = reconcile.take_batch(run, until=reconcile.FEW_CHANGES, floor=step.floor, ranges=step.ranges)
        taken += step.taken
        if not step.taken or step.waiting <= reconcile.FEW_CHANGES:
            break
    return taken / max(time.monotonic() - started, 0.001) if taken >= LEAST_MEASURED else None


def _measure(run: Run, now: Sides, reconciled: float | None) -> WayBack:
    """Look at the change log, and record the look for the next one."""
    before = recorded(run)
    known = before["reconciled"] if before else None
    with run.database.session() as session:
        log = run.table.change_log
        seen = session.row("engine/measure_change_log", {"log": log.quoted}, log=log.identifier)
        looks = session.row("engine/find_looks", {"run_id": run.ledger.run_id, "oldest": seen["oldest"]})
        run.ledger.sample_backlog(session, seen["waiting"], last_change=seen["last_change"])
        limit = capture.limit(run.spec, _bytes(session, now))
    return WayBack(
        at=seen["at"],
        waiting=seen["waiting"],
        waiting_since=looks["seen_at"],
        log_bytes=seen["log_bytes"],
        limit_bytes=limit,
        written=_rate(seen, looks),
        reconciled=reconciled or known,
        comparison=_comparison(run, now),
    )


def _bytes(session: Session, now: Sides) -> int:
    table = now.require_standby()
    return int(session.value("engine/find_size", {"schema": table.schema, "name": table.name}) or 0)


def _rate(seen: Row, looks: Row) -> float | None:
    if looks["last_at"] is None:
        return None
    passed = (seen["at"] - looks["last_at"]).total_seconds()
    return float(seen["last_change"] - looks["last_change"]) / passed if passed > 0 else None


def _comparison(run: Run, now: Sides) -> float | None:
    if verify.unbroken_capture(run):
        return 0.0
    last = run.ledger.measurements("migration").get(verify.COMPARED[now.direction])
    return last["detail"].get("seconds") if last else None


def recorded(run: Run) -> Row | None:
    """Return the last recorded state: state, since, sentences, reconciled; None if there is none."""
    last = run.ledger.measurements(STAGE).get(NAME)
    return last["detail"] if last else None


def _record(run: Run, state: State, found: WayBack | None, sentences: list[str]) -> None:
    """Record the state with the time since which it holds: an alert about it is sent once."""
    before = recorded(run)
    since = before["since"] if before and before["state"] == state else _minute(datetime.now(UTC))
    run.ledger.record_measurement(
        STAGE,
        NAME,
        found.seconds if found else None,
        "s",
        state=state.value,
        since=since,
        sentences=sentences,
        reconciled=found.reconciled if found else None,
    )
