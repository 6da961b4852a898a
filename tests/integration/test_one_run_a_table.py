"""The ledger lets one migration of a table stand at a time, and knows the database to which it belongs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from partition_playbook.database import Database
from partition_playbook.engine import shadow
from partition_playbook.errors import RunStands, WrongDatabase
from partition_playbook.ledger import MAINTENANCE, SUPERSEDED, Ledger, Phase
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec, load_spec
from tests.fixtures.earlier import RUN_ID, restore_first_build
from tests.fixtures.tables import open_run

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]
SPEC = load_spec("sensor_readings")
OTHER = SPEC.model_copy(update={"table": "public.others"})


@pytest.fixture
def opened(connect: Connect) -> Run:
    """Return the first run of the worked table."""
    return open_run(connect, SPEC, "first")


def reach(run: Run, phase: Phase) -> None:
    with run.database.session() as session:
        run.ledger.set_phase(session, phase)


@pytest.mark.parametrize(
    ("phase", "step"),
    [
        (Phase.OPENED, "mark it as failed in Airflow"),
        (Phase.SHADOWED, "partition_rollback"),
        (Phase.ATTACHED, "partition_rollback"),
        (Phase.LIVE, "partition_finalize"),
        (Phase.ROLLED_BACK, "partition_rollback"),
    ],
)
def test_a_second_run_is_refused_by_name_with_what_to_do(
    opened: Run, connect: Connect, phase: Phase, step: str
) -> None:
    reach(opened, phase)
    with pytest.raises(RunStands, match=f"run first of this table is {phase} since .*{step}"):
        open_run(connect, SPEC, "second")
    assert opened.ledger.run()["verdict"] is None


@pytest.mark.parametrize("phase", [Phase.ABANDONED, Phase.FINALIZED])
def test_a_run_whose_migration_ended_is_in_nobodys_way(opened: Run, connect: Connect, phase: Phase) -> None:
    reach(opened, phase)
    open_run(connect, SPEC, "second")


def test_a_verdict_before_anything_was_built_ends_a_run(opened: Run, connect: Connect) -> None:
    opened.ledger.close("no-go")
    open_run(connect, SPEC, "second")


def test_the_run_itself_another_table_and_maintenance_are_let_in(opened: Run, connect: Connect) -> None:
    reach(opened, Phase.LIVE)
    open_run(connect, SPEC, "first")
    open_run(connect, OTHER, "other")
    open_run(connect, SPEC, "maintenance", MAINTENANCE)


def test_of_runs_opened_at_once_exactly_one_is_let_in(connect: Connect) -> None:
    open_run(connect, OTHER, "the ledger is there")

    def attempt(number: int) -> str:
        try:
            return open_run(connect, SPEC, f"run {number}").ledger.run_id
        except RunStands as error:
            return error.run_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(attempt, range(8)))) == 1


def test_an_opened_run_that_airflow_knows_to_be_over_is_superseded(opened: Run, connect: Connect) -> None:
    ledger = Ledger(Database(connect), "second", "preflight")
    assert ledger.opened_runs(SPEC.name) == ["first"]
    ledger.open(SPEC.name, "rehearse", SPEC.model_dump(mode="json"), {}, ended=["first"])
    found = opened.ledger.run()
    assert (found["verdict"], found["ended_at"] is None) == (SUPERSEDED, False)
    assert opened.ledger.events()[-1]["message"].startswith("superseded by run second")


def test_a_run_that_stands_is_not_superseded(opened: Run, connect: Connect) -> None:
    reach(opened, Phase.ATTACHED)
    ledger = Ledger(Database(connect), "second", "preflight")
    assert ledger.opened_runs(SPEC.name) == []
    with pytest.raises(RunStands):
        ledger.open(SPEC.name, "rehearse", SPEC.model_dump(mode="json"), {}, ended=["first"])


def test_a_superseded_run_that_goes_on_builds_nothing(
    readings: Callable[[int], None], opened: Run, connect: Connect, connection: Connection
) -> None:
    readings(100)
    second = Ledger(Database(connect), "second", "preflight")
    second.open(SPEC.name, "rehearse", SPEC.model_dump(mode="json"), {}, ended=["first"])
    with pytest.raises(RunStands, match="run second of this table is opened"):
        shadow.build(opened)
    assert connection.execute("SELECT to_regclass('sensor_readings_new')").fetchone() == (None,)


# The home of a ledger ------------------------------------------------------------------------------------------------


def at_home(connect: Connect) -> None:
    Ledger(Database(connect), "a run").require_home()


RENAME, COPY = "ALTER DATABASE {} RENAME TO {}", "CREATE DATABASE {} TEMPLATE {}"


@pytest.fixture
def away(dsn: str, server_dsn: str) -> Iterator[Callable[[str], Connect]]:
    """Return a function that renames the database, copies it, or puts a copy in its place."""
    name = str(conninfo_to_dict(dsn)["dbname"])
    other = f"{name}_elsewhere"
    done: list[str] = []

    def run(statement: str, *names: str) -> None:
        with psycopg.connect(server_dsn, autocommit=True) as admin:
            admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # type: ignore[arg-type]

    def go(how: str) -> Connect:
        if how == "copied":
            run(COPY, other, name)
        else:
            run(RENAME, name, other)
        if how == "swapped":
            run(COPY, name, other)
        done.append(how)
        return partial(psycopg.connect, make_conninfo(dsn, dbname=name if how == "swapped" else other))

    yield go
    if done == ["renamed"]:
        run(RENAME, other, name)
    else:
        run("DROP DATABASE {} WITH (FORCE)", other)


@pytest.mark.parametrize("how", ["renamed", "copied", "swapped"])
def test_a_ledger_refuses_another_database_until_it_is_told_that_it_is_its_own(
    connect: Connect, away: Callable[[str], Connect], how: str
) -> None:
    open_run(connect, SPEC, "first").ledger.close("no-go")
    at_home(connect)
    elsewhere = away(how)
    with pytest.raises(WrongDatabase, match=r"belongs to the database .* and is read in the database .*DELETE FROM"):
        at_home(elsewhere)
    for mode in ("rehearse", MAINTENANCE):
        with pytest.raises(WrongDatabase):
            open_run(elsewhere, SPEC, "second", mode)
    with elsewhere() as connection:
        connection.execute("DELETE FROM partition_playbook.home")
    at_home(elsewhere)
    open_run(elsewhere, SPEC, "second")
    at_home(elsewhere)


def test_a_ledger_of_an_earlier_version_is_at_home_at_its_next_run(connect: Connect, connection: Connection) -> None:
    restore_first_build(connection)
    at_home(connect)
    open_run(connect, OTHER, "the next one")
    names = connection.execute("SELECT database_name = current_database() FROM partition_playbook.home").fetchall()
    assert names == [(True,)]
    at_home(connect)


def test_a_role_that_may_not_read_the_system_identifier_compares_the_rest(
    connect: Connect, connection: Connection
) -> None:
    connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    role = f"plain_{connection.info.backend_pid}"
    connection.execute(f"CREATE ROLE {role} LOGIN")  # type: ignore[call-overload]
    connection.execute(f'GRANT CREATE ON DATABASE "{connection.info.dbname}" TO {role}')  # type: ignore[call-overload]
    plain = partial(psycopg.connect, make_conninfo(connection.info.dsn, user=role))
    open_run(plain, SPEC, "first")
    at_home(plain)
    at_home(connect)
    connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")  # type: ignore[call-overload]


# The connection that found a run -------------------------------------------------------------------------------------


def test_a_run_that_was_opened_through_another_connection_is_refused_by_both_names(opened: Run) -> None:
    moved = Run(TableSpec(**SPEC.model_dump() | {"connection": "the_copy"}), opened.database, opened.ledger)
    with pytest.raises(
        WrongDatabase, match=r"the Airflow connection partition_playbook_db.*through the_copy"
    ) as refused:
        moved.stored_spec(opened.ledger.run())
    assert "Set `connection: partition_playbook_db` in the table spec" in refused.value.remedy
    assert opened.stored_spec(opened.ledger.run()) == SPEC


def test_a_run_of_the_first_build_is_found_through_its_connection(connect: Connect, connection: Connection) -> None:
    restore_first_build(connection)
    ledger = Ledger(Database(connect), RUN_ID)
    assert Run(SPEC, Database(connect), ledger).stored_spec(ledger.run()).table == "sensor_readings"
