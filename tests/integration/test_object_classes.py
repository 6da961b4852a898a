"""Each type of entry that pg_dump can write for a table is carried there and back, or refused by name in preflight."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from partition_playbook.checks import Check
from partition_playbook.engine import cutover, rollback
from partition_playbook.engine.sides import Direction
from partition_playbook.run import Run
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.sections.validation.checks import parity_check
from partition_playbook.spec import RunParams, TableSpec
from tests.fixtures.dump import WORDS, Dump, Entry, differences, dump, emitted, holds
from tests.fixtures.migration import finalize_anyway, migrate
from tests.fixtures.tables import open_run

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
PARAMS = RunParams(mode="rehearse", backup="skip", accept_weaker_uniqueness=True)
EVERYTHING = TableSpec(table="app.readings", partition_by="at", premake=2)
READINGS = TableSpec(table="readings", partition_by="at", premake=2)

# Entries of the database full of everything: they are the same after each swap.
CARRIED = {
    *("ACL", "CHECK CONSTRAINT", "COMMENT", "CONSTRAINT", "DEFAULT", "FK CONSTRAINT", "FUNCTION", "INDEX"),
    *(
        "MATERIALIZED VIEW",
        "POLICY",
        "PROCEDURE",
        "PUBLICATION TABLE",
        "ROW SECURITY",
        "RULE",
        "SEQUENCE",
        "SEQUENCE OWNED BY",
    ),
    *("STATISTICS", "TABLE", "TRIGGER", "VIEW"),
}
# Entries that are not of the table: a migration leaves them as they are. The database has one of most of them.
UNTOUCHED = {
    *("ACCESS METHOD", "DEFAULT ACL", "DOMAIN", "EVENT TRIGGER", "PUBLICATION", "SCHEMA", "TYPE"),
    *("BLOB", "BLOB COMMENTS", "BLOB METADATA", "BLOBS", "COLLATION", "CONVERSION", "DATABASE", "DATABASE PROPERTIES"),
    *("ENCODING", "FOREIGN DATA WRAPPER", "OPERATOR FAMILY", "PROCEDURAL LANGUAGE", "SEARCHPATH"),
    *("SERVER", "SHELL TYPE", "STDSTRINGS", "SUBSCRIPTION", "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY"),
    *("TEXT SEARCH PARSER", "TEXT SEARCH TEMPLATE", "USER MAPPING"),
}
# Entries that other tests drive, each with its test or scenario.
ELSEWHERE = {
    "MATERIALIZED VIEW DATA": "integration/test_carried.py::test_a_materialized_view_is_refreshed_from_the_new_table",
    "SEQUENCE SET": "integration/test_validation.py::test_sequence_that_was_behind_already_is_a_warning",
    "STATISTICS DATA": "integration/test_object_classes.py::test_everything_is_carried_forward_back",
    "SUBSCRIPTION TABLE": "scenarios/a_table_that_a_subscription_fills_is_refused",
    "TABLE DATA": "integration/test_validation.py::test_good_migration_passes_every_check",
    # The two below are of partitions.
    "INDEX ATTACH": "integration/test_preflight.py::test_a_partitioned_table_and_a_partition_are_refused",
    "TABLE ATTACH": "integration/test_preflight.py::test_a_partitioned_table_and_a_partition_are_refused",
    "FOREIGN TABLE": "integration/test_preflight.py::test_what_is_no_table_is_refused",
}
# What one entry has many of: each is in the statements of the database full of everything.
PROPERTIES = {
    "access method": "(?m)^other CREATE TABLE",
    "cluster mark": "CLUSTER ON readings_at",
    "cluster mark of a materialized view": "CLUSTER ON days_day",
    "column in its own collation": 'COLLATE pg_catalog."C"',
    "comment on a NOT NULL constraint": "COMMENT ON CONSTRAINT must_happen",
    "compression": "ALTER COLUMN note SET COMPRESSION pglz",
    "dependency on an extension": "DEPENDS ON EXTENSION plpgsql",
    "grant by another role": "SET SESSION AUTHORIZATION classes_zed; GRANT",
    "grant on a column": r"GRANT UPDATE\(note\)",
    "identity": "ADD GENERATED ALWAYS AS IDENTITY",
    "sequence of its own persistence": "    UNLOGGED",
    "mode of a trigger": "ENABLE REPLICA TRIGGER in_replicas",
    "replica identity": "ALTER TABLE ONLY app.readings REPLICA IDENTITY USING INDEX readings_pkey",
    "storage": "ALTER COLUMN note SET STORAGE EXTERNAL",
    "toast option": "toast.autovacuum_enabled='false'",
}


@dataclass(frozen=True)
class Refused:
    """An object: the type of its entry in a dump, the check that refuses it, the name that the check tells."""

    kind: str
    check: str
    named: str
    since: int
    statements: str

    def __str__(self) -> str:
        return f"{self.check}: {self.named}"


TABLE, *OBJECTS = re.split(r"^-- ((?:[^|\n]+ \| ){2,}.*)\n", (HERE / "refused.sql").read_text(), flags=re.MULTILINE)


def read_refused() -> Iterator[Refused]:
    """Yield the objects of refused.sql."""
    for title, statements in zip(OBJECTS[::2], OBJECTS[1::2], strict=True):
        kind, check, named, *since = title.split(" | ")
        yield Refused(kind, check, named, int(*since or ("14",)), statements)


REFUSED = tuple(read_refused())


@pytest.fixture
def roles(server_dsn: str) -> Iterator[None]:
    """Drop the roles of this module once the database is gone."""
    yield
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        names = connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'classes\\_%'").fetchall()
        for (name,) in names:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def everything(roles: None, connection: psycopg.Connection, connect: Callable[[], psycopg.Connection]) -> Run:
    """Return a run on the table with everything that can be carried."""
    connection.execute((HERE / "everything.sql").read_text())
    return open_run(connect, EVERYTHING, "everything")


def blocking(run: Run) -> dict[str, Check]:
    checks = preflight_checks(replace(run, ledger=replace(run.ledger, section="preflight")), PARAMS)
    return {each.name: each for each in checks if each.blocks}


def test_each_type_of_entry_of_this_pg_dump_is_driven() -> None:
    refused = {each.kind for each in REFUSED}
    known = CARRIED | UNTOUCHED | ELSEWHERE.keys() | refused
    assert emitted() - known - WORDS == set(), "add each new type of entry to this module, with a test that drives it"
    assert {each for each in known if not holds(each)} == set()


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_the_test_named_for_an_entry_exists(kind: str) -> None:
    path, _, name = ELSEWHERE[kind].partition("::")
    assert (TESTS / path).exists()
    assert not name or f"def {name}" in (TESTS / path).read_text()


@pytest.mark.since(18)
def test_everything_is_carried_forward_back_and_forward_again(
    everything: Run, connection: psycopg.Connection, dsn: str
) -> None:
    before = dump(dsn)
    statements = "\n".join(f"{each.method} {each.text}" for each in before.values())
    kinds = {each.kind for each in before.values()}
    assert {name for name, text in PROPERTIES.items() if not re.search(text, statements)} == set()
    assert CARRIED - kinds == set()
    assert kinds - CARRIED - UNTOUCHED == set()
    assert [str(each) for each in blocking(everything).values()] == []

    described = columns_with_statistics(dsn)
    migrate(everything)
    assert_same(everything, connection, partitioned(before), dump(dsn), partitioned=True)
    assert columns_with_statistics(dsn) == described
    rollback.roll_back(everything)
    assert_same(everything, connection, before, dump(dsn), partitioned=False)
    cutover.swap(everything, Direction.FORWARD)
    assert_same(everything, connection, partitioned(before), dump(dsn), partitioned=True)
    finalize_anyway(everything)
    finalized = {name: plain(each) for name, each in dump(dsn).items()}
    assert differences(partitioned(before), finalized) == []
    assert [name for name in finalized if re.search(r"_(old|new)\b", name)] == []


@pytest.mark.since(18)
def test_a_rollback_that_is_abandoned_leaves_the_dump_as_it_was(everything: Run, dsn: str) -> None:
    before = dump(dsn)
    migrate(everything)
    rollback.roll_back(everything)
    rollback.abandon(everything)
    assert dump(dsn) == before


def assert_same(run: Run, connection: psycopg.Connection, wanted: Dump, found: Dump, *, partitioned: bool) -> None:
    """Compare all entries by pg_dump, and the facts by the parity check."""
    live = {name: plain(each) if partitioned else each for name, each in found.items()}
    missing = differences(wanted, live)
    assert not missing, "\n\n".join(missing)
    assert [name for name in found if name not in wanted and not OF_THE_ENGINE.search(name)] == []
    if partitioned:
        assert_same_heaps(found)
        assert connection.execute(IDENTITIES).fetchall() == [("app.readings_pkey",)]
    assert not parity_check(run).blocks, parity_check(run).actual


# Partitions, the retired side and the capture's triggers: whatever else is new was made by mistake.
OF_THE_ENGINE = re.compile(r"\breadings_(y\d+m\d+|default)|_(old|new|retired)\b|partition_playbook_")
IDENTITIES = """
SELECT DISTINCT (SELECT i.inhparent::regclass::text FROM pg_index x JOIN pg_inherits i ON i.inhrelid = x.indexrelid
                  WHERE x.indrelid = t.relid AND x.indisreplident)
  FROM pg_partition_tree('app.readings') t
 WHERE t.isleaf
