"""Plan the partitions, build the shadow beside the source, attach what was loaded."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import datetime

import pendulum
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Index, Table
from partition_playbook.database import DrySession, Row, Session
from partition_playbook.errors import PreconditionFailed, SourceChanged
from partition_playbook.intervals import Bounds, between, bounds_at, in_zone
from partition_playbook.ledger import Phase
from partition_playbook.migration import capture
from partition_playbook.migration.run import Run, Sides, sides
from partition_playbook.names import TableName, clip
from partition_playbook.spec import DefaultPartition, TableSpec
from partition_playbook.sql import columns

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
    return session.row(
        "migration/find_range",
        {"schema": spec.name.schema, "name": spec.name.name},
        source=spec.name.identifier,
        partition_by=sql.Identifier(spec.partition_by),
    )


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
    with run.database.transaction() as session:
        before = sides(session, run)
        _require_unchanged(run, before.live)
        if before.live.is_partitioned:
            raise PreconditionFailed("already partitioned", where=str(run.table), remedy="There is nothing to migrate")
        if before.standby is None:
            create_tables(run, session, before, planned_bounds(session, run.spec))
    capture.start(run)
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
    session.run("migration/create_shadow", shadow=shadow.identifier, source=run.table.identifier, partition_by=by)
    _complete_shadow(session, before, shadow)
    for each in bounds:
        partition = run.table.partition(each.suffix)
        create_partition(session, shadow, partition, source, run.spec.partition_by, each)
        load = {"partition_name": partition.name, "lower_bound": each.lower, "upper_bound": each.upper}
        session.note("ledger/plan_load", load | {"run_id": run.ledger.run_id, "expected_rows": counts[each]})
    capture.create_log(run, session, before)
    run.ledger.set_phase(session, Phase.SHADOWED)
    run.ledger.note(session, f"{len(bounds)} partitions planned from {bounds[0].lower} to {bounds[-1].upper}")


def create_partition(
    session: Session, parent: TableName, partition: TableName, like: Table, by: str, bounds: Bounds
) -> None:
    """Create a plain table that can become a partition of ``parent``, with owner and storage parameters of ``like``."""
    lower, upper = bounds.literals(like.column(by).type)
    session.run(
        "migration/create_partition",
        partition=partition.identifier,
        shadow=parent.identifier,
        partition_by=sql.Identifier(by),
        lower=sql.Literal(lower),
        upper=sql.Literal(upper),
        options=storage_options(like),
    )
    give_owner(session, partition, like.owner)


def _complete_shadow(session: Session, before: Sides, shadow: TableName) -> None:
    source = before.live
    add_identities(session, source, shadow)
    key = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY ({})")
    if source.primary_key:
        name = clip(source.primary_key.name, "_new")
        statement = key.format(shadow.identifier, sql.Identifier(name), columns(before.logged))
        session.execute(statement, purpose="Add the primary key, with the partition column, to the shadow")
    for index in source.indexes:
        if not index.primary:
            create_index(session, shadow, index, clip(index.name, "_new"))
    tune_columns(session, source, shadow)
    grant(session, source, shadow)
    if source.comment:
        comment = sql.SQL("COMMENT ON TABLE {} IS {}").format(shadow.identifier, sql.Literal(source.comment))
        session.execute(comment, purpose="Copy the table's comment")
    give_owner(session, shadow, source.owner)


def create_index(session: Session, table: TableName, index: Index, name: str | None = None) -> None:
    """Create an index like ``index`` on another table; PostgreSQL chooses the name where none is given."""
    statement = sql.SQL("CREATE {} {} ON {} {}").format(
        sql.SQL("UNIQUE INDEX" if index.unique else "INDEX"),
        sql.Identifier(name) if name else sql.SQL(""),
        table.identifier,
        _catalog_text(index.tail),
    )
    session.execute(statement, purpose=f"Create index {index.name} on {table.name}")
    if name and index.comment:
        comment = sql.SQL("COMMENT ON INDEX {} IS {}").format(
            sql.Identifier(table.schema, name), sql.Literal(index.comment)
        )
        session.execute(comment, purpose=f"Copy the comment of index {index.name}")


def _catalog_text(text: str) -> sql.SQL:
    """Mark text that PostgreSQL itself wrote (a definition from its catalog) as SQL."""
    return sql.SQL(text)


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


def storage_options(source: Table) -> sql.Composable:
    """Return the WITH clause with a table's storage parameters; empty where it has none."""
    if not source.options:
        return sql.SQL("")
    return sql.SQL("WITH ({})").format(_catalog_text(", ".join(source.options)))


def give_owner(session: Session, table: TableName, owner: str) -> None:
    """Give a new table the owner of the one that it is like."""
    statement = sql.SQL("ALTER TABLE {} OWNER TO {}").format(table.identifier, sql.Identifier(owner))
    session.execute(statement, purpose=f"Give {table.name} the source's owner")


def tune_columns(session: Session, source: Table, shadow: TableName) -> None:
    """Copy what LIKE leaves out: statistics targets and replica identity."""
    for column in source.columns:
        if column.statistics >= 0:
            statement = sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET STATISTICS {}").format(
                shadow.identifier, sql.Identifier(column.name), sql.Literal(column.statistics)
            )
            session.execute(statement, purpose=f"Copy the statistics target of {column.name}")
    if source.replica_identity in "fn":
        kind = {"f": "FULL", "n": "NOTHING"}[source.replica_identity]
        statement = sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(shadow.identifier, sql.SQL(kind))
        session.execute(statement, purpose="Copy the replica identity")


def grant(session: Session, source: Table, shadow: TableName) -> None:
    """Grant on a new table what is granted on the one that it is like."""
    for each in source.grants:
        privilege = sql.SQL(each.privilege)
        statement = sql.SQL("GRANT {} ON {} TO {} {}").format(
            sql.SQL("{} ({})").format(privilege, sql.Identifier(each.column)) if each.column else privilege,
            shadow.identifier,
            sql.Identifier(each.grantee) if each.grantee else sql.SQL("PUBLIC"),
            sql.SQL("WITH GRANT OPTION" if each.grantable else ""),
        )
        session.execute(statement, purpose=f"Grant {each.privilege} to {each.grantee or 'PUBLIC'} on the shadow")


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
    pending = [load for load in run.ledger.loads() if load["state"] in ("pending", "loading")]
    if pending:
        names = ", ".join(load["partition_name"] for load in pending)
        raise PreconditionFailed(
            f"not loaded yet: {names}", where=str(run.table.shadow), remedy="Clear those loads to run them again"
        )
    with run.database.transaction() as session:
        now = sides(session, run)
        attached = {each.table for each in catalog.partitions(session, now.partitioned.table_name)}
        for load in run.ledger.loads():
            partition = TableName(run.table.schema, load["partition_name"])
            if partition not in attached:
                attach_one(run, session, now, partition, bounds_of(load, run.spec))
        if run.spec.default_partition is DefaultPartition.KEEP and run.table.default not in attached:
            create_default(run, session, now)
        run.ledger.set_phase(session, Phase.ATTACHED)
        session.note("ledger/mark_attached", {"run_id": run.ledger.run_id})
        return len(catalog.partitions(session, now.partitioned.table_name))


def create_default(run: Run, session: Session, now: Sides) -> None:
    """Create the partition that takes the rows outside every bound."""
    session.run(
        "migration/create_default_partition",
        partition=run.table.default.identifier,
        shadow=now.partitioned.table_name.identifier,
        options=storage_options(now.monolith),
    )
    give_owner(session, run.table.default, now.monolith.owner)


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
