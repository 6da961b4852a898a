"""The limits for the load of the server during a migration."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from partition_playbook import figures
from partition_playbook.spec.model import SpecModel


class Throttle(SpecModel):
    """Limits for the load of the server; beyond any of them a migration starts no load, vacuum or batch of changes.

    A rollback never waits. A running load goes on to its end. After six hours of waiting the task fails; clear it to
    resume.
    """

    max_replica_lag: Annotated[timedelta, Field(gt=timedelta(0))] | None = Field(
        default=timedelta(minutes=1),
        description="Longest replication lag of any replica: seconds, or a duration such as `00:01:30`. `null`: no "
        "limit.",
    )
    max_active_connections: Annotated[float, Field(gt=0)] | None = Field(
        default=0.9,
        description="Most connections to the server beside the playbook's. Up to 1 it is a share of `max_connections`, "
        "above 1 a number. `null`: no limit.",
    )
    max_running: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Most active sessions beside those of the playbook. `null`: no limit."
    )

    def most_connections(self, possible: int) -> float | None:
        """Return the limit as a number of connections; ``possible`` is the server's max_connections."""
        given = self.max_active_connections
        return given * possible if given is not None and given <= 1 else given

    def __str__(self) -> str:
        lag, connections = self.max_replica_lag, self.max_active_connections
        limits = {
            "replica lag": lag and figures.seconds(lag.total_seconds()),
            "connections": connections and self._connections(connections),
            "running sessions": self.max_running,
        }
        return ", ".join(f"{name} up to {most}" for name, most in limits.items() if most is not None) or "no limit"

    @staticmethod
    def _connections(given: float) -> str:
        return f"{figures.percent(given)} of max_connections" if given <= 1 else figures.number(given)
