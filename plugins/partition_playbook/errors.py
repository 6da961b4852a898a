"""The errors of the playbook, as a tree.

PlaybookError
├── InvalidSpec              a table spec or a param is wrong; nothing has changed
├── PreconditionFailed       the state of the database does not allow the step
│   ├── NotEnoughPrivilege
│   ├── LoginRefused         the server refuses this login: its password, role, database, pg_hba.conf or TLS
│   ├── NoConnection         Airflow has no connection with the id of the spec
│   ├── LedgerMissing        the database has no ledger, or has it no longer
│   ├── GateClosed           the ledger lacks a verdict or an answer that the step needs
│   ├── WrongDatabase        the run or the ledger belongs to another database
│   ├── RunStands            another migration of the table stands or is under way
│   ├── SharedSession        a pooler in transaction mode stands between the playbook and the server
│   ├── ReadOnlyServer       new transactions are read-only
│   ├── NotInEncoding        the database's encoding lacks a character
│   ├── RowsWait             rows in the default partition must not move under a lock
│   ├── ToolMissing          pg_dump or pg_restore is absent or older than the server
│   └── UnknownTimeZone      the server does not know the time zone of the spec
├── SourceChanged            the definition of the source changed after the shadow was created
├── Diverged                 two tables must hold the same rows, and do not
│   └── CaptureLost          the change log was full; later writes of the application are not captured
└── TryAgain                 the state is consistent; a retry or a resume can succeed
    ├── Unreachable          no session with the server was possible now: host, port, network, start, connections
    ├── LockNotGranted       other sessions held the lock through every try
    ├── LoadMustWait         a load has no slot, the run is paused, or the server over the limits of the spec
    ├── SplitUnderWay        another run splits the default partition
    ├── CatchUpTooSlow       changes arrive faster than they are reconciled
    ├── OutOfResources       the server is out of disk, memory or connections
    │   └── LockTableFull    the server's lock table is full
    └── StillBusy            the run was paused, or the server over the limits of the spec, for hours
"""

from __future__ import annotations

from collections.abc import Sequence

from partition_playbook import figures


class PlaybookError(Exception):
    """An error with the ``problem``, its place in ``where``, and the next step in ``remedy``."""

    def __init__(self, problem: str, *, where: str = "", remedy: str = "") -> None:
        self.problem = problem
        self.where = where
        self.remedy = remedy
        super().__init__(problem, where, remedy)

    def __str__(self) -> str:
        text = f"{self.where}: {self.problem}" if self.where else self.problem
        return f"{text}. {self.remedy}" if self.remedy else text


class InvalidSpec(PlaybookError):
    """A table spec or a param is wrong; raised before anything changes."""


class PreconditionFailed(PlaybookError):
    """The state of the database does not allow the step."""


class NotEnoughPrivilege(PreconditionFailed):
    """The role of the connection lacks a privilege for the step."""


class LoginRefused(PreconditionFailed):
    """The server refuses the login, and would refuse it again: password, role, database, pg_hba.conf or TLS."""


class NoConnection(PreconditionFailed):
    """Airflow has no connection with the id ``connection_id``."""

    def __init__(self, connection_id: str) -> None:
        self.connection_id = connection_id
        address = "postgresql://user:password@host:5432/database"
        super().__init__(
            "Airflow has no connection of this id",
            where=f"connection {connection_id}",
            remedy=f"Export AIRFLOW_CONN_{connection_id.upper()}={address}, or execute airflow connections add "
            f"{connection_id} --conn-uri {address}. Or correct `connection` in the table spec",
        )


class LedgerMissing(PreconditionFailed):
    """The database has no ledger: no run was opened, or somebody dropped its schema."""

    def __init__(self, problem: str, schema: str) -> None:
        super().__init__(
            f"the ledger is missing ({problem})",
            where=f"schema {schema}",
            remedy="If no run was opened here before, trigger partition_migration. If the schema was dropped, restore "
            "it from a backup of the database, or start a new run: its preflight names what the lost run left behind",
        )


class GateClosed(PreconditionFailed):
    """The ledger lacks a verdict of go, or a yes of a permitted person, for the ``step``; ``missing`` lists them."""

    def __init__(self, table: str, step: str, missing: Sequence[str], remedy: str) -> None:
        self.step, self.missing = step, tuple(missing)
        super().__init__(f"the ledger does not permit to {step}: {'; '.join(missing)}", where=table, remedy=remedy)


class WrongDatabase(PreconditionFailed):
    """The run or the ledger belongs to another database than the one that was reached."""


