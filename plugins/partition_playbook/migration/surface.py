"""Give a new table what hangs on another: owner, rights, storage, columns' settings, indexes, triggers, policies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Constraint, ExtendedStatistics, Grant, Index, Table
from partition_playbook.database import Session
from partition_playbook.names import TableName, clip

DEFERRABLE = (" DEFERRABLE INITIALLY DEFERRED", " DEFERRABLE")
STORAGE = {"p": "PLAIN", "e": "EXTERNAL", "x": "EXTENDED", "m": "MAIN"}
COMPRESSION = {"": "DEFAULT", "p": "pglz", "l": "lz4"}
FIRING = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA", "D": "DISABLE"}


def catalog_text(text: str) -> sql.SQL:
    """Mark text that PostgreSQL itself wrote (a definition from its catalog) as SQL."""
    return sql.SQL(text)


def place(session: Session, table: Table) -> None:
    """Let what the transaction creates next lie where a table lies: its tablespace and access method."""
    placed = {"tablespace": table.tablespace, "access_method": table.access_method or "heap"}
    session.rows("migration/set_placement", placed)


def place_default(session: Session) -> None:
    """Let what the transaction creates next lie where the server's settings say."""
    session.rows("migration/set_placement", {"tablespace": "", "access_method": "heap"})


def place_index(session: Session, index: Index) -> None:
    """Let the index that the transaction creates next lie where another one lies."""
    session.rows("migration/set_placement", {"tablespace": index.tablespace, "access_method": "heap"})


def tablespace(source: Table) -> sql.Composable:
    """Return the TABLESPACE clause of a table; empty where it lies in the database's own."""
    return sql.SQL("TABLESPACE {}").format(sql.Identifier(source.tablespace)) if source.tablespace else sql.SQL("")


def storage_options(source: Table) -> sql.Composable:
    """Return the WITH clause with a table's storage parameters; empty where it has none."""
    options = [*source.options, *(f"toast.{each}" for each in source.toast_options)]
    return sql.SQL("WITH ({})").format(catalog_text(", ".join(options))) if options else sql.SQL("")


def give_owner(session: Session, table: TableName, owner: str) -> None:
    """Give a new table the owner of the one that it is like."""
    statement = sql.SQL("ALTER TABLE {} OWNER TO {}").format(table.identifier, sql.Identifier(owner))
    session.execute(statement, purpose=f"Give {table.name} the source's owner")


def tune_columns(session: Session, source: Table, table: TableName) -> None:
    """Copy what LIKE leaves out of the columns: statistics targets and options."""
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


def store_columns(session: Session, source: Table, table: TableName) -> None:
    """Let columns be stored as in another table, where that is not how LIKE made them."""
    created = catalog.require(session, table)
    alter = sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET {}")
    for column in source.columns:
        made, name = created.column(column.name), sql.Identifier(column.name)
        if made.storage != column.storage:
            storage = sql.SQL("STORAGE {}").format(sql.SQL(STORAGE[column.storage]))
            session.execute(alter.format(table.identifier, name, storage), purpose=f"Copy the storage of {column.name}")
        if made.compression != column.compression:
            method = sql.SQL("COMPRESSION {}").format(sql.SQL(COMPRESSION[column.compression]))
            purpose = f"Copy the compression of {column.name}"
            session.execute(alter.format(table.identifier, name, method), purpose=purpose)


def identify(session: Session, source: Table, table: TableName) -> None:
    """Copy the replica identity; where it is an index, the new table's index of the same columns."""
    if source.replica_identity == "d":
        return
    kind: sql.Composable = sql.SQL({"f": "FULL", "n": "NOTHING"}.get(source.replica_identity, ""))
    if source.replica_identity == "i":
        kind = sql.SQL("USING INDEX {}").format(sql.Identifier(_identity_index(session, source, table)))
    statement = sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(table.identifier, kind)
    session.execute(statement, purpose="Copy the replica identity")


def _identity_index(session: Session, source: Table, table: TableName) -> str:
    wanted = next(set(index.columns) for index in source.indexes if index.identity)
    described = catalog.describe(session, table)
    indexes = described.indexes if described else source.indexes
    return next(index.name for index in indexes if index.unique and wanted <= set(index.columns))


def revoke_extras(session: Session, table: TableName, keep: Sequence[Grant] = ()) -> None:
    """Revoke what default privileges granted on a new table and the source does not grant."""
    created = catalog.describe(session, table)
    for each in created.grants if created else ():
        if each not in keep:
            statement = sql.SQL("REVOKE {} ON {} FROM {}").format(
                _privilege(each), table.identifier, _role(each.grantee)
            )
            session.execute(statement, purpose=f"Revoke {each.privilege}, which default privileges gave")


