"""Rehearsals only: rows like production's, generated on the server in sets, the same ones for the same seed.

What a column's own default gives (an identity, a random UUID, now()) is not the seed's: everything else is.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from datetime import datetime

import pendulum
from psycopg import sql
from psycopg.types.json import Jsonb

from partition_playbook import catalog
from partition_playbook.catalog import Table
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Session
from partition_playbook.errors import PreconditionFailed
from partition_playbook.evidence import synthetic
from partition_playbook.evidence.synthetic import Slice
from partition_playbook.intervals import Bounds, Interval, between, in_zone
from partition_playbook.migration.run import Run
from partition_playbook.spec import Arrival, Mode, RunParams

log = logging.getLogger(__name__)

STAGE = "data_preparation"
BATCH = 200_000
TOLERANCE = 0.2


def refuse(run: Run, params: RunParams) -> list[Check]:
    """Check that rows may be generated at all."""
    with run.database.session() as session:
        source = catalog.require(session, run.table)
        return [
            _rehearsal(params),
            _empty(run, params, session),
            _parents_exist(session, source),
            _every_column_filled(run, source),
        ]


def _rehearsal(params: RunParams) -> Check:
    return check(
        "rehearsal",
        params.mode is Mode.REHEARSE,
        expected="mode rehearse",
        actual=f"mode {params.mode}",
        remedy="Synthetic rows are never written to production: set synthetic_rows to 0",
    )


def _empty(run: Run, params: RunParams, session: Session) -> Check:
    filled = bool(session.value("data_preparation/find_rows", table=run.table.identifier))
    ours = bool(run.ledger.measurements(STAGE))
    actual = "it has rows" if filled else "empty"
    return check(
        "table_empty",
        not filled or ours or params.allow_existing_rows,
        expected="an empty table, or allow_existing_rows",
        actual=f"{actual}, from an earlier try of this run" if filled and ours else actual,
        remedy="Empty the table, set allow_existing_rows, or set synthetic_rows to 0 to rehearse with the rows it has",
    )


def _parents_exist(session: Session, source: Table) -> Check:
    tables = sorted({each.referenced for each in source.foreign_keys})
    bare = [each.name for each in tables if not session.value("data_preparation/find_rows", table=each.identifier)]
    return check(
        "parents_exist",
        not bare,
        expected="rows in every table that is referred to",
        actual=f"No {' or '.join(bare)} found" if bare else ", ".join(each.name for each in tables) or "no table",
        remedy="Create test data in these tables first",
    )


def _every_column_filled(run: Run, source: Table) -> Check:
    given = {run.spec.partition_by, *run.spec.synthetic.values}
    given |= {name for each in source.foreign_keys for name in each.columns}
    own = {each.name for each in source.columns if each.default or each.identity or each.generated or not each.not_null}
    bare = [each.name for each in source.columns if each.name not in given | own]
    return check(
        "columns_filled",
        not bare,
        expected="a value for every column that is NOT NULL without a default",
        actual=f"none for {', '.join(bare)}" if bare else "all have one",
        remedy="Add them to synthetic.values in the spec",
    )


def slices(run: Run, params: RunParams) -> list[Slice]:
    """Cut the rows to generate into slices; the year they cover ends when the run was opened."""
    start, end = _span(run)
    months = run.spec.synthetic.months
    edges = [start.add(months=count) for count in range(months)] + [end]
    shares = [(edge - start) / (end - start) for edge in edges]
    counts = [round(params.synthetic_rows * share) for share in shares]
    return [
        {
            "index": index,
            "rows": counts[index + 1] - counts[index],
            "seed": params.seed,
            "lower": (edges[index] if params.arrival is Arrival.TIME else start).isoformat(),
            "upper": (edges[index + 1] if params.arrival is Arrival.TIME else end).isoformat(),
        }
        for index in range(months)
    ]


def _span(run: Run) -> tuple[pendulum.DateTime, pendulum.DateTime]:
    opened: datetime = run.ledger.run()["started_at"]
    end = in_zone(opened, run.spec.timezone)
    return end.subtract(months=run.spec.synthetic.months), end


def generate(run: Run, params: RunParams, piece: Slice) -> int:
    """Generate one slice, in transactions of at most BATCH rows; a slice tried again goes on where it stands."""
    if params.mode is not Mode.REHEARSE:
        raise PreconditionFailed("rows are generated in rehearsals only", where=str(run.table))
    done, started = 0, time.perf_counter()
    while done < piece["rows"]:
        with run.database.transaction() as session:
            done = _generate_batch(run, params, session, piece)
        seconds = time.perf_counter() - started
        log.info("slice %d: %d of %d rows, %.1f s", piece["index"] + 1, done, piece["rows"], seconds)
    return done


def _generate_batch(run: Run, params: RunParams, session: Session, piece: Slice) -> int:
    """Generate the next rows of a slice and note it in the same transaction; return how many the slice has then."""
    name = f"slice {piece['index'] + 1}"
    session.rows("data_preparation/lock_slice", {"slice": f"{run.ledger.run_id} {name}"})
    noted = run.ledger.measurements(STAGE).get(name)
    done = int(noted["value"]) if noted else 0
    if done >= piece["rows"]:
        return done
    last: int = min(done + BATCH, piece["rows"])
    session.rows("data_preparation/set_seed", {"seed": _fraction(piece, done)})
    synthetic.insert(run, params, session, piece, done + 1, last)
    values = {"run_id": run.ledger.run_id, "stage": STAGE, "name": name, "value": last, "unit": "rows"}
    session.note("ledger/set_measurement", values | {"detail": Jsonb(piece)})
    return last


def _fraction(piece: Slice, done: int) -> float:
    """Return what setseed takes, -1 to 1, different for each batch of each slice."""
    digest = hashlib.sha256(f"{piece['seed']}/{piece['index']}/{done}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**47 - 1


def distribution(run: Run, params: RunParams) -> list[Check]:
    """Check that all rows are there and that they lie evenly over the months."""
    done = {name: int(row["value"]) for name, row in run.ledger.measurements(STAGE).items()}
    generated = check(
        "rows_generated",
        sum(done.values()) == params.synthetic_rows,
        expected=params.synthetic_rows,
        actual=sum(done.values()),
        remedy="Clear the tasks of the slices that are not done",
        evidence=done,
    )
    return [generated, _evenness(run, params)]


def _evenness(run: Run, params: RunParams) -> Check:
    by = sql.Identifier(run.spec.partition_by)
    with run.database.session() as session:
        rows = session.rows("data_preparation/list_months", table=run.table.identifier, partition_by=by)
    counts = {f"{row['month']:%Y-%m}": row["rows"] for row in rows}
    start, end = _span(run)
    full = [month for month in between(Interval.MONTH, start, end) if month.lower >= start and month.upper <= end]
    if not full or not params.synthetic_rows:
        return skipped("distribution", "no whole month was generated")
    even = {f"{month.lower:%Y-%m}": params.synthetic_rows * _share(month, start, end) for month in full}
    # Chance alone moves a month of few rows by more than the tolerance: allow for four standard deviations.
    tolerance = max(TOLERANCE, 4 / math.sqrt(max(min(even.values()), 1)))
    uneven = {
        month: counts.get(month, 0)
        for month, rows in even.items()
        if abs(counts.get(month, 0) - rows) > tolerance * rows
    }
    mean = sum(even.values()) / len(even)
    return check(
        "distribution",
        not uneven,
        expected=f"about {mean:.0f} rows in each of {len(even)} whole months, ±{100 * tolerance:.0f} %",
        actual=", ".join(f"{month}: {rows}" for month, rows in (uneven or counts).items()),
        severity=Severity.WARNING if params.allow_existing_rows else Severity.ERROR,
        remedy="Empty the table and generate the rows again",
        evidence=counts,
    )


def _share(month: Bounds, start: pendulum.DateTime, end: pendulum.DateTime) -> float:
    return float((month.upper - month.lower) / (end - start))


def baseline(run: Run) -> dict[str, float]:
    """Bring the table to rest and record rows, range, table size and each index's size before the migration."""
    values = {"schema": run.table.schema, "name": run.table.name}
    parts = {"table": run.table.identifier}
    with run.database.session() as session:
        session.run("data_preparation/vacuum_table", **parts)
        by = sql.Identifier(run.spec.partition_by)
        found = session.row("data_preparation/find_baseline", values, partition_by=by, **parts)
        indexes = session.rows("data_preparation/list_index_sizes", values)
    run.ledger.measure("baseline", "rows", found["rows"], "rows", oldest=found["oldest"], newest=found["newest"])
    sizes = {"table_bytes": found["table_bytes"], "total_bytes": found["total_bytes"]}
    sizes |= {f"index {row['name']}": row["bytes"] for row in indexes}
    for name, size in sizes.items():
        run.ledger.measure("baseline", name, size, "bytes")
    return {"rows": found["rows"], **sizes}
