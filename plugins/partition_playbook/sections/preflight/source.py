"""Check the source itself: columns, keys, partition values, physical order of the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

import psycopg
from psycopg import sql

from partition_playbook import figures
from partition_playbook.catalog import Column
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.codecs import ALPHABET, LARGEST, Encoding, Numbers
from partition_playbook.database import Row
from partition_playbook.engine import load
from partition_playbook.engine.layout import with_outliers
from partition_playbook.errors import PreconditionFailed
from partition_playbook.intervals import Unit
from partition_playbook.sections.preflight import key_steps
from partition_playbook.sections.preflight.context import PreflightContext
from partition_playbook.sections.preflight.empty_partitions import (
    FarRows,
    far_rows,
    find_empty_partitions,
    outliers,
    wider_choices,
)
from partition_playbook.sections.preflight.key_steps import InboundKey, NewKey
from partition_playbook.sections.preflight.unsupported import UNCHECKED_KEYS_FROM
from partition_playbook.spec import Arrival, Mode

# The settings of a session that a wrongly IMMUTABLE function may read. The first two zones never have the same
# date, and no time of the day is before noon in all of them.
SETTINGS = {
    "TimeZone": ("Etc/GMT+12", "Etc/GMT-14", "Etc/GMT-6", "Etc/GMT+6"),
    "DateStyle": ("ISO, YMD", "German, DMY"),
    "IntervalStyle": ("postgres", "iso_8601"),
    "extra_float_digits": ("1", "-15"),
    "bytea_output": ("hex", "escape"),
}
SAMPLE = 200
# The time to make one foreign key to one partition again; 0.9 ms measured on an idle server.
INBOUND_KEY_MS = 1.0
TYPES = ("timestamp with time zone", "timestamp without time zone", "date")
# Of a table whose ids start again, no range is ever complete.
ONLY_GROW = "Run ALTER SEQUENCE {} INCREMENT 1 NO CYCLE first: ranges of ids are for a table that only grows"
KEY_TYPES = {kind for encoding in Encoding for kind in encoding.types}
KEY_REMEDY = {
    "date": "Set an `interval` of a day or more in the spec",
    "integer": "Make the column a bigint first, set a narrower `interval`, or a smaller `premake` in the spec",
    "bigint": "Correct `epoch` and `shift` in the spec, or set a smaller `premake`",
}
# Unreadable keys to show.
SAMPLES = 5


def columns_exist(context: PreflightContext) -> Check:
    """Check that every column in the spec exists."""
    spec = context.run.spec
    known = {column.name for column in context.table.columns}
    named = [spec.partition_by, *spec.distinct, *spec.synthetic.values]
    missing = [name for name in dict.fromkeys(named) if name not in known]
    return check(
        "columns_exist",
        not missing,
        expected="every column of the spec exists",
        actual=f"missing: {', '.join(missing)}" if missing else f"{figures.count(len(set(named)), 'column')} found",
        remedy="Correct partition_by, distinct or synthetic.values in the spec; the columns are "
        f"{', '.join(sorted(known))}",
    )


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
    problem = _key_problem(context, column, plain) if suits and encoding else ""
    sequence = _turning_sequence(context) if suits and spec.interval.is_ids else None
    remedy = "Set partition_by in the spec to a stored column of one of these types, or ALTER COLUMN … TYPE first"
    if plain == "date" and suits and spec.interval.unit is Unit.HOUR:
        problem = f"date, which has no hours for an interval of {spec.interval}"
    if encoding is None and plain in KEY_TYPES:
        remedy = f"If {context.partition_by} carries time, set `encoding` in the spec. Otherwise s{remedy[1:]}"
    if encoding is None and plain in Numbers.IDS.types:
        remedy += ". For ids that only grow, set `interval` to a number of ids"
    if problem:
        remedy = KEY_REMEDY.get(plain, _in_bytes(context, column))
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


def _key_problem(context: PreflightContext, column: Column, plain: str) -> str:
    """Return why a column cannot hold the bounds of the encoding; empty if it can."""
    spec = context.run.spec
    last = spec.interval.shift(spec.interval.floor(context.present), spec.premake + 1)
    key = spec.codec.first_key(last)
    if isinstance(key, int) and key > LARGEST.get(plain, key):
        told = "" if spec.interval.is_ids else f" the key of {last},"
        return f"{column.type}, which cannot hold {key},{told} where the partitions ahead end"

    return _collation_problem(context, column) if spec.encoding is Encoding.ULID else ""


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


def expressions(context: PreflightContext) -> Check:
    """Evaluate CHECK constraints, generated columns and indexed expressions with the fixed search_path of the loads.

    Each is evaluated for the same rows under several values of each setting in SETTINGS; the values must be equal.
    """
    texts = [row["expression"] for row in context.session.rows("preflight/list_expressions", context.name)]
    failed = [f"{text}: {problem}" for text in texts if (problem := _evaluate(context, text))]
    remedy = "Run ALTER FUNCTION … SET search_path on the function named; a restore of a dump would fail as well"
    if texts and not failed:
        sample = context.session.rows(
            "preflight/list_sample_rows", {"most": SAMPLE}, source=context.table.table_name.identifier
        )
        places = [row["place"] for row in sample]
        failed = [f"{text} depends on {name}" for text in texts for name in _dependencies(context, text, places)]
        remedy = (
            "The loads build it under settings of their own, so an index would miss rows of the application. Name the "
            "zone or the format in the expression, for example at AT TIME ZONE 'Europe/Berlin' or "
            "to_char(day, 'YYYY-MM-DD'), or DROP it first"
        )
    return check(
        "expressions",
        not failed,
        expected="CHECK constraints, generated columns and indexed expressions do not depend on the session's "
        f"search_path, {', '.join(SETTINGS)}",
        actual="; ".join(failed) or f"{len(texts)} evaluated",
        remedy=remedy,
    )


def _dependencies(context: PreflightContext, text: str, places: list[str]) -> Iterator[str]:
    """Yield the settings under which an expression has other values."""
    for name, values in SETTINGS.items():
        first, *others = (_values(context, text, places, name, value) for value in values)
        # A row that the application changed meanwhile has another place.
        if any(first[place] != other[place] for other in others for place in first.keys() & other.keys()):
            yield name


def _values(context: PreflightContext, text: str, places: list[str], name: str, value: str) -> dict[str, str]:
    """Return a digest of the value of an expression for each row; the setting ends with a savepoint."""
    table = context.table.table_name
    with context.session.connection.transaction(force_rollback=True):
        # Before the next statement is planned: the planner evaluates an IMMUTABLE function of constants.
        context.session.rows("preflight/set_setting", {"name": name, "value": value})
        rows = context.session.rows(
            "preflight/evaluate_for_sample",
            {"places": places},
            source=table.identifier,
            alias=sql.Identifier(table.name),
            expression=sql.SQL(text),
        )
    return {row["place"]: row["value"] for row in rows}


def _evaluate(context: PreflightContext, text: str) -> str:
    source = context.table.table_name.identifier
    try:
        with context.session.connection.transaction():
            context.session.rows("preflight/evaluate_expression", source=source, expression=sql.SQL(text))
    except psycopg.Error as error:
        if context.session.connection.closed:
            raise
        return error.diag.message_primary or str(error)
    return ""


def key(context: PreflightContext) -> Check:
    """Check that a primary key or a unique index over NOT NULL columns identifies each row."""
    return check(
        "key",
        bool(context.table.key),
        expected="a primary key, or a unique index on NOT NULL columns",
        actual=", ".join(context.table.key) or "none",
        remedy="Add a primary key: without one, a changed row cannot be found in the standby table",
    )


def uniqueness(context: PreflightContext) -> Check:
    """Require accept_weaker_uniqueness if a key gains the partition column."""
    by = context.partition_by
    keys = {index.name: ", ".join(index.columns) for index in context.table.indexes if index.unique}
    weaker = [
        f"{index.name}: ({keys[index.name]}) becomes ({keys[index.name]}, {by})"
        for index in context.table.indexes
        if index.unique and by not in index.columns
    ]

    accepted = context.params.accept_weaker_uniqueness or context.params.mode is Mode.PLAN
    return check(
        "uniqueness",
        not weaker,
        expected=f"{by} is a column of every unique key",
        actual="; ".join(weaker) or f"{figures.count(len(keys), 'key')} unchanged",
        severity=Severity.WARNING if accepted else Severity.ERROR,
        remedy="PostgreSQL enforces a unique key within each partition only. The same value may occur with two values "
        f"of {by}, and no foreign key can reference it alone. ON CONFLICT must name the whole new key. Values from a "
        "sequence or a random UUID stay unique in practice. Set the param accept_weaker_uniqueness to accept this",
        evidence=key_steps.evidence(key_steps.duplicates(context.table, by)) if weaker else {},
    )


def inbound_keys(context: PreflightContext) -> Check:
    """Refuse foreign keys to the table without the partition column, and those from the table to itself.

    Before PostgreSQL 15, keys with CASCADE, SET NULL or SET DEFAULT are refused too: the server takes an UPDATE across
    partitions for a DELETE. Before 18, keys of partitioned tables are refused: the swap adds each key as NOT VALID.
    """
    rows = context.session.rows("preflight/list_inbound_keys", context.name)
    server = context.session.server_version()
    keys = [InboundKey(context.table, context.partition_by, row, server) for row in rows]
    refused = [each for each in keys if each.row["own"] or each.by_id_alone]
    moved = "would cascade if an UPDATE moves a row to another partition, before PostgreSQL 15"
    found = [each.name for each in refused] + [f"{row['name']} {moved}" for row in rows if row["acts_on_moves"]]
    parted = [row for row in rows if row["kind"] == "p" and server < UNCHECKED_KEYS_FROM]
    found += [f"{row['name']}, a partitioned table, before PostgreSQL 18" for row in parted]
    steps = [step for each in refused for step in each.steps()]

    return check(
        "inbound_keys",
        not found,
        expected=f"every foreign key to the table references {context.partition_by} too",
        actual=", ".join(found) or f"{figures.count(len(rows), 'foreign key')} with it" if rows else "none",
        remedy=_inbound_remedy(refused, parted, acting=any(row["acts_on_moves"] for row in rows)),
        evidence={"keys": {row["name"]: row["columns"] for row in rows}, **key_steps.evidence(steps)},
    )


def _inbound_remedy(refused: list[InboundKey], parted: Sequence[Row], acting: bool) -> str:
    """Return the way on in short; the steps in the evidence have it whole."""
    able = [each for each in refused if not each.obstacle]
    told = []
    if able:
        table, by = able[0].table, able[0].partition_by
        new = NewKey(table, tuple(able[0].row["referenced"]), by)
        columns = ", ".join(f"{each.column} to {each.referring}" for each in able)
        told += [
            f"Make a unique index on ({new.listed}), add and fill the columns {columns}, let the keys name them, and "
            "drop the old keys",
            "The plan and the report print each step as SQL; docs/your-keys.md explains it",
        ]
    told += [f"Drop {each.name}: {each.obstacle}" for each in refused if each.obstacle]
    if acting:
        told.append("Make keys with CASCADE, SET NULL or SET DEFAULT again without them, or upgrade to PostgreSQL 15")
    if parted:
        names = ", ".join(row["name"] for row in parted)
        told.append(f"Drop {names}, and add it again after partition_finalize, or upgrade to PostgreSQL 18")
    return ". ".join(told)


def inbound_keys_hold(context: PreflightContext) -> Check:
    """Warn if the swap has too many foreign keys to make again under its locks, each to every partition."""
    keys = len(context.session.rows("preflight/list_inbound_keys", context.name))
    try:
        partitions = len(context.bounds)
    except PreconditionFailed:
        return skipped("inbound_keys_hold", "no partitions are planned: see partitions_planned")

    estimated = keys * partitions * INBOUND_KEY_MS
    limit = 1000 * context.run.spec.max_lock.total_seconds()
    return check(
        "inbound_keys_hold",
        estimated <= limit,
        expected=f"the swap makes the foreign keys to the table again within {figures.milliseconds(limit)}",
        actual=f"about {figures.milliseconds(estimated)}: {figures.count(keys, 'key')} to "
        f"{figures.count(partitions, 'partition')}",
        severity=Severity.WARNING,
        remedy="Reads and writes of the application wait meanwhile. Set a wider `interval`, drop the keys before the "
        "cutover and add them afterwards as NOT VALID, or raise `max_lock` in the spec",
    )


def already_partitioned(context: PreflightContext) -> Check:
    """Refuse a partitioned table and a partition."""
    table = context.table
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
        remedy="There is nothing to migrate: trigger partition_maintenance for a partitioned table",
    )


# The chunks of a hypertable are its rows: the advice for plain inheritance would destroy it.
ENGINES = {
    "citus": (
        "the table is distributed by Citus",
        "Leave it to Citus, which partitions by time itself with create_time_partitions(). To migrate it, first call "
        "undistribute_table() if one server can hold all rows",
    ),
    "hypertable": (
        "the table is a hypertable of TimescaleDB",
        "Leave it to TimescaleDB, which partitions it already. Do not detach its chunks: they are its rows. To migrate "
        "it, first copy the rows to a plain table",
    ),
}


def inheritance(context: PreflightContext) -> Check:
    """Refuse tables with inheritance parents or children."""
    engines = {row["kind"] for row in context.session.rows("preflight/list_foreign_engines", context.name)}
    if engines:
        actual, remedy = ENGINES[min(engines)]
        return check("inheritance", False, expected="no inheritance", actual=actual, remedy=remedy)

    passed = not context.table.inherits or context.table.is_partition
    return check(
        "inheritance",
        passed,
        expected="no inheritance",
        actual="none" if passed else "the table has parents or children",
        remedy="Move the rows of the children into the table, then run ALTER TABLE … NO INHERIT on each child",
    )


def persistence(context: PreflightContext) -> Check:
    """Refuse unlogged and temporary tables: a crash or the end of the session empties them."""
    actual = {"p": "permanent", "u": "unlogged", "t": "temporary"}[context.table.persistence]
    return check(
        "persistence",
        context.table.persistence == "p",
        expected="permanent",
        actual=actual,
        remedy="Run ALTER TABLE … SET LOGGED first; a temporary table cannot be migrated",
    )


def partitions_planned(context: PreflightContext) -> Check:
    """Show number and range of the planned partitions; warn of empty ones, with their causes and their cost."""
    expected = "partitions without a gap from the oldest row to the premade ones"
    try:
        bounds = context.bounds
    except PreconditionFailed as error:
        return _too_many_partitions(context, expected, error)

    empty = find_empty_partitions(context)
    beside = "".join(f"; {each}" for each in outliers(context, bounds))
    advice = _advice(context, empty.far) if empty else ""
    return check(
        "partitions_planned",
        empty is None,
        expected=expected,
        actual=f"{figures.count(len(bounds), 'partition')}, one per {context.run.spec.interval.noun}, from "
        f"{bounds[0].lower} to {bounds[-1].upper}{beside}{f'; {empty}' if empty else ''}",
        severity=Severity.WARNING,
        remedy=f"Each empty partition costs locks, memory and planning time. {advice}",
        evidence={
            "partitions": [
                context.run.table.partition(each.suffix).name for each in with_outliers(bounds, context.run.spec)
            ]
        },
    )


def _too_many_partitions(context: PreflightContext, expected: str, error: PreconditionFailed) -> Check:
    """Refuse a range with too many partitions, and name the few rows that stretch it."""
    actual, remedy = error.problem, error.remedy
    with suppress(PreconditionFailed):  # a value outside the years 1 to 9999: the error tells it
        far = far_rows(context)
        actual += f"; most of them {far}" if far else ""
        remedy = _advice(context, far) or remedy
    return check("partitions_planned", False, expected=expected, actual=actual, remedy=remedy)


def _advice(context: PreflightContext, far: FarRows | None) -> str:
    """Return the ways to fewer partitions: without the far-out rows, by a key for them, or with a wider interval."""
    ways = ["correct or delete the far-out rows, if their values are wrong"] if far else []
    if far and far.key:
        ways.append(f"set {far.key} in the spec, so that they share one partition")
    if wider := wider_choices(context):
        ways.append(f"set {wider} in the spec")
    advice = ", or ".join(ways)
    return advice[:1].upper() + advice[1:]


def arrival_order(context: PreflightContext) -> Check:
    """Warn if the rows are stored in time order: then partitions make no read faster."""
    if context.run.spec.interval.is_ids:
        return skipped("arrival_order", "ids grow in the order of the rows; the gain is smaller vacuums and indexes")
    if context.params.synthetic_rows:
        ordered, actual = (
            context.params.arrival is Arrival.TIME,
            f"arrival {context.params.arrival} of the synthetic rows",
        )
    else:
        found = context.session.rows("catalog/find_correlation", {**context.name, "column": context.partition_by})
        if not found:
            return skipped("arrival_order", "no statistics: run ANALYZE on the table to estimate the gain")
        ordered = load.correlation(context.session, context.run) >= load.ORDERED
        actual = f"correlation {figures.decimal(found[0]['correlation'])}"

    return check(
        "arrival_order",
        not ordered,
        expected=f"rows stored in another order than {context.partition_by} (correlation under {load.ORDERED})",
        actual=actual,
        severity=Severity.WARNING,
        remedy="The rows are in time order already: partitions make no read faster, and the criterion min_speedup will "
        "probably fail. Such a table gains retention by DROP instead of DELETE, and smaller vacuums and indexes. To "
        "migrate for these, set `criterion: false` on the queries of the spec, or waive the criterion at the gate "
        "go_no_go_pruning",
    )


def index_on_partition_column(context: PreflightContext) -> Check:
    """Warn if no index leads with the partition column: each load would read the whole table."""
    leading = [
        index.name for index in context.table.indexes if index.columns[:1] == (context.partition_by,) and index.valid
    ]
    return check(
        "index_on_partition_column",
        bool(leading),
        expected=f"an index with {context.partition_by} as its first column",
        actual=", ".join(leading) or "none",
        severity=Severity.WARNING,
        remedy=f"Run CREATE INDEX CONCURRENTLY … ({context.partition_by}) first: without it each load reads the whole "
        "table",
    )


SHAPE = (already_partitioned, inheritance, persistence, columns_exist)
KEYS = (key, uniqueness, inbound_keys, expressions)
BY_PARTITION_COLUMN = (
    partition_values,
    partitions_planned,
    inbound_keys_hold,
    arrival_order,
    index_on_partition_column,
)
