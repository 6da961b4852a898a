"""Copy the attributes of a table to a new one: owner, privileges, storage, indexes, triggers, policies and more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Constraint, ExtendedStatistics, Grant, Index, Table
from partition_playbook.database import Session
from partition_playbook.names import SHADOW_SUFFIX, TableName, clip

DEFERRABLE = (" DEFERRABLE INITIALLY DEFERRED", " DEFERRABLE")
STORAGE = {"p": "PLAIN", "e": "EXTERNAL", "x": "EXTENDED", "m": "MAIN"}
COMPRESSION = {"": "DEFAULT", "p": "pglz", "l": "lz4"}
FIRING = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA", "D": "DISABLE"}


def catalog_text(text: str) -> sql.SQL:
    """Mark a definition from the catalog, written by PostgreSQL itself, as SQL."""
    return sql.SQL(text)


def set_default_tablespace(session: Session, table: Table) -> None:
    """Create the transaction's next relations in the tablespace and with the access method of a table."""
    settings = {"tablespace": table.tablespace, "access_method": table.access_method or "heap"}
    session.rows("engine/set_placement", settings)


def reset_default_tablespace(session: Session) -> None:
    """Create the transaction's next relations in the default tablespace of the database, as heap."""
    session.rows("engine/set_placement", {"tablespace": "", "access_method": "heap"})


def set_index_tablespace(session: Session, index: Index) -> None:
    """Create the transaction's next index in the tablespace of another one."""
    session.rows("engine/set_placement", {"tablespace": index.tablespace, "access_method": "heap"})


def tablespace(source: Table) -> sql.Composable:
    """Return the TABLESPACE clause of a table; empty for the default tablespace of the database."""
    return sql.SQL("TABLESPACE {}").format(sql.Identifier(source.tablespace)) if source.tablespace else sql.SQL("")


def storage_options(source: Table) -> sql.Composable:
    """Return the WITH clause with a table's storage parameters; empty without any."""
    options = [*source.options, *(f"toast.{each}" for each in source.toast_options)]
    return sql.SQL("WITH ({})").format(catalog_text(", ".join(options))) if options else sql.SQL("")


def set_owner(session: Session, table: TableName, owner: str) -> None:
    """Give a new table the owner of the source."""
    session.execute(_owned(table, owner), purpose=f"Set the owner of {table.name} to the source's")


def set_owners(session: Session, tables: Sequence[TableName], owner: str) -> None:
    """Give new tables the owner of the source."""
    session.execute_many([_owned(each, owner) for each in tables], purpose="Set the owner of a table to the source's")


def _owned(table: TableName, owner: str) -> sql.Composed:
    return sql.SQL("ALTER TABLE {} OWNER TO {}").format(table.identifier, sql.Identifier(owner))


def copy_column_settings(session: Session, source: Table, table: TableName) -> None:
    """Copy the column settings that LIKE does not copy: statistics targets and options."""
    alter = sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET {}")
    for column in source.columns:
        name = sql.Identifier(column.name)
        if column.statistics >= 0:
            target = sql.SQL("STATISTICS {}").format(sql.Literal(column.statistics))
            session.execute(
                alter.format(table.identifier, name, target), purpose=f"Copy the statistics target of {column.name}"
            )
        if column.options:
            options = sql.SQL("({})").format(catalog_text(", ".join(column.options)))
            session.execute(alter.format(table.identifier, name, options), purpose=f"Copy the options of {column.name}")


def copy_column_storage(session: Session, source: Table, table: TableName) -> None:
    """Copy storage and compression of the columns wherever the new table has other settings."""
    created = catalog.require(session, table)
    alter = sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET {}")
    for column in source.columns:
        present, name = created.column(column.name), sql.Identifier(column.name)
        if present.storage != column.storage:
            storage = sql.SQL("STORAGE {}").format(sql.SQL(STORAGE[column.storage]))
            session.execute(alter.format(table.identifier, name, storage), purpose=f"Copy the storage of {column.name}")
        if present.compression != column.compression:
            method = sql.SQL("COMPRESSION {}").format(sql.SQL(COMPRESSION[column.compression]))
            purpose = f"Copy the compression of {column.name}"
            session.execute(alter.format(table.identifier, name, method), purpose=purpose)


