"""Archive a detached table: CSV in the object store, read back and compared before the ledger notes it.

An object is written once. Its name carries a digest of the table and its rows, so two archives share no name: not
after a change of the rows, and not in a clone of the database. The order is object, manifest, note in the ledger. An
interrupted archive leaves the table, and at most an unfinished object; the next attempt completes the same object.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from urllib.parse import quote

import psycopg
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Column, Table, bound_ends
from partition_playbook.database import Limits, Row, Session
from partition_playbook.engine.verify import Content, hashed_row
from partition_playbook.errors import Diverged, PreconditionFailed
from partition_playbook.lock_retry import with_lock_retry
from partition_playbook.maintenance.actions import Archive
from partition_playbook.maintenance.read_state import detachments
from partition_playbook.names import TableName
from partition_playbook.object_store import ObjectPath, OpenStore
from partition_playbook.run import Run
from partition_playbook.sql import columns

READING = TableName("pg_temp", "partition_playbook_reading")
CHUNK = 1 << 16
GZIP = 31  # zlib's window bits: a window of 32 KiB, with the header and trailer of gzip
SUFFIX = ".csv.gz"
DIGITS = 16  # of the digest in the name of an object
NO_ARCHIVE = "the object store has no good archive of it"
AGAIN = "The table was not dropped. Trigger partition_maintenance again: it writes a new archive"


Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Manifest:
    """The content and the origin of an archive; ``ddl`` creates an equal table.

    ``bound`` has both ends as the server writes them: keys, if the partition column has an ``encoding``. ``lower`` and
    ``upper`` are their moments; None is an open end.
    """

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
    # Archives of earlier versions do not have these.
    encoding: str | None = None
    lower: str | None = None
    upper: str | None = None

    def is_of(self, other: Manifest) -> bool:
        """Return True if both describe the same object and the same rows of the same table."""
        keys = ("database", "partition", "oid", "rows", "checksum", "sha256")
        return all(getattr(self, key) == getattr(other, key) for key in keys)


@dataclass(frozen=True)
class ArchiveFolder:
    """The folder of a table's archives, for one of its detached partitions."""

    path: ObjectPath
    partition: TableName

    def location(self, digest: str) -> ArchiveLocation:
        """Return the location of the rows with this digest."""
        return ArchiveLocation(self.path, quote(f"{self.partition.name}.{digest[:DIGITS]}", safe=""))

    def noted(self, note: Row) -> ArchiveLocation:
        """Return the location of an archive noted in the ledger."""
        return ArchiveLocation(self.path, str(note["object"]).rpartition("/")[2].removesuffix(SUFFIX))


@dataclass(frozen=True)
class ArchiveLocation:
    """The object and the manifest of one archive; ``stem`` is what their names share."""

    folder: ObjectPath
    stem: str

    @property
    def object(self) -> ObjectPath:
        """Return the path of the rows."""
        return self.folder / f"{self.stem}{SUFFIX}"

    @property
    def manifest(self) -> ObjectPath:
        """Return the path of the manifest."""
        return self.folder / f"{self.stem}.json"

    def read_manifest(self) -> Manifest | None:
        """Read the manifest; None if it is absent or incomplete."""
        if not self.manifest.exists():
            return None
        with self.manifest.open("rb") as stream:
            content = stream.read()
        try:
            return Manifest(**json.loads(content))
        except (ValueError, TypeError):
            return None

    def is_as_noted(self, noted: Row | None) -> bool:
        """Return True if the store holds the archive noted in the ledger, byte by byte."""
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
        return _sha256(self._chunks())

    def holds(self, label: bytes, digest: str) -> bool:
        """Return True if the object exists, is whole, and has the rows of this digest."""
        try:
            return self.object.exists() and _sha256(self._unpacked(), label) == digest
        except zlib.error:
            return False

    def _chunks(self) -> Iterator[bytes]:
        with self.object.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                yield chunk

    def _unpacked(self) -> Iterator[bytes]:
        gzip = zlib.decompressobj(wbits=GZIP)
        yield from map(gzip.decompress, self._chunks())
        if not gzip.eof or gzip.unused_data:
            raise zlib.error("the object is not one whole gzip file")


def _sha256(chunks: Iterable[Buffer], label: bytes = b"") -> str:
    found = hashlib.sha256(label)
    for chunk in chunks:
        found.update(chunk)
    return found.hexdigest()


