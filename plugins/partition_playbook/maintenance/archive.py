"""Archive a detached table: CSV in the object store, read back and compared before the ledger knows of it.

The object comes first, then its manifest, then the note in the ledger. Whatever is broken off leaves the table, and at
most an object that the next attempt writes again.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import IO, Any, Protocol, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Column, Table
from partition_playbook.database import Limits, Row, Session, with_lock_retry
from partition_playbook.errors import Diverged, PreconditionFailed
from partition_playbook.maintenance.actions import Archive
from partition_playbook.maintenance.observe import detachments
from partition_playbook.migration.run import Run
from partition_playbook.migration.verify import Content, hashed_row
from partition_playbook.names import TableName
from partition_playbook.sql import columns

READING = TableName("pg_temp", "partition_playbook_reading")
CHUNK = 1 << 16
GZIP = 31
AGAIN = "It was not dropped. Run again: it is archived anew"


class Place(Protocol):
    """What is needed of a path in the object store: pathlib's Path has it, and Airflow's ObjectStoragePath."""

    def __truediv__(self, name: str) -> Self:
        """Return the place of what lies in it."""

    def open(self, mode: str) -> IO[Any]:
        """Open the object."""

    def exists(self) -> bool:
        """Tell whether there is an object."""

    def mkdir(self, *, parents: bool, exist_ok: bool) -> None:
        """Make the folder, where the store has folders."""

    def unlink(self, *, missing_ok: bool) -> None:
        """Remove the object."""


Store = Callable[[str], Place]


@dataclass(frozen=True)
class Manifest:
    """What an object holds and where it comes from; ``ddl`` makes such a table again."""

    database: str
    table: str
    partition: str
    oid: int
    bound: str
    columns: dict[str, str]
    ddl: list[str]
    rows: int
    checksum: str
    sha256: str
    server_version: str
    archived_at: str


@dataclass(frozen=True)
class Shelf:
    """Where the archive of one detached table is: the object and its manifest."""

    folder: Place
    partition: TableName

    @property
    def object(self) -> Place:
        """Return the place of the rows."""
        return self.folder / quote(f"{self.partition.name}.csv.gz", safe="")

    @property
    def manifest(self) -> Place:
        """Return the place of the manifest."""
        return self.folder / quote(f"{self.partition.name}.json", safe="")

    def read_manifest(self) -> Manifest | None:
        """Read the manifest; None where there is none, or one whose writing was broken off."""
        if not self.manifest.exists():
            return None
        with self.manifest.open("rb") as stream:
            content = stream.read()
        try:
            return Manifest(**json.loads(content))
        except (ValueError, TypeError):
            return None

    def is_as_noted(self, noted: Row | None) -> bool:
        """Tell whether the store holds, byte by byte, what the ledger noted."""
        if noted is None or not self.object.exists():
            return False
        manifest = self.read_manifest()
        if manifest is None or any(
            noted[key] != getattr(manifest, key) for key in ("oid", "rows", "checksum", "sha256")
        ):
            return False
        return self.digest() == manifest.sha256

    def digest(self) -> str:
        """Read the object and return its SHA-256."""
        found = hashlib.sha256()
        with self.object.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                found.update(chunk)
        return found.hexdigest()


def archive(run: Run, action: Archive, store: Store | None) -> bool:
    """Write a detached table to the store and read it back; tell whether its archive was not good already."""
    shelf = shelf_of(run, store, action.partition)
    with run.database.session() as session:
        found = detached(run, session, action.partition)
        if found is None:
            return False
        table = catalog.require(session, action.partition)
        origin = session.row("maintenance/find_origin")
    with _asking(shelf.object):
        if shelf.is_as_noted(found["archive"]) and _content(run, table) == _noted_content(found):
            return False
        shelf.folder.mkdir(parents=True, exist_ok=True)
        _require_free(shelf, table, origin)
        shelf.manifest.unlink(missing_ok=True)
        sha256 = _write(run, table, shelf)
        attempt = partial(_verify, run, table, shelf, origin | {"bound": found["bound"], "sha256": sha256})
        with_lock_retry(run.database, action.partition, attempt)
    return True


def shelf_of(run: Run, store: Store | None, partition: TableName) -> Shelf:
    """Return where the archive of a table is; PreconditionFailed where the spec names no object store that there is."""
    url = run.spec.retention.archive_to if run.spec.retention else None
    if not (store and url):
        remedy = "Set `archive_to` in the spec's retention"
        raise PreconditionFailed("there is no object store to archive to", where=str(run.table), remedy=remedy)
    with _asking(url):
        return Shelf(store(url) / quote(str(run.table), safe=""), partition)


def detached(run: Run, session: Session, name: TableName) -> Row | None:
    """Return what the ledger knows of a table that retention has detached and may end; None for any other."""
    rows = [row for row in detachments(run, session) if row["detached"] and not (row["attached"] or row["kept"])]
    return next((row for row in rows if TableName(row["schema"], row["name"]) == name), None)


def require_stored(run: Run, session: Session, shelf: Shelf) -> None:
    """Stop where the object store does not hold what the ledger noted of a table."""
    found = detached(run, session, shelf.partition)
    with _asking(shelf.object):
        if found and not shelf.is_as_noted(found["archive"]):
            raise PreconditionFailed("it has no good archive", where=str(shelf.partition), remedy=AGAIN)


def require_same(run: Run, session: Session, shelf: Shelf) -> None:
    """Stop where a table, to which nobody can write now, does not hold what was noted of its archive."""
    found = detached(run, session, shelf.partition)
    if found is None:
        return
    with _asking(shelf.object):
        there = shelf.object.exists() and shelf.manifest.exists()
    if not there or not found["archive"]:
        raise PreconditionFailed("it has no good archive", where=str(shelf.partition), remedy=AGAIN)
    session.row("maintenance/set_archive_text")
    table = catalog.require(session, shelf.partition)
    if _content_of(session, table, table.table_name) != _noted_content(found):
        raise Diverged("it changed after it was archived", where=str(shelf.partition), remedy=AGAIN)


@contextmanager
def _asking(place: object) -> Iterator[None]:
    """Say where it was that the object store did not do what it was asked."""
    try:
        yield
    except (OSError, ValueError, ImportError, zlib.error, psycopg.DataError) as error:
        raise PreconditionFailed(
            f"{type(error).__name__}: {error}".strip(),
            where=str(place),
            remedy="The table stands. Mend the object store, or what it holds, and run again",
        ) from error


def _require_free(shelf: Shelf, table: Table, origin: Row) -> None:
    other = shelf.read_manifest()
    if other and (other.database, other.oid) != (origin["database"], table.oid):
        raise PreconditionFailed(
            f"the archive of another table is there: {other.partition} of {other.database}, oid {other.oid}",
            where=str(shelf.manifest),
            remedy="It was not touched. Move it, or give this spec an `archive_to` of its own",
        )


def _write(run: Run, table: Table, shelf: Shelf) -> str:
    """Write the rows to the store as they come; return the object's digest."""
    parts = {"table": table.table_name.identifier, "columns": columns(table.writable)}
    digest = hashlib.sha256()
    with shelf.object.open("wb") as stream, run.database.snapshot() as session:
        session.row("maintenance/set_archive_text")
        with session.copy("maintenance/copy_rows_out", **parts) as rows:
            for chunk in _packed(rows):
                digest.update(chunk)
                stream.write(chunk)
    return digest.hexdigest()


