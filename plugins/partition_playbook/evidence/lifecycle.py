"""What the maintenance that the lifecycle section triggered did, as the ledger and the catalog have it."""

from __future__ import annotations

from dataclasses import replace

import pendulum

from partition_playbook import catalog
from partition_playbook.checks import Check, check
from partition_playbook.errors import PreconditionFailed
from partition_playbook.migration.run import Run


def checks(run: Run, maintenance_run: str, ahead: int) -> list[Check]:
    """Check that the maintenance ended well, that ``ahead`` partitions lie in the future, and that none was dropped."""
    return [_ended_well(run, maintenance_run), _future_partitions(run, ahead), _nothing_dropped(run)]


def _ended_well(run: Run, maintenance_run: str) -> Check:
    """Judge by the verdict: a check that failed in an earlier try may not have been made again."""
    ledger = replace(run.ledger, run_id=maintenance_run)
    verdict = ledger.run()["verdict"]
    if verdict is None:
        raise PreconditionFailed(
            "the maintenance broke off before it came to a verdict",
            where=maintenance_run,
            remedy="See the log of partition_maintenance, then clear lifecycle.trigger_maintenance",
        )
    found = [each for section in ledger.checks().values() for each in section]
    failed = [each for each in found if each.blocks]
    return check(
        "maintenance_ran",
        verdict == "go",
        expected=f"maintenance run {maintenance_run} with all its checks passed",
        actual="; ".join(map(str, failed)) if verdict != "go" else f"{len(found)} checks, verdict {verdict}",
        remedy="See the log of partition_maintenance, mend it, then clear lifecycle.trigger_maintenance",
        evidence={each.name: str(each) for each in found},
    )


def _future_partitions(run: Run, ahead: int) -> Check:
    now = pendulum.now(run.spec.timezone)
    with run.database.session() as session:
        found = catalog.partitions(session, run.table)
    ends = [(each.table.name, each.ends(run.spec.timezone)) for each in found if not each.is_default]
    future = [name for name, range_ in ends if range_ and range_[0] and range_[0] > now]
    return check(
        "future_partitions",
        len(future) >= ahead,
        expected=f"at least {ahead} partitions that begin after now",
        actual=f"{len(future)}: {', '.join(sorted(future))}",
        remedy="Trigger partition_maintenance for this table and read its plan",
    )


def _nothing_dropped(run: Run) -> Check:
    """Compare with the partitions that the migration loaded: in a dry run retention drops none of them."""
    with run.database.session() as session:
        present = {each.table.name for each in catalog.partitions(session, run.table)}
    missing = sorted({load["partition_name"] for load in run.ledger.loads()} - present)
    return check(
        "retention_was_a_dry_run",
        not missing,
        expected="every partition of the migration is still attached",
        actual=f"missing: {', '.join(missing)}" if missing else f"{len(present)} partitions attached",
        remedy="Roll back: the retired table still holds those rows",
    )
