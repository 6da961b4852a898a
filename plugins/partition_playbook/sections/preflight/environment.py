"""Check the environment of the table: names, earlier runs, load, other transactions, backup, monitoring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from http.client import HTTPException
from urllib.error import URLError
from urllib.request import urlopen

import pendulum
import psycopg

from partition_playbook import catalog, figures
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Limits
from partition_playbook.engine import doubled, materialized_views
from partition_playbook.engine.layout import with_outliers
from partition_playbook.engine.throttle import excesses
from partition_playbook.errors import PreconditionFailed
from partition_playbook.intervals import in_zone
from partition_playbook.lock_retry import TRANSIENT_ERRORS, session_name
from partition_playbook.names import LEDGER_SCHEMA, RETIRED_SUFFIX, SHADOW_SUFFIX, clip
from partition_playbook.run import Run
from partition_playbook.sections.preflight import triggers, workload
from partition_playbook.sections.preflight.context import PreflightContext
from partition_playbook.sections.snapshot import pg_tools
from partition_playbook.sections.snapshot.pgbackrest import BACKUP_HOURS
from partition_playbook.spec import Backup

# Each partition has it until it is attached: see engine/create_partition.sql.
BOUNDS_CONSTRAINT = "partition_playbook_bounds"
LONG_SECONDS = 60
HTTP_SECONDS = 5
TRIAL = Limits(lock_timeout=2_000, statement_timeout=10_000)
EVENT_TRIGGERS = (
    "Check that their functions allow CREATE, ALTER and DROP TABLE of this role. If one misses a table or function, "
    "give it a search path with ALTER FUNCTION … SET search_path = …: the playbook's sessions have none of the "
    "application's. Or disable them for the migration with ALTER EVENT TRIGGER … DISABLE"
)


def names_fit(context: PreflightContext) -> Check:
    """Check that the names of all new objects are distinct and free, each in its own schema."""
    if context.standing_run:
        return skipped("names_fit", f"run {context.standing_run} holds names of this table: see no_standing_run")
    relations, statistics = list(_planned_relations(context)), list(_planned_statistics(context))
    twice = {f"{schema}.{name}" for planned in (relations, statistics) for schema, name in _repeated(planned)}
    values = {
        "schemas": [schema for schema, _ in relations],
        "names": [name for _, name in relations],
        "statistics_schemas": [schema for schema, _ in statistics],
        "statistics_names": [name for _, name in statistics],
    }
    taken = context.session.rows("preflight/list_taken_names", values)
    bounds = {f"constraint {each.name}" for each in context.table.constraints if each.name == BOUNDS_CONSTRAINT}
    clashes = sorted(twice | bounds | {row["name"] for row in taken})
    return check(
        "names_fit",
        not clashes,
        expected="every name within 63 bytes, distinct and free",
        actual=f"taken: {', '.join(clashes)}"
        if clashes
        else f"{figures.count(len(relations) + len(statistics), 'name')}, all free",
        remedy="Rename the objects with these names; drop them if an earlier migration left them",
    )


def _repeated(planned: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    return {each for each, times in Counter(planned).items() if times > 1}


def _swapped(schema: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the names beside a name that is swapped: that of the shadow's object, and that of the retired one's."""
    yield from ((schema, clip(name, suffix)) for suffix in (SHADOW_SUFFIX, RETIRED_SUFFIX))


def _planned_relations(context: PreflightContext) -> Iterator[tuple[str, str]]:
    table = context.run.table
    yield from ((table.schema, each.name) for each in (table.shadow, table.retired, table.default))
    if not doubled.matches(context.session, context.table, table):  # an earlier rollback may have left it
        yield table.schema, table.doubled.name
    if context.run.spec.retention:
        yield table.schema, table.retention_proof.name
    with suppress(PreconditionFailed):  # too many partitions: partitions_planned reports it
        planned = with_outliers(context.bounds, context.run.spec)
        yield from ((table.schema, table.partition(each.suffix).name) for each in planned if not each.is_default)
    for row in context.session.rows("catalog/list_sequences", context.name):
        if row["identity"]:
            yield from _swapped(row["schema"], row["name"])
    for index in context.table.indexes:
        yield from _swapped(table.schema, index.name)
    for view in materialized_views.find(context.session, table):
        described = catalog.require(context.session, view)
        for name in (view.name, *(index.name for index in described.indexes)):
            yield from _swapped(view.schema, name)


