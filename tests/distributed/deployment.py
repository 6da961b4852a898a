"""The services of docker-compose.yaml on a host each: their commands and their settings as they are there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import yaml

from partition_playbook.artifacts import ARTIFACTS_VARIABLE
from staging.cluster import THROW_AWAY, Cluster, bin_dir, temporary
from staging.image import IMAGE, PROJECT
from staging.rest import AirflowClient
from tests.distributed.hosts import OWN, SUBNET, Host, Network, address, run

COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text())
DEPLOY = PROJECT / "deploy" / "compose"
SCHEMA = Path(__file__).with_name("schema.sql")
TABLES = Path(__file__).with_name("tables")
STORE = "s3://playbook_s3@archive"
SERVICES = ("redis", "s3", "api-server", "scheduler", "dag-processor", "triggerer", "worker-files", "worker")


def replicas(service: str) -> list[str]:
    """Name the hosts of a service: it, and with a number each further one that the Compose file wants."""
    count = COMPOSE["services"][service].get("deploy", {}).get("replicas", 1)
    return [service, *(f"{service}-{number}" for number in range(2, count + 1))]


HOSTS = {host: service for service in SERVICES for host in replicas(service)}
SCHEDULERS = replicas("scheduler")
NUMBERS = {"postgres": OWN} | {host: number for number, host in enumerate(HOSTS, start=10)}
# Beside what the Compose file sets: the store for all files of a run, and still less patience with a lost worker.
SETTINGS = {
    ARTIFACTS_VARIABLE: f"{STORE}/runs",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}
DEFAULT = re.compile(r"\$\{\w+:-([^{}]*)\}")
TRUSTED = f"host all all {SUBNET}.0/24 scram-sha-256\n"


def resolved(value: Any) -> str:
    """Return a text of the Compose file with the defaults of its variables."""
    text = str(value)
    while DEFAULT.search(text):  # a default may have a variable
        text = DEFAULT.sub(r"\1", text)
    return text.replace("$$", "$")


def command(service: Mapping[str, Any]) -> list[str]:
    """Return what a service executes; the image of Airflow puts `airflow` before all but a shell."""
    given = service["command"]
    words = [resolved(each) for each in (shlex.split(given) if isinstance(given, str) else given)]
    if entrypoint := service.get("entrypoint"):
        return [*entrypoint, *words]
    return words if words[0] in ("bash", "redis-server") else ["airflow", *words]


@dataclass(frozen=True)
class Deployment:
    """The hosts, the server of both databases, and the folder of the secrets."""

    hosts: Mapping[str, Host]
    cluster: Cluster
    secrets: Path

    @property
    def url(self) -> str:
        """Return the address of the API server."""
        return f"http://{address(NUMBERS['api-server'])}:8080"

    def secret(self, name: str) -> str:
        """Return a secret."""
        return (self.secrets / name).read_text().strip()

    def client(self) -> AirflowClient:
        """Log in to the REST API."""
        return AirflowClient(self.url, "admin", self.secret("admin_password"))

    def conninfo(self, database: str = "staging") -> str:
        """Name a database as its superuser."""
        return self.cluster.conninfo(database)

    def serve(self, name: str) -> None:
        """Boot a host and start its service."""
        self.hosts[name].boot()
        service = COMPOSE["services"][HOSTS[name]]
        words = [each.replace("/data", "/opt/airflow/data") for each in command(service)]
        self.hosts[name].start(*words)

    def store(self, **overridden: str) -> dict[str, str]:
        """Return the variable with the connection of the store, for a script outside a task."""
        given = json.loads(self.secret("connections.json"))["playbook_s3"]
        return {"AIRFLOW_CONN_PLAYBOOK_S3": json.dumps(given | overridden)}


@contextmanager
def deployed(folder: Path) -> Iterator[Deployment]:
    """Run all services; each host has a disk of its own, and nothing is shared but the databases, Redis and the store.

    This process is on the network as the application is.
    """
    with ExitStack() as stack:
        network = stack.enter_context(Network(folder))
        subprocess.run([sys.executable, DEPLOY / "make_secrets.py", folder / "secrets"], check=True)
        names = "".join(f"{address(number)} {name}\n" for name, number in NUMBERS.items())
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n{names}")

        cluster = stack.enter_context(temporary(THROW_AWAY | {"listen_addresses": "*", "port": "5432"}))
        _create_databases(folder, cluster)
        hosts = {name: Host(name, NUMBERS[name], network, _environment(name), _fill) for name in HOSTS}
        for host in hosts.values():
            stack.callback(host.kill)
        found = Deployment(hosts, cluster, folder / "secrets")

        found.serve("redis")
        found.serve("s3")
        hosts["scheduler"].boot()
        hosts["scheduler"].run(*command(COMPOSE["services"]["init"]), seconds=300)
        for name in list(HOSTS)[2:]:
            found.serve(name)
        yield found


def _environment(name: str) -> dict[str, str]:
    settings = {key: resolved(value) for key, value in COMPOSE["x-airflow"]["environment"].items()}
    path = (IMAGE / "bin", Path(sys.executable).parent, bin_dir(), os.defpath, "/usr/sbin", "/sbin")
    return (
        settings
        | SETTINGS
        | {
            "PATH": os.pathsep.join(map(str, path)),
            "HOME": "/opt/airflow",
            "AIRFLOW_HOME": "/opt/airflow",
            "TMPDIR": "/opt/airflow/tmp",
            "HOSTNAME": name,
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PARTITION_PLAYBOOK_PG_BIN": str(bin_dir()),
        }
    )


def _fill(disk: Path) -> None:
    """Write what the image has, beside the installed packages."""
    shutil.copytree(PROJECT / "dags", disk / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(TABLES, disk / "include" / "tables")


def _create_databases(folder: Path, cluster: Cluster) -> None:
    """Create both databases and their roles with the script of the Compose file, and let the hosts log in."""
    deploy = folder / "deploy"
    deploy.mkdir()
    (deploy / "databases.sql").symlink_to(DEPLOY / "databases.sql")
    (deploy / "schema.sql").symlink_to(SCHEMA)
    given = {"PLAYBOOK_SECRETS_FOLDER": str(folder / "secrets"), "PLAYBOOK_DEPLOY_FOLDER": str(deploy)}
    server = {"PGHOST": "127.0.0.1", "PGPORT": str(cluster.port)}
    path = {"PATH": f"{bin_dir()}{os.pathsep}{os.environ['PATH']}"}
    run(str(DEPLOY / "create_databases.sh"), env={**os.environ, **given, **server, **path})

    with (cluster.data / "pg_hba.conf").open("a") as file:
        file.write(TRUSTED)
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_reload_conf()")
