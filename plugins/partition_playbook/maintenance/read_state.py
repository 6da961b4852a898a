"""Read the state for a plan: partitions, the server's clock, interrupted work of retention, reasons to defer it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

import pendulum
from pendulum import DateTime
from psycopg import sql

from partition_playbook import catalog, figures
from partition_playbook.catalog import Partition, Table
from partition_playbook.checks import Check, check
from partition_playbook.database import Row, Session
from partition_playbook.engine import layout
from partition_playbook.errors import PreconditionFailed
from partition_playbook.intervals import Interval, in_zone
from partition_playbook.maintenance import waiting
from partition_playbook.maintenance.checks import MOST_CREATED
from partition_playbook.maintenance.ranges import Ranged, ranges
from partition_playbook.maintenance.state import Detached, TableState
from partition_playbook.maintenance.widths import Width
from partition_playbook.names import CAPTURE_PREFIX, TableName
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec

MOST_CLOCK_DRIFT_HOURS = 1
OFFSET = re.compile(r":\d\d(\.\d+)?[+-]\d\d(:\d\d)*'$")
FIRST_ASKED = 20
# One wrong id must not ask for more partitions than maintenance creates in one run.
NEAR = 200


def read_state(run: Run, session: Session) -> TableState:
    """Read the state of a partitioned table; moments are in the time zone of the spec."""
    retired = run.table.retired
    values = {"schema": run.table.schema, "name": run.table.name, "column": run.spec.partition_by}
    values |= {"retired": retired.name, "prefix": CAPTURE_PREFIX}
    state = session.row("maintenance/find_state", values)

    begun = detachments(run, session)
    partitions = catalog.partitions(session, run.table)
    default = next((each for each in partitions if each.is_default), None)
    newest = _newest(run, session, partitions, state["clock"])

    return TableState(
        partitions=tuple(partitions),
        clock=in_zone(state["clock"], run.spec.timezone),
        analyzed_at=in_zone(state["analyzed_at"], run.spec.timezone) if state["analyzed_at"] else None,
        detached=tuple(_detached(run, each) for each in begun if each["detached"] and not each["attached"]),
        intended=tuple(TableName(each["schema"], each["name"]) for each in begun if not each["detached"]),
        deferral=_deferral(run, state),
        waiting=waiting.find(run, session, default) if default else waiting.NOTHING,
        unfinished=tuple(waiting.unfinished_splits(run, session)),
        newest=newest,
        last_event=in_zone(state["last_event"], run.spec.timezone) if state["last_event"] else None,
        references=references(run, session),
        earlier=earlier_widths(session, run.spec, partitions),
        column_type=state["column_type"],
        reached=_reached(run, session, partitions, newest) if run.spec.interval.is_ids else None,
    )


def earlier_widths(session: Session, spec: TableSpec, partitions: Sequence[Partition]) -> tuple[Width, ...]:
    """Return the widths of the specs by which the table was migrated or maintained before, the newest first.

    The ledger is asked only if a partition is not one whole interval of the spec.
    """
    if not any(each.is_of_another_width for each in ranges(spec, partitions)):
        return ()
    names = {"table_schema": spec.name.schema, "table_name": spec.name.name}
    known = (_width(spec, partitions, row) for row in session.rows("maintenance/list_intervals", names))
    found = dict.fromkeys(each for each in known if each)
    return tuple(each for each in found if each != Width.of(spec))


def _width(spec: TableSpec, partitions: Sequence[Partition], row: Row) -> Width | None:
    """Return the width of a stored spec; in a column without a time zone its bounds are the same wall clocks."""
    try:
        interval = Interval.parse(row["interval"])
    except ValueError:
        return None
    is_wall_clock = spec.encoding is None and not any(_has_offset(each) for each in partitions)
    return Width(interval, spec.timezone if is_wall_clock else row["timezone"])


def _has_offset(partition: Partition) -> bool:
    """Tell whether a bound has an offset, as those of `timestamptz` have."""
    return any(OFFSET.search(edge) for edge in partition.edges or ())


def _reached(run: Run, session: Session, partitions: Sequence[Partition], newest: DateTime | None) -> DateTime:
    """Return the greatest id of the rows, or of the sequence that makes them.

    Of a sequence far ahead it is an id for which too many partitions are missing, as a check tells.
    """
    key = run.spec.codec.first_key(newest) if newest else 0
    found = layout.present({"newest": key, "sequence": layout.last_value(session, run.spec)}, run.spec)
    return min(found, _after(run, ranges(run.spec, partitions), MOST_CREATED))


def _after(run: Run, ranged: Sequence[Ranged], count: int) -> DateTime:
    """Return the id so many ranges after the last one; the end of all ids without any."""
    ends = [each.upper for each in ranged if each.upper]
    return run.spec.interval.shift(max(ends), count) if ends else run.spec.codec.now


def detachments(run: Run, session: Session) -> list[Row]:
    """Return the tables that retention began to detach from the table and that still exist."""
    return session.rows("maintenance/list_detachments", {"parent": str(run.table)})


def references(run: Run, session: Session) -> dict[TableName, list[str]]:
    """Return the foreign keys that reference a partition by itself, by partition."""
    found: dict[TableName, list[str]] = {}
    for row in session.rows("maintenance/list_references", {"schema": run.table.schema, "name": run.table.name}):
        found.setdefault(TableName(row["schema"], row["name"]), []).append(row["key"])
    return found


def _detached(run: Run, row: Row) -> Detached:
    lower, upper = catalog.bound_ends(row["bound"], run.spec.codec) or (None, None)
    ends = (lower, upper) if lower and upper else None
    since = in_zone(row["since"], run.spec.timezone)
    return Detached(TableName(row["schema"], row["name"]), since, ends, row["kept"], row["archive"] is not None)


def _newest(run: Run, session: Session, partitions: Sequence[Partition], clock: datetime) -> DateTime | None:
    """Return the greatest partition value up to the clock, from the newest partition with rows or the default one.

    No clock tells which ids are of the future: those in the default partition count up to NEAR ranges after the last.
    """
    ranged, until = ranges(run.spec, partitions), run.spec.codec.now if run.spec.interval.is_ids else clock
    begun = [(each.lower, each.partition) for each in ranged if each.lower and each.lower <= until]
    newest_first = [partition for _, partition in sorted(begun, key=lambda each: each[0], reverse=True)]
    defaults = [each for each in partitions if each.is_default]

    if run.spec.interval.is_ids:
        until = _after(run, ranged, NEAR)
    codec, by = run.spec.codec, sql.Identifier("t", run.spec.partition_by)
    reached = {"partition_by": by, "finite": codec.finite(by), "up_to_clock": codec.up_to(by, until)}

    def newest(partition: Partition) -> DateTime | None:
        parts = {"partition": partition.table.identifier, **reached}
        found = session.value("maintenance/find_newest", **parts)
        return None if found is None else codec.moment(found)

    # A partition with pages may hold only dead rows or future ones; then the next one is read.
    firsts = [next(filter(None, map(newest, _filled(session, each))), None) for each in (newest_first, defaults)]
    return max(filter(None, firsts), default=None)


def _filled(session: Session, partitions: Sequence[Partition]) -> Iterator[Partition]:
    """Yield the partitions that may have rows; one of the first is wanted, so few are asked for at first."""
    at, asked = 0, FIRST_ASKED
    while few := partitions[at : at + asked]:
        at, asked = at + asked, 4 * asked
        names = {"schemas": [each.table.schema for each in few], "names": [each.table.name for each in few]}
        rows = session.rows("maintenance/list_filled", names)
        filled = {TableName(row["schema"], row["name"]) for row in rows}
        yield from (each for each in few if each.table in filled)


def _deferral(run: Run, state: Row) -> str:
    """Return the reason for retention to wait: a rollback could not restore rows dropped by it."""
    standing = run.ledger.standing_run(run.table)
    if standing:
        return f"the migration {standing['run_id']} is not finalized (phase {standing['phase']})"
    if state["retired"]:
        return f"the retired table {run.table.retired} still exists"
    if state["captured"]:
        return "the capture of a migration is still on"
    return ""


def require_ours(run: Run, parent: Table) -> None:
    """Raise PreconditionFailed unless the table is range-partitioned by the column of the spec, which carries time."""
    by = run.spec.partition_by
    keys = (f"RANGE ({by})", 'RANGE ("{}")'.format(by.replace('"', '""')))
    if parent.partition_key not in keys:
        raise PreconditionFailed(
            f"partitioned by {parent.partition_key}, not by {keys[0]}",
            where=str(run.table),
            remedy="Correct `partition_by` in the spec; maintenance supports only RANGE over one column",
        )
    kind, encoding = parent.column(by).type, run.spec.codec.encoding
    if not kind.startswith(encoding.types if encoding else ("timestamp", "date")):
        raise PreconditionFailed(
            f"the partition column {by} has the type {kind}",
            where=str(run.table),
            remedy=f"Correct `{'interval' if run.spec.interval.is_ids else 'encoding'}` in the spec: {encoding} is for "
            f"{', '.join(encoding.types)}"
            if encoding
            else "Set `encoding` in the spec, or remove the spec: without it maintenance supports only timestamptz, "
            "timestamp and date",
        )


def clock_check(found: TableState) -> Check:
    """Check the server's clock against the worker's."""
    here = pendulum.now("UTC")
    drift = abs((here - found.clock).total_seconds()) / 3600
    return check(
        "clocks_agree",
        drift <= MOST_CLOCK_DRIFT_HOURS,
        expected=f"the server's clock within {figures.count(MOST_CLOCK_DRIFT_HOURS, 'hour')} of the worker's, "
        f"{here.to_iso8601_string()}",
        actual=found.clock.in_timezone("UTC").to_iso8601_string(),
        remedy="Nothing was changed. Correct the wrong clock, then trigger partition_maintenance again",
    )
