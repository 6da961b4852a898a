"""Tables as values, read from the catalog of PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import pendulum
import psycopg

from partition_playbook.codecs import Codec
from partition_playbook.database import Row, Session
from partition_playbook.errors import PreconditionFailed
from partition_playbook.names import CAPTURE_PREFIX, TableName


@dataclass(frozen=True)
class Column:
    """One column; ``quoted`` is its name as PostgreSQL writes it in a definition, ``equals`` its type's own operator.

    ``exact_hash`` is False for types with several forms of one value, such as numeric: 1.0 and 1.00 have one hash.
    """

    name: str
    quoted: str
    type: str
    collation: str
    not_null: bool
    default: str
    generated: str
    identity: str
    sequence: str
    storage: str
    compression: str
    statistics: int
    options: tuple[str, ...]
    exact_hash: bool
    equals: str
    comment: str


@dataclass(frozen=True)
class Constraint:
    """One constraint: ``kind`` is p, u, x, c or f as in pg_constraint."""

    name: str
    kind: str
    definition: str
    validated: bool
    deferrable: bool
    columns: tuple[str, ...]
    referenced_schema: str
    referenced_table: str
    referenced_columns: tuple[str, ...]
    comment: str

    @property
    def referenced(self) -> TableName:
        """Return the referenced table of a foreign key."""
        return TableName(self.referenced_schema, self.referenced_table)

    @property
    def enforced(self) -> bool:
        """Return False for a foreign key or check that is NOT ENFORCED, since PostgreSQL 18."""
        return not self.definition.endswith(" NOT ENFORCED")


@dataclass(frozen=True)
class Index:
    """One index: ``tail`` is its definition from USING on; a ``plain`` one is neither partial nor on expressions.

    ``extensions`` are those of DEPENDS ON EXTENSION, here and for a trigger.
    """

    name: str
    unique: bool
    primary: bool
    valid: bool
    clustered: bool
    constraint: str
    tail: str
    definition: str
    columns: tuple[str, ...]
    tablespace: str
    plain: bool
    identity: bool
    options: tuple[str, ...]
    statistics: tuple[tuple[int, int], ...]
    extensions: tuple[str, ...]
    comment: str


@dataclass(frozen=True)
class Trigger:
    """One trigger, not internal; ``head`` and ``tail`` are its definition without the table's name."""

    name: str
    enabled: str
    each_row: bool
    transitions: bool
    definition: str
    head: str
    tail: str
    extensions: tuple[str, ...]
    comment: str


@dataclass(frozen=True)
class Policy:
    """One row security policy; the role PUBLIC is empty."""

    name: str
    command: str
    permissive: bool
    roles: tuple[str, ...]
    using: str
    with_check: str
    comment: str


@dataclass(frozen=True)
class Published:
    """A publication of the table by name; no columns mean all."""

    name: str
    columns: tuple[str, ...]
    filter: str
    via_root: bool


@dataclass(frozen=True)
class ExtendedStatistics:
    """One object of extended statistics; ``tail`` is its kinds and columns."""

    schema: str
    name: str
    owner: str
    tail: str
    target: int
    comment: str


@dataclass(frozen=True)
class Grant:
    """One privilege of one role; ``column`` is empty for the whole table, ``grantee`` is empty for PUBLIC."""

    column: str
    grantee: str
    grantor: str
    privilege: str
    grantable: bool


