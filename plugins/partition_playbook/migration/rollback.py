"""Rollback, abandon and finalize: every way in which a migration ends."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import psycopg
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.database import Session, with_lock_retry
from partition_playbook.errors import Diverged, PreconditionFailed
from partition_playbook.ledger import Phase
from partition_playbook.migration import capture, dependents, keys, materialized, reconcile, verify
from partition_playbook.migration.cutover import Swapped, swap_now
from partition_playbook.migration.dependents import Kind
from partition_playbook.migration.run import Direction, Run, sides
from partition_playbook.migration.turn import Turn, turn
from partition_playbook.names import TableName, clip

RETIRED = "Do not finalize: find out why before the retired table goes"
RETURNED = "Nothing is dropped. Write what is missing to the live table, then trigger partition_rollback again"
END_TRIES = 5
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RolledBack:
    """What a rollback took: the seconds from its start until the original table was in service."""

    seconds: float
    swapped: Swapped | None


def verified_swap(run: Run, direction: Direction, *, occasion: str | None = None) -> Swapped | None:
    """Catch up, make sure that every row is the same, then swap; Diverged where the two sides are not equal.

    On the way back nobody waits for a comparison of every row, where one was made after the cutover and no write can
    have escaped since: each row that changed is compared when it is reconciled.
    """
    with turn(run, Turn.STEP):
        now = capture.require_on(run)
        if now.direction is direction:
            reconcile.catch_up(run, until=1000)
            custody = verify.unbroken_custody(run) if direction is Direction.BACK else ""
            if custody:
                run.ledger.tell("no write escaped the capture since every row was compared: only changed rows are")
                return swap_now(run, direction, occasion=occasion, custody=custody)
            require_equal(run, "Do not swap. Keep both tables, and compare the partitions named")
        return swap_now(run, direction, occasion=occasion)


def require_equal(run: Run, remedy: str) -> None:
    """Compare every row on both sides; Diverged where one is not the same."""
    found = verify.content_check(*verify.compare(run))
    if found.blocks:
        raise Diverged(found.actual, where=str(run.table), remedy=remedy)


def roll_back(run: Run) -> RolledBack:
    """Put the original table back into service with every write made since cutover."""
    started = time.perf_counter()
    swapped = verified_swap(run, Direction.BACK)
    return RolledBack((swapped.released if swapped else time.perf_counter()) - started, swapped)


def abandon(run: Run) -> None:
    """Drop the capture, the shadow and the change log; the original table must be live.

    What was live for a while is dropped only once every row of it was seen in the original: Diverged otherwise.
    """
    with turn(run, Turn.STEP):
        with run.database.session() as session:
            if catalog.require(session, run.table).is_partitioned:
                raise PreconditionFailed(
                    "the partitioned table is live", where=str(run.table), remedy="Roll back first"
                )
            captured = capture.is_on(session, run.table)
        keys.validate_live(run)  # a rollback that died after its swap has not
        if captured and run.ledger.run()["phase"] == Phase.ROLLED_BACK:
            _require_same(run, RETURNED)
        with reconcile.reconciler(run) as session:
            capture.end(run, session)
            for table in _leftovers(run, session):
                _drop(run, session, table)
            _end(run, session, Phase.ABANDONED)


def _leftovers(run: Run, session: Session) -> list[TableName]:
    """Return the shadow with what reads it, and every partition of the run that hangs on no table, as they go."""
    shadow = run.table.shadow
    found = [*materialized.find(session, shadow), shadow] if catalog.describe(session, shadow) else []
    for load in run.ledger.loads():
        name = TableName(run.table.schema, load["partition_name"])
        table = catalog.describe(session, name)
        if table and not table.is_partition:
            found.append(name)
    return found


def finalize(run: Run) -> None:
    """Drop the retired table, the capture and the change log, after checking that nothing needs them.

    From here on only the backup leads back.
    """
    with turn(run, Turn.STEP):
        with run.database.session() as session:
            retired = _retired(run, session)
        if retired is not None:
            _require_disposable(run, retired)
        with reconcile.reconciler(run) as session:
            if _retired(run, session) is not None:
                for each in (*materialized.find(session, run.table.retired), run.table.retired):
                    _drop(run, session, each)
            # Only now: without it a retired table that still stood could not be compared, had this process died.
            _end(run, session, Phase.FINALIZED)


def _retired(run: Run, session: Session) -> catalog.Table | None:
    """Return the retired table, None where it is gone already; the partitioned one must be live."""
    now = sides(session, run)
    if not now.live.is_partitioned:
        raise PreconditionFailed(
            "the original table is live", where=str(run.table), remedy="Migrate it first, or roll back to abandon"
        )
    return now.standby


def _require_disposable(run: Run, retired: catalog.Table) -> None:
    with run.database.session() as session:
        twins = {clip(each.name, "_old") for each in materialized.find(session, run.table)}
        readers = [
            each
            for each in dependents.find(session, retired.table_name)
            if not (each.kind is Kind.MATERIALIZED_VIEW and each.name in twins)
        ]
    needed = [*map(str, readers), *(f"publication {each.name}" for each in retired.publications)]
    if needed:
        raise PreconditionFailed(
            f"still used by {', '.join(needed)}",
            where=str(retired.table_name),
            remedy="Move them to the live table first",
        )
    _require_same(run, RETIRED)


def _require_same(run: Run, remedy: str) -> None:
    """Compare every row before one of the two tables is dropped, where the capture has not given up."""
    with run.database.session() as session:
        lost = capture.loss(session, run)
    if lost:
        log.warning("%s: %s", run.table, lost)
        run.ledger.tell(f"{lost}: the table that stands by can't be compared any more before it is dropped")
        return
    reconcile.catch_up(run, until=1000)
    require_equal(run, remedy)


def _drop(run: Run, session: Session, table: TableName) -> None:
    def attempt(lock_timeout: int) -> None:
        with run.database.within(session, lock_timeout):
            described = catalog.describe(session, table)
            kind = sql.SQL("MATERIALIZED VIEW" if described and described.kind == "m" else "TABLE")
            session.run("migration/drop_table", kind=kind, table=table.identifier)

    with_lock_retry(run.database, table, attempt)


def _end(run: Run, session: Session, phase: Phase) -> None:
    """End the capture for good, once more where maintenance has let it follow to a new partition meanwhile."""
    parts = {"log": run.table.change_log.identifier, "function": run.table.capture_function.identifier}

    def attempt(lock_timeout: int) -> None:
        with run.database.within(session, lock_timeout):
            session.run("migration/drop_capture", **parts)
            run.ledger.set_phase(session, phase)

    for left in reversed(range(END_TRIES)):
        capture.end(run, session)
        try:
            return with_lock_retry(run.database, run.table.change_log, attempt)
        except psycopg.errors.DependentObjectsStillExist:
            if not left:
                raise
