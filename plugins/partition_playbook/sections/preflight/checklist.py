"""Make the pre-migration checklist. It only reads the database, but for the hash of the definition in the ledger."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from difflib import get_close_matches

import psycopg

from partition_playbook import catalog, figures
from partition_playbook.checks import Check, Outcome, Severity, check, skipped
from partition_playbook.database import Session
from partition_playbook.engine import layout
from partition_playbook.engine.write_rate import read_counters
from partition_playbook.errors import LedgerMissing, LoginRefused, NoConnection, SharedSession, Unreachable
from partition_playbook.names import LEDGER_SCHEMA, TableName
from partition_playbook.run import Run
from partition_playbook.sections.preflight import after_cutover, keys, planning, probes, queries, server, source
from partition_playbook.sections.preflight.context import PreflightContext, make_checks
from partition_playbook.sections.preflight.environment import CHECKS, names_fit, no_standing_run
from partition_playbook.sections.preflight.expressions import expressions
from partition_playbook.sections.preflight.first_retention import first_retention
from partition_playbook.sections.preflight.partition_column import partition_type, partition_values
from partition_playbook.sections.preflight.planning_time import planning_time
from partition_playbook.sections.preflight.privileges import (
    foreign_function_rights,
    privileges,
    statistics_privilege,
    unreadable_table,
)
from partition_playbook.sections.preflight.runway import RUNWAY
from partition_playbook.sections.preflight.time_zone import time_zone, unknown_zone
from partition_playbook.sections.preflight.unknown_catalog import unknown_catalog, unknown_options
from partition_playbook.sections.preflight.unsupported import unsupported_checks
from partition_playbook.sections.preflight.write_rate import write_rate
from partition_playbook.spec import Mode, RunParams

OLDEST_SERVER, NEWEST_SERVER = 14, 18
KINDS = {
    "r": "a plain table",
    "p": "a partitioned table",
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
}
INSUFFICIENT_PRIVILEGE = psycopg.errors.InsufficientPrivilege.sqlstate
OTHER_KIND = "only a table can become a partitioned one"
MOST_NEAR = 3
# These tell what the server says of each statement of the spec, instead of failing with its error.
READ_THE_TABLE = ("queries", "probes")
BY_PARTITION_COLUMN = (
    partition_values,
    source.partitions_planned,
    keys.inbound_keys_hold,
    source.arrival_order,
    source.index_on_partition_column,
    time_zone,
    names_fit,
    queries.queries,
    queries.query_ranges,
    queries.speedup_possible,
    planning_time,
    first_retention,
    *server.BY_PARTITION_COLUMN,
)


def preflight_checks(run: Run, params: RunParams) -> list[Check]:
    """Make the whole checklist; a missing or broken object is a failed check, never an exception.

    Only a lost connection and a lock timeout are raised, as psycopg's errors, because a retry can help. Commands of the
    application run last, while no session is open.
    """
    found = _database_checks(run, params)
    return [*found, *probes.command_checks(run.spec.application, params.mode, found)]


def _database_checks(run: Run, params: RunParams) -> list[Check]:
    started = time.perf_counter()
    with ExitStack() as stack:
        try:
            session = stack.enter_context(run.database.or_utc().session())
        except (LoginRefused, NoConnection, Unreachable) as error:
            return [_not_connected(run, f"{error.where}: {error.problem}", error.remedy)]
        except SharedSession as error:
            return [server.pooled(error)]
        session.connection.read_only = True
        latency = 1000 * (time.perf_counter() - started)
        unknown = list(unknown_zone(session, run.spec.timezone))
        return [*_server(session, latency), *(unknown or _table(session, run, params))]


def _not_connected(run: Run, problem: str, remedy: str) -> Check:
    return check(
        "connectivity",
        False,
        expected=f"a session through the Airflow connection {run.spec.connection}",
        actual=problem,
        remedy=remedy,
    )


def _server(session: Session, latency: float) -> Iterator[Check]:
    found = session.row("preflight/find_server")
    yield check(
        "connectivity",
        not found["standby"],
        expected="a session on a primary",
        actual=f"PostgreSQL {found['version']}, database {found['database']}, user {found['role']}, "
        f"connected in {figures.milliseconds(latency)}{', a standby in recovery' if found['standby'] else ''}",
        remedy="Set the host of the Airflow connection to the primary: a standby is read-only",
    )

    version = session.server_version()
    unknown = version > NEWEST_SERVER
    yield check(
        "server_version",
        OLDEST_SERVER <= version <= NEWEST_SERVER,
        expected=f"PostgreSQL {OLDEST_SERVER} to {NEWEST_SERVER}",
        actual=str(version),
        severity=Severity.WARNING if unknown else Severity.ERROR,
        remedy="The playbook is not tested with this version: rehearse on a copy first"
        if unknown
        else f"Upgrade the server to PostgreSQL {OLDEST_SERVER} or newer first",
    )


def _table(session: Session, run: Run, params: RunParams) -> Iterator[Check]:
    try:
        with run.database.block(session):
            table = catalog.describe(session, run.table)
    except psycopg.errors.InsufficientPrivilege as error:
        yield unreadable_table(session, run.table, error)
        return

    kind = KINDS[table.kind] if table else "no relation of this name, or no privilege to see it"
    plain = table is not None and table.kind in "rp"
    remedy = _near_table(session, run.table) if table is None else f"Set `table` in the spec to a table: {OTHER_KIND}"
    yield check("table_exists", plain, expected=f"{run.table} is a table", actual=kind, remedy=remedy)
    if table is None or not plain:
        return

    context = PreflightContext(run, params, session, table, read_counters(session, run.table))
    if table.is_partitioned:
        yield from make_checks(context, (source.already_partitioned, no_standing_run))
        return
    made = list(_without_repeats(_every_check(context), f"SELECT on table {table.table_name}"))
    yield from (*made, _plan(context), *planning.review(context, made))


def _near_table(session: Session, wanted: TableName) -> str:
    """Return the remedy for a name without a table: the tables of this name in other schemas, or of a similar name."""
    values = {"schema": wanted.schema, "name": wanted.name, "ledger_schema": LEDGER_SCHEMA}
    rows = session.rows("preflight/list_near_tables", values)
    found = [TableName(row["schema_name"], row["table_name"]) for row in rows]
    same = [each for each in found if each.name.lower() == wanted.name.lower()]
    by_name = {each.name: each for each in found if each.schema == wanted.schema}
    near = same or [by_name[each] for each in get_close_matches(wanted.name, by_name, n=MOST_NEAR)]
    if near:
        return f"Set `table` in the spec to its name, such as: {', '.join(map(str, near[:MOST_NEAR]))}"
    return "Correct `table` in the spec, create the table, or GRANT USAGE on its schema"


def _every_check(context: PreflightContext) -> Iterator[Check]:
    yield from make_checks(context, (unknown_options, unknown_catalog))
    yield from make_checks(context, RUNWAY)
    yield from make_checks(context, (*source.SHAPE, privileges, foreign_function_rights, statistics_privilege))
    yield from make_checks(context, (*keys.CHECKS, expressions))

    typed = list(make_checks(context, (partition_type,)))
    yield from typed
    if any(each.outcome is not Outcome.PASSED for each in typed):
        reason = "the partition column is missing or has an unsupported type: see columns_exist and partition_type"
        yield from (skipped(each.__name__, reason) for each in BY_PARTITION_COLUMN)
    else:
        yield from make_checks(context, BY_PARTITION_COLUMN)

    yield from unsupported_checks(context)
    yield from make_checks(context, (*probes.CHECKS, *server.CHECKS, *CHECKS, write_rate))
    yield from after_cutover.never_blocking(make_checks(context, after_cutover.CHECKS))


def _without_repeats(checks: Iterable[Check], read: str) -> Iterator[Check]:
    """Skip the checks that fail only for a table without the right to ``read`` it: the check of privileges names it."""
    unread = False
    for each in checks:
        unread = unread or (each.name == "privileges" and read in each.evidence.get("missing", ()))
        denied = each.evidence.get("sqlstate") == INSUFFICIENT_PRIVILEGE or each.name in READ_THE_TABLE
        skip = unread and denied and each.blocks
        yield skipped(each.name, "not evaluated: see privileges") if skip else each


def _plan(context: PreflightContext) -> Check:
    """Record the definition of table and spec as a hash: the shadow is only built while the table still has it."""
    plan_hash = layout.plan_hash(context.table, context.run.spec)
    try:
        if context.params.mode is not Mode.PLAN:
            context.run.ledger.set_plan_hash(plan_hash)
        actual, recorded = f"definition {plan_hash}", True
    except (LedgerMissing, psycopg.errors.InsufficientPrivilege) as error:
        reason = error.problem if isinstance(error, LedgerMissing) else error.diag.message_primary
        actual, recorded = f"definition {plan_hash}, not recorded: {reason}", False

    return check(
        "plan_hash",
        recorded,
        expected="the definition of the table and the spec, recorded in the ledger as a hash",
        actual=actual,
        remedy="Clear preflight.open_run: it creates the ledger and opens the run",
    )