def grant(session: Session, source: Table, table: TableName) -> None:
    """Grant on a new table what is granted on the one that it is like, by the same roles, and nothing else."""
    revoke_extras(session, table, source.grants)
    for each in sorted(source.grants, key=lambda given: given.grantor != source.owner):
        _grant_one(session, source, table, each)
    for privilege in source.owner_lacks:
        statement = sql.SQL("REVOKE {} ON {} FROM {}").format(
            sql.SQL(privilege), table.identifier, sql.Identifier(source.owner)
        )
        session.execute(statement, purpose=f"Revoke {privilege}, which the owner has given up")


def _grant_one(session: Session, source: Table, table: TableName, each: Grant) -> None:
    statement = sql.SQL("GRANT {} ON {} TO {} {}").format(
        _privilege(each), table.identifier, _role(each.grantee), sql.SQL("WITH GRANT OPTION" if each.grantable else "")
    )
    purpose = f"Grant {each.privilege} to {each.grantee or 'PUBLIC'} on {table.name}"
    if each.grantor == source.owner:
        session.execute(statement, purpose=purpose)
        return
    become = sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(each.grantor))
    session.execute(become, purpose=f"Become {each.grantor}, who granted it", lock="none")
    session.execute(statement, purpose=purpose)
    session.execute(sql.SQL("RESET ROLE"), purpose="Become oneself again", lock="none")


def grant_on_sequence(session: Session, name: TableName, grants: Sequence[Grant]) -> None:
    """Grant on a sequence what is granted on the one that it is like, and nothing that default privileges add."""
    for role in session.rows("catalog/list_sequence_grantees", {"schema": name.schema, "name": name.name}):
        statement = sql.SQL("REVOKE ALL ON SEQUENCE {} FROM {}").format(name.identifier, _role(role["grantee"]))
        session.execute(statement, purpose=f"Revoke what default privileges gave on {name.name}")
    for each in grants:
        statement = sql.SQL("GRANT {} ON SEQUENCE {} TO {} {}").format(
            sql.SQL(each.privilege),
            name.identifier,
            _role(each.grantee),
            sql.SQL("WITH GRANT OPTION" if each.grantable else ""),
        )
        session.execute(statement, purpose=f"Grant {each.privilege} on {name.name}")


def _privilege(each: Grant) -> sql.Composable:
    privilege = sql.SQL(each.privilege)
    return sql.SQL("{} ({})").format(privilege, sql.Identifier(each.column)) if each.column else privilege


def _role(name: str) -> sql.Composable:
    return sql.Identifier(name) if name else sql.SQL("PUBLIC")


def comment(session: Session, what: str, name: sql.Composable, text: str) -> None:
    """Copy a comment; an empty one is none."""
    if text:
        statement = sql.SQL("COMMENT ON {} {} IS {}").format(sql.SQL(what), name, sql.Literal(text))
        session.execute(statement, purpose=f"Copy the comment of a {what.lower()}")


def create_index(
    session: Session, table: TableName, index: Index, name: str | None = None, *, only: bool = False
) -> None:
    """Create an index like ``index`` on another table; PostgreSQL chooses the name where none is given."""
    place_index(session, index)
    statement = sql.SQL("CREATE {} {} ON {} {} {}").format(
        sql.SQL("UNIQUE INDEX" if index.unique else "INDEX"),
        sql.Identifier(name) if name else sql.SQL(""),
        sql.SQL("ONLY" if only else ""),
        table.identifier,
        catalog_text(index.tail),
    )
    session.execute(statement, purpose=f"Create index {index.name} on {table.name}")
    if name:
        _complete_index(session, TableName(table.schema, name), index)


def _complete_index(session: Session, name: TableName, index: Index) -> None:
    comment(session, "INDEX", name.identifier, index.comment)
    for position, target in index.statistics:
        statement = sql.SQL("ALTER INDEX {} ALTER COLUMN {} SET STATISTICS {}").format(
            name.identifier, sql.Literal(position), sql.Literal(target)
        )
        session.execute(statement, purpose=f"Copy the statistics target of a column of {index.name}")


def aim_indexes(session: Session, source: Table, table: TableName) -> None:
    """Copy the statistics targets of indexes that a partition has already, under names that PostgreSQL chose."""
    aimed = {index.tail: index for index in source.indexes if index.statistics}
    created = catalog.describe(session, table) if aimed else None
    for index in created.indexes if created else ():
        if index.tail in aimed:
            _complete_index(session, TableName(table.schema, index.name), replace(aimed[index.tail], comment=""))


def key_constraints(source: Table) -> Iterator[tuple[Constraint, Index]]:
    """Yield primary key and unique constraints, each with its index."""
    indexes = {index.constraint: index for index in source.indexes if index.constraint}
    for each in source.constraints:
        if each.kind in "pu":
            yield each, indexes[each.name]


