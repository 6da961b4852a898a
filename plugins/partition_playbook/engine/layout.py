"""Plan the partitions of a table: their bounds, and the hash of the plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

import pendulum
import psycopg
from pendulum import DateTime
from psycopg import sql

from partition_playbook import figures
from partition_playbook.catalog import Table
from partition_playbook.database import Row, Session
from partition_playbook.errors import PreconditionFailed
from partition_playbook.intervals import (
    BEFORE,
    DEFAULT,
    EARLIEST,
    END_OF_IDS,
    LATEST,
    Bounds,
    IdMoment,
    between,
    bounds_at,
    in_zone,
)
from partition_playbook.spec import TableSpec

# PostgreSQL plans well for a few thousand partitions, by its documentation, if queries prune most of them.
MAX_PARTITIONS = 5_000
# The keys of the spec that the partitions depend on.
PLANNED = {"table", "partition_by", "encoding", "epoch", "shift", "interval", "timezone", "since", "until"}


def planned_bounds(session: Session, spec: TableSpec) -> list[Bounds]:
    """Compute contiguous bounds from the oldest row to the newest one, at least to ``premake`` intervals from now.

    With `since` the first partition holds all older rows, with `until` the default partition all newer ones. Raises
    PreconditionFailed above MAX_PARTITIONS, or for values outside the years 1 to 9999.
    """
    return with_outliers(bounds_for(find_range(session, spec), spec), spec)


def with_outliers(bounds: Sequence[Bounds], spec: TableSpec) -> list[Bounds]:
    """Return the bounds of the intervals with those of the partitions for outliers around them."""
    first = [Bounds(EARLIEST, bounds[0].lower, BEFORE)] if spec.since else []
    default = [Bounds(bounds[-1].upper, LATEST, DEFAULT)] if spec.until else []
    return [*first, *bounds, *default]


def bounds_for(found: Row, spec: TableSpec) -> list[Bounds]:
    """Compute the planned bounds of the intervals for an oldest and a newest value.

    Raises PreconditionFailed above MAX_PARTITIONS.
    """
    now = present(found, spec)
    oldest = spec.codec.moment(found["oldest"]) if found["oldest"] is not None else now
    oldest = spec.first_moment or oldest
    newest = spec.codec.moment(found["newest"]) if found["newest"] is not None else now

    ahead = spec.interval.shift(spec.interval.floor(now), spec.premake)
    span = (max(newest, ahead) - min(oldest, now)).total_days() / spec.interval.days
    if span > MAX_PARTITIONS:
        raise PreconditionFailed(
            f"rows from {oldest} to {newest} need about {figures.count(span, 'partition')}, more than the "
            f"{figures.number(MAX_PARTITIONS)} that the planner bears",
            where=spec.table,
            remedy="Correct the rows with wrong values, or set a wider `interval` in the spec"
            if spec.interval.is_ids
            else "Correct the rows with wrong values, bound the partitions with `since` or `until` in the spec, or "
            "set a wider `interval`",
        )
    return list(between(spec.interval, min(oldest, now), max(newest, ahead)))


def present(found: Row, spec: TableSpec) -> DateTime:
    """Return the present of a range: now, or the greatest id that the table or its sequence has reached."""
    if not spec.interval.is_ids:
        return pendulum.now(spec.timezone)
    reached = [int(each) for each in (found["newest"], found["sequence"]) if each is not None]
    return IdMoment.of(min(max([0, *reached]), END_OF_IDS))


def find_present(session: Session, spec: TableSpec) -> DateTime:
    """Return the present of a table; ids are read from the table and from its sequence."""
    return present(find_range(session, spec) if spec.interval.is_ids else {}, spec)


def find_range(session: Session, spec: TableSpec, within: sql.Composable | None = None) -> Row:
    """Read the oldest and newest partition value, and the estimated number of rows.

    The values are ``within`` a condition, by default `since` and `until`. With ranges of ids ``sequence`` is the last
    value of the column's own sequence, if it has one.
    """
    by = sql.Identifier(spec.partition_by)
    try:
        found = session.row(
            "engine/find_range",
            {"schema": spec.name.schema, "name": spec.name.name},
            source=spec.name.identifier,
            partition_by=by,
            within=within or spec.codec.inside(by, spec.first_moment, spec.end_moment),
        )
        return found | {"sequence": last_value(session, spec) if spec.interval.is_ids else None}
    except psycopg.DataError as error:
        raise PreconditionFailed(
            f"a value is outside the supported range (years 1 to 9999): {error}",
            where=f"{spec.table}.{spec.partition_by}",
            remedy="Correct or delete the rows outside this range, then clear this task",
        ) from error


def last_value(session: Session, spec: TableSpec) -> int | None:
    """Return the last value of the sequence that the partition column owns; None without one, or without its rights."""
    names = {"schema": spec.name.schema, "name": spec.name.name, "column": spec.partition_by}
    found: int | None = session.value("engine/find_sequence_value", names)
    return found


def plan_hash(source: Table, spec: TableSpec) -> str:
    """Return one value over the source's definition and the spec: if both are the same, so is the hash."""
    surface = asdict(source)
    surface.pop("unknown_options")  # the server's own marks change with its minor version
    surface["triggers"] = [each for each in surface["triggers"] if not each["name"].startswith("partition_playbook_")]
    content = json.dumps([surface, spec.model_dump(mode="json", include=PLANNED, exclude_none=True)])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def bounds_of(load: Row, spec: TableSpec) -> Bounds:
    """Return the bounds of a load."""
    lower, upper = (in_zone(load[end], spec.timezone) for end in ("lower_bound", "upper_bound"))
    if lower == EARLIEST:
        return Bounds(EARLIEST, upper, BEFORE)
    if upper == LATEST:
        return Bounds(lower, LATEST, DEFAULT)
    return bounds_at(spec.interval, lower)
