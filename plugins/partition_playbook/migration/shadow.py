"""Plan the partitions, build the shadow beside the source, attach what was loaded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from datetime import datetime

import pendulum
import psycopg
from psycopg import sql

from partition_playbook import catalog, parity
from partition_playbook.catalog import Grant, Table
from partition_playbook.database import PATIENCE, DrySession, Row, Session, with_lock_retry
from partition_playbook.errors import PreconditionFailed, SourceChanged
from partition_playbook.intervals import Bounds, between, bounds_at, in_zone
from partition_playbook.ledger import Phase
from partition_playbook.migration import capture, dependents, reconcile, surface
from partition_playbook.migration.run import Run, Sides, sides
from partition_playbook.names import TableName, clip
from partition_playbook.spec import DefaultPartition, TableSpec

MAX_PARTITIONS = 1000


def planned_bounds(session: Session, spec: TableSpec) -> list[Bounds]:
    """Compute the partitions from the data and the clock: no gap from the oldest row to ``premake`` intervals ahead."""
    found = find_range(session, spec)
    now = pendulum.now(spec.timezone)
    oldest = in_zone(found["oldest"], spec.timezone) if found["oldest"] is not None else now
    newest = in_zone(found["newest"], spec.timezone) if found["newest"] is not None else now
    ahead = spec.interval.shift(spec.interval.floor(now), spec.premake)
    span = (max(newest, ahead) - min(oldest, now)).total_days() / spec.interval.days
    if span > MAX_PARTITIONS:
        raise PreconditionFailed(
            f"rows from {oldest} to {newest} need about {span:.0f} partitions, {MAX_PARTITIONS} is the most",
            where=spec.table,
            remedy="Correct the rows with impossible values, or choose a wider `interval` in the spec",
        )
    return list(between(spec.interval, min(oldest, now), max(newest, ahead)))


def find_range(session: Session, spec: TableSpec) -> Row:
    """Read oldest and newest finite partition value and the estimated number of rows."""
    try:
        return session.row(
            "migration/find_range",
            {"schema": spec.name.schema, "name": spec.name.name},
            source=spec.name.identifier,
            partition_by=sql.Identifier(spec.partition_by),
        )
    except psycopg.DataError as error:
        raise PreconditionFailed(
            f"a value that no calendar of ours has: {error}",
            where=f"{spec.table}.{spec.partition_by}",
            remedy="Correct the rows with impossible values: they must lie between the years 1 and 9999",
        ) from error


def plan_hash(source: Table, spec: TableSpec) -> str:
    """Reduce what will be done to one value: the same source and spec give the same hash."""
    surface = asdict(source)
    surface["triggers"] = [each for each in surface["triggers"] if not each["name"].startswith("partition_playbook_")]
    content = json.dumps(
        [surface, spec.model_dump(mode="json", include={"table", "partition_by", "interval", "timezone"})]
    )
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def create(run: Run) -> list[Row]:
    """Create shadow, partitions and change log, and start the capture; return the loads to do.

    One transaction makes the tables, a second one starts the capture with a bounded wait for its lock. SourceChanged
    where
    the source is no longer what preflight looked at.
    """
    with reconcile.reconciler(run) as session:
        with run.database.block(session):
            before = sides(session, run)
            _require_unchanged(run, before.live)
            if before.live.is_partitioned:
                raise PreconditionFailed(
                    "already partitioned", where=str(run.table), remedy="There is nothing to migrate"
                )
            if before.standby is None:
                create_tables(run, session, before, planned_bounds(session, run.spec))
        capture.start(run, session)
    return run.ledger.loads()


def _require_unchanged(run: Run, source: Table) -> None:
    expected = run.ledger.run()["plan_hash"]
    actual = plan_hash(source, run.spec)
    if expected and expected != actual:
        raise SourceChanged(
            f"the plan's hash was {expected} at preflight and is {actual} now",
            where=str(run.table),
            remedy="Start a new run",
        )


def create_tables(run: Run, session: Session, before: Sides, bounds: list[Bounds]) -> None:
    """Create shadow, partitions and change log in the open transaction."""
    source, shadow = before.live, run.table.shadow
    counts = _expected_rows(run, session, bounds)
    by = sql.Identifier(run.spec.partition_by)
    surface.place(session, source)
    session.run("migration/create_shadow", shadow=shadow.identifier, source=run.table.identifier, partition_by=by)
    _complete_shadow(session, before, shadow)
    for each in bounds:
        partition = run.table.partition(each.suffix)
        create_partition(session, shadow, partition, source, run.spec.partition_by, each)
        load = {"partition_name": partition.name, "lower_bound": each.lower, "upper_bound": each.upper}
        session.note("ledger/plan_load", load | {"run_id": run.ledger.run_id, "expected_rows": counts[each]})
    surface.add_unvalidated_checks(session, source, shadow)  # a partition made LIKE it would have them valid
    capture.create_log(run, session, before)
    _remember_surface(run, session, source)
    run.ledger.set_phase(session, Phase.SHADOWED)
    run.ledger.note(session, f"{len(bounds)} partitions planned from {bounds[0].lower} to {bounds[-1].upper}")


def _remember_surface(run: Run, session: Session, source: Table) -> None:
    """Record what can be noticed of the original, so that whatever is live later can be held against it."""
    by = run.spec.partition_by
    surface_facts = dependents.surface_of(session, run.table, by)
    translated = parity.translations(source, by)
    run.ledger.measure_with(
        session, "migration", "surface", len(surface_facts), "facts", facts=surface_facts, translated=translated
    )


def create_partition(
    session: Session, parent: TableName, partition: TableName, like: Table, by: str, bounds: Bounds
) -> None:
    """Create a plain table that can become a partition of ``parent``, like another in all but its indexes."""
    lower, upper = bounds.literals(like.column(by).type)
    check = sql.SQL("{0} IS NOT NULL AND {0} >= {1} AND {0} < {2}").format(sql.Identifier(by), lower, upper)
    create_detached(session, parent, partition, like, check)


def create_detached(
    session: Session, parent: TableName, partition: TableName, like: Table, check: sql.Composable
) -> None:
    """Create a plain table that can become a partition of ``parent``; ``check`` proves that its rows belong there."""
    surface.place(session, like)
    session.run(
        "migration/create_partition",
        partition=partition.identifier,
        shadow=parent.identifier,
        bounds=check,
        options=surface.storage_options(like),
    )
    _complete_partition(session, partition, like)


def _complete_partition(session: Session, partition: TableName, like: Table) -> None:
    surface.tune_columns(session, like, partition)
    surface.aim_statistics(session, like, partition)
    surface.give_owner(session, partition, like.owner)
    surface.revoke_extras(session, partition)
    surface.place_default(session)


def _complete_shadow(session: Session, before: Sides, shadow: TableName) -> None:
    source = before.live.partitioned_by(before.partition_by)
    add_identities(session, source, shadow)
    surface.forget_unvalidated_checks(session, source, shadow)
    surface.add_keys(session, source, shadow, "_new")
    for index in source.indexes:
        if not index.constraint and index.valid:
            surface.create_index(session, shadow, index, clip(index.name, "_new"))
    surface.create_statistics(session, source, shadow, "_new")
    surface.tune_columns(session, source, shadow)
    surface.identify(session, source, shadow)
    surface.comment(session, "TABLE", shadow.identifier, source.comment)
    surface.create_policies(session, source, shadow)
    surface.give_owner(session, shadow, source.owner)
    surface.grant(session, source, shadow)
    surface.create_triggers(session, source, shadow)


def add_identities(session: Session, source: Table, shadow: TableName) -> None:
    """Give the shadow identity columns of its own, with the options of the source's."""
    for each in session.rows("catalog/list_sequences", {"schema": source.schema, "name": source.name}):
        if not each["identity"]:
            continue
        name = TableName(each["schema"], clip(each["name"], "_new"))
        statement = sql.SQL(
            "ALTER TABLE {} ALTER COLUMN {} ADD GENERATED {} AS IDENTITY "
            "(SEQUENCE NAME {} START {} INCREMENT {} MINVALUE {} MAXVALUE {} CACHE {} {})"
        ).format(
            shadow.identifier,
            sql.Identifier(each["column_name"]),
            sql.SQL("ALWAYS" if each["identity"] == "a" else "BY DEFAULT"),
            name.identifier,
            *(sql.Literal(each[option]) for option in ("seqstart", "seqincrement", "seqmin", "seqmax", "seqcache")),
            sql.SQL("CYCLE" if each["seqcycle"] else "NO CYCLE"),
        )
        session.execute(statement, purpose=f"Make {each['column_name']} of the shadow an identity")
        surface.comment(session, "SEQUENCE", name.identifier, each["comment"])
        surface.grant_on_sequence(session, name, [Grant(**given) for given in each["grants"]])


