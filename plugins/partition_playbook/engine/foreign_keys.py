"""Foreign keys of both tables: those of the standby must not block deletes in other tables for long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Constraint, Table
from partition_playbook.database import Limits, Session
from partition_playbook.engine import attributes, dependents, load_groups, reconcile
from partition_playbook.engine.dependents import Dependent, Kind
from partition_playbook.engine.locks import Deadline
from partition_playbook.engine.sides import Direction, Sides, sides
from partition_playbook.errors import PreconditionFailed
from partition_playbook.lock_retry import with_lock_retry
from partition_playbook.names import TableName
from partition_playbook.run import Run

# With so few changes waiting, a row deleted together with its parent is most likely gone on both sides.
BACKLOG_BEFORE_KEYS = 100
CATCH_UPS = 5
UNCHECKED = " NOT VALID"
UNENFORCED = " NOT ENFORCED"
WORKERS = 2
# The first version in which a partitioned table can have a NOT VALID key.
INHERITED_UNCHECKED = 18
# Writers of the referenced table wait while so many partitions get a key: about 1 ms each.
ADDED_TOGETHER = 16
log = logging.getLogger(__name__)


def prepare(run: Run, direction: Direction) -> None:
    """Add the live table's foreign keys to the standby before a swap.

    Forward, each partition's keys are validated while the application works, and the parent adopts them. Back, the keys
    are added as NOT VALID, and validated after the swap: the live table checked the rows when they were written.
    """
    with run.database.session() as session:
        now = sides(session, run)
        partitions = [each.table for each in catalog.partitions(session, now.partitioned.table_name)]
        to_add_to = tables_to_add_to(session, now.partitioned.table_name, partitions)
        referring = _referring(session, run)
    keys = now.live.foreign_keys
    _record_keys(run, now, referring)
    if direction is Direction.BACK:
        for key in keys:
            _add_unchecked(run, [now.require_standby().table_name], key)
        return

    shadow = now.partitioned.table_name
    for key in keys:
        for tables in to_add_to:
            _add_unchecked(run, tables, key)
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(partial(_validate_group, run, keys=keys), load_groups.of(run, partitions)))
    for key in keys:
        _complete_parent(run, shadow, key)


def tables_to_add_to(session: Session, shadow: TableName, partitions: Sequence[TableName]) -> list[list[TableName]]:
    """Return the tables to add a foreign key to as NOT VALID, in the groups of a transaction.

    From PostgreSQL 18 on the partitions inherit the key of the shadow. Before it, the shadow adopts theirs later.
    """
    if session.server_version() >= INHERITED_UNCHECKED:
        return [[shadow]]
    return [list(partitions[at : at + ADDED_TOGETHER]) for at in range(0, len(partitions), ADDED_TOGETHER)]


def _validate_group(run: Run, partitions: Sequence[TableName], keys: Sequence[Constraint]) -> None:
    """Validate each key for the partitions of a group, in one transaction a key.

    If rows violate one, the partitions are validated one by one, with the catch-ups that ``constrain`` makes.
    """
    try:
        for key in keys:
            if key.validated:
                _validate(run, partitions, key)
    except psycopg.errors.ForeignKeyViolation as error:
        log.info("%s: %s; validating one by one", run.table, error.diag.message_detail or error)
        for partition in partitions:
            constrain(run, partition, keys)


def constrain(run: Run, partition: TableName, keys: Sequence[Constraint]) -> None:
    """Add keys to a partition and validate them; PreconditionFailed if they don't hold after CATCH_UPS tries.

    The partition may still have rows that refer to deleted ones: a try that fails reconciles the deletes. A catch-up
    before each partition would take longer than the writes of a busy table wait for.
    """
    for key in keys:
        _add_unchecked(run, [partition], key)

    for _ in range(CATCH_UPS):
        try:
            for key in keys:
                if key.validated:
                    _validate(run, [partition], key)
            return
        except psycopg.errors.ForeignKeyViolation as error:
            problem = error.diag.message_detail or str(error)
            log.info("%s: %s; reconciling, then validating again", partition, problem)
            reconcile.catch_up(run, until=BACKLOG_BEFORE_KEYS)
    raise PreconditionFailed(
        f"rows violate a foreign key: {problem}",
        where=str(partition),
        remedy="Correct these rows in the live table, then clear this task",
    )


def _referring(session: Session, run: Run) -> list[Dependent]:
    """Return the foreign keys that refer to the live table."""
    return [each for each in dependents.find(session, run.table) if each.kind is Kind.FOREIGN_KEY]


def _record_keys(run: Run, now: Sides, referring: Sequence[Dependent]) -> None:
    """Record the keys of and to the live table for their validation after a swap: the other table loses them."""
    definitions = {key.name: key.definition for key in now.live.foreign_keys}
    unchecked = [str(each) for each in referring if each.definition.endswith(UNCHECKED)]
    run.ledger.record_measurement(
        "migration", "foreign_keys", len(definitions), "keys", definitions=definitions, unchecked=unchecked
    )


def release(run: Run) -> None:
    """Validate the foreign keys of the live table and those that refer to it, after a swap.

    Also drop those of the standby, which a swap of an earlier version left.
    """
    with run.database.session() as session:
        now = sides(session, run)
    for key in now.require_standby().foreign_keys:
        _drop(run, now.require_standby().table_name, key)
    validate_live(run)


def validate_live(run: Run) -> None:
    """Validate the keys of and to the live table left NOT VALID by a swap, except those NOT VALID before it.

    A key to the live table may be NOT VALID by an interrupted swap. If rows violate it, the application made it so.
    """
    recorded = run.ledger.measurements("migration")
    if "foreign_keys" not in recorded:
        return  # no swap was ever prepared

    with run.database.session() as session:
        live = catalog.require(session, run.table)
        referring = _referring(session, run)

    unchecked = recorded["foreign_keys"]["detail"].get("unchecked", ())
    definitions = recorded["foreign_keys"]["detail"]["definitions"]
    for key in live.foreign_keys:
        if not definitions.get(key.name, "").endswith((UNCHECKED, UNENFORCED)):
            _validate(run, [live.table_name], key)

    originals = recorded["surface"]["detail"]["facts"] if "surface" in recorded else {}
    for each in referring:
        if f"{UNCHECKED} " not in originals.get(f"dependent {each}", "") and not each.definition.endswith(UNENFORCED):
            _validate_or_leave(run, each, leave=str(each) in unchecked)


def _validate_or_leave(run: Run, key: Dependent, *, leave: bool) -> None:
    try:
        _validate_referring(run, key)
    except psycopg.errors.ForeignKeyViolation as error:
        if not leave:
            raise
        run.ledger.add_note(f"{key} stays NOT VALID, as before: {error.diag.message_detail or error}")


def _validate_referring(run: Run, key: Dependent) -> None:
    def step(session: Session) -> None:
        if key.definition.endswith(UNCHECKED):
            session.run("engine/validate_key", table=key.belongs_to.identifier, name=sql.Identifier(key.name))

    _locked(run, run.table, step)


def _drop(run: Run, table: TableName, key: Constraint) -> None:
    def step(session: Session) -> None:
        drop(session, table, key)

    _locked(run, key.referenced, step)


def drop_of_live(session: Session, live: Table, deadline: Deadline) -> None:
    """Drop the foreign keys of the live table, which is about to become the standby, within the deadline of a swap.

    They must end with the swap. A row deleted from the new live table stays in the standby until it is reconciled.
    Until then such a key would refuse the application's delete of the row that it references.

    Each key of a thousand partitions takes a tenth of a second. Another try would take as long, so the deadline ends
    waits for the referenced tables only.
    """
    for key in live.foreign_keys:
        with deadline.request_free():
            drop(session, live.table_name, key)


def drop(session: Session, table: TableName, key: Constraint) -> None:
    """Drop a foreign key."""
    session.run("engine/drop_key", table=table.identifier, name=sql.Identifier(key.name))


def _validity(session: Session, tables: Sequence[TableName], key: Constraint) -> dict[TableName, bool]:
    """Tell for each of the tables that has a foreign key of that name whether it is validated."""
    names = {each.quoted: each for each in tables}
    found = session.rows("catalog/list_keys_named", {"tables": list(names), "name": key.name})
    return {names[row["name"]]: row["validated"] for row in found}


def _definition(key: Constraint) -> sql.SQL:
    return sql.SQL(key.definition.removesuffix(UNCHECKED))


def _add_unchecked(run: Run, tables: Sequence[TableName], key: Constraint) -> None:
    def step(session: Session) -> None:
        present = _validity(session, tables, key)
        add_unchecked(session, [each for each in tables if each not in present], key)

    _locked(run, key.referenced, step)


def add_unchecked(session: Session, tables: Sequence[TableName], key: Constraint) -> None:
    """Add a foreign key to tables as NOT VALID, for new rows only."""
    parts = {"name": sql.Identifier(key.name), "definition": _definition(key)}
    session.run_many("engine/add_key_unchecked", [parts | {"table": each.identifier} for each in tables])
    for each in tables:
        _comment(session, each, key)


def _comment(session: Session, table: TableName, key: Constraint) -> None:
    attributes.set_comment(
        session, "CONSTRAINT", sql.SQL("{} ON {}").format(sql.Identifier(key.name), table.identifier), key.comment
    )


def _validate(run: Run, tables: Sequence[TableName], key: Constraint) -> None:
    def step(session: Session) -> None:
        valid = _validity(session, tables, key)
        validate(session, [each for each in tables if valid.get(each) is False], key)

    _locked(run, key.referenced, step)


def validate(session: Session, tables: Sequence[TableName], key: Constraint) -> None:
    """Validate a foreign key of tables."""
    name = sql.Identifier(key.name)
    session.run_many("engine/validate_key", [{"table": each.identifier, "name": name} for each in tables])


def _complete_parent(run: Run, parent: TableName, key: Constraint) -> None:
    """Add a key to the partitioned table, or validate the one that its partitions have inherited."""

    def step(session: Session) -> None:
        valid = _validity(session, [parent], key)
        if parent not in valid:
            add_whole(session, parent, key)
        elif key.validated and not valid[parent]:
            validate(session, [parent], key)

    _locked(run, key.referenced, step)


def add_whole(session: Session, parent: TableName, key: Constraint) -> None:
    """Add a foreign key to the partitioned table; it adopts those of its partitions."""
    definition = _definition(key) if key.validated else sql.SQL(key.definition)
    parts = {"table": parent.identifier, "name": sql.Identifier(key.name), "definition": definition}
    session.run("engine/add_key", **parts)
    _comment(session, parent, key)


def _locked(run: Run, referenced: TableName, step: Callable[[Session], None]) -> None:
    def attempt(lock_timeout: int) -> None:
        with run.database.transaction(Limits(lock_timeout=lock_timeout)) as session:
            step(session)

    # The blocker may also hold a partition: the retry looks for it on both tables.
    with_lock_retry(run.database, referenced, attempt, also=(run.table, run.table.shadow, run.table.retired))
