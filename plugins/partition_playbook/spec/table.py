"""The table spec: one table to migrate or to maintain."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Self

import pendulum
from psycopg import sql
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ByteSize,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from partition_playbook import figures
from partition_playbook.choices import Choice
from partition_playbook.codecs import DEFAULT_SHIFT, END, UNIX_EPOCH, Codec, Encoding
from partition_playbook.intervals import INTERVAL_PATTERN, INTERVALS, LEAST_IDS, MOST_IDS, Interval, Unit, in_zone
from partition_playbook.names import MAX_BYTES, TableName
from partition_playbook.runway import IDS_AHEAD, MONTHLY, MOST_PREMAKE, SCHEDULES, Schedule, default_premake, rarest
from partition_playbook.spec.application import Application
from partition_playbook.spec.model import SpecModel, distinct_names
from partition_playbook.spec.monitoring import Monitoring, PgBackRest
from partition_playbook.spec.queries import Query, default_queries
from partition_playbook.spec.retention import Retention
from partition_playbook.spec.synthetic import MOST_HOURS_FILLED, YEAR_OF_MONTHS, Synthetic
from partition_playbook.spec.throttle import Throttle
from partition_playbook.spec.watch import Watch


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


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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


class TableSpec(SpecModel):
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
    queries: Annotated[tuple[Query, ...], AfterValidator(distinct_names)] = Field(
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
