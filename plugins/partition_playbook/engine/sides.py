"""The two tables of a migration, and the side of each: live or standby."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Table
from partition_playbook.database import Session
from partition_playbook.engine import slices
from partition_playbook.engine.batches import Batch
from partition_playbook.engine.slices import Ranges, Reached
from partition_playbook.errors import PreconditionFailed, SourceChanged
from partition_playbook.names import RETIRED_SUFFIX, SHADOW_SUFFIX, TableName
from partition_playbook.run import Run


class Direction(StrEnum):
    """The direction of a swap."""

    FORWARD = "forward"
    BACK = "back"

    @property
    def standby_suffix(self) -> str:
        """Return the suffix of the standby's names before the swap."""
        return SHADOW_SUFFIX if self is Direction.FORWARD else RETIRED_SUFFIX

    @property
    def retired_suffix(self) -> str:
        """Return the suffix of the standby's names after the swap."""
        return RETIRED_SUFFIX if self is Direction.FORWARD else SHADOW_SUFFIX


@dataclass(frozen=True)
class Sides:
    """The live table and the standby; ``key`` is the original's key and identifies rows on both sides.

    ``ranges`` are those of the partitioned side, if they were read: a batch is then planned for the partitions that it
    reaches. Whether they are still current decides its cost, not its result. Joins on a key are limited to ``reached``.
    """

    live: Table
    standby: Table | None
    key: tuple[str, ...]
    partition_by: str
    ranges: Ranges | None = None
    reached: Reached | None = None

    @property
    def direction(self) -> Direction:
        """Return the direction of the next swap."""
        return Direction.BACK if self.live.is_partitioned else Direction.FORWARD

    def require_standby(self) -> Table:
        """Return the standby; PreconditionFailed if there is none."""
        if self.standby is None:
            raise PreconditionFailed(
                "there is no standby table",
                where=str(self.live.table_name),
                remedy="Clear build_shadow to create it, or trigger a new run if this one was rolled back or finalized",
            )
        return self.standby

    @property
    def monolith(self) -> Table:
        """Return the table without partitions."""
        return self.require_standby() if self.live.is_partitioned else self.live

    @property
    def partitioned(self) -> Table:
        """Return the partitioned table."""
        return self.live if self.live.is_partitioned else self.require_standby()

    @property
    def change_log_columns(self) -> tuple[str, ...]:
        """Return the columns of the change log: the key, and the partition column for pruning."""
        return self.key if self.partition_by in self.key else (*self.key, self.partition_by)

    def require_same_columns(self) -> None:
        """Raise SourceChanged unless both tables have the same columns, by name and type."""
        live, other = (
            {each.name: each.type for each in table.columns} for table in (self.live, self.require_standby())
        )
        changed = [name for name in live | other if live.get(name) != other.get(name)]
        if changed:
            standby = self.require_standby().name
            raise SourceChanged(
                "; ".join(
                    f"column {name} is {live.get(name, 'absent')} in {self.live.name} "
                    f"and {other.get(name, 'absent')} in {standby}"
                    for name in changed
                ),
                where=str(self.live.table_name),
                remedy="Undo the change and clear this task, or trigger partition_rollback and start a new run",
            )

    def match(self, left: str, right: str, names: tuple[str, ...] = ()) -> sql.Composed:
        """Return the join condition of two aliases on ``names``, by default on the columns of the change log."""
        pairs = [
            sql.SQL("{} {} {}").format(sql.Identifier(left, name), self._equals(name), sql.Identifier(right, name))
            for name in names or self.change_log_columns
        ]
        limits = [self.within(each) for each in (left, right)] if self.reached and not names else []
        return sql.SQL(" AND ").join([*pairs, *limits])

    def within(self, alias: str) -> sql.Composable:
        """Return the condition for rows of the partitions that are ``reached``."""
        return self.reached.within(alias) if self.reached else sql.SQL("true")

    def _equals(self, name: str) -> sql.SQL:
        """Return the schema-qualified equality operator of a column's type: our search path has no user schema."""
        return sql.SQL(self.live.column(name).equals)


def near(session: Session, log: TableName, now: Sides, batch: Batch) -> list[Sides]:
    """Return the sides once for every few slices that a batch reaches, for joins on a key; once if no range is known.

    A statement on all of a thousand partitions is planned for longer than it runs.
    """
    if now.ranges is None:
        return [now]
    found = slices.buckets(session, log, now.ranges, batch)
    return [replace(now, reached=each) for each in slices.reached(found, now.ranges)]


def sides(session: Session, run: Run) -> Sides:
    """Read live table and standby from the catalog; PreconditionFailed if the live table does not exist."""
    if run.part_of:
        return _part(session, run, run.part_of)
    live = catalog.require(session, run.table)
    if live.is_partitioned:
        standby = catalog.describe(session, run.table.retired)
        original = standby or live
    else:
        standby = catalog.describe(session, run.table.shadow)
        original = live
    return Sides(live, standby, original.key, run.spec.partition_by)


def _part(session: Session, run: Run, whole: TableName) -> Sides:
    """Return the sides of a range: the whole table, read like one without partitions, and the range's new partition."""
    live = replace(catalog.require(session, whole), kind="r")
    return Sides(live, catalog.describe(session, run.table.shadow), live.key, run.spec.partition_by)
