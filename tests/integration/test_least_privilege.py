"""The role that the README documents can do all of it, and what it lacks is named before anything is touched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from partition_playbook.artifacts import ARTIFACTS_VARIABLE
from partition_playbook.benchmark.measure import benchmark
from partition_playbook.checks import Check, Outcome
from partition_playbook.database import Database
from partition_playbook.engine import (
    attach,
    capture,
    cutover,
    layout,
    load,
    plan,
    reconcile,
    rollback,
    shadow,
    vacuum,
)
from partition_playbook.engine.sides import Direction
from partition_playbook.ledger import Ledger
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.run import Run
from partition_playbook.sections.application.probes import probe_checks
from partition_playbook.sections.data_preparation.rows import generate, slices
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.sections.pruning.checks import pruning_checks
from partition_playbook.sections.pruning.retention_benefit import measure_benefit
from partition_playbook.sections.snapshot import backup
from partition_playbook.sections.snapshot.checks import back_up
from partition_playbook.sections.snapshot.storage import SCRATCH_VARIABLE
from partition_playbook.sections.validation.checks import validation_checks
from partition_playbook.spec import RunParams, TableSpec
from staging.writers import Writers
from tests.fixtures.footprint import objects
from tests.fixtures.migration import finalize_anyway
from tests.fixtures.tables import fill_readings, open_run

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCKS = re.findall(r"```sql\n(.*?)```", README.read_text(), re.DOTALL)
(DOCUMENTED,) = (block for block in BLOCKS if "CREATE ROLE" in block)
ROLE, OWNER, WRITER = "partition_playbook", "app", "app_writer"
PARAMS = RunParams(mode="rehearse", backup="dump", accept_weaker_uniqueness=True)
# The server as its administrator has hardened it, an application with a role for itself, and a table of somebody else.
SURROUNDINGS = f"""
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE ROLE {OWNER};
CREATE ROLE {WRITER} LOGIN;
GRANT USAGE ON SCHEMA public TO {OWNER}, {WRITER};
ALTER TABLE sensor_readings OWNER TO {OWNER};
GRANT SELECT, INSERT, UPDATE, DELETE ON sensor_readings TO {WRITER};
GRANT SELECT ON units, devices TO {WRITER};
CREATE TABLE payroll (salary numeric);
INSERT INTO payroll VALUES (1);
"""
VARIANTS = {
    "as documented": DOCUMENTED,
    "with the right to make the ledger": f"{DOCUMENTED}; DROP SCHEMA partition_playbook;"
    f"DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {ROLE}', current_database()); END $$",
    "as the owner itself": f"{DOCUMENTED}; ALTER TABLE sensor_readings OWNER TO {ROLE}; REVOKE {OWNER} FROM {ROLE};"
    f"GRANT USAGE, CREATE ON SCHEMA public TO {ROLE}",
}

Connection = psycopg.Connection[Any]


@pytest.fixture
def administrator(connection: Connection) -> Iterator[Connection]:
    """Return a superuser's connection to a database with the worked table and the application's roles."""
    fill_readings(connection, 10_000)
    connection.execute(SURROUNDINGS)
    yield connection
    for role in (ROLE, WRITER, OWNER):
        if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
            connection.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")  # type: ignore[call-overload]


@pytest.fixture
def limited_dsn(dsn: str) -> str:
    """Return the connection string of the documented role."""
    return make_conninfo(dsn, user=ROLE)


@pytest.fixture
def documented(administrator: Connection, limited_dsn: str, spec: TableSpec) -> Run:
    """Return a run of the documented role."""
    administrator.execute(DOCUMENTED)  # type: ignore[call-overload]
    return open_run(partial(psycopg.connect, limited_dsn), spec, "limited-run")


def go(checks: list[Check]) -> dict[str, Check]:
    """Return checks by name after making sure that they are a go."""
    assert [str(each) for each in checks if each.blocks] == []
    return {each.name: each for each in checks}


def build(run: Run) -> None:
    for planned in shadow.build(run):
        load.load_partition(run, planned["partition_name"], workers=1)
    attach.attach_partitions(run)
    vacuum.vacuum_partitions(run, workers=2)
    reconcile.catch_up(run, until=100)


def maintained(run: Run, store: Path | None = None, **changes: Any) -> dict[str, Any]:
    """Maintain the table as the run's role does, with another spec; return what was done."""
    spec = TableSpec.model_validate(run.spec.model_dump() | changes)
    other = open_run(run.database._connect, spec, f"maintenance-{changes}", "maintenance")
    done = maintain(other, MaintenanceParams(table=spec.table), lambda url: store)
    go(list(done.checks))
    return done.summary