def archive(run: Run, action: Archive, store: OpenStore | None) -> bool:
    """Write a detached table to the store and read it back; return True if the ledger notes a new archive.

    PreconditionFailed if the store fails, or has a manifest under this name that the ledger did not note and that does
    not describe this table. Diverged if the archive read back differs from the table.
    """
    folder = folder_of(run, store, action.partition)
    with run.database.session() as session:
        found = detached(run, session, action.partition)
        if found is None:
            return False
        table = catalog.require(session, action.partition)
        origin = session.row("maintenance/find_origin") | _bounds(run, found["bound"])

    with _store_errors(folder.path):
        note = found["archive"]
        if note and folder.noted(note).is_as_noted(note) and content(run, table) == _noted_content(found):
            return False

        folder.path.mkdir(parents=True, exist_ok=True)
        location, sha256 = _write(run, table, folder, origin, note)
        attempt = partial(_verify, run, table, location, origin | {"sha256": sha256})
        with_lock_retry(run.database, action.partition, attempt)
    return True


def _bounds(run: Run, bound: str) -> Row:
    """Return the bound as the server writes it, and the moments of both ends."""
    ends = bound_ends(bound, run.spec.codec) or (None, None)
    lower, upper = (end.isoformat() if end else None for end in ends)
    encoding = str(run.spec.encoding) if run.spec.encoding else None
    return {"bound": bound, "encoding": encoding, "lower": lower, "upper": upper}


def folder_of(run: Run, store: OpenStore | None, partition: TableName) -> ArchiveFolder:
    """Return the folder of a table's archives; PreconditionFailed without an object store."""
    url = run.spec.retention.archive_to if run.spec.retention else None
    if not (store and url):
        remedy = "Set `archive_to` under `retention` in the spec"
        raise PreconditionFailed("there is no object store for archives", where=str(run.table), remedy=remedy)
    with _store_errors(url):
        return ArchiveFolder(store(url) / quote(str(run.table), safe=""), partition)


def detached(run: Run, session: Session, name: TableName) -> Row | None:
    """Return the ledger's row of a table detached by retention and not kept; None for any other table."""
    rows = [row for row in detachments(run, session) if row["detached"] and not (row["attached"] or row["kept"])]
    return next((row for row in rows if TableName(row["schema"], row["name"]) == name), None)


def require_stored(run: Run, session: Session, folder: ArchiveFolder) -> None:
    """Raise PreconditionFailed unless the object store holds the archive noted in the ledger."""
    found = detached(run, session, folder.partition)
    if found is None:
        return
    with _store_errors(folder.path):
        note = found["archive"]
        if not note or not folder.noted(note).is_as_noted(note):
            raise PreconditionFailed(NO_ARCHIVE, where=str(folder.partition), remedy=AGAIN)


def require_same(run: Run, session: Session, folder: ArchiveFolder) -> None:
    """Compare a table, locked against writes, with the note of its archive.

    PreconditionFailed without an archive, Diverged if rows changed since.
    """
    found = detached(run, session, folder.partition)
    if found is None:
        return

    with _store_errors(folder.path):
        location = folder.noted(found["archive"]) if found["archive"] else None
        if location is None or not (location.object.exists() and location.manifest.exists()):
            raise PreconditionFailed(NO_ARCHIVE, where=str(folder.partition), remedy=AGAIN)

    session.row("maintenance/set_archive_text")
    table = catalog.require(session, folder.partition)
    if _content_of(session, table, table.table_name) != _noted_content(found):
        raise Diverged("it changed after it was archived", where=str(folder.partition), remedy=AGAIN)


@contextmanager
def _store_errors(place: object) -> Iterator[None]:
    """Turn an error of the object store into PreconditionFailed with its path."""
    try:
        yield
    except (OSError, ValueError, ImportError, zlib.error, psycopg.DataError) as error:
        raise PreconditionFailed(
            f"{type(error).__name__}: {error}".strip(),
            where=str(place),
            remedy="The table was not dropped. Check the object store, its Airflow connection and this object, then "
            "trigger partition_maintenance again",
        ) from error


def _write(run: Run, table: Table, folder: ArchiveFolder, origin: Row, note: Row | None) -> tuple[ArchiveLocation, str]:
    """Stream the rows to the object of their digest, unless it holds them already; return it with its SHA-256.

    An object of this name without these rows is the remains of an interrupted write, or was damaged.
    """
    label = f"{origin['database']}\n{table.oid}\n{table.table_name}\n".encode()
    # One snapshot, and the order of the heap: the second read repeats the first.
    with run.database.snapshot() as session:
        session.row("maintenance/set_archive_text")
        with _rows_of(session, table) as rows:
            digest = _sha256(rows, label)

        location = folder.location(digest)
        if location.holds(label, digest):
            return location, location.digest()

        _require_own(location, location.read_manifest(), note)
        sent = hashlib.sha256()
        with location.object.open("wb") as stream, _rows_of(session, table) as rows:
            for chunk in _packed(rows):
                sent.update(chunk)
                stream.write(chunk)
    return location, sent.hexdigest()