def copy_replica_identity(session: Session, source: Table, table: TableName) -> None:
    """Copy the replica identity; for an index, use the new table's unique index of the same columns."""
    if source.replica_identity == "d":
        return
    kind: sql.Composable = sql.SQL({"f": "FULL", "n": "NOTHING"}.get(source.replica_identity, ""))
    if source.replica_identity == "i":
        kind = sql.SQL("USING INDEX {}").format(sql.Identifier(_identity_index(session, source, table)))
    statement = sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(table.identifier, kind)
    session.execute(statement, purpose="Copy the replica identity")


def _identity_index(session: Session, source: Table, table: TableName) -> str:
    """Return the index of the new table that is the copy of the source's, else one of the same columns."""
    wanted = next(index for index in source.indexes if index.identity)
    described = catalog.describe(session, table) or source
    deferrable = {each.name for each in described.constraints if each.deferrable}
    fitting = [
        index
        for index in described.indexes
        if index.unique
        and index.plain
        and index.constraint not in deferrable
        and set(wanted.columns) <= set(index.columns)
    ]
    name = clip(wanted.name, SHADOW_SUFFIX)
    return min(fitting, key=lambda index: (index.tail != wanted.tail, index.name != name)).name


def with_grants(session: Session, tables: Sequence[TableName]) -> list[TableName]:
    """Return the tables, all of one schema, that have privileges other than the owner's built-in ones."""
    schema = tables[0].schema
    found = session.rows("engine/list_granted", {"schema": schema, "names": [each.name for each in tables]})
    return [TableName(schema, row["name"]) for row in found]


def revoke_extras(session: Session, table: TableName, keep: Sequence[Grant] = ()) -> None:
    """Revoke the default privileges on a new table that the source does not grant."""
    if not with_grants(session, [table]):
        return
    created = catalog.require(session, table)
    for each in created.grants:
        if each not in keep:
            statement = sql.SQL("REVOKE {} ON {} FROM {}").format(
                _privilege(each), table.identifier, _role(each.grantee)
            )
            session.execute(statement, purpose=f"Revoke {each.privilege}, granted by default privileges")


def copy_grants(session: Session, source: Table, table: TableName) -> None:
    """Grant the source's privileges on a new table, by the same grantors, and revoke all others."""
    revoke_extras(session, table, source.grants)
    # First: it would revoke the owner's privileges on columns as well.
    _revoke_from_owner(session, sql.SQL("TABLE"), source.owner, table, source.owner_lacks)
    for each in grants_in_order(source.grants, source.owner):
        _grant_one(session, sql.SQL("TABLE"), source.owner, table, each)


def grants_in_order(grants: Sequence[Grant], owner: str) -> Iterator[Grant]:
    """Yield grants so that each grantor has its grant option before it grants; those without one come last."""
    waiting, given = list(grants), list[Grant]()
    while waiting:
        ready = [each for each in waiting if each.grantor == owner or _may_grant(given, each)] or waiting
        yield from ready
        given += ready
        waiting = [each for each in waiting if each not in ready]


def _may_grant(given: Sequence[Grant], wanted: Grant) -> bool:
    """Tell whether the grantor has the grant option, on the whole table or on the column."""
    return any(
        each.grantable
        and (each.grantee, each.privilege) == (wanted.grantor, wanted.privilege)
        and each.column in ("", wanted.column)
        for each in given
    )


def _revoke_from_owner(session: Session, kind: sql.SQL, owner: str, name: TableName, privileges: Sequence[str]) -> None:
    for privilege in privileges:
        statement = sql.SQL("REVOKE {} ON {} {} FROM {}").format(
            sql.SQL(privilege), kind, name.identifier, sql.Identifier(owner)
        )
        session.execute(statement, purpose=f"Revoke {privilege}, as the owner of the source did for itself")


