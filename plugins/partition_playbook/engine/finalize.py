"""Finalize: drop the retired table and the capture."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from partition_playbook import catalog, figures, gates
from partition_playbook.database import Session
from partition_playbook.engine import dependents, doubled, materialized_views, reconcile, retention_proof
from partition_playbook.engine.advisory_locks import Exclusive, exclusive_session
from partition_playbook.engine.dependents import Kind
from partition_playbook.engine.rollback import drop, end, require_same
from partition_playbook.engine.sides import sides
from partition_playbook.errors import PreconditionFailed
from partition_playbook.ledger import Phase
from partition_playbook.names import RETIRED_SUFFIX, clip
from partition_playbook.people import Question, last_answer
from partition_playbook.run import Run

log = logging.getLogger(__name__)

RETIRED = "Nothing was dropped. Make the partitions named equal in both tables, then trigger partition_finalize again"


def finalize(run: Run) -> None:
    """Drop the retired table, capture and change log; afterwards only the backup leads back.

    Raises GateClosed unless ``gates.before_finalizing`` permits it, PreconditionFailed if the original is live or the
    retired table still has dependents, and Diverged if the tables differ.
    """
    with exclusive_session(run, Exclusive.STEP):
        with run.database.session() as session:
            retired = _retired(run, session)
            gates.before_finalizing(session, run)
        if retired is not None:
            _require_disposable(run, retired)
        with reconcile.reconciler(run) as session:
            gates.before_finalizing(session, run)
            _record_permission(run, session)
            if _retired(run, session) is not None:
                for each in (*materialized_views.find(session, run.table.retired), run.table.retired):
                    drop(run, session, each)
            for each in retention_proof.find(run, session):
                drop(run, session, each)
            # The change log goes last: after a crash above, a rerun still needs it to compare the two tables.
            end(run, session, Phase.FINALIZED)
    log.info("%s: the partitioned table stays; retired table, change capture and change log are dropped", run.table)


def _record_permission(run: Run, session: Session) -> None:
    """Note the reason for a finalize without a sign-off."""
    facts = gates.read_facts(session, run)
    answer = last_answer(facts.answers, Question.FINALIZE)
    if (lacking := gates.shortfalls(facts)) and answer:
        text = f"finalize is permitted without a sign-off ({'; '.join(lacking)}), by {answer.by}: {answer.reason}"
        run.ledger.add_note(text, session=session)


@dataclass(frozen=True)
class Disposable:
    """An object to drop, with its kind; ``bytes`` is None for an object without storage."""

    kind: str
    name: str
    bytes: int | None


def disposables(run: Run) -> list[Disposable]:
    """Return the existing objects to drop: the retired table, its materialized views, change log and capture."""
    table = run.table
    with run.database.session() as session:
        views = materialized_views.find(session, table.retired)
        kinds = {table.retired: "retired table", **dict.fromkeys(views, "materialized view")}
        kinds[table.change_log] = "change log"
        sizes = {name: session.value("engine/find_size", vars(name)) for name in kinds}
        captured = session.rows("engine/list_captured", {"function": table.capture_function.quoted})

    found = [Disposable(kinds[name], str(name), size) for name, size in sizes.items() if size is not None]
    if captured:
        found.append(Disposable("capture", f"triggers on {figures.count(len(captured), 'table')}", None))
    return found


def _retired(run: Run, session: Session) -> catalog.Table | None:
    """Return the retired table, None if it is dropped already; PreconditionFailed if the original is live."""
    now = sides(session, run)
    if not now.live.is_partitioned:
        raise PreconditionFailed(
            "the original table is live",
            where=str(run.table),
            remedy="There is no retired table to drop. Trigger partition_rollback to drop the shadow",
        )
    return now.standby


def _require_disposable(run: Run, retired: catalog.Table) -> None:
    with run.database.session() as session:
        twins = {clip(each.name, RETIRED_SUFFIX) for each in materialized_views.find(session, run.table)}
        readers = [
            each
            for each in dependents.find(session, retired.table_name)
            if not (each.kind is Kind.MATERIALIZED_VIEW and each.name in twins)
        ]

    needed = [*map(str, readers), *(f"publication {each.name}" for each in retired.publications)]
    if needed:
        raise PreconditionFailed(
            f"dependents exist: {', '.join(needed)}",
            where=str(retired.table_name),
            remedy="Drop them or define them on the live table, then clear this task",
        )
    require_same(run, RETIRED)
    with run.database.session() as session:
        if rows := doubled.count_open(session, run):
            run.ledger.add_note(
                f"{run.table.doubled} stays: its {figures.count(rows, 'row')} with a doubled key are in {run.table} too"
            )
