"""The compose files and their image: every option is known to Airflow, and nothing secret is in a file.

No container is started: there need be no Docker.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from partition_playbook.airflow.tasks import FILES_QUEUE_VARIABLE
from staging.cluster import bin_dir, temporary
from tests.packaging.conftest import PROJECT, Installed

SEVERAL, SINGLE = PROJECT / "docker-compose.yaml", PROJECT / "compose.single.yaml"
FILES = [SEVERAL, SINGLE]
DEPLOY = PROJECT / "deploy" / "compose"
README = (PROJECT / "README.md").read_text()
ONCE = {"secrets", "init"}
AIRFLOW = {"init", "api-server", "scheduler", "dag-processor", "triggerer", "worker", "worker-files"}
# A row of the table of timeouts: section, option, default, the value to set.
LOST_WORKER = re.compile(r"^\| `\[(\w+)\] (\w+)` \| ([\d.]+) \| (\d+) \|", re.MULTILINE)
# Airflow's own parser of arguments: an option or a subcommand that it does not know ends it with code 2.
PARSE = """
import json, sys
from airflow.cli.cli_parser import get_parser
for arguments in json.loads(sys.argv[1]):
    get_parser().parse_args(arguments)
"""
SETTINGS = """
import json
from airflow.configuration import conf
described = conf.configuration_description.items()
known = {section: {name: each["default"] for name, each in found["options"].items()} for section, found in described}
print(json.dumps([known, sorted(map(list, conf.sensitive_config_values))]))
"""
EXECUTOR = """
from airflow.executors.executor_loader import ExecutorLoader
print(ExecutorLoader.import_default_executor_cls()[0].__name__)
"""
CONNECTIONS = """
import json, sys
from airflow.models import Connection
for name, given in json.loads(sys.argv[1]).items():
    Connection(conn_id=name, **given)