def _grant_one(session: Session, kind: sql.SQL, owner: str, table: TableName, each: Grant) -> None:
    statement = sql.SQL("GRANT {} ON {} {} TO {} {}").format(
        _privilege(each),
        kind,
        table.identifier,
        _role(each.grantee),
        sql.SQL("WITH GRANT OPTION" if each.grantable else ""),
    )
    purpose = f"Grant {each.privilege} to {each.grantee or 'PUBLIC'} on {table.name}"
    if each.grantor == owner:
        session.execute(statement, purpose=purpose)
        return
    become = sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(each.grantor))
    session.execute(become, purpose=f"Switch to {each.grantor}, the grantor on the source", lock="none")
    session.execute(statement, purpose=purpose)
    session.execute(sql.SQL("RESET ROLE"), purpose="Switch back to the session's role", lock="none")


def copy_sequence_grants(
    session: Session, owner: str, name: TableName, grants: Sequence[Grant], owner_lacks: Sequence[str]
) -> None:
    """Grant the source sequence's privileges on a new one, by the same grantors, and revoke its default privileges.

    The new sequence must have its ``owner`` already.
    """
    for role in session.rows("catalog/list_sequence_grantees", {"schema": name.schema, "name": name.name}):
        statement = sql.SQL("REVOKE ALL ON SEQUENCE {} FROM {}").format(name.identifier, _role(role["grantee"]))
        session.execute(statement, purpose=f"Revoke the default privileges on {name.name}")
    for each in grants_in_order(grants, owner):
        _grant_one(session, sql.SQL("SEQUENCE"), owner, name, each)
    _revoke_from_owner(session, sql.SQL("SEQUENCE"), owner, name, owner_lacks)


def _privilege(each: Grant) -> sql.Composable:
    privilege = sql.SQL(each.privilege)
    return sql.SQL("{} ({})").format(privilege, sql.Identifier(each.column)) if each.column else privilege


def _role(name: str) -> sql.Composable:
    return sql.Identifier(name) if name else sql.SQL("PUBLIC")


def set_comment(session: Session, kind: str, name: sql.Composable, text: str) -> None:
    """Set the comment of an object; do nothing for an empty text."""
    if text:
        statement = sql.SQL("COMMENT ON {} {} IS {}").format(sql.SQL(kind), name, sql.Literal(text))
        session.execute(statement, purpose=f"Copy the comment of a {kind.lower()}")


def create_index(
    session: Session, table: TableName, index: Index, name: str | None = None, *, only: bool = False
) -> None:
    """Create an index like ``index`` on another table; without ``name`` PostgreSQL chooses one."""
    set_index_tablespace(session, index)
    statement = _index(table, index, name, only=only)
    session.execute(statement, purpose=f"Create index {index.name} on {table.name}")
    if name:
        _complete_index(session, TableName(table.schema, name), index)


def _index(table: TableName, index: Index, name: str | None = None, *, only: bool = False) -> sql.Composed:
    return sql.SQL("CREATE {} {} ON {} {} {}").format(
        sql.SQL("UNIQUE INDEX" if index.unique else "INDEX"),
        sql.Identifier(name) if name else sql.SQL(""),
        sql.SQL("ONLY" if only else ""),
        table.identifier,
        catalog_text(index.tail),
    )


def _complete_index(session: Session, name: TableName, index: Index) -> None:
    set_comment(session, "INDEX", name.identifier, index.comment)
    for position, target in index.statistics:
        statement = sql.SQL("ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {}").format(
            name.identifier, sql.Literal(position), sql.Literal(target)
        )
        session.execute(statement, purpose=f"Copy the statistics target of a column of {index.name}")
    _depend_on(session, sql.SQL("INDEX {}").format(name.identifier), index.extensions)


def _depend_on(session: Session, what: sql.Composable, extensions: Sequence[str]) -> None:
    """Let an index or a trigger be dropped with the extensions that the source's depends on."""
    for each in extensions:
        statement = sql.SQL("ALTER {} DEPENDS ON EXTENSION {}").format(what, sql.Identifier(each))
        session.execute(statement, purpose=f"Copy the dependency on the extension {each}")


def copy_index_statistics_targets(session: Session, source: Table, table: TableName) -> None:
    """Copy statistics targets to the existing indexes of a partition, matched by definition, not by name."""
    with_targets = {index.tail: index for index in source.indexes if index.statistics}
    created = catalog.describe(session, table) if with_targets else None
    for index in created.indexes if created else ():
        if index.tail in with_targets:
            _complete_index(
                session,
                TableName(table.schema, index.name),
                replace(with_targets[index.tail], comment="", extensions=()),
            )