def pruned(run: Run) -> list[Check]:
    """Return the checks of the plans; so few rows are not read faster, whoever reads them."""
    return [each for each in pruning_checks(run, min_speedup=0) if each.name.startswith("pruned_")]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_documented_role_can_do_all_of_it(
    administrator: Connection,
    limited_dsn: str,
    spec: TableSpec,
    variant: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Two processes of the tests have runs of the same id: one would take the other's scratch files for its leftovers.
    monkeypatch.setenv(ARTIFACTS_VARIABLE, str(tmp_path / "artifacts"))
    monkeypatch.setenv(SCRATCH_VARIABLE, str(tmp_path / "scratch"))
    administrator.execute(VARIANTS[variant])  # type: ignore[call-overload]
    run = open_run(partial(psycopg.connect, limited_dsn), spec, "limited-run")
    with Writers(make_conninfo(limited_dsn, user=WRITER), count=2, rate=20, seed=11) as writers:
        assert "all granted" in go(preflight_checks(run, PARAMS))["privileges"].actual
        benchmark(run, "before")
        assert go(back_up(run, PARAMS, Path))["restore_clean"].outcome is Outcome.PASSED
        build(run)
        cutover.swap(run, Direction.FORWARD)
        proved = go([*validation_checks(run), *probe_checks(run), *pruned(run)])
        assert proved["foreign_keys_enforced"].outcome is Outcome.PASSED
        measure_benefit(run)
        assert maintained(run, premake=5)["created"]
        rollback.roll_back(run)
        cutover.swap(run, Direction.FORWARD)
        assert writers.compare().exact
        assert writers.errors == ()
        finalize_anyway(run)
        retention = {
            "keep": "3 months",
            "grace": "0 days",
            "max_share": 1,
            "action": "archive",
            "archive_to": "file:///x",
        }
        retired = maintained(run, tmp_path, retention=retention, default_partition="none")
        assert retired["archived"] == retired["dropped"] != []
    assert owners(administrator) == {ROLE if variant == "as the owner itself" else OWNER}


def owners(connection: Connection) -> set[str]:
    """Return the owners of the table, its partitions and its sequences."""
    query = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname ~ '^sensor_' AND relkind IN ('r', 'p', 'S')"
    return {owner for (owner,) in connection.execute(query)}


def test_the_documented_role_plans_and_abandons_without_a_trace(documented: Run, administrator: Connection) -> None:
    before = objects(administrator)
    assert any("CREATE TABLE" in line for line in plan.describe(documented, PARAMS))
    (first, *_) = shadow.build(documented)
    load.load_partition(documented, first["partition_name"], workers=1)
    capture.backlog(documented)
    rollback.abandon(documented)
    assert objects(administrator) == before


LOST: dict[str, tuple[str, list[str]]] = {
    "the owner's rights": (
        f"REVOKE {OWNER} FROM {ROLE}",
        [
            "membership in the owner app, with its privileges",
            "DELETE on table public.sensor_readings",
            "INSERT on table public.sensor_readings",
            "TRIGGER on table public.sensor_readings",
            "CREATE on schema public",
        ],
    ),
    "a right that the owner gave up": (
        f"REVOKE TRIGGER ON sensor_readings FROM {OWNER}",
        ["TRIGGER on table public.sensor_readings"],
    ),
    "keys to another table": (
        f"REVOKE REFERENCES ON devices FROM {ROLE}",
        ["REFERENCES on table public.devices"],
    ),
    "reading what keys refer to": (
        f"REVOKE SELECT ON devices FROM {ROLE}; REVOKE pg_read_all_data FROM {ROLE}; DROP TABLE payroll",
        ["SELECT on table public.devices", "SELECT for the dump on public.devices"],
    ),
    "another schema": (
        f"CREATE SCHEMA assets; ALTER TABLE devices SET SCHEMA assets; REVOKE pg_read_all_data FROM {ROLE}",
        ["USAGE on schema assets", "SELECT for the dump on assets.devices, public.payroll"],
    ),
    "the schema, for the owner": (
        f"REVOKE CREATE ON SCHEMA public FROM {OWNER}",
        ["CREATE on schema public", "CREATE on schema public for the owner app"],
    ),
    "a type": (
        "CREATE TYPE grade AS ENUM ('good'); REVOKE USAGE ON TYPE grade FROM PUBLIC; "
        "ALTER TABLE sensor_readings ADD grade grade",
        ["USAGE on type public.grade"],
    ),
    "a function": (
        "CREATE FUNCTION plausible(numeric) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN $1 > -300; "
        "REVOKE EXECUTE ON FUNCTION plausible FROM PUBLIC; "
        "ALTER TABLE sensor_readings ADD CHECK (plausible(temperature))",
        ["EXECUTE on function public.plausible(numeric)"],
    ),
    "a schema for the twin of a materialized view": (
        "CREATE MATERIALIZED VIEW latest AS SELECT max(recorded_at) FROM sensor_readings; "
        f"ALTER MATERIALIZED VIEW latest OWNER TO {OWNER}",
        ["CREATE on database {database} for the twins of materialized views: latest"],
    ),
    "a place for the ledger": (
        "DROP SCHEMA partition_playbook CASCADE",
        ["CREATE on database {database} for the ledger"],
    ),
    "the ledger's schema": (
        "ALTER SCHEMA partition_playbook OWNER TO CURRENT_USER",
        ["USAGE, CREATE and writes for the ledger in schema partition_playbook"],
    ),
    "the ledger's tables": (
        "ALTER TABLE partition_playbook.events OWNER TO CURRENT_USER",
        ["USAGE, CREATE and writes for the ledger in schema partition_playbook"],
    ),
    "a scratch database": (f"ALTER ROLE {ROLE} NOCREATEDB", ["CREATEDB for the restore check"]),
    "reading for the dump": (f"REVOKE pg_read_all_data FROM {ROLE}", ["SELECT for the dump on public.payroll"]),
    "every row": (
        "ALTER TABLE sensor_readings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        [
            "every row of public.sensor_readings: row security applies to partition_playbook",
            "every row for the dump: row security applies to public.sensor_readings",
        ],
    ),
    "every row of another table": (
        "ALTER TABLE payroll ENABLE ROW LEVEL SECURITY",
        ["every row for the dump: row security applies to public.payroll"],
    ),
}
TABLESPACES = ("playbook_slow", "playbook_fast", "playbook_free")
FORMERLY = (f"ALTER ROLE {ROLE} NOINHERIT",)
SINCE_16 = (f"GRANT {OWNER} TO {ROLE} WITH INHERIT FALSE", f"GRANT {OWNER} TO {ROLE} WITH SET FALSE")