@dataclass(frozen=True)
class Table:
    """A table with its columns, constraints, indexes, triggers, policies, grants and so on."""

    oid: int
    schema: str
    name: str
    kind: str
    persistence: str
    is_partition: bool
    inherits: bool
    owner: str
    replica_identity: str
    row_security: bool
    row_security_forced: bool
    access_method: str
    options: tuple[str, ...]
    toast_options: tuple[str, ...]
    tablespace: str
    comment: str
    partition_key: str | None
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...]
    indexes: tuple[Index, ...]
    triggers: tuple[Trigger, ...]
    policies: tuple[Policy, ...]
    rules: tuple[str, ...]
    publications: tuple[Published, ...]
    extended_statistics: tuple[ExtendedStatistics, ...]
    inbound_keys: tuple[str, ...]
    security_labels: tuple[str, ...]
    grants: tuple[Grant, ...]
    owner_lacks: tuple[str, ...]
    unknown_options: tuple[str, ...] = ()

    @property
    def table_name(self) -> TableName:
        """Return the table's name."""
        return TableName(self.schema, self.name)

    @property
    def is_partitioned(self) -> bool:
        """Tell whether the table is a partitioned parent."""
        return self.kind == "p"

    @property
    def primary_key(self) -> Constraint | None:
        """Return the primary key."""
        return next((each for each in self.constraints if each.kind == "p"), None)

    @property
    def foreign_keys(self) -> tuple[Constraint, ...]:
        """Return the foreign keys of the table."""
        return tuple(each for each in self.constraints if each.kind == "f")

    @property
    def key(self) -> tuple[str, ...]:
        """Return the columns of the primary key, else of a unique index without NULLs, else none."""
        if self.primary_key:
            return self.primary_key.columns
        nullable = {column.name for column in self.columns if not column.not_null}
        for index in self.indexes:
            whole = " WHERE " not in index.tail and len(index.columns) > 0
            if index.unique and index.valid and whole and not nullable.intersection(index.columns):
                return index.columns
        return ()

    @property
    def user_triggers(self) -> tuple[Trigger, ...]:
        """Return the triggers without the playbook's own."""
        return tuple(each for each in self.triggers if not each.name.startswith(CAPTURE_PREFIX))

    def column(self, name: str) -> Column:
        """Return a column; PreconditionFailed if there is none of that name."""
        for column in self.columns:
            if column.name == name:
                return column
        known = ", ".join(column.name for column in self.columns)
        raise PreconditionFailed(
            f"no column {name!r}",
            where=str(self.table_name),
            remedy=f"Correct its name in the spec. The columns are {known}",
        )

    def partitioned_by(self, name: str) -> Table:
        """Return the table with the partition column added to every key without it, as partitioning demands."""
        by = self.column(name)
        constraints = (
            replace(each, definition=widen(each.definition, by))
            if each.kind in "pu" and name not in each.columns
            else each
            for each in self.constraints
        )
        indexes = (
            replace(each, tail=widen(each.tail, by)) if each.unique and name not in each.columns else each
            for each in self.indexes
        )
        return replace(self, constraints=tuple(constraints), indexes=tuple(indexes))

    @property
    def writable(self) -> tuple[str, ...]:
        """Return the columns to write in a copy of a row: all but the generated ones."""
        return tuple(column.name for column in self.columns if not column.generated)


_NESTED: dict[str, type[Any]] = {
    "columns": Column,
    "constraints": Constraint,
    "indexes": Index,
    "triggers": Trigger,
    "policies": Policy,
    "publications": Published,
    "extended_statistics": ExtendedStatistics,
    "grants": Grant,
}


def _value(kind: type[Any], content: Row) -> Any:
    return kind(**{each.name: _frozen(content[each.name]) for each in fields(kind)})


def _frozen(content: Any) -> Any:
    return tuple(map(_frozen, content)) if isinstance(content, list) else content


# PostgreSQL's documented options. A server may keep marks of its own beside them: 15.20 has pg_attver on each column.
COLUMN_OPTIONS = frozenset({"n_distinct", "n_distinct_inherited"})
TABLE_OPTIONS = frozenset(
    {
        "fillfactor",
        "toast_tuple_target",
        "parallel_workers",
        "user_catalog_table",
        "log_autovacuum_min_duration",
        "vacuum_index_cleanup",
        "vacuum_truncate",
        "vacuum_max_eager_freeze_failure_rate",
        "autovacuum_enabled",
        "autovacuum_vacuum_threshold",
        "autovacuum_vacuum_max_threshold",
        "autovacuum_vacuum_scale_factor",
        "autovacuum_vacuum_insert_threshold",
        "autovacuum_vacuum_insert_scale_factor",
        "autovacuum_analyze_threshold",
        "autovacuum_analyze_scale_factor",
        "autovacuum_vacuum_cost_delay",
        "autovacuum_vacuum_cost_limit",
        "autovacuum_freeze_min_age",
        "autovacuum_freeze_max_age",
        "autovacuum_freeze_table_age",
        "autovacuum_multixact_freeze_min_age",
        "autovacuum_multixact_freeze_max_age",
        "autovacuum_multixact_freeze_table_age",
    }
)
# The options of a view are part of its definition.
STORED_KINDS = ("r", "p", "m")


