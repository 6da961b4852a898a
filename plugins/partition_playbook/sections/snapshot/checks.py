"""Check the evidence from before the migration: the statistics, and a backup with a tested restore."""

from __future__ import annotations

import psycopg

from partition_playbook import figures
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.errors import PlaybookError
from partition_playbook.object_store import OpenStore
from partition_playbook.run import Run
from partition_playbook.sections.snapshot import backup, pgbackrest, restore, storage
from partition_playbook.sections.snapshot.backup import STAGE
from partition_playbook.spec import Backup as BackupKind
from partition_playbook.spec import PgBackRest, RunParams


def back_up(run: Run, params: RunParams, store: OpenStore) -> list[Check]:
    """Record the statistics, and with backup dump: dump to scratch, restore and compare there, move to the artifacts.

    Scratch is removed in every case, so a retry dumps anew, on any worker.
    """
    if params.backup is not BackupKind.DUMP:
        backup.take_statistics(run)
        reason = "the backup is external: its restore was not tested"
        external = reason if params.backup is BackupKind.EXTERNAL else "there is no backup"
        proved = [_archiving(run)] if params.backup is BackupKind.EXTERNAL else []
        return [_statistics_taken(run), skipped("restore", external), *proved]

    with storage.scratch_folder(run.ledger.run_id) as folder:
        taken = backup.take_backup(run, folder, params.load_workers)
        restored = restore.check_restore(run, taken, params.load_workers)
        stored = storage.keep(taken, run.ledger.run_id, store)
    backup.record(run, taken, str(stored.evidence["place"]), str(stored.evidence["host"]))
    return [_statistics_taken(run), *restored, stored]


def _archiving(run: Run) -> Check:
    """Check in pg_stat_archiver that WAL was archived since the run began and the last try succeeded.

    A failure that was followed by a success left no gap: the server tries the same file again.
    """
    began = run.ledger.run()["started_at"]
    expected = f"WAL was archived since the run began at {began:%Y-%m-%d %H:%M:%S %Z}, and the last try succeeded"
    with run.database.session() as session:
        found = session.row("snapshot/find_archiving", {"since": began})
    if found["mode"] == "off":
        return skipped("backup_archiving", "archive_mode is off: the server knows of no archive", expected=expected)

    actual = f"{found['archived']} at {found['archived_at']}" if found["archived_since"] else "none was archived since"
    if found["fails"]:
        actual = f"{found['failed']} failed at {found['failed_at']}; {actual}"
    return check(
        "backup_archiving",
        found["archived_since"] and not found["fails"],
        expected=expected,
        actual=actual,
        severity=Severity.ERROR if found["fails"] else Severity.WARNING,
        remedy="After a failure correct archive_command; the server's log has its error. Else execute SELECT "
        "pg_switch_wal() as a superuser. Then clear snapshot.back_up",
    )


def storage_checks(run: Run, params: RunParams, store: OpenStore) -> list[Check]:
    """Check before anything runs that the dump will have room in scratch and a place in the artifacts.

    For an external backup, let pgBackRest prove it where the spec has the key.
    """
    if params.backup is BackupKind.EXTERNAL and run.spec.pgbackrest:
        return [_proved(run, run.spec.pgbackrest, params.external_backup_id)]
    if params.backup is not BackupKind.DUMP:
        return []
    try:
        with run.database.session() as session:
            needed = int(session.value("snapshot/find_dump_size") or 0)
    except (PlaybookError, psycopg.Error) as error:
        room = skipped("scratch_space", f"the size of the tables could not be found out: {type(error).__name__}")
    else:
        room = storage.scratch_space(needed)
    return [room, storage.artifacts_store(store)]


def _proved(run: Run, wanted: PgBackRest, label: str | None) -> Check:
    try:
        with run.database.session() as session:
            system = session.value_unless_refused("catalog/find_system_identifier")
    except (PlaybookError, psycopg.Error) as error:
        return skipped(pgbackrest.NAME, f"the server could not be asked who it is: {type(error).__name__}")
    return pgbackrest.pgbackrest_check(wanted, label, system)


def _statistics_taken(run: Run) -> Check:
    found = run.ledger.statistics(STAGE)
    rows = sum(each.rows for each in found.values())
    return check(
        "statistics",
        bool(found),
        expected="statistics of every planned partition",
        actual=f"{figures.count(rows, 'row')} in {figures.count(len(found), 'planned partition')}" if found else "none",
        remedy="Clear snapshot.back_up to take them",
    )
