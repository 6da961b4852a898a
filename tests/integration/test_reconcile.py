"""Reconciling rows whose other unique values move among them."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from partition_playbook.engine import attach, load, reconcile, shadow, verify
from partition_playbook.run import Run


def test_a_unique_value_that_is_handed_on_between_batches_does_not_stop_the_reconciler(
    run: Run, readings: Callable[[int], None], connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(10)
    connection.execute("ALTER TABLE sensor_readings ADD slot int")
    connection.execute("UPDATE sensor_readings SET slot = id, recorded_at = date_trunc('month', now())")
    connection.execute("CREATE UNIQUE INDEX ON sensor_readings (slot, recorded_at)")
    for planned in shadow.build(run):
        load.load_partition(run, planned["partition_name"], workers=1)
    attach.attach_partitions(run)
    monkeypatch.setattr(reconcile, "BATCH", 1)
    connection.execute("UPDATE sensor_readings SET slot = 100 WHERE id = 1")
    connection.execute("UPDATE sensor_readings SET slot = 1 WHERE id = 2")
    connection.execute("UPDATE sensor_readings SET slot = 2 WHERE id = 1")
    assert reconcile.catch_up(run) == 0
    compared, waiting = verify.compare(run)
    assert waiting == 0
    assert all(each.equal for each in compared)
    events = [event["message"] for event in run.ledger.events()]
    assert events.count("Delete the changed rows from the standby") == 1
