"""Run the application: its server, and its worker beside a Redis."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from psycopg.conninfo import conninfo_to_dict

from partition_playbook import figures
from staging.backend.install import SOURCE, install
from staging.instance import MARK, Instance
from staging.node import Node, find
from staging.redis import redis

START_SECONDS = 60.0
STOP_SECONDS = 20.0
JOB_SECONDS = 700.0  # longer than enqueue.ts waits


class BackendError(RuntimeError):
    """A process of the application does not start, or a job failed."""


@dataclass(frozen=True)
class Server:
    """A running server of the application, and its log of one JSON object a line."""

    url: str
    log: Path
    node: Node


@dataclass(frozen=True)
class Worker:
    """A running worker of the application."""

    redis_url: str
    log: Path
    node: Node

    def perform(self, job: str) -> Mapping[str, Any]:
        """Add a job, wait for its end, and return its result; BackendError if it failed."""
        try:
            done = subprocess.run(
                [self.node.program, "dist/src/enqueue.js", job],
                cwd=SOURCE,
                env=self.node.environment | {"REDIS_URL": self.redis_url},
                capture_output=True,
                check=False,
                text=True,
                timeout=JOB_SECONDS,
            )
        except subprocess.TimeoutExpired:
            waited = figures.seconds(JOB_SECONDS)
            raise BackendError(
                f"The job {job} has not ended within {waited}. Its worker's log is {self.log}."
            ) from None
        if done.returncode:
            raise BackendError(f"The job {job} failed: {done.stderr.strip()[-500:]} Its worker's log is {self.log}.")
        found: Mapping[str, Any] = json.loads(done.stdout)
        return found


@contextmanager
def serving(conninfo: str, folder: Path, pool_size: int = 5) -> Iterator[Server]:
    """Install the application if necessary, and run its server on a database."""
    node = find()
    install(node)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(f"http://127.0.0.1:{port}", folder / "server.log", node)
    settings = {"DATABASE_URL": _address(conninfo), "PORT": str(port), "POOL_SIZE": str(pool_size)}
    with _running(node, "dist/src/server.js", settings, server.log, lambda: _is_healthy(server.url)):
        yield server


@contextmanager
def working(airflow: Instance, folder: Path, table: str = "sensor_readings") -> Iterator[Worker]:
    """Run a Redis, and the worker whose jobs trigger the DAG of the maintenance."""
    node = find()
    install(node)
    with redis(folder / "redis.log", _marked(os.environ, folder)) as url:
        worker = Worker(url, folder / "worker.log", node)
        settings = {
            "REDIS_URL": url,
            "AIRFLOW_URL": airflow.url,
            "AIRFLOW_USER": airflow.user,
            "AIRFLOW_PASSWORD": airflow.password,
            "TABLE_SPEC": table,
        }
        with _running(node, "dist/src/worker.js", settings, worker.log, lambda: '"working"' in worker.log.read_text()):
            yield worker


@contextmanager
def _running(
    node: Node, script: str, settings: Mapping[str, str], log: Path, started: Callable[[], bool]
) -> Iterator[None]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [node.program, script],
            cwd=SOURCE,
            env=_marked({**node.environment, **settings}, log.parent),
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C ends the users first, so that they see no error
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not started():
            if process.poll() is not None or time.monotonic() > deadline:
                raise BackendError(f"{script} does not start. The end of its log {log}:\n{log.read_text()[-3000:]}")
            time.sleep(0.05)
        yield
    finally:
        _stop(process)


def _marked(environment: Mapping[str, str], folder: Path) -> Mapping[str, str]:
    """Return an environment with the mark by which `make down` finds the processes after a crash."""
    return {**environment, MARK: str(folder)}


def _address(conninfo: str) -> str:
    """Return a connection string as a URL: node-postgres knows no other form."""
    given = {name: quote(str(value), safe="") for name, value in conninfo_to_dict(conninfo).items()}
    password = f":{given['password']}" if "password" in given else ""
    return f"postgresql://{given['user']}{password}@{given['host']}:{given.get('port', '5432')}/{given['dbname']}"


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
