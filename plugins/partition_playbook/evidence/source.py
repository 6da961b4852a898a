"""What the source itself must be: its columns, its key, the values it is partitioned by, how its rows lie."""

from __future__ import annotations

import psycopg
from psycopg import sql

from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.evidence.precondition import Look
from partition_playbook.migration import load
from partition_playbook.spec import Arrival, Mode

TYPES = ("timestamp with time zone", "timestamp without time zone", "date")


def columns_exist(look: Look) -> Check:
    """Check that the columns that the spec names are there."""
    spec = look.run.spec
    known = {column.name for column in look.table.columns}
    named = [spec.partition_by, *spec.distinct, *spec.synthetic.values]
    missing = [name for name in dict.fromkeys(named) if name not in known]
    return check(
        "columns_exist",
        not missing,
        expected="every column that the spec names",
        actual=f"missing: {', '.join(missing)}" if missing else f"{len(set(named))} named, all there",
        remedy=f"Correct partition_by, distinct or synthetic.values in the spec. Columns: {', '.join(sorted(known))}",
    )


def partition_type(look: Look) -> Check:
    """Check that the partition column is a moment or a day that is stored."""
    column = look.table.column(look.partition_by)
    plain = (
        column.type if "(" not in column.type else column.type[: column.type.index("(")] + column.type.partition(")")[2]
    )
    return check(
        "partition_type",
        plain in TYPES and not column.generated,
        expected=f"{look.partition_by} is one of {', '.join(TYPES)} and not generated",
        actual=f"{column.type}{', generated' if column.generated else ''}",
        remedy="Partition by another column, or change its type first",
    )


def partition_values(look: Look) -> Check:
    """Count the rows that belong to no partition, and see that no NULL can come."""
    by = sql.Identifier(look.partition_by)
    found = look.session.row(
        "preflight/list_partition_values", source=look.table.table_name.identifier, partition_by=by
    )
    nullable = not look.table.column(look.partition_by).not_null
    return check(
        "partition_values",
        not nullable and not any(found.values()),
        expected=f"{look.partition_by} is NOT NULL, and no infinity in it",
        actual=f"{'nullable, ' if nullable else ''}{found['nulls']} NULL, {found['infinities']} infinity, "
        f"{found['negative_infinities']} -infinity",
        remedy="Correct or delete those rows, then ALTER COLUMN … SET NOT NULL; partitions hold finite moments only",
        evidence=found,
    )


def expressions(look: Look) -> Check:
    """Evaluate checks, generated columns and indexed expressions as the loads do: with a fixed search path."""
    texts = [row["expression"] for row in look.session.rows("preflight/list_expressions", look.name)]
    failed = [f"{text}: {problem}" for text in texts if (problem := _evaluate(look, text))]
    return check(
        "expressions",
        not failed,
        expected="checks, generated columns and indexed expressions that do not depend on the session's search path",
        actual="; ".join(failed) or f"{len(texts)} evaluated",
        remedy="ALTER FUNCTION … SET search_path on the function that it names; a restore of a dump would fail as well",
    )


def _evaluate(look: Look, text: str) -> str:
    source = look.table.table_name.identifier
    try:
        with look.session.connection.transaction():
            look.session.rows("preflight/evaluate_expression", source=source, expression=sql.SQL(text))
    except psycopg.Error as error:
        if look.session.connection.closed:
            raise
        return error.diag.message_primary or str(error)
    return ""


def key(look: Look) -> Check:
    """Check that rows can be told apart."""
    return check(
        "key",
        bool(look.table.key),
        expected="a primary key, or a unique index on columns that are NOT NULL",
        actual=", ".join(look.table.key) or "none",
        remedy="Add a primary key: without one, changed rows cannot be found again in the other table",
    )


def uniqueness(look: Look) -> Check:
    """Ask for consent where a key gains the partition column, and say what that means."""
    by = look.partition_by
    keys = {index.name: ", ".join(index.columns) for index in look.table.indexes if index.unique}
    weaker = [
        f"{index.name}: ({keys[index.name]}) becomes ({keys[index.name]}, {by})"
        for index in look.table.indexes
        if index.unique and by not in index.columns
    ]
    accepted = look.params.accept_weaker_uniqueness or look.params.mode is Mode.PLAN
    return check(
        "uniqueness",
        not weaker,
        expected=f"{by} is in every key",
        actual="; ".join(weaker) or f"{len(keys)} keys stay as they are",
        severity=Severity.WARNING if accepted else Severity.ERROR,
        remedy="PostgreSQL can enforce them within a partition only: the same value may then occur at two moments, no "
        "foreign key can refer to it, and ON CONFLICT must name the whole new key. Values from a sequence or a random "
        "UUID stay unique in practice. If you can live with that, set accept_weaker_uniqueness",
    )