def key_constraints(source: Table) -> Iterator[tuple[Constraint, Index]]:
    """Yield primary key and unique constraints, each with its index."""
    indexes = {index.constraint: index for index in source.indexes if index.constraint}
    for each in source.constraints:
        if each.kind in "pu":
            yield each, indexes[each.name]


def add_keys(session: Session, source: Table, table: TableName, suffix: str | None = None) -> None:
    """Add primary key and unique constraints; without ``suffix`` PostgreSQL chooses the names."""
    for key, index in key_constraints(source):
        set_index_tablespace(session, index)
        name = None if suffix is None else clip(key.name, suffix)
        session.execute(_key(table, key, index, name), purpose=f"Add {key.definition} to {table.name}")
        if name:
            _complete_index(session, TableName(table.schema, name), index)
            constraint = sql.SQL("{} ON {}").format(sql.Identifier(name), table.identifier)
            set_comment(session, "CONSTRAINT", constraint, key.comment)


def _key(table: TableName, key: Constraint, index: Index, name: str | None = None) -> sql.Composed:
    named = sql.SQL("CONSTRAINT {}").format(sql.Identifier(name)) if name else sql.SQL("")
    definition = catalog_text(_stored(key.definition, index.options))
    return sql.SQL("ALTER TABLE {} ADD {} {}").format(table.identifier, named, definition)


def add_keys_and_indexes(session: Session, source: Table, tables: Sequence[TableName]) -> None:
    """Add keys and indexes to tables under names that PostgreSQL chooses, in one request for many."""
    keys = list(key_constraints(source))
    others = [each for each in source.indexes if not each.constraint and each.valid]
    statements = [
        (index, statement)
        for table in tables
        for index, statement in (
            *((index, _key(table, key, index)) for key, index in keys),
            *((index, _index(table, index)) for index in others),
        )
    ]
    for _, several in groupby(statements, key=lambda each: each[0].tablespace):
        together = list(several)
        set_index_tablespace(session, together[0][0])
        purpose = f"Add a key or an index to {tables[0].name} and the partitions after it"
        session.execute_many([statement for _, statement in together], purpose=purpose)


def _stored(definition: str, options: Sequence[str]) -> str:
    """Return a key's definition with the storage parameters of its index, omitted by pg_get_constraintdef."""
    if not options:
        return definition
    deferrable = next((each for each in DEFERRABLE if definition.endswith(each)), "")
    return f"{definition.removesuffix(deferrable)} WITH ({', '.join(options)}){deferrable}"


def drop_unvalidated_checks(session: Session, source: Table, table: TableName) -> None:
    """Drop the checks that are NOT VALID on the source: LIKE made them valid, and old rows may violate them."""
    for each in unvalidated_checks(source):
        statement = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(table.identifier, sql.Identifier(each.name))
        session.execute(statement, purpose=f"Drop the check {each.name}, NOT VALID on the source")


def add_unvalidated_checks(session: Session, source: Table, table: TableName) -> None:
    """Add the NOT VALID checks, for new rows only."""
    for each in unvalidated_checks(source):
        statement = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
            table.identifier, sql.Identifier(each.name), catalog_text(each.definition)
        )
        session.execute(statement, purpose=f"Add the check {each.name} as NOT VALID, for new rows only")
        constraint = sql.SQL("{} ON {}").format(sql.Identifier(each.name), table.identifier)
        set_comment(session, "CONSTRAINT", constraint, each.comment)


def unvalidated_checks(source: Table) -> Iterator[Constraint]:
    """Yield the NOT VALID checks."""
    return (each for each in source.constraints if each.kind == "c" and not each.validated)


