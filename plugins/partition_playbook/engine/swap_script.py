"""The statements of a swap under its locks, as one script: every name, and everything that follows a name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import sql

from partition_playbook.catalog import Table
from partition_playbook.database import SEPARATOR, Session
from partition_playbook.engine import attributes, dependents, guard, materialized_views, sequences
from partition_playbook.engine.dependents import Dependent
from partition_playbook.engine.sides import Direction, Sides
from partition_playbook.names import TableName, clip
from partition_playbook.run import Run


def compose(
    run: Run, session: Session, before: Sides, direction: Direction, readers: Sequence[Dependent]
) -> sql.Composed:
    """Compose all statements of the swap transaction, as one script."""
    live, standby = before.live, before.require_standby()
    retired = run.table.retired if direction is Direction.FORWARD else run.table.shadow
    parts = [
        sql.SQL("SET CONSTRAINTS ALL IMMEDIATE"),  # deferred constraints have not checked the reconciled rows yet
        *_rename_all(live, standby, direction),
        attributes.rename("TABLE", live.table_name, retired.name),
        attributes.rename("TABLE", standby.table_name, run.table.name),
        *sequences.move(run, session, before, direction),
        *materialized_views.rename(session, before),
        *dependents.swap_triggers(live, standby, run.table, retired),
        *dependents.publish(live.publications, run.table, retired, _published_by_root(run, live, direction)),
        *_bind_policies(live, run.table),
        *_bind_policies(live, retired),
        *dependents.rebind(readers),
        *_guard(run, session, live, direction),
    ]
    return SEPARATOR.join(parts)


def _guard(run: Run, session: Session, live: Table, direction: Direction) -> Iterator[sql.Composed]:
    if direction is Direction.FORWARD:
        yield guard.drop(run)
    else:
        yield from guard.create(run, session, has_keys=bool(live.foreign_keys))


def _published_by_root(run: Run, live: Table, direction: Direction) -> dict[str, bool]:
    """Return the new publish_via_partition_root of the publications to change, by name."""
    if direction is Direction.FORWARD:
        return {each.name: True for each in live.publications if not each.via_root}
    recorded = run.ledger.measurements("migration").get("published_by_root")
    return dict.fromkeys(recorded["detail"]["publications"], False) if recorded else {}


def _bind_policies(live: Table, name: TableName) -> Iterator[sql.Composed]:
    """Rebind policy conditions with a subquery on the table itself: they follow its name, not its oid."""
    for each in live.policies:
        yield sql.SQL("ALTER POLICY {} ON {} {}").format(
            sql.Identifier(each.name), name.identifier, attributes.conditions(each.using, each.with_check)
        )


def _rename_all(live: Table, standby: Table, direction: Direction) -> Iterator[sql.Composed]:
    """Swap the names of indexes, and so of their constraints, and of extended statistics."""
    indexes = [("INDEX", live.schema, each.name) for each in live.indexes]
    statistics = [("STATISTICS", each.schema, each.name) for each in live.extended_statistics]
    for kind, schema, name in (*indexes, *statistics):
        yield attributes.rename(kind, TableName(schema, name), clip(name, direction.retired_suffix))
        yield attributes.rename(kind, TableName(schema, clip(name, direction.standby_suffix)), name)


def record_publications(run: Run, session: Session, before: Sides, direction: Direction) -> None:
    """Record the publications with an option for a rollback to reset."""
    if direction is Direction.FORWARD and before.live.publications:
        changed = list(_published_by_root(run, before.live, direction))
        run.ledger.record_measurement(
            "migration", "published_by_root", len(changed), "", session=session, publications=changed
        )
