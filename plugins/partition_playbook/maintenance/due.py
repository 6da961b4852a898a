"""Tell which tables are due by their schedules, with one connection for each database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pendulum
import psycopg

from partition_playbook.database import Database
from partition_playbook.errors import LoginRefused, NoConnection, PlaybookError, Unreachable
from partition_playbook.ledger import Ledger
from partition_playbook.spec import TableSpec

# A table whose last maintenance cannot be read is due if its schedule has a run since the last look.
SINCE_THE_LAST_LOOK = timedelta(hours=1)


@dataclass
class Look:
    """One look at the schedules; ``open_database`` takes the name of a connection."""

    run_id: str
    open_database: Callable[[str], Database]
    _databases: dict[str, Database] = field(default_factory=dict)
    _closed: set[str] = field(default_factory=set)

    def waiting(self, specs: Mapping[str, TableSpec]) -> dict[str, str]:
        """Return when each table that is not due is due next, in words, by the name of its spec.

        A table is due once its schedule has a run after its last maintenance, or if it was never maintained.
        """
        now = pendulum.now("UTC")
        found = {}
        for name, spec in specs.items():
            last = self._last_maintenance(name, spec, now)
            due = spec.schedule.next_runs(last)[0] if last else now
            if due > now:
                found[name] = f"{spec.table} is due at {due.isoformat()} (maintain: {spec.schedule})"
        return found

    def _last_maintenance(self, name: str, spec: TableSpec, now: datetime) -> datetime | None:
        # The tables of a server that does not answer must not wait for it one after the other.
        if spec.connection in self._closed:
            return now - SINCE_THE_LAST_LOOK
        try:
            return self._ledger(name, spec.connection).last_maintenance(spec.name)
        except (Unreachable, LoginRefused, NoConnection):
            self._closed.add(spec.connection)
            return now - SINCE_THE_LAST_LOOK
        except (PlaybookError, psycopg.Error):  # no ledger yet, or an error that its own task tells
            return None

    def _ledger(self, name: str, connection: str) -> Ledger:
        if connection not in self._databases:
            self._databases[connection] = self.open_database(connection)
        # The same run id as its maintenance has: a retry of this look does not count what this run has done.
        return Ledger(self._databases[connection], f"{self.run_id}/{name}")
