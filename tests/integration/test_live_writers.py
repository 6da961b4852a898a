"""Forward, back, forward again while an application writes; its own record is what the table is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import psycopg
import pytest
from psycopg import sql

from partition_playbook.codecs import Encoding
from partition_playbook.database import Session
from partition_playbook.engine import attach, capture, cutover, load, reconcile, shadow, verify
from partition_playbook.engine.batches import Batch
from partition_playbook.engine.sides import Direction, Sides
from partition_playbook.errors import Diverged
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.sections.data_preparation import rows
from partition_playbook.sections.snapshot.backup import take_statistics
from partition_playbook.spec import Backup, Mode, RunParams, TableSpec, load_spec
from staging.demo.table_spec import worked_spec
from staging.environment import create_schema
from staging.keys import ENCODINGS, IDENTITY, WorkedKey
from staging.writers import Writers

ROWS = 10_000
WRITES = 200
SECONDS = 60
KEYS = """
    SELECT contype, pg_get_constraintdef(oid) FROM pg_constraint
     WHERE contype = 'p' AND conrelid = 'sensor_readings'::regclass
        OR contype = 'f' AND conrelid = 'reading_alerts'::regclass AND conparentid = 0
"""
OTHERS = [each for each in ENCODINGS if each is not Encoding.UUIDV7]
REFERENCE = "FOREIGN KEY (reading_id) REFERENCES sensor_readings(id) ON DELETE CASCADE"


@pytest.fixture
def key(request: pytest.FixtureRequest) -> WorkedKey:
    """Return the key of the worked table, an identity unless the test names another one."""
    found: WorkedKey = getattr(request, "param", IDENTITY)
    return found


@pytest.fixture
def spec(key: WorkedKey) -> TableSpec:
    """Return the worked spec of the key."""
    if not key.encoding:
        return load_spec("sensor_readings")
    worked = worked_spec(key)
    worked["synthetic"]["months"] = 2  # each of them is generated alone
    return TableSpec.model_validate(worked)


@pytest.fixture
def writers(dsn: str, run: Run, key: WorkedKey, readings: Callable[[int], None]) -> Iterator[Writers]:
    """Write in bursts all the time: inserts, updates that move rows across months, deletes, with microseconds."""
    if key.encoding:
        create_schema(dsn, key)
        generate(run)
    else:
        readings(ROWS)
    with Writers(dsn, count=3, rate=60, seed=7, key=key) as group:
        yield group


def generate(run: Run) -> None:
    """Fill the table as the demo does, with the synthetic rows of its spec."""
    params = RunParams(mode=Mode.REHEARSE, backup=Backup.SKIP, synthetic_rows=ROWS)
    for piece in rows.slices(run, params):
        rows.generate(run, params, piece)


def let_write(writers: Writers, count: int = WRITES) -> None:
    """Wait until the application has committed so many more changes."""
    wanted, deadline = writers.writes + count, time.monotonic() + SECONDS
    while writers.writes < wanted:
        assert time.monotonic() < deadline, f"{writers.writes} writes, {wanted} wanted"
        time.sleep(0.01)


def build(run: Run, writers: Writers) -> None:
    take_statistics(run)
    for planned in shadow.build(run):
        load.load_partition(run, planned["partition_name"], workers=2)
    let_write(writers)
    attach.attach_partitions(run)
    reconcile.catch_up(run, until=100)


@pytest.mark.parametrize("key", [IDENTITY, WorkedKey(Encoding.UUIDV7)], indirect=True, ids=["identity", "uuidv7"])
def test_nothing_is_lost_resurrected_stale_or_doubled(
    run: Run, writers: Writers, key: WorkedKey, connection: psycopg.Connection
) -> None:
    let_write(writers)
    build(run, writers)
    for direction in (Direction.FORWARD, Direction.BACK, Direction.FORWARD):
        let_write(writers)
        assert cutover.swap(run, direction) is not None
    let_write(writers)
    assert not verify.content_check(*verify.compare(run)).blocks
    found = writers.compare()
    assert found.exact, found
    assert found.rows_checked > 5 * WRITES
    assert writers.errors == ()
    writers.pause()
    reconcile.catch_up(run)
    assert writers.compare(table="sensor_readings_old").exact, "the way back would lose rows"
    if key.encoding:
        # Another table still refers to the id alone, which still is the whole primary key.
        found_keys = dict(connection.execute(KEYS).fetchall())
        assert found_keys == {"p": "PRIMARY KEY (id)", "f": REFERENCE}


@pytest.mark.parametrize("key", [*map(WorkedKey, OTHERS)], indirect=True, ids=OTHERS)
def test_the_writers_make_and_change_rows_of_every_key(
    run: Run, writers: Writers, key: WorkedKey, connection: psycopg.Connection
) -> None:
    let_write(writers)
    found = writers.compare()
    assert found.exact, found
    assert writers.errors == ()
    unreadable, alerts, altered = connection.execute(
        sql.SQL(
            "SELECT count(*) FILTER (WHERE {}), (SELECT count(*) FROM reading_alerts), {} - count(*) "
            "FILTER (WHERE source = 'synthetic') FROM sensor_readings"
        ).format(key.codec.unreadable(sql.Identifier("id")), sql.Literal(ROWS))
    ).fetchone()  # type: ignore[misc]
    assert unreadable == 0
    assert alerts > 0
    assert altered > 0, "no writer deleted a row from another source"


def without_updates(run: Run, session: Session, tables: Sequence[TableName]) -> None:
    started(run, session, tables)
    for table in tables:
        drop = sql.SQL("DROP TRIGGER partition_playbook_update ON {}").format(table.identifier)
        session.execute(drop, purpose="Forget the updates")


def forgetful(run: Run, session: Session, now: Sides, size: int | None, *, floor: int = 0) -> Batch:
    change = "_partition_playbook_change"
    forget = sql.SQL(f"DELETE FROM {{0}} WHERE {change} = (SELECT min({change}) FROM {{0}})")
    session.execute(forget.format(run.table.change_log.identifier), purpose="Forget one change")
    return applied(run, session, now, size, floor=floor)


started, applied = capture.create_triggers, reconcile.apply_changes
BREAKAGES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "updates are not captured": lambda patch: patch.setattr(capture, "create_triggers", without_updates),
    "each batch loses a change": lambda patch: patch.setattr(reconcile, "apply_changes", forgetful),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_capture_is_seen_by_the_engine_and_by_the_record(
    run: Run, writers: Writers, monkeypatch: pytest.MonkeyPatch, breakage: str
) -> None:
    """The comparison above can turn red: with the capture broken on purpose it does."""
    BREAKAGES[breakage](monkeypatch)
    monkeypatch.setattr(capture, "is_on", lambda run, session, table: True)
    build(run, writers)
    with pytest.raises(Diverged, match="sensor_readings_y"):
        cutover.swap(run, Direction.FORWARD)
    # Without its proof the swap succeeds, and the record of the writers still tells.
    monkeypatch.setattr(cutover, "_proven", lambda run, direction: "")
    monkeypatch.setattr(cutover, "_require_unbroken_capture", lambda *_: None)
    cutover.swap(run, Direction.FORWARD)
    found = writers.compare()
    assert not found.exact
    assert found.lost or found.stale or found.resurrected or found.doubled
