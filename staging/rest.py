"""A client for Airflow's REST API v2, limited to the actions of a person in the UI."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from partition_playbook import figures

# An idle machine answers at once. A busy one is waited for.
ANSWER_SECONDS = 180
ANSWER_AFTER = timedelta(seconds=4)
FINISHED = frozenset({"success", "failed"})


class RestError(RuntimeError):
    """Airflow refused a request, or has not parsed a DAG."""


@dataclass(frozen=True)
class DagRun:
    """A run of a DAG."""

    dag_id: str
    run_id: str
    state: str
    start: datetime | None
    end: datetime | None

    @property
    def finished(self) -> bool:
        """Return True if the run has ended."""
        return self.state in FINISHED


@dataclass(frozen=True)
class TaskInstance:
    """A task of a run; ``map_index`` is -1 unless the task is mapped."""

    task_id: str
    map_index: int
    state: str | None
    try_number: int
    start: datetime | None
    end: datetime | None


class AirflowClient:
    """A session of one user; an expired token is renewed."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._login = {"username": user, "password": password}
        self._http = httpx.Client(base_url=url, timeout=ANSWER_SECONDS, trust_env=False)
        self._authenticate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    @staticmethod
    def healthy(url: str) -> bool:
        """Return True if the API answers and all components have a heartbeat."""
        try:
            parts = httpx.get(f"{url}/api/v2/monitor/health", timeout=5, trust_env=False).raise_for_status().json()
        except (httpx.HTTPError, ValueError):
            return False
        return all(
            (parts.get(name) or {}).get("status") == "healthy"
            for name in ("metadatabase", "scheduler", "dag_processor", "triggerer")
        )

    @staticmethod
    def warm_up(url: str) -> None:
        """Make the API build the routes for tasks. This takes seconds, and the first task would wait for it."""
        httpx.get(f"{url}/execution/health", timeout=ANSWER_SECONDS, trust_env=False)

    def wait_for_dag(self, dag_id: str, seconds: float = 300) -> None:
        """Wait until the DAG processor has parsed a DAG; RestError with the import error or after ``seconds``."""
        deadline = time.monotonic() + seconds
        while self._send("GET", f"/dags/{dag_id}", accept=(404,)).status_code == 404:
            if errors := self.import_errors():
                raise RestError(f"Airflow cannot import a DAG file: {errors[0]}")
            if time.monotonic() > deadline:
                waited = figures.seconds(seconds)
                raise RestError(
                    f"Airflow has not parsed the DAG {dag_id} within {waited}, and reports no import error."
                )
            time.sleep(0.2)

    def import_errors(self) -> list[str]:
        """Return the files with import errors, each with its stack trace."""
        found = self._get("/importErrors")["import_errors"]
        return [f"{error['filename']}\n{error['stack_trace']}" for error in found]

    def trigger(self, dag_id: str, conf: Mapping[str, Any], run_id: str | None = None) -> DagRun:
        """Trigger a DAG, with the same request as the button in the UI."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf)}
        return _dag_run(self._send("POST", f"/dags/{dag_id}/dagRuns", json=body).json())

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """Read a run."""
        return _dag_run(self._get(_run_path(dag_id, run_id)))

    def unfinished_runs(self, dag_id: str) -> list[DagRun]:
        """List the queued and running runs of a DAG."""
        path = f"/dags/{dag_id}/dagRuns?state=queued&state=running&limit=100"
        return [_dag_run(entry) for entry in self._get(path)["dag_runs"]]

    def fail_run(self, dag_id: str, run_id: str) -> None:
        """Mark a run as failed, which ends its tasks; an ended run stays as it is."""
        self._send("PATCH", _run_path(dag_id, run_id), json={"state": "failed"}, accept=(409,))

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """List the task instances of a run, each mapped one by itself."""
        found: list[TaskInstance] = []
        while True:
            page = self._get(f"{_run_path(dag_id, run_id)}/taskInstances?limit=100&offset={len(found)}")
            found += [_task_instance(entry) for entry in page["task_instances"]]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def log(self, dag_id: str, run_id: str, task: TaskInstance) -> str:
        """Return the log of the last try of a task as text."""
        path = f"{_task_path(dag_id, run_id, task)}/logs/{task.try_number}?map_index={task.map_index}&full_content=true"
        return "\n".join(_line(event) for event in self._get(path)["content"])

    def respond(
        self, dag_id: str, run_id: str, task: TaskInstance, chosen: Sequence[str] = ("Approve",), **form: object
    ) -> None:
        """Answer the question of a task, no sooner than ANSWER_AFTER its start."""
        self.read_question(dag_id, run_id, task)
        self._send(
            "PATCH", _question_path(dag_id, run_id, task), {"chosen_options": list(chosen), "params_input": form}
        )

    def read_question(self, dag_id: str, run_id: str, task: TaskInstance) -> None:
        """Wait until ANSWER_AFTER the start of a question, as a person would read it."""
        # The scheduler fails a task that is resumed before it has processed the task's deferral.
        asked = datetime.fromisoformat(self.question(dag_id, run_id, task)["created_at"])
        while datetime.now(UTC) < max(asked, task.start or asked) + ANSWER_AFTER:
            time.sleep(0.1)

    def question(self, dag_id: str, run_id: str, task: TaskInstance) -> Mapping[str, Any]:
        """Return the question of a task, with its answer if there is one."""
        found: Mapping[str, Any] = self._get(_question_path(dag_id, run_id, task))
        return found

    def clear(self, dag_id: str, run_id: str, task: TaskInstance) -> None:
        """Clear a task with all downstream tasks, so that the run resumes there."""
        body = {
            "dag_run_id": run_id,
            "task_ids": [task.task_id if task.map_index < 0 else [task.task_id, task.map_index]],
            "include_downstream": True,
            "only_failed": False,
            "reset_dag_runs": True,
            "dry_run": False,
        }
        self._send("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)

    def mark_success(self, dag_id: str, run_id: str, task: TaskInstance) -> None:
        """Mark a task as success, with the same request as the button in the UI."""
        path = f"{_task_path(dag_id, run_id, task)}?map_index={task.map_index}"
        self._send("PATCH", path, {"new_state": "success"})

    def set_pool(self, name: str, slots: int) -> None:
        """Create a pool, or set the slots of an existing one."""
        pool = {"slots": slots, "description": "Loads that run in parallel", "include_deferred": False}
        if self._send("POST", "/pools", json=pool | {"name": name}, accept=(409,)).status_code == 409:
            self._send("PATCH", f"/pools/{name}", json=pool | {"pool": name})

    def delete_pool(self, name: str) -> None:
        """Delete a pool."""
        self._send("DELETE", f"/pools/{name}")

    def pause(self, dag_id: str, paused: bool = True) -> None:
        """Pause a DAG, or unpause it."""
        self._send("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def get(self, path: str) -> bytes:
        """Return the content of a page beside the REST API."""
        return self._http.get(path).raise_for_status().content

    def _authenticate(self) -> None:
        answer = self._http.post("/auth/token", json=self._login)
        if answer.is_error:
            raise RestError(f"{self._http.base_url} refused the login of {self._login['username']}: {answer.text}")
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def _get(self, path: str) -> Any:
        return self._send("GET", path).json()

    def _send(self, method: str, path: str, json: Any = None, accept: Sequence[int] = ()) -> httpx.Response:
        answer = self._http.request(method, f"/api/v2{path}", json=json)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._authenticate()
            answer = self._http.request(method, f"/api/v2{path}", json=json)
        if answer.is_error and answer.status_code not in accept:
            raise RestError(f"{method} {path}: HTTP status {answer.status_code}, {answer.text}")
        return answer


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"


def _task_path(dag_id: str, run_id: str, task: TaskInstance) -> str:
    return f"{_run_path(dag_id, run_id)}/taskInstances/{task.task_id}"


def _question_path(dag_id: str, run_id: str, task: TaskInstance) -> str:
    return f"{_task_path(dag_id, run_id, task)}/{task.map_index}/hitlDetails"


def _dag_run(entry: Mapping[str, Any]) -> DagRun:
    return DagRun(
        dag_id=entry["dag_id"],
        run_id=entry["dag_run_id"],
        state=entry["state"],
        start=_moment(entry["start_date"]),
        end=_moment(entry["end_date"]),
    )


def _task_instance(entry: Mapping[str, Any]) -> TaskInstance:
    return TaskInstance(
        task_id=entry["task_id"],
        map_index=entry["map_index"],
        state=entry["state"],
        try_number=entry["try_number"],
        start=_moment(entry["start_date"]),
        end=_moment(entry["end_date"]),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _line(event: str | Mapping[str, Any]) -> str:
    if isinstance(event, str):
        return event
    causes = "".join(f"\n  {cause['exc_type']}: {cause['exc_value']}" for cause in event.get("error_detail") or ())
    return f"{event.get('timestamp') or ''} {event.get('level') or ''} {event['event']}{causes}".strip()
