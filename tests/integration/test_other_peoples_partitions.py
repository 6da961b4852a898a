"""Maintenance of tables that others have partitioned: bounds, keys, indexes, publications and locks of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from partition_playbook import catalog
from partition_playbook.checks import Check, Outcome
from partition_playbook.errors import LockNotGranted
from partition_playbook.lock_retry import LockRetry
from partition_playbook.maintenance import retire
from partition_playbook.maintenance.actions import Detach
from partition_playbook.maintenance.maintain import Maintained, maintain
from tests.fixtures.moments import this_month
from tests.integration.test_maintenance import (
    DEFAULTS,
    MIXED,
    OFF,
    insert,
    make_table,
    mixed_run,
    months,
    partitions,
)

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]
DRY = OFF.model_copy(update={"dry_run": True})
IMPATIENT = LockRetry(first_ms=200, longest_ms=200, tries=1)


def failures(done: Maintained) -> list[Check]:
    return [each for each in done.checks if each.outcome is Outcome.FAILED]


def test_partitions_are_created_while_an_old_transaction_holds_up_an_interrupted_detach(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FINALIZE waits for every older snapshot of the database: new rows need their partitions meanwhile."""
    make_table(connection, ahead=0, default=False)
    run, oldest = mixed_run(connect), months(5, 2)[0][0]
    with run.database.session() as session:
        partition = next(each for each in catalog.partitions(session, MIXED) if each.table == oldest)

    with connect() as reader, connect() as old:
        reader.execute('SELECT count(*) FROM "Plant A"."Sensor Readings"')
        with pytest.raises(psycopg.errors.LockNotAvailable):
            retire._concurrently(run, Detach(partition, True, "too old"), 200)
        reader.rollback()

        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT count(*) FROM pg_class")
        monkeypatch.setattr(retire, "PATIENCE", IMPATIENT)
        with pytest.raises(LockNotGranted, match=f"pid {old.info.backend_pid} user .* a snapshot for"):
            maintain(run, DEFAULTS)
        assert set(partitions(connection)) == {name.name for name, _, _ in months(5, 2)}
        insert(connection, this_month().add(months=2))
        old.rollback()

    done = maintain(mixed_run(connect), DEFAULTS)
    assert (done.summary["finalized"], done.summary["failed"]) == ([oldest.name], [])
    assert oldest.name in done.summary["dropped"]


@pytest.mark.parametrize("end", ["'infinity'", "'10000-01-01 UTC'", "MAXVALUE"])
@pytest.mark.parametrize("default", [True, False])
def test_a_last_partition_without_a_calendars_end_covers_the_time_ahead(
    connection: Connection, connect: Connect, end: str, default: bool
) -> None:
    make_table(connection, ahead=0, default=default)
    add_last(connection, end)
    done = maintain(mixed_run(connect), DEFAULTS)
    assert done.summary["created"] == []
    assert [each.name for each in failures(done)] == ["unmanaged_partitions"]
    assert "FOR VALUES FROM ('2" in failures(done)[0].actual
    assert done.summary["health"]["partitions_end"] is None


def add_last(connection: Connection, end: str) -> None:
    lower = this_month().add(months=1)
    statement = f"""CREATE TABLE "Plant A".last PARTITION OF {MIXED.quoted} FOR VALUES FROM ('{lower}') TO ({end})"""
    connection.execute(statement)  # type: ignore[call-overload]


@pytest.mark.parametrize("start", ["'-infinity'", "'0044-03-15 UTC BC'", "MINVALUE"])
def test_a_first_partition_without_a_calendars_start_covers_the_present(
    connection: Connection, connect: Connect, start: str
) -> None:
    make_table(connection, back=-1, ahead=-2, default=False)
    upper = this_month().add(months=1)
    statement = f"""CREATE TABLE "Plant A".first PARTITION OF {MIXED.quoted} FOR VALUES FROM ({start}) TO ('{upper}')"""
    connection.execute(statement)  # type: ignore[call-overload]
    done = maintain(mixed_run(connect), DEFAULTS)
    assert [each.name for each in failures(done)] == ["unmanaged_partitions"]
    assert done.summary["created"] == [name.name for name, _, _ in months(0, 2)[1:]]


OF_EACH = (
    'CREATE UNIQUE INDEX ON {} ("Id")',
    'ALTER TABLE {} ADD UNIQUE ("Id", "order")',
    'CREATE INDEX ON {} (abs("Value")) WHERE "order" > 0',
)
INDEXES = """
SELECT substring(indexdef FROM ' USING .*'), indexdef LIKE 'CREATE UNIQUE%%' FROM pg_indexes WHERE tablename = %s
 ORDER BY 1
"""


