"""Forward, back, forward again while an application writes; its own record is what the table is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from psycopg import sql

from partition_playbook.database import Session
from partition_playbook.engine import attach, capture, cutover, load, reconcile, shadow, verify
from partition_playbook.engine.batches import Batch
from partition_playbook.engine.sides import Direction, Sides
from partition_playbook.errors import Diverged
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.sections.snapshot.backup import take_statistics
from staging.writers import Writers

ROWS = 10_000
WRITES = 200
SECONDS = 60


@pytest.fixture
def writers(dsn: str, readings: Callable[[int], None]) -> Iterator[Writers]:
    """Write in bursts all the time: inserts, updates that move rows across months, deletes, with microseconds."""
    readings(ROWS)
    with Writers(dsn, count=3, rate=60, seed=7) as group:
        yield group


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


def test_nothing_is_lost_resurrected_stale_or_doubled(run: Run, writers: Writers) -> None:
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
