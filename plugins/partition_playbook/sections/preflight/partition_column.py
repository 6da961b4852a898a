"""Check the partition column: its type, and the values of all rows."""

from __future__ import annotations

from pendulum import DateTime
from psycopg import sql

from partition_playbook import figures
from partition_playbook.catalog import Column
from partition_playbook.checks import Check, check, skipped
from partition_playbook.codecs import ALPHABET, ULID_CHARACTERS, Encoding, Numbers
from partition_playbook.database import Row
from partition_playbook.intervals import Unit, elapsed
from partition_playbook.sections.preflight.context import PreflightContext

TYPES = ("timestamp with time zone", "timestamp without time zone", "date")
# Of a table whose ids start again, no range is ever complete.
ONLY_GROW = "Run ALTER SEQUENCE {} INCREMENT 1 NO CYCLE first: ranges of ids are for a table that only grows"
KEY_TYPES = {kind for encoding in Encoding for kind in encoding.types}
KEY_REMEDY = {
    "date": "Set an `interval` of a day or more in the spec",
    "bigint": "Correct `epoch` and `shift` in the spec, or set a smaller `premake`",
}
# As many as any key of an encoding has, and one more.
DIGITS = 20
# Unreadable keys to show.
SAMPLES = 5


def partition_type(context: PreflightContext) -> Check:
    """Check that the partition column is a stored timestamp or date."""
    if context.partition_by not in {each.name for each in context.table.columns}:
        return skipped("partition_type", "the partition column does not exist: see columns_exist")
    column = context.table.column(context.partition_by)
    plain = (
        column.type if "(" not in column.type else column.type[: column.type.index("(")] + column.type.partition(")")[2]
    )
    spec, encoding = context.run.spec, context.run.spec.codec.encoding
    types = TYPES if encoding is None else encoding.types
    suits = plain in types and not column.generated
    problem = _key_problem(context, column) if suits and encoding else ""
    sequence = _turning_sequence(context) if suits and spec.interval.is_ids else None
    remedy = "Set partition_by in the spec to a stored column of one of these types, or ALTER COLUMN … TYPE first"
    if plain == "date" and suits and spec.interval.unit is Unit.HOUR:
        problem = f"date, which has no hours for an interval of {spec.interval}"
    if encoding is None and plain in KEY_TYPES:
        remedy = f"If {context.partition_by} carries time, set `encoding` in the spec. Otherwise s{remedy[1:]}"
    if encoding is None and plain in Numbers.IDS.types:
        remedy += ". For ids that only grow, set `interval` to a number of ids"
    if problem:
        remedy = KEY_REMEDY.get(plain) or _other_type(context, column)
    if sequence:
        problem, remedy = f"{column.type}, {sequence['problem']}", ONLY_GROW.format(sequence["name"])

    needed = f"interval {spec.interval}" if spec.interval.is_ids else f"encoding {encoding}"
    return check(
        "partition_type",
        suits and not problem,
        expected=f"{context.partition_by} is one of {', '.join(types)}"
        f"{f', as {needed} needs,' if encoding else ''} and not generated",
        actual=problem or f"{column.type}{', generated' if column.generated else ''}",
        remedy=remedy,
    )


def _other_type(context: PreflightContext, column: Column) -> str:
    """Return the remedy for a column whose type does not suit the keys."""
    if not context.run.spec.codec.fits(_end_of_partitions(context), column.type):
        return _wider(context, column)
    return _in_bytes(context, column)


def _wider(context: PreflightContext, column: Column) -> str:
    """Return the remedy for a column that is too narrow for the bounds of its partitions."""
    plain, _, modifiers = column.type.partition("(")
    scale = max(int(modifiers.rstrip(")").partition(",")[2] or 0), 0)
    kind = {"integer": "bigint", "numeric": f"numeric({DIGITS + scale}{f',{scale}' if scale else ''})"}.get(
        plain, f"{plain}({ULID_CHARACTERS})"
    )
    blocked = " It writes the table again, and blocks it meanwhile." if plain == "integer" else ""
    return (
        f"Execute ALTER TABLE {context.table.table_name.quoted} ALTER COLUMN {column.quoted} TYPE {kind} first."
        f"{blocked} Or set a narrower `interval`, or a smaller `premake` in the spec"
    )


def _in_bytes(context: PreflightContext, column: Column) -> str:
    """Return the remedy for a text key with an unsuitable collation."""
    return (
        f"Execute ALTER TABLE {context.table.table_name.quoted} ALTER COLUMN {column.quoted} TYPE {column.type} "
        'COLLATE "C" first: partitions are ranges in the order of the collation. It builds the indexes of the column '
        "again, and blocks the table meanwhile"
    )


