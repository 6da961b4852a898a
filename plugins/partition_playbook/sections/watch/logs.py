"""Read the new lines of a log file on the worker, and keep those that match a pattern."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from partition_playbook.spec import LogFile

# A look reads no more of one file, and keeps no more of it; the rest of a line may be a secret or a whole document.
MOST_BYTES = 16 << 20
MOST_LINES = 20
LINE_LENGTH = 300


@dataclass(frozen=True)
class Place:
    """The position up to which a file was read: its inode, and the offset in bytes."""

    inode: int
    offset: int


def end_of(path: str) -> Place:
    """Return the present end of a file; OSError if this worker cannot read it."""
    with Path(path).open("rb"):
        found = Path(path).stat()
    return Place(found.st_ino, found.st_size)


def new_lines(log: LogFile, since: Place | None) -> tuple[list[str], Place]:
    """Return the matching lines after a place, at most MOST_LINES, and the next place; OSError if it is unreadable.

    A file that was replaced or truncated by a rotation is read from its start.
    """
    path = Path(log.path)
    with path.open("rb") as file:
        found = path.stat()
        is_same = since is not None and since.inode == found.st_ino and since.offset <= found.st_size
        start = max(since.offset if since and is_same else 0, found.st_size - MOST_BYTES)
        file.seek(start)
        content = file.read(found.st_size - start)

    # The last line may still be written: it is read whole at the next look.
    whole, newline, _ = content.rpartition(b"\n")
    lines = list(_matching(whole.decode("utf-8", "replace"), log)) if newline else []
    return lines[:MOST_LINES], Place(found.st_ino, start + len(whole) + len(newline))


def _matching(text: str, log: LogFile) -> Iterator[str]:
    wanted, ignored = re.compile(log.pattern), re.compile(log.ignore) if log.ignore else None
    for line in text.splitlines():
        if wanted.search(line) and not (ignored and ignored.search(line)):
            yield line[:LINE_LENGTH]
