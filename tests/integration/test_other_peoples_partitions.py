"""Maintenance of tables that others have partitioned: bounds, keys, indexes, publications and locks of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from partition_playbook import catalog
from partition_playbook.errors import LockNotGranted
from partition_playbook.lock_retry import LockRetry
from partition_playbook.maintenance import retire
from partition_playbook.maintenance.actions import Detach
from partition_playbook.maintenance.maintain import maintain
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
