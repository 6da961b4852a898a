"""A dump of the database, and the statistics of the table in the very same snapshot."""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from partition_playbook import catalog
from partition_playbook.database import Limits, Session
from partition_playbook.errors import PreconditionFailed
from partition_playbook.evidence import contents, pg_tools
from partition_playbook.ledger import Statistics
from partition_playbook.migration.run import Run
from partition_playbook.names import LEDGER_SCHEMA

log = logging.getLogger(__name__)

STAGE = "snapshot"
SUMS = "SHA256SUMS"
PATIENT = Limits(
    idle_in_transaction=0
)  # pg_dump needs the exported snapshot for longer than a session may usually idle
DUMP = ("--format=directory", "--compress=1", "--no-password", "--lock-wait-timeout=60s")


@dataclass(frozen=True)
class Backup:
    """One dump: where it lies, how large it is, what it took, and the hash of the list of all its files' hashes."""

    folder: str
    sha256: str
    files: int
    bytes: int
    seconds: float


def take_backup(run: Run, folder: Path, jobs: int) -> Backup:
    """Dump the database without the ledger and record the statistics of the table as that dump has it.

    The dump goes to a new folder below ``folder``; what an earlier try left there is removed first.
    """
    _clear(folder)
    dump = folder / f"dump-{uuid4().hex[:8]}"
    started = time.perf_counter()
    with run.database.snapshot(PATIENT) as session:
        tool = pg_tools.find("pg_dump", session.server_version())
        snapshot = session.value("ledger/export_snapshot")
        arguments = (
            *DUMP,
            f"--exclude-schema={LEDGER_SCHEMA}",
            f"--snapshot={snapshot}",
            f"--jobs={jobs}",
            f"--file={dump}",
        )
        with pg_tools.running(tool, arguments, session.connection.info):
            found = _statistics(session, run)
    sums = _sums(dump)
    (folder / SUMS).write_text(sums)
    files = [path for path in dump.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    seconds = time.perf_counter() - started
    backup = Backup(str(dump), hashlib.sha256(sums.encode()).hexdigest(), len(files), size, seconds)
    _record(run, found)
    run.ledger.measure(STAGE, "backup", backup.seconds, "s", tool=f"pg_dump {pg_tools.version(tool)}", **asdict(backup))
    log.info("backup in %s: %d files, %d bytes, SHA-256 %s", dump, backup.files, backup.bytes, backup.sha256)
    return backup


def take_statistics(run: Run) -> list[Statistics]:
    """Record the statistics of the table where somebody else makes the backup."""
    with run.database.snapshot() as session:
        found = _statistics(session, run)
    _record(run, found)
    return found


def recorded(run: Run) -> Backup:
    """Return the backup of this run; PreconditionFailed where it has none."""
    found = run.ledger.measurements(STAGE).get("backup")
    if not found:
        raise PreconditionFailed(
            "no backup is recorded", where=run.ledger.run_id, remedy="Clear the task that takes it"
        )
    detail = found["detail"]
    return Backup(detail["folder"], detail["sha256"], detail["files"], detail["bytes"], detail["seconds"])


def sha256(backup: Backup) -> str:
    """Return the hash of the dump's files as they are now."""
    return hashlib.sha256(_sums(Path(backup.folder)).encode()).hexdigest()


def _clear(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob("dump-*"):
        shutil.rmtree(earlier)


def _sums(dump: Path) -> str:
    """List the hash of every file as sha256sum does, so that `sha256sum --check SHA256SUMS` can read it."""
    lines = []
    for path in sorted(each for each in dump.rglob("*") if each.is_file()):
        with path.open("rb") as content:
            lines.append(f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {path.relative_to(dump.parent)}\n")
    return "".join(lines)


def _statistics(session: Session, run: Run) -> list[Statistics]:
    started = time.perf_counter()
    table = catalog.require(session, run.table)
    found = contents.statistics(session, run, contents.counted_columns(run, table))
    log.info(
        "counted and checksummed %d rows in %.1f s", sum(each.rows for each in found), time.perf_counter() - started
    )
    return found


def _record(run: Run, found: list[Statistics]) -> None:
    with run.database.transaction() as session:
        run.ledger.set_statistics(session, STAGE, found)
    run.ledger.measure(STAGE, "rows", sum(each.rows for each in found), "rows")
