"""The loads and the backlog of a run over time, from the ledger alone: the same after every reload."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from partition_playbook import figures
from partition_playbook.console import answers
from partition_playbook.database import Row

# A rate spans at least a second, and a series has at most this many of them.
MOST_RATES = 120
SHORTEST = timedelta(seconds=1)
METHOD = "the average since the first load began, waits included. Catching up, checks and answers come after"


def throughput(loads: Sequence[Row], now: datetime) -> list[answers.Rate]:
    """Return the loaded rows per second, in equal pieces of time from the first load to the last or to now.

    The rows of a load are spread evenly over its time; those of a running one are an estimate.
    """
    begun = [each for each in loads if each["started_at"]]
    if not begun:
        return []
    first = min(each["started_at"] for each in begun)
    last = max(max(_end(each, now) for each in begun), first + SHORTEST)
    width = max((last - first) / MOST_RATES, SHORTEST).total_seconds()

    rows = [0.0] * (int((last - first).total_seconds() / width) + 1)
    for each in begun:
        start, end = ((at - first).total_seconds() for at in (each["started_at"], _end(each, now)))
        _spread(rows, width, start, max(end, start + 1e-3), _rows(each))
    return [
        answers.Rate(happened_at=first + timedelta(seconds=(index + 0.5) * width), rows_per_second=each / width)
        for index, each in enumerate(rows)
    ]


def _spread(rows: list[float], width: float, start: float, end: float, loaded: int) -> None:
    """Add the rows of one load to the pieces of time that it overlaps."""
    newest = len(rows) - 1
    for index in range(int(start / width), min(int(end / width), newest) + 1):
        # Rounding may end the last piece a little before the last load.
        overlap = (end if index == newest else min(end, (index + 1) * width)) - max(start, index * width)
        rows[index] += loaded * max(overlap, 0.0) / (end - start)


def eta(loads: Sequence[Row], now: datetime) -> answers.Eta | None:
    """Return when the loads will end, and how that was found; None before the first rows and after the last load."""
    begun = [each for each in loads if each["started_at"]]
    loaded = sum(map(_rows, begun))
    if not loaded or all(each["ended_at"] for each in loads):
        return None
    left = sum(max(each["expected_rows"] - _rows(each), 0) for each in loads if not each["ended_at"])
    seconds = max((now - min(each["started_at"] for each in begun)).total_seconds(), 1.0)
    rate = loaded / seconds
    text = f"{figures.count(left, 'row')} left at {figures.rate(loaded, seconds, 'rows')}, {METHOD}"
    return answers.Eta(seconds=left / rate, at=now + timedelta(seconds=left / rate), rows_left=left, method=text)


def _rows(load: Row) -> int:
    return int(load["rows"] if load["rows"] is not None else load["rows_so_far"] or 0)


def _end(load: Row, now: datetime) -> datetime:
    ended: datetime = load["ended_at"] or max(now, load["started_at"])
    return ended
