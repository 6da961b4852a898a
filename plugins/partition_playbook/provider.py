"""Tell Airflow of the package, for ``airflow providers`` and the page of the installed providers."""

from __future__ import annotations

from typing import Any

from partition_playbook import __version__


def get_provider_info() -> dict[str, Any]:
    """Return the package as Airflow lists it among the providers."""
    return {
        "package-name": "partition-playbook",
        "name": "Partition Playbook",
        "description": "DAGs that turn a live PostgreSQL table into a range-partitioned one.",
        "versions": [__version__],
    }
