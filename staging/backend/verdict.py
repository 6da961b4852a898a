"""The result of the application's users: all that they noticed during a rehearsal, and the reasons against a go."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from partition_playbook import figures
from staging.backend.traffic import Request

SHARE = 0.95
MOST_SHOWN = 5
OWN_IDS = "SELECT id FROM sensor_readings WHERE id < 0"


@dataclass(frozen=True)
class Times:
    """The requests of one part of a rehearsal, with their p95 and the slowest in milliseconds."""

    requests: int = 0
    p95: float = 0.0
    slowest: float = 0.0

    @classmethod
    def of(cls, requests: Iterable[Request]) -> Times:
        """Summarize requests."""
        taken = sorted(1000 * each.seconds for each in requests)
        return cls(len(taken), taken[math.ceil(SHARE * len(taken)) - 1], taken[-1]) if taken else cls()


@dataclass(frozen=True)
class Visit:
    """A load of the page: the drawn points, and the errors in the console of the browser."""

    occasion: str
    points: int
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A job of the queue with the DAG run that did its work, or its problem."""

    name: str
    run_id: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Noticed:
    """The result of all users together; ``lost`` are acknowledged rows that the table does not have."""

    requests: int = 0
    procedures: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    compared: int = 0
    unequal: Sequence[str] = ()
    written: int = 0
    lost: int = 0
    swapped: bool = False  # without a swap nobody works after it
    before: Times = Times()
    during: Times = Times()
    after: Times = Times()
    visits: tuple[Visit, ...] = ()
    jobs: tuple[Job, ...] = ()
    problem: str = ""

    @property
    def unknown(self) -> list[str]:
        """Return the reasons for which the users prove nothing."""
        if self.problem:
            return [f"the application: {self.problem}"]
        parts = {"before the migration": self.before}
        if self.swapped:
            parts |= {"during it": self.during, "after it": self.after}
        reasons = [
            f"the users of the application sent no request {when}" for when, part in parts.items() if not part.requests
        ]
        if not self.compared:
            reasons.append("no answer of the application was compared")
        return reasons

    @property
    def against(self) -> list[str]:
        """Return the reasons for a no-go."""
        reasons = [
            f"users of the application saw {figures.count(n, 'error')}: {what}" for what, n in self.errors.items()
        ]
        if self.unequal:
            told = "; ".join(self.unequal[:MOST_SHOWN])
            reasons.append(f"{figures.count(len(self.unequal), 'answer')} of the application differed: {told}")
        if self.lost:
            reasons.append(f"{figures.count(self.lost, 'row')} lost that the application had acknowledged")
        for visit in self.visits:
            reasons += [f"the page {visit.occasion}: {error}" for error in visit.errors]
            if not visit.points:
                reasons.append(f"the page {visit.occasion} drew no temperature")
        return [*reasons, *(job.problem for job in self.jobs if job.problem)]

    @property
    def _parts(self) -> Mapping[str, Times]:
        return {"before": self.before, "during": self.during, "after": self.after}

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield the lines of the scorecard, each with its title."""
        kinds = ", ".join(f"{figures.number(count)} {name}" for name, count in sorted(self.procedures.items()))
        yield "Users", f"{figures.count(self.requests, 'request')} through tRPC: {kinds}"

        errors = ", ".join(f"{figures.number(count)} x {what}" for what, count in self.errors.items())
        yield "", f"{errors or 'no error'} seen by the users"
        unequal = figures.number(len(self.unequal)) if self.unequal else "none"
        yield "", f"{figures.count(self.compared, 'answer')} compared, {unequal} unequal"
        kept = f"{figures.count(self.written, 'row')} with ids of the users acknowledged"
        yield "", f"{kept}, {figures.number(self.lost)} lost"

        for name, times in self._parts.items():
            p95, slowest = figures.milliseconds(times.p95), figures.milliseconds(times.slowest)
            if times.requests:
                yield "", f"{name:7} p95 {p95}, slowest {slowest} of {figures.count(times.requests, 'request')}"
        for visit in self.visits:
            found = "; ".join(visit.errors) or "no error in the console of the browser"
            yield "Page", f"{visit.occasion}: {figures.count(visit.points, 'point')} drawn, {found}"
        for job in self.jobs:
            yield "Job", f"{job.name}: {job.problem or f'the run {job.run_id} of partition_maintenance succeeded'}"

    def as_json(self) -> dict[str, Any]:
        """Return the result for programs."""
        return {
            "requests": self.requests,
            "errors": dict(self.errors),
            "answers_compared": self.compared,
            "answers_unequal": len(self.unequal),
            "rows_acknowledged": self.written,
            "rows_lost": self.lost,
            **{f"p95_{name}_ms": round(t.p95, 1) if t.requests else None for name, t in self._parts.items()},
            "page_errors": sum(len(each.errors) for each in self.visits),
            "jobs": {each.name: each.run_id or None for each in self.jobs},
        }


@dataclass(frozen=True)
class Span:
    """The migration in Unix time: the start of its first step, and its last swap."""

    since: float
    until: float


def judge(requests: Collection[Request], span: Span | None) -> Noticed:
    """Judge requests; without a span all of them were before the migration."""
    since, until = (span.since, span.until) if span else (math.inf, math.inf)
    return Noticed(
        requests=len(requests),
        swapped=span is not None,
        procedures=Counter(each.procedure for each in requests),
        errors=Counter(f"{each.procedure}: {each.problem}" for each in requests if each.problem),
        compared=sum(each.equal is not None for each in requests),
        unequal=[_unequal(each) for each in requests if each.equal is False],
        before=Times.of(each for each in requests if each.at < since),
        during=Times.of(each for each in requests if since <= each.at < until),
        after=Times.of(each for each in requests if each.at >= until),
    )


def _unequal(request: Request) -> str:
    return f"{request.procedure} answered {request.found}, expected {request.expected}"


def count_lost(conninfo: str, acknowledged: Collection[int]) -> int:
    """Count the acknowledged rows that the live table does not have."""
    with psycopg.connect(conninfo) as connection:
        found = {row[0] for row in connection.execute(OWN_IDS)}
    return len(set(acknowledged) - found)
