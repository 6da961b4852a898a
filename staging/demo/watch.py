"""Follow a run to its end, in Airflow and in the ledger, and show it meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence

import httpx

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
    """Look at a run once a second until it has ended, or until that can no longer be expected."""

    def __init__(self, client: AirflowClient, run: DagRun, reader: LedgerReader, writers: Writers) -> None:
        self._client = client
        self._run = run
        self._reader = reader
        self._writers = writers
        self._tasks: Sequence[TaskInstance] = ()
        self._began = self._heard = time.monotonic()

    def follow(self, shown: Display, limit: float) -> Ending:
        """Return how the run ended; a problem where it did not within the limit, or Airflow fell silent."""
        while True:
            problem = self._look()
            shown.show(self._progress())
            now = time.monotonic()
            if self._run.finished:
                return Ending(self._run.state)
            if now - self._heard > SILENCE_SECONDS:
                return Ending(None, f"Airflow has not answered for {SILENCE_SECONDS:.0f} s: {problem}")
            if now - self._began > limit:
                return Ending(self._run.state, f"the run has not ended within {limit:.0f} s; --limit allows more")
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
        """Approve what a person is asked to approve; a program waives no no-go."""
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
