"""Read what the console shows: each answer in one read-only snapshot, in a fixed number of bounded statements."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any

import pendulum

from partition_playbook.catalog import bound_ends
from partition_playbook.checks import Verdict, as_json
from partition_playbook.console import answers
from partition_playbook.database import Database, Limits, Row, Session
from partition_playbook.errors import PreconditionFailed, TryAgain
from partition_playbook.ledger import by_section
from partition_playbook.names import LEDGER_SCHEMA, TableName
from partition_playbook.operators import open_database
from partition_playbook.spec import TableSpec

# Nobody may wait for a person who looks: the console gives way.
LIMITS = Limits(lock_timeout=200, statement_timeout=5_000, idle_in_transaction=10_000)
MOST_SESSIONS = 4
PATIENCE_SECONDS = 5.0
PAGE = 100
MOST_CHANGES = 100_000
MOST_SAMPLES = 500
MOST_RECENT = 300  # events: while a task waits it tells nothing, and the others are few
# These write to the ledger of another DAG's run: their one task is the section.
FOLLOWERS = {"partition_rollback": "roll_back_standing_run", "partition_finalize": "finalize"}
_sessions: threading.BoundedSemaphore = threading.BoundedSemaphore(MOST_SESSIONS)


@cache
def database(connection_id: str) -> Database:
    """Return the database behind an Airflow connection; its idle connections are used again."""
    return open_database(connection_id, application="partition_playbook console")


@contextmanager
def snapshot(connection_id: str) -> Iterator[Session]:
    """Open a read-only snapshot; one of a few at a time, so that the console never fills up the server."""
    if not _sessions.acquire(timeout=PATIENCE_SECONDS):
        raise TryAgain("the console's connections are all in use", where=connection_id, remedy="Look again in a moment")
    try:
        with database(connection_id).snapshot(LIMITS) as session:
            yield session
    finally:
        _sessions.release()


def tables(asked: Mapping[str, TableSpec], connection_id: str) -> list[answers.Table]:
    """Return the tables of one connection with their health and their last run."""
    names = [spec.name for spec in asked.values()]
    values = {"schemas": [each.schema for each in names], "names": [each.name for each in names]}
    with snapshot(connection_id) as session:
        rows = session.rows("console/list_tables", values) if _has_ledger(session) else []
    found = {TableName(row["table_schema"], row["table_name"]): row for row in rows}
    return [_table(name, spec, found.get(spec.name)) for name, spec in asked.items()]


def _has_ledger(session: Session) -> bool:
    return session.value("maintenance/find_oid", {"schema": LEDGER_SCHEMA, "name": "events"}) is not None


def _table(name: str, spec: TableSpec, row: Row | None) -> answers.Table:
    return answers.Table(
        spec=name,
        table=str(spec.name),
        connection=spec.connection,
        health=answers.Health(**row) if row and row["status"] else None,
        last_run=answers.Run(**row) if row and row["run_id"] else None,
    )


def partitions(spec: TableSpec) -> answers.PartitionMap:
    """Return the partitions of a table, what stands beside it, and how far the spec wants them to reach."""
    now = pendulum.now(spec.timezone)
    roles = {spec.name.name: "table", spec.name.shadow.name: "shadow", spec.name.retired.name: "retired"}
    table = {"schema": spec.name.schema, "name": spec.name.name}
    with snapshot(spec.connection) as session:
        siblings = session.rows("console/list_siblings", {"schema": spec.name.schema, "names": list(roles)})
        found = session.rows("console/list_partitions", table)
        known = {"parent": str(spec.name)}
        detached = session.rows("maintenance/list_detachments", known) if _has_ledger(session) else []
    return answers.PartitionMap(
        table=str(spec.name),
        interval=spec.interval,
        timezone=spec.timezone,
        now=now,
        horizon=spec.interval.shift(spec.interval.floor(now), spec.premake + 1),
        keep=spec.retention.keep if spec.retention else None,
        cutoff=spec.retention.cutoff(now) if spec.retention else None,
        siblings=[answers.Sibling(role=roles[row["name"]], **row) for row in siblings],
        partitions=sorted((_partition(spec, row) for row in found), key=_in_time),
        detached=[
            answers.Detached(archived=row["archive"] is not None, **row)
            for row in detached
            if row["detached"] and not row["attached"]
        ],
    )


def _partition(spec: TableSpec, row: Row) -> answers.Partition:
    try:
        lower, upper = bound_ends(row["bound"] or "", spec.timezone) or (None, None)
    except ValueError:
        lower = upper = None
    return answers.Partition(lower=lower, upper=upper, **row)


def _in_time(partition: answers.Partition) -> tuple[bool, datetime, str]:
    first = partition.lower or pendulum.DateTime.min.replace(tzinfo=pendulum.UTC)
    return partition.is_default, first, partition.name


def runs(spec: TableSpec, before: datetime | None) -> list[answers.Loaded]:
    """Return a page of a table's runs, the newest first."""
    values = {"schema": spec.name.schema, "name": spec.name.name, "before": before, "limit": PAGE}
    with snapshot(spec.connection) as session:
        return [answers.Loaded(**row) for row in session.rows("console/list_runs", values)]


