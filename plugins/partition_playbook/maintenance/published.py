"""Publications that name partitions, and subscribers that need a table for each new one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Partition
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Session
from partition_playbook.maintenance.ranges import ranges
from partition_playbook.names import TableName
from partition_playbook.run import Run

# A publication of one partition may be meant for this one only. With two, new ones are expected to follow.
SEVERAL = 2


def published_check(run: Run, session: Session, partitions: Sequence[Partition]) -> Check:
    """Check that each publication that names partitions also names the ones after them.

    It also tells of a publication of the table whose subscribers need a table for each partition.
    """
    newest = _in_order(run, partitions)
    left_out = list(_left_out(run, session, newest))
    if left_out:
        return check(
            "published_partitions",
            False,
            expected="every new partition in the publications that name those before it",
            actual="; ".join(f"{name} does not name {', '.join(map(str, missing))}" for name, missing in left_out),
            remedy="Create these tables on the subscribers, without rows. Then run "
            f"{'; '.join(_addition(name, missing) for name, missing in left_out)}. Then run ALTER SUBSCRIPTION … "
            "REFRESH PUBLICATION on the subscribers",
            severity=Severity.WARNING,
        )

    by_name = [each.name for each in catalog.require(session, run.table).publications if not each.via_root]
    if by_name and newest:
        return skipped(
            "published_partitions",
            f"{', '.join(by_name)} publishes each partition by its own name: its subscribers stop at the first row of "
            f"a partition that they lack. The last one is {newest[-1]}",
            expected="a table for each partition on the subscribers",
        )
    return check("published_partitions", True, expected="no partition left out of a publication", actual="none")


def _in_order(run: Run, partitions: Sequence[Partition]) -> list[TableName]:
    found = [(each.lower, each.table) for each in ranges(run.spec, partitions) if each.lower]
    return [table for _, table in sorted(found, key=lambda each: each[0])]


def _left_out(run: Run, session: Session, ordered: Sequence[TableName]) -> Iterator[tuple[str, list[TableName]]]:
    """Yield each publication of several partitions with the later partitions that it does not name."""
    names = {"schema": run.table.schema, "name": run.table.name}
    for row in session.rows("maintenance/list_published_partitions", names):
        named = [TableName(*each) for each in row["partitions"]]
        places = [place for place, table in enumerate(ordered) if table in named]
        if len(places) >= SEVERAL and (missing := list(ordered[places[-1] + 1 :])):
            yield row["name"], missing


def _addition(publication: str, tables: Sequence[TableName]) -> str:
    name = sql.Identifier(publication).as_string()
    return f"ALTER PUBLICATION {name} ADD TABLE {', '.join(each.quoted for each in tables)}"
