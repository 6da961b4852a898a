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
from partition_playbook.database import Limits, Session
from partition_playbook.errors import PlaybookError
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
DUMPS = "dump-*"
DUMP = ("--format=directory", "--compress=1", "--no-password", "--lock-wait-timeout=60s")


@dataclass(frozen=True)
class Backup:
    """One dump: its folder, size in bytes, duration in seconds, and the SHA-256 over the list of its files' hashes.

    ``tool`` is pg_dump with its version.
    """

    folder: str
    sha256: str
    files: int
    bytes: int
    seconds: float
    tool: str


def take_backup(run: Run, folder: Path, jobs: int) -> Backup:
    """Dump the database without the ledger, and record the statistics of the table in the snapshot of the dump.

    The dump goes to a new folder below ``folder``. ToolMissing if pg_dump is absent or older than the server,
    PlaybookError if it fails.
    """
    dump = folder / f"dump-{uuid4().hex[:8]}"
    started = time.perf_counter()

    try:
        tool, found = _dump(run, dump, jobs)
    except PlaybookError:
        # Half a dump restores nothing, and may be the reason why the disk is full.
        shutil.rmtree(dump, ignore_errors=True)
        log.info("removed the half dump %s; %s are free there", dump, figures.size(shutil.disk_usage(folder).free))
        raise
    sums, files = file_sums(dump), files_of(dump)
    size = sum(path.stat().st_size for path in files)
    seconds = time.perf_counter() - started
    backup = Backup(str(dump), hashlib.sha256(sums.encode()).hexdigest(), len(files), size, seconds, tool)

    _record(run, found)
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


def record(run: Run, backup: Backup, place: str, host: str) -> None:
    """Record the dump with its place in the artifacts and the worker that wrote it."""
    detail = asdict(backup) | {"folder": place, "host": host}
    run.ledger.record_measurement(STAGE, "backup", backup.seconds, "s", **detail)


def sha256(backup: Backup) -> str:
    """Return the hash of the current files of the dump."""
    return hashlib.sha256(file_sums(Path(backup.folder)).encode()).hexdigest()


def files_of(dump: Path) -> list[Path]:
    """Return the files of a dump in the order of their names."""
    return sorted(each for each in dump.rglob("*") if each.is_file())


def file_sums(dump: Path) -> str:
    """List the hash of every file in the format of sha256sum, for `sha256sum --check SHA256SUMS`."""
    lines = []
    for path in files_of(dump):
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
