"""Tell which tables are due by their schedules, with one connection for each database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache

import pendulum
import psycopg

from partition_playbook.database import Database
from partition_playbook.errors import LoginRefused, NoConnection, PlaybookError, Unreachable
from partition_playbook.ledger import Ledger
from partition_playbook.spec import TableSpec

# A table whose last maintenance cannot be read is due if its schedule has a run since the last look.
SINCE_THE_LAST_LOOK = timedelta(hours=1)


def waiting(specs: Mapping[str, TableSpec], run_id: str, open_database: Callable[[str], Database]) -> dict[str, str]:
    """Return when each table that is not due is due next, in words, by the name of its spec.

    A table is due once its schedule has a run after its last maintenance, or if it was never maintained.
    ``open_database`` takes the name of a connection.
    """
    now, databases, closed = pendulum.now("UTC"), cache(open_database), set[str]()

    def last_maintenance(name: str, spec: TableSpec) -> datetime | None:
        # The tables of a server that does not answer must not wait for it one after the other.
        if spec.connection in closed:
            return now - SINCE_THE_LAST_LOOK
        try:
            # The same run id as its maintenance has: a retry of this look does not count what this run has done.
            return Ledger(databases(spec.connection), f"{run_id}/{name}").last_maintenance(spec.name)
        except (Unreachable, LoginRefused, NoConnection):
            closed.add(spec.connection)
            return now - SINCE_THE_LAST_LOOK
        except (PlaybookError, psycopg.Error):  # no ledger yet, or an error that its own task tells
            return None

    found = {}
    for name, spec in specs.items():
        last = last_maintenance(name, spec)
        due = spec.schedule.next_runs(last)[0] if last else now
        if due > now:
            found[name] = f"{spec.table} is due at {due.isoformat()} (maintain: {spec.schedule})"
    return found
