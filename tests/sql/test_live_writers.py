"""Forward, back, forward again under live writers, against their own record of what they committed."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg
import pytest

from partition_playbook.errors import Diverged
from partition_playbook.migration import load, reconcile, rollback, settle, shadow
from partition_playbook.migration.run import Direction, Run
from staging.writers import Writers

WRITERS, RATE = 3, 60.0


def await_writes(writers: Writers, more: int) -> None:
    """Wait until the writers have committed so many row changes more."""
    target, deadline = writers.writes + more, time.monotonic() + 60
    while writers.writes < target:
        assert time.monotonic() < deadline, "the writers came to a halt"
        time.sleep(0.02)


def there_and_back_and_there(run: Run, writers: Writers) -> None:
    for each in shadow.create(run):
        load.load_partition(run, each["partition_name"], workers=2)
    await_writes(writers, 200)
    shadow.attach(run)
    settle.settle(run, workers=2)
    for direction in (Direction.FORWARD, Direction.BACK, Direction.FORWARD):
        assert rollback.verified_swap(run, direction) is not None
        await_writes(writers, 300)


def test_nothing_is_lost_resurrected_stale_or_doubled(run: Run, dsn: str, readings: Callable[[int], None]) -> None:
    readings(10_000)
    with Writers(dsn, count=WRITERS, rate=RATE, seed=7) as writers:
        await_writes(writers, 100)
        there_and_back_and_there(run, writers)
    compared = writers.compare(dsn)
    assert compared.writes > 1_000
    assert compared.rows_checked > 500
    assert (compared.lost, compared.resurrected, compared.stale, compared.doubled) == ((), (), (), ())
    assert writers.errors == ()


@pytest.mark.parametrize("broken", ["UPDATE", "DELETE", "INSERT"])
def test_a_capture_that_misses_one_kind_of_change_cannot_stay_green(
    run: Run, dsn: str, readings: Callable[[int], None], connection: psycopg.Connection, broken: str
) -> None:
    """Break the capture behind the engine's back: the writers' record differs, and the online comparison says so."""
    readings(3_000)
    with Writers(dsn, count=1, rate=RATE, seed=11) as writers:
        await_writes(writers, 50)
        loads = shadow.create(run)
        function = run.table.capture_function
        source = connection.execute("SELECT prosrc FROM pg_proc WHERE proname = %s", (function.name,)).fetchone()
        assert source is not None
        deaf = str(source[0]).replace(f"WHEN '{broken}' THEN", f"WHEN '{broken}' THEN RETURN NULL;", 1)
        connection.execute(
            f'CREATE OR REPLACE FUNCTION {function.schema}."{function.name}"() RETURNS trigger LANGUAGE plpgsql '
            f"SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $${deaf}$$"
        )
        for each in loads:
            load.load_partition(run, each["partition_name"], workers=2)
        await_writes(writers, 300)
        shadow.attach(run)
    reconcile.catch_up(run)
    compared = writers.compare(dsn, table="sensor_readings_new")
    found = {"UPDATE": compared.stale or compared.lost, "DELETE": compared.resurrected, "INSERT": compared.lost}
    assert found[broken]
    with pytest.raises(Diverged, match=r"live \d+ rows checksum"):
        rollback.verified_swap(run, Direction.FORWARD)
    assert writers.compare(dsn).exact
