"""The synthetic rows of a rehearsal."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from partition_playbook.spec.model import SpecModel

# The intervals of hours that synthetic rows fill: a year of hours would be 8,760 partitions.
MOST_HOURS_FILLED = 365
YEAR_OF_MONTHS = 12


class Synthetic(SpecModel):
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
