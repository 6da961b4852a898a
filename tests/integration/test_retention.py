"""Retention against a real server: what it takes, what keeps it from taking anything, and archives that come back."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pendulum
import psycopg
import pytest
from pendulum import DateTime
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from partition_playbook import catalog
from partition_playbook.catalog import Table
from partition_playbook.checks import Check, Outcome
from partition_playbook.errors import Diverged, PreconditionFailed
from partition_playbook.intervals import between
from partition_playbook.maintenance import archive as archiving
from partition_playbook.maintenance import retire
from partition_playbook.maintenance.actions import Archive, Detach, Drop
from partition_playbook.maintenance.archive import archive
from partition_playbook.maintenance.maintain import Maintained, maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.names import TableName
from partition_playbook.object_store import OpenStore
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec
from tests.fixtures.moments import this_month
from tests.fixtures.tables import open_run

Connect = Callable[[], psycopg.Connection[Any]]
Connection = psycopg.Connection[Any]
TABLE = TableName("Plant A", "Read/ings 100%")
DEFAULTS = MaintenanceParams()
ARCHIVE = {"action": "archive", "archive_to": "memory://archive"}


def spec(**retention: Any) -> TableSpec:
    rules = {"keep": "3 months", "grace": "0 days", "max_share": 0.5, **retention}
    return TableSpec.model_validate({"table": str(TABLE), "partition_by": "At", "retention": rules, "premake": 2})


def months(back: int, ahead: int = 2) -> list[tuple[TableName, DateTime, DateTime]]:
    found = between(spec().interval, this_month().subtract(months=back), this_month().add(months=ahead))
    return [(TABLE.partition(each.suffix), each.lower, each.upper) for each in found]


OLDEST, SECOND = (name for name, _, _ in months(5)[:2])


def execute(connection: Connection, statement: str, *names: TableName, values: Any = None) -> Any:
    quoted = [each.identifier.as_string().replace("%", "%%" if values else "%") for each in names]
    return connection.execute(statement.format(*quoted), values)  # type: ignore[call-overload]


@pytest.fixture(autouse=True)
def table(connection: Connection) -> None:
    """Make a partitioned table with a row in each month: two months of it, of eight, are older than the spec keeps."""
    connection.execute('CREATE SCHEMA "Plant A"')
    execute(
        connection,
        'CREATE TABLE {} ("Id" bigint GENERATED ALWAYS AS IDENTITY, "At" timestamptz NOT NULL, gone int,'
        ' "Value" numeric, "Double" numeric GENERATED ALWAYS AS ("Value" * 2) STORED, PRIMARY KEY ("Id", "At"))'
        ' PARTITION BY RANGE ("At")',
        TABLE,
    )
    execute(connection, "ALTER TABLE {} DROP COLUMN gone", TABLE)
    for name, lower, upper in months(5):
        add_partition(connection, name, lower, upper)
    for _, lower, _ in months(5, ahead=0):
        insert(connection, lower)
    execute(connection, "ANALYZE {}", TABLE)


def add_partition(connection: Connection, name: TableName, lower: DateTime, upper: DateTime) -> None:
    statement = sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})")
    connection.execute(statement.format(name.identifier, TABLE.identifier, lower, upper))


def insert(connection: Connection, moment: DateTime, value: int = 1) -> None:
    execute(connection, 'INSERT INTO {} ("At", "Value") VALUES (%s, %s)', TABLE, values=(moment, value))


def opened(connect: Connect, **retention: Any) -> Run:
    return open_run(connect, spec(**retention), f"run {retention}", "maintenance")


def attached(connection: Connection) -> set[str]:
    rows = execute(connection, "SELECT relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid")
    return {name for (name,) in rows} & {each.name for each, _, _ in months(12)}


def exists(connection: Connection, name: TableName) -> bool:
    query = "SELECT to_regclass(%s) IS NOT NULL"
    return bool(connection.execute(query, (name.identifier.as_string(),)).fetchone()[0])  # type: ignore[index]


def found(done: Maintained, name: str) -> Check:
    return next(each for each in done.checks if each.name == name)


def age(connection: Connection, **period: int) -> None:
    """Let the detaches be so much older."""
    query = "UPDATE partition_playbook.events SET happened_at = happened_at - %s WHERE message LIKE 'retention det%%'"
    connection.execute(query, (pendulum.duration(**period),))


def at(folder: Path) -> OpenStore:
    """Return an object store that is a folder, whatever its URL."""
    return lambda url: folder  # type: ignore[return-value]


def untouched(connection: Connection, done: Maintained, check: str) -> None:
    assert found(done, check).blocks
    assert done.summary["failed"] == [check]
    assert done.summary["detached"] == done.summary["archived"] == done.summary["dropped"] == []
    assert found(done, "retention").outcome is Outcome.SKIPPED
    assert check in found(done, "retention").actual
    assert attached(connection) == {name.name for name, _, _ in months(5)}


# What it takes, and when.


@pytest.mark.parametrize("default", [True, False])
def test_a_partition_stands_detached_through_its_grace_period(
    connection: Connection, connect: Connect, default: bool
) -> None:
    if default:
        execute(connection, "CREATE TABLE {} PARTITION OF {} DEFAULT", TABLE.default, TABLE)
    run = opened(connect, grace="7 days")
    first = maintain(run, DEFAULTS)
    assert (first.summary["detached"], first.summary["dropped"]) == ([OLDEST.name, SECOND.name], [])
    assert first.summary["failed"] == []
    assert found(first, "retention").outcome is Outcome.PASSED
    age(connection, days=6, hours=23)
    assert maintain(run, DEFAULTS).summary["dropped"] == []
    assert exists(connection, OLDEST)
    age(connection, hours=1)
    assert maintain(run, DEFAULTS).summary["dropped"] == [OLDEST.name, SECOND.name]
    assert not exists(connection, OLDEST)


@pytest.mark.parametrize("default", [True, False])
def test_what_was_detached_to_be_kept_is_never_dropped(connection: Connection, connect: Connect, default: bool) -> None:
    if default:
        execute(connection, "CREATE TABLE {} PARTITION OF {} DEFAULT", TABLE.default, TABLE)
    done = maintain(opened(connect, action="detach"), DEFAULTS)
    assert (done.summary["detached"], done.summary["dropped"]) == ([OLDEST.name, SECOND.name], [])
    age(connection, days=900)
    other = opened(connect, action="drop")
    assert maintain(other, DEFAULTS).summary["dropped"] == []
    assert retire.drop(other, Drop(OLDEST, "a plan that is out of date")) is False
    assert exists(connection, OLDEST)


def test_a_table_that_is_to_be_kept_again_is_not_dropped(connection: Connection, connect: Connect) -> None:
    maintain(opened(connect, grace="7 days"), DEFAULTS)
    age(connection, days=30)
    assert maintain(opened(connect, keep="2 years"), DEFAULTS).summary["dropped"] == []
    assert exists(connection, OLDEST)


def test_rows_in_the_default_partition_are_never_retired(connection: Connection, connect: Connect) -> None:
    execute(connection, "CREATE TABLE {} PARTITION OF {} DEFAULT", TABLE.default, TABLE)
    insert(connection, this_month().subtract(years=9), 99)
    assert maintain(opened(connect), DEFAULTS).summary["dropped"] == [OLDEST.name, SECOND.name]
    assert execute(connection, 'SELECT "Value" FROM {}', TABLE.default).fetchall() == [(99,)]


# What keeps it from taking anything.


def test_more_than_its_share_goes_only_with_approval(connection: Connection, connect: Connect) -> None:
    run = opened(connect, max_share=0.2, keep="2 months")
    done = maintain(run, DEFAULTS)
    untouched(connection, done, "retired_share")
    assert "3 partitions with" in found(done, "retired_share").actual
    approved = MaintenanceParams(table="readings", approve_share=0.7)
    assert maintain(run, approved).summary["dropped"] == [name.name for name, _, _ in months(5)[:3]]


def test_a_cutoff_beyond_the_newest_row_stops_it(connection: Connection, connect: Connect) -> None:
    """Both clocks may be years ahead and agree: the rows do not."""
    execute(connection, "CREATE TABLE {} PARTITION OF {} DEFAULT", TABLE.default, TABLE)
    execute(connection, 'DELETE FROM {} WHERE "At" >= %s', TABLE, values=(months(3)[0][1],))
    insert(connection, this_month().add(years=900))
    done = maintain(opened(connect), DEFAULTS)
    untouched(connection, done, "rows_after_the_cutoff")
    insert(connection, this_month())
    assert maintain(opened(connect), DEFAULTS).summary["dropped"] == [OLDEST.name, SECOND.name]


def test_new_rows_in_the_default_partition_count(connection: Connection, connect: Connect) -> None:
    current = months(0)[0][0]
    execute(connection, "DROP TABLE {}", current)
    execute(connection, "CREATE TABLE {} PARTITION OF {} DEFAULT", TABLE.default, TABLE)
    execute(connection, 'DELETE FROM {} WHERE "At" >= %s', TABLE, values=(months(3)[0][1],))
    insert(connection, this_month())
    assert maintain(opened(connect, max_share=0.5), DEFAULTS).summary["failed"] == []


def test_a_clock_that_was_set_back_stops_it(connection: Connection, connect: Connect) -> None:
    run = opened(connect)
    run.ledger.add_note("something")
    connection.execute("UPDATE partition_playbook.events SET happened_at = now() + interval '61 minutes'")
    untouched(connection, maintain(run, DEFAULTS), "clock_moved_back")
    connection.execute("UPDATE partition_playbook.events SET happened_at = now() + interval '59 minutes'")
    assert maintain(run, DEFAULTS).summary["dropped"] == [OLDEST.name, SECOND.name]


def test_what_is_on_hold_stays_wherever_it_is(connection: Connection, connect: Connect) -> None:
    maintain(opened(connect, grace="7 days"), DEFAULTS)
    age(connection, days=8)
    held = {"since": months(5)[0][1].date(), "until": months(5)[0][1].date(), "reason": "case 4711"}
    done = maintain(opened(connect, hold=[held]), DEFAULTS)
    assert done.summary["dropped"] == [SECOND.name]
    assert found(done, "hold").actual == f"{OLDEST} stays: case 4711"
    statement = sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})")
    connection.execute(statement.format(TABLE.identifier, OLDEST.identifier, *months(5)[0][1:]))
    again = maintain(opened(connect, hold=[held]), DEFAULTS)
    assert (again.summary["detached"], again.summary["failed"]) == ([], [])
    assert OLDEST.name in attached(connection)


def test_a_key_that_refers_to_a_partition_keeps_it_attached(connection: Connection, connect: Connect) -> None:
    execute(
        connection,
        'CREATE TABLE "Plant A".notes (a bigint, b timestamptz, CONSTRAINT "to it" FOREIGN KEY (a, b) REFERENCES {})',
        OLDEST,
    )
    run = opened(connect)
    with run.database.session() as session:
        partition = next(each for each in catalog.partitions(session, TABLE) if each.table == OLDEST)
    with pytest.raises(PreconditionFailed, match="to it on"):
        retire.detach(run, Detach(partition, True, "a plan that is out of date"))
    done = maintain(run, DEFAULTS)
    assert done.summary["dropped"] == [SECOND.name]
    assert done.summary["failed"] == ["not_referenced"]
    assert str(OLDEST) in found(done, "not_referenced").actual
    assert OLDEST.name in attached(connection)


# Archives.


def objects_of(store: Path, name: TableName = OLDEST) -> list[Path]:
    found = [each for each in store.rglob("*.csv.gz") if name.name.rpartition("_")[2] in each.name]
    return sorted(found, key=lambda each: each.stat().st_mtime_ns)


def object_of(store: Path, name: TableName = OLDEST) -> Path:
    """Return the newest object of a partition."""
    return objects_of(store, name)[-1]


def manifest_of(store: Path, name: TableName = OLDEST) -> Path:
    return object_of(store, name).with_name(object_of(store, name).name.replace(".csv.gz", ".json"))


def archived(connection: Connection, connect: Connect, store: Path) -> Run:
    """Return a run whose old partitions are detached and archived, and due to be dropped."""
    run = opened(connect, **ARCHIVE, grace="7 days")
    done = maintain(run, DEFAULTS, at(store))
    assert (done.summary["archived"], done.summary["dropped"]) == ([OLDEST.name, SECOND.name], [])
    assert done.summary["failed"] == []
    age(connection, days=8)
    return run


def test_an_archive_is_written_and_verified_before_the_drop(
    connection: Connection, connect: Connect, tmp_path: Path
) -> None:
    run = opened(connect, **ARCHIVE)
    done = maintain(run, DEFAULTS, at(tmp_path))
    assert done.summary["archived"] == done.summary["dropped"] == [OLDEST.name, SECOND.name]
    assert done.summary["failed"] == []
    assert not exists(connection, OLDEST)
    lower = months(5)[0][1]
    header, row = gzip.decompress(object_of(tmp_path).read_bytes()).decode().splitlines()
    assert (header, row) == ("Id,At,Value", f"1,{lower.format('YYYY-MM-DD HH:mm:ss')}+00,1")
    manifest = json.loads(manifest_of(tmp_path).read_text())
    assert (manifest["rows"], manifest["partition"]) == (1, str(OLDEST))
    assert manifest["bound"].startswith("FOR VALUES FROM")
    assert (manifest["encoding"], manifest["lower"]) == (None, lower.isoformat())
    assert manifest["columns"]["At"] == "timestamp with time zone"
    notes = [each for each in run.ledger.events() if each["kind"] == "note" and "archived" in each["message"]]
    assert notes[0]["detail"]["sha256"] == manifest["sha256"]


def test_the_archive_of_an_earlier_version_is_still_one(
    connection: Connection, connect: Connect, tmp_path: Path
) -> None:
    """Its manifest tells the bound, but not the moments of both ends."""
    run = archived(connection, connect, tmp_path)
    for each in (manifest_of(tmp_path), manifest_of(tmp_path, SECOND)):
        told = json.loads(each.read_text())
        each.write_text(json.dumps({key: told[key] for key in told if key not in ("encoding", "lower", "upper")}))
    done = maintain(run, DEFAULTS, at(tmp_path))
    assert (done.summary["archived"], done.summary["dropped"]) == ([], [OLDEST.name, SECOND.name])


def test_a_good_archive_is_not_written_again(connection: Connection, connect: Connect, tmp_path: Path) -> None:
    run = archived(connection, connect, tmp_path)
    before = {each: each.stat().st_mtime_ns for each in tmp_path.rglob("*.*")}
    done = maintain(run, DEFAULTS, at(tmp_path))
    assert (done.summary["archived"], done.summary["dropped"]) == ([], [OLDEST.name, SECOND.name])
    assert {each: each.stat().st_mtime_ns for each in tmp_path.rglob("*.*")} == before


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def forge(path: Path) -> None:
    Path(path).write_bytes(gzip.compress(b"Id,At,Value\n"))


def promise(path: Path) -> None:
    manifest = manifest_of(path.parent)
    manifest.write_text(manifest.read_text().replace('"rows": 1', '"rows": 2'))


HARM: dict[str, Callable[[Path], Any]] = {
    "tampered with": flip,
    "another object": forge,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "missing": Path.unlink,
    "no manifest": lambda path: manifest_of(path.parent).unlink(),
    "a torn manifest": lambda path: manifest_of(path.parent).write_text('{"rows": 1'),
    "another manifest": promise,
}


@pytest.mark.parametrize("harm", HARM)
def test_without_its_archive_a_table_is_not_dropped_but_archived_anew(
    connection: Connection, connect: Connect, tmp_path: Path, harm: str
) -> None:
    run = archived(connection, connect, tmp_path)
    HARM[harm](object_of(tmp_path))
    with pytest.raises(PreconditionFailed, match="no good archive"):
        retire.drop(run, Drop(OLDEST, "due", archived=True), at(tmp_path))
    assert exists(connection, OLDEST)
    done = maintain(run, DEFAULTS, at(tmp_path))
    assert (done.summary["archived"], done.summary["failed"]) == ([OLDEST.name], [])
    assert b"1," in gzip.decompress(object_of(tmp_path).read_bytes())


@pytest.mark.parametrize(
    "change",
    [
        'INSERT INTO {0} ("Id", "At", "Value") SELECT 99, "At", 7 FROM {0}',
        'UPDATE {} SET "Value" = 7',
        "DELETE FROM {}",
    ],
)
def test_what_was_written_after_the_archive_is_not_lost(
    connection: Connection, connect: Connect, tmp_path: Path, change: str
) -> None:
    run = archived(connection, connect, tmp_path)
    execute(connection, change, OLDEST)
    with pytest.raises(Diverged, match="changed after it was archived"):
        retire.drop(run, Drop(OLDEST, "due", archived=True), at(tmp_path))
    assert exists(connection, OLDEST)
    done = maintain(run, DEFAULTS, at(tmp_path))
    assert (done.summary["archived"], done.summary["dropped"]) == ([OLDEST.name], [OLDEST.name, SECOND.name])
    content = gzip.decompress(object_of(tmp_path).read_bytes())
    assert (b",7\n" in content) == (not change.startswith("DELETE"))


def test_what_is_written_while_it_is_archived_makes_the_archive_fail(
    connection: Connection, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = archiving._write

    def meanwhile(run: Run, table: Table, *args: Any) -> Any:
        written = write(run, table, *args)
        execute(connection, 'UPDATE {} SET "Value" = 7', table.table_name)
        return written

    run = opened(connect, **ARCHIVE)
    monkeypatch.setattr(archiving, "_write", meanwhile)
    assert maintain(run, DEFAULTS, at(tmp_path)).summary["dropped"] == []
    assert list(tmp_path.rglob("*.json")) == []
    monkeypatch.undo()
    assert maintain(run, DEFAULTS, at(tmp_path)).summary["dropped"] == [OLDEST.name, SECOND.name]
    assert gzip.decompress(object_of(tmp_path).read_bytes()).endswith(b",7\n")


def test_an_object_store_that_is_missing_keeps_the_table(connection: Connection, connect: Connect) -> None:
    done = maintain(opened(connect, **ARCHIVE), DEFAULTS)
    assert done.summary["dropped"] == []
    assert f"archive {OLDEST.name}" in done.summary["failed"]
    assert "retention" in done.summary["failed"]
    assert exists(connection, OLDEST)


class Faulty(type(Path())):  # type: ignore[misc]
    """A path whose objects are spoilt as they are written or read."""

    def open(self, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        stream = super().open(mode, *args, **kwargs)
        if not self.name.endswith(".gz"):
            return stream
        return SpoiltWrite(stream) if "w" in mode else stream


class SpoiltWrite:
    """A stream that loses the last byte of what is written to it, without a word."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> SpoiltWrite:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def write(self, content: bytes) -> int:
        self.stream.write(content[:-1])
        return len(content)


