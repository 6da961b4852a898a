"""Keep the retired table equal to the live one until finalize: rollback stays short, the change log small."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.engine import reconcile, verify
from partition_playbook.errors import PlaybookError
from partition_playbook.ledger import Phase
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.run import Run

RETIRED_IN_SYNC = "retired_in_sync"


def sync_retired(run: Run, params: MaintenanceParams) -> Check:
    """Reconcile the retired table and compare every row; return the check that a rollback is possible at any time."""
    row = run.ledger.standing_run(run.table)
    if row is None or row["phase"] != Phase.LIVE:
        return skipped(RETIRED_IN_SYNC, "the table has no retired table")
    if params.dry_run:
        return skipped(RETIRED_IN_SYNC, f"a dry run: the retired table of {row['run_id']} is not reconciled")
    # The engine must write to the ledger under the migration's run, not under this one.
    standing = replace(run, spec=run.stored_spec(row), ledger=replace(run.ledger, run_id=row["run_id"]))
    try:
        reconcile.catch_up(standing, until=reconcile.FEW_CHANGES, yielding=True)
        found = verify.content_check(*verify.compare(standing), name=RETIRED_IN_SYNC)
    except psycopg.errors.UndefinedTable:  # a swap or finalize removed the name since it was read; nothing to do
        return skipped(RETIRED_IN_SYNC, f"run {row['run_id']} swapped or dropped the retired table meanwhile")
    except PlaybookError as error:
        return check(
            RETIRED_IN_SYNC,
            False,
            expected="the retired table equal to the live one",
            actual=error.problem,
            remedy=error.remedy,
            severity=Severity.WARNING,
        )
    remedy = "Do not finalize and do not roll back. Find the session that wrote to only one of the two tables"
    return replace(found, remedy=remedy)
