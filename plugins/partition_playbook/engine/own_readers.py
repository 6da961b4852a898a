"""A rollback waits for nothing of ours: it cancels the playbook's own long reads of the table."""

from __future__ import annotations

import logging

from partition_playbook.run import Run

log = logging.getLogger(__name__)


def cancel(run: Run) -> list[str]:
    """Cancel the comparisons, statistics, loads and dumps of other tasks; return the names of their applications.

    Each holds ACCESS SHARE on the table or its standby, which a swap or a drop would wait for. Airflow retries the
    cancelled task, which then finds that the run was rolled back.
    """
    table = run.table
    names = [table.name, table.shadow.name, table.retired.name]
    with run.database.session() as session:
        rows = session.rows("engine/cancel_own_readers", {"schema": table.schema, "names": names})

    cancelled = [row["application"] for row in rows if row["cancelled"]]
    for each in dict.fromkeys(cancelled):
        log.info("%s: cancelled a read of %s, which the rollback would wait for", table, each)
        run.ledger.add_note(f"cancelled a read of {each}: a rollback does not wait for it")
    return cancelled