class Forgetful(type(Path())):  # type: ignore[misc]
    """A path whose objects are whole when they are read, and hold no rows."""

    def open(self, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if self.name.endswith(".gz") and "r" in mode:
            forge(self)
        return super().open(mode, *args, **kwargs)


class Full(type(Path())):  # type: ignore[misc]
    """A path in a store that has no room for objects."""

    def open(self, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if "w" in mode and self.name.endswith(".gz"):
            super().open(mode, *args, **kwargs).close()
            raise OSError("no space left")
        return super().open(mode, *args, **kwargs)


@pytest.mark.parametrize("kind", [Faulty, Forgetful, Full])
def test_what_cannot_be_read_back_is_no_archive(
    connection: Connection, connect: Connect, tmp_path: Path, kind: type[Path]
) -> None:
    run = opened(connect, **ARCHIVE)
    done = maintain(run, DEFAULTS, at(kind(tmp_path)))
    assert done.summary["archived"] == done.summary["dropped"] == []
    assert f"archive {OLDEST.name}" in done.summary["failed"]
    assert exists(connection, OLDEST)
    assert list(tmp_path.rglob("*.json")) == []
    assert not any("archived" in each["message"] for each in run.ledger.events() if each["kind"] == "note")
    assert maintain(run, DEFAULTS, at(tmp_path)).summary["dropped"] == [OLDEST.name, SECOND.name]


def test_the_archive_of_another_table_is_not_overwritten(
    connection: Connection, connect: Connect, tmp_path: Path
) -> None:
    run = archived(connection, connect, tmp_path)
    manifest = manifest_of(tmp_path)
    manifest.write_text(manifest.read_text().replace('"database": "', '"database": "not_'))
    before = object_of(tmp_path).read_bytes()
    connection.execute("DELETE FROM partition_playbook.events WHERE message = 'retention archived'")
    with pytest.raises(PreconditionFailed, match="archive of another table"):
        archive(run, Archive(OLDEST, "due"), at(tmp_path))
    assert object_of(tmp_path).read_bytes() == before
    assert manifest.exists()


def test_a_clone_of_the_database_replaces_no_archive(
    connection: Connection, connect: Connect, server_dsn: str, dsn: str, tmp_path: Path
) -> None:
    """A staging server restored from a base backup has the same database name, oids and ledger, but other rows."""
    name = conninfo_to_dict(dsn)["dbname"]
    opened(connect, **ARCHIVE)
    connection.close()
    with psycopg.connect(server_dsn, autocommit=True) as admin:
        copies = [sql.Identifier(f"{name}_{suffix}") for suffix in ("production", "staging")]
        for each in copies:
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(each, sql.Identifier(str(name))))
        # The ledger cannot tell such a server from its own; it can tell these copies.
        kept: dict[Path, bytes] = {}
        for each in copies:
            # Each of the two servers calls its database by the same name.
            own = sql.Identifier(str(name))
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(own))
            admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(each, own))
            with connect() as changed:
                changed.execute("DELETE FROM partition_playbook.home")
                changed.execute(sql.SQL('UPDATE {} SET "Value" = {}').format(TABLE.identifier, len(kept)))
            done = maintain(opened(connect, **ARCHIVE), DEFAULTS, at(tmp_path))
            assert (done.summary["failed"], done.summary["dropped"]) == ([], [OLDEST.name, SECOND.name])
            assert all(path.read_bytes() == content for path, content in kept.items()), "an archive was replaced"
            kept |= {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert [gzip.decompress(each.read_bytes()).split(b",")[-1] for each in objects_of(tmp_path)] == [b"0\n", b"4\n"]
    assert len(kept) == 8


def test_an_unfinished_object_is_completed_and_a_whole_one_is_adopted(
    connection: Connection, connect: Connect, tmp_path: Path
) -> None:
    """The ledger may have lost its note, or the process died before it."""
    run = archived(connection, connect, tmp_path)
    before = {each: (each.read_bytes(), each.stat().st_mtime_ns) for each in tmp_path.rglob("*") if each.is_file()}
    connection.execute("DELETE FROM partition_playbook.events WHERE message = 'retention archived'")
    torn = object_of(tmp_path, SECOND)
    torn.write_bytes(torn.read_bytes()[:30])
    manifest_of(tmp_path, SECOND).unlink()
    done = maintain(run, DEFAULTS, at(tmp_path))
    assert (done.summary["failed"], done.summary["dropped"]) == ([], [OLDEST.name, SECOND.name])
    after = {each: (each.read_bytes(), each.stat().st_mtime_ns) for each in tmp_path.rglob("*") if each.is_file()}
    assert after.keys() == before.keys()
    assert after[torn][0] == before[torn][0]
    for each in (object_of(tmp_path), manifest_of(tmp_path)):
        assert after[each] == before[each]


@pytest.mark.parametrize("changed", [False, True])
def test_a_restored_archive_is_retired_again(
    connection: Connection, connect: Connect, tmp_path: Path, changed: bool
) -> None:
    lower, upper = months(5)[0][1:]
    run = opened(connect, **ARCHIVE)
    maintain(run, DEFAULTS, at(tmp_path))
    first = object_of(tmp_path)
    content = first.read_bytes()
    execute(connection, "CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING IDENTITY)", OLDEST, TABLE)
    copying = sql.SQL("COPY {} FROM STDIN (FORMAT csv, HEADER)").format(OLDEST.identifier)
    with connection.cursor().copy(copying) as stream:
        stream.write(gzip.decompress(content))
    attaching = sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})")
    connection.execute(attaching.format(TABLE.identifier, OLDEST.identifier, lower, upper))
    if changed:
        execute(connection, 'UPDATE {} SET "Value" = 7', OLDEST)
    again = maintain(run, DEFAULTS, at(tmp_path))
    assert (again.summary["failed"], again.summary["dropped"]) == ([], [OLDEST.name])
    assert first.read_bytes() == content
    assert gzip.decompress(object_of(tmp_path).read_bytes()).endswith(b",7\n" if changed else b",1\n")


