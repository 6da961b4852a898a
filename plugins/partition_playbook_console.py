"""Add the console to Airflow: a view in the navigation, and a tab on every DAG and DAG run."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

# Without a leading slash, so the links follow Airflow's base URL.
PAGE = "partition_playbook/"


class PartitionPlaybookConsole(AirflowPlugin):
    """The plugin with the views and the app of the console."""

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
        """Return the app; a property, because only the API server needs the import."""
        from partition_playbook.console.app import PREFIX, app

        return [{"app": app, "url_prefix": PREFIX, "name": "Partition Playbook"}]
