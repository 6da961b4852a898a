"""Run `airflow standalone` in the background: start it, wait for its health, stop all its processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from partition_playbook import figures
from staging.cluster import Cluster, bin_dir
from staging.rest import AirflowClient

PROJECT = Path(__file__).resolve().parents[1]
MARK = "PARTITION_PLAYBOOK_STAGING"  # an environment variable of all processes of an instance, and of no other process
LOADS_POOL = "partition_playbook_loads"
START_SECONDS = 480  # for a busy machine, and less than the 600 of a test; an exit of Airflow is noticed at once
STOP_SECONDS = 20
ADMIN = {"admin": "admin"}
SETTINGS = "settings"  # the key of the further environment variables in the state of an instance

# With these an empty task takes 0.3 s on two cores; by default the scheduler alone sleeps for 1 s between tasks.
TUNING = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # seconds until a worker notices the end of its task
    "AIRFLOW__CORE__PARALLELISM": "16",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
}


class InstanceError(RuntimeError):
    """Airflow could not be started."""


@dataclass(frozen=True)
class Instance:
    """A running Airflow: its URL, its home and a login."""

    url: str
    home: str
    user: str = "admin"
    password: str = "admin"

    def client(self, user: str = "") -> AirflowClient:
        """Log in to the REST API; the password of another user is the user's name."""
        return AirflowClient(self.url, user or self.user, user or self.password)


def start(
    home: Path,
    cluster: Cluster,
    dags: Path = PROJECT / "dags",
    users: Mapping[str, str] = ADMIN,
    settings: Mapping[str, str] | None = None,
) -> Instance:
    """Start Airflow on a free port, or return the instance already running in this home.

    ``users`` maps each user to a role; the role "" has no permission. The password of a user is the user's name.
    ``settings`` are further environment variables. An instance with other ones is stopped first.
    InstanceError with the end of the log if Airflow exits, or is not healthy after START_SECONDS.
    """
    wanted = dict(settings or {})
    if instance := find(home):
        if _settings(home) == wanted:
            return instance
        stop(home)

    home.mkdir(parents=True, exist_ok=True)
    ports = _free_ports(3)
    instance = Instance(url=f"http://127.0.0.1:{ports[0]}", home=str(home))
    (home / "config").mkdir(exist_ok=True)
    shutil.copy(PROJECT / "staging" / "airflow_local_settings.py", home / "config")
    (home / "passwords.json").write_text(json.dumps({user: user for user in users}))

    environment = _environment(home, cluster, dags, ports) | {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in users.items()),
        **wanted,
    }
    with _log(home).open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "standalone"],
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _await_health(instance, process)
    process.returncode = 0  # Airflow outlives this process; without this Popen would warn about it

    AirflowClient.warm_up(instance.url)
    with instance.client() as client:
        client.set_pool(LOADS_POOL, slots=2)
    _state(home).write_text(json.dumps({**asdict(instance), SETTINGS: wanted}))
    return instance


def find(home: Path) -> Instance | None:
    """Return the running instance of this home, or None; the remains of a crashed instance are stopped."""
    if _state(home).exists() and processes(home):
        known = json.loads(_state(home).read_text())
        known.pop(SETTINGS, None)
        instance = Instance(**known)
        if AirflowClient.healthy(instance.url):
            return instance
    stop(home)
    return None


def stop(home: Path) -> None:
    """Stop every process of the instance in this home."""
    _state(home).unlink(missing_ok=True)
    _, alive = psutil.wait_procs(_signal(processes(home), signal.SIGTERM), timeout=STOP_SECONDS)
    # A process may have started while the others ended.
    while alive := processes(home):
        psutil.wait_procs(_signal(alive, signal.SIGKILL), timeout=STOP_SECONDS)


def processes(home: Path) -> list[psutil.Process]:
    """List the processes of the instance in this home."""
    return [process for process in psutil.process_iter() if _mark(process) == str(home)]


def _environment(home: Path, cluster: Cluster, dags: Path, ports: list[int]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    api, worker_log, trigger_log = map(str, ports)
    return inherited | {
        MARK: str(home),
        "SPT_NOENV": "1",  # setproctitle would overwrite the environment, and with it the mark
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "AIRFLOW_HOME": str(home),
        "PARTITION_PLAYBOOK_LOADS_POOL": LOADS_POOL,
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": cluster.conninfo("airflow").replace(":", "+psycopg2:", 1),
        # The API server asks for a connection on its event loop too. While all 15 of the default are taken by its 40
        # threads, it stands still for 30 s, and its open transactions time out.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "50",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": api,
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{api}",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": worker_log,
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": trigger_log,
        "AIRFLOW_CONN_PARTITION_PLAYBOOK_DB": cluster.conninfo("staging"),
        "PARTITION_PLAYBOOK_ARTIFACTS": str(home.parent / "artifacts"),
        "PARTITION_PLAYBOOK_PG_BIN": str(bin_dir()),
        **TUNING,
    }


def _await_health(instance: Instance, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not AirflowClient.healthy(instance.url):
        if process.poll() is not None or time.monotonic() > deadline:
            waited = figures.seconds(START_SECONDS)
            ended = process.poll() is not None
            reason = f"ended with status {process.returncode}" if ended else f"is not healthy after {waited}"
            stop(Path(instance.home))
            log = _log(Path(instance.home))
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
            raise InstanceError(f"Airflow {reason}. The end of its log {log}:\n{tail}")
        time.sleep(0.2)


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None


def _signal(found: Iterable[psutil.Process], number: signal.Signals) -> list[psutil.Process]:
    found = list(found)
    for process in found:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
    return found


def _state(home: Path) -> Path:
    return home / "instance.json"


def _settings(home: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(_state(home).read_text()).get(SETTINGS, {})
    return found


def _log(home: Path) -> Path:
    return home / "standalone.log"


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
