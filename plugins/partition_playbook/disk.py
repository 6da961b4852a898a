"""The free disk of a server on this host."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import psycopg

from partition_playbook.database import Session


@dataclass(frozen=True)
class Disk:
    """The free bytes on the disk of the data directory; None with the reason in ``unknown``."""

    free_bytes: int | None
    unknown: str = ""


@dataclass(frozen=True)
class Filesystem:
    """One file system of the server with its free bytes; ``device`` is its number on this host."""

    device: int
    free_bytes: int


@dataclass(frozen=True)
class Filesystems:
    """The file systems of a table, the change log, temporary files and pg_wal, by these names; empty with a reason."""

    found: dict[str, Filesystem]
    unknown: str = ""


def find_filesystems(session: Session, tablespace: str) -> Filesystems:
    """Measure every file system that a migration writes to; ``tablespace`` is empty for the database's own."""
    disk = find_disk(session)
    if disk.free_bytes is None:
        return Filesystems({}, disk.unknown)
    data = session.row("catalog/find_data_folder")["folder"]
    folders = session.row("catalog/find_folders", {"tablespace": tablespace})
    places = {"table": folders["stored"] or data, "change log": folders["database"] or data}
    places |= {"temporary files": folders["temporary"] or data, "pg_wal": str(Path(data) / "pg_wal")}
    try:
        return Filesystems({name: _filesystem(Path(place)) for name, place in places.items()})
    except OSError as error:
        return Filesystems({}, f"{error.filename} cannot be read from this host: {error.strerror}")


def _filesystem(folder: Path) -> Filesystem:
    return Filesystem(folder.stat().st_dev, shutil.disk_usage(folder).free)


def find_disk(session: Session) -> Disk:
    """Measure the disk of the data directory.

    A local folder is taken for the data directory if path and modification time match: a container may share neither.
    """
    host = session.connection.info.host
    if not (host.startswith("/") or host in ("", "localhost", "127.0.0.1", "::1")):
        return Disk(None, f"the server runs on {host}, so its disk is out of reach")
    try:
        with session.connection.transaction():
            found = session.row("catalog/find_data_folder")
        folder = Path(found["folder"])
        if abs(folder.stat().st_mtime - found["modified"]) < 1:
            return Disk(shutil.disk_usage(folder).free)
    except psycopg.errors.InsufficientPrivilege:
        return Disk(None, "the role has no right to read the location of the server's data directory")
    except OSError:
        pass
    return Disk(None, "the server's data directory is not on this host")
