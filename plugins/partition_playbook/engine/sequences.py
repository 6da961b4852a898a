"""The table's own sequences: held during a swap, and continued by the new live table."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from partition_playbook.catalog import Table
from partition_playbook.database import Session
from partition_playbook.engine import attributes
from partition_playbook.engine.sides import Direction, Sides
from partition_playbook.names import TableName, clip
from partition_playbook.run import Run
from partition_playbook.sql import statement

# A call of nextval() that waits for the swap goes on with the old sequence: so many values stay there.
RESERVED_VALUES = 10_000


def lock(session: Session, live: Table) -> Iterator[sql.Composed]:
    """Compose the statements to lock the table's own sequences against nextval().

    LOCK TABLE takes no sequence. The change to the present owner changes nothing and locks it.
    """
    for each in session.rows("catalog/list_sequences", {"schema": live.schema, "name": live.name}):
        name = sql.Identifier(each["schema"], each["name"])
        yield sql.SQL("ALTER TABLE {} OWNER TO {}").format(name, sql.Identifier(live.owner))


def move(run: Run, session: Session, before: Sides, direction: Direction) -> Iterator[sql.Composed]:
    """Move owned sequences to the new live table, and let its identity sequences continue from the old ones."""
    for each in session.rows("catalog/list_sequences", {"schema": before.live.schema, "name": before.live.name}):
        name = TableName(each["schema"], each["name"])
        if not each["identity"]:
            column = sql.Identifier(run.table.schema, run.table.name, each["column_name"])
            yield sql.SQL("ALTER SEQUENCE {} OWNED BY {}").format(name.identifier, column)
            continue

        standby = TableName(name.schema, clip(name.name, direction.standby_suffix))
        target = sql.Literal(standby.identifier.as_string(None))
        yield statement("engine/copy_sequence").compose(
            target=target,
            source=name.identifier,
            source_text=sql.Literal(name.identifier.as_string(None)),
            reserve=sql.Literal(RESERVED_VALUES),
        )
        yield attributes.rename("SEQUENCE", name, clip(name.name, direction.retired_suffix))
        yield attributes.rename("SEQUENCE", standby, name.name)
