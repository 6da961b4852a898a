"""The table spec and the params of a run: the models, their validation, and the files of ``include/tables``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import pendulum
from psycopg import sql
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from partition_playbook import figures, resources
from partition_playbook.choices import Choice
from partition_playbook.codecs import DEFAULT_SHIFT, END, UNIX_EPOCH, Codec, Encoding
from partition_playbook.errors import InvalidSpec
from partition_playbook.intervals import INTERVAL_PATTERN, INTERVALS, LEAST_IDS, MOST_IDS, Interval, Unit, in_zone
from partition_playbook.names import MAX_BYTES, TableName, is_quoted
from partition_playbook.runway import IDS_AHEAD, MONTHLY, MOST_PREMAKE, SCHEDULES, Schedule, default_premake, rarest
from partition_playbook.spec_problems import PERIOD_PATTERN, REFERENCE, SECRET, Problem, named, problems_of, tell
from partition_playbook.spec_yaml import Location, read_document

TABLES_VARIABLE = "PARTITION_PLAYBOOK_TABLES"
DEFAULT_TABLES = resources.tables()
SUFFIX, ENDINGS = ".yaml", (".yaml", ".yml")
QUOTED_NAME = 'write a name with a dot or quotes in double quotes, such as \'"my.schema"."my.table"\''
# Below or above these no run ends well. Most are units mistaken for others, such as milliseconds for seconds.
LEAST_CHANGE_LOG = 1 << 20
LEAST_LOCK, MOST_LOCK = timedelta(milliseconds=10), timedelta(minutes=1)
LEAST_ANSWER = timedelta(minutes=1)
LEAST_LAG = timedelta(milliseconds=100)
MOST_LOAD_WORKERS = 32
Model = TypeVar("Model", bound=BaseModel)


class Mode(Choice):
    """The kind of run."""

    PLAN = "plan", "Print every statement with its lock. Nothing changes."
    REHEARSE = "rehearse", "The staging run: migrate, roll back, and migrate again, with synthetic rows if wanted."
    MIGRATE = (
        "migrate",
        "Production: no rows are generated, nothing is dropped, a person approves the cutover and signs off the end.",
    )


class Arrival(Choice):
    """The order of the synthetic rows in the heap."""

    RANDOM = "random", "In random order. Reads by time gain most, because the loads sort the rows."
    TIME = "time", "In time order, like real telemetry. Reads by time are fast before the migration already."


class Backup(Choice):
    """The source of the backup."""

    DUMP = "dump", "The run calls pg_dump and checks the dump by restoring it."
    EXTERNAL = "external", "You took a backup in the last 24 hours; `external_backup_at` has its time."
    SKIP = "skip", "No backup; only for rehearsals."


class Leave(Choice):
    """The live table after a successful rehearsal."""

    PARTITIONED = "partitioned", "The partitioned table: after the timed rollback the run swaps forward again."
    ORIGINAL = "original", "The original table: the rollback is final, and the shadow is dropped."


class Approvals(Choice):
    """The questions to a person: at the cutover, at a no-go open to a waiver, and at the end."""

    REQUIRED = "required", "The run waits for a person. No answer in time means no."
    AUTO = "auto", "Nobody is asked, nothing is waived, and a no-go rolls back. Refused in mode `migrate`."


class Acceptance(Choice):
    """The risks that a person accepts by name: these checks then warn instead of stopping the run."""

    BEFORE_TRIGGERS = (
        "before_triggers",
        "A BEFORE row trigger could not be tried, and you tested it on a partitioned copy of the table.",
    )
    TABLE_NAMES = (
        "row_triggers_by_table_name",
        "A row trigger may see the name of a partition instead of the table's.",
    )
    UPSERTS = (
        "upserts",
        "Repeated writes stay single without the old key. An `ON CONFLICT` that would fail still stops.",
    )


class DefaultPartition(Choice):
    """The treatment of rows outside every bound."""

    KEEP = (
        "keep",
        "A default partition stores them, and maintenance moves them later. PostgreSQL then cannot detach a partition "
        "concurrently.",
    )
    NONE = "none", "PostgreSQL refuses them. Partitions detach concurrently, and ordered reads need no merge."


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


def _fits(name: str) -> str:
    if not name or len(name.encode()) > MAX_BYTES:
        length, most = figures.count(len(name.encode()), "byte"), figures.count(MAX_BYTES, "byte")
        raise ValueError(f"the name {name!r} has {length}; PostgreSQL takes 1 to {most}")
    return name


def _known_zone(name: str) -> str:
    try:
        pendulum.timezone(name)
    except Exception as error:
        raise ValueError(f"{name!r} is not a time zone; use a name such as UTC or Europe/Berlin") from error
    return name


def _distinct_names(named: tuple[Named, ...]) -> tuple[Named, ...]:
    if len({each.name for each in named}) < len(named):
        raise ValueError("two entries have the same name; rename one")
    return named


def _without_secret(address: str) -> str:
    if SECRET.search(address):
        raise ValueError("a URL here must not contain a password, because the ledger stores the spec; remove it")
    return address


Address = Annotated[str, AfterValidator(_without_secret)]


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Query(_Value):
    """A read of the application, timed before and after the migration, with its range of time.

    In `sql`, `since` and `until`, `{table}` and `{partition_by}` stand for the table and its partition column.
    `{interval_start}` and `{interval_end}` stand for the bounds of one whole past interval. In `sql`, `{since}` and
    `{until}` stand for the ends of the range. They are the keys `since` and `until` of this query. The keys of the
    same names beside `table` bound the partitions, and no brace stands for these. Write other braces twice.

    With an `encoding`, `since` and `until` are moments. All of these then stand for keys in `sql`.
    """

    name: str = Field(description="A unique name. The checks `pruned_<name>` and `speedup_<name>` carry it.")
    sql: str = Field(
        description="One SELECT. It runs read-only, up to 9 times after 2 warm-ups, with `EXPLAIN ANALYZE`; the median "
        "counts."
    )
    since: str | None = Field(
        default=None,
        description="SQL expression for the start of the range, inclusive, as in the WHERE clause of `sql`. Without "
        "one the range is open. Partitions outside the range must not be read.",
    )
    until: str | None = Field(
        default=None,
        description="SQL expression for the end of the range, exclusive. Without one the range is open, and partitions "
        "ahead are read too; they are empty.",
    )
    criterion: bool = Field(
        default=True,
        description="`true`: missing the param `min_speedup` beyond the spread of the runs is a no-go. `false`: the "
        "speedup is only reported. Either way the query must not become slower.",
    )


class Probe(_Value):
    """A SELECT of the application, run on both tables in one snapshot after the cutover and after a rollback.

    Preflight runs it on the table first, under several plans, so that a wrong probe stops the run before it begins.
    """

    name: str = Field(description="A unique name. The checks `probe_<name>` and `response_time_<name>` carry it.")
    sql: str = Field(
        description="One SELECT with `{table}` for the table; write other braces twice. Both tables must return the "
        "same rows, at most 20,000. With LIMIT, use an ORDER BY without ties."
    )
    max_seconds: float = Field(
        default=2,
        gt=0,
        le=3600,
        description="Time limit on the live table, in seconds. Take the longest time that the application can wait.",
    )


class HttpProbe(_Value):
    """A GET request to the application, sent in preflight, after the cutover and after a rollback.

    A late or failed one is sent up to three times.
    """

    name: str = Field(description="A unique name. The checks `http_<name>` and `response_time_http_<name>` carry it.")
    path: str = Field(
        description="Path and query, appended to `base_url`. Reports omit the query, which may be secret."
    )
    max_seconds: float = Field(default=2, gt=0, le=3600, description="Time limit for the whole answer, in seconds.")
    expect_status: int = Field(
        default=200,
        description="The expected HTTP status. JSON with a top-level key `error` fails even with this status.",
    )


def _is_json(value: JsonValue) -> JsonValue:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}; write another value") from error
    return value


class Procedure(_Value):
    """A tRPC query of the application, sent by GET before the migration, before and after the cutover, after a watch.

    Its answers are compared by their content. A content that changed before the cutover is no verdict: then only the
    status and the shape of the answer count. The shape is its keys and their types.
    """

    name: str = Field(
        description="A unique name. The checks `procedure_<name>` and `response_time_procedure_<name>` carry it."
    )
    path: str = Field(
        description="Path, appended to `base_url`. Reports omit a query string in it, which may be secret."
    )
    input: Annotated[JsonValue, AfterValidator(_is_json)] = Field(
        default=None,
        description="Input of the query, as JSON; `null` sends none. It is sent as written: with superjson write "
        '`{"json": ...}` yourself.',
    )
    varies: bool = Field(
        default=False,
        description="`true`: the content of the answer may differ, because rows arrive or it depends on the time. "
        "Status and shape must stay equal.",
    )
    max_seconds: float = Field(
        default=2, gt=0, le=600, description="Time limit in seconds for 19 of 20 calls. A call is stopped there."
    )


def _is_passed_on(name: str) -> str:
    if name.upper().startswith("AIRFLOW"):
        raise ValueError("a variable of Airflow is never passed on, because it may hold a secret; remove it")
    return name


Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"), AfterValidator(_is_passed_on)]


class Command(_Value):
    """A program that tests the application, run on the worker in preflight and after the cutover.

    It passes with exit code 0. One that fails in preflight stops the run. Mode `plan` runs none. No shell reads the
    arguments.
    """

    name: str = Field(description="A unique name. The check `command_<name>` carries it.")
    command: Annotated[tuple[Address, ...], Field(min_length=1)] = Field(
        description='The program and its arguments, such as `[npm, test, --, --grep, "sensor.*reading"]`. No secret in '
        "them: the ledger and the process list show them."
    )
    environment: tuple[Variable, ...] = Field(
        default=(),
        description="Names of the worker's environment variables to pass on, beside `PATH`. Names that begin with "
        "`AIRFLOW` are refused. Their values of 6 characters or more are masked in the output.",
    )
    folder: Annotated[str, Field(pattern="^/")] | None = Field(
        default=None, description="Absolute path of the working directory on the worker."
    )
    max_seconds: float = Field(
        default=600,
        gt=0,
        le=7200,
        description="Time limit in seconds. Then the program and all processes of its group are ended.",
    )

    @model_validator(mode="after")
    def _names_a_program(self) -> Self:
        if not self.command[0]:
            raise ValueError("command begins with an empty text; begin it with the name of a program")
        return self


Named = TypeVar("Named", Query, Probe, HttpProbe, Procedure, Command)


class Application(_Value):
    """The proof of a working application: its own reads in SQL and over HTTP, and its own tests."""

    probes: Annotated[tuple[Probe, ...], AfterValidator(_distinct_names)] = Field(
        default=(), description="SQL statements of the application. Without any, the check is skipped."
    )
    base_url: Address | None = Field(
        default=None,
        description="Start of the application's URLs, such as `https://staging.example.org/api`. No password in it: "
        "the ledger stores the spec.",
    )
    http_probes: Annotated[tuple[HttpProbe, ...], AfterValidator(_distinct_names)] = Field(
        default=(), description="Requests to the application; they need `base_url`. Without any, the check is skipped."
    )
    procedures: Annotated[tuple[Procedure, ...], AfterValidator(_distinct_names)] = Field(
        default=(),
        description="tRPC queries whose answers are compared; they need `base_url`. Without any, none is sent.",
    )
    commands: Annotated[tuple[Command, ...], AfterValidator(_distinct_names)] = Field(
        default=(), description="Programs that test the application. Without any, none is run."
    )

    @model_validator(mode="after")
    def _http_needs_a_base(self) -> Self:
        for key in ("http_probes", "procedures"):
            if getattr(self, key) and not self.base_url:
                raise ValueError(f"{key} need base_url; add the start of the application's URLs")
        return self


# The intervals of hours that synthetic rows fill: a year of hours would be 8,760 partitions.
MOST_HOURS_FILLED = 365
YEAR_OF_MONTHS = 12


class Synthetic(_Value):
    """The rows that the section data_preparation generates; only for rehearsals.

    A column with a foreign key needs no expression: its value comes from a row of the referenced table.
    """

    values: dict[str, str] = Field(
        default={},
        description="Column name to SQL expression, evaluated for each row; `{moment}` is the row's partition value, "
        "with an `encoding` its moment. NOT NULL columns without a default or a foreign key need one.",
    )
    parents: int = Field(
        default=50,
        ge=1,
        description="Number of rows of each referenced table to pick from, in the order of its key. Fewer make each "
        "foreign key value more frequent.",
    )
    months: int | None = Field(
        default=None,
        ge=1,
        le=120,
        description="Months that the rows cover, up to the start of the run. `null`: the playbook's one year. With an "
        f"`interval` of hours, as many days as {MOST_HOURS_FILLED} intervals have, if these are fewer.",
    )
    days: int | None = Field(default=None, ge=1, le=3650, description="Days that the rows cover, instead of months.")

    @model_validator(mode="after")
    def _one_span(self) -> Self:
        if self.months and self.days:
            raise ValueError("months and days are two spans of the same rows; remove one of them")
        return self


def _is_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}; correct it") from error
    return text


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_is_pattern)]
ConnectionId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,250}$")]


class LogLines(_Value):
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


class Loki(_Value):
    """Log lines in Grafana Loki."""

    connection: ConnectionId = Field(description="Id of an Airflow connection of type http.")
    query: str = Field(
        min_length=1, description='LogQL for lines that are findings, such as `{job="backend"} |~ "(?i)error"`.'
    )


class Prometheus(_Value):
    """Alerts in Prometheus."""

    connection: ConnectionId = Field(description="Id of an Airflow connection of type http.")
    alerts: str = Field(
        default='severity="critical"', description="Selector of the alerts that are findings while they fire."
    )


class Watch(_Value):
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


class Grafana(_Value):
    """The shipped dashboard in Grafana."""

    connection: ConnectionId = Field(
        description="Id of an Airflow connection of type http. Its extra has the token: "
        '`{"Authorization": "Bearer …"}`.'
    )
    dashboard: str = Field(
        default="partition-playbook", pattern=r"^[A-Za-z0-9_-]{1,40}$", description="The uid of the dashboard."
    )


class PgBackRest(_Value):
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


class Monitoring(_Value):
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


class Retire(Choice):
    """The fate of an old partition after it is detached."""

    DROP = "drop", "It stays a table of its own for the grace period, then it is dropped."
    DETACH = "detach", "It stays a table of its own for ever, even if the spec changes later."
    ARCHIVE = (
        "archive",
        "It is written to object storage, stays for the grace period, is compared with its archive, and is dropped.",
    )


class Hold(_Value):
    """A range of days, in the zone of the spec; a partition with any of them is never retired."""

    since: date | None = Field(
        default=None, description="First day of the hold. Without one the hold has no beginning."
    )
    until: date | None = Field(
        default=None, description="Last day of the hold, inclusive. Without one the hold has no end."
    )
    reason: str = Field(
        min_length=1, description="Reason for an auditor, such as a case number. The check `hold` shows it."
    )

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.since and self.until and self.until < self.since:
            raise ValueError("until lies before since; swap them")
        return self

    def covers(self, lower: pendulum.DateTime, upper: pendulum.DateTime) -> bool:
        """Return True if any day of ``[lower, upper)`` is held, in the zone of these bounds."""
        last = upper.subtract(microseconds=1).date()
        return (self.since or last) <= last and (self.until is None or self.until >= lower.date())


class Throttle(_Value):
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


def _within_the_calendar(period: str) -> str:
    try:
        _back(pendulum.now("UTC"), period)
    except (ValueError, OverflowError) as error:
        raise ValueError("the period reaches before year 1; shorten it") from error
    return period


Period = Annotated[str, Field(pattern=PERIOD_PATTERN), AfterValidator(_within_the_calendar)]


class Retention(_Value):
    """The length of history to keep, and the fate of older partitions."""

    keep: Period = Field(
        description="Length of the history to keep, counted back from the server's clock. A partition is retired once "
        "all of it is older."
    )
    action: Retire = Field(default=Retire.DROP, description="The fate of an old partition after it is detached.")
    grace: Period = Field(
        default="7 days",
        description="Time between detach and drop, in which the partition can be attached again. `0 days` drops it in "
        "the same run.",
    )
    archive_to: Annotated[Address, Field(pattern=r"^[a-z][a-z0-9+.-]*://.")] | None = Field(
        default=None,
        description="Object storage for action `archive`, such as `s3://aws_default@bucket/path`. `aws_default` is an "
        "Airflow connection; no password here.",
    )
    max_share: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="Largest share of the kept time to detach in one run. More stops retention until a run has a "
        "higher `approve_share`. One partition may always go, and so may all that fell due since the last run.",
    )
    hold: tuple[Hold, ...] = Field(
        default=(), description="Ranges of days to keep regardless of `keep`, for example for a legal case."
    )

    @model_validator(mode="after")
    def _an_archive_has_a_place(self) -> Self:
        if self.action is Retire.ARCHIVE and not self.archive_to:
            raise ValueError(
                "action archive needs archive_to, an object-storage URL such as s3://aws_default@bucket/path"
            )
        if self.action is not Retire.ARCHIVE and self.archive_to:
            raise ValueError(f"archive_to is for action archive; remove it for action {self.action}")
        return self

    def cutoff(self, now: pendulum.DateTime) -> pendulum.DateTime:
        """Return the end of the retired history: a partition goes once its upper bound is not after this."""
        return _back(now, self.keep)

    @property
    def keeps_months(self) -> bool:
        """Return True if the period is one of calendar months."""
        return self.keep.split()[1].rstrip("s") in ("month", "quarter", "year")

    def grace_is_over(self, since: pendulum.DateTime, now: pendulum.DateTime) -> bool:
        """Return True if a partition detached at ``since`` may be dropped."""
        return since <= _back(now, self.grace)

    def holds(self, lower: pendulum.DateTime, upper: pendulum.DateTime) -> list[Hold]:
        """Return the holds on any day of ``[lower, upper)``."""
        return [each for each in self.hold if each.covers(lower, upper)]


def _back(now: pendulum.DateTime, period: str) -> pendulum.DateTime:
    count, unit = period.split()
    unit = unit.rstrip("s")
    if unit == "quarter":
        return now.subtract(months=3 * int(count))
    return now.subtract(**{f"{unit}s": int(count)})


DEFAULT_QUERIES = (
    Query(
        name="last_7_days",
        sql="SELECT * FROM {table} WHERE {partition_by} >= {since} ORDER BY {partition_by} DESC LIMIT 100",
        since="now() - interval '7 days'",
    ),
    Query(
        name="last_30_days",
        sql="SELECT * FROM {table} WHERE {partition_by} >= {since} ORDER BY {partition_by} DESC LIMIT 1000",
        since="now() - interval '30 days'",
    ),
    Query(
        name="one_interval_count",
        sql="SELECT count(*) FROM {table} WHERE {partition_by} >= {interval_start} AND {partition_by} < {interval_end}",
        since="{interval_start}",
        until="{interval_end}",
        criterion=False,
    ),
)


# A week of hours may be most of the rows.
QUERIES_OF_HOURS = (
    Query(
        name="last_24_hours",
        sql="SELECT * FROM {table} WHERE {partition_by} >= {since} ORDER BY {partition_by} DESC LIMIT 100",
        since="now() - interval '24 hours'",
    ),
    Query(
        name="last_3_days",
        sql="SELECT * FROM {table} WHERE {partition_by} >= {since} ORDER BY {partition_by} DESC LIMIT 1000",
        since="now() - interval '3 days'",
    ),
    DEFAULT_QUERIES[-1],
)
NARROW_DAYS = Interval(Unit.HOUR, 6).days
# A read by id is fast before a migration too, so none of them is judged by its speed.
ID_QUERIES = (
    Query(
        name="one_range_rows",
        sql="SELECT * FROM {table} WHERE {partition_by} >= {since} AND {partition_by} < {until} "
        "ORDER BY {partition_by} LIMIT 1000",
        since="{interval_start}",
        until="{interval_end}",
        criterion=False,
    ),
    DEFAULT_QUERIES[-1],
)


def default_queries(interval: Interval) -> tuple[Query, ...]:
    """Return the queries of a spec without the key `queries`."""
    if interval.is_ids:
        return ID_QUERIES
    return QUERIES_OF_HOURS if interval.days < NARROW_DAYS else DEFAULT_QUERIES


def _by_interval(count: Callable[[Interval], int]) -> str:
    return ", ".join(f"{interval} {count(interval)}" for interval in INTERVALS if count(interval) <= MOST_PREMAKE)


def _interval(value: Any) -> Any:
    if isinstance(value, Interval):
        return value
    if isinstance(value, str | int):
        return Interval.parse(str(value))
    raise ValueError("write an interval such as `month`, `6 hours` or a number of ids")


Width = Annotated[
    Interval,
    BeforeValidator(_interval),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": INTERVAL_PATTERN},
                {"type": "integer", "minimum": LEAST_IDS, "maximum": MOST_IDS},
            ]
        }
    ),
]


def _is_schedule(text: str) -> str:
    if not Schedule(text).is_valid:
        raise ValueError(f"{text!r} is no schedule; write {', '.join(SCHEDULES)}, or a cron expression of five fields")
    return text


class TableSpec(_Value):
    """One table to migrate or to maintain. The name of its YAML file is the name of the spec."""

    table: str = Field(
        description="`table` or `schema.table`, exactly as in the catalog. Without a schema it is `public`. A name "
        'with a dot needs double quotes, such as `\'"my.schema"."my.table"\'`.'
    )
    partition_by: Annotated[str, AfterValidator(_fits)] = Field(
        description="Name of the partition column: NOT NULL, of type `timestamptz`, `timestamp` or `date`, or of "
        "another type with an `encoding`. With an `interval` of ids it is an `integer`, `bigint` or `numeric`. A "
        "primary key without it gains it."
    )
    encoding: Encoding | None = Field(
        default=None,
        description="The time in a partition column that is no timestamp. `null`: it is a timestamp or a date, or has "
        "ids without time.",
    )
    epoch: Annotated[datetime, AfterValidator(_in_utc)] | None = Field(
        default=None,
        description="With `encoding: snowflake`: the moment of the key 0, such as `2010-11-04T01:42:54.657Z`, or as "
        "milliseconds since 1970.",
    )
    shift: Annotated[int, Field(ge=0, le=30)] | None = Field(
        default=None,
        description=f"With `encoding: snowflake`: the number of bits below the time. `null`: {DEFAULT_SHIFT}.",
    )
    interval: Width = Field(
        default=Interval.MONTH,
        description="Width of a partition, at most a year. Narrower ones let retention drop less at a time, wider ones "
        "plan faster. Hours need the `timezone` UTC. A number such as `10000000` makes ranges of so many ids, "
        "for a table that only grows.",
    )
    timezone: Annotated[str, AfterValidator(_known_zone)] = Field(
        default="UTC",
        description="Time zone of the partition bounds, such as `Europe/Berlin`. It is pinned in every session, so "
        "bounds never depend on a client.",
    )
    premake: int = Field(
        default_factory=lambda given: default_premake(given.get("interval", Interval.MONTH)),
        ge=1,
        le=MOST_PREMAKE,
        description="Partitions to keep ahead of the current one. They must last until the run of maintenance after "
        f"next. Default: {_by_interval(default_premake)}, ids {IDS_AHEAD}. Least for "
        f"`maintain: monthly`: {_by_interval(MONTHLY.least_premake)}.",
    )
    maintain: Annotated[str, AfterValidator(_is_schedule)] | None = Field(
        default=None,
        description="Schedule of the table's maintenance in UTC: `hourly`, `daily`, `weekly`, `monthly`, or a cron "
        "expression of five fields. The DAG looks each hour. `null`: the rarest of these names for which `premake` "
        "suffices, with ranges of ids `hourly`.",
    )
    retention: Retention | None = Field(
        default=None, description="A period such as `24 months`, short for `keep`, or a mapping. `null` keeps all."
    )
    default_partition: DefaultPartition = Field(
        default=DefaultPartition.KEEP, description="The treatment of rows outside every bound."
    )
    since: date | None = Field(
        default=None,
        description="The partitions begin with the interval of this day, such as `2020-01-01`. Older rows share one "
        "first partition, named like `events_before`, which retention never retires. `null`: they begin with the "
        "oldest row. The `{since}` of a query is not this day.",
    )
    until: date | None = Field(
        default=None,
        description="Rows after the interval of this day, such as `2030-12-31`, need no partition: they are in the "
        "default one. `null`: the partitions reach to the newest row.",
    )
    throttle: Throttle = Field(default=Throttle(), description="Limits for the load of the server during a migration.")
    change_log_limit: Annotated[ByteSize, Field(gt=0)] | None = Field(
        default=None,
        description="Most bytes of keys in the change log, such as `20 GiB`. Beyond it the capture stops so as not to "
        "block the application, and the migration must start again. `null`: a quarter of the table, at least 1 GiB.",
    )
    max_lock: Annotated[timedelta, Field(gt=timedelta(0))] = Field(
        default=timedelta(seconds=1),
        description="Longest time for the cutover to hold its locks: seconds, or a duration such as `00:00:02`. Beyond "
        "it a rehearsal is a no-go, and a migration shows a warning.",
    )
    connection: str = Field(
        default="partition_playbook_db",
        pattern=r"^[A-Za-z0-9_.-]{1,250}$",
        description="Id of the Airflow connection to the table's database. It is an id, never a URL.",
    )
    approvers: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(),
        description="Ids of the Airflow users allowed to answer the questions of a run. Empty: every user with the "
        "right to answer in Airflow. Such an id is the user name in the simple auth manager, a number in FAB's.",
    )
    answer_within: Annotated[timedelta, Field(gt=timedelta(0))] = Field(
        default=timedelta(hours=1),
        description="Time for the answer to a gate's question about a waiver: seconds, or a duration such as "
        "`08:00:00`. Without an answer a run stops before the cutover. After it the partitioned table stays live, the "
        "run goes on, and it ends as a NO-GO.",
    )
    accept: tuple[Acceptance, ...] = Field(
        default=(), description="Checks whose risk you accept after you read their remedy. They warn, and stop no run."
    )
    distinct: tuple[str, ...] = Field(
        default=(),
        description="Columns whose distinct values are counted in each partition before and after. Empty: the columns "
        "of the foreign keys.",
    )
    queries: Annotated[tuple[Query, ...], AfterValidator(_distinct_names)] = Field(
        default_factory=lambda given: default_queries(given.get("interval", Interval.MONTH)),
        description="Reads to time before and after the migration, at least one of them with a range. Without this key "
        "three [default queries](#default-queries) apply. With ranges of ids two others apply.",
    )
    application: Application = Field(
        default=Application(), description="Reads of the application with unchanged answers."
    )
    synthetic: Synthetic = Field(
        default=Synthetic(), description="Rows to generate in a rehearsal with `synthetic_rows`."
    )
    pgbackrest: PgBackRest | None = Field(
        default=None, description="With the param `backup` = `external`, let pgBackRest prove the backup."
    )
    monitoring: Monitoring = Field(default=Monitoring(), description="Endpoints to request before a migration.")
    watch: Watch = Field(default=Watch(), description="The sources to watch for errors after the cutover.")

    @field_validator("table")
    @classmethod
    def _table_fits(cls, text: str) -> str:
        name = TableName.parse(text)
        _fits(name.schema)
        _fits(name.name)
        return text

    @field_validator("retention", mode="before")
    @classmethod
    def _retention_may_be_text(cls, value: Any) -> Any:
        return {"keep": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _hours_are_those_of_utc(self) -> Self:
        if self.interval.unit is Unit.HOUR and self.timezone != "UTC":
            raise ValueError(
                f"interval {self.interval} needs timezone UTC, because its partitions begin with hours of UTC; remove "
                "timezone, or write an interval of days"
            )
        return self

    @model_validator(mode="after")
    def _ids_have_no_time(self) -> Self:
        if not self.interval.is_ids:
            return self
        if self.encoding:
            raise ValueError(
                f"interval {self.interval} is a number of ids, and encoding {self.encoding} reads time from them; "
                "remove encoding, or write an interval of time such as `month`"
            )
        if self.retention:
            raise ValueError(
                "retention is by age, and ids carry no time; remove retention, and detach old ranges by hand with "
                "ALTER TABLE … DETACH PARTITION. If the ids carry time, set encoding and an interval of time"
            )
        timed = [key for key in ("since", "until") if getattr(self, key)]
        if timed or self.timezone != "UTC":
            keys = " and ".join([*timed, *(["timezone"] if self.timezone != "UTC" else [])])
            raise ValueError(f"{keys} have no meaning with interval {self.interval}: ids carry no time; remove {keys}")
        return self

    @model_validator(mode="after")
    def _epoch_belongs_to_a_snowflake(self) -> Self:
        is_snowflake = self.encoding is Encoding.SNOWFLAKE
        if is_snowflake and self.epoch is None:
            raise ValueError("encoding snowflake needs epoch, the moment of the key 0")
        if self.epoch is not None and not UNIX_EPOCH <= self.epoch < END:
            raise ValueError(f"epoch {self.epoch} is not between 1970 and 9999; write a moment, or milliseconds")
        if not is_snowflake and (self.epoch is not None or self.shift is not None):
            raise ValueError("epoch and shift are for encoding snowflake only; remove them")
        return self

    @model_validator(mode="after")
    def _outliers_have_a_place(self) -> Self:
        if self.until and self.default_partition is DefaultPartition.NONE:
            raise ValueError("until needs default_partition keep, because later rows are in the default partition")
        if self.since and self.until and self.until < self.since:
            raise ValueError(f"until {self.until} is before since {self.since}; correct one of them")
        return self

    @property
    def name(self) -> TableName:
        """Return the parsed name of the table."""
        return TableName.parse(self.table)

    @property
    def schedule(self) -> Schedule:
        """Return the schedule of the maintenance, by default the rarest one that the partitions ahead allow."""
        return Schedule(self.maintain) if self.maintain else rarest(self.interval, self.premake)

    @property
    def runway_remedy(self) -> str:
        """Return the ways to partitions that last until the run of maintenance after next."""
        least, suits = self.schedule.least_premake(self.interval), rarest(self.interval, self.premake)
        enough = f"Set `premake: {least}` or more in the spec, or " if least <= MOST_PREMAKE else "In the spec "
        return f"{enough}set `maintain: {suits}`"

    @property
    def first_moment(self) -> pendulum.DateTime | None:
        """Return the start of the interval of `since`; None without the key."""
        return self.interval.floor(in_zone(self.since, self.timezone)) if self.since else None

    @property
    def end_moment(self) -> pendulum.DateTime | None:
        """Return the end of the interval of `until`; None without the key."""
        if not self.until:
            return None
        return self.interval.shift(self.interval.floor(in_zone(self.until, self.timezone)), 1)

    @property
    def unexpected_in_default(self) -> sql.Composable:
        """Return the condition for rows of the default partition that `until` does not explain."""
        if not self.end_moment:
            return sql.SQL("true")
        return sql.SQL("({}) IS NOT TRUE").format(
            self.codec.inside(sql.Identifier(self.partition_by), self.end_moment, None)
        )

    def synthetic_start(self, end: pendulum.DateTime) -> pendulum.DateTime:
        """Return the start of the synthetic rows that reach to ``end``."""
        months, days = self.synthetic.months, self.synthetic.days
        if days:
            return end.subtract(days=days)
        start = end.subtract(months=months or YEAR_OF_MONTHS)
        if months or self.interval.unit is not Unit.HOUR:
            return start
        return max(start, end.subtract(days=int(MOST_HOURS_FILLED * self.interval.days)))

    @property
    def codec(self) -> Codec:
        """Return the way between moments and values of the partition column."""
        if self.interval.is_ids:
            return Codec.of_ids()
        if self.encoding is not Encoding.SNOWFLAKE:
            return Codec(self.timezone, self.encoding)
        shift = DEFAULT_SHIFT if self.shift is None else self.shift
        return Codec(self.timezone, self.encoding, self.epoch or UNIX_EPOCH, shift)


# The trigger form shows the params of a section together.
REHEARSAL = "Rehearsals only"
CRITERIA = "Criteria and report"


class RunParams(_Value):
    """The params of one run of `partition_migration`, as in its trigger form."""

    table: str = Field(
        default="sensor_readings", title="Table", description="The table spec: the name of a file in `include/tables`."
    )
    mode: Mode = Field(
        default=Mode.PLAN,
        title="Mode",
        description="**plan** prints every statement with its lock and changes nothing. **rehearse** is the staging "
        "run, rollback included. **migrate** is production: it generates and drops nothing, and a person approves the "
        "cutover and signs off the end.",
    )
    approvals: Approvals | None = Field(
        default=None,
        title="Approvals",
        description="**required** asks a person before each cutover, after a no-go open to a waiver, and at the end. "
        "**auto** asks nobody: a no-go rolls back. Empty: required in **migrate**, which refuses auto; else auto.",
        json_schema_extra={"values_display": {"null": "as the mode says"}},
    )
    accept_weaker_uniqueness: bool = Field(
        default=False,
        title="Accept weaker uniqueness",
        description="A key without the partition column gains it: `(id)` becomes `(id, recorded_at)`, and PostgreSQL "
        "no longer enforces unique values of `id` alone. Preflight lists these keys and stops until you accept.",
    )
    plan_hash: Annotated[str, Field(pattern=r"^([0-9a-f]{16})?$")] | None = Field(
        default=None,
        title="Reviewed plan",
        description="Hash of a reviewed plan, from the top of its `plan.sql`; empty for any plan. A run whose plan has "
        "another hash stops in preflight. It covers the playbook's and the server's version, the spec, the table's "
        "definition, and every statement with its lock. Number of rows, sizes and params do not matter.",
        json_schema_extra={"values_display": {"null": "any plan"}},
    )
    load_workers: int = Field(
        default=2,
        ge=1,
        le=MOST_LOAD_WORKERS,
        title="Load workers",
        description="Loads and comparisons at the same time, and jobs of the backup and its restore check. More finish "
        "sooner but take more CPU and disk from the application.",
    )
    backup: Backup = Field(
        default=Backup.DUMP,
        title="Backup",
        description="**dump**: pg_dump with a restore check. **external**: your own, under 24 hours old. **skip**: "
        "none; only in a rehearsal.",
        json_schema_extra={"section": "Backup"},
    )
    external_backup_at: str | None = Field(
        default=None,
        title="External backup taken at",
        description="Time of an **external** backup. Preflight stops if it is 24 hours old or older.",
        json_schema_extra={"format": "date-time", "section": "Backup"},
    )
    external_backup_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/@+=-]{0,299}$")] | None = Field(
        default=None,
        title="Id of the external backup",
        description="Id of the snapshot that you took, or the label of a backup of pgBackRest. Ledger and report keep "
        "it.",
        json_schema_extra={"section": "Backup"},
    )
    synthetic_rows: int = Field(
        default=0,
        ge=0,
        le=1_000_000_000,
        title="Synthetic rows",
        description="Number of rows to generate before the migration. 0 generates none.",
        json_schema_extra={"section": REHEARSAL},
    )
    allow_existing_rows: bool = Field(
        default=False,
        title="Generate into a filled table",
        description="Add the synthetic rows to a table with rows. Otherwise a table with rows stops the run.",
        json_schema_extra={"section": REHEARSAL},
    )
    seed: int = Field(
        default=42,
        title="Seed",
        description="Seed of the random values. The same seed generates the same rows, column defaults aside.",
        json_schema_extra={"section": REHEARSAL},
    )
    arrival: Arrival = Field(
        default=Arrival.RANDOM,
        title="Arrival order",
        description="Order of the synthetic rows in the table: **random**, like the playbook's generator, or by "
        "**time**, like real telemetry. Partitions speed up reads by time only after **random**.",
        json_schema_extra={"section": REHEARSAL},
    )
    leave: Leave = Field(
        default=Leave.PARTITIONED,
        title="Leave the table",
        description="The live table after a successful rehearsal: **partitioned**, or the **original** after the timed "
        "rollback.",
        json_schema_extra={"section": REHEARSAL},
    )
    min_speedup: float = Field(
        default=0.5,
        ge=0,
        lt=1,
        title="Least speedup",
        description="Share of its time that each query of the spec must save; 0.5 is half, 0 asks for no gain. Queries "
        "that execute under 5 ms are judged by pages instead, because planning dominates their time.",
        json_schema_extra={"section": CRITERIA},
    )
    max_rollback_minutes: float = Field(
        default=60,
        gt=0,
        title="Longest rollback",
        description="Longest time for the rehearsed rollback, in minutes. The default is the playbook's limit of an "
        "hour.",
        json_schema_extra={"section": CRITERIA},
    )
    watch_minutes: float | None = Field(
        default=None,
        ge=0,
        le=10_080,
        title="Watch for",
        description="Minutes to watch for errors after the cutover; 0 watches for none. Empty: 120 in **migrate**, "
        "else 0.",
        json_schema_extra={"section": CRITERIA},
    )
    production_rows: int = Field(
        default=0,
        ge=0,
        le=1_000_000_000_000_000,
        title="Rows in production",
        description="Number of rows for the estimate in the report. 0 takes the rows of this run.",
        json_schema_extra={"section": CRITERIA},
    )

    @model_validator(mode="after")
    def _production_is_careful(self) -> Self:
        if self.mode is not Mode.REHEARSE and self.synthetic_rows:
            raise ValueError("synthetic_rows is for mode rehearse only; set it to 0")
        if self.mode is Mode.MIGRATE and self.backup is Backup.SKIP:
            raise ValueError("backup skip is for mode rehearse only; choose dump or external")
        if self.mode is Mode.MIGRATE and self.approvals is Approvals.AUTO:
            raise ValueError("approvals auto is for mode rehearse only; leave it empty or choose required")
        if self.backup is Backup.EXTERNAL and not self.external_backup_at:
            raise ValueError("backup external needs external_backup_at, the time of the backup")
        if self.external_backup_id and self.backup is not Backup.EXTERNAL:
            raise ValueError("external_backup_id is for backup external only; leave it empty")
        if self.external_backup_at:
            pendulum.parse(self.external_backup_at)
        return self

    @property
    def watched_minutes(self) -> float:
        """Return the minutes to watch after the cutover; by default the playbook's two hours in production."""
        if self.watch_minutes is None:
            return 120 if self.mode is Mode.MIGRATE else 0
        return self.watch_minutes

    @property
    def asks_people(self) -> bool:
        """Return True if the run waits for a person's decisions."""
        return self.mode is Mode.MIGRATE or self.approvals is Approvals.REQUIRED


