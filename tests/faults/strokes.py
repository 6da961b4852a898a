"""One stroke: a fault of some kind at some request of some step, then on or back, and a look at every row."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

import psycopg

from partition_playbook.engine import load
from partition_playbook.errors import LockNotGranted, PlaybookError, SourceChanged
from partition_playbook.ledger import Phase
from partition_playbook.run import Run
from staging.record import Comparison
from staging.writers import Writers
from tests.faults.odd_writers import Judged, Odd, OddWriters, judge
from tests.fixtures import footprint
from tests.fixtures.proxy import Deed, Proxy, Strike
from tests.fixtures.scenario_writer import wait_until
from tests.fixtures.stages import COMPARABLE, STEPS, Stages, go_back, take_over, verify_online

PARTITION = "sensor_readings_y"
OURS = "datname = current_database() AND application_name LIKE 'partition\\_playbook%'"
TERMINATE = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}"
WAITING = f"SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND {OURS}"
LEFT = f"""
SELECT FROM pg_stat_activity WHERE {OURS} AND state <> 'idle'
 UNION ALL
SELECT FROM pg_locks JOIN pg_database d ON d.oid = database WHERE locktype = 'advisory' AND datname = current_database()
"""
LOCKING = "SELECT FROM pg_locks WHERE relation = 'partition_playbook.events'::regclass AND mode = 'ExclusiveLock'"
# What a step may raise because another session changes the table meanwhile.
CHANGED = (SourceChanged, LockNotGranted)
MOST_AGAIN = 50
NOTHING_ODD = Judged((), (), ())
# What the server does when one of its processes dies: it ends all others at once and recovers from its log.
CRASH = "COPY (SELECT WHERE false) TO PROGRAM 'kill -KILL {}'"


class Fault(StrEnum):
    """The kinds of faults."""

    UNHEARD = Strike.UNHEARD.value
    UNTOLD = Strike.UNTOLD.value
    TERMINATED = "every session terminated"
    HELD_UP = "every session terminated inside a statement that is held up"
    CRASHED = "the whole server crashed"


def deed(fault: Fault, dsn: str, aside: Executor, over: threading.Event) -> Strike | Deed:
    """Return what a proxy does at the request; what goes on ``aside`` ends when the step is ``over``."""
    match fault:
        case Fault.UNHEARD | Fault.UNTOLD:
            return Strike(fault.value)
        case Fault.TERMINATED:
            return partial(execute, dsn, TERMINATE)
        case Fault.HELD_UP:
            return partial(hold_up, dsn, aside, over)
        case Fault.CRASHED:
            return partial(crash, dsn)


def execute(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[call-overload]


def hold_up(dsn: str, aside: Executor, over: threading.Event) -> None:
    """Let the next transaction that writes to the ledger wait, and terminate it there."""

    def work() -> None:
        with psycopg.connect(dsn) as blocker, psycopg.connect(dsn, autocommit=True) as watcher:
            blocker.execute("LOCK TABLE partition_playbook.events IN EXCLUSIVE MODE")
            while not over.wait(0.01):
                if watcher.execute(WAITING).fetchall():
                    watcher.execute(TERMINATE)
                    return

    aside.submit(work)
    with psycopg.connect(dsn, autocommit=True) as watcher:
        # Granted or not: the transaction that is struck may hold the ledger itself until it has committed.
        wait_until(lambda: bool(watcher.execute(LOCKING).fetchall()), "the ledger's lock is asked for")


def crash(dsn: str) -> None:
    """Kill one process of the server, which then ends all others without a word, and recovers."""
    with (
        suppress(psycopg.OperationalError),
        psycopg.connect(dsn, autocommit=True) as victim,
        psycopg.connect(dsn, autocommit=True) as killer,
    ):
        killer.execute(CRASH.format(victim.info.backend_pid))  # type: ignore[call-overload]
        # The kernel closes the victim's connection before the server knows; the server itself ends the killer.
        wait_until(lambda: is_gone(killer), "the server crashed")
    wait_until(lambda: answers(dsn), "the server recovered")


def is_gone(connection: psycopg.Connection) -> bool:
    connection.execute("SELECT 1")
    return False


def answers(dsn: str) -> bool:
    try:
        execute(dsn, "SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


@dataclass(frozen=True)
class Stroke:
    """A fault at the numbered request of a step, then the step again, or back."""

    step: str
    fault: Fault
    at: int
    back: bool

    def __str__(self) -> str:
        return f"{self.step}, {self.fault}, request {self.at}, back {self.back}"


@dataclass(frozen=True)
class Found:
    """The outcome of a stroke: the rows, the odd writers' labels, and how often a step was begun again."""

    rows: Comparison
    labels: Judged = NOTHING_ODD
    odd: dict[str, Odd] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    again: int = 0


