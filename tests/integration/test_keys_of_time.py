"""Keys that carry time: the server reads them as Python does, and maintenance keeps exactly what their moments say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pendulum
import psycopg
import pytest
from psycopg import sql

from partition_playbook import catalog, metrics
from partition_playbook.catalog import bound_ends
from partition_playbook.checks import Check, Outcome
from partition_playbook.codecs import Codec, Encoding
from partition_playbook.engine import attach, load, shadow
from partition_playbook.intervals import Interval, between
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams, RetentionMode
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.sections.data_preparation import rows
from partition_playbook.sections.lifecycle.retention_proof import MOST_ROWS, retention_checks
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.spec import Backup, Mode, RunParams, TableSpec
from partition_playbook.workload.checks import workload_checks
from tests.fixtures.migration import finalize_anyway, migrate
from tests.fixtures.moments import this_month
from tests.fixtures.tables import open_run

Connect = Callable[[], psycopg.Connection[Any]]
ZONE = "Europe/Berlin"
TABLE = TableName("public", "events")
TYPES = {each: each.types[0] for each in Encoding} | {Encoding.ULID: 'text COLLATE "C"'}


def spec_of(encoding: Encoding, **values: object) -> TableSpec:
    given = {"table": "events", "partition_by": "key", "encoding": encoding, "timezone": ZONE, "premake": 2}
    snowflake = {"epoch": "2010-11-04T01:42:54.657Z"} if encoding is Encoding.SNOWFLAKE else {}
    return TableSpec.model_validate(given | snowflake | values)


def insert(connection: psycopg.Connection[Any], codec: Codec, moment: str, rows: int = 1) -> None:
    """Insert new keys of a moment, an expression of n; each row also has its moment."""
    statement = sql.SQL(
        "INSERT INTO events SELECT {}, m.moment FROM (SELECT {} FROM generate_series(1, {}) AS n) AS m (moment)"
    )
    key = codec.from_moment(sql.SQL("m.moment"))
    connection.execute(statement.format(key, sql.SQL(moment), sql.Literal(rows)))


@pytest.fixture(params=Encoding)
def encoding(request: pytest.FixtureRequest, connection: psycopg.Connection[Any]) -> Encoding:
    """Make a table with a key of each encoding in turn, which also tells its moment."""
    found: Encoding = request.param
    kind = TYPES[found]
    connection.execute(f"CREATE TABLE events (key {kind}, at timestamptz NOT NULL, note text, PRIMARY KEY (key, at))")
    return found


def test_the_server_reads_and_writes_keys_as_python_does(
    connection: psycopg.Connection[Any], encoding: Encoding
) -> None:
    codec = spec_of(encoding).codec
    bounds = list(between(Interval.MONTH, this_month().subtract(months=3), this_month().add(months=3)))
    for each in bounds:
        insert(connection, codec, f"'{each.lower.isoformat()}'::timestamptz - (n % 2) * interval '1 microsecond'", 2)
    insert(connection, codec, "now() - random() * interval '90 days'", 200)

    query = "SELECT key, at, {}, {}, {} >= {} FROM events"
    key = sql.Identifier("key")
    first = sql.Literal(codec.first_key(bounds[1].lower))
    composed = sql.SQL(query).format(codec.as_moment(key), codec.unreadable(key), key, first)
    for value, moment, read, unreadable, later in connection.execute(composed).fetchall():
        assert moment - encoding.tick < codec.moment(value) <= moment
        assert abs(read - codec.moment(value)) <= timedelta(microseconds=1)
        assert not unreadable
        assert later == (codec.moment(value) >= bounds[1].lower)

    # The keys that follow the first one of a moment are readable, in order, and stay in its interval.
    (kind,) = connection.execute(
        "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attname = 'key' AND attrelid = 'events'::regclass"
    ).fetchone()  # type: ignore[misc]
    lower = sql.Literal(codec.literals(bounds[0], kind)[0])
    following = sql.SQL("SELECT ({})::{} FROM generate_series(0, 999) AS n ORDER BY n").format(
        codec.nth_key(lower, sql.SQL("n")), sql.SQL(kind)
    )
    keys = [row[0] for row in connection.execute(following).fetchall()]
    assert all(before < after for before, after in pairwise(keys))
    assert bounds[0].lower <= codec.moment(keys[0]) <= codec.moment(keys[-1]) < bounds[0].upper


def counted(connection: psycopg.Connection[Any]) -> dict[str, int]:
    return dict(connection.execute("SELECT tableoid::regclass::text, count(*) FROM events GROUP BY 1").fetchall())


def test_maintenance_keeps_exactly_what_the_moments_say(
    connection: psycopg.Connection[Any], connect: Connect, encoding: Encoding, tmp_path: Path
) -> None:
    rules = {"keep": "3 months", "grace": "0 days", "max_share": 1, "action": "archive", "archive_to": "s3://cold/t"}
    spec = spec_of(encoding, retention=rules)
    insert(connection, spec.codec, "now() - random() * interval '300 days'", 2000)
    # The first tick of the oldest month to keep, and the last tick before it.
    edge, tick = pendulum.now(ZONE).start_of("month").subtract(months=3), encoding.tick
    insert(connection, spec.codec, f"'{edge.isoformat()}'::timestamptz - (n - 1) * interval '{tick}'", 2)
    connection.execute("ANALYZE events")
    run = open_run(connect, spec, "moved")
    migrate(run)
    finalize_anyway(run)
    # Rows behind the partitions ahead, which maintenance moves out of the default partition.
    insert(
        connection, spec.codec, "date_trunc('month', now()) + interval '3 months 10 days' + n * interval '1 minute'", 5
    )
    before = connection.execute("SELECT count(*) FROM events").fetchone()

    upkeep = open_run(connect, spec, "upkeep", "maintenance")
    done = maintain(upkeep, MaintenanceParams(retention=RetentionMode.APPLY, premake=3), lambda _: tmp_path)
    blocking = [str(each) for each in done.checks if each.blocks]
    assert not blocking, "\n".join(blocking)

    with run.database.session() as session:
        attached = catalog.partitions(session, TABLE)
    ends = [each.ends(spec.codec) for each in attached if not each.is_default]
    first = min(lower for lower, _ in filter(None, ends) if lower)
    last = max(upper for _, upper in filter(None, ends) if upper)
    month = pendulum.now(ZONE).start_of("month")
    assert first == edge == month.subtract(months=3)
    assert last == month.add(months=4)

    kept, oldest = connection.execute("SELECT count(*), min(at) FROM events").fetchone()  # type: ignore[misc]
    assert oldest == edge
    assert before is not None
    archives = sorted(
        (json.loads(each.read_text()) for each in tmp_path.rglob("*.json")), key=lambda each: each["lower"]
    )
    assert kept + sum(each["rows"] for each in archives) == before[0]
    assert_bounds_are_told(connection, spec, archives, edge)
    # Each row is in the partition of its moment: the names are those of months in the zone of the spec.
    misplaced = """
        SELECT count(*) FROM events
         WHERE tableoid::regclass::text <> 'events_' || to_char(at AT TIME ZONE 'Europe/Berlin', '"y"YYYY"m"MM')
    """
    assert connection.execute(misplaced).fetchone() == (0,)
    assert "events_default" not in counted(connection)
    is_measured_alike(upkeep)


def assert_bounds_are_told(
    connection: psycopg.Connection[Any], spec: TableSpec, archives: list[dict[str, Any]], edge: pendulum.DateTime
) -> None:
    """Compare keys and moments of the archives, and attach an equal table with the keys."""
    months = [edge.subtract(months=count) for count in range(len(archives), -1, -1)]
    told = [(each["encoding"], each["lower"], each["upper"]) for each in archives]
    wanted = [(str(spec.encoding), *map(pendulum.DateTime.isoformat, each)) for each in pairwise(months)]
    assert told == wanted
    newest = archives[-1]
    assert str(spec.codec.first_key(edge)) in newest["bound"]
    for statement in newest["ddl"]:
        connection.execute(statement)
    connection.execute(f"ALTER TABLE events ATTACH PARTITION {newest['partition']} {newest['bound']}")
    connection.execute(f"ALTER TABLE events DETACH PARTITION {newest['partition']}")


def is_measured_alike(run: Run) -> None:
    """Compare the metrics, which the server computes from the bounds, with the partitions of the maintenance."""
    with run.database.session() as session:
        (found,) = metrics.read(session)[metrics.TABLES]
    assert (found["partitions_ahead"], found["partition_gaps"], found["partitions_extra"]) == (3, 0, 0)


def test_a_rehearsal_generates_rows_and_proves_the_retention(
    connection: psycopg.Connection[Any], connect: Connect, encoding: Encoding
) -> None:
    values = {"at": "{moment}", "note": "'generated'"}
    spec = spec_of(encoding, retention="24 months", synthetic={"months": 4, "values": values})
    run = open_run(connect, spec, "generated")
    params = RunParams(mode=Mode.REHEARSE, backup=Backup.SKIP, synthetic_rows=800)
    for piece in rows.slices(run, params):
        rows.generate(run, params, piece)
    blocking = [str(each) for each in rows.distribution_checks(run, params) if each.blocks]
    unreadable = sql.SQL("SELECT count(*) FROM events WHERE {}").format(spec.codec.unreadable(sql.Identifier("key")))
    assert connection.execute(unreadable).fetchone() == (0,)

    apart = sql.SQL("SELECT count(*) FROM events WHERE abs(extract(epoch FROM at - {})) > 1")
    assert connection.execute(apart.format(spec.codec.as_moment(sql.Identifier("key")))).fetchone() == (0,)

    migrate(run)
    checks = retention_checks(run, Mode.REHEARSE, None)
    assert [str(each) for each in checks if each.outcome is not Outcome.PASSED] == []
    assert f"{MOST_ROWS} rows" in checks[0].actual
    assert not blocking, "\n".join(blocking)
    assert connection.execute("SELECT count(*) FROM events").fetchone() == (800,)


def test_a_full_default_partition_is_split_by_moments(
    connection: psycopg.Connection[Any], connect: Connect, encoding: Encoding
) -> None:
    spec = spec_of(encoding)
    run = open_run(connect, spec, "moved")
    insert(connection, spec.codec, "now() - n * interval '1 second'", 5)
    migrate(run)
    finalize_anyway(run)
    months = [this_month().add(months=count, days=9) for count in (3, 4)]
    for month in months:
        insert(connection, spec.codec, f"'{month}'::timestamptz + n * interval '1 second'", 30)

    upkeep = open_run(connect, spec, "upkeep", "maintenance")
    done = maintain(upkeep, MaintenanceParams(premake=4, max_moved_rows=10))
    blocking = [str(each) for each in done.checks if each.blocks]
    assert not blocking, "\n".join(blocking)
    held = counted(connection)
    assert [held[f"events_y{month:%Ym%m}"] for month in months] == [30, 30]
    assert "events_default" not in held
    (split,) = connection.execute(
        "SELECT count(*) FROM partition_playbook.events WHERE message = 'split ended'"
    ).fetchone()  # type: ignore[misc]
    assert split == 1


def test_the_console_shows_moments(connection: psycopg.Connection[Any], connect: Connect, encoding: Encoding) -> None:
    spec = spec_of(encoding)
    insert(connection, spec.codec, "now() - n * interval '1 second'", 5)
    run = open_run(connect, spec, "moved")
    migrate(run)
    with run.database.session() as session:
        found = session.rows("console/list_partitions", {"schema": "public", "name": "events"})
    lowers = [bound_ends(row["bound"], spec.codec) for row in found if not row["is_default"]]
    month = pendulum.now(ZONE).start_of("month")
    assert (month, month.add(months=1)) in lowers


def test_a_range_of_another_column_is_told_with_the_comparison_that_prunes(
    connection: psycopg.Connection[Any], connect: Connect, encoding: Encoding
) -> None:
    week = "now() - interval '7 days'"
    by_key = {"name": "by_key", "sql": "SELECT * FROM {table} WHERE {partition_by} >= {since}", "since": week}
    by_time = {"name": "by_time", "sql": f"SELECT * FROM {{table}} WHERE at >= {week}", "since": week}
    spec = spec_of(encoding, queries=[by_key, by_time])
    insert(connection, spec.codec, "now() - random() * interval '300 days'", 500)
    connection.execute("ANALYZE events")
    run = open_run(connect, spec, "planned")
    for each in shadow.build(run):
        load.load_partition(run, each["partition_name"], workers=1)
    attach.attach_partitions(run)

    (prunes,) = [each for each in workload_checks(run) if each.name == "workload_prunes"]
    assert prunes.outcome is Outcome.FAILED
    assert "by_time" in prunes.actual
    assert "by_key" not in prunes.actual
    key = spec.codec.first_key(pendulum.now(ZONE).subtract(days=7).start_of("day"))
    assert '"key" >= ' in prunes.remedy
    assert str(key) in prunes.remedy


@pytest.mark.parametrize(
    ("kind", "keys", "told"),
    [
        ("integer", {"encoding": "epoch_seconds", "interval": "year", "premake": 20}, "integer, which cannot hold"),
        ("numeric(9)", {"encoding": "epoch_seconds"}, "numeric(9,0), which cannot hold"),
        ("varchar(20)", {"encoding": "ulid"}, "character varying(20), which cannot hold"),
        ("bigint", {"encoding": "uuidv7"}, "bigint"),
        ("text", {"encoding": "snowflake", "epoch": "2015-01-01T00:00:00Z"}, "text"),
        (
            "bigint",
            {"encoding": "snowflake", "epoch": "2015-01-01T00:00:00Z", "shift": 30},
            "bigint, which cannot hold",
        ),
    ],
)
def test_a_type_that_cannot_hold_the_keys_is_refused(
    connection: psycopg.Connection[Any], connect: Connect, kind: str, keys: dict[str, Any], told: str
) -> None:
    connection.execute(f"CREATE TABLE events (key {kind} PRIMARY KEY)")
    run = open_run(connect, TableSpec.model_validate({"table": "events", "partition_by": "key"} | keys), "typed")
    checks = {each.name: each for each in preflight_checks(run, RunParams(mode=Mode.REHEARSE, backup=Backup.SKIP))}
    assert checks["partition_type"].blocks
    assert told in checks["partition_type"].actual


def test_a_type_that_cannot_hold_the_end_of_the_newest_row_is_refused(
    connection: psycopg.Connection[Any], connect: Connect
) -> None:
    connection.execute("CREATE TABLE events (key integer PRIMARY KEY)")
    connection.execute("INSERT INTO events VALUES (extract(epoch FROM timestamptz '2038-01-15 UTC')::integer)")
    keys = {"table": "events", "partition_by": "key", "encoding": "epoch_seconds"}
    found = partition_type_of(open_run(connect, TableSpec.model_validate(keys), "typed"))
    assert found.blocks
    assert "integer, which cannot hold 2148595200" in found.actual  # 1 February 2038


ICU = "SELECT count(*) > 1 FROM pg_collation WHERE collprovider = 'i'"


@pytest.mark.parametrize(
    ("collation", "locale", "deterministic", "told"),
    [
        ("ignores_case", "und-u-ks-level2", False, "which is not deterministic"),
        ("By Number", "und-u-kn", True, "which does not sort bytes"),
        ("letters_first", "und-u-kr-latn-digit", True, "which does not sort bytes"),
        ("root", "und", True, ""),
    ],
)
def test_a_collation_that_does_not_suit_ulids_is_refused_by_its_name(
    connection: psycopg.Connection[Any], connect: Connect, collation: str, locale: str, deterministic: bool, told: str
) -> None:
    if connection.execute(ICU).fetchone() != (True,):
        pytest.skip("this server is built without ICU")
    name = sql.Identifier(collation)
    create = sql.SQL("CREATE COLLATION {} (provider = icu, locale = {}, deterministic = {})")
    connection.execute(create.format(name, sql.Literal(locale), sql.Literal(deterministic)))
    connection.execute(sql.SQL("CREATE TABLE events (key varchar(26) COLLATE {} PRIMARY KEY)").format(name))
    spec = spec_of(Encoding.ULID)
    statement = sql.SQL("INSERT INTO events SELECT {} FROM generate_series(1, 20) AS n")
    connection.execute(statement.format(spec.codec.from_moment(sql.SQL("now() - n * interval '1 hour'"))))
    run = open_run(connect, spec, "collated")

    found = partition_type_of(run)
    assert found.blocks is bool(told)
    if not told:
        return
    assert f"collation public.{name.as_string() if ' ' in collation else collation}, {told}" in found.actual
    connection.execute(re.match("Execute (ALTER .*?) first:", found.remedy)[1])  # type: ignore[index]
    assert not partition_type_of(run).blocks


def partition_type_of(run: Run) -> Check:
    params = RunParams(mode=Mode.REHEARSE, backup=Backup.SKIP)
    return next(each for each in preflight_checks(run, params) if each.name == "partition_type")


def test_far_out_keys_are_told_as_moments(connection: psycopg.Connection[Any], connect: Connect) -> None:
    spec = spec_of(Encoding.EPOCH_SECONDS)
    connection.execute("CREATE TABLE events (key integer PRIMARY KEY); INSERT INTO events VALUES (100)")
    connection.execute(
        "INSERT INTO events SELECT extract(epoch FROM now())::int - n * 3600 FROM generate_series(1, 500) n"
    )
    run = open_run(connect, spec, "far")
    checks = {each.name: each for each in preflight_checks(run, RunParams(mode=Mode.REHEARSE, backup=Backup.SKIP))}
    assert checks["partitions_planned"].outcome is Outcome.FAILED
    assert "for 1 row from 1970-01-01 01:01:40+01 to 1970-01-01 01:01:40+01" in checks["partitions_planned"].actual
