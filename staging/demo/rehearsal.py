"""Rehearse once: start live writers, trigger a run through the REST API, follow it, and collect the results."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import psycopg
from rich.console import Console

from partition_playbook.database import Database
from partition_playbook.errors import PlaybookError
from partition_playbook.ledger import Ledger
from partition_playbook.run import Run
from partition_playbook.sections.decision.record import RunRecord
from partition_playbook.spec import load_spec
from staging.cluster import bin_dir
from staging.demo.display import display
from staging.demo.outcome import Ending, Outcome, Places, Written, swaps
from staging.demo.progress import LedgerReader
from staging.demo.table_spec import days_of_rows, worked_spec
from staging.demo.watch import Watch
from staging.environment import Staging
from staging.keys import IDENTITY, WorkedKey
from staging.record import Comparison
from staging.rest import AirflowClient, DagRun, RestError
from staging.writers import Writers, WritersError

if TYPE_CHECKING:
    from staging.backend.rehearsal import Application
    from staging.backend.verdict import Noticed

DAG = "partition_migration"
TABLE = "sensor_readings"
RATE = 25.0  # transactions a second for each writer: an application, not a benchmark
# The share of late rows of the writers, and of the application's users. Their rows are the newest, so they must arrive
# in the order of the rehearsal.
LATE = {"random": 1.0, "time": 0.0}
WATCHED_MINUTES = 0.5  # with the application, which has something to watch


@dataclass(frozen=True)
class Asked:
    """The arguments of the command line."""

    rows: int
    writers: int
    arrival: str
    approvals: str
    limit: float
    application: bool = False
    key: WorkedKey = IDENTITY
    interval: str | None = None

    @property
    def spec(self) -> dict[str, object]:
        """Return the content of the table spec."""
        return worked_spec(self.key, self.interval)

    @property
    def conf(self) -> dict[str, object]:
        """Return the params of the run, as the trigger form sends them."""
        return {
            "table": TABLE,
            "mode": "rehearse",
            "approvals": self.approvals,
            "accept_weaker_uniqueness": self.key.encoding is None,
            "synthetic_rows": self.rows,
            "allow_existing_rows": True,  # the writers have started already
            "arrival": self.arrival,
            "load_workers": 2,
            "production_rows": 100 * self.rows,
            "leave": "partitioned",
            **({"watch_minutes": WATCHED_MINUTES} if self.application else {}),
        }


def rehearse(asked: Asked, staging: Staging, console: Console, application: Application | None = None) -> Outcome:
    """Run the rehearsal and return its outcome, also after an interruption."""
    with (
        _writers(asked, staging) as writers,
        staging.airflow.client() as client,
    ):
        run = client.trigger(DAG, asked.conf)
        places = _places(staging, run)
        console.print(f"Airflow   {places.ui} ({places.login})\n", soft_wrap=True, highlight=False)
        began, before = time.time(), writers.writes
        ending, written = _attend(asked, staging, client, run, writers, console)
        ended = time.time()
        evidence = read_evidence(staging.database, run.run_id)
        if ending.state == "failed" and not (evidence and evidence.run["verdict"]):
            ending = replace(ending, problem=_failure(client, run))
        noticed = _ask_users(application, ending, evidence)
    return Outcome(
        asked.rows,
        replace(written, writes=writers.writes - before),
        run.run_id,
        ending,
        evidence,
        replace(places, report=_report(staging, run)),
        run_seconds=ended - began,
        noticed=noticed,
    )


def _writers(asked: Asked, staging: Staging) -> Writers:
    late, days = LATE[asked.arrival], days_of_rows(asked.spec)
    return Writers(staging.database, asked.writers, RATE, late=late, key=asked.key, days=days)


def _ask_users(application: Application | None, ending: Ending, evidence: RunRecord | None) -> Noticed | None:
    return application.finish(evidence, ended=ending.state is not None) if application else None


def _attend(
    asked: Asked, staging: Staging, client: AirflowClient, run: DagRun, writers: Writers, console: Console
) -> tuple[Ending, Written]:
    """Follow the run, then compare; after an interruption return the results so far."""
    began = time.time()
    written = Written(asked.writers)
    try:
        watch = Watch(client, run, LedgerReader(staging.database, run.run_id), writers)
        with display(console) as shown:
            ending = watch.follow(shown, asked.limit)
        return ending, _compare(written, staging, run, writers, began)
    except KeyboardInterrupt:
        return Ending(None, _interrupted(staging, run)), written
    except WritersError as error:
        return Ending(None, str(error)), written


def _compare(written: Written, staging: Staging, run: DagRun, writers: Writers, began: float) -> Written:
    writers.pause()
    evidence = read_evidence(staging.database, run.run_id)
    around = {swap.name: writers.latency(swap.since, swap.until) for swap in swaps(evidence)}
    comparison, rows = _read_table(staging, writers)
    return replace(
        written,
        errors=writers.errors_by_sqlstate(),
        comparison=comparison,
        latency=writers.latency(since=began),
        around=around,
        rows_at_end=rows,
    )


def _read_table(staging: Staging, writers: Writers) -> tuple[Comparison | None, int | None]:
    try:
        with psycopg.connect(staging.database) as connection:
            row = connection.execute("SELECT count(*) FROM sensor_readings").fetchone()
        return writers.compare(), row[0] if row else None
    except psycopg.Error:
        return None, None


def read_evidence(conninfo: str, run_id: str) -> RunRecord | None:
    """Return the record of a run; None if the ledger has no such run, or the database does not answer."""
    database = Database(partial(psycopg.connect, conninfo, connect_timeout=3), application="partition-playbook demo")
    try:
        return RunRecord.read(Run(load_spec(TABLE), database, Ledger(database, run_id)))
    except (psycopg.Error, PlaybookError):
        return None


def _interrupted(staging: Staging, run: DagRun) -> str:
    evidence = read_evidence(staging.database, run.run_id)
    phase = evidence.run["phase"] if evidence else "not opened yet"
    return (
        f"interrupted; the writers have stopped, the run continues in Airflow (phase: {phase}). "
        "`make demo` ends it and starts again from an empty database, `make down` stops the servers"
    )


def _failure(client: AirflowClient, run: DagRun) -> str:
    """Return the names of the failed tasks, each with the last error in its log."""
    try:
        failed = [task for task in client.task_instances(DAG, run.run_id) if task.state == "failed"]
        logs = [client.log(DAG, run.run_id, task).splitlines() for task in failed]
    except (RestError, httpx.HTTPError) as error:
        return f"the run failed, and its tasks could not be read from Airflow: {error}"
    errors = [next((line for line in reversed(log) if "rror" in line), "see its log") for log in logs]
    return "; ".join(f"{task.task_id} failed: {line.strip()}" for task, line in zip(failed, errors, strict=True))


def _places(staging: Staging, run: DagRun) -> Places:
    query = f"SELECT * FROM partition_playbook.events WHERE run_id = '{run.run_id}' ORDER BY event_id"
    login = f"login {staging.airflow.user}, password {staging.airflow.password}"
    page = f"{staging.airflow.url}/dags/{DAG}/runs/{quote(run.run_id, safe='')}"
    return Places(page, login, f'{bin_dir()}/psql {staging.database} -c "{query}"')


def _report(staging: Staging, run: DagRun) -> str | None:
    for path in staging.artifacts.glob("*/report.json"):
        if json.loads(path.read_text())["run"]["run_id"] == run.run_id:
            return str(path.with_suffix(".md"))
    return None
