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
    insert,
    make_table,
    mixed_run,
    months,
    partitions,
)

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]
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
