"""Check the effects of the triggered maintenance run in the ledger and in the catalog."""

from __future__ import annotations

from pendulum import DateTime

from partition_playbook import catalog, figures
from partition_playbook.checks import Check, check
from partition_playbook.errors import PreconditionFailed
from partition_playbook.intervals import in_zone
from partition_playbook.ledger import Ledger
from partition_playbook.maintenance import health
from partition_playbook.run import Run


def lifecycle_checks(run: Run, maintained: Ledger, ahead: int) -> list[Check]:
    """Check the verdict of the maintenance run, ``ahead`` future partitions, and that retention dropped none.

    PreconditionFailed if the maintenance ended without a verdict.
    """
    return [_ended_well(maintained), _future_partitions(run, maintained, ahead), _nothing_dropped(run)]


def _ended_well(ledger: Ledger) -> Check:
    """Compare the verdict, not the single checks: a failed one of an earlier try may still be in the ledger."""
    verdict = ledger.verdict_of_run()
    if verdict is None:
        raise PreconditionFailed(
            "the maintenance stopped without a verdict",
            where=ledger.run_id,
            remedy="Fix the cause named in the task logs of partition_maintenance, then clear "
            "lifecycle.trigger_maintenance",
        )

    found = [each for section in ledger.checks().values() for each in section]
    failed = [each for each in found if each.blocks]
    return check(
        "maintenance_ran",
        verdict == "go",
        expected=f"verdict go of the maintenance run {ledger.run_id}",
        actual="; ".join(map(str, failed))
        if verdict != "go"
        else f"{figures.count(len(found), 'check')}, verdict {verdict}",
        remedy="Follow the remedies of these checks, then clear lifecycle.trigger_maintenance",
        evidence={each.name: str(each) for each in found},
    )


def _future_partitions(run: Run, maintained: Ledger, ahead: int) -> Check:
    """Count the partitions ahead of the maintenance: an interval may have begun since."""
    began = _present(run, maintained)
    with run.database.session() as session:
        found = catalog.partitions(session, run.table)
    ends = [(each.table.name, each.ends(run.spec.codec)) for each in found if not each.is_default]
    future = [name for name, range_ in ends if range_ and range_[0] and range_[0] > began]

    return check(
        "future_partitions",
        len(future) >= ahead,
        expected=f"at least {figures.count(ahead, 'partition')} with a lower bound after {began}",
        actual=f"{len(future)}: {', '.join(sorted(future))}",
        remedy="Trigger partition_maintenance for this table and follow the remedies of its checks",
    )


def _present(run: Run, maintained: Ledger) -> DateTime:
    """Return the present of the maintenance: its start, or the greatest id that it recorded."""
    if run.spec.interval.is_ids:
        found = maintained.measurements(health.STAGE)["bytes"]["detail"]
        return run.spec.codec.moment(found["greatest_id"])
    return in_zone(maintained.run()["started_at"], run.spec.timezone)


def _nothing_dropped(run: Run) -> Check:
    """Check that all partitions loaded by the migration are still attached: a dry run of retention drops none."""
    with run.database.session() as session:
        present = {each.table.name for each in catalog.partitions(session, run.table)}
    missing = sorted({load["partition_name"] for load in run.ledger.loads()} - present)
    return check(
        "retention_was_a_dry_run",
        not missing,
        expected="every partition of the migration is still attached",
        actual=f"missing: {', '.join(missing)}" if missing else f"{figures.count(len(present), 'partition')} attached",
        remedy="Trigger partition_rollback: the retired table still has these rows",
    )
