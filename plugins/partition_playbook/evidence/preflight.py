"""The pre-migration checklist: everything that can be known before anything is touched. It only reads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import psycopg

from partition_playbook import catalog
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Session
from partition_playbook.evidence import carried, pruning, source, surroundings
from partition_playbook.evidence.precondition import Look, make
from partition_playbook.evidence.privileges import lent_rights, no_look, privileges, statistics_privilege
from partition_playbook.migration import shadow
from partition_playbook.migration.run import Run
from partition_playbook.spec import Mode, RunParams

OLDEST_SERVER, NEWEST_SERVER = 14, 18
KINDS = {
    "r": "a plain table",
    "p": "a partitioned table",
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
}
BY_PARTITION_COLUMN = (*source.BY_PARTITION_COLUMN, surroundings.names_fit, pruning.query_ranges)


def checks(run: Run, params: RunParams) -> list[Check]:
    """Make the whole checklist; what is missing or broken is a failed check, never an exception.

    Only a connection that is lost half way, or a lock that is not granted, is raised: then a retry can help.
    """
    started = time.perf_counter()
    with ExitStack() as stack:
        try:
            session = stack.enter_context(run.database.session())
        except psycopg.OperationalError as error:
            return [_not_connected(run, error)]
        session.connection.read_only = True
        latency = 1000 * (time.perf_counter() - started)
        return [*_server(session, latency), *_table(session, run, params)]


def _not_connected(run: Run, error: psycopg.OperationalError) -> Check:
    return check(
        "connectivity",
        False,
        expected=f"an answer through the connection {run.spec.connection}",
        actual=str(error).strip(),
        remedy="Correct the connection, or start the server",
    )


def _server(session: Session, latency: float) -> Iterator[Check]:
    found = session.row("preflight/find_server")
    yield check(
        "connectivity",
        not found["standby"],
        expected="a primary that answers",
        actual=f"PostgreSQL {found['version']}, database {found['database']}, user {found['role']}, "
        f"connected in {latency:.1f} ms{', a standby in recovery' if found['standby'] else ''}",
        remedy="Connect to the primary: a standby cannot be written to",
    )
    version = session.server_version()
    unknown = version > NEWEST_SERVER
    yield check(
        "server_version",
        OLDEST_SERVER <= version <= NEWEST_SERVER,
        expected=f"PostgreSQL {OLDEST_SERVER} to {NEWEST_SERVER}",
        actual=str(version),
        severity=Severity.WARNING if unknown else Severity.ERROR,
        remedy="This version was never tried: rehearse on a copy first" if unknown else "Upgrade the server first",
    )


def _table(session: Session, run: Run, params: RunParams) -> Iterator[Check]:
    try:
        with run.database.block(session):
            table = catalog.describe(session, run.table)
    except psycopg.errors.InsufficientPrivilege as error:
        yield no_look(session, run.table, error)
        return
    kind = KINDS[table.kind] if table else "nothing of that name, or no right to see it"
    plain = table is not None and table.kind in "rp"
    remedy = "Correct `table` in the spec, or create the table"
    yield check("table_exists", plain, expected=f"{run.table} is a table", actual=kind, remedy=remedy)
    if table is None or not plain:
        return
    look = Look(run, params, session, table)
    if table.is_partitioned:
        yield from make(look, (source.already_partitioned, surroundings.no_standing_run))
        return
    yield from _every_check(look)
    yield _plan(look)


def _every_check(look: Look) -> Iterator[Check]:
    yield from make(look, (*source.SHAPE, privileges, lent_rights, statistics_privilege, *source.KEYS))
    typed = list(make(look, (source.partition_type,)))
    yield from typed
    if any(each.blocks for each in typed):
        reason = "the partition column must be put right first"
        yield from (skipped(each.__name__, reason) for each in BY_PARTITION_COLUMN)
    else:
        yield from make(look, BY_PARTITION_COLUMN)
    yield from carried.checks(look)
    yield from make(look, surroundings.CHECKS)


def _plan(look: Look) -> Check:
    """Show the plan's hash, and record it: the shadow is only built from a table that is still the same."""
    plan_hash = shadow.plan_hash(look.table, look.run.spec)
    try:
        if look.params.mode is not Mode.PLAN:
            look.run.ledger.set_plan_hash(plan_hash)
        actual, recorded = plan_hash, True
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege) as error:
        actual, recorded = f"{plan_hash}, not recorded: {error.diag.message_primary}", False
    return check(
        "plan_hash",
        recorded,
        expected="one value for the shape of the table and the spec",
        actual=actual,
        remedy="Open the run in the ledger first",
    )
