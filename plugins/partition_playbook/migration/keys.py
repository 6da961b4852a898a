"""Foreign keys of the two tables: only the live one may hold back a delete in another table for long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Constraint
from partition_playbook.database import Limits, Session, with_lock_retry
from partition_playbook.errors import PreconditionFailed
from partition_playbook.migration import dependents, reconcile, surface
from partition_playbook.migration.dependents import Dependent, Kind
from partition_playbook.migration.run import Direction, Run, Sides, sides
from partition_playbook.names import TableName

# Few enough changes that a row deleted together with its parent is most likely gone on both sides.
FEW = 100
CATCH_UPS = 5
UNCHECKED = " NOT VALID"
UNENFORCED = " NOT ENFORCED"
WORKERS = 2
log = logging.getLogger(__name__)


def prepare(run: Run, direction: Direction) -> None:
    """Add the live table's foreign keys to the one that is about to take over.

    Forward, each partition's keys are validated while everybody works and the parent adopts them. Back, the keys bind
    new rows from now on and are validated after the swap: the rows were checked when they were written to the live
    table.
    """
    with run.database.session() as session:
        now = sides(session, run)
        partitions = [each.table for each in catalog.partitions(session, now.partitioned.table_name)]
    keys = now.live.foreign_keys
    if direction is Direction.BACK:
        for key in keys:
            _add_unchecked(run, now.other.table_name, key)
        return
    _remember(run, now)
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(partial(constrain, run, keys=keys), partitions))
    for key in keys:
        _add_to_parent(run, now, key)


def constrain(run: Run, partition: TableName, keys: Sequence[Constraint]) -> None:
    """Add keys to a partition and validate them.

    Its rows may still refer to what the application deleted a moment ago: then its deletes are reconciled first.
    """
    for key in keys:
        _add_unchecked(run, partition, key)
    for _ in range(CATCH_UPS):
        reconcile.catch_up(run, until=FEW)
        try:
            for key in keys:
                if key.validated:
                    _validate(run, partition, key)
            return
        except psycopg.errors.ForeignKeyViolation as error:
            problem = error.diag.message_detail or str(error)
            log.info("%s: %s; catching up", partition, problem)
    raise PreconditionFailed(
        f"a foreign key does not hold: {problem}",
        where=str(partition),
        remedy="The source holds such rows too: correct them, then clear this task",
    )


def _remember(run: Run, now: Sides) -> None:
    """Record the original's keys for validation: they leave it once it is retired."""
    definitions = {key.name: key.definition for key in now.live.foreign_keys}
    run.ledger.measure("migration", "foreign_keys", len(definitions), "keys", definitions=definitions)


def release(run: Run) -> None:
    """Drop the foreign keys of the table that is no longer live, and validate those of the live one and those to it."""
    with run.database.session() as session:
        now = sides(session, run)
    for key in now.other.foreign_keys:
        _drop(run, now.other.table_name, key)
    validate_live(run)


def validate_live(run: Run) -> None:
    """Validate the keys that a swap left unchecked, of the live table and to it, but none that never was valid."""
    recorded = run.ledger.measurements("migration")
    if "foreign_keys" not in recorded:
        return  # nothing was ever swapped
    with run.database.session() as session:
        live = catalog.require(session, run.table)
        referring = [each for each in dependents.find(session, run.table) if each.kind is Kind.FOREIGN_KEY]
    definitions = recorded["foreign_keys"]["detail"]["definitions"]
    for key in live.foreign_keys:
        if not definitions.get(key.name, "").endswith((UNCHECKED, UNENFORCED)):
            _validate(run, live.table_name, key)
    originals = recorded["surface"]["detail"]["facts"] if "surface" in recorded else {}
    for each in referring:
        if f"{UNCHECKED} " not in originals.get(f"dependent {each}", "") and not each.definition.endswith(UNENFORCED):
            _validate_referring(run, each)


def _validate_referring(run: Run, key: Dependent) -> None:
    def step(session: Session) -> None:
        if key.definition.endswith(UNCHECKED):
            session.run("migration/validate_key", table=key.belongs_to.identifier, name=sql.Identifier(key.name))

    _locked(run, run.table, step)


def _drop(run: Run, table: TableName, key: Constraint) -> None:
    def step(session: Session) -> None:
        drop(session, table, key)

    _locked(run, key.referenced, step)


def drop(session: Session, table: TableName, key: Constraint) -> None:
    """Drop a foreign key."""
    session.run("migration/drop_key", table=table.identifier, name=sql.Identifier(key.name))


def _is_valid(session: Session, table: TableName, key: Constraint) -> bool | None:
    """Tell whether a table's foreign key is validated; None where it has none of that name."""
    found = session.rows("catalog/find_key", {"schema": table.schema, "table": table.name, "name": key.name})
    return bool(found[0]["validated"]) if found else None


def _definition(key: Constraint) -> sql.SQL:
    return sql.SQL(key.definition.removesuffix(UNCHECKED))


def _add_unchecked(run: Run, table: TableName, key: Constraint) -> None:
    def step(session: Session) -> None:
        if _is_valid(session, table, key) is None:
            add_unchecked(session, table, key)

    _locked(run, key.referenced, step)


def add_unchecked(session: Session, table: TableName, key: Constraint) -> None:
    """Add a foreign key that binds new rows only."""
    parts = {"table": table.identifier, "name": sql.Identifier(key.name), "definition": _definition(key)}
    session.run("migration/add_key_unchecked", **parts)
    _comment(session, table, key)


def _comment(session: Session, table: TableName, key: Constraint) -> None:
    surface.comment(
        session, "CONSTRAINT", sql.SQL("{} ON {}").format(sql.Identifier(key.name), table.identifier), key.comment
    )


def _validate(run: Run, table: TableName, key: Constraint) -> None:
    def step(session: Session) -> None:
        if _is_valid(session, table, key) is False:
            validate(session, table, key)

    _locked(run, key.referenced, step)


def validate(session: Session, table: TableName, key: Constraint) -> None:
    """Validate a foreign key."""
    session.run("migration/validate_key", table=table.identifier, name=sql.Identifier(key.name))


def _add_to_parent(run: Run, now: Sides, key: Constraint) -> None:
    def step(session: Session) -> None:
        parent = now.partitioned.table_name
        if _is_valid(session, parent, key) is None:
            add_whole(session, parent, key)

    _locked(run, key.referenced, step)


def add_whole(session: Session, parent: TableName, key: Constraint) -> None:
    """Add a foreign key to the partitioned table, which adopts those of its partitions."""
    definition = _definition(key) if key.validated else sql.SQL(key.definition)
    parts = {"table": parent.identifier, "name": sql.Identifier(key.name), "definition": definition}
    session.run("migration/add_key", **parts)
    _comment(session, parent, key)


def _locked(run: Run, referenced: TableName, step: Callable[[Session], None]) -> None:
    def attempt(lock_timeout: int) -> None:
        with run.database.transaction(Limits(lock_timeout=lock_timeout)) as session:
            step(session)

    with_lock_retry(run.database, referenced, attempt)
