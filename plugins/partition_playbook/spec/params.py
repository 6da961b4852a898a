"""The params of a migration."""

from __future__ import annotations

from typing import Annotated, Self

import pendulum
from pydantic import Field, model_validator

from partition_playbook.choices import Choice
from partition_playbook.spec.model import SpecModel

MOST_LOAD_WORKERS = 32
# The trigger form shows the params of a section together.
REHEARSAL = "Rehearsals only"
CRITERIA = "Criteria and report"


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


class RunParams(SpecModel):
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
