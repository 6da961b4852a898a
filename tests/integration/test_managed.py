"""A rehearsal on managed PostgreSQL, as simulated: it goes on without what is withheld, or a check names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from partition_playbook.artifacts import ARTIFACTS_VARIABLE
from partition_playbook.benchmark.measure import benchmark
from partition_playbook.checks import Check, Outcome, check, skipped
from partition_playbook.console import server_state
from partition_playbook.engine import attach, cutover, load, load_groups, reconcile, rollback, shadow, vacuum, verify
from partition_playbook.engine.sides import Direction
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.run import Run
from partition_playbook.sections.application.probes import probe_checks
from partition_playbook.sections.decision import report
from partition_playbook.sections.decision.criteria import criteria
from partition_playbook.sections.decision.record import RunRecord
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.sections.pruning.checks import pruning_checks
from partition_playbook.sections.pruning.retention_benefit import measure_benefit
from partition_playbook.sections.pruning.speed import BEFORE
from partition_playbook.sections.snapshot.checks import back_up
from partition_playbook.sections.snapshot.storage import SCRATCH_VARIABLE
from partition_playbook.sections.validation.checks import validation_checks
from partition_playbook.spec import Backup, RunParams, TableSpec
from staging.writers import Writers
from tests.fixtures.managed import (
    AURORA,
    AZURE,
    CLOUD_SQL,
    NEON,
    OWNER,
    REHEARSED,
    ROLE,
    SERVICES,
    SUPABASE,
    WRITER,
    Service,
)
from tests.fixtures.migration import finalize_anyway
from tests.fixtures.tables import open_run

EXTERNAL = {"backup": "external", "external_backup_at": "2026-11-23T00:00:00Z"}
DUMP = RunParams(mode="rehearse", backup="dump", accept_weaker_uniqueness=True, min_speedup=0)
# So few rows are not read faster, on whatever server.
QUERY = {
    "name": "last_month",
    "sql": "SELECT count(*) FROM {table} WHERE {partition_by} >= now() - interval '30 days'",
    "since": "now() - interval '30 days'",
    "criterion": False,
}
# Each check that says more on this service than on a server of one's own, with a part of what it says.
NAMED: dict[Service, dict[str, str]] = {
    AURORA: {"filesystems": "no right to read the location"},
    CLOUD_SQL: {
        "filesystems": "no right to read the location",
        "privileges": "SELECT for the dump on public.payroll",
        "statistics_privilege": "missing",
        "throttle": "may not see replicas and the activity of other sessions",
    },
    SUPABASE: {"filesystems": "no right to read the location", "event_triggers": "pgrst_ddl_watch"},
    AZURE: {
        "filesystems": "no right to read the location",
        "privileges": "every row for the dump: row security applies to public.payroll",
    },
    NEON: {"filesystems": "no right to read the location", "privileges": "SELECT for the dump on public.payroll"},
}
PRIVILEGES = {"privileges", "statistics_privilege"}

Connection = psycopg.Connection[Any]


def within(run: Run, section: str) -> Run:
    """Return the run as a task of a section has it."""
    return replace(run, ledger=replace(run.ledger, section=section))


def record(run: Run, section: str, checks: list[Check]) -> dict[str, Check]:
    """Record the checks of a section after making sure that they are a go; return them by name."""
    assert [str(each) for each in checks if each.blocks] == []
    within(run, section).ledger.record_checks(checks)
    return {each.name: each for each in checks}


def content(run: Run, name: str) -> Check:
    return verify.content_check(*verify.compare(run), name=name)


def rehearse(run: Run, params: RunParams) -> None:
    """Go through the sections from the snapshot to the second cutover, as the DAG does."""
    benchmark(within(run, "snapshot"), BEFORE)
    taken = record(run, "snapshot", back_up(within(run, "snapshot"), params, Path))
    if params.backup is Backup.DUMP:
        assert 'permission denied to create extension "pg_stat_statements"' in taken["restore_clean"].actual

    for group in load_groups.grouped(shadow.build(run) and run.ledger.loads()):
        load.load_group(run, group, workers=1)
    attach.attach_partitions(run)
    vacuum.vacuum_partitions(run, workers=2)
    reconcile.catch_up(run, until=100)
    record(run, "migration", [content(run, "row_content_before_cutover")])
    cutover.swap(run, Direction.FORWARD)

    record(run, "validation", validation_checks(run))
    record(run, "pruning", pruning_checks(run, min_speedup=0))
    measure_benefit(within(run, "pruning"))
    record(run, "application", probe_checks(run))
    maintenance = open_run(run.database._connect, run.spec, "maintenance", "maintenance")
    record(run, "lifecycle", list(maintain(maintenance, MaintenanceParams(table=run.spec.table, premake=5)).checks))
    record(run, "watch", [skipped("watch", "watch_minutes is 0")])

    rolled = rollback.roll_back(within(run, "rollback"))
    run.ledger.record_measurement("rollback", "rollback_seconds", rolled.seconds, "s")
    timely = check("rollback_time", True, expected="x", actual="x")
    record(run, "rollback", [content(run, "row_content_after_rollback"), timely])
    cutover.swap(run, Direction.FORWARD)


def preflight(run: Run, service: Service) -> RunParams:
    """Require that preflight names what a service withholds; return the params with which it is a go."""
    params = DUMP
    found = {each.name: each for each in preflight_checks(within(run, "preflight"), params)}
    named = {name: found[name].actual for name in NAMED[service]}
    assert [name for name, text in NAMED[service].items() if text not in named[name]] == [], named
    failed = {name for name in PRIVILEGES if found[name].outcome is Outcome.FAILED}
    assert failed == PRIVILEGES & NAMED[service].keys()

    if found["privileges"].blocks:
        assert found["privileges"].remedy.endswith("or set the param backup to external")
        params = RunParams.model_validate(DUMP.model_dump() | EXTERNAL)
        found = {each.name: each for each in preflight_checks(within(run, "preflight"), params)}
        del found["backup"]  # of an age that no test goes on being
    record(run, "preflight", list(found.values()))
    return params


@pytest.mark.parametrize("service", [each for each in SERVICES if each not in REHEARSED], ids=lambda each: each.name)
def test_preflight_names_what_else_is_withheld(
    administer: Callable[[Service], Connection], dsn: str, spec: TableSpec, service: Service, tmp_path: Path
) -> None:
    administrator = administer(service)
    administrator.execute(service.grants)  # type: ignore[call-overload]
    run = open_run(partial(psycopg.connect, make_conninfo(dsn, user=ROLE)), spec, "managed")
    assert preflight(run, service).backup is Backup.EXTERNAL
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        administrator.execute(f"ALTER ROLE {ROLE} BYPASSRLS")  # type: ignore[call-overload]


@pytest.mark.parametrize("service", REHEARSED, ids=lambda each: each.name)
def test_a_rehearsal_is_a_go_or_a_check_names_what_is_withheld(
    administer: Callable[[Service], Connection],
    connection: Connection,
    dsn: str,
    spec: TableSpec,
    service: Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ARTIFACTS_VARIABLE, str(tmp_path / "artifacts"))
    monkeypatch.setenv(SCRATCH_VARIABLE, str(tmp_path / "scratch"))
    administrator = administer(service)
    administrator.execute(service.grants)  # type: ignore[call-overload]
    calm = TableSpec.model_validate(spec.model_dump() | {"queries": [QUERY]})
    run = open_run(partial(psycopg.connect, make_conninfo(dsn, user=ROLE)), calm, "managed")

    params = preflight(run, service)
    with run.database.session() as session:
        assert server_state.read(session, run.table, run.spec.throttle).wal_bytes is None
    with Writers(make_conninfo(dsn, user=WRITER), count=2, rate=20, seed=11, late=0) as writers:
        rehearse(run, params)
        assert writers.compare().exact
        assert writers.errors == ()

    decided, told = criteria(run, params), RunRecord.read(run).notes
    assert "the server does not tell its WAL position: retention_drop_wal is not measured" in {
        each["message"] for each in told
    }
    assert [str(each) for each in decided if each.blocks] == []
    run.ledger.record_checks(decided)
    run.ledger.close("go")
    assert "GO" in report.keep(run, params)["report.md"].decode().splitlines()[0]
    finalize_anyway(run)
    assert connection.execute(OWNERS).fetchall() == [(OWNER,)]


OWNERS = "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relname ~ '^sensor_'"
