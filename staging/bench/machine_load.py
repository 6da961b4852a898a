"""The load of the machine before a benchmark: a figure is no result on a busy one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from partition_playbook import figures

SAMPLE_SECONDS = 60.0
MOST_LOAD = 0.5
# A run of fewer rows only checks that each part works.
RESULT_ROWS = 1_000_000
STAT = Path("/proc/stat")
# The fields of /proc/stat that are time without work: idle and waiting for disks. Guests are a part of user time.
IDLE_FIELDS, COUNTED_FIELDS = slice(3, 5), slice(0, 8)


@dataclass(frozen=True)
class Ticks:
    """The ticks of all cores since the start of the machine: those at work, and all of them."""

    busy: int
    total: int


def parse(stat: str) -> Ticks:
    """Read the first line of /proc/stat."""
    fields = [int(each) for each in stat.split("\n", 1)[0].split()[1:]]
    total = sum(fields[COUNTED_FIELDS])
    return Ticks(total - sum(fields[IDLE_FIELDS]), total)


def busy_cores(first: Ticks, last: Ticks, cores: int) -> float:
    """Return the mean number of cores at work between two reads."""
    passed = last.total - first.total
    return cores * (last.busy - first.busy) / passed if passed > 0 else float(cores)


def sample(seconds: float = SAMPLE_SECONDS) -> float:
    """Return the mean number of cores at work over a minute; without /proc/stat the system's own load average."""
    if not STAT.exists():
        time.sleep(seconds)
        return os.getloadavg()[0]
    first = parse(STAT.read_text())
    time.sleep(seconds)
    return busy_cores(first, parse(STAT.read_text()), os.cpu_count() or 1)


def refusals(rows: int, load: float | None) -> Iterator[str]:
    """Yield the reasons why the figures of a run are no result; without a load it was not sampled."""
    if rows < RESULT_ROWS:
        yield f"{figures.count(rows, 'row')}, fewer than {figures.number(RESULT_ROWS)}"
    if load is None:
        yield "the load of the machine was not sampled"
    elif load > MOST_LOAD:
        yield f"{figures.decimal(load)} cores were at work before it began, more than {figures.decimal(MOST_LOAD)}"