def strike(stages: Stages, name: str, fault: Fault, at: int, *, back: bool, writers: int = 1) -> Comparison:
    """Strike a step at a request, go on or back, look at the objects; return what the writers say of the rows."""
    with stages.copy(name) as dsn, Writers(dsn, writers, rate=100, seed=at, late=0) as application:
        # A sequence that was copied with its database would give its numbers again after a crash: its log is elsewhere.
        execute(dsn, "CHECKPOINT")
        let_write(application)
        assert struck(dsn, Stroke(name, fault, at, back))
        let_write(application)
        run = take_over_slots(dsn)
        (go_back if back else STEPS[name])(run)
        let_write(application)
        application.pause()
        look(stages, dsn, run, name, back=back)
        if fault is not Fault.CRASHED:
            assert application.errors == ()
        return application.compare()


def strike_among_odd_writers(stages: Stages, stroke: Stroke, writers: int) -> Found:
    """Strike like ``strike`` while others write by habits of their own; a step that names a change is begun again."""
    with stages.copy(stroke.step) as dsn, Writers(dsn, writers, rate=100, seed=stroke.at, late=0) as application:
        execute(dsn, "CHECKPOINT")
        with OddWriters(dsn, stroke.at) as odd:
            let_write(application)
            struck(dsn, stroke)
            let_write(application)
            run = take_over_slots(dsn)
            again = until_done(partial(go_back if stroke.back else STEPS[stroke.step], run))
            let_write(application)
            done = odd.stop()
        application.pause()
        look(stages, dsn, run, stroke.step, back=stroke.back)
        refused = Counter({} if stroke.fault is Fault.CRASHED else application.errors_by_sqlstate())
        with psycopg.connect(dsn, autocommit=True) as connection:
            labels = judge(connection, done.values(), application.known_ids)
        taken = {key for each in done.values() for ids in each.committed.values() for key in ids}
        return Found(application.compare(taken=taken), labels, done, refused, again)


def struck(dsn: str, stroke: Stroke) -> bool:
    """Begin a step and strike; tell whether the step asked often enough for it."""
    over = threading.Event()
    with Proxy(dsn) as proxy, ThreadPoolExecutor(1) as aside:
        proxy.arm(stroke.at, deed(stroke.fault, dsn, aside, over))
        try:
            STEPS[stroke.step](take_over(proxy.conninfo))
        except (psycopg.Error, PlaybookError) as error:
            # A change of the table may have stopped it before.
            if not proxy.has_struck and not isinstance(error, CHANGED):
                raise
        finally:
            over.set()
        return proxy.has_struck


def take_over_slots(dsn: str) -> Run:
    """Take a run over once its load slot is free: the session of a load that died may outlive it for a moment."""
    run = take_over(dsn)
    wait_until(lambda: load.free_slots(run, 1) > 0, "a load slot")
    return run


def until_done(step: Callable[[], object]) -> int:
    """Do a step, again where it says so; return how often it was begun again."""
    for again in range(MOST_AGAIN):
        try:
            step()
        except CHANGED as error:
            if "lear this task" not in error.remedy:
                raise
        else:
            return again
    raise AssertionError(f"not done after {MOST_AGAIN} tries")


def look(stages: Stages, dsn: str, run: Run, name: str, *, back: bool) -> None:
    """Compare the objects with those after an undisturbed step, and both sides with each other."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        found, wanted = footprint.objects(connection), stages.objects["" if back else name]
        if name == "build_shadow" and not back:  # rows that moved before it need partitions of their own
            found, wanted = ({each for each in some if PARTITION not in each[1]} for some in (found, wanted))
        assert found == wanted, f"left: {found - wanted}, missing: {wanted - found}"
        if Phase(run.ledger.run()["phase"]) in COMPARABLE:
            verify_online(run)
        wait_until(lambda: not connection.execute(LEFT).fetchall(), "no session of the playbook is left")


def let_write(application: Writers) -> None:
    wanted = application.writes + 5
    wait_until(lambda: application.writes >= wanted, "the application writes")