def _expected_rows(run: Run, session: Session, bounds: list[Bounds]) -> dict[Bounds, int]:
    counted = {} if isinstance(session, DrySession) else run.ledger.statistics("snapshot")
    if counted:
        return {
            each: counted[name].rows if (name := run.table.partition(each.suffix).name) in counted else 0
            for each in bounds
        }
    share = find_range(session, run.spec)["estimated_rows"] // len(bounds)
    return dict.fromkeys(bounds, share)


def attach(run: Run) -> int:
    """Attach every loaded partition, then the default one; return how many partitions the shadow has."""

    def attempt(lock_timeout: int) -> int:
        with reconcile.reconciler(run) as session, run.database.within(session, lock_timeout):
            return _attach(run, session)

    loaded = [TableName(run.table.schema, each["partition_name"]) for each in run.ledger.loads()]
    return with_lock_retry(run.database, run.table.shadow, attempt, PATIENCE, also=loaded)


def _attach(run: Run, session: Session) -> int:
    pending = [load for load in run.ledger.loads() if load["state"] in ("pending", "loading")]
    if pending:
        names = ", ".join(load["partition_name"] for load in pending)
        raise PreconditionFailed(
            f"not loaded yet: {names}", where=str(run.table.shadow), remedy="Clear those loads to run them again"
        )
    now = sides(session, run)
    attached = {each.table for each in catalog.partitions(session, now.partitioned.table_name)}
    for load in run.ledger.loads():
        partition = TableName(run.table.schema, load["partition_name"])
        if partition not in attached:
            attach_one(run, session, now, partition, bounds_of(load, run.spec))
    if run.spec.default_partition is DefaultPartition.KEEP and run.table.default not in attached:
        create_default(run, session, now)
    _add_invalid_indexes(session, now)
    shadow = now.partitioned.table_name
    partitions = [each.table for each in catalog.partitions(session, shadow)]
    capture.extend(run, session, (*partitions, shadow))
    run.ledger.set_phase(session, Phase.ATTACHED)
    session.note("ledger/mark_attached", {"run_id": run.ledger.run_id})
    return len(partitions)


