"""Show Airflow the console: a view in the navigation, and a tab on every DAG and DAG run."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

# Without a leading slash, so that they follow Airflow's base URL.
PAGE = "partition_playbook/"


class PartitionPlaybookConsole(AirflowPlugin):
    """The console as Airflow sees it."""

    name = "partition_playbook"
    external_views: ClassVar[list[dict[str, Any]]] = [
        {"name": "Partitions", "href": PAGE, "destination": "nav", "category": "browse", "url_route": "partitions"},
        {
            "name": "Partitions",
            "href": PAGE + "?dag_id={DAG_ID}",
            "destination": "dag",
            "url_route": "partitions-of-dag",
        },
        {
            "name": "Partitions",
            "href": PAGE + "?dag_id={DAG_ID}&run_id={RUN_ID}",
            "destination": "dag_run",
            "url_route": "partitions-of-run",
        },
    ]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:
        """Return the app; only the API server asks, so that no other process imports it."""
        from partition_playbook.console.app import PREFIX, app

        return [{"app": app, "url_prefix": PREFIX, "name": "Partition Playbook"}]
