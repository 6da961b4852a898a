"""Maintenance finds the health of a table, adds it up, and others read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pendulum
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from partition_playbook import catalog, metrics
from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.database import Session
from partition_playbook.disk import Disk
from partition_playbook.intervals import between
from partition_playbook.ledger import Ledger
from partition_playbook.maintenance import health
from partition_playbook.maintenance.health import Facts, Growth, Status
from partition_playbook.maintenance.maintain import Maintained, maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.maintenance.read_state import read_state
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec
from tests.fixtures.moments import this_month
from tests.fixtures.tables import open_run

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]
SPEC = TableSpec.model_validate({"table": "Plant A.Readings", "partition_by": "At", "premake": 2})
TABLE = SPEC.name


def make_table(connection: Connection, back: int = 3, ahead: int = 2) -> None:
    connection.execute(
        """
        CREATE SCHEMA "Plant A";
        CREATE TABLE "Plant A"."Readings" ("Id" bigint, "At" timestamptz, note text) PARTITION BY RANGE ("At");
        CREATE INDEX "Recorded" ON "Plant A"."Readings" ("At");
        CREATE TABLE "Plant A"."Readings_default" PARTITION OF "Plant A"."Readings" DEFAULT
        """
    )
    for each in between(SPEC.interval, this_month().subtract(months=back), this_month().add(months=ahead)):
        statement = sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})")
        name = TABLE.partition(each.suffix).identifier
        connection.execute(statement.format(name, TABLE.identifier, each.lower, each.upper))
    connection.execute('ANALYZE "Plant A"."Readings"')


def fill(connection: Connection, moment: pendulum.DateTime, rows: int = 1_000) -> None:
    values = (moment, rows)
    connection.execute(
        """INSERT INTO "Plant A"."Readings" SELECT n, %s, repeat('x', 100) FROM generate_series(1, %s) AS n""", values
    )


def opened(connect: Connect, run_id: str = "first", spec: TableSpec = SPEC) -> Run:
    return open_run(connect, spec, run_id, "maintenance")


def shown(connection: Connection) -> dict[str, Any]:
    """Return the only row of the view."""
    with connection.cursor(row_factory=dict_row) as cursor:
        (row,) = cursor.execute("SELECT * FROM partition_playbook.health").fetchall()
    return row


def read(run: Run) -> Facts:
    with run.database.session() as session:
        found = read_state(run, session)
        return health.read(run, session, found, found.clock)


def found(done: Maintained | list[Check], name: str) -> Check:
    checks = done.checks if isinstance(done, Maintained) else done
    return next(each for each in checks if each.name == name)


def test_a_table_in_order_is_green_and_the_view_says_what_was_found(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_table(connection)
    fill(connection, this_month())
    done = maintain(opened(connect), MaintenanceParams())
    row = shown(connection)
    assert (row["status"], row["problems"], row["run_id"]) == ("green", [], "first")
    assert (row["table_schema"], row["table_name"]) == ("Plant A", "Readings")
    assert (row["partitions"], row["ahead"], row["gaps"], row["pending_detach"], row["default_rows"]) == (7, 2, 0, 0, 0)
    run, asked = opened(connect), {"schemas": [TABLE.schema], "names": [TABLE.name]}
    with run.database.session() as session:
        (listed,) = session.rows("console/list_tables", asked)
    assert listed["partitions_end"] == this_month().add(months=3)
    assert listed["due"] == SPEC.schedule.next_runs(listed["checked_at"])[0]
    sizes_of_all = sql.SQL("SELECT sum({}(relid)) FROM pg_partition_tree({}::regclass)")

    def measured(function: str) -> int:
        literal = sql.Literal(TABLE.identifier.as_string())
        return int(connection.execute(sizes_of_all.format(sql.SQL(function), literal)).fetchone()[0])  # type: ignore[index]

    assert measured("pg_total_relation_size") == row["bytes"]
    # The pages that VACUUM counted are the size of a partition at rest, without its maps.
    fill(connection, this_month().subtract(months=2), rows=10_000)
    connection.execute(f"VACUUM {TABLE.identifier.as_string()}")
    monkeypatch.setattr(health, "EXACT_SIZES", 1)
    assert measured("pg_relation_size") <= read(run).bytes < measured("pg_total_relation_size")
    assert row["oldest_xid_age"] > 0
    assert row["analyzed_at"] is not None
    for key in ("status", "ahead", "bytes"):
        assert done.summary["health"][key] == row[key]
    sizes = connection.execute(
        "SELECT detail->'sizes' FROM partition_playbook.measurements WHERE stage = 'health'"
    ).fetchone()
    assert sizes
    assert sum(sizes[0].values()) == row["bytes"]


def test_what_can_wait_for_a_person_is_yellow(connection: Connection, connect: Connect) -> None:
    make_table(connection)
    connection.execute('CREATE INDEX "Half Done" ON ONLY "Plant A"."Readings" ("Id")')
    fill(connection, this_month().add(years=9), rows=3)
    run = opened(connect)
    done = maintain(run, MaintenanceParams())
    assert run.ledger.record_checks(done.checks).go
    row = shown(connection)
    assert (row["status"], sorted(row["problems"])) == ("yellow", ["default_empty", "indexes_complete"])
    assert (row["default_rows"], row["lacking_an_index"]) == (3, 7)
    assert "Readings_default lacks Half Done" in found(done, "indexes_complete").actual


def test_what_is_left_undone_is_red(connection: Connection, connect: Connect) -> None:
    make_table(connection, ahead=1)
    taken = TABLE.partition(f"{this_month().add(months=2).format('[y]YYYY[m]MM')}")
    connection.execute(sql.SQL("CREATE TABLE {} (precious int)").format(taken.identifier))
    run = opened(connect)
    done = maintain(run, MaintenanceParams())
    assert not run.ledger.record_checks(done.checks).go
    row = shown(connection)
    assert (row["status"], row["ahead"]) == ("red", 1)
    assert "partitions_ahead" in row["problems"]


def test_gaps_are_counted(connection: Connection, connect: Connect) -> None:
    make_table(connection)
    for months in (-2, 1):
        name = TABLE.partition(this_month().add(months=months).format("[y]YYYY[m]MM"))
        connection.execute(sql.SQL("DROP TABLE {}").format(name.identifier))
    facts = read(opened(connect))
    assert (facts.ahead, facts.gaps, facts.partitions_end) == (0, 2, this_month().add(months=1))


def test_a_run_that_could_not_look_is_red(
    connection: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_table(connection)
    maintain(opened(connect), MaintenanceParams())

    def fail(*_: object) -> None:
        raise ValueError("the disk is on fire")

    monkeypatch.setattr(health, "find_disk", fail)
    with pytest.raises(ValueError, match="on fire"):
        maintain(opened(connect, "second"), MaintenanceParams())
    row = shown(connection)
    assert (row["status"], row["problems"], row["run_id"]) == ("red", ["the disk is on fire"], "second")
    assert row["bytes"] is None


@pytest.mark.parametrize("params", [{"dry_run": True}, {"as_of": str(this_month().subtract(months=2))}])
def test_what_is_only_tried_is_not_how_the_table_stands(
    connection: Connection, connect: Connect, params: dict[str, Any]
) -> None:
    make_table(connection)
    done = maintain(opened(connect), MaintenanceParams.model_validate(params))
    assert done.summary["health"]["partitions"] == 7
    assert connection.execute("SELECT * FROM partition_playbook.health").fetchall() == []


def test_a_table_that_nobody_looked_at_is_red(connection: Connection, connect: Connect) -> None:
    make_table(connection)
    maintain(opened(connect), MaintenanceParams())
    connection.execute("UPDATE partition_playbook.measurements SET taken_at = taken_at - interval '34 days'")
    assert shown(connection)["status"] == "green"
    connection.execute("UPDATE partition_playbook.measurements SET taken_at = taken_at - interval '2 days'")
    row = shown(connection)
    assert (row["status"], row["problems"]) == ("red", ["not checked for 35 days"])


def test_an_hourly_table_that_nobody_looked_at_for_three_hours_is_red(connection: Connection, connect: Connect) -> None:
    make_table(connection)
    run = opened(connect)
    maintain(replace(run, spec=run.spec.model_copy(update={"maintain": "hourly"})), MaintenanceParams())
    with run.database.session() as session:
        for hours, status, problems in (
            (2, "green", []),
            (2, "red", ["not checked for 03:00:00"]),
        ):
            connection.execute(
                "UPDATE partition_playbook.measurements SET taken_at = taken_at - %s * interval '1 hour'", (hours,)
            )
            row, measured = shown(connection), metrics.read(session)
            assert (row["status"], row["problems"]) == (status, problems)
            assert measured[metrics.TABLES][0]["healthy"] == (status == "green")
            told = {each["check"]: each["problems"] for each in measured[metrics.PROBLEMS]}
            assert told["not_checked"] == len(problems)


FIGURES = ("partitions", "ahead", "gaps", "default_rows", "estimated_rows", "bytes", "bytes_per_day", "full_at")


def test_a_table_that_is_plain_again_has_a_state_of_its_own(connection: Connection, connect: Connect) -> None:
    """A rollback swaps the names, so that the figures of the partitioned table are no longer those of this name."""
    make_table(connection)
    fill(connection, this_month())
    maintain(opened(connect), MaintenanceParams())
    assert (shown(connection)["status"], shown(connection)["partitions"]) == ("green", 7)

    connection.execute('ALTER TABLE "Plant A"."Readings" RENAME TO "Readings_new"')
    row = shown(connection)
    assert (row["status"], row["problems"]) == ("no table", ["the table does not exist"])
    connection.execute('CREATE TABLE "Plant A"."Readings" ("Id" bigint, "At" timestamptz)')
    row = shown(connection)
    assert (row["status"], row["problems"]) == ("not partitioned", [])
    assert {row[name] for name in FIGURES} == {None}

    assert "nothing to maintain" in maintain(opened(connect, "second"), MaintenanceParams()).summary["skipped"]
    assert shown(connection)["status"] == "not partitioned"


def test_growth_is_measured_from_the_ledger_once_it_knows(connection: Connection, connect: Connect) -> None:
    make_table(connection)
    fill(connection, this_month())
    fill(connection, this_month().subtract(months=1))
    facts = read(opened(connect))
    assert facts.growth
    assert facts.growth.known_from == "the last 3 full partitions"
    days = (this_month() - this_month().subtract(months=3)).total_days()
    past = [TABLE.partition(this_month().subtract(months=each).format("[y]YYYY[m]MM")) for each in (1, 2, 3)]
    assert facts.growth.bytes_per_day == pytest.approx(sum(facts.sizes[each] for each in past) / days)

    maintain(opened(connect), MaintenanceParams())
    moved = (
        "UPDATE partition_playbook.measurements SET taken_at = taken_at - interval '10 days', value = value - 1000000"
    )
    connection.execute(moved)
    measured = read(opened(connect, "second")).growth
    assert measured
    assert measured.known_from == "the size 10 days ago"
    assert measured.bytes_per_day == pytest.approx(100_000, rel=0.01)


@pytest.fixture
def facts(connection: Connection, connect: Connect) -> Facts:
    make_table(connection)
    return read(opened(connect))


GIGABYTE = 10**9
DISKS = [
    (Growth(GIGABYTE, "a test"), 30 * GIGABYTE, Outcome.FAILED, Severity.ERROR),
    (Growth(GIGABYTE, "a test"), 32 * GIGABYTE, Outcome.FAILED, Severity.WARNING),
    (Growth(GIGABYTE, "a test"), 94 * GIGABYTE, Outcome.PASSED, None),
    (Growth(-GIGABYTE, "a test"), GIGABYTE, Outcome.PASSED, None),
    (Growth(GIGABYTE, "a test"), None, Outcome.SKIPPED, None),
    (None, GIGABYTE, Outcome.SKIPPED, None),
]


@pytest.mark.parametrize(("growth", "free", "outcome", "severity"), DISKS)
def test_a_disk_that_fills_up_before_the_next_run_is_red(
    facts: Facts, growth: Growth | None, free: int | None, outcome: Outcome, severity: Severity | None
) -> None:
    given = replace(facts, growth=growth, disk=Disk(free, "" if free else "it is far away"))
    check = found(health.checks(given), "disk_lasts")
    assert check.outcome is outcome
    assert severity in (None, check.severity)


def test_old_transaction_ids_are_yellow_then_red(facts: Facts) -> None:
    ages = {399_000_000: Status.GREEN, 401_000_000: Status.YELLOW, 1_600_000_001: Status.RED}
    limits = {"forced": 200_000_000, "failsafe": 1_600_000_000}
    assert facts.freeze_limits == limits
    for age, status in ages.items():
        given = replace(facts, oldest_xid_age=age)
        assert health.judge(health.checks(given), given).status is status


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the questions that the engine asks from now on."""
    names: list[str] = []
    rows = Session.rows

    def count(self: Session, name: str, *args: Any, **parts: Any) -> Any:
        names.append(name)
        return rows(self, name, *args, **parts)

    monkeypatch.setattr(Session, "rows", count)
    return names