def tables_folder() -> Path:
    """Return the folder of the table specs: ``PARTITION_PLAYBOOK_TABLES``, by default ``include/tables``."""
    return Path(os.environ.get(TABLES_VARIABLE) or DEFAULT_TABLES)


def spec_path(name: str) -> Path:
    """Return the file of a spec."""
    return tables_folder() / f"{name}{SUFFIX}"


def spec_names() -> list[str]:
    """Return the names of the specs without reading them."""
    return sorted(path.stem for path in tables_folder().glob("*.yaml"))


def misnamed(folder: Path) -> list[Path]:
    """Return the files of a folder that look like table specs and are not read, because of their ending."""
    return sorted(path for path in folder.glob("*.[yY]*[lL]") if path.suffix.lower() in ENDINGS and not _is_read(path))


def _is_read(path: Path) -> bool:
    return path.suffix == SUFFIX


def require_folder() -> Path:
    """Return the folder of the table specs; InvalidSpec if it does not exist."""
    folder = tables_folder()
    if not folder.is_dir():
        raise InvalidSpec(
            "there is no such folder of table specs",
            where=str(folder),
            remedy=f"Create it, or set the environment variable {TABLES_VARIABLE} to the folder with your specs",
        )
    return folder


def load_spec(name: str, *, standing: bool = False) -> TableSpec:
    """Read and validate one spec by its name; InvalidSpec names the file, the line, the key and the fix.

    A spec with too few partitions ahead, absurd limits or probes without the table is refused, and so are two specs of
    one table. A ``standing`` one is not: maintenance, rollback and the console go on, and the check `runway` is red.
    """
    if name not in spec_names():
        raise _no_spec(name)
    path = spec_path(name)
    spec = read_spec(path, standing=standing)
    if not standing:
        require_single(path, spec)
    return spec