def add_keys(session: Session, source: Table, table: TableName, suffix: str | None = None) -> None:
    """Add primary key and unique constraints; PostgreSQL chooses the names where no suffix is given."""
    for key, index in key_constraints(source):
        place_index(session, index)
        name = None if suffix is None else clip(key.name, suffix)
        named = sql.SQL("") if name is None else sql.SQL("CONSTRAINT {}").format(sql.Identifier(name))
        definition = catalog_text(_stored(key.definition, index.options))
        statement = sql.SQL("ALTER TABLE {} ADD {} {}").format(table.identifier, named, definition)
        session.execute(statement, purpose=f"Add {key.definition} to {table.name}")
        if name:
            _complete_index(session, TableName(table.schema, name), index)
            constraint = sql.SQL("{} ON {}").format(sql.Identifier(name), table.identifier)
            comment(session, "CONSTRAINT", constraint, key.comment)


def _stored(definition: str, options: Sequence[str]) -> str:
    """Return a key's definition with the storage parameters of its index, which PostgreSQL leaves out of it."""
    if not options:
        return definition
    deferrable = next((each for each in DEFERRABLE if definition.endswith(each)), "")
    return f"{definition.removesuffix(deferrable)} WITH ({', '.join(options)}){deferrable}"


def forget_unvalidated_checks(session: Session, source: Table, table: TableName) -> None:
    """Drop the checks that LIKE made valid although the source's are not: its rows may break them."""
    for each in unvalidated_checks(source):
        statement = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(table.identifier, sql.Identifier(each.name))
        session.execute(statement, purpose=f"Drop the check {each.name}, which is not valid on the source")


def add_unvalidated_checks(session: Session, source: Table, table: TableName) -> None:
    """Add the checks that bind new rows only."""
    for each in unvalidated_checks(source):
        statement = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
            table.identifier, sql.Identifier(each.name), catalog_text(each.definition)
        )
        session.execute(statement, purpose=f"Add the check {each.name}, which binds new rows only")
        constraint = sql.SQL("{} ON {}").format(sql.Identifier(each.name), table.identifier)
        comment(session, "CONSTRAINT", constraint, each.comment)


def unvalidated_checks(source: Table) -> Iterator[Constraint]:
    """Yield the checks that are NOT VALID."""
    return (each for each in source.constraints if each.kind == "c" and not each.validated)


def create_triggers(session: Session, source: Table, table: TableName) -> None:
    """Create the source's triggers on a new table, disabled: they fire on the live table only."""
    for each in source.user_triggers:
        statement = sql.SQL("{} ON {}{}").format(catalog_text(each.head), table.identifier, catalog_text(each.tail))
        session.execute(statement, purpose=f"Create trigger {each.name} on {table.name}")
        session.execute(fire(table, each.name, "D"), purpose=f"Disable trigger {each.name} until the cutover")
        name = sql.SQL("{} ON {}").format(sql.Identifier(each.name), table.identifier)
        comment(session, "TRIGGER", name, each.comment)


def fire(table: TableName, trigger: str, enabled: str) -> sql.Composed:
    """Compose the statement that sets when a trigger fires: ``enabled`` as in pg_trigger."""
    return sql.SQL("ALTER TABLE {} {} TRIGGER {}").format(
        table.identifier, sql.SQL(FIRING[enabled]), sql.Identifier(trigger)
    )


def create_policies(session: Session, source: Table, table: TableName) -> None:
    """Copy row security with its policies."""
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
        comment(session, "POLICY", name, each.comment)
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
    """Copy extended statistics under names that end in ``suffix``."""
    for each in source.extended_statistics:
        name = TableName(each.schema, clip(each.name, suffix)).identifier
        statement = sql.SQL("CREATE STATISTICS {}{} FROM {}").format(name, catalog_text(each.tail), table.identifier)
        session.execute(statement, purpose=f"Create extended statistics like {each.name}")
        comment(session, "STATISTICS", name, each.comment)
        owner = sql.SQL("ALTER STATISTICS {} OWNER TO {}").format(name, sql.Identifier(each.owner))
        session.execute(owner, purpose=f"Copy the owner of {each.name}")
        _aim(session, name, each)


def aim_statistics(session: Session, source: Table, table: TableName) -> None:
    """Copy the targets of extended statistics that a partition has already, under names that PostgreSQL chose."""
    targets = {each.tail: each for each in source.extended_statistics if each.target >= 0}
    created = catalog.describe(session, table) if targets else None
    for each in created.extended_statistics if created else ():
        if each.tail in targets:
            _aim(session, TableName(each.schema, each.name).identifier, targets[each.tail])


def _aim(session: Session, name: sql.Identifier, like: ExtendedStatistics) -> None:
    if like.target >= 0:
        target = sql.SQL("ALTER STATISTICS {} SET STATISTICS {}").format(name, sql.Literal(like.target))
        session.execute(target, purpose=f"Copy the target of {like.name}")