def _rows_of(session: Session, table: Table) -> AbstractContextManager[psycopg.Copy]:
    parts = {"table": table.table_name.identifier, "columns": columns(table.writable)}
    return session.copy("maintenance/copy_rows_out", **parts)


def _require_own(location: ArchiveLocation, manifest: Manifest | None, note: Row | None) -> None:
    """Raise PreconditionFailed for a manifest with a SHA-256 that this ledger did not note."""
    if manifest and manifest.sha256 != (note or {}).get("sha256"):
        raise PreconditionFailed(
            f"this is the archive of another table, not noted in this ledger: {manifest.partition} of database "
            f"{manifest.database}, oid {manifest.oid}, sha256 {manifest.sha256}",
            where=str(location.manifest),
            remedy="That archive was not changed. Move it, or set another `archive_to` in this spec",
        )


def _packed(rows: psycopg.Copy) -> Iterator[bytes]:
    gzip = zlib.compressobj(wbits=GZIP)
    yield from filter(None, map(gzip.compress, rows))
    yield gzip.flush()


def _verify(run: Run, table: Table, location: ArchiveLocation, origin: Row, lock_timeout: int) -> None:
    """Compare the archive read back with the table, locked against writes; then note it in the ledger."""
    with run.database.transaction(Limits(lock_timeout=lock_timeout)) as session:
        session.run("maintenance/lock_rows", table=table.table_name.identifier)
        found = detached(run, session, table.table_name)
        if found is None or found["oid"] != table.oid:
            raise PreconditionFailed(
                "it is no longer the table that retention detached",
                where=str(table.table_name),
                remedy="Nothing was archived. Trigger partition_maintenance again: it plans from the current catalog",
            )

        session.row("maintenance/set_archive_text")
        session.run("maintenance/create_reading", reading=READING.identifier, table=table.table_name.identifier)
        sha256 = _read_back(session, table, location)
        content = _content_of(session, table, table.table_name)
        if (sha256, _content_of(session, table, READING)) != (origin["sha256"], content):
            raise Diverged(
                f"the archive, read back, differs from {table.table_name}", where=str(location.object), remedy=AGAIN
            )

        manifest = _manifest(run, table, content, origin)
        _write_manifest(location, manifest, found["archive"])
        noted = {key: getattr(manifest, key) for key in ("partition", "oid", "rows", "checksum", "sha256")}
        run.ledger.add_note(
            "retention archived", session=session, parent=str(run.table), object=str(location.object), **noted
        )


def _manifest(run: Run, table: Table, content: Content, origin: Row) -> Manifest:
    return Manifest(
        table=str(run.table),
        partition=str(table.table_name),
        oid=table.oid,
        columns={each.name: each.type for each in table.columns},
        ddl=list(_ddl(table)),
        rows=content.rows,
        checksum=str(content.checksum),
        **origin,
    )


def _write_manifest(location: ArchiveLocation, manifest: Manifest, note: Row | None) -> None:
    """Write the manifest, unless a whole one describes this archive: of an interrupted attempt, or of a clone."""
    present = location.read_manifest()
    if present and present.is_of(manifest):
        return
    _require_own(location, present, note)
    with location.manifest.open("wb") as stream:
        stream.write(json.dumps(asdict(manifest), indent=2, ensure_ascii=False).encode())


def _read_back(session: Session, table: Table, location: ArchiveLocation) -> str:
    parts = {"reading": READING.identifier, "columns": columns(table.writable)}
    digest, gzip = hashlib.sha256(), zlib.decompressobj(wbits=GZIP)

    with location.object.open("rb") as stream, session.copy("maintenance/copy_rows_in", **parts) as rows:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            rows.write(gzip.decompress(chunk))

    return digest.hexdigest()


def content(run: Run, table: Table) -> Content:
    """Count and checksum the rows of a table as its archive does."""
    with run.database.snapshot() as session:
        session.row("maintenance/set_archive_text")
        return _content_of(session, table, table.table_name)


def _content_of(session: Session, table: Table, name: TableName) -> Content:
    found = session.row("maintenance/find_content", table=name.identifier, row=hashed_row(table.columns))
    return Content(found["rows"], int(found["checksum"]))


def _noted_content(found: Row) -> Content:
    return Content(found["archive"]["rows"], int(found["archive"]["checksum"]))


def _ddl(table: Table) -> Iterator[str]:
    """Yield statements to create a table with the same columns, constraints and indexes."""
    name = table.table_name.identifier.as_string()
    yield f"CREATE TABLE {name} ({', '.join(map(_column, table.columns))})"
    # Foreign keys come last: they may reference the table's own unique constraint.
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
