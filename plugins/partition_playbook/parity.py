"""Parity: everything that an application could notice of a table, as facts; and what two tables' facts differ in.

The facts are those of the partitioned table: where it can't be the same, the monolith's are translated, and it is said
why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from partition_playbook.catalog import Column, Table
from partition_playbook.database import Session
from partition_playbook.names import clip

Facts = dict[str, str]
# What hangs on the live table only; the table that stands by gets it with the name.
LIVE_ONLY = ("foreign key", "publication", "sequence", "firing of trigger", "dependent")
KEYS = "pu"


@dataclass(frozen=True)
class Difference:
    """One thing that two tables do not share: what it is, and how each of the two has it."""

    what: str
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"{self.what}: {self.expected or 'absent'} / {self.actual or 'absent'}"


def compare(expected: Mapping[str, str], actual: Mapping[str, str], *, live: bool) -> list[Difference]:
    """Compare two tables' facts; empty where one can stand in for the other. A table that stands by has fewer."""
    return [
        Difference(what, expected.get(what, ""), actual.get(what, ""))
        for what in sorted(expected.keys() | actual.keys())
        if expected.get(what, "") != actual.get(what, "") and (live or not what.startswith(LIVE_ONLY))
    ]


def facts(session: Session, table: Table, by: str, names: Mapping[str, str] | None = None) -> Facts:
    """Return what can be noticed of a table that is or will be partitioned by ``by``.

    ``names`` leads from the names that a table's indexes and the like have while it stands by to those it will have.
    """
    given, table = names or {}, table.partitioned_by(by)
    return dict([*own_facts(table, given), *_sequences(session, table), *_storage(session, table)])


def own_facts(table: Table, names: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Return what can be noticed of a relation by itself, without how it is stored and what reads it."""
    given = names or {}
    columns = ((f"column {column.name}", f"{at} {_column(column)}") for at, column in enumerate(table.columns))
    return [*_table(table), *columns, *_constraints(table, given), *_indexes(table, given), *_others(table, given)]


def names_once_live(live: Table, suffix: str) -> dict[str, str]:
    """Return how the names of what stands by lead to the live table's, which they get at the swap."""
    names = {index.name for index in live.indexes} | {each.name for each in live.extended_statistics}
    return {clip(name, suffix): name for name in names | {each.name for each in live.constraints if each.kind in KEYS}}


def translations(table: Table, by: str) -> list[str]:
    """Say what is not the same on the partitioned table, and why."""
    return list(_translations(table, by))


def _table(table: Table) -> Iterator[tuple[str, str]]:
    yield "owner", table.owner
    yield "comment", table.comment
    yield "row security", f"enabled {table.row_security} forced {table.row_security_forced}"
    for each in table.grants:
        to = f"{each.privilege} {each.column} to {each.grantee or 'PUBLIC'} by {each.grantor}"
        yield f"grant of {to}", f"grantable {each.grantable}"
    for privilege in table.owner_lacks:
        yield f"grant of {privilege} to the owner", "given up"
    for policy in table.policies:
        yield f"policy {policy.name}", _text(policy)
    for label in table.security_labels:
        yield f"security label {label}", "set"


def _column(column: Column) -> str:
    return _text(replace(column, sequence=""))


def _constraints(table: Table, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for each in table.constraints:
        kind = "foreign key" if each.kind == "f" else "constraint"
        yield f"{kind} {names.get(each.name, each.name)}", f"{each.definition} {each.comment}"


def _indexes(table: Table, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for each in table.indexes:
        content = (each.unique, each.valid, each.identity, each.options, each.tablespace, each.statistics, each.comment)
        yield f"index {names.get(each.name, each.name)}", f"{each.tail} {content}"


def _others(table: Table, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for trigger in table.user_triggers:
        yield f"trigger {trigger.name}", f"{trigger.head}{trigger.tail} {trigger.comment}"
        yield f"firing of trigger {trigger.name}", trigger.enabled
    for published in table.publications:
        yield f"publication {published.name}", f"columns {published.columns} filter {published.filter}"
    for each in table.extended_statistics:
        yield f"statistics {names.get(each.name, each.name)}", f"{each.tail} {each.owner} {each.target} {each.comment}"


def _sequences(session: Session, table: Table) -> Iterator[tuple[str, str]]:
    for row in session.rows("catalog/list_sequences", {"schema": table.schema, "name": table.name}):
        yield f"sequence of {row['column_name']}", " ".join(f"{key}={row[key]}" for key in row if key != "column_name")


def _storage(session: Session, table: Table) -> Iterator[tuple[str, str]]:
    if not table.is_partitioned:
        yield "storage", _stored(vars(table))
        return
    found = session.rows("catalog/list_partition_storage", {"schema": table.schema, "name": table.name})
    yield "storage", " and ".join(sorted(map(_stored, found)))


def _stored(content: Mapping[str, Any]) -> str:
    kinds = ("access_method", "tablespace", "owner", "replica_identity")
    settings = {kind: sorted(content[kind]) for kind in ("options", "toast_options")}
    return f"{settings} {[content[kind] for kind in kinds]}"


def _translations(table: Table, by: str) -> Iterator[str]:
    for index in table.indexes:
        if index.unique and by not in index.columns:
            yield f"{index.name} gains {by}, and ON CONFLICT must name it: it is enforced within each partition"
        if index.clustered:
            yield f"the mark CLUSTER on {index.name} is left out"
    if table.options or table.toast_options:
        yield "storage parameters are on each partition: the partitioned table has no storage"
    if table.replica_identity != "d":
        yield "the replica identity is on each partition: they do not inherit it"
    for published in table.publications:
        if not published.via_root:
            yield f"publication {published.name} gets publish_via_partition_root: subscribers know no partitions"


def _text(content: Any) -> str:
    return " ".join(f"{each.name}={getattr(content, each.name)}" for each in fields(content) if each.name != "name")
