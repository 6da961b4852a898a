"""Request the application over HTTP: GET, as for the queries of tRPC."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from partition_playbook import figures
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.spec import Application, HttpProbe

if TYPE_CHECKING:
    import httpx

TRIES = 3


def http_probe_checks(application: Application, occasion: str) -> list[Check]:
    """Send every HTTP probe of the spec; one skipped check if there is none."""
    if not application.base_url or not application.http_probes:
        return [skipped(f"http{occasion}", "the spec has no `application.base_url` with `http_probes`")]
    with client_of(application) as client:
        return [each for probe in application.http_probes for each in _probe_checks(client, probe, occasion)]


@contextmanager
def client_of(application: Application) -> Iterator[httpx.Client]:
    """Yield a client of the application's ``base_url``, which must be set. It logs no URL."""
    import httpx

    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they log whole URLs, and a query string may hold a token
    with httpx.Client(base_url=application.base_url or "") as client:
        yield client


def time_check(name: str, limit: float, seconds: float, stopped: bool, otherwise: float | None = None) -> Check:
    """Return a check of the time in seconds; it is separate from the answer, because only the time may be waived.

    ``otherwise`` is the time of the other table: if it exceeds the limit too, the cutover is not the cause.
    """
    slow = f"{'stopped after ' if stopped else ''}{figures.seconds(seconds)}"
    always = otherwise is not None and otherwise > limit
    return check(
        f"response_time_{name}",
        not stopped and seconds <= limit,
        expected=f"an answer within {figures.seconds(limit)}",
        actual=f"{slow}; the other table takes {figures.seconds(otherwise or 0)}" if always else slow,
        severity=Severity.WARNING if always else Severity.ERROR,
        remedy="Compare its plan on both tables with EXPLAIN, or raise max_seconds of the probe in the spec",
    )


def _probe_checks(client: httpx.Client, probe: HttpProbe, occasion: str) -> list[Check]:
    """Send one probe until it is answered in time, at most TRIES times; the fastest good answer counts.

    A connection of the application fails once after a swap, if it has prepared statements of the old table.
    """
    name = f"http_{probe.name}{occasion}"
    sent: list[tuple[str | None, float]] = []
    while len(sent) < TRIES and not any(problem == "" and taken <= probe.max_seconds for problem, taken in sent):
        started = time.perf_counter()
        problem = _ask(client, probe)
        sent.append((problem, time.perf_counter() - started))

    problem, seconds = min(sent, key=lambda each: (each[0] != "", each[0] is None, each[1]))
    earlier = [f"try {number}: {found or 'too late'}" for number, (found, _) in enumerate(sent[:-1], 1)]
    return [
        _answer_check(name, probe, problem, earlier),
        time_check(name, probe.max_seconds, seconds, problem is None),
    ]


def _answer_check(name: str, probe: HttpProbe, problem: str | None, earlier: Sequence[str]) -> Check:
    asked = urlsplit(probe.path).path  # without the query string, because it may hold a token
    expected = f"GET {asked} answers {probe.expect_status} without an error"
    if problem is None:
        return skipped(name, "stopped at its time limit", expected=expected)

    remedy = "Search the log of the application for this request"
    answer = problem or "; ".join([str(probe.expect_status), *earlier])
    return check(name, not problem, expected=expected, actual=answer, remedy=remedy)


def _ask(client: httpx.Client, probe: HttpProbe) -> str | None:
    """Return the problem of the answer, empty if it is as expected, None after a timeout."""
    import httpx

    try:
        response = client.get(probe.path, timeout=probe.max_seconds)
    except httpx.TimeoutException:
        return None
    except httpx.HTTPError as error:
        return f"no answer: {type(error).__name__}"

    if response.status_code != probe.expect_status:
        return f"answered {response.status_code}"
    return "answered with an error" if _is_error(response) else ""


def _is_error(response: httpx.Response) -> bool:
    try:
        return is_error_envelope(response.json())
    except ValueError:
        return False


def is_error_envelope(content: object) -> bool:
    """Return True for an error envelope of tRPC; a batch is a list of envelopes."""
    envelopes = content if isinstance(content, list) else [content]
    return any(isinstance(each, dict) and "error" in each for each in envelopes)