def _no_spec(name: str) -> InvalidSpec:
    folder = require_folder()
    known = spec_names()
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    remedy = f"Add a YAML file of this name, or name an existing spec: {', '.join(known) or 'none yet'}"
    if wrong := next((path for path in misnamed(folder) if path.stem == name), None):
        hint, remedy = f", only {wrong.name}, which is not read", f"Rename it: mv {wrong} {wrong.with_suffix(SUFFIX)}"
    return InvalidSpec(f"there is no table spec {name!r}{hint}", where=str(folder), remedy=remedy)


def read_spec(path: Path, *, standing: bool = False) -> TableSpec:
    """Read and validate the spec in a file, as ``load_spec`` does."""
    if not _is_read(path):
        raise InvalidSpec(
            f"a table spec has the ending {SUFFIX}",
            where=str(path),
            remedy=f"Rename it: mv {path} {path.with_suffix(SUFFIX)}",
        )
    found = read_document(path)
    spec = validated(TableSpec, found.content, where=str(path), lines=found.lines)
    if not standing:
        require_runway(spec, where=str(path))
        require_plausible(spec, where=str(path), lines=found.lines)
    return spec


def require_runway(spec: TableSpec, *, where: str) -> None:
    """Raise InvalidSpec if the partitions ahead end before the run of maintenance after next."""
    schedule = spec.schedule
    if spec.premake < schedule.least_premake(spec.interval):
        raise InvalidSpec(
            f"key 'premake': {figures.count(spec.premake, spec.interval.noun)} ahead can end before the run of "
            f"partition_maintenance after next, up to {figures.seconds(schedule.reach.total_seconds())} later with "
            f"`maintain: {schedule}`",
            where=where,
            remedy=spec.runway_remedy,
        )


