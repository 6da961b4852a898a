"""What can go wrong, as a tree.

PlaybookError
├── InvalidSpec              a table spec or a param is wrong; nothing was touched
├── PreconditionFailed       the database is not in the state that a step needs
│   ├── NotEnoughPrivilege
│   ├── RowsWait             rows in the default partition that may not be moved under a lock
│   └── ToolMissing          pg_dump or pg_restore is absent or older than the server
├── SourceChanged            the source changed shape after the shadow was made
├── Diverged                 two tables that must be equal are not
│   └── CaptureLost          the change log was full: the application went on, its writes were not captured
└── TryAgain                 nothing is wrong but time: a retry or a resume can help
    ├── LockNotGranted
    ├── SplitUnderWay
    ├── CatchUpTooSlow
    ├── OutOfResources       the server has no disk, memory or connection left
    └── StillBusy            paused, or the server is busier than the spec allows, for hours
"""

from __future__ import annotations

from collections.abc import Sequence


class PlaybookError(Exception):
    """Report what is wrong, where, and what to do."""

    def __init__(self, problem: str, *, where: str = "", remedy: str = "") -> None:
        self.problem = problem
        self.where = where
        self.remedy = remedy
        super().__init__(problem, where, remedy)

    def __str__(self) -> str:
        text = f"{self.where}: {self.problem}" if self.where else self.problem
        return f"{text}. {self.remedy}" if self.remedy else text


class InvalidSpec(PlaybookError):
    """Refuse a table spec or a param before anything is touched."""


class PreconditionFailed(PlaybookError):
    """Refuse a step that the state of the database does not allow."""


class NotEnoughPrivilege(PreconditionFailed):
    """Refuse a step that the connection's role may not take."""


class RowsWait(PreconditionFailed):
    """Refuse to move rows out of the default partition while the table is locked."""


class ToolMissing(PreconditionFailed):
    """Refuse a step whose command-line tool is absent or too old."""


class SourceChanged(PlaybookError):
    """Stop because the table no longer has the shape that was copied."""


class Diverged(PlaybookError):
    """Stop because two tables that must hold the same rows do not."""


class CaptureLost(Diverged):
    """Stop because the capture gave up so that the application could go on."""


class TryAgain(PlaybookError):
    """Stop for now; the state is consistent and the step may be run again."""


class LockNotGranted(TryAgain):
    """Give up waiting for a lock and name the sessions that hold it."""

    def __init__(self, table: str, waited_ms: float, tries: int, blockers: Sequence[str]) -> None:
        self.table, self.waited_ms, self.tries, self.blockers = table, waited_ms, tries, tuple(blockers)
        held_by = "; ".join(blockers) or "no session could be named"
        super().__init__(
            f"no lock in {tries} tries ({waited_ms:.0f} ms waited in all), held by: {held_by}",
            where=table,
            remedy="Let the sessions named end, or end them yourself, then clear this task to go on",
        )


class SplitUnderWay(TryAgain):
    """Leave a default partition alone that another run splits."""


class OutOfResources(TryAgain):
    """Stop because the server has no disk, memory or connection left; what was begun is undone."""


class StillBusy(TryAgain):
    """Give up waiting until the run is no longer paused and the server calm."""


class CatchUpTooSlow(TryAgain):
    """Give up because changes arrive faster than they are reconciled."""

    def __init__(self, table: str, backlog: int, limit: int) -> None:
        self.table, self.backlog, self.limit = table, backlog, limit
        super().__init__(
            f"{backlog} changes are waiting, {limit} is the most that may be applied under the cutover lock",
            where=table,
            remedy="Run again in a quieter period; the capture stays on and nothing is lost meanwhile",
        )
