"""Live writers: an application that writes to sensor_readings continuously and records its commits.

The writers use the table by its name only. Each writer is a process. It changes its own rows, and its share of the rows
from other sources, by id. No two writers change the same row, so the record is exact. Rows of an earlier group are rows
from another source: compare a group before the next one starts.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import sys
import time
import uuid
from collections import Counter
from collections.abc import Collection
from multiprocessing.connection import Connection as Channel
from types import TracebackType
from typing import Self

from partition_playbook import figures
from staging import environment, record
from staging.keys import IDENTITY, WorkedKey
from staging.record import Comparison, Latency, Notes, RowId, States, WriteError
from staging.writer import Duty, application_name, write

ANSWER_SECONDS = 60


class WritersError(RuntimeError):
    """A writer died, or does not answer."""


class Writers:
    """A group of writers, each with ``rate`` transactions per second; None is as fast as possible.

    ``late`` is the share of new rows with a random moment of the past ``days``, like rows of devices that were offline.
    With 0, updates don't move a row to such a moment either. ``key`` is that of the table.
    """

    def __init__(
        self,
        conninfo: str,
        count: int = 2,
        rate: float | None = None,
        seed: int = 0,
        late: float = 0.2,
        key: WorkedKey = IDENTITY,
        days: float = 365,
    ) -> None:
        token = f"live-{uuid.uuid4().hex[:8]}"
        self._conninfo = conninfo
        self._key = key
        self._duties = [Duty(conninfo, token, index, count, rate, seed, late, key, days) for index in range(count)]
        self._context = multiprocessing.get_context("spawn")
        self._paused = self._context.Event()
        self._written = self._context.RawArray("q", count)
        self._running: list[tuple[Channel, multiprocessing.process.BaseProcess]] = []
        self._rows: list[dict[RowId, States]] = [{} for _ in self._duties]
        self._unacknowledged: list[set[RowId]] = [set() for _ in self._duties]
        self._timings: list[tuple[float, float]] = []
        self._errors: list[WriteError] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def writes(self) -> int:
        """Count the row changes committed so far."""
        return sum(self._written)

    @property
    def errors(self) -> tuple[WriteError, ...]:
        """Return all errors that the application got."""
        self._collect("report")
        return tuple(self._errors)

    @property
    def known_ids(self) -> set[RowId]:
        """Return the ids of all rows whose state is on record, by an acknowledged transaction."""
        self._collect("report")
        return set().union(
            *(rows.keys() - unsure for rows, unsure in zip(self._rows, self._unacknowledged, strict=True))
        )

    def errors_by_sqlstate(self) -> Counter[str]:
        """Count the errors that the application got."""
        return Counter(error.sqlstate for error in self.errors)

    def start(self) -> None:
        """Start writing, or resume after ``stop``."""
        if self._running:
            return
        self._paused.clear()
        for duty, rows in zip(self._duties, self._rows, strict=True):
            channel, far_end = self._context.Pipe()
            arguments = (duty, rows, self._written[duty.index], far_end, self._paused, self._written)
            process = self._context.Process(target=write, args=arguments, daemon=True)
            process.start()
            far_end.close()
            self._running.append((channel, process))
        self._collect("report")

    def stop(self) -> None:
        """Stop the writers after their open transactions; the record stays."""
        try:
            self._collect("stop")
        finally:
            for channel, process in self._running:
                process.join(timeout=5)
                process.kill()
                channel.close()
            self._running = []

    def pause(self) -> None:
        """Start no more transactions, and return when none is open."""
        self._paused.set()
        self._collect("report")

    def resume(self) -> None:
        """Resume after ``pause``."""
        self._paused.clear()

    def latency(self, since: float = 0, until: float = math.inf) -> Latency:
        """Summarize the transactions that were open between two moments, in Unix time."""
        self._collect("report")
        return record.summarize(self._timings, since, until)

    def compare(
        self, conninfo: str | None = None, table: str = "sensor_readings", taken: Collection[RowId] = ()
    ) -> Comparison:
        """Compare a table with the record of all rows that the writers have changed; the writers pause meanwhile.

        ``taken`` are ids of rows that others have inserted.
        """
        was_paused = self._paused.is_set()
        self.pause()
        try:
            expected = record.join(self._rows, self._unacknowledged, taken)
            return record.compare(expected, conninfo or self._conninfo, table, self.writes, self._key.type)
        finally:
            if not was_paused:
                self.resume()

    def _collect(self, command: str) -> None:
        for index, (channel, _) in enumerate(self._running):
            try:
                channel.send(command)
            except OSError:
                raise _died(index) from None
        for index, (channel, _) in enumerate(self._running):
            try:
                if not channel.poll(ANSWER_SECONDS):
                    raise WritersError(_silent(index))
                notes: Notes = channel.recv()
            except (EOFError, OSError):
                raise _died(index) from None
            record.merge(self._rows[index], notes.rows)
            for key, known in notes.acknowledged.items():
                (self._unacknowledged[index].discard if known else self._unacknowledged[index].add)(key)
            self._timings += notes.timings
            self._errors += notes.errors


def _silent(index: int) -> str:
    find = f"SELECT pg_blocking_pids(pid) FROM pg_stat_activity WHERE application_name = '{application_name(index)}'"
    return (
        f"Writer {index} has not answered for {figures.seconds(ANSWER_SECONDS)}: its transaction waits for another "
        f"session. Find it with: {find}"
    )


def _died(index: int) -> WritersError:
    return WritersError(f"Writer {index} died, and its record is lost. Its traceback is on stderr.")


def main() -> None:
    """Write to the staging database for some seconds, and compare."""
    parser = argparse.ArgumentParser(
        prog="python -m staging.writers",
        description="Write to sensor_readings, then compare the table with the record.",
    )
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--rate", type=float, help="transactions per second and writer (default: as fast as possible)")
    arguments = parser.parse_args()
    database = environment.start_database().conninfo("staging")
    with Writers(database, arguments.writers, arguments.rate) as writers:
        time.sleep(arguments.seconds)
        writers.pause()
        latency, comparison = writers.latency(), writers.compare()

    print(f"{figures.count(comparison.writes, 'write')}, {figures.count(comparison.rows_checked, 'row')} compared")
    print(f"errors {dict(writers.errors_by_sqlstate())}")
    median, p99, slowest = (figures.milliseconds(each) for each in (latency.p50, latency.p99, latency.max))
    print(f"{figures.count(latency.count, 'transaction')}, median {median}, p99 {p99}, max {slowest}")
    for kind in ("lost", "resurrected", "stale", "doubled"):
        print(f"{kind} {figures.number(len(getattr(comparison, kind)))}")
    sys.exit(0 if comparison.exact else 1)


if __name__ == "__main__":
    main()
