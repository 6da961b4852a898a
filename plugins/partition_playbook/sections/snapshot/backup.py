"""Dump the database, and record the statistics of the table in the same snapshot."""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from partition_playbook import catalog, figures
from partition_playbook.artifacts import writing
from partition_playbook.database import Limits, Session
from partition_playbook.errors import PlaybookError, PreconditionFailed
from partition_playbook.ledger import Statistics
from partition_playbook.names import LEDGER_SCHEMA
from partition_playbook.run import Run
from partition_playbook.sections.snapshot import pg_tools
from partition_playbook.sections.snapshot.partition_statistics import counted_columns, statistics

log = logging.getLogger(__name__)

STAGE = "snapshot"
SUMS = "SHA256SUMS"
# pg_dump needs the exported snapshot for longer than idle_in_transaction_session_timeout would allow.
PATIENT = Limits(idle_in_transaction=0)
DUMP = ("--format=directory", "--compress=1", "--no-password", "--lock-wait-timeout=60s")


@dataclass(frozen=True)
class Backup:
    """One dump: its folder, size in bytes, duration in seconds, and the SHA-256 over the list of its files' hashes."""

    folder: str
    sha256: str
    files: int
    bytes: int
    seconds: float


def take_backup(run: Run, folder: Path, jobs: int) -> Backup:
    """Dump the database without the ledger, and record the statistics of the table in the snapshot of the dump.

    The dump goes to a new folder below ``folder``; dumps of earlier tries are removed first. ToolMissing if pg_dump is
    absent or older than the server, PlaybookError if it fails.
    """
    with writing(folder):
        _clear(folder)
    dump = folder / f"dump-{uuid4().hex[:8]}"
    started = time.perf_counter()

    try:
        tool, found = _dump(run, dump, jobs)
    except PlaybookError:
        # Half a dump restores nothing, and may be the reason why the disk is full.
        shutil.rmtree(dump, ignore_errors=True)
        log.info("removed the half dump %s; %s are free there", dump, figures.size(shutil.disk_usage(folder).free))
        raise
    with writing(folder):
        sums = _sums(dump)
        (folder / SUMS).write_text(sums)
    files = [path for path in dump.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    seconds = time.perf_counter() - started
    backup = Backup(str(dump), hashlib.sha256(sums.encode()).hexdigest(), len(files), size, seconds)

    _record(run, found)
    run.ledger.record_measurement(STAGE, "backup", backup.seconds, "s", tool=tool, **asdict(backup))
    extent = f"{figures.count(backup.files, 'file')}, {figures.size(backup.bytes)}"
    log.info("backup in %s: %s, SHA-256 %s", dump, extent, backup.sha256)
    return backup


def _dump(run: Run, dump: Path, jobs: int) -> tuple[str, list[Statistics]]:
    """Return the tool with its version, and the statistics of the snapshot of the dump."""
    with run.database.snapshot(PATIENT) as session:
        tool = pg_tools.find("pg_dump", session.server_version())
        snapshot = session.value("session/export_snapshot")
        arguments = (
            *DUMP,
            f"--exclude-schema={LEDGER_SCHEMA}",
            f"--snapshot={snapshot}",
            f"--jobs={jobs}",
            f"--file={dump}",
        )
        with pg_tools.running(tool, arguments, session.connection.info, dump):
            found = _statistics(session, run)
    return f"pg_dump {pg_tools.version(tool)}", found


def take_statistics(run: Run) -> list[Statistics]:
    """Record the statistics of the table without a dump, for an external backup."""
    with run.database.snapshot() as session:
        found = _statistics(session, run)
    _record(run, found)
    return found


def recorded(run: Run) -> Backup:
    """Return the backup of this run; PreconditionFailed if there is none."""
    found = run.ledger.measurements(STAGE).get("backup")
    if not found:
        raise PreconditionFailed(
            "no backup is recorded", where=run.ledger.run_id, remedy="Clear snapshot.back_up to take one"
        )
    detail = found["detail"]
    return Backup(detail["folder"], detail["sha256"], detail["files"], detail["bytes"], detail["seconds"])


def sha256(backup: Backup) -> str:
    """Return the hash of the current files of the dump."""
    return hashlib.sha256(_sums(Path(backup.folder)).encode()).hexdigest()


def _clear(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob("dump-*"):
        shutil.rmtree(earlier)


def _sums(dump: Path) -> str:
    """List the hash of every file in the format of sha256sum, for `sha256sum --check SHA256SUMS`."""
    lines = []
    for path in sorted(each for each in dump.rglob("*") if each.is_file()):
        with path.open("rb") as content:
            lines.append(f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {path.relative_to(dump.parent)}\n")
    return "".join(lines)


def _statistics(session: Session, run: Run) -> list[Statistics]:
    started = time.perf_counter()
    table = catalog.require(session, run.table)
    found = statistics(session, run, counted_columns(run, table))
    rows, taken = figures.count(sum(each.rows for each in found), "row"), figures.seconds(time.perf_counter() - started)
    log.info("counted and checksummed %s in %s", rows, taken)
    return found


def _record(run: Run, found: list[Statistics]) -> None:
    with run.database.transaction() as session:
        run.ledger.set_statistics(session, STAGE, found)
    run.ledger.record_measurement(STAGE, "rows", sum(each.rows for each in found), "rows")
