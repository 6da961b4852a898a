"""Prove a backup: restore the table into a scratch database and compare every partition-to-be with the snapshot."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.checks import Check, Severity, check
from partition_playbook.database import Database, Row, Session
from partition_playbook.errors import PlaybookError
from partition_playbook.evidence import backup as backups
from partition_playbook.evidence import contents, pg_tools
from partition_playbook.evidence.backup import STAGE, Backup
from partition_playbook.ledger import Statistics
from partition_playbook.migration.run import Run

log = logging.getLogger(__name__)

# Roles, publications and the like are no part of the table's rows, and a scratch database must not act on the outside.
BARE = (
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
DROPS = ("", "WITH (FORCE)") * 3


def check_restore(run: Run, backup: Backup, jobs: int = 2) -> list[Check]:
    """Restore the backup into a scratch database, dropped afterwards, and compare it with the snapshot's statistics."""
    started = time.perf_counter()
    unchanged = _unchanged(backup)
    with scratch(run) as database:
        complaints = _restore(run, database, backup, jobs)
        restored = _contents(run, database)
    run.ledger.measure(STAGE, "restore_check", time.perf_counter() - started, "s")
    clean = check(
        "restore_clean",
        not complaints,
        expected="pg_restore ends without a complaint",
        actual="; ".join(complaints) or "none",
        severity=Severity.WARNING,
        remedy="Find out whether a full restore would need what it names",
    )
    return [unchanged, clean, _equal(run, restored)]


def _unchanged(backup: Backup) -> Check:
    actual = backups.sha256(backup)
    return check(
        "backup_unchanged",
        actual == backup.sha256,
        expected=f"SHA-256 {backup.sha256}",
        actual=f"SHA-256 {actual}",
        remedy="Somebody or something changed the files: clear the task that takes the backup",
        evidence={"folder": backup.folder, "files": backup.files, "bytes": backup.bytes, "seconds": backup.seconds},
    )


def scratch_name(run: Run) -> str:
    """Return the name of the run's scratch database."""
    return f"partition_playbook_restore_{hashlib.sha256(run.ledger.run_id.encode()).hexdigest()[:12]}"


@contextmanager
def scratch(run: Run) -> Iterator[Database]:
    """Make an empty database and drop it afterwards, whatever happens; what an earlier try left is dropped first."""
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
    """Drop the scratch database; by force only where a session of ours is left in it.

    Force would have to end autovacuum's workers too, which no other role than a superuser may. Without it the server
    ends them itself within 5 s, or says that it is in use.
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
    wanted = {"encoding": found["encoding"], "collate": found["collate"], "ctype": found["ctype"]}
    return wanted | {"locale": sql.SQL(" ").join(parts)}


def _restore(run: Run, database: Database, backup: Backup, jobs: int) -> list[str]:
    """Restore every definition that comes before the data, then the table's own rows; return what went wrong."""
    complaints = []
    rows = ("--section=data", f"--schema={run.table.schema}", f"--table={run.table.name}", f"--jobs={jobs}")
    with database.session() as session:
        tool = pg_tools.find("pg_restore", session.server_version())
        for arguments in (("--section=pre-data",), rows):
            try:
                with pg_tools.running(tool, (*BARE, *arguments, backup.folder), session.connection.info):
                    pass
            except PlaybookError as error:
                if not _harmless(error.problem):
                    complaints.append(error.problem)
    return complaints


def _harmless(complaint: str) -> bool:
    """Tell whether a pg_restore of 17 or newer only set a limit that the server is too old to know."""
    errors = [line for line in complaint.splitlines() if "error: " in line]
    return bool(errors) and all('"transaction_timeout"' in line for line in errors)


def _contents(run: Run, database: Database) -> Sequence[Statistics]:
    with database.session() as session:
        if catalog.describe(session, run.table) is None:
            return []
        return contents.statistics(session, run)


def _equal(run: Run, restored: Sequence[Statistics]) -> Check:
    """Compare rows and checksums by partition-to-be; one that is on one side only counts as empty on the other."""
    expected = {name: (each.rows, each.checksum) for name, each in run.ledger.statistics(STAGE).items()}
    actual = {each.partition: (each.rows, each.checksum) for each in restored}
    unequal = [
        f"{name}: {_said(actual.get(name))} instead of {_said(expected.get(name))}"
        for name in sorted(expected.keys() | actual.keys())
        if actual.get(name, (0, 0)) != expected.get(name, (0, 0))
    ]
    rows = sum(count for count, _ in actual.values())
    return check(
        "restore",
        bool(expected) and not unequal,
        expected="rows and checksums of all columns as in the snapshot, in every partition-to-be",
        actual="; ".join(unequal) or f"{rows} rows equal in {len(expected)} partitions-to-be",
        remedy="This backup cannot be relied on: do not migrate; take another one",
    )


def _said(content: tuple[int, int] | None) -> str:
    return f"{content[0]} rows, checksum {content[1]}" if content else "nothing"
