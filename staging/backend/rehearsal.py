"""The application around one rehearsal: it runs, its users work, and at the end they are asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import httpx
import psycopg
from playwright.sync_api import Error as PageError

from partition_playbook.sections.decision.record import RunRecord
from staging.backend import dashboard, history, table_spec, verdict
from staging.backend.install import InstallError
from staging.backend.processes import BackendError, Server, Worker, serving, working
from staging.backend.traffic import Traffic, TrafficError
from staging.backend.verdict import Job, Noticed, Span, Visit
from staging.browser import BrowserError
from staging.demo.outcome import swaps
from staging.environment import STATE, Staging
from staging.node import NodeError
from staging.redis import RedisError

FOLDER = STATE / "application"
TABLES = FOLDER / "tables"
JOB = "partition:create"
REQUESTS = 200  # so many before the run begins, and so many after its end
ERRORS = (
    BackendError,
    BrowserError,
    InstallError,
    NodeError,
    PageError,
    RedisError,
    TrafficError,
    httpx.HTTPError,
    psycopg.Error,
)


@dataclass(frozen=True)
class Application:
    """A running application with users at work."""

    staging: Staging
    server: Server
    worker: Worker
    traffic: Traffic
    first_visit: Visit

    def finish(self, evidence: RunRecord | None, *, ended: bool) -> Noticed:
        """Stop the users, and return all that they noticed.

        Once the run has ended, they first go on for some requests, a job is performed, and the page is loaded again.
        """
        try:
            if not ended:
                return self._judge(evidence)
            since = time.time()
            job = self._perform()
            last_visit = dashboard.visit(self.server.url, "after the migration")
            self.traffic.wait_for(REQUESTS, since)
            return replace(self._judge(evidence), visits=(self.first_visit, last_visit), jobs=(job,))
        except ERRORS as error:
            return Noticed(problem=f"{type(error).__name__}: {error}")

    def _judge(self, evidence: RunRecord | None) -> Noticed:
        self.traffic.stop()
        acknowledged = self.traffic.acknowledged
        lost = verdict.count_lost(self.staging.database, acknowledged)
        noticed = verdict.judge(self.traffic.requests, _span(evidence))
        return replace(noticed, written=len(acknowledged), lost=lost, visits=(self.first_visit,))

    def _perform(self) -> Job:
        try:
            return Job(JOB, run_id=self.worker.perform(JOB)["runId"])
        except BackendError as error:
            return Job(JOB, problem=str(error))


@contextmanager
def attended(staging: Staging, late: float) -> Iterator[Application]:
    """Run the application with its users on the staging database; they stop when the context ends.

    ``late`` is the share of their readings with a random moment of the past year.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    places = history.prepare(staging.database)
    with (
        serving(staging.database, FOLDER) as server,
        working(staging.airflow, FOLDER, table_spec.NAME) as worker,
    ):
        fixed = history.write(server.url, places)
        table_spec.write(TABLES, server, worker, fixed)
        with Traffic(server.url, fixed, late=late) as traffic:
            traffic.wait_for(REQUESTS, since=0)
            yield Application(staging, server, worker, traffic, dashboard.visit(server.url, "before the migration"))


def settings() -> dict[str, str]:
    """Return the environment of an Airflow that reads the spec with the application."""
    return table_spec.settings(TABLES)


def _span(evidence: RunRecord | None) -> Span | None:
    """Return the time from the first record of the migration to its last swap; None without one."""
    begun = [each.started_at for each in evidence.spans if each.section == "migration"] if evidence else []
    swapped = [each.until for each in swaps(evidence)]
    return Span(begun[0].timestamp(), max(swapped)) if begun and swapped else None
