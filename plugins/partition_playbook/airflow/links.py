"""Links from a task to the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


# The prefix of the plugin's app; without the plugin the links are dead.
CONSOLE = "/partition_playbook"


class ReportLink(BaseOperatorLink):
    """Link a task to its run's report in the console."""

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL of the report."""
        return _in_console("report", run_id=ti_key.run_id)


class PlanLink(BaseOperatorLink):
    """Link a task to its run's plan.sql in the console."""

    name = "Plan"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL of the plan."""
        return plan_address(ti_key.run_id)


class PartitionLink(BaseOperatorLink):
    """Link the load of a partition to its bar in the console."""

    name = "Partition"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL of the run's progress, with the partition marked."""
        return _in_console("", dag_id=ti_key.dag_id, run_id=ti_key.run_id, partition=operator.partition)


def plan_address(run_id: str) -> str:
    """Return the URL of a run's plan.sql in the console."""
    return _in_console("plan", run_id=run_id)


def _in_console(path: str, **query: str) -> str:
    server = conf.get("api", "base_url", fallback="/").rstrip("/")
    return f"{server}{CONSOLE}/{path}?{urlencode(query)}"


def run_address(context: Mapping[str, Any], dag_id: str, run_id: str) -> str:
    """Return the URL of a run of another DAG in Airflow's UI."""
    server = context["ti"].log_url.partition("/dags/")[0]
    return f"{server}/dags/{dag_id}/runs/{quote(run_id, safe='')}"


def show_link(link: BaseOperatorLink, context: Mapping[str, Any]) -> None:
    """Push the link of a running mapped task to XCom; Airflow does so only at the end, and not for mapped tasks."""
    ti = context["ti"]
    ti.xcom_push(link.xcom_key, link.get_link(ti.task, ti_key=ti))
