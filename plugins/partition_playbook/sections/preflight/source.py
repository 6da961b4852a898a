"""Check the table itself: its kind, columns and indexes, the order of its rows, and the planned partitions."""

from __future__ import annotations

from contextlib import suppress

from partition_playbook import figures
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.engine import load
from partition_playbook.engine.layout import with_outliers
from partition_playbook.errors import PreconditionFailed
from partition_playbook.sections.preflight.context import PreflightContext
from partition_playbook.sections.preflight.empty_partitions import (
    FarRows,
    far_rows,
    find_empty_partitions,
    outliers,
    wider_choices,
)
from partition_playbook.spec import Arrival


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
