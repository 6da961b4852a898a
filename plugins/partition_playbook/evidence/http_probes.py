"""Ask the application itself over HTTP, as tRPC's queries are asked: with GET."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from partition_playbook.checks import Check, check, skipped
from partition_playbook.spec import Application, HttpProbe

if TYPE_CHECKING:
    import httpx


def checks(application: Application, occasion: str) -> list[Check]:
    """Make every HTTP probe of the spec, or say why there is none."""
    if not application.base_url or not application.http_probes:
        return [skipped(f"http{occasion}", "the spec names no `application.base_url` with `http_probes`")]
    import httpx

    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole addresses, and a query may hold a token
    with httpx.Client(base_url=application.base_url) as client:
        return [each for probe in application.http_probes for each in _probe_checks(client, probe, occasion)]


def time_check(name: str, limit: float, seconds: float, stopped: bool) -> Check:
    """Return the check that a probe was answered in time: apart from its answer, because only this may be waived."""
    return check(
        f"response_time_{name}",
        not stopped and seconds <= limit,
        expected=f"an answer within {limit:g} s",
        actual=f"{'stopped after ' if stopped else ''}{seconds:.3f} s",
        remedy="Compare its plan on both tables; raise max_seconds where the application can wait",
    )


def _probe_checks(client: httpx.Client, probe: HttpProbe, occasion: str) -> list[Check]:
    name = f"http_{probe.name}{occasion}"
    started = time.perf_counter()
    problem = _ask(client, probe)
    seconds = time.perf_counter() - started
    return [_answer_check(name, probe, problem), time_check(name, probe.max_seconds, seconds, problem is None)]


def _answer_check(name: str, probe: HttpProbe, problem: str | None) -> Check:
    asked = urlsplit(probe.path).path  # without its query, which may hold a token
    expected = f"GET {asked} answers {probe.expect_status} without an error"
    if problem is None:
        return skipped(name, "given up at its time limit", expected=expected)
    remedy = "Look at the application's own log for this request"
    return check(name, not problem, expected=expected, actual=problem or str(probe.expect_status), remedy=remedy)


def _ask(client: httpx.Client, probe: HttpProbe) -> str | None:
    """Return what is wrong with the answer, nothing where it is as expected; None where there was none in time."""
    import httpx

    try:
        response = client.get(probe.path, timeout=probe.max_seconds)
    except httpx.TimeoutException:
        return None
    except httpx.HTTPError as error:
        return f"no answer: {type(error).__name__}"
    if response.status_code != probe.expect_status:
        return f"answered {response.status_code}"
    return "answered with an error" if _tells_error(response) else ""


def _tells_error(response: httpx.Response) -> bool:
    """Tell whether a JSON answer is tRPC's envelope of an error; a batch is a list of envelopes."""
    try:
        content = response.json()
    except ValueError:
        return False
    envelopes = content if isinstance(content, list) else [content]
    return any(isinstance(each, dict) and "error" in each for each in envelopes)
