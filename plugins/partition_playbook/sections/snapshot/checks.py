"""Check the evidence from before the migration: the statistics, and a backup with a tested restore."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from partition_playbook import figures
from partition_playbook.checks import Check, check, skipped
from partition_playbook.run import Run
from partition_playbook.sections.snapshot import backup, restore
from partition_playbook.sections.snapshot.backup import STAGE
from partition_playbook.spec import Backup as BackupKind
from partition_playbook.spec import RunParams


def check_backup(run: Run, params: RunParams, folder: Path) -> list[Check]:
    """Check the statistics, and restore the backup if this run made it; ``folder`` holds it on this host."""
    taken = _statistics_taken(run)
    if params.backup is not BackupKind.DUMP:
        reason = "the backup is external: its restore was not tested"
        return [taken, skipped("restore", reason if params.backup is BackupKind.EXTERNAL else "there is no backup")]

    recorded = backup.recorded(run)
    here = replace(recorded, folder=str(folder / Path(recorded.folder).name))
    return [taken, *restore.check_restore(run, here, params.load_workers)]


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
