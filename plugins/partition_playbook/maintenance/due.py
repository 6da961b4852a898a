"""Tell if the schedule of a table asks for its maintenance now."""

from __future__ import annotations

from datetime import timedelta

import pendulum

from partition_playbook.errors import LedgerMissing, LoginRefused, NoConnection, Unreachable
from partition_playbook.run import Run

# A table whose last maintenance cannot be read is due if its schedule has a run since the last look.
SINCE_THE_LAST_LOOK = timedelta(hours=1)


def waits_for(run: Run) -> str:
    """Return when a table is due next, in words; empty if it is due now, or was never maintained."""
    now = pendulum.now("UTC")
    try:
        last = run.ledger.last_maintenance(run.table)
    except LedgerMissing:
        return ""
    except (Unreachable, LoginRefused, NoConnection):
        last = now - SINCE_THE_LAST_LOOK
    if last is None:
        return ""

    due, _ = run.spec.schedule.next_runs(last)
    if due <= now:
        return ""
    return f"{run.spec.table} is due at {due.isoformat()} (maintain: {run.spec.schedule})"
