"""Dependents bound to the table by oid, not by name: views, functions, policies, keys. A swap rebinds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from psycopg import sql

from partition_playbook import catalog, parity
from partition_playbook.catalog import Published, Table
from partition_playbook.database import Session
from partition_playbook.engine import attributes, materialized_views
from partition_playbook.engine.attributes import catalog_text
from partition_playbook.names import TableName
from partition_playbook.parity import Facts


class Kind(StrEnum):
    """The kind of a dependent."""

    VIEW = "view"
    MATERIALIZED_VIEW = "materialized view"
    FUNCTION = "function"
    POLICY = "policy"
    FOREIGN_KEY = "foreign key"


@dataclass(frozen=True)
class Dependent:
    """One object bound to the table; ``other`` is the table of a policy or foreign key."""

    kind: Kind
    schema: str
    name: str
    owner: str
    definition: str
    options: tuple[str, ...]
    filter: str
    check: str
    other: str
    comment: str

    @property
    def surface(self) -> str:
        """Return everything that an application can notice of it."""
        return " ".join((self.owner, self.definition, *self.options, self.filter, self.check, self.comment))

    def __str__(self) -> str:
        return f"{self.kind} {self.name}{f' on {self.other}' if self.other else ''}"

    @property
    def table(self) -> TableName:
        """Return the name of a view or materialized view."""
        return TableName(self.schema, self.name)

    @property
    def belongs_to(self) -> TableName:
        """Return the table of a policy or foreign key."""
        return TableName(self.schema, self.other)

    @property
    def identifier(self) -> sql.Identifier:
        """Return the quoted, schema-qualified name."""
        return sql.Identifier(self.schema, self.name)


def find(session: Session, table: TableName) -> tuple[Dependent, ...]:
    """List the dependents of a table and of its materialized views, without those of the standby."""
    sources = [table, *materialized_views.find(session, table)]
    rows = [row for each in sources for row in session.rows("catalog/list_dependents", vars(each))]
    found = (Dependent(**row | {"kind": Kind(row["kind"]), "options": tuple(row["options"])}) for row in rows)
    return tuple(each for each in found if each.belongs_to not in (table.shadow, table.retired))


def parity_facts(session: Session, table: TableName, by: str) -> Facts:
    """Return the parity facts of the live table and of its dependents."""
    found = parity.read_facts(session, catalog.require(session, table), by)
    for each in find(session, table):
        if each.kind is Kind.MATERIALIZED_VIEW:
            found |= materialized_views.parity_facts(session, each.table)
        else:
            found[f"dependent {each}"] = each.surface
    return found


def lock(dependents: Sequence[Dependent]) -> Iterator[sql.Composed]:
    """Compose the statements to lock dependents before the table, in the application's order.

    A view is locked by an ALTER to its present owner: LOCK TABLE would also lock every table of its query.
    """
    for each in dependents:
        if each.kind in (Kind.VIEW, Kind.MATERIALIZED_VIEW):
            yield sql.SQL("ALTER TABLE {} OWNER TO {}").format(each.identifier, sql.Identifier(each.owner))
    others = {each.belongs_to for each in dependents if each.kind in (Kind.POLICY, Kind.FOREIGN_KEY)}
    for other in sorted(others):
        yield sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(other.identifier)


def rebind(dependents: Sequence[Dependent]) -> Iterator[sql.Composed]:
    """Compose the statements to rebind dependents by name, for after the renames."""
    for each in dependents:
        yield from _REBIND[each.kind](each)


def _replace_view(view: Dependent) -> Iterator[sql.Composed]:
    options = sql.SQL("WITH ({})").format(catalog_text(", ".join(view.options))) if view.options else sql.SQL("")
    yield sql.SQL("CREATE OR REPLACE VIEW {} {} AS {}").format(view.identifier, options, catalog_text(view.definition))


def _replace_function(function: Dependent) -> Iterator[sql.Composed]:
    yield sql.Composed([catalog_text(function.definition)])


def _alter_policy(policy: Dependent) -> Iterator[sql.Composed]:
    yield sql.SQL("ALTER POLICY {} ON {} {}").format(
        sql.Identifier(policy.name), policy.belongs_to.identifier, attributes.conditions(policy.filter, policy.check)
    )


def _replace_key(key: Dependent) -> Iterator[sql.Composed]:
    table, name = key.belongs_to.identifier, sql.Identifier(key.name)
    definition = catalog_text(key.definition.removesuffix(" NOT VALID"))
    yield sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(table, name)
    yield sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID").format(table, name, definition)
    if key.comment:
        yield sql.SQL("COMMENT ON CONSTRAINT {} ON {} IS {}").format(name, table, sql.Literal(key.comment))


def _nothing(dependent: Dependent) -> Iterator[sql.Composed]:
    yield from ()


_REBIND = {
    Kind.VIEW: _replace_view,
    Kind.MATERIALIZED_VIEW: _nothing,
    Kind.FUNCTION: _replace_function,
    Kind.POLICY: _alter_policy,
    Kind.FOREIGN_KEY: _replace_key,
}


def publish(
    publications: Sequence[Published], live: TableName, retired: TableName, by_root: Mapping[str, bool]
) -> Iterator[sql.Composed]:
    """Compose the statements to move publications to the new live table.

    ``by_root`` has the new publish_via_partition_root by publication. Subscribers need it to see changes under the name
    of the partitioned table, not of its partitions.
    """
    for each in publications:
        name = sql.Identifier(each.name)
        listed = sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Identifier, each.columns)))
        where = sql.SQL("WHERE {}").format(catalog_text(each.filter))
        yield sql.SQL("ALTER PUBLICATION {} DROP TABLE ONLY {}").format(name, retired.identifier)
        if each.name in by_root:
            option = sql.Literal(by_root[each.name])
            yield sql.SQL("ALTER PUBLICATION {} SET (publish_via_partition_root = {})").format(name, option)
        yield sql.SQL("ALTER PUBLICATION {} ADD TABLE ONLY {} {} {}").format(
            name, live.identifier, listed if each.columns else sql.SQL(""), where if each.filter else sql.SQL("")
        )


def swap_triggers(live: Table, standby: Table, name: TableName, retired: TableName) -> Iterator[sql.Composed]:
    """Compose the statements to enable the application's triggers on the new live table only."""
    present = {each.name for each in standby.triggers}
    for each in live.user_triggers:
        if each.name in present:
            yield attributes.set_trigger_mode(name, each.name, each.enabled)
        yield attributes.set_trigger_mode(retired, each.name, "D")
