"""What every precondition is given, and how a look that fails becomes a failed check instead of an exception."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import psycopg

from partition_playbook.catalog import Table
from partition_playbook.checks import Check, check
from partition_playbook.database import PASSING, Params, Session
from partition_playbook.errors import PlaybookError
from partition_playbook.intervals import Bounds
from partition_playbook.migration.run import Run
from partition_playbook.migration.shadow import planned_bounds
from partition_playbook.spec import RunParams


@dataclass(frozen=True)
class Look:
    """The table as the catalog describes it, and who asks for what."""

    run: Run
    params: RunParams
    session: Session
    table: Table

    @property
    def name(self) -> Params:
        """Return schema and name as the statements want them."""
        return {"schema": self.table.schema, "name": self.table.name}

    @property
    def partition_by(self) -> str:
        """Return the partition column's name."""
        return self.run.spec.partition_by

    @cached_property
    def bounds(self) -> list[Bounds]:
        """Return the partitions to be; PreconditionFailed where there would be too many."""
        return planned_bounds(self.session, self.run.spec)


Precondition = Callable[[Look], Check]


def make(look: Look, preconditions: Iterable[Precondition]) -> Iterator[Check]:
    """Make each check in a read-only transaction of its own; the function's name is the check's."""
    for each in preconditions:
        yield _guarded(look, each)


def _guarded(look: Look, precondition: Precondition) -> Check:
    name = precondition.__name__
    try:
        with look.run.database.block(look.session):
            return precondition(look)
    except PASSING:
        raise
    except psycopg.Error as error:
        if look.session.connection.closed:
            raise
        remedy = (
            "Grant what is missing"
            if isinstance(error, psycopg.errors.InsufficientPrivilege)
            else "Correct what the server names"
        )
        return check(name, False, expected="an answer from the server", actual=str(error).strip(), remedy=remedy)
    except PlaybookError as error:
        return check(name, False, expected="that it can be found out", actual=error.problem, remedy=error.remedy)