def require_plausible(spec: TableSpec, *, where: str, lines: Mapping[Location, int] | None = None) -> None:
    """Raise InvalidSpec for an ambiguous name, SQL that does not name the table, and limits that stop every run.

    A spec in the ledger is not asked: its run must end.
    """
    found = [*_ambiguous_name(spec), *_without_table(spec), *_absurd_limits(spec)]
    if found:
        told = tell(found, lines or {})
        raise InvalidSpec(told, where=where, remedy=f"Correct this; {REFERENCE}")


def _ambiguous_name(spec: TableSpec) -> Iterator[Problem]:
    if '"' in spec.table and not is_quoted(spec.table):
        yield Problem(("table",), f"key 'table': the quotes in {spec.table} do not fit; {QUOTED_NAME}")
    elif '"' not in spec.table and spec.table.count(".") > 1:
        yield Problem(("table",), f"key 'table': {spec.table} has more than one dot; {QUOTED_NAME}")


def _without_table(spec: TableSpec) -> Iterator[Problem]:
    for number, probe in enumerate(spec.application.probes):
        if "{table}" not in probe.sql:
            place = ("application", "probes", number, "sql")
            yield Problem(place, f"probe {probe.name} does not read the table; write {{table}} in place of its name")

    for number, query in enumerate(spec.queries):
        if "{table}" not in query.sql and spec.name.name not in query.sql:
            told = f"query {query.name} does not name the table; write {{table}} in place of its name"
            yield Problem(("queries", number, "sql"), f"{told}, or name it in a comment if the query reads a view")


