"""Read the answers of the console, each in one read-only snapshot with a fixed number of bounded statements."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

import pendulum

from partition_playbook import artifacts, catalog
from partition_playbook.airflow.run_states import State, dag_run_key, run_states, with_state
from partition_playbook.airflow.run_steps import AT_WORK, Activity, Step, read_activity, run_path, steps
from partition_playbook.airflow.runs import open_database
from partition_playbook.catalog import bound_ends
from partition_playbook.checks import Verdict, as_json
from partition_playbook.console import answers, series, server_state, write_pace
from partition_playbook.console.problems import explain
from partition_playbook.database import Database, Limits, Row, Session
from partition_playbook.engine import way_back
from partition_playbook.errors import InvalidSpec, PreconditionFailed, TryAgain
from partition_playbook.intervals import IdMoment
from partition_playbook.ledger import (
    MAINTENANCE,
    KeptFile,
    Phase,
    read_check_times,
    read_checks,
    read_file,
    read_file_names,
    read_measurements,
    read_run,
    read_versions,
)
from partition_playbook.maintenance import health, interval_change
from partition_playbook.maintenance.ranges import end_of_partitions, ranges
from partition_playbook.maintenance.read_state import earlier_widths
from partition_playbook.names import LEDGER_SCHEMA, TableName
from partition_playbook.people import TRIGGERED
from partition_playbook.sections.decision import headline
from partition_playbook.sections.decision.criteria import waivers
from partition_playbook.spec import TableSpec, Throttle, load_spec, spec_names, validated

Result = TypeVar("Result")
# No session may wait for a viewer: the console cancels its own statements. In milliseconds.
LIMITS = Limits(lock_timeout=200, statement_timeout=5_000, idle_in_transaction=10_000)
MOST_SESSIONS = 4
PATIENCE_SECONDS = 5.0
PAGE = 100
MOST_CHANGES = 100_000
MOST_SAMPLES = 250
FIRST_EVENTS = 20  # of a run: one of them names its Airflow user
MOST_RECENT = 300  # events: a waiting task writes none, and the other tasks write few
# These DAGs write events to the run of another DAG, under their one task as section.
FOLLOWERS = {"partition_rollback": "roll_back_standing_run", "partition_finalize": "finalize"}
# The states of a run that does not go on by itself.
STOPPED = (State.FAILED, State.LOST)
_sessions: threading.BoundedSemaphore = threading.BoundedSemaphore(MOST_SESSIONS)


@cache
def database(connection_id: str) -> Database:
    """Return the database of an Airflow connection; its idle connections are reused."""
    return open_database(connection_id, application="partition_playbook console", long_lived=True)


@contextmanager
def snapshot(connection_id: str) -> Iterator[Session]:
    """Open a read-only snapshot, at most MOST_SESSIONS at a time, to leave the server's connections to others.

    TryAgain if none is free within PATIENCE_SECONDS.
    """
    if not _sessions.acquire(timeout=PATIENCE_SECONDS):
        raise TryAgain(
            "all connections of the console are in use", where=connection_id, remedy="Reload the page in a moment"
        )
    try:
        with database(connection_id).snapshot(LIMITS) as session:
            yield session
    finally:
        _sessions.release()


def specs_by_connection() -> tuple[list[answers.Table], dict[str, dict[str, TableSpec]]]:
    """Return the invalid specs, and the valid ones by connection and name."""
    invalid: list[answers.Table] = []
    connections: dict[str, dict[str, TableSpec]] = {}
    for name in spec_names():
        try:
            spec = load_spec(name, standing=True)
        except InvalidSpec as error:
            invalid.append(answers.Table(spec=name, problem=explain(error)))
        else:
            connections.setdefault(spec.connection, {})[name] = spec
    return invalid, connections


def tables(asked: Mapping[str, TableSpec], connection_id: str) -> list[answers.Table]:
    """Return the tables of one connection, each with its health and its last run."""
    names = [spec.name for spec in asked.values()]
    values = {"schemas": [each.schema for each in names], "names": [each.name for each in names]}
    with snapshot(connection_id) as session:
        rows = session.rows("console/list_tables", values) if has_ledger(session) else []
    rows = _with_states(rows)
    found = {TableName(row["table_schema"], row["table_name"]): row for row in rows}
    return [_table(name, spec, found.get(spec.name)) for name, spec in asked.items()]


def _with_states(rows: list[Row]) -> list[Row]:
    """Return records of runs with their states beside them; a table without a run is left as it is."""
    states = run_states(row for row in rows if row["run_id"])
    return [with_state(row, states) if row["run_id"] else row for row in rows]


def has_ledger(session: Session) -> bool:
    """Return True if the database has a ledger."""
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
    """Return the partitions of a table, its siblings, and the horizon and cutoff of its spec."""
    roles = {spec.name.name: "table", spec.name.shadow.name: "shadow", spec.name.retired.name: "retired"}
    table = {"schema": spec.name.schema, "name": spec.name.name}

    with snapshot(spec.connection) as session:
        siblings = session.rows("console/list_siblings", {"schema": spec.name.schema, "names": list(roles)})
        found = session.rows("console/list_partitions", table)
        known = {"parent": str(spec.name)}
        is_known = has_ledger(session)
        detached = session.rows("maintenance/list_detachments", known) if is_known else []
        change = _interval_change(session, spec, found) if is_known else ""
        now = _present(spec, session, found) if spec.interval.is_ids else pendulum.now(spec.timezone)
        ids = _ids(session, spec, found, now) if is_known and spec.interval.is_ids else None

    return answers.PartitionMap(
        table=str(spec.name),
        interval=str(spec.interval),
        interval_change=change,
        timezone=spec.timezone,
        now=_end(now),
        horizon=_end(spec.interval.shift(spec.interval.floor(now), spec.premake + 1)),
        ids_left=ids.left if ids else None,
        ids_last=str(ids) if ids else "",
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


def _interval_change(session: Session, spec: TableSpec, found: list[Row]) -> str:
    attached = _attached(spec, found)
    return interval_change.told(spec, attached, earlier_widths(session, spec, attached))


def _attached(spec: TableSpec, found: Sequence[Row]) -> list[catalog.Partition]:
    return [
        catalog.Partition(
            TableName(spec.name.schema, row["name"]),
            "r",
            "DEFAULT" if row["is_default"] else row["bound"] or "",
            row["detach_pending"],
            row["estimated_rows"],
        )
        for row in found
    ]


def _ids(session: Session, spec: TableSpec, found: Sequence[Row], now: pendulum.DateTime) -> health.Ids | None:
    """Return the ids left; None without partitions, or if the last one has an open end."""
    end = end_of_partitions(spec, ranges(spec, _attached(spec, found)), now) if found else None
    return health.find_ids(spec, session, now, end, "") if end else None


def _partition(spec: TableSpec, row: Row) -> answers.Partition:
    lower, upper = bound_ends(row["bound"] or "", spec.codec) or (None, None)
    return answers.Partition(lower=lower and _end(lower), upper=upper and _end(upper), **row)


def _present(spec: TableSpec, session: Session, found: Sequence[Row]) -> pendulum.DateTime:
    """Return the greatest id at the last maintenance, or the start of the last range with rows; no lock is awaited."""
    table = {"schema": spec.name.schema, "name": spec.name.name}
    known = session.value("console/find_greatest_id", table) if has_ledger(session) else None
    filled = [bound_ends(each["bound"] or "", spec.codec) for each in found if each["estimated_rows"]]
    lowers = [ends[0] for ends in filled if ends and ends[0]]
    return max([spec.codec.moment(known or 0), *lowers])


def _end(moment: pendulum.DateTime) -> answers.End:
    return moment.number if isinstance(moment, IdMoment) else moment


def _in_time(partition: answers.Partition) -> tuple[bool, float, str]:
    lower = partition.lower
    first = lower.timestamp() if isinstance(lower, datetime) else float("-inf") if lower is None else lower
    return partition.is_default, first, partition.name


def runs(spec: TableSpec, before: datetime | None) -> list[answers.Loaded]:
    """Return a page of the runs of a table before a moment, newest first."""
    values = {"schema": spec.name.schema, "name": spec.name.name, "before": before, "limit": PAGE}
    values |= {"triggered": TRIGGERED, "first": FIRST_EVENTS}
    with snapshot(spec.connection) as session:
        rows = session.rows("console/list_runs", values)
    return [answers.Loaded(**row) for row in _with_states(rows)]


def find(named: Mapping[TableName, str], connection_id: str, run_id: str, dag_id: str) -> list[answers.Found]:
    """Return the runs of one ledger for a DAG run; for a rollback or a finalize, the run that it ended."""
    section = FOLLOWERS.get(dag_id)
    with snapshot(connection_id) as session:
        if section:
            rows = session.rows("console/find_followed", {"dag_id": dag_id, "run_id": run_id, "section": section})
        else:
            rows = session.rows("console/find_runs", {"run_id": run_id})

    known = ((named.get(TableName(row["table_schema"], row["table_name"])), row["run_id"]) for row in rows)
    return [answers.Found(spec=name, run_id=found, section=section) for name, found in known if name]


def progress(spec: TableSpec, run_id: str) -> answers.Progress:
    """Return the state of a run: its sections, its loads, its waiting changes, and the sessions waiting for locks."""
    with snapshot(spec.connection) as session:
        run = _run(session, spec, run_id)
        loads = _loads(session, spec, run)
        waits = session.rows("console/list_waits", {"run_id": run_id, "limit": MOST_RECENT})
        changes = _changes(session, spec.name)
        lock_waits = session.rows("console/list_lock_waits", {"schema": spec.name.schema, "names": _names(spec.name)})
        versions = read_versions(session, run_id)
        found, kept = read_checks(session, run_id), read_file_names(session, run_id)
        checked_at = read_check_times(session, run_id)
        triggered = session.rows(
            "console/find_trigger", {"run_id": run_id, "message": TRIGGERED, "first": FIRST_EVENTS}
        )
        measured = headline.by_stage(read_measurements(session, run_id))
        pace = None
        if changes and not run["ended_at"]:
            preflight = found.get("preflight", ())
            pace = write_pace.read(session, run_id, changes["last_change"], preflight, most_events=MOST_RECENT)

    (shown,) = _with_states([run])
    now, key = pendulum.now("UTC"), dag_run_key(run)
    activity = read_activity(key)
    stopped = bool(run["ended_at"]) or shown["state"] in STOPPED

    return answers.Progress(
        run=answers.Run(**shown, triggered_by=triggered[0]["by"] if triggered else None),
        dag_run=run_path(key),
        has_plan=_has_file(kept, run_id, artifacts.PLAN_SQL),
        has_report=_has_file(kept, run_id, artifacts.REPORT_PAGE),
        steps=_steps(steps(activity, found, checked_at, now, over=stopped), now) if run["mode"] != MAINTENANCE else [],
        questions=[answers.Question(**vars(each)) for each in activity.questions],
        working=_working(activity),
        failure=_failure(spec, run_id) if shown["state"] == State.FAILED else None,
        versions=versions,
        waived=waivers(found),
        now=now,
        loads=[answers.Load(**row) for row in loads],
        throughput=series.throughput(loads, now),
        eta=None if stopped else series.eta(loads, now),
        headlines=[answers.Headline(**vars(each)) for each in headline.headlines(loads, measured)],
        waits=[answers.Wait(**row) for row in waits],
        waiting_changes=changes["waiting"] if changes else None,
        most_counted=MOST_CHANGES,
        pace=pace,
        lock_waits=[answers.LockWait(**row) for row in lock_waits],
        way_back=_way_back(run, measured),
    )


def _has_file(kept: Sequence[str], run_id: str, name: str) -> bool:
    return name in kept or artifacts.exported(run_id, name) is not None


def file(spec: TableSpec, run_id: str, name: str) -> KeptFile | None:
    """Return a file that the ledger keeps of a run; None without it. PreconditionFailed if its bytes changed."""
    with snapshot(spec.connection) as session:
        found = read_file(session, run_id, name)
    if found and not found.is_intact:
        raise PreconditionFailed(
            f"{name} in the ledger is not the file that was written: its SHA-256 is not {found.sha256}",
            where=run_id,
            remedy="Find out who changed the table reports of the ledger. To write the file again, clear the task "
            "decision.decide for a report, preflight.check_preconditions for a plan",
        )
    return found


def _names(table: TableName) -> list[str]:
    return [table.name, table.shadow.name, table.retired.name]


def _loads(session: Session, spec: TableSpec, run: Row) -> list[Row]:
    """Return the loads of a run; the table that they read has the name of the retired one after the cutover."""
    table = spec.name
    source = table.name if run["phase"] in ("opened", "shadowed", "attached") else table.retired.name
    rows = session.rows("console/watch_loads", {"run_id": run["run_id"], "schema": table.schema, "source": source})
    if not spec.interval.is_ids:
        return rows
    return [row | {end: IdMoment.of_moment(row[end]).number for end in ("lower", "upper")} for row in rows]


def _changes(session: Session, table: TableName) -> Row | None:
    """Return the number of waiting changes, at most MOST_CHANGES, and the last change; None without a change log."""
    log = table.change_log
    if session.value("maintenance/find_oid", {"schema": log.schema, "name": log.name}) is None:
        return None
    values = {"log": log.quoted, "limit": MOST_CHANGES}
    return session.row("console/count_waiting_changes", values, log=log.identifier)


def _steps(found: Iterable[Step], now: datetime) -> list[answers.Step]:
    times = (vars(each) | {"seconds": each.seconds(now), "waited": each.waited.total_seconds()} for each in found)
    return [answers.Step(**each) for each in times]


def _working(activity: Activity) -> list[answers.Work]:
    """Return the tasks at work, the longest first."""
    found = [
        answers.Work(task_id=each.task_id, state=str(each.state), count=each.count, since=each.started_at)
        for each in activity.tasks
        if each.state in AT_WORK
    ]
    return sorted(found, key=lambda each: each.since.timestamp() if each.since else float("inf"))


def _way_back(run: Row, measured: Mapping[str, Mapping[str, Row]]) -> answers.WayBack | None:
    if run["phase"] != Phase.LIVE:
        return None
    looks = measured.get(way_back.STAGE, {}).values()
    return next(
        (answers.WayBack(seconds=row["value"], looked_at=row["taken_at"], **row["detail"]) for row in looks), None
    )


def _failure(spec: TableSpec, run_id: str) -> str | None:
    with snapshot(spec.connection) as session:
        found = session.rows("console/find_failure", {"run_id": run_id, "limit": MOST_RECENT})
    return found[0]["message"] if found else None


def _run(session: Session, spec: TableSpec, run_id: str) -> Row:
    """Read a run of this table; PreconditionFailed if there is none with this id."""
    row = read_run(session, run_id)
    if row and TableName(row["table_schema"], row["table_name"]) == spec.name:
        return row
    raise PreconditionFailed(
        "the ledger has no such run of this table", where=run_id, remedy="Choose a run in the tab Past runs"
    )


def backlog(spec: TableSpec, run_id: str, after: int = 0) -> list[answers.Waiting]:
    """Return the samples of the waiting changes after an event, oldest first: of many, the highest of each piece."""
    rows = _of_run(spec, run_id, "console/list_backlog", after=after, pieces=MOST_SAMPLES)
    return [answers.Waiting(**row) for row in rows]


def server(spec: TableSpec, run_id: str) -> answers.Server:
    """Return the state of the server during a run, beside the limits of the run's spec."""
    with snapshot(spec.connection) as session:
        stored = _run(session, spec, run_id)["spec"].get("throttle") or {}
        known = {name: value for name, value in stored.items() if name in Throttle.model_fields}
        return server_state.read(session, spec.name, validated(Throttle, known, where="ledger"))


