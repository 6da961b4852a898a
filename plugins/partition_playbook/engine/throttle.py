"""Yield to the application: start no load or batch while the run is paused or the server is busy."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator

from partition_playbook import figures
from partition_playbook.database import Row, Session
from partition_playbook.engine import load_groups
from partition_playbook.errors import StillBusy
from partition_playbook.run import Run
from partition_playbook.spec import Throttle

log = logging.getLogger(__name__)

POLL_SECONDS = 5.0
PATIENCE_SECONDS = 6 * 3600.0


def wait_until_calm(run: Run, partition: str = "") -> None:
    """Wait while the run is paused or the server is over a limit of the spec; StillBusy after PATIENCE_SECONDS.

    Call it between two transactions, never inside one. Each new reason is noted in the ledger with all present ones.
    For the console, the next event of the same task ends the wait.
    """
    started = time.monotonic()
    noted: set[str] = set()
    while found := reasons(run):
        why = "; ".join(found.values())
        if found.keys() - noted:
            log.info("%s: waiting: %s", run.table, why)
            run.ledger.add_note(f"waiting: {why}", waits_for=why, reasons=sorted(found), partition=partition)
        noted |= found.keys()

        if time.monotonic() - started > PATIENCE_SECONDS:
            run.ledger.add_note("stopped waiting", partition=partition)
            raise StillBusy(
                f"still waiting after {figures.seconds(PATIENCE_SECONDS)}: {why}",
                where=str(run.table),
                remedy="Clear this task when these reasons have passed; change capture stays on, so no write is lost",
            )
        time.sleep(random.uniform(0.5, 1.5) * POLL_SECONDS)
    if noted:
        run.ledger.add_note(f"resumed after {figures.seconds(time.monotonic() - started)}", partition=partition)


def reasons(run: Run) -> dict[str, str]:
    """Return the present reasons to wait, by kind; empty if there is none."""
    if run.paused():
        return {"paused": "paused by the Airflow Variable partition_playbook_pause"}
    with run.database.session() as session:
        load = session.row("engine/measure_load")
        found = dict(excesses(run.spec.throttle, load))
        if load["safe_wal_bytes"] is not None:
            found |= _wal_reason(load["safe_wal_bytes"], _load_bytes(run, session))
    return found


def _wal_reason(safe: int, needed: int) -> dict[str, str]:
    """Return the reason to wait before one more load would invalidate a replication slot; else nothing."""
    if safe >= needed:
        return {}
    left = f"{figures.size(max(safe, 0))} of WAL until a replication slot is lost"
    return {"replication_slot": f"{left}, less than the {figures.size(needed)} of a load"}


def _load_bytes(run: Run, session: Session) -> int:
    """Estimate the bytes of the largest load, with indexes and TOAST."""
    size = session.value("engine/find_size", {"schema": run.table.schema, "name": run.table.name}) or 0
    return int(size * load_groups.largest_share(run.ledger.loads()))


def excesses(limits: Throttle, load: Row) -> Iterator[tuple[str, str]]:
    """Yield each exceeded limit: its kind, and a text with value and limit."""
    lag, most = load["replica_lag"], limits.most_connections(load["max_connections"])
    if limits.max_replica_lag and lag and lag > limits.max_replica_lag.total_seconds():
        yield (
            "replica_lag",
            f"replica lag {figures.seconds(lag)}, limit {figures.seconds(limits.max_replica_lag.total_seconds())}",
        )
    if most is not None and load["connections"] > most:
        yield "connections", f"{figures.count(load['connections'], 'connection')}, limit {figures.number(most)}"
    if load["unarchived_wal"]:
        # Whatever the limits: the server keeps each WAL file until it is archived.
        yield "archiver", f"the server fails to archive its WAL file {load['unarchived_wal']}"
    if limits.max_running is not None and load["running"] > limits.max_running:
        yield (
            "running",
            f"{figures.count(load['running'], 'running session')}, limit {figures.number(limits.max_running)}",
        )