def create_triggers(session: Session, source: Table, table: TableName) -> None:
    """Create the source's triggers on a new table, disabled until it is live."""
    for each in source.user_triggers:
        statement = sql.SQL("{} ON {}{}").format(catalog_text(each.head), table.identifier, catalog_text(each.tail))
        session.execute(statement, purpose=f"Create trigger {each.name} on {table.name}")
        session.execute(
            set_trigger_mode(table, each.name, "D"), purpose=f"Disable trigger {each.name} until the cutover"
        )
        name = sql.SQL("{} ON {}").format(sql.Identifier(each.name), table.identifier)
        set_comment(session, "TRIGGER", name, each.comment)
        _depend_on(session, sql.SQL("TRIGGER {}").format(name), each.extensions)


def set_trigger_mode(table: TableName, trigger: str, enabled: str) -> sql.Composed:
    """Compose the statement that enables or disables a trigger; ``enabled`` as in pg_trigger.tgenabled."""
    return sql.SQL("ALTER TABLE {} {} TRIGGER {}").format(
        table.identifier, sql.SQL(FIRING[enabled]), sql.Identifier(trigger)
    )


def create_policies(session: Session, source: Table, table: TableName) -> None:
    """Copy the row security policies and their switches."""
    for each in source.policies:
        statement = sql.SQL("CREATE POLICY {} ON {} AS {} FOR {} TO {} {}").format(
            sql.Identifier(each.name),
            table.identifier,
            sql.SQL("PERMISSIVE" if each.permissive else "RESTRICTIVE"),
            sql.SQL(each.command),
            sql.SQL(", ").join(map(_role, each.roles)),
            conditions(each.using, each.with_check),
        )
        session.execute(statement, purpose=f"Create policy {each.name} on {table.name}")
        name = sql.SQL("{} ON {}").format(sql.Identifier(each.name), table.identifier)
        set_comment(session, "POLICY", name, each.comment)
    switches = {"ENABLE": source.row_security, "FORCE": source.row_security_forced}
    for switch in (word for word, is_on in switches.items() if is_on):
        statement = sql.SQL("ALTER TABLE {} {} ROW LEVEL SECURITY").format(table.identifier, sql.SQL(switch))
        session.execute(statement, purpose=f"{switch.capitalize()} row security on {table.name}")


def conditions(using: str, with_check: str) -> sql.Composable:
    """Return a policy's USING and WITH CHECK clauses."""
    parts = []
    if using:
        parts.append(sql.SQL("USING ({})").format(catalog_text(using)))
    if with_check:
        parts.append(sql.SQL("WITH CHECK ({})").format(catalog_text(with_check)))
    return sql.SQL(" ").join(parts)


def create_statistics(session: Session, source: Table, table: TableName, suffix: str) -> None:
    """Copy extended statistics under names with ``suffix``."""
    for each in source.extended_statistics:
        name = TableName(each.schema, clip(each.name, suffix)).identifier
        statement = sql.SQL("CREATE STATISTICS {}{} FROM {}").format(name, catalog_text(each.tail), table.identifier)
        session.execute(statement, purpose=f"Create extended statistics like {each.name}")
        set_comment(session, "STATISTICS", name, each.comment)
        owner = sql.SQL("ALTER STATISTICS {} OWNER TO {}").format(name, sql.Identifier(each.owner))
        session.execute(owner, purpose=f"Copy the owner of {each.name}")
        _set_statistics_target(session, name, each)


def copy_statistics_targets(session: Session, source: Table, table: TableName) -> None:
    """Copy statistics targets to the existing extended statistics of a partition, matched by definition."""
    targets = {each.tail: each for each in source.extended_statistics if each.target >= 0}
    created = catalog.describe(session, table) if targets else None
    for each in created.extended_statistics if created else ():
        if each.tail in targets:
            _set_statistics_target(session, TableName(each.schema, each.name).identifier, targets[each.tail])


def _set_statistics_target(session: Session, name: sql.Identifier, like: ExtendedStatistics) -> None:
    if like.target >= 0:
        target = sql.SQL("ALTER STATISTICS {} SET STATISTICS {}").format(name, sql.Literal(like.target))
        session.execute(target, purpose=f"Copy the statistics target of {like.name}")


def rename(kind: str, name: TableName, new: str) -> sql.Composed:
    """Compose the statement to rename a relation."""
    return sql.SQL("ALTER {} {} RENAME TO {}").format(sql.SQL(kind), name.identifier, sql.Identifier(new))
