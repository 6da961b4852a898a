"""Attach the loaded partitions to the shadow, then the default one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from partition_playbook import catalog
from partition_playbook.database import Session
from partition_playbook.engine import attributes, capture, reconcile
from partition_playbook.engine.layout import bounds_of
from partition_playbook.engine.shadow import complete_partition
from partition_playbook.engine.sides import Sides, sides
from partition_playbook.errors import PreconditionFailed
from partition_playbook.intervals import Bounds
from partition_playbook.ledger import Phase
from partition_playbook.lock_retry import PATIENCE, with_lock_retry
from partition_playbook.names import SHADOW_SUFFIX, TableName, clip
from partition_playbook.run import Run
from partition_playbook.spec import DefaultPartition


def attach_partitions(run: Run) -> int:
    """Attach every loaded partition, then the default one; return the number of partitions of the shadow.

    Raises PreconditionFailed while a load is pending or running, and LockNotGranted; then nothing is attached.
    """

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
            f"not loaded yet: {names}",
            where=str(run.table.shadow),
            remedy="Clear the load_partition tasks of these partitions, then clear this task",
        )

    now = sides(session, run)
    attached = {each.table for each in catalog.partitions(session, now.partitioned.table_name)}
    planned = {TableName(run.table.schema, load["partition_name"]): load for load in run.ledger.loads()}
    attach(run, session, now, {each: bounds_of(planned[each], run.spec) for each in planned if each not in attached})
    if creates_default(run) and run.table.default not in attached:
        create_default(run, session, now)
    _add_invalid_indexes(session, now)

    shadow = now.partitioned.table_name
    partitions = [each.table for each in catalog.partitions(session, shadow)]
    capture.extend(run, session, (*partitions, shadow))
    run.ledger.set_phase(session, Phase.ATTACHED)
    run.ledger.mark_attached(session)
    return len(partitions)


def _add_invalid_indexes(session: Session, now: Sides) -> None:
    """Create the source's invalid indexes with ON ONLY, so they stay invalid."""
    present = {index.name for index in now.partitioned.indexes}
    for index in now.monolith.partitioned_by(now.partition_by).indexes:
        if not index.valid and clip(index.name, SHADOW_SUFFIX) not in present:
            shadow = now.partitioned.table_name
            attributes.create_index(session, shadow, index, clip(index.name, SHADOW_SUFFIX), only=True)


def creates_default(run: Run) -> bool:
    """Return True if the default partition is created empty; with `until` it is loaded as the others are."""
    return run.spec.default_partition is DefaultPartition.KEEP and not run.spec.until


def create_default(run: Run, session: Session, now: Sides) -> None:
    """Create the default partition, for rows outside every bound."""
    # A non-empty default_tablespace would also apply to the indexes of the partition.
    attributes.set_default_tablespace(session, replace(now.monolith, tablespace=""))
    session.run(
        "engine/create_default_partition",
        partition=run.table.default.identifier,
        shadow=now.partitioned.table_name.identifier,
        options=attributes.storage_options(now.monolith),
        tablespace=attributes.tablespace(now.monolith),
    )
    complete_partition(session, run.table.default, now.monolith)
    widened = now.monolith.partitioned_by(now.partition_by)
    attributes.copy_index_statistics_targets(session, widened, run.table.default)
    attributes.copy_replica_identity(session, widened, run.table.default)


def attach(run: Run, session: Session, now: Sides, bounds: Mapping[TableName, Bounds]) -> None:
    """Attach loaded partitions and drop the CHECK constraints on their bounds."""
    column_type = now.monolith.column(run.spec.partition_by).type
    shadow = now.partitioned.table_name.identifier
    several = []
    for partition, interval in bounds.items():
        parts = {"shadow": shadow, "partition": partition.identifier}
        if interval.is_default:
            session.run("engine/attach_default_partition", **parts)
            continue
        lower, upper = run.spec.codec.ends(interval, column_type)
        several.append({**parts, "lower": lower, "upper": upper})
    session.run_many("engine/attach_partition", several)
