"""Yield to the application: begin nothing heavy while a person has paused the run or the server is busy."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator

from partition_playbook.database import Row
from partition_playbook.errors import StillBusy
from partition_playbook.migration.run import Run
from partition_playbook.spec import Throttle

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
PATIENCE_SECONDS = 6 * 3600.0


def wait_until_calm(run: Run, partition: str = "") -> None:
    """Wait while the run is paused or the server busier than the spec allows; StillBusy after hours of it.

    To be called between two transactions, never inside one. A new reason is told with all others that hold then; what
    a task tells next ends its wait.
    """
    started = time.monotonic()
    told: set[str] = set()
    while found := reasons(run):
        why = "; ".join(found.values())
        if found.keys() - told:
            log.info("%s: waiting: %s", run.table, why)
            run.ledger.tell(f"waiting: {why}", waits_for=why, partition=partition)
        told |= found.keys()
        if time.monotonic() - started > PATIENCE_SECONDS:
            run.ledger.tell("gave up waiting", partition=partition)
            raise StillBusy(
                f"still waiting after {PATIENCE_SECONDS / 3600:.0f} hours: {why}",
                where=str(run.table),
                remedy="Nothing is lost and the capture is on: clear this task when there is room",
            )
        time.sleep(random.uniform(0.5, 1.5) * POLL_SECONDS)
    if told:
        run.ledger.tell(f"going on after {time.monotonic() - started:.0f} s", partition=partition)


def reasons(run: Run) -> dict[str, str]:
    """Return why to wait now, by kind; empty where nothing speaks against work."""
    if run.paused():
        return {"paused": "a person has paused it"}
    with run.database.session() as session:
        return dict(excesses(run.spec.throttle, session.row("migration/measure_load")))


def excesses(limits: Throttle, load: Row) -> Iterator[tuple[str, str]]:
    """Name each limit that the server's load exceeds."""
    lag, most = load["replica_lag"], limits.most_connections(load["max_connections"])
    if limits.max_replica_lag and lag and lag > limits.max_replica_lag.total_seconds():
        yield "replica_lag", f"a replica lags {lag:.0f} s, {limits.max_replica_lag.total_seconds():.0f} s is the limit"
    if most is not None and load["connections"] > most:
        yield "connections", f"{load['connections']} connections, {most:.0f} is the limit"
    if limits.max_running is not None and load["running"] > limits.max_running:
        yield "running", f"{load['running']} sessions at work, {limits.max_running} is the limit"
