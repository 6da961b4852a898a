"""A server keeps marks of its own in the catalog: they are neither copied nor compared, and preflight names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from partition_playbook.checks import Check, Outcome
from partition_playbook.engine import cutover, rollback
from partition_playbook.engine.sides import Direction
from partition_playbook.run import Run
from partition_playbook.sections.preflight import unknown_catalog
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.spec import RunParams
from tests.fixtures.migration import migrate

Connection = psycopg.Connection[Any]
# As PostgreSQL 15.20 marks each column of a new table, with a number of its own for each.
MARK = """
    SET allow_system_table_mods = on;
    UPDATE pg_attribute SET attoptions = attoptions || ARRAY['pg_attver=' || 26489000 + attrelid::bigint % 997 + attnum]
     WHERE attrelid = 'sensor_readings'::regclass AND attnum > 0;
    UPDATE pg_class SET reloptions = reloptions || ARRAY['pg_relver=7'] WHERE oid = 'sensor_readings'::regclass;
    RESET allow_system_table_mods
"""
STORAGE = """
    SELECT DISTINCT reloptions
      FROM pg_class JOIN pg_inherits ON oid = inhrelid WHERE inhparent = 'sensor_readings'::regclass
"""
COLUMNS = """
    SELECT attname FROM pg_attribute WHERE attrelid = 'sensor_readings'::regclass AND attoptions::text ~ 'n_distinct=50'
"""


@pytest.fixture
def marked(run: Run, readings: Callable[[int], None], connection: Connection) -> Run:
    """Return a run on a table with user's options and the server's marks."""
    readings(500)
    connection.execute("ALTER TABLE sensor_readings ALTER COLUMN unit_id SET (n_distinct = 50)")
    connection.execute("ALTER TABLE sensor_readings SET (fillfactor = 90)")
    connection.execute(MARK)
    return run


def checks(run: Run) -> dict[str, Check]:
    made = preflight_checks(replace(run, ledger=replace(run.ledger, section="preflight")), RunParams())
    return {each.name: each for each in made}


def test_the_marks_stop_no_swap_and_what_a_user_set_is_carried(marked: Run, connection: Connection) -> None:
    migrate(marked)
    assert connection.execute(STORAGE).fetchall() == [(["fillfactor=90"],)]
    assert connection.execute(COLUMNS).fetchall() == [("unit_id",)]
    rollback.roll_back(marked)
    cutover.swap(marked, Direction.FORWARD)


def test_preflight_names_the_marks_and_goes_on(marked: Run) -> None:
    found = checks(marked)
    assert found["unknown_options"].outcome is Outcome.FAILED
    assert "pg_relver=7" in found["unknown_options"].actual
    assert " on column recorded_at" in found["unknown_options"].actual
    assert not found["unknown_options"].blocks


def test_a_catalog_column_that_is_new_is_named(
    run: Run, readings: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(10)
    assert checks(run)["unknown_catalog"].outcome is Outcome.PASSED
    known = unknown_catalog.CATALOG_COLUMNS
    older = {**known, "pg_attribute": known["pg_attribute"] - {"attcompression"}}
    monkeypatch.setattr(unknown_catalog, "CATALOG_COLUMNS", older)
    assert checks(run)["unknown_catalog"].actual == "pg_attribute.attcompression"