def test_only_what_retention_detached_is_archived(connection: Connection, connect: Connect, tmp_path: Path) -> None:
    run = opened(connect, **ARCHIVE)
    assert archive(run, Archive(OLDEST, "a plan that is out of date"), at(tmp_path)) is False
    assert list(tmp_path.iterdir()) == []


# What comes back from an archive.

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"
TEXTS = ["", None, "NULL", "\\N", "\\.", "a\n\\.\nb", ' "x", y\t\r\n', "ÄÖ 100% 'q' \\", "\x01", "\n"]


@pytest.mark.parametrize("zone", ["UTC", "America/St_Johns"])
def test_values_of_every_type_come_back_and_the_manifest_makes_their_table(
    connection: Connection, connect: Connect, tmp_path: Path, zone: str
) -> None:
    rules = {**ARCHIVE, "keep": "3 months", "grace": "0 days"}
    values = {"table": "parted", "partition_by": "at", "retention": rules, "timezone": zone}
    everything = TableSpec.model_validate(values)
    now = pendulum.now(zone).start_of("month")
    old, *_, current = between(everything.interval, now.subtract(months=5), now)
    table = everything.name.partition(old.suffix)
    connection.execute((SCENARIOS / "moments.sql").read_text())  # type: ignore[call-overload]
    connection.execute((SCENARIOS / "values_of_every_type" / "table.sql").read_text())  # type: ignore[call-overload]
    connection.execute(
        'CREATE TABLE parted (gone int, LIKE everything, "a ""text"", 100%" text CHECK (id > 0),'
        ' low text GENERATED ALWAYS AS (lower("a ""text"", 100%") || id) STORED) PARTITION BY RANGE (at);'
        "ALTER TABLE parted DROP COLUMN gone; CREATE UNIQUE INDEX ON parted (at, id); CREATE INDEX ON parted (low)"
    )
    for each in (old, current):
        statement = sql.SQL("CREATE TABLE {} PARTITION OF parted FOR VALUES FROM ({}) TO ({})")
        connection.execute(statement.format(everything.name.partition(each.suffix).identifier, each.lower, each.upper))
    connection.execute("UPDATE everything SET at = %s + id * interval '1 microsecond'", (old.lower,))
    connection.execute("INSERT INTO parted SELECT e.*, (%s::text[])[1 + id %% 10] FROM everything AS e", (TEXTS,))
    connection.execute("INSERT INTO parted (at, id) VALUES (%s, 1)", (current.lower,))
    rows = "SELECT t::text FROM {} AS t ORDER BY id"
    before = execute(connection, rows, table).fetchall()
    assert len(before) == 400

    done = maintain(open_run(connect, everything, "everything", "maintenance"), DEFAULTS, at(tmp_path))
    assert done.summary["archived"] == done.summary["dropped"] == [table.name]
    assert done.summary["failed"] == []
    manifest = json.loads(manifest_of(tmp_path, table).read_text())
    for each in manifest["ddl"]:
        connection.execute(each)
    with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT csv, HEADER)") as stream:  # type: ignore[call-overload]
        stream.write(gzip.decompress(object_of(tmp_path, table).read_bytes()))
    assert execute(connection, rows, table).fetchall() == before
    connection.execute(f"ALTER TABLE parted ATTACH PARTITION {table} {manifest['bound']}")  # type: ignore[call-overload]


