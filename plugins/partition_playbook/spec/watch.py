"""The sources that a run watches for errors after the cutover."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from partition_playbook.spec.model import Address, ConnectionId, SpecModel


def _is_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}; correct it") from error
    return text


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_is_pattern)]


class LogLines(SpecModel):
    """The lines of a log that are findings."""

    pattern: Pattern = Field(
        default=r"(?i)\b(error|fatal|panic|critical)\b",
        description="Regular expression for a line that is a finding. The ledger keeps its first 300 characters.",
    )
    ignore: Pattern | None = Field(default=None, description="Regular expression for matching lines to leave out.")


class LogFile(LogLines):
    """A log file that each worker can read."""

    path: str = Field(pattern="^/", description="Absolute path on the worker. For several workers use `loki`.")


# A busy server logs errors of its clients all day; these are errors that partitions bring, and the server's own.
SERVER_ERRORS = (
    r"PANIC\b|no partition of relation|ON CONFLICT specification|cached plan must not change|out of shared memory|"
    r"No space left on device|was terminated by signal|invalid page in block"
)


class ServerLog(LogLines):
    """PostgreSQL's own log, read through the connection of the spec."""

    pattern: Pattern = Field(
        default=SERVER_ERRORS,
        description="Regular expression for a line that is a finding. The default knows the messages in English. The "
        "ledger keeps its first 300 characters.",
    )


class Loki(SpecModel):
    """Log lines in Grafana Loki."""

    connection: ConnectionId = Field(description="Id of an Airflow connection of type http.")
    query: str = Field(
        min_length=1, description='LogQL for lines that are findings, such as `{job="backend"} |~ "(?i)error"`.'
    )


class Prometheus(SpecModel):
    """Alerts in Prometheus."""

    connection: ConnectionId = Field(description="Id of an Airflow connection of type http.")
    alerts: str = Field(
        default='severity="critical"', description="Selector of the alerts that are findings while they fire."
    )


class Watch(SpecModel):
    """The time after the cutover in which a run looks for errors; its length is the param `watch_minutes`.

    The database is always watched. A finding ends the watch and asks a person; it never rolls back by silence.
    """

    every: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(hours=1))] = Field(
        default=timedelta(minutes=1), description="Time between two looks: seconds, or a duration such as `00:01:00`."
    )
    health: dict[str, Address] = Field(
        default={},
        description="Name to http or https URL. An answer of 400 or more, or none in 5 seconds, is a finding.",
    )
    logs: tuple[LogFile, ...] = Field(
        default=(), description="Log files on the worker. Lines before the watch are left out."
    )
    loki: Loki | None = Field(default=None, description="Log lines in Loki.")
    server_log: ServerLog | None = Field(
        default=ServerLog(),
        description="PostgreSQL's own log. It is read if `logging_collector` is on and the role is a member of "
        "`pg_monitor` with EXECUTE on `pg_current_logfile()` and `pg_read_binary_file(text, bigint, bigint)`. `null` "
        "switches it off.",
    )
    prometheus: Prometheus | None = Field(default=None, description="Firing alerts in Prometheus.")
    max_deadlocks: int = Field(default=0, ge=0, description="Deadlocks in the database that are no finding.")
    max_slowdown: float = Field(
        default=2,
        gt=1,
        description="A warning names each statement in `pg_stat_statements` with a mean time over so many times the "
        "earlier one.",
    )
