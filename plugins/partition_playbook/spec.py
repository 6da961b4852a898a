"""The table spec and a run's params: what may be asked for, checked before anything is touched."""

from __future__ import annotations

import os
import re
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import pendulum
import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from partition_playbook.errors import InvalidSpec
from partition_playbook.intervals import Interval
from partition_playbook.names import MAX_BYTES, TableName

TABLES_VARIABLE = "PARTITION_PLAYBOOK_TABLES"
DEFAULT_TABLES = Path(__file__).resolve().parents[2] / "include" / "tables"
MAX_SPEC_BYTES = 65_536
# The name alone may be that of an Airflow connection: s3://aws_default@bucket.
_SECRET = re.compile(r"//[^/?#@]*:[^/?#]*@")
Model = TypeVar("Model", bound=BaseModel)


class Mode(StrEnum):
    """What a run may do."""

    PLAN = "plan"
    REHEARSE = "rehearse"
    MIGRATE = "migrate"


class Arrival(StrEnum):
    """The order in which synthetic rows reach the heap."""

    RANDOM = "random"
    TIME = "time"


class Backup(StrEnum):
    """Who makes the backup."""

    DUMP = "dump"
    EXTERNAL = "external"
    SKIP = "skip"


class Leave(StrEnum):
    """How a successful rehearsal ends."""

    PARTITIONED = "partitioned"
    ORIGINAL = "original"


class Approvals(StrEnum):
    """Whether a person is asked at the cutover, at a no-go that may be waived, and at the end."""

    REQUIRED = "required"
    AUTO = "auto"


class DefaultPartition(StrEnum):
    """Whether rows outside every bound are kept or refused."""

    KEEP = "keep"
    NONE = "none"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


def _fits(name: str) -> str:
    if not name or len(name.encode()) > MAX_BYTES:
        raise ValueError(f"a name has 1 to {MAX_BYTES} bytes, {name!r} has {len(name.encode())}")
    return name


def _known_zone(name: str) -> str:
    try:
        pendulum.timezone(name)
    except Exception as error:
        raise ValueError(f"{name!r} is not a time zone; use a name such as UTC or Europe/Berlin") from error
    return name


def _distinct_names(named: tuple[Named, ...]) -> tuple[Named, ...]:
    if len({each.name for each in named}) < len(named):
        raise ValueError("two have the same name")
    return named


def _without_secret(address: str) -> str:
    if _SECRET.search(address):
        raise ValueError("an address holds no password: the spec is stored in the ledger, where others read it")
    return address


Address = Annotated[str, AfterValidator(_without_secret)]


class Query(_Value):
    """A read that the migration must make faster, and the range of time that it covers.

    ``{table}``, ``{partition_by}``, ``{interval_start}`` and ``{interval_end}`` stand in the SQL for the table, its
    partition column and the bounds of one whole past interval. ``since`` and ``until`` are SQL expressions; an absent
    one is open.
    """

    name: str
    sql: str
    since: str | None = None
    until: str | None = None
    criterion: bool = True


class Probe(_Value):
    """A statement of the application: its result must not change and it must answer in time."""

    name: str
    sql: str
    max_seconds: float = Field(2.0, gt=0, le=3600)


class HttpProbe(_Value):
    """A GET request to the application."""

    name: str
    path: str
    max_seconds: float = Field(2.0, gt=0, le=3600)
    expect_status: int = 200


Named = TypeVar("Named", Query, Probe, HttpProbe)


class Application(_Value):
    """What proves that the application works."""

    probes: Annotated[tuple[Probe, ...], AfterValidator(_distinct_names)] = ()
    base_url: Address | None = None
    http_probes: Annotated[tuple[HttpProbe, ...], AfterValidator(_distinct_names)] = ()

    @model_validator(mode="after")
    def _http_needs_a_base(self) -> Self:
        if self.http_probes and not self.base_url:
            raise ValueError("http_probes need base_url")
        return self


class Synthetic(_Value):
    """How data_preparation fills each column: SQL expressions; ``{moment}`` is the row's partition value.

    Columns with a foreign key are filled from the first ``parents`` rows of the table they refer to.
    """

    values: dict[str, str] = {}
    parents: Annotated[int, Field(ge=1)] = 50
    months: Annotated[int, Field(ge=1, le=120)] = 12


