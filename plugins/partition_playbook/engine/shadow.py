"""Plan the partitions, and build the shadow beside the source."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

from partition_playbook import figures, parity
from partition_playbook.catalog import Grant, Table
from partition_playbook.database import DrySession, Row, Session
from partition_playbook.engine import attributes, capture, dependents, early_parity, reconcile
from partition_playbook.engine.layout import bounds_of, find_range, plan_hash, planned_bounds
from partition_playbook.engine.sides import Sides, sides
from partition_playbook.errors import PreconditionFailed, SourceChanged
from partition_playbook.gates import Gate
from partition_playbook.intervals import Bounds
from partition_playbook.ledger import Phase
from partition_playbook.names import SHADOW_SUFFIX, TableName, clip
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec


def build(run: Run, gate: Gate | None = None) -> list[Row]:
    """Create shadow, partitions and change log, and start capture; return the loads as ledger rows.

    One transaction creates the tables. A second one starts capture with a bounded wait for its lock. A third one logs
    the rows outside the planned partitions that were committed between both. After an error of the first one nothing is
    left.

    Raises GateClosed unless ``gate`` permits it, RunStands if another migration of the table stands, and
    LockNotGranted. Raises SourceChanged if the plan hash differs from preflight's. Raises PreconditionFailed if the
    table is partitioned, or if the empty shadow differs from it.
    """
    with reconcile.reconciler(run) as session:
        with run.database.block(session):
            if gate:
                gate(session, run)
            before = sides(session, run)
            _require_unchanged(run, before.live)
            if before.live.is_partitioned:
                raise PreconditionFailed(
                    "already partitioned", where=str(run.table), remedy="Nothing to migrate: choose another table"
                )
            run.ledger.require_alone(session, run.table)
            if before.standby is None:
                bounds = planned_bounds(session, run.spec)
                create_tables(run, session, before, bounds)
                early_parity.require_parity(session, before, [run.table.partition(each.suffix) for each in bounds])
        capture.start(run, session)
        loads = run.ledger.loads()
        with run.database.block(session):
            capture.log_rows_outside(run, session, before, [bounds_of(each, run.spec) for each in loads])
    return loads


def _require_unchanged(run: Run, source: Table) -> None:
    expected = run.ledger.run()["plan_hash"]
    actual = plan_hash(source, run.spec)
    if expected and expected != actual:
        raise SourceChanged(
            f"the table definition or the spec changed after preflight (definition hash {expected}, now {actual})",
            where=str(run.table),
            remedy="Trigger partition_rollback if a shadow exists, then trigger a new run of partition_migration",
        )


def create_tables(run: Run, session: Session, before: Sides, bounds: list[Bounds]) -> None:
    """Create shadow, partitions and change log in the open transaction."""
    source, shadow = before.live, run.table.shadow
    counts = _expected_rows(run, session, bounds)
    by = sql.Identifier(run.spec.partition_by)
    attributes.set_default_tablespace(session, source)
    session.run("engine/create_shadow", shadow=shadow.identifier, source=run.table.identifier, partition_by=by)
    _complete_shadow(session, before, shadow)

    create_partitions(run, session, source, bounds)
    run.ledger.plan_loads(session, run.table, counts)
    # Only now: a partition created LIKE the shadow would have these checks as valid.
    attributes.add_unvalidated_checks(session, source, shadow)

    capture.create_change_log(run, session, before)
    _record_parity_facts(run, session, source)
    run.ledger.set_phase(session, Phase.SHADOWED)
    run.ledger.add_note(
        f"{figures.count(len(bounds), 'partition')} planned, the first {bounds[0]}, the last {bounds[-1]}",
        session=session,
    )


def _record_parity_facts(run: Run, session: Session, source: Table) -> None:
    """Record the parity facts of the original, to compare later live tables with."""
    by = run.spec.partition_by
    surface_facts = dependents.parity_facts(session, run.table, by)
    translated = parity.translations(source, by)
    run.ledger.record_measurement(
        "migration", "surface", len(surface_facts), "facts", session=session, facts=surface_facts, translated=translated
    )


def create_partitions(run: Run, session: Session, like: Table, bounds: list[Bounds]) -> None:
    """Create the plain tables to attach to the shadow later, many in one request."""
    partitions = [run.table.partition(each.suffix) for each in bounds]
    attributes.set_default_tablespace(session, like)
    checks = {run.table.partition(each.suffix): _within(run.spec, like, each) for each in bounds}
    _create(session, run.table.shadow, checks, like)
    for partition in partitions:
        _copy_settings(session, partition, like)
    attributes.set_owners(session, partitions, like.owner)
    for partition in attributes.with_grants(session, partitions):
        attributes.revoke_extras(session, partition)
    attributes.reset_default_tablespace(session)


def create_partition(run: Run, session: Session, partition: TableName, like: Table, bounds: Bounds) -> None:
    """Create a plain table to attach to the run's table later, like another one but without indexes."""
    create_detached(session, run.table, partition, like, _within(run.spec, like, bounds))


