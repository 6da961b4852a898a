"""The demo watches a run from before its ledger exists."""

from __future__ import annotations

import psycopg

from partition_playbook.checks import check
from partition_playbook.run import Run
from staging.demo.progress import LedgerReader


def test_without_a_ledger_nothing_is_known_yet(dsn: str) -> None:
    reader = LedgerReader(dsn, "test-run")
    assert (reader.loads().each, reader.checks(), reader.backlog()) == ((), {}, None)


def test_the_last_result_stands_once_the_ledger_is_gone(dsn: str, connection: psycopg.Connection, run: Run) -> None:
    reader = LedgerReader(dsn, run.ledger.run_id)
    run.ledger.record_checks([check("a", True, expected="x", actual="x")])
    before = reader.checks()
    assert before == {"migration": (1, ())}
    connection.execute("DROP SCHEMA partition_playbook CASCADE")
    assert reader.checks() == before