def _add_invalid_indexes(session: Session, now: Sides) -> None:
    """Create the source's invalid indexes on the parent only: that leaves them invalid."""
    present = {index.name for index in now.partitioned.indexes}
    for index in now.monolith.partitioned_by(now.partition_by).indexes:
        if not index.valid and clip(index.name, "_new") not in present:
            shadow = now.partitioned.table_name
            surface.create_index(session, shadow, index, clip(index.name, "_new"), only=True)


def create_default(run: Run, session: Session, now: Sides) -> None:
    """Create the partition that takes the rows outside every bound."""
    surface.place(session, replace(now.monolith, tablespace=""))  # else its indexes would lie there too
    session.run(
        "migration/create_default_partition",
        partition=run.table.default.identifier,
        shadow=now.partitioned.table_name.identifier,
        options=surface.storage_options(now.monolith),
        tablespace=surface.tablespace(now.monolith),
    )
    _complete_partition(session, run.table.default, now.monolith)
    surface.aim_indexes(session, now.monolith.partitioned_by(now.partition_by), run.table.default)
    surface.identify(session, now.monolith, run.table.default)


def bounds_of(load: Row, spec: TableSpec) -> Bounds:
    """Return the bounds that a load was planned with."""
    lower: datetime = load["lower_bound"]
    return bounds_at(spec.interval, in_zone(lower, spec.timezone))


def attach_one(run: Run, session: Session, now: Sides, partition: TableName, bounds: Bounds) -> None:
    """Attach one loaded partition and drop the check that proved its bounds."""
    lower, upper = bounds.literals(now.monolith.column(run.spec.partition_by).type)
    session.run(
        "migration/attach_partition",
        shadow=now.partitioned.table_name.identifier,
        partition=partition.identifier,
        lower=sql.Literal(lower),
        upper=sql.Literal(upper),
    )
