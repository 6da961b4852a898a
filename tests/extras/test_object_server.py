"""Artifacts and archives go to an S3 server through Airflow's driver, and wrong keys are refused before anything."""

from __future__ import annotations

import psycopg

from partition_playbook.artifacts import ARTIFACTS_VARIABLE
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec
from tests.fixtures.migration import finalize_anyway
from tests.fixtures.object_server import ObjectServer

STORE = """
import hashlib, json, sys
from pathlib import Path
from airflow.sdk import ObjectStoragePath
from partition_playbook import artifacts
from partition_playbook.sections.snapshot import storage

tried = storage.artifacts_store(ObjectStoragePath)
made = artifacts.export("a run", {"report.html": b"report" * 1_000_000}, ObjectStoragePath)
found = [[each, len(ObjectStoragePath(each).read_bytes())] for each in made]
print(json.dumps([tried.outcome.value, tried.actual, tried.remedy, found]))
"""
ARCHIVE = """
import json, sys
from functools import partial
import psycopg
from airflow.sdk import ObjectStoragePath
from partition_playbook.database import Database
from partition_playbook.errors import PlaybookError
from partition_playbook.ledger import Ledger
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec

dsn, place, text, run_id = sys.argv[1:]
spec, connect = TableSpec.model_validate_json(text), partial(psycopg.connect, sys.argv[1])
ledger = Ledger(Database(connect), run_id, "maintenance")
ledger.open(spec.name, "maintenance", spec.model_dump(mode="json"), {})
run = Run(spec, Database(connect, timezone=spec.timezone, sink=ledger.sink), ledger)
try:
    done = maintain(run, MaintenanceParams(table=spec.table), ObjectStoragePath)
except PlaybookError as error:
    print(json.dumps([[], [], [], [str(error)]]))
    sys.exit()
archived = done.summary["archived"]
objects = [each.name for each in ObjectStoragePath(place).rglob("*") if each.is_file()] if archived else []
blocking = [str(each) for each in done.checks if each.blocks]
print(json.dumps([archived, done.summary["dropped"], sorted(objects), blocking]))
"""


def test_artifacts_are_written_and_read_back_and_a_wrong_key_is_named(object_server: ObjectServer) -> None:
    store = {ARTIFACTS_VARIABLE: object_server.place}
    outcome, actual, _, found = object_server.run(STORE, **store)
    assert (outcome, [size for _, size in found]) == ("passed", [6_000_000]), actual

    outcome, actual, remedy, found = object_server.run(STORE, secret="wrong", **store)
    assert (outcome, found) == ("failed", [])
    assert "the object store can't be used from the worker" in actual
    assert ARTIFACTS_VARIABLE in remedy


def test_old_partitions_are_archived_there_and_kept_with_a_wrong_key(
    object_server: ObjectServer, migrated: Run, dsn: str, connection: psycopg.Connection
) -> None:
    finalize_anyway(migrated)
    place = object_server.place.replace("runs", "archive")
    retention = {"keep": "9 months", "grace": "0 days", "max_share": 1, "action": "archive", "archive_to": place}
    changes = {"retention": retention, "default_partition": "none"}
    spec = TableSpec.model_validate(migrated.spec.model_dump() | changes).model_dump_json()
    before = connection.execute(PARTITIONS).fetchone()

    archived, _, objects, refused = object_server.run(ARCHIVE, dsn, place, spec, "refused", secret="wrong")
    assert (archived, objects) == ([], [])
    assert "object store" in " ".join(refused), refused
    assert connection.execute(PARTITIONS).fetchone() == before

    archived, dropped, objects, refused = object_server.run(ARCHIVE, dsn, place, spec, "archived")
    assert (refused, archived) == ([], dropped)
    assert len(archived) >= 2
    assert sum(name.endswith(".csv.gz") for name in objects) == len(archived)


# Attached or not.
PARTITIONS = "SELECT count(*) FROM pg_class WHERE relname ~ '^sensor_readings_y.*[0-9]$' AND relkind = 'r'"