def known_options(options: Sequence[str], known: frozenset[str] = TABLE_OPTIONS) -> list[str]:
    """Return the options that a user can set."""
    return [each for each in options if each.partition("=")[0] in known]


def _separate_options(row: Row) -> None:
    """Keep the options that a user can set; name all others in ``unknown_options``."""
    unknown: list[str] = []
    if row["kind"] in STORED_KINDS:
        for part in ("options", "toast_options"):
            known = known_options(row[part])
            unknown += [each for each in row[part] if each not in known]
            row[part] = known

    for column in row["columns"]:
        known = known_options(column["options"], COLUMN_OPTIONS)
        unknown += [f"{each} on column {column['name']}" for each in column["options"] if each not in known]
        column["options"] = known

    row["unknown_options"] = unknown


def describe(session: Session, name: TableName) -> Table | None:
    """Describe a table, view or foreign table; None if there is nothing of that name.

    Raises PreconditionFailed if another session drops or alters it meanwhile.
    """
    try:
        found = session.rows("catalog/describe_table", {"schema": name.schema, "name": name.name})
    except (psycopg.errors.UndefinedTable, psycopg.errors.InternalError_) as error:
        raise PreconditionFailed(
            f"another session dropped or altered it while its catalog was read: {error}",
            where=str(name),
            remedy="Wait for the other session to finish its DDL, then clear this task",
        ) from error
    if not found:
        return None

    row = dict(found[0])
    _separate_options(row)

    for part, kind in _NESTED.items():
        row[part] = [_value(kind, each) for each in row[part]]
    table: Table = _value(Table, row)
    return table


def require(session: Session, name: TableName) -> Table:
    """Describe a table; PreconditionFailed if there is none of that name."""
    found = describe(session, name)
    if found is None:
        raise PreconditionFailed(
            "no such table", where=str(name), remedy="Correct `table` in the spec, or create the table"
        )
    return found


_BOUND = re.compile(r"^FOR VALUES FROM \((?P<lower>[^()]*)\) TO \((?P<upper>[^()]*)\)$")


@dataclass(frozen=True)
class Partition:
    """One partition; ``bound`` is its FOR VALUES clause, or DEFAULT."""

    table: TableName
    kind: str
    bound: str
    detach_pending: bool
    estimated_rows: int

    @property
    def is_default(self) -> bool:
        """Tell whether this is the default partition."""
        return self.bound == "DEFAULT"

    def ends(self, codec: Codec) -> tuple[pendulum.DateTime | None, pendulum.DateTime | None] | None:
        """Return the moments of both bounds, like ``bound_ends``."""
        return bound_ends(self.bound, codec)

    @property
    def edges(self) -> tuple[str, str] | None:
        """Return both bounds as PostgreSQL writes them; None unless it is a range over one column."""
        return _edges(self.bound)


def bound_ends(bound: str, codec: Codec) -> tuple[pendulum.DateTime | None, pendulum.DateTime | None] | None:
    """Return the moments of both bounds in the zone of the codec, None for an open end.

    Return None unless the bound is a range over one column that shares moments with the years 1 to 9999.
    """
    edges = _edges(bound)
    try:
        return (codec.bound(edges[0], is_upper=False), codec.bound(edges[1], is_upper=True)) if edges else None
    except (ValueError, OverflowError):
        return None


def _edges(bound: str) -> tuple[str, str] | None:
    match = _BOUND.match(bound)
    return (match["lower"], match["upper"]) if match and "," not in bound else None


def partitions(session: Session, parent: TableName) -> list[Partition]:
    """List the partitions of a table, the default one last."""
    rows = session.rows("catalog/list_partitions", {"schema": parent.schema, "name": parent.name})
    return [
        Partition(
            TableName(row["schema"], row["name"]),
            row["kind"],
            row["bound"],
            row["detach_pending"],
            row["estimated_rows"],
        )
        for row in rows
    ]


def widen(definition: str, column: Column) -> str:
    """Return a key's definition with one more column at the end of its first list."""
    depth, quote = 0, ""
    for position, character in enumerate(definition):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
            if not depth:
                return f"{definition[:position]}, {column.quoted}{definition[position:]}"
    raise ValueError(f"no list of columns in {definition!r}")
