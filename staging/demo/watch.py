"""Follow a run to its end, in Airflow and in the ledger, and show its progress."""

from __future__ import annotations

import time
from collections.abc import Sequence

import httpx

from partition_playbook import figures
from staging.demo.display import Display
from staging.demo.outcome import Ending
from staging.demo.progress import LedgerReader, Progress, running, sections
from staging.rest import AirflowClient, DagRun, RestError, TaskInstance
from staging.writers import Writers

LOOK_EVERY = 1.0
SILENCE_SECONDS = 60.0
RECENTLY = 3.0
APPROVE = "Approve"


class Watch:
    """Poll a run once per second, until it has ended or Airflow does not answer any more."""

    def __init__(self, client: AirflowClient, run: DagRun, reader: LedgerReader, writers: Writers) -> None:
        self._client = client
        self._run = run
        self._reader = reader
        self._writers = writers
        self._tasks: Sequence[TaskInstance] = ()
        self._began = self._heard = time.monotonic()

    def follow(self, shown: Display, limit: float) -> Ending:
        """Return the end of the run; with a problem if it exceeds ``limit`` seconds, or Airflow does not answer."""
        while True:
            problem = self._look()
            shown.show(self._progress())
            now = time.monotonic()
            if self._run.finished:
                return Ending(self._run.state)
            if now - self._heard > SILENCE_SECONDS:
                return Ending(None, f"Airflow has not answered for {figures.seconds(SILENCE_SECONDS)}: {problem}")
            if now - self._began > limit:
                problem = f"the run has not ended within {figures.seconds(limit)}"
                return Ending(self._run.state, f"{problem}; `python -m staging.demo --limit SECONDS` allows more")
            time.sleep(LOOK_EVERY)

    def _look(self) -> str:
        try:
            run = self._client.run(self._run.dag_id, self._run.run_id)
            self._tasks = self._client.task_instances(run.dag_id, run.run_id)
            self._answer()
        except (RestError, httpx.HTTPError) as error:
            return str(error) or type(error).__name__
        self._run, self._heard = run, time.monotonic()
        return ""

    def _answer(self) -> None:
        """Answer the questions of the run: approve, but never waive a no-go."""
        for task in self._tasks:
            if task.state == "awaiting_input":
                options = self._client.question(self._run.dag_id, self._run.run_id, task)["options"]
                chosen = APPROVE if APPROVE in options else options[-1]
                self._client.respond(self._run.dag_id, self._run.run_id, task, (chosen,))

    def _progress(self) -> Progress:
        return Progress(
            seconds=time.monotonic() - self._began,
            sections=sections(self._tasks, self._reader.checks()),
            tasks=running(self._tasks),
            loads=self._reader.loads(),
            backlog=self._reader.backlog(),
            writes=self._writers.writes,
            slowest_ms=self._writers.latency(since=time.time() - RECENTLY).max,
        )