def _planned_statistics(context: PreflightContext) -> Iterator[tuple[str, str]]:
    views = materialized_views.find(context.session, context.run.table)
    for relation in (context.table, *(catalog.require(context.session, view) for view in views)):
        for each in relation.extended_statistics:
            yield from _swapped(each.schema, each.name)


def no_standing_run(context: PreflightContext) -> Check:
    """Refuse to start while another migration of the table is unfinished or has left objects behind."""
    table = context.run.table
    values = {"shadow": table.shadow.name, "retired": table.retired.name, "change_log": table.change_log.name}
    strays = context.session.rows("preflight/list_strays", context.name | values | {"ledger_schema": LEDGER_SCHEMA})
    standing = context.other_standing_run
    found = [f"run {standing}"] if standing else []
    found += [row["name"] for row in strays]

    if standing:
        remedy = "Trigger partition_rollback to undo that run, or partition_finalize to drop its retired table"
    elif context.standing_run:
        remedy = "They are this run's own: clear its failed task instead of preflight, or trigger partition_rollback"
    else:
        remedy = "No run in the ledger owns these: inspect them, then DROP or rename them"
    return check(
        "no_standing_run",
        not found,
        expected="no unfinished migration of this table and none of its objects",
        actual="; ".join(found) or "none",
        remedy=remedy,
        evidence={"run_id": standing},
    )


def throttle(context: PreflightContext) -> Check:
    """Warn if loads would wait from the start, or if this role may not see the load of the server."""
    limits, load = context.run.spec.throttle, context.session.row("engine/measure_load")
    unseen = not load["sees_all"] and (limits.max_replica_lag or limits.max_running is not None)
    problems = [text for _, text in excesses(limits, load)]
    if unseen:
        problems.append("this role may not see replicas and the activity of other sessions")

    return check(
        "throttle",
        not problems,
        expected=f"{limits}",
        actual="; ".join(problems)
        or f"{figures.count(load['connections'], 'connection')}, "
        f"{figures.count(load['running'], 'active session')}, replica lag {figures.seconds(load['replica_lag'] or 0)}",
        severity=Severity.WARNING,
        remedy="Loads wait while a limit is exceeded: raise it in `throttle` of the spec. GRANT pg_read_all_stats to "
        "the role of the connection to see the load",
    )


def long_transactions(context: PreflightContext) -> Check:
    """Warn of long transactions on the table: the cutover would wait for them."""
    found = context.session.rows("preflight/list_long_transactions", context.name)
    unseen = sum(row["seconds"] is None for row in found)
    long = [row for row in found if (row["seconds"] or 0) > LONG_SECONDS]
    named = [
        f"{session_name(row)} {row['state']} for {figures.seconds(row['seconds'])}: {row['query']}" for row in long
    ]
    hidden = f" (and {unseen} of an age hidden from this role)" if unseen else ""

    return check(
        "long_transactions",
        not long,
        expected=f"no transaction on the table older than {figures.seconds(LONG_SECONDS)}",
        actual=("; ".join(named) or "none") + hidden,
        severity=Severity.WARNING,
        remedy="End them before the cutover, with pg_terminate_backend(pid) if they are idle: the cutover waits for "
        "them; it never terminates a session",
    )


def prepared_transactions(context: PreflightContext) -> Check:
    """Refuse to start while an old prepared transaction holds a lock on the table."""
    found = context.session.rows("preflight/list_prepared_transactions", context.name)
    long = [row for row in found if row["seconds"] > LONG_SECONDS]
    old = [f"{row['gid']!r} of {row['owner']}, {figures.seconds(row['seconds'])} old" for row in long]

    return check(
        "prepared_transactions",
        not old,
        expected=f"no prepared transaction on the table older than {figures.seconds(LONG_SECONDS)}",
        actual="; ".join(old) or "none",
        remedy="Run COMMIT PREPARED or ROLLBACK PREPARED for each: change capture cannot start while they hold their "
        "locks",
    )


