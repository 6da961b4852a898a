"""Call a tRPC query by GET, once or repeatedly, and keep the times, the errors, and each answer's digest and shape."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from partition_playbook import figures
from partition_playbook.sections.application import answers
from partition_playbook.sections.application.answers import Shape
from partition_playbook.sections.application.http_probes import is_error_envelope
from partition_playbook.spec import Procedure

if TYPE_CHECKING:
    import httpx

# A connection of the application may fail once after a swap: warm-ups are not counted.
WARM_UPS, CALLS, FEWEST_CALLS = 2, 20, 5
SHARE = 0.95
BUDGET_SECONDS = 60.0  # a slow procedure is called less often
MOST_BYTES = 4 * 1024 * 1024
MOST_PROBLEMS = 3


@dataclass(frozen=True)
class Call:
    """One call: its time, and its answer or its problem; ``late`` if it was stopped at its time limit."""

    seconds: float
    status: int = 0
    digest: str = ""
    shape: Shape = field(default_factory=dict)
    problem: str = ""
    late: bool = False

    @property
    def is_good(self) -> bool:
        """Return True if it was answered in time and without an error."""
        return not self.problem and not self.late


@dataclass(frozen=True)
class Series:
    """The calls of a procedure at one stage; ``digests`` are the different contents, ``p95`` is in seconds."""

    calls: int = 0
    late: int = 0
    errors: int = 0
    problems: Sequence[str] = ()
    statuses: Sequence[int] = ()
    digests: Sequence[str] = ()
    shape: Mapping[str, Sequence[str]] = field(default_factory=dict)
    p95: float | None = None

    @classmethod
    def of(cls, calls: Sequence[Call]) -> Series:
        """Summarize calls."""
        good = [each for each in calls if each.is_good]
        times = sorted(each.seconds for each in calls if not each.problem)
        problems = Counter(each.problem for each in calls if each.problem)
        return cls(
            calls=len(calls),
            late=sum(each.late for each in calls),
            errors=problems.total(),
            problems=[text for text, _ in problems.most_common(MOST_PROBLEMS)],
            statuses=sorted({each.status for each in good}),
            digests=list(dict.fromkeys(each.digest for each in good)),
            shape=answers.merge(each.shape for each in good),
            p95=times[math.ceil(SHARE * len(times)) - 1] if times else None,
        )


def measure(client: httpx.Client, procedure: Procedure, calls: int = CALLS, warm_ups: int = WARM_UPS) -> Series:
    """Call a procedure repeatedly, one call after the other; a slow one is called less often."""
    for _ in range(warm_ups):
        call(client, procedure)

    made: list[Call] = []
    started = time.perf_counter()
    while len(made) < calls and not _is_decided(made, time.perf_counter() - started):
        made.append(call(client, procedure))
    return Series.of(made)


def _is_decided(made: Sequence[Call], seconds: float) -> bool:
    """Return True if more calls would change no verdict, or would take too long."""
    late = sum(each.late for each in made)
    return late > CALLS * (1 - SHARE) or (seconds > BUDGET_SECONDS and len(made) >= FEWEST_CALLS)


def call_until_good(client: httpx.Client, procedure: Procedure, tries: int) -> Call:
    """Call a procedure until it is answered in time, at most so many times; return the last call."""
    made = call(client, procedure)
    for _ in range(tries - 1):
        if made.is_good:
            break
        made = call(client, procedure)
    return made


def call(client: httpx.Client, procedure: Procedure) -> Call:
    """Send one GET; it is stopped at the time limit, and after MOST_BYTES."""
    import httpx

    started = time.perf_counter()
    content = bytearray()
    headers = {"Accept-Encoding": "identity"}  # a compressed answer could exceed every limit at once
    try:
        with client.stream("GET", _target(procedure), timeout=procedure.max_seconds, headers=headers) as response:
            for part in response.iter_bytes():
                content += part
                if len(content) > MOST_BYTES:
                    return _broken(started, f"an answer of more than {figures.size(MOST_BYTES)}")
                if time.perf_counter() - started > procedure.max_seconds:
                    return _late(started)
    except httpx.TimeoutException:
        return _late(started)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return _broken(started, f"no answer: {type(error).__name__}")
    return _judged(time.perf_counter() - started, response.status_code, content)


def _target(procedure: Procedure) -> str:
    if procedure.input is None:
        return procedure.path
    given = json.dumps(procedure.input, separators=(",", ":"), ensure_ascii=False)
    return f"{procedure.path}{'&' if '?' in procedure.path else '?'}input={quote(given, safe='')}"


def _late(started: float) -> Call:
    return Call(time.perf_counter() - started, late=True)


def _broken(started: float, problem: str) -> Call:
    return Call(time.perf_counter() - started, problem=problem)


def _judged(seconds: float, status: int, content: bytearray) -> Call:
    if not 200 <= status < 300:
        return Call(seconds, status, problem=f"answered {status}")
    try:
        parsed = json.loads(content)
        if is_error_envelope(parsed):
            return Call(seconds, status, problem=f"answered {status} with an error")
        return Call(seconds, status, answers.digest(parsed), answers.shape_of(parsed))
    except (ValueError, RecursionError):
        return Call(seconds, status, problem=f"answered {status} without JSON")