class Monitoring(_Value):
    """Endpoints that must answer before a migration: dashboards, alert rules."""

    endpoints: dict[str, Address] = {}


class Retire(StrEnum):
    """What becomes of a partition that is too old, after it was detached."""

    DROP = "drop"
    DETACH = "detach"
    ARCHIVE = "archive"


class Hold(_Value):
    """Days whose partitions are never retired, both ends included; an absent end is open."""

    since: date | None = None
    until: date | None = None
    reason: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.since and self.until and self.until < self.since:
            raise ValueError("until lies before since")
        return self

    def covers(self, lower: pendulum.DateTime, upper: pendulum.DateTime) -> bool:
        """Tell whether any day of ``[lower, upper)`` is held, in the zone of these bounds."""
        last = upper.subtract(microseconds=1).date()
        return (self.since or last) <= last and (self.until is None or self.until >= lower.date())


class Throttle(_Value):
    """How busy the server may be before a migration waits; null is no such limit."""

    max_replica_lag: Annotated[timedelta, Field(gt=timedelta(0))] | None = timedelta(minutes=1)
    max_active_connections: Annotated[float, Field(gt=0)] | None = 0.9
    max_running: Annotated[int, Field(ge=0)] | None = None

    def most_connections(self, possible: int) -> float | None:
        """Return how many connections there may be: a number up to 1 is a share of those that are possible."""
        given = self.max_active_connections
        return given * possible if given is not None and given <= 1 else given

    def __str__(self) -> str:
        lag = self.max_replica_lag
        limits = {
            "replica lag": f"{lag.total_seconds():g} s" if lag else None,
            "connections": f"{self.max_active_connections:g}" if self.max_active_connections else None,
            "running sessions": self.max_running,
        }
        return ", ".join(f"{name} up to {most}" for name, most in limits.items() if most is not None) or "no limit"


def _within_the_calendar(period: str) -> str:
    try:
        _back(pendulum.now("UTC"), period)
    except (ValueError, OverflowError) as error:
        raise ValueError("so long ago no calendar of ours began") from error
    return period


Period = Annotated[
    str, Field(pattern=r"^[0-9]+ (day|week|month|quarter|year)s?$"), AfterValidator(_within_the_calendar)
]


