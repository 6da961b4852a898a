"""Rehearse the migration under live writes and print a scorecard: exit code 0 is go, 1 no-go, 2 unknown."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING

import httpx
import psycopg
from pydantic import ValidationError
from rich.console import Console

from partition_playbook import figures
from partition_playbook.codecs import Encoding
from partition_playbook.spec import TableSpec
from staging import environment
from staging.cluster import ClusterError
from staging.demo import table_spec
from staging.demo.afresh import start_afresh
from staging.demo.outcome import Ending, Outcome, Written
from staging.demo.rehearsal import LATE, Asked, rehearse
from staging.demo.scorecard import print_scorecard
from staging.environment import Staging
from staging.instance import InstanceError
from staging.keys import ENCODINGS, WorkedKey
from staging.rest import RestError
from staging.writers import WritersError

if TYPE_CHECKING:
    from staging.backend.rehearsal import Application

FORESEEN = (ClusterError, InstanceError, RestError, WritersError, httpx.HTTPError, psycopg.Error)
LOG_WIDTH = 160


def main() -> int:
    """Run the demo and return the exit code; the last line of stdout is one JSON object."""
    started = time.monotonic()
    asked = _parse()
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console(width=None if sys.stdout.isatty() else LOG_WIDTH)
    outcome = replace(_outcome(asked, console), seconds=time.monotonic() - started)
    print_scorecard(console, outcome)
    print(json.dumps(outcome.as_json()), flush=True)
    return outcome.verdict.exit_code


def _parse() -> Asked:
    parser = argparse.ArgumentParser(prog="python -m staging.demo", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--arrival", choices=("random", "time"), default="random", help="order of the rows in the heap")
    parser.add_argument(
        "--approvals",
        choices=("auto", "required"),
        default="auto",
        help="required: the demo approves through the REST API",
    )
    parser.add_argument(
        "--limit",
        type=float,
        help="maximum seconds for the run (default: 600, plus 600 per million rows, plus 600 with the application or "
        "an interval)",
    )
    parser.add_argument(
        "--application", action="store_true", help="with the application of staging/application and its users"
    )
    parser.add_argument("--key", choices=[*map(str, ENCODINGS)], help="the encoding of an id that carries time")
    parser.add_argument("--interval", help="the width of a partition, such as hour or '6 hours', instead of month")
    given = parser.parse_args()
    if given.rows < 1 or given.writers < 0:
        parser.error("--rows must be at least 1, --writers at least 0")
    if given.application and (given.key or given.interval):
        parser.error("the application of staging/application has a spec of its own: leave out --key and --interval")
    # The users of the application take their share of the processor, and the run is watched.
    # A narrow interval has many partitions.
    longer = given.application or given.interval
    limit = given.limit or 600 + 600 * given.rows / 1_000_000 + (600 if longer else 0)
    key = WorkedKey(Encoding(given.key) if given.key else None)
    asked = Asked(
        given.rows, given.writers, given.arrival, given.approvals, limit, given.application, key, given.interval
    )
    try:
        TableSpec.model_validate(asked.spec)
    except ValidationError as error:
        parser.error(f"--interval: {error.errors()[0]['msg']}")
    return asked


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _outcome(asked: Asked, console: Console) -> Outcome:
    """Rehearse; an error or an interruption becomes an outcome with the verdict unknown."""
    try:
        console.print("Starting PostgreSQL and Airflow, unless they are running")
        staging = environment.start(settings=_settings(asked))
        start_afresh(staging, asked.key)
        rows, writers = figures.count(asked.rows, "row"), figures.count(asked.writers, "live writer")
        console.print(f"Rehearsing with {rows} in arrival order {asked.arrival} and {writers}")
        with _application(asked, staging, console) as application:
            return rehearse(asked, staging, console, application)
    except KeyboardInterrupt:
        problem = "interrupted before the run was triggered. `make demo` starts again, `make down` stops the servers"
    except _foreseen(asked) as error:
        problem = f"{type(error).__name__}: {error}"
    except Exception as error:
        traceback.print_exc()
        problem = f"{type(error).__name__}: {error}"
    return Outcome(asked.rows, Written(asked.writers), ending=Ending(None, problem))


# The room of the application is imported only if it is asked for: it needs Node.js, Redis and a browser.


def _settings(asked: Asked) -> dict[str, str]:
    if asked.key.encoding or asked.interval:
        return table_spec.settings(environment.STATE / "tables", asked.spec)
    if not asked.application:
        return {}
    from staging.backend.rehearsal import settings

    return settings()


@contextmanager
def _application(asked: Asked, staging: Staging, console: Console) -> Iterator[Application | None]:
    if not asked.application:
        yield None
        return
    from staging.backend.rehearsal import attended

    console.print("Starting the application with its users")
    with attended(staging, LATE[asked.arrival]) as application:
        console.print(f"Page      {application.server.url}", soft_wrap=True, highlight=False)
        yield application


def _foreseen(asked: Asked) -> tuple[type[Exception], ...]:
    if not asked.application:
        return FORESEEN
    from staging.backend.rehearsal import ERRORS

    return (*FORESEEN, *ERRORS)


if __name__ == "__main__":
    sys.exit(main())