RESTORE = Path(__file__).resolve().parents[2] / "docs" / "retention.md"


def test_the_documented_commands_restore_an_archive(
    connection: Connection, connect: Connect, dsn: str, programs: Path, tmp_path: Path
) -> None:
    connection.execute(
        """
        CREATE SCHEMA telemetry;
        CREATE TABLE telemetry.events (id bigint GENERATED ALWAYS AS IDENTITY, happened_at timestamptz NOT NULL,
            body jsonb, size int GENERATED ALWAYS AS (length(body::text)) STORED, PRIMARY KEY (id, happened_at)
        ) PARTITION BY RANGE (happened_at);
        CREATE TABLE telemetry.events_y2024m01 PARTITION OF telemetry.events
            FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2024-02-01 00:00:00+00');
        CREATE TABLE telemetry.events_default PARTITION OF telemetry.events DEFAULT;
        INSERT INTO telemetry.events (happened_at, body) SELECT '2024-01-17', to_jsonb(n) FROM generate_series(1, 99) n
        """
    )
    before = connection.execute("SELECT * FROM telemetry.events ORDER BY 1").fetchall()
    rules = {**ARCHIVE, "keep": "3 months", "grace": "0 days"}
    events = {"table": "telemetry.events", "partition_by": "happened_at", "retention": rules}
    run = open_run(connect, TableSpec.model_validate(events), "events", "maintenance")
    connection.execute("INSERT INTO telemetry.events (happened_at) VALUES (now())")
    assert maintain(run, DEFAULTS, at(tmp_path)).summary["dropped"] == ["events_y2024m01"]
    assert connection.execute("SELECT count(*) FROM telemetry.events").fetchone() == (1,)

    commands = RESTORE.read_text().partition("```bash\n")[2].partition("```")[0]
    assert len(commands.splitlines()) == 3
    info = connection.info
    environment = {"PGHOST": info.host, "PGPORT": str(info.port), "PGUSER": info.user, "PGDATABASE": info.dbname}
    environment |= {"PGPASSWORD": info.password or "", "PATH": f"{programs}:{os.environ['PATH']}"}
    script = ["bash", "-euo", "pipefail", "-c", commands]
    subprocess.run(script, cwd=tmp_path, env=environment, check=True, timeout=60, capture_output=True)
    assert connection.execute("SELECT * FROM telemetry.events ORDER BY 1 LIMIT 99").fetchall() == before
    assert exists(connection, TableName("telemetry", "events_y2024m01"))