def privileges(run: Run) -> Check:
    return {each.name: each for each in preflight_checks(run, PARAMS)}["privileges"]


def remedies(check: Check) -> list[str]:
    """Return the statements of a remedy, each without its alternative."""
    return [each.partition(", or ")[0] for each in check.remedy.split("; ")]


@pytest.mark.parametrize("lost", LOST)
def test_what_is_lost_is_named_and_its_remedy_heals_it(documented: Run, administrator: Connection, lost: str) -> None:
    assert not privileges(documented).blocks
    change, missing = LOST[lost]
    administrator.execute(change)  # type: ignore[call-overload]
    found = privileges(documented)
    assert found.evidence["missing"] == [each.format(database=administrator.info.dbname) for each in missing]
    for remedy in remedies(found):
        administrator.execute(remedy)  # type: ignore[call-overload]
    assert not privileges(documented).blocks, privileges(documented)
    documented.ledger.open(documented.table, "rehearse", {}, {})
    documented.ledger.add_note("The ledger can be written to")


@pytest.fixture
def tablespaces(administrator: Connection) -> Iterator[None]:
    """Let the table and two of its indexes lie in tablespaces of somebody else, one of them open to all."""
    administrator.execute("SET allow_in_place_tablespaces = on")
    for name in TABLESPACES:
        administrator.execute(f"CREATE TABLESPACE {name} LOCATION ''")  # type: ignore[call-overload]
    administrator.execute(
        """
        ALTER TABLE sensor_readings SET TABLESPACE playbook_slow;
        CREATE INDEX fast ON sensor_readings (battery) TABLESPACE playbook_fast;
        CREATE INDEX free ON sensor_readings (humidity) TABLESPACE playbook_free;
        GRANT CREATE ON TABLESPACE playbook_free TO PUBLIC
        """
    )
    yield
    administrator.execute("DROP TABLE IF EXISTS sensor_readings CASCADE")
    for name in TABLESPACES:
        administrator.execute(f"DROP TABLESPACE {name}")  # type: ignore[call-overload]


@pytest.mark.since(15)  # tablespaces without a folder of their own
def test_tablespaces_that_partitions_must_go_to_are_named(
    administrator: Connection, tablespaces: None, documented: Run
) -> None:
    found = privileges(documented)
    assert found.evidence["missing"] == ["CREATE on tablespace playbook_fast", "CREATE on tablespace playbook_slow"]
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="tablespace playbook_slow"):
        build(documented)
    for remedy in remedies(found):
        administrator.execute(remedy)  # type: ignore[call-overload]
    assert not privileges(documented).blocks
    build(documented)
    rollback.abandon(documented)


