"""The context of every preflight check, and the guard that turns an error into a failed check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import psycopg
from pendulum import DateTime

from partition_playbook.catalog import Table
from partition_playbook.checks import Check, check
from partition_playbook.database import Params, Row, Session
from partition_playbook.engine.layout import bounds_for, find_range, present
from partition_playbook.engine.write_rate import Counters
from partition_playbook.errors import LedgerMissing, PlaybookError
from partition_playbook.intervals import Bounds
from partition_playbook.lock_retry import TRANSIENT_ERRORS
from partition_playbook.run import Run
from partition_playbook.spec import RunParams
from partition_playbook.workload import statement_statistics
from partition_playbook.workload.statement_statistics import Statistics


@dataclass(frozen=True)
class PreflightContext:
    """The run with its params, a session, and the table as the catalog describes it.

    ``counters`` are those of its written rows, from before the checks.
    """

    run: Run
    params: RunParams
    session: Session
    table: Table
    counters: Counters | None = None

    @property
    def name(self) -> Params:
        """Return schema and name as parameters of a statement."""
        return {"schema": self.table.schema, "name": self.table.name}

    @property
    def partition_by(self) -> str:
        """Return the partition column's name."""
        return self.run.spec.partition_by

    @cached_property
    def rows_range(self) -> Row:
        """Return the oldest and the newest partition value; PreconditionFailed outside the years 1 to 9999."""
        return find_range(self.session, self.run.spec)

    @cached_property
    def bounds(self) -> list[Bounds]:
        """Return the bounds of the planned partitions; PreconditionFailed if there are too many."""
        return bounds_for(self.rows_range, self.run.spec)

    @property
    def present(self) -> DateTime:
        """Return the present in the zone of the spec; with ranges of ids the greatest id."""
        return present(self.rows_range if self.run.spec.interval.is_ids else {}, self.run.spec)

    @cached_property
    def statistics(self) -> Statistics:
        """Return the recorded statements with the name of the table."""
        return statement_statistics.read(self.session, self.table.table_name)

    @cached_property
    def standing_run(self) -> str:
        """Return the run with a shadow, capture or retired table of this table, in words; empty if none stands."""
        found = self._standing()
        return f"{found['run_id']} ({found['phase']} since {found['started_at']:%Y-%m-%d %H:%M %Z})" if found else ""

    @cached_property
    def other_standing_run(self) -> str:
        """Return the same, empty for this run itself."""
        found = self._standing()
        return "" if found is None or found["run_id"] == self.run.ledger.run_id else self.standing_run

    def _standing(self) -> Row | None:
        try:
            return self.run.ledger.standing_run(self.run.table)
        except (LedgerMissing, psycopg.errors.InsufficientPrivilege):
            return None


Precondition = Callable[[PreflightContext], Check]
EVALUATED = "the check could be evaluated"


def make_checks(context: PreflightContext, preconditions: Iterable[Precondition]) -> Iterator[Check]:
    """Make each check in its own read-only transaction; the name of the function is the name of the check.

    A server error or a PlaybookError becomes a failed check. A transient error and a lost connection are raised.
    """
    for each in preconditions:
        yield _guarded(context, each)


def _guarded(context: PreflightContext, precondition: Precondition) -> Check:
    name = precondition.__name__
    try:
        with context.run.database.block(context.session):
            return precondition(context)
    except TRANSIENT_ERRORS:
        raise
    except psycopg.Error as error:
        if context.session.connection.closed:
            raise
        remedy = (
            "GRANT the missing privilege to the role of the connection, then clear this task"
            if isinstance(error, psycopg.errors.InsufficientPrivilege)
            else "Correct the object that the server names, then clear this task"
        )
        evidence = {"sqlstate": error.sqlstate}
        return check(name, False, expected=EVALUATED, actual=str(error).strip(), remedy=remedy, evidence=evidence)
    except PlaybookError as error:
        return check(name, False, expected=EVALUATED, actual=error.problem, remedy=error.remedy)
