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
from partition_playbook.object_store import ObjectPath, OpenStore

log = logging.getLogger(__name__)

REPORT_PAGE = "report.html"
PLAN_SQL, PLAN_JSON = "plan.sql", "plan.json"
ARTIFACTS_VARIABLE = "PARTITION_PLAYBOOK_ARTIFACTS"


def root() -> str:
    """Return the path or the URL of the artifacts of all runs."""
    home = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
    return os.environ.get(ARTIFACTS_VARIABLE) or str(home / "artifacts")


def is_url() -> bool:
    """Return True if the artifacts are in an object store."""
    return "://" in root()


def run_name(run_id: str) -> str:
    """Return the name of a run's folder: unique per run, safe for any characters in the id."""
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", run_id)[:80]
    return f"{readable}_{hashlib.sha256(run_id.encode()).hexdigest()[:12]}"


def artifacts_path(run_id: str) -> Path:
    """Return the folder of a run's plan, backup and report, for artifacts in a folder."""
    return Path(root()) / run_name(run_id)


def remote_folder(run_id: str, store: OpenStore) -> ObjectPath:
    """Return the folder of a run in the object store; PreconditionFailed if its URL can't be opened."""
    with using(root()):
        return store(root()) / run_name(run_id)


def put(path: ObjectPath, content: bytes) -> None:
    """Write an object."""
    with path.open("wb") as file:
        file.write(content)


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
    """Return the exported file of a run; None if this machine does not have it, or the exports are objects."""
    if is_url():
        return None
    path = artifacts_path(run_id) / name
    return path if path.is_file() else None


def export(run_id: str, files: Mapping[str, bytes], store: OpenStore) -> list[str]:
    """Write the files into the folder of a run and return their paths, or their URLs in an object store.

    A folder or a store that cannot be written is logged, and returns none: an export is no reason to stop a run.
    """
    try:
        return _export_to_store(run_id, files, store) if is_url() else _export_to_folder(run_id, files)
    except PreconditionFailed as error:
        log.warning("%s are not exported: %s", " and ".join(files), error)
        return []


def _export_to_folder(run_id: str, files: Mapping[str, bytes]) -> list[str]:
    folder = artifacts_folder(run_id)
    with writing(folder):
        for name, content in files.items():
            (folder / name).write_bytes(content)
    return [str(folder / name) for name in files]


def _export_to_store(run_id: str, files: Mapping[str, bytes], store: OpenStore) -> list[str]:
    folder = remote_folder(run_id, store)
    with using(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            put(folder / name, content)
    return [str(folder / name) for name in files]


@contextmanager
def using(place: object) -> Iterator[None]:
    """Raise an error of the object store in the block as PreconditionFailed with its place, the worker and the fix."""
    try:
        yield
    except PreconditionFailed:
        raise
    except Exception as error:  # the driver of each store has errors of its own
        problem = " ".join(f"{type(error).__name__}: {error}".split())
        raise PreconditionFailed(
            f"the object store can't be used from the worker {socket.gethostname()}: {problem}",
            where=str(place),
            remedy=f"Check {ARTIFACTS_VARIABLE}, its Airflow connection and the rights of that. Then clear this task",
        ) from error


@contextmanager
def writing(folder: Path, variable: str = ARTIFACTS_VARIABLE) -> Iterator[None]:
    """Raise an error of the file system in the block as PreconditionFailed with the folder, the worker and the fix."""
    try:
        yield
    except OSError as error:
        problem = f"the folder can't be written on the worker {socket.gethostname()}: {error.strerror or error}"
        account = pwd.getpwuid(os.geteuid()).pw_name
        raise PreconditionFailed(
            problem,
            where=str(folder),
            remedy=f"Free space there, let the account {account} write there, or set {variable} to another folder. "
            "Then clear this task",
        ) from None