def _turning_sequence(context: PreflightContext) -> Row | None:
    """Return the sequence of the partition column if its values do not only grow."""
    rows = context.session.rows("preflight/list_turning_sequences", {**context.name, "column": context.partition_by})
    return next(iter(rows), None)


def _key_problem(context: PreflightContext, column: Column) -> str:
    """Return why a column cannot hold the bounds of the encoding; empty if it can."""
    spec, end = context.run.spec, _end_of_partitions(context)
    if not spec.codec.fits(end, column.type):
        told = "" if spec.interval.is_ids else f" the key of {end},"
        return f"{column.type}, which cannot hold {spec.codec.first_key(end)},{told} where the planned partitions end"

    return _collation_problem(context, column) if spec.encoding is Encoding.ULID else ""


def _end_of_partitions(context: PreflightContext) -> DateTime:
    """Return the end of the planned partitions: those ahead, and that of the newest row."""
    spec, newest = context.run.spec, context.rows_range["newest"]
    ends = [spec.interval.shift(spec.interval.floor(context.present), spec.premake + 1)]
    if newest is not None:
        ends.append(spec.interval.shift(spec.interval.floor(spec.codec.moment(newest)), 1))
    return max(ends, key=elapsed)


def _collation_problem(context: PreflightContext, column: Column) -> str:
    """Return why a collation does not suit ULIDs, by its name; empty if it does."""
    collation = column.collation or 'pg_catalog."default"'
    values = {"alphabet": ALPHABET, "collation": collation}
    found = context.session.row("preflight/find_order", values, collation=sql.SQL(collation))
    named = f"{column.type} with collation {column.collation or 'of the database'}"
    if not found["deterministic"]:
        return f"{named}, which is not deterministic: it takes different texts for equal"
    return "" if found["sorts"] else f"{named}, which does not sort bytes"


def partition_values(context: PreflightContext) -> Check:
    """Count the rows with NULL or infinity, and check that the partition column is NOT NULL."""
    if encoding := context.run.spec.codec.encoding:
        return _keys(context, encoding)
    by = sql.Identifier(context.partition_by)
    found = context.session.row(
        "preflight/list_partition_values", source=context.table.table_name.identifier, partition_by=by
    )
    nullable = not context.table.column(context.partition_by).not_null
    steps = ["correct or delete these rows"] if any(found.values()) else []
    if nullable:
        steps.append(
            f"execute ALTER TABLE {context.table.table_name.quoted} ALTER COLUMN {by.as_string(None)} SET NOT NULL"
        )
    remedy = ", then ".join(steps)

    return check(
        "partition_values",
        not nullable and not any(found.values()),
        expected=f"{context.partition_by} is NOT NULL and has finite values only",
        actual=f"{'nullable, ' if nullable else ''}{figures.number(found['nulls'])} NULL, "
        f"{figures.number(found['infinities'])} infinity, {figures.number(found['negative_infinities'])} -infinity",
        remedy=f"{remedy[:1].upper()}{remedy[1:]}. Partitions hold finite values only",
        evidence=found,
    )


def _keys(context: PreflightContext, encoding: Encoding | Numbers) -> Check:
    """Count the rows whose key the encoding cannot read, and check that the partition column is NOT NULL."""
    is_ids = context.run.spec.interval.is_ids
    codec, by = context.run.spec.codec, sql.Identifier(context.partition_by)
    found = context.session.row(
        "preflight/list_unreadable_keys",
        {"most": SAMPLES},
        source=context.table.table_name.identifier,
        partition_by=by,
        unreadable=codec.unreadable(by),
    )
    nullable = not context.table.column(context.partition_by).not_null
    lower, upper = codec.range
    actual = "nullable, " if nullable else ""
    actual += f"{figures.count(found['rows'], 'row')} without such {'an id' if is_ids else 'a key'}"
    if samples := found["samples"]:
        actual += f", such as {', '.join('NULL' if each is None else each for each in samples)}"

    return check(
        "partition_values",
        not nullable and not found["rows"],
        expected=f"{context.partition_by} is NOT NULL and has only "
        f"{'ids' if is_ids else f'keys of encoding {encoding}'}, from {lower} to before {upper}",
        actual=actual,
        remedy=f"Correct or delete these rows; the column must be NOT NULL. Ids are: {encoding.meaning} If they carry "
        "time, set `encoding` and an `interval` of time in the spec"
        if is_ids
        else f"Correct or delete these rows, or correct `encoding` in the spec: {encoding.meaning} The column must "
        "be NOT NULL. Rows of another kind would be in partitions of wrong moments",
        evidence=found,
    )
