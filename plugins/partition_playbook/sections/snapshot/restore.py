"""Test a backup: restore the table into a scratch database and compare each planned partition with the snapshot."""

from __future__ import annotations

import hashlib
import logging
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from partition_playbook import catalog, figures
from partition_playbook.checks import Check, Severity, check
from partition_playbook.database import Database, Row, Session
from partition_playbook.errors import PlaybookError, PreconditionFailed
from partition_playbook.ledger import Statistics
from partition_playbook.run import Run
from partition_playbook.sections.snapshot import pg_tools
from partition_playbook.sections.snapshot.backup import STAGE, Backup, sha256
from partition_playbook.sections.snapshot.partition_statistics import statistics

log = logging.getLogger(__name__)

# The rows need no roles or publications, and a restored subscription would connect to its publisher.
RESTORE_OPTIONS = (
    "--no-owner",
    "--no-privileges",
    "--no-comments",
    "--no-publications",
    "--no-subscriptions",
    "--no-security-labels",
    "--no-tablespaces",
    "--no-password",
)
PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
DROPS = ("", "WITH (FORCE)") * 3  # the options of each try


def check_restore(run: Run, backup: Backup, jobs: int = 2) -> list[Check]:
    """Restore the backup into a scratch database, compare it with the statistics, and drop the database."""
    started = time.perf_counter()
    _require_dump(backup)
    unchanged = _unchanged(backup)

    with scratch(run) as database:
        complaints = _restore(run, database, backup, jobs)
        restored = _contents(run, database)
    run.ledger.record_measurement(STAGE, "restore_check", time.perf_counter() - started, "s")

    clean = check(
        "restore_clean",
        not complaints,
        expected="pg_restore ends without errors",
        actual="; ".join(complaints) or "none",
        severity=Severity.WARNING,
        remedy="Check if a full restore needs the objects that pg_restore names",
    )
    return [unchanged, clean, _equal(run, restored)]


def _require_dump(backup: Backup) -> None:
    """Raise PreconditionFailed if the dump is gone: the hash of nothing would say that somebody changed it."""
    if not Path(backup.folder).is_dir():
        raise PreconditionFailed(
            f"the dump is not on the worker {socket.gethostname()}",
            where=backup.folder,
            remedy="Something removed it while the task ran: let PARTITION_PLAYBOOK_SCRATCH name a folder that nothing "
            "cleans up. Then clear snapshot.back_up",
        )


def _unchanged(backup: Backup) -> Check:
    actual = sha256(backup)
    return check(
        "backup_unchanged",
        actual == backup.sha256,
        expected=f"SHA-256 {backup.sha256}",
        actual=f"SHA-256 {actual}",
        remedy="The files changed after the dump: clear snapshot.back_up to take a new one",
        evidence={"folder": backup.folder, "files": backup.files, "bytes": backup.bytes, "seconds": backup.seconds},
    )


def scratch_name(run: Run) -> str:
    """Return the name of the scratch database of the run."""
    return f"partition_playbook_restore_{hashlib.sha256(run.ledger.run_id.encode()).hexdigest()[:12]}"


@contextmanager
def scratch(run: Run) -> Iterator[Database]:
    """Create an empty database and drop it at the end, also after an error; drop one from an earlier try first."""
    name = scratch_name(run)
    with run.database.session() as session:
        _drop(session, name)
        session.run("snapshot/create_scratch", scratch=sql.Identifier(name), **_locale(session))
    try:
        yield run.database.sibling(name)
    finally:
        with run.database.session() as session:
            _drop(session, name)


def _drop(session: Session, name: str) -> None:
    """Drop the scratch database; FORCE is only used if a session of the playbook is still connected.

    FORCE must terminate autovacuum workers too, and only a superuser may do that. Without FORCE the server cancels them
    and waits up to 5 s, then reports ObjectInUse.
    """
    for force in DROPS:
        try:
            session.run("snapshot/drop_scratch", force=sql.SQL(force), scratch=sql.Identifier(name))
            return
        except (psycopg.errors.ObjectInUse, psycopg.errors.InsufficientPrivilege) as error:
            in_use = error
    raise in_use


def _locale(session: Session) -> Row:
    found = session.row("snapshot/find_locale")
    provider, parts = PROVIDERS[found["provider"]], []

    if session.server_version() >= 15:
        parts.append(sql.SQL("LOCALE_PROVIDER {}").format(sql.Identifier(provider)))
    if provider != "libc":
        option = "ICU_LOCALE {}" if provider == "icu" else "BUILTIN_LOCALE {}"
        parts.append(sql.SQL(option).format(sql.Literal(found["locale"])))

    options = {"encoding": found["encoding"], "collate": found["collate"], "ctype": found["ctype"]}
    return options | {"locale": sql.SQL(" ").join(parts)}


def _restore(run: Run, database: Database, backup: Backup, jobs: int) -> list[str]:
    """Restore the pre-data section of the whole dump, then the rows of the table; return the errors of pg_restore."""
    complaints = []
    rows = ("--section=data", f"--schema={run.table.schema}", f"--table={run.table.name}", f"--jobs={jobs}")

    with database.session() as session:
        tool = pg_tools.find("pg_restore", session.server_version())
        info, folder = session.connection.info, Path(backup.folder)
        for arguments in (("--section=pre-data",), rows):
            try:
                with pg_tools.running(tool, (*RESTORE_OPTIONS, *arguments, backup.folder), info, folder):
                    pass
            except PlaybookError as error:
                if not _harmless(error.problem):
                    complaints.append(error.problem)
    return complaints


def _harmless(complaint: str) -> bool:
    """Return True if the only error is a SET transaction_timeout, by pg_restore 17 or newer on an older server."""
    errors = [line for line in complaint.splitlines() if "error: " in line]
    return bool(errors) and all('"transaction_timeout"' in line for line in errors)


def _contents(run: Run, database: Database) -> Sequence[Statistics]:
    with database.session() as session:
        if catalog.describe(session, run.table) is None:
            return []
        return statistics(session, run)


def _equal(run: Run, restored: Sequence[Statistics]) -> Check:
    """Compare rows and checksums of each planned partition; one that is missing on either side counts as empty."""
    expected = {name: (each.rows, each.checksum) for name, each in run.ledger.statistics(STAGE).items()}
    actual = {each.partition: (each.rows, each.checksum) for each in restored}
    unequal = [
        f"{name}: {_content(actual.get(name))} instead of {_content(expected.get(name))}"
        for name in sorted(expected.keys() | actual.keys())
        if actual.get(name, (0, 0)) != expected.get(name, (0, 0))
    ]
    rows = sum(count for count, _ in actual.values())

    return check(
        "restore",
        bool(expected) and not unequal,
        expected="the rows and checksums of the snapshot in every planned partition",
        actual="; ".join(unequal)
        or f"{figures.count(rows, 'equal row')} in {figures.count(len(expected), 'planned partition')}",
        remedy="Do not migrate with this backup: clear snapshot.back_up to take a new one",
    )


def _content(content: tuple[int, int] | None) -> str:
    return f"{figures.count(content[0], 'row')}, checksum {content[1]}" if content else "nothing"
