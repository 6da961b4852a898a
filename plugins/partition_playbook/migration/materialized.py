"""Materialized views: each gets a twin that reads the table that stands by, and the two swap names with the tables.

A twin is made while nobody waits, filled while nobody waits, and has the indexes, rights and comments of the original.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from psycopg import sql

from partition_playbook import catalog, parity
from partition_playbook.catalog import Table
from partition_playbook.database import Row, Session
from partition_playbook.migration import surface
from partition_playbook.migration.run import Run, Sides, sides
from partition_playbook.migration.surface import catalog_text
from partition_playbook.names import TableName, clip
from partition_playbook.parity import Facts

STEAD = "partition_playbook_stead"
BORROWING = "Let the table that stands by bear the live one's name in another schema for a moment"


def prepare(run: Run) -> None:
    """Make the twins that are missing, and refresh all twins from the table that stands by."""
    with run.database.transaction() as session:
        now = sides(session, run)
        create_twins(session, now)
    with run.database.session() as session:
        for name in find(session, now.live.table_name):
            if session.value("migration/is_populated", _parts(name)):
                session.run("migration/refresh_view", view=twin(now, name).identifier)


def create_twins(session: Session, now: Sides) -> None:
    """Make the twins that are missing, without rows."""
    for name in find(session, now.live.table_name):
        if not catalog.describe(session, twin(now, name)):
            _create(session, now, name)


def find(session: Session, table: TableName) -> list[TableName]:
    """List the materialized views that read a table itself."""
    rows = session.rows("catalog/list_materialized_views", _parts(table))
    return [TableName(row["schema"], row["name"]) for row in rows]


def twin(now: Sides, name: TableName) -> TableName:
    """Return the name of the twin that reads the table that stands by."""
    return TableName(name.schema, clip(name.name, now.direction.standby_suffix))


def surface_of(session: Session, name: TableName) -> Facts:
    """Return what can be noticed of a materialized view itself."""
    view = catalog.require(session, name)
    text = str(session.value("migration/find_view_text", _parts(name)))
    named = f"dependent materialized view {name}"
    return {named: f"{text} {sorted(view.options)}"} | {
        f"{named}: {what}": told for what, told in parity.own_facts(view)
    }


def rename(session: Session, now: Sides) -> Iterator[sql.Composed]:
    """Compose the statements by which the twins take the names of the originals, with their indexes."""
    for name in find(session, now.live.table_name):
        view = catalog.require(session, name)
        yield from _swap_names("MATERIALIZED VIEW", name, now)
        for index in view.indexes:
            yield from _swap_names("INDEX", TableName(name.schema, index.name), now)


def _swap_names(kind: str, name: TableName, now: Sides) -> Iterator[sql.Composed]:
    alter = sql.SQL("ALTER {} {} RENAME TO {}")
    retired = clip(name.name, now.direction.retired_suffix)
    yield alter.format(sql.SQL(kind), name.identifier, sql.Identifier(retired))
    yield alter.format(sql.SQL(kind), twin(now, name).identifier, sql.Identifier(name.name))


def _create(session: Session, now: Sides, name: TableName) -> None:
    """Create a twin without rows: its text is read again while the shadow bears the table's name in another schema."""
    like = catalog.require(session, name)
    table, standby = now.live.table_name, now.other.table_name
    with _path(session, [table.schema]):
        text = str(session.value("migration/find_view_text", _parts(name)))
    surface.place(session, like)
    options = sql.SQL("WITH ({})").format(catalog_text(", ".join(like.options))) if like.options else sql.SQL("")
    created = sql.SQL("CREATE MATERIALIZED VIEW {} {} AS {} WITH NO DATA").format(
        twin(now, name).identifier, options, catalog_text(text)
    )
    with _in_stead(session, table, standby), _path(session, [STEAD, table.schema]):
        session.execute(created, purpose=f"Create a twin of materialized view {name} that reads {standby.name}")
    _complete(session, now, like)


def _complete(session: Session, now: Sides, like: Table) -> None:
    name = twin(now, like.table_name)
    surface.tune_columns(session, like, name)
    for column in like.columns:
        described = sql.SQL("{}.{}").format(name.identifier, sql.Identifier(column.name))
        surface.comment(session, "COLUMN", described, column.comment)
    for index in like.indexes:
        surface.create_index(session, name, index, clip(index.name, now.direction.standby_suffix))
    surface.comment(session, "MATERIALIZED VIEW", name.identifier, like.comment)
    surface.give_owner(session, name, like.owner)
    surface.grant(session, like, name)


@contextmanager
def _in_stead(session: Session, table: TableName, standby: TableName) -> Iterator[None]:
    """Let the table that stands by bear the name of the live one in a schema of its own, until the block ends."""
    away = TableName(STEAD, standby.name)
    stead = TableName(STEAD, table.name)
    schema = sql.Identifier(STEAD)
    session.execute(sql.SQL("CREATE SCHEMA {}").format(schema), purpose=BORROWING)
    session.execute(_move(standby, schema), purpose=BORROWING)
    session.execute(_renamed(away, table.name), purpose=BORROWING)
    yield
    session.execute(_renamed(stead, standby.name), purpose=BORROWING)
    session.execute(_move(away, sql.Identifier(standby.schema)), purpose=BORROWING)
    session.execute(sql.SQL("DROP SCHEMA {}").format(schema), purpose=BORROWING)


def _move(table: TableName, schema: sql.Identifier) -> sql.Composed:
    return sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(table.identifier, schema)


def _renamed(table: TableName, name: str) -> sql.Composed:
    return sql.SQL("ALTER TABLE {} RENAME TO {}").format(table.identifier, sql.Identifier(name))


@contextmanager
def _path(session: Session, schemas: Sequence[str]) -> Iterator[None]:
    before = session.value("migration/find_path")
    path = sql.SQL(", ").join(map(sql.Identifier, [*schemas, "pg_temp"])).as_string(None)
    session.rows("migration/set_path", {"path": path})
    yield
    session.rows("migration/set_path", {"path": before})


def _parts(name: TableName) -> Row:
    return {"schema": name.schema, "name": name.name}