@pytest.mark.parametrize("waiting", [0, 5, 20], ids=["created ahead", "with moved rows", "split off"])
def test_a_new_partition_has_the_indexes_that_its_siblings_share_and_the_table_lacks(
    connection: Connection, connect: Connect, waiting: int
) -> None:
    """A unique index within each partition keeps the ids of a month apart, which no index of the table can do."""
    make_table(connection, ahead=-1)
    siblings = [name for name, _, _ in months(2, -1)]
    for name in siblings:
        for statement in OF_EACH:
            connection.execute(statement.format(name.quoted))  # type: ignore[call-overload]
    expected = connection.execute(INDEXES, (siblings[-1].name,)).fetchall()
    connection.execute(f'CREATE INDEX ON {siblings[-1].quoted} ("Double")')  # type: ignore[call-overload]
    if waiting:
        insert(connection, this_month(), rows=waiting)

    params = OFF.model_copy(update={"max_moved_rows": 10})
    done = maintain(mixed_run(connect), params)
    assert (done.summary["failed"], done.summary["moved_rows"]) == ([], waiting)
    assert len(expected) == 2 + len(OF_EACH)
    for created in done.summary["created"]:
        assert connection.execute(INDEXES, (created,)).fetchall() == expected
    assert maintain(mixed_run(connect), params).summary["created"] == []


def test_a_new_partition_keeps_a_replica_identity_by_an_index_of_its_siblings(
    connection: Connection, connect: Connect
) -> None:
    make_table(connection, ahead=0)
    for name, _, _ in months(1, 0):
        connection.execute(f'CREATE UNIQUE INDEX "own {name.name[-3:]}" ON {name.quoted} ("order", "Id")')  # type: ignore[call-overload]
        connection.execute(f'ALTER TABLE {name.quoted} REPLICA IDENTITY USING INDEX "own {name.name[-3:]}"')  # type: ignore[call-overload]
    done = maintain(mixed_run(connect), OFF)
    assert done.summary["failed"] == []
    query = "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indisreplident AND indrelid = %s::regclass"
    for created in done.summary["created"]:
        name = MIXED.partition(created.rpartition("_")[2])
        (found,) = connection.execute(query, (name.quoted,)).fetchone()  # type: ignore[misc]
        assert '("order", "Id")' in found


def published(done: Maintained) -> Check:
    return next(each for each in done.checks if each.name == "published_partitions")


def test_a_new_partition_that_a_publication_of_its_siblings_leaves_out_is_told(
    connection: Connection, connect: Connect
) -> None:
    make_table(connection, ahead=0)
    names = ", ".join(name.quoted for name, _, _ in months(2, 0))
    connection.execute(f'CREATE PUBLICATION "of Months" FOR TABLE {names}')  # type: ignore[call-overload]
    assert published(maintain(mixed_run(connect), DRY)).outcome is Outcome.PASSED

    found = published(maintain(mixed_run(connect), OFF))
    assert found.outcome is Outcome.FAILED
    assert not found.blocks
    created = [str(name) for name, _, _ in months(2, 2)[-2:]]
    assert found.actual == f"of Months does not name {', '.join(created)}"

    # The remedy works as it is written.
    connection.execute(found.remedy[found.remedy.index("ALTER PUBLICATION") :].partition(". Then")[0])  # type: ignore[call-overload]
    assert published(maintain(mixed_run(connect), OFF)).outcome is Outcome.PASSED


@pytest.mark.parametrize("via_root", [True, False])
def test_subscribers_that_need_a_table_for_each_partition_are_told(
    connection: Connection, connect: Connect, via_root: bool
) -> None:
    make_table(connection, ahead=0)
    option = f"publish_via_partition_root = {via_root}"
    connection.execute(f"CREATE PUBLICATION whole FOR TABLE {MIXED.quoted} WITH ({option})")  # type: ignore[call-overload]
    found = published(maintain(mixed_run(connect), OFF))
    assert found.outcome is (Outcome.PASSED if via_root else Outcome.SKIPPED)
    assert via_root or f"The last one is {months(0, 2)[-1][0]}" in found.actual


def test_a_publication_of_one_old_partition_is_meant(connection: Connection, connect: Connect) -> None:
    make_table(connection, ahead=0)
    connection.execute(f"CREATE PUBLICATION one FOR TABLE {months(2, 0)[0][0].quoted}")  # type: ignore[call-overload]
    assert published(maintain(mixed_run(connect), OFF)).outcome is Outcome.PASSED


@pytest.mark.parametrize("name", ["audit", '"Audit on"'])
@pytest.mark.parametrize(
    ("events", "sees"),
    [("AFTER DELETE", True), ("BEFORE INSERT OR DELETE OR UPDATE", True), ("AFTER INSERT", False)],
)
def test_rows_are_not_moved_where_a_statement_trigger_of_the_default_partition_would_see_a_delete(
    connection: Connection, connect: Connect, name: str, events: str, sees: bool
) -> None:
    make_table(connection, ahead=-1)
    function = "RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.seen VALUES (TG_OP); RETURN NULL; END$$"
    connection.execute(f"CREATE TABLE public.seen (op text); CREATE FUNCTION public.f() {function}")
    trigger = f"{name} {events} ON {MIXED.default.quoted} FOR EACH STATEMENT EXECUTE FUNCTION public.f()"
    connection.execute(f"CREATE TRIGGER {trigger}")  # type: ignore[call-overload]
    insert(connection, this_month(), rows=5)
    connection.execute("TRUNCATE public.seen")

    done = maintain(mixed_run(connect), OFF)
    assert connection.execute("SELECT op FROM public.seen").fetchall() == []
    assert done.summary["moved_rows"] == (0 if sees else 5)
    told = [each.actual for each in failures(done) if each.name.startswith("create")]
    assert [f"the trigger {name.strip(chr(34))} is its own" in each for each in told] == ([True] if sees else [])
