"""The files of a run outside the ledger: its backup, and the exports of its plan and its report."""

from __future__ import annotations

import hashlib
import logging
import os
import pwd
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from partition_playbook.errors import PreconditionFailed

log = logging.getLogger(__name__)

REPORT_PAGE = "report.html"
PLAN_SQL, PLAN_JSON = "plan.sql", "plan.json"
ARTIFACTS_VARIABLE = "PARTITION_PLAYBOOK_ARTIFACTS"


def artifacts_path(run_id: str) -> Path:
    """Return the folder of a run's plan, backup and report: unique per run, safe for any characters in the id."""
    root = Path(
        os.environ.get(ARTIFACTS_VARIABLE)
        or Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "artifacts"
    )
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", run_id)[:80]
    return root / f"{readable}_{hashlib.sha256(run_id.encode()).hexdigest()[:12]}"


def artifacts_folder(run_id: str) -> Path:
    """Create the folder of a run's files with mode 0700; PreconditionFailed if another user owns it or it can't be."""
    folder = artifacts_path(run_id)
    with writing(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise PreconditionFailed(
            "the folder is a symbolic link or belongs to another user",
            where=str(folder),
            remedy="Check its contents and remove it, then clear this task",
        )
    folder.chmod(0o700)  # a dump contains every row of the database
    return folder


def exported(run_id: str, name: str) -> Path | None:
    """Return the exported file of a run; None if this machine does not have it."""
    path = artifacts_path(run_id) / name
    return path if path.is_file() else None


def export(run_id: str, files: Mapping[str, bytes]) -> list[Path]:
    """Write the files into the folder of a run and return their paths.

    A folder that cannot be written is logged, and returns none: an export is no reason to stop a run.
    """
    try:
        folder = artifacts_folder(run_id)
        with writing(folder):
            for name, content in files.items():
                (folder / name).write_bytes(content)
    except PreconditionFailed as error:
        log.warning("%s are not exported: %s", " and ".join(files), error)
        return []
    return [folder / name for name in files]


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raise an error of the file system in the block as PreconditionFailed with the folder, the worker and the fix."""
    try:
        yield
    except OSError as error:
        problem = f"the folder can't be written on the worker {socket.gethostname()}: {error.strerror or error}"
        account = pwd.getpwuid(os.geteuid()).pw_name
        raise PreconditionFailed(
            problem,
            where=str(folder),
            remedy=f"Free space there, let the account {account} write there, or set {ARTIFACTS_VARIABLE} to another "
            "folder that all workers and the API server share. Then clear this task",
        ) from None
