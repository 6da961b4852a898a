"""Apply workers of logical replication: they fire no statement triggers, so the capture misses their writes."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from partition_playbook.database import Row, Session
from partition_playbook.errors import PreconditionFailed
from partition_playbook.names import TableName

REMEDY = (
    "Drop the subscription, or take the table out of it: ALTER PUBLICATION … DROP TABLE on the publisher, then ALTER "
    "SUBSCRIPTION … REFRESH PUBLICATION here. Then clear this task"
)


def find(session: Session, table: TableName) -> list[str]:
    """Describe the subscriptions and nodes that may write to the table, its siblings or their partitions."""
    names = {"schema": table.schema, "names": [table.name, table.shadow.name, table.retired.name]}
    found = [row["writer"] for row in session.rows("engine/list_subscriptions", names)]
    return [*found, *of_extensions(session, table)]


def of_extensions(session: Session, table: TableName) -> Iterator[str]:
    """Describe the subscriptions and nodes of pglogical, spock, pgactive and BDR that may write to the table."""
    names = {"schema": table.schema, "names": [table.name, table.shadow.name, table.retired.name]}
    for each in session.rows("engine/list_apply_catalogs"):
        if not each["readable"]:
            yield f"{each['schema']} is installed, and its table {each['name']} cannot be read: GRANT SELECT on it"
        elif each["subscriptions"]:
            parts = {"status": _name(each, "name"), "subscription": _name(each, "subscriptions")}
            rows = session.rows("engine/list_extension_subscriptions", names, **parts)
            yield from (f"{each['schema']} subscription {row['name']} may fill {table}" for row in rows)
        elif session.value("engine/has_nodes", nodes=_name(each, "name")):
            yield f"a node of {each['schema']} fills every table of the database"


def require_none(session: Session, table: TableName) -> None:
    """Raise PreconditionFailed if replication may write past the capture."""
    if found := find(session, table):
        raise PreconditionFailed(
            f"logical replication writes past the capture: {'; '.join(found)}", where=str(table), remedy=REMEDY
        )


def _name(row: Row, column: str) -> sql.Identifier:
    return sql.Identifier(row["schema"], row[column])
