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
        return [_probe_check(client, probe, occasion) for probe in application.http_probes]


def _probe_check(client: httpx.Client, probe: HttpProbe, occasion: str) -> Check:
    started = time.perf_counter()
    problem = _ask(client, probe)
    seconds = time.perf_counter() - started
    if not problem and seconds > probe.max_seconds:
        problem = f"took {seconds:.3f} s"
    asked = urlsplit(probe.path).path  # without its query, which may hold a token
    return check(
        f"http_{probe.name}{occasion}",
        not problem,
        expected=f"GET {asked} answers {probe.expect_status} without an error within {probe.max_seconds:g} s",
        actual=problem or f"{probe.expect_status} in {seconds:.3f} s",
        remedy="Look at the application's own log for this request",
        evidence={"seconds": round(seconds, 4)},
    )


def _ask(client: httpx.Client, probe: HttpProbe) -> str:
    """Return what is wrong with the answer; nothing where it is as expected."""
    import httpx

    try:
        response = client.get(probe.path, timeout=probe.max_seconds)
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