class Retention(_Value):
    """How much history is kept, and what becomes of the rest."""

    keep: Period
    action: Retire = Retire.DROP
    grace: Period = "7 days"
    archive_to: Annotated[Address, Field(pattern=r"^[a-z][a-z0-9+.-]*://.")] | None = None
    max_share: Annotated[float, Field(ge=0, le=1)] = 0.25
    hold: tuple[Hold, ...] = ()

    @model_validator(mode="after")
    def _an_archive_has_a_place(self) -> Self:
        if self.action is Retire.ARCHIVE and not self.archive_to:
            raise ValueError(
                "action archive needs archive_to, an object-storage URL such as s3://aws_default@bucket/path"
            )
        if self.action is not Retire.ARCHIVE and self.archive_to:
            raise ValueError(f"archive_to is for action archive, not {self.action}")
        return self

    def cutoff(self, now: pendulum.DateTime) -> pendulum.DateTime:
        """Return the moment before which whole partitions may go."""
        return _back(now, self.keep)

    def grace_is_over(self, since: pendulum.DateTime, now: pendulum.DateTime) -> bool:
        """Tell whether what was detached then has stood long enough to be dropped."""
        return since <= _back(now, self.grace)

    def holds(self, lower: pendulum.DateTime, upper: pendulum.DateTime) -> list[Hold]:
        """Return what holds any moment of a partition."""
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
        sql="SELECT * FROM {table} WHERE {partition_by} >= now() - interval '7 days' "
        "ORDER BY {partition_by} DESC LIMIT 100",
        since="now() - interval '7 days'",
    ),
    Query(
        name="last_30_days",
        sql="SELECT * FROM {table} WHERE {partition_by} >= now() - interval '30 days' "
        "ORDER BY {partition_by} DESC LIMIT 1000",
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


class TableSpec(_Value):
    """One table that the playbook knows: one YAML file."""

    table: str
    partition_by: Annotated[str, AfterValidator(_fits)]
    interval: Interval = Interval.MONTH
    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    premake: int = Field(3, ge=1, le=120)
    retention: Retention | None = None
    default_partition: DefaultPartition = DefaultPartition.KEEP
    throttle: Throttle = Throttle()
    change_log_limit: Annotated[ByteSize, Field(gt=0)] | None = None
    connection: str = Field("partition_playbook_db", pattern=r"^[A-Za-z0-9_.-]{1,250}$")
    approvers: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    distinct: tuple[str, ...] = ()
    queries: Annotated[tuple[Query, ...], AfterValidator(_distinct_names)] = DEFAULT_QUERIES
    application: Application = Application()
    synthetic: Synthetic = Synthetic()
    monitoring: Monitoring = Monitoring()

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

    @property
    def name(self) -> TableName:
        """Return the table's name."""
        return TableName.parse(self.table)


# The trigger form shows the params of a section together.
REHEARSAL = "Rehearsals only"
CRITERIA = "Criteria and report"


class RunParams(_Value):
    """What one run of ``partition_migration`` was asked to do; the trigger form shows these."""

    table: str = Field("sensor_readings", title="Table", description="The table spec: a file in `include/tables`.")
    mode: Mode = Field(
        Mode.PLAN,
        title="Mode",
        description="**plan** prints every statement with its lock and changes nothing. **rehearse** is the staging "
        "run, rollback included. **migrate** is production: nothing generated or dropped, a person approves the "
        "cutover and signs off the end.",
    )
    approvals: Approvals | None = Field(
        None,
        title="Approvals",
        description="**required** asks a person before the cutover, after a no-go that may be waived, and at the end. "
        "**auto** asks nobody: a no-go rolls back. Empty: required in **migrate**, which refuses auto, else auto.",
        json_schema_extra={"values_display": {"null": "as the mode says"}},
    )
    accept_weaker_uniqueness: bool = Field(
        False,
        title="Accept weaker uniqueness",
        description="A key that lacks the partition column gains it: `(id)` becomes `(id, recorded_at)`, and `id` "
        "alone is no longer unique by force. Preflight names each such key; nothing is migrated before you accept.",
    )
    load_workers: int = Field(
        2, ge=1, le=32, title="Load workers", description="Partitions that are loaded at the same time."
    )
    backup: Backup = Field(
        Backup.DUMP,
        title="Backup",
        description="**dump**: pg_dump with a restore check. **external**: yours, under 24 hours old. "
        "**skip**: none, in a rehearsal only.",
        json_schema_extra={"section": "Backup"},
    )
    external_backup_at: str | None = Field(
        None,
        title="External backup taken at",
        description="Needed with an **external** backup, and checked to be under 24 hours old.",
        json_schema_extra={"format": "date-time", "section": "Backup"},
    )
    synthetic_rows: int = Field(
        0,
        ge=0,
        le=1_000_000_000,
        title="Synthetic rows",
        description="Rows to generate; 0 for none.",
        json_schema_extra={"section": REHEARSAL},
    )
    allow_existing_rows: bool = Field(
        False,
        title="Generate into a filled table",
        description="Add synthetic rows to the rows that are there already.",
        json_schema_extra={"section": REHEARSAL},
    )
    seed: int = Field(
        42,
        title="Seed",
        description="The same seed generates the same rows.",
        json_schema_extra={"section": REHEARSAL},
    )
    arrival: Arrival = Field(
        Arrival.RANDOM,
        title="Arrival order",
        description="In which order the rows lie in the table: **random**, as the playbook's generator leaves them, or "
        "by **time**, as real telemetry does.",
        json_schema_extra={"section": REHEARSAL},
    )
    leave: Leave = Field(
        Leave.PARTITIONED,
        title="Leave the table",
        description="How a rehearsal that went well ends.",
        json_schema_extra={"section": REHEARSAL},
    )
    min_speedup: float = Field(
        0.5,
        ge=0,
        lt=1,
        title="Least speedup",
        description="0.5 asks each query of the spec to take half its time or less; where all of it comes from memory, "
        "half its pages.",
        json_schema_extra={"section": CRITERIA},
    )
    max_rollback_minutes: float = Field(
        60,
        gt=0,
        title="Longest rollback",
        description="Minutes; the playbook's limit is an hour.",
        json_schema_extra={"section": CRITERIA},
    )
    production_rows: int = Field(
        0,
        ge=0,
        le=1_000_000_000_000_000,
        title="Rows in production",
        description="For the estimate in the report; 0 for the rows of this run.",
        json_schema_extra={"section": CRITERIA},
    )

    @model_validator(mode="after")
    def _production_is_careful(self) -> Self:
        if self.mode is not Mode.REHEARSE and self.synthetic_rows:
            raise ValueError("synthetic_rows are for mode rehearse only; set it to 0")
        if self.mode is Mode.MIGRATE and self.backup is Backup.SKIP:
            raise ValueError("backup skip is for mode rehearse only; choose dump or external")
        if self.mode is Mode.MIGRATE and self.approvals is Approvals.AUTO:
            raise ValueError("approvals auto is for mode rehearse only; leave it empty or choose required")
        if self.backup is Backup.EXTERNAL and not self.external_backup_at:
            raise ValueError("backup external needs external_backup_at")
        if self.external_backup_at:
            pendulum.parse(self.external_backup_at)
        return self

    @property
    def asks_people(self) -> bool:
        """Tell whether the run waits for a person where one has to decide."""
        return self.mode is Mode.MIGRATE or self.approvals is Approvals.REQUIRED


class _SpecLoader(yaml.SafeLoader):
    """YAML without what hides or multiplies its content: aliases, keys given twice, characters that no text has."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse an alias: a few lines of them expand to more than any memory holds."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias (*) is not for a spec: write out what it stands for")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that is given twice: the first would be forgotten without a word."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise yaml.MarkedYAMLError(problem=f"key {twice[0]!r} is given twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> str:
        """Refuse what neither PostgreSQL nor UTF-8 can hold."""
        text = str(super().construct_scalar(node))
        if unfit := re.search("[\0\ud800-\udfff]", text):
            raise yaml.MarkedYAMLError(problem=f"the character {unfit[0]!r}", problem_mark=node.start_mark)
        return text


def tables_folder() -> Path:
    """Return the folder of the table specs."""
    return Path(os.environ.get(TABLES_VARIABLE) or DEFAULT_TABLES)


def spec_names() -> list[str]:
    """Return the names of the specs, without reading them."""
    return sorted(path.stem for path in tables_folder().glob("*.yaml"))


def load_spec(name: str) -> TableSpec:
    """Read and validate one spec; InvalidSpec names the file, the key and the fix."""
    if name not in spec_names():
        known = ", ".join(spec_names()) or "none"
        raise InvalidSpec(f"there is no table spec {name!r}", where=str(tables_folder()), remedy=f"Known: {known}")
    path = tables_folder() / f"{name}.yaml"
    return validated(TableSpec, _read(path), where=str(path))


def _read(path: Path) -> object:
    if not path.is_file():
        raise InvalidSpec("not a file", where=str(path), remedy="A table spec is a page of text")
    if path.stat().st_size > MAX_SPEC_BYTES:
        raise InvalidSpec(
            f"larger than {MAX_SPEC_BYTES} bytes", where=str(path), remedy="A table spec is a page of text"
        )
    try:
        return yaml.load(path.read_text("utf-8"), _SpecLoader)  # a SafeLoader
    except Exception as error:  # PyYAML lets through whatever int() and datetime() raise
        remedy = "Write plain YAML: each key once, nothing by reference"
        raise InvalidSpec(f"not YAML: {error or type(error).__name__}", where=str(path), remedy=remedy) from None


def validated(model: type[Model], content: object, *, where: str) -> Model:
    """Build a model or raise InvalidSpec, which names every wrong key and its fix."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(_describe(model, each) for each in error.errors())
        raise InvalidSpec(problems, where=where, remedy=f"Keys: {', '.join(model.model_fields)}") from error


def _describe(model: type[BaseModel], error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"]) or model.__name__
    if error["type"] == "extra_forbidden":
        return f"key {key!r} is unknown"
    if error["type"] == "missing":
        return f"key {key!r} is missing"
    return f"key {key!r}: {error['msg'].removeprefix('Value error, ')} (given: {_shown(error['input'])})"


def _shown(value: object) -> str:
    """Return a value in short, without the password of an address; of what has parts only what it is."""
    if isinstance(value, str):
        return repr(_SECRET.sub("//...@", value)[:80])
    plain = value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**18)
    return repr(value) if plain else f"a {type(value).__name__}"
