"""The pod of a task as Airflow itself makes it from the template, and the values of the chart. No cluster is needed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.packaging.conftest import PROJECT, Installed

FOLDER = PROJECT / "deploy" / "kubernetes"
TEMPLATE, VALUES = FOLDER / "pod_template.yaml", yaml.safe_load((FOLDER / "values.yaml").read_text())
# Reads what KubernetesExecutor does for each task, up to the request to the cluster.
POD = """
import json, sys
from datetime import UTC, datetime
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

template = PodGenerator.deserialize_model_file(sys.argv[1])
pod = PodGenerator.construct_pod(
    dag_id="partition_migration", task_id="migration.load", pod_id="partition-migration-load", try_number=1,
    kube_image="registry.example.org/other:1", date=datetime(2026, 1, 1, tzinfo=UTC), args=["python", "-m", "task"],
    pod_override_object=None, base_worker_pod=template, namespace="airflow", scheduler_job_id="7", run_id="run",
)
print(json.dumps(PodGenerator.serialize_pod(pod)))
"""
OPTIONS = """
import json
from airflow.configuration import conf
from airflow.providers_manager import ProvidersManager
ProvidersManager().initialize_providers_configuration()
print(json.dumps({name: sorted(each["options"]) for name, each in conf.configuration_description.items()}))
"""


@pytest.fixture(scope="module")
def pod(installed: Installed) -> dict[str, Any]:
    done = installed.run("python", "-c", POD, str(TEMPLATE))
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return made


@pytest.fixture(scope="module")
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (found,) = pod["spec"]["containers"]
    return dict(found)


def validated(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", str(path)]
    return subprocess.run(command, capture_output=True, check=False, text=True)


def test_the_template_is_a_pod() -> None:
    done = validated(TEMPLATE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pod_that_airflow_makes_is_one(pod: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(yaml.safe_dump(pod))
    done = validated(tmp_path / "pod.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_key_that_no_pod_has_is_refused(pod: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(yaml.safe_dump({**pod, "spec": {**pod["spec"], "restartPolice": "Never"}}))
    assert validated(tmp_path / "pod.yaml").returncode != 0


def test_airflow_fills_in_the_container_of_the_template(pod: dict[str, Any], container: dict[str, Any]) -> None:
    assert (container["name"], container["args"]) == ("base", ["python", "-m", "task"])
    assert container["image"] == "registry.example.org/other:1"
    assert pod["metadata"]["annotations"]["task_id"] == "migration.load"
    assert pod["spec"]["restartPolicy"] == "Never"


def test_no_process_is_root_or_reaches_the_node(pod: dict[str, Any], container: dict[str, Any]) -> None:
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert pod["spec"]["securityContext"]["runAsUser"] == 50000
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod["spec"].keys()


def test_each_disk_goes_with_the_pod_and_is_bounded(pod: dict[str, Any], container: dict[str, Any]) -> None:
    volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
    assert all(set(each) == {"name", "emptyDir"} and each["emptyDir"]["sizeLimit"] for each in volumes.values())
    mounted = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert mounted.keys() == volumes.keys()

    variables = {each["name"]: each["value"] for each in container["env"]}
    assert mounted["scratch"] == variables["PARTITION_PLAYBOOK_ARTIFACTS"]
    assert variables["AIRFLOW_IS_K8S_EXECUTOR_POD"] == "True"


def test_memory_and_disk_are_bounded(container: dict[str, Any]) -> None:
    assert container["resources"]["requests"].keys() == {"cpu", "memory", "ephemeral-storage"}
    assert container["resources"]["limits"].keys() == {"memory", "ephemeral-storage"}


def test_the_pod_does_not_wait_for_a_database(container: dict[str, Any]) -> None:
    """The entry point of Airflow's image tries its database before each command, and a task's pod has none."""
    assert {"name": "CONNECTION_CHECK_MAX_COUNT", "value": "0"} in container["env"]


def test_the_users_of_the_chart_can_be_created(installed: Installed) -> None:
    """The chart runs `airflow users create`, which only the FAB auth manager has; the migration makes its tables."""
    given = {
        f"AIRFLOW__{section}__{name}".upper(): VALUES["config"][section][name]
        for section, name in (("core", "auth_manager"), ("database", "external_db_managers"))
    }
    manager = given["AIRFLOW__DATABASE__EXTERNAL_DB_MANAGERS"]
    assert given["AIRFLOW__CORE__AUTH_MANAGER"].partition(".auth_manager.")[0] == manager.partition(".auth_manager.")[0]
    (asked,) = re.findall(r"\.whl\)\[([\w,]+)\]", (PROJECT / "Dockerfile").read_text())
    assert "fab" in asked.split(",")


def test_the_pod_has_no_secret(container: dict[str, Any]) -> None:
    assert all(each.keys() == {"name", "value"} for each in container["env"])
    assert "envFrom" not in container
    assert not [each["name"] for each in container["env"] if "SECRET" in each["name"] or "FERNET" in each["name"]]


def test_the_chart_and_the_template_name_one_image_and_one_pool() -> None:
    template = yaml.safe_load(TEMPLATE.read_text())["spec"]["containers"][0]
    assert template["image"] == f"{VALUES['defaultAirflowRepository']}:{VALUES['defaultAirflowTag']}"
    assert {each["name"]: each["value"] for each in VALUES["env"]}.items() <= {
        each["name"]: each["value"] for each in template["env"]
    }.items()


def test_the_chart_has_airflows_version_and_known_options(installed: Installed) -> None:
    assert f"apache-airflow=={VALUES['airflowVersion']}" in (PROJECT / "requirements.txt").read_text().splitlines()
    known = json.loads(installed.run("python", "-c", OPTIONS).stdout.splitlines()[-1])
    template = yaml.safe_load(TEMPLATE.read_text())["spec"]["containers"][0]
    parts = [each["name"].removeprefix("AIRFLOW__").lower().split("__") for each in template["env"]]
    given = [(each[0], each[1]) for each in parts if len(each) == 2]
    given += [(section, option) for section, options in VALUES["config"].items() for option in options]
    assert [each for each in given if each[1] not in known.get(each[0], ())] == []
