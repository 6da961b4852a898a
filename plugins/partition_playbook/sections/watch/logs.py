"""Read the new lines of a log, and keep those that match a pattern: of a file on the worker, or of the server's own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import psycopg
from psycopg import sql

from partition_playbook.database import Row, Session
from partition_playbook.sections.watch.sources import LINE_LENGTH, MOST_LINES, Unanswered
from partition_playbook.spec import LogFile, LogLines

# A look reads no more of one file.
MOST_BYTES = 16 << 20
NO_LOG = "the server writes no log files: logging_collector is off"
# Until version 15 pg_monitor may not ask for the current file.
FUNCTIONS = ("pg_current_logfile()", "pg_read_binary_file(text, bigint, bigint)")


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

    lines, read = _matching(content, log)
    return lines, Place(found.st_ino, start + read)


def _matching(content: bytes, wanted: LogLines) -> tuple[list[str], int]:
    """Return the matching whole lines, at most MOST_LINES, and the bytes up to the end of the last whole line."""
    # The last line may still be written: it is read whole at the next look.
    whole, newline, _ = content.rpartition(b"\n")
    lines = _keep(whole.decode("utf-8", "replace"), wanted) if newline else ()
    return list(islice(lines, MOST_LINES)), len(whole) + len(newline)


def _keep(text: str, wanted: LogLines) -> Iterator[str]:
    pattern, ignored = re.compile(wanted.pattern), re.compile(wanted.ignore) if wanted.ignore else None
    for line in text.splitlines():
        if pattern.search(line) and not (ignored and ignored.search(line)):
            yield line[:LINE_LENGTH]


@dataclass(frozen=True)
class ServerPlace:
    """The position up to which the server's log was read: the file, and the offset in bytes."""

    file: str
    offset: int


def end_of_server_log(session: Session) -> ServerPlace:
    """Return the present end of the server's log; Unanswered with the reason if it cannot be read."""
    try:
        files = session.rows("watch/list_server_logs", {"known": None})
        if not files:
            raise Unanswered(NO_LOG)
        last = ServerPlace(files[-1]["file"], files[-1]["size"])
        _read(session, last, 1)
    except psycopg.Error as error:
        raise Unanswered(_reason(session, error)) from error
    return last


def new_server_lines(session: Session, wanted: LogLines, place: ServerPlace) -> tuple[list[str], ServerPlace]:
    """Return the matching lines after a place, at most MOST_LINES, and the next place; Unanswered if it is unreadable.

    Files that the server began after the known one are read from their start.
    """
    found: list[str] = []
    try:
        for each in _after(session.rows("watch/list_server_logs", {"known": place.file}), place):
            # A file of the same name that is shorter was begun again by the rotation.
            known = place.offset if each["file"] == place.file and place.offset <= each["size"] else 0
            start = max(known, each["size"] - MOST_BYTES)
            lines, read = _matching(_read(session, ServerPlace(each["file"], start), MOST_BYTES), wanted)
            found += lines
            place = ServerPlace(each["file"], start + read)
    except psycopg.Error as error:
        raise Unanswered(_reason(session, error)) from error
    return found[:MOST_LINES], place


def _after(files: list[Row], place: ServerPlace) -> list[Row]:
    """Leave out the files before the known one: their last change may fall into the same second."""
    names = [each["file"] for each in files]
    return files[names.index(place.file) :] if place.file in names else files


def _read(session: Session, place: ServerPlace, most: int) -> bytes:
    return bytes(session.value("watch/read_server_log", {"file": place.file, "start": place.offset, "bytes": most}))


def _reason(session: Session, error: psycopg.Error) -> str:
    if isinstance(error, psycopg.errors.UndefinedFile):
        return NO_LOG
    if not isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"{error.sqlstate} {error.diag.message_primary}"
    role = sql.Identifier(session.connection.info.user).as_string()
    functions = ", ".join(FUNCTIONS)
    grants = f"GRANT pg_monitor TO {role}; GRANT EXECUTE ON FUNCTION {functions} TO {role}"
    return f"the role may not read the server's log; to let it, run as a superuser: {grants}"
