"""Parity facts: all properties of a table that an application can notice, and the differences of two tables.

Facts are those of the partitioned table. A fact of the monolith that cannot be the same there is translated, with a
reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from partition_playbook.catalog import Column, Index, Table, Trigger, known_options
from partition_playbook.database import Session
from partition_playbook.names import clip

Facts = dict[str, str]
# Facts of the live table only; the standby gets them at the swap.
LIVE_ONLY = ("foreign key", "publication", "sequence", "firing of trigger", "dependent")
KEYS = "pu"
# Later facts of a sequence: left out while they have these values, as in the ledgers of earlier versions.
USUAL_OF_SEQUENCES = {"owner_lacks": [], "persistence": "p"}


@dataclass(frozen=True)
class Difference:
    """One fact with different values in two tables."""

    what: str
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected or 'absent'}, found {self.actual or 'absent'}"


def compare(expected: Mapping[str, str], actual: Mapping[str, str], *, live: bool) -> list[Difference]:
    """Return the differences of two tables' facts; if not ``live``, without the facts of the live table only."""
    return [
        Difference(what, expected.get(what, ""), actual.get(what, ""))
        for what in sorted(expected.keys() | actual.keys())
        if expected.get(what, "") != actual.get(what, "") and (live or not what.startswith(LIVE_ONLY))
    ]


def read_facts(session: Session, table: Table, by: str, names: Mapping[str, str] | None = None) -> Facts:
    """Return the facts of a table partitioned by ``by``, now or later.

    ``names`` maps the standby's names of indexes, constraints and statistics to their names after the swap.
    """
    given, table = names or {}, table.partitioned_by(by)
    # No swap moves a rule. One on both tables is right: each is bound to its own table.
    rules = ((f"rule {name}", "set") for name in table.rules)
    return dict([*own_facts(table, given), *rules, *sequence_facts(session, table), *_storage(session, table)])


def own_facts(table: Table, names: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """Return the facts of a relation by itself, without storage, sequences and dependents."""
    given = names or {}
    columns = ((f"column {column.name}", f"{at} {_column(column)}") for at, column in enumerate(table.columns))
    return [*_table(table), *columns, *_constraints(table, given), *_indexes(table, given), *_others(table, given)]


def names_once_live(live: Table, suffix: str) -> dict[str, str]:
    """Map the standby's names of indexes, constraints and statistics to the live table's."""
    names = {index.name for index in live.indexes} | {each.name for each in live.extended_statistics}
    return {clip(name, suffix): name for name in names | {each.name for each in live.constraints if each.kind in KEYS}}


def translations(table: Table, by: str) -> list[str]:
    """Return the translations: each fact that cannot be the same on the partitioned table, with the reason."""
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
        yield f"index {names.get(each.name, each.name)}", f"{each.tail} {content}{_extensions(each)}"


def _others(table: Table, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for trigger in table.user_triggers:
        yield f"trigger {trigger.name}", f"{trigger.head}{trigger.tail} {trigger.comment}{_extensions(trigger)}"
        yield f"firing of trigger {trigger.name}", trigger.enabled
    for published in table.publications:
        yield f"publication {published.name}", f"columns {published.columns} filter {published.filter}"
    for each in table.extended_statistics:
        yield f"statistics {names.get(each.name, each.name)}", f"{each.tail} {each.owner} {each.target} {each.comment}"


def _extensions(each: Index | Trigger) -> str:
    """Name the extensions of DEPENDS ON EXTENSION; empty without any, as in the facts of earlier versions."""
    return f" depends on {', '.join(each.extensions)}" if each.extensions else ""


def sequence_facts(
    session: Session, table: Table, names: Mapping[str, str] | None = None, *, owned: bool = True
) -> Iterator[tuple[str, str]]:
    """Yield the facts of the sequences of a table's columns; if not ``owned``, of its identity columns only."""
    for row in session.rows("catalog/list_sequences", {"schema": table.schema, "name": table.name}):
        if not owned and not row["identity"]:
            continue

        content = row | {"name": (names or {}).get(row["name"], row["name"])}
        column = content.pop("column_name")
        for fact, usual in USUAL_OF_SEQUENCES.items():
            if content[fact] == usual:
                del content[fact]
        yield f"sequence of {column}", " ".join(f"{key}={value}" for key, value in content.items())


def _storage(session: Session, table: Table) -> Iterator[tuple[str, str]]:
    if not table.is_partitioned:
        yield "storage", _stored(vars(table))
        return
    found = session.rows("catalog/list_partition_storage", {"schema": table.schema, "name": table.name})
    yield "storage", " and ".join(sorted(map(_stored, found)))


def loaded_storage(content: Mapping[str, Any]) -> str:
    """Return the storage of a table or partition as text, without the replica identity: an index may have to exist."""
    return _stored(dict(content) | {"replica_identity": ""})


def _stored(content: Mapping[str, Any]) -> str:
    kinds = ("access_method", "tablespace", "owner", "replica_identity")
    settings = {kind: sorted(known_options(content[kind])) for kind in ("options", "toast_options")}
    return f"{settings} {[content[kind] for kind in kinds]}"


def _translations(table: Table, by: str) -> Iterator[str]:
    for index in table.indexes:
        if index.unique and by not in index.columns:
            yield f"{index.name} gains {by}, as PostgreSQL enforces it per partition; ON CONFLICT must name {by} too"
        if index.clustered:
            yield f"{index.name} loses its CLUSTER mark: a partitioned index can have none"
    if table.options or table.toast_options:
        yield "storage parameters move to each partition: the partitioned table has no storage"
    if table.replica_identity != "d":
        yield "the replica identity is set on each partition: partitions do not inherit it"
    for published in table.publications:
        if not published.via_root:
            yield f"publication {published.name} gets publish_via_partition_root: subscribers have no partitions"


def _text(content: Any) -> str:
    return " ".join(f"{each.name}={getattr(content, each.name)}" for each in fields(content) if each.name != "name")