def _within(spec: TableSpec, like: Table, bounds: Bounds) -> sql.Composable:
    return spec.codec.within(sql.Identifier(spec.partition_by), bounds, bounds, like.column(spec.partition_by).type)


def create_detached(
    session: Session, parent: TableName, partition: TableName, like: Table, check: sql.Composable
) -> None:
    """Create a plain table to attach to ``parent`` later; ``check`` spares ATTACH the scan for its bounds."""
    attributes.set_default_tablespace(session, like)
    _create(session, parent, {partition: check}, like)
    complete_partition(session, partition, like)


def _create(session: Session, parent: TableName, checks: Mapping[TableName, sql.Composable], like: Table) -> None:
    parts = {"shadow": parent.identifier, "options": attributes.storage_options(like)}
    several = [parts | {"partition": partition.identifier, "bounds": check} for partition, check in checks.items()]
    session.run_many("engine/create_partition", several)


def complete_partition(session: Session, partition: TableName, like: Table) -> None:
    """Copy column settings, statistics targets and owner to a new partition; revoke its default privileges."""
    _copy_settings(session, partition, like)
    attributes.set_owner(session, partition, like.owner)
    attributes.revoke_extras(session, partition)
    attributes.reset_default_tablespace(session)


def _copy_settings(session: Session, partition: TableName, like: Table) -> None:
    attributes.copy_column_settings(session, like, partition)
    attributes.copy_statistics_targets(session, like, partition)


def _complete_shadow(session: Session, before: Sides, shadow: TableName) -> None:
    source = before.live.partitioned_by(before.partition_by)
    add_identities(session, source, shadow)
    attributes.drop_unvalidated_checks(session, source, shadow)
    attributes.add_keys(session, source, shadow, SHADOW_SUFFIX)
    for index in source.indexes:
        if not index.constraint and index.valid:
            attributes.create_index(session, shadow, index, clip(index.name, SHADOW_SUFFIX))
    attributes.create_statistics(session, source, shadow, SHADOW_SUFFIX)
    attributes.copy_column_settings(session, source, shadow)
    attributes.copy_replica_identity(session, source, shadow)
    attributes.set_comment(session, "TABLE", shadow.identifier, source.comment)
    attributes.create_policies(session, source, shadow)
    attributes.set_owner(session, shadow, source.owner)
    attributes.copy_grants(session, source, shadow)
    grant_identities(session, source)
    attributes.create_triggers(session, source, shadow)


def add_identities(session: Session, source: Table, shadow: TableName) -> None:
    """Give the shadow its own identity columns, with the options of the source's."""
    for each in _identities(session, source):
        name = TableName(each["schema"], clip(each["name"], SHADOW_SUFFIX))
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
        session.execute(statement, purpose=f"Make {each['column_name']} of the shadow an identity column")
        _copy_sequence_storage(session, name, each, source.column(each["column_name"]).type)
        attributes.set_comment(session, "SEQUENCE", name.identifier, each["comment"])


def _copy_sequence_storage(session: Session, name: TableName, like: Row, column_type: str) -> None:
    """Copy type and persistence of an identity column's sequence where they differ from those of the column."""
    if like["type"] != column_type:
        statement = sql.SQL("ALTER SEQUENCE {} AS {}").format(name.identifier, attributes.catalog_text(like["type"]))
        session.execute(statement, purpose=f"Copy the type of {like['name']}")
    if like["persistence"] == "u":
        statement = sql.SQL("ALTER SEQUENCE {} SET UNLOGGED").format(name.identifier)
        session.execute(statement, purpose=f"Copy the persistence of {like['name']}")


def grant_identities(session: Session, source: Table) -> None:
    """Copy the privileges on the sequences of identity columns; only once the shadow has its owner."""
    for each in _identities(session, source):
        name = TableName(each["schema"], clip(each["name"], SHADOW_SUFFIX))
        grants = [Grant(**grant) for grant in each["grants"]]
        attributes.copy_sequence_grants(session, source.owner, name, grants, each["owner_lacks"])


def _identities(session: Session, source: Table) -> list[Row]:
    found = session.rows("catalog/list_sequences", {"schema": source.schema, "name": source.name})
    return [each for each in found if each["identity"]]


def _expected_rows(run: Run, session: Session, bounds: list[Bounds]) -> dict[Bounds, int]:
    """Return the expected rows of each partition: those of the snapshot, else an equal share of the estimate."""
    counted = {} if isinstance(session, DrySession) else run.ledger.statistics("snapshot")
    if counted:
        return {
            each: counted[name].rows if (name := run.table.partition(each.suffix).name) in counted else 0
            for each in bounds
        }
    share = find_range(session, run.spec)["estimated_rows"] // len(bounds)
    return dict.fromkeys(bounds, share)
