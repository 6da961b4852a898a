"""What one run of ``partition_maintenance`` was asked to do; the trigger form shows these."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Self

from pendulum import DateTime
from pydantic import BaseModel, ConfigDict, Field, model_validator

from partition_playbook.intervals import in_zone
from partition_playbook.spec import Period, Retention

ALL_TABLES = "all"


class RetentionMode(StrEnum):
    """What happens to partitions that are too old."""

    APPLY = "apply"
    DRY_RUN = "dry_run"
    OFF = "off"


class MaintenanceParams(BaseModel):
    """What to maintain and how; the schedule uses the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str = Field(ALL_TABLES, title="Table", description="One table spec, or `all` of them.")
    dry_run: bool = Field(
        False, title="Dry run", description="Log every action with its reason and its lock; do nothing."
    )
    premake: int | None = Field(
        None, ge=0, le=120, title="Partitions ahead", description="Empty for what each spec says in `premake`."
    )
    retention: RetentionMode = Field(
        RetentionMode.APPLY,
        title="Retention",
        description="**apply**: detach what is too old, and after its grace period drop it as the spec says, or "
        "archive and drop it. **dry_run**: only name it. **off**: keep all.",
    )
    keep: Period | None = Field(
        None,
        title="Keep",
        description="Dry runs of retention only: try another period than the spec's, such as `12 months`.",
    )
    as_of: datetime | None = Field(
        None,
        title="As of",
        description="Plan as if it were then, such as `2027-01-01T00:00:00Z`; empty for the server's clock. For a "
        "moment that has not come, partitions are created and none is retired.",
    )
    approve_share: float | None = Field(
        None,
        ge=0,
        le=1,
        title="Approved share",
        description="Only for a person's manual run. Retention stops where it would detach more of the partitions at "
        "once than the spec's `max_share`; `0.5` lets this run detach half of them.",
    )
    max_moved_rows: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        title="Most rows moved",
        description="So few rows of a new partition that wait in the default one are moved while the table is locked: "
        "about 100 ms for 10,000. More are copied while the application goes on, and the lock takes milliseconds.",
    )

    def applied(self, retention: Retention | None) -> Retention | None:
        """Return the retention of this run: the spec's, with the period to try and the share that was approved."""
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
        """Return the moment to plan for; None for the server's clock. One without a zone is in UTC."""
        return in_zone(self.as_of, "UTC") if self.as_of else None

    @property
    def is_real(self) -> bool:
        """Tell whether the run does what it finds to do, and for now."""
        return not self.dry_run and self.as_of is None

    @model_validator(mode="after")
    def _what_is_risky_is_asked_for_by_name(self) -> Self:
        if self.keep and self.retention is RetentionMode.APPLY and not self.dry_run:
            raise ValueError("keep is for dry runs of retention only; change `retention` in the spec to apply it")
        if self.approve_share is not None and self.table == ALL_TABLES:
            raise ValueError("approve_share is for one table; name it in `table`")
        return self
