"""Live writers: an application that writes to sensor_readings all the time and records what it committed.

They know the table by its name only. Each is a process and changes the rows that it inserted and, of the rows that were
there anyway, those whose id falls to it: no two writers touch one row, so the record is exact. The rows of an earlier
group count as rows that were there: compare a group before another one starts.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import sys
import time
import uuid
from collections import Counter
from multiprocessing.connection import Connection as Channel
from types import TracebackType
from typing import Self

from staging import environment, record
from staging.record import Comparison, Latency, Notes, States, WriteError
from staging.writer import Duty, write

ANSWER_SECONDS = 60


class WritersError(RuntimeError):
    """A writer could not run."""


class Writers:
    """A group of writers; rate is in transactions a second for each, as fast as possible if None.

    ``late`` is the share of new rows that are of any moment of the past year, as from devices that were out of reach;
    with none, no row is moved to such a moment either.
    """

    def __init__(
        self, conninfo: str, count: int = 2, rate: float | None = None, seed: int = 0, late: float = 0.2
    ) -> None:
        token = f"live-{uuid.uuid4().hex[:8]}"
        self._conninfo = conninfo
        self._duties = [Duty(conninfo, token, index, count, rate, seed, late) for index in range(count)]
        self._context = multiprocessing.get_context("spawn")
        self._paused = self._context.Event()
        self._written = self._context.RawArray("q", count)
        self._running: list[tuple[Channel, multiprocessing.process.BaseProcess]] = []
        self._rows: list[dict[int, States]] = [{} for _ in self._duties]
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
        """Return every error that the application saw."""
        self._collect("report")
        return tuple(self._errors)

    def errors_by_sqlstate(self) -> Counter[str]:
        """Count the errors that the application saw."""
        return Counter(error.sqlstate for error in self.errors)

    def start(self) -> None:
        """Start writing, or go on after stop."""
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
        """End the writers after the transactions that they are in; the record stays."""
        try:
            self._collect("stop")
        finally:
            for channel, process in self._running:
                process.join(timeout=5)
                process.kill()
                channel.close()
            self._running = []

    def pause(self) -> None:
        """Let no transaction begin, and return when none is open."""
        self._paused.set()
        self._collect("report")

    def resume(self) -> None:
        """Go on after pause."""
        self._paused.clear()

    def latency(self, since: float = 0, until: float = math.inf) -> Latency:
        """Sum up the transactions that were under way between two moments of time.time()."""
        self._collect("report")
        return record.summarize(self._timings, since, until)

    def compare(self, conninfo: str | None = None, table: str = "sensor_readings") -> Comparison:
        """Compare every row that the writers ever touched with a table, while they hold still."""
        was_paused = self._paused.is_set()
        self.pause()
        try:
            expected = {key: states for rows in self._rows for key, states in rows.items()}
            return record.compare(expected, conninfo or self._conninfo, table, self.writes)
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
                    raise WritersError(
                        f"Writer {index} waits in a transaction since {ANSWER_SECONDS} s; who blocks it?"
                    )
                notes: Notes = channel.recv()
            except (EOFError, OSError):
                raise _died(index) from None
            record.merge(self._rows[index], notes.rows)
            self._timings += notes.timings
            self._errors += notes.errors


def _died(index: int) -> WritersError:
    return WritersError(f"Writer {index} has died, and with it its record. Its last words are on stderr.")


def main() -> None:
    """Write to the staging database for a while, and compare."""
    parser = argparse.ArgumentParser(
        prog="python -m staging.writers", description="Write to sensor_readings for a while."
    )
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--rate", type=float, help="transactions a second for each writer (as fast as possible)")
    arguments = parser.parse_args()
    database = environment.start_database().conninfo("staging")
    with Writers(database, arguments.writers, arguments.rate) as writers:
        time.sleep(arguments.seconds)
        writers.pause()
        latency, comparison = writers.latency(), writers.compare()
    print(f"{comparison.writes} writes, {comparison.rows_checked} rows compared")
    print(f"errors {dict(writers.errors_by_sqlstate())}")
    print(f"{latency.count} transactions, p50 {latency.p50:.2f} ms, p99 {latency.p99:.2f} ms, max {latency.max:.1f} ms")
    for kind in ("lost", "resurrected", "stale", "doubled"):
        print(f"{kind} {len(getattr(comparison, kind))}")
    sys.exit(0 if comparison.exact else 1)


if __name__ == "__main__":
    main()