def event_triggers(context: PreflightContext) -> Check:
    """Warn of event triggers, which fire on the statements of the migration; one that refuses them is a no-go."""
    found = [row["name"] for row in context.session.rows("preflight/list_event_triggers")]
    refusal = event_trigger_refusal(context.run) if found else ""
    names = "; ".join(found) or "none"
    return check(
        "event_triggers",
        not found,
        expected="none",
        actual=f"{names}; one of them refuses a statement: {refusal}" if refusal else names,
        severity=Severity.ERROR if refusal else Severity.WARNING,
        remedy=EVENT_TRIGGERS,
    )


def event_trigger_refusal(run: Run) -> str:
    """Return the error of a function in a trial that creates, alters and drops a table; empty if there is none.

    The table has the name of the shadow, for triggers that look at names. All effects are rolled back.
    """
    with run.database.session(TRIAL) as session:
        if catalog.describe(session, run.table.shadow):
            return ""
        try:
            with session.connection.transaction(force_rollback=True):
                session.run("preflight/try_statements", table=run.table.shadow.identifier)
        except TRANSIENT_ERRORS:
            raise
        except psycopg.Error as error:
            if session.connection.closed:
                raise
            function = (error.diag.context or "").partition("\n")[0]
            return f"{error.sqlstate} {error.diag.message_primary or error} in {function}" if function else ""
        finally:
            session.journal.clear()
    return ""


def backup(context: PreflightContext) -> Check:
    """Check the age of an external backup, or find pg_dump and pg_restore; ToolMissing if they are absent or old."""
    match context.params.backup:
        case Backup.SKIP:
            return skipped("backup", "the param `backup` of this rehearsal is skip")
        case Backup.EXTERNAL:
            return _external_backup(context)
        case Backup.DUMP:
            server = context.session.server_version()
            tools = [pg_tools.find(name, server) for name in ("pg_dump", "pg_restore")]
            found = ", ".join(f"{tool.name} {pg_tools.version(tool)}" for tool in tools)
            return check("backup", True, expected=f"pg_dump and pg_restore of version {server} or newer", actual=found)


def _external_backup(context: PreflightContext) -> Check:
    given = context.params.external_backup_at or ""
    taken = pendulum.parse(given, strict=False) if given else None
    age = (pendulum.now("UTC") - in_zone(taken, "UTC")).total_hours() if isinstance(taken, pendulum.DateTime) else None
    shown = "" if age is None else figures.seconds(3600 * age) + " ago"
    named = f", id {context.params.external_backup_id}" if context.params.external_backup_id else ""

    return check(
        "backup",
        age is not None and 0 <= age < BACKUP_HOURS,
        expected=f"a backup from the last {figures.count(BACKUP_HOURS, 'hour')}",
        actual=f"taken at {given}, {shown}{named}" if age is not None else f"external_backup_at is {given!r}",
        remedy="Take a backup, restore it once to check it, and set the param external_backup_at to its time",
    )


def monitoring(context: PreflightContext) -> Check:
    """Request every monitoring endpoint of the spec."""
    endpoints = context.run.spec.monitoring.endpoints
    if not endpoints:
        return skipped("monitoring", "the spec has no monitoring.endpoints")
    answers = {name: _answer(url) for name, url in endpoints.items()}
    silent = {name: answer for name, answer in answers.items() if answer != "ok"}

    return check(
        "monitoring",
        not silent,
        expected=f"an answer from {', '.join(endpoints)}",
        actual="; ".join(f"{name}: {answer}" for name, answer in silent.items()) or "all answer",
        remedy="Start these services, or correct monitoring.endpoints in the spec",
        evidence=answers,
    )


def _answer(url: str) -> str:
    """Return ok or the problem; never the address, because it may hold a token."""
    if not url.lower().startswith(("http://", "https://")):
        return "not an http or https address"
    try:
        with urlopen(url, timeout=HTTP_SECONDS):
            return "ok"
    except URLError as error:
        return str(error.reason) if not hasattr(error, "code") else f"status {error.code}"
    except (OSError, ValueError, HTTPException) as error:
        return type(error).__name__


CHECKS = (
    no_standing_run,
    throttle,
    long_transactions,
    prepared_transactions,
    event_triggers,
    *triggers.CHECKS,
    *workload.CHECKS,
    backup,
    monitoring,
)
