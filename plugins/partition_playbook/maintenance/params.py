"""The params of ``partition_maintenance``, as in its trigger form."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pendulum import DateTime
from pydantic import BaseModel, ConfigDict, Field, model_validator

from partition_playbook.choices import Choice
from partition_playbook.intervals import in_zone
from partition_playbook.spec import Period, Retention

ALL_TABLES = "all"


class RetentionMode(Choice):
    """The extent of retention in one run."""

    APPLY = "apply", "Detach old partitions; after their grace period archive or drop them, as the spec says."
    DRY_RUN = "dry_run", "Only list the partitions to retire."
    OFF = "off", "Retire nothing."


class MaintenanceParams(BaseModel):
    """The params of one run of `partition_maintenance`, as in its trigger form. Scheduled runs use the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str = Field(
        default=ALL_TABLES, title="Table", description="The name of one table spec, or `all` for every spec."
    )
    dry_run: bool = Field(
        default=False,
        title="Dry run",
        description="Log every action with its reason and its lock, and change nothing.",
    )
    premake: int | None = Field(
        default=None,
        ge=0,
        le=120,
        title="Partitions ahead",
        description="Partitions to keep ahead of the current one. Empty: `premake` of each spec.",
    )
    retention: RetentionMode = Field(
        default=RetentionMode.APPLY,
        title="Retention",
        description="**apply**: detach old partitions; after their grace period archive or drop them, as the spec "
        "says. **dry_run**: only list them. **off**: retire nothing.",
    )
    keep: Period | None = Field(
        default=None,
        title="Keep",
        description="A period to try instead of the spec's, such as `12 months`. Only for dry runs.",
    )
    as_of: datetime | None = Field(
        default=None,
        title="As of",
        description="Plan for this moment, such as `2027-01-01T00:00:00Z`. Empty: the server's clock. For a future "
        "moment partitions are created but none is retired.",
    )
    approve_share: float | None = Field(
        default=None,
        ge=0,
        le=1,
        title="Approved share",
        description="`0.5` lets this run detach up to half of one table's kept time, above `max_share` of the spec. "
        "Only for a manual run, after a look at the dry run.",
    )
    max_moved_rows: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        title="Most rows moved",
        description="Most rows to move out of the default partition for a new one while the table is locked: about 100 "
        "ms for 10,000. More rows are copied without a long lock instead.",
    )
    merge: Period | None = Field(
        default=None,
        title="Merge",
        description="`3 months` merges the narrower partitions of an earlier interval into those of the spec's, once "
        "they ended 3 months ago or more. Empty: merge none. Only for one table.",
    )

    def merge_before(self, clock: DateTime) -> DateTime | None:
        """Return the moment up to which partitions are merged; None to merge none."""
        return Retention(keep=self.merge).cutoff(min(clock, self.moment or clock)) if self.merge else None

    def applied(self, retention: Retention | None) -> Retention | None:
        """Return the retention of this run: the spec's, with this run's `keep` and `approve_share`; None for off."""
        if self.retention is RetentionMode.OFF:
            return None
        if self.keep:
            retention = (retention or Retention(keep=self.keep)).model_copy(update={"keep": self.keep})
        if retention and self.approve_share is not None:
            share = max(retention.max_share, self.approve_share)
            retention = retention.model_copy(update={"max_share": share})
        return retention

    @property
    def moment(self) -> DateTime | None:
        """Return the moment to plan for; None for the server's clock. A moment without a zone is in UTC."""
        return in_zone(self.as_of, "UTC") if self.as_of else None

    @property
    def is_real(self) -> bool:
        """Return True if the run acts, and on the server's clock."""
        return not self.dry_run and self.as_of is None

    @model_validator(mode="after")
    def _risks_are_explicit(self) -> Self:
        if self.keep and self.retention is RetentionMode.APPLY and not self.dry_run:
            raise ValueError(
                "keep is for dry runs only; set retention to dry_run, or change `retention` in the spec to apply it"
            )
        if self.approve_share is not None and self.table == ALL_TABLES:
            raise ValueError("approve_share is for one table only; name it in `table`")
        if self.merge and self.table == ALL_TABLES:
            raise ValueError("merge is for one table only; name it in `table`")
        return self
