"""The task of a load, and the trigger in which it waits: without a worker slot, a connection or a time limit."""

from __future__ import annotations

import asyncio
import bisect
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import psycopg
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import BaseTrigger, TriggerEvent

from partition_playbook import engine, figures
from partition_playbook.airflow import progress
from partition_playbook.airflow.links import PartitionLink, show_link
from partition_playbook.airflow.runs import current_run, run_params, watched_run
from partition_playbook.errors import LoadMustWait, PlaybookError, TryAgain
from partition_playbook.run import Run

log = logging.getLogger(__name__)

# The first in line asks the database, the others look whether they are the first.
ASK_SECONDS = 3.0
LOOK_SECONDS = 1.0
# A load that was told to start must be at work by then, else its slot is given to the next one.
ARRIVE_SECONDS = 120.0


class LoadPartitions(BaseOperator):
    """Load a group of partitions, or wait in the triggerer: for a slot, the end of a pause, and a calm server."""

    operator_extra_links = (PartitionLink(),)
    ui_color = "#e8f7e4"

    def __init__(self, *, partitions: list[str] | str, **arguments: Any) -> None:
        super().__init__(**arguments)
        # One name is of a run that an earlier version began.
        self.partitions = [partitions] if isinstance(partitions, str) else partitions

    @property
    def partition(self) -> str:
        """Return the first partition, which stands for the group: no other group has it."""
        return self.partitions[0]

    def execute(self, context: Any) -> int:
        """Load the partitions now, or defer; return their number of rows."""
        return self._load(context, since=time.time(), told=[])

    def execute_complete(self, context: Any, event: Mapping[str, Any]) -> int:
        """Try again after the wait; the place in line is kept if another load was faster."""
        return self._load(context, since=event["since"], told=event["told"])

    def _load(self, context: Any, since: float, told: list[str]) -> int:
        context["partition_name"] = engine.load.label(self.partitions)
        show_link(PartitionLink(), context)
        run, workers = current_run(context), run_params(context).load_workers
        try:
            loaded = engine.load.load_group(run, self.partitions, workers=workers)
        except LoadMustWait as error:
            log.info("waiting: %s", error.problem)
            self._defer(run, workers, since, told)
        if told:
            run.ledger.add_note(f"resumed after {figures.seconds(time.time() - since)}", partition=self.partition)
        progress.tell(run)
        return sum(each.rows for each in loaded)

    def _defer(self, run: Run, workers: int, since: float, told: list[str]) -> NoReturn:
        trigger = LoadSlotTrigger(
            connection=run.spec.connection,
            run_id=run.ledger.run_id,
            origin=dict(run.ledger.origin),
            partition=self.partition,
            workers=workers,
            since=since,
            told=told,
        )
        raise TaskDeferred(trigger=trigger, method_name="execute_complete")


@dataclass
class Line:
    """The loads of one run that wait in this process, in order of arrival, and those that were told to start."""

    waiting: list[tuple[float, str]] = field(default_factory=list)
    promised: dict[str, float] = field(default_factory=dict)
    asked: bool = False

    @contextmanager
    def place(self, since: float, partition: str) -> Iterator[tuple[float, str]]:
        """Stand in line until the end of the block."""
        self.promised.pop(partition, None)
        place = (since, partition)
        bisect.insort(self.waiting, place)
        try:
            yield place
        finally:
            self.waiting.remove(place)

    def is_first(self, place: tuple[float, str]) -> bool:
        """Return True if nobody began to wait before."""
        return self.waiting[0] == place

    def promise(self, partition: str) -> None:
        """Keep a slot for a load that was told to start."""
        self.promised[partition] = time.monotonic()

    def forget(self, arrived: set[str]) -> None:
        """Give up the slots of loads that took theirs, or did not arrive in time."""
        late = time.monotonic() - ARRIVE_SECONDS
        kept = {name: at for name, at in self.promised.items() if name not in arrived and at > late}
        self.promised = kept


# All triggers run in one event loop of the triggerer.
_lines: dict[tuple[str, str], Line] = {}


class LoadSlotTrigger(BaseTrigger):
    """Wait until a load can start; the loads of a run start in the order in which they began to wait.

    ``origin`` identifies the waiting task, ``since`` is the time at which it began to wait, in seconds, and ``told``
    has the kinds of reasons that the ledger knows already.
    """

    ARGUMENTS = ("connection", "run_id", "origin", "partition", "workers", "since", "told")

    def __init__(
        self,
        connection: str,
        run_id: str,
        origin: Mapping[str, Any],
        partition: str,
        workers: int,
        since: float,
        told: list[str],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.connection, self.run_id, self.origin, self.partition = connection, run_id, origin, partition
        self.workers, self.since, self.told = workers, since, told

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments, for the triggerer."""
        return f"{__name__}.{type(self).__name__}", {name: getattr(self, name) for name in self.ARGUMENTS}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Stand in line; ask the database as the first one; end when the load can start."""
        line = _lines.setdefault((self.connection, self.run_id), Line())
        with line.place(self.since, self.partition) as place:
            while not (line.is_first(place) and await self._can_start(line) and line.is_first(place)):
                await asyncio.sleep(ASK_SECONDS if line.is_first(place) else LOOK_SECONDS)
            line.promise(self.partition)
        yield TriggerEvent({"since": self.since, "told": self.told})  # type: ignore[no-untyped-call]

    async def _can_start(self, line: Line) -> bool:
        """Ask the database, one load at a time; an error that a retry cannot help is left to the task."""
        if line.asked:
            return False
        line.asked = True
        try:
            return await asyncio.to_thread(self._ask, line)
        except (psycopg.OperationalError, TryAgain) as error:
            self.log.warning("cannot look for a load slot, and look again: %s", error)
            return False
        except (PlaybookError, psycopg.Error) as error:
            self.log.warning("the load starts, and meets the same error: %s", error)
            return True
        finally:
            line.asked = False

    def _ask(self, line: Line) -> bool:
        """Return True if a slot is free, the run is not paused and the server calm; no connection stays open."""
        run = watched_run(self.connection, self.run_id, self.origin)
        try:
            if line.promised:
                line.forget(engine.load.arrivals(run, line.promised))
            if engine.load.free_slots(run, self.workers) <= len(line.promised):
                return False
            return self._is_calm(run)
        finally:
            run.ledger.database.close_idle()

    def _is_calm(self, run: Run) -> bool:
        """Return True if nothing holds the load back; tell each new kind of reason in the ledger, for the console."""
        found = engine.throttle.reasons(run)
        if found.keys() - set(self.told):
            why = "; ".join(found.values())
            kinds = sorted(found)
            run.ledger.add_note(f"waiting: {why}", waits_for=why, reasons=kinds, partition=self.partition)
            self.told = sorted({*self.told, *found})
        return not found
