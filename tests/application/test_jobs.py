"""BullMQ's jobs on a real Redis. A small real HTTP server stands for Airflow, and keeps what it is asked.

`make demo APP=1` does the same with a real Airflow.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from staging.backend.processes import BackendError, Worker, working
from staging.instance import Instance
from tests.fixtures.web import Quiet, served

RUNS = "/api/v2/dags/partition_maintenance/dagRuns"


class Airflow(Quiet):
    """Give a token, start each run that is asked for, and end it in the state that the test names."""

    state: ClassVar[str] = "success"
    logins: ClassVar[list[Any]] = []
    triggered: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/auth/token":
            self.logins.append(body)
            self._answer(201, {"access_token": "known"})
        elif self.path == RUNS and self.headers["Authorization"] == "Bearer known":
            self.triggered.append(body)
            self._answer(200, {"dag_run_id": body["dag_run_id"], "state": "queued"})
        else:
            self._answer(404, {})

    def do_GET(self) -> None:
        run_id = self.path.removeprefix(f"{RUNS}/")
        known = run_id in [each["dag_run_id"] for each in self.triggered]
        self._answer(200 if known else 404, {"dag_run_id": run_id, "state": self.state})

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    for name in ("logins", "triggered"):
        monkeypatch.setattr(Airflow, name, [])
    with served(Airflow) as url, working(Instance(url, "", "jo", "secret"), tmp_path) as worker:
        yield worker


@pytest.mark.parametrize(("job", "retention"), [("partition:create", "off"), ("partition:retention", "apply")])
def test_a_job_triggers_the_maintenance(worker: Worker, job: str, retention: str) -> None:
    result = worker.perform(job)
    (run,) = Airflow.triggered
    assert result == {"runId": run["dag_run_id"], "state": "success"}
    assert run["conf"] == {"table": "sensor_readings", "retention": retention}
    assert run["logical_date"] is None
    assert run["dag_run_id"].startswith(f"bullmq__{job.replace(':', '_')}__")
    assert Airflow.logins == [{"username": "jo", "password": "secret"}]
    assert '"job completed"' in worker.log.read_text()


def test_a_failed_run_fails_the_job(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Airflow, "state", "failed")
    with pytest.raises(
        BackendError, match=r"The job partition:create failed: The run .* of partition_maintenance failed"
    ):
        worker.perform("partition:create")
    assert len({each["dag_run_id"] for each in Airflow.triggered}) == 1
    assert len(Airflow.triggered) == 3
    assert '"level":"error"' in worker.log.read_text()


def test_both_jobs_have_a_schedule(worker: Worker) -> None:
    with socket.create_connection(("127.0.0.1", int(worker.redis_url.rpartition(":")[2]))) as redis:
        redis.sendall(b"ZRANGE bull:partitions:repeat 0 -1\r\n")
        told = redis.recv(4096).decode()
    assert {"partition:create", "partition:retention"} <= set(told.split())
