"""The run that every step works for, and which of the two tables is live."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Table
from partition_playbook.database import Database, Session
from partition_playbook.errors import PreconditionFailed, SourceChanged
from partition_playbook.ledger import Ledger
from partition_playbook.names import TableName
from partition_playbook.spec import TableSpec


class Direction(StrEnum):
    """Which way a swap goes."""

    FORWARD = "forward"
    BACK = "back"

    @property
    def standby_suffix(self) -> str:
        """Return what the names of the table that becomes live end in before the swap."""
        return "_new" if self is Direction.FORWARD else "_old"

    @property
    def retired_suffix(self) -> str:
        """Return what the names of the table that was live end in after the swap."""
        return "_old" if self is Direction.FORWARD else "_new"


@dataclass(frozen=True)
class Run:
    """One migration: the spec, the database, the ledger that it writes to, and whether a person holds it."""

    spec: TableSpec
    database: Database
    ledger: Ledger
    paused: Callable[[], bool] = lambda: False

    @property
    def table(self) -> TableName:
        """Return the name under which the application knows the table."""
        return self.spec.name


@dataclass(frozen=True)
class Sides:
    """The live table and the one that stands by; their keys tell rows apart on both sides."""

    live: Table
    standby: Table | None
    key: tuple[str, ...]
    partition_by: str

    @property
    def direction(self) -> Direction:
        """Return the direction of the next swap."""
        return Direction.BACK if self.live.is_partitioned else Direction.FORWARD

    @property
    def other(self) -> Table:
        """Return the table that stands by; PreconditionFailed where there is none."""
        if self.standby is None:
            raise PreconditionFailed(
                "no table stands by to take over",
                where=str(self.live.table_name),
                remedy="Run the migration's shadow step first",
            )
        return self.standby

    @property
    def monolith(self) -> Table:
        """Return the table that is not partitioned."""
        return self.other if self.live.is_partitioned else self.live

    @property
    def partitioned(self) -> Table:
        """Return the partitioned table."""
        return self.live if self.live.is_partitioned else self.other

    @property
    def logged(self) -> tuple[str, ...]:
        """Return the columns of the change log: the key, and the partition column that prunes."""
        return self.key if self.partition_by in self.key else (*self.key, self.partition_by)

    def require_same_columns(self) -> None:
        """Stop with SourceChanged where a column of one table is not one of the other, by name and type."""
        live, other = ({each.name: each.type for each in table.columns} for table in (self.live, self.other))
        changed = [name for name in live | other if live.get(name) != other.get(name)]
        if changed:
            raise SourceChanged(
                "; ".join(
                    f"column {name} is {live.get(name, 'not')} there and {other.get(name, 'not')} in {self.other.name}"
                    for name in changed
                ),
                where=str(self.live.table_name),
                remedy="Undo the change, or trigger partition_rollback and begin again; nothing else was touched",
            )

    def match(self, left: str, right: str, names: tuple[str, ...] = ()) -> sql.Composed:
        """Return the condition that a row of ``left`` and one of ``right`` are the same, or share some columns."""
        pairs = [
            sql.SQL("{} {} {}").format(sql.Identifier(left, name), self._equals(name), sql.Identifier(right, name))
            for name in names or self.logged
        ]
        return sql.SQL(" AND ").join(pairs)

    def _equals(self, name: str) -> sql.SQL:
        """Return the operator of a column's type by its schema, which is on no search path of ours."""
        return sql.SQL(self.live.column(name).equals)


def sides(session: Session, run: Run) -> Sides:
    """Read from the catalog which table is live and which stands by."""
    live = catalog.require(session, run.table)
    if live.is_partitioned:
        standby = catalog.describe(session, run.table.retired)
        original = standby or live
    else:
        standby = catalog.describe(session, run.table.shadow)
        original = live
    return Sides(live, standby, original.key, run.spec.partition_by)
