"""What there was before: a backup that restores, statistics with checksums, the speed of the queries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from partition_playbook.checks import Check, check, skipped
from partition_playbook.evidence import backup as backups
from partition_playbook.evidence import restore
from partition_playbook.evidence.backup import STAGE, Backup, take_backup, take_statistics
from partition_playbook.evidence.benchmark import benchmark
from partition_playbook.evidence.restore import check_restore
from partition_playbook.migration.run import Run
from partition_playbook.spec import Backup as Wanted
from partition_playbook.spec import RunParams

__all__ = ["Backup", "benchmark", "check_backup", "check_restore", "take_backup", "take_statistics"]


def check_backup(run: Run, params: RunParams, folder: Path) -> list[Check]:
    """Check the statistics, and the backup where this run made it; ``folder`` is where the backup is seen from here."""
    taken = _statistics_taken(run)
    if params.backup is not Wanted.DUMP:
        reason = "the backup is not this run's: its restore was not tried"
        return [taken, skipped("restore", reason if params.backup is Wanted.EXTERNAL else "there is no backup")]
    recorded = backups.recorded(run)
    here = replace(recorded, folder=str(folder / Path(recorded.folder).name))
    return [taken, *restore.check_restore(run, here, params.load_workers)]


def _statistics_taken(run: Run) -> Check:
    found = run.ledger.statistics(STAGE)
    rows = sum(each.rows for each in found.values())
    return check(
        "statistics",
        bool(found),
        expected="statistics of every partition-to-be",
        actual=f"{rows} rows in {len(found)} partitions-to-be" if found else "none",
        remedy="Clear the task that takes them",
    )
