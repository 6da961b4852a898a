"""The length of history to keep, and the fate of older partitions."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Self

import pendulum
from pydantic import AfterValidator, Field, model_validator

from partition_playbook.choices import Choice
from partition_playbook.spec.model import Address, SpecModel
from partition_playbook.spec.problems import PERIOD_PATTERN


class Retire(Choice):
    """The fate of an old partition after it is detached."""

    DROP = "drop", "It stays a table of its own for the grace period, then it is dropped."
    DETACH = "detach", "It stays a table of its own for ever, even if the spec changes later."
    ARCHIVE = (
        "archive",
        "It is written to object storage, stays for the grace period, is compared with its archive, and is dropped.",
    )


class Hold(SpecModel):
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


def _within_the_calendar(period: str) -> str:
    try:
        _back(pendulum.now("UTC"), period)
    except (ValueError, OverflowError) as error:
        raise ValueError("the period reaches before year 1; shorten it") from error
    return period


Period = Annotated[str, Field(pattern=PERIOD_PATTERN), AfterValidator(_within_the_calendar)]


class Retention(SpecModel):
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
