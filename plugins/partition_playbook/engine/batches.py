"""A batch of the change log: its changes by their ids, and the waiting changes that it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

from partition_playbook import figures
from partition_playbook.database import Params, Session
from partition_playbook.names import TableName

# So many waiting changes are counted. More are estimated by their ids, as counting millions takes seconds.
COUNTED = 10_000


@dataclass(frozen=True)
class Batch:
    """The changes of a batch: those visible in its snapshot with an id from ``first`` to ``last``, ``count`` of them.

    ``newest`` is the last id that any session had taken when the batch was picked. The batch itself may have
    ``added`` changes of rows in its way; these have ids from ``added_first`` to ``added_last``, beyond ``newest``.
    """

    first: int
    last: int
    count: int
    newest: int
    added: int = 0
    added_first: int = 1
    added_last: int = 0

    @property
    def values(self) -> Params:
        """Return the params of the statements about the changes of the batch."""
        return {**self.picked, "added_first": self.added_first, "added_last": self.added_last}

    @property
    def picked(self) -> Params:
        """Return the params of the statements about the picked changes."""
        return {"first": self.first, "last": self.last}

    def with_added(self, added: int, added_first: int, added_last: int) -> Batch:
        """Return the batch with these changes added, beyond those that it has."""
        first = self.added_first if self.added else added_first
        return replace(self, added=self.added + added, added_first=first, added_last=added_last)

    def only_added(self, added: int, added_first: int, added_last: int) -> Batch:
        """Return a batch of nothing but these added changes."""
        return replace(NO_CHANGES, added=added, added_first=added_first, added_last=added_last)


# Of no change at all: the statements of a plan.
NO_CHANGES = Batch(1, 0, 0, 0)


@dataclass(frozen=True)
class Waiting:
    """The number of waiting changes at one moment; beyond COUNTED it is ``estimated`` by their ids.

    ``last_change`` is the last id that was given to a change.
    """

    number: int
    estimated: bool
    last_change: int

    def __str__(self) -> str:
        text = figures.count(self.number, "change")
        return f"about {text}" if self.estimated else text


def pick(session: Session, log: TableName, size: int | None, floor: int = 0) -> Batch:
    """Pick the ``size`` oldest changes with an id from ``floor`` on, or all of them, in the open transaction."""
    values = {"log": log.quoted, "floor": floor, "batch": size}
    with _by_id(session) if size else nullcontext():  # all of them are read in any order
        return Batch(**session.row("engine/pick_changes", values, log=log.identifier))


def look(session: Session, log: TableName, floor: int = 0, *, bound: int | None = None) -> Waiting:
    """Count the waiting changes with an id from ``floor`` on; beyond the bound, by default COUNTED, estimate them."""
    with session.connection.transaction(), _by_id(session):
        return look_at_once(session, log, floor, bound=bound)


def look_at_once(session: Session, log: TableName, floor: int = 0, *, bound: int | None = None) -> Waiting:
    """Count like ``look``, in one round trip: under a lock of the application, when most likely few changes wait."""
    values = {"log": log.quoted, "floor": floor, "bound": COUNTED if bound is None else bound}
    found = session.row("engine/look_at_changes", values, log=log.identifier)
    return Waiting(found["spanned"], found["counted"] > values["bound"], found["last_change"])


@contextmanager
def _by_id(session: Session) -> Iterator[None]:
    """Let the planner walk the primary key: the statistics of the change log may say that it is empty."""
    session.rows("engine/walk_by_id", {"walks": True})
    yield
    session.rows("engine/walk_by_id", {"walks": False})
