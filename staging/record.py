"""What the live writers committed, and how a table differs from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

# The ways a row may be after all that was committed: its text, or None where it must not exist. More than one where the
# answer to a COMMIT was lost.
States = tuple[str | None, ...]

SESSION = "-c TimeZone=UTC -c DateStyle=ISO"
# Text shows every column exactly: microseconds, and the scale of numerics.
COLUMNS = "unit_id, device_id, temperature, humidity, battery, signal_strength, recorded_at, received_at, source"
ROW = sql.SQL(f"ROW(id, {COLUMNS})::text")


@dataclass(frozen=True)
class WriteError:
    """An error that the application saw, and when."""

    at: float
    sqlstate: str
    message: str


@dataclass
class Notes:
    """What a writer has seen since it was asked last."""

    rows: dict[int, States | None] = field(default_factory=dict)  # None: can no longer be known
    timings: list[tuple[float, float]] = field(default_factory=list)  # when it began, how many seconds it took
    errors: list[WriteError] = field(default_factory=list)


@dataclass(frozen=True)
class Latency:
    """How long transactions took, in milliseconds."""

    count: int
    p50: float
    p99: float
    max: float


@dataclass(frozen=True)
class Difference:
    """A row that is not as it was committed."""

    id: int
    expected: States
    found: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """What a table says against what the writers committed."""

    lost: tuple[Difference, ...]
    resurrected: tuple[Difference, ...]
    stale: tuple[Difference, ...]
    doubled: tuple[Difference, ...]
    rows_checked: int
    writes: int

    @property
    def exact(self) -> bool:
        """Tell whether every row is as it was committed."""
        return not (self.lost or self.resurrected or self.stale or self.doubled)


def merge(rows: dict[int, States], news: Mapping[int, States | None]) -> None:
    """Bring a record up to date."""
    for key, states in news.items():
        if states is None:
            rows.pop(key, None)
        else:
            rows[key] = states


def summarize(timings: Iterable[tuple[float, float]], since: float, until: float) -> Latency:
    """Sum up the transactions that were under way between two moments."""
    taken = sorted(1000 * seconds for began, seconds in timings if began <= until and began + seconds >= since)
    if not taken:
        return Latency(0, 0.0, 0.0, 0.0)
    return Latency(len(taken), taken[len(taken) // 2], taken[len(taken) * 99 // 100], taken[-1])


def compare(expected: Mapping[int, States], conninfo: str, table: str, writes: int) -> Comparison:
    """Compare a record with the rows of a table that have its ids."""
    found = _read(conninfo, table, list(expected))
    wrong: dict[str, list[Difference]] = defaultdict(list)
    for key, states in expected.items():
        texts = found.get(key, ())
        if verdict := _judge(states, texts):
            wrong[verdict].append(Difference(key, states, texts))
    kinds = {kind: tuple(wrong[kind]) for kind in ("lost", "resurrected", "stale", "doubled")}
    return Comparison(**kinds, rows_checked=len(expected), writes=writes)


def _judge(states: States, texts: Sequence[str]) -> str | None:
    if len(texts) > 1:
        return "doubled"
    if (texts[0] if texts else None) in states:
        return None
    if not texts:
        return "lost"
    return "resurrected" if states == (None,) else "stale"


def _read(conninfo: str, table: str, ids: list[int]) -> dict[int, tuple[str, ...]]:
    query = sql.SQL("SELECT id, {} FROM {} JOIN unnest(%s::bigint[]) AS asked (id) USING (id)")
    found: dict[int, tuple[str, ...]] = {}
    with psycopg.connect(conninfo, options=SESSION) as connection:
        for key, text in connection.execute(query.format(ROW, sql.Identifier(*table.split("."))), (ids,)):
            found[key] = (*found.get(key, ()), text)
    return found
