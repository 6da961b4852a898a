"""Measure the answers of the console, from the database to JSON, with 1,000 partitions and 100,000 events."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from airflow import settings
from airflow.models import import_all_models
from airflow.models.base import Base
from pydantic import TypeAdapter

from partition_playbook.console import read
from partition_playbook.database import Database
from partition_playbook.ledger import Ledger
from partition_playbook.spec import TableSpec
from staging.bench.copies import Connect
from staging.bench.maintenance import make, timed

PARTITIONS = 1_000
EVENTS = 100_000
REPEATS = 5
RUN_ID = "watched"
FILL = """
INSERT INTO partition_playbook.events (run_id, section, kind, message, statement, rows, duration_ms)
SELECT %(run_id)s, 'migration', CASE n %% 100 WHEN 0 THEN 'backlog' ELSE 'statement' END,
       'Write rows', repeat('x', 300), n, 1
  FROM generate_series(1, %(events)s) AS n
"""
LOADS = """
INSERT INTO partition_playbook.loads (run_id, partition_name, lower_bound, upper_bound, state, expected_rows)
SELECT %(run_id)s, 'watched_' || n, date '2024-01-01' + n, date '2024-01-02' + n, 'pending', 24
  FROM generate_series(1, %(partitions)s) AS n
"""


def measure(connect: Connect) -> dict[str, Any]:
    """Return the median milliseconds of each answer, over an open connection."""
    spec = make(connect, RUN_ID, PARTITIONS)
    _fill(connect, spec)
    database = Database(connect)
    with empty_metadata(), patch.object(read, "database", lambda _: database):
        took = {name: _median_ms(answer) for name, answer in _answers(spec).items()}
    return {"partitions": PARTITIONS, "events": EVENTS, "ms": took}


@contextmanager
def empty_metadata() -> Iterator[None]:
    """Let Airflow read an empty metadata database: a newcomer has none, and the benchmark must not read yours."""
    with TemporaryDirectory() as folder:
        with patch.dict(os.environ, {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db"}):
            _connect_airflow()
            import_all_models()  # type: ignore[no-untyped-call]
            Base.metadata.create_all(settings.engine)
            yield
        _connect_airflow()


def _connect_airflow() -> None:
    settings.dispose_orm(do_log=False)
    settings.configure_vars()  # type: ignore[no-untyped-call]
    settings.configure_orm()  # type: ignore[no-untyped-call]


def _answers(spec: TableSpec) -> dict[str, Callable[[], object]]:
    of_run: list[Callable[..., object]] = [read.progress, read.server, read.headlines, read.backlog]
    of_run += [read.measurements, read.gates, read.plans]
    return {
        "tables": partial(read.tables, {spec.table: spec}, spec.connection),
        "partitions": partial(read.partitions, spec),
        "runs": partial(read.runs, spec, None),
        **{each.__name__: partial(each, spec, RUN_ID) for each in of_run},
        "events": partial(read.events, spec, RUN_ID, before=None, section=None, kind=None, text=None),
        # No event contains the text, so the query reads all of them.
        "events_filtered": partial(read.events, spec, RUN_ID, before=None, section=None, kind=None, text="nowhere"),
    }


def _median_ms(answer: Callable[[], object]) -> float:
    adapter: TypeAdapter[Any] = TypeAdapter(Any)
    return round(1000 * statistics.median(timed(lambda: adapter.dump_json(answer())) for _ in range(REPEATS)), 1)


def _fill(connect: Connect, spec: TableSpec) -> None:
    ledger = Ledger(Database(connect), RUN_ID, "migration")
    ledger.open(spec.name, "rehearse", spec.model_dump(mode="json"), {})
    with connect() as connection:
        connection.autocommit = True
        connection.execute(FILL, {"run_id": RUN_ID, "events": EVENTS})
        connection.execute(LOADS, {"run_id": RUN_ID, "partitions": PARTITIONS})
        connection.execute("ANALYZE partition_playbook.events, partition_playbook.loads")
