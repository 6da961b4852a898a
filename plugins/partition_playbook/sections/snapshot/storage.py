"""The scratch folder of a dump on this worker, and its way from there to the artifacts: a folder or an object store."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any

from partition_playbook import artifacts, figures
from partition_playbook.artifacts import run_name, writing
from partition_playbook.checks import Check, check
from partition_playbook.errors import PreconditionFailed
from partition_playbook.object_store import ObjectPath, OpenStore
from partition_playbook.sections.snapshot.backup import DUMPS, SUMS, Backup, file_sums, files_of

log = logging.getLogger(__name__)

SCRATCH_VARIABLE = "PARTITION_PLAYBOOK_SCRATCH"
CHUNK = 1 << 20
PREFIX = "partition_playbook_"
FOLDER = "backup"


@dataclass(frozen=True)
class Kept:
    """A dump in the artifacts: its place, the worker that wrote it, and the sums of its files, read back."""

    place: str
    host: str
    sums: str


def scratch_root() -> Path:
    """Return the folder for scratch files: PARTITION_PLAYBOOK_SCRATCH, else the system's temporary folder."""
    return Path(os.environ.get(SCRATCH_VARIABLE) or tempfile.gettempdir())


@contextmanager
def scratch_folder(run_id: str) -> Iterator[Path]:
    """Create a scratch folder with mode 0700 and remove it at the end, also after an error.

    The leftovers of a killed try of the run on this worker are removed first.
    """
    root = scratch_root()
    prefix = f"{PREFIX}{hashlib.sha256(run_id.encode()).hexdigest()[:12]}_"
    with writing(root, SCRATCH_VARIABLE):
        root.mkdir(parents=True, exist_ok=True)
        _remove_left(root, prefix)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left(root: Path, prefix: str) -> None:
    for earlier in root.glob(f"{prefix}*"):
        # The system's temporary folder is everybody's: only a folder of this account is one of ours.
        if not earlier.is_symlink() and earlier.stat().st_uid == os.geteuid():
            shutil.rmtree(earlier)
            log.info("removed %s: a killed try of this run left it", earlier)


def keep(backup: Backup, run_id: str, store: OpenStore) -> Check:
    """Move a dump from scratch to the artifacts, read it back, and return the check of its sums.

    SHA256SUMS is written last, and only if every sum is that of the dump: a dump without it is not complete.
    PreconditionFailed if the folder or the object store can't be used.
    """
    expected = file_sums(Path(backup.folder))
    if artifacts.is_url():
        kept = _upload(Path(backup.folder), expected, artifacts.remote_folder(run_id, store) / FOLDER)
    else:
        kept = _move(Path(backup.folder), expected, artifacts.artifacts_folder(run_id) / FOLDER)

    actual = hashlib.sha256(kept.sums.encode()).hexdigest()
    log.info("the dump is in %s, written by the worker %s, SHA-256 %s", kept.place, kept.host, actual)
    return check(
        "backup_stored",
        actual == backup.sha256,
        expected=f"SHA-256 {backup.sha256} in {kept.place}",
        actual=f"SHA-256 {actual}, read back by the worker {kept.host}",
        remedy="The artifacts hold other bytes than the dump: check that storage, then clear snapshot.back_up",
        evidence={"place": kept.place, "host": kept.host, "files": backup.files, "bytes": backup.bytes},
    )


def _move(dump: Path, expected: str, folder: Path) -> Kept:
    target = folder / dump.name
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SUMS).unlink(missing_ok=True)
        for earlier in folder.glob(DUMPS):
            shutil.rmtree(earlier)

        shutil.move(dump, target)
        found = file_sums(target)
        if found == expected:
            (folder / SUMS).write_text(found)
    return Kept(str(target), socket.gethostname(), found)


def _upload(dump: Path, expected: str, folder: ObjectPath) -> Kept:
    target = folder / dump.name
    with artifacts.using(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _remove_earlier(folder)

        target.mkdir(parents=True, exist_ok=True)
        for path in files_of(dump):
            with path.open("rb") as content, (target / path.name).open("wb") as copy:
                shutil.copyfileobj(content, copy, CHUNK)
        found = "".join(f"{_sha256(target / path.name)}  {dump.name}/{path.name}\n" for path in files_of(dump))
        if found == expected:
            artifacts.put(folder / SUMS, found.encode())
    return Kept(str(target), socket.gethostname(), found)


def _remove_earlier(folder: ObjectPath) -> None:
    """Remove the dumps of earlier tries; SHA256SUMS first, because it says that a dump is complete."""
    try:
        present = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # a store without folders has none without objects
        return
    for each in sorted(present, key=lambda path: path.name != SUMS):
        if each.name == SUMS:
            each.unlink()
        elif fnmatch(each.name, DUMPS):
            for file in list(each.iterdir()):
                file.unlink()


def _sha256(path: ObjectPath) -> str:
    with path.open("rb") as content:
        return _digest(content)


def _digest(content: IO[Any]) -> str:
    found = hashlib.sha256()
    while chunk := content.read(CHUNK):
        found.update(chunk)
    return found.hexdigest()


def artifacts_store(store: OpenStore) -> Check:
    """Write an object to the artifacts, read it back and remove it; a folder is created and tested in the same way."""
    place = artifacts.root()
    content = f"written by the worker {socket.gethostname()}\n".encode()
    try:
        _try_out(store, content)
        problem = ""
    except PreconditionFailed as error:
        problem = error.problem
    return check(
        "artifacts_store",
        not problem,
        expected=f"a file can be written to {place} and read back",
        actual=problem or f"done by the worker {socket.gethostname()}",
        remedy=f"Correct {artifacts.ARTIFACTS_VARIABLE}, its Airflow connection, or the rights there; a URL needs the "
        "provider of its store, such as apache-airflow-providers-amazon[s3fs]",
    )


def _try_out(store: OpenStore, content: bytes) -> None:
    name = f"{run_name('a try')}_{os.urandom(4).hex()}"
    if not artifacts.is_url():
        folder = Path(artifacts.root())
        with writing(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder) as file:
                file.write(content)
        return

    with artifacts.using(artifacts.root()):
        bucket = store(artifacts.root())
        bucket.mkdir(parents=True, exist_ok=True)
        path = bucket / name
        artifacts.put(path, content)
        with path.open("rb") as file:
            found = file.read()
        path.unlink()
        if found != content:
            raise OSError(f"{path} holds other bytes than were written")


def scratch_space(needed: int) -> Check:
    """Compare the free space of the scratch folder on this worker with the size of the tables to dump."""
    root = scratch_root()
    host = socket.gethostname()
    try:
        root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(root).free
        is_writable, problem = os.access(root, os.W_OK | os.X_OK), "it can't be written"
    except OSError as error:
        free, is_writable, problem = 0, False, error.strerror or str(error)
    return check(
        "scratch_space",
        is_writable and free >= needed,
        expected=f"{figures.size(needed)} free in {root}, the size of the tables to dump without their indexes",
        actual=f"{figures.size(free)} on the worker {host}" if is_writable else f"on the worker {host}: {problem}",
        remedy=f"Set {SCRATCH_VARIABLE} to a folder with more space on each worker, or the param backup to external",
        evidence={"folder": str(root), "host": host, "free": free, "needed": needed},
    )
