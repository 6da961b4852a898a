"""How much disk the server has left, where its disk is this host's."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import psycopg

from partition_playbook.database import Session


@dataclass(frozen=True)
class Disk:
    """The free bytes beside the server's data; None where they can't be known, and why."""

    free_bytes: int | None
    unknown: str = ""


def find_disk(session: Session) -> Disk:
    """Measure the disk of the data folder, where this host has it: the same path, last changed at the same time."""
    host = session.connection.info.host
    if not (host.startswith("/") or host in ("", "localhost", "127.0.0.1", "::1")):
        return Disk(None, f"the server's disk is on {host}")
    try:
        with session.connection.transaction():
            found = session.row("catalog/find_data_folder")
        folder = Path(found["folder"])
        if abs(folder.stat().st_mtime - found["modified"]) < 1:
            return Disk(shutil.disk_usage(folder).free)
    except psycopg.errors.InsufficientPrivilege:
        return Disk(None, "this role may not read where the server keeps its data")
    except OSError:
        pass
    return Disk(None, "the server's data folder is not on this host")