def test_no_partition_costs_a_query(connection: Connection, connect: Connect, asked: list[str]) -> None:
    """A run with nothing to do asks the server as often for 6 partitions as for 40."""
    make_table(connection)
    maintain(opened(connect), MaintenanceParams())
    asked.clear()
    maintain(opened(connect, "few"), MaintenanceParams())
    few = len(asked)
    maintain(opened(connect, "more", SPEC.model_copy(update={"premake": 36})), MaintenanceParams(premake=36))
    asked.clear()
    maintain(opened(connect, "many"), MaintenanceParams())
    assert len(asked) == few


def test_a_list_of_partitions_opens_none_of_them(connection: Connection, connect: Connect) -> None:
    """A list that opens each partition costs as much again for each, and waits for one that is locked."""
    make_table(connection, back=3)
    locked = TABLE.partition(SPEC.interval.suffix(this_month()))
    name = {"schema": TABLE.schema, "name": TABLE.name}
    with connection.transaction(), opened(connect).database.session() as session:
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(locked.identifier))
        session.connection.execute("SET lock_timeout = '100ms'")
        assert locked in [each.table for each in catalog.partitions(session, TABLE)]
        leaves = session.rows("maintenance/list_leaves", name | {"exact": []})
        assert locked.name in [each["name"] for each in leaves]