def _packed(rows: psycopg.Copy) -> Iterator[bytes]:
    gzip = zlib.compressobj(wbits=GZIP)
    yield from filter(None, map(gzip.compress, rows))
    yield gzip.flush()


def _verify(run: Run, table: Table, shelf: Shelf, origin: Row, lock_timeout: int) -> None:
    """Compare what the store gives back with the table, which nobody can write to; then note the archive."""
    with run.database.transaction(Limits(lock_timeout=lock_timeout)) as session:
        session.run("maintenance/lock_rows", table=table.table_name.identifier)
        found = detached(run, session, table.table_name)
        if found is None or found["oid"] != table.oid:
            raise PreconditionFailed("it is not the table that was detached", where=str(table.table_name))
        session.row("maintenance/set_archive_text")
        session.run("maintenance/create_reading", reading=READING.identifier, table=table.table_name.identifier)
        sha256 = _read_back(session, table, shelf)
        content = _content_of(session, table, table.table_name)
        if (sha256, _content_of(session, table, READING)) != (origin["sha256"], content):
            raise Diverged(
                "what the object store gives back is not what it holds", where=str(shelf.object), remedy=AGAIN
            )
        manifest = Manifest(
            table=str(run.table),
            partition=str(table.table_name),
            oid=table.oid,
            columns={each.name: each.type for each in table.columns},
            ddl=list(_ddl(table)),
            rows=content.rows,
            checksum=str(content.checksum),
            **origin,
        )
        with shelf.manifest.open("wb") as stream:
            stream.write(json.dumps(asdict(manifest), indent=2, ensure_ascii=False).encode())
        noted = {key: getattr(manifest, key) for key in ("partition", "oid", "rows", "checksum", "sha256")}
        run.ledger.note(session, "retention archived", parent=str(run.table), object=str(shelf.object), **noted)


def _read_back(session: Session, table: Table, shelf: Shelf) -> str:
    parts = {"reading": READING.identifier, "columns": columns(table.writable)}
    digest, gzip = hashlib.sha256(), zlib.decompressobj(wbits=GZIP)
    with shelf.object.open("rb") as stream, session.copy("maintenance/copy_rows_in", **parts) as rows:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            rows.write(gzip.decompress(chunk))
    return digest.hexdigest()


def _content(run: Run, table: Table) -> Content:
    with run.database.snapshot() as session:
        session.row("maintenance/set_archive_text")
        return _content_of(session, table, table.table_name)


def _content_of(session: Session, table: Table, name: TableName) -> Content:
    found = session.row("maintenance/find_content", table=name.identifier, row=hashed_row(table.columns))
    return Content(found["rows"], int(found["checksum"]))


def _noted_content(found: Row) -> Content:
    return Content(found["archive"]["rows"], int(found["archive"]["checksum"]))


def _ddl(table: Table) -> Iterator[str]:
    """Yield the statements that make a table of the same columns, constraints and indexes."""
    name = table.table_name.identifier.as_string()
    yield f"CREATE TABLE {name} ({', '.join(map(_column, table.columns))})"
    for each in sorted(table.constraints, key=lambda found: found.kind == "f"):
        yield f"ALTER TABLE {name} ADD CONSTRAINT {sql.Identifier(each.name).as_string()} {each.definition}"
    yield from (each.definition for each in table.indexes if not each.constraint)


def _column(column: Column) -> str:
    parts = [column.quoted, column.type]
    if column.collation:
        parts.append(f"COLLATE {column.collation}")
    if column.generated:
        kind, _, expression = column.generated.partition(" ")
        parts.append(f"GENERATED ALWAYS AS ({expression}) {'VIRTUAL' if kind == 'v' else 'STORED'}")
    elif column.default:
        parts.append(f"DEFAULT {column.default}")
    if column.not_null:
        parts.append("NOT NULL")
    return " ".join(parts)
