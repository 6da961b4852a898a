"""Partitions that a person made: maintenance leaves them alone, and does its work beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from partition_playbook.checks import Check, Outcome
from partition_playbook.database import Database
from partition_playbook.errors import PreconditionFailed
from partition_playbook.maintenance.maintain import Maintained, maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.spec import Backup, Mode, RunParams, TableSpec
from tests.fixtures.moments import this_month
from tests.fixtures.tables import open_run

Connection = psycopg.Connection[Any]
Connect = Callable[[], Connection]
NO_SERVER = """
CREATE EXTENSION postgres_fdw;
CREATE SERVER cold FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1', dbname 'cold');
CREATE USER MAPPING FOR CURRENT_USER SERVER cold OPTIONS (user 'reader', password 'secret')
"""


def month(ahead: int) -> str:
    return this_month().add(months=ahead).isoformat()


def attach(connection: Connection, name: str, bound: str, kind: str = "TABLE", more: str = "") -> None:
    connection.execute(f"CREATE {kind} {name} PARTITION OF events {bound} {more}")


def whole(ahead: int) -> str:
    return f"FOR VALUES FROM ('{month(ahead)}') TO ('{month(ahead + 1)}')"


def upkeep(connect: Connect, run_id: str = "found", **values: object) -> Maintained:
    spec = TableSpec.model_validate({"table": "events", "partition_by": "at"} | values)
    return maintain(open_run(connect, spec, run_id, "maintenance"), MaintenanceParams())


def failed(done: Maintained) -> list[Check]:
    return [each for each in done.checks if each.outcome is Outcome.FAILED]


@pytest.mark.parametrize("end", ["infinity", "20000-01-01", "10000-01-01"])
@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
def test_a_partition_up_to_infinity_covers_everything_ahead(
    connection: Connection, connect: Connect, kind: str, end: str
) -> None:
    connection.execute(f"CREATE TABLE events (at {kind} NOT NULL) PARTITION BY RANGE (at)")
    attach(connection, "events_now", whole(0))
    attach(connection, "events_rest", f"FOR VALUES FROM ('{month(1)}') TO ('{end}')")
    attach(connection, "events_old", f"FOR VALUES FROM ('-infinity') TO ('{month(-1)}')")
    done = upkeep(connect)
    (found,) = failed(done)
    assert found.name == "unmanaged_partitions"
    assert "it has an open end" in found.actual
    assert done.summary["created"] == []


@pytest.mark.parametrize("server", ["newest", "oldest", "below"])
def test_a_foreign_table_whose_server_does_not_answer_stops_no_other_work(
    connection: Connection, connect: Connect, server: str
) -> None:
    connection.execute(NO_SERVER)
    connection.execute("CREATE TABLE events (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    attach(connection, "events_default", "DEFAULT")
    attach(connection, "events_last", whole(-1))
    connection.execute("INSERT INTO events VALUES (%s)", (month(-1),))
    if server == "below":
        attach(connection, "events_cold", whole(0), more="PARTITION BY RANGE (at)")
        connection.execute("CREATE FOREIGN TABLE events_colder PARTITION OF events_cold DEFAULT SERVER cold")
    else:
        attach(connection, "events_cold", whole(0 if server == "newest" else -3), "FOREIGN TABLE", "SERVER cold")

    done = upkeep(connect, retention={"keep": "6 months"})
    assert len(done.summary["created"]) >= 3
    assert {each.name for each in failed(done)} == {"unmanaged_partitions", "analyze events", "parent_analyzed"}
    (told,) = [each for each in failed(done) if each.name == "analyze events"]
    assert 'could not connect to server "cold"' in told.actual


@pytest.mark.parametrize("kind", ["text", "char(26)"])
def test_keys_that_are_no_ulids_stay_in_the_default_partition(
    connection: Connection, connect: Connect, kind: str
) -> None:
    connection.execute(f'CREATE TABLE events (at {kind} COLLATE "C" PRIMARY KEY) PARTITION BY RANGE (at)')
    attach(connection, "events_default", "DEFAULT")
    # U is no letter of a ULID, and lower case sorts after them.
    odd = ["01KUUUUUUUUUUUUUUUUUUUUUUU", "01kddddddddddddddddddddddd", "0", "zz", "ü"]
    connection.cursor().executemany("INSERT INTO events VALUES (%s)", [(each,) for each in odd])
    done = upkeep(connect, encoding="ulid")
    assert [each.name for each in failed(done)] == ["default_empty"]
    assert len(done.summary["created"]) == 4
    assert connection.execute("SELECT count(*) FROM events_default").fetchone() == (len(odd),)


def test_a_table_of_keys_that_are_no_ulids_is_refused_by_their_samples(
    connection: Connection, connect: Connect
) -> None:
    connection.execute('CREATE TABLE events (at text COLLATE "C" PRIMARY KEY)')
    connection.execute("INSERT INTO events VALUES ('01kddddddddddddddddddddddd'), ('01KUUUUUUUUUUUUUUUUUUUUUUU')")
    spec = TableSpec.model_validate({"table": "events", "partition_by": "at", "encoding": "ulid"})
    run = open_run(connect, spec, "refused")
    params = RunParams(mode=Mode.REHEARSE, backup=Backup.SKIP)
    checks = {each.name: each for each in preflight_checks(run, params) if each.blocks}
    assert list(checks) == ["partition_values"]
    assert "2 rows without such a key" in checks["partition_values"].actual
    assert "01KUUUUUUUUUUUUUUUUUUUUUUU" in checks["partition_values"].actual


@pytest.mark.parametrize("moment", ["0001-01-01 00:00:00+00", "0044-03-15 BC", "-infinity", "infinity", "20000-01-01"])
def test_a_row_outside_the_calendar_stops_no_other_work(connection: Connection, connect: Connect, moment: str) -> None:
    connection.execute("CREATE TABLE events (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    attach(connection, "events_default", "DEFAULT")
    # Midnight of the year 1 in UTC, the zero of some languages, is one before Christ in New York.
    connection.execute("INSERT INTO events VALUES (%s)", (moment,))
    done = upkeep(connect, timezone="America/New_York", retention={"keep": "6 months"})
    assert [each.name for each in failed(done)] == ["default_empty"]
    assert len(done.summary["created"]) == 4


@pytest.fixture
def upkeeper(connection: Connection, connect: Connect) -> Iterator[tuple[str, Connect]]:
    """Return a role for maintenance, and a function that connects as this role."""
    name = f"upkeeper_of_{connection.info.dbname}"

    def as_upkeeper() -> Connection:
        opened = connect()
        opened.execute(f"SET SESSION AUTHORIZATION {name}")
        opened.commit()
        return opened

    open_run(connect, TableSpec.model_validate({"table": "events", "partition_by": "at"}), "first", "maintenance")
    connection.execute(f"CREATE ROLE {name}; GRANT ALL ON SCHEMA public, partition_playbook TO {name}")
    connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA partition_playbook TO {name}")
    connection.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA partition_playbook TO {name}")
    yield name, as_upkeeper
    connection.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


@pytest.mark.parametrize("unread", ["events_now", "events_default"])
def test_a_partition_of_another_owner_stops_no_other_work_or_is_told_with_a_remedy(
    connection: Connection, connect: Connect, upkeeper: tuple[str, Connect], unread: str
) -> None:
    role, as_upkeeper = upkeeper
    connection.execute("CREATE TABLE events (at timestamptz NOT NULL) PARTITION BY RANGE (at)")
    attach(connection, "events_last", whole(-1))
    attach(connection, "events_now", whole(0))
    attach(connection, "events_default", "DEFAULT")
    connection.execute("INSERT INTO events VALUES (%s), (%s)", (month(0), month(-1)))
    for table in {"events", "events_last", "events_now", "events_default"} - {unread}:
        connection.execute(f"ALTER TABLE {table} OWNER TO {role}")
    spec = TableSpec.model_validate({"table": "events", "partition_by": "at"})
    opened = open_run(connect, spec, "found", "maintenance")
    run = replace(
        opened,
        database=Database(as_upkeeper, timezone="UTC"),
        ledger=replace(opened.ledger, database=Database(as_upkeeper)),
    )

    if unread == "events_default":
        with pytest.raises(PreconditionFailed, match="permission denied for table events_default") as refused:
            maintain(run, MaintenanceParams())
        connection.execute(refused.value.remedy.removeprefix("As a superuser, execute "))
    done = maintain(run, MaintenanceParams())
    assert [str(each) for each in failed(done)] == []
    assert len(done.summary["created"]) == 3