def find(named: Mapping[TableName, str], connection_id: str, run_id: str, dag_id: str) -> list[answers.Found]:
    """Return the runs in one ledger that belong to a DAG run, or the one that it undid or finalized."""
    section = FOLLOWERS.get(dag_id)
    with snapshot(connection_id) as session:
        if section:
            rows = session.rows("console/find_followed", {"dag_id": dag_id, "run_id": run_id, "section": section})
        else:
            rows = session.rows("console/find_runs", {"run_id": run_id})
    known = ((named.get(TableName(row["table_schema"], row["table_name"])), row["run_id"]) for row in rows)
    return [answers.Found(spec=name, run_id=found, section=section) for name, found in known if name]


def progress(spec: TableSpec, run_id: str) -> answers.Progress:
    """Return where a run stands: its loads, the changes that wait, the sessions that wait for locks."""
    table, log = spec.name, spec.name.change_log
    beside = [table.name, table.shadow.name, table.retired.name]
    with snapshot(spec.connection) as session:
        run = _run(session, spec, run_id)
        source = table.name if run["phase"] in ("opened", "shadowed", "attached") else table.retired.name
        watched = {"run_id": run_id, "schema": table.schema, "source": source}
        loads = session.rows("console/watch_loads", watched)
        waits = session.rows("console/list_waits", {"run_id": run_id, "limit": MOST_RECENT})
        captured = session.value("maintenance/find_oid", {"schema": log.schema, "name": log.name}) is not None
        limit = {"limit": MOST_CHANGES}
        waiting = session.value("console/count_waiting_changes", limit, log=log.identifier) if captured else None
        lock_waits = session.rows("console/list_lock_waits", {"schema": table.schema, "names": beside})
    return answers.Progress(
        run=answers.Run(**run),
        now=pendulum.now("UTC"),
        loads=[answers.Load(**row) for row in loads],
        waits=[answers.Wait(**row) for row in waits],
        waiting_changes=waiting,
        most_counted=MOST_CHANGES,
        lock_waits=[answers.LockWait(**row) for row in lock_waits],
    )


def _run(session: Session, spec: TableSpec, run_id: str) -> Row:
    """Read a run; one of another table is none of this one's."""
    for row in session.rows("ledger/find_run", {"run_id": run_id}):
        if TableName(row["table_schema"], row["table_name"]) == spec.name:
            return row
    raise PreconditionFailed(
        "the ledger does not know this run", where=run_id, remedy="Choose another from the table's runs"
    )


def backlog(spec: TableSpec, run_id: str) -> list[answers.Waiting]:
    """Return how many changes waited over time, the oldest first."""
    rows = _of_run(spec, run_id, "console/list_backlog", limit=MOST_SAMPLES)
    return [answers.Waiting(**row) for row in reversed(rows)]


def gates(spec: TableSpec, run_id: str) -> list[answers.Gate]:
    """Return every section's checks and verdict."""
    sections = by_section(_of_run(spec, run_id, "ledger/list_checks"))
    verdicts = (Verdict.of(section, checks) for section, checks in sections.items())
    return [
        answers.Gate(section=each.section, go=each.go, checks=[as_json(check) for check in each.checks])
        for each in verdicts
    ]


def measurements(spec: TableSpec, run_id: str) -> list[answers.Measurement]:
    """Return the numbers that a run measured, but for its queries' plans."""
    rows = _of_run(spec, run_id, "ledger/list_measurements")
    return [answers.Measurement(**row) for row in rows if "plan" not in row["detail"]]


def plans(spec: TableSpec, run_id: str) -> list[answers.Compared]:
    """Return each query's time and plan before and after the migration."""
    stages: dict[str, dict[str, answers.Timed]] = {"before": {}, "after": {}}
    for row in _of_run(spec, run_id, "ledger/list_measurements"):
        if row["stage"] in stages and "plan" in row["detail"]:
            stages[row["stage"]][row["name"]] = answers.Timed(ms=row["value"], **row["detail"])
    before, after = stages.values()
    return [
        answers.Compared(query=name, before=before.get(name), after=after.get(name))
        for name in dict.fromkeys((*before, *after))
    ]


def events(spec: TableSpec, run_id: str, **filters: Any) -> list[answers.Event]:
    """Return a page of a run's events, the newest first."""
    return [answers.Event(**row) for row in _of_run(spec, run_id, "console/list_events", limit=PAGE, **filters)]


def _of_run(spec: TableSpec, run_id: str, name: str, **values: Any) -> list[Row]:
    with snapshot(spec.connection) as session:
        _run(session, spec, run_id)
        return session.rows(name, {"run_id": run_id, **values})