def test_leaves_of_partitions_of_partitions_are_listed(connection: Connection, connect: Connect) -> None:
    make_table(connection, back=3)
    connection.execute(
        """
        CREATE TABLE "Plant A".far PARTITION OF "Plant A"."Readings" FOR VALUES FROM ('2000-01-01') TO ('2001-01-01')
            PARTITION BY RANGE ("At");
        CREATE TABLE "Plant A".farther PARTITION OF "Plant A".far FOR VALUES FROM ('2000-01-01') TO ('2000-07-01')
        """
    )
    listed = {name.name for name in read(opened(connect)).sizes}
    tree = """SELECT c.relname FROM pg_partition_tree('"Plant A"."Readings"') AS t JOIN pg_class c ON c.oid = t.relid
        WHERE t.isleaf"""
    assert listed == {name for (name,) in connection.execute(tree).fetchall()}
    assert "farther" in listed


def test_only_partitions_with_rows_are_asked_for_the_newest(
    connection: Connection, connect: Connect, asked: list[str]
) -> None:
    make_table(connection, back=40)
    run = opened(connect)
    with run.database.session() as session:
        assert read_state(run, session).newest is None
        assert asked.count("maintenance/find_newest") == 0
        oldest = this_month().subtract(months=40)
        fill(connection, oldest, rows=1)
        assert read_state(run, session).newest == oldest
        assert asked.count("maintenance/find_newest") == 1