"""
QUEUES = """
import json, sys
from airflow.dag_processing.dagbag import BundleDagBag
bag = BundleDagBag(dag_folder=sys.argv[1], bundle_path=sys.argv[1], bundle_name="dags-folder")
print(json.dumps({task.task_id: task.queue for dag in bag.dags.values() for task in dag.tasks}))
"""


def services(path: Path = SEVERAL) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["services"]
    return found


def words(command: Any) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else list(command or ())


def scripts(service: Mapping[str, Any]) -> Iterator[str]:
    """Yield the shell scripts of a service: its command, and its health check."""
    command, test = words(service.get("command")), words(service.get("healthcheck", {}).get("test"))
    if command[:2] == ["bash", "-c"]:
        yield command[2]
    if words(service.get("entrypoint")) == ["sh", "-c"]:
        yield command[0]
    if test[:1] == ["CMD-SHELL"]:
        yield test[1]


def airflow_commands(service: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the arguments of each call of Airflow in the command and the health check of a service."""
    if (command := words(service.get("command"))) and command[0] != "bash" and "entrypoint" not in service:
        yield command
    for script in scripts(service):
        for part in re.split(r"&&|\|", script.replace("$$", "$")):
            given = [each for each in shlex.split(part) if each != "exec"]
            if given[:1] == ["airflow"]:
                yield given[1:]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_file_is_a_compose_file(path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stdout


def test_every_command_is_known_to_airflow(installed: Installed) -> None:
    own = [each for path in FILES for name, each in services(path).items() if name in AIRFLOW | {"airflow"}]
    given = [list(airflow_commands(service)) for service in own]
    assert all(given)
    known = [arguments for each in given for arguments in each]
    installed.run("python", "-c", PARSE, json.dumps(known), AIRFLOW__CORE__EXECUTOR="CeleryExecutor")
    installed.run("python", "-c", PARSE, json.dumps([*known, ["scheduler", "--quickly"]]), code=2)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_script_is_one_of_a_shell(path: Path) -> None:
    for script in (each for service in services(path).values() for each in scripts(service)):
        done = subprocess.run(["bash", "-n", "-c", script.replace("$$", "$")], capture_output=True, check=False)
        assert done.returncode == 0, script


def test_every_setting_is_an_option_of_airflow(installed: Installed) -> None:
    known, sensitive = json.loads(installed.run("python", "-c", SETTINGS).stdout.splitlines()[-1])
    for path in FILES:
        given = {name for service in services(path).values() for name in service.get("environment", {})}
        for section, option in (each.removeprefix("AIRFLOW__").lower().split("__") for each in given if "__" in each):
            plain = option.removesuffix("_cmd")
            assert plain in known[section], (path.name, section, option)
            assert plain == option or [section, plain] in sensitive, (path.name, section, option)

    # Airflow's code has the default of this one, not its description.
    known["celery_broker_transport_options"]["visibility_timeout"] = "86400"
    documented = LOST_WORKER.findall((PROJECT / "docs" / "deploy.md").read_text())
    chart = yaml.safe_load((PROJECT / "deploy" / "kubernetes" / "values.yaml").read_text())["config"]
    compose = services()["scheduler"]["environment"]
    assert len(documented) == 5
    for section, option, default, value in documented:
        assert known[section][option] == default, (section, option)
        if float(default) != float(value):
            assert compose[f"AIRFLOW__{section}__{option}".upper()] == value
            assert chart.get(section, {}).get(option) == (value if section == "scheduler" else None)


def test_the_services_are_those_of_several_workers() -> None:
    assert set(services()) == AIRFLOW | {"secrets", "postgres", "redis", "s3"}
    assert services()["scheduler"]["deploy"]["replicas"] == 2


@pytest.mark.parametrize("name", [services()["worker"]["environment"]["AIRFLOW__CORE__EXECUTOR"], "KubernetesExecutor"])
def test_an_executor_can_be_imported_with_the_pinned_versions(installed: Installed, name: str) -> None:
    done = installed.run("python", "-c", EXECUTOR, AIRFLOW__CORE__EXECUTOR=name)
    assert done.stdout.splitlines()[-1] == name


@pytest.mark.parametrize("name", sorted(services()))
def test_a_service_starts_again_and_is_watched_or_runs_once(name: str) -> None:
    service = services()[name]
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert ("healthcheck" in service) == (name not in ONCE)


def test_an_airflow_service_waits_for_the_migrated_database() -> None:
    for name in AIRFLOW - {"init"}:
        assert services()[name]["depends_on"] == {"init": {"condition": "service_completed_successfully"}}
    assert {each["condition"] for each in services()["init"]["depends_on"].values()} == {"service_healthy"}


def test_the_workers_share_nothing_but_the_secrets() -> None:
    workers = [services()[name]["volumes"] for name in ("worker", "worker-files")]
    assert set(workers[0]) & set(workers[1]) == {"${PLAYBOOK_SECRETS:-secrets}:/run/playbook:ro"}


def test_a_task_with_files_goes_to_the_worker_that_keeps_them(installed: Installed) -> None:
    queue = services()["worker"]["environment"][FILES_QUEUE_VARIABLE]
    command = ("python", "-c", QUEUES, str(PROJECT / "dags"))
    given = json.loads(installed.run(*command, **{FILES_QUEUE_VARIABLE: queue}).stdout.splitlines()[-1])
    assert {task for task, its in given.items() if its == queue} == {
        "plan",
        "preflight.check_preconditions",
        "snapshot.back_up",
        "decision.decide",
    }
    taken = {each for name in ("worker", "worker-files") for each in services()[name]["command"][-1].split(",")}
    assert set(given.values()) == taken
    assert set(json.loads(installed.run(*command).stdout.splitlines()[-1]).values()) == {"default"}


def test_no_secret_is_in_the_file_of_several_workers() -> None:
    values = {name: value for each in services().values() for name, value in each.get("environment", {}).items()}
    secret = re.compile(r"PASSWORD|SECRET|FERNET|SQL_ALCHEMY_CONN|BROKER_URL|RESULT_BACKEND|AIRFLOW_CONN")
    read = {name: value for name, value in values.items() if secret.search(name)}
    assert read.pop("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE") == "/opt/airflow/passwords.json"
    assert read.pop("POSTGRES_PASSWORD_FILE") == "/run/playbook/postgres_password"
    assert len(read) == 6
    assert {value.rpartition("/")[0] for value in read.values()} == {"cat /run/playbook"}
    assert not re.search(r"://[^/\s]*:[^/\s]*@", SEVERAL.read_text())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_image_has_a_version_and_every_mounted_file_exists(path: Path) -> None:
    for service in services(path).values():
        assert service["image"].partition(":")[2] not in ("", "latest")
        for volume in service.get("volumes", ()):
            if volume.startswith("./"):
                assert (PROJECT / volume.split(":")[0]).exists(), volume


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_one_service_builds_the_image_and_the_others_do_not_look_for_it_elsewhere(path: Path) -> None:
    """Two builds at once that write one name end with "already exists" where Docker has containerd's image store."""
    ours = [each for each in services(path).values() if each["image"].startswith("partition-playbook:")]
    assert [each["build"] for each in services(path).values() if "build" in each] == ["."]
    assert [each for each in ours if ("build" in each) == ("pull_policy" in each)] == []
    assert {each["pull_policy"] for each in ours if "pull_policy" in each} <= {"never"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_parallel_workers_of_the_server_have_shared_memory(path: Path) -> None:
    """A container has 64 MB by default: a parallel VACUUM or join may want more, and then ends with an error."""
    assert services(path)["postgres"]["shm_size"] == "1gb"


def test_the_address_follows_the_port() -> None:
    """A login is sent on to the base URL."""
    (port,) = services()["api-server"]["ports"]
    url = services()["api-server"]["environment"]["AIRFLOW__API__BASE_URL"]
    assert url == "${AIRFLOW_BASE_URL:-http://localhost:" + port.split(":")[1] + ":-8080}}"


def test_secrets_are_made_once(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    first = {path.name: path.read_text() for path in tmp_path.iterdir()}
    make_secrets(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == first
    assert len(set(first.values())) == len(first)

    named = set(re.findall(r"/run/playbook/([\w.]+)", SEVERAL.read_text()))
    named |= set(re.findall(r"\$secrets/(\w+)", (DEPLOY / "create_databases.sh").read_text()))
    assert named <= first.keys()


def test_own_secrets_are_kept_and_used(tmp_path: Path) -> None:
    (tmp_path / "airflow_password").write_text("my own\n")
    make_secrets(tmp_path)
    assert (tmp_path / "airflow_password").read_text() == "my own\n"
    assert (tmp_path / "sql_alchemy_conn").read_text() == "postgresql+psycopg2://airflow:my%20own@postgres/airflow"


def test_a_password_may_have_quotes(tmp_path: Path) -> None:
    (tmp_path / "redis_password").write_text('a"b\\c')
    make_secrets(tmp_path)
    (line, *_) = (tmp_path / "redis.conf").read_text().splitlines()
    assert line == 'requirepass "a\\"b\\\\c"'


@pytest.mark.skipif(os.geteuid() != 0, reason="the container is root, and so can read as somebody else")
@pytest.mark.parametrize("closed", ["folder", "file"])
def test_secrets_that_the_services_can_not_read_are_refused_with_the_remedy(tmp_path: Path, closed: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "airflow_password").write_text("my own")
    (folder if closed == "folder" else folder / "airflow_password").chmod(0o700)
    command = [sys.executable, DEPLOY / "make_secrets.py", folder]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 1
    (remedy,) = re.findall(r"`(chmod [^`]+)`", done.stderr)
    subprocess.run(remedy, shell=True, cwd=folder, check=True)
    subprocess.run(command, check=True)


def test_the_connections_are_airflows(installed: Installed, tmp_path: Path) -> None:
    make_secrets(tmp_path)
    given = (tmp_path / "connections.json").read_text()
    assert json.loads(given).keys() == {"partition_playbook_db", "playbook_s3"}
    installed.run("python", "-c", CONNECTIONS, given)


def test_the_playbooks_role_has_the_grants_of_the_readme_and_is_no_superuser(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    deploy = tmp_path / "deploy"
    deploy.mkdir()
    (deploy / "databases.sql").symlink_to(DEPLOY / "databases.sql")
    (deploy / "schema.sql").symlink_to(PROJECT / "staging" / "schema.sql")

    with temporary({"shared_preload_libraries": "pg_stat_statements"}) as cluster:
        settings = {"PLAYBOOK_SECRETS_FOLDER": str(tmp_path), "PLAYBOOK_DEPLOY_FOLDER": str(deploy)}
        server = {"PGHOST": "127.0.0.1", "PGPORT": str(cluster.port)}
        path = f"{bin_dir()}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [DEPLOY / "create_databases.sh"],
            env={**os.environ, **settings, **server, "PATH": path},
            capture_output=True,
            check=False,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        with psycopg.connect(cluster.conninfo()) as connection:
            roles = connection.execute(
                "SELECT rolname, rolsuper, rolcreatedb, rolpassword LIKE 'SCRAM%' FROM pg_authid"
                " WHERE rolname IN ('airflow', 'app', 'partition_playbook') ORDER BY rolname"
            ).fetchall()
            owners = connection.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
            assert owners.fetchall() == [("app",)]
        assert roles == [
            ("airflow", False, False, True),
            ("app", False, False, None),
            ("partition_playbook", False, True, True),
        ]
        with psycopg.connect(cluster.conninfo(), user="partition_playbook") as connection:
            connection.execute("SET ROLE app")  # which owns the tables


def test_the_grants_are_those_of_the_readme() -> None:
    (documented,) = (each for each in re.findall(r"```sql\n(.*?)```", README, re.DOTALL) if "CREATE ROLE" in each)
    documented = documented.replace("'secret'", ":'playbook_password'")
    wanted = [line.partition(";")[0].strip() for line in documented.splitlines()]
    given = [line.removesuffix(";").strip() for line in (DEPLOY / "databases.sql").read_text().splitlines()]
    assert [each for each in wanted if each not in given] == []


def test_the_image_is_pinned_and_not_of_root() -> None:
    lines = (PROJECT / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("ARG BASE=")] == ["ARG BASE=apache/airflow:3.3.2-python3.12"]
    assert "apache-airflow==3.3.2" in (PROJECT / "requirements.txt").read_text().splitlines()
    assert {line.split()[1] for line in lines if line.startswith("FROM")} == {"${BASE}"}
    assert [line for line in lines if line.startswith("USER")] == ["USER 50000"]


def test_the_image_copies_what_is_sent_to_it_and_installs_known_extras() -> None:
    text = (PROJECT / "Dockerfile").read_text()
    sent = [line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = " ".join(re.findall(r"^COPY (?!.*--from)(.+) \S+$", text, re.MULTILINE)).split()
    for source in (each for each in copied if not each.startswith("--") and each != "."):
        assert (PROJECT / source).exists()
        assert any(fnmatch(source, f"{each}*") for each in sent), source
    assert all((PROJECT / each).exists() for each in sent)

    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (asked,) = re.findall(r"\.whl\)\[([\w,]+)\]", text)
    assert set(asked.split(",")) <= extras.keys()


def make_secrets(folder: Path) -> None:
    folder.chmod(0o755)
    subprocess.run([sys.executable, DEPLOY / "make_secrets.py", folder], check=True)