def headlines(spec: TableSpec, run_id: str) -> list[answers.Headline]:
    """Return the headline figures of a run, for two runs side by side."""
    with snapshot(spec.connection) as session:
        run = _run(session, spec, run_id)
        loads = _loads(session, spec, run)
        measured = headline.by_stage(read_measurements(session, run_id))
    return [answers.Headline(**vars(each)) for each in headline.comparable(run, loads, measured)]


def gates(spec: TableSpec, run_id: str) -> list[answers.Gate]:
    """Return the checks and the verdict of each section."""
    sections = _read(spec, run_id, read_checks)
    verdicts = (Verdict.of(section, checks) for section, checks in sections.items())
    return [
        answers.Gate(section=each.section, go=each.go, checks=[as_json(check) for check in each.checks])
        for each in verdicts
    ]


def measurements(spec: TableSpec, run_id: str) -> list[answers.Measurement]:
    """Return the measurements of a run, without the plans of its queries."""
    rows = _read(spec, run_id, read_measurements)
    return [answers.Measurement(**row) for row in rows if "plan" not in row["detail"]]


def plans(spec: TableSpec, run_id: str) -> list[answers.Compared]:
    """Return the text of each query, and its time and plan before and after the migration."""
    stages: dict[str, dict[str, answers.Timed]] = {"before": {}, "after": {}}
    with snapshot(spec.connection) as session:
        run = _run(session, spec, run_id)
        measured = read_measurements(session, run_id)

    # Until version 0.2.0 the ledger kept no text, so the spec's, with its placeholders, stands for it.
    texts = {each["name"]: each["sql"].strip() for each in run["spec"].get("queries") or ()}
    for row in measured:
        if row["stage"] in stages and "plan" in row["detail"]:
            stages[row["stage"]][row["name"]] = answers.Timed(ms=row["value"], **row["detail"])
            texts[row["name"]] = row["detail"].get("sql") or texts.get(row["name"], "")

    before, after = stages.values()
    return [
        answers.Compared(query=name, sql=texts[name], before=before.get(name), after=after.get(name))
        for name in dict.fromkeys((*before, *after))
    ]


def events(spec: TableSpec, run_id: str, **filters: Any) -> list[answers.Event]:
    """Return a page of the events of a run, newest first."""
    return page_of_events(spec, run_id, filters, PAGE)


def page_of_events(spec: TableSpec, run_id: str, filters: Mapping[str, Any], limit: int) -> list[answers.Event]:
    """Return a page of so many events of a run, newest first."""
    return [answers.Event(**row) for row in _of_run(spec, run_id, "console/list_events", limit=limit, **filters)]


def _read(spec: TableSpec, run_id: str, read: Callable[[Session, str], Result]) -> Result:
    with snapshot(spec.connection) as session:
        _run(session, spec, run_id)
        return read(session, run_id)


def _of_run(spec: TableSpec, run_id: str, name: str, **values: Any) -> list[Row]:
    with snapshot(spec.connection) as session:
        _run(session, spec, run_id)
        return session.rows(name, {"run_id": run_id, **values})
