"""Keep the record of the live writers' commits, and compare it with a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
from psycopg import sql

# The id of a row: counted by the server, or one that carries the time of the row.
RowId = int | UUID | str

# The possible states of a row after all commits: its text, or None if it must not exist. More than one if the answer to
# a COMMIT was lost.
States = tuple[str | None, ...]

SESSION = "-c TimeZone=UTC -c DateStyle=ISO"
# The text form is exact for every column: microseconds, and the scale of numerics.
COLUMNS = "unit_id, device_id, temperature, humidity, battery, signal_strength, recorded_at, received_at, source"
ROW = sql.SQL(f"ROW(id, {COLUMNS})::text")


@dataclass(frozen=True)
class WriteError:
    """An error that the application got, with its Unix time."""

    at: float
    sqlstate: str
    message: str


@dataclass
class Notes:
    """The notes of a writer since the last report."""

    rows: dict[RowId, States | None] = field(default_factory=dict)  # None: unknown from now on
    timings: list[tuple[float, float]] = field(default_factory=list)  # start as Unix time, seconds
    errors: list[WriteError] = field(default_factory=list)
    acknowledged: dict[RowId, bool] = field(default_factory=dict)  # by the id of a new or changed row


@dataclass(frozen=True)
class Latency:
    """The number of transactions and their durations in milliseconds."""

    count: int
    p50: float
    p99: float
    max: float


@dataclass(frozen=True)
class Difference:
    """A row that differs from its committed state."""

    id: RowId
    expected: States
    found: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """The differences between a table and the writers' record."""

    lost: tuple[Difference, ...]
    resurrected: tuple[Difference, ...]
    stale: tuple[Difference, ...]
    doubled: tuple[Difference, ...]
    rows_checked: int
    writes: int

    @property
    def exact(self) -> bool:
        """Return True if all rows are in their committed state."""
        return not (self.lost or self.resurrected or self.stale or self.doubled)


def merge(rows: dict[RowId, States], news: Mapping[RowId, States | None]) -> None:
    """Update a record with the news of a writer."""
    for key, states in news.items():
        if states is None:
            rows.pop(key, None)
        else:
            rows[key] = states


def join(
    records: Sequence[Mapping[RowId, States]],
    unacknowledged: Sequence[Collection[RowId]],
    taken: Collection[RowId] = (),
) -> dict[RowId, States]:
    """Join the records of several writers.

    After a crash a sequence may hand out an id again that no acknowledged transaction had. Its next owner, a
    writer or one of ``taken``, knows the row. The record of the insert without an answer does not count then.
    """
    owned = set(taken).union(*(rows.keys() - unsure for rows, unsure in zip(records, unacknowledged, strict=True)))
    return {
        key: states
        for rows, unsure in zip(records, unacknowledged, strict=True)
        for key, states in rows.items()
        if key not in unsure or key not in owned
    }


def summarize(timings: Iterable[tuple[float, float]], since: float, until: float) -> Latency:
    """Summarize the transactions that were open between two moments, in Unix time."""
    taken = sorted(1000 * seconds for began, seconds in timings if began <= until and began + seconds >= since)
    if not taken:
        return Latency(0, 0.0, 0.0, 0.0)
    return Latency(len(taken), taken[len(taken) // 2], taken[len(taken) * 99 // 100], taken[-1])


def compare(
    expected: Mapping[RowId, States], conninfo: str, table: str, writes: int, kind: str = "bigint"
) -> Comparison:
    """Compare a record with the rows of a table that have the same ids, of the type ``kind``."""
    found = _read(conninfo, table, list(expected), kind)
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


def _read(conninfo: str, table: str, ids: list[RowId], kind: str) -> dict[RowId, tuple[str, ...]]:
    query = sql.SQL("SELECT id, {} FROM {} JOIN unnest(%s::{}[]) AS asked (id) USING (id)").format(
        ROW, sql.Identifier(*table.split(".")), sql.SQL(kind)
    )
    found: dict[RowId, tuple[str, ...]] = {}
    with psycopg.connect(conninfo, options=SESSION) as connection:
        for key, text in connection.execute(query, (ids,)):
            found[key] = (*found.get(key, ()), text)
    return found
