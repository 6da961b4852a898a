"""While a retired table stands: keep it up to date, so that a rollback stays short and the change log small."""

from __future__ import annotations

from dataclasses import replace

import psycopg

from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.errors import PlaybookError
from partition_playbook.ledger import Phase
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.migration import reconcile, verify
from partition_playbook.migration.run import Run
from partition_playbook.spec import TableSpec, validated

NAME = "way_back"
FEW = 1_000


def keep(run: Run, params: MaintenanceParams) -> Check:
    """Reconcile the retired table and compare every row; return the check that a rollback can be had at any time."""
    row = run.ledger.standing_run(run.table)
    if row is None or row["phase"] != Phase.LIVE:
        return skipped(NAME, "no retired table stands beside a migrated one")
    if params.dry_run:
        return skipped(NAME, f"a dry run: the retired table of {row['run_id']} is left as it is")
    spec = validated(TableSpec, row["spec"], where="ledger")
    standing = replace(run, spec=spec, ledger=replace(run.ledger, run_id=row["run_id"]))
    try:
        reconcile.catch_up(standing, until=FEW, yielding=True)
        found = verify.content_check(*verify.compare(standing), name=NAME)
    except psycopg.errors.UndefinedTable:  # names that were read a moment ago: it goes before us, and needs no help
        return skipped(NAME, f"a swap or the end of {row['run_id']} came in between")
    except PlaybookError as error:
        return check(
            NAME,
            False,
            expected="the retired table is as the live one",
            actual=error.problem,
            remedy=error.remedy,
            severity=Severity.WARNING,
        )
    return replace(found, remedy="Do not finalize and do not roll back: find out what wrote to one table only")
