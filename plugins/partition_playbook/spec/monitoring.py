"""The dashboards, alerts and backups outside PostgreSQL that preflight checks."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from partition_playbook.spec.model import Address, ConnectionId, SpecModel


class Grafana(SpecModel):
    """The shipped dashboard in Grafana."""

    connection: ConnectionId = Field(
        description="Id of an Airflow connection of type http. Its extra has the token: "
        '`{"Authorization": "Bearer …"}`.'
    )
    dashboard: str = Field(
        default="partition-playbook", pattern=r"^[A-Za-z0-9_-]{1,40}$", description="The uid of the dashboard."
    )


class PgBackRest(SpecModel):
    """The proof of an external backup by pgBackRest: preflight reads its list of backups."""

    stanza: str = Field(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$",
        description="The stanza of the server. Its newest complete backup must be under 24 hours old, and of this "
        "server by the system identifier. With the param `external_backup_id` it must have this label.",
    )
    info: Annotated[str, Field(pattern="^/")] | None = Field(
        default=None,
        description="Absolute path of a file on the worker with the output of `pgbackrest --output=json info`. Without "
        "it the worker runs `pgbackrest`.",
    )


class Monitoring(SpecModel):
    """Dashboards and alerts to have at hand during a migration."""

    prometheus: ConnectionId | None = Field(
        default=None,
        description="Id of an Airflow connection of type http to Prometheus. Preflight checks that the alerts of "
        "`monitoring/alerts.yaml` are loaded, healthy and evaluated, and that an alert manager is active.",
    )
    drill_within: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(hours=1))] = Field(
        default=timedelta(minutes=10),
        description="Time for the alert `RehearsalDrill`, which each rehearsal with `prometheus` provokes, to fire and "
        "to be resolved: seconds, or a duration such as `00:10:00`.",
    )
    grafana: Grafana | None = Field(
        default=None, description="Preflight checks that the dashboard has every panel of `monitoring/dashboard.json`."
    )

    endpoints: dict[str, Address] = Field(
        default={},
        description="Name to http or https URL. Preflight requests each and waits 5 seconds. A failure is a no-go, but "
        "a person may waive it.",
    )
