"""Any table under any history of writes: forward, back and forward again, and at each stop every row is as it must be.

`make test` takes the same few each time, `make soak` hundreds of others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from partition_playbook.engine import attach, cutover, layout, load, reconcile, rollback, shadow
from partition_playbook.engine.sides import Direction, sides
from partition_playbook.run import Run
from tests.fixtures.histories import Connection, Shape, Twins, Write, shapes, writes
from tests.fixtures.migration import finalize_anyway
from tests.fixtures.scenario_surface import Surface, differences, surface
from tests.fixtures.tables import open_run

FEW = 3
OPEN = ("captured", "loading", "loaded", "attached", "reconciled a few")
AFTER = ("forward", "a few from it", "back", "a few from there", "forward again")
STOPS = ("at first", "planned", *OPEN, "caught up", *AFTER)


@dataclass(frozen=True)
class History:
    """The writes at each stop, and a transaction that stays open from one stop to another."""

    writes: dict[str, list[Write]]
    late: Sequence[Write]
    opened: int
    committed: int
    finalizes: bool


histories = st.builds(
    History,
    writes=st.fixed_dictionaries({stop: st.lists(writes, max_size=5) for stop in STOPS}),
    late=st.lists(writes, max_size=3),
    opened=st.integers(0, len(OPEN) - 1),
    committed=st.integers(0, len(OPEN) - 1),
    finalizes=st.booleans(),
)


@pytest.mark.timeout(0)
@settings(max_examples=settings().max_examples // 10)
@given(shape=shapes, history=histories)
def test_forward_back_and_forward_again(
    connection: Connection,
    connect: Callable[[], Connection],
    monkeypatch: pytest.MonkeyPatch,
    shape: Shape,
    history: History,
) -> None:
    monkeypatch.setattr(reconcile, "BATCH", FEW)
    with twins_of(connection, shape) as twins, connect() as late:
        run = open_run(connect, twins.spec, f"run of {twins.table}")
        twins.use(late)
        found = dict[str, Surface]()
        for stop in way(run, finalizes=history.finalizes):
            if stop not in OPEN or OPEN.index(stop) > history.committed:
                late.commit()
            for each in history.writes.get(stop, ()):
                twins.write(connection, each)
            if stop == OPEN[history.opened]:
                for each in history.late:
                    twins.write(late, each)
            assert twins.unlike(connection, run.table) == {}, stop
            if stop == "caught up" and not reconcile.catch_up(run):
                assert twins.unlike(connection, run.table.shadow) == {}, "the shadow"
            found[stop] = surface(connection, run.table)
            twins.planned = True
        assert differences(found["forward"], found["forward again"]) == []
        assert differences(found["at first"], found["back"]) == []
        changed = differences(found["at first"], found["forward"])
        assert [each for each in changed if "the key:" not in each] == []
        assert bool(changed) == twins.key_changes


@contextmanager
def twins_of(connection: Connection, shape: Shape) -> Iterator[Twins]:
    twins = Twins(connection, shape)
    try:
        yield twins
    finally:
        connection.execute("RESET ALL; SET client_min_messages = warning")
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(twins.table.schema)))


def way(run: Run, *, finalizes: bool) -> Iterator[str]:
    """Drive the engine, and yield at each stop at which somebody may write."""
    yield "at first"
    with run.database.transaction() as session:
        shadow.create_tables(run, session, sides(session, run), layout.planned_bounds(session, run.spec))
    yield "planned"
    shadow.build(run)
    yield "captured"
    for at, each in enumerate(run.ledger.loads()):
        load.load_partition(run, each["partition_name"], workers=1)
        if at == 1:
            yield "loading"
    yield "loaded"
    attach.attach_partitions(run)
    yield "attached"
    reconcile_a_few(run)
    yield "reconciled a few"
    reconcile.catch_up(run)
    yield "caught up"
    cutover.swap(run, Direction.FORWARD)
    yield "forward"
    reconcile_a_few(run)
    yield "a few from it"
    rollback.roll_back(run)
    yield "back"
    reconcile_a_few(run)
    yield "a few from there"
    cutover.swap(run, Direction.FORWARD)
    yield "forward again"
    if finalizes:
        finalize_anyway(run)
        yield "finalized"
    else:
        rollback.roll_back(run)
        rollback.abandon(run)
        yield "abandoned"


def reconcile_a_few(run: Run) -> None:
    with reconcile.reconciler(run) as session:
        reconcile.reconcile_batch(run, session, sides(session, run))
