"""Materialized views: each gets a twin on the standby, and both swap names with the tables.

A twin is created and refreshed before the swap locks anything. It has the indexes, privileges and comments of the
original.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from psycopg import sql

from partition_playbook import catalog, parity
from partition_playbook.catalog import Table
from partition_playbook.database import Row, Session
from partition_playbook.engine import attributes
from partition_playbook.engine.attributes import catalog_text
from partition_playbook.engine.sides import Sides, sides
from partition_playbook.names import TableName, clip
from partition_playbook.parity import Facts
from partition_playbook.run import Run

SCRATCH_SCHEMA = "partition_playbook_stead"
BORROW_NAME = "Move the standby to a scratch schema under the live table's name, and back"


def prepare(run: Run) -> None:
    """Create the missing twins, and refresh all twins of populated views from the standby."""
    with run.database.transaction() as session:
        now = sides(session, run)
        create_twins(session, now)
    with run.database.session() as session:
        for name in find(session, now.live.table_name):
            if session.value("engine/is_populated", _parts(name)):
                _refresh(run, session, twin(now, name))


def _refresh(run: Run, session: Session, view: TableName) -> None:
    """Refresh a view with the rows that its owner may see; the playbook's sessions refuse to hide any."""
    with run.database.block(session):
        session.rows("engine/apply_policies")
        session.run("engine/refresh_view", view=view.identifier)


def create_twins(session: Session, now: Sides) -> None:
    """Create the missing twins, without rows."""
    for name in find(session, now.live.table_name):
        if not catalog.describe(session, twin(now, name)):
            _create(session, now, name)


def find(session: Session, table: TableName) -> list[TableName]:
    """List the materialized views directly on a table."""
    rows = session.rows("catalog/list_materialized_views", _parts(table))
    return [TableName(row["schema"], row["name"]) for row in rows]


def twin(now: Sides, name: TableName) -> TableName:
    """Return the name of a view's twin on the standby."""
    return TableName(name.schema, clip(name.name, now.direction.standby_suffix))


def parity_facts(session: Session, name: TableName) -> Facts:
    """Return the parity facts of a materialized view itself."""
    view = catalog.require(session, name)
    text = str(session.value("engine/find_view_text", _parts(name)))
    named = f"dependent materialized view {name}"
    facts = {named: f"{text} {sorted(view.options)}"}
    facts |= {f"{named}: {fact}": value for fact, value in parity.own_facts(view)}
    return facts | {f"{named}: {fact}": value for fact, value in _special(view)}


def _special(view: Table) -> Iterator[tuple[str, str]]:
    """Yield the facts that few materialized views have; the ledgers of earlier versions lack them."""
    if view.toast_options:
        yield "toast options", f"{sorted(view.toast_options)}"
    if view.replica_identity != "d":
        yield "replica identity", view.replica_identity
    for index in view.indexes:
        if index.clustered:
            yield "clustered on", index.name


def rename(session: Session, now: Sides) -> Iterator[sql.Composed]:
    """Compose the statements to swap the names of twins and originals, and of their indexes."""
    for name in find(session, now.live.table_name):
        view = catalog.require(session, name)
        yield from _swap_names("MATERIALIZED VIEW", name, now)
        for index in view.indexes:
            yield from _swap_names("INDEX", TableName(name.schema, index.name), now)
        for each in view.extended_statistics:
            yield from _swap_names("STATISTICS", TableName(each.schema, each.name), now)


def _swap_names(kind: str, name: TableName, now: Sides) -> Iterator[sql.Composed]:
    alter = sql.SQL("ALTER {} {} RENAME TO {}")
    retired = clip(name.name, now.direction.retired_suffix)
    yield alter.format(sql.SQL(kind), name.identifier, sql.Identifier(retired))
    yield alter.format(sql.SQL(kind), twin(now, name).identifier, sql.Identifier(name.name))


def _create(session: Session, now: Sides, name: TableName) -> None:
    """Create a twin without rows.

    PostgreSQL parses the view's own text while a search path leads the table's name to the standby. So no text is
    rewritten here.
    """
    like = catalog.require(session, name)
    table, standby = now.live.table_name, now.require_standby().table_name
    with _path(session, [table.schema]):
        text = str(session.value("engine/find_view_text", _parts(name)))

    attributes.set_default_tablespace(session, like)
    created = sql.SQL("CREATE MATERIALIZED VIEW {} {} AS {} WITH NO DATA").format(
        twin(now, name).identifier, attributes.storage_options(like), catalog_text(text)
    )
    with _standby_under_live_name(session, table, standby), _path(session, [SCRATCH_SCHEMA, table.schema]):
        session.execute(created, purpose=f"Create a twin of materialized view {name} that reads {standby.name}")
    _complete(session, now, like)


def _complete(session: Session, now: Sides, like: Table) -> None:
    name = twin(now, like.table_name)
    suffix = now.direction.standby_suffix
    attributes.copy_column_settings(session, like, name)
    attributes.copy_column_storage(session, like, name)
    for column in like.columns:
        described = sql.SQL("{}.{}").format(name.identifier, sql.Identifier(column.name))
        attributes.set_comment(session, "COLUMN", described, column.comment)
    for index in like.indexes:
        attributes.create_index(session, name, index, clip(index.name, suffix))
        if index.clustered:
            statement = sql.SQL("ALTER TABLE {} CLUSTER ON {}")
            marked = statement.format(name.identifier, sql.Identifier(clip(index.name, suffix)))
            session.execute(marked, purpose=f"Mark {index.name} for CLUSTER")
    attributes.create_statistics(session, like, name, suffix)
    attributes.copy_replica_identity(session, like, name)
    attributes.set_comment(session, "MATERIALIZED VIEW", name.identifier, like.comment)
    attributes.set_owner(session, name, like.owner)
    attributes.copy_grants(session, like, name)


@contextmanager
def _standby_under_live_name(session: Session, table: TableName, standby: TableName) -> Iterator[None]:
    """Give the standby the name of the live table, in a scratch schema, until the block ends."""
    moved = TableName(SCRATCH_SCHEMA, standby.name)
    renamed = TableName(SCRATCH_SCHEMA, table.name)
    schema = sql.Identifier(SCRATCH_SCHEMA)
    session.execute(sql.SQL("CREATE SCHEMA {}").format(schema), purpose=BORROW_NAME)
    session.execute(_move(standby, schema), purpose=BORROW_NAME)
    session.execute(_rename(moved, table.name), purpose=BORROW_NAME)

    yield

    session.execute(_rename(renamed, standby.name), purpose=BORROW_NAME)
    session.execute(_move(moved, sql.Identifier(standby.schema)), purpose=BORROW_NAME)
    session.execute(sql.SQL("DROP SCHEMA {}").format(schema), purpose=BORROW_NAME)


def _move(table: TableName, schema: sql.Identifier) -> sql.Composed:
    return sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(table.identifier, schema)


def _rename(table: TableName, name: str) -> sql.Composed:
    return sql.SQL("ALTER TABLE {} RENAME TO {}").format(table.identifier, sql.Identifier(name))


@contextmanager
def _path(session: Session, schemas: Sequence[str]) -> Iterator[None]:
    """Set the search path of the transaction until the block ends."""
    before = session.value("engine/find_path")
    path = sql.SQL(", ").join(map(sql.Identifier, [*schemas, "pg_temp"])).as_string(None)
    session.rows("engine/set_path", {"path": path})
    yield
    session.rows("engine/set_path", {"path": before})


def _parts(name: TableName) -> Row:
    return {"schema": name.schema, "name": name.name}