def inbound_keys(look: Look) -> Check:
    """Refuse keys of other tables that could not refer to a partitioned one, and those of the table to itself.

    Before PostgreSQL 15 those that cascade or set to NULL would do so where a row only moves to another partition.
    """
    rows = look.session.rows("preflight/list_inbound_keys", look.name)
    found = [row["name"] for row in rows if row["own"] or look.partition_by not in row["columns"]]
    moved = "takes a row that moves to another partition for a deleted one, before PostgreSQL 15"
    found += [f"{row['name']} {moved}" for row in rows if row["acts_on_moves"]]
    return check(
        "inbound_keys",
        not found,
        expected=f"whatever refers to the table from elsewhere refers to {look.partition_by} too",
        actual=", ".join(found) or f"{len(rows)} keys that do" if rows else "none",
        remedy="Drop these keys first, or let them refer to a table that is not partitioned",
        evidence={row["name"]: row["columns"] for row in rows},
    )


def already_partitioned(look: Look) -> Check:
    """Refuse a table that is partitioned, or is itself a partition."""
    table = look.table
    actual = (
        f"partitioned by {table.partition_key}"
        if table.is_partitioned
        else "a partition"
        if table.is_partition
        else "neither"
    )
    return check(
        "already_partitioned",
        not table.is_partitioned and not table.is_partition,
        expected="neither partitioned nor a partition",
        actual=actual,
        remedy="There is nothing to migrate: partition_maintenance keeps a partitioned table in order",
    )


def inheritance(look: Look) -> Check:
    """Refuse parents and children of inheritance."""
    passed = not look.table.inherits or look.table.is_partition
    return check(
        "inheritance",
        passed,
        expected="no inheritance",
        actual="none" if passed else "the table inherits or is inherited from",
        remedy="Move the children's rows into the table and ALTER TABLE … NO INHERIT first",
    )


def persistence(look: Look) -> Check:
    """Refuse tables that a crash or the session's end empties."""
    actual = {"p": "permanent", "u": "unlogged", "t": "temporary"}[look.table.persistence]
    return check(
        "persistence",
        look.table.persistence == "p",
        expected="permanent",
        actual=actual,
        remedy="ALTER TABLE … SET LOGGED first; a temporary table cannot be migrated",
    )


def partitions_planned(look: Look) -> Check:
    """Show how many partitions there will be."""
    bounds = look.bounds
    return check(
        "partitions_planned",
        bool(bounds),
        expected="partitions without a gap from the oldest row on",
        actual=f"{len(bounds)} of a {look.run.spec.interval} each, from {bounds[0].lower} to {bounds[-1].upper}",
        evidence={"partitions": [look.run.table.partition(each.suffix).name for each in bounds]},
    )


def arrival_order(look: Look) -> Check:
    """Foresee from the order of the heap whether reads can become faster."""
    if look.params.synthetic_rows:
        ordered, actual = (
            look.params.arrival is Arrival.TIME,
            f"arrival {look.params.arrival}, as this rehearsal generates it",
        )
    else:
        found = look.session.rows("catalog/find_correlation", {**look.name, "column": look.partition_by})
        if not found:
            return skipped("arrival_order", "never analyzed, or empty: run ANALYZE to foresee the gain")
        ordered = load.correlation(look.session, look.run) >= load.ORDERED
        actual = f"correlation {found[0]['correlation']:.2f}"
    return check(
        "arrival_order",
        not ordered,
        expected=f"rows that lie in another order than {look.partition_by} (correlation under {load.ORDERED})",
        actual=actual,
        severity=Severity.WARNING,
        remedy="The rows lie in time order already, so sorting them into partitions makes no read faster, and the "
        "criterion of min_speedup will probably not be met. What such a table gains is retention by DROP instead of "
        "DELETE, and vacuums and indexes of a partition's size",
    )


def index_on_partition_column(look: Look) -> Check:
    """Warn where every load would read the whole table."""
    leading = [index.name for index in look.table.indexes if index.columns[:1] == (look.partition_by,) and index.valid]
    return check(
        "index_on_partition_column",
        bool(leading),
        expected=f"an index that leads with {look.partition_by}",
        actual=", ".join(leading) or "none",
        severity=Severity.WARNING,
        remedy=f"Each load reads the whole table. CREATE INDEX CONCURRENTLY on ({look.partition_by}) first spares that",
    )


SHAPE = (already_partitioned, inheritance, persistence, columns_exist)
KEYS = (key, uniqueness, inbound_keys, expressions)
BY_PARTITION_COLUMN = (partition_values, partitions_planned, arrival_order, index_on_partition_column)