class RunStands(PreconditionFailed):
    """Another migration of the table stands or is under way; ``run_id`` is its run."""

    def __init__(self, table: str, run_id: str, phase: str, since: str, remedy: str) -> None:
        self.run_id = run_id
        super().__init__(f"run {run_id} of this table is {phase} since {since}", where=table, remedy=remedy)


class SharedSession(PreconditionFailed):
    """A pooler serves one session from several server processes, so settings and advisory locks mean nothing."""

    def __init__(self, where: str) -> None:
        super().__init__(
            "a pooler in transaction mode answers: one session is served by several server processes",
            where=where,
            remedy="Connect to the server itself, or to a pool in session mode: correct host and port of the Airflow "
            "connection",
        )


class ReadOnlyServer(PreconditionFailed):
    """New transactions are read-only, by a setting or because the server is a standby."""


class NotInEncoding(PreconditionFailed):
    """A text holds a character that the database's encoding lacks, or bytes that are no character."""

    def __init__(self, problem: str, encoding: str) -> None:
        super().__init__(
            problem,
            where=f"encoding {encoding}" if encoding else "",
            remedy=f"Write the table spec with the characters of {encoding or 'this encoding'} only, then start a new "
            "run",
        )


class RowsWait(PreconditionFailed):
    """The default partition holds rows for a new partition, and they must not move under a lock."""


class ToolMissing(PreconditionFailed):
    """pg_dump or pg_restore is absent, or older than the server."""


class UnknownTimeZone(PreconditionFailed):
    """The server does not know the time zone of the spec."""


class SourceChanged(PlaybookError):
    """The definition of the source changed after the shadow was created."""


class Diverged(PlaybookError):
    """Two tables must hold the same rows, and do not."""


class CaptureLost(Diverged):
    """Change capture stopped at its limit to let the application go on; later writes are not captured."""


class TryAgain(PlaybookError):
    """The step stopped in a consistent state; run it again."""


class Unreachable(TryAgain):
    """No session with the server was possible now: unknown host, closed port, network, start, or no free connection."""


class LockNotGranted(TryAgain):
    """No try got the lock; ``blockers`` describes the sessions holding it."""

    def __init__(self, table: str, waited_ms: float, tries: int, blockers: Sequence[str]) -> None:
        self.table, self.waited_ms, self.tries, self.blockers = table, waited_ms, tries, tuple(blockers)
        held_by = "; ".join(blockers) or "unknown sessions"
        attempts, waited = figures.count(tries, "try", "tries"), figures.milliseconds(waited_ms)
        super().__init__(
            f"no lock in {attempts} ({waited} waited in all), held by: {held_by}",
            where=table,
            remedy="Wait for these sessions to finish or terminate them, then clear this task to resume",
        )


class LoadMustWait(TryAgain):
    """A load cannot start now: no slot is free, the run is paused, or the server is over the limits of the spec."""


class ComparisonVoid(TryAgain):
    """The capture or a definition changed while both sides were compared, so nothing is known about them."""

    def __init__(self, table: str) -> None:
        super().__init__(
            "the capture, a column, a partition or a data file changed during the comparison of all rows",
            where=table,
            remedy="Wait for the end of DDL on the table and its partitions, then clear this task: it compares again",
        )


class SplitUnderWay(TryAgain):
    """Another run is splitting the default partition."""


class OutOfResources(TryAgain):
    """The server is out of disk, memory or connections; the step is rolled back."""


class LockTableFull(OutOfResources):
    """The server's shared lock table is full; ``setting`` sizes it."""

    def __init__(self, problem: str, setting: str) -> None:
        self.setting = setting
        super().__init__(
            f"{problem}: its lock table is full",
            where="the server",
            remedy="The step was rolled back. Wait for transactions with locks on many partitions to end, then clear "
            f"this task. If it fails again, double the setting with ALTER SYSTEM SET {setting}, and restart the server",
        )


class StillBusy(TryAgain):
    """The run stayed paused, or the server over the limits of the spec, for hours."""


class CatchUpTooSlow(TryAgain):
    """Changes arrive faster than they are reconciled; ``backlog`` counts the waiting ones.

    ``waiting`` is the backlog in words, and ``pace`` compares both rates if they are known.
    """

    def __init__(self, table: str, backlog: int, limit: int, *, waiting: str = "", pace: str = "") -> None:
        self.table, self.backlog, self.limit = table, backlog, limit
        super().__init__(
            f"{waiting or figures.count(backlog, 'change')} in the change log, more than the {figures.number(limit)} "
            f"allowed under the cutover lock{f': {pace}' if pace else ''}",
            where=table,
            remedy="Let the application write less, or clear this task at a quieter time; change capture stays on, so "
            "no write is lost",
        )