"""
# Everything that cannot be the same on a partitioned table: preflight and the validation name it.
TRANSLATED = (
    ("CONSTRAINT app.readings readings_pkey", "PRIMARY KEY (id)", "PRIMARY KEY (id, at)"),
    ("INDEX app.readings_at", "\n\nALTER TABLE app.readings CLUSTER ON readings_at;", ""),
    ("PUBLICATION changes", "'insert, update')", "'insert, update', publish_via_partition_root = true)"),
)
PARTITIONED = re.compile(r"\n(WITH|PARTITION BY) .*;")


def partitioned(before: Dump) -> Dump:
    """Return the entries to expect of the partitioned table."""
    wanted = {name: plain(each) for name, each in before.items()}
    for name, text, other in TRANSLATED:
        translated = plain(before[name]).text.replace(text, other)
        assert translated != wanted[name].text, f"{name} has no {text!r}: {wanted[name].text}"
        wanted[name] = replace(wanted[name], text=translated)
    return wanted


def plain(entry: Entry) -> Entry:
    """Return an entry without the differences in form: pg_dump writes ONLY for one kind of table."""
    text = entry.text.replace(" ON ONLY ", " ON ").replace("ALTER TABLE ONLY ", "ALTER TABLE ")
    if str(entry) != "TABLE app.readings":
        return replace(entry, text=text)
    return replace(entry, method="", text=PARTITIONED.sub(";", text))


def assert_same_heaps(found: Dump) -> None:
    """Compare each partition with the retired table: columns, checks, storage parameters, access method, owner."""
    retired = found["TABLE app.readings_old"]
    heaps = [each for name, each in found.items() if re.match(r"TABLE app\.readings_(y|default)", name)]
    assert len(heaps) > 3
    for each in heaps:
        assert heap(each) == heap(retired)
        assert (each.owner, each.tablespace, each.method) == (retired.owner, retired.tablespace, retired.method)


# Of the parent: its partitions inherit the checks, and indexes and row security are entries of their own.
OF_PARENTS = re.compile(r",?\n +CONSTRAINT \w+ CHECK .*|ALTER TABLE (?:ONLY )?\S+ (?:FORCE ROW|REPLICA IDENTITY).*;")


def heap(entry: Entry) -> list[str]:
    """Return the statements about the heap, under one name."""
    text = entry.text.replace(entry.name, "heap").replace(entry.name.removeprefix("app."), "heap")
    return [line for line in OF_PARENTS.sub("", text).splitlines() if line]


def columns_with_statistics(dsn: str) -> set[str]:
    """Return the columns of the table of which the planner has statistics."""
    found = dump(dsn, "--statistics-only")
    described = set(re.findall(r"'attname', '(\w+)'", found["STATISTICS DATA app.readings"].text))
    assert described
    return described


@pytest.fixture
def refused(roles: None, connection: psycopg.Connection, connect: Callable[[], psycopg.Connection]) -> Run:
    """Return a run on a table with every object that is refused, as far as the server knows them."""
    connection.execute(TABLE)  # type: ignore[call-overload]
    for each in REFUSED:
        if each.since <= connection.info.server_version // 10_000:
            connection.execute(each.statements)  # type: ignore[call-overload]
    return open_run(connect, READINGS, "refused")


def test_what_is_not_carried_is_refused_by_name(refused: Run, connection: psycopg.Connection) -> None:
    found = blocking(refused)
    known = [each for each in REFUSED if each.since <= connection.info.server_version // 10_000]
    actual = {name: each.actual.replace("public.", "") for name, each in found.items()}
    unseen = [str(each) for each in known if each.named not in actual.get(each.check, "")]
    assert not unseen, "\n".join(["not refused:", *unseen, "refused:", *map(str, found.values())])
    assert all(found[each.check].remedy for each in known)
