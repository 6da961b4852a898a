"""A process that dies at any moment of the engine's work: it is done again, or undone, and nothing is lost.

Each step starts from a copy of a database in which all before it were done. Every request of the step that makes
something last is struck twice: before the server hears of it, and after it was done but before the answer arrives; all
connections of the process are cut with it. Then a new process takes over, by turns to go on and to go back, while an
application writes all the time.
"""

from __future__ import annotations

import psycopg
import pytest

from partition_playbook.errors import PlaybookError
from partition_playbook.ledger import Phase
from partition_playbook.run import Run
from tests.fixtures import footprint
from tests.fixtures.proxy import Proxy, Strike
from tests.fixtures.scenario_writer import Writer, read_rows, unlike
from tests.fixtures.stages import (
    COMPARABLE,
    KEY,
    SPEC,
    STATEMENTS,
    STEPS,
    WRITTEN_DAYS,
    Stages,
    go_back,
    take_over,
    verify_online,
)

MOST_REQUESTS = 500
LEFT = """
SELECT format('%s %s of %s', locktype, mode, application_name)
  FROM pg_locks JOIN pg_stat_activity USING (pid)
 WHERE datname = current_database() AND (locktype = 'advisory' OR state <> 'idle')
   AND application_name LIKE 'partition\\_playbook%'
"""


@pytest.mark.parametrize("strike", Strike)
@pytest.mark.parametrize("name", STEPS)
def test_a_process_that_dies_is_survived(stages: Stages, name: str, strike: Strike) -> None:
    for at in range(1, MOST_REQUESTS):
        back = name != "finalize" and bool((at + (strike is Strike.UNTOLD)) % 2)
        with stages.copy(name) as dsn:
            struck = survive(stages, dsn, name, at, strike, back=back)
        if not struck:
            break
    assert 1 < at < MOST_REQUESTS - 1


def survive(stages: Stages, dsn: str, name: str, at: int, strike: Strike, *, back: bool) -> bool:
    """Let a step die, go on or back, and look; tell whether there was such a request at all."""
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        Writer(dsn, KEY, STATEMENTS, seed=at, days=WRITTEN_DAYS) as writer,
    ):
        writer.record = dict(read_rows(connection, SPEC.name, KEY))
        writer.start()
        writer.let_write(5)
        with Proxy(dsn) as proxy:
            proxy.arm(at, strike)
            try:
                STEPS[name](take_over(proxy.conninfo))
            except (psycopg.Error, PlaybookError):
                if not proxy.has_struck:
                    raise
            struck = proxy.has_struck
        writer.let_write(5)
        run = take_over(dsn)
        (go_back if back else STEPS[name])(run)
        writer.let_write(5)
        with writer.paused():
            assert writer.errors == []
            look(connection, run, stages.objects["" if back else name], writer)
    return struck


def look(connection: psycopg.Connection, run: Run, objects: set[tuple[object, ...]], writer: Writer) -> None:
    """Compare objects, rows and what stands by with what they must be, and find no session left."""
    assert unlike(writer.record, read_rows(connection, SPEC.name, KEY)) == {}
    found = footprint.objects(connection)
    assert found == objects, f"left: {found - objects}, missing: {objects - found}"
    if Phase(run.ledger.run()["phase"]) in COMPARABLE:
        verify_online(run)
    assert connection.execute(LEFT).fetchall() == []