def _absurd_limits(spec: TableSpec) -> Iterator[Problem]:
    limit, lag = spec.change_log_limit, spec.throttle.max_replica_lag
    if limit is not None and limit < LEAST_CHANGE_LOG:
        yield Problem(
            ("change_log_limit",),
            f"key 'change_log_limit': a log of {figures.size(limit)} is full at once; write at least "
            f"{figures.size(LEAST_CHANGE_LOG)}, such as `20 GiB`, or remove the key",
        )
    if not LEAST_LOCK <= spec.max_lock <= MOST_LOCK:
        yield _seconds(("max_lock",), spec.max_lock, f"from {_span(LEAST_LOCK)} to {_span(MOST_LOCK)}")
    if spec.answer_within < LEAST_ANSWER:
        yield _seconds(("answer_within",), spec.answer_within, f"at least {_span(LEAST_ANSWER)}")
    if lag is not None and lag < LEAST_LAG:
        yield _seconds(("throttle", "max_replica_lag"), lag, f"at least {_span(LEAST_LAG)}")


def _seconds(place: Location, given: timedelta, wanted: str) -> Problem:
    told = f"key {named(place)!r}: {_span(given)} is out of range; write {wanted}, and a plain number in seconds"
    return Problem(place, told)


def _span(length: timedelta) -> str:
    return figures.seconds(length.total_seconds())


def require_single(path: Path, spec: TableSpec) -> None:
    """Raise InvalidSpec if another file of the folder describes the same table of the same connection."""
    for other in sorted(path.parent.glob(f"*{SUFFIX}")):
        if other.name != path.name and _described(other) == (spec.connection, spec.name):
            raise InvalidSpec(
                f"{other.name} describes the same table, {spec.name} behind the connection {spec.connection}",
                where=str(path),
                remedy="Keep one of the two files: maintenance would apply the retention of both",
            )


def _described(path: Path) -> tuple[str, TableName] | None:
    """Return connection and table of a spec; None for one that is not valid, which is refused by itself."""
    try:
        spec = read_spec(path, standing=True)
    except InvalidSpec:
        return None
    return spec.connection, spec.name


def validated(model: type[Model], content: object, *, where: str, lines: Mapping[Location, int] | None = None) -> Model:
    """Build a model; InvalidSpec lists every wrong key with its line, and the valid keys beside an unknown one."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = problems_of(model, error.errors())
        told = tell(found, lines or {})
        keys = dict.fromkeys(each.keys for each in found if each.keys)
        raise InvalidSpec(told, where=where, remedy=". ".join(keys) or f"Correct this; {REFERENCE}") from error