def test_sequences_of_others_are_named_where_rows_are_generated(documented: Run, administrator: Connection) -> None:
    administrator.execute(
        """
        CREATE SCHEMA numbers;
        CREATE SEQUENCE numbers.batch;
        ALTER TABLE sensor_readings ADD batch bigint DEFAULT nextval('numbers.batch')
        """
    )
    assert not privileges(documented).blocks, "a copy of a row takes no number"
    params = PARAMS.model_copy(update={"synthetic_rows": 10, "allow_existing_rows": True})
    found = {each.name: each for each in preflight_checks(documented, params)}["privileges"]
    assert found.evidence.get("missing") == ["USAGE on sequence numbers.batch"], found
    for remedy in remedies(found):
        administrator.execute(remedy)  # type: ignore[call-overload]
    go(preflight_checks(documented, params))
    assert sum(generate(documented, params, each) for each in slices(documented, params))


def test_membership_must_bring_the_owners_rights(documented: Run, administrator: Connection) -> None:
    administrator.execute(f"GRANT USAGE ON SCHEMA public TO {ROLE}")  # type: ignore[call-overload]
    for change in SINCE_16 if administrator.info.server_version >= 160000 else FORMERLY:
        administrator.execute(change)  # type: ignore[call-overload]
        found = privileges(documented)
        assert found.evidence["missing"][0] == "membership in the owner app, with its privileges"
        for remedy in remedies(found):
            administrator.execute(remedy)  # type: ignore[call-overload]
        assert not privileges(documented).blocks, change


def test_remedy_after_remedy_makes_a_role_without_any_right_able_to_run(
    administrator: Connection, limited_dsn: str, spec: TableSpec
) -> None:
    administrator.execute(f"CREATE ROLE {ROLE} LOGIN")  # type: ignore[call-overload]
    database = Database(partial(psycopg.connect, limited_dsn))
    run = Run(spec, database, Ledger(database, "limited-run"))
    rounds = 0
    while (found := privileges(run)).blocks and rounds < 3:
        rounds += 1
        for remedy in remedies(found):
            administrator.execute(remedy)  # type: ignore[call-overload]
    assert rounds == 2, "one to be let in to look, one for all the rest"
    run = open_run(partial(psycopg.connect, limited_dsn), spec, "limited-run")
    go(preflight_checks(run, PARAMS))


def test_a_backup_of_somebody_else_needs_neither_createdb_nor_every_table(
    documented: Run, administrator: Connection
) -> None:
    administrator.execute(f"ALTER ROLE {ROLE} NOCREATEDB; REVOKE pg_read_all_data FROM {ROLE}")  # type: ignore[call-overload]
    external = RunParams(mode="rehearse", backup="skip")
    assert not {each.name: each for each in preflight_checks(documented, external)}["privileges"].blocks


def test_what_a_dba_made_is_used_by_a_role_that_may_make_nothing(
    documented: Run, administrator: Connection, limited_dsn: str
) -> None:
    """The ledger is complete and somebody else's; only the change log and its function are made by the role."""
    documented.ledger.close("no-go")
    administrator.execute(
        f"""
        REASSIGN OWNED BY {ROLE} TO CURRENT_USER;
        GRANT USAGE, CREATE ON SCHEMA partition_playbook TO {ROLE};
        GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA partition_playbook TO {ROLE}
        """  # type: ignore[call-overload]
    )
    run = open_run(partial(psycopg.connect, limited_dsn), documented.spec, "second-run")
    assert not privileges(run).blocks
    backup.take_statistics(run)
    build(run)
    cutover.swap(run, Direction.FORWARD)
    rollback.roll_back(run)
    rollback.abandon(run)


def test_a_policy_never_hides_a_row_without_a_word(
    documented: Run, administrator: Connection, limited_dsn: str
) -> None:
    administrator.execute("ALTER TABLE sensor_readings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    administrator.execute("CREATE POLICY few ON sensor_readings USING (battery > 50)")
    with (
        Database(partial(psycopg.connect, limited_dsn)).session() as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="would be affected by row-level security"),
    ):
        layout.find_range(session, documented.spec)
    blocking = {each.name for each in preflight_checks(documented, PARAMS) if each.blocks}
    assert {"privileges", "partition_values"} <= blocking, "rows that are hidden are not counted as good"


def test_the_documented_role_splits_the_default_partition(documented: Run, administrator: Connection) -> None:
    build(documented)
    cutover.swap(documented, Direction.FORWARD)
    administrator.execute(
        "INSERT INTO sensor_readings (unit_id, device_id, recorded_at) SELECT unit_id, device_id, now() + '4 months'"
        " FROM sensor_readings LIMIT 50"
    )
    other = open_run(documented.database._connect, documented.spec, "splits", "maintenance")
    done = maintain(other, MaintenanceParams(premake=5, max_moved_rows=10))
    go(list(done.checks))
    assert (len(done.summary["split"]), done.summary["moved_rows"]) == (1, 50)