def test_the_view_follows_the_program_and_somebody_elses_is_left_alone(
    connection: Connection, connect: Connect
) -> None:
    ledger = opened(connect).ledger
    comment = "SELECT obj_description('partition_playbook.health'::regclass)"
    now = connection.execute(comment).fetchone()
    connection.execute("COMMENT ON VIEW partition_playbook.health IS 'an older one'")
    replace(ledger, run_id="second").open(TABLE, "maintenance", {}, {})
    assert connection.execute(comment).fetchone() == now
    role = f"playbook_stranger_{connection.info.backend_pid}"
    connection.execute(f"CREATE ROLE {role}; GRANT USAGE, CREATE ON SCHEMA partition_playbook TO {role}")  # type: ignore[call-overload]
    connection.execute(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA partition_playbook TO {role}")  # type: ignore[call-overload]
    try:
        connection.execute("COMMENT ON VIEW partition_playbook.health IS 'an older one'")
        connection.execute(f"SET ROLE {role}")  # type: ignore[call-overload]
        with connection.transaction():
            session = Session(connection)
            session.run("ledger/create_ledger")
        connection.execute("RESET ROLE")
        assert connection.execute(comment).fetchone() == ("an older one",)
    finally:
        connection.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")  # type: ignore[call-overload]


def test_the_ledger_without_the_view_gets_it(connection: Connection, connect: Connect) -> None:
    ledger: Ledger = opened(connect).ledger
    connection.execute("DROP VIEW partition_playbook.health")
    ledger.open(TABLE, "maintenance", {}, {})
    assert connection.execute("SELECT * FROM partition_playbook.health").fetchall() == []
